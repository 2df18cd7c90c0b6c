//! What stands in the folders of a stanza, whatever its info files say, and taking it away.
//!
//! Decides nothing: who calls knows what may go. A backup is unmade before its files go, so that nothing half removed can
//! be taken for a backup.

use super::Stanza;
use super::error::RepoError;
use crate::base::BackupLabel;
use crate::store::{EntryKind, StoreError, StorePath, list_sorted};
use std::collections::BTreeMap;

/// What the manifests in a folder say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderState {
    /// There is a `backup.manifest`: it is a backup.
    Whole,
    /// There is only its `.copy`: a backup that is running, or was interrupted and can be taken up again.
    Partial,
    /// There is neither: left over.
    Bare,
}

/// Manifests that are kept beyond the life of their backups, of the full backups of one year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptYear {
    /// The year, four digits.
    pub year: String,
    /// The backups whose manifests there are, sorted.
    pub labels: Vec<BackupLabel>,
}

impl Stanza {
    /// Every folder that bears the label of a backup.
    pub fn label_folders(&self) -> Result<BTreeMap<BackupLabel, FolderState>, RepoError> {
        let storage = self.repository.storage();
        let mut labels = Vec::new();
        storage.list(&self.backup_folder()?, &mut |entry| {
            if entry.meta.kind == EntryKind::Folder {
                labels.extend(entry.name.parse::<BackupLabel>().ok());
            }
            true
        })?;
        let mut folders = BTreeMap::new();
        for label in labels {
            let manifest = self.manifest_path(&label)?;
            let state = if storage.stat(&manifest)?.is_some() {
                FolderState::Whole
            } else if storage.stat(&manifest.with_suffix(".copy"))?.is_some() {
                FolderState::Partial
            } else {
                FolderState::Bare
            };
            folders.insert(label, state);
        }
        Ok(folders)
    }

    /// What the link `latest` names; nothing if there is no such link.
    pub fn latest(&self) -> Result<Option<String>, RepoError> {
        let meta = self.repository.storage().stat(&self.backup_folder()?.join("latest")?)?;
        Ok(meta.and_then(|meta| match meta.kind {
            EntryKind::Link(destination) => Some(destination),
            EntryKind::File | EntryKind::Folder => None,
        }))
    }

    /// Takes away what makes a folder a backup. The copy goes first: as long as the manifest stands it is a whole
    /// backup, and at no moment does it look like one that can be taken up again.
    pub fn unmake_backup(&self, label: &BackupLabel) -> Result<(), RepoError> {
        let storage = self.repository.storage();
        let manifest = self.manifest_path(label)?;
        storage.remove(&manifest.with_suffix(".copy"))?;
        storage.remove(&manifest)?;
        let folder = self.label_folder(label)?;
        if storage.stat(&folder)?.is_some() {
            // Its files must not go before this is durable: what came back after a loss of power would be no backup.
            storage.settle(&folder)?;
        }
        Ok(())
    }

    /// Removes the folder of a backup that was unmade, or never was one.
    pub fn remove_label_folder(&self, label: &BackupLabel) -> Result<(), RepoError> {
        Ok(self.repository.storage().remove_folder(&self.label_folder(label)?)?)
    }

    /// The manifests that are kept beyond the life of their backups, by year.
    pub fn kept_manifests(&self) -> Result<Vec<KeptYear>, RepoError> {
        let storage = &**self.repository.storage();
        let folder = self.kept_folder()?;
        let year =
            |name: &str| name.len() == 4 && name.starts_with('2') && name.bytes().all(|b| b.is_ascii_digit());
        let mut years = Vec::new();
        for entry in list_sorted(storage, &folder)? {
            if entry.meta.kind != EntryKind::Folder || !year(&entry.name) {
                continue;
            }
            let files = list_sorted(storage, &folder.join(&entry.name)?)?;
            let kept = files.iter().filter_map(|file| kept_label(&file.name));
            let labels = kept.filter(|label| label.as_str().starts_with(&entry.name)).collect();
            years.push(KeptYear { year: entry.name, labels });
        }
        Ok(years)
    }

    /// Removes the manifest that is kept of a backup.
    pub fn remove_kept_manifest(&self, label: &BackupLabel) -> Result<(), RepoError> {
        Ok(self.repository.storage().remove(&self.history_path(label)?)?)
    }

    /// Removes every manifest that is kept of a year.
    pub fn remove_kept_year(&self, year: &str) -> Result<(), RepoError> {
        Ok(self.repository.storage().remove_folder(&self.kept_folder()?.join(year)?)?)
    }

    fn label_folder(&self, label: &BackupLabel) -> Result<StorePath, StoreError> {
        self.backup_folder()?.join(label.as_str())
    }

    fn kept_folder(&self) -> Result<StorePath, StoreError> {
        self.backup_folder()?.join("backup.history")
    }
}

/// The backup whose kept manifest bears this name.
fn kept_label(name: &str) -> Option<BackupLabel> {
    name.strip_suffix(".manifest.gz")?.parse().ok()
}
