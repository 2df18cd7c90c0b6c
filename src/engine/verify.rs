//! Verifying a stanza of one repository: whatever somebody may need is read and compared with what its writer said of it.
//!
//! Info files with their copies, every archived segment, and every file of every backup: its stored bytes, and unless
//! only these are asked for the content that comes out of them. A file that several backups use is read once. Reads
//! only; what cannot be read is unknown, never sound. What a backup, an expire or a push may be changing meanwhile is
//! looked at again before it is called damage. Memory: one manifest, one folder's listing, a digest per stored file
//! of a backup set, and what was found. Layout of the result: pgBackRest's `verify`.

mod archive;
mod backup;
mod blocks;
mod bundle;
mod entry;
mod files;
mod finding;
mod holes;
mod infos;
mod labels;
mod missing;
mod names;
mod outcome;
mod pool;
pub mod record;
mod segment;
mod shelf;
mod stray;
mod timelines;
mod wal;
mod watch;

use crate::base::{BackupLabel, Result, Timestamp};
use crate::model::op::{Cancel, Event, Sink, Tally};
use crate::repo::{BackupInfo, Stanza};
use crate::store::Storage;
pub use finding::{Counts, Fault, Finding, Findings, Level};
pub use holes::{Hole, HoleKind};
pub use outcome::{ArchiveResult, BackupResult, BackupStatus, Verification, WalNeed};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How deep files of backups are looked into; WAL is always decoded, because only its content has a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// The stored bytes are hashed where the manifest knows their checksum.
    Stored,
    /// The content is decoded and hashed, too, and blocks are put together.
    Full,
}

/// What to verify, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// Only this backup with everything it needs.
    pub set: Option<BackupLabel>,
    /// How deep.
    pub depth: Depth,
    /// How many objects are read at a time.
    pub process_max: usize,
    /// A backup or expire of the stanza is running on this host.
    pub busy: bool,
    /// How long what looks damaged but may only be changing is left alone before it is looked at again.
    pub patience: Duration,
}

/// What every part of one verification shares.
struct Work<'a> {
    stanza: &'a Stanza,
    storage: &'a dyn Storage,
    request: &'a Request,
    sink: &'a dyn Sink,
    cancel: &'a Cancel,
    tally: Tally,
    bytes_total: AtomicU64,
    files_total: AtomicU64,
}

impl Work<'_> {
    fn threads(&self) -> usize {
        self.request.process_max.max(1)
    }

    /// More work became known.
    fn expect(&self, bytes: u64, files: u64) {
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
        self.files_total.fetch_add(files, Ordering::Relaxed);
    }

    fn tell_progress(&self) {
        let (bytes, files) =
            (self.bytes_total.load(Ordering::Relaxed), self.files_total.load(Ordering::Relaxed));
        self.sink.progress(self.tally.sample(bytes, files));
    }

    /// Waits a moment for what may only be changing.
    fn wait(&self) -> Result<()> {
        self.cancel.check()?;
        std::thread::sleep(self.request.patience);
        self.cancel.check()
    }

    /// Does one step and tells of it.
    fn step<T>(&self, name: String, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.sink.event(Event::StepStarted { step: name.clone() });
        let started = Instant::now();
        let value = work()?;
        self.sink.event(Event::StepDone {
            step: name,
            took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            detail: String::new(),
        });
        Ok(value)
    }
}

/// Verifies a stanza, or one backup of it.
///
/// Damage is a finding. Fails only if the stanza is not there at all, is configured with the wrong key, does not have
/// the backup asked for, or if the operator cancelled.
pub fn verify(stanza: &Stanza, request: &Request, sink: &dyn Sink, cancel: &Cancel) -> Result<Verification> {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let work = Work {
        stanza,
        storage: &**stanza.repository().storage(),
        request,
        sink,
        cancel,
        tally: Tally::default(),
        bytes_total: AtomicU64::new(0),
        files_total: AtomicU64::new(0),
    };
    let mut findings = Findings::default();
    let infos = work.step("read the info files".to_owned(), || infos::read(&work, &mut findings))?;
    let labels = labels::find(&work, &infos, &mut findings)?;
    work.expect(labels.iter().map(|label| label.stored_bytes).sum(), 0);
    let (found, listed) = shelf::survey(&work, &infos, &labels, &mut findings)?;
    let mut shelved = Vec::new();
    for shelf in found {
        let name = format!("verify the WAL archive {}", shelf.id);
        shelved.push(work.step(name, || archive::verify(&work, &infos, shelf))?);
    }
    missing::find_holes(&work, &infos, &mut shelved)?;
    let archives = archive::Archives { shelved, listed };
    let mut backups = Vec::new();
    let mut known = backup::Known::default();
    for label in &labels {
        let name = format!("verify backup {}", label.label);
        let result = work.step(name, || backup::verify(&work, &infos, label, &archives, &mut known))?;
        backups.push(result);
    }
    if request.depth == Depth::Full && request.set.is_none() {
        labels::check_history(&work, &infos, &labels, &mut findings)?;
    }
    work.tell_progress();
    findings.sort();
    let bytes = work.tally.sample(0, 0).bytes_done;
    Ok(Verification {
        stanza: stanza.name().to_owned(),
        repo: stanza.repository().key(),
        depth: request.depth,
        set: request.set.clone(),
        started,
        took_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        bytes,
        findings,
        archives: archives.shelved.into_iter().map(|shelved| shelved.result).collect(),
        backups,
    })
}

/// The info file as it is now, or nothing if it cannot be read.
fn info_now(work: &Work<'_>) -> Option<BackupInfo> {
    work.stanza.backup_info().ok().map(|loaded| loaded.value)
}
