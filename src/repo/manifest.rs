//! `backup.manifest`: everything one backup consists of, and where its bytes lie.
//!
//! Read as a stream of lines; files go into a compact [`FileTable`], because a million of them is normal. Every
//! name is validated before it is kept, every number is checked against the others, and nothing is handed out
//! before the checksum at the end was right. Written as a stream of lines, too. Never looks at the files themselves.

mod assemble;
mod block;
mod files;
mod names;
mod parse;
mod write;

use super::backup_info::{BackupInfo, is_block_beta};
use crate::base::{BackupKind, BackupLabel, Lsn, PgVersion, Secret, SystemId, Timestamp, WalSegment};
use crate::codec::{Compression, Framing};
use crate::store::{Range, StoreError, StorePath};
pub use files::{BlockInfo, FileEntry, FileRecord, FileTable, FileTableBuilder, Owner};
pub(super) use parse::{Completeness, read};
use std::collections::BTreeMap;
pub(super) use write::write;

/// Everything one backup consists of.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one flag per flag of the format")]
pub struct Manifest {
    /// The backup's label, equal to the name of its folder.
    pub label: BackupLabel,
    /// Full, differential or incremental.
    pub kind: BackupKind,
    /// The backup it was made against.
    pub prior: Option<BackupLabel>,
    /// The backups whose files it uses, itself last; the position is the reference number in block maps.
    pub references: Vec<BackupLabel>,
    /// When the backup started.
    pub start: Timestamp,
    /// When it stopped.
    pub stop: Timestamp,
    /// When copying began.
    pub copy_start: Timestamp,
    /// The first WAL segment needed for consistency; nothing for an offline backup.
    pub archive_start: Option<WalSegment>,
    /// The last WAL segment needed for consistency.
    pub archive_stop: Option<WalSegment>,
    /// Where the backup started in WAL.
    pub lsn_start: Option<Lsn>,
    /// Where it stopped: before this a restore is not consistent.
    pub lsn_stop: Option<Lsn>,
    /// Files may be stored as blocks.
    pub block_incr: bool,
    /// Small files are stored together in bundles.
    pub bundle: bool,
    /// Bundled files have raw framing.
    pub bundle_raw: bool,
    /// The pgBackRest version that made the backup.
    pub backrest_version: String,
    /// The cluster that was backed up.
    pub db: ManifestDb,
    /// How every file of the set is compressed.
    pub compression: Compression,
    /// Made from a running cluster.
    pub online: bool,
    /// Page checksums were looked at.
    pub checksum_page: bool,
    /// The WAL needed for consistency was seen in the archive before the backup ended.
    pub archive_check: bool,
    /// The WAL needed for consistency was copied into the backup.
    pub archive_copy: bool,
    /// Copied from a standby.
    pub standby: bool,
    /// Files of other backups it refers to are hard links in its own folder, too.
    pub hardlink: bool,
    /// How it was made, for people; nobody decides anything by it.
    pub made_with: MadeWith,
    /// The passphrase of the backup's files.
    pub cipher_pass: Option<Secret>,
    /// The data directory, tablespaces and links as they were.
    pub targets: Vec<Target>,
    /// The databases of the cluster; none for an offline backup.
    pub databases: Vec<Database>,
    /// Annotations as given when the backup was made.
    pub annotations: BTreeMap<String, String>,
    /// Every folder, sorted by name.
    pub paths: Vec<PathEntry>,
    /// Every symbolic link, sorted by name.
    pub links: Vec<LinkEntry>,
    /// Every file, sorted by name.
    pub files: FileTable,
    /// The stanza's folder of backups, `backup/<stanza>`.
    pub folder: StorePath,
}

/// Options a backup was made with; nothing where a manifest does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MadeWith {
    /// Size of the buffers, in bytes.
    pub buffer_bytes: Option<u64>,
    /// Compression level.
    pub compress_level: Option<i32>,
    /// Compression level between hosts.
    pub compress_level_network: Option<i32>,
    /// Unchanged files were found by checksum rather than by time and size.
    pub delta: Option<bool>,
    /// How many files were copied at a time.
    pub process_max: Option<u32>,
}

/// The cluster a backup was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestDb {
    /// Catalog version number; part of the names of tablespace folders.
    pub catalog: u32,
    /// `pg_control` version number.
    pub control: u32,
    /// The stanza's history id.
    pub id: u32,
    /// The system identifier.
    pub system_id: SystemId,
    /// The major version.
    pub version: PgVersion,
}

/// A place of the cluster that may be put elsewhere by a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `pg_data`, `pg_tblspc/<oid>`, or the name of a link below `pg_data`.
    pub name: String,
    /// Where it was; for a link relative to the folder the link stands in, unless absolute.
    pub path: String,
    /// The file the link names inside `path`, if it is a link to a file.
    pub file: Option<String>,
    /// A symbolic link leads there.
    pub link: bool,
    /// Oid and name, if it is a tablespace.
    pub tablespace: Option<(u32, String)>,
}

/// A database of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Its oid; also the name of its folder.
    pub oid: u32,
    /// The last oid of system objects: databases up to it are PostgreSQL's own.
    pub last_system_oid: u32,
}

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathEntry {
    /// Its name, for example `pg_data/base`.
    pub name: String,
    /// Permission bits.
    pub mode: u32,
    /// The owning user.
    pub user: Owner<String>,
    /// The owning group.
    pub group: Owner<String>,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEntry {
    /// Its name, for example `pg_data/pg_tblspc/16384`.
    pub name: String,
    /// Where it points, as written.
    pub destination: String,
    /// The owning user.
    pub user: Owner<String>,
    /// The owning group.
    pub group: Owner<String>,
}

impl Manifest {
    /// Where the stored form of a file lies and how a plain one is framed; for a file with blocks, the range of its
    /// super blocks and map, which are all framed raw.
    ///
    /// Nothing is stored for an empty file of a bundling backup: see [`FileEntry::is_stored`].
    pub fn stored(&self, file: &FileEntry<'_>) -> Result<(StorePath, Range, Framing), StoreError> {
        let owner = self.folder.join(file.owner.as_str())?;
        if let Some((id, offset)) = file.bundle {
            let path = owner.join(&format!("bundle/{id}"))?;
            let raw = self.bundle_raw || file.block.is_some();
            let framing = if raw { Framing::Raw } else { Framing::Full };
            return Ok((path, Range::Part { offset, length: file.repo_size_bytes }, framing));
        }
        if file.block.is_some() {
            return Ok((owner.join(&format!("{}.pgbi", file.name))?, Range::Whole, Framing::Raw));
        }
        let path = owner.join(&format!("{}{}", file.name, self.compression.extension()))?;
        Ok((path, Range::Whole, Framing::Full))
    }

    /// Where a super block of a block map lies: in a bundle of the referenced backup, or in the file's own `.pgbi`.
    pub fn super_block_path(&self, reference: u32, bundle: u64, name: &str) -> Result<StorePath, StoreError> {
        let label = usize::try_from(reference).ok().and_then(|at| self.references.get(at));
        let owner = self.folder.join(label.map_or("", BackupLabel::as_str))?;
        if bundle > 0 { owner.join(&format!("bundle/{bundle}")) } else { owner.join(&format!("{name}.pgbi")) }
    }

    /// The stanza's folder of backups, `backup/<stanza>`.
    pub fn backup_folder(&self) -> &StorePath {
        &self.folder
    }

    /// The backup whose blocks this one uses although they were stored in pgBackRest's incompatible first container.
    pub(super) fn beta_owner(&self, info: &BackupInfo) -> Option<&BackupLabel> {
        let beta =
            |label: &BackupLabel| info.backups.get(label).is_some_and(|b| is_block_beta(&b.backrest_version));
        if !self.block_incr || !self.references.iter().any(beta) {
            return None;
        }
        self.files.iter().find(|file| file.block.is_some() && beta(file.owner)).and_then(|file| {
            let owner = file.owner.clone();
            self.references.iter().find(|label| **label == owner)
        })
    }
}

/// Why a backup of the incompatible first container is refused.
pub(super) fn beta_text(label: &BackupLabel) -> String {
    format!(
        "backup {label} holds files in the beta block-incremental container of pgBackRest 2.44/2.45, which no other \
         version reads"
    )
}

#[cfg(test)]
mod tests;
