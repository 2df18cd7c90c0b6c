//! Answers on small archives in memory: what is delivered, what is absent, and what stops PostgreSQL.

mod salvage;

use super::*;
use crate::base::WalSegmentSize;
use crate::cluster::control;
use crate::codec::Sha1Hash;
use crate::repo::Repository;
use crate::store::memory::Memory;
use crate::store::wrap::{Fault, Faulty};
use crate::store::{
    Entry, Meta, PendingObject, Range, Storage, StoreError, StoreErrorKind, StorePath, StoreResult,
};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SYSTEM: u64 = 7_710_424_747_602_381_888;
const SIZE: usize = 1 << 20;

/// A whole segment as a server of 15 begins it, filled with bytes that depend on `seed`.
fn segment_of(name: &str, seed: u8) -> Vec<u8> {
    let segment: WalSegment = name.parse().unwrap();
    let size = WalSegmentSize::new(1 << 20).unwrap();
    let mut bytes: Vec<u8> = (0..=250_u8).cycle().map(|byte| byte ^ seed).take(SIZE).collect();
    let mut header = Vec::new();
    header.extend(0xD110_u16.to_le_bytes());
    header.extend(2_u16.to_le_bytes());
    header.extend(segment.timeline.0.to_le_bytes());
    header.extend(segment.start_lsn(size).0.to_le_bytes());
    header.extend([0; 8]);
    header.extend(SYSTEM.to_le_bytes());
    header.extend((1_u32 << 20).to_le_bytes());
    header.extend(8192_u32.to_le_bytes());
    bytes[..header.len()].copy_from_slice(&header);
    bytes
}

/// `archive.info` of one cluster of 15.
fn archive_info(system: u64) -> String {
    let json = format!(
        "{{\"backrest\":{{\"backrest-format\":5,\"backrest-version\":\"2.45\"}},\
         \"db\":{{\"db-id\":1,\"db-system-id\":{system},\"db-version\":\"15\"}},\
         \"db:history\":{{\"1\":{{\"db-id\":{system},\"db-version\":\"15\"}}}}}}"
    );
    format!(
        "[backrest]\nbackrest-format=5\nbackrest-version=\"2.45\"\n\n\
         [db]\ndb-id=1\ndb-system-id={system}\ndb-version=\"15\"\n\n\
         [db:history]\n1={{\"db-id\":{system},\"db-version\":\"15\"}}\n\n\
         [backrest]\nbackrest-checksum=\"{}\"\n",
        Sha1Hash::of(json.as_bytes())
    )
}

fn path(below: &str) -> StorePath {
    StorePath::new(format!("archive/main/{below}")).unwrap()
}

/// A repository in memory with one stanza.
#[derive(Debug, Clone, Default)]
struct Shelf(Memory);

impl Shelf {
    fn new() -> Self {
        Self::of_system(SYSTEM)
    }

    fn of_system(system: u64) -> Self {
        let shelf = Self::default();
        shelf.0.put(&path("archive.info"), archive_info(system).as_bytes());
        shelf
    }

    fn with(self, names: &[&str]) -> Self {
        for name in names {
            self.put(name, &segment_of(name, 0));
        }
        self
    }

    /// Puts content under the name of a segment, with its own SHA-1; gives its path.
    fn put(&self, name: &str, content: &[u8]) -> StorePath {
        let at = path(&format!("15-1/{}/{name}-{}", &name[..16], Sha1Hash::of(content)));
        self.0.put(&at, content);
        at
    }

    fn put_file(&self, name: &str, content: &str) {
        self.0.put(&path(&format!("15-1/{name}")), content.as_bytes());
    }
}

/// A store that does not answer while it is down.
#[derive(Debug)]
struct Switched {
    inner: Memory,
    down: Arc<AtomicBool>,
}

impl Switched {
    fn check(&self, path: &StorePath) -> StoreResult<()> {
        if !self.down.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(StoreError {
            kind: StoreErrorKind::Unreachable,
            doing: "read",
            store: "repo".to_owned(),
            path: path.to_string(),
            why: "no route to host".to_owned(),
        })
    }
}

impl Storage for Switched {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>> {
        self.check(path).and_then(|()| self.inner.stat(path))
    }

    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()> {
        self.check(folder).and_then(|()| self.inner.list(folder, visit))
    }

    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn Read + Send>> {
        self.check(path).and_then(|()| self.inner.open(path, range))
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

/// A data directory and the repositories it is recovered from.
struct Recovery {
    folder: tempfile::TempDir,
    job: Job,
}

fn slot(key: u32, store: Arc<dyn Storage>) -> Slot {
    Slot { key, cipher: "none", repository: Ok(Repository::new(store, key, None)) }
}

impl Recovery {
    fn from_stores(stores: Vec<Arc<dyn Storage>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        std::fs::create_dir_all(data_dir.join("global")).unwrap();
        std::fs::create_dir(data_dir.join("pg_wal")).unwrap();
        std::fs::write(data_dir.join("global/pg_control"), control::tests::file(control::tests::PG15))
            .unwrap();
        std::fs::write(data_dir.join("recovery.signal"), "").unwrap();
        let repositories = (1..).zip(stores).map(|(key, store)| slot(key, store)).collect();
        let patience = Patience {
            store: Duration::from_millis(300),
            upload: Duration::from_millis(20),
            standby: Duration::from_millis(1),
        };
        let job = Job {
            data_dir,
            stanza: "main".to_owned(),
            repositories,
            spool_path: None,
            salvage: None,
            patience,
        };
        Self { folder, job }
    }

    fn of(shelves: &[&Shelf]) -> Self {
        Self::from_stores(
            shelves.iter().map(|shelf| -> Arc<dyn Storage> { Arc::new(shelf.0.clone()) }).collect(),
        )
    }

    fn destination(&self) -> PathBuf {
        self.job.data_dir.join("pg_wal/RECOVERYXLOG")
    }

    fn get(&self, name: &str) -> Reply {
        get(&self.job, name, &self.destination())
    }

    /// Asks, expects an exit code, and that nothing is left behind unless it was delivered.
    #[track_caller]
    fn expect(&self, name: &str, exit_code: u8, said: &str) {
        let reply = self.get(name);
        assert_eq!(reply.exit_code, exit_code, "{}", reply.line);
        assert!(reply.line.contains(said), "'{said}' is not in: {}", reply.line);
        let left: Vec<_> = std::fs::read_dir(self.job.data_dir.join("pg_wal")).unwrap().collect();
        assert_eq!(left.len(), usize::from(exit_code == 0), "{left:?}");
        drop(std::fs::remove_file(self.destination()));
    }

    #[track_caller]
    fn expect_content(&self, name: &str, content: &[u8]) {
        let reply = self.get(name);
        assert_eq!(reply.exit_code, 0, "{}", reply.line);
        assert!(std::fs::read(self.destination()).unwrap() == content, "{name} has another content");
    }
}

const FIVE: &str = "000000010000000000000005";
const SIX: &str = "000000010000000000000006";
const SEVEN: &str = "000000010000000000000007";

#[test]
fn delivers_what_is_archived_and_calls_the_end_absent() {
    let shelf = Shelf::new().with(&[FIVE, SIX, "000000020000000000000009"]);
    let recovery = Recovery::of(&[&shelf]);
    recovery.expect_content(FIVE, &segment_of(FIVE, 0));
    recovery.expect_content(SIX, &segment_of(SIX, 0));
    std::fs::remove_file(recovery.destination()).unwrap();
    // Later segments of another timeline say nothing about this one.
    recovery.expect(SEVEN, 1, "is not in repo1 15-1");
    recovery.expect("00000002.history", 1, "is not in");
    recovery.expect("000000030000000000000005", 1, "is not in");
}

#[test]
fn a_missing_segment_with_later_ones_behind_it_is_a_gap() {
    let shelf = Shelf::new().with(&[FIVE, SEVEN]);
    Recovery::of(&[&shelf]).expect(SIX, 130, "is missing although 000000010000000000000007 is in repo1 15-1");
    // Also if only another repository has the later one, and far away.
    let (near, far) = (Shelf::new().with(&[FIVE]), Shelf::new().with(&["0000000100000003000000AA"]));
    Recovery::of(&[&near, &far]).expect(SIX, 130, "0000000100000003000000AA is in repo2 15-1");
}

#[test]
fn an_upload_out_of_order_is_waited_for() {
    let shelf = Shelf::new().with(&[SEVEN]);
    let mut recovery = Recovery::of(&[&shelf]);
    recovery.job.patience.upload = Duration::from_millis(200);
    let late = shelf.clone();
    let upload = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        late.put(SIX, &segment_of(SIX, 0));
    });
    recovery.expect_content(SIX, &segment_of(SIX, 0));
    upload.join().unwrap();
}

#[test]
fn two_contents_of_one_segment_stop_the_recovery() {
    let one = Shelf::new().with(&[FIVE]);
    one.put(FIVE, &segment_of(FIVE, 1));
    Recovery::of(&[&one]).expect(FIVE, 130, "archived with different contents");
    let (first, second) = (Shelf::new().with(&[FIVE]), Shelf::new());
    second.put(FIVE, &segment_of(FIVE, 1));
    Recovery::of(&[&first, &second]).expect(FIVE, 130, "repo2 15-1 has");
    let same = Shelf::new().with(&[FIVE]);
    Recovery::of(&[&first, &same]).expect(FIVE, 0, "from repo1 15-1");
}

#[test]
fn another_repository_delivers_what_one_cannot_and_says_so() {
    let sound = Shelf::new().with(&[FIVE]);
    let at = sound.put(FIVE, &segment_of(FIVE, 0));
    let flipped = Faulty::new(sound.0.clone(), Fault::Flip { path: at, offset: 500_000, mask: 4 });
    let recovery = Recovery::from_stores(vec![Arc::new(flipped), Arc::new(sound.0.clone())]);
    recovery.expect(FIVE, 0, "warning: 000000010000000000000005 delivered from repo2 15-1");
    let foreign = Shelf::of_system(1);
    let recovery = Recovery::of(&[&foreign, &sound]);
    recovery.expect(FIVE, 0, "repo1 has no archive of PostgreSQL 15 with system identifier");
    // What one repository could not tell is not absent.
    recovery.expect(SIX, 130, "repo1 has no archive");
}

#[test]
fn damage_is_never_delivered() {
    let shelf = Shelf::new().with(&[FIVE, SIX]);
    let at = shelf.put(FIVE, &segment_of(FIVE, 0));
    for step in 0..64 {
        let offset = if step < 40 { step } else { (step * 104_729) % (SIZE as u64) };
        let fault = Fault::Flip { path: at.clone(), offset, mask: 1 << (step % 8) };
        let recovery = Recovery::from_stores(vec![Arc::new(Faulty::new(shelf.0.clone(), fault))]);
        recovery.expect(FIVE, 130, "is not what its name says");
    }
    for length in [0, 1, 39, 40, 8192, SIZE as u64 / 2, SIZE as u64 - 1] {
        let fault = Fault::Truncate { path: at.clone(), length };
        let recovery = Recovery::from_stores(vec![Arc::new(Faulty::new(shelf.0.clone(), fault))]);
        recovery.expect(FIVE, 130, "is not what its name says");
    }
}

#[test]
fn a_segment_that_is_not_what_its_name_says_is_refused_though_its_checksum_holds() {
    let change = |at: usize, bytes: &[u8]| {
        let mut content = segment_of(FIVE, 0);
        content[at..at + bytes.len()].copy_from_slice(bytes);
        content
    };
    let mut longer = segment_of(FIVE, 0);
    longer.push(0);
    let cases = [
        // As a push of a recycled file archived it: its pages still say where they come from.
        (segment_of("000000010000000000000003", 0), "recycled"),
        (change(24, &1_u64.to_le_bytes()), "it is of cluster 1"),
        (change(0, &0xD113_u16.to_le_bytes()), "PostgreSQL 16"),
        (change(0, &0xDEAD_u16.to_le_bytes()), "DEAD"),
        (change(32, &(16_u32 << 20).to_le_bytes()), "addressed 0/500000"),
        (change(4, &2_u32.to_le_bytes()), "timeline 2"),
        (vec![0; SIZE], "zeros"),
        (longer, "more than"),
        (segment_of(FIVE, 0)[..SIZE / 2].to_vec(), "of the 1048576 bytes"),
    ];
    for (content, said) in cases {
        let shelf = Shelf::new();
        shelf.put(FIVE, &content);
        Recovery::of(&[&shelf]).expect(FIVE, 130, said);
    }
    // The segment of a fork begins on the timeline before.
    let fork = "000000020000000000000005";
    let shelf = Shelf::new();
    shelf.put(fork, &segment_of(FIVE, 0));
    Recovery::of(&[&shelf]).expect(fork, 0, "delivered");
}

#[test]
fn a_store_that_does_not_answer_is_asked_again_and_never_taken_for_empty() {
    let shelf = Shelf::new().with(&[FIVE]);
    let down = Arc::new(AtomicBool::new(true));
    let store =
        || -> Arc<dyn Storage> { Arc::new(Switched { inner: shelf.0.clone(), down: Arc::clone(&down) }) };
    let recovery = Recovery::from_stores(vec![store()]);
    recovery.expect(SIX, 130, "no route to host");
    recovery.expect("00000002.history", 130, "no route to host");
    let other = Shelf::new();
    let recovery = Recovery::from_stores(vec![Arc::new(other.0.clone()), store()]);
    recovery.expect(SIX, 130, "repo2: ");
    recovery.expect("00000002.history", 130, "repo2: ");
    let back = Arc::clone(&down);
    let repair = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(60));
        back.store(false, Ordering::Release);
    });
    recovery.expect(FIVE, 0, "from repo2 15-1");
    repair.join().unwrap();
    for opened in 1..=3 {
        let faulty = Faulty::new(shelf.0.clone(), Fault::UnreachableAt(opened));
        Recovery::from_stores(vec![Arc::new(faulty)]).expect(FIVE, 0, "from repo1 15-1");
    }
}

#[test]
fn a_standby_is_told_absent_loudly_because_it_asks_again() {
    let shelf = Shelf::new().with(&[FIVE, SEVEN]);
    let recovery = Recovery::of(&[&shelf]);
    std::fs::write(recovery.job.data_dir.join("standby.signal"), "").unwrap();
    recovery.expect(SIX, 1, "error: 000000010000000000000006 not delivered: ");
    recovery.expect(SIX, 1, "this standby goes on without it");
    let tries = std::cell::Cell::new(0);
    let attempt = || {
        tries.set(tries.get() + 1);
        Err(GetError::Name(String::new()))
    };
    assert_eq!(persist(Asker::Standby, recovery.job.patience, attempt).exit_code(Asker::Standby), 1);
    assert_eq!(tries.get(), STANDBY_TRIES);
}

#[test]
fn a_data_directory_that_cannot_be_recovered_gets_nothing() {
    let shelf = Shelf::new().with(&[FIVE]);
    let recovery = Recovery::of(&[&shelf]);
    let file = recovery.job.data_dir.join("global/pg_control");
    let mut bytes = std::fs::read(&file).unwrap();
    control::mark_unusable_checkpoint(&mut bytes).unwrap();
    std::fs::write(&file, &bytes).unwrap();
    recovery.expect(FIVE, 130, "backup_label is missing");
    std::fs::write(recovery.job.data_dir.join("backup_label"), "").unwrap();
    recovery.expect(FIVE, 0, "delivered");
    bytes[0] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    recovery.expect(FIVE, 130, "pg_control");
    std::fs::remove_file(&file).unwrap();
    recovery.expect(FIVE, 130, "pg_control");
}

#[test]
fn names_no_archive_holds_and_missing_archives_are_errors() {
    let shelf = Shelf::new();
    let recovery = Recovery::of(&[&shelf]);
    for name in ["", "archive.info", "../x", "00000001000000000000000g"] {
        recovery.expect(name, 130, "is not the name of");
    }
    Recovery::of(&[&Shelf::default()]).expect(FIVE, 130, "archive.info");
    // A repository on another host may have what this one has not.
    let mut recovery = Recovery::of(&[&Shelf::new().with(&[FIVE])]);
    let repository = Err(Report::usage("repository 2 is on host backup"));
    recovery.job.repositories.push(Slot { key: 2, cipher: "none", repository });
    recovery.expect(FIVE, 0, "but: repo2: repository 2 is on host backup");
    recovery.expect(SIX, 130, "repo2: repository 2 is on host backup");
}

#[test]
fn people_get_partial_segments_and_backup_histories() {
    let shelf = Shelf::new();
    let content = segment_of(FIVE, 0);
    let name = format!("15-1/0000000100000000/{FIVE}.partial-{}", Sha1Hash::of(&content));
    shelf.0.put(&path(&name), &content);
    shelf.put_file("0000000100000000/000000010000000000000005.00000028.backup", "START WAL LOCATION\n");
    let recovery = Recovery::of(&[&shelf]);
    recovery.expect_content(&format!("{FIVE}.partial"), &content);
    recovery.expect_content("000000010000000000000005.00000028.backup", b"START WAL LOCATION\n");
    std::fs::remove_file(recovery.destination()).unwrap();
    // The server never sees a partial segment in the place of a whole one.
    recovery.expect(FIVE, 1, "is not in");
    recovery.expect("000000010000000000000006.partial", 1, "is not in");
}

#[test]
fn histories_must_be_the_same_everywhere_and_strict() {
    const HISTORY: &str = "1\t0/5000A0\tno recovery target specified\n";
    let (first, second) = (Shelf::new(), Shelf::new());
    first.put_file("00000002.history", HISTORY);
    Recovery::of(&[&first]).expect("00000002.history", 0, "is not proven");
    Recovery::of(&[&first, &second]).expect("00000002.history", 0, "from repo1 15-1");
    second.put_file("00000002.history", &HISTORY.replace("0A0", "0B0"));
    Recovery::of(&[&first, &second]).expect(
        "00000002.history",
        130,
        "differs between repo1 15-1 and repo2 15-1",
    );
    for bad in ["", "1\t0/5000A0\n", "1\t0/5000A0\tx", "3\t0/5000A0\tx\n"] {
        let shelf = Shelf::new();
        shelf.put_file("00000002.history", bad);
        Recovery::of(&[&shelf]).expect("00000002.history", 130, "is not what its name says");
    }
    // The timeline's log begins elsewhere.
    first.put("000000020000000000000004", &segment_of("000000020000000000000004", 0));
    Recovery::of(&[&first]).expect("00000002.history", 130, "000000020000000000000004");
    let third = Shelf::new();
    third.put_file("00000002.history", HISTORY);
    third.put_file("00000003.history", &format!("{}\n2\t0/7000A0\tx\n", HISTORY.replace("0A0", "0B0")));
    Recovery::of(&[&third]).expect("00000003.history", 130, "contradicts");
}

#[test]
fn prefetched_and_fetched_are_the_same_and_a_spoilt_spool_is_never_delivered() {
    let shelf = Shelf::new().with(&[FIVE, SIX, SEVEN]);
    let mut recovery = Recovery::of(&[&shelf]);
    recovery.job.spool_path = Some(recovery.folder.path().join("spool"));
    let reply = recovery.get(FIVE);
    let spool = reply.spool.expect("a delivered segment may be followed by others");
    let (supply, size) = RepositorySupply::open(&recovery.job).unwrap();
    let fetch_ahead = |name: &str| {
        let segment = name.parse().unwrap();
        let mut incoming = spool.begin(segment).unwrap();
        let seal = prefetch::Supply::supply(&supply, segment, &mut incoming).unwrap().unwrap();
        incoming.finish(&seal).unwrap();
        spool.folder().join(name)
    };
    assert_eq!(size.bytes() as usize, SIZE);
    fetch_ahead(SIX);
    recovery.expect(SIX, 0, "from spool (repo1 15-1)");
    fetch_ahead(SIX);
    recovery.expect_content(SIX, &segment_of(SIX, 0));
    std::fs::remove_file(recovery.destination()).unwrap();
    for at in [0, 40, SIZE / 3, SIZE - 1, SIZE + 20, SIZE + 60] {
        let file = fetch_ahead(SEVEN);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[at] ^= 0x10;
        std::fs::write(&file, bytes).unwrap();
        recovery.expect(SEVEN, 0, "warning: 000000010000000000000007 delivered from repo1 15-1");
        assert!(!file.exists());
    }
    let file = fetch_ahead(SEVEN);
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(4096).unwrap();
    recovery.expect(SEVEN, 0, "from repo1 15-1");
    // A whole segment under another's name.
    std::fs::rename(fetch_ahead(SIX), spool.folder().join(SEVEN)).unwrap();
    recovery.expect(SEVEN, 0, "thrown away");
    recovery.expect("00000001000000000000000A", 1, "is not in");
    let log: Vec<Request> = spool.requests().next_requests().unwrap();
    assert_eq!(log.first().unwrap().name, FIVE);
    assert!(log.iter().all(|request| request.outcome == "delivered"));
}

#[test]
fn without_a_usable_spool_segments_are_still_delivered_and_it_is_said() {
    let shelf = Shelf::new().with(&[FIVE]);
    let mut recovery = Recovery::of(&[&shelf]);
    recovery.job.spool_path = Some(PathBuf::from("/proc/none"));
    recovery.expect(FIVE, 0, "(nothing is fetched ahead: /proc/none");
}
