//! Which names a manifest may use: nothing that leads out of the data directory or a tablespace.

use super::super::error::Fault;

/// A file's name: below `pg_data/` or below `pg_tblspc/<oid>/`.
pub(super) fn check_file(name: &str) -> Result<(), Fault> {
    let below = name.strip_prefix("pg_data/").or_else(|| {
        let (oid, below) = name.strip_prefix("pg_tblspc/")?.split_once('/')?;
        is_oid(oid).then_some(below)
    });
    check_below(name, below)
}

/// A folder's name: a root, or what a file's may be.
pub(super) fn check_path(name: &str) -> Result<(), Fault> {
    let root = matches!(name, "pg_data" | "pg_tblspc") || name.strip_prefix("pg_tblspc/").is_some_and(is_oid);
    if root { Ok(()) } else { check_file(name) }
}

/// A link's name: below `pg_data/`.
pub(super) fn check_link(name: &str) -> Result<(), Fault> {
    check_below(name, name.strip_prefix("pg_data/"))
}

/// A target's name: the data directory, a tablespace, or a link.
pub(super) fn check_target(name: &str) -> Result<(), Fault> {
    let root = name == "pg_data" || name.strip_prefix("pg_tblspc/").is_some_and(is_oid);
    if root { Ok(()) } else { check_link(name) }
}

/// One component, for example the file a link names.
pub(super) fn check_component(name: &str) -> Result<(), Fault> {
    check_below(name, Some(name).filter(|name| !name.contains('/')))
}

/// Where a link points: any text without NUL that is not empty.
pub(super) fn check_destination(path: &str) -> Result<(), Fault> {
    if path.is_empty() || path.contains('\0') {
        return Err(Fault::hostile(format!("'{}' is no place for a link to point to", shown(path))));
    }
    Ok(())
}

/// What a component and a whole path may have on Linux, in bytes.
const LONGEST_COMPONENT: usize = 255;
const LONGEST_PATH: usize = 4095;

fn check_below(name: &str, below: Option<&str>) -> Result<(), Fault> {
    if name.len() > LONGEST_PATH || name.split('/').any(|c| c.len() > LONGEST_COMPONENT) {
        return Err(Fault::hostile(format!("the name '{}' is longer than a file system takes", shown(name))));
    }
    let component = |c: &str| !c.is_empty() && c != "." && c != ".." && !c.contains('\0');
    if below.is_some_and(|below| below.split('/').all(component)) {
        Ok(())
    } else {
        Err(Fault::hostile(format!("the name '{}' leads out of the data directory", shown(name))))
    }
}

/// An oid as a folder's name: 1 to 4294967295 in plain decimal.
fn is_oid(text: &str) -> bool {
    !text.starts_with(['0', '+']) && text.parse::<u32>().is_ok()
}

/// A name as an error shows it: harmless to a terminal, and never longer than a person reads.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown: String = name.escape_debug().take(LONGEST).collect();
    if name.escape_debug().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_the_cluster_pass() {
        for good in [
            "pg_data/PG_VERSION",
            "pg_data/[sec]",
            "pg_data/odd dir=x/we\"ird={\"a\":1}=\\n é [x]",
            "pg_data/...",
            "pg_tblspc/16384/PG_15_202209061/5/1",
        ] {
            check_file(good).unwrap();
        }
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "pg_data",
            "pg_data/",
            "pg_data//a",
            "pg_data/../a",
            "pg_data/a/..",
            "pg_data/.",
            "pg_data/a/./b",
            "pg_data/a\0b",
            "pg_datax/a",
            "../pg_data/a",
            "pg_tblspc/1",
            "pg_tblspc/x/y",
            "pg_tblspc/0/a",
            "pg_tblspc/01/a",
            "pg_tblspc/4294967296/a",
            "pg_tblspc/../a",
            "pg_tblspc/1/..",
            "a",
        ] {
            assert!(check_file(bad).is_err(), "{bad:?}");
        }
        check_path("pg_data").unwrap();
        check_path("pg_tblspc/16384").unwrap();
        assert!(check_path("").is_err() && check_path("pg_tblspc/..").is_err());
        assert!(check_link("pg_tblspc/1/x").is_err() && check_link("pg_data").is_err());
        check_target("pg_tblspc/1").unwrap();
        assert!(check_component("a/b").is_err() && check_component("..").is_err());
        check_component("pg_hba.conf").unwrap();
        assert!(check_destination("").is_err() && check_destination("a\0").is_err());
    }
}
