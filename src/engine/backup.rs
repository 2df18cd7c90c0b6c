//! Backup: what a cluster consists of, read while it runs, checked, and stored so that it can be proven.
//!
//! [`run`] is the whole of it. [`scan`] lists the files, `compare` decides which are read, `copy` reads and stores them by many
//! threads, [`pages`] judges their pages, `draft` keeps what became of each, `ending` makes the backup exist. Nothing of an
//! earlier backup is ever changed.

mod blocks;
mod compare;
mod control;
mod copy;
mod draft;
mod ending;
pub mod error;
mod label;
mod object;
pub mod pages;
mod plan;
mod prior;
mod queue;
mod request;
mod resume;
mod run;
pub mod scan;
mod servers;
mod session;
mod source;
mod transfer;

pub use error::BackupError;
pub use request::{Bundling, Request, StandbyUse};
pub use run::run;
pub use servers::Cluster;

use serde::Serialize;

/// What a backup came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Its label.
    pub label: String,
    /// `full`, `diff` or `incr`.
    pub kind: String,
    /// The backup it was made against.
    pub prior: Option<String>,
    /// The repository it is in.
    pub repo: u32,
    /// An interrupted backup was taken up.
    pub resumed: bool,
    /// Files of the cluster.
    pub files_total: u64,
    /// Files this backup stores.
    pub files_stored: u64,
    /// Files that are as in an earlier backup, which stores them.
    pub files_unchanged: u64,
    /// Files that were removed while the backup was made.
    pub files_gone: u64,
    /// Original bytes of all files.
    pub size_bytes: u64,
    /// Original bytes of the files this backup stores.
    pub stored_size_bytes: u64,
    /// Bytes this backup takes in the repository.
    pub repo_bytes: u64,
    /// Where it started in WAL.
    pub lsn_start: Option<String>,
    /// Where it stopped: a restore must come at least this far.
    pub lsn_stop: Option<String>,
    /// The first WAL segment it needs.
    pub archive_start: Option<String>,
    /// The last WAL segment it needs.
    pub archive_stop: Option<String>,
    /// Files with pages that are damaged in the cluster.
    pub page_errors: Vec<PageErrors>,
    /// Milliseconds from the first look to the end.
    pub took_ms: u64,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// A file with damaged pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageErrors {
    /// The file, for example `pg_data/base/5/16384`.
    pub file: String,
    /// The damaged pages as inclusive ranges, counted from the start of the relation; empty if the file does not
    /// consist of pages.
    pub pages: Vec<(u32, u32)>,
}
