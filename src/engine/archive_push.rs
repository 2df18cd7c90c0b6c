//! `archive-push`: PostgreSQL's `archive_command`, one file of `pg_wal` per call.
//!
//! A file is acknowledged only when it is durable in every configured repository; PostgreSQL forgets it then. A call
//! pushes it itself ([`push`]), or has it pushed by a process in the background that works ahead ([`push_by_spool`],
//! [`attend`]) and tells by status files in the [spool]. Nothing that is archived under a name is ever replaced by
//! something else, and nothing of another cluster, of a marked copy of this one or under a wrong name is archived.
//! `archive-push-queue-max` is the one way to acknowledge what is not archived, and it is put [on record](dropped).

mod background;
pub mod dropped;
mod error;
mod foreground;
mod lodge;
mod ready;
mod shelf;
mod side;
mod source;
pub mod spool;

use crate::codec::Compression;
use crate::engine::archive_get::Wanted;
use crate::engine::identity::Identity;
use crate::engine::locks::LockFolder;
use crate::engine::repositories::Slot;
pub use background::{Ended, Limits, attend};
pub use error::PushError;
pub use foreground::{Launch, push_by_spool};
use shelf::Shelves;
pub use side::{SIDE_MARKERS, refuse_side_instance};
use source::Source;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The guard that keeps a history file from being replaced by another one.
pub const HISTORY_GUARD: &str = "history-differs";

/// What a call works with.
#[derive(Debug)]
pub struct Job {
    /// The data directory of the cluster that archives.
    pub data_dir: PathBuf,
    /// The stanza.
    pub stanza: String,
    /// The repositories; one that could not be opened counts as failing.
    pub repositories: Vec<Slot>,
    /// The folder of lock and stop files.
    pub locks: LockFolder,
    /// How segments are compressed.
    pub packing: Packing,
    /// What is checked and told.
    pub care: Care,
    /// More than this waiting to be archived is dropped; nothing never drops.
    pub queue_max_bytes: Option<u64>,
    /// Where drops are put on record.
    pub drop_log: Option<PathBuf>,
}

/// How segments are compressed.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    /// The format.
    pub compression: Compression,
    /// Its level; the format's default if there is none.
    pub level: Option<i32>,
    /// Threads that compress one segment besides the one that encrypts and writes, where the format can be compressed so.
    pub workers: u32,
}

/// What is checked and told.
#[derive(Debug, Clone, Copy)]
pub struct Care {
    /// The first page of each segment is checked.
    pub header: bool,
    /// It is told if a file was there already: harmless after a crash, otherwise a sign of two servers.
    pub tell_twice: bool,
    /// An operator said that an archived history file may be replaced by another one.
    pub replace_history: bool,
}

/// What came of a call that may be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pushed {
    /// What an operator should know, one sentence each.
    pub warnings: Vec<String>,
    /// The line for the server's log, where everything is told.
    pub line: String,
}

/// A file that is to be archived, found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    file: Wanted,
    path: PathBuf,
}

/// Pushes the file at `path`, as PostgreSQL gives it, into every repository.
pub fn push(job: &Job, path: &Path) -> Result<Pushed, PushError> {
    let given = locate(job, path)?;
    push_found(job, &given)
}

fn push_found(job: &Job, given: &Given) -> Result<Pushed, PushError> {
    let identity = identity(&job.data_dir)?;
    if let (Some(most), Some(waiting)) = (job.queue_max_bytes, ready::folder_of(&given.path)) {
        let waiting = ready::list(&waiting)?;
        if let Some(queue) = ready::Queue::too_long(waiting.len(), &identity, most) {
            let warning = dropped::drop_for(job, &[given.file], &queue);
            let line = format!("{} was dropped", given.file);
            return Ok(Pushed { warnings: vec![warning], line });
        }
    }
    let shelves = Shelves::open(&job.repositories, &job.stanza, &identity)?;
    let mut source = Source::open(&given.path, given.file, &identity, job.care.header)?;
    let done = lodge::lodge(&shelves.usable, &mut source, job, &mut Vec::new())?;
    let line = format!("{} archived in {}", given.file, shelves.words());
    match PushError::all(shelves.failures.into_iter().chain(done.failures).collect()) {
        Some(error) => Err(error),
        None => Ok(Pushed { warnings: shelves.warnings.into_iter().chain(done.warnings).collect(), line }),
    }
}

/// Who the cluster is.
fn identity(data_dir: &Path) -> Result<Identity, PushError> {
    Ok(Identity::of(&crate::cluster::control::ControlFile::read(data_dir)?))
}

/// Finds the file that is meant, and refuses what this cluster's archive must not take.
fn locate(job: &Job, path: &Path) -> Result<Given, PushError> {
    job.locks.refuse_if_stopped(&job.stanza).map_err(|report| PushError::Stopped(Box::new(report)))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let file = Wanted::parse(&name).ok_or_else(|| PushError::Name(name.chars().take(80).collect()))?;
    if path.is_relative() {
        refuse_other_server(&job.data_dir)?;
    }
    refuse_side_instance(&job.data_dir)?;
    Ok(Given { file, path: job.data_dir.join(path) })
}

/// A relative path is one of the server that runs this: it must be the server of this data directory. A copy of it has
/// the same system identifier and, by its inherited configuration, the same `archive_command`.
fn refuse_other_server(data_dir: &Path) -> Result<(), PushError> {
    let place = |path: &Path| {
        let meta = std::fs::metadata(path)?;
        Ok::<_, io::Error>((meta.dev(), meta.ino()))
    };
    let failed = |source| PushError::Source { path: data_dir.to_owned(), source };
    if place(data_dir).map_err(failed)? == place(Path::new(".")).map_err(failed)? {
        return Ok(());
    }
    let found = std::env::current_dir().map_err(failed)?;
    Err(PushError::OtherServer { found, expected: data_dir.to_owned() })
}

#[cfg(test)]
mod tests;
