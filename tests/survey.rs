//! The survey against what hangs, refuses and is damaged: each makes its own fact unknown or failed, and nothing else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/fixtures.rs"]
mod fixtures;
#[path = "../benches/restore/synthetic.rs"]
mod synthetic;

use fixtures::Fixture;
use pgmayday::base::Timestamp;
use pgmayday::base::state::StateDir;
use pgmayday::config::site::Site;
use pgmayday::config::{CliOption, Config, Sources};
use pgmayday::model::board::{Board, HoldFacts, Upkeep, VerificationFacts};
use pgmayday::model::catalog::Verified;
use pgmayday::model::fact::{Answer, Fact};
use pgmayday::survey::Survey;
use std::fmt::Debug;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);

fn config(file: &Path) -> Config {
    let option = CliOption { name: "config".to_owned(), value: Some(file.display().to_string()) };
    let sources = Sources { cli: vec![option], env: Vec::new(), default_dir: PathBuf::from("/nowhere") };
    Config::load(&sources).unwrap()
}

fn survey(file: &Path) -> Survey {
    let site = Site::load(None, Some(file)).unwrap();
    Survey::new(&config(file), &site, None, None)
}

/// A configuration of these repositories and members; the folder is kept by whoever asks.
fn written(folder: &Path, global: &str, stanza: &str) -> PathBuf {
    let file = folder.join("pgbackrest.conf");
    fs::write(&file, format!("[global]\n{global}\n[main]\n{stanza}\n")).unwrap();
    file
}

fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

fn unknown<T: Debug>(fact: &Fact<T>) -> &str {
    match &fact.answer {
        Answer::Unknown { why } => why,
        other => panic!("not unknown: {other:?}"),
    }
}

fn failed<T: Debug>(fact: &Fact<T>) -> &str {
    match &fact.answer {
        Answer::Failed { why } => why,
        other => panic!("not failed: {other:?}"),
    }
}

/// A port nobody listens on.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn refusal_silence_and_a_black_hole_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let stanza = format!(
        "pg1-path=/a\npg1-host=127.0.0.1\npg1-port={}\npg2-path=/b\npg2-host=127.0.0.1\npg2-port={}\n\
         pg3-path=/c\npg3-host=10.255.255.1\npg4-path={}\npg4-socket-path={}",
        closed_port(),
        silent.local_addr().unwrap().port(),
        folder.path().join("data").display(),
        folder.path().display(),
    );
    let file = written(folder.path(), "repo1-path=/nowhere", &stanza);
    let began = Instant::now();
    let board = survey(&file).once(LIMIT);
    assert!(began.elapsed() < LIMIT, "all looked at beside each other");
    assert_eq!(failed(&board.members[0].server), "refused");
    assert_eq!(unknown(&board.members[1].server), "no answer");
    let black_hole = unknown(&board.members[2].server);
    assert!(black_hole == "no answer" || black_hole.starts_with("out of reach"), "{black_hole}");
    assert_eq!(failed(&board.members[3].server), "refused");
    assert_eq!(failed(board.members[3].data_dir.as_ref().unwrap()), "the directory is missing");
    assert!(board.members[0].data_dir.is_none(), "a data directory elsewhere is not looked at here");
    failed(&board.repositories[0].backups);
}

#[test]
fn a_repository_that_hangs_hinders_no_other_and_is_not_asked_twice() {
    let (hung, sound) = (Fixture::open("a1-plain-none"), Fixture::open("a1-plain-none"));
    let file = sound.config(&sound.path("pg"));
    let info = hung.repo().join("backup").join(&hung.stanza).join("backup.info");
    fs::remove_file(&info).unwrap();
    fifo(&info);
    let text = fs::read_to_string(&file).unwrap();
    let more = format!("[global]\nrepo2-path={}\n", hung.repo().display());
    fs::write(&file, text.replace("[global]\n", &more)).unwrap();
    let survey = survey(&file);
    let began = Instant::now();
    let board = survey.once(Duration::from_secs(2));
    assert!(began.elapsed() < Duration::from_secs(4));
    let [first, second] = board.repositories.as_slice() else { panic!("{:?}", board.repositories) };
    assert!(first.backups.value().unwrap().total > 0 && first.wal.value().is_some());
    assert_eq!(unknown(&second.backups), "no answer");
    assert!(second.backups.since.is_some() && second.backups.asked.is_some(), "{:?}", second.backups);
    assert!(second.wal.value().is_some(), "its WAL is looked at apart");
    // The same thread still hangs: the age goes back to when it was first asked.
    let again = survey.once(Duration::from_secs(1));
    assert_eq!(unknown(&again.repositories[1].backups), "no answer");
    assert_eq!(again.repositories[1].backups.since, second.backups.since);
    assert!(again.repositories[0].backups.value().is_some());
}

#[test]
fn what_is_missing_locked_or_damaged_is_failed_in_words() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let file = fixture.config(&fixture.path("pg"));
    let sound = survey(&file).once(LIMIT);
    let wal = sound.repositories[0].wal.value().unwrap();
    assert!(wal.last_segment.is_some() && wal.last_stored.is_some(), "{wal:?}");
    assert!(sound.repositories[0].backups.value().unwrap().oldest_stop.is_some());
    let text = fs::read_to_string(&file).unwrap();
    let pass = fixture.cipher_pass.as_ref().unwrap();
    fs::write(&file, text.replace(pass.as_str(), "another")).unwrap();
    let locked = survey(&file).once(LIMIT);
    let why = failed(&locked.repositories[0].backups);
    assert!(why.contains("passphrase") && !why.contains(pass.as_str()), "{why}");
    fs::write(&file, &text).unwrap();
    for name in ["backup.info", "backup.info.copy"] {
        let path = fixture.repo().join("backup").join(&fixture.stanza).join(name);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let damaged = survey(&file).once(LIMIT);
    failed(&damaged.repositories[0].backups);
    assert!(damaged.repositories[0].wal.value().is_some(), "the archive is not damaged");
    fs::write(&file, text.replace(fixture.repo().to_str().unwrap(), "/nowhere")).unwrap();
    let missing = survey(&file).once(LIMIT);
    let why = failed(&missing.repositories[0].backups);
    assert!(why.contains("backup.info"), "{why}");
    failed(&missing.repositories[0].wal);
}

#[test]
fn the_blank_board_waits_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("backup/main");
    fs::create_dir_all(&repo).unwrap();
    fifo(&repo.join("backup.info"));
    let global = format!("repo1-path={}", folder.path().display());
    let file = written(folder.path(), &global, "pg1-path=/a\npg1-host=10.255.255.1");
    let (config, site) = (config(&file), Site::load(None, Some(&file)).unwrap());
    let began = Instant::now();
    let blank = Survey::new(&config, &site, None, None).blank();
    assert!(began.elapsed() < Duration::from_millis(20), "{:?}", began.elapsed());
    assert_eq!(blank.identity.stanza.as_deref(), Some("main"));
    assert_eq!(
        (blank.members[0].name.as_str(), blank.members[0].place.as_str()),
        ("pg1", "10.255.255.1:5432")
    );
    assert_eq!(blank.members[0].server.answer, Answer::Pending);
    assert_eq!(blank.repositories[0].backups.answer, Answer::Pending);
    assert_eq!(blank.identity.configuration, [file]);
}

#[test]
fn several_stanzas_are_not_guessed_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), "repo1-path=/r", "pg1-path=/a\n[other]\npg1-path=/b");
    let survey = survey(&file);
    let board = survey.blank();
    assert_eq!((board.identity.stanza, board.members.len()), (None, 0));
    assert_eq!(board.identity.stanzas, ["main", "other"]);
    assert!(survey.catalog().is_err() && survey.wal().is_err());
    let chosen = Survey::new(&config(&file), &Site::default(), Some("other"), None).blank();
    assert_eq!(chosen.members[0].place, "/b");
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_hundred_rounds_over_what_hangs_leave_no_threads() {
    let folder = tempfile::tempdir().unwrap();
    for info in ["backup/main/backup.info", "archive/main/archive.info"] {
        fs::create_dir_all(folder.path().join(info).parent().unwrap()).unwrap();
        fifo(&folder.path().join(info));
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let global = format!("repo1-path={}", folder.path().display());
    let port = silent.local_addr().unwrap().port();
    let file = written(folder.path(), &global, &format!("pg1-path=/a\npg1-host=127.0.0.1\npg1-port={port}"));
    let monitor = "[stanza.main.hooks]\nmonitor = ['/bin/sh', '-c', 'sleep 600; true']\n";
    fs::write(folder.path().join("pgmayday.toml"), monitor).unwrap();
    let survey = survey(&file);
    survey.once(Duration::from_millis(500));
    let before = threads();
    for _ in 0..100 {
        let board = survey.once(Duration::from_millis(60));
        assert_eq!(unknown(&board.repositories[0].backups), "no answer");
        assert_eq!(unknown(&board.repositories[0].wal), "no answer");
    }
    // Other tests of this program come and go meanwhile; a leak would be hundreds.
    assert!(threads() < before + 30, "{before} threads became {}", threads());
    // Whoever reads the pipes is let go.
    for info in ["backup/main/backup.info", "archive/main/archive.info"] {
        drop(fs::OpenOptions::new().write(true).open(folder.path().join(info)));
    }
}

#[test]
fn a_watch_tells_what_it_has_as_soon_as_it_has_it() {
    let fixture = Fixture::open("a1-plain-none");
    let file = fixture.config(&fixture.path("pg"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = format!(
        "[[stanza.{}.member]]\nname = 'far'\nhost = '127.0.0.1'\nport = {}\n",
        fixture.stanza,
        silent.local_addr().unwrap().port()
    );
    fs::write(file.with_file_name("pgmayday.toml"), site).unwrap();
    let (told, running) =
        (Arc::new(Mutex::new(Vec::<(Instant, Board)>::new())), Arc::new(AtomicBool::new(true)));
    let began = Instant::now();
    survey(&file).watch(
        Arc::new({
            let told = Arc::clone(&told);
            move |board| told.lock().unwrap().push((Instant::now(), board))
        }),
        Arc::new({
            let running = Arc::clone(&running);
            move || running.load(Ordering::Acquire)
        }),
    );
    assert!(began.elapsed() < Duration::from_millis(100), "it returns at once");
    std::thread::sleep(Duration::from_secs(4));
    running.store(false, Ordering::Release);
    let told_so_far = told.lock().unwrap().clone();
    let first = told_so_far.iter().find(|(_, board)| board.repositories[0].backups.value().is_some());
    assert!(first.unwrap().0 - began < Duration::from_secs(2), "while the other still waits");
    let far =
        |board: &Board| board.members.iter().find(|member| member.name == "far").unwrap().server.clone();
    assert_eq!(far(&first.unwrap().1).answer, Answer::Pending);
    let last = &told_so_far.last().unwrap().1;
    assert_eq!(unknown(&far(last)), "no answer");
    let gaps = told_so_far.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(gaps.min().unwrap() >= Duration::from_millis(95), "told at most ten times a second");
    std::thread::sleep(Duration::from_millis(300));
    let stopped = told.lock().unwrap().len();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(told.lock().unwrap().len(), stopped, "nothing is told any more");
}

#[test]
fn catalog_and_wal_are_what_the_repository_holds() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let survey = survey(&fixture.config(&fixture.path("pg")));
    let info: serde_json::Value = serde_json::from_str(&fixture.expected("info.new.json")).unwrap();
    let catalog = survey.catalog().unwrap();
    let labels: Vec<&str> = catalog.backups.iter().map(|backup| backup.label.as_str()).collect();
    let expected: Vec<&str> = info[0]["backup"]
        .as_array()
        .unwrap()
        .iter()
        .map(|backup| backup["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, expected);
    assert!(catalog.troubles.is_empty(), "{:?}", catalog.troubles);
    let wal = survey.wal().unwrap();
    assert!(wal.troubles.is_empty(), "{:?}", wal.troubles);
    let archive = wal.archives.last().unwrap();
    let expected = &info[0]["archive"].as_array().unwrap().last().unwrap();
    let first = archive.timelines.first().unwrap().stretches.first().unwrap().first.to_string();
    let last = archive.timelines.last().unwrap().stretches.last().unwrap().last.to_string();
    assert_eq!(
        (first.as_str(), last.as_str()),
        (expected["min"].as_str().unwrap(), expected["max"].as_str().unwrap())
    );
    for row in archive.timelines.iter().filter(|row| row.timeline.0 > 1) {
        assert!(row.parent.is_some(), "{row:?}");
    }
    for stretch in archive.timelines.iter().flat_map(|row| &row.stretches) {
        assert_eq!(stretch.missing, stretch.stored_bytes == 0, "{stretch:?}");
        assert!(stretch.segments > 0);
    }
}

/// Every file below a folder with its size and change time.
fn tree(folder: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        all.push((path.clone(), meta.len(), meta.modified().unwrap()));
        if meta.is_dir() {
            all.extend(tree(&path));
        }
    }
    all.sort();
    all
}

/// What a verification leaves behind: the first backup is valid, the second is not, and one that was expired was not either.
fn write_verification(state: &StateDir, stanza: &str, labels: &[String]) {
    let now = serde_json::to_value(Timestamp::now()).unwrap();
    let known = |status: &str| serde_json::json!({"status": status, "at": now, "depth": "full"});
    let record = serde_json::json!({
        "schema": "pgmayday.verified/1", "stanza": stanza, "repo": 1,
        "last": {"at": now, "took_ms": 1, "depth": "full", "damage": 0, "unknown": 0, "warnings": 0},
        "backups": {
            labels[0].clone(): known("valid"),
            labels[1].clone(): known("wal_missing"),
            "19990101-000000F": known("invalid"),
        },
    });
    fs::create_dir_all(state.root()).unwrap();
    fs::write(state.verification(stanza, 1), record.to_string()).unwrap();
}

#[test]
fn what_backups_pushes_holds_and_verifications_left_on_this_host_is_seen_and_not_touched() {
    use pgmayday::engine::hold::{self, Hold};
    use pgmayday::engine::locks::{LockFolder, StopFile, Work};
    let fixture = Fixture::open("a1-plain-none");
    let at = |name: &str| fixture.path(name);
    let stanza = fixture.stanza.as_str();
    let file = fixture.config(&fixture.path("pg"));
    let text = fs::read_to_string(&file).unwrap();
    let more = "[global]\nrepo2-path=/nowhere\narchive-async=y\n";
    fs::write(&file, text.replace("[global]\n", more)).unwrap();
    let state = StateDir::at(at("state"));
    let site = Site::load(None, Some(&file)).unwrap();
    let look = || Survey::new(&config(&file), &site, Some(stanza), Some(&state)).once(LIMIT);

    let before = tree(&at(""));
    let nothing = look();
    assert_eq!(nothing.upkeep.value(), Some(&Upkeep::default()), "{:?}", nothing.upkeep);
    let never = nothing.repositories[0].verification.as_ref().unwrap().value();
    assert_eq!(never, Some(&VerificationFacts::default()));
    assert_eq!(tree(&at("")), before, "looking makes nothing");

    let locks = LockFolder(at("lock"));
    let mut held = locks.take(stanza, &[Work::Backup], &[1]).unwrap();
    held.progress(1, 4);
    StopFile::of(&locks, Some(stanza)).create().unwrap();
    let (since, until) = (Timestamp::now(), Timestamp(Timestamp::now().0 + 3_600_000_000));
    let stands = Hold { incident: "2026-11-21-01".to_owned(), since, until, by: "anna".to_owned() };
    hold::place(&locks, stanza, &stands, since).unwrap();
    let out = at("spool").join("archive").join(stanza).join("out");
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("000000010000000000000007.error"), "82\nunable to push:\nrepo1: no room").unwrap();
    fs::write(out.join("000000010000000000000006.ok"), "").unwrap();
    let labels: Vec<String> = Survey::new(&config(&file), &site, Some(stanza), None)
        .catalog()
        .unwrap()
        .backups
        .iter()
        .map(|backup| backup.label.clone())
        .collect();
    write_verification(&state, stanza, &labels);

    let before = tree(&at(""));
    let board = look();
    let survey = Survey::new(&config(&file), &site, Some(stanza), Some(&state));
    let catalog = survey.catalog().unwrap();
    assert_eq!(tree(&at("")), before, "looking changes nothing");

    let upkeep = board.upkeep.value().unwrap();
    assert_eq!(upkeep.stopped_by, Some(at("lock").join(format!("{stanza}.stop"))));
    assert!(
        matches!(&upkeep.hold, Some(HoldFacts::Stands { incident, .. }) if incident == "2026-11-21-01"),
        "{upkeep:?}"
    );
    let trouble = upkeep.archiving.as_ref().unwrap();
    assert_eq!(
        (trouble.file.as_deref(), trouble.why.as_str(), trouble.others),
        (Some("000000010000000000000007"), "unable to push: repo1: no room", 0)
    );
    assert_eq!(board.repositories[0].backups.value().unwrap().running, Some(Some(2500)));
    let verified = board.repositories[0].verification.as_ref().unwrap().value().unwrap();
    let unsound: Vec<&str> = verified.unsound.iter().map(|backup| backup.label.as_str()).collect();
    assert_eq!(
        (verified.proven, unsound),
        (1, vec![labels[1].as_str()]),
        "what was expired is nobody's concern"
    );
    let verdicts: Vec<_> = catalog.backups.iter().map(|backup| backup.verified.clone()).collect();
    assert!(verdicts[0].as_ref().is_some_and(Verified::is_proven), "{verdicts:?}");
    assert!(verdicts[1].as_ref().is_some_and(|verified| verified.wrong.is_some()), "{verdicts:?}");
    assert!(verdicts[2..].iter().all(Option::is_none), "{verdicts:?}");

    // A record that cannot be read says nothing of the repository, and is told.
    fs::write(state.verification(stanza, 1), "{").unwrap();
    unknown(look().repositories[0].verification.as_ref().unwrap());
    let catalog = survey.catalog().unwrap();
    assert!(catalog.troubles.iter().any(|trouble| trouble.contains("what was verified")), "{catalog:?}");
    assert_eq!(catalog.backups.len(), labels.len());
    // Errors of a way of archiving that was left are of no interest.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("archive-async=y\n", "")).unwrap();
    assert_eq!(look().upkeep.value().unwrap().archiving, None);
    drop(held);
    assert_eq!(look().repositories[0].backups.value().unwrap().running, None);
}

#[test]
fn ten_thousand_backups_and_a_million_segments_stay_small() {
    if std::env::var_os("PGMAYDAY_ENDURANCE").is_none() {
        eprintln!("skipped: PGMAYDAY_ENDURANCE is not set");
        return;
    }
    let folder = tempfile::Builder::new().prefix("pgm-survey").tempdir_in("/var/tmp").unwrap();
    synthetic::write_backups(&folder.path().join("backup/main")).unwrap();
    synthetic::write_archive(&folder.path().join("archive/main")).unwrap();
    let file =
        written(folder.path(), &format!("repo1-path={}", folder.path().display()), "pg1-path=/nowhere");
    let survey = survey(&file);
    let before = resident_bytes();
    let began = Instant::now();
    let board = survey.once(Duration::from_secs(120));
    eprintln!("the board: {:?}", began.elapsed());
    let backups = board.repositories[0].backups.value().unwrap();
    assert_eq!((backups.total as u64, backups.marks.len() <= 400), (synthetic::BACKUPS, true));
    assert_eq!(board.repositories[0].wal.value().unwrap().missing, 0);
    let began = Instant::now();
    let (catalog, wal) = (survey.catalog().unwrap(), survey.wal().unwrap());
    eprintln!("catalog and WAL: {:?}", began.elapsed());
    assert_eq!(catalog.backups.len() as u64, synthetic::BACKUPS);
    let stretches: Vec<_> =
        wal.archives.iter().flat_map(|row| &row.timelines).flat_map(|row| &row.stretches).collect();
    assert_eq!((stretches.len(), stretches[0].segments), (1, synthetic::SEGMENTS));
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 150 << 20, "{} MB more", grown >> 20);
    assert!(board.repositories[0].backups.at.unwrap() <= Timestamp::now());
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
