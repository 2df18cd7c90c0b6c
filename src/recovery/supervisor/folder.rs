//! The folder of one operation: what its files are called, hold and allow.
//!
//! | file | what | how |
//! |---|---|---|
//! | `spec.json` | what is to be done | once, durable, before anything starts |
//! | `start.json` | the last request for a worker, and after which record it was made | durable, by who starts |
//! | `events.jsonl` | one record per line | appended and synced by the worker alone |
//! | `progress.json` | the last samples | replaced by the worker, not synced: it may be lost |
//! | `lock` | the worker's process, while it holds the lock | flock, by the worker |
//! | `answer.json` | the answer to a question, naming the question's record | durable, by who answers |
//! | `worker.log` | what the worker printed | appended |
//!
//! All of them are for their owner alone. Nothing here is ever removed.

use crate::base::files::atomic_replace;
use crate::base::state::{OpId, StateDir};
use crate::base::{Kind, Report, Result, Timestamp};
use crate::model::op::{Answer, Progress, Replay, Spec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A file of one JSON document is never larger.
const MOST_BYTES: u64 = 1 << 20;
/// Mode of every file.
pub(in crate::recovery) const FILE_MODE: u32 = 0o600;

/// The folder of an operation.
#[derive(Debug, Clone)]
pub(in crate::recovery) struct Folder(PathBuf);

/// A request for a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::recovery) struct StartRequest {
    /// Number of the last record when it was made; the worker it is for writes the next one.
    pub(in crate::recovery) after_seq: u64,
    /// When, by the clock nobody can set.
    pub(in crate::recovery) boot_ms: u64,
    /// When.
    pub(in crate::recovery) at: Timestamp,
}

/// The last samples of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::recovery) struct Sample {
    /// The worker's attempt; samples of an earlier one say nothing about this one.
    pub(in crate::recovery) attempt: u32,
    /// When they were written.
    pub(in crate::recovery) at: Timestamp,
    /// Of the copying.
    pub(in crate::recovery) copy: Option<Progress>,
    /// Of the replay.
    pub(in crate::recovery) replay: Option<Replay>,
}

/// An answer on its way to the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::recovery) struct Reply {
    /// Number of the record that asked.
    pub(in crate::recovery) asked: u64,
    /// What was answered.
    pub(in crate::recovery) answer: Answer,
    /// Who answered.
    pub(in crate::recovery) by: String,
}

/// The process that holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::recovery) struct Holder {
    /// Its number.
    pub(in crate::recovery) pid: u32,
    /// When it began, in clock ticks since boot: tells it from a later process of the same number.
    pub(in crate::recovery) start_ticks: u64,
}

/// Whether a worker holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::recovery) enum Hold {
    /// No.
    Free,
    /// Yes; it may not have written down yet which process it is.
    Held(Option<Holder>),
    /// It cannot be told.
    Unknown(String),
}

impl Holder {
    /// This process.
    pub(in crate::recovery) fn myself() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// The process that has this number now; nothing if none has.
    pub(in crate::recovery) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name may hold anything, also parentheses; the 22nd field is the 20th after it.
        let fields = stat.rsplit_once(')')?.1;
        let start_ticks = fields.split_whitespace().nth(19)?.parse().ok()?;
        Some(Self { pid, start_ticks })
    }
}

impl StartRequest {
    /// A request made now.
    pub(in crate::recovery) fn after(after_seq: u64) -> Self {
        Self { after_seq, boot_ms: Timestamp::boot_ms(), at: Timestamp::now() }
    }

    /// Milliseconds since it was made; nothing if that was before the host was booted.
    pub(in crate::recovery) fn age_ms(&self) -> Option<u64> {
        Timestamp::boot_ms().checked_sub(self.boot_ms)
    }
}

impl Folder {
    /// The folder of the operation `id`, which need not be there.
    pub(in crate::recovery) fn of(state: &StateDir, id: &OpId) -> Self {
        Self(state.operation(id))
    }

    /// A folder at a path.
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The folder itself.
    pub(in crate::recovery) fn path(&self) -> &Path {
        &self.0
    }

    /// Its records.
    pub(in crate::recovery) fn events(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    /// What its workers print.
    pub(in crate::recovery) fn log(&self) -> PathBuf {
        self.0.join("worker.log")
    }

    /// Its lock.
    pub(in crate::recovery) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The last samples.
    pub(in crate::recovery) fn progress(&self) -> PathBuf {
        self.0.join("progress.json")
    }

    /// What is to be done.
    pub(in crate::recovery) fn spec(&self) -> Result<Spec> {
        let path = self.0.join("spec.json");
        let spec: Spec = read(&path)?.ok_or_else(|| {
            Report::usage(format!("there is no operation in {}", self.0.display()))
                .hint("`pgmayday attach` lists the operations")
        })?;
        let named = self.0.file_name().is_some_and(|name| name == spec.id.as_str());
        if spec.schema == Spec::SCHEMA && named {
            return Ok(spec);
        }
        let why =
            if named { format!("its form is {}", spec.schema) } else { format!("it is of {}", spec.id) };
        Err(Report::damaged(format!("{} cannot be used: {why}", path.display()))
            .hint(format!("this program reads {} in the folder of its own operation", Spec::SCHEMA)))
    }

    /// Writes down what is to be done.
    pub(super) fn write_spec(&self, spec: &Spec) -> Result<()> {
        write(&self.0.join("spec.json"), spec)
    }

    /// The last request for a worker.
    pub(in crate::recovery) fn start_request(&self) -> Result<Option<StartRequest>> {
        read(&self.0.join("start.json"))
    }

    /// Asks for a worker.
    pub(super) fn request_start(&self, request: &StartRequest) -> Result<()> {
        write(&self.0.join("start.json"), request)
    }

    /// The last answer given.
    pub(in crate::recovery) fn reply(&self) -> Result<Option<Reply>> {
        read(&self.0.join("answer.json"))
    }

    /// Gives an answer.
    pub(super) fn write_reply(&self, reply: &Reply) -> Result<()> {
        write(&self.0.join("answer.json"), reply)
    }

    /// Whether a worker holds the lock. Looking takes a shared lock for an instant; a worker tries more than once.
    pub(in crate::recovery) fn hold(&self) -> Hold {
        let path = self.lock();
        let unknown = |error: io::Error| Hold::Unknown(format!("cannot look at {}: {error}", path.display()));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Hold::Free,
            Err(error) => return unknown(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Hold::Free,
            Err(TryLockError::WouldBlock) => {
                let mut text = [0; 128];
                let read = file.read_at(&mut text, 0).unwrap_or(0);
                Hold::Held(serde_json::from_slice(&text[..read]).ok())
            }
            Err(TryLockError::Error(error)) => unknown(error),
        }
    }
}

/// Reads a document; nothing if the file is not there.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let mut bytes = Vec::new();
    let told = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
    match told {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, &error)),
    }
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| Report::damaged(format!("{} is damaged: {error}", path.display())))
}

/// Writes a document, whole and durable or not at all.
fn write(path: &Path, document: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(document)
        .map_err(|error| Report::failed(format!("cannot write {}: {error}", path.display())))?;
    atomic_replace(path, &bytes, FILE_MODE).map_err(|error| failed("write", path, &error))
}

/// The system refused something about a file.
pub(in crate::recovery) fn failed(doing: &str, path: &Path, error: &io::Error) -> Report {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => Kind::Unreachable,
        _ => Kind::Failed,
    };
    Report::new(kind, format!("cannot {doing} {}: {error}", path.display()))
}
