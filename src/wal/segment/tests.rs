use super::*;
use crate::base::{SystemId, Timestamp};
use crate::wal::scan::{EndReason, ScanEnd, ScanRequest, SegmentSource as _, scan};
use crate::wal::testlog::{Log, PAGE, SYSTEM_ID, header_at, size};
use crate::wal::{Happening, TimelineHistory};
use proptest::prelude::*;

const T0: Timestamp = Timestamp(1_795_000_000_000_000);

fn later(seconds: i64) -> Timestamp {
    Timestamp(T0.0 + seconds * 1_000_000)
}

fn request(log: &Log) -> ScanRequest {
    let text = log.histories.get(&log.timeline).cloned();
    let history = text.map_or_else(
        || TimelineHistory::root(log.timeline),
        |text| TimelineHistory::parse(&text, log.timeline).unwrap(),
    );
    ScanRequest { every_record: true, ..ScanRequest::new(history.path(), Lsn(1 << 20), size()) }
}

fn all(log: &Log) -> Result<(Vec<Record>, ScanEnd), WalError> {
    all_of(log, &request(log))
}

fn all_of(log: &Log, request: &ScanRequest) -> Result<(Vec<Record>, ScanEnd), WalError> {
    let mut records = Vec::new();
    let end = scan(log, request, &mut |record| {
        records.push(record.clone());
        ControlFlow::Continue(())
    })?;
    Ok((records, end))
}

/// Two whole segments and the beginning of a third, with records across pages and segments.
fn sample() -> Log {
    let mut log = Log::new(15);
    for i in 0..40_u8 {
        log.filler(10 + usize::from(i) * 13);
        log.commit(700 + u32::from(i), later(i64::from(i)));
    }
    log.filler(30_000);
    log.long_commit(790, later(50), 9_000);
    log.switch();
    log.commit(800, later(60));
    while log.at < 3 * (1 << 20) - 3_000 {
        log.filler(5_000);
    }
    log.long_commit(810, later(70), 2_000);
    log.commit(811, later(71));
    log
}

#[test]
fn records_are_joined_across_pages_and_segments() {
    let log = sample();
    let (records, end) = all(&log).unwrap();
    assert_eq!(records.last().unwrap().end_lsn, log.end_lsn());
    assert_eq!(end.end_lsn, log.end_lsn());
    assert_eq!(end.reason, EndReason::Unwritten(Stop::Zeros));
    assert_eq!(end.records, records.len() as u64);
    for pair in records.windows(2) {
        assert_eq!(pair[1].prev, pair[0].lsn);
        assert!(pair[1].lsn >= pair[0].end_lsn);
    }
    let commits: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.happening {
            Happening::Commit(done) => Some((done.xid.0, done.time, done.details.as_ref())),
            _ => None,
        })
        .collect();
    assert_eq!(commits.len(), 44);
    assert_eq!(commits[41].0, 800);
    assert_eq!(commits[40].2.unwrap().dropped_files.len(), 9_000);
    assert_eq!(commits[42].2.unwrap().dropped_files[1_999].relation, 21_999);
    for threads in [2, 3, 5] {
        let request = ScanRequest { threads, ..request(&log) };
        assert_eq!(all_of(&log, &request).unwrap(), (records.clone(), end.clone()));
    }
}

#[test]
fn a_long_head_that_matters_is_read_again() {
    let mut log = Log::new(15);
    while log.at < 2 * (1 << 20) - 100 {
        log.filler(40);
    }
    log.long_commit(1, T0, 200_000);
    log.commit(2, T0);
    let (records, _) = all(&log).unwrap();
    let [.., many, last] = &records[..] else { panic!() };
    assert!(matches!(&last.happening, Happening::Commit(done) if done.xid.0 == 2));
    let Happening::Commit(done) = &many.happening else { panic!() };
    assert_eq!(done.details.as_ref().unwrap().dropped_files.len(), 200_000);
    assert!(many.end_lsn.0 > 4 << 20);
}

#[test]
fn a_scan_may_begin_inside_a_record_longer_than_a_segment() {
    let mut log = Log::new(15);
    log.filler(100);
    log.filler(3 << 20);
    let first = log.commit(1, T0);
    log.commit(2, T0);
    let request = ScanRequest { from: Lsn(2 << 20), ..request(&log) };
    let (records, _) = all_of(&log, &request).unwrap();
    assert_eq!((records.len(), records[0].lsn), (2, first));
}

#[test]
fn a_scan_may_begin_at_any_record_and_end_before_any() {
    let log = sample();
    let (records, _) = all(&log).unwrap();
    for at in (0..records.len()).step_by(7).chain([records.len() - 2, records.len() - 1]) {
        let from = ScanRequest { from: records[at].lsn, ..request(&log) };
        assert_eq!(all_of(&log, &from).unwrap().0, records[at..]);
        let until = ScanRequest { until: Some(records[at].lsn), threads: 2, ..request(&log) };
        let (found, end) = all_of(&log, &until).unwrap();
        assert_eq!((&found[..], end.reason), (&records[..at], EndReason::Until));
        let wrong = ScanRequest { from: Lsn(records[at].lsn.0 + 8), ..request(&log) };
        assert!(!matches!(all_of(&log, &wrong), Ok((found, _)) if !found.is_empty()));
    }
}

#[test]
fn watched_positions_are_delivered_among_what_matters() {
    let log = sample();
    let (records, _) = all(&log).unwrap();
    for watched in
        [records[3].lsn, Lsn(records[10].lsn.0 + 1), records[91].lsn, Lsn(2 << 20), records[200].end_lsn]
    {
        let request = ScanRequest { every_record: false, watch: vec![watched], threads: 2, ..request(&log) };
        let found = all_of(&log, &request).unwrap().0;
        let next = records.iter().find(|record| record.lsn >= watched).unwrap();
        let reaching = records.iter().find(|record| record.end_lsn >= watched).unwrap();
        assert!(found.contains(next) && found.contains(reaching), "{watched}");
        assert!(found.iter().filter(|record| record.happening == Happening::Other).count() <= 2);
    }
}

#[test]
fn a_record_given_up_after_a_crash_is_no_damage() {
    for (fill, torn, keep) in [(100, 20_000, 1), (100, 3 << 20, 130), (1 << 19, 1 << 20, 128)] {
        let mut log = Log::new(14);
        log.filler(fill);
        log.commit(5, T0);
        let until = (log.at / PAGE + keep) * PAGE;
        let void = log.torn(torn, until);
        let broken = log.clone();
        let said = log.overwritten(void);
        log.commit(6, T0);
        let (records, _) = all(&log).unwrap();
        assert_eq!(records.len(), 4, "{fill} {torn}");
        assert_eq!(records[2].lsn, said);
        assert!(matches!(records[2].happening, Happening::Overwritten { lsn, .. } if lsn == void));
        // The same end, never restarted, is the end of the log.
        let (records, end) = all(&broken).unwrap();
        assert_eq!((records.len(), end.end_lsn), (2, void));
        // The same page with any other record is damage.
        let mut wrong = broken.clone();
        wrong.overwritten(Lsn(void.0 + 8));
        assert!(all(&wrong).is_err());
    }
}

#[test]
fn what_follows_a_gap_makes_it_damage() {
    let log = sample();
    let first = log.segment(1);
    let mut changed = log.clone();
    changed.segments.get_mut(&first).unwrap()[3 * 8192..4 * 8192].fill(0);
    assert!(matches!(all(&changed), Err(WalError::Damaged { fault: Fault::Gap(_), .. })));
    // Segments recycled after the end are the end.
    let mut recycled = log.clone();
    recycled.segments.insert(log.segment(4), log.segments[&first].clone());
    recycled.segments.insert(log.segment(5), vec![0; 1 << 20]);
    assert_eq!(all(&recycled).unwrap(), all(&log).unwrap());
    // The same file in the middle is damage, and so is a missing end of a segment.
    let mut middle = log.clone();
    middle.segments.insert(log.segment(2), log.segments[&first].clone());
    assert!(matches!(all(&middle), Err(WalError::Damaged { .. })));
    let mut missing = log.clone();
    missing.segments.remove(&log.segment(2));
    let (_, end) = all(&missing).unwrap();
    assert_eq!(end.reason, EndReason::NoSegment(log.segment(2)));
}

#[test]
fn a_switch_may_lie_across_two_segments() {
    let mut log = Log::new(15);
    let place = 2 * (1 << 20) - 8;
    while place - log.end_lsn().0 > 250 {
        log.filler(100);
    }
    // The last record but one ends where only 8 bytes of the segment are left.
    log.filler(usize::try_from(place - log.end_lsn().0).unwrap() - 26);
    assert_eq!(log.end_lsn(), Lsn(place));
    log.switch();
    log.commit(1, T0);
    let (records, _) = all(&log).unwrap();
    let [.., switch, commit] = &records[..] else { panic!() };
    assert_eq!((switch.happening.clone(), switch.end_lsn), (Happening::Switch, Lsn(3 << 20)));
    assert_eq!(commit.lsn, Lsn((3 << 20) + 40));
}

#[test]
fn every_truncation_is_found() {
    let log = sample();
    let whole = &log.segments[&log.segment(2)];
    let lengths = (0..20_000).step_by(11).chain([8_192, 16_384, (1 << 20) - 8_192, (1 << 20) - 1]);
    for length in lengths {
        let mut cut = log.clone();
        cut.segments.insert(log.segment(2), whole[..length].to_vec());
        assert!(matches!(all(&cut), Err(WalError::Damaged { .. })), "{length}");
    }
    let mut longer = log.clone();
    longer.segments.get_mut(&log.segment(2)).unwrap().push(0);
    assert!(matches!(all(&longer), Err(WalError::Damaged { fault: Fault::Long, .. })));
}

/// Bytes of the first pages that nothing reads: padding behind page headers and records, one flag for tools.
fn unused(records: &[Record], at: u64, bit: u32) -> bool {
    let (page, lsn) = (at % PAGE, Lsn((1 << 20) + at));
    let page_padding = (20..24).contains(&page) || (page == 2 && bit == 2);
    let record_padding = records.iter().any(|record| {
        lsn >= end_of_used(record) && lsn < record.end_lsn && record.happening != Happening::Switch
    });
    page_padding || record_padding
}

fn end_of_used(record: &Record) -> Lsn {
    let padding = (8 - u64::from(record.total_bytes) % 8) % 8;
    Lsn(record.end_lsn.0 - padding)
}

#[test]
fn every_flipped_bit_is_found_or_unused() {
    let mut log = sample();
    let good = all(&log).unwrap();
    let first = log.segment(1);
    for at in (0..3 * PAGE).chain(40 * 1024..40 * 1024 + 64) {
        let bit = (at * 5 % 8) as u32;
        let offset = usize::try_from(at).unwrap();
        log.segments.get_mut(&first).unwrap()[offset] ^= 1 << bit;
        match all(&log) {
            Ok(found) => {
                assert!(unused(&good.0, at, bit), "byte {at} bit {bit} passed");
                assert_eq!(found, good);
            }
            Err(error) => assert!(!unused(&good.0, at, bit), "byte {at} bit {bit}: {error}"),
        }
        log.segments.get_mut(&first).unwrap()[offset] ^= 1 << bit;
    }
}

#[test]
fn a_flip_in_the_last_record_never_adds_or_changes_one() {
    let mut log = Log::new(18);
    log.filler(100);
    let before = log.at;
    log.commit(7, T0);
    let (good, _) = all(&log).unwrap();
    for at in before..log.at {
        for bit in 0..8 {
            let mut flipped = log.clone();
            let first = flipped.segment(1);
            flipped.segments.get_mut(&first).unwrap()[usize::try_from(at - (1 << 20)).unwrap()] ^= 1 << bit;
            if let Ok((found, end)) = all(&flipped)
                && found != good
            {
                assert_eq!(found, good[..1]);
                assert!(matches!(end.reason, EndReason::Unwritten(Stop::Torn(_))), "{end:?}");
            }
        }
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let log = sample();
    let first = log.segment(1);
    for (offset, value) in [
        (40_usize, 0_u32),
        (40, 1),
        (40, 23),
        (40, u32::MAX),
        (40, 1 << 30),
        (40, (1 << 30) + 1),
        (16, 5),
        (32, 2 << 20),
        (36, 4096),
        (36, 0),
    ] {
        let mut hostile = log.clone();
        hostile.segments.get_mut(&first).unwrap()[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        assert!(all(&hostile).is_err(), "{value} at {offset}");
    }
}

#[test]
fn a_reader_says_in_its_own_words_why_it_failed() {
    struct Failing(Option<std::io::Error>);
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(self.0.take().unwrap())
        }
    }
    let plan = SegmentPlan {
        segment: WalSegment::from_number(Timeline(1), 1, size()),
        size: size(),
        expected: Expected::default(),
        start: None,
        until: None,
        every_record: false,
        watch: Vec::new(),
        zstd: None,
    };
    let fail = |error| decode_segment(&mut Failing(Some(error)), &plan, &mut |_| ControlFlow::Continue(()));
    let told = fail(std::io::Error::other(Report::damaged("the checksum in its name is wrong")));
    assert!(matches!(told, Err(WalError::Source(report)) if report.headline.starts_with("the checksum")));
    assert!(
        matches!(fail(std::io::Error::other("gone")), Err(WalError::Unreadable { why, .. }) if why == "gone")
    );
}

#[test]
fn headers_say_whose_segment_it_is() {
    let log = sample();
    let content = &log.segments[&log.segment(1)];
    let header = SegmentHeader::parse(content).unwrap();
    assert_eq!((header.version, header.timeline), (PgVersion::major(15), Timeline(1)));
    assert_eq!((header.page_lsn, header.system_id), (Lsn(1 << 20), SystemId(SYSTEM_ID)));
    assert_eq!(header_at(content, 40).prev, Lsn(0));
    let mut old = content.clone();
    old[0..2].copy_from_slice(&0xD101_u16.to_le_bytes());
    assert_eq!(SegmentHeader::parse(&old), Err(Fault::UnknownMagic(0xD101)));
    assert_eq!(SegmentHeader::parse(&content[..39]), Err(Fault::Short(39)));
    assert_eq!(SegmentHeader::parse(&[0; 40]), Err(Fault::Zeros));
    let mut foreign = request(&log);
    foreign.expected.system_id = Some(SystemId(7));
    assert!(matches!(all_of(&log, &foreign), Err(WalError::Foreign { what: "system identifier", .. })));
    foreign.expected = Expected { version: Some(PgVersion::major(16)), system_id: None };
    assert!(matches!(all_of(&log, &foreign), Err(WalError::Foreign { what: "PostgreSQL version", .. })));
    let mut unknown = log.clone();
    unknown.segments.insert(log.segment(1), old);
    assert!(matches!(all(&unknown), Err(WalError::UnknownMagic { magic: 0xD101, .. })));
    assert!(log.history(Timeline(1)).unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn never_panics_on_any_bytes(seed: u64, holes in proptest::collection::vec((0_usize..40_000, any::<u8>()), 1..40)) {
        let mut log = sample();
        let first = log.segment(1 + seed % 2);
        for (at, value) in holes {
            log.segments.get_mut(&first).unwrap()[at] = value;
        }
        drop(all(&log));
    }

    #[test]
    fn never_panics_on_any_record(info: u8, manager in 0_u8..22, main in proptest::collection::vec(any::<u8>(), 0..300), version in 13_u16..=18) {
        let mut log = Log::new(version);
        log.record(3, manager, info, &main);
        log.commit(4, T0);
        drop(all(&log));
    }
}
