//! Telling what replay does: position, speed and time left, the moment of consistency, and standing still.
//!
//! Tells and changes nothing.

use crate::base::{Lsn, Timestamp};
use crate::cluster::pace::Pace;
use crate::cluster::replay::{Goal, Meter};
use crate::cluster::server::{Observation, Phase};
use crate::model::op::{Event, Mark, Replay, Sink};
use std::time::Duration;

/// How long replay stands still before the operator is told.
const STANDING_WARNING: Duration = Duration::from_secs(15);

/// What is known of a replay before it begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Course {
    /// Where it begins.
    pub(super) from: Option<Lsn>,
    /// Where it will end, as it was proven.
    pub(super) goal: Option<Lsn>,
    /// The moment it is to end at, if it is one.
    pub(super) target: Option<Timestamp>,
    /// The moment of consistency counts: this is the first replay of this copy.
    pub(super) first: bool,
}

/// Watches one replay.
pub(super) struct Watcher<'a> {
    sink: &'a dyn Sink,
    course: Course,
    meter: Meter,
    told_still: Duration,
    told_consistent: bool,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(sink: &'a dyn Sink, course: Course) -> Self {
        let meter = Meter::new(Goal { lsn: course.goal, time: course.target });
        Self { sink, course, meter, told_still: Duration::ZERO, told_consistent: !course.first }
    }

    /// Takes one look in.
    pub(super) fn see(&mut self, seen: &Observation, pace: Pace) {
        self.meter.add(seen.position, seen.at);
        let consistent = match &seen.phase {
            Phase::Replaying { consistent, readable } => *consistent || *readable,
            Phase::Paused(_) | Phase::Primary => true,
            _ => false,
        };
        if consistent && !self.told_consistent {
            self.told_consistent = true;
            self.sink.event(Event::Reached { mark: Mark::Consistent });
        }
        let still = match pace {
            Pace::Standing { still } => still,
            _ => Duration::ZERO,
        };
        let outlook = self.meter.outlook();
        self.sink.replay(Replay {
            from: self.course.from,
            replayed: seen.position.replayed,
            goal: self.course.goal,
            last_commit: seen.position.last_commit,
            target: self.course.target,
            bytes_per_s: outlook.bytes_per_s,
            left_ms: outlook.left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            still_ms: u64::try_from(still.as_millis()).unwrap_or(u64::MAX),
            waits_for: seen.waits_for.clone(),
        });
        self.warn(seen, still);
    }

    /// Once in a while a replay that stands still is told, and what it waits for.
    fn warn(&mut self, seen: &Observation, still: Duration) {
        if still.is_zero() {
            self.told_still = Duration::ZERO;
        } else if still >= self.told_still + STANDING_WARNING {
            self.told_still = still;
            let waits = seen.waits_for.as_deref().unwrap_or("nothing that can be seen");
            let text = format!("replay has stood still for {} s, it waits for {waits}", still.as_secs());
            self.sink.event(Event::Warning { text });
        }
    }
}
