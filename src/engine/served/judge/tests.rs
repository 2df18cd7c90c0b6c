use super::*;
use crate::base::{PgVersion, SystemId, WalSegmentSize};
use crate::cluster::control::tests::{PG15, file};
use crate::engine::findings::Verdict;
use std::time::Duration;

fn control() -> ControlFile {
    ControlFile::parse(&file(PG15)).unwrap()
}

fn served(data_dir: &Path) -> Served {
    let control = control();
    Served {
        version: control.version,
        data_dir: Some(data_dir.to_owned()),
        system_id: Some(control.system_id),
        in_recovery: false,
        archive_mode: ArchiveMode::On,
        archive_command: "pgbackrest --stanza=main archive-push %p".to_owned(),
        archive_library: String::new(),
        wal_level: WalLevel::Replica,
        max_wal_senders: 10,
        checkpoint_timeout: Duration::from_secs(300),
        full_page_writes: true,
        segment_size: WalSegmentSize::DEFAULT,
    }
}

fn wanted() -> Wanted<'static> {
    Wanted {
        stanza: "main",
        archive_check: true,
        archive_mode_check: true,
        from_standby: false,
        program: Path::new("/usr/bin/pgmayday"),
        suggestion: Some("/usr/bin/pgmayday --config=/etc/pgbackrest/pgbackrest.conf archive-push '%p'"),
    }
}

/// What was judged other than good: name, verdict, text and advice.
fn told(found: &Findings) -> Vec<(&'static str, &'static str, String)> {
    let bad = found.all.iter().filter(|finding| finding.verdict != Verdict::Ok);
    bad.map(|finding| (finding.name, finding.verdict.word(), finding.in_words())).collect()
}

/// The one thing that is told of a server changed so.
#[track_caller]
fn only(change: impl FnOnce(&mut Served, &mut Wanted<'static>)) -> (&'static str, &'static str, String) {
    let dir = tempfile::tempdir().unwrap();
    let (mut served, mut wanted) = (served(dir.path()), wanted());
    change(&mut served, &mut wanted);
    let mut told = told(&judge(&served, &control(), dir.path(), &wanted));
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

#[test]
fn a_sound_server_is_told_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let found = judge(&served(dir.path()), &control(), dir.path(), &wanted());
    assert_eq!(told(&found), []);
    assert!(found.all.len() >= 7 && found.passed(), "{found:?}");
}

#[test]
fn the_server_must_serve_this_very_cluster() {
    let (name, verdict, text) = only(|served, _| served.version = PgVersion::major(16));
    assert!(
        (name, verdict) == ("version", "fail") && text.contains("PostgreSQL 16") && text.contains("15"),
        "{text}"
    );
    let (name, verdict, text) = only(|served, _| served.system_id = Some(SystemId(4711)));
    assert!((name, verdict) == ("system identifier", "fail") && text.contains("4711"), "{text}");
    let other = tempfile::tempdir().unwrap();
    let (name, verdict, text) = only(|served, _| served.data_dir = Some(other.path().to_owned()));
    assert!(
        (name, verdict) == ("data directory", "fail") && text.contains(other.path().to_str().unwrap()),
        "{text}"
    );
    let (_, verdict, text) = only(|served, _| served.data_dir = Some("/nowhere/pg".into()));
    assert!(verdict == "fail" && text.contains("container"), "{text}");
    let (_, verdict, text) = only(|served, _| served.data_dir = None);
    assert!(verdict == "warn" && text.contains("pg_read_all_settings"), "{text}");
}

#[test]
fn two_names_of_one_folder_are_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    let found = judge(&served(&link), &control(), dir.path(), &wanted());
    let told = told(&found);
    assert!(found.passed() && told.len() == 1, "{told:?}");
    for path in [&link, dir.path()] {
        assert!(told[0].2.contains(path.to_str().unwrap()), "{told:?}");
    }
    let slash = std::path::PathBuf::from(format!("{}/", dir.path().display()));
    assert!(
        judge(&served(&slash), &control(), dir.path(), &wanted())
            .all
            .iter()
            .all(|f| f.verdict == Verdict::Ok)
    );
}

#[test]
fn archiving_that_cannot_work_is_named_with_its_setting() {
    let (name, verdict, text) = only(|served, _| served.archive_mode = ArchiveMode::Off);
    assert!((name, verdict) == ("archive_mode", "fail") && text.contains("needs a restart"), "{text}");
    assert!(text.contains("archive_command = '/usr/bin/pgmayday") && text.contains("''%p''"), "{text}");
    let (name, verdict, text) = only(|served, _| served.archive_mode = ArchiveMode::Always);
    assert!((name, verdict) == ("archive_mode", "fail") && text.contains("archive-mode-check=n"), "{text}");
    let (name, verdict, _) = only(|served, _| served.archive_library = "basic_archive".to_owned());
    assert_eq!((name, verdict), ("archive_library", "fail"));
    for (command, why) in [
        ("", "empty"),
        ("/bin/true", "neither"),
        ("/usr/bin/pgbackrest --stanza=other archive-push %p", "stanza 'other'"),
        ("/usr/bin/pgmayday --config=/etc/pgbackrest.conf --stanza=other archive-push %p", "stanza 'other'"),
    ] {
        let (name, verdict, text) = only(|served, _| command.clone_into(&mut served.archive_command));
        assert!((name, verdict) == ("archive_command", "fail") && text.contains(why), "{text}");
    }
    let (name, verdict, text) = only(|served, _| served.wal_level = WalLevel::Minimal);
    assert!((name, verdict) == ("wal_level", "fail") && text.contains("restart"), "{text}");
}

#[test]
fn our_command_without_the_word_works_but_pgbackrest_refuses_it() {
    let ours = "/usr/bin/pgmayday --config=/etc/pgb.conf --stanza=main archive-push %p";
    let (name, verdict, text) = only(|served, _| ours.clone_into(&mut served.archive_command));
    assert!((name, verdict) == ("archive_command", "warn") && text.contains("the word pgbackrest"), "{text}");
}

#[test]
fn what_is_not_wanted_is_not_judged() {
    let dir = tempfile::tempdir().unwrap();
    let mut off = served(dir.path());
    off.archive_mode = ArchiveMode::Off;
    let unchecked = Wanted { archive_check: false, ..wanted() };
    assert_eq!(told(&judge(&off, &control(), dir.path(), &unchecked)), []);
    off.in_recovery = true;
    assert_eq!(told(&judge(&off, &control(), dir.path(), &wanted())), []);
    off.archive_mode = ArchiveMode::Always;
    off.in_recovery = false;
    let allowed = Wanted { archive_mode_check: false, ..wanted() };
    assert_eq!(told(&judge(&off, &control(), dir.path(), &allowed)), []);
}

#[test]
fn page_writes_and_senders_matter_more_for_a_backup_from_a_standby() {
    let (name, verdict, _) = only(|served, _| served.full_page_writes = false);
    assert_eq!((name, verdict), ("full_page_writes", "warn"));
    let (_, verdict, text) = only(|served, wanted| {
        served.full_page_writes = false;
        wanted.from_standby = true;
    });
    assert!(verdict == "fail" && text.contains("standby"), "{text}");
    let (name, verdict, _) = only(|served, wanted| {
        served.max_wal_senders = 0;
        wanted.from_standby = true;
    });
    assert_eq!((name, verdict), ("max_wal_senders", "warn"));
    let dir = tempfile::tempdir().unwrap();
    let mut none = served(dir.path());
    none.max_wal_senders = 0;
    assert_eq!(told(&judge(&none, &control(), dir.path(), &wanted())), []);
}
