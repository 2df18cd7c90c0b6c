//! Repositories made to do harm: nothing is written outside the target, nothing exhausts the machine, and the error
//! says what is wrong. Every manifest here carries a right checksum; only its content lies.

use crate::common::edit::{self, Draft};
use crate::common::fixture::Fixture;
use crate::common::{Case, Run, give, stand_in, tree};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PLAIN_FULL: &str = "20261121-010559F";
const FILE: &str = "target:file";

/// Guard or damage; a manifest that contradicts itself may also be called wrong input.
const REFUSED: &[i32] = &[2, 3, 4];

/// A plain repository of one full backup whose manifest was changed; with a folder beside the target to be spared.
struct Trap {
    fixture: Fixture,
    case: Case,
    draft: Draft,
}

impl Trap {
    fn new() -> Self {
        Self::of("a1-plain-none", PLAIN_FULL)
    }

    fn of(fixture: &str, label: &str) -> Self {
        let fixture = Fixture::load(fixture);
        let case = Case::on_copy(&fixture);
        for folder in ["outside", "restore/beside"] {
            edit::put(&case.path(folder).join("canary"), b"untouched");
        }
        give(case.home());
        let draft = Draft::manifest(&fixture, label);
        Self { fixture, case, draft }
    }

    /// Adds a file entry with the content of an existing stored file.
    fn file(mut self, name: &str) -> Self {
        let value = self.draft.value(FILE, "pg_data/PG_VERSION").to_string();
        self.draft.set(FILE, name, &value);
        self
    }

    fn spring(&self, options: &[&str]) -> Run {
        self.draft.install(&self.case, PLAIN_FULL);
        self.restore(PLAIN_FULL, options)
    }

    /// Restores and compares everything outside the data directory with what it was.
    fn restore(&self, label: &str, options: &[&str]) -> Run {
        let before = self.surroundings();
        self.case.fresh();
        let mut command = self.case.command("restore");
        // As in production: some tablespace and link options are given, none of them leads to the trap.
        command.args(["--type=none", &format!("--set={label}")]).args(options);
        let begun = Instant::now();
        let run = Run::of(&mut command);
        assert!(begun.elapsed() < Duration::from_secs(60), "it takes {:?}\n{run}", begun.elapsed());
        assert_eq!(before, self.surroundings(), "it wrote outside the target\n{run}");
        assert!(!run.text().contains('\u{1b}'), "control characters of the repository reach the terminal");
        assert!(
            run.text().len() < 8 << 10 || stand_in(),
            "{} bytes are said: nobody reads that",
            run.text().len()
        );
        run
    }

    fn surroundings(&self) -> tree::Tree {
        let mut all = tree::list_all(self.case.home());
        let own = ["repo", "restore/pgdata", "state", "log", "lock", "spool"];
        all.retain(|path, _| !own.iter().any(|own| path == own || path.starts_with(&format!("{own}/"))));
        all
    }

    #[track_caller]
    fn is_refused(&self, options: &[&str], words: &[&str]) {
        let run = self.spring(options).refused(REFUSED).says_any(words);
        self.case.assert_cannot_start(&run);
    }
}

#[test]
fn names_that_leave_the_target() {
    let outside = std::env::temp_dir().join(format!("pgmayday-hostile-{}", std::process::id()));
    let absolute = outside.to_str().unwrap();
    let names = [
        "pg_data/../../outside/canary".to_owned(),
        "pg_data/..".to_owned(),
        "pg_data/base/../../beside/new".to_owned(),
        "pg_data/./new".to_owned(),
        "pg_data//new".to_owned(),
        format!("pg_data/{absolute}"),
        absolute.to_owned(),
        "../outside/new".to_owned(),
        "outside/new".to_owned(),
        "pg_tblspc/../../outside/new".to_owned(),
        "pg_tblspc/99/PG_15_202209061/5/1".to_owned(),
        "pg_data".to_owned(),
        String::new(),
    ];
    for name in names {
        Trap::new().file(&name).is_refused(&[], &["name", "path", "folder"]);
        assert!(!outside.exists());
    }
    for name in
        ["pg_data/../../outside/new", "pg_data/..", absolute, "../outside", "pg_data//x", "pg_data/base/./x"]
    {
        let mut trap = Trap::new();
        trap.draft.set("target:path", name, "{}");
        trap.is_refused(&[], &["name", "path"]);
        assert!(!outside.exists());
    }
}

#[test]
fn a_file_that_is_also_a_folder() {
    Trap::new().file("pg_data/PG_VERSION/inside").is_refused(&[], &["PG_VERSION"]);
    Trap::new().file("pg_data/base").is_refused(&[], &["pg_data/base"]);
}

#[test]
fn files_that_stand_for_the_restores_own() {
    // A backup cannot contain these: they steer recovery, or mark the restore itself.
    for name in [
        "pg_data/global/pg_control.pgbackrest.tmp",
        "pg_data/backup.manifest",
        "pg_data/pgmayday.restore",
        "pg_data/postmaster.pid",
    ] {
        let trap = Trap::new().file(name);
        let run = trap.spring(&[]);
        let path = trap.case.pgdata().join(name.trim_start_matches("pg_data/"));
        assert!(run.code != Some(0) || !path.exists() || stand_in(), "{name} was planted\n{run}");
        if run.code == Some(0) {
            assert!(trap.case.pgdata().join("global/pg_control").exists(), "{run}");
        }
    }
}

/// A link, as the manifest describes it in two places.
fn link(draft: &mut Draft, name: &str, to: &str) {
    draft.set("backup:target", name, &json!({"path": to, "type": "link"}).to_string());
    draft.set("target:link", name, &json!({"destination": to}).to_string());
    draft.set("target:link:default", "group", "\"postgres\"").set(
        "target:link:default",
        "user",
        "\"postgres\"",
    );
    draft.set("target:path", name, "{}");
}

fn tablespace(draft: &mut Draft, oid: &str, to: &str) {
    let target =
        json!({"path": to, "tablespace-id": oid, "tablespace-name": format!("ts{oid}"), "type": "link"});
    let name = format!("pg_tblspc/{oid}");
    draft.set("backup:target", &name, &target.to_string());
    draft.set("target:link", &format!("pg_data/{name}"), &json!({"destination": to}).to_string());
    draft.set("target:link:default", "group", "\"postgres\"").set(
        "target:link:default",
        "user",
        "\"postgres\"",
    );
    for path in [name.clone(), format!("{name}/PG_15_202209061")] {
        draft.set("target:path", &path, "{}");
    }
}

#[test]
fn links_are_not_followed_unless_asked_for() {
    let mut trap = Trap::new();
    let outside = trap.case.path("outside");
    link(&mut trap.draft, "pg_data/extra", outside.to_str().unwrap());
    let trap = trap.file("pg_data/extra/canary");
    // Without --link-all the folder becomes a plain one inside the target.
    let run = trap.spring(&[]);
    if run.code == Some(0) {
        assert!(fs::symlink_metadata(trap.case.pgdata().join("extra")).unwrap().is_dir(), "{run}");
    }
    // With it the destination counts like a target: it is not empty.
    trap.is_refused(&["--link-all"], &["outside"]);
}

#[test]
fn links_into_the_target_itself_or_to_nowhere() {
    let home = Trap::new();
    let pgdata = home.case.pgdata();
    for to in [
        pgdata.join("base"),
        pgdata.clone(),
        pgdata.parent().unwrap().to_owned(),
        "/".into(),
        "".into(),
        "../../..".into(),
        "/proc/self".into(),
    ] {
        let mut trap = Trap {
            draft: home.draft.clone(),
            fixture: Fixture::load("a1-plain-none"),
            case: Case::on_copy(&home.fixture),
        };
        let to = to
            .to_str()
            .unwrap()
            .replace(home.case.home().to_str().unwrap(), trap.case.home().to_str().unwrap());
        link(&mut trap.draft, "pg_data/extra", &to);
        trap.is_refused(&["--link-all"], &["extra", "link", to.as_str()]);
        let mut trap = Trap {
            draft: home.draft.clone(),
            fixture: Fixture::load("a1-plain-none"),
            case: Case::on_copy(&home.fixture),
        };
        let to = to.replace(home.case.home().to_str().unwrap(), trap.case.home().to_str().unwrap());
        tablespace(&mut trap.draft, "16999", &to);
        trap.is_refused(&[], &["16999", "link", to.as_str()]);
    }
}

#[test]
fn two_links_to_nested_or_equal_places() {
    for (one, two) in [
        ("restore/ts/a", "restore/ts/a/b"),
        ("restore/ts/a", "restore/ts/a"),
        ("restore/ts/a/b/c", "restore/ts/a"),
    ] {
        let mut trap = Trap::new();
        let at = |name: &str| trap.case.path(name).to_str().unwrap().to_owned();
        let (one, two) = (at(one), at(two));
        tablespace(&mut trap.draft, "16998", &one);
        tablespace(&mut trap.draft, "16999", &two);
        trap.is_refused(&[], &["16998", "16999"]);
        let mut trap = Trap::new();
        link(&mut trap.draft, "pg_data/one", &one);
        link(&mut trap.draft, "pg_data/two", &two);
        trap.is_refused(&["--link-all"], &["pg_data/one", "pg_data/two"]);
    }
}

#[test]
fn sizes_that_lie() {
    let cases = [
        json!({"size": 4}),
        json!({"size": 2}),
        json!({"size": 0}),
        json!({"size": u64::MAX}),
        json!({"size": 1_u64 << 62}),
        json!({"size": -1}),
        json!({"size": 3.5}),
        json!({"size": "3"}),
        json!({"repo-size": 1_u64 << 60}),
        json!({"repo-size": 2}),
        json!({"bni": 7, "bno": u64::MAX}),
        json!({"bni": u64::MAX}),
        json!({"bni": 1, "bno": 1_u64 << 63, "repo-size": 1_u64 << 63}),
        json!({"bi": 1, "bim": 1_u64 << 40}),
        json!({"bi": 1_u64 << 60, "bim": 3}),
        json!({"bi": 1, "bic": 255, "bim": 3}),
        json!({"timestamp": i64::MAX}),
        json!({"mode": "07777777777777777777777"}),
        json!({"checksum": "zz"}),
        json!({"checksum": "587b596f04f7db9c2cad3d6b87dd2b3a05de4f36"}),
    ];
    for fields in cases {
        let mut trap = Trap::new();
        let fields: Vec<_> =
            fields.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        trap.draft.amend(FILE, "pg_data/PG_VERSION", &fields);
        // Nor may a size that no disk has be believed by a restore that was told to go on without room.
        for options in [&[][..], &["--accept=space"][..]] {
            let run = trap.spring(if stand_in() { &[] } else { options });
            // What is restored all the same must be the right content (a size of zero has no checksum to fail).
            if run.code == Some(0) && !stand_in() {
                assert_eq!(
                    fs::read(trap.case.pgdata().join("PG_VERSION")).unwrap(),
                    b"15\n",
                    "{fields:?}\n{run}"
                );
                continue;
            }
            // An entry that contradicts itself is named by its line, one that is too large by the room it wants.
            let run = run.refused(REFUSED).says_any(&[
                "PG_VERSION",
                "backup.manifest' in repo1",
                "bundle/",
                "not enough room",
            ]);
            trap.case.assert_cannot_start(&run);
        }
    }
}

#[test]
fn a_permission_that_gives_more_than_it_may() {
    let mut trap = Trap::new();
    trap.draft.amend(FILE, "pg_data/PG_VERSION", &[("mode", json!("6755"))]);
    let run = trap.spring(&[]);
    if run.code == Some(0) && !stand_in() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(trap.case.pgdata().join("PG_VERSION")).unwrap().permissions().mode();
        assert_eq!(mode & 0o6000, 0, "a set-user-id file came out of a backup\n{run}");
    }
}

#[test]
fn bombs_stop_at_the_size_the_manifest_tells() {
    let bombs = [
        ("a4-gz", "gz", "gzip"),
        ("a4-lz4", "lz4", "lz4"),
        ("a4-bz2", "bz2", "bzip2"),
        ("a5-upgrade", "zst", "zstd"),
    ];
    for (fixture, extension, tool) in bombs {
        let label = Fixture::load(fixture).backups()[0].to_owned();
        let mut trap = Trap::of(fixture, &label);
        let path = trap.case.backup_path(&label, &format!("pg_data/base/1/112.{extension}"));
        edit::bomb(tool, 512 << 20, &path);
        let stored = fs::read(&path).unwrap();
        trap.draft.amend(
            FILE,
            "pg_data/base/1/112",
            &[("repo-size", json!(stored.len())), ("rck", json!(edit::sha1(&stored)))],
        );
        trap.draft.install(&trap.case, &label);
        let run = trap.restore(&label, &[]).refused(&[4]).says(&["base/1/112"]);
        trap.case.assert_cannot_start(&run);
        let written = fs::metadata(trap.case.pgdata().join("base/1/112")).map_or(0, |meta| meta.len());
        assert!(written <= 1 << 20, "{written} bytes of a bomb were written\n{run}");
    }
}

#[test]
fn a_bomb_in_the_archive_stops_at_a_segments_size() {
    let fixture = Fixture::load("a4-gz");
    let case = Case::on_copy(&fixture);
    let segment = "00000001000000000000000A";
    let path = case.segment(segment);
    edit::bomb("gzip", 512 << 20, &path);
    let begun = Instant::now();
    let run = case
        .restore(&["--type=default", "--archive-mode=off", "--prove=full"])
        .refused(&[4, 7])
        .says(&[segment]);
    case.assert_untouched(&run);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

/// The most memory a run may take here, in KiB; what it reads is far larger.
const MEMORY_KIB: u64 = 400 << 10;

#[test]
fn lines_without_end_are_refused_in_bounded_memory() {
    let trap = Trap::new();
    let endless = |path: &Path, start: &[u8]| {
        edit::put(path, start);
        // A hole reads as zeros and takes no disk.
        fs::File::options().write(true).open(path).unwrap().set_len(2 << 30).unwrap();
    };
    let limited = |label: &str| {
        let mut command = Command::new("bash");
        let inner = trap.case.command("restore");
        // bash sets the limit and becomes the program (through setpriv where the test drops rights).
        command
            .args(["-c", &format!("ulimit -v {MEMORY_KIB} && exec \"$@\""), "limit"])
            .arg(inner.get_program())
            .args(inner.get_args());
        command.args(["--type=none", "--process-max=1", &format!("--set={label}")]).current_dir("/");
        Run::of(&mut command)
    };
    for start in [&b"[backrest]\nbackrest-format=5\nbackrest-version=\""[..], b"", b"[", b"x="] {
        endless(&trap.case.backup_path(PLAIN_FULL, "backup.manifest"), start);
        endless(&trap.case.backup_path(PLAIN_FULL, "backup.manifest.copy"), start);
        trap.case.fresh();
        let run = limited(PLAIN_FULL).refused(&[4]).says(&["backup.manifest"]);
        trap.case.assert_cannot_start(&run);
    }
    for name in ["backup.info", "backup.info.copy"] {
        endless(&trap.case.repo.join("backup/main").join(name), b"[backrest]\n");
    }
    let run = limited(PLAIN_FULL).refused(&[4]).says(&["backup.info"]);
    trap.case.assert_cannot_start(&run);
}

#[test]
fn paths_a_million_folders_deep() {
    let deep = format!("pg_data/{}x", "a/".repeat(1_000_000));
    Trap::new().file(&deep).is_refused(&[], &["long", "deep", "in no listed folder"]);
    let mut trap = Trap::new();
    trap.draft.set("target:path", &deep, "{}");
    trap.is_refused(&[], &["long", "deep", "in no listed folder"]);
    // One name longer than any filesystem takes.
    Trap::new().file(&format!("pg_data/{}", "n".repeat(300))).is_refused(&[], &["long"]);
}

#[test]
fn labels_that_do_not_fit() {
    let mut trap = Trap::new();
    trap.draft.set("backup", "backup-label", "\"20261121-010559F_20261121-010607I\"");
    trap.is_refused(&[], &["20261121-010559F_20261121-010607I"]);
    for reference in ["20200101-000000F", "../../outside", "/etc", "", "20261121-010559F/../x"] {
        let mut trap = Trap::new();
        trap.draft.amend(FILE, "pg_data/PG_VERSION", &[("reference", json!(reference))]);
        trap.is_refused(&[], &["reference", "PG_VERSION", "label"]);
    }
    let mut trap = Trap::new();
    trap.draft.set("backup", "backup-reference", "\"../../outside\"");
    trap.is_refused(&[], &["reference", "label"]);
}

#[test]
fn control_characters_are_shown_harmless() {
    let trap = Trap::new().file("pg_data/\u{1b}[2J\u{7}evil/../x");
    let run = trap.spring(&[]).refused(REFUSED);
    trap.case.assert_cannot_start(&run);
}

#[test]
fn a_block_map_that_points_elsewhere() {
    let fixture = Fixture::load("a3-block-incr");
    let label = fixture.backups()[0].to_owned();
    let file = "pg_data/base/5/16394";
    // Flags; reference with its bits; bundle: each changed to what does not exist, its length kept.
    for (at, value) in [(0, 0x01), (1, 0x7f), (1, 0x07), (2, 0x7f), (2, 0x00)] {
        let case = Case::on_copy(&fixture);
        let mut draft = Draft::manifest(&fixture, &label);
        let entry = draft.value(FILE, file);
        let number = |key: &str| usize::try_from(entry[key].as_u64().unwrap_or_default()).unwrap();
        let place =
            entry["bni"].as_u64().map_or_else(|| format!("{file}.pgbi"), |bundle| format!("bundle/{bundle}"));
        let bundle = case.backup_path(&label, &place);
        let mut stored = fs::read(&bundle).unwrap();
        let (begin, end) = (number("bno"), number("bno") + number("repo-size"));
        let passphrase = edit::inner_passphrase(&fixture.manifest(&label)).unwrap();
        // A map is stored without the magic that openssl wants.
        let map = [b"Salted__", &stored[end - number("bim")..end]].concat();
        let mut map = edit::decrypt(&map, &passphrase);
        assert_eq!(map[0], 0);
        map[at] = value;
        stored[end - number("bim")..end].copy_from_slice(&edit::encrypt(&map, &passphrase)[8..]);
        edit::put(&bundle, &stored);
        draft.amend(FILE, file, &[("rck", json!(edit::sha1(&stored[begin..end])))]);
        draft.install(&case, &label);
        let run =
            case.restore(&["--type=none", &format!("--set={label}")]).refused(&[4]).says(&["base/5/16394"]);
        case.assert_cannot_start(&run);
    }
}
