//! How long work tells what it does: step events without loss, progress with loss, and the way to stop it.
//!
//! Plain data; an engine reports to a [`Sink`] and knows no screen, no journal and no terminal.

mod life;
mod record;

pub use life::{Life, OpState, Snapshot, Step, StepStatus};
pub use record::{Answer, Outcome, Question, Record, RecordKind, Spec};

use crate::base::{Kind, Lsn, Report, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Something that happened once and must not be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step began.
    StepStarted {
        /// What the step does, in the operator's words.
        step: String,
    },
    /// A step ended well.
    StepDone {
        /// The step's name as it was started.
        step: String,
        /// How long it took, in milliseconds of a clock that cannot be set.
        took_ms: u64,
        /// What came out, in a few words; may be empty.
        detail: String,
    },
    /// How much a step has to move: what its time is measured by. Told while it runs.
    Amount {
        /// The step's name as it was started.
        step: String,
        /// Bytes it copies, or of log it replays.
        bytes: u64,
    },
    /// A moment that counts for the recovery time was reached.
    Reached {
        /// Which.
        mark: Mark,
    },
    /// Something an operator should know that did not stop the work.
    Warning {
        /// The sentence to show.
        text: String,
    },
}

/// The moments a recovery time is made of, in their usual order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Somebody or something noticed the trouble.
    Detected,
    /// A person declared the incident.
    Declared,
    /// A plan was chosen.
    Decided,
    /// The plan was confirmed by its typed word.
    Confirmed,
    /// The first byte of the copy is written.
    RestoreStarted,
    /// The copy is whole and durable.
    RestoreFinished,
    /// Replay has made the copy consistent.
    Consistent,
    /// Replay stands at the target.
    TargetReached,
    /// The recovered data was checked.
    Validated,
    /// The recovered cluster accepts connections as it is served.
    AcceptingConnections,
    /// The application writes and commits.
    ServiceBack,
}

/// Where copying stands; sampled, so intermediate values may be lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes of the target that are in place, reused ones included.
    pub bytes_done: u64,
    /// Bytes the target will have.
    pub bytes_total: u64,
    /// Files in place.
    pub files_done: u64,
    /// Files the target will have.
    pub files_total: u64,
}

/// Where replay stands; sampled, so intermediate values may be lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Where replay began, as well as it is known.
    pub from: Option<Lsn>,
    /// End of the last record replayed.
    pub replayed: Option<Lsn>,
    /// Where it is to end, as the plan proved it.
    pub goal: Option<Lsn>,
    /// Commit time of the last transaction replayed.
    pub last_commit: Option<Timestamp>,
    /// The target, if it is a time.
    pub target: Option<Timestamp>,
    /// WAL replayed per second, in bytes.
    pub bytes_per_s: Option<u64>,
    /// Time left at this speed, in milliseconds.
    pub left_ms: Option<u64>,
    /// For how long nothing at all has moved, in milliseconds; 0 while something moves.
    pub still_ms: u64,
    /// What a replay that stands still waits for.
    pub waits_for: Option<String>,
}

/// Takes what running work reports; called from many threads.
pub trait Sink: Send + Sync {
    /// A step event or warning; never dropped.
    fn event(&self, event: Event);
    /// A sample of the copying; may be dropped.
    fn progress(&self, progress: Progress);
    /// A sample of the replay; may be dropped.
    fn replay(&self, _replay: Replay) {}
}

/// A sink that forgets everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn event(&self, _: Event) {}
    fn progress(&self, _: Progress) {}
}

/// Counters many threads add to; the source of [`Progress`] samples.
#[derive(Debug, Default)]
pub struct Tally {
    bytes: AtomicU64,
    files: AtomicU64,
}

impl Tally {
    /// Adds bytes that are in place.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts one more file in place.
    pub fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// The sample now, against the given totals.
    pub fn sample(&self, bytes_total: u64, files_total: u64) -> Progress {
        let bytes_done = self.bytes.load(Ordering::Relaxed);
        Progress { bytes_done, bytes_total, files_done: self.files.load(Ordering::Relaxed), files_total }
    }
}

/// A request to stop, shared by everyone who works on one operation.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the work to stop at the next safe point.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// True once a stop was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The flag behind it, for a signal to set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Fails with [`Kind::Cancelled`] once a stop was asked for.
    pub fn check(&self) -> Result<(), Report> {
        if self.requested() { Err(Report::new(Kind::Cancelled, "cancelled by the operator")) } else { Ok(()) }
    }
}
