//! Recoveries made of engine and cluster steps, in the order that loses nothing.
//!
//! An executor here moves a cluster from damaged to serving, telling a [`crate::model::op::Sink`] every step. It
//! knows no screen and no journal, removes no data directory ever, and exchanges directories only while nothing
//! runs in either.

pub mod closed;
pub mod exchange;
pub mod in_place;
pub mod salvage;
pub mod source;

use crate::base::{Kind, Report};
use crate::cluster::ClusterError;
use crate::cluster::sql::SqlError;
use std::io;
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
    #[error("the recovered cluster is not right: {why}")]
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
            RecoveryError::NotRight { .. } => Self::new(Kind::TargetUnreachable, text),
            RecoveryError::Timeout { .. } => Self::new(Kind::Unreachable, text),
            RecoveryError::Server { .. } | RecoveryError::Io { .. } => Self::failed(text),
        }
    }
}
