//! What the end of a server's log tells.
//!
//! Data only.

use crate::base::Timestamp;
use serde::Serialize;
use std::path::PathBuf;

/// The end of a server's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogTail {
    /// The file.
    pub path: PathBuf,
    /// When it was last written to.
    pub written_at: Option<Timestamp>,
    /// What stands out, oldest first; the last ones of many.
    pub signs: Vec<LogSign>,
    /// The last start that is in it ended with the server taking sessions.
    pub came_up: bool,
    /// The last thing in it is that the server was stopped in order.
    pub stopped_in_order: bool,
}

/// One line that stands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogSign {
    /// What it is a sign of.
    pub kind: SignKind,
    /// The message, without its prefix, cut.
    pub text: String,
    /// Its line in the file, counted from 1; nothing in a file too long to count.
    pub line: Option<u64>,
    /// When it was written, where the line begins with a time in UTC.
    pub at: Option<Timestamp>,
    /// It is of the last run: no start of the server stands after it.
    pub last_run: bool,
}

/// What a line of a log is a sign of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignKind {
    /// A page of a table, or a file, is damaged.
    Page,
    /// An index is damaged.
    Index,
    /// The log a start needs is gone or damaged.
    WalLost,
    /// The server crashed itself.
    Panic,
    /// A file system is full.
    DiskFull,
    /// A certificate has expired.
    CertificateExpired,
    /// A process was killed from outside, mostly for memory.
    Killed,
    /// Transaction ids run out.
    Wraparound,
    /// A segment could not be archived.
    ArchiveFails,
    /// A setting is wrong, a library, a certificate or another file a start needs is missing, a port is taken.
    Configuration,
}
