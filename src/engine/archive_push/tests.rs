//! Pushing the files of a made-up cluster into repositories in folders, by the call itself and in the background.

mod background;
mod refused;

use super::*;
use crate::base::{Report, Secret, SystemId, Timestamp, WalSegment, WalSegmentSize};
use crate::cluster::control;
use crate::codec::Sha1Hash;
use crate::engine::locks::StopFile;
use crate::repo::{ArchiveId, ArchiveInfo, Found, Repository};
use crate::store::posix::Posix;
use crate::store::wrap::ReadOnly;
use crate::store::{Entry, Meta, PendingObject, Range, Storage, StorePath, StoreResult};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const SYSTEM: u64 = 7_710_424_747_602_381_888;
const SIZE: usize = 1 << 20;
const ONE: &str = "00000001000000000000000A";
const TWO: &str = "00000001000000000000000B";
const THREE: &str = "00000001000000000000000C";
const HISTORY: &str = "00000002.history";

/// A whole segment as a server of 15 writes it, filled with bytes that depend on `seed`.
fn content_of(name: &str, seed: u8) -> Vec<u8> {
    let segment: WalSegment = name[..24].parse().unwrap();
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

/// A folder into which somebody else puts `rival` whenever a segment is begun.
#[derive(Debug)]
struct Contested {
    inner: Posix,
    rival: StorePath,
}

impl Storage for Contested {
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>> {
        self.inner.stat(path)
    }
    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()> {
        self.inner.list(folder, visit)
    }
    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn io::Read + Send>> {
        self.inner.open(path, range)
    }
    fn create(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>> {
        crate::store::write_small(&self.inner, &self.rival, b"another server's")?;
        self.inner.create(path)
    }
    fn remove(&self, path: &StorePath) -> StoreResult<()> {
        self.inner.remove(path)
    }
    fn remove_folder(&self, folder: &StorePath) -> StoreResult<()> {
        self.inner.remove_folder(folder)
    }
    fn anchor(&self, folder: &StorePath) -> StoreResult<()> {
        self.inner.anchor(folder)
    }
}

/// A data directory, two repositories of which the second is encrypted, a spool and a folder for locks.
struct Yard {
    dir: tempfile::TempDir,
}

const ID: ArchiveId = ArchiveId { version: crate::base::PgVersion::major(15), db_id: 2 };

impl Yard {
    fn new() -> Self {
        let yard = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["pg/global", "pg/pg_wal/archive_status", "locks", "state"] {
            std::fs::create_dir_all(yard.path(folder)).unwrap();
        }
        std::fs::write(yard.path("pg/global/pg_control"), control::tests::file(control::tests::PG15))
            .unwrap();
        yard.stanza(&[(1, 1), (2, SYSTEM)]);
        yard
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn wal(&self, name: &str) -> PathBuf {
        self.path("pg/pg_wal").join(name)
    }

    /// Writes `archive.info` of both repositories with this history; the last entry is the current one.
    fn stanza(&self, history: &[(u32, u64)]) {
        for key in [1, 2] {
            let history: BTreeMap<_, _> =
                history.iter().map(|(id, system)| (*id, (ID.version, SystemId(*system)))).collect();
            let current_db_id = *history.keys().last().unwrap();
            let cipher_pass = (key == 2).then(|| Secret::new("inner"));
            let info = ArchiveInfo { current_db_id, history, cipher_pass };
            self.repository(key).stanza("main").save_archive_info(&info).unwrap();
        }
    }

    fn repository(&self, key: u32) -> Repository {
        Repository::new(Arc::new(self.store(key)), key, (key == 2).then(|| Secret::new("outer")))
    }

    fn store(&self, key: u32) -> Posix {
        Posix::new(self.path(&format!("repo{key}")), &format!("repo{key}"))
    }

    /// The same repository, but nothing can be written to it.
    fn broken(&self, key: u32) -> Repository {
        let storage: Arc<dyn Storage> = Arc::new(ReadOnly(self.store(key)));
        Repository::new(storage, key, (key == 2).then(|| Secret::new("outer")))
    }

    /// The first repository, into which another server puts its own segment just as this one begins to write.
    fn contested(&self, rival: StorePath) -> Repository {
        let storage: Arc<dyn Storage> = Arc::new(Contested { inner: self.store(1), rival });
        Repository::new(storage, 1, None)
    }

    fn job(&self) -> Job {
        let slot = |key| Slot { key, cipher: "", repository: Ok(self.repository(key)) };
        Job {
            data_dir: self.path("pg"),
            stanza: "main".to_owned(),
            repositories: vec![slot(1), slot(2)],
            locks: LockFolder(self.path("locks")),
            packing: Packing { compression: Compression::Lz4, level: None, workers: 1 },
            care: Care { header: true, tell_twice: true, replace_history: false },
            queue_max_bytes: None,
            drop_log: Some(self.path("state/main.dropped")),
        }
    }

    /// Lets PostgreSQL have written a file and ask for it to be archived.
    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.wal(name), content).unwrap();
        std::fs::write(self.wal(&format!("archive_status/{name}.ready")), "").unwrap();
    }

    /// Lets PostgreSQL take note that a file is archived.
    fn done(&self, name: &str) {
        let status = |kind: &str| self.wal(&format!("archive_status/{name}.{kind}"));
        std::fs::rename(status("ready"), status("done")).unwrap();
    }

    fn push(&self, job: &Job, name: &str) -> Result<Pushed, PushError> {
        push(job, &self.wal(name))
    }

    /// The content of a segment in a repository, read and proven.
    fn archived(&self, key: u32, name: &str) -> Option<Vec<u8>> {
        let stanza = self.repository(key).stanza("main");
        let archive = stanza.archive(&stanza.archive_info().unwrap().value);
        let segment = name[..24].parse().unwrap();
        let partial = name.ends_with(".partial");
        let found =
            if partial { archive.find_partial(&ID, segment) } else { archive.find(&ID, segment) }.unwrap();
        let Found::One(stored) = found else {
            assert_eq!(found, Found::Absent);
            return None;
        };
        let mut decoder =
            if partial { archive.open_partial(&ID, &stored) } else { archive.open(&ID, &stored) }.unwrap();
        let mut content = Vec::new();
        decoder.read_to_end(&mut content).unwrap();
        assert_eq!(decoder.finish().unwrap().sha1, stored.sha1);
        Some(content)
    }

    fn small(&self, key: u32, name: &str) -> Option<Vec<u8>> {
        let stanza = self.repository(key).stanza("main");
        stanza.archive(&stanza.archive_info().unwrap().value).small(&ID, name).unwrap()
    }

    /// Every file below a repository's archive but the info files.
    fn files(&self, key: u32) -> Vec<String> {
        fn collect(folder: &Path, into: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    collect(&path, into);
                } else {
                    into.push(path.file_name().unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut files = Vec::new();
        collect(&self.path(&format!("repo{key}/archive/main/15-2")), &mut files);
        files.sort();
        files
    }

    fn spool(&self) -> spool::Spool {
        spool::Spool::open(&self.path("spool"), "main").unwrap()
    }

    fn limits(threads: usize) -> Limits {
        Limits { threads, batch_bytes: 1 << 30, idle: Duration::from_millis(50) }
    }

    fn attend(&self, job: &Job) -> Result<Ended, Report> {
        attend(job, &self.path("spool"), Self::limits(2))
    }

    /// A call that has the file pushed in the background by a thread.
    fn push_by_spool(&self, job: &Job, name: &str) -> (Result<Pushed, PushError>, u32) {
        let launched = AtomicU32::new(0);
        let pushed = std::thread::scope(|scope| {
            let launch = || {
                launched.fetch_add(1, Ordering::AcqRel);
                scope.spawn(|| self.attend(job));
                Ok(())
            };
            push_by_spool(job, &self.wal(name), &self.path("spool"), Duration::from_secs(20), &launch)
        });
        (pushed, launched.into_inner())
    }
}

#[test]
fn a_segment_is_in_every_repository_and_the_second_push_writes_nothing() {
    for compression in Compression::ALL {
        let yard = Yard::new();
        let job = Job { packing: Packing { compression, level: None, workers: 2 }, ..yard.job() };
        for name in [ONE, &format!("{ONE}.partial")] {
            let content = content_of(name, 3);
            yard.write(name, &content);
            let pushed = yard.push(&job, name).unwrap();
            assert!(
                pushed.warnings.is_empty() && pushed.line.contains("repo1 15-2, repo2 15-2"),
                "{pushed:?}"
            );
            assert!(yard.archived(1, name).unwrap() == content && yard.archived(2, name).unwrap() == content);
            let before = (yard.files(1), yard.files(2));
            assert!(before.0.iter().any(|file| {
                file.starts_with(name)
                    && file.ends_with(&format!("{}{}", Sha1Hash::of(&content), compression.extension()))
            }));
            let again = yard.push(&job, name).unwrap();
            assert_eq!(again.warnings.len(), 2, "{again:?}");
            let quiet = Job { care: Care { tell_twice: false, ..job.care }, ..yard.job() };
            assert!(yard.push(&quiet, name).unwrap().warnings.is_empty());
            assert_eq!((yard.files(1), yard.files(2)), before);
        }
    }
}

#[test]
fn what_another_server_put_there_meanwhile_is_not_acknowledged() {
    let yard = Yard::new();
    yard.write(ONE, &content_of(ONE, 3));
    let rival = format!("archive/main/15-2/0000000100000000/{ONE}-{}", "a".repeat(40));
    let mut job = yard.job();
    job.repositories.truncate(1);
    job.repositories[0].repository = Ok(yard.contested(StorePath::new(&rival).unwrap()));
    for _ in 0..2 {
        let refused = yard.push(&job, ONE).unwrap_err();
        assert!(matches!(refused, PushError::Torn { .. }), "{refused}");
    }
}

#[test]
fn an_archive_that_fails_does_not_keep_the_other_from_the_segment() {
    for compression in Compression::ALL {
        let yard = Yard::new();
        let content = content_of(ONE, 9);
        yard.write(ONE, &content);
        let job = Job { packing: Packing { compression, level: None, workers: 0 }, ..yard.job() };
        let identity = identity(&job.data_dir).unwrap();
        let file = Wanted::parse(ONE).unwrap();
        for failures in [0, 1] {
            let mut source = Source::open(&yard.wal(ONE), file, &identity, true).unwrap();
            let mut slots = yard.job().repositories;
            if failures == 0 {
                slots[1].repository = Ok(yard.broken(2));
            }
            let shelves = Shelves::open(&slots, "main", &identity).unwrap();
            let done = lodge::lodge(&shelves.usable, &mut source, &job, &mut Vec::new()).unwrap();
            assert_eq!(done.failures.len(), 1 - failures, "{:?}", done.failures);
            assert!(yard.archived(1, ONE).unwrap() == content);
            assert_eq!(yard.archived(2, ONE).is_some(), failures == 1);
        }
        assert!(yard.archived(2, ONE).unwrap() == content);
    }
}

#[test]
fn one_repository_that_fails_keeps_the_file_unacknowledged_and_the_other_served() {
    let yard = Yard::new();
    yard.write(ONE, &content_of(ONE, 1));
    yard.write(HISTORY, b"1\t0/B00000\tno recovery target specified\n");
    let mut job = yard.job();
    job.repositories[0].repository = Ok(yard.broken(1));
    for name in [ONE, HISTORY] {
        let error = Report::from(yard.push(&job, name).unwrap_err());
        assert!(error.headline.starts_with("repo1: cannot write"), "{error}");
        assert_eq!(error.kind.exit_code(), 1);
    }
    assert!(yard.archived(2, ONE).is_some() && yard.small(2, HISTORY).is_some() && yard.files(1).is_empty());
    job.repositories[1].repository = Err(Report::usage("there is no such folder"));
    let error = Report::from(yard.push(&job, TWO).unwrap_err());
    assert!(error.headline.contains("cannot read"), "{error}");
    yard.write(TWO, &content_of(TWO, 1));
    let error = Report::from(yard.push(&job, TWO).unwrap_err());
    assert!(error.headline.contains("repo2: there is no such folder; repo1: cannot"), "{error}");
    let pushed = yard.push(&yard.job(), ONE).unwrap();
    assert!(pushed.warnings.len() == 1 && pushed.warnings[0].contains("repo2"), "{pushed:?}");
    assert!(yard.archived(1, ONE).unwrap() == content_of(ONE, 1));
}

#[test]
fn the_time_on_record_is_now() {
    let yard = Yard::new();
    yard.write(ONE, &content_of(ONE, 1));
    yard.push(&Job { queue_max_bytes: Some(0), ..yard.job() }, ONE).unwrap();
    let at = dropped::read(&yard.path("state/main.dropped")).unwrap()[0].at;
    assert!((Timestamp::now().unix_s() - at.unix_s()).abs() < 60);
}
