//! Many threads taking jobs from one that lists them, with a bounded number of jobs waiting.
//!
//! The first failure ends the work; damage is no failure. Knows nothing of what a job is.

use super::Work;
use crate::base::{Report, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// How often it is looked whether all is done.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How many jobs may wait per thread.
const WAITING_PER_THREAD: usize = 64;
/// How much is decoded at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// Does `work` on every job; the jobs are made while others are done. Each thread has a buffer.
pub(super) fn run<J: Send>(
    shared: &Work<'_>,
    jobs: impl Iterator<Item = J> + Send,
    work: impl Fn(J, &mut [u8]) -> Result<()> + Sync,
) -> Result<()> {
    let threads = shared.threads();
    let (sender, receiver) = sync_channel(threads.saturating_mul(WAITING_PER_THREAD));
    let receiver = Arc::new(Mutex::new(receiver));
    let failure: Mutex<Option<Report>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let fail = |report: Report| {
        stop.store(true, Ordering::Release);
        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(report);
    };
    let take_all = |receiver: Arc<Mutex<std::sync::mpsc::Receiver<J>>>| {
        let mut buffer = vec![0; BUFFER_BYTES];
        while !stop.load(Ordering::Acquire) {
            let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { break };
            if let Err(report) = work(job, &mut buffer) {
                fail(report);
            }
        }
    };
    std::thread::scope(|scope| {
        let mut handles: Vec<_> = (0..threads)
            .map(|_| {
                let receiver = Arc::clone(&receiver);
                scope.spawn(|| take_all(receiver))
            })
            .collect();
        // From here on only threads that take jobs hold the receiving end: when they are gone, giving fails.
        drop(receiver);
        handles.push(scope.spawn(move || {
            for job in jobs {
                if sender.send(job).is_err() {
                    break;
                }
            }
        }));
        let mut told = Instant::now();
        while handles.iter().any(|handle| !handle.is_finished()) {
            std::thread::sleep(LOOK_EVERY);
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                shared.tell_progress();
            }
        }
    });
    shared.tell_progress();
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
