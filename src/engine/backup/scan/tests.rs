mod refused;

use super::super::error::{LinkFault, TablespaceFault};
use super::*;
use crate::base::{Kind, Report};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// A folder that looks enough like a data directory, and another beside it for what links lead to.
struct Yard {
    home: tempfile::TempDir,
    online: bool,
    exclude: Vec<String>,
    tablespaces: BTreeMap<u32, String>,
}

impl Yard {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let yard = Self { home, online: true, exclude: Vec::new(), tablespaces: BTreeMap::new() };
        for folder in ["pg/global", "pg/base/5", "pg/pg_tblspc", "pg/pg_wal/archive_status", "ext"] {
            fs::create_dir_all(yard.at(folder)).unwrap();
        }
        yard.file("pg/PG_VERSION", "15\n");
        yard.file("pg/global/pg_control", "x");
        yard
    }

    fn at(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    fn file(&self, below: &str, content: &str) {
        fs::create_dir_all(self.at(below).parent().unwrap()).unwrap();
        fs::write(self.at(below), content).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "a folder of this test")]
    fn remove(&self, below: &str) {
        fs::remove_dir_all(self.at(below)).unwrap();
    }

    /// A link at `pg/<name>`.
    fn link(&self, name: &str, to: impl AsRef<Path>) {
        symlink(to, self.at("pg").join(name)).unwrap();
    }

    fn scan(&self) -> Result<Scan, BackupError> {
        let request = ScanRequest {
            data_dir: &self.at("pg"),
            version: PgVersion::major(15),
            catalog: 202_209_061,
            online: self.online,
            exclude: &self.exclude,
            tablespaces: &self.tablespaces,
        };
        scan(&request, &Cancel::default())
    }

    fn names(&self) -> Vec<String> {
        self.scan().unwrap().files.iter().map(|file| file.name.to_string()).collect()
    }

    fn link_fault(&self) -> LinkFault {
        match self.scan() {
            Err(BackupError::Link { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    fn tablespace_fault(&self) -> TablespaceFault {
        match self.scan() {
            Err(BackupError::Tablespace { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn files_come_sorted_with_what_the_manifest_says_of_them() {
    let yard = Yard::new();
    // A slash sorts after a dot and before a digit: the order of names is not that of folders.
    for name in ["base/5/16384", "base/5.x", "base/50", "base/5-", "pg_xact/0000"] {
        yard.file(&format!("pg/{name}"), "abc");
    }
    fs::set_permissions(yard.at("pg/base/5/16384"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(yard.at("pg/base"), fs::Permissions::from_mode(0o1750)).unwrap();
    let scan = yard.scan().unwrap();
    let names: Vec<_> = scan.files.iter().map(|file| &*file.name).collect();
    assert_eq!(
        names,
        [
            "pg_data/PG_VERSION",
            "pg_data/base/5-",
            "pg_data/base/5.x",
            "pg_data/base/5/16384",
            "pg_data/base/50",
            "pg_data/global/pg_control",
            "pg_data/pg_xact/0000",
        ]
    );
    assert_eq!(scan.total_bytes(), 5 * 3 + 3 + 1);
    let file = &scan.files[3];
    assert_eq!((file.size_bytes, file.mode, file.page_checked, file.relation_like), (3, 0o751, true, true));
    let meta = fs::metadata(yard.at("pg/base/5/16384")).unwrap();
    assert_eq!(file.modified_s, std::os::unix::fs::MetadataExt::mtime(&meta));
    let control = &scan.files[5];
    assert_eq!((control.page_checked, control.relation_like), (false, false));
    assert!(!scan.files[6].page_checked && scan.files[6].relation_like);
    let paths: Vec<_> = scan.paths.iter().map(|path| (path.name.as_str(), path.mode)).collect();
    assert!(paths.contains(&("pg_data/base", 0o750)), "{paths:?}");
    assert!(paths.is_sorted() && paths[0].0 == "pg_data");
    assert_eq!((scan.targets.len(), scan.targets[0].link), (1, false));
    assert_eq!(scan.targets[0].path, yard.at("pg").to_str().unwrap());
    assert_eq!(size_of::<ScanFile>(), 40, "a million of them are normal");
}

#[test]
fn a_slash_at_the_end_of_the_data_directory_is_no_part_of_it() {
    let yard = Yard::new();
    let path = PathBuf::from(format!("{}//", yard.at("pg").display()));
    let request = ScanRequest {
        data_dir: &path,
        version: PgVersion::major(15),
        catalog: 1,
        online: true,
        exclude: &[],
        tablespaces: &yard.tablespaces,
    };
    let scan = scan(&request, &Cancel::default()).unwrap();
    assert_eq!(scan.targets[0].path, yard.at("pg").to_str().unwrap());
}

#[test]
fn what_is_left_out_is_left_out() {
    let mut yard = Yard::new();
    for name in [
        "postmaster.pid",
        "backup_label",
        "pg_stat_tmp/x",
        "pg_replslot/s/state",
        "pgsql_tmp.x",
        "base/pgsql_tmp/pgsql_tmp1.0",
        "pg_wal/000000010000000000000001",
        "pg_wal/archive_status/x.ready",
        "base/5/t3_16390",
        "base/5/pg_internal.init",
        "log/x",
        "out",
        "base/5/16384",
        "base/5/16384_fsm",
        "base/5/16384.1",
        "base/5/16384_init",
        "base/5/163840",
        "base/5/16385",
        "base/5/16385_init",
        "base/16384",
        "base/6/16384",
    ] {
        yard.file(&format!("pg/{name}"), "");
    }
    yard.exclude = vec!["log/".to_owned(), "out".to_owned(), "base/5/16385_init".to_owned()];
    let kept = [
        "pg_data/PG_VERSION",
        "pg_data/base/16384",
        "pg_data/base/5/163840",
        "pg_data/base/5/16384_init",
        "pg_data/base/5/16385",
        "pg_data/base/6/16384",
        "pg_data/global/pg_control",
    ];
    assert_eq!(yard.names(), kept);
    let scan = yard.scan().unwrap();
    let paths: Vec<_> = scan.paths.iter().map(|path| path.name.as_str()).collect();
    for kept in ["pg_data/log", "pg_data/pg_stat_tmp", "pg_data/pg_replslot", "pg_data/pg_wal/archive_status"]
    {
        assert!(paths.contains(&kept), "{kept}: {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.contains("pgsql_tmp") || path.ends_with("/s")), "{paths:?}");
    yard.online = false;
    let offline = yard.names();
    assert_eq!(offline.len(), kept.len() + 2);
    assert!(offline.contains(&"pg_data/pg_wal/archive_status/x.ready".to_owned()));
}

#[test]
fn content_of_links_is_named_by_the_link() {
    let mut yard = Yard::new();
    yard.file("ext/dir/sub/f", "x");
    yard.file("ext/hba", "y");
    yard.file("ext/ts/PG_15_202209061/5/16384", "z");
    yard.file("ext/ts/PG_14_202107181/5/16384", "not ours");
    yard.link("dir", yard.at("ext/dir"));
    yard.link("hba.conf", "../ext/hba");
    yard.link("pg_tblspc/16400", yard.at("ext/ts"));
    yard.tablespaces.insert(16400, "fast".to_owned());
    let scan = yard.scan().unwrap();
    let names: Vec<_> = scan.files.iter().map(|file| &*file.name).collect();
    assert_eq!(
        names,
        [
            "pg_data/PG_VERSION",
            "pg_data/dir/sub/f",
            "pg_data/global/pg_control",
            "pg_data/hba.conf",
            "pg_tblspc/16400/PG_15_202209061/5/16384",
        ]
    );
    for file in &scan.files {
        let meta = fs::metadata(real_path(&yard.at("pg"), &file.name)).unwrap();
        assert_eq!(meta.len(), file.size_bytes, "{}", file.name);
    }
    let ext = yard.at("ext").to_str().unwrap().to_owned();
    let target = |name: &str, path: String, file: Option<&str>, tablespace: Option<&str>| Target {
        name: name.to_owned(),
        path,
        file: file.map(str::to_owned),
        link: true,
        tablespace: tablespace.map(|name| (16400, name.to_owned())),
    };
    assert_eq!(
        scan.targets[1..],
        [
            target("pg_data/dir", format!("{ext}/dir"), None, None),
            target("pg_data/hba.conf", "../ext".to_owned(), Some("hba"), None),
            target("pg_tblspc/16400", format!("{ext}/ts"), None, Some("fast")),
        ]
    );
    let links: Vec<_> =
        scan.links.iter().map(|link| (link.name.as_str(), link.destination.as_str())).collect();
    assert_eq!(links.len(), 3);
    assert_eq!(links[1], ("pg_data/hba.conf", "../ext/hba"));
    assert_eq!(links[2].0, "pg_data/pg_tblspc/16400");
    let paths: Vec<_> = scan.paths.iter().map(|path| path.name.as_str()).collect();
    for listed in [
        "pg_data/dir/sub",
        "pg_data/pg_tblspc",
        "pg_tblspc",
        "pg_tblspc/16400",
        "pg_tblspc/16400/PG_15_202209061/5",
    ] {
        assert!(paths.contains(&listed), "{listed}: {paths:?}");
    }
    yard.tablespaces.clear();
    yard.online = false;
    let offline = yard.scan().unwrap();
    assert_eq!(offline.targets[3].tablespace, Some((16400, "ts16400".to_owned())));
}

#[test]
fn a_relative_link_in_a_linked_folder_must_mean_the_same_by_its_name() {
    for (text, same) in [("../conf", false), ("../../ext/conf", true), ("/conf", true)] {
        let yard = Yard::new();
        yard.file("ext/conf", "x");
        fs::create_dir(yard.at("ext/dir")).unwrap();
        let to = if text.starts_with('/') { yard.at("ext/conf") } else { text.into() };
        symlink(to, yard.at("ext/dir/l")).unwrap();
        yard.link("dir", yard.at("ext/dir"));
        if same {
            assert!(yard.names().contains(&"pg_data/dir/l".to_owned()), "{text}");
        } else {
            assert_eq!(yard.link_fault(), LinkFault::Relative, "{text}");
        }
    }
    // The data directory's own name may be a link: everything moves with it.
    let yard = Yard::new();
    yard.file("ext/conf", "x");
    yard.link("hba", "../ext/conf");
    fs::create_dir(yard.at("deep")).unwrap();
    symlink(yard.at("pg"), yard.at("deep/alias")).unwrap();
    let request = ScanRequest {
        data_dir: &yard.at("deep/alias"),
        version: PgVersion::major(15),
        catalog: 1,
        online: true,
        exclude: &[],
        tablespaces: &yard.tablespaces,
    };
    let scan = scan(&request, &Cancel::default()).unwrap();
    assert_eq!((scan.files.len(), scan.targets[0].path.ends_with("deep/alias")), (3, true));
}

#[test]
fn a_scan_stops_when_asked() {
    let yard = Yard::new();
    let cancel = Cancel::default();
    cancel.request();
    let request = ScanRequest {
        data_dir: &yard.at("pg"),
        version: PgVersion::major(15),
        catalog: 1,
        online: true,
        exclude: &[],
        tablespaces: &yard.tablespaces,
    };
    assert!(matches!(scan(&request, &cancel), Err(BackupError::Cancelled)));
}

/// Files, folders, links and whole tablespaces come and go, as in a running cluster.
#[test]
fn what_vanishes_while_it_is_looked_at_is_no_error() {
    let mut yard = Yard::new();
    for number in 0..300 {
        yard.file(&format!("pg/base/5/stays{number}"), "x");
    }
    fs::create_dir_all(yard.at("ext/ts/PG_15_202209061")).unwrap();
    yard.tablespaces.insert(16400, "fast".to_owned());
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped() {
                for number in 0..20 {
                    yard.file(&format!("pg/base/5/goes{number}"), "x");
                    yard.file(&format!("pg/base/6/goes{number}"), "x");
                }
                for number in 0..20 {
                    fs::remove_file(yard.at(&format!("pg/base/5/goes{number}"))).unwrap();
                }
                yard.remove("pg/base/6");
            }
        });
        scope.spawn(|| {
            while !stopped() {
                // As PostgreSQL does it: the folder comes before the link, and goes before it; not all the time.
                yard.file("ext/ts/PG_15_202209061/5/16384", "x");
                yard.link("pg_tblspc/16400", yard.at("ext/ts"));
                std::thread::sleep(std::time::Duration::from_millis(4));
                yard.remove("ext/ts/PG_15_202209061");
                fs::remove_file(yard.at("pg/pg_tblspc/16400")).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let (mut some, mut none) = (0, 0);
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_millis(1500) {
            let scan = yard.scan();
            if let Err(error) = &scan {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                panic!("{error}");
            }
            let scan = scan.unwrap();
            let stays = scan.files.iter().filter(|file| file.name.contains("stays")).count();
            assert_eq!(stays, 300);
            assert!(scan.files.windows(2).all(|pair| pair[0].name < pair[1].name));
            assert!(scan.paths.windows(2).all(|pair| pair[0].name < pair[1].name));
            if scan.files.len() > 302 { some += 1 } else { none += 1 }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(some > 0, "{some} scans saw what comes and goes, {none} did not");
    });
}

#[test]
fn manifest_names_lead_back_to_paths() {
    let real = |name: &str| real_path(Path::new("/d"), name).display().to_string();
    assert_eq!(real("pg_data"), "/d");
    assert_eq!(real("pg_data/base/5/1"), "/d/base/5/1");
    assert_eq!(real("pg_tblspc"), "/d/pg_tblspc");
    assert_eq!(real("pg_tblspc/1/PG_15_1/5/1"), "/d/pg_tblspc/1/PG_15_1/5/1");
    assert_eq!(real("pg_database"), "/d/pg_database");
    assert_eq!(
        [real("pg_data//x"), real("/x")],
        ["/d/x", "/d/x"],
        "never out of the data directory by a slash"
    );
}
