//! The last samples of copying and replay, written four times a second at most.
//!
//! Samples come from many threads and out of order; within a step the furthest counts. The file is replaced and never
//! synced: losing it loses nothing but a number on a screen.

use crate::base::Timestamp;
use crate::model::op::{Progress, Replay};
use crate::recovery::supervisor::folder::{FILE_MODE, Sample};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was sampled last.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    copy: Option<Progress>,
    replay: Option<Replay>,
    /// The next sample of the copying begins a new count.
    fresh: bool,
    changed: bool,
}

impl Samples {
    /// Another step began: what it copies has nothing to do with what was copied before.
    pub(super) fn step_began(&self) {
        self.lock().fresh = true;
    }

    pub(super) fn copy(&self, progress: Progress) {
        let mut inner = self.lock();
        let further = |before: Progress| {
            (progress.bytes_done, progress.files_done) >= (before.bytes_done, before.files_done)
                || (progress.bytes_total, progress.files_total) != (before.bytes_total, before.files_total)
        };
        if inner.fresh || inner.copy.is_none_or(further) {
            inner.copy = Some(progress);
            inner.fresh = false;
            inner.changed = true;
        }
    }

    pub(super) fn replay(&self, replay: Replay) {
        let mut inner = self.lock();
        inner.replay = Some(replay);
        inner.changed = true;
    }

    /// Writes them if there is something new.
    pub(super) fn write(&self, path: &Path, attempt: u32) -> io::Result<()> {
        let sample = {
            let mut inner = self.lock();
            if !std::mem::take(&mut inner.changed) {
                return Ok(());
            }
            Sample { attempt, at: Timestamp::now(), copy: inner.copy, replay: inner.replay.clone() }
        };
        let temporary = path.with_extension("tmp");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&temporary)?;
        file.write_all(&serde_json::to_vec(&sample)?)?;
        std::fs::rename(&temporary, path)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_furthest_sample_of_a_step_stays() {
        let samples = Samples::default();
        let at = |bytes_done| Progress { bytes_done, bytes_total: 9, files_done: 0, files_total: 1 };
        let shown = || samples.lock().copy.unwrap().bytes_done;
        samples.copy(at(5));
        samples.copy(at(3));
        assert_eq!(shown(), 5);
        samples.step_began();
        samples.copy(at(1));
        assert_eq!(shown(), 1);
        samples.copy(Progress { bytes_total: 10, ..at(0) });
        assert_eq!(shown(), 0);
    }
}
