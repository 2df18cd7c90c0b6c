//! What an operator asks of a backup, as plain values; where they come from is the caller's business.

use super::servers::Cluster;
use crate::base::BackupKind;
use crate::codec::Compression;
use crate::repo::blockmap::policy::SuperBlockSizes;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What is to be backed up, and how.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "one flag per option")]
pub struct Request {
    /// The stanza.
    pub stanza: String,
    /// Full, differential or incremental; without a backup to stand on it becomes a full one.
    pub kind: BackupKind,
    /// The server runs and goes on running.
    pub online: bool,
    /// The clusters of the stanza on this host, primary and standbys in any order; the first is the one of an offline
    /// backup.
    pub clusters: Vec<Cluster>,
    /// From where relations are copied.
    pub standby: StandbyUse,
    /// Ask for an immediate checkpoint instead of waiting for the next one.
    pub start_fast: bool,
    /// Find unchanged files by checksum rather than by time and size.
    pub delta: bool,
    /// Take up an interrupted full backup.
    pub resume: bool,
    /// Wait until the WAL of the backup is in the archive, and fail if it does not get there.
    pub archive_check: bool,
    /// Copy the WAL of the backup into it.
    pub archive_copy: bool,
    /// Ask for an `archive_mode` other than `always`.
    pub archive_mode_check: bool,
    /// How long to wait for one segment to get into the archive.
    pub archive_timeout: Duration,
    /// The longest wait for an answer of a server, a checkpoint included.
    pub statement_limit: Duration,
    /// Compression of a new set; a set keeps that of its full backup.
    pub compression: Compression,
    /// Its level; nothing = the format's default.
    pub compress_level: Option<i32>,
    /// Store small files together.
    pub bundle: Option<Bundling>,
    /// Store large files in blocks, and of the next backup only the blocks that changed.
    pub block: Option<SuperBlockSizes>,
    /// Give unchanged files a hard link in the new backup's folder.
    pub hardlink: bool,
    /// Keep the link `latest`.
    pub latest_link: bool,
    /// Check pages; nothing = if the cluster has checksums.
    pub checksum_page: Option<bool>,
    /// Also check the headers of pages that seem unused.
    pub page_header_check: bool,
    /// Paths below the data directory that are left out.
    pub exclude: Vec<String>,
    /// Notes kept with the backup.
    pub annotations: BTreeMap<String, String>,
    /// How many files are copied at a time.
    pub process_max: usize,
    /// The unfinished manifest is saved each time this much was copied.
    pub save_every_bytes: u64,
    /// This program, as `archive_command` may name it.
    pub program: PathBuf,
    /// An `archive_command` that would do, for advice.
    pub archive_command: Option<String>,
    /// Go on although a server seems to run on an offline cluster.
    pub force: bool,
}

/// From where relations are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandbyUse {
    /// From the primary.
    No,
    /// From a standby if there is one, else from the primary.
    Prefer,
    /// From a standby, or not at all.
    Require,
}

/// How small files are stored together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bundling {
    /// A bundle is closed when its files have this many original bytes.
    pub size_bytes: u64,
    /// The largest file that goes into a bundle.
    pub limit_bytes: u64,
}
