//! What a backup consists of and whether its pages are sound: against a real cluster, real pgBackRest 2.45 and
//! PostgreSQL's own tools.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "backup/cluster.rs"]
mod cluster;
#[path = "backup/pages.rs"]
mod pages;

use cluster::{CATALOG, Cluster, VERSION};
use pgmayday::cluster::owner::is_root;
use pgmayday::engine::backup::scan::{Scan, ScanRequest, real_path, scan};
use pgmayday::model::op::Cancel;
use pgmayday::repo::{FileEntry, Manifest, Owner};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, UNIX_EPOCH};

/// What pgBackRest adds to the manifest when an online backup stops.
const ADDED_AT_STOP: [&str; 2] = ["pg_data/backup_label", "pg_data/tablespace_map"];

fn look(cluster: &Cluster, online: bool, exclude: &[&str], tablespaces: &[(u32, &str)]) -> Scan {
    let exclude: Vec<String> = exclude.iter().map(|e| (*e).to_owned()).collect();
    let tablespaces = tablespaces.iter().map(|(oid, name)| (*oid, (*name).to_owned())).collect();
    let request = ScanRequest {
        data_dir: &cluster.data(),
        version: VERSION,
        catalog: CATALOG,
        online,
        exclude: &exclude,
        tablespaces: &tablespaces,
    };
    scan(&request, &Cancel::default()).unwrap()
}

/// All a manifest says of a file that a scan can know.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    size_bytes: u64,
    modified_s: i64,
    mode: u32,
    user: String,
    group: String,
    paged: bool,
}

fn owner(owner: Owner<&str>) -> String {
    match owner {
        Owner::Named(name) => name.to_owned(),
        Owner::Unnamed => "(none)".to_owned(),
    }
}

fn by_scan(scan: &Scan) -> BTreeMap<String, Said> {
    let said = |file: &pgmayday::engine::backup::scan::ScanFile| {
        let (user, group) = scan.owner(file);
        Said {
            size_bytes: file.size_bytes,
            modified_s: file.modified_s,
            mode: file.mode,
            user: owner(user),
            group: owner(group),
            paged: file.page_checked,
        }
    };
    scan.files.iter().map(|file| (file.name.to_string(), said(file))).collect()
}

fn by_manifest(manifest: &Manifest) -> BTreeMap<String, Said> {
    let said = |file: &FileEntry<'_>| Said {
        size_bytes: file.size_bytes,
        modified_s: file.modified_s,
        mode: file.mode,
        user: owner(file.user),
        group: owner(file.group),
        paged: file.page_ok.is_some(),
    };
    let files = manifest.files.iter().filter(|file| !ADDED_AT_STOP.contains(&file.name));
    files.map(|file| (file.name.to_owned(), said(&file))).collect()
}

/// Fails with what differs, entry by entry.
#[track_caller]
fn same<T: PartialEq + Debug>(what: &str, ours: &[T], theirs: &[T]) {
    let only = |a: &[T], b: &[T]| {
        let lines = a.iter().filter(|entry| !b.contains(entry)).map(|entry| format!("\n    {entry:?}"));
        lines.collect::<Vec<_>>().concat()
    };
    assert!(
        ours == theirs,
        "{what}\n  only ours:{}\n  only theirs:{}",
        only(ours, theirs),
        only(theirs, ours)
    );
}

#[track_caller]
fn same_structure(scan: &Scan, manifest: &Manifest) {
    same("targets", &scan.targets, &manifest.targets);
    same("paths", &scan.paths, &manifest.paths);
    same("links", &scan.links, &manifest.links);
}

/// The special files pgBackRest warned of, in its output.
fn special_files(output: &str) -> BTreeSet<String> {
    let lines = output.lines().filter_map(|line| line.split_once("exclude special file '"));
    lines.map(|(_, rest)| rest.rsplit_once("' from backup").unwrap().0.to_owned()).collect()
}

#[track_caller]
fn same_warnings(scan: &Scan, output: &str) {
    let theirs = special_files(output);
    assert_eq!(scan.warnings.len(), theirs.len(), "{:?}\n{output}", scan.warnings);
    for path in theirs {
        let name = path.rsplit_once('/').unwrap().1;
        assert!(scan.warnings.iter().any(|text| text.contains(name)), "{path}: {:?}", scan.warnings);
    }
}

/// Everything a cluster may have, made by the server: tablespace, unlogged tables, a second database, forks.
fn populate(cluster: &Cluster) -> u32 {
    cluster.folder("ts");
    let location = cluster.path("ts").display().to_string();
    let oid = cluster.sql(&[
        &format!("create tablespace fast location '{location}'"),
        "create table plain as select g as id, repeat('x', 100) as note from generate_series(1, 20000) g",
        "create index on plain (id)",
        "create unlogged table volatile as select * from plain",
        "create index on volatile (id)",
        "create unlogged table volatile_there tablespace fast as select * from plain limit 100",
        "create table there tablespace fast as select * from plain",
        "delete from plain where id % 7 = 0",
        "vacuum plain, volatile, there",
        "create database second",
        "create database third tablespace fast",
        "select oid from pg_tablespace where spcname = 'fast'",
    ]);
    for database in ["second", "third"] {
        cluster.sql_in(
            database,
            &["create table t as select 1 as a", "create unlogged table u as select 1 as a"],
        );
    }
    oid.parse().unwrap()
}

/// Files whose names are hard to write down.
const ODD_FILES: [&str; 17] = [
    "odd dir=x/we\"ird={\"a\":1}=\\n é [x]",
    "[sec]",
    " lead",
    "trail ",
    "tab\there",
    "cr\rhere",
    "{}",
    "a={}",
    "\"",
    "=",
    "==",
    "#no comment",
    "odd=\"",
    ".hidden",
    "pg_subtrans.old/x",
    "copy.of.pg_wal/archive_status/x",
    "log.d/x",
];
/// Folders likewise.
const ODD_FOLDERS: [&str; 5] = ["odd={}", "a={\"mode\":\"0700\"}", "\"q\"", "cut", "cut/left out"];
/// Files that are left out where they are, and some that only look so.
const LEFT_OUT: [&str; 18] = [
    "pgsql_tmp_of_nobody/x",
    "base/pgsql_tmp/pgsql_tmp77.0",
    "backup_label.old",
    "backup_manifest",
    "backup_manifest.tmp",
    "postgresql.auto.conf.tmp",
    "recovery.done",
    "base/backup_label.old",
    "pg_stat_tmp/left",
    "pg_replslot/left/state",
    "pg_snapshots/left",
    "pg_notify/left",
    "pg_serial/left",
    "pg_subtrans/left",
    "pg_dynshmem/left",
    "pg_stat/kept",
    "left-out/content",
    "left-out-too",
];
/// Files in a database's folder.
const IN_DATABASE: [&str; 13] = [
    "t3_16384",
    "t3_16384_fsm.1",
    "t3_nothing",
    "pg_internal.init",
    "pg_internal.init.123",
    "99999_init",
    "99999",
    "99999_vm",
    "99999_fsm.2",
    "99999.1",
    "99999.x",
    "999990",
    "pgsql_tmp.x",
];

/// Beside what the server makes: odd names, and what is left out.
fn add_files(cluster: &Cluster) {
    let database = cluster.sql(&["select oid from pg_database where datname = 'postgres'"]);
    for name in ODD_FILES.iter().chain(&LEFT_OUT) {
        cluster.write(&format!("pg/{name}"), name);
    }
    for name in ODD_FOLDERS {
        cluster.folder(&format!("pg/folders/{name}"));
    }
    for name in IN_DATABASE {
        cluster.write(&format!("pg/base/{database}/{name}"), vec![0; 8192]);
    }
    cluster.write(&format!("pg/base/{database}/no pages"), "abc");
    cluster.write(&format!("pg/base/{database}/folder/1259"), "not a relation");
    // A tablespace's location may serve other versions, too.
    cluster.write("ts/PG_14_202107181/5/16384", "another cluster's");
}

/// Links and special files.
fn add_links(cluster: &Cluster) {
    cluster.write("ext/dir/sub/deep", "x");
    cluster.write("ext/dir/empty", "");
    cluster.folder("ext/dir/nothing");
    cluster.link("pg/extdir", cluster.path("ext/dir"));
    cluster.link("pg/log", "../ext/logs/");
    cluster.write("ext/logs/postgresql.log", "said");
    fs::rename(cluster.path("pg/pg_hba.conf"), cluster.path("ext/hba.conf")).unwrap();
    cluster.link("pg/pg_hba.conf", "../ext/hba.conf");
    cluster.link("ext/dir/inner", cluster.path("ext/beside"));
    cluster.write("ext/beside", "a file linked from a linked folder");
    cluster.link("pg/null", "/dev/null");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    for name in ["pg/pipe", "ext/dir/sub/pipe"] {
        rustix::fs::mknodat(rustix::fs::CWD, cluster.path(name), rustix::fs::FileType::Fifo, mode, 0)
            .unwrap();
    }
    drop(std::os::unix::net::UnixListener::bind(cluster.path("pg/socket")).unwrap());
}

/// Times, modes and, as root, owners that nothing else has.
fn change_attributes(cluster: &Cluster) {
    for (below, seconds, nanoseconds) in
        [("pg/left-out-too", 1, 1), ("pg/[sec]", 0, 0), ("pg/{}", 1_000_000_000, 999_999_999)]
    {
        let file = File::options().write(true).open(cluster.path(below)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::new(seconds, nanoseconds)).unwrap();
    }
    if is_root() {
        for (below, user, group) in [
            ("pg/{}", 0, 0),
            ("pg/extdir", 0, 0),
            ("pg/folders/cut", 0, 0),
            ("pg/a={}", 4_000_001, 4_000_002),
            ("pg/folders/odd={}", 4_000_001, 0),
            ("ext/dir", 0, 4_000_002),
        ] {
            std::os::unix::fs::lchown(cluster.path(below), Some(user), Some(group)).unwrap();
        }
    }
    for (below, mode) in [
        ("pg/[sec]", 0o640),
        ("pg/ lead", 0o444),
        ("pg/=", 0o777),
        ("pg/==", 0o4755),
        ("pg/{}", 0o644),
        ("pg/a={}", 0o644),
        ("pg/folders", 0o1777),
        ("pg/folders/\"q\"", 0o2750),
        ("pg/folders/odd={}", 0o755),
        ("pg/folders/cut", 0o755),
        ("ext/dir", 0o755),
        ("ext/dir/sub/deep", 0o604),
    ] {
        fs::set_permissions(cluster.path(below), Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn a_scan_is_what_pgbackrest_puts_into_its_manifest() {
    let Some(mut cluster) = Cluster::make() else { return };
    cluster.start();
    let oid = populate(&cluster);
    add_files(&cluster);
    add_links(&cluster);
    change_attributes(&cluster);
    cluster.stop();

    // Offline: nothing changes, so that everything must be the same.
    let signals = ["recovery.signal", "standby.signal", "recovery.conf", "backup_label"];
    for name in signals {
        cluster.write(&format!("pg/{name}"), "x");
    }
    let exclude = ["left-out/", "left-out-too", "folders/cut", "log.d"];
    let options: Vec<_> = exclude.iter().map(|below| format!("--exclude={below}")).collect();
    let mut arguments: Vec<_> = options.iter().map(String::as_str).collect();
    arguments.extend(["--no-online", "--checksum-page", "--type=full", "backup"]);
    let output = cluster.pgbackrest(&arguments);
    let (ours, manifest) = (look(&cluster, false, &exclude, &[]), cluster.newest_manifest());
    assert!(!manifest.online && manifest.checksum_page);
    same_structure(&ours, &manifest);
    let (by_us, by_them) = (by_scan(&ours), by_manifest(&manifest));
    same("files", &by_us.iter().collect::<Vec<_>>(), &by_them.iter().collect::<Vec<_>>());
    same_warnings(&ours, &output);
    assert!(by_us.len() > 900 && by_us.values().filter(|said| said.paged).count() > 900, "{}", by_us.len());
    let unlogged = ours.files.iter().filter(|file| file.name.ends_with("_init")).count();
    assert!(unlogged >= 6, "{unlogged} initialisation forks");
    assert!(by_us.contains_key("pg_data/left-out/content") == by_us.contains_key("pg_data/log.d/x"));
    if is_root() {
        assert_eq!(
            (by_us["pg_data/a={}"].user.as_str(), by_us["pg_data/{}"].user.as_str()),
            ("(none)", "root")
        );
    }
    for file in &ours.files {
        let meta = fs::metadata(real_path(&cluster.data(), &file.name)).unwrap();
        assert_eq!(meta.len(), file.size_bytes, "{}", file.name);
    }

    // Online: what is the same before and after the backup must be in it as it is.
    for name in signals.into_iter().chain(["pg_replslot/left/state"]) {
        fs::remove_file(cluster.path("pg").join(name)).unwrap();
    }
    fs::remove_dir(cluster.path("pg/pg_replslot/left")).unwrap();
    cluster.start();
    cluster.sql(&["checkpoint"]);
    let tablespaces = [(oid, "fast"), (1663, "pg_default"), (1664, "pg_global")];
    let before = by_scan(&look(&cluster, true, &[], &tablespaces));
    let output = cluster.pgbackrest(&["--type=full", "backup"]);
    let ours = look(&cluster, true, &[], &tablespaces);
    let manifest = cluster.newest_manifest();
    assert!(manifest.online && manifest.checksum_page);
    same_structure(&ours, &manifest);
    same_warnings(&ours, &output);
    let (after, by_them) = (by_scan(&ours), by_manifest(&manifest));
    let steady = |name: &String, said: &Said| before.get(name) == Some(said);
    let by_us: Vec<_> = after.iter().filter(|(name, said)| steady(name, said)).collect();
    let theirs: Vec<_> =
        by_them.iter().filter(|(name, _)| by_us.iter().any(|(ours, _)| ours == name)).collect();
    same("files", &by_us, &theirs);
    assert!(after.len() - by_us.len() < 20, "{} of {} files changed", after.len() - by_us.len(), after.len());
    let names = |said: &BTreeMap<String, Said>| said.keys().cloned().collect::<Vec<_>>();
    same("names", &names(&after), &names(&by_them));
}
