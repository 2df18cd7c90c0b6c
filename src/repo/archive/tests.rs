//! Listing, finding and judging segments in a store in memory.

use super::*;
use crate::base::WalSegmentSize;
use crate::repo::Repository;
use crate::store::memory::Memory;
use std::sync::Arc;

const ID: ArchiveId = ArchiveId { version: PgVersion::major(15), db_id: 1 };

fn archive(names: &[String]) -> Archive {
    let store = Memory::default();
    for name in names {
        let folder = name.get(..16).filter(|_| !name.ends_with(".history"));
        let path = folder.map_or(name.clone(), |folder| format!("{folder}/{name}"));
        store.put(&StorePath::new(format!("archive/main/15-1/{path}")).unwrap(), b"x");
    }
    let stanza = Repository::new(Arc::new(store), 1, None).stanza("main");
    let history = BTreeMap::from([(1, (PgVersion::major(15), SystemId(7)))]);
    stanza.archive(&ArchiveInfo { current_db_id: 1, history, cipher_pass: None })
}

fn name(segment: &str, sha1: char, extension: &str) -> String {
    format!("{segment}-{}{extension}", sha1.to_string().repeat(40))
}

fn segment(text: &str) -> WalSegment {
    text.parse().unwrap()
}

#[test]
fn only_names_of_segments_are_segments() {
    let good = name("000000010000000000000002", 'a', ".zst");
    assert_eq!(StoredSegment::from_name(&good, 9).unwrap().file_name(), good);
    for bad in [
        "000000010000000000000002.partial-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.zst".to_owned(),
        "000000010000000000000002.00000028.backup".to_owned(),
        name("000000010000000000000002", 'A', ""),
        name("00000001000000000000000g", 'a', ""),
        name("000000010000000000000002", 'a', ".xz"),
        name("000000010000000000000002", 'a', ".zst.pgbackrest.tmp"),
        name("000000010000000000000002", 'é', ""),
        "é".repeat(30),
        String::new(),
    ] {
        assert!(StoredSegment::from_name(&bad, 0).is_none(), "{bad}");
    }
}

#[test]
fn the_same_content_twice_is_one_and_different_content_a_conflict() {
    let wal = "000000010000000000000002";
    let same = archive(&[name(wal, 'a', ".gz"), name(wal, 'a', ".zst")]);
    assert!(
        matches!(same.find(&ID, segment(wal)), Ok(Found::One(one)) if one.compression == Compression::Gz)
    );
    let torn = archive(&[name(wal, 'a', ".gz"), name(wal, 'b', ".gz"), name(wal, 'a', ".zst")]);
    assert!(matches!(torn.find(&ID, segment(wal)), Ok(Found::Conflict(two)) if two.len() == 2));
    assert_eq!(torn.ranges(&ID, WalSegmentSize::DEFAULT).unwrap().conflicts, [segment(wal)]);
    assert_eq!(same.find(&ID, segment("000000010000000000000003")).unwrap(), Found::Absent);
    assert_eq!(same.find(&ID, segment("000000020000000000000002")).unwrap(), Found::Absent);
}

#[test]
fn ranges_end_at_gaps_and_at_timelines() {
    let plain = |segment: &str| name(segment, 'a', ".lz4");
    let archive = archive(&[
        plain("0000000100000000000000FE"),
        plain("0000000100000000000000FF"),
        plain("000000010000000100000000"),
        plain("000000010000000100000003"),
        plain("000000020000000100000001"),
        plain("000000020000000100000002"),
        "000000010000000100000003.00000028.backup".to_owned(),
        "000000010000000100000004.partial-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        "00000002.history".to_owned(),
        "00000003.history".to_owned(),
    ]);
    let size = WalSegmentSize::DEFAULT;
    let ranges = archive.ranges(&ID, size).unwrap();
    let shown: Vec<_> = ranges.ranges.iter().map(|r| (r.first.to_string(), r.segments(size))).collect();
    let expected =
        [("0000000100000000000000FE", 3), ("000000010000000100000003", 1), ("000000020000000100000001", 2)];
    assert_eq!(shown, expected.map(|(first, count)| (first.to_owned(), count)));
    let gaps = ranges.gaps(size);
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (gaps[0].first, gaps[0].last),
        (segment("000000010000000100000001"), segment("000000010000000100000002"))
    );
    assert_eq!(archive.timelines(&ID).unwrap(), [Timeline(1), Timeline(2), Timeline(3)]);
    assert_eq!(archive.history(&ID, Timeline(2)).unwrap().unwrap(), b"x");
    assert!(archive.history(&ID, Timeline(4)).unwrap().is_none());
    let other = WalSegmentSize::new(64 << 20).unwrap();
    assert_eq!(archive.ranges(&ID, other).unwrap().impossible.len(), 2);
    let bounds = archive.bounds(&ID).unwrap().unwrap();
    assert_eq!(bounds, (segment("0000000100000000000000FE"), segment("000000020000000100000002")));
}

#[test]
fn an_empty_archive_has_nothing() {
    let empty = archive(&[]);
    assert_eq!(empty.ranges(&ID, WalSegmentSize::DEFAULT).unwrap(), Ranges::default());
    assert_eq!((empty.bounds(&ID).unwrap(), empty.timelines(&ID).unwrap().len()), (None, 0));
}
