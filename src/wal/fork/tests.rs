use super::*;
use crate::base::Timestamp;
use crate::wal::testlog::{Log, size};

/// Timeline 1, forked to 2 inside its second segment, forked to 3 inside the fourth.
fn family() -> Log {
    let mut log = Log::new(16);
    for xid in 0..3_000 {
        log.commit(700 + xid, Timestamp(1_795_000_000_000_000 + i64::from(xid)));
    }
    while log.at < (2 << 20) + 100_000 {
        log.filler(3_000);
    }
    let first = format!("1\t{}\tno recovery target specified\n", log.end_lsn());
    let old = log.clone();
    log.fork(2, &first);
    log.end_of_recovery(2, 1);
    while log.at < (4 << 20) + 50_000 {
        log.filler(2_000);
    }
    let second = format!("{first}\n2\t{}\tbefore 2026-11-21 01:06:03.394123+00\n", log.end_lsn());
    log.fork(3, &second);
    log.end_of_recovery(3, 2);
    log.filler(100);
    // The parent went on after the fork; none of that is on the path.
    let mut parent = old;
    while parent.at < 5 << 20 {
        parent.filler(700);
    }
    for (segment, content) in parent.segments {
        log.segments.entry(segment).or_insert(content);
    }
    log
}

fn prove(log: &Log, timeline: u32) -> Result<ForkProof, WalError> {
    prove_history(log, Timeline(timeline), size(), Expected::default())
}

#[test]
fn forks_are_confirmed_by_the_log() {
    let log = family();
    let proof = prove(&log, 3).unwrap();
    assert!(proof.open_questions.is_empty(), "{proof:?}");
    let froms: Vec<_> = proof.proven.iter().map(|fork| (fork.timeline.0, fork.from.0)).collect();
    assert_eq!(froms, [(2, 1), (3, 2)]);
    assert!(prove(&log, 1).unwrap().proven.is_empty());
    assert!(matches!(prove(&log, 4), Err(WalError::History { .. })));
}

#[test]
fn every_flipped_bit_of_every_history_is_found() {
    let log = family();
    for timeline in [2, 3] {
        let good = log.histories[&Timeline(timeline)].clone();
        let parsed = TimelineHistory::parse(&good, Timeline(timeline)).unwrap();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut text = good.clone();
                text[at] ^= 1 << bit;
                // A digit of a reason that is still a reason changes nothing.
                if TimelineHistory::parse(&text, Timeline(timeline)).is_ok_and(|read| read == parsed) {
                    continue;
                }
                let mut flipped = log.clone();
                flipped.histories.insert(Timeline(timeline), text);
                // Also through the descendant's file, which repeats the line.
                for asked in [timeline, 3] {
                    let proof = prove(&flipped, asked);
                    let sound = proof.as_ref().is_ok_and(|proof| proof.open_questions.is_empty());
                    assert!(!sound, "timeline {timeline} byte {at} bit {bit}: {proof:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_missing_is_asked_not_assumed() {
    let mut log = family();
    let segment = WalSegment::from_number(Timeline(2), 2, size());
    log.segments.remove(&segment);
    let proof = prove(&log, 3).unwrap();
    assert_eq!(proof.open_questions, [OpenQuestion::NoSegment { timeline: Timeline(2), segment }]);
    log.histories.remove(&Timeline(2));
    let proof = prove(&log, 3).unwrap();
    assert!(proof.open_questions.contains(&OpenQuestion::NoHistory(Timeline(2))));
}

#[test]
fn a_scan_follows_the_path_and_stops_where_the_child_is_missing() {
    let mut log = family();
    let history = TimelineHistory::parse(&log.histories[&Timeline(3)], Timeline(3)).unwrap();
    let mut request = ScanRequest::new(history.path(), Lsn(1 << 20), size());
    request.threads = 2;
    request.every_record = true;
    let run = |log: &Log| {
        let mut last = None;
        let end = scan(log, &request, &mut |record| {
            last = Some(record.lsn);
            ControlFlow::Continue(())
        });
        end.map(|end| (end, last))
    };
    let (end, last) = run(&log).unwrap();
    assert_eq!((end.end_lsn, last), (log.end_lsn(), Some(Lsn(log.last))));
    let child = WalSegment::from_number(Timeline(2), 2, size());
    log.segments.remove(&child);
    let (end, _) = run(&log).unwrap();
    assert_eq!(end.reason, super::super::scan::EndReason::NoSegment(child));
    assert_eq!(end.end_lsn, history.entries[0].switch_lsn);
}
