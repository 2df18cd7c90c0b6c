//! PostgreSQL on this host: control file, process, recovery settings, server, SQL.
//!
//! Everything here looks at or acts on one data directory and the processes that serve it. This room knows no
//! repository. It never removes or renames anything inside a data directory, and never acts on a process it has
//! not just proven to work in that directory.

pub mod activity;
pub mod binaries;
pub mod certificate;
pub mod configuration;
pub mod control;
pub mod explain;
pub mod lock_file;
pub mod log_tail;
pub mod owner;
pub mod pace;
pub mod process;
mod procfs;
pub mod reach;
pub mod recovery_settings;
pub mod replay;
pub mod running;
pub mod server;
pub mod server_log;
pub mod sql;
pub mod target;
pub mod write_test;

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
    /// No PostgreSQL of the version needed was found.
    #[error("PostgreSQL {version} is not installed where it was looked for ({looked})")]
    NoBinaries {
        /// The major version.
        version: String,
        /// The places.
        looked: String,
    },
    /// The data directory is in use, or it cannot be told that it is not.
    #[error("{}: {why}", data_dir.display())]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
        /// What uses it, or why that cannot be told.
        why: String,
    },
    /// The server ended.
    #[error(transparent)]
    Server(Box<server::Failure>),
    /// Nothing moves any more.
    #[error("{what} has stood still for {standing_s} s: {why}")]
    Stuck {
        /// What was waited for.
        what: String,
        /// For how long, in seconds.
        standing_s: u64,
        /// What it hangs on, as far as can be seen.
        why: String,
    },
    /// The server is not in the state this needs.
    #[error("{what}: {why}")]
    WrongState {
        /// What was to be done.
        what: &'static str,
        /// What stands against it.
        why: String,
    },
    /// SQL failed.
    #[error(transparent)]
    Sql(#[from] sql::SqlError),
    /// The operator cancelled.
    #[error("cancelled by the operator")]
    Cancelled,
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
            ClusterError::Io { .. } | ClusterError::Program { .. } | ClusterError::WrongState { .. } => Self::failed(text),
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
            ClusterError::NoBinaries { version, .. } => Self::failed(text)
                .hint(format!("install postgresql-{version}, or set PGMAYDAY_PG_BIN to the folder with its postgres")),
            ClusterError::InUse { .. } => Self::new(Kind::Refused(None), text)
                .hint("stop what runs there; leave the folder with every shell"),
            ClusterError::Server(failure) => Self::from(*failure),
            ClusterError::Stuck { .. } => {
                Self::failed(text).hint("the server still runs and was left as it is; its log says what it did last")
            }
            ClusterError::Sql(error) => Self::from(error),
            ClusterError::Cancelled => Self::new(Kind::Cancelled, text),
        }
    }
}
