//! What a backup of a data directory consists of: every file, folder and link, under its manifest name.
//!
//! One look at each entry; contents are not read. Links are followed for naming: what lies in a linked folder appears
//! below the link. A running server changes what is looked at: what vanishes meanwhile is not there. What a restore
//! could not put back (links into each other, names no manifest can hold) is refused. Asks no server: what only the
//! server knows comes with the request. Writes nothing.

mod links;
mod look;
mod names;
mod owners;
mod rules;
mod walk;

use super::error::BackupError;
use crate::base::PgVersion;
use crate::model::op::Cancel;
use crate::repo::{LinkEntry, Owner, PathEntry, Target};
use links::Known;
pub use owners::{OwnerId, Owners};
use rules::{DATA, Rules, TABLESPACES};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use walk::{Found, FoundPath, Walk};

/// What is to be backed up, and how.
#[derive(Debug)]
pub struct ScanRequest<'a> {
    /// The data directory; becomes the path of the target `pg_data` as it is written here.
    pub data_dir: &'a Path,
    /// The cluster's version.
    pub version: PgVersion,
    /// The cluster's catalog version number; names its folders in tablespaces.
    pub catalog: u32,
    /// The server runs: WAL comes from the archive and is left out here.
    pub online: bool,
    /// The option `exclude`: paths below the data directory; one that ends in `/` leaves out the content only.
    pub exclude: &'a [String],
    /// Oid and name of each tablespace as the server knows them. Online each one found must be here; offline those
    /// that are not are called `ts<oid>`.
    pub tablespaces: &'a BTreeMap<u32, String>,
}

/// Everything a backup consists of.
#[derive(Debug)]
pub struct Scan {
    /// The data directory, tablespaces and links, sorted by name.
    pub targets: Vec<Target>,
    /// Every folder, sorted by name.
    pub paths: Vec<PathEntry>,
    /// Every symbolic link, sorted by name.
    pub links: Vec<LinkEntry>,
    /// Every file, sorted bytewise by name, each name once.
    pub files: Vec<ScanFile>,
    /// Who owns the files.
    pub owners: Owners,
    /// What an operator should know: special files that are left out.
    pub warnings: Vec<String>,
}

/// One file as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanFile {
    /// Its name, for example `pg_data/base/5/1247`.
    pub name: Box<str>,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Modification time, whole seconds since 1970.
    pub modified_s: i64,
    /// Permission bits.
    pub mode: u32,
    /// Who owns it; [`Scan::owner`] gives the names.
    pub owner: OwnerId,
    /// It lies in a folder of relations and consists of pages: with checksums on, each page is checked.
    pub page_checked: bool,
    /// Replay makes it right: it is copied up to [`size_bytes`](Self::size_bytes) only, and may come from a standby.
    pub relation_like: bool,
}

impl Scan {
    /// User and group of a file of this scan.
    pub fn owner(&self, file: &ScanFile) -> (Owner<&str>, Owner<&str>) {
        self.owners.get(file.owner)
    }

    /// The bytes of all files together.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }
}

/// Walks the data directory, its tablespaces and whatever its links lead to.
pub fn scan(request: &ScanRequest<'_>, cancel: &Cancel) -> Result<Scan, BackupError> {
    let rules = Rules::new(request.version, request.catalog, request.online, request.exclude);
    let path = look::utf8(request.data_dir.as_os_str(), &|| request.data_dir.to_owned())?;
    let known = Known { tablespaces: request.tablespaces, all: request.online };
    let walk = Walk::new(request.data_dir, &rules, known, cancel)?;
    let found = walk.run()?;
    let data = Target {
        name: DATA.to_owned(),
        path: without_end_slash(path).to_owned(),
        file: None,
        link: false,
        tablespace: None,
    };
    Ok(assemble(found, data, walk.into_owners()))
}

/// Where the file or folder of a manifest name is on this host, links left to the system.
pub fn real_path(data_dir: &Path, name: &str) -> PathBuf {
    let below = match name.strip_prefix(DATA) {
        Some(below) if below.is_empty() || below.starts_with('/') => below,
        _ => name,
    };
    match below.trim_start_matches('/') {
        "" => data_dir.to_owned(),
        below => data_dir.join(below),
    }
}

fn without_end_slash(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { path } else { trimmed }
}

/// Brings what the walk found into the manifest's order and adds what stands in a manifest only.
fn assemble(found: Found, data: Target, owners: Owners) -> Scan {
    let Found { mut batches, mut paths, links, mut targets, mut warnings } = found;
    paths.extend(placeholders(&targets, &paths));
    paths.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    paths.dedup_by(|a, b| a.name == b.name);
    targets.push(data);
    targets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    warnings.sort_unstable();
    // Batches are sorted, and in the order of their folders nearly everything is: that is what this sort is good at.
    batches.sort_unstable_by(|a, b| a.first().map(|f| &f.name).cmp(&b.first().map(|f| &f.name)));
    let mut files = Vec::with_capacity(batches.iter().map(Vec::len).sum());
    for batch in batches {
        files.extend(batch);
    }
    files.sort_by(|a: &ScanFile, b| a.name.cmp(&b.name));
    // A folder that changes while it is listed may show an entry twice.
    files.dedup_by(|a, b| a.name == b.name);
    let named = |(user, group): (Owner<&str>, Owner<&str>)| (owned(user), owned(group));
    let paths = paths
        .into_iter()
        .map(|path| {
            let (user, group) = named(owners.get(path.owner));
            PathEntry { name: path.name, mode: path.mode, user, group }
        })
        .collect();
    let mut links: Vec<_> = links
        .into_iter()
        .map(|link| {
            let (user, group) = named(owners.get(link.owner));
            LinkEntry { name: link.name, destination: link.destination, user, group }
        })
        .collect();
    links.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Scan { targets, paths, links, files, owners, warnings }
}

/// The folders a manifest lists beside the real ones if there are tablespaces: `pg_tblspc` and `pg_tblspc/<oid>`.
fn placeholders(targets: &[Target], paths: &[FoundPath]) -> Vec<FoundPath> {
    let mut added: Vec<FoundPath> = Vec::new();
    let like = |model: &str, name: &str| {
        let model = paths.iter().find(|path| path.name == model);
        model.map(|model| FoundPath { name: name.to_owned(), mode: model.mode, owner: model.owner })
    };
    let links = format!("{DATA}/{TABLESPACES}");
    for target in targets.iter().filter(|target| target.tablespace.is_some()) {
        if added.is_empty() {
            added.extend(like(DATA, TABLESPACES));
        }
        added.extend(like(&links, &target.name));
    }
    added
}

fn owned(owner: Owner<&str>) -> Owner<String> {
    match owner {
        Owner::Named(name) => Owner::Named(name.to_owned()),
        Owner::Unnamed => Owner::Unnamed,
    }
}

#[cfg(test)]
mod tests;
