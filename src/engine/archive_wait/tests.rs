use super::*;
use crate::base::{PgVersion, SystemId};
use crate::codec::Sha1Hash;
use crate::engine::stanza::create::create;
use crate::repo::Repository;
use crate::store::memory::Memory;
use crate::store::{
    Entry, Meta, PendingObject, Range, Storage, StoreError, StoreErrorKind, StorePath, StoreResult,
    write_small,
};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const OF: Identity = Identity { version: PgVersion::major(15), system_id: SystemId(4711) };
const SEGMENT: &str = "000000010000000000000003";
const SOON: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(60);

/// A store whose listings fail so many times, each time in this way.
#[derive(Debug)]
struct Flaky {
    inner: Memory,
    fails: AtomicU32,
    kind: StoreErrorKind,
}

impl Storage for Flaky {
    fn describe(&self) -> String {
        "a store".to_owned()
    }
    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>> {
        self.inner.stat(path)
    }
    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()> {
        if self.fails.load(Ordering::Relaxed) > 0 {
            self.fails.fetch_sub(1, Ordering::Relaxed);
            return Err(StoreError {
                kind: self.kind,
                doing: "list",
                store: self.describe(),
                path: folder.to_string(),
                why: "it does not answer".to_owned(),
            });
        }
        self.inner.list(folder, visit)
    }
    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn Read + Send>> {
        self.inner.open(path, range)
    }
    fn create(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>> {
        self.inner.create(path)
    }
    fn remove(&self, path: &StorePath) -> StoreResult<()> {
        self.inner.remove(path)
    }
    fn remove_folder(&self, folder: &StorePath) -> StoreResult<()> {
        self.inner.remove_folder(folder)
    }
}

struct Place {
    store: Arc<Flaky>,
    stanza: Stanza,
}

impl Place {
    fn new(key: u32) -> Self {
        Self::failing(key, StoreErrorKind::Unreachable)
    }

    fn failing(key: u32, kind: StoreErrorKind) -> Self {
        let store = Arc::new(Flaky { inner: Memory::default(), fails: AtomicU32::new(0), kind });
        let repository = Repository::new(Arc::clone(&store) as Arc<dyn Storage>, key, None);
        create(std::slice::from_ref(&repository), "main", OF).unwrap();
        Self { store, stanza: repository.stanza("main") }
    }

    fn put(&self, sha1: [u8; 20], extension: &str) {
        let path = format!("archive/main/15-1/{}/{SEGMENT}-{}{extension}", &SEGMENT[..16], Sha1Hash(sha1));
        write_small(&*self.store, &StorePath::new(path).unwrap(), b"wal").unwrap();
    }
}

fn wait(places: &[&Place], limit: Duration) -> Result<Vec<Arrived>, WaitError> {
    let stanzas: Vec<Stanza> = places.iter().map(|place| place.stanza.clone()).collect();
    wait_for(&stanzas, SEGMENT.parse().unwrap(), OF, limit, &Cancel::default(), None)
}

#[test]
fn every_repository_must_have_it() {
    let (one, two) = (Place::new(1), Place::new(4));
    one.put([1; 20], ".gz");
    let arrived = std::thread::scope(|scope| {
        let waits = scope.spawn(|| wait(&[&one, &two], LONG));
        std::thread::sleep(SOON);
        assert!(!waits.is_finished(), "repo4 lacks it");
        two.put([1; 20], ".zst");
        waits.join().unwrap().unwrap()
    });
    let told: Vec<_> =
        arrived.iter().map(|a| (a.key, a.id.to_string(), a.stored.compression.extension())).collect();
    assert_eq!(told, [(1, "15-1".to_owned(), ".gz"), (4, "15-1".to_owned(), ".zst")]);
}

#[test]
fn a_timeout_names_who_lacks_it_and_what_the_archiver_says() {
    let (one, two) = (Place::new(1), Place::new(4));
    one.put([1; 20], "");
    let stanzas = [one.stanza.clone(), two.stanza.clone()];
    let segment = SEGMENT.parse().unwrap();
    let mut ask =
        || Ok(Archiver { failed_count: 3, last_failed: Some(SEGMENT.to_owned()), ..Archiver::default() });
    let begun = Instant::now();
    let error = wait_for(&stanzas, segment, OF, SOON, &Cancel::default(), Some(&mut ask)).unwrap_err();
    assert!(begun.elapsed() >= SOON);
    let text = error.to_string();
    assert!(text.contains("in repo4 within 0.25 s") && !text.contains("repo1"), "{text}");
    assert!(text.contains("failed 3 times, last for 000000010000000000000003"), "{text}");
    let report = Report::from(error);
    assert!(report.kind == Kind::Failed && report.hint.unwrap().contains("archive_command"));
    let mut cannot = || Err(Report::failed("gone"));
    let error = wait_for(&stanzas, segment, OF, Duration::ZERO, &Cancel::default(), Some(&mut cannot));
    assert!(matches!(error, Err(WaitError::Timeout { archiver: None, .. })));
    assert_eq!(wait(&[&one], Duration::ZERO).unwrap().len(), 1, "one look is always taken");
}

#[test]
fn two_contents_are_told_at_once() {
    let (one, two) = (Place::new(1), Place::new(4));
    one.put([1; 20], ".gz");
    two.put([2; 20], ".gz");
    let error = wait(&[&one, &two], LONG).unwrap_err();
    assert!(
        matches!(error, WaitError::Duplicate { .. }) && error.to_string().contains("repo4 has 0202"),
        "{error}"
    );
    one.put([3; 20], ".gz");
    let error = wait(&[&one], LONG).unwrap_err();
    assert!(error.to_string().contains("repo1 has 0101") && error.to_string().contains("0303"), "{error}");
    assert_eq!(Report::from(error).kind, Kind::Damaged);
    // The same content under two extensions is one segment.
    two.put([2; 20], ".zst");
    wait(&[&two], LONG).unwrap();
}

#[test]
fn a_store_that_fails_is_asked_again_and_then_told_never_taken_for_empty() {
    let one = Place::new(1);
    one.put([1; 20], ".gz");
    one.store.fails.store(STORE_TRIES - 1, Ordering::Relaxed);
    wait(&[&one], LONG).unwrap();
    one.store.fails.store(u32::MAX, Ordering::Relaxed);
    let error = wait(&[&one], LONG).unwrap_err();
    assert!(matches!(error, WaitError::Repo { key: 1, .. }), "{error}");
    assert_eq!(Report::from(error).kind, Kind::Unreachable);
    let denied = Place::failing(1, StoreErrorKind::Denied);
    denied.store.fails.store(u32::MAX, Ordering::Relaxed);
    assert!(matches!(wait(&[&denied], LONG), Err(WaitError::Repo { .. })));
    let asked = u32::MAX - denied.store.fails.load(Ordering::Relaxed);
    assert_eq!(asked, 1, "a refusal does not go away by asking");
}

#[test]
fn wal_of_another_cluster_is_not_waited_for() {
    let one = Place::new(1);
    let other = Identity { system_id: SystemId(1), ..OF };
    let stanzas = [one.stanza.clone()];
    let error =
        wait_for(&stanzas, SEGMENT.parse().unwrap(), other, LONG, &Cancel::default(), None).unwrap_err();
    assert!(matches!(error, WaitError::Foreign { key: 1, .. }), "{error}");
    assert_eq!(Report::from(error).kind, Kind::Refused(None));
}

#[test]
fn a_cancel_ends_the_waiting() {
    let one = Place::new(1);
    let cancel = Cancel::default();
    let stanzas = [one.stanza.clone()];
    let ended = std::thread::scope(|scope| {
        let waits = scope.spawn(|| wait_for(&stanzas, SEGMENT.parse().unwrap(), OF, LONG, &cancel, None));
        std::thread::sleep(Duration::from_millis(100));
        cancel.request();
        waits.join().unwrap()
    });
    assert!(matches!(ended, Err(WaitError::Cancelled)));
}
