//! Stanzas, checks, stops and locks, with a real PostgreSQL and the real pgBackRest on the same repositories.
//!
//! What one program makes the other must work on; what one refuses or holds the other must respect. Where PostgreSQL or
//! pgBackRest is missing a test says so and ends; under `REQUIRE_SERVERS` it fails.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it skips"
)]
#![expect(clippy::disallowed_methods, reason = "a test starts programs and looks into its own environment")]

#[path = "common/yard.rs"]
mod yard;

use pgmayday::engine::locks::{LockFolder, Work};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use yard::{Run, STANZA, Yard, installed};

const AES: &str = "Geheim+Passwort/4711";
/// An archiver that pgBackRest and we let pass and that never archives.
const NEVER: &str = "/bin/false pgbackrest";

/// Everything below a folder: content, inode and time of what was written.
fn listing(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if meta.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, (content, meta.ino(), meta.mtime(), meta.mtime_nsec()));
    }
    found
}

/// Everything in these folders belongs to the cluster's owner, with the modes of a repository.
#[track_caller]
fn belongs(yard: &Yard, folders: &[&str]) {
    for path in folders.iter().flat_map(|folder| listing(&yard.path(folder)).into_keys()) {
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (yard.owner.uid, yard.owner.gid), "{}", path.display());
        if meta.is_file() && path.extension().is_none_or(|extension| extension != "lock") {
            assert_eq!(meta.permissions().mode() & 0o777, 0o640, "{}", path.display());
        }
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come in 60 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What `check` says of one thing: the verdicts of all findings with this name.
fn verdicts(run: &Run, name: &str) -> Vec<String> {
    let document = run.json();
    assert_eq!(document["schema"], "pgmayday.check/1");
    let checks = document["stanzas"][0]["checks"].as_array().unwrap();
    let named = checks.iter().filter(|check| check["name"] == name);
    named.map(|check| check["verdict"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn pgbackrest_works_on_a_stanza_of_ours() {
    let Some(binaries) = installed("pgbackrest_works_on_a_stanza_of_ours") else { return };
    for ciphers in [&[""][..], &[AES], &["", AES]] {
        let yard = Yard::new(&binaries, ciphers);
        yard.start("pg");
        let made = yard.pgmayday(&["stanza-create", "--output=json"]).exits(0, &[]).json();
        assert_eq!(made["schema"], "pgmayday.stanza-create/1");
        let repos = made["repos"].as_array().unwrap();
        assert_eq!(repos.len(), ciphers.len());
        assert!(repos.iter().all(|repo| repo["result"] == "created" && repo["db_id"] == 1), "{made}");
        let id = yard.ask("select system_identifier from pg_control_system()");
        assert_eq!(made["system_id"], id.as_str());
        let folders: Vec<String> = (1..=ciphers.len()).map(|key| format!("repo{key}")).collect();
        let folders: Vec<&str> = folders.iter().map(String::as_str).chain(["lock"]).collect();
        belongs(&yard, &folders);

        yard.pgbackrest(&["check"]).exits(0, &[]);
        let before: Vec<_> = folders.iter().map(|folder| listing(&yard.path(folder))).collect();
        yard.pgbackrest(&["stanza-create"]).exits(0, &["already exists"]);
        for (folder, before) in folders.iter().filter(|folder| **folder != "lock").zip(before) {
            assert_eq!(listing(&yard.path(folder)), before, "pgBackRest found nothing to do");
        }
        for key in 1..=ciphers.len() {
            yard.pgbackrest(&[&format!("--repo={key}"), "--type=full", "backup"]).exits(0, &[]);
        }
        let info = yard.pgbackrest(&["info", "--output=json"]).exits(0, &[]).json();
        assert_eq!(info[0]["status"]["code"], 0, "{info}");
        assert_eq!(info[0]["backup"].as_array().unwrap().len(), ciphers.len());
        let ours = yard.pgmayday(&["check", "--output=json"]).exits(0, &[]);
        assert_eq!(verdicts(&ours, "WAL"), ["ok"], "{ours}");
        yard.pgmayday(&["stanza-create"]).exits(0, &["was there, nothing was written"]);
        yard.pgmayday(&["stanza-upgrade"]).exits(0, &["of this cluster already"]);
    }
}

#[test]
fn a_stanza_of_pgbackrest_is_left_alone_byte_for_byte() {
    let Some(binaries) = installed("a_stanza_of_pgbackrest_is_left_alone_byte_for_byte") else { return };
    let yard = Yard::new(&binaries, &["", AES]);
    yard.start("pg");
    yard.pgbackrest(&["stanza-create"]).exits(0, &[]);
    let all = || [listing(&yard.path("repo1")), listing(&yard.path("repo2"))];
    let before = all();
    let said = yard
        .pgmayday(&["stanza-create"])
        .exits(0, &["repo1: stanza main was there", "repo2: stanza main was there"]);
    assert_eq!(all(), before, "{said}");
    yard.pgmayday(&["stanza-create", "--no-online"]).exits(0, &[]);
    assert_eq!(all(), before);

    for (repo, file) in [("repo1", "backup/main/backup.info"), ("repo2", "archive/main/archive.info.copy")] {
        let path = yard.path(repo).join(file);
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        yard.pgmayday(&["stanza-create"])
            .exits(0, &[&format!("{repo}: stanza main was there; missing and written again: {file}")]);
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    belongs(&yard, &["repo1", "repo2"]);
    yard.pgbackrest(&["check"]).exits(0, &[]);

    // One kind gone for good, with WAL in the archive: no stanza is made over it.
    for suffix in ["", ".copy"] {
        fs::remove_file(yard.path(&format!("repo1/backup/main/backup.info{suffix}"))).unwrap();
    }
    let before = all();
    yard.pgmayday(&["stanza-create"])
        .exits(4, &["repo1: stanza 'main' has archive.info", "backup.info is missing"]);
    assert_eq!(all(), before);
    yard.pgmayday(&["check", "--no-archive-check"]).exits(1, &["has no backup.info here"]);
}

#[test]
fn a_new_cluster_goes_on_under_a_new_archive_id() {
    let Some(binaries) = installed("a_new_cluster_goes_on_under_a_new_archive_id") else { return };
    let yard = Yard::new(&binaries, &["", AES]);
    yard.start("pg");
    yard.pgmayday(&["stanza-create"]).exits(0, &[]);
    yard.pgbackrest(&["--type=full", "backup"]).exits(0, &[]);
    let old = yard.ask("select system_identifier from pg_control_system()");
    let again = |name: &str| {
        yard.stop("pg");
        fs::rename(yard.path("pg"), yard.path(name)).unwrap();
        yard.initdb("pg");
        yard.start("pg");
    };
    again("old1");
    let new = yard.ask("select system_identifier from pg_control_system()");
    yard.pgmayday(&["stanza-create"]).exits(3, &[&old, &new, "stanza-upgrade"]);
    let check = yard.pgmayday(&["check", "--output=json"]).exits(1, &[&old, &new, "stanza-upgrade"]);
    assert_eq!(
        (verdicts(&check, "archive.info"), verdicts(&check, "WAL")),
        (vec!["fail".to_owned(); 2], vec!["warn".to_owned()])
    );

    yard.pgmayday(&["stanza-upgrade"]).exits(0, &["archive 15-2", &old, &new]);
    belongs(&yard, &["repo1", "repo2"]);
    let all = || [listing(&yard.path("repo1")), listing(&yard.path("repo2"))];
    let before = all();
    yard.pgbackrest(&["stanza-upgrade"]).exits(0, &["already up to date"]);
    assert_eq!(all(), before, "pgBackRest finds nothing to upgrade");
    yard.pgbackrest(&["check"]).exits(0, &[]);
    yard.pgbackrest(&["--type=incr", "backup"]).exits(0, &["no prior backup exists"]);
    for repo in ["repo1", "repo2"] {
        assert!(yard.path(repo).join("archive/main/15-2").is_dir(), "{repo}");
    }
    let info = yard.pgbackrest(&["info", "--output=json"]).json();
    let ids: Vec<_> =
        info[0]["backup"].as_array().unwrap().iter().map(|backup| backup["database"]["id"].clone()).collect();
    assert_eq!(ids, [1, 2], "the old cluster's backup is still listed");

    again("old2");
    yard.pgbackrest(&["stanza-upgrade"]).exits(0, &[]);
    let before = all();
    yard.pgmayday(&["stanza-upgrade"])
        .exits(0, &["repo1: stanza main is of this cluster already", "repo2: "]);
    assert_eq!(all(), before);
    yard.pgmayday(&["check"]).exits(0, &["15-3"]);
}

#[test]
fn another_server_than_the_configured_one_is_refused() {
    let Some(binaries) = installed("another_server_than_the_configured_one_is_refused") else { return };
    let yard = Yard::new(&binaries, &[""]);
    yard.initdb("other");
    yard.start("other");
    // pg1-path says pg; the socket leads to the server of other.
    let (pg, other) = (yard.text("pg"), yard.text("other"));
    yard.pgmayday(&["stanza-create"]).exits(1, &[&pg, &other, "two different folders"]);
    assert!(!yard.path("repo1").exists(), "nothing was written");
    let segment = yard.ask("select pg_walfile_name(pg_current_wal_lsn())");
    yard.pgmayday(&["check"]).exits(1, &["two different folders", "not sent"]);
    assert_eq!(
        yard.ask("select pg_walfile_name(pg_current_wal_lsn())"),
        segment,
        "the other server was left alone"
    );
    yard.stop("other");
    yard.pgmayday(&["stanza-create"]).exits(5, &["no PostgreSQL answers", "--no-online"]);
    yard.pgmayday(&["stanza-create", "--no-online"]).exits(0, &["made, archive 15-1"]);

    // The same folder under another name is one folder, and pgBackRest is told to disagree.
    std::os::unix::fs::symlink(yard.path("pg"), yard.path("link")).unwrap();
    yard.configure(&[""], "link", "");
    yard.start("pg");
    yard.pgmayday(&["stanza-create"]).exits(0, &["the same folder under two names"]);
    yard.pgbackrest(&["check"]).exits(58, &[]);
}

#[test]
fn a_stanza_is_deleted_only_when_everything_allows_it() {
    let Some(binaries) = installed("a_stanza_is_deleted_only_when_everything_allows_it") else { return };
    let yard = Yard::new(&binaries, &["", AES]);
    yard.start("pg");
    yard.pgmayday(&["stanza-create"]).exits(0, &[]);
    yard.pgbackrest(&["--repo=1", "--type=full", "backup"]).exits(0, &[]);
    let all = || [listing(&yard.path("repo1")), listing(&yard.path("repo2"))];
    let before = all();
    yard.pgmayday(&["stanza-delete"]).exits(2, &["2 repositories are configured", "--repo=N"]);
    yard.pgmayday(&["stanza-delete", "--repo=1", "--accept=stanza-backups", "--force"])
        .exits(3, &["is not stopped on this host", "main.stop"]);
    yard.pgmayday(&["stop"]).exits(0, &["stopped on this host"]);
    yard.pgmayday(&["stanza-delete", "--repo=1", "--accept=stanza-backups"]).exits(3, &["a server runs in"]);
    yard.stop("pg");
    yard.pgmayday(&["stanza-delete", "--repo=1"]).exits(3, &["guard: stanza-backups", "has 1 backup"]);
    yard.pgmayday(&["stanza-delete", "--repo=1", "--force"]).exits(3, &["guard: stanza-backups"]);
    assert_eq!(all(), before, "refusals change nothing");
    assert!(yard.path("lock/main.stop").exists());

    let gone = yard
        .pgmayday(&["stanza-delete", "--repo=1", "--accept=stanza-backups", "--output=json"])
        .exits(0, &[]);
    let gone = gone.json();
    assert_eq!((&gone["existed"], &gone["backups"], &gone["repo"]), (&true.into(), &1.into(), &1.into()));
    assert!(!yard.path("repo1/archive/main").exists() && !yard.path("repo1/backup/main").exists());
    assert!(!yard.path("lock/main.stop").exists(), "the stop file goes with the stanza");
    assert_eq!(all()[1], before[1], "the other repository is left");

    // Without backups, with a running server, by --force; again is no error.
    yard.start("pg");
    yard.pgmayday(&["stop"]).exits(0, &[]);
    yard.pgmayday(&["stanza-delete", "--repo=2"]).exits(3, &["a server runs in"]);
    yard.pgmayday(&["stanza-delete", "--repo=2", "--force"]).exits(0, &["it had no backups"]);
    yard.pgmayday(&["stop"]).exits(0, &[]);
    yard.pgmayday(&["stanza-delete", "--repo=2", "--force"]).exits(0, &["there was no stanza main"]);
    yard.pgmayday(&["stanza-create"]).exits(0, &["repo1: stanza main made", "repo2: stanza main made"]);
    yard.pgbackrest(&["check"]).exits(0, &[]);
}

#[test]
fn check_names_what_keeps_wal_from_arriving() {
    let Some(binaries) = installed("check_names_what_keeps_wal_from_arriving") else { return };
    let yard = Yard::new(&binaries, &["", AES]);
    yard.start("pg");
    yard.pgmayday(&["check", "--output=json"])
        .exits(1, &["has no archive.info here", "stanza-create", "not sent"]);
    yard.pgmayday(&["stanza-create"]).exits(0, &[]);
    let good = yard.archive_command();
    let text = yard.pgmayday_for(&[], &["check"]).exits(0, &["stanza main: all checks passed", "15-1"]);
    assert!(!text.out.contains("FAIL") && !text.out.contains("warn"), "{text}");

    yard.settings("pg", NEVER, "");
    yard.ask("select pg_reload_conf()");
    wait_until("the new archive_command", || yard.ask("show archive_command") == NEVER);
    let begun = Instant::now();
    let late = yard
        .pgmayday(&["check", "--archive-timeout=3", "--output=json"])
        .exits(1, &["did not arrive in repo1, repo2 within 3 s"]);
    assert!(begun.elapsed() > Duration::from_secs(3));
    let failed = yard.ask("select last_failed_wal from pg_stat_archiver");
    assert!(!failed.is_empty() && late.out.contains(&format!("last for {failed}")), "{late}");
    assert_eq!(
        (verdicts(&late, "archive_command"), verdicts(&late, "WAL")),
        (vec!["ok".to_owned()], vec!["fail".to_owned()])
    );

    yard.settings("pg", "cp %p /nowhere/%f", "");
    yard.ask("select pg_reload_conf()");
    wait_until("the wrong archive_command", || yard.ask("show archive_command").starts_with("cp"));
    let wrong = yard.pgmayday(&["check"]).exits(1, &["runs neither pgBackRest nor this program", "not sent"]);
    assert!(
        wrong.out.contains(&format!("--config={}", yard.config().display())),
        "the advice names the configuration: {wrong}"
    );

    yard.settings("pg", &good, "archive_mode = off\nwal_level = minimal\nmax_wal_senders = 0");
    yard.restart("pg");
    let off = yard.pgmayday(&["check", "--output=json"]).exits(1, &["needs a restart of the server"]);
    for name in ["archive_mode", "wal_level"] {
        assert_eq!(verdicts(&off, name), ["fail"], "{name}: {off}");
    }
    let unchecked = yard.pgmayday(&["check", "--no-archive-check", "--output=json"]).exits(1, &[]);
    assert_eq!(
        (verdicts(&unchecked, "archive_mode"), verdicts(&unchecked, "wal_level")),
        (Vec::new(), vec!["fail".to_owned()])
    );

    yard.settings("pg", &good, "archive_mode = always");
    yard.restart("pg");
    yard.pgmayday(&["check"]).exits(1, &["archive_mode is always"]);
    yard.pgmayday(&["check", "--no-archive-mode-check"]).exits(0, &["15-1"]);

    yard.settings("pg", &good, "archive_library = 'basic_archive'");
    // The library is not installed in every place; a server that cannot load it still runs.
    yard.restart("pg");
    yard.pgmayday(&["check"]).exits(1, &["archive_library is 'basic_archive'"]);
    yard.stop("pg");
    yard.pgmayday(&["check"]).exits(5, &["no PostgreSQL answers"]);
}

#[test]
fn a_standby_closes_no_segment() {
    let Some(binaries) = installed("a_standby_closes_no_segment") else { return };
    let yard = Yard::new(&binaries, &[""]);
    yard.start("pg");
    yard.pgmayday(&["stanza-create"]).exits(0, &[]);
    yard.standby("pg2");
    yard.stop("pg");
    yard.configure(&[""], "pg2", "");
    yard.start("pg2");
    let said =
        yard.pgmayday(&["check", "--output=json"]).exits(0, &["pg1 is a standby", "answers, is a standby"]);
    assert_eq!(
        (verdicts(&said, "WAL"), verdicts(&said, "archive.info")),
        (vec!["ok".to_owned()], vec!["ok".to_owned()])
    );
    yard.pgmayday(&["stanza-upgrade"]).exits(1, &["no primary is configured on this host", "--no-online"]);
    yard.pgmayday(&["stanza-upgrade", "--no-online"]).exits(0, &["of this cluster already"]);
}

#[test]
fn a_stop_is_respected_by_both_programs() {
    let Some(binaries) = installed("a_stop_is_respected_by_both_programs") else { return };
    let yard = Yard::new(&binaries, &[""]);
    // The folder of the lock files is made by whoever comes first, and must be of use to pgBackRest.
    yard.pgmayday_for(&[], &["stop"]).exits(0, &["all stanzas: stopped on this host"]);
    belongs(&yard, &["lock"]);
    yard.pgmayday_for(&[], &["start"]).exits(0, &["all stanzas: started"]);
    yard.start("pg");
    yard.pgmayday(&["stanza-create"]).exits(0, &[]);
    let stopped = yard.pgmayday(&["stop", "--output=json"]).exits(0, &[]).json();
    assert_eq!((&stopped["schema"], &stopped["created"]), (&"pgmayday.stop/1".into(), &true.into()));
    belongs(&yard, &["lock"]);
    yard.pgbackrest(&["backup"]).exits(62, &[]);
    yard.pgbackrest(&["start"]).exits(0, &[]);
    yard.pgmayday(&["start"]).exits(0, &["not stopped"]);
    yard.pgmayday_for(&[], &["stop"]).exits(0, &["all stanzas: stopped"]);
    yard.pgmayday_for(&[], &["stop"]).exits(0, &["all stanzas: stopped before"]);
    yard.pgbackrest(&["backup"]).exits(62, &[]);
    yard.pgmayday(&["start"]).exits(0, &["warning: all stanzas are stopped"]);
    yard.pgmayday_for(&[], &["start"]).exits(0, &["all stanzas: started"]);

    yard.pgbackrest(&["stop"]).exits(0, &[]);
    for words in [&["stanza-create"][..], &["stanza-upgrade"]] {
        yard.pgmayday(words).exits(1, &["is stopped on this host", "--stanza=main start"]);
    }
    let begun = Instant::now();
    yard.pgmayday(&["check"]).exits(1, &["is stopped on this host", "not sent"]);
    assert!(begun.elapsed() < Duration::from_secs(20), "what cannot arrive is not waited for");
    yard.pgmayday(&["start"]).exits(0, &["stanza main: started"]);
    yard.pgbackrest(&["--type=full", "backup"]).exits(0, &[]);
}

#[test]
fn one_program_waits_for_no_lock_of_the_other() {
    let Some(binaries) = installed("one_program_waits_for_no_lock_of_the_other") else { return };
    let yard = Yard::new(&binaries, &[""]);
    yard.settings("pg", NEVER, "");
    yard.start("pg");
    yard.pgmayday(&["stanza-create"]).exits(0, &[]);

    // A backup that waits for WAL that never arrives holds pgBackRest's lock.
    let mut command = yard.pgbackrest_command(&["--type=full", "--archive-timeout=300", "backup"]);
    let backup = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lock = yard.path("lock/main-backup.lock");
    let locks = LockFolder(yard.path("lock"));
    wait_until("pgBackRest's lock", || locks.of_stanza(STANZA, Work::Backup).pid.is_some());
    let pid = locks.of_stanza(STANZA, Work::Backup).pid.unwrap().to_string();
    for words in [&["stanza-create"][..], &["stanza-upgrade"]] {
        yard.pgmayday(words)
            .exits(1, &["is running on this host", lock.to_str().unwrap(), &pid, "wait until it has ended"]);
    }
    wait_until("the backup's wait for WAL", || {
        yard.ask("select count(*) from pg_stat_activity where application_name like 'pgBackRest%'") != "0"
    });
    let stopped = yard.pgmayday(&["stop", "--force", "--output=json"]).exits(0, &[]).json();
    let holders = stopped["holders"].as_array().unwrap();
    assert!(!holders.is_empty() && holders.iter().all(|holder| holder["fate"] == "ended"), "{stopped}");
    assert_eq!(holders[0]["pid"].to_string(), pid);
    let output = backup.wait_with_output().unwrap();
    assert_eq!(Run::came_to(&command, &output).code, Some(63), "pgBackRest's code for a signal");
    assert!(!locks.of_stanza(STANZA, Work::Backup).held);
    yard.pgmayday(&["start"]).exits(0, &[]);

    let held = locks.take(STANZA, &[Work::Archive, Work::Backup], &[1]).unwrap();
    for entry in fs::read_dir(yard.path("lock")).unwrap() {
        yard.give(&entry.unwrap().path());
    }
    for words in [&["backup"][..], &["stanza-create"], &["stanza-upgrade"]] {
        yard.pgbackrest(words).exits(50, &["lock"]);
    }
    drop(held);
    yard.pgbackrest(&["stanza-create"]).exits(0, &[]);
}
