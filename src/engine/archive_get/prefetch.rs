//! Fetching ahead: what the prefetcher process does between being started and ending itself.
//!
//! It follows the request log: after the segment delivered last it fetches the next ones into the spool, a bounded
//! number, as long as there is room. It never answers anything: what it cannot fetch it leaves alone, and the
//! foreground finds out why. It ends when nothing was delivered for a while, or when its spool is taken away.

use super::error::GetError;
use super::requests::Request;
use super::spool::{Incoming, Seal, Spool};
use crate::base::{Report, Timestamp, WalSegment, WalSegmentSize};
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the request log is looked at while segments are asked for.
const POLL: Duration = Duration::from_millis(5);
/// The same once nothing was asked for in the last second.
const QUIET_POLL: Duration = Duration::from_millis(50);
/// How long after the end of the archive was met it is looked at again.
const END_PAUSE: Duration = Duration::from_secs(1);
/// Spools of other restores that nobody used for so long are removed.
const ABANDONED_S: i64 = 7 * 24 * 3600;
/// This much of a filesystem is never taken by what is fetched ahead, or a fiftieth of it if that is more.
const FREE_FLOOR_BYTES: u64 = 256 << 20;

/// Where the prefetcher gets segments from.
pub trait Supply: Sync {
    /// Writes a whole, verified segment into the spool; nothing if it is not in any repository.
    fn supply(&self, segment: WalSegment, into: &mut Incoming) -> Result<Option<Seal>, GetError>;
}

/// The bounds of one prefetcher.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes of segments that wait in the spool.
    pub queue_bytes: u64,
    /// How many segments are fetched at the same time.
    pub threads: usize,
    /// After so long without a delivered segment the prefetcher ends.
    pub idle: Duration,
}

impl Limits {
    /// How many segments may wait; 0 switches fetching ahead off.
    pub fn queue_segments(&self, size: WalSegmentSize) -> u64 {
        if self.queue_bytes == 0 { 0 } else { (self.queue_bytes / u64::from(size.bytes())).max(2) }
    }
}

/// Why a prefetcher ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Another one attends this spool.
    Attended,
    /// Nothing was delivered for the idle time.
    Idle,
    /// The spool was removed or replaced.
    SpoolGone,
}

/// Fetches ahead until there is nothing more to do.
pub fn run(
    spool: &Spool,
    supply: &dyn Supply,
    size: WalSegmentSize,
    limits: Limits,
) -> Result<Ended, Report> {
    let failed = |error: std::io::Error| Report::failed(format!("{}: {error}", spool.folder().display()));
    let Some(lock) = take_lock(spool).map_err(failed)? else { return Ok(Ended::Attended) };
    let ready = spool.sweep().map_err(failed)?.into_iter().collect();
    // Old spools are only untidy; what cannot be removed is no reason not to work.
    drop(super::spool::remove_abandoned(spool, Timestamp::now(), ABANDONED_S));
    let desk = Desk {
        state: Mutex::new(State { ready, ..State::default() }),
        changed: Condvar::new(),
        most: limits.queue_segments(size),
        size,
    };
    let ended = std::thread::scope(|scope| {
        for _ in 0..limits.threads.max(1) {
            scope.spawn(|| desk.fetch_until_stopped(spool, supply));
        }
        let ended = desk.follow(spool, limits.idle, || spool.still_is(&lock));
        desk.lock().stopped = true;
        desk.changed.notify_all();
        ended
    });
    if ended == Ended::Idle {
        for segment in &desk.lock().ready {
            spool.discard(*segment);
        }
    }
    drop(lock);
    Ok(ended)
}

/// Takes the spool's lock. Foreground calls hold it for an instant to see whether it is taken: that is waited out.
fn take_lock(spool: &Spool) -> std::io::Result<Option<std::fs::File>> {
    for _ in 0..5 {
        if let Some(lock) = spool.lock()? {
            return Ok(Some(lock));
        }
        std::thread::sleep(POLL);
    }
    Ok(None)
}

/// What the threads of a prefetcher share.
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
    most: u64,
    size: WalSegmentSize,
}

#[derive(Default)]
struct State {
    /// The segment delivered last.
    position: Option<WalSegment>,
    ready: BTreeSet<WalSegment>,
    arriving: BTreeSet<WalSegment>,
    /// Segments that could not be fetched; the foreground will say why.
    failed: BTreeSet<WalSegment>,
    /// The first segment that was not in the archive, and when to look again.
    end: Option<(WalSegment, Instant)>,
    stopped: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the request log and keeps the wanted window in step with it.
    fn follow(&self, spool: &Spool, idle: Duration, still_ours: impl Fn() -> bool) -> Ended {
        let mut log = spool.recent_requests();
        let mut last = Instant::now();
        loop {
            if !still_ours() {
                return Ended::SpoolGone;
            }
            let delivered =
                log.next_requests().unwrap_or_default().iter().rev().find_map(Request::delivered_segment);
            if let Some(position) = delivered {
                last = Instant::now();
                self.move_to(position, spool);
            }
            if last.elapsed() >= idle {
                return Ended::Idle;
            }
            // Also wakes those who wait for the end of the archive to move.
            self.changed.notify_all();
            let quiet = last.elapsed() > Duration::from_secs(1);
            std::thread::sleep(if quiet { QUIET_POLL } else { POLL });
        }
    }

    /// The recovery took `position`: drops what it has passed or will not reach.
    fn move_to(&self, position: WalSegment, spool: &Spool) {
        let mut state = self.lock();
        let wanted: BTreeSet<WalSegment> = self.window(position).collect();
        state.position = Some(position);
        let passed: Vec<WalSegment> =
            state.ready.iter().filter(|segment| !wanted.contains(segment)).copied().collect();
        for segment in passed {
            spool.discard(segment);
            state.ready.remove(&segment);
        }
        state.failed.retain(|segment| wanted.contains(segment));
        state.end = state.end.filter(|(end, _)| wanted.contains(end));
    }

    fn window(&self, position: WalSegment) -> impl Iterator<Item = WalSegment> + use<> {
        let (size, number) = (self.size, position.number(self.size));
        (1..=self.most).map(move |ahead| WalSegment::from_number(position.timeline, number + ahead, size))
    }

    /// The next segment to fetch, reserved for the caller; nothing once the work is stopped.
    fn next(&self, spool: &Spool) -> Option<WalSegment> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(segment) = self.wanted(&state)
                && has_room(spool, self.size)
            {
                state.arriving.insert(segment);
                return Some(segment);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn wanted(&self, state: &State) -> Option<WalSegment> {
        let idle = |segment: &WalSegment| {
            !state.ready.contains(segment)
                && !state.arriving.contains(segment)
                && !state.failed.contains(segment)
        };
        let first = self.window(state.position?).find(idle)?;
        let beyond_end = state.end.is_some_and(|(end, again)| first >= end && Instant::now() < again);
        (!beyond_end).then_some(first)
    }

    fn fetch_until_stopped(&self, spool: &Spool, supply: &dyn Supply) {
        while let Some(segment) = self.next(spool) {
            let fetched = fetch(spool, supply, segment);
            let mut state = self.lock();
            state.arriving.remove(&segment);
            let still_wanted =
                state.position.is_some_and(|at| self.window(at).any(|wanted| wanted == segment));
            match fetched {
                Ok(true) if still_wanted => {
                    state.ready.insert(segment);
                    state.end = state.end.filter(|(end, _)| *end != segment);
                }
                Ok(true) => spool.discard(segment),
                Ok(false) => state.end = Some((segment, Instant::now() + END_PAUSE)),
                Err(_) => {
                    state.failed.insert(segment);
                }
            }
        }
    }
}

/// Fetches one segment into the spool; false if it is not in the archive.
fn fetch(spool: &Spool, supply: &dyn Supply, segment: WalSegment) -> Result<bool, GetError> {
    let failed = |source| GetError::Destination { path: spool.folder().to_owned(), source };
    let mut incoming = spool.begin(segment).map_err(failed)?;
    let Some(seal) = supply.supply(segment, &mut incoming)? else { return Ok(false) };
    incoming.finish(&seal).map_err(failed)?;
    Ok(true)
}

/// True if a segment more leaves the filesystem enough room.
fn has_room(spool: &Spool, size: WalSegmentSize) -> bool {
    spool.free_bytes().is_ok_and(|(free, all)| {
        free.saturating_sub(u64::from(size.bytes())) >= FREE_FLOOR_BYTES.max(all / 50)
    })
}

#[cfg(test)]
mod tests;
