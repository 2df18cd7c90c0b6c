//! Which backups there are: those that `backup.info` lists, those whose folders are there, and what each can be.
//!
//! A folder with nothing but `backup.manifest.copy` is a backup that is being made or was left; one without either
//! file is the rest of one that was expired. Neither is damage.

use super::finding::{Findings, Level, level_of};
use super::infos::Infos;
use super::{Work, info_now, pool};
use crate::base::{BackupLabel, Report, Result};
use crate::codec::Compression;
use crate::repo::{BackupEntry, RepoError};
use crate::store::{Entry, EntryKind, StorePath, list_sorted};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// One backup, before it is looked at.
pub(super) struct Listed {
    pub(super) label: BackupLabel,
    /// What `backup.info` says of it, if it lists it.
    pub(super) entry: Option<BackupEntry>,
    /// Its folder.
    pub(super) folder: StorePath,
    /// There is a manifest or a copy of one that counts.
    pub(super) finished: bool,
    /// Stored bytes of its own, as `backup.info` says.
    pub(super) stored_bytes: u64,
}

/// What stands in a backup's folder.
#[derive(Clone, Copy)]
struct Standing {
    main: bool,
    copy: bool,
}

/// The backups to verify, oldest first; tells what else stands in the stanza's folder.
pub(super) fn find(work: &Work<'_>, infos: &Infos, findings: &mut Findings) -> Result<Vec<Listed>> {
    let folder = work.stanza.backup_folder()?;
    let folders = folders(work, &folder, findings)?;
    let mut listed = infos.backup.backups.clone();
    let mut standing = BTreeMap::new();
    for label in folders.iter().chain(listed.keys()) {
        let found = look(work, &folder.join(label.as_str())?, findings)?;
        standing.insert(label.clone(), found);
    }
    // A backup that ended just now has its manifest before it is listed.
    let unlisted = |listed: &BTreeMap<BackupLabel, BackupEntry>| {
        standing.iter().any(|(label, found)| found.main && !listed.contains_key(label))
    };
    if infos.knows_backups && unlisted(&listed) {
        work.wait()?;
        let now = info_now(work).map_or(listed.clone(), |info| info.backups);
        now.into_iter().filter(|(label, _)| standing.contains_key(label)).for_each(|(label, entry)| {
            listed.entry(label).or_insert(entry);
        });
    }
    let mut labels = Vec::new();
    for (label, found) in standing {
        let entry = listed.remove(&label);
        let own = folder.join(label.as_str())?;
        if entry.is_none() && !found.main {
            tell_unfinished(work, findings, &own, found);
            if !found.copy {
                continue;
            }
        } else if entry.is_none() && infos.knows_backups {
            let why = "is not listed in backup.info: the next backup or expire adds it if it fits";
            findings.add(Level::Warning, &own, why);
        }
        if work.request.set.as_ref().is_some_and(|set| *set != label) {
            continue;
        }
        let stored_bytes = entry.as_ref().map_or(0, |entry| entry.repo_delta_bytes);
        let finished = entry.is_some() || found.main;
        labels.push(Listed { label, entry, folder: own, finished, stored_bytes });
    }
    match &work.request.set {
        Some(set) if labels.is_empty() => {
            Err(RepoError::NoSuchBackup { label: set.clone(), stanza: work.stanza.name().to_owned() }.into())
        }
        _ => Ok(labels),
    }
}

/// The labels of the folders there are; everything else in the stanza's folder is told.
fn folders(work: &Work<'_>, folder: &StorePath, findings: &mut Findings) -> Result<BTreeSet<BackupLabel>> {
    let entries = match list_sorted(work.storage, folder) {
        Ok(entries) => entries,
        Err(error) => {
            let error = RepoError::from(error);
            findings.add(level_of(&error), folder, format!("cannot be listed: {error}"));
            return Ok(BTreeSet::new());
        }
    };
    let mut labels = BTreeSet::new();
    let mut latest = None;
    for Entry { name, meta } in entries {
        match (name.parse::<BackupLabel>(), &meta.kind) {
            (Ok(label), EntryKind::Folder) => drop(labels.insert(label)),
            (_, EntryKind::Link(to)) if name == "latest" => latest = Some(to.clone()),
            (_, EntryKind::File) if matches!(&*name, "backup.info" | "backup.info.copy") => {}
            (_, EntryKind::Folder) if name == "backup.history" => {}
            _ => findings.add(Level::Note, &folder.join(&name)?, "belongs to no backup"),
        }
    }
    let dangling =
        latest.filter(|to| to.parse::<BackupLabel>().ok().is_none_or(|label| !labels.contains(&label)));
    if let Some(to) = dangling {
        let why = format!("points to '{}', which is not there", to.escape_debug());
        findings.add(Level::Note, &folder.join("latest")?, why);
    }
    Ok(labels)
}

fn look(work: &Work<'_>, folder: &StorePath, findings: &mut Findings) -> Result<Standing> {
    let mut there = |name: &str| {
        let path = folder.join(name)?;
        match work.storage.stat(&path) {
            Ok(meta) => Ok::<_, Report>(meta.is_some()),
            // What cannot be looked at is tried, and the failure told then.
            Err(error) => {
                let error = RepoError::from(error);
                findings.add(level_of(&error), &path, error.to_string());
                Ok(true)
            }
        }
    };
    Ok(Standing { main: there("backup.manifest")?, copy: there("backup.manifest.copy")? })
}

fn tell_unfinished(work: &Work<'_>, findings: &mut Findings, folder: &StorePath, found: Standing) {
    let why = match (found.copy, work.request.busy) {
        (true, true) => "is a backup that is being made",
        (true, false) => {
            "is a backup that is being made on another host or was left: the next one resumes or removes it"
        }
        (false, true) => "is a backup that begins, or the rest of one that is being removed",
        (false, false) => "is the rest of a backup that was left or expired",
    };
    findings.add(Level::Note, folder, why);
}

/// The manifests kept in `backup.history`: whole, and equal to those of backups that are still there.
pub(super) fn check_history(
    work: &Work<'_>,
    infos: &Infos,
    labels: &[Listed],
    findings: &mut Findings,
) -> Result<()> {
    if !infos.manifests_open {
        return Ok(());
    }
    let folder = work.stanza.backup_folder()?.join("backup.history")?;
    let cipher = infos.backup.cipher_pass.as_ref();
    let list = |path: &StorePath, findings: &mut Findings| {
        list_sorted(work.storage, path).unwrap_or_else(|error| {
            findings.add_error(path, &RepoError::from(error));
            Vec::new()
        })
    };
    let mut kept = Vec::new();
    for year in list(&folder, findings) {
        let path = folder.join(&year.name)?;
        let named = year.name.len() == 4 && year.name.bytes().all(|b| b.is_ascii_digit());
        if !named || year.meta.kind != EntryKind::Folder {
            findings.add(Level::Note, &path, "belongs to no manifest");
            continue;
        }
        for entry in list(&path, findings) {
            let file = path.join(&entry.name)?;
            let label = entry.name.strip_suffix(".manifest.gz").and_then(|name| name.parse().ok());
            match label.filter(|_| entry.meta.kind == EntryKind::File) {
                Some(label) => kept.push((label, file)),
                None => findings.add(Level::Note, &file, "belongs to no manifest"),
            }
        }
    }
    let told = Mutex::new(std::mem::take(findings));
    pool::run(work, kept.into_iter(), |(label, path): (BackupLabel, StorePath), _| {
        work.cancel.check()?;
        let known = labels.iter().find(|known| known.label == label && known.finished);
        let (level, why) = match work.stanza.seal_of_info_file(&path, Compression::Gz, cipher) {
            Err(RepoError::Store(error)) if error.is_missing() => return Ok(()),
            Err(error) => (level_of(&error), error.to_string()),
            Ok(seal) => {
                let Some(known) = known else { return Ok(()) };
                let manifest = known.folder.join("backup.manifest")?;
                match work.stanza.seal_of_info_file(&manifest, Compression::None, cipher) {
                    Ok(own) if own != seal => {
                        (Level::Warning, format!("is another manifest than that of backup {label}"))
                    }
                    _ => return Ok(()),
                }
            }
        };
        told.lock().unwrap_or_else(PoisonError::into_inner).add(level, &path, why);
        Ok(())
    })?;
    *findings = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(())
}
