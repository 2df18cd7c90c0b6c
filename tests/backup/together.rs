//! Two programs that want to work on one stanza at once: one works, the others are refused by name or wait.

use crate::peer::archive_command;
use crate::tools::{NEVER, Running, backup, is_locked, listed, locks, ready, reload, wait_until};
use crate::yard::{Run, STANZA, Yard, installed};
use pgmayday::engine::locks::Work;
use serde_json::Value;

/// The archiver works no more, so that a backup waits for its WAL until [`works_again`].
fn hold_up(yard: &Yard) {
    yard.settings("pg", NEVER, "");
    reload(yard, "archive_command", NEVER);
}

fn works_again(yard: &Yard) {
    let command = archive_command(yard);
    yard.settings("pg", &command, "");
    reload(yard, "archive_command", &command);
}

/// A backup is waiting for its WAL. Whoever else wants the stanza is told who has it.
#[track_caller]
fn keeps_others_away(yard: &Yard, label: &str) {
    wait_until("the lock", || locks(yard).of_stanza(STANZA, Work::Backup).pid.is_some());
    let holder = locks(yard).of_stanza(STANZA, Work::Backup).pid.unwrap();
    let (set, note) = (format!("--set={label}"), "--annotation=state=late");
    for words in [&["backup"][..], &["snapshot", "soon"], &["expire"], &["annotate", &set, note]] {
        let run = yard.pgmayday(words).exits(1, &["is running on this host", &format!("process {holder}")]);
        assert!(run.err.contains("wait until it has ended"), "{run}");
    }
    for words in [&["backup"][..], &["expire"], &["annotate", &set, note]] {
        yard.pgbackrest(words).exits(50, &["lock"]);
    }
}

fn label(run: &Run) -> Value {
    run.json()["label"].clone()
}

#[test]
fn one_backup_at_a_time_whichever_program_makes_it() {
    let Some(binaries) = installed("one_backup_at_a_time_whichever_program_makes_it") else { return };
    let yard = ready(&binaries, "", "");
    let first = backup(&yard, &["--type=full"])["label"].as_str().unwrap().to_owned();

    hold_up(&yard);
    let theirs = Running::start(yard.pgbackrest_command(&["--type=incr", "--archive-timeout=80", "backup"]));
    keeps_others_away(&yard, &first);
    let mut queued = Running::pgmayday(&yard, &["backup", "--wait", "--type=incr", "--output=json"]);
    let mut second = Running::pgmayday(&yard, &["backup", "--wait", "--type=incr", "--output=json"]);
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(!queued.has_ended() && !second.has_ended(), "they wait");
    works_again(&yard);
    theirs.end().exits(0, &[]);
    let queued = queued.end().exits(0, &["waiting: another backup of stanza 'main' is running"]);
    let second = second.end().exits(0, &["waiting: "]);
    assert_ne!(label(&queued), label(&second));
    assert_eq!(listed(&yard).len(), 4);

    hold_up(&yard);
    let ours = Running::pgmayday(&yard, &["backup", "--type=incr", "--archive-timeout=80", "--output=json"]);
    keeps_others_away(&yard, &first);
    let queued = Running::pgmayday(&yard, &["backup", "--wait", "--type=incr"]);
    works_again(&yard);
    let ours = ours.end().exits(0, &[]);
    queued.end().exits(0, &[]);
    yard.pgbackrest(&["--type=incr", "backup"]).exits(0, &[]);
    let listed = listed(&yard);
    assert_eq!(listed.len(), 7);
    assert!(listed.contains(&label(&ours).as_str().unwrap().to_owned()));
    assert!(!is_locked(&yard));
    yard.pgmayday(&["verify"]).exits(0, &[]);
}

#[test]
fn a_backup_whose_wal_does_not_arrive_is_none() {
    let Some(binaries) = installed("a_backup_whose_wal_does_not_arrive_is_none") else { return };
    let yard = ready(&binaries, "", "");
    hold_up(&yard);
    let begun = std::time::Instant::now();
    let late = yard
        .pgmayday(&["backup", "--type=full", "--archive-timeout=3"])
        .exits(1, &["did not arrive in repo1 within 3 s"]);
    assert!(begun.elapsed().as_secs() < 30, "it takes no longer than it may");
    let failed = yard.ask("select last_failed_wal from pg_stat_archiver");
    assert!(!failed.is_empty() && late.err.contains(&failed), "{failed}: {late}");
    assert!(!is_locked(&yard));
    let info = yard.pgmayday(&["info", "--output=json"]).exits(0, &[]).json();
    assert_eq!((&info[0]["backup"], &info[0]["status"]["code"]), (&Value::Array(Vec::new()), &2.into()));
    works_again(&yard);
    backup(&yard, &["--type=full"]);
    assert_eq!(listed(&yard).len(), 1);
}
