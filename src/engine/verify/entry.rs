//! A manifest compared with what `backup.info` says of the backup.

use super::finding::{Findings, Level};
use crate::base::BackupLabel;
use crate::repo::{BackupEntry, DbHistory, Manifest};
use crate::store::StorePath;
use std::collections::BTreeSet;

/// Sums over the files of a manifest, as `backup.info` keeps them.
#[derive(Default)]
struct Sums {
    size: u64,
    delta: u64,
    stored: u64,
    stored_delta: u64,
    maps: u64,
    maps_delta: u64,
}

impl Sums {
    fn of(manifest: &Manifest) -> Self {
        let mut sums = Self::default();
        for file in manifest.files.iter() {
            let stored = if file.repo_size_bytes > 0 { file.repo_size_bytes } else { file.size_bytes };
            let map = file.block.map_or(0, |block| block.map_bytes);
            let own = u64::from(file.stored_here);
            sums.size += file.size_bytes;
            sums.delta += own * file.size_bytes;
            sums.stored += stored;
            sums.stored_delta += own * stored;
            sums.maps += map;
            sums.maps_delta += own * map;
        }
        sums
    }
}

/// Tells every contradiction; true if one of them makes a restore or recovery go wrong. `cluster` is what `backup.info`
/// knows of the cluster the backup is of.
pub(super) fn compare(
    entry: &BackupEntry,
    cluster: Option<&DbHistory>,
    manifest: &Manifest,
    folder: &StorePath,
    findings: &mut Findings,
) -> bool {
    let used: BTreeSet<&BackupLabel> =
        manifest.files.iter().map(|file| file.owner).filter(|owner| **owner != manifest.label).collect();
    let listed: BTreeSet<&BackupLabel> = entry.references.iter().collect();
    let known: BTreeSet<&BackupLabel> = manifest.references.iter().collect();
    let db = manifest.db;
    let same_cluster = cluster.is_some_and(|own| (own.version, own.system_id) == (db.version, db.system_id));
    let decisive = [
        ("type", entry.kind == manifest.kind),
        ("prior backup", entry.prior == manifest.prior),
        ("first WAL segment", entry.archive_start == manifest.archive_start),
        ("last WAL segment", entry.archive_stop == manifest.archive_stop),
        ("start LSN", entry.lsn_start == manifest.lsn_start),
        ("stop LSN", entry.lsn_stop == manifest.lsn_stop),
        ("start time", entry.start == manifest.start),
        ("stop time", entry.stop == manifest.stop),
        ("number of the cluster", entry.db_id == manifest.db.id),
        ("cluster", same_cluster),
        ("references", used.is_subset(&listed) && listed.is_subset(&known)),
        ("online flag", entry.online == manifest.online),
    ];
    let sums = Sums::of(manifest);
    let map = |told: Option<u64>, sum: u64| told.is_none_or(|told| told == sum);
    let informative = [
        ("size", entry.size_bytes == sums.size),
        ("size of its own files", entry.delta_bytes == sums.delta),
        ("stored size", entry.repo_size_bytes == sums.stored),
        ("stored size of its own files", entry.repo_delta_bytes == sums.stored_delta),
        ("size of block maps", map(entry.map_bytes, sums.maps)),
        ("size of its own block maps", map(entry.map_delta_bytes, sums.maps_delta)),
    ];
    let told = |pairs: &[(&'static str, bool)]| {
        let differ: Vec<_> = pairs.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
        differ.join(", ")
    };
    let Ok(path) = folder.join("backup.manifest") else { return false };
    let (wrong, odd) = (told(&decisive), told(&informative));
    if !wrong.is_empty() {
        findings.add(Level::Damage, &path, format!("contradicts backup.info: {wrong}"));
    }
    if !odd.is_empty() {
        findings.add(Level::Warning, &path, format!("adds up to other sums than backup.info has: {odd}"));
    }
    !wrong.is_empty()
}
