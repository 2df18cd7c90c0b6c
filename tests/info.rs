//! `info` against what pgBackRest printed for every fixture, against the installed pgBackRest, and on damage.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the program and pgBackRest are what is tested")]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::{ALL, Fixture};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a program on a configuration and returns its standard output; it must succeed.
fn run(program: &Path, config: &Path, args: &[&str]) -> String {
    let output = Command::new(program)
        .arg(format!("--config={}", config.display()))
        .args(args)
        .env_clear()
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {args:?}: {stderr}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

fn ours(config: &Path, args: &[&str]) -> String {
    run(Path::new(env!("CARGO_BIN_EXE_pgmayday")), config, args)
}

fn ours_json(config: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&ours(config, &[args, &["info", "--output=json"]].concat())).unwrap()
}

/// The installed pgBackRest, if there is one; it must be there where servers are required.
fn pgbackrest() -> Option<PathBuf> {
    let found = PathBuf::from("/usr/bin/pgbackrest");
    let required = std::env::var_os("REQUIRE_SERVERS").is_some();
    assert!(found.exists() || !required, "pgBackRest is not installed");
    found.exists().then_some(found)
}

/// Two repositories of one fixture under one configuration.
fn two_repositories(first: &Fixture, second: &Fixture) -> PathBuf {
    let config = first.config(&first.path("pg"));
    let text = fs::read_to_string(&config).unwrap();
    let mut more = format!("[global]\nrepo2-path={}\n", second.repo().display());
    if let Some(pass) = &second.cipher_pass {
        more.push_str("repo2-cipher-type=aes-256-cbc\nrepo2-cipher-pass=");
        more.push_str(pass);
        more.push('\n');
    }
    fs::write(&config, text.replace("[global]\n", &more)).unwrap();
    config
}

/// What this program knows more than 2.45 does.
fn without_newer_keys(mut document: Value) -> Value {
    for stanza in document.as_array_mut().unwrap() {
        stanza["status"]["lock"].as_object_mut().unwrap().remove("restore");
    }
    document
}

#[test]
fn every_fixture_is_shown_as_pgbackrest_shows_it() {
    for name in ALL {
        let fixture = Fixture::open(name);
        let config = fixture.config(&fixture.path("pg"));
        let expected: Value = serde_json::from_str(&fixture.expected("info.new.json")).unwrap();
        assert_eq!(ours_json(&config, &[]), expected, "{name}");
        assert_eq!(ours(&config, &["info"]), fixture.expected("info.new.txt"), "{name}");
        let sets = fixture.expected_names().into_iter().filter(|name| name.starts_with("info-set-"));
        for file in sets {
            let label = file[file.find("-1-").unwrap() + 3..file.len() - 5].to_owned();
            let args = [format!("--stanza={}", fixture.stanza), format!("--set={label}")];
            let args = [args[0].as_str(), args[1].as_str()];
            let expected: Value = serde_json::from_str(&fixture.expected(&file)).unwrap();
            assert_eq!(ours_json(&config, &args), expected, "{name} {label}");
        }
    }
}

#[test]
fn the_installed_pgbackrest_says_the_same() {
    let Some(pgbackrest) = pgbackrest() else { return };
    let theirs = |config: &Path, args: &[&str]| -> Value {
        let args = [args, &["info", "--output=json", "--log-level-console=off"]].concat();
        serde_json::from_str(&run(&pgbackrest, config, &args)).unwrap()
    };
    for name in ALL {
        let fixture = Fixture::open(name);
        if !fixture.expected_names().contains(&"info.old.json".to_owned()) {
            continue;
        }
        let config = fixture.config(&fixture.path("pg"));
        let expected = theirs(&config, &[]);
        assert_eq!(without_newer_keys(ours_json(&config, &[])), expected, "{name}");
        let absent = theirs(&config, &["--stanza=absent"]);
        assert_eq!(without_newer_keys(ours_json(&config, &["--stanza=absent"])), absent);
    }
    let (first, second) = (Fixture::open("a4-gz"), Fixture::open("a4-lz4"));
    let config = two_repositories(&first, &second);
    let (mine, expected) = (without_newer_keys(ours_json(&config, &[])), theirs(&config, &[]));
    assert_eq!(mine, expected);
    assert_eq!(mine[0]["status"]["code"], 5, "two clusters under one name");
    let one = without_newer_keys(ours_json(&config, &["--repo=2"]));
    assert_eq!(one, theirs(&config, &["--repo=2"]));
    let (first, second) = (Fixture::open("a2-zst-aes-bundle"), Fixture::open("a1-plain-none"));
    let config = two_repositories(&first, &second);
    let (mine, expected) = (without_newer_keys(ours_json(&config, &[])), theirs(&config, &[]));
    assert_eq!(mine, expected);
    assert_eq!((&mine[0]["cipher"], mine[0]["status"]["code"].as_u64()), (&json!("mixed"), Some(4)));
}
