//! `repo-ls` and `repo-get` against the installed pgBackRest, byte for byte.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the program and pgBackRest are what is tested")]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::Fixture;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(program: &Path, config: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.arg(format!("--config={}", config.display())).args(args).arg("--log-level-console=off");
    command.env_clear().env("TZ", "UTC").output().unwrap()
}

fn ours(config: &Path, args: &[&str]) -> Output {
    run(Path::new(env!("CARGO_BIN_EXE_pgmayday")), config, args)
}

fn pgbackrest() -> Option<PathBuf> {
    let found = PathBuf::from("/usr/bin/pgbackrest");
    let required = std::env::var_os("REQUIRE_SERVERS").is_some();
    assert!(found.exists() || !required, "pgBackRest is not installed");
    found.exists().then_some(found)
}

#[test]
fn listings_are_those_of_pgbackrest() {
    let Some(pgbackrest) = pgbackrest() else { return };
    let fixture = Fixture::open("a5-upgrade");
    let config = fixture.config(&fixture.path("pg"));
    fs::write(fixture.repo().join("we\"ird\nname é"), "x").unwrap();
    let absolute = fixture.repo().join("backup/app");
    let absolute = absolute.to_str().unwrap();
    let lists: &[&[&str]] = &[
        &[],
        &["archive"],
        &["archive/"],
        &["."],
        &["backup/app"],
        &["backup/app/backup.info"],
        &["backup/app/latest"],
        &["nowhere"],
        &[absolute],
        &["--recurse"],
        &["--recurse", "--sort=desc", "archive"],
        &["--sort=desc", "backup/app"],
        &["--sort=none", "backup/app"],
        &["--filter=F$", "backup/app"],
        &["--recurse", "--filter=\\.info"],
        &["--recurse", "--filter=^app/.*/PG_VERSION", "backup"],
        &["--filter=^/", "backup/app/backup.info"],
        &["--filter=^backup.info", "backup/app/backup.info"],
    ];
    for args in lists {
        for output in ["--output=text", "--output=json"] {
            let args = [&["repo-ls", output], *args].concat();
            let (mine, theirs) = (ours(&config, &args), run(&pgbackrest, &config, &args));
            assert!(mine.status.success() && theirs.status.success(), "{args:?}");
            let shown = String::from_utf8_lossy(&mine.stdout);
            assert!(
                mine.stdout == theirs.stdout,
                "{args:?}\n{shown}\n{}",
                String::from_utf8_lossy(&theirs.stdout)
            );
        }
    }
    for args in [&["/etc"][..], &["a", "b"], &["--filter=("], &["../x"], &["a//b"]] {
        let mine = ours(&config, &[&["repo-ls"], args].concat());
        assert_eq!((mine.status.code(), mine.stdout.is_empty()), (Some(2), true), "{args:?}");
    }
}

#[test]
fn files_come_out_as_from_pgbackrest() {
    let Some(pgbackrest) = pgbackrest() else { return };
    for name in ["a1-plain-none", "a2-zst-aes-bundle"] {
        let fixture = Fixture::open(name);
        let config = fixture.config(&fixture.path("pg"));
        let listed = ours(&config, &["repo-ls", "--recurse", "--output=json"]);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        let files = listed.as_object().unwrap().iter().filter(|(_, meta)| meta["type"] == "file");
        let files = files.map(|(path, _)| path.as_str()).filter(|path| !path.contains("/base/"));
        let mut seen = 0;
        for file in files {
            let raw = ours(&config, &["repo-get", "--raw", file]);
            assert!(raw.stdout == fs::read(fixture.repo().join(file)).unwrap(), "{file}");
            let mine = ours(&config, &["repo-get", file]);
            if name.starts_with("a2") && file.contains("/bundle/") {
                assert_eq!((mine.status.code(), mine.stdout.is_empty()), (Some(2), true), "{file}");
                continue;
            }
            let theirs = run(&pgbackrest, &config, &["repo-get", file]);
            assert!(mine.status.success() && theirs.status.success(), "{file}");
            assert!(mine.stdout == theirs.stdout, "{file}");
            seen += 1;
        }
        assert!(seen > 20, "{name}: {seen}");
    }
}

#[test]
fn what_cannot_be_handed_out_is_an_error() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let config = fixture.config(&fixture.path("pg"));
    let code = |args: &[&str]| {
        let output = ours(&config, &[&["repo-get"], args].concat());
        assert!(output.stdout.is_empty(), "{args:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    };
    assert_eq!(code(&["--ignore-missing", "archive/orders/x"]), (1, String::new()));
    assert_eq!(code(&["archive/orders/x"]).0, 4);
    assert_eq!(code(&[]).0, 2);
    assert_eq!(code(&["/etc/passwd"]).0, 2);
    assert_eq!(code(&["../pgbackrest.conf"]).0, 2);
    assert_eq!(code(&["backup"]).0, 5);
    let info = "archive/orders/archive.info";
    assert!(code(&["--stanza=other", info]).1.contains("does not belong to stanza 'other'"));
    fs::write(fixture.repo().join("x"), "x").unwrap();
    assert!(code(&["x"]).1.contains("no passphrase the format knows of"));
    let path = fixture.repo().join(info);
    let mut stored = fs::read(&path).unwrap();
    let last = stored.len() - 1;
    stored[last] ^= 1;
    fs::write(&path, stored).unwrap();
    let output = ours(&config, &["repo-get", info]);
    assert_eq!(output.status.code(), Some(4), "a damaged file must not look whole");
    fs::write(&path, "[backrest]\n").unwrap();
    assert!(code(&[info]).1.contains("not encrypted"));
}
