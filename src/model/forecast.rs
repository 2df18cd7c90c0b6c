//! How long a recovery will take, worked out from how long those before it took; nothing where none was measured.
//!
//! Pure. Copying and replay grow with their bytes, everything else takes what it took. What a person takes to decide, and
//! what follows once the service is back, is in no forecast.

use crate::base::{Bytes, Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The step that copies the backup.
pub const COPY: &str = "restore copy";

/// The step that replays the log to the target.
pub const REPLAY: &str = "replay";

/// Steps that are not between the confirmation and the service: a person's, and what comes after.
const APART: [&str; 3] = ["decide", "prove archive", "first backup"];

/// More recoveries than this say nothing about the host as it is now.
const MOST_RUNS: usize = 20;

/// So many times more or less than was ever measured is far from it.
const FAR: u64 = 4;

/// A part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Copying.
    Copy,
    /// Replaying.
    Replay,
    /// Everything else.
    Rest,
}

impl Part {
    /// The part a step's time belongs to; nothing for a step that is in no forecast.
    pub fn of_step(step: &str) -> Option<Self> {
        match step {
            COPY => Some(Self::Copy),
            REPLAY => Some(Self::Replay),
            other => (!APART.contains(&other)).then_some(Self::Rest),
        }
    }
}

/// A recovery that was measured: milliseconds and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    ended: Timestamp,
    copy: (u64, u64),
    replay: (u64, u64),
    rest_ms: u64,
}

impl Measured {
    /// What a recovery that ended then measured: its steps with their milliseconds, and the bytes those moved that tell it.
    /// Nothing if it does not tell how much it copied and replayed.
    pub fn new<'a>(
        ended: Timestamp,
        steps: impl IntoIterator<Item = (&'a str, u64)>,
        bytes: impl Fn(&str) -> Option<u64>,
    ) -> Option<Self> {
        let [copy_ms, replay_ms, rest_ms] = by_part(steps);
        Some(Self { ended, copy: (copy_ms, bytes(COPY)?), replay: (replay_ms, bytes(REPLAY)?), rest_ms })
    }
}

/// The time of each part, in their order.
fn by_part<'a>(steps: impl IntoIterator<Item = (&'a str, u64)>) -> [u64; 3] {
    let mut took_ms = [0_u64; 3];
    for (part, ms) in steps.into_iter().filter_map(|(step, ms)| Some((Part::of_step(step)?, ms))) {
        took_ms[part as usize] = took_ms[part as usize].saturating_add(ms);
    }
    took_ms
}

/// What half of all and what nine of ten recoveries stay below.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Half of them.
    pub p50_ms: u64,
    /// Nine of ten.
    pub p90_ms: u64,
}

impl Span {
    fn of(mut each_ms: Vec<u64>) -> Self {
        each_ms.sort_unstable();
        // Nearest rank: a value that was really seen.
        let rank = |percent: usize| {
            let at = (each_ms.len() * percent).div_ceil(100).max(1) - 1;
            each_ms.get(at).copied().unwrap_or(0)
        };
        Self { p50_ms: rank(50), p90_ms: rank(90) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (P90 {})", Millis(self.p50_ms), Millis(self.p90_ms))
    }
}

/// How long from the confirmation to the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// How many recoveries it is made from.
    pub runs: u32,
    /// When the newest of them ended.
    pub newest: Timestamp,
    /// What the smallest and the largest of them copied, bytes.
    pub copied_bytes: (u64, u64),
    /// True if what is to be copied or replayed is far from everything that was measured.
    pub far: bool,
    /// Copying.
    pub copy: Span,
    /// Replaying.
    pub replay: Span,
    /// Everything else.
    pub rest: Span,
    /// Until a copy beside can be read: copying and replaying.
    pub beside: Span,
    /// All of it.
    pub total: Span,
}

impl Forecast {
    /// For so many bytes, from these recoveries in any order; nothing if there are none.
    pub fn of(copy_bytes: u64, replay_bytes: u64, measured: &[Measured]) -> Option<Self> {
        let mut runs = measured.to_vec();
        runs.sort_unstable_by_key(|run| std::cmp::Reverse(run.ended));
        runs.truncate(MOST_RUNS);
        let newest = runs.first()?.ended;
        let all = |part: &dyn Fn(&Measured) -> u64| runs.iter().map(part).collect::<Vec<u64>>();
        let copy = |run: &Measured| scaled(run.copy, copy_bytes);
        let replay = |run: &Measured| scaled(run.replay, replay_bytes);
        let beside = |run: &Measured| copy(run).saturating_add(replay(run));
        let copied = all(&|run| run.copy.1);
        let range = |bytes: &[u64]| Some((bytes.iter().copied().min()?, bytes.iter().copied().max()?));
        let ((least, most), replayed) = (range(&copied)?, range(&all(&|run| run.replay.1))?);
        let is_far =
            |bytes: u64, (least, most): (u64, u64)| bytes > most.saturating_mul(FAR) || bytes < least / FAR;
        Some(Self {
            runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
            newest,
            copied_bytes: (least, most),
            far: is_far(copy_bytes, (least, most)) || is_far(replay_bytes, replayed),
            copy: Span::of(all(&copy)),
            replay: Span::of(all(&replay)),
            rest: Span::of(all(&|run| run.rest_ms)),
            beside: Span::of(all(&beside)),
            total: Span::of(all(&|run| beside(run).saturating_add(run.rest_ms))),
        })
    }

    /// What was forecast for a part.
    pub fn part(&self, part: Part) -> Span {
        match part {
            Part::Copy => self.copy,
            Part::Replay => self.replay,
            Part::Rest => self.rest,
        }
    }

    /// What it rests on, in words.
    pub fn basis(&self) -> String {
        let (least, most) = (Bytes(self.copied_bytes.0), Bytes(self.copied_bytes.1));
        let sizes = if least == most { most.to_string() } else { format!("{least} to {most}") };
        let runs = if self.runs == 1 { "1 recovery".to_owned() } else { format!("{} recoveries", self.runs) };
        let far = if self.far { ", far from this one" } else { "" };
        format!("from {runs} of {sizes}{far}")
    }
}

/// The time for `bytes` at the speed of a run that took so many milliseconds for so many bytes.
fn scaled((ms, measured_bytes): (u64, u64), bytes: u64) -> u64 {
    if measured_bytes == 0 {
        return ms;
    }
    let scaled = u128::from(ms) * u128::from(bytes) / u128::from(measured_bytes);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// A part as it came out against what was forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Which; nothing for all together.
    pub part: Option<Part>,
    /// What was forecast.
    pub forecast: Span,
    /// What it took.
    pub actual_ms: u64,
    /// True if it took no longer than nine of ten were to take.
    pub within_p90: bool,
}

/// The scores of a recovery, part by part and all together, from what its steps took.
pub fn scores<'a>(forecast: &Forecast, steps: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<Score> {
    let took_ms = by_part(steps);
    let score = |part, forecast: Span, actual_ms| Score {
        part,
        forecast,
        actual_ms,
        within_p90: actual_ms <= forecast.p90_ms,
    };
    let parts = [Part::Copy, Part::Replay, Part::Rest];
    let mut scores: Vec<Score> =
        parts.iter().map(|part| score(Some(*part), forecast.part(*part), took_ms[*part as usize])).collect();
    let total = took_ms.iter().fold(0_u64, |sum, ms| sum.saturating_add(*ms));
    scores.push(score(None, forecast.total, total));
    scores
}

#[cfg(test)]
mod tests;
