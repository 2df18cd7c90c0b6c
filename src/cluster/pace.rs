//! Slow or stuck? Judged by what moves, not by the clock alone.
//!
//! One large record, a distant store or a slow disk may hold the replay position for minutes while the work goes on:
//! then the processes involved use time or move bytes. Stuck is only what shows no sign of life at all for as long
//! as the caller has patience. Pure: looks at nothing itself.

use crate::base::Lsn;
use std::time::{Duration, Instant};

/// Signs of life at one look; only whether they change matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// Last replayed position, as well as it is known.
    pub replayed: Option<Lsn>,
    /// Processor time of the processes involved, in ticks.
    pub cpu_ticks: u64,
    /// Bytes moved by the processes involved.
    pub io_bytes: u64,
    /// Bytes of the server's log.
    pub log_bytes: u64,
}

/// How the work goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// The replay position moves.
    Moving,
    /// The position stands, but work is being done.
    Slow {
        /// For how long the position has stood.
        standing: Duration,
    },
    /// Nothing moves.
    Standing {
        /// For how long nothing has moved.
        still: Duration,
    },
}

/// Below this many ticks per second a process only waits (a poll loop wakes up now and then).
const BUSY_TICKS_PER_S: u64 = 3;
/// Below this many bytes per second a process only waits.
const BUSY_BYTES_PER_S: u64 = 16 << 10;

/// Watches the signs over time.
#[derive(Debug)]
pub struct Watch {
    position: Option<Lsn>,
    position_since: Instant,
    mark: Signs,
    mark_at: Instant,
    alive_at: Instant,
}

impl Watch {
    /// Begins to watch at `now`.
    pub fn new(now: Instant) -> Self {
        Self { position: None, position_since: now, mark: Signs::default(), mark_at: now, alive_at: now }
    }

    /// Takes a look's signs in and judges.
    pub fn judge(&mut self, signs: &Signs, now: Instant) -> Pace {
        if signs.replayed != self.position {
            self.position = signs.replayed;
            self.position_since = now;
            self.alive(signs, now);
            return Pace::Moving;
        }
        let since_mark = now.duration_since(self.mark_at);
        if since_mark >= Duration::from_secs(1) {
            let seconds = since_mark.as_secs().max(1);
            let ticks = signs.cpu_ticks.saturating_sub(self.mark.cpu_ticks);
            let bytes = signs.io_bytes.saturating_sub(self.mark.io_bytes);
            let busy = ticks >= BUSY_TICKS_PER_S * seconds || bytes >= BUSY_BYTES_PER_S * seconds;
            if busy || signs.log_bytes != self.mark.log_bytes {
                self.alive_at = now;
            }
            self.mark = signs.clone();
            self.mark_at = now;
        }
        let standing = now.duration_since(self.position_since);
        let still = now.duration_since(self.alive_at);
        if still < Duration::from_secs(2) { Pace::Slow { standing } } else { Pace::Standing { still } }
    }

    fn alive(&mut self, signs: &Signs, now: Instant) {
        self.mark = signs.clone();
        self.mark_at = now;
        self.alive_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: Instant, seconds: u64) -> Instant {
        base + Duration::from_secs(seconds)
    }

    #[test]
    fn a_moving_position_is_moving_however_slowly() {
        let base = Instant::now();
        let mut watch = Watch::new(base);
        for step in 1..5 {
            let signs = Signs { replayed: Some(Lsn(step)), ..Signs::default() };
            assert_eq!(watch.judge(&signs, at(base, step * 600)), Pace::Moving);
        }
    }

    #[test]
    fn work_without_progress_is_slow_for_ever() {
        let base = Instant::now();
        let mut watch = Watch::new(base);
        let mut signs = Signs { replayed: Some(Lsn(1)), ..Signs::default() };
        watch.judge(&signs, base);
        for second in 1..600 {
            signs.io_bytes += 1 << 20;
            let pace = watch.judge(&signs, at(base, second));
            assert_eq!(pace, Pace::Slow { standing: Duration::from_secs(second) });
        }
    }

    #[test]
    fn polling_is_not_work() {
        let base = Instant::now();
        let mut watch = Watch::new(base);
        let mut signs = Signs { replayed: Some(Lsn(1)), ..Signs::default() };
        watch.judge(&signs, base);
        for second in 1..60 {
            signs.cpu_ticks += 1;
            signs.io_bytes += 100;
            watch.judge(&signs, at(base, second));
        }
        assert_eq!(watch.judge(&signs, at(base, 60)), Pace::Standing { still: Duration::from_secs(60) });
        signs.replayed = Some(Lsn(2));
        assert_eq!(watch.judge(&signs, at(base, 61)), Pace::Moving);
    }
}
