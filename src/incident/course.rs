//! The course of an incident: which moments were reached, and how long it took from one to the next.
//!
//! Durations come from the clock that nobody can set, where both ends were seen in one boot of one host; elsewhere
//! from the wall clock, and that is told. Reads no clock itself.

use super::{PhaseTime, words};
use crate::base::Timestamp;
use crate::journal::{Entry, Fact};
use crate::model::op::Mark;

/// A moment in an entry's clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub at: Timestamp,
    /// Host, boot, milliseconds since; nothing for a moment that a person gave.
    boot: Option<(String, String, u64)>,
}

/// The moments that count, in the order in which they were reached.
///
/// A moment that is reached again begins again: what was reached after its earlier time belongs to an attempt that
/// came to nothing, and is forgotten. So every moment is that of the last attempt, and the time of the attempts before
/// it is in the phase that leads to its first one. A confirmation that is told twice in a row is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Course {
    reached: Vec<(Mark, Moment)>,
    /// How often a moment was reached again.
    pub again: u64,
}

/// The time between two moments, and whether only the wall clock knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub ms: u64,
    pub wall: bool,
}

impl Moment {
    pub(super) fn of(entry: &Entry) -> Self {
        let told = !entry.boot_id.is_empty() && !entry.host.is_empty();
        let boot = told.then(|| (entry.host.clone(), entry.boot_id.clone(), entry.boot_ms));
        Self { at: entry.at, boot }
    }

    /// How long it is from here to `later`; never less than nothing.
    pub(super) fn until(&self, later: &Self) -> Span {
        if let (Some((host, boot, ms)), Some((later_host, later_boot, later_ms))) = (&self.boot, &later.boot)
            && (host, boot) == (later_host, later_boot)
            && let Some(ms) = later_ms.checked_sub(*ms)
        {
            return Span { ms, wall: false };
        }
        let us = later.at.0.saturating_sub(self.at.0);
        Span { ms: u64::try_from(us / 1000).unwrap_or(0), wall: true }
    }
}

impl Course {
    /// Takes an entry in.
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.fact {
            Fact::Declared { detected_at, .. } if self.reached.is_empty() => {
                self.reached.push((Mark::Detected, Moment { at: *detected_at, boot: None }));
                self.reached.push((Mark::Declared, Moment::of(entry)));
            }
            Fact::Confirmed { .. } => self.reach(Mark::Confirmed, entry),
            // These two are said once, by the declaration.
            Fact::Reached { mark: Mark::Detected | Mark::Declared, .. } => {}
            Fact::Reached { mark, .. } => self.reach(*mark, entry),
            _ => {}
        }
    }

    fn reach(&mut self, mark: Mark, entry: &Entry) {
        let last = self.reached.last().map(|(mark, _)| *mark);
        if mark == Mark::Confirmed && last == Some(mark) {
            return;
        }
        if let Some(before) = self.reached.iter().position(|(reached, _)| *reached == mark) {
            self.reached.truncate(before);
            self.again += 1;
        }
        self.reached.push((mark, Moment::of(entry)));
    }

    /// Every moment with its wall clock.
    pub(super) fn marks(&self) -> impl Iterator<Item = (Mark, Timestamp)> {
        self.reached.iter().map(|(mark, moment)| (*mark, moment.at))
    }

    /// The phases, in order, each with whether only the wall clock knows it.
    pub(super) fn phases(&self) -> Vec<(PhaseTime, bool)> {
        let pairs = self.reached.iter().zip(self.reached.iter().skip(1));
        let phase = |((from, begin), (to, end)): (&(Mark, Moment), &(Mark, Moment))| {
            let span = begin.until(end);
            let name = words::phase(*from, *to).to_owned();
            (PhaseTime { name, from: *from, to: *to, took_ms: span.ms }, span.wall)
        };
        pairs.map(phase).collect()
    }
}
