//! Damage in info files, manifests and backups; and what is no damage.

use super::fixtures::{ALL, Fixture};
use super::{
    archive_path, assert_found, assert_sound, backup, backup_path, files_below, labels, look, look_at,
    request, shown, status,
};
use pgmayday::base::{Kind, Secret};
use pgmayday::engine::verify::{BackupStatus, Counts, Depth, Level, Request, Verification, verify};
use pgmayday::model::op::{Cancel, Event, Progress, Silent, Sink};
use pgmayday::repo::Repository;
use pgmayday::store::posix::Posix;
use pgmayday::store::wrap::{Fault, Faulty};
use pgmayday::store::{
    Entry, Meta, PendingObject, Range, Storage, StoreError, StoreErrorKind, StorePath, StoreResult,
};
use std::fs;
use std::io::Read;
use std::sync::{Arc, Mutex};

const PLAIN: [&str; 2] = ["20261121-010559F", "20261121-010559F_20261121-010607I"];

/// What is done to a file, what must be said of it, and the counter that must be 1.
type Damage<'a> = (&'a dyn Fn(), &'static str, fn(&Counts) -> u64);

#[test]
fn a_lost_or_changed_data_file_is_named_in_every_backup_that_uses_it() {
    for depth in [Depth::Full, Depth::Stored] {
        let fixture = Fixture::open("a1-plain-none");
        let path = backup_path(&fixture, &format!("{}/pg_data/base/1/1255", PLAIN[0]));
        let content = fs::read(&path).unwrap();
        let at = "pg_data/base/1/1255";
        let look = || look_at(&fixture.repository(), &fixture.stanza, &Request { depth, ..request() });
        let mut flipped = content.clone();
        flipped[100] ^= 1;
        let damages: [Damage<'_>; 4] = [
            (&|| fs::remove_file(&path).unwrap(), "is missing", |c| c.missing),
            (&|| fs::write(&path, &content[..content.len() - 1]).unwrap(), "stored bytes", |c| {
                c.size_invalid
            }),
            (&|| fs::write(&path, [&content[..], b"x"].concat()).unwrap(), "more stored bytes", |c| {
                c.size_invalid
            }),
            (&|| fs::write(&path, &flipped).unwrap(), "SHA-1", |c| c.checksum_invalid),
        ];
        for (damage, why, count) in damages {
            damage();
            let whole = look();
            assert_found(&whole, Level::Damage, at, why);
            for label in PLAIN {
                let one = backup(&whole, label);
                assert_eq!(
                    (one.status, count(&one.counts), one.counts.valid),
                    (BackupStatus::Invalid, 1, 969)
                );
            }
            assert_found(&whole, Level::Damage, at, "as told for backup");
        }
    }
}

#[test]
fn a_lost_or_cut_bundle_is_named() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let all = labels(&fixture);
    let path = backup_path(&fixture, &format!("{}/bundle/1", all[0]));
    let content = fs::read(&path).unwrap();
    fs::write(&path, &content[..content.len() / 2]).unwrap();
    let whole = look(&fixture);
    assert_found(&whole, Level::Damage, "bundle/1", "stored bytes");
    let cut = backup(&whole, all[0].as_str()).counts;
    assert!(cut.size_invalid > 0 && cut.valid > 0, "{cut:?}");
    fs::remove_file(&path).unwrap();
    let whole = look(&fixture);
    assert_found(&whole, Level::Damage, "bundle/1", "files are in it");
    let lost = backup(&whole, all[0].as_str()).counts;
    assert_eq!(lost.missing, lost.checked - lost.valid);
    assert!(lost.missing > cut.size_invalid);
    assert!(whole.backups.iter().all(|backup| backup.status == BackupStatus::Invalid));
    // What follows the last file is read by nobody.
    fs::write(&path, [&content[..], b"more"].concat()).unwrap();
    let whole = look(&fixture);
    assert_sound(&whole);
    assert_found(&whole, Level::Note, "bundle/1", "4 bytes behind");
}

#[test]
fn blocks_of_other_backups_are_looked_at_where_they_are_used() {
    let fixture = Fixture::open("a3-block-incr");
    let all = labels(&fixture);
    let last = all.last().unwrap();
    let stanza = fixture.repository().stanza(&fixture.stanza);
    let info = stanza.backup_info().unwrap().value;
    let mut used = Vec::new();
    for owner in 0..2 {
        let stored = files_below(&backup_path(&fixture, all[owner].as_str())).into_iter();
        for (name, path) in
            stored.filter(|(name, _)| name.starts_with("bundle/") || name.rsplit('.').next() == Some("pgbi"))
        {
            let content = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            for depth in [Depth::Full, Depth::Stored] {
                for label in &all[owner + 1..] {
                    let request = Request { set: Some(label.clone()), depth, ..request() };
                    let one = look_at(&fixture.repository(), &fixture.stanza, &request);
                    let manifest = stanza.manifest(&info, label).unwrap().value;
                    assert_eq!(one.backups[0].counts.checked, manifest.files.len() as u64);
                    if one.backups[0].status == BackupStatus::Invalid {
                        let told = shown(&one);
                        assert!(told.contains(&format!("{}/{name}", all[owner])), "{told}");
                        used.push((owner, name.clone(), depth));
                    }
                }
            }
            fs::write(&path, content).unwrap();
        }
    }
    // The file in blocks was written anew as a whole after the full backup; the third has blocks of the second.
    for depth in [Depth::Full, Depth::Stored] {
        for (owner, name) in [(0, "bundle/1"), (0, "bundle/2"), (1, "pg_data/base/5/16394.pgbi")] {
            assert!(used.contains(&(owner, name.to_owned(), depth)), "{owner} {name} {depth:?}: {used:?}");
        }
    }
    // The second backup's manifest is lost: blocks that only it described are still used by later ones.
    for name in ["backup.manifest", "backup.manifest.copy"] {
        fs::remove_file(backup_path(&fixture, &format!("{}/{name}", all[1]))).unwrap();
    }
    let whole = look(&fixture);
    assert_eq!(status(&whole, all[1].as_str()), BackupStatus::ManifestMissing);
    assert_eq!(status(&whole, last.as_str()), BackupStatus::Valid, "{}", shown(&whole));
}

#[test]
fn each_of_a_pair_counts() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let label = &labels(&fixture)[1];
    let manifest = backup_path(&fixture, &format!("{label}/backup.manifest"));
    let pairs =
        [backup_path(&fixture, "backup.info"), archive_path(&fixture, "archive.info"), manifest.clone()];
    for main in &pairs {
        let copy = main.with_extension(format!("{}.copy", main.extension().unwrap().to_str().unwrap()));
        for path in [main, &copy] {
            let content = fs::read(path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            for cut in [None, Some(content.len() / 2), Some(0)] {
                match cut {
                    None => fs::remove_file(path).unwrap(),
                    Some(length) => fs::write(path, &content[..length]).unwrap(),
                }
                let whole = look(&fixture);
                assert_found(&whole, Level::Damage, name, "is sound");
                assert!(whole.backups.iter().all(|backup| backup.status == BackupStatus::Valid));
            }
            fs::write(path, content).unwrap();
        }
    }
    // Both of a manifest.
    let content = fs::read(&manifest).unwrap();
    let copy = manifest.with_extension("manifest.copy");
    for damage in [None, Some(&content[..content.len() - 40])] {
        for path in [&manifest, &copy] {
            match damage {
                None => fs::remove_file(path).unwrap(),
                Some(content) => fs::write(path, content).unwrap(),
            }
        }
        let whole = look(&fixture);
        assert_eq!(status(&whole, label.as_str()), BackupStatus::ManifestMissing);
        assert_found(&whole, Level::Damage, "backup.manifest", "");
        assert_eq!(whole.backups.iter().filter(|b| b.status == BackupStatus::Valid).count(), 3);
    }
    // Another backup's manifest.
    let other = backup_path(&fixture, &format!("{}/backup.manifest", labels(&fixture)[0]));
    for path in [&manifest, &copy] {
        fs::copy(&other, path).unwrap();
    }
    let whole = look(&fixture);
    assert_found(&whole, Level::Damage, "backup.manifest", "not of");
}

#[test]
fn lost_info_files_are_damage_and_the_rest_is_still_looked_at() {
    let lose = |fixture: &Fixture, folder: &str| {
        for name in [format!("{folder}.info"), format!("{folder}.info.copy")] {
            let path = fixture.repo().join(folder).join(&fixture.stanza).join(name);
            fs::remove_file(path).unwrap();
        }
    };
    let fixture = Fixture::open("a1-plain-none");
    lose(&fixture, "archive");
    let whole = look(&fixture);
    assert_found(&whole, Level::Damage, "archive.info", "");
    assert_eq!((whole.archives[0].counts.valid, whole.backups[0].counts.valid), (7, 970));
    assert!(whole.backups.iter().all(|backup| backup.status == BackupStatus::Valid));
    let fixture = Fixture::open("a1-plain-none");
    lose(&fixture, "backup");
    let whole = look(&fixture);
    assert_found(&whole, Level::Damage, "backup.info", "");
    assert_eq!((whole.archives[0].counts.valid, whole.backups.len()), (7, 2));
    assert!(whole.backups.iter().all(|backup| backup.status == BackupStatus::Valid));
    // With the keys gone nothing can be said of what they open.
    let fixture = Fixture::open("a2-zst-aes-bundle");
    lose(&fixture, "archive");
    let whole = look(&fixture);
    assert_found(&whole, Level::Damage, "archive.info", "");
    assert_found(&whole, Level::Unknown, "15-1", "holds its key");
    assert!(whole.backups.iter().all(|backup| backup.status == BackupStatus::Valid), "{}", shown(&whole));
    let fixture = Fixture::open("a2-zst-aes-bundle");
    lose(&fixture, "backup");
    let whole = look(&fixture);
    assert_eq!(whole.archives[0].counts.valid, 14);
    assert!(whole.backups.iter().all(|backup| backup.status == BackupStatus::Unknown));
    // Without anything it is not there.
    let fixture = Fixture::open("a1-plain-none");
    let absent = fixture.repository().stanza("absent");
    let report = verify(&absent, &request(), &Silent, &Cancel::default()).unwrap_err();
    assert!(report.headline.contains("'absent' is not in"), "{report}");
}

#[test]
fn info_files_that_contradict_each_other_are_told() {
    let (fixture, other) = (Fixture::open("a1-plain-none"), Fixture::open("a4-gz"));
    for name in ["archive.info", "archive.info.copy"] {
        fs::copy(archive_path(&other, name), archive_path(&fixture, name)).unwrap();
    }
    assert_found(&look(&fixture), Level::Damage, "archive.info", "same clusters");
    let fixture = Fixture::open("a1-plain-none");
    let stanza = fixture.repository().stanza(&fixture.stanza);
    let info = stanza.backup_info().unwrap().value;
    let label = info.backups.keys().next().unwrap().clone();
    let with = |change: &dyn Fn(&mut pgmayday::repo::BackupEntry)| {
        let mut info = info.clone();
        change(info.backups.get_mut(&label).unwrap());
        stanza.save_backup_info(&info).unwrap();
        look(&fixture)
    };
    let stop = with(&|entry| entry.archive_stop = entry.archive_stop.map(|s| s.next(size())));
    assert_found(&stop, Level::Damage, "backup.manifest", "contradicts backup.info: last WAL segment");
    assert_eq!(status(&stop, label.as_str()), BackupStatus::Invalid);
    let sums = with(&|entry| entry.repo_delta_bytes += 1);
    assert_found(&sums, Level::Warning, "backup.manifest", "stored size of its own files");
    assert_eq!((sums.worst(), status(&sums, label.as_str())), (Some(Level::Warning), BackupStatus::Valid));
    // A copy that is sound and older than its main file.
    let main = backup_path(&fixture, "backup.info");
    let before = fs::read(&main).unwrap();
    assert_sound(&with(&|_| {}));
    fs::write(main.with_extension("info.copy"), before).unwrap();
    let differ = look(&fixture);
    assert_found(&differ, Level::Warning, "backup.info", "differs from its copy");
    assert_eq!(differ.worst(), Some(Level::Warning));
}

fn size() -> pgmayday::base::WalSegmentSize {
    pgmayday::base::WalSegmentSize::new(1 << 20).unwrap()
}

#[test]
fn a_wrong_key_is_named_as_such() {
    let refused = |fixture: &Fixture, cipher: Option<&str>| {
        let storage = Arc::new(Posix::new(fixture.repo(), "repo1"));
        let repository = Repository::new(storage, 1, cipher.map(Secret::new));
        let stanza = repository.stanza(&fixture.stanza);
        let report = verify(&stanza, &request(), &Silent, &Cancel::default()).unwrap_err();
        assert_eq!(report.kind, Kind::Usage, "{report}");
        report.headline
    };
    for name in ALL {
        let fixture = Fixture::open(name);
        let headline =
            refused(&fixture, if fixture.cipher_pass.is_some() { Some("wrong") } else { Some("any") });
        let expected = if fixture.cipher_pass.is_some() { "passphrase is wrong" } else { "not encrypted" };
        assert!(headline.contains(expected), "{headline}");
    }
    let headline = refused(&Fixture::open("a2-zst-aes-bundle"), None);
    assert!(headline.contains("no passphrase is configured"), "{headline}");
}

#[test]
fn unfinished_backups_and_left_overs_are_no_damage() {
    let fixture = Fixture::open("a1-plain-none");
    let copy = |from: &str, to: &str| {
        let folder = backup_path(&fixture, to);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(backup_path(&fixture, from), folder.join("backup.manifest.copy")).unwrap();
    };
    copy(&format!("{}/backup.manifest", PLAIN[0]), "20261121-020000F");
    fs::create_dir_all(backup_path(&fixture, "20261120-020000F/pg_data")).unwrap();
    fs::write(backup_path(&fixture, "notes.txt"), "x").unwrap();
    let own = |name: &str| backup_path(&fixture, &format!("{}/{name}", PLAIN[1]));
    fs::create_dir_all(own("pg_data/base/1")).unwrap();
    fs::write(own("pg_data/base/1/1255"), "of another backup").unwrap();
    fs::write(own("pg_data/PG_VERSION.pgbackrest.tmp"), "x").unwrap();
    let whole = look(&fixture);
    assert_sound(&whole);
    assert_eq!(status(&whole, "20261121-020000F"), BackupStatus::InProgress);
    for (path, why) in [
        ("20261121-020000F", "another host or was left"),
        ("20261120-020000F", "rest of a backup"),
        ("notes.txt", "belongs to no backup"),
        ("pg_data/base/1/1255", "belongs to nothing"),
        ("PG_VERSION.pgbackrest.tmp", "being written"),
    ] {
        assert_found(&whole, Level::Note, path, why);
    }
    let busy = look_at(&fixture.repository(), &fixture.stanza, &Request { busy: true, ..request() });
    assert_found(&busy, Level::Note, "20261121-020000F", "being made");
    // Asked for by name, nothing can be said of it.
    let set = Some("20261121-020000F".parse().unwrap());
    let one = look_at(&fixture.repository(), &fixture.stanza, &Request { set, ..request() });
    assert_eq!(one.worst(), Some(Level::Unknown));
    // A finished backup that is not listed is verified all the same.
    let stanza = fixture.repository().stanza(&fixture.stanza);
    let mut info = stanza.backup_info().unwrap().value;
    info.backups.remove(&PLAIN[1].parse().unwrap());
    stanza.save_backup_info(&info).unwrap();
    let whole = look(&fixture);
    assert_found(&whole, Level::Warning, PLAIN[1], "is not listed");
    assert_eq!(status(&whole, PLAIN[1]), BackupStatus::Valid);
}

#[test]
fn what_cannot_be_read_is_unknown_and_never_damage() {
    for (name, numbers) in [
        ("a1-plain-none", &[1, 3, 9, 11, 14, 20, 40, 100, 500, 900][..]),
        ("a3-block-incr", &[1, 9, 14, 20, 30, 40]),
    ] {
        let fixture = Fixture::open(name);
        let cipher = fixture.cipher_pass.clone().map(Secret::new);
        for &number in numbers {
            let fault = Fault::UnreachableAt(number);
            let storage = Arc::new(Faulty::new(Posix::new(fixture.repo(), "repo1"), fault));
            let repository = Repository::new(storage, 1, cipher.clone());
            let whole = look_at(&repository, &fixture.stanza, &Request { process_max: 1, ..request() });
            let (damage, unknown, _) = whole.totals();
            assert_eq!(damage, 0, "{name}, object {number}: {}", shown(&whole));
            // A pair that could not be read for a moment is read again.
            assert!(unknown > 0 || number < 16, "{name}, object {number}: {}", shown(&whole));
        }
        // And a store that hands out less than it has is damaged.
        let path = StorePath::new(format!("archive/{}/archive.info.copy", fixture.stanza)).unwrap();
        let fault = Fault::Truncate { path, length: 100 };
        let storage = Arc::new(Faulty::new(Posix::new(fixture.repo(), "repo1"), fault));
        let whole = look_at(&Repository::new(storage, 1, cipher), &fixture.stanza, &request());
        assert_found(&whole, Level::Damage, "archive.info.copy", "is sound");
    }
}

/// Cancels when the first backup begins.
struct Impatient(Cancel);

impl Sink for Impatient {
    fn event(&self, event: Event) {
        if matches!(event, Event::StepStarted { step } if step.contains("backup")) {
            self.0.request();
        }
    }

    fn progress(&self, _: Progress) {}
}

#[test]
fn it_ends_when_it_is_cancelled() {
    let fixture = Fixture::open("a1-plain-none");
    let stanza = fixture.repository().stanza(&fixture.stanza);
    let cancel = Cancel::default();
    cancel.request();
    let report = verify(&stanza, &request(), &Silent, &cancel).unwrap_err();
    assert_eq!(report.kind, Kind::Cancelled);
    // In the middle, by the sink that sees the first backup begin.
    let cancel = Cancel::default();
    let report = verify(&stanza, &request(), &Impatient(cancel.clone()), &cancel).unwrap_err();
    assert_eq!(report.kind, Kind::Cancelled);
}

/// A store in which something happens when an object is opened for the first time.
struct Lively {
    inner: Posix,
    path: StorePath,
    /// A folder that nobody may list.
    hidden: Option<StorePath>,
    event: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Lively {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lively")
    }
}

impl Storage for Lively {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>> {
        self.inner.stat(path)
    }

    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()> {
        if self.hidden.as_ref() == Some(folder) {
            let (store, path, why) = (self.describe(), folder.to_string(), "permission denied".to_owned());
            return Err(StoreError { kind: StoreErrorKind::Denied, doing: "list", store, path, why });
        }
        self.inner.list(folder, visit)
    }

    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn Read + Send>> {
        if *path == self.path
            && let Some(event) = self.event.lock().unwrap().take()
        {
            event();
        }
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

/// Verifies a repository in which `event` happens when the object at `path` is opened.
fn look_while(fixture: &Fixture, path: &str, event: impl FnOnce() + Send + 'static) -> Verification {
    let store = Lively {
        inner: Posix::new(fixture.repo(), "repo1"),
        path: StorePath::new(path).unwrap(),
        hidden: None,
        event: Mutex::new(Some(Box::new(event))),
    };
    let repository = Repository::new(Arc::new(store), 1, fixture.cipher_pass.clone().map(Secret::new));
    look_at(&repository, &fixture.stanza, &Request { process_max: 1, ..request() })
}

#[test]
fn what_expires_meanwhile_is_no_damage() {
    // The newer backup goes while its first own file or its manifest is read.
    let fixture = Fixture::open("a1-plain-none");
    let (first, _) = files_below(&backup_path(&fixture, PLAIN[1]))
        .into_iter()
        .find(|(name, _)| name.starts_with("pg_data/"))
        .unwrap();
    for name in [first.as_str(), "backup.manifest.copy", "backup.manifest"] {
        let fixture = Fixture::open("a1-plain-none");
        let stanza = fixture.repository().stanza(&fixture.stanza);
        let folder = backup_path(&fixture, PLAIN[1]);
        let mut info = stanza.backup_info().unwrap().value;
        let whole = look_while(&fixture, &format!("backup/main/{}/{name}", PLAIN[1]), move || {
            // In the order of an expire.
            fs::remove_file(folder.join("backup.manifest")).unwrap();
            fs::remove_file(folder.join("backup.manifest.copy")).unwrap();
            info.backups.remove(&PLAIN[1].parse().unwrap());
            stanza.save_backup_info(&info).unwrap();
            fs::remove_dir_all(&folder).unwrap();
        });
        assert_sound(&whole);
        assert_eq!(status(&whole, PLAIN[1]), BackupStatus::Expired, "{name}");
        assert_eq!(status(&whole, PLAIN[0]), BackupStatus::Valid);
    }
}

#[test]
fn wal_that_is_expired_or_arrives_meanwhile_is_no_damage() {
    // The older backup goes with its WAL.
    let fixture = Fixture::open("a1-plain-none");
    let stanza = fixture.repository().stanza(&fixture.stanza);
    let mut info = stanza.backup_info().unwrap().value;
    let all = super::segments(&fixture);
    let second =
        format!("archive/main/15-1/0000000100000000/{}", all[1].1.file_name().unwrap().to_str().unwrap());
    let (older, folder) = (all[..4].to_vec(), backup_path(&fixture, ""));
    let whole = look_while(&fixture, &second, move || {
        // The files of the incremental backup are of the full one: both go, and a new one would follow.
        info.backups.clear();
        stanza.save_backup_info(&info).unwrap();
        for label in PLAIN {
            fs::remove_dir_all(folder.join(label)).unwrap();
        }
        for (_, path) in older {
            fs::remove_file(path).unwrap();
        }
    });
    assert_sound(&whole);
    assert!(whole.backups.iter().all(|backup| backup.status == BackupStatus::Expired));
    assert_found(&whole, Level::Note, "00000001000000000000000A", "was expired");
    // A segment that is pushed after its successors.
    let fixture = Fixture::open("a1-plain-none");
    let all = super::segments(&fixture);
    let last =
        format!("archive/main/15-1/0000000100000000/{}", all[6].1.file_name().unwrap().to_str().unwrap());
    let late = all[3].1.clone();
    let content = fs::read(&late).unwrap();
    fs::remove_file(&late).unwrap();
    let whole = look_while(&fixture, &last, move || fs::write(late, content).unwrap());
    assert_sound(&whole);
    assert_eq!((whole.archives[0].counts.valid, whole.archives[0].missing()), (7, 0));
}

#[test]
fn a_folder_that_cannot_be_listed_says_nothing_about_what_is_in_it() {
    let fixture = Fixture::open("a1-plain-none");
    for (folder, backups) in [
        ("archive/main", BackupStatus::Unknown),
        ("archive/main/15-1", BackupStatus::Unknown),
        ("archive/main/15-1/0000000100000000", BackupStatus::Unknown),
        ("backup/main", BackupStatus::Valid),
        ("backup/main/backup.history", BackupStatus::Valid),
    ] {
        let store = Lively {
            inner: Posix::new(fixture.repo(), "repo1"),
            path: StorePath::ROOT,
            hidden: Some(StorePath::new(folder).unwrap()),
            event: Mutex::new(None),
        };
        let whole = look_at(&Repository::new(Arc::new(store), 1, None), &fixture.stanza, &request());
        assert_eq!(
            (whole.worst(), whole.totals().0),
            (Some(Level::Unknown), 0),
            "{folder}: {}",
            shown(&whole)
        );
        assert_found(&whole, Level::Unknown, folder, "permission denied");
        assert_eq!(whole.backups.len(), 2);
        assert!(whole.backups.iter().all(|backup| backup.status == backups), "{folder}: {}", shown(&whole));
    }
}
