//! Every recorded recovery, replayed by a real server of that version with our `archive-get`: the same rows, or, where
//! pgBackRest failed or lost some, a refusal before the first byte or the right rows by a better set.

use crate::common::fixture::{Fixture, Recovered, Rows};
use crate::common::servers::{self, Server, Settled};
use crate::common::{Case, stand_in};
use crate::restore::active_settings;
use std::fs;

/// Exit code for a target that cannot be reached.
const UNREACHABLE: i32 = 7;

#[test]
fn plain_and_uncompressed() {
    every_recovery("a1-plain-none", |_| true);
}

#[test]
fn two_timelines_by_set_and_timeline() {
    every_recovery("a2-zst-aes-bundle", |case| case.kind != "time");
}

#[test]
fn two_timelines_by_time() {
    every_recovery("a2-zst-aes-bundle", |case| case.kind == "time");
}

#[test]
fn block_incremental() {
    every_recovery("a3-block-incr", |_| true);
}

#[test]
fn gzip() {
    every_recovery("a4-gz", |_| true);
}

#[test]
fn lz4() {
    every_recovery("a4-lz4", |_| true);
}

#[test]
fn bzip2() {
    every_recovery("a4-bz2", |_| true);
}

#[test]
fn a_stanza_that_was_upgraded() {
    every_recovery("a5-upgrade", |_| true);
}

#[test]
fn postgresql_18_with_everything_on() {
    every_recovery("a6-pg18", |_| true);
}

#[test]
fn postgresql_17_gzip_bundles() {
    every_recovery("a7-pg17-gz", |_| true);
}

/// What must come of a case.
#[derive(Debug)]
enum Wanted {
    /// Exactly what was recorded.
    AsRecorded(Rows),
    /// The recorded failure was pgBackRest's: another set, or another rule, reaches these rows.
    Better(Rows),
    /// The recorded rows, but not without these words: the target time lies on another timeline.
    Warned(Rows, &'static [&'static str]),
    /// Refused, naming this nearest reachable target.
    Refused(&'static [&'static str]),
}

fn wanted(fixture: &Fixture, case: &Recovered<'_>) -> Wanted {
    match (fixture.name.as_str(), case.id.trim_end_matches(".new")) {
        // In the same second as the backup's end, but before the first commit after it.
        ("a1-plain-none", "time-equal-to-stop-second") => Wanted::Better(fixture.rows_at("m1")),
        ("a1-plain-none", "time-too-late") => Wanted::Refused(&["2026-11-21 01:06:10.890369"]),
        ("a1-plain-none", "name-unknown") => Wanted::Refused(&["no-such-point", "before-cleanup"]),
        ("a1-plain-none", "time-before-any-backup") => Wanted::Refused(&["2026-11-21 01:06:0"]),
        // The newest set before that time stands on the branch that was left.
        ("a2-zst-aes-bundle", "time-after-m5") => Wanted::Better(fixture.rows_at("m5")),
        ("a2-zst-aes-bundle", "diff-tl1-set-latest") => Wanted::Refused(&["timeline"]),
        ("a2-zst-aes-bundle", "time-after-m3-latest") => {
            Wanted::Warned(case.outcome.clone().unwrap(), &["timeline 1"])
        }
        _ => Wanted::AsRecorded(
            case.outcome.clone().unwrap_or_else(|| panic!("{}: decide what must come of it", case.id)),
        ),
    }
}

fn every_recovery(name: &str, chosen: impl Fn(&Recovered<'_>) -> bool) {
    let fixture = Fixture::load(name);
    let mut failures = Vec::new();
    for case in fixture.recoveries().iter().filter(|case| chosen(case)) {
        // One failing case must not hide the others.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| one(&fixture, case)));
        if outcome.is_err() {
            failures.push(case.id);
        }
    }
    assert!(failures.is_empty(), "{name}: {failures:?} failed; see above");
}

fn one(fixture: &Fixture, recorded: &Recovered<'_>) {
    let name = format!("{}/{}", fixture.name, recorded.id);
    let case = Case::new(fixture);
    let run = case.restore(&options(recorded));
    let rows = match wanted(fixture, recorded) {
        Wanted::Refused(words) => {
            let run = run.refused(&[UNREACHABLE]).says(words);
            case.assert_untouched(&run);
            return;
        }
        _ if stand_in() && recorded.outcome.is_none() => return,
        Wanted::Warned(rows, words) => {
            run.ok().says(words);
            rows
        }
        Wanted::AsRecorded(rows) | Wanted::Better(rows) => {
            run.ok();
            rows
        }
    };
    assert_settings(&case, recorded);
    let major = fs::read_to_string(case.pgdata().join("PG_VERSION")).unwrap();
    let Some(bin) = servers::postgres(major.trim(), &name) else { return };
    let mut server = Server::start(&bin, &case.pgdata(), &[]);
    assert_eq!(server.settle(), Settled::Writable, "{name}\n{}", server.log());
    assert_eq!(server.ledger(), rows, "{name}\n{}", server.log());
    if recorded.timeline_after > 0 {
        assert_eq!(server.timeline(), recorded.timeline_after, "{name}\n{}", server.log());
    }
    eprintln!("{name}: {} rows", rows.count);
}

/// The options of the recorded run; all were made with archiving off and promotion at the target.
fn options(recorded: &Recovered<'_>) -> Vec<String> {
    let mut options = vec![format!("--type={}", recorded.kind), "--archive-mode=off".to_owned()];
    if recorded.kind != "default" {
        options.push("--target-action=promote".to_owned());
    }
    options.extend(recorded.target.map(|target| format!("--target={target}")));
    options.extend(recorded.set.map(|set| format!("--set={set}")));
    options.extend(recorded.options.iter().map(|&option| option.to_owned()));
    options
}

/// The recovery settings in force are the recorded ones and a `restore_command` of our own.
fn assert_settings(case: &Case, recorded: &Recovered<'_>) {
    let mut active = active_settings(&case.pgdata());
    let command = active.remove("restore_command").expect("a restore_command");
    assert!(command.contains("archive-get") && command.contains("%f") && command.contains("%p"), "{command}");
    if !recorded.settings.is_empty() {
        let wanted = recorded.settings.iter().map(|line| line.split_once('=').unwrap());
        let wanted = wanted.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect();
        assert_eq!(active, wanted, "{}", recorded.id);
    }
    assert!(case.pgdata().join("recovery.signal").exists());
}
