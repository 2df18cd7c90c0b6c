//! Backups whose relations come from a standby.

use crate::peer::{Peer, archive_command, restores};
use crate::tools::{Running, backup, manifest_files, place_of, ready, section, stored_text, wait_until};
use crate::workload::{SUM, change, fill};
use crate::yard::{Run, Yard, installed};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;

/// The options that name the standby in `pg2`.
fn second(yard: &Yard, pg2: &str) -> Vec<String> {
    vec![
        format!("--pg2-path={}", yard.text(pg2)),
        format!("--pg2-socket-path={}", yard.text("run")),
        "--pg2-port=5434".to_owned(),
        "--pg2-user=postgres".to_owned(),
    ]
}

fn from_standby(yard: &Yard, words: &[&str]) -> Value {
    let more = second(yard, "pg2");
    let words: Vec<&str> =
        words.iter().copied().chain(["--backup-standby=y"]).chain(more.iter().map(String::as_str)).collect();
    backup(yard, &words)
}

fn ask_standby(yard: &Yard, sql: &str) -> String {
    let mut psql = crate::peer::psql(yard);
    Run::of(psql.args(["-p", "5434", "-c", sql])).exits(0, &[]).out.trim_end().to_owned()
}

/// A standby in `pg2` that follows the yard's cluster.
fn follow(yard: &Yard, more: &str) {
    yard.standby("pg2");
    settings(yard, more);
    yard.start("pg2");
    catch_up(yard);
}

fn settings(yard: &Yard, more: &str) {
    yard.settings("pg2", &archive_command(yard), &format!("port = 5434\n{more}"));
}

fn catch_up(yard: &Yard) {
    let now = yard.ask("select pg_current_wal_lsn()");
    wait_until("the standby", || {
        ask_standby(yard, &format!("select pg_last_wal_replay_lsn() >= '{now}'")) == "t"
    });
}

#[test]
fn relations_come_from_the_standby() {
    let Some(binaries) = installed("relations_come_from_the_standby") else { return };
    let yard = ready(&binaries, "", "compress-type=none\n");
    fill(&yard);
    yard.ask("create table cold as select g id, 0 n from generate_series(1, 3000) g");
    yard.ask("checkpoint");
    let refused =
        yard.pgmayday(&["backup", "--type=full", "--backup-standby=y"]).exits(1, &["no standby answers"]);
    assert!(refused.err.contains("prefer"), "{refused}");
    follow(&yard, "");

    // A page that is damaged on the primary's disk is whole on the standby's.
    let cold = place_of(&yard, "cold");
    let file = OpenOptions::new().read(true).write(true).open(yard.path("pg").join(&cold)).unwrap();
    let mut byte = [0; 1];
    file.read_exact_at(&mut byte, 3 * 8192 + 5000).unwrap();
    file.write_all_at(&[byte[0] ^ 4], 3 * 8192 + 5000).unwrap();
    let full = from_standby(&yard, &["--type=full"]);
    assert_eq!(full["page_errors"].as_array().unwrap().len(), 0);
    let label = full["label"].as_str().unwrap();
    let option = section(&stored_text(&yard, &format!("{label}/backup.manifest")), "backup:option");
    assert_eq!(option["option-backup-standby"], true);
    change(&yard, 1);
    let sum = yard.ask(SUM);
    from_standby(&yard, &["--type=incr"]);
    yard.pgmayday(&["verify"]).exits(0, &[]);
    let both = format!("select ({SUM}) || ' ' || (select count(*) || ' ' || sum(id) from cold)");
    let expected = format!("{sum} {}", ask_standby(&yard, "select count(*) || ' ' || sum(id) from cold"));
    restores(&yard, &binaries, None, "ours", &both, &expected);
    restores(&yard, &binaries, Some(&Peer::installed()), "theirs", &both, &expected);
    let preferred: Vec<String> =
        second(&yard, "pg2").into_iter().chain(["--backup-standby=prefer".to_owned()]).collect();
    let words: Vec<&str> = preferred.iter().map(String::as_str).collect();
    assert_eq!(backup(&yard, &words)["page_errors"].as_array().unwrap().len(), 0);

    // From the primary the damage is told.
    let told = yard.pgmayday(&["backup", "--type=full", "--output=json"]).exits(4, &[]).json();
    assert_eq!(told["page_errors"][0]["file"], format!("pg_data/{cold}"));
    yard.stop("pg2");
    let alone = yard.pgmayday(&[&["backup", "--output=json"], &words[..]].concat()).exits(4, &[]).json();
    assert!(
        alone["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|text| text.as_str().unwrap().contains("no standby answers")),
        "{alone}"
    );

    // A cluster that is none of this one's.
    yard.initdb("stranger");
    fs::rename(yard.path("pg2"), yard.path("gone")).unwrap();
    fs::rename(yard.path("stranger"), yard.path("pg2")).unwrap();
    settings(&yard, "max_connections = 100");
    fs::write(yard.path("pg2/standby.signal"), "").unwrap();
    yard.give(&yard.path("pg2/standby.signal"));
    yard.start("pg2");
    let require = [&["backup", "--backup-standby=y"], &words[..4]].concat();
    let stranger = yard.pgmayday(&require).exits(1, &["is of another cluster"]);
    assert!(
        stranger.err.contains(&yard.ask("select system_identifier from pg_control_system()")),
        "{stranger}"
    );
}

/// What the primary writes while a backup begins has reached its files when they are listed, but not the standby's when
/// they are copied. The backup's own WAL makes up for that; the next backup must not build on it.
#[test]
fn what_a_standby_lacked_is_in_the_next_backup() {
    let Some(binaries) = installed("what_a_standby_lacked_is_in_the_next_backup") else { return };
    let yard = ready(&binaries, "", "compress-type=none\n[global:backup]\narchive-timeout=60\n");
    fill(&yard);
    yard.ask("create table late as select g id, 0 n from generate_series(1, 500) g");
    follow(&yard, "");
    let words: Vec<String> =
        second(&yard, "pg2").into_iter().chain(["--backup-standby=y".to_owned()]).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();

    // The archiver waits, and with it the backup, after its start and before it lists the files.
    let gate = yard.text("gate");
    let gated = format!("while test ! -e {gate}; do sleep 0.1; done; {}", archive_command(&yard));
    yard.settings("pg", &gated, "");
    crate::tools::reload(&yard, "archive_command", &gated);
    yard.ask(
        "insert into ledger (note) values ('a segment that must be archived before anything is copied')",
    );
    let mut running =
        Running::pgmayday(&yard, &[&["backup", "--type=full", "--output=json"], &words[..]].concat());
    let started = "select count(*) from pg_stat_activity where query ~ 'pg_backup_start' and state = 'idle' and pid <> pg_backend_pid()";
    wait_until("the start of the backup", || running.has_ended() || yard.ask(started) == "1");
    assert!(!running.has_ended(), "it has not waited: {}", running.end());
    let begun = yard.ask("select redo_lsn from pg_control_checkpoint()");
    wait_until("the standby's restart point", || {
        ask_standby(&yard, &format!("select redo_lsn >= '{begun}' from pg_control_checkpoint()")) == "t"
    });
    settings(&yard, "recovery_min_apply_delay = '1h'");
    ask_standby(&yard, "select pg_reload_conf()");
    wait_until("the delay", || ask_standby(&yard, "show recovery_min_apply_delay") == "1h");
    yard.ask("insert into ledger (note) values ('the commit the standby waits at')");
    yard.ask("update late set n = 1");
    yard.ask("checkpoint");
    let sum = yard.ask("select sum(n) from late");
    fs::write(&gate, "").unwrap();
    let full = running.end().exits(0, &[]).json();
    assert_eq!(ask_standby(&yard, "select sum(n) from late"), "0", "the standby was behind all the time");
    restores(&yard, &binaries, None, "full", "select sum(n) from late", &sum);

    settings(&yard, "");
    ask_standby(&yard, "select pg_reload_conf()");
    catch_up(&yard);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let incr = from_standby(&yard, &["--type=incr"]);
    assert_eq!(incr["prior"], full["label"]);
    restores(&yard, &binaries, None, "incr", "select sum(n) from late", &sum);
    let files = manifest_files(&yard, incr["label"].as_str().unwrap());
    assert!(files[&format!("pg_data/{}", place_of(&yard, "late"))].get("reference").is_none());
}
