//! The journal from outside: tampered, torn, killed and crowded journals; the command; the report.
//!
//! Runs no server.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "tests start the program")]

use pgmayday::base::state::StateDir;
use pgmayday::base::{TargetTime, Timestamp};
use pgmayday::incident::report::{Document, markdown};
use pgmayday::incident::{Declaration, Evidence, Incidents};
use pgmayday::journal::{Fact, HEAD_FILE, JOURNAL_FILE, Journal, RECIPE, Stamp, Torn, Verification, verify};
use pgmayday::model::op::{Answer, Mark};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pgmayday");
/// 2026-11-21 02:14:07 UTC.
const BEGIN: Timestamp = Timestamp(1_795_227_247_000_000);

/// A folder where syncing costs nothing, if there is one: thousands of lines are written here.
fn folder() -> tempfile::TempDir {
    let fast = Path::new("/dev/shm");
    if fast.is_dir() { tempfile::tempdir_in(fast) } else { tempfile::tempdir() }.unwrap()
}

fn note(text: impl Into<String>) -> Fact {
    Fact::Note { text: text.into() }
}

/// The clocks of db1, `ms` after the beginning.
fn stamp(ms: u64) -> Stamp {
    let at = Timestamp(BEGIN.0 + i64::try_from(ms).unwrap() * 1000);
    Stamp { at, boot_ms: 5_000_000 + ms, boot_id: "61352d30".to_owned(), host: "db1".to_owned() }
}

/// A journal of `entries` notes, always the same.
fn notes(folder: &Path, entries: u64) -> Journal {
    let journal = Journal::create(folder).unwrap();
    for number in 1..=entries {
        let text = format!("entry {number}: \"quoted\", é, \\ and \"hash\":\"…\"");
        journal.append_at(&stamp(number * 1000), "dk", &note(text)).unwrap();
    }
    journal
}

fn facts(journal: &Journal) -> Vec<Fact> {
    journal.read().unwrap().entries().map(|entry| entry.fact.clone()).collect()
}

fn check(folder: &Path) -> Verification {
    verify(folder, None).unwrap()
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// One way to tamper with lines; what it is called, and the bytes.
fn tampered(original: &[u8], foreign: &[u8], dice: &mut Dice) -> (&'static str, Vec<u8>) {
    let mut lines: Vec<&[u8]> = original.split_inclusive(|byte| *byte == b'\n').collect();
    let others: Vec<&[u8]> = foreign.split_inclusive(|byte| *byte == b'\n').collect();
    let one = dice.below(lines.len());
    let way = match dice.below(6) {
        0 => {
            let mut bytes = original.to_vec();
            let at = dice.below(bytes.len());
            bytes[at] ^= u8::try_from(1 + dice.below(255)).unwrap();
            return ("altered", bytes);
        }
        1 => return ("cut", original[..dice.below(original.len())].to_vec()),
        2 => {
            lines.remove(one);
            "dropped"
        }
        3 => {
            let other = (one + 1 + dice.below(lines.len() - 1)) % lines.len();
            lines.swap(one, other);
            "swapped"
        }
        4 => {
            lines.insert(dice.below(lines.len() + 1), others[dice.below(others.len())]);
            "inserted"
        }
        _ => {
            lines.insert(dice.below(lines.len() + 1), lines[one]);
            "duplicated"
        }
    };
    (way, lines.concat())
}

#[test]
fn a_thousand_tampered_journals_are_all_found_and_stay_found() {
    // As in the fuzz tests: who asks for a number of cases gets new ones.
    let asked = std::env::var("PGMAYDAY_FUZZ_CASES").ok().and_then(|text| text.parse().ok());
    let cases: usize = asked.unwrap_or(1000);
    let seed = if asked.is_some() { Timestamp::boot_ms() | 1 } else { 0x2545_f491_4f6c_dd1d };
    let dir = folder();
    let (own, other) = (dir.path().join("own"), dir.path().join("other"));
    fs::create_dir(&own).unwrap();
    fs::create_dir(&other).unwrap();
    let journal = notes(&own, 12);
    let foreign = Journal::create(&other).unwrap();
    for number in 1..=14 {
        foreign.append_at(&stamp(number), "mb", &note(format!("foreign {number}"))).unwrap();
    }
    let (original, foreign) = (fs::read(journal.path()).unwrap(), fs::read(foreign.path()).unwrap());
    let head = fs::read(own.join(HEAD_FILE)).unwrap();
    let whole = check(&own);
    assert!(whole.ok && whole.entries == 12, "{whole:?}");

    let mut dice = Dice(seed);
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for case in 0..cases {
        let (way, bytes) = tampered(&original, &foreign, &mut dice);
        fs::write(journal.path(), &bytes).unwrap();
        fs::write(own.join(HEAD_FILE), &head).unwrap();
        let found = check(&own);
        assert!(!found.ok && !found.findings.is_empty(), "seed {seed}, case {case}, {way}: {found:?}");
        // The next writer replaces what proved it; what was found must not go with it.
        let torn = found.torn.clone();
        let entry = journal.append_at(&stamp(20_000), "dk", &note("afterwards")).unwrap();
        let after = check(&own);
        assert!(!after.ok && after.torn.is_none(), "seed {seed}, case {case}, {way}: {after:?}");
        assert_eq!((after.end.seq, after.end.hash), (entry.seq, entry.hash), "case {case}, {way}");
        let cut = facts(&journal).into_iter().find_map(|fact| match fact {
            Fact::Cut { bytes, sha256 } => Some(Torn { bytes, sha256 }),
            _ => None,
        });
        assert_eq!(cut, torn, "case {case}, {way}");
        *counts.entry(way).or_default() += 1;
    }
    assert_eq!(counts.values().sum::<usize>(), cases);
    assert!(counts.len() == 6 && counts.values().all(|count| *count > cases / 10), "{counts:?}");
}

#[test]
fn a_change_that_says_the_same_is_found() {
    let dir = folder();
    let journal = notes(dir.path(), 3);
    let original = fs::read_to_string(journal.path()).unwrap();
    for (from, to) in [
        ("\"seq\":2,", "\"seq\": 2,"),
        ("\"actor\":\"dk\"", "\"actor\":\"\\u0064k\""),
        ("é", "\\u00e9"),
        ("\"seq\":3,\"at\"", "\"seq\":3 ,\"at\""),
        ("}\n", "}\r\n"),
        ("}\n", "} \n"),
        ("}\n", "}\n\n"),
    ] {
        let changed = original.replacen(from, to, 1);
        assert_ne!(changed, original);
        fs::write(journal.path(), changed).unwrap();
        assert!(!check(dir.path()).ok, "{from:?} became {to:?}");
    }
    // The same hash in capitals: 64 digits, a quotation mark, a brace and a line feed.
    let (rest, hash) = original.split_at(original.len() - 67);
    fs::write(journal.path(), rest.to_owned() + &hash.to_uppercase()).unwrap();
    assert!(!check(dir.path()).ok);
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The lines with a last line of somebody who knows the form and seals it again.
fn rewritten(original: &str, text: &str) -> String {
    let (before, last) = original.trim_end().rsplit_once('\n').unwrap();
    let body = last[..last.len() - 75].replace("entry 5", text) + "}";
    let hash = sha256(body.as_bytes());
    format!("{before}\n{},\"hash\":\"{hash}\"}}\n", &body[..body.len() - 1])
}

#[test]
fn the_end_is_proven_by_head_or_witness_and_it_is_said_which() {
    let dir = folder();
    let journal = notes(dir.path(), 5);
    let original = fs::read_to_string(journal.path()).unwrap();
    let witness = check(dir.path()).end;
    assert!(check(dir.path()).sentence().contains("the head file proves it up to entry 5"));

    // Rewritten with a right hash: only the head knows.
    fs::write(journal.path(), rewritten(&original, "lie no. 5")).unwrap();
    let found = check(dir.path());
    assert!(found.findings.len() == 1 && found.findings[0].what.contains("entry 5 is another"), "{found:?}");
    assert_eq!(found.stood_behind, []);

    // The tail dropped and the head with it: only a witness knows.
    let shorter: String = original.split_inclusive('\n').take(3).collect();
    let third = verify_end(&shorter);
    fs::write(journal.path(), &shorter).unwrap();
    assert!(check(dir.path()).findings[0].what.contains("what followed was removed"));
    fs::write(dir.path().join(HEAD_FILE), format!("3:{third}\n")).unwrap();
    assert!(check(dir.path()).ok, "nobody can know without a witness");
    let found = verify(dir.path(), Some(&witness)).unwrap();
    assert!(!found.ok && found.findings[0].what.starts_with("the witness says 5:"), "{found:?}");

    // Without head the end is open, unless a witness stands in.
    fs::write(journal.path(), &original).unwrap();
    fs::remove_file(dir.path().join(HEAD_FILE)).unwrap();
    assert!(check(dir.path()).findings[0].what.contains("head file is missing"));
    let proven = verify(dir.path(), Some(&witness)).unwrap();
    assert!(proven.ok && proven.behind() == "the witness proves it up to entry 5", "{proven:?}");
    // The next writer makes a new head, but the robbery stays told.
    journal.append("dk", &note("next")).unwrap();
    assert!(check(dir.path()).findings[0].what.contains("head file is missing"));
    journal.append("dk", &note("and next")).unwrap();
    let told = facts(&journal).iter().filter(|fact| matches!(fact, Fact::Damaged { .. })).count();
    assert_eq!(told, 1);

    for nonsense in ["", "5", "x:y", "\u{fffd}"] {
        fs::write(journal.path(), &original).unwrap();
        fs::write(dir.path().join(HEAD_FILE), nonsense).unwrap();
        assert!(!check(dir.path()).ok, "{nonsense}");
    }
}

/// The hash the last line states.
fn verify_end(text: &str) -> String {
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    line["hash"].as_str().unwrap().to_owned()
}

#[test]
fn a_writer_that_died_at_any_byte_is_cut_and_told() {
    let dir = folder();
    let journal = notes(dir.path(), 3);
    let (before, head) = (fs::read(journal.path()).unwrap(), fs::read(dir.path().join(HEAD_FILE)).unwrap());
    journal.append_at(&stamp(9_000), "worker", &note("the last one")).unwrap();
    let after = fs::read(journal.path()).unwrap();
    let restore = |bytes: &[u8]| {
        fs::write(journal.path(), bytes).unwrap();
        fs::write(dir.path().join(HEAD_FILE), &head).unwrap();
    };
    let mut cuts = 0;
    for bytes in before.len() + 1..after.len() {
        restore(&after[..bytes]);
        let torn = check(dir.path());
        assert!(torn.ok && torn.torn.is_some() && torn.entries == 3, "{bytes}: {torn:?}");
        journal.append_at(&stamp(10_000), "worker", &note("again")).unwrap();
        let whole = check(dir.path());
        assert!(whole.ok && whole.torn.is_none() && whole.entries == 5, "{bytes}: {whole:?}");
        let lost = &after[before.len()..bytes];
        assert_eq!(facts(&journal)[3], Fact::Cut { bytes: lost.len() as u64, sha256: sha256(lost) });
        cuts += 1;
    }
    assert_eq!(cuts, after.len() - before.len() - 1);

    // Died between the line and its head: one behind is no damage, and the next writer catches up.
    restore(&after);
    let behind = check(dir.path());
    assert!(behind.ok && behind.behind().ends_with("up to entry 3"), "{behind:?}");
    journal.append("dk", &note("next")).unwrap();
    assert!(check(dir.path()).ok && facts(&journal).len() == 5);
    // Two behind did not come from a crash.
    fs::write(dir.path().join(HEAD_FILE), &head).unwrap();
    assert!(check(dir.path()).findings[0].what.contains("2 entries came without it"));
}

#[test]
fn a_torn_end_longer_than_what_tells_of_it_leaves_nothing() {
    let dir = folder();
    let journal = notes(dir.path(), 2);
    let mut bytes = fs::read(journal.path()).unwrap();
    bytes.extend(vec![b'x'; 5000]);
    fs::write(journal.path(), bytes).unwrap();
    journal.append("dk", &note("next")).unwrap();
    let whole = check(dir.path());
    assert!(whole.ok && whole.entries == 4, "{whole:?}");
    assert!(matches!(facts(&journal)[2], Fact::Cut { bytes: 5000, .. }));
}

#[test]
fn damaged_lines_stop_nobody_from_writing() {
    let dir = folder();
    let journal = notes(dir.path(), 3);
    let mut bytes = fs::read(journal.path()).unwrap();
    bytes.extend(b"not a line at all\n");
    fs::write(journal.path(), bytes).unwrap();
    let entry = journal.append("dk", &note("next")).unwrap();
    assert_eq!(entry.seq, 5);
    let found = check(dir.path());
    let lines: Vec<Option<u64>> = found.findings.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [Some(4)], "the writer continued the line as it stood: {found:?}");
}

#[test]
fn an_empty_or_missing_journal_is_told() {
    let dir = folder();
    assert!(Journal::open(dir.path()).is_err());
    assert!(verify(dir.path(), None).unwrap_err().to_string().contains(JOURNAL_FILE));
    let journal = Journal::create(dir.path()).unwrap();
    assert!(Journal::create(dir.path()).is_err(), "a second beginning");
    assert!(check(dir.path()).findings[0].what.contains("no entry"));
    journal.append("dk", &note("first")).unwrap();
    assert!(check(dir.path()).ok);
    fs::write(journal.path(), "").unwrap();
    assert_eq!(journal.append("dk", &note("second")).unwrap().seq, 2);
    assert!(
        check(dir.path()).findings.iter().any(|finding| finding.what.contains("what followed was removed"))
    );
    fs::remove_file(journal.path()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", journal.path()).unwrap();
    assert!(journal.append("dk", &note("third")).is_err(), "a link is not followed");
}

#[test]
fn many_writers_in_threads_and_processes_make_one_chain() {
    let dir = folder();
    let incidents = Incidents::new(StateDir::at(dir.path()));
    let id = incidents.declare("dk", &declaration()).unwrap();
    let program = |text: String| {
        let output = state(dir.path()).args(["incident", "note", &text]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (incidents, id) = (&incidents, &id);
            scope.spawn(move || {
                for number in 0..50 {
                    incidents.note(id, "worker", &format!("thread {thread} {number}")).unwrap();
                }
            });
        }
        for process in 0..3 {
            scope.spawn(move || (0..5).for_each(|number| program(format!("process {process} {number}"))));
        }
    });
    let evidence = incidents.evidence(&id).unwrap();
    assert!(evidence.verification.ok, "{:?}", evidence.verification);
    assert_eq!(evidence.verification.entries, 1 + 8 * 50 + 3 * 5);
    let texts: std::collections::BTreeSet<&str> = evidence.notes.iter().map(|note| &*note.text).collect();
    assert_eq!(texts.len(), 8 * 50 + 3 * 5);
}

#[test]
fn a_killed_program_leaves_a_whole_journal() {
    let dir = folder();
    let incidents = Incidents::new(StateDir::at(dir.path()));
    let id = incidents.declare("dk", &declaration()).unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let begin_ms = Timestamp::boot_ms();
    run(dir.path(), 0, &["note", "not killed"]);
    let whole_us = 1000 * usize::try_from(Timestamp::boot_ms() - begin_ms).unwrap().max(1);
    for number in 0..30 {
        let mut command = state(dir.path());
        command.args(["incident", "note", &format!("number {number}")]).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_micros(dice.below(whole_us * 5 / 4) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    incidents.note(&id, "dk", "the end").unwrap();
    let found = incidents.verify(&id, None).unwrap();
    assert!(found.ok && found.torn.is_none(), "{found:?}");
}

#[test]
fn who_declares_at_once_gets_an_incident_of_his_own() {
    let dir = folder();
    let incidents = Incidents::new(StateDir::at(dir.path()));
    let mut ids: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| incidents.declare("dk", &declaration()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8);
    let (views, troubles) = incidents.list().unwrap();
    let listed: Vec<&String> = views.iter().map(|view| &view.id).collect();
    assert_eq!((listed, troubles), (ids.iter().rev().collect(), vec![]));
    assert_eq!(incidents.open_one("orders").unwrap().unwrap().id, ids[7]);
    assert_eq!(incidents.open_one("other").unwrap(), None);
    // A folder without a first line is a declaration under way, or one that never came about.
    fs::create_dir(dir.path().join("incidents/2026-01-01-01")).unwrap();
    Journal::create(&dir.path().join("incidents/2026-01-01-01")).unwrap();
    assert_eq!(incidents.open_one("other").unwrap(), None);
    // One that cannot be read may be the open one.
    fs::write(dir.path().join("incidents/2026-01-01-01").join(HEAD_FILE), "x").unwrap();
    assert!(incidents.open_one("other").is_err());
    assert_eq!(incidents.open_one("orders").unwrap().unwrap().id, ids[7]);
}

fn declaration() -> Declaration {
    Declaration {
        stanza: "orders".to_owned(),
        label: Some("PRODUCTION".to_owned()),
        reason: "prices are wrong".to_owned(),
        detected_at: None,
        rto_s: 3600,
        rpo_s: 300,
        severity: None,
    }
}

/// The program with its state in this folder.
fn state(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PGMAYDAY_STATE", folder).env("PATH", "/usr/bin:/bin");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs the command, expects this exit code, returns standard output.
fn run(folder: &Path, code: i32, args: &[&str]) -> String {
    let output: Output = state(folder).arg("incident").args(args).output().unwrap();
    let said = format!("{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    text(&output.stdout).to_owned() + if code == 0 { "" } else { text(&output.stderr) }
}

fn json(folder: &Path, code: i32, args: &[&str]) -> Value {
    let output = state(folder).arg("incident").args(args).arg("--output=json").output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_incident_from_the_command_line() {
    let dir = folder();
    let dir = dir.path();
    assert!(run(dir, 0, &["list"]).contains("no incident yet"));
    for wrong in [&["note", "x"][..], &["show"], &["show", "../../etc"], &["show", "2026-11-21-01"]] {
        run(dir, 2, wrong);
    }
    run(dir, 2, &["declare", "--stanza=orders"]);
    run(dir, 2, &["declare", "--stanza=orders", "--reason=x", "--detected-at=2999-01-01 00:00:00Z"]);
    run(dir, 2, &["declare", "--reason=prices are wrong"]);
    assert!(!dir.join("incidents").exists(), "nothing was declared yet");

    let declare = ["declare", "--stanza=orders", "--reason", "prices are wrong"];
    let id = json(dir, 0, &[&declare[..], &["--detected-at=2021-11-21 02:00:00+00"]].concat());
    let id = id["id"].as_str().unwrap().to_owned();
    assert!(run(dir, 3, &declare).contains("incident-open"));
    run(dir, 0, &["note", "called the team\u{1b}[2J"]);
    let shown = run(dir, 0, &["show"]);
    assert!(shown.contains("note: called the team [2J") && shown.contains("· orders · open"), "{shown}");
    assert!(shown.contains(" of 01:00:00 late\n"), "years since the detection: {shown}");
    let list = json(dir, 0, &["list", "--stanza=orders"]);
    assert_eq!(list["schema"], "pgmayday.incidents/1");
    assert_eq!(list["incidents"][0]["detected_at"], "2021-11-21 02:00:00+00");
    assert_eq!(json(dir, 0, &["list", "--stanza=other"])["incidents"], Value::Array(vec![]));

    let verified = json(dir, 0, &["verify"]);
    assert_eq!((&verified["ok"], &verified["entries"]), (&Value::Bool(true), &Value::from(2)));
    let witness = verified["end"].as_str().unwrap().to_owned();
    run(dir, 0, &["close", "all is well"]);
    run(dir, 2, &["note", "too late"]);
    run(dir, 2, &["close", "again", "--incident", &id]);
    run(dir, 0, &["note", "an afterthought", "--incident", &id]);
    run(dir, 0, &["verify", &id, "--witness", &witness]);
    run(dir, 2, &["verify", &id, "--witness", "2:abc"]);
    assert!(run(dir, 0, &["report"]).starts_with(&format!("# Incident {id}\n")));
    let report = json(dir, 0, &["report", &id]);
    assert_eq!((&report["schema"], &report["id"]), (&"pgmayday.incident/1".into(), &Value::from(&*id)));
    assert_eq!(report, serde_json::from_str::<Value>(&run(dir, 0, &["report", "--format=json"])).unwrap());

    run(dir, 0, &[&declare[..], &["--accept=incident-open"]].concat());
    // Tampered with: told, and the exit code says so.
    let journal = dir.join("incidents").join(&id).join(JOURNAL_FILE);
    let original = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, original.replace("prices are wrong", "prices are right")).unwrap();
    assert!(run(dir, 4, &["verify", &id]).contains("line 1 was altered"));
    assert_eq!(json(dir, 4, &["verify", &id])["findings"][0]["line"], 1);
    assert!(run(dir, 0, &["list"]).contains("JOURNAL DAMAGED"));
    assert!(run(dir, 0, &["report", &id]).contains("damaged: 1 finding"));
}

#[test]
fn what_the_site_expects_is_in_the_declaration() {
    let dir = folder();
    let site = dir.path().join("pgmayday.toml");
    let kept = dir.path().join("kept");
    let written =
        format!("state-dir = {kept:?}\n[stanza.main]\nlabel = \"LAB\"\nrto = \"30m\"\nhold = \"6h\"\n");
    fs::write(&site, written).unwrap();
    let conf = dir.path().join("pgbackrest.conf");
    let (locks, pg) = (dir.path().join("locks"), dir.path().join("pg"));
    fs::create_dir(&pg).unwrap();
    let places = format!("[global]\nlock-path={}\n[main]\npg1-path={}\n", locks.display(), pg.display());
    fs::write(&conf, places).unwrap();
    let beside = |named: bool| {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("PATH", "/usr/bin:/bin");
        if named {
            command.env("PGMAYDAY_CONFIG", &site);
        } else {
            command.arg("--config").arg(&conf);
        }
        command
    };
    let output =
        beside(false).env("SUDO_USER", "dk").args(["incident", "declare", "--reason=x"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("until ") && said.contains("nothing is removed"), "{said}");
    let output = beside(true).args(["incident", "show", "--output=json"]).output().unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shown["stanza"], &shown["label"]), (&"main".into(), &Value::from("LAB")));
    assert_eq!((&shown["rto_s"], &shown["rpo_s"]), (&1800.into(), &Value::from(300)));
    assert_eq!(shown["lines"][0]["actor"], "dk");
    assert!(kept.join("incidents").is_dir());
    // The stanza is held as long as the site says, and as long as the incident is open.
    let hold: Value = serde_json::from_slice(&fs::read(locks.join("main.hold")).unwrap()).unwrap();
    assert_eq!((&hold["incident"], &hold["by"]), (&shown["id"], &Value::from("dk")));
    let at = |member: &str| TargetTime::parse(hold[member].as_str().unwrap()).unwrap().at.unix_s();
    assert_eq!(at("until") - at("since"), 6 * 3600);
    for command in [&["expire"][..], &["backup", "--type=full"]] {
        let output = beside(false).arg("--stanza=main").args(command).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{command:?}: {output:?}");
        assert!(text(&output.stderr).contains("incident-hold"), "{output:?}");
    }
    let output = beside(false).env("SUDO_USER", "dk").args(["incident", "close", "over"]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(!locks.join("main.hold").exists());
    let output = beside(false).args(["incident", "show"]).output().unwrap();
    let said = text(&output.stdout);
    assert!(said.contains("hold placed: ") && said.contains("hold lifted: "), "{said}");
}

/// Runs the recipe of the documentation in a journal's folder.
fn by_hand(folder: &Path) -> Vec<String> {
    let output = Command::new("bash").args(["-c", RECIPE]).current_dir(folder).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn stock_tools_come_to_the_same_answer() {
    let dir = folder();
    let journal = notes(dir.path(), 6);
    let end = check(dir.path()).end;
    assert_eq!(by_hand(dir.path()), [format!("{end} is the end; head says {end}")]);
    let original = fs::read_to_string(journal.path()).unwrap();
    fs::write(journal.path(), original.replace("entry 3", "entry 4")).unwrap();
    assert_eq!(by_hand(dir.path())[..2], ["line 3 was altered", "line 4 does not continue line 3"]);
    let without: Vec<&str> =
        original.split_inclusive('\n').filter(|line| !line.contains("entry 2")).collect();
    fs::write(journal.path(), without.concat()).unwrap();
    assert_eq!(by_hand(dir.path())[0], "line 2 does not continue line 1");
}

#[test]
fn a_write_that_finds_no_room_leaves_the_journal_as_it_was() {
    let dir = folder();
    let incidents = Incidents::new(StateDir::at(dir.path()));
    let id = incidents.declare("dk", &declaration()).unwrap();
    let journal = dir.path().join("incidents").join(&id).join(JOURNAL_FILE);
    let before = fs::read(&journal).unwrap();
    // The largest file may have 1024 bytes: the write stops in the middle.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" incident note \"$1\"";
    let output = Command::new("bash")
        .args(["-c", script, PROGRAM, &"long ".repeat(200)])
        .env("PGMAYDAY_STATE", dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("cannot append to") && said.contains(journal.to_str().unwrap()), "{said}");
    assert_eq!(fs::read(&journal).unwrap(), before);
    assert!(incidents.verify(&id, None).unwrap().ok);
}

/// An incident as a recovery writes it, with clocks that never change.
#[expect(clippy::too_many_lines, reason = "one whole incident, entry by entry")]
fn rehearsed(dir: &Path) -> Evidence {
    let folder: PathBuf = dir.join("incidents/2026-11-21-01");
    fs::create_dir_all(&folder).unwrap();
    let journal = Journal::create(&folder).unwrap();
    let operation = "20261121T022001Z-recover-7f3a".to_owned();
    let step = |step: &str, took_ms: u64, detail: &str| Fact::Step {
        operation: operation.clone(),
        step: step.to_owned(),
        took_ms,
        detail: detail.to_owned(),
    };
    let reached = |mark| Fact::Reached { mark, operation: Some(operation.clone()) };
    let declared = Fact::Declared {
        stanza: "orders".to_owned(),
        label: Some("PRODUCTION".to_owned()),
        reason: "all prices are 0 since a deployment".to_owned(),
        detected_at: Timestamp(BEGIN.0 - 90_000_000),
        rto_s: 3600,
        rpo_s: 300,
        severity: None,
    };
    let confirmed = Fact::Confirmed {
        digest: "7f3a91c2".to_owned(),
        summary:
            "recover orders in place to just before 2026-11-21 02:03:11.482+00; gives up 10m15, 3112 commits"
                .to_owned(),
        command: "pgmayday recover --config=/etc/pgbackrest/pgbackrest.conf --stanza=orders --type=time \
                  --target='2026-11-21 02:03:11.482+00' --target-exclusive --target-timeline=3 --ask"
            .to_owned(),
        typed: "orders".to_owned(),
        operation: operation.clone(),
        last_commit: None,
        newest: None,
        forecast: None,
    };
    let right = Fact::Answered {
        operation: operation.clone(),
        question: "Is the data right at 2026-11-21 02:03:11.48+00?".to_owned(),
        answer: Answer::Right,
    };
    let warning = Fact::Warning {
        operation: Some(operation.clone()),
        text:
            "max_connections is raised from 200 to 500 while the log is replayed, because the log demands it"
                .to_owned(),
    };
    let ended = Fact::OperationEnded {
        operation: operation.clone(),
        done: true,
        lines: vec!["orders serves the state of 02:03:11".to_owned(), "the old cluster is kept".to_owned()],
    };
    let course = [
        (0, "dk", declared),
        (41_300, "mb", note("| the shop shows `0.00` on every page")),
        (312_000, "dk", reached(Mark::Decided)),
        (360_000, "dk", confirmed),
        (361_000, "worker", Fact::OperationStarted { operation: operation.clone(), attempt: 1 }),
        (369_000, "worker", step("stop writers and archive the last WAL", 8_000, "3 segments archived")),
        (369_100, "worker", reached(Mark::RestoreStarted)),
        (
            1_269_000,
            "worker",
            step("restore beside", 899_900, "380 GB, 22811 files, 612 MB/s, all checksums right"),
        ),
        (1_269_100, "worker", reached(Mark::RestoreFinished)),
        (1_290_000, "worker", reached(Mark::Consistent)),
        (1_295_000, "worker", warning),
        (1_680_500, "worker", reached(Mark::TargetReached)),
        (1_720_000, "dk", right),
        (1_720_100, "worker", reached(Mark::Validated)),
        (1_752_000, "worker", step("exchange the directories", 400, "")),
        (1_761_000, "worker", reached(Mark::AcceptingConnections)),
        (1_768_250, "worker", reached(Mark::ServiceBack)),
        (1_769_000, "worker", ended),
        (
            2_400_000,
            "dk",
            Fact::Closed { text: "Prices are right; the deployment is rolled back.".to_owned() },
        ),
    ];
    for (ms, actor, fact) in course {
        journal.append_at(&stamp(ms), actor, &fact).unwrap();
    }
    Incidents::new(StateDir::at(dir)).evidence("2026-11-21-01").unwrap()
}

#[test]
fn the_report_reads_like_one() {
    let dir = folder();
    let evidence = rehearsed(dir.path());
    let report = markdown(&evidence);
    let mut code = false;
    for line in report.lines() {
        code ^= line.starts_with("```");
        assert!(code || line.chars().count() <= 100, "{line}");
        assert_eq!(line.trim_end(), line);
    }
    insta::assert_snapshot!("report", report);
    let json = serde_json::to_string_pretty(&Document::new(&evidence)).unwrap();
    insta::assert_snapshot!("report-json", json);
}
