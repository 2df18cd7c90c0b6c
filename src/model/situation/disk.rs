//! What a data directory and its file systems tell.
//!
//! Data only.

use crate::base::{Lsn, Timeline, Timestamp};
use serde::Serialize;
use std::path::PathBuf;

/// What a data directory tells beyond the board's facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FolderFacts {
    /// `pg_control`; why not, if it cannot be believed.
    pub control: Option<ControlFacts>,
    /// Why `pg_control` cannot be believed.
    pub control_wrong: Option<String>,
    /// It was taken out of service: `pg_control` bears another name, so that no server starts here.
    pub quarantined: bool,
    /// The process `postmaster.pid` names.
    pub lock_pid: Option<u32>,
    /// A process serves it; nothing if that cannot be told.
    pub running: Option<bool>,
    /// What a start needs and is not there, below the data directory.
    pub missing: Vec<String>,
    /// `standby.signal` or `recovery.signal` is there.
    pub signal: Option<String>,
    /// The end of its log, if it was read to its end; nothing while a server runs.
    pub wal_end: Option<Lsn>,
    /// Why the end of its log could not be read.
    pub wal_wrong: Option<String>,
    /// Bytes in `pg_wal`.
    pub wal_bytes: u64,
    /// Room on the file system of the data directory.
    pub room: Option<Room>,
    /// Room on the file system of `pg_wal`.
    pub wal_room: Option<Room>,
    /// What waits to be archived.
    pub queue: ArchiveQueue,
    /// Whether the configuration can be read; nothing while a server runs, or where its programs are not found.
    pub configuration: Option<ConfigurationFacts>,
    /// The certificate of the server, if it has one that could be read.
    pub certificate: Option<Certificate>,
    /// It starts with the host, or is started again when it stops; nothing if that cannot be told.
    pub starts_by_itself: Option<bool>,
}

/// What `pg_control` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlFacts {
    /// The state in words.
    pub state: String,
    /// It was stopped in order.
    pub stopped_in_order: bool,
    /// The timeline of its last checkpoint.
    pub timeline: Timeline,
    /// Where replay begins.
    pub redo_lsn: Lsn,
    /// Where the last checkpoint is.
    pub checkpoint_lsn: Lsn,
    /// When it was written last.
    pub written_at: Timestamp,
    /// Pages carry checksums.
    pub checksums: bool,
}

/// Room on a file system, for a user without privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Bytes free.
    pub free_bytes: u64,
    /// Bytes it has.
    pub total_bytes: u64,
    /// Files it has room for; nothing where that has no limit.
    pub free_files: Option<u64>,
}

/// What waits to be archived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ArchiveQueue {
    /// How many files.
    pub ready: u64,
    /// The one that waits longest, and since when.
    pub oldest: Option<(String, Timestamp)>,
}

/// Whether the server's own program can read the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConfigurationFacts {
    /// What it says is wrong; nothing if it can be read.
    pub wrong: Option<String>,
    /// Libraries it asks for that are not installed.
    pub missing_libraries: Vec<String>,
}

/// A certificate of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// The file.
    pub path: PathBuf,
    /// Until when it is valid.
    pub valid_until: Timestamp,
}

/// What reading every page of a cluster came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PageFacts {
    /// Pages read so far.
    pub pages: u64,
    /// Bytes to read in all.
    pub total_bytes: u64,
    /// Bytes read so far.
    pub done_bytes: u64,
    /// Everything was read.
    pub whole: bool,
    /// Files with pages that are wrong, as far as found.
    pub damaged: Vec<PageDamage>,
    /// Files that could not be read.
    pub unreadable: Vec<String>,
}

/// A file with pages that are wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageDamage {
    /// The file below the data directory.
    pub file: String,
    /// The blocks as inclusive ranges.
    pub blocks: Vec<(u32, u32)>,
    /// What it holds, as the server says; nothing if that was not to be learned.
    pub relation: Option<String>,
    /// It holds an index; nothing if that was not to be learned.
    pub index: Option<bool>,
}
