//! The command from outside: exit codes, text as pgBackRest prints it, JSON, several repositories, and the record.

use super::fixtures::{ALL, Fixture};
use super::{backup_path, labels, segments};
use pgmayday::base::state::StateDir;
use pgmayday::engine::verify::record::{Record, Verified};
use pgmayday::engine::verify::{BackupStatus, Depth};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Exit code, standard output and standard error of a run.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run_on(fixture: &Fixture, config: &Path, args: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_pgmayday"))
        .arg(format!("--config={}", config.display()))
        .arg(format!("--stanza={}", fixture.stanza))
        .args(["--log-level-console=warn", "verify"])
        .args(args)
        .env_clear()
        .env("PGMAYDAY_STATE", fixture.path("state"))
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn run(fixture: &Fixture, args: &[&str]) -> Run {
    run_on(fixture, &fixture.config(&fixture.path("pg")), args)
}

/// What real pgBackRest printed on standard output: everything from the first line that is not of its log.
fn printed(text: &str) -> &str {
    let at = text.find("\nstanza: ").unwrap();
    &text[at + 1..]
}

#[test]
fn sound_fixtures_are_shown_as_pgbackrest_shows_them() {
    for name in ALL {
        let fixture = Fixture::open(name);
        let shown = run(&fixture, &["--output=text", "--verbose"]);
        assert_eq!((shown.code, shown.err.as_str()), (Some(0), ""), "{name}");
        assert_eq!(
            shown.out.trim_end(),
            printed(&fixture.expected("verify.new.repo1.txt")).trim_end(),
            "{name}"
        );
    }
    let fixture = Fixture::open("a4-gz");
    for args in [&[][..], &["--output=none", "--verbose"], &["--output=text"], &["--depth=stored"]] {
        let quiet = run(&fixture, args);
        assert_eq!((quiet.code, &*quiet.out, &*quiet.err), (Some(0), "", ""), "{args:?}");
    }
}

#[test]
fn the_installed_pgbackrest_counts_the_same() {
    let pgbackrest = PathBuf::from("/usr/bin/pgbackrest");
    let required = std::env::var_os("REQUIRE_SERVERS").is_some();
    assert!(pgbackrest.exists() || !required, "pgBackRest is not installed");
    if !pgbackrest.exists() {
        return;
    }
    for name in ["a1-plain-none", "a2-zst-aes-bundle", "a4-bz2", "a4-gz", "a4-lz4"] {
        let fixture = Fixture::open(name);
        let config = fixture.config(&fixture.path("pg"));
        let theirs = || {
            let output = Command::new(&pgbackrest)
                .arg(format!("--config={}", config.display()))
                .arg(format!("--stanza={}", fixture.stanza))
                .args(["--log-level-console=off", "verify", "--output=text", "--verbose"])
                .env_clear()
                .output()
                .unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let ours = run(&fixture, &["--output=text", "--verbose"]).out;
        assert_eq!(ours.trim_end(), theirs().trim_end(), "{name}");
        // A file of a backup is gone, and a segment is other than its name.
        let (file, _) = super::files_below(&backup_path(&fixture, labels(&fixture)[0].as_str()))
            .into_iter()
            .find(|(name, _)| name.starts_with("pg_data/base/") || name.starts_with("bundle/"))
            .unwrap();
        fs::remove_file(backup_path(&fixture, &format!("{}/{file}", labels(&fixture)[0]))).unwrap();
        if name == "a1-plain-none" {
            let (_, segment) = segments(&fixture).swap_remove(2);
            let mut content = fs::read(&segment).unwrap();
            content[77] ^= 1;
            fs::write(&segment, content).unwrap();
        }
        let ours = run(&fixture, &["--output=text", "--verbose"]);
        assert_eq!(ours.code, Some(4));
        // Ours tells more: a line for every finding.
        let told = ["    damage: ", "    note: "];
        let lines = ours.out.lines().filter(|line| !told.iter().any(|prefix| line.starts_with(prefix)));
        assert_eq!(lines.collect::<Vec<_>>(), theirs().trim_end().lines().collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn damage_is_exit_4_and_said_in_every_form() {
    let fixture = Fixture::open("a1-plain-none");
    let label = &labels(&fixture)[0];
    fs::remove_file(backup_path(&fixture, &format!("{label}/pg_data/base/1/1255"))).unwrap();
    let none = run(&fixture, &[]);
    assert_eq!((none.code, none.out.as_str()), (Some(4), ""));
    assert!(none.err.contains("status: invalid") && none.err.contains("base/1/1255"), "{}", none.err);
    let text = run(&fixture, &["--output=text"]);
    assert_eq!(text.code, Some(4));
    assert!(text.err.starts_with("warning: next: ") && text.err.lines().count() == 1, "{}", text.err);
    assert!(text.out.contains("status: error") && text.out.contains("    missing: 1\n"), "{}", text.out);
    assert!(!text.out.contains("archiveId"), "the archive is sound: {}", text.out);
    let json = run(&fixture, &["--output=json"]);
    assert_eq!(json.code, Some(4));
    let document: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&document["schema"], &document["stanza"]), (&"pgmayday.verify/1".into(), &"main".into()));
    let repo = &document["repos"][0];
    assert_eq!((&repo["repo"], &repo["status"]), (&1.into(), &"error".into()));
    let result = &repo["result"];
    assert_eq!((&result["archives"][0]["id"], &result["archives"][0]["valid"]), (&"15-1".into(), &7.into()));
    assert_eq!(result["backups"][0]["status"], "invalid");
    let finding = &result["backups"][0]["findings"]["list"][0];
    assert_eq!((&finding["level"], &finding["file"]), (&"damage".into(), &"pg_data/base/1/1255".into()));
    // Unreadable is not well either; a wrong key, a set that is not there and a strange word are told before.
    let other = Fixture::open("a2-zst-aes-bundle");
    let config = other.config(&other.path("pg"));
    let wrong = fs::read_to_string(&config).unwrap().replace("dev-fixture-a2-pass", "wrong");
    fs::write(&config, wrong).unwrap();
    let refused = run_on(&other, &config, &[]);
    assert!(refused.code == Some(2) && refused.err.contains("passphrase is wrong"), "{}", refused.err);
    let absent = run(&fixture, &["--set=20200101-000000F"]);
    assert!(absent.code == Some(1) && absent.err.contains("20200101-000000F"), "{}", absent.err);
    assert_eq!(run(&fixture, &["--set=latest"]).code, Some(2));
    assert_eq!(run(&fixture, &["--depth=shallow"]).code, Some(2));
    let one = run(&fixture, &[&format!("--set={}", labels(&fixture)[1])]);
    assert_eq!(one.code, Some(4));
}

#[test]
fn one_repository_does_not_hide_the_other() {
    let (first, second) = (Fixture::open("a4-gz"), Fixture::open("a4-lz4"));
    let config = first.config(&first.path("pg"));
    let text = fs::read_to_string(&config).unwrap();
    let both = text.replace("[global]\n", &format!("[global]\nrepo2-path={}\n", second.repo().display()));
    fs::write(&config, both).unwrap();
    let whole = run_on(&first, &config, &["--output=text", "--verbose"]);
    assert_eq!(whole.code, Some(0), "{}", whole.out);
    assert!(whole.out.contains("repo: 1") && whole.out.contains("repo: 2"));
    let (_, segment) = segments(&second).swap_remove(1);
    fs::remove_file(segment).unwrap();
    assert_eq!(run_on(&first, &config, &[]).code, Some(4));
    assert_eq!(run_on(&first, &config, &["--repo=1"]).code, Some(0));
    fs::rename(second.repo(), second.path("away")).unwrap();
    let lost = run_on(&first, &config, &["--output=json"]);
    let document: Value = serde_json::from_str(&lost.out).unwrap();
    assert_eq!((lost.code, &document["repos"][0]["status"]), (Some(1), &"ok".into()));
    assert!(document["repos"][1]["failure"]["headline"].as_str().unwrap().contains("is not in"));
}

#[test]
fn what_came_out_is_kept() {
    let fixture = Fixture::open("a1-plain-none");
    let state = StateDir::at(fixture.path("state"));
    let all = labels(&fixture);
    let kept = || Record::read(&state, &fixture.stanza, 1).unwrap().unwrap();
    assert_eq!(run(&fixture, &["--depth=stored"]).code, Some(0));
    let record = kept();
    assert_eq!(record.last.as_ref().map(|run| (run.depth, run.damage)), Some((Depth::Stored, 0)));
    assert!(!record.backups.values().any(Verified::is_proven));
    let one = format!("--set={}", all[0]);
    assert_eq!(run(&fixture, &[&one]).code, Some(0));
    let proven: Vec<bool> = kept().backups.values().map(Verified::is_proven).collect();
    assert_eq!(proven, [true, false], "{record:?}");
    assert_eq!(run(&fixture, &[]).code, Some(0));
    assert!(kept().backups.values().all(Verified::is_proven));
    fs::remove_file(backup_path(&fixture, &format!("{}/pg_data/base/1/1255", all[0]))).unwrap();
    assert_eq!(run(&fixture, &["--depth=stored"]).code, Some(4));
    assert!(kept().backups.values().all(|backup| backup.status == BackupStatus::Invalid));
    assert_eq!(kept().last.map(|run| run.damage > 0), Some(true));
    // Without a place to keep it the result stands.
    let config = fixture.config(&fixture.path("pg"));
    fs::write(fixture.path("file"), "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pgmayday"))
        .arg(format!("--config={}", config.display()))
        .args([&format!("--stanza={}", fixture.stanza), "--log-level-console=warn", "verify", &one])
        .env_clear()
        .env("PGMAYDAY_STATE", fixture.path("file/below"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the result is not kept"));
}
