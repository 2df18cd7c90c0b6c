//! The threads of a walk: each takes a folder from the queue, has it looked at and puts back the folders found in it.
//!
//! Ends when nothing is left and nobody can find more, or at the first failure. What is found comes out in no
//! particular order.

use super::super::error::BackupError;
use super::ScanFile;
use super::links::{Destinations, Known};
use super::look::Worker;
use super::owners::{Numbers, OwnerId, Owners};
use super::rules::Rules;
use crate::model::op::Cancel;
use crate::repo::Target;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many threads look at least, because a disk takes several questions at once whatever the processors, and at most.
const LEAST_THREADS: usize = 2;
const MOST_THREADS: usize = 8;

/// A folder that was found.
#[derive(Debug)]
pub(super) struct FoundPath {
    pub(super) name: String,
    pub(super) mode: u32,
    pub(super) owner: OwnerId,
}

/// A link that was found.
#[derive(Debug)]
pub(super) struct FoundLink {
    pub(super) name: String,
    pub(super) destination: String,
    pub(super) owner: OwnerId,
}

/// What one thread found, later all of it.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The files of one folder each, sorted.
    pub(super) batches: Vec<Vec<ScanFile>>,
    pub(super) paths: Vec<FoundPath>,
    pub(super) links: Vec<FoundLink>,
    pub(super) targets: Vec<Target>,
    pub(super) warnings: Vec<String>,
}

/// A folder still to be listed.
#[derive(Debug)]
pub(super) struct Folder {
    /// Its manifest name.
    pub(super) name: String,
    /// Where it really is.
    pub(super) path: PathBuf,
}

/// Everything the threads share.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) rules: &'a Rules,
    pub(super) known: Known<'a>,
    pub(super) cancel: &'a Cancel,
    pub(super) numbers: Numbers,
    pub(super) destinations: Mutex<Destinations>,
    /// Where the data directory really is.
    pub(super) root: PathBuf,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    folders: Vec<Folder>,
    /// Threads that look at a folder and may find others in it.
    busy: usize,
    failure: Option<BackupError>,
}

impl<'a> Walk<'a> {
    /// Nothing is looked at yet but where the data directory really is.
    pub(super) fn new(
        data_dir: &Path,
        rules: &'a Rules,
        known: Known<'a>,
        cancel: &'a Cancel,
    ) -> Result<Self, BackupError> {
        let root = std::fs::canonicalize(data_dir).map_err(BackupError::io("look at", data_dir))?;
        Ok(Self {
            rules,
            known,
            cancel,
            numbers: Numbers::default(),
            destinations: Mutex::new(Destinations::new(root.clone())),
            root,
            queue: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Walks everything there is.
    pub(super) fn run(&self) -> Result<Found, BackupError> {
        let mut first = Worker::new(self);
        first.root(&self.root)?;
        self.lock().folders.append(&mut first.folders);
        let mut all = first.found;
        let threads =
            std::thread::available_parallelism().map_or(1, usize::from).clamp(LEAST_THREADS, MOST_THREADS);
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.work())).collect();
            for other in others {
                match other.join() {
                    Ok(found) => all.take(found),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        self.lock().failure.take().map_or(Ok(all), Err)
    }

    /// Who owns what was found.
    pub(super) fn into_owners(self) -> Owners {
        self.numbers.named()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A thread that panicked takes the walk with it; until then the others need no more than what is there.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> Found {
        let mut worker = Worker::new(self);
        while let Some(folder) = self.next() {
            let busy = Busy(self);
            let listed = worker.list(&folder);
            let mut queue = self.lock();
            queue.folders.append(&mut worker.folders);
            if let Err(error) = listed {
                queue.failure.get_or_insert(error);
            }
            drop(queue);
            drop(busy);
        }
        worker.found
    }

    fn next(&self) -> Option<Folder> {
        let mut queue = self.lock();
        loop {
            if queue.failure.is_some() {
                return None;
            }
            if let Some(folder) = queue.folders.pop() {
                queue.busy += 1;
                return Some(folder);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A thread that looks at a folder; dropped also by a panic, so that nobody waits for it for ever.
struct Busy<'w, 'a>(&'w Walk<'a>);

impl Drop for Busy<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
        self.0.changed.notify_all();
    }
}

impl Found {
    fn take(&mut self, other: Self) {
        self.batches.extend(other.batches);
        self.paths.extend(other.paths);
        self.links.extend(other.links);
        self.targets.extend(other.targets);
        self.warnings.extend(other.warnings);
    }
}
