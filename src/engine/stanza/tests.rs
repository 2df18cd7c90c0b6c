use super::Identity;
use super::create::{Made, create};
use super::upgrade::upgrade;
use crate::base::{Kind, PgVersion, Secret, SystemId};
use crate::repo::{Repository, Stanza};
use crate::store::memory::Memory;
use crate::store::wrap::ReadOnly;
use crate::store::{StorePath, read_small, write_small};
use std::sync::Arc;

const OF: Identity =
    Identity { version: PgVersion::major(15), system_id: SystemId(7_710_413_910_099_115_611) };
const NEXT: Identity = Identity { version: PgVersion::major(16), system_id: SystemId(4711) };
const FILES: [&str; 4] = [
    "archive/main/archive.info",
    "archive/main/archive.info.copy",
    "backup/main/backup.info",
    "backup/main/backup.info.copy",
];

/// A repository in memory, which can be opened so that nothing can be written.
struct One {
    memory: Memory,
    repository: Repository,
}

impl std::ops::Deref for One {
    type Target = Repository;
    fn deref(&self) -> &Repository {
        &self.repository
    }
}

fn repository(key: u32, cipher: Option<&str>) -> One {
    let memory = Memory::default();
    let repository = Repository::new(Arc::new(memory.clone()), key, cipher.map(Secret::new));
    One { memory, repository }
}

fn closed(one: &One) -> Repository {
    closed_with(one, one.cipher().cloned())
}

fn closed_with(one: &One, cipher: Option<Secret>) -> Repository {
    Repository::new(Arc::new(ReadOnly(one.memory.clone())), one.key(), cipher)
}

fn at(path: &str) -> StorePath {
    StorePath::new(path).unwrap()
}

fn put(repository: &Repository, path: &str, content: &[u8]) {
    write_small(&**repository.storage(), &at(path), content).unwrap();
}

fn bytes(repository: &Repository, path: &str) -> Vec<u8> {
    read_small(&**repository.storage(), &at(path), 1 << 20).unwrap()
}

fn made(repository: &Repository) -> Made {
    create(std::slice::from_ref(repository), "main", OF).unwrap().remove(0).made
}

fn stanza(repository: &Repository) -> Stanza {
    repository.stanza("main")
}

#[test]
fn a_stanza_is_made_once_in_every_repository() {
    let all = [repository(1, None), repository(3, Some("geheim"))];
    let done = create(&[all[0].repository.clone(), all[1].repository.clone()], "main", OF).unwrap();
    assert_eq!(done.iter().map(|one| (one.repo, one.db_id)).collect::<Vec<_>>(), [(1, 1), (3, 1)]);
    assert!(done.iter().all(|one| one.made == Made::Created && one.warnings.is_empty()), "{done:?}");
    for one in &all {
        let (archive, backup) =
            (stanza(one).archive_info().unwrap().value, stanza(one).backup_info().unwrap().value);
        assert_eq!((Identity::from(archive.current()), Identity::from(backup.current())), (OF, OF));
        assert_eq!((backup.current().catalog, backup.current().control), (202_209_061, 1300));
        let subs = [archive.cipher_pass, backup.cipher_pass];
        let encrypted = one.cipher().is_some();
        assert!(subs.iter().all(|sub| sub.is_some() == encrypted));
        assert!(!encrypted || subs[0] != subs[1], "each file has a passphrase of its own");
        for pair in FILES.chunks(2) {
            assert_eq!(bytes(one, pair[0]), bytes(one, pair[1]));
        }
        assert_eq!(made(&closed(one)), Made::Unchanged);
    }
    let (first, second) = (repository(1, Some("geheim")), repository(1, Some("geheim")));
    assert_eq!((made(&first), made(&second)), (Made::Created, Made::Created));
    let passphrase = |one: &Repository| stanza(one).archive_info().unwrap().value.cipher_pass.unwrap();
    assert!(passphrase(&first) != passphrase(&second), "passphrases are fresh");
}

#[test]
fn a_missing_file_is_written_from_its_other_half() {
    for cipher in [None, Some("geheim")] {
        for file in FILES {
            let one = repository(1, cipher);
            made(&one);
            let before = FILES.map(|path| bytes(&one, path));
            one.storage().remove(&at(file)).unwrap();
            assert_eq!(made(&one), Made::Mended { files: vec![file.to_owned()] });
            assert_eq!(FILES.map(|path| bytes(&one, path)), before, "{file}");
        }
    }
}

#[test]
fn what_is_there_is_never_overwritten() {
    let refused = |one: Repository| create(&[one], "main", OF).unwrap_err();
    for stray in ["backup/main/20261121-002356F/backup.manifest", "archive/main/15-1/x", "backup/main/latest"]
    {
        let one = repository(2, None);
        put(&one, stray, b"x");
        let report = refused(closed(&one));
        assert_eq!(report.kind, Kind::Refused(None));
        assert!(
            report.headline.starts_with("repo2: ") && report.headline.contains("no info files"),
            "{report}"
        );
    }
    // Of another cluster.
    let one = repository(1, None);
    create(std::slice::from_ref(&*one), "main", NEXT).unwrap();
    let report = refused(closed(&one));
    assert_eq!(report.kind, Kind::Refused(None));
    assert!(report.headline.contains("4711") && report.headline.contains("7710413910099115611"), "{report}");
    assert!(report.hint.unwrap().contains("stanza-upgrade"));
    // Unreadable, both halves.
    let one = repository(1, None);
    made(&one);
    put(&one, FILES[2], b"[backrest]\n");
    put(&one, FILES[3], b"");
    assert_eq!(refused(closed(&one)).kind, Kind::Damaged);
    // With another passphrase.
    let one = repository(1, Some("geheim"));
    made(&one);
    assert_eq!(refused(closed_with(&one, Some(Secret::new("falsch")))).kind, Kind::Damaged);
    assert_eq!(refused(closed_with(&one, None)).kind, Kind::Usage);
}

#[test]
fn nothing_is_written_anywhere_while_one_repository_is_refused() {
    let (good, bad) = (repository(1, None), repository(2, None));
    put(&bad, "archive/main/15-1/x", b"x");
    create(&[closed(&good), closed(&bad)], "main", OF).unwrap_err();
    assert_eq!(made(&good), Made::Created);
}

#[test]
fn a_stanza_that_lost_one_kind_is_no_stanza_to_be_made() {
    for (gone, left) in [("backup", "archive"), ("archive", "backup")] {
        let one = repository(1, None);
        made(&one);
        put(&one, "archive/main/15-1/0000000100000000/000000010000000000000001-x", b"x");
        for suffix in ["", ".copy"] {
            one.storage().remove(&at(&format!("{gone}/main/{gone}.info{suffix}"))).unwrap();
        }
        let report = create(&[closed(&one)], "main", OF).unwrap_err();
        assert_eq!(report.kind, Kind::Damaged);
        assert!(report.headline.contains(&format!("{gone}.info is missing")), "{report}");
        assert!(report.headline.contains(&format!("has {left}.info")), "{report}");
        assert!(
            upgrade(&[closed(&one)], "main", NEXT).unwrap_err().headline.contains(&format!("no {gone}.info"))
        );
    }
}

#[test]
fn a_creation_that_was_interrupted_is_finished() {
    for cipher in [None, Some("geheim")] {
        let one = repository(1, cipher);
        made(&one);
        for file in &FILES[1..] {
            one.storage().remove(&at(file)).unwrap();
        }
        put(&one, "backup/main/backup.info.pgbackrest.tmp", b"[backr");
        let archive = bytes(&one, FILES[0]);
        assert_eq!(made(&one), Made::Completed);
        assert!(bytes(&one, FILES[0]) == archive && bytes(&one, FILES[1]) == archive);
        assert_eq!(made(&closed(&one)), Made::Unchanged);
    }
    // Killed before anything was whole.
    let one = repository(1, None);
    put(&one, "archive/main/archive.info.pgbackrest.tmp", b"[backr");
    assert_eq!(made(&one), Made::Created);
}

#[test]
fn an_upgrade_adds_a_new_entry_and_may_be_repeated() {
    for cipher in [None, Some("geheim")] {
        let one = repository(1, cipher);
        made(&one);
        let sub = stanza(&one).archive_info().unwrap().value.cipher_pass;
        let upgraded = |of| upgrade(std::slice::from_ref(&*one), "main", of).unwrap().remove(0);
        assert!(!upgraded(OF).changed);
        let done = upgraded(NEXT);
        assert_eq!((done.changed, done.db_id, done.before), (true, 2, OF.to_string()));
        let again = upgrade(&[closed(&one)], "main", NEXT).unwrap().remove(0);
        assert_eq!((again.changed, again.db_id), (false, 2));
        // The way back is a third entry: ids are never used again.
        assert_eq!(upgraded(OF).db_id, 3);
        let (archive, backup) =
            (stanza(&one).archive_info().unwrap().value, stanza(&one).backup_info().unwrap().value);
        assert_eq!(archive.history.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((archive.current_db_id, backup.current_db_id), (3, 3));
        assert_eq!(Identity::from(backup.history[&2]), NEXT);
        assert_eq!(archive.cipher_pass, sub, "what is archived stays readable");
    }
}

#[test]
fn an_upgrade_that_was_interrupted_between_the_files_is_finished() {
    let one = repository(1, None);
    made(&one);
    let old = bytes(&one, FILES[2]);
    upgrade(std::slice::from_ref(&*one), "main", NEXT).unwrap();
    put(&one, FILES[2], &old);
    put(&one, FILES[3], &old);
    let done = upgrade(std::slice::from_ref(&*one), "main", NEXT).unwrap().remove(0);
    assert_eq!((done.changed, done.db_id), (true, 2));
    assert_eq!(stanza(&one).backup_info().unwrap().value.current_db_id, 2);
}

#[test]
fn histories_that_do_not_agree_are_not_continued() {
    let one = repository(1, None);
    made(&one);
    let old = [bytes(&one, FILES[2]), bytes(&one, FILES[3])];
    upgrade(std::slice::from_ref(&*one), "main", NEXT).unwrap();
    put(&one, FILES[2], &old[0]);
    put(&one, FILES[3], &old[1]);
    // archive.info has two entries, backup.info the first: a third cluster would get 3 in one and 2 in the other.
    let third = Identity { system_id: SystemId(1), ..OF };
    let report = upgrade(&[closed(&one)], "main", third).unwrap_err();
    assert_eq!(report.kind, Kind::Damaged);
    assert!(report.headline.contains("do not belong together"), "{report}");
}

#[test]
fn a_stanza_that_is_nowhere_is_not_upgraded() {
    let report = upgrade(&[closed(&repository(1, None))], "main", OF).unwrap_err();
    assert!(report.hint.unwrap().contains("stanza-create"));
}
