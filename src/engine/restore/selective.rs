//! Restoring some databases only: which files become holes.
//!
//! The databases not wanted keep their files' sizes but no content, so that replay passes over them; afterwards
//! they can only be dropped. System databases are always restored.

use crate::base::{Report, Result};
use crate::repo::{Database, Manifest};
use std::collections::{BTreeMap, BTreeSet};

/// First oid of databases made by users.
const FIRST_NORMAL_OID: u32 = 16_384;

/// The databases whose files become holes; empty for a whole restore.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    blank: BTreeSet<u32>,
}

impl Selection {
    /// From `--db-include` and `--db-exclude` (names or oids).
    pub fn build(manifest: &Manifest, include: &[String], exclude: &[String]) -> Result<Self> {
        if include.is_empty() && exclude.is_empty() {
            return Ok(Self::default());
        }
        let known = known_databases(manifest);
        let find = |wanted: &String| {
            let by_name = manifest.databases.iter().find(|d| d.name == *wanted).map(|d| d.oid);
            by_name.or_else(|| wanted.parse().ok()).filter(|oid| known.contains_key(oid)).ok_or_else(|| {
                let names: Vec<_> =
                    manifest.databases.iter().filter(|d| !is_system(d)).map(|d| d.name.as_str()).collect();
                Report::usage(format!("this backup has no database {wanted}; it has {}", names.join(", ")))
            })
        };
        let included = include.iter().map(find).collect::<Result<BTreeSet<u32>>>()?;
        let excluded = exclude.iter().map(find).collect::<Result<BTreeSet<u32>>>()?;
        for oid in included.iter().chain(&excluded) {
            if known.get(oid) == Some(&true) {
                return Err(Report::usage(format!(
                    "database {oid} is a system database; it is always restored"
                )));
            }
        }
        if let Some(both) = included.intersection(&excluded).next() {
            return Err(Report::usage(format!("database {both} is both included and excluded")));
        }
        let users = known.iter().filter(|(_, system)| !**system).map(|(oid, _)| *oid);
        let blank = users
            .filter(|oid| excluded.contains(oid) || (!included.is_empty() && !included.contains(oid)))
            .collect();
        Ok(Self { blank })
    }

    /// True if nothing is left out.
    pub fn is_whole(&self) -> bool {
        self.blank.is_empty()
    }

    /// The oids of the databases left out.
    pub fn left_out(&self) -> impl Iterator<Item = u32> + '_ {
        self.blank.iter().copied()
    }

    /// True if the file of this manifest name becomes a hole.
    pub fn is_blank(&self, name: &str) -> bool {
        !self.blank.is_empty()
            && database_of(name).is_some_and(|oid| self.blank.contains(&oid))
            && !name.ends_with("/PG_VERSION")
    }
}

fn is_system(database: &Database) -> bool {
    matches!(database.name.as_str(), "postgres" | "template0" | "template1")
        || database.oid < FIRST_NORMAL_OID
}

/// Every database of the backup by oid, and whether it is a system database. One that the list of names lacks (made
/// or dropped while the backup ran) is known by its files.
fn known_databases(manifest: &Manifest) -> BTreeMap<u32, bool> {
    let mut known: BTreeMap<u32, bool> = manifest.databases.iter().map(|d| (d.oid, is_system(d))).collect();
    for path in &manifest.paths {
        if let Some(oid) = database_of(&format!("{}/", path.name)) {
            known.entry(oid).or_insert(oid < FIRST_NORMAL_OID);
        }
    }
    known
}

/// The database a file belongs to: `pg_data/base/<oid>/…` or `pg_tblspc/<oid>/PG_…/<oid>/…`.
fn database_of(name: &str) -> Option<u32> {
    let rest = match name.strip_prefix("pg_data/base/") {
        Some(rest) => rest,
        None => name.strip_prefix("pg_tblspc/")?.split_once('/')?.1.split_once('/')?.1,
    };
    rest.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_the_database_of_their_folder() {
        assert_eq!(database_of("pg_data/base/16393/1247"), Some(16393));
        assert_eq!(database_of("pg_tblspc/16384/PG_15_202209061/5/2619"), Some(5));
        assert_eq!(database_of("pg_data/base/pgsql_tmp/x"), None);
        assert_eq!(database_of("pg_data/global/1262"), None);
        assert_eq!(database_of("pg_tblspc/16384"), None);
    }

    #[test]
    fn a_left_out_database_keeps_its_version_file() {
        let selection = Selection { blank: BTreeSet::from([16393]) };
        assert!(selection.is_blank("pg_data/base/16393/1247"));
        assert!(!selection.is_blank("pg_data/base/16393/PG_VERSION"));
        assert!(!selection.is_blank("pg_data/base/5/1247"));
    }
}
