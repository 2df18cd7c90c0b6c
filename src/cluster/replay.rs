//! How far a recovery has come, how fast it is, and when it will be there.
//!
//! Positions come from SQL where the server answers, else from the title of its startup process and its log. Pure:
//! the samples are handed in.

use crate::base::{Lsn, Timestamp};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back samples count for the rate.
const WINDOW: Duration = Duration::from_secs(30);

/// Where replay stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// End of the last record replayed; from a process title only the start of its segment is known.
    pub replayed: Option<Lsn>,
    /// True if [`Self::replayed`] is exact.
    pub exact: bool,
    /// Commit time of the last transaction replayed.
    pub last_commit: Option<Timestamp>,
}

/// Where replay is to end, as far as the plan knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Goal {
    /// Position of the target, or of the archive's end.
    pub lsn: Option<Lsn>,
    /// Time of the target.
    pub time: Option<Timestamp>,
}

/// Speed and outlook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outlook {
    /// WAL replayed per second, in bytes; nothing until two positions are known.
    pub bytes_per_s: Option<u64>,
    /// Seconds of the cluster's own time replayed per minute of ours; nothing until two commits are known.
    pub clock_s_per_min: Option<u64>,
    /// Time left at this speed; nothing without a goal or a speed.
    pub left: Option<Duration>,
}

/// Collects positions and derives the outlook.
#[derive(Debug)]
pub struct Meter {
    goal: Goal,
    samples: VecDeque<(Instant, Position)>,
}

impl Meter {
    /// A meter for a recovery to `goal`.
    pub fn new(goal: Goal) -> Self {
        Self { goal, samples: VecDeque::new() }
    }

    /// Takes a position seen at `now`; an unknown one is ignored.
    pub fn add(&mut self, position: Position, now: Instant) {
        if position.replayed.is_none() && position.last_commit.is_none() {
            return;
        }
        self.samples.push_back((now, position));
        while self.samples.len() > 2
            && self.samples.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Speed and time left as of the last position.
    pub fn outlook(&self) -> Outlook {
        let (Some((from_at, from)), Some((to_at, to))) = (self.samples.front(), self.samples.back()) else {
            return Outlook::default();
        };
        let elapsed_ms = to_at.duration_since(*from_at).as_millis();
        if elapsed_ms == 0 {
            return Outlook::default();
        }
        let per = |moved: u64, unit_ms: u128| u64::try_from(u128::from(moved) * unit_ms / elapsed_ms).ok();
        let moved = from.replayed.zip(to.replayed).map(|(a, b)| b.0.saturating_sub(a.0));
        let clock_us =
            from.last_commit.zip(to.last_commit).map(|(a, b)| u64::try_from(b.0 - a.0).unwrap_or(0));
        let by_position = self.goal.lsn.zip(to.replayed).zip(moved);
        let by_clock = self.goal.time.zip(to.last_commit).zip(clock_us);
        let left_ms = |distance: u64, moved: u64| match (distance, moved) {
            (0, _) => Some(Duration::ZERO),
            (_, 0) => None,
            (distance, moved) => {
                let ms = u128::from(distance) * elapsed_ms / u128::from(moved);
                Some(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
            }
        };
        let by_position =
            by_position.and_then(|((goal, at), moved)| left_ms(goal.0.saturating_sub(at.0), moved));
        let by_clock = by_clock
            .and_then(|((goal, at), moved)| left_ms(u64::try_from(goal.0 - at.0).unwrap_or(0), moved));
        Outlook {
            bytes_per_s: moved.and_then(|moved| per(moved, 1000)),
            clock_s_per_min: clock_us.and_then(|us| per(us / 1_000_000, 60_000)),
            left: by_position.or(by_clock),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(lsn: u64, second: i64) -> Position {
        Position { replayed: Some(Lsn(lsn)), exact: true, last_commit: Some(Timestamp::from_unix_s(second)) }
    }

    #[test]
    fn the_outlook_follows_the_last_half_minute() {
        let base = Instant::now();
        let mut meter = Meter::new(Goal { lsn: Some(Lsn(10_000)), time: None });
        assert_eq!(meter.outlook(), Outlook::default());
        for second in 0..100_u64 {
            let lsn = if second < 60 { second } else { 60 + (second - 60) * 100 };
            meter.add(position(lsn, i64::try_from(second * 4).unwrap()), base + Duration::from_secs(second));
        }
        let outlook = meter.outlook();
        assert_eq!((outlook.bytes_per_s, outlook.clock_s_per_min), (Some(100), Some(240)));
        assert_eq!(
            outlook.left,
            Some(Duration::from_secs((10_000 - 60 - 3900) / 100) + Duration::from_millis(400))
        );
    }

    #[test]
    fn a_time_target_is_measured_by_the_clusters_clock() {
        let base = Instant::now();
        let mut meter = Meter::new(Goal { lsn: None, time: Some(Timestamp::from_unix_s(100)) });
        meter.add(position(1, 0), base);
        meter.add(position(2, 20), base + Duration::from_secs(1));
        assert_eq!(meter.outlook().left, Some(Duration::from_secs(4)));
        meter.add(position(3, 130), base + Duration::from_secs(2));
        assert_eq!(meter.outlook().left, Some(Duration::ZERO));
    }

    #[test]
    fn standing_still_promises_nothing() {
        let base = Instant::now();
        let mut meter = Meter::new(Goal { lsn: Some(Lsn(100)), time: None });
        meter.add(position(1, 0), base);
        meter.add(position(1, 0), base + Duration::from_secs(9));
        assert_eq!((meter.outlook().bytes_per_s, meter.outlook().left), (Some(0), None));
    }
}
