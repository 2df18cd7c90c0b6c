//! The WAL archive of one cluster, listed: its names as runs, its segment size, and what does not belong there.
//!
//! Names are listed folder by folder, so that memory does not grow with the archive. A folder that cannot be listed
//! may hold anything: nothing of it is called missing.

use super::Work;
use super::finding::{Findings, Level, level_of};
use super::infos::Infos;
use super::labels::Listed;
use super::names::Archived;
use super::segment;
use crate::base::units::is_upper_hex;
use crate::base::{PgVersion, Result, SystemId, Timeline, WalSegment, WalSegmentSize};
use crate::repo::archive::{Ranges, WalRange};
use crate::repo::{Archive, ArchiveId, RepoError, StoredSegment};
use crate::store::{EntryKind, StorePath, list_sorted};
use crate::wal::Expected;
use std::collections::BTreeMap;

/// In how many segments the segment size is looked for.
const SIZE_TRIES: usize = 12;

/// The archive of one cluster, listed.
pub(super) struct Shelf {
    pub(super) id: ArchiveId,
    pub(super) archive: Archive,
    pub(super) folder: StorePath,
    pub(super) expected: Expected,
    pub(super) size: WalSegmentSize,
    pub(super) size_assumed: bool,
    /// Its folder could be listed.
    pub(super) listed: bool,
    /// The folders of segments, sorted.
    pub(super) folders: Vec<String>,
    /// Timelines with a history file.
    pub(super) histories: Vec<Timeline>,
    pub(super) ranges: Ranges,
    /// Folders that could not be listed: what they hold is unknown.
    pub(super) dark: Vec<WalRange>,
    /// Only these segments are looked at.
    pub(super) only: Option<(WalSegment, WalSegment)>,
    pub(super) findings: Findings,
}

impl Shelf {
    pub(super) fn wanted(&self, segment: WalSegment) -> bool {
        self.only.is_none_or(|(first, last)| (first..=last).contains(&segment))
    }

    /// Everything about one folder, in the order of names.
    pub(super) fn list(&self, work: &Work<'_>, folder: &str) -> Result<Vec<(String, Archived)>, RepoError> {
        let mut found = Vec::new();
        work.storage.list(&self.folder.join(folder)?, &mut |entry| {
            let file = entry.meta.kind == EntryKind::File;
            let kind = if file {
                Archived::of_name(folder, &entry.name, entry.meta.size_bytes)
            } else {
                Archived::Stray
            };
            found.push((entry.name, kind));
            true
        })?;
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}

/// Lists the archives that are to be verified, and tells what else is in the stanza's archive folder; false if that
/// could not be listed.
pub(super) fn survey(
    work: &Work<'_>,
    infos: &Infos,
    labels: &[Listed],
    findings: &mut Findings,
) -> Result<(Vec<Shelf>, bool)> {
    let folder = work.stanza.archive_folder()?;
    let archive = work.stanza.archive(&infos.archive);
    let mut ids: BTreeMap<String, ArchiveId> =
        archive.ids().into_iter().map(|id| (id.to_string(), id)).collect();
    let mut listed = true;
    let entries = list_sorted(work.storage, &folder).unwrap_or_else(|error| {
        findings.add_error(&folder, &RepoError::from(error));
        listed = false;
        Vec::new()
    });
    let only = work.request.set.as_ref().map(|_| need_of_set(work, infos, labels));
    let mut shelves = Vec::new();
    for entry in entries {
        let path = folder.join(&entry.name)?;
        if entry.meta.kind == EntryKind::File {
            if !matches!(&*entry.name, "archive.info" | "archive.info.copy") {
                findings.add(Level::Note, &path, "belongs to no archive");
            }
            continue;
        }
        let Some(id) = ids.remove(&entry.name) else {
            findings.add(Level::Warning, &path, "is the archive of no cluster that archive.info knows");
            continue;
        };
        let Some(cluster) = infos.archive.history.get(&id.db_id).copied() else { continue };
        let only = match &only {
            None => None,
            Some(Some((need, of))) if *of == cluster => Some(*need),
            Some(_) => continue,
        };
        shelves.push(shelf(work, &archive, id, cluster, only)?);
    }
    shelves.sort_by_key(|shelf| shelf.id.db_id);
    Ok((shelves, listed))
}

type Need = ((WalSegment, WalSegment), (PgVersion, SystemId));

/// The WAL the only backup asked for needs, and the cluster that wrote it; nothing for an offline one.
fn need_of_set(work: &Work<'_>, infos: &Infos, labels: &[Listed]) -> Option<Need> {
    let label = labels.first()?;
    if let Some(entry) = &label.entry {
        let cluster = infos.backup.history.get(&entry.db_id)?;
        return Some((entry.archive_start.zip(entry.archive_stop)?, (cluster.version, cluster.system_id)));
    }
    let manifest = work.stanza.manifest(&infos.backup, &label.label).ok()?.value;
    let need = manifest.archive_start.zip(manifest.archive_stop)?;
    Some((need, (manifest.db.version, manifest.db.system_id)))
}

/// Lists one archive.
fn shelf(
    work: &Work<'_>,
    archive: &Archive,
    id: ArchiveId,
    (version, system_id): (PgVersion, SystemId),
    only: Option<(WalSegment, WalSegment)>,
) -> Result<Shelf> {
    let folder = work.stanza.archive_folder()?.join(&id.to_string())?;
    let expected = Expected { version: Some(version), system_id: Some(system_id) };
    let mut shelf = Shelf {
        id,
        archive: archive.clone(),
        folder,
        expected,
        size: WalSegmentSize::DEFAULT,
        size_assumed: true,
        listed: true,
        folders: Vec::new(),
        histories: Vec::new(),
        ranges: Ranges::default(),
        dark: Vec::new(),
        only,
        findings: Findings::default(),
    };
    let entries = list_sorted(work.storage, &shelf.folder).unwrap_or_else(|error| {
        shelf.findings.add_error(&shelf.folder, &RepoError::from(error));
        shelf.listed = false;
        Vec::new()
    });
    for entry in entries {
        let folder = entry.meta.kind != EntryKind::File;
        if folder && is_upper_hex(&entry.name, 16) {
            shelf.folders.push(entry.name);
        } else if let Some(timeline) = Timeline::from_history_file(&entry.name).filter(|_| !folder) {
            shelf.histories.push(timeline);
        } else {
            shelf.findings.add(Level::Note, &shelf.folder.join(&entry.name)?, "belongs to no archive");
        }
    }
    if let Some(size) = find_size(work, &shelf) {
        (shelf.size, shelf.size_assumed) = (size, false);
    }
    list_names(work, &mut shelf)?;
    Ok(shelf)
}

/// The segment size, from the first segment that is sound enough to tell; the oldest and the newest are asked.
fn find_size(work: &Work<'_>, shelf: &Shelf) -> Option<WalSegmentSize> {
    let ends = shelf.folders.iter().take(2).chain(shelf.folders.iter().rev().take(2));
    let mut tries = 0;
    for folder in ends {
        for (_, kind) in shelf.list(work, folder).unwrap_or_default() {
            let Archived::Segment(stored) = kind else { continue };
            tries += 1;
            if let Some(size) = segment::size_of(shelf, &stored) {
                return Some(size);
            }
            if tries % (SIZE_TRIES / 4) == 0 {
                break;
            }
        }
    }
    None
}

/// Walks over all names: runs, and how much there is to read.
fn list_names(work: &Work<'_>, shelf: &mut Shelf) -> Result<()> {
    let mut previous: Option<StoredSegment> = None;
    let (mut bytes, mut files) = (0_u64, 0_u64);
    for folder in shelf.folders.clone() {
        work.cancel.check()?;
        let found = match shelf.list(work, &folder) {
            Ok(found) => found,
            Err(error) => {
                let path = shelf.folder.join(&folder)?;
                shelf.findings.add(level_of(&error), &path, format!("cannot be listed: {error}"));
                shelf.dark.extend(whole_folder(&folder, shelf.size));
                continue;
            }
        };
        for (name, kind) in found {
            match kind {
                Archived::Segment(stored) => {
                    shelf.ranges.add(&stored, previous.as_ref(), shelf.size);
                    if shelf.wanted(stored.segment) {
                        bytes = bytes.saturating_add(stored.stored_bytes);
                        files += 1;
                    }
                    previous = Some(stored);
                }
                Archived::Partial(_) | Archived::BackupHistory(..) => {}
                Archived::Stray => {
                    let path = shelf.folder.join(&folder)?.join(&name)?;
                    shelf.findings.add(Level::Note, &path, stray(&name));
                }
            }
        }
    }
    for segment in std::mem::take(&mut shelf.ranges.impossible) {
        let path = shelf.folder.join(&segment.folder())?.join(&segment.to_string())?;
        let why = format!("cannot be, with segments of {} bytes", shelf.size.bytes());
        shelf.findings.add(Level::Damage, &path, why);
    }
    work.expect(bytes, files);
    Ok(())
}

/// What a file that does not belong there may be.
pub(super) fn stray(name: &str) -> &'static str {
    if name.ends_with(".pgbackrest.tmp") {
        "is being written, or was left when writing it was interrupted"
    } else {
        "belongs to nothing"
    }
}

fn whole_folder(folder: &str, size: WalSegmentSize) -> Option<WalRange> {
    let first: WalSegment = format!("{folder}00000000").parse().ok()?;
    let seg = u32::try_from(size.segments_per_log() - 1).ok()?;
    Some(WalRange { first, last: WalSegment { seg, ..first }, stored_bytes: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_listed_may_hold_all_its_segments() {
        let dark = whole_folder("000000010000000A", WalSegmentSize::DEFAULT).unwrap();
        assert_eq!(
            (dark.first.to_string(), dark.last.to_string()),
            ("000000010000000A00000000".into(), "000000010000000A000000FF".into())
        );
    }
}
