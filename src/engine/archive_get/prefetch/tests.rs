//! The prefetcher against a supply that is told what to have.

use super::*;
use crate::codec::quick::QuickHasher;
use crate::engine::archive_get::spool::Taken;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

const BYTES: usize = 1 << 20;

fn size() -> WalSegmentSize {
    WalSegmentSize::new(1 << 20).unwrap()
}

fn segment(number: u64) -> WalSegment {
    WalSegment::from_number(crate::base::Timeline(1), number, size())
}

/// Has all segments below `end` except the damaged one.
struct Shelf {
    end: AtomicU64,
    damaged: u64,
    supplied: AtomicU64,
}

impl Shelf {
    fn until(end: u64) -> Self {
        Self { end: AtomicU64::new(end), damaged: u64::MAX, supplied: AtomicU64::new(0) }
    }
}

impl Supply for Shelf {
    fn supply(&self, segment: WalSegment, into: &mut Incoming) -> Result<Option<Seal>, GetError> {
        let number = segment.number(size());
        if number == self.damaged {
            return Err(GetError::Name("damaged".to_owned()));
        }
        if number >= self.end.load(Ordering::Acquire) {
            return Ok(None);
        }
        let content = vec![u8::try_from(number).unwrap(); BYTES];
        into.write_all(&content).unwrap();
        let mut quick = QuickHasher::new();
        quick.update(&content);
        self.supplied.fetch_add(1, Ordering::AcqRel);
        Ok(Some(Seal { segment, quick: quick.finish(), from: "repo1 15-1".to_owned() }))
    }
}

fn limits(segments: u64) -> Limits {
    Limits { queue_bytes: segments * BYTES as u64, threads: 2, idle: Duration::from_millis(400) }
}

fn deliver(spool: &Spool, number: u64) {
    let request = Request {
        at: Timestamp::now(),
        name: segment(number).to_string(),
        outcome: "delivered".to_owned(),
        from: "repo1 15-1".to_owned(),
        took_ms: 1,
    };
    spool.record(&request).unwrap();
}

fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never came true");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn runs_ahead_by_its_queue_and_clears_up_when_nobody_asks() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path().join("spool")).unwrap();
    let shelf = Shelf::until(100);
    deliver(&spool, 10);
    std::thread::scope(|scope| {
        let prefetcher = scope.spawn(|| run(&spool, &shelf, size(), limits(4)).unwrap());
        until(|| (11..=14).all(|number| spool.has(segment(number))));
        assert!(spool.is_attended() && !spool.has(segment(15)));
        assert_eq!(run(&spool, &shelf, size(), limits(4)).unwrap(), Ended::Attended);
        let taken = spool.take(segment(11), BYTES as u64, &dir.path().join("out")).unwrap();
        assert_eq!(taken, Taken::Delivered("repo1 15-1".to_owned()));
        assert_eq!(std::fs::read(dir.path().join("out")).unwrap(), vec![11; BYTES]);
        // A jump ahead: what was passed over goes, what is next comes.
        deliver(&spool, 13);
        until(|| (14..=17).all(|number| spool.has(segment(number))) && !spool.has(segment(12)));
        assert_eq!(prefetcher.join().unwrap(), Ended::Idle);
    });
    assert!((11..=20).all(|number| !spool.has(segment(number))));
    assert!(!spool.is_attended());
    assert_eq!(spool.requests().next_requests().unwrap().len(), 2);
}

#[test]
fn leaves_alone_what_it_cannot_fetch_and_looks_again_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path().join("spool")).unwrap();
    let shelf = Shelf { damaged: 12, ..Shelf::until(14) };
    deliver(&spool, 10);
    let limits = Limits { idle: Duration::from_secs(4), ..limits(6) };
    std::thread::scope(|scope| {
        let prefetcher = scope.spawn(|| run(&spool, &shelf, size(), limits).unwrap());
        until(|| spool.has(segment(11)) && spool.has(segment(13)));
        assert!(!spool.has(segment(12)) && !spool.has(segment(14)));
        shelf.end.store(16, Ordering::Release);
        until(|| spool.has(segment(14)) && spool.has(segment(15)));
        assert!(!spool.has(segment(12)));
        // As a restore of pgBackRest does with everything below the stanza's spool.
        std::fs::rename(spool.folder(), dir.path().join("gone")).unwrap();
        assert_eq!(prefetcher.join().unwrap(), Ended::SpoolGone);
    });
}

#[test]
fn what_a_killed_prefetcher_left_is_swept_and_sound_segments_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path().join("spool")).unwrap();
    let shelf = Shelf::until(100);
    let mut incoming = spool.begin(segment(11)).unwrap();
    let seal = shelf.supply(segment(11), &mut incoming).unwrap().unwrap();
    incoming.finish(&seal).unwrap();
    std::fs::write(spool.folder().join(format!("{}.part", segment(12))), b"half").unwrap();
    std::fs::write(spool.folder().join(format!("{}.taken-4294967295", segment(12))), b"half").unwrap();
    deliver(&spool, 10);
    let before = shelf.supplied.load(Ordering::Acquire);
    std::thread::scope(|scope| {
        let prefetcher = scope.spawn(|| run(&spool, &shelf, size(), limits(3)).unwrap());
        until(|| (11..=13).all(|number| spool.has(segment(number))));
        assert_eq!(shelf.supplied.load(Ordering::Acquire) - before, 2, "the ready one is not fetched again");
        assert!(!spool.folder().join(format!("{}.taken-4294967295", segment(12))).exists());
        prefetcher.join().unwrap();
    });
}
