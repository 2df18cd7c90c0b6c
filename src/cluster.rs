//! PostgreSQL on this host: control file, process, recovery settings, server, SQL.
//!
//! Everything here looks at or acts on one data directory and the processes that serve it. This room knows no
//! repository. It never removes or renames anything inside a data directory, and never acts on a process it has
//! not just proven to work in that directory.

pub mod control;
pub mod lock_file;
pub mod owner;
pub mod process;
pub mod recovery_settings;
pub mod running;

use crate::base::{Kind, Report};
use std::io;
use std::path::PathBuf;

/// Why something about a cluster could not be found out or done.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A file or folder could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, for example "read".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `pg_control` is damaged or of an unknown version.
    #[error("{}: {source}", path.display())]
    Control {
        /// The control file.
        path: PathBuf,
        /// What is wrong with it.
        source: control::ControlError,
    },
    /// A program could not be run, did not end in time, or failed.
    #[error("{program}: {why}")]
    Program {
        /// The program.
        program: String,
        /// What happened.
        why: String,
    },
    /// This user may not act for the owner of the data directory.
    #[error("{what} needs user {owner}, but this is user {current}")]
    WrongUser {
        /// What was to be done.
        what: String,
        /// The account needed.
        owner: String,
        /// The account this process runs as.
        current: String,
    },
    /// The owner of the data directory cannot execute a program.
    #[error("user {owner} cannot execute {}: {why}", program.display())]
    NotExecutable {
        /// The program.
        program: PathBuf,
        /// The account.
        owner: String,
        /// The path component and the reason.
        why: String,
    },
    /// A recovery setting is not valid for this version or as text.
    #[error("recovery setting {name}: {why}")]
    Setting {
        /// The setting or option.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

impl From<ClusterError> for Report {
    fn from(error: ClusterError) -> Self {
        let text = error.to_string();
        match error {
            ClusterError::Io { .. } | ClusterError::Program { .. } => Self::failed(text),
            ClusterError::Control { source: control::ControlError::UnknownVersion { .. }, .. } => Self::failed(text)
                .hint("this program knows the control files of PostgreSQL 9.5 to 18 on 64-bit little-endian hosts"),
            ClusterError::Control { .. } => Self::damaged(text)
                .hint("restore pg_control from a backup; do not start this cluster and do not use pg_resetwal"),
            ClusterError::WrongUser { ref owner, .. } => {
                let hint = format!("run this as {owner} (sudo -u {owner} …) or as root");
                Self::new(Kind::Failed, text).hint(hint)
            }
            ClusterError::NotExecutable { .. } => {
                Self::failed(text).hint("PostgreSQL runs restore_command as this user: install the program where it may run it")
            }
            ClusterError::Setting { .. } => Self::usage(text),
        }
    }
}
