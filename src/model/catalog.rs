//! The backups of a stanza as a list for people. Plain values, no repository behind them.

use crate::base::{BackupKind, Lsn, Timestamp};
use serde::Serialize;

/// The backups of one stanza in all repositories, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CatalogView {
    /// The stanza.
    pub stanza: String,
    /// The backups.
    pub backups: Vec<BackupRow>,
    /// States of repositories that are not sound, in sentences; and other warnings.
    pub troubles: Vec<String>,
    /// When it was read.
    pub read_at: Option<Timestamp>,
}

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupRow {
    /// The repository's number.
    pub repo: u32,
    /// Its label.
    pub label: String,
    /// Full, differential or incremental.
    pub kind: BackupKind,
    /// Label of the backup it was made against.
    pub prior: Option<String>,
    /// When it started.
    pub start: Timestamp,
    /// When it stopped: nothing earlier can be reached with it.
    pub stop: Timestamp,
    /// Bytes of the restored cluster.
    pub size_bytes: u64,
    /// Bytes of what this backup stores itself, before compression.
    pub delta_bytes: u64,
    /// Stored bytes of its own.
    pub stored_bytes: u64,
    /// First and last WAL segment it needs to become consistent.
    pub wal: Option<(String, String)>,
    /// Where it becomes consistent.
    pub consistent_at: Option<Lsn>,
    /// PostgreSQL version and the cluster's number in the stanza's history.
    pub database: String,
    /// Page checksums failed while it was made; unknown if it was not looked at.
    pub page_errors: Option<bool>,
    /// No retention expires it; nothing if nobody pinned it.
    pub pinned: Option<Pinned>,
    /// What the last verification came to that looked at all of it; nothing if this host knows of none.
    pub verified: Option<Verified>,
    /// Annotations, key and value, without those that pin it.
    pub annotations: Vec<(String, String)>,
    /// Made from a running cluster.
    pub online: bool,
    /// Version of the program that made it.
    pub made_by: String,
}

/// What a pinned backup is kept for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pinned {
    /// The restore point that stays reachable; nothing if only the backup itself is kept.
    pub restore_point: Option<String>,
    /// What in the pin cannot be understood, one sentence each; all WAL is kept then.
    pub doubts: Vec<String>,
}

/// What a verification came to for one backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// When it began.
    pub at: Timestamp,
    /// What is wrong with the backup, in a few words; nothing if it is sound.
    pub wrong: Option<String>,
    /// Everything was decoded and compared; else only the stored bytes.
    pub whole: bool,
}

impl Verified {
    /// True if every byte the backup needs was decoded and found sound.
    pub fn is_proven(&self) -> bool {
        self.whole && self.wrong.is_none()
    }
}
