//! Recoveries made of engine and cluster steps, in the order that loses nothing.
//!
//! An executor here moves a cluster from damaged to serving, telling a [`crate::model::op::Sink`] every step. It
//! knows no screen and no journal, removes no data directory ever, and exchanges directories only while nothing
//! runs in either.

pub mod act;
pub mod closed;
pub mod exchange;
pub mod hold;
pub mod in_place;
pub mod kept;
pub mod recover;
pub mod salvage;
pub mod service;
pub mod source;
pub mod supervisor;
pub mod worker;

use crate::base::{Bytes, Kind, Report};
use crate::cluster::ClusterError;
use crate::cluster::owner::{Account, is_root};
use crate::cluster::sql::SqlError;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Why a recovery went no further.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The cluster is laid out in a way this executor does not handle; nothing was touched.
    #[error("{} cannot be recovered in place: {why}", data_dir.display())]
    Layout {
        /// The data directory.
        data_dir: PathBuf,
        /// What stands in the way.
        why: String,
    },
    /// A server did not do what the step needs.
    #[error("the server in {}: {why}", data_dir.display())]
    Server {
        /// Its data directory.
        data_dir: PathBuf,
        /// What happened instead.
        why: String,
    },
    /// At every target tried, the check said no.
    #[error("the recovered cluster is not right: {why}; recover again, to an earlier target")]
    NotRight {
        /// The last finding.
        why: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// The cluster could not be seen, started, stopped or asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A part of the recovery that somebody else does failed.
    #[error(transparent)]
    Part(#[from] Report),
    /// There is no room for what must be kept.
    #[error("{} has no room for {needed} of unarchived WAL, only {free} are free", path.display())]
    Space {
        /// The folder.
        path: PathBuf,
        /// Bytes to be saved.
        needed: Bytes,
        /// Bytes free.
        free: Bytes,
    },
    /// A file could not be read, written or renamed.
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
}

impl RecoveryError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    fn server(data_dir: &Path, why: impl Into<String>) -> Self {
        Self::Server { data_dir: data_dir.to_owned(), why: why.into() }
    }
}

/// Gives a file or folder we made to the owner of the cluster.
fn give(path: &Path, owner: &Account) -> Result<(), RecoveryError> {
    if is_root() {
        std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid))
            .map_err(RecoveryError::io("give to the owner", path))?;
    }
    Ok(())
}

/// Makes a folder that only the owner may enter, its missing parents too.
fn make_folder(path: &Path, owner: &Account) -> Result<(), RecoveryError> {
    make_folder_for(path, owner, 0o700)
}

/// Makes a folder of the owner's with this mode, its missing parents too.
fn make_folder_for(path: &Path, owner: &Account, mode: u32) -> Result<(), RecoveryError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        std::fs::DirBuilder::new().mode(mode).create(folder).map_err(RecoveryError::io("make", folder))?;
        give(folder, owner)?;
    }
    Ok(())
}

impl From<SqlError> for RecoveryError {
    fn from(error: SqlError) -> Self {
        Self::Cluster(error.into())
    }
}

impl From<RecoveryError> for Report {
    fn from(error: RecoveryError) -> Self {
        let text = error.to_string();
        match error {
            RecoveryError::Part(report) => report,
            RecoveryError::Cluster(error) => error.into(),
            RecoveryError::Layout { .. } => {
                Self::new(Kind::Refused(None), text).hint("restore to another directory and move it by hand")
            }
            RecoveryError::Space { .. } => Self::new(Kind::Refused(None), text)
                .hint("free some space; the unarchived WAL is what the archive does not have"),
            RecoveryError::NotRight { .. } => Self::new(Kind::TargetUnreachable, text),
            RecoveryError::Timeout { .. } => Self::new(Kind::Unreachable, text),
            RecoveryError::Server { .. } | RecoveryError::Io { .. } => Self::failed(text),
        }
    }
}
