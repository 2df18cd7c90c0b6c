//! Why the lab could not do something, typed by what the caller can do about it.

use crate::base::{Kind, Report};
use crate::cluster::ClusterError;
use crate::cluster::sql::SqlError;
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The directory is not a lab, or not the one its marker speaks of.
    #[error("{} is not a lab of ours: {why}", dir.display())]
    NotALab {
        /// The directory given.
        dir: PathBuf,
        /// What was found instead.
        why: String,
    },
    /// A path would lead out of the marked directory.
    #[error("refusing to touch {}: {why}", path.display())]
    Outside {
        /// The path.
        path: PathBuf,
        /// Why it is not inside.
        why: String,
    },
    /// A process is not the one the lab started.
    #[error("refusing to signal process {pid}: {why}")]
    NotOurs {
        /// The process id.
        pid: u32,
        /// What does not fit.
        why: String,
    },
    /// The directory cannot hold a lab.
    #[error("cannot make a lab in {}: {why}", dir.display())]
    Place {
        /// The directory given.
        dir: PathBuf,
        /// Why not.
        why: String,
        /// What to do instead.
        hint: String,
    },
    /// What was asked needs a server that does not run.
    #[error("the {0} does not run; nothing was done")]
    NotRunning(&'static str),
    /// A program the lab needs is not installed.
    #[error("the program '{program}' is not installed ({looked})")]
    Missing {
        /// Its name.
        program: String,
        /// Where it was looked for.
        looked: String,
    },
    /// A program the lab ran failed.
    #[error("{program} failed ({status}): {output}")]
    Program {
        /// What was run.
        program: String,
        /// How it ended.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A server answered with an error or not at all.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A cluster could not be seen or acted on.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A step of the recovery failed.
    #[error(transparent)]
    Recovery(#[from] Report),
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A file of the lab does not read as what it should be.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The recovered data is not what was committed.
    #[error("the recovered data is not what was committed: {0}")]
    Wrong(String),
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
}

impl LabError {
    /// Wraps a system error with what was being done to which path.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

impl From<LabError> for Report {
    fn from(error: LabError) -> Self {
        let text = error.to_string();
        match error {
            LabError::Recovery(report) => report,
            LabError::Sql(error) => error.into(),
            LabError::Cluster(error) => error.into(),
            LabError::NotALab { .. } => Self::new(Kind::Refused(None), text)
                .hint("give the directory that `pgmayday lab up` printed, by --dir or PGMAYDAY_LAB"),
            LabError::Outside { .. } | LabError::NotOurs { .. } => Self::new(Kind::Refused(None), text),
            LabError::Place { hint, .. } => Self::usage(text).hint(hint),
            LabError::Missing { .. } => Self::failed(text).hint("`make setup` installs what the lab needs"),
            LabError::Timeout { .. } | LabError::NotRunning(_) => Self::new(Kind::Unreachable, text),
            LabError::Damaged { .. } => Self::damaged(text),
            LabError::Program { .. } | LabError::Wrong(_) | LabError::Io { .. } => Self::failed(text),
        }
    }
}
