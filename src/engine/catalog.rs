//! What the repositories hold, merged: stanzas, clusters, archives and backups, with the state of each repository.
//!
//! The read model behind `info`. It says what is there and what is wrong with it and never fails as a whole: a
//! damaged info file is the state of that stanza in that repository, nothing more. States, their order and the
//! merging by stop time are pgBackRest's.

mod read;

use super::locks::{Lock, LockFolder};
use super::repositories::Slot;
use crate::base::{BackupKind, BackupLabel, PgVersion, SystemId, WalSegment};
use crate::repo::{BackupEntry, Database, Target};
use std::fmt;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<'a> {
    /// Only this stanza.
    pub stanza: Option<&'a str>,
    /// Only this backup, with details from its manifest.
    pub set: Option<&'a str>,
    /// Only backups of this kind.
    pub kind: Option<BackupKind>,
    /// Only states and running work; no info file is read.
    pub progress_only: bool,
}

/// Everything that was asked for.
#[derive(Debug)]
pub struct Catalog {
    /// The stanzas, sorted by name.
    pub stanzas: Vec<StanzaView>,
    /// For example that a `.copy` was used.
    pub warnings: Vec<String>,
}

/// One stanza over all repositories.
#[derive(Debug)]
pub struct StanzaView {
    /// Its name.
    pub name: String,
    /// Its state over all repositories.
    pub status: Status,
    /// Its state in each repository.
    pub repos: Vec<RepoView>,
    /// The cluster that is current in the first repository that knows one.
    pub current: Option<(PgVersion, SystemId)>,
    /// The backups, oldest stop first.
    pub backups: Vec<BackupView>,
    /// Backup or expire running, per repository.
    pub backup_locks: Vec<(u32, Lock)>,
    /// Restore running.
    pub restore_lock: Lock,
}

impl StanzaView {
    /// The cipher over all repositories: a name, or `mixed`.
    pub fn cipher(&self) -> &'static str {
        let first = self.repos.first().map_or("none", |repo| repo.cipher);
        if self.repos.iter().all(|repo| repo.cipher == first) { first } else { "mixed" }
    }
}

/// One stanza in one repository.
#[derive(Debug)]
pub struct RepoView {
    /// The repository's number.
    pub key: u32,
    /// Its cipher.
    pub cipher: &'static str,
    /// The stanza's state in it.
    pub status: Status,
    /// The clusters of its history, oldest first.
    pub databases: Vec<DatabaseView>,
    /// The archives of those clusters that have one; the newest cluster's is always there.
    pub archives: Vec<ArchiveView>,
}

/// One cluster of a stanza's history.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseView {
    /// The history id.
    pub id: u32,
    /// The major version.
    pub version: PgVersion,
    /// The system identifier.
    pub system_id: SystemId,
}

/// The archive of one cluster.
#[derive(Debug)]
pub struct ArchiveView {
    /// The history id in `backup.info`.
    pub database_id: u32,
    /// The archive's folder, for example `15-1`.
    pub id: String,
    /// First and last segment by name.
    pub bounds: Option<(WalSegment, WalSegment)>,
}

/// One backup.
#[derive(Debug)]
pub struct BackupView {
    /// The repository it is in.
    pub repo_key: u32,
    /// What `backup.info` says of it.
    pub entry: BackupEntry,
    /// What its manifest says, if it was asked for.
    pub detail: Option<Detail>,
}

/// What a manifest adds to the picture of a backup.
#[derive(Debug)]
pub struct Detail {
    /// The databases, templates left out.
    pub databases: Vec<Database>,
    /// Tablespaces and links.
    pub targets: Vec<Target>,
    /// Files with page checksum errors, without `pg_data/`.
    pub damaged_files: Vec<String>,
}

/// The state of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Nothing is wrong.
    Ok,
    /// There is no folder of this stanza.
    MissingPath,
    /// There are no backups.
    NoBackups,
    /// There is no `backup.info`.
    MissingData,
    /// The repositories are in different states.
    Mixed,
    /// The repositories do not agree on the current cluster.
    DatabaseMismatch,
    /// The backup asked for is in no repository.
    BackupMissing,
    /// Anything else: the reason.
    Other(String),
}

impl Status {
    /// pgBackRest's number for the state.
    pub fn code(&self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::MissingPath => 1,
            Self::NoBackups => 2,
            Self::MissingData => 3,
            Self::Mixed => 4,
            Self::DatabaseMismatch => 5,
            Self::BackupMissing => 6,
            Self::Other(_) => 99,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::MissingPath => "missing stanza path",
            Self::NoBackups => "no valid backups",
            Self::MissingData => "missing stanza data",
            Self::Mixed => "different across repos",
            Self::DatabaseMismatch => "database mismatch across repos",
            Self::BackupMissing => "requested backup not found",
            Self::Other(why) => why,
        })
    }
}

/// Reads what `query` asks for from the repositories.
pub fn read(slots: &[Slot], query: &Query<'_>, locks: &LockFolder) -> Catalog {
    read::catalog(slots, query, locks)
}

/// The label a query names, if it is one at all.
fn label_of(query: &Query<'_>) -> Option<BackupLabel> {
    query.set.and_then(|text| text.parse().ok())
}
