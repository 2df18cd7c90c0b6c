//! What lies in a backup's folder and belongs to nothing in its manifest. Never damage: nobody reads it.

use super::Work;
use super::finding::{Findings, Level};
use super::shelf::stray;
use crate::base::Result;
use crate::repo::{Manifest, RepoError};
use crate::store::{EntryKind, StorePath};
use std::collections::BTreeMap;

/// Tells every object of the folder that no file of the manifest is stored in, and bundles that are longer than needed.
pub(super) fn tell(
    work: &Work<'_>,
    manifest: &Manifest,
    folder: &StorePath,
    findings: &mut Findings,
) -> Result<()> {
    let bundles = bundles(manifest);
    let mut waiting = vec![String::new()];
    while let Some(inside) = waiting.pop() {
        work.cancel.check()?;
        let path = if inside.is_empty() { folder.clone() } else { folder.join(&inside)? };
        let listed = work.storage.list(&path, &mut |entry| {
            let name = if inside.is_empty() { entry.name } else { format!("{inside}/{}", entry.name) };
            let why = match entry.meta.kind {
                EntryKind::Folder => {
                    waiting.push(name);
                    return true;
                }
                EntryKind::Link(_) => link(&name),
                EntryKind::File => file(manifest, &bundles, &name, entry.meta.size_bytes),
            };
            if let (Some(why), Ok(path)) = (why, folder.join(&name)) {
                findings.add(Level::Note, &path, why);
            }
            true
        });
        if let Err(error) = listed {
            findings.add_error(&path, &RepoError::from(error));
        }
    }
    Ok(())
}

/// The bundles files are stored in, each with the end of the last file.
fn bundles(manifest: &Manifest) -> BTreeMap<u64, u64> {
    let mut bundles = BTreeMap::new();
    for file in manifest.files.iter().filter(|file| file.stored_here) {
        if let Some((id, offset)) = file.bundle {
            let end: &mut u64 = bundles.entry(id).or_default();
            *end = (*end).max(offset.saturating_add(file.repo_size_bytes));
        }
    }
    bundles
}

fn file(manifest: &Manifest, bundles: &BTreeMap<u64, u64>, name: &str, bytes: u64) -> Option<String> {
    if matches!(name, "backup.manifest" | "backup.manifest.copy") {
        return None;
    }
    if let Some(end) = name.strip_prefix("bundle/").and_then(|id| bundles.get(&id.parse().ok()?)) {
        let more = bytes.saturating_sub(*end);
        return (more > 0).then(|| format!("has {more} bytes behind the last file"));
    }
    let stored = |name: &str, blocks: bool| {
        let found = manifest.files.find(name).map(|index| manifest.files.get(index));
        found.is_some_and(|file| {
            let here = file.stored_here || manifest.hardlink;
            here && file.is_stored() && file.bundle.is_none() && file.block.is_some() == blocks
        })
    };
    let plain = name.strip_suffix(manifest.compression.extension());
    let blocks = name.strip_suffix(".pgbi");
    let belongs =
        plain.is_some_and(|name| stored(name, false)) || blocks.is_some_and(|name| stored(name, true));
    (!belongs).then(|| stray(name).to_owned())
}

/// Only links of tablespaces are made.
fn link(name: &str) -> Option<String> {
    let tablespace = name.strip_prefix("pg_data/pg_tblspc/").is_some_and(|oid| oid.parse::<u32>().is_ok());
    (!tablespace).then(|| "is a link that belongs to nothing".to_owned())
}
