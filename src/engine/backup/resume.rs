//! Taking up a full backup that was interrupted.
//!
//! Its manifest's copy tells what was stored. A file counts if the cluster's still has the same size and time, which must
//! prove something (see [`young_from`]), and the stored bytes are what the copy says; everything else in its folder is
//! removed. Only a full backup of this program's own version is taken up: who made it knows what its manifest leaves out.

use super::compare::{CONTROL_NAME, Decision, young_from};
use super::request::Request;
use super::scan::Scan;
use crate::base::{BackupKind, BackupLabel, Result, Timeline};
use crate::codec::{Hasher, Sha1Hash};
use crate::model::op::Cancel;
use crate::repo::{BackupInfo, FileEntry, Manifest, Stanza, WRITER};
use crate::store::{EntryKind, Range, Storage, StorePath};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The newest backup folder of the stanza, if the backup in it was not finished.
pub(super) fn unfinished(stanza: &Stanza, labels: &[BackupLabel]) -> Result<Option<BackupLabel>> {
    let storage = &**stanza.repository().storage();
    let folder = stanza.backup_folder()?;
    let present = |label: &&BackupLabel| {
        folder.join(label.as_str()).and_then(|path| storage.stat(&path)).is_ok_and(|found| found.is_some())
    };
    let Some(newest) = labels.iter().rev().find(present) else { return Ok(None) };
    let manifest = folder.join(newest.as_str())?.join("backup.manifest")?;
    Ok(storage.stat(&manifest)?.is_none().then(|| newest.clone()))
}

/// What an unfinished backup must agree with, besides the request.
pub(super) struct Now {
    /// The cluster's timeline: files of another one may have the same time and other content.
    pub(super) timeline: Timeline,
    /// Pages are checked.
    pub(super) checksum_page: bool,
}

/// The manifest of an unfinished backup that `request` may take up; otherwise why not.
pub(super) fn usable(
    stanza: &Stanza,
    info: &BackupInfo,
    label: &BackupLabel,
    request: &Request,
    now: &Now,
) -> Result<Manifest, String> {
    if !request.resume {
        return Err("resuming is switched off".to_owned());
    }
    if label.kind() != BackupKind::Full || request.kind != BackupKind::Full {
        return Err("only full backups are taken up".to_owned());
    }
    let manifest = stanza.partial_manifest(info, label).map_err(|error| error.to_string())?;
    let differs = [
        ("another program made it", manifest.backrest_version != WRITER),
        ("it is of another cluster", manifest.db.id != info.current_db_id),
        ("its compression is another", manifest.compression != request.compression),
        ("it bundles files, or does not", manifest.bundle != request.bundle.is_some()),
        ("it stores blocks, or does not", manifest.block_incr != request.block.is_some()),
        ("it was made of a stopped cluster, or of a running one", manifest.online != request.online),
        ("it checks pages, or does not", manifest.checksum_page != now.checksum_page),
        (
            "it is of another timeline",
            manifest.archive_start.is_some_and(|first| first.timeline != now.timeline),
        ),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        Some((why, _)) => Err((*why).to_owned()),
        None => Ok(manifest),
    }
}

/// Decides which files need not be copied again, by reading what was stored of them.
pub(super) fn verify(
    storage: &dyn Storage,
    partial: &Manifest,
    scan: &Scan,
    decisions: &mut [Decision],
    threads: usize,
    cancel: &Cancel,
) -> Result<u64> {
    let settled = young_from(partial);
    let fits = |number: usize| -> Option<(usize, u32)> {
        let file = &scan.files[number];
        let at = partial.files.find(&file.name).filter(|_| &*file.name != CONTROL_NAME)?;
        let entry = partial.files.get(at);
        let proves = entry.modified_s == file.modified_s && entry.modified_s < settled;
        let same = entry.size_bytes == file.size_bytes && proves;
        let stored = entry.checksum.is_some() && entry.is_stored();
        (same && stored && matches!(decisions[number], Decision::Copy { .. }))
            .then(|| Some((number, u32::try_from(at).ok()?)))
            .flatten()
    };
    let candidates: Vec<(usize, u32)> = (0..decisions.len()).filter_map(fits).collect();
    let (next, sound) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        while let Some((number, at)) = candidates.get(next.fetch_add(1, Ordering::Relaxed)) {
            cancel.check()?;
            if is_sound(storage, partial, &partial.files.get(*at as usize)) {
                sound.lock().unwrap_or_else(PoisonError::into_inner).push((*number, *at));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let sound = sound.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (number, at) in &sound {
        decisions[*number] = Decision::Same(*at);
    }
    Ok(sound.len() as u64)
}

/// True if the stored bytes of a file are what its manifest says.
fn is_sound(storage: &dyn Storage, manifest: &Manifest, entry: &FileEntry<'_>) -> bool {
    let Some(expected) = entry.repo_checksum.or(entry.checksum) else { return false };
    manifest.stored(entry).is_ok_and(|(path, range, _)| {
        hash_of(storage, &path, range)
            .is_some_and(|(bytes, sha1)| bytes == entry.repo_size_bytes && sha1 == expected)
    })
}

fn hash_of(storage: &dyn Storage, path: &StorePath, range: Range) -> Option<(u64, Sha1Hash)> {
    let mut reader = storage.open(path, range).ok()?;
    let (mut hasher, mut bytes, mut buffer) = (Hasher::new(), 0, vec![0; 256 * 1024]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Some((bytes, hasher.finish())),
            Ok(got) => {
                hasher.update(&buffer[..got]);
                bytes += got as u64;
            }
            Err(_) => return None,
        }
    }
}

/// Removes what an interrupted backup left and the new one does not use; gives the first number free for a bundle.
pub(super) fn clear(
    storage: &dyn Storage,
    folder: &StorePath,
    partial: &Manifest,
    decisions: &[Decision],
) -> Result<u64> {
    let mut used = BTreeSet::from([folder.join("backup.manifest.copy")?]);
    let mut last_bundle = 0;
    for decision in decisions {
        if let Decision::Same(at) = decision {
            let entry = partial.files.get(*at as usize);
            last_bundle = last_bundle.max(entry.bundle.map_or(0, |(id, _)| id));
            used.insert(partial.stored(&entry)?.0);
        }
    }
    remove_unused(storage, folder, &used)?;
    Ok(last_bundle + 1)
}

fn remove_unused(storage: &dyn Storage, folder: &StorePath, used: &BTreeSet<StorePath>) -> Result<()> {
    let mut entries = Vec::new();
    storage.list(folder, &mut |entry| {
        entries.push(entry);
        true
    })?;
    for entry in entries {
        let path = folder.join(&entry.name)?;
        match entry.meta.kind {
            EntryKind::Folder => remove_unused(storage, &path, used)?,
            EntryKind::File | EntryKind::Link(_) if !used.contains(&path) => storage.remove(&path)?,
            EntryKind::File | EntryKind::Link(_) => {}
        }
    }
    Ok(())
}
