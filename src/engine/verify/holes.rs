//! What is missing in an archive: the segments a recovery would look for in vain.
//!
//! Judges by runs of names, timeline histories and the backups that are there. A recovery from a backup goes along a
//! timeline's history to its newest segment; on a parent it reads what lies before the fork. Expiring keeps for the
//! backups before the retention's first one only what makes them consistent; a hole that fits this is no loss.

use crate::base::{Lsn, Timeline, WalSegment, WalSegmentSize};
use crate::engine::wal_ranges::way::{Leg, legs};
use crate::repo::archive::WalRange;
use crate::wal::TimelineHistory;
use serde::Serialize;
use std::collections::BTreeMap;

/// Missing segments of one timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// What it means.
    pub kind: HoleKind,
    /// The first missing segment.
    pub first: WalSegment,
    /// The last missing segment.
    pub last: WalSegment,
    /// How many there are.
    pub segments: u64,
}

/// What a hole means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoleKind {
    /// Recovery from a backup stops there.
    Missing,
    /// As expiring leaves it: the backups before it reach no further than their own end.
    Expired,
    /// No backup needs it.
    Unneeded,
}

/// An archive as far as names tell.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    /// Runs of segments, by timeline and position.
    pub(super) runs: &'a [WalRange],
    /// The history of every timeline that has a readable one.
    pub(super) histories: &'a BTreeMap<Timeline, TimelineHistory>,
    /// First and last segment of every backup of the cluster, oldest backup first.
    pub(super) needs: &'a [(WalSegment, WalSegment)],
    /// The segment size.
    pub(super) size: WalSegmentSize,
}

/// Numbers of segments of one timeline, both ends included.
type Span = (u64, u64);

impl Shape<'_> {
    /// Every hole, by timeline and position.
    pub(super) fn holes(&self) -> Vec<Hole> {
        let mut on_ways: BTreeMap<Timeline, Vec<Span>> = BTreeMap::new();
        for timeline in self.timelines() {
            for (timeline, span) in self.lacking(timeline) {
                on_ways.entry(timeline).or_default().push(span);
            }
        }
        let mut holes = Vec::new();
        for (timeline, spans) in &on_ways {
            let spans = united(spans.clone());
            let explained = self.explained(*timeline);
            for span in &spans {
                holes.extend(
                    without(*span, &explained)
                        .into_iter()
                        .map(|span| self.hole(HoleKind::Missing, *timeline, span)),
                );
            }
            let outside = outside(&explained);
            for span in &spans {
                holes.extend(
                    without(*span, &outside)
                        .into_iter()
                        .map(|span| self.hole(HoleKind::Expired, *timeline, span)),
                );
            }
        }
        for timeline in self.timelines() {
            let mut told = self.spans(timeline);
            let Some((first, last)) = told.first().zip(told.last()).map(|(a, b)| (a.0, b.1)) else {
                continue;
            };
            told.extend(on_ways.get(&timeline).into_iter().flatten());
            let untold = without((first, last), &told).into_iter();
            holes.extend(untold.map(|span| self.hole(HoleKind::Unneeded, timeline, span)));
        }
        holes.sort_unstable_by_key(|hole| hole.first);
        holes
    }

    /// How many of these segments are missing, whoever needs them.
    pub(super) fn absent(&self, first: WalSegment, last: WalSegment) -> Vec<Span> {
        if first.timeline != last.timeline {
            // A backup over a promotion: what lies between is not known without the history; both ends are.
            let ends = [first, last];
            let absent = ends.iter().filter(|segment| !self.has(**segment));
            return absent.map(|segment| (segment.number(self.size), segment.number(self.size))).collect();
        }
        let wanted = (first.number(self.size), last.number(self.size));
        without(wanted, &self.spans(first.timeline))
    }

    fn has(&self, segment: WalSegment) -> bool {
        let number = segment.number(self.size);
        self.spans(segment.timeline).iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    /// True if a missing history file of `timeline` keeps a backup from following to it.
    pub(super) fn needs_history(&self, timeline: Timeline) -> bool {
        let expired = self.retention_start().is_some_and(|start| start.timeline > timeline);
        timeline.0 > 1 && !expired && self.needs.iter().any(|(start, _)| start.timeline < timeline)
    }

    fn timelines(&self) -> Vec<Timeline> {
        let mut timelines: Vec<_> = self.runs.iter().map(WalRange::timeline).collect();
        timelines.dedup();
        timelines
    }

    fn spans(&self, timeline: Timeline) -> Vec<Span> {
        let own = self.runs.iter().filter(|run| run.timeline() == timeline);
        own.map(|run| (run.first.number(self.size), run.last.number(self.size))).collect()
    }

    fn hole(&self, kind: HoleKind, timeline: Timeline, (first, last): Span) -> Hole {
        let at = |number| WalSegment::from_number(timeline, number, self.size);
        Hole { kind, first: at(first), last: at(last), segments: last - first + 1 }
    }

    /// What is missing on the way from the oldest backup that leads to the newest segment of a timeline.
    fn lacking(&self, timeline: Timeline) -> Vec<(Timeline, Span)> {
        let Some(newest) = self.spans(timeline).last().map(|(_, last)| *last) else { return Vec::new() };
        let history = self.histories.get(&timeline).cloned();
        let legs = legs(&history.unwrap_or_else(|| TimelineHistory::root(timeline)), self.size, newest);
        let begins = self.needs.iter().filter_map(|(start, _)| on_the_way(&legs, *start, self.size));
        let Some((at, begin)) = begins.min() else { return Vec::new() };
        let mut lacking = Vec::new();
        for leg in &legs[at..] {
            let first = leg.first.max(begin);
            if first <= leg.last {
                let spans = without((first, leg.last), &self.spans(leg.timeline));
                lacking.extend(spans.into_iter().map(|span| (leg.timeline, span)));
            }
        }
        lacking
    }

    /// The start of the newest backup from which on everything is kept, if the archive looks as expiring leaves it:
    /// before that start, there is nothing but what older backups need to become consistent.
    fn retention_start(&self) -> Option<WalSegment> {
        let fits = |index: &usize| {
            let start = self.needs[*index].0;
            self.runs.iter().all(|run| {
                let (first, last) = (run.first.number(self.size), run.last.number(self.size));
                let Some(end) = before(start, run.timeline(), self.size).filter(|end| first <= *end) else {
                    return true;
                };
                without((first, last.min(end)), &self.kept(*index, run.timeline())).is_empty()
            })
        };
        (0..self.needs.len()).rev().find(fits).map(|index| self.needs[index].0)
    }

    /// What the backups before the one at `index` need on a timeline.
    fn kept(&self, index: usize, timeline: Timeline) -> Vec<Span> {
        let of = |&(start, stop): &(WalSegment, WalSegment)| {
            let on = start.timeline == timeline && stop.timeline == timeline;
            on.then(|| (start.number(self.size), stop.number(self.size)))
        };
        united(self.needs[..index].iter().filter_map(of).collect())
    }

    /// The spans of a timeline that expiring removes.
    fn explained(&self, timeline: Timeline) -> Vec<Span> {
        let Some(start) = self.retention_start() else { return Vec::new() };
        let Some(end) = before(start, timeline, self.size) else { return Vec::new() };
        let index = self.needs.iter().position(|(other, _)| *other == start).unwrap_or(0);
        without((0, end), &self.kept(index, timeline))
    }
}

/// The last number of a timeline whose name lies before `start`; none if there is no such.
fn before(start: WalSegment, timeline: Timeline, size: WalSegmentSize) -> Option<u64> {
    match timeline.cmp(&start.timeline) {
        std::cmp::Ordering::Less => Some(Lsn(u64::MAX).segment_number(size)),
        std::cmp::Ordering::Equal => start.number(size).checked_sub(1),
        std::cmp::Ordering::Greater => None,
    }
}

/// The leg a backup begins on, and its number; one begun in the segment of the fork is read on the child.
fn on_the_way(legs: &[Leg], start: WalSegment, size: WalSegmentSize) -> Option<(usize, u64)> {
    let number = start.number(size);
    let fits = |leg: &Leg| leg.timeline == start.timeline && (leg.first..=leg.last + 1).contains(&number);
    legs.iter().position(fits).map(|at| (at, number))
}

/// Sorted spans that neither overlap nor touch.
fn united(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut united: Vec<Span> = Vec::new();
    for (first, last) in spans {
        match united.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => united.push((first, last)),
        }
    }
    united
}

/// What of `span` is in none of `others`.
fn without((first, last): Span, others: &[Span]) -> Vec<Span> {
    let mut left = Vec::new();
    let mut next = first;
    for (from, to) in united(others.to_vec()) {
        if to < next {
            continue;
        }
        if from > last {
            break;
        }
        if from > next {
            left.push((next, from - 1));
        }
        if to >= last {
            return left;
        }
        next = to + 1;
    }
    if next <= last {
        left.push((next, last));
    }
    left
}

/// Everything that is in none of `spans`.
fn outside(spans: &[Span]) -> Vec<Span> {
    without((0, u64::MAX), spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: WalSegmentSize = WalSegmentSize::DEFAULT;

    fn segment(timeline: u32, number: u64) -> WalSegment {
        WalSegment::from_number(Timeline(timeline), number, SIZE)
    }

    /// Holes as `kind timeline first-last`.
    fn holes(runs: &[(u32, u64, u64)], histories: &[(u32, &str)], needs: &[(u32, u64, u64)]) -> Vec<String> {
        let runs: Vec<_> = runs
            .iter()
            .map(|&(timeline, first, last)| WalRange {
                first: segment(timeline, first),
                last: segment(timeline, last),
                stored_bytes: 1,
            })
            .collect();
        let histories = histories
            .iter()
            .map(|(timeline, text)| {
                let timeline = Timeline(*timeline);
                (timeline, TimelineHistory::parse(text.as_bytes(), timeline).unwrap())
            })
            .collect();
        let needs: Vec<_> = needs.iter().map(|&(t, a, b)| (segment(t, a), segment(t, b))).collect();
        let shape = Shape { runs: &runs, histories: &histories, needs: &needs, size: SIZE };
        let shown = |hole: Hole| {
            let (first, last) = (hole.first.number(SIZE), hole.last.number(SIZE));
            assert_eq!(hole.segments, last - first + 1);
            format!("{:?} {} {first}-{last}", hole.kind, hole.first.timeline)
        };
        shape.holes().into_iter().map(shown).collect()
    }

    #[test]
    fn a_hole_behind_a_backup_is_missing() {
        assert_eq!(holes(&[(1, 8, 14)], &[], &[(1, 9, 9), (1, 12, 12)]), [""; 0]);
        assert_eq!(holes(&[(1, 8, 9), (1, 11, 14)], &[], &[(1, 9, 9), (1, 12, 12)]), ["Missing 1 10-10"]);
        assert_eq!(holes(&[(1, 8, 11), (1, 13, 14)], &[], &[(1, 9, 9), (1, 12, 12)]), ["Missing 1 12-12"]);
        assert_eq!(holes(&[(1, 10, 14)], &[], &[(1, 9, 9), (1, 12, 12)]), ["Missing 1 9-9"]);
        // Before every backup, and without any.
        assert_eq!(holes(&[(1, 3, 4), (1, 8, 14)], &[], &[(1, 9, 9)]), ["Unneeded 1 5-7"]);
        assert_eq!(holes(&[(1, 3, 4), (1, 8, 14)], &[], &[]), ["Unneeded 1 5-7"]);
    }

    #[test]
    fn what_expiring_leaves_is_no_loss() {
        // The newest of three backups begins what is kept as a whole.
        let runs = [(1, 9, 10), (1, 20, 20), (1, 30, 44)];
        assert_eq!(
            holes(&runs, &[], &[(1, 9, 10), (1, 20, 20), (1, 30, 31)]),
            ["Expired 1 11-19", "Expired 1 21-29"]
        );
        // One segment that expiring would have removed: it never ran, and the rest is lost.
        let runs = [(1, 9, 11), (1, 20, 20), (1, 30, 44)];
        assert_eq!(
            holes(&runs, &[], &[(1, 9, 10), (1, 20, 20), (1, 30, 31)]),
            ["Missing 1 12-19", "Missing 1 21-29"]
        );
        // What an older backup needs is never removed.
        let runs = [(1, 9, 9), (1, 30, 44)];
        assert_eq!(holes(&runs, &[], &[(1, 9, 10), (1, 30, 31)]), ["Missing 1 10-10", "Expired 1 11-29"]);
        // Nor is anything behind the retention's first backup.
        let runs = [(1, 9, 10), (1, 30, 35), (1, 37, 44)];
        assert_eq!(holes(&runs, &[], &[(1, 9, 10), (1, 30, 31)]), ["Expired 1 11-29", "Missing 1 36-36"]);
    }

    #[test]
    fn a_fork_is_no_hole_but_its_first_segment_may_be() {
        // Timeline 2 begins in segment 11.
        let fork = [(2, "1\t0/B800000\tno recovery target specified\n")];
        let needs = [(1, 9, 9), (1, 12, 12)];
        assert_eq!(holes(&[(1, 8, 16), (2, 11, 15)], &fork, &needs), [""; 0]);
        assert_eq!(holes(&[(1, 8, 10), (2, 11, 15)], &fork, &[(1, 9, 9)]), [""; 0]);
        assert_eq!(holes(&[(1, 8, 16), (2, 12, 15)], &fork, &needs), ["Missing 2 11-11"]);
        // The abandoned branch has a hole of its own.
        assert_eq!(holes(&[(1, 8, 12), (1, 14, 16), (2, 11, 15)], &fork, &needs), ["Missing 1 13-13"]);
        // Lost on both: once told.
        assert_eq!(holes(&[(1, 8, 9), (1, 11, 16), (2, 11, 15)], &fork, &needs), ["Missing 1 10-10"]);
        // The retention begins on the child.
        let needs = [(1, 9, 9), (2, 13, 13)];
        assert_eq!(holes(&[(1, 9, 9), (2, 13, 15)], &fork, &needs), ["Expired 1 10-10", "Expired 2 11-12"]);
    }

    #[test]
    fn spans_are_sets() {
        assert_eq!(without((3, 9), &[(1, 2), (5, 5), (7, 20)]), [(3, 4), (6, 6)]);
        assert_eq!(without((3, 9), &[(0, u64::MAX)]), [(0, 0); 0]);
        assert_eq!(without((0, u64::MAX), &[(4, u64::MAX)]), [(0, 3)]);
        assert_eq!(united(vec![(5, 6), (1, 2), (3, 3), (9, 9)]), [(1, 3), (5, 6), (9, 9)]);
    }

    #[test]
    fn a_history_is_needed_where_a_backup_lies_before_its_fork() {
        let runs: Vec<WalRange> = Vec::new();
        let histories = BTreeMap::new();
        let needs = [(segment(2, 9), segment(2, 9))];
        let shape = Shape { runs: &runs, histories: &histories, needs: &needs, size: SIZE };
        let needed = [1, 2, 3].map(|timeline| shape.needs_history(Timeline(timeline)));
        assert_eq!(needed, [false, false, true]);
    }
}
