//! What is refused or left out.

use super::*;

#[test]
fn links_a_restore_could_not_put_back_are_refused() {
    let fault = |make: &dyn Fn(&Yard)| {
        let yard = Yard::new();
        make(&yard);
        let report = Report::from(yard.scan().unwrap_err());
        assert!(report.kind == Kind::Refused(None) && report.hint.is_some(), "{report}");
        yard.link_fault()
    };
    let folder = |yard: &Yard, name: &str| fs::create_dir_all(yard.at(name)).unwrap();
    assert_eq!(fault(&|yard| yard.link("l", yard.at("pg/base"))), LinkFault::IntoData);
    assert_eq!(fault(&|yard| yard.link("l", "PG_VERSION")), LinkFault::IntoData);
    assert_eq!(fault(&|yard| yard.link("l", "..")), LinkFault::AroundData);
    assert_eq!(fault(&|yard| yard.link("l", "/")), LinkFault::AroundData);
    assert_eq!(fault(&|yard| yard.link("l", yard.at("ext/none"))), LinkFault::Broken);
    assert_eq!(fault(&|yard| yard.link("l", "l")), LinkFault::ToLink);
    for end in ["", "/", "/."] {
        assert_eq!(
            fault(&|yard| {
                folder(yard, "ext/dir");
                symlink("dir", yard.at("ext/other")).unwrap();
                yard.link("l", format!("{}{end}", yard.at("ext/other").display()));
            }),
            LinkFault::ToLink,
            "{end:?}"
        );
    }
    let two = |first: &'static str, second: &'static str| {
        fault(&move |yard: &Yard| {
            folder(yard, "ext/dir/sub");
            yard.file("ext/dir/f", "");
            // Another way to the same places.
            symlink("ext", yard.at("way")).unwrap();
            yard.link("a", yard.at(first));
            yard.link("b", yard.at(second));
        })
    };
    assert!(matches!(two("ext/dir", "ext/dir"), LinkFault::Shared(_)));
    assert!(matches!(two("ext/dir", "way/dir"), LinkFault::Shared(_)));
    assert!(matches!(two("ext/dir", "ext/dir/sub"), LinkFault::Inside(_) | LinkFault::Around(_)));
    assert!(matches!(two("ext/dir/sub", "way/dir"), LinkFault::Inside(_) | LinkFault::Around(_)));
    assert!(matches!(two("ext/dir", "ext/dir/f"), LinkFault::Inside(_) | LinkFault::Around(_)));
    assert!(matches!(two("ext/dir/f", "way/dir/f"), LinkFault::Shared(_)));
    // Into the data directory by another name of it.
    assert_eq!(
        fault(&|yard| {
            symlink("pg", yard.at("alias")).unwrap();
            yard.link("l", yard.at("alias/base"));
        }),
        LinkFault::IntoData
    );
    // No manifest has a name for a link in a tablespace.
    let mut yard = Yard::new();
    yard.file("ext/ts/PG_15_202209061/5/1", "");
    symlink("/etc/passwd", yard.at("ext/ts/PG_15_202209061/5/l")).unwrap();
    yard.link("pg_tblspc/16400", yard.at("ext/ts"));
    yard.tablespaces.insert(16400, "fast".to_owned());
    assert_eq!(yard.link_fault(), LinkFault::InTablespace);
}

#[test]
fn what_is_no_tablespace_is_refused() {
    let yard = Yard::new();
    yard.file("pg/pg_tblspc/note", "x");
    assert_eq!(yard.tablespace_fault(), TablespaceFault::NotALink);
    let report = Report::from(yard.scan().unwrap_err());
    assert!(report.headline.contains("pg_tblspc/note") && report.hint.is_some(), "{report}");
    let yard = Yard::new();
    fs::create_dir(yard.at("pg/pg_tblspc/16400")).unwrap();
    assert_eq!(yard.tablespace_fault(), TablespaceFault::NotALink, "a tablespace in place");
    let mut yard = Yard::new();
    fs::create_dir(yard.at("ext/ts")).unwrap();
    yard.link("pg_tblspc/x", yard.at("ext/ts"));
    assert_eq!(yard.tablespace_fault(), TablespaceFault::Name);
    fs::rename(yard.at("pg/pg_tblspc/x"), yard.at("pg/pg_tblspc/16400")).unwrap();
    assert_eq!(yard.tablespace_fault(), TablespaceFault::Unknown);
    yard.tablespaces.insert(16400, "fast".to_owned());
    assert_eq!(yard.tablespace_fault(), TablespaceFault::NoFolder("PG_15_202209061".to_owned()));
    yard.file("ext/ts/PG_15_202209061", "a file");
    assert_eq!(yard.tablespace_fault(), TablespaceFault::NoFolder("PG_15_202209061".to_owned()));
    yard.remove("ext/ts");
    assert_eq!(yard.link_fault(), LinkFault::Broken);
    yard.exclude.push("pg_tblspc/16400".to_owned());
    yard.scan().unwrap();
}

#[test]
fn special_files_are_left_out_with_a_warning() {
    let yard = Yard::new();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, yard.at("pg/pipe\n\x1b[31m"), fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(yard.at("pg/.s.PGSQL.5432")).unwrap();
    yard.link("null", "/dev/null");
    let scan = yard.scan().unwrap();
    assert_eq!(scan.files.len(), 2);
    let told = |kind: &str| scan.warnings.iter().filter(|text| text.contains(kind)).count();
    assert_eq!((told("socket"), told("named pipe"), told("device"), scan.warnings.len()), (1, 1, 1, 3));
    assert!(!scan.warnings.iter().any(|text| text.contains(['\n', '\x1b'])), "{:?}", scan.warnings);
    assert_eq!(scan.targets[1].file.as_deref(), Some("null"), "the link itself is kept");
}

#[test]
fn names_no_manifest_can_hold_are_refused_by_name() {
    for (name, why) in [(&b"a\nb"[..], "line break"), (b"a\xFFb", "not UTF-8")] {
        let name = std::ffi::OsString::from_vec(name.to_vec());
        let mut yard = Yard::new();
        fs::create_dir(yard.at("pg/log")).unwrap();
        fs::write(yard.at("pg/log").join(&name), "").unwrap();
        let report = Report::from(yard.scan().unwrap_err());
        assert!(report.headline.contains(why) && report.headline.contains("/log/a"), "{report}");
        assert!(!report.headline.contains('\n') && report.kind == Kind::Refused(None));
        assert!(report.hint.is_some());
        // Where it is left out it does not matter.
        yard.exclude.push("log/".to_owned());
        yard.scan().unwrap();
        // As a folder and as a link likewise.
        fs::create_dir(yard.at("pg").join(&name)).unwrap();
        assert!(yard.scan().is_err());
        fs::remove_dir(yard.at("pg").join(&name)).unwrap();
        symlink(yard.at("ext"), yard.at("pg").join(&name)).unwrap();
        assert!(yard.scan().is_err());
        fs::remove_file(yard.at("pg").join(&name)).unwrap();
        fs::write(yard.at("ext").join(&name), "").unwrap();
        symlink(yard.at("ext").join(&name), yard.at("pg/link")).unwrap();
        match yard.scan() {
            Err(error) => assert!(error.to_string().contains("not UTF-8"), "{error}"),
            Ok(scan) => assert_eq!(scan.targets[1].file.as_deref(), Some("a\nb"), "a destination may"),
        }
    }
    let mut yard = Yard::new();
    yard.file("pg/odd dir=x/we\"ird={\"a\":1}=\\n é [x]", "");
    assert!(yard.names().contains(&"pg_data/odd dir=x/we\"ird={\"a\":1}=\\n é [x]".to_owned()));
    yard.online = false;
    yard.scan().unwrap();
}

#[test]
fn nobody_but_the_owner_may_look() {
    let yard = Yard::new();
    let missing = ScanRequest {
        data_dir: &yard.at("none"),
        version: PgVersion::major(15),
        catalog: 1,
        online: true,
        exclude: &[],
        tablespaces: &yard.tablespaces,
    };
    let report = Report::from(scan(&missing, &Cancel::default()).unwrap_err());
    assert!(report.kind == Kind::Failed && report.headline.contains("/none"), "{report}");
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(yard.at("pg/base"), fs::Permissions::from_mode(0o000)).unwrap();
        let report = Report::from(yard.scan().unwrap_err());
        assert!(report.headline.contains("pg/base") && report.hint.unwrap().contains("owner"));
        fs::set_permissions(yard.at("pg/base"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}
