//! The pgBackRest repository: info files, manifests, block maps and the WAL archive, read and checked.
//!
//! A [`Repository`] is a store and its passphrase; a [`Stanza`] is one name inside it. Everything read here is
//! checked (checksum, format, names) before it is handed out, and names from a repository become paths only after
//! they were validated. What is written here is what pgBackRest reads. This room restores nothing, backs nothing up and
//! knows no cluster. Format: repository format 5 as pgBackRest 2.36 to 2.60 write it.

pub mod archive;
pub mod archive_info;
pub mod backup_info;
pub mod blockmap;
pub mod error;
mod ini;
mod json;
mod load;
pub mod manifest;
mod passphrase;
mod save;
mod stanza;
mod stock;
mod twins;

use crate::base::{BackupLabel, Secret};
use crate::store::{EntryKind, Storage, StoreError, StoreErrorKind, StorePath};
pub use archive::{Archive, ArchiveId, Found, Incoming, StoredSegment};
pub use archive_info::ArchiveInfo;
pub use backup_info::{BackupEntry, BackupInfo, DbHistory};
pub use blockmap::BlockMap;
pub use error::RepoError;
pub use ini::WRITER;
use manifest::Completeness;
pub use manifest::{
    BlockInfo, Database, FileEntry, FileRecord, FileTable, FileTableBuilder, LinkEntry, MadeWith, Manifest,
    ManifestDb, Owner, PathEntry, Target,
};
pub use passphrase::passphrase_of;
use std::sync::Arc;
pub use stock::{FolderState, KeptYear};
pub use twins::Twins;

/// What was read, and what an operator should know about how.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// What was read.
    pub value: T,
    /// For example that a file is damaged and its `.copy` was used.
    pub warnings: Vec<String>,
}

/// One repository: where it is and how it is encrypted.
#[derive(Debug, Clone)]
pub struct Repository {
    storage: Arc<dyn Storage>,
    key: u32,
    cipher: Option<Secret>,
}

impl Repository {
    /// A repository in `storage`; `key` is its number in the configuration, `cipher` the user's passphrase.
    pub fn new(storage: Arc<dyn Storage>, key: u32, cipher: Option<Secret>) -> Self {
        Self { storage, key, cipher }
    }

    /// The number of this repository in the configuration (`repoN-…`).
    pub fn key(&self) -> u32 {
        self.key
    }

    /// Where its objects are.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The passphrase of its info files; nothing if it is not encrypted.
    pub fn cipher(&self) -> Option<&Secret> {
        self.cipher.as_ref()
    }

    /// The cipher's name in configuration and reports: `none` or `aes-256-cbc`.
    pub fn cipher_name(&self) -> &'static str {
        if self.cipher.is_some() { "aes-256-cbc" } else { "none" }
    }

    /// The names of all stanzas that have a backup folder, sorted.
    pub fn stanzas(&self) -> Result<Vec<String>, RepoError> {
        let mut names = Vec::new();
        self.storage.list(&StorePath::new("backup")?, &mut |entry| {
            if entry.meta.kind != EntryKind::File {
                names.push(entry.name);
            }
            true
        })?;
        names.sort_unstable();
        Ok(names)
    }

    /// The stanza `name` of this repository; nothing is read yet.
    pub fn stanza(&self, name: &str) -> Stanza {
        Stanza { repository: self.clone(), name: name.to_owned() }
    }
}

/// One stanza of one repository.
#[derive(Debug, Clone)]
pub struct Stanza {
    repository: Repository,
    name: String,
}

impl Stanza {
    /// The stanza's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The repository it is in.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The folder of its backups, `backup/<stanza>`.
    pub fn backup_folder(&self) -> Result<StorePath, StoreError> {
        StorePath::new("backup")?.join(component(&self.name)?)
    }

    /// The folder of its archive, `archive/<stanza>`.
    pub fn archive_folder(&self) -> Result<StorePath, StoreError> {
        StorePath::new("archive")?.join(component(&self.name)?)
    }

    /// Reads `backup.info`, or its `.copy` if the main file is not usable.
    pub fn backup_info(&self) -> Result<Loaded<BackupInfo>, RepoError> {
        let path = self.backup_folder()?.join("backup.info")?;
        let cipher = self.repository.cipher();
        load::main_or_copy(&self.repository.storage, &path, cipher, &|file| {
            backup_info::read(file, cipher.is_some())
        })
    }

    /// Reads `archive.info`, or its `.copy` if the main file is not usable.
    pub fn archive_info(&self) -> Result<Loaded<ArchiveInfo>, RepoError> {
        let path = self.archive_folder()?.join("archive.info")?;
        let cipher = self.repository.cipher();
        load::main_or_copy(&self.repository.storage, &path, cipher, &|file| {
            archive_info::read(file, cipher.is_some())
        })
    }

    /// Reads the manifest of a backup, or its `.copy` if the main file is not usable.
    pub fn manifest(&self, info: &BackupInfo, label: &BackupLabel) -> Result<Loaded<Manifest>, RepoError> {
        let folder = self.backup_folder()?;
        let path = self.manifest_path(label)?;
        let cipher = info.cipher_pass.as_ref();
        load::main_or_copy(&self.repository.storage, &path, cipher, &|file| {
            manifest::read(file, &folder, label, cipher.is_some(), Completeness::Whole)
        })
        .and_then(|loaded| {
            let value = self.refuse_beta(info, loaded.value, &path)?;
            Ok(Loaded { value, warnings: loaded.warnings })
        })
    }

    /// Refuses a manifest of which files are stored in a container that nobody reads any more.
    fn refuse_beta(
        &self,
        info: &BackupInfo,
        manifest: Manifest,
        path: &StorePath,
    ) -> Result<Manifest, RepoError> {
        let Some(owner) = manifest.beta_owner(info) else { return Ok(manifest) };
        let why = manifest::beta_text(owner);
        let place = error::Place { store: self.repository.storage.describe(), path: path.clone() };
        Err(RepoError::Unsupported { place, why })
    }

    /// Reads the manifest that a backup leaves while it is made: files that were not copied yet have no checksum.
    pub fn partial_manifest(&self, info: &BackupInfo, label: &BackupLabel) -> Result<Manifest, RepoError> {
        let path = self.manifest_path(label)?.with_suffix(".copy");
        let cipher = info.cipher_pass.as_ref();
        let mut file = load::open(&self.repository.storage, &path, cipher)?;
        manifest::read(&mut file, &self.backup_folder()?, label, cipher.is_some(), Completeness::Partial)
    }

    fn manifest_path(&self, label: &BackupLabel) -> Result<StorePath, StoreError> {
        self.backup_folder()?.join(label.as_str())?.join("backup.manifest")
    }

    /// The WAL archive of this stanza.
    pub fn archive(&self, info: &ArchiveInfo) -> Archive {
        Archive::new(self.clone(), info)
    }
}

/// A stanza's name is one path component, never a path.
fn component(name: &str) -> Result<&str, StoreError> {
    if name.is_empty() || name.contains('/') {
        return Err(StoreError {
            kind: StoreErrorKind::BadPath,
            doing: "use",
            store: "the repository".to_owned(),
            path: name.escape_debug().take(200).collect(),
            why: "it is not the name of a stanza".to_owned(),
        });
    }
    Ok(name)
}
