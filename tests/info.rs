//! `info` against what pgBackRest printed for every fixture, against the installed pgBackRest, and on damage.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the program and pgBackRest are what is tested")]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::{ALL, Fixture};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    let cipher = second.cipher_pass.as_ref();
    let cipher = cipher.map(|pass| format!("repo2-cipher-type=aes-256-cbc\nrepo2-cipher-pass={pass}\n"));
    let path = second.repo();
    let more = format!("[global]\nrepo2-path={}\n{}", path.display(), cipher.unwrap_or_default());
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

/// Code and first line of the message of the first stanza's only repository.
fn repo_state(document: &Value) -> (u64, String) {
    let status = &document[0]["repo"][0]["status"];
    let message = status["message"].as_str().unwrap();
    (status["code"].as_u64().unwrap(), message.lines().next().unwrap_or_default().to_owned())
}

/// The name of pgBackRest's error in front of a message.
fn error_name(message: &str) -> &str {
    message.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or("", |(name, _)| name)
}

/// What was done to a repository, the state that must follow, and how it is done.
type Case = (&'static str, u64, fn(&Path));

#[test]
fn damage_is_a_state_and_never_a_failure() {
    let cases: [Case; 9] = [
        ("a sound copy", 0, |repo| {
            fs::write(repo.join("backup/main/backup.info"), "[backrest]\nx").unwrap();
        }),
        ("no archive.info but its copy", 0, |repo| {
            fs::remove_file(repo.join("archive/main/archive.info")).unwrap();
        }),
        ("both copies cut", 99, |repo| {
            for name in ["backup.info", "backup.info.copy"] {
                let path = repo.join("backup/main").join(name);
                let text = fs::read_to_string(&path).unwrap();
                fs::write(&path, &text[..text.len() - 100]).unwrap();
            }
        }),
        ("both checksums wrong", 99, |repo| {
            for name in ["backup.info", "backup.info.copy"] {
                let path = repo.join("backup/main").join(name);
                let text = fs::read_to_string(&path)
                    .unwrap()
                    .replace("db-control-version=1300", "db-control-version=1301");
                fs::write(&path, text).unwrap();
            }
        }),
        ("no backup.info", 3, |repo| {
            fs::remove_file(repo.join("backup/main/backup.info")).unwrap();
            fs::remove_file(repo.join("backup/main/backup.info.copy")).unwrap();
        }),
        ("no archive.info", 99, |repo| {
            fs::remove_file(repo.join("archive/main/archive.info")).unwrap();
            fs::remove_file(repo.join("archive/main/archive.info.copy")).unwrap();
        }),
        ("another cluster's archive.info", 99, |repo| {
            let other = Fixture::open("a4-gz");
            let text = fs::read(other.repo().join("archive/demo/archive.info")).unwrap();
            fs::write(repo.join("archive/main/archive.info"), &text).unwrap();
            fs::write(repo.join("archive/main/archive.info.copy"), &text).unwrap();
        }),
        ("no stanza", 1, |repo| fs::rename(repo.join("backup/main"), repo.join("elsewhere")).unwrap()),
        ("no repository", 1, |repo| fs::rename(repo, repo.with_extension("away")).unwrap()),
    ];
    for (what, code, damage) in cases {
        let fixture = Fixture::open("a1-plain-none");
        let config = fixture.config(&fixture.path("pg"));
        damage(&fixture.repo());
        let mine = ours_json(&config, &["--stanza=main"]);
        let (mine_code, message) = repo_state(&mine);
        assert_eq!(mine_code, code, "{what}: {message}");
        assert!(
            !ours(&config, &["info"]).is_empty() && !ours(&config, &["info", "--stanza=main"]).is_empty()
        );
        let Some(pgbackrest) = pgbackrest() else { continue };
        let args = ["--stanza=main", "info", "--output=json", "--log-level-console=off"];
        let theirs: Value = serde_json::from_str(&run(&pgbackrest, &config, &args)).unwrap();
        let (theirs_code, theirs_message) = repo_state(&theirs);
        assert_eq!((mine_code, error_name(&message)), (theirs_code, error_name(&theirs_message)), "{what}");
        assert_eq!(mine[0]["status"]["message"], theirs[0]["status"]["message"], "{what}");
        for part in ["db", "archive", "backup", "cipher", "name"] {
            let expected = &without_newer_keys(theirs.clone())[0][part];
            assert_eq!(&without_newer_keys(mine.clone())[0][part], expected, "{what}: {part}");
        }
    }
}

#[test]
fn an_unusual_passphrase_is_told_as_such() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let config = fixture.config(&fixture.path("pg"));
    let text = fs::read_to_string(&config).unwrap();
    let with = |line: &str| {
        fs::write(&config, text.replace("repo1-cipher-pass=dev-fixture-a2-pass", line)).unwrap();
        repo_state(&ours_json(&config, &[]))
    };
    let (code, message) = with("repo1-cipher-pass=another");
    assert!(code == 99 && message.contains("wrong passphrase, or"), "{message}");
    let plain = text.replace("repo1-cipher-pass=dev-fixture-a2-pass\n", "").replace("=aes-256-cbc", "=none");
    fs::write(&config, plain).unwrap();
    let (code, message) = repo_state(&ours_json(&config, &[]));
    assert!(code == 99 && message.contains("is encrypted, but no passphrase"), "{message}");
    let fixture = Fixture::open("a1-plain-none");
    let config = fixture.config(&fixture.path("pg"));
    let cipher = "[global]\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=x";
    fs::write(&config, fs::read_to_string(&config).unwrap().replace("[global]", cipher)).unwrap();
    let (code, message) = repo_state(&ours_json(&config, &[]));
    assert!(code == 99 && message.contains("is not encrypted, but a passphrase"), "{message}");
}

#[test]
fn running_work_is_shown_while_its_lock_is_held() {
    let fixture = Fixture::open("a1-plain-none");
    let config = fixture.config(&fixture.path("pg"));
    let hold = |name: &str, content: &str| {
        let path = fixture.path("lock").join(name);
        fs::write(&path, content).unwrap();
        let file = fs::File::open(&path).unwrap();
        file.try_lock().unwrap();
        file
    };
    let status = |args: &[&str]| ours_json(&config, args)[0]["status"]["lock"].clone();
    let line = || ours(&config, &["info"]).lines().nth(1).unwrap().to_owned();
    let lock = hold(
        "main-backup-1.lock",
        r#"{"execId":"1-00000000","pctCplt":9730,"pid":1,"sz":1000,"szCplt":973}"#,
    );
    let repo = json!([{ "key": 1, "size": 1000, "size-cplt": 973 }]);
    let running = json!({ "held": true, "repo": repo, "size": 1000, "size-cplt": 973 });
    assert_eq!(status(&[]), json!({ "backup": running, "restore": { "held": false } }));
    assert_eq!(line(), "    status: ok (backup/expire running - 97.30% complete)");
    let restore = hold("main-restore-1.lock", r#"{"execId":"1-00000000","pid":1}"#);
    assert_eq!(line(), "    status: ok (backup/expire running - 97.30% complete, restore running)");
    let progress = ours_json(&config, &["--detail-level=progress"]);
    let keys: Vec<_> = progress[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        (keys, &progress[0]["status"]["lock"]["restore"]["held"]),
        (vec!["name", "status"], &json!(true))
    );
    drop((lock, restore));
    assert_eq!(line(), "    status: ok");
    let old = hold("main-backup.lock", r#"{"execId":"1-00000000","pctCplt":1234,"pid":1}"#);
    assert_eq!(line(), "    status: ok (backup/expire running - 12.34% complete)");
    assert_eq!(status(&[])["backup"], json!({ "held": true }));
    if let Some(pgbackrest) = pgbackrest() {
        let theirs = run(&pgbackrest, &config, &["info"]);
        assert_eq!(theirs.lines().nth(1), Some(line().as_str()));
    }
    drop(old);
}

#[test]
fn one_set_is_shown_with_its_details() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let config = fixture.config(&fixture.path("pg"));
    let args = ["info", "--stanza=orders", "--set=20261121-010647F_20261121-010702D"];
    let mine = ours(&config, &args);
    assert!(mine.contains("            tablespaces:\n                hot (16384) => /srv/"), "{mine}");
    if let Some(pgbackrest) = pgbackrest() {
        // 2.45 leaves out the zone of times.
        let theirs = run(&pgbackrest, &config, &args);
        assert_eq!(mine.replace("+00 /", " /").replace("+00\n", "\n"), theirs);
    }
    for set in ["20261121-010647F_20261121-010703D", "bogus", "../x"] {
        let absent = ours(&config, &["info", "--stanza=orders", &format!("--set={set}")]);
        let expected =
            "stanza: orders\n    status: error (requested backup not found)\n    cipher: aes-256-cbc\n";
        assert_eq!(absent, expected);
    }
    let full = ours_json(&config, &["--type=full"]);
    assert_eq!(full[0]["backup"].as_array().unwrap().len(), 1);
}

#[test]
fn several_repositories_are_merged() {
    let (first, second) = (Fixture::open("a4-gz"), Fixture::open("a4-lz4"));
    let config = two_repositories(&first, &second);
    let text = ours(&config, &["info"]);
    let states = "    status: error (database mismatch across repos)\n        repo1: ok\n        repo2: ok\n    cipher: none\n";
    assert!(text.contains(states), "{text}");
    fs::write(second.repo().join("backup/demo/backup.info"), "x").unwrap();
    fs::write(second.repo().join("backup/demo/backup.info.copy"), "x").unwrap();
    let text = ours(&config, &["info"]);
    let states =
        "    status: mixed\n        repo1: ok\n        repo2: error (other)\n               [FormatError] ";
    assert!(text.contains(states), "{text}");
    assert!(
        text.contains("full backup: ") && text.contains("            repo1: backup set size: "),
        "{text}"
    );
}

#[test]
fn ranges_and_gaps_of_archived_wal() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let config = fixture.config(&fixture.path("pg"));
    assert_eq!(ours(&config, &["wal", "gaps"]), "no gaps\n");
    let folder = fixture.repo().join("archive/orders/15-1/0000000100000000");
    let names =
        || fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let lost = |segment: &str| names().find(|name| name.starts_with(&format!("{segment}-"))).unwrap();
    fs::remove_file(folder.join(lost("00000001000000000000000B"))).unwrap();
    fs::remove_file(folder.join(lost("00000001000000000000000C"))).unwrap();
    let twice = format!("00000001000000000000000E-{}.zst", "0".repeat(40));
    fs::write(folder.join(twice), "x").unwrap();
    let ranges: Value = serde_json::from_str(&ours(&config, &["wal", "ranges", "--output=json"])).unwrap();
    assert_eq!(ranges["schema"], "pgmayday.wal-ranges/1");
    let archive = &ranges["archives"][0];
    assert_eq!(
        (&archive["segment_bytes"], &archive["segment_size_assumed"]),
        (&json!(1 << 20), &json!(false))
    );
    let found: Vec<_> =
        archive["ranges"].as_array().unwrap().iter().map(|r| r["segments"].as_u64().unwrap()).collect();
    assert_eq!(found, [3, 4, 5]);
    let gap = &archive["gaps"][0];
    assert_eq!((&gap["first"], &gap["segments"]), (&json!("00000001000000000000000B"), &json!(2)));
    assert_eq!((&gap["start_lsn"], &gap["end_lsn"]), (&json!("0/B00000"), &json!("0/D00000")));
    assert_eq!(archive["conflicts"], json!(["00000001000000000000000E"]));
    let text = ours(&config, &["wal", "gaps", "--stanza=orders"]);
    assert!(
        text.starts_with(
            "stanza orders, repo1, archive 15-1 (segments of 1.0 MB)\n    missing: timeline 1: "
        ),
        "{text}"
    );
}

/// Encrypts as `openssl enc` does, which is the format of info files.
fn encrypted(plain: &str, passphrase: &str) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(["enc", "-aes-256-cbc", "-md", "sha1", "-k", passphrase]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(plain.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn a_variable_as_passphrase_is_first_taken_literally() {
    let fixture = Fixture::open("a2-zst-aes-bundle");
    let config = fixture.config(&fixture.path("pg"));
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("dev-fixture-a2-pass", "${FX_PASS}")).unwrap();
    let info = |value: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgmayday"));
        command.arg(format!("--config={}", config.display())).args(["info", "--output=json"]).env_clear();
        command.envs(value.map(|value| ("FX_PASS", value)));
        let output = command.output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        (repo_state(&document).0, String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(info(None).0, 99);
    assert_eq!(info(Some("wrong")).0, 99);
    let (code, said) = info(Some("dev-fixture-a2-pass"));
    assert!(code == 0 && !said.contains("literal"), "{said}");
    // The same repository made by somebody who believed that the variable would be expanded.
    for below in ["archive/orders/archive.info", "backup/orders/backup.info"] {
        let sealed = encrypted(&fixture.expected(&format!("plain/{below}")), "${FX_PASS}");
        fs::write(fixture.repo().join(below), &sealed).unwrap();
        fs::write(fixture.repo().join(format!("{below}.copy")), &sealed).unwrap();
    }
    let (code, said) = info(Some("dev-fixture-a2-pass"));
    assert!(code == 0 && said.contains("is the literal text ${FX_PASS}"), "{said}");
    assert!(!said.contains("dev-fixture"), "a value of the environment is shown");
}
