//! Why a journal cannot be read or written, sorted by what can be done about it.

use crate::base::Report;
use std::io;
use std::path::{Path, PathBuf};

/// A failure with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Another process has the journal and does not let go.
    #[error("{} has been locked by another process for {waited_s} s", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
        /// How long it was waited for, seconds.
        waited_s: u64,
    },
    /// The entry is written; its witness is not.
    #[error("entry {seq} is written, but {} cannot be replaced: {source}", path.display())]
    Head {
        /// The entry.
        seq: u64,
        /// The file of the witness.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A fact cannot be put into JSON.
    #[error("cannot put an entry of {} into JSON: {why}", path.display())]
    Form {
        /// The journal.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl JournalError {
    /// Wraps a system error with what was being done to which path.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

impl From<JournalError> for Report {
    fn from(error: JournalError) -> Self {
        let report = Self::failed(error.to_string());
        match &error {
            JournalError::Io { path, source, .. } | JournalError::Head { path, source, .. } => {
                match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => report.hint(format!(
                        "make room on the filesystem of {}; a recovery goes on without its journal",
                        path.display()
                    )),
                    io::ErrorKind::PermissionDenied => {
                        report.hint("act as the account that owns the state directory, or as root")
                    }
                    io::ErrorKind::ReadOnlyFilesystem => {
                        report.hint("set PGMAYDAY_STATE to a folder that can be written")
                    }
                    io::ErrorKind::InvalidInput => report.hint("move it aside and look who put it there"),
                    _ => report,
                }
            }
            JournalError::Busy { path, .. } => {
                report.hint(format!("`fuser -v {}` shows who holds it", path.display()))
            }
            JournalError::Form { .. } => report,
        }
    }
}
