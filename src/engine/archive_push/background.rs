//! The background process of asynchronous archiving: everything that waits, in order, several files at a time.
//!
//! Takes the lock pgBackRest's own would take, pushes what PostgreSQL marked as waiting, writes a status file for each
//! file after it is durable in every repository, and ends after the first error or when nothing has waited for a while.
//! It works by absolute paths and leaves when the cluster it was started for is not the one in the data directory.

use super::lodge;
use super::shelf::Shelves;
use super::source::{Source, Stamp};
use super::spool::{Spool, Status};
use super::{Job, PushError, dropped, identity, ready, refuse_side_instance};
use crate::base::Report;
use crate::engine::archive_get::Wanted;
use crate::engine::identity::Identity;
use crate::engine::locks::{LockError, Work};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often is looked for what waits, while it comes one after the other.
const POLL: Duration = Duration::from_millis(10);
/// The same once nothing has waited for a second.
const QUIET_POLL: Duration = Duration::from_millis(100);
/// Calls of PostgreSQL look at the lock for an instant: so long is tried to take it.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// The bounds of a background process.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many files are pushed at the same time.
    pub threads: usize,
    /// The most bytes of segments that are taken up at once, before is looked again at what waits.
    pub batch_bytes: u64,
    /// After so long without a waiting file the process ends.
    pub idle: Duration,
}

/// Why a background process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Another one is at work on this stanza.
    Attended,
    /// Nothing waited for the idle time.
    Idle,
    /// A file could not be pushed; its status file says why.
    Failed,
    /// The stanza was stopped on this host.
    Stopped,
}

/// Pushes what waits until there is nothing more to do. What goes wrong is told in the spool.
pub fn attend(job: &Job, spool_path: &Path, limits: Limits) -> Result<Ended, Report> {
    let spool = Spool::open(spool_path, &job.stanza)?;
    let keys: Vec<u32> = job.repositories.iter().map(|slot| slot.key).collect();
    let wait = &mut |_: &LockError, waited: Duration| waited < LOCK_PATIENCE;
    let lock = match job.locks.take_when_free(&job.stanza, &[Work::Archive], &keys, wait) {
        Ok(lock) => lock,
        Err(LockError::Held { .. }) => return Ok(Ended::Attended),
        Err(error) => {
            let report = Report::from(error);
            spool.put_error(None, 50, &report.headline)?;
            return Err(report);
        }
    };
    let ended = work(job, &spool, limits);
    if let Err(error) = &ended {
        spool.put_error(None, error.code(), &error.to_string())?;
    }
    drop(lock);
    Ok(ended?)
}

fn work(job: &Job, spool: &Spool, limits: Limits) -> Result<Ended, PushError> {
    let desk = Desk { job, spool, buffers: Mutex::default() };
    let began_with = identity(&job.data_dir)?;
    let mut last = Instant::now();
    loop {
        if job.locks.refuse_if_stopped(&job.stanza).is_err() {
            return Ok(Ended::Stopped);
        }
        refuse_side_instance(&job.data_dir)?;
        let identity = identity(&job.data_dir)?;
        if identity != began_with {
            // Another cluster stands there now: its own calls start a process for it.
            return Ok(Ended::Idle);
        }
        let folder = ready::wal_folder(&job.data_dir, identity.version);
        let waiting = ready::list(&folder.join("archive_status"))?;
        spool.sweep(&waiting)?;
        let queue = desk.not_done(&folder, &waiting)?;
        if queue.is_empty() {
            if last.elapsed() >= limits.idle {
                return Ok(Ended::Idle);
            }
            let quiet = last.elapsed() > Duration::from_secs(1);
            std::thread::sleep(if quiet { QUIET_POLL } else { POLL });
            continue;
        }
        let dropped = match job.queue_max_bytes {
            Some(most) => desk.drop_if_too_long(&folder, &queue, &identity, most)?,
            None => false,
        };
        if !dropped && !desk.push_all(&folder, &queue, &identity, limits)? {
            return Ok(Ended::Failed);
        }
        last = Instant::now();
    }
}

/// What the threads of a background process share.
struct Desk<'a> {
    job: &'a Job,
    spool: &'a Spool,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Desk<'_> {
    /// What waits and has no status that is proven; a file that went away meanwhile was acknowledged.
    fn not_done(&self, folder: &Path, waiting: &[Wanted]) -> Result<Vec<Wanted>, PushError> {
        let mut queue = Vec::new();
        for file in waiting {
            let Ok(stamp) = Stamp::at(&folder.join(file.to_string())) else {
                if ready::is_ready(&folder.join(file.to_string()), *file) {
                    queue.push(*file);
                }
                continue;
            };
            match self.spool.status(*file, stamp)? {
                Status::Done(_) | Status::Skipped(_) => {}
                Status::None | Status::Unproven | Status::Failed(..) => queue.push(*file),
            }
        }
        Ok(queue)
    }

    /// Drops everything that waits if it is too much; true if it was.
    fn drop_if_too_long(
        &self,
        folder: &Path,
        queue: &[Wanted],
        identity: &Identity,
        most_bytes: u64,
    ) -> Result<bool, PushError> {
        let Some(long) = ready::Queue::too_long(queue.len(), identity, most_bytes) else { return Ok(false) };
        let warning = dropped::drop_for(self.job, queue, &long);
        for file in queue {
            let path = folder.join(file.to_string());
            let stamp = Stamp::at(&path).map_err(|source| PushError::Source { path, source })?;
            self.spool.put_ok(*file, stamp, &warning)?;
        }
        Ok(true)
    }

    /// Pushes files until all are done or one fails; false if one did.
    fn push_all(
        &self,
        folder: &Path,
        queue: &[Wanted],
        identity: &Identity,
        limits: Limits,
    ) -> Result<bool, PushError> {
        let shelves = Shelves::open(&self.job.repositories, &self.job.stanza, identity)?;
        let most = (limits.batch_bytes / u64::from(identity.segment_size.bytes())).max(1);
        let batch = &queue[..queue.len().min(usize::try_from(most).unwrap_or(usize::MAX))];
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let broken = Mutex::new(None);
        let one_after_the_other = || {
            while !failed.load(Ordering::Acquire)
                && let Some(file) = batch.get(next.fetch_add(1, Ordering::AcqRel))
            {
                match self.push_one(&folder.join(file.to_string()), *file, identity, &shelves) {
                    Ok(true) => {}
                    Ok(false) => failed.store(true, Ordering::Release),
                    Err(error) => {
                        failed.store(true, Ordering::Release);
                        *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..limits.threads.min(batch.len()) {
                scope.spawn(one_after_the_other);
            }
            one_after_the_other();
        });
        match broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(!failed.into_inner()),
        }
    }

    /// Pushes one file and tells what came of it; an error only if that could not be told.
    fn push_one(
        &self,
        path: &Path,
        file: Wanted,
        identity: &Identity,
        shelves: &Shelves,
    ) -> Result<bool, PushError> {
        let mut buffer = self.lock().pop().unwrap_or_default();
        let pushed = self.lodge(path, file, identity, shelves, &mut buffer);
        self.lock().push(buffer);
        match pushed {
            Ok((stamp, warnings)) => self.spool.put_ok(file, stamp, &warnings.join("\n")).map(|()| true),
            // It was acknowledged by another call while it was in the queue.
            Err(_) if !ready::is_ready(path, file) => Ok(true),
            Err((code, message)) => {
                self.spool.put_error(Some(file), code, &message)?;
                // Whoever waits for another file is told as well: nothing more is pushed now.
                self.spool.put_error(None, code, &format!("stopped after {file}: {message}"))?;
                Ok(false)
            }
        }
    }

    fn lodge(
        &self,
        path: &Path,
        file: Wanted,
        identity: &Identity,
        shelves: &Shelves,
        buffer: &mut Vec<u8>,
    ) -> Result<(Stamp, Vec<String>), (u32, String)> {
        let told = |error: PushError| (error.code(), error.to_string());
        let mut source = Source::open(path, file, identity, self.job.care.header).map_err(told)?;
        let done = lodge::lodge(&shelves.usable, &mut source, self.job, buffer).map_err(told)?;
        let failures: Vec<&PushError> = shelves.failures.iter().chain(&done.failures).collect();
        match failures[..] {
            [] => Ok((source.stamp(), shelves.warnings.iter().cloned().chain(done.warnings).collect())),
            [only] => Err((only.code(), only.to_string())),
            _ => Err((104, failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
