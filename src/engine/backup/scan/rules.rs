//! What belongs to a backup, decided by names alone.
//!
//! The rules are those of pgBackRest, so that backups of both programs hold the same: what PostgreSQL throws away or
//! makes anew at its start is left out. Looks at no filesystem.

use crate::base::PgVersion;
use std::collections::HashSet;

/// The name of the data directory in a manifest.
pub(super) const DATA: &str = "pg_data";
/// The folder of tablespaces in a manifest, and below the data directory.
pub(super) const TABLESPACES: &str = "pg_tblspc";

/// Temporary files and their folders begin with this, wherever they are.
const TEMPORARY: &[u8] = b"pgsql_tmp";
const RELATION_CACHE: &[u8] = b"pg_internal.init";

/// Folders of the data directory whose content is made anew at the server's start.
const EMPTIED: [&[u8]; 7] = [
    b"pg_dynshmem",
    b"pg_notify",
    b"pg_replslot",
    b"pg_serial",
    b"pg_snapshots",
    b"pg_stat_tmp",
    b"pg_subtrans",
];

/// What a folder is to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The data directory itself.
    Root,
    /// `pg_wal`, or `pg_xlog` before 10.
    Wal,
    /// `pg_tblspc`.
    Tablespaces,
    /// A folder of relations: `global`, or one database's.
    Database,
    /// Any other.
    Other,
}

/// The rules for one cluster and one backup.
#[derive(Debug)]
pub(super) struct Rules {
    version: PgVersion,
    online: bool,
    /// The folder of this cluster in a tablespace's location.
    pub(super) tablespace_folder: String,
    /// What is left out whole, by manifest name.
    whole: HashSet<String>,
    /// Folders whose content is left out, by manifest name.
    content: HashSet<String>,
}

impl Rules {
    pub(super) fn new(version: PgVersion, catalog: u32, online: bool, exclude: &[String]) -> Self {
        let (mut whole, mut content) = (HashSet::new(), HashSet::new());
        for below in exclude {
            match below.strip_suffix('/') {
                Some(folder) => content.insert(format!("{DATA}/{folder}")),
                None => whole.insert(format!("{DATA}/{below}")),
            };
        }
        Self { version, online, tablespace_folder: format!("PG_{version}_{catalog}"), whole, content }
    }

    /// What the folder of this manifest name is.
    pub(super) fn place(&self, name: &str) -> Place {
        let Some(below) = name.strip_prefix(DATA) else {
            return if self.is_database_of_tablespace(name) { Place::Database } else { Place::Other };
        };
        match below.strip_prefix('/') {
            None => Place::Root,
            Some(TABLESPACES) => Place::Tablespaces,
            Some("global") => Place::Database,
            Some(below) if below == self.wal_folder() => Place::Wal,
            Some(below) if below.strip_prefix("base/").is_some_and(is_number) => Place::Database,
            Some(_) => Place::Other,
        }
    }

    fn wal_folder(&self) -> &'static str {
        if self.version.at_least(10) { "pg_wal" } else { "pg_xlog" }
    }

    fn is_database_of_tablespace(&self, name: &str) -> bool {
        let mut parts = name.split('/');
        parts.next() == Some(TABLESPACES)
            && parts.next().is_some_and(is_number)
            && parts.next() == Some(&self.tablespace_folder)
            && parts.next().is_some_and(is_number)
            && parts.next().is_none()
    }

    /// True for what is left out whatever it is.
    pub(super) fn leaves_out(&self, folder: &str, name: &[u8]) -> bool {
        if name.starts_with(TEMPORARY) {
            return true;
        }
        let excluded = |name: &str| self.whole.contains(&format!("{folder}/{name}"));
        !self.whole.is_empty() && std::str::from_utf8(name).is_ok_and(excluded)
    }

    /// True for a file that is left out where it is. Forks of unlogged relations are another matter: see
    /// [`relation_of`].
    pub(super) fn leaves_out_file(&self, place: Place, name: &[u8]) -> bool {
        match place {
            Place::Root => self.is_of_this_run(name),
            Place::Wal => self.online,
            Place::Database => is_relation_cache(name) || is_temporary_relation(name),
            Place::Tablespaces | Place::Other => false,
        }
    }

    /// Files of the data directory that speak of the running server or of another backup.
    fn is_of_this_run(&self, name: &[u8]) -> bool {
        match name {
            b"recovery.signal" | b"standby.signal" => self.version.at_least(12),
            b"recovery.conf" | b"recovery.done" => !self.version.at_least(12),
            b"backup_label" => self.version >= PgVersion::NINE_SIX,
            b"backup_manifest" | b"backup_manifest.tmp" => self.version.at_least(13),
            b"backup_label.old" | b"postgresql.auto.conf.tmp" | b"postmaster.opts" | b"postmaster.pid" => {
                true
            }
            _ => false,
        }
    }

    /// True for a folder that is kept, but empty; `full` is its manifest name.
    pub(super) fn leaves_out_content(&self, place: Place, name: &[u8], full: &str) -> bool {
        let emptied = match place {
            Place::Root => EMPTIED.contains(&name),
            Place::Wal => self.online && name == b"archive_status",
            Place::Tablespaces | Place::Database | Place::Other => false,
        };
        emptied || self.content.contains(full)
    }
}

/// True for a file of a database folder that consists of pages with checksums.
pub(super) fn is_paged(folder: &str, name: &[u8]) -> bool {
    let control = name == b"pg_control" && folder.strip_prefix(DATA) == Some("/global");
    !control && name != b"PG_VERSION" && name != b"pg_filenode.map"
}

/// True for the files that replay makes right whatever was copied of them past the size first seen, so that they may
/// also come from a standby.
pub(super) fn is_replayed(folder: &str, name: &[u8]) -> bool {
    let Some(below) = folder.strip_prefix(DATA) else { return true };
    let top = below.strip_prefix('/').and_then(|below| below.split('/').next());
    match top {
        Some("global") => name != b"pg_control" || below != "/global",
        Some("base" | "pg_xact" | "pg_clog" | "pg_multixact") => true,
        _ => false,
    }
}

/// The relation of a main, free space or visibility fork, by any of its segments: `16384_vm.1` gives `16384`.
pub(super) fn relation_of(name: &[u8]) -> Option<&[u8]> {
    let (relation, rest) = name.split_at(leading_digits(name));
    let rest = rest.strip_prefix(b"_fsm").or_else(|| rest.strip_prefix(b"_vm")).unwrap_or(rest);
    let whole = match rest.strip_prefix(b".") {
        Some(segment) => is_digits(segment),
        None => rest.is_empty(),
    };
    (whole && !relation.is_empty()).then_some(relation)
}

/// The relation of an initialisation fork, which makes the relation an unlogged one.
pub(super) fn unlogged_relation(name: &[u8]) -> Option<&[u8]> {
    name.strip_suffix(b"_init").filter(|relation| is_digits(relation))
}

/// `t<backend>_<relation>`: gone with the session.
fn is_temporary_relation(name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(b"t") else { return false };
    let (backend, rest) = rest.split_at(leading_digits(rest));
    !backend.is_empty() && rest.strip_prefix(b"_").and_then(relation_of).is_some()
}

fn is_relation_cache(name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(RELATION_CACHE) else { return false };
    rest.is_empty() || rest.strip_prefix(b".").is_some_and(is_digits)
}

fn leading_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn is_number(text: &str) -> bool {
    is_digits(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(version: &str, online: bool, exclude: &[&str]) -> Rules {
        let exclude: Vec<String> = exclude.iter().map(|e| (*e).to_owned()).collect();
        Rules::new(version.parse().unwrap(), 202_209_061, online, &exclude)
    }

    #[test]
    fn folders_are_told_apart() {
        let new = rules("15", true, &[]);
        for (name, place) in [
            ("pg_data", Place::Root),
            ("pg_data/pg_wal", Place::Wal),
            ("pg_data/pg_wal/archive_status", Place::Other),
            ("pg_data/pg_xlog", Place::Other),
            ("pg_data/pg_tblspc", Place::Tablespaces),
            ("pg_data/global", Place::Database),
            ("pg_data/global/x", Place::Other),
            ("pg_data/base", Place::Other),
            ("pg_data/base/5", Place::Database),
            ("pg_data/base/5/x", Place::Other),
            ("pg_data/base/x5", Place::Other),
            ("pg_data/base/", Place::Other),
            ("pg_tblspc/16384", Place::Other),
            ("pg_tblspc/16384/PG_15_202209061", Place::Other),
            ("pg_tblspc/16384/PG_15_202209061/5", Place::Database),
            ("pg_tblspc/16384/PG_14_202107181/5", Place::Other),
            ("pg_tblspc/16384/PG_15_202209061/5/x", Place::Other),
        ] {
            assert_eq!(new.place(name), place, "{name}");
        }
        assert_eq!(rules("9.6", true, &[]).place("pg_data/pg_xlog"), Place::Wal);
        assert_eq!(rules("9.6", true, &[]).place("pg_data/pg_wal"), Place::Other);
        assert_eq!(rules("9.6", true, &[]).tablespace_folder, "PG_9.6_202209061");
    }

    #[test]
    fn files_of_the_run_are_left_out_by_version() {
        let left_out = |version: &str, name: &str| {
            rules(version, true, &[]).leaves_out_file(Place::Root, name.as_bytes())
        };
        for (name, versions) in [
            ("recovery.signal", [false, false, false, true, true]),
            ("standby.signal", [false, false, false, true, true]),
            ("recovery.conf", [true, true, true, false, false]),
            ("recovery.done", [true, true, true, false, false]),
            ("backup_label", [false, true, true, true, true]),
            ("backup_label.old", [true; 5]),
            ("backup_manifest", [false, false, false, false, true]),
            ("backup_manifest.tmp", [false, false, false, false, true]),
            ("postgresql.auto.conf.tmp", [true; 5]),
            ("postmaster.pid", [true; 5]),
            ("postmaster.opts", [true; 5]),
            ("postgresql.auto.conf", [false; 5]),
            ("tablespace_map", [false; 5]),
            ("current_logfiles", [false; 5]),
        ] {
            let told = ["9.5", "9.6", "11", "12", "13"].map(|version| left_out(version, name));
            assert_eq!(told, versions, "{name}");
        }
        assert!(!rules("15", true, &[]).leaves_out_file(Place::Other, b"postmaster.pid"));
    }

    #[test]
    fn wal_is_left_out_of_online_backups_only() {
        for online in [true, false] {
            let rules = rules("15", online, &[]);
            assert_eq!(rules.leaves_out_file(Place::Wal, b"000000010000000000000001"), online);
            assert_eq!(
                rules.leaves_out_content(Place::Wal, b"archive_status", "pg_data/pg_wal/archive_status"),
                online
            );
            assert!(!rules.leaves_out_content(Place::Wal, b"summaries", "pg_data/pg_wal/summaries"));
            assert!(rules.leaves_out_content(Place::Root, b"pg_replslot", "pg_data/pg_replslot"));
            assert!(!rules.leaves_out_content(Place::Other, b"pg_replslot", "pg_data/x/pg_replslot"));
            assert!(!rules.leaves_out_content(Place::Root, b"pg_stat", "pg_data/pg_stat"));
        }
    }

    #[test]
    fn the_operator_leaves_out_by_name_or_content() {
        let rules = rules("15", true, &["log/", "base/5/16384", "x"]);
        assert!(rules.leaves_out_content(Place::Root, b"log", "pg_data/log"));
        assert!(!rules.leaves_out("pg_data", b"log") && rules.leaves_out("pg_data", b"x"));
        assert!(rules.leaves_out("pg_data/base/5", b"16384"));
        assert!(!rules.leaves_out("pg_data/base", b"x") && !rules.leaves_out("pg_data", b"x\xFF"));
        assert!(rules.leaves_out("pg_data/base/5", b"pgsql_tmp") && rules.leaves_out("x", b"pgsql_tmp1.0"));
    }

    #[test]
    fn relations_are_told_by_their_names() {
        let relation =
            |name: &str| relation_of(name.as_bytes()).map(|id| String::from_utf8(id.to_vec()).unwrap());
        for name in ["16384", "16384.1", "16384_fsm", "16384_vm", "16384_vm.12"] {
            assert_eq!(relation(name).as_deref(), Some("16384"), "{name}");
        }
        for name in ["", "_vm", ".1", "16384_init", "16384.", "16384_vm.x", "16384x", "t3_16384", "16384_xx"]
        {
            assert_eq!(relation(name), None, "{name}");
        }
        assert_eq!(unlogged_relation(b"16384_init"), Some(&b"16384"[..]));
        assert!(unlogged_relation(b"_init").is_none() && unlogged_relation(b"16384_init.1").is_none());
        let left_out = |name: &str| rules("15", true, &[]).leaves_out_file(Place::Database, name.as_bytes());
        for name in [
            "t3_16384",
            "t3_16384_vm",
            "t10_16384_fsm.2",
            "t3_1.1",
            "pg_internal.init",
            "pg_internal.init.77",
        ] {
            assert!(left_out(name), "{name}");
        }
        for name in [
            "t_16384",
            "t3_",
            "t3_x",
            "t3_16384_init",
            "16384",
            "pg_internal.init.",
            "pg_internal.init.x",
            "pg_internal.initx",
            "pg_internal",
        ] {
            assert!(!left_out(name), "{name}");
        }
        assert!(!rules("15", true, &[]).leaves_out_file(Place::Other, b"t3_16384"));
    }

    #[test]
    fn what_is_paged_and_what_is_replayed() {
        assert!(is_paged("pg_data/global", b"1262") && is_paged("pg_data/base/5", b"pg_control"));
        assert!(!is_paged("pg_data/global", b"pg_control") && !is_paged("pg_data/base/5", b"PG_VERSION"));
        assert!(!is_paged("pg_tblspc/1/PG_15_202209061/5", b"pg_filenode.map"));
        for (folder, name, replayed) in [
            ("pg_data/base/5", "16384", true),
            ("pg_data/base", "x", true),
            ("pg_data/global", "1262", true),
            ("pg_data/global", "pg_control", false),
            ("pg_data/pg_xact", "0000", true),
            ("pg_data/pg_multixact/offsets", "0000", true),
            ("pg_tblspc/1/PG_15_202209061/5", "16384", true),
            ("pg_data", "base", false),
            ("pg_data", "PG_VERSION", false),
            ("pg_data/pg_commit_ts", "0000", false),
            ("pg_data/basement", "x", false),
        ] {
            assert_eq!(is_replayed(folder, name.as_bytes()), replayed, "{folder}/{name}");
        }
    }
}
