//! `backup.info` brought into agreement with what stands in the repository, as pgBackRest does before it writes it.
//!
//! A listed backup without a manifest is gone, and with it everything that needs it. A whole backup that is not listed is
//! listed again, if it is of a cluster of this stanza and its prior is listed. Writes nothing: the caller does, and it
//! holds the lock. A manifest that cannot be read says neither yes nor no: such a backup is not listed and not junk.

use super::pin::Pin;
use crate::base::{BackupKind, BackupLabel};
use crate::repo::{BackupEntry, BackupInfo, FolderState, Loaded, Manifest, RepoError, Stanza};
use std::collections::{BTreeMap, BTreeSet};

/// `backup.info` as it should be.
#[derive(Debug, Clone)]
pub struct Reconciled {
    /// What it should say.
    pub info: BackupInfo,
    /// That is not what it says now.
    pub changed: bool,
    /// The folders that bear the label of a backup, listed or not.
    pub folders: BTreeMap<BackupLabel, FolderState>,
    /// Folders that hold a manifest which cannot be read, or a pinned backup that cannot be listed: none of anybody's
    /// business to remove.
    pub doubtful: BTreeSet<BackupLabel>,
    /// What was done and why, one sentence each.
    pub warnings: Vec<String>,
}

/// Reads `backup.info` and corrects it by what stands in the stanza's backup folder.
pub fn reconcile(stanza: &Stanza) -> Result<Reconciled, RepoError> {
    let Loaded { value: info, warnings } = stanza.backup_info()?;
    let folders = stanza.label_folders()?;
    let mut reconciled = Reconciled { info, changed: false, folders, doubtful: BTreeSet::new(), warnings };
    reconciled.keep_by_copy(stanza);
    reconciled.drop_missing();
    reconciled.adopt(stanza);
    Ok(reconciled)
}

impl Reconciled {
    fn is_whole(&self, label: &BackupLabel) -> bool {
        self.folders.get(label) == Some(&FolderState::Whole)
    }

    /// A listed backup whose manifest is gone but whose copy of it is whole is no unfinished one: it restores, and nothing
    /// of it may be removed. pgBackRest would.
    fn keep_by_copy(&mut self, stanza: &Stanza) {
        let partial: Vec<_> = self
            .info
            .backups
            .keys()
            .filter(|label| self.folders.get(label) == Some(&FolderState::Partial))
            .cloned()
            .collect();
        for label in partial {
            if stanza.manifest(&self.info, &label).is_ok() {
                self.warnings.push(format!(
                    "backup {label} has lost its backup.manifest and is kept by the copy of it: copy \
                     backup.manifest.copy to backup.manifest before pgBackRest works on this repository"
                ));
                self.folders.insert(label, FolderState::Whole);
            }
        }
    }

    /// Takes from the list what has no manifest, and what needs it.
    fn drop_missing(&mut self) {
        let missing: Vec<_> =
            self.info.backups.keys().filter(|label| !self.is_whole(label)).cloned().collect();
        for label in missing {
            for gone in self.info.dependents(&label) {
                let why = if gone == label {
                    "it has no manifest".to_owned()
                } else {
                    format!("it needs {label}, which has no manifest")
                };
                self.warnings.push(format!("backup {gone} is taken from backup.info: {why}"));
                self.info.backups.remove(&gone);
                self.changed = true;
            }
        }
    }

    /// Lists whole backups that are not listed, oldest first, so that a prior comes before what needs it.
    fn adopt(&mut self, stanza: &Stanza) {
        let unlisted: Vec<_> = self
            .folders
            .iter()
            .filter(|(label, state)| **state == FolderState::Whole && !self.info.backups.contains_key(label))
            .map(|(label, _)| label.clone())
            .collect();
        for label in unlisted {
            // Without anything of its set it cannot be listed, whatever its manifest says.
            if label.kind() != BackupKind::Full && !self.lists_set_of(&label) {
                self.warnings.push(format!(
                    "backup {label} is not in backup.info and is not added: nothing of its set is listed"
                ));
                continue;
            }
            match stanza.manifest(&self.info, &label) {
                Ok(loaded) => {
                    self.warnings.extend(loaded.warnings);
                    self.consider(label, &loaded.value);
                }
                Err(error) => {
                    self.warnings.push(format!(
                        "backup {label} is not in backup.info and cannot be added, its folder is left alone: {error}"
                    ));
                    self.doubtful.insert(label);
                }
            }
        }
    }

    fn lists_set_of(&self, label: &BackupLabel) -> bool {
        let full = label.full();
        self.info.backups.keys().any(|other| other.full() == full)
    }

    fn consider(&mut self, label: BackupLabel, manifest: &Manifest) {
        let db = &manifest.db;
        let known = self.info.history.get(&db.id);
        let why =
            if !known.is_some_and(|known| known.version == db.version && known.system_id == db.system_id) {
                format!(
                    "it is of cluster {} (PostgreSQL {}, system id {}), which is not in the stanza's history",
                    db.id, db.version, db.system_id
                )
            } else if let Some(prior) =
                manifest.prior.as_ref().filter(|prior| !self.info.backups.contains_key(prior))
            {
                format!("it needs {prior}, which is not listed")
            } else {
                self.warnings.push(format!("backup {label} was not in backup.info and is added"));
                self.info.backups.insert(label, BackupEntry::of(manifest));
                self.changed = true;
                return;
            };
        let pin = Pin::of(&manifest.annotations);
        let left = pin
            .as_ref()
            .map_or(String::new(), |pin| format!("; it is {}, its folder is left alone", pin.text()));
        self.warnings.push(format!("backup {label} is not in backup.info and is not added: {why}{left}"));
        if pin.is_some() {
            self.doubtful.insert(label);
        }
    }
}
