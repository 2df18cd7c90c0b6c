//! The archive of the cluster a stanza has now: its timelines, and the way a recovery to its newest WAL would read.
//!
//! The way follows the newest timeline's history back through its parents. On a parent only what lies before the fork
//! is read: the segment of the fork itself is read on the child. Judges by names and history files; reads no segment.

use super::{ArchivedRanges, WalRange, of_archive};
use crate::base::{Lsn, Report, Result, Timeline, Timestamp, WalSegment, WalSegmentSize};
use crate::engine::repositories::Slot;
use crate::repo::Archive;
use crate::repo::archive::Found;
use crate::repo::{ArchiveId, RepoError};
use crate::wal::TimelineHistory;

/// Segments of one timeline that a recovery to the newest WAL reads, by number from the start of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// The timeline.
    pub timeline: Timeline,
    /// The first segment that may be read on it.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// The archive of the present cluster in one repository.
#[derive(Debug)]
pub struct Present {
    /// What is there.
    pub archived: ArchivedRanges,
    /// The way to the newest WAL, oldest timeline first.
    pub legs: Vec<Leg>,
    /// When the last segment of the way was stored, by the store's clock.
    pub last_stored: Option<Timestamp>,
}

/// Looks through the archive of the cluster `stanza` has now; nothing if no segment is there.
pub fn present(slot: &Slot, stanza: &str) -> Result<Option<Present>> {
    let repository = slot.repository.as_ref().map_err(Clone::clone)?;
    let one = repository.stanza(stanza);
    let info = one.archive_info()?.value;
    let archive = one.archive(&info);
    let Some(id) = archive.ids().into_iter().find(|id| id.db_id == info.current_db_id) else {
        return Ok(None);
    };
    let Some(archived) = of_archive(&archive, id, stanza, slot.key)? else { return Ok(None) };
    let newest = archived.ranges.ranges.last().copied();
    let legs = match newest {
        Some(newest) => {
            let history = history(&archive, id, newest.timeline())?;
            legs(&history, archived.size, newest.last.number(archived.size))
        }
        None => Vec::new(),
    };
    let last_stored = match newest {
        Some(newest) => stored_at(&archive, id, newest.last)?,
        None => None,
    };
    Ok(Some(Present { archived, legs, last_stored }))
}

/// The parent of every timeline of an archive that has a readable history, and where it was left.
pub fn parents(slot: &Slot, archived: &ArchivedRanges) -> Result<Vec<(Timeline, (Timeline, Lsn))>> {
    let repository = slot.repository.as_ref().map_err(Clone::clone)?;
    let one = repository.stanza(&archived.stanza);
    let archive = one.archive(&one.archive_info()?.value);
    let mut timelines: Vec<Timeline> = archived.ranges.ranges.iter().map(WalRange::timeline).collect();
    timelines.dedup();
    let parent = |timeline: Timeline| {
        let history = history(&archive, archived.id, timeline).ok()?;
        history.entries.last().map(|entry| (timeline, (entry.timeline, entry.switch_lsn)))
    };
    Ok(timelines.into_iter().filter_map(parent).collect())
}

/// The history of a timeline; only the first may be without a history file.
fn history(archive: &Archive, id: ArchiveId, timeline: Timeline) -> Result<TimelineHistory> {
    match archive.history(&id, timeline)? {
        Some(text) => Ok(TimelineHistory::parse(&text, timeline)?),
        None if timeline.0 <= 1 => Ok(TimelineHistory::root(timeline)),
        None => Err(Report::damaged(format!("the archive has no {}", timeline.history_file()))
            .hint("copy it from the pg_wal folder of a server on that timeline and archive it")),
    }
}

/// The segments a recovery to `newest`, the last segment's number on the history's own timeline, reads.
pub(in crate::engine) fn legs(history: &TimelineHistory, size: WalSegmentSize, newest: u64) -> Vec<Leg> {
    let path = history.path();
    let leg = |stretch: &crate::wal::history::Stretch| {
        let last = match stretch.end {
            Some(end) => end.segment_number(size).checked_sub(1)?,
            None => newest,
        };
        let first = stretch.begin.segment_number(size);
        (first <= last).then_some(Leg { timeline: stretch.timeline, first, last })
    };
    path.stretches().iter().filter_map(leg).collect()
}

fn stored_at(archive: &Archive, id: ArchiveId, last: WalSegment) -> Result<Option<Timestamp>, RepoError> {
    let stored = match archive.find(&id, last)? {
        Found::Absent => return Ok(None),
        Found::One(stored) => stored,
        Found::Conflict(several) => match several.first() {
            Some(stored) => *stored,
            None => return Ok(None),
        },
    };
    let path = archive.path(&id, &stored)?;
    let meta = archive.stanza().repository().storage().stat(&path)?;
    Ok(meta.map(|meta| meta.modified))
}

impl Present {
    /// How many segments are missing on the way from the oldest of `starts` that lies on it to the newest WAL.
    ///
    /// Without any start known the way begins with the first segment there is.
    pub fn missing(&self, starts: Option<&[WalSegment]>) -> u64 {
        let begin = match starts {
            Some(starts) => starts.iter().filter_map(|start| self.on_the_way(*start)).min(),
            None => self.legs.iter().enumerate().find_map(|(at, leg)| {
                let held = self.runs(leg.timeline).find(|(_, last)| *last >= leg.first)?;
                Some((at, held.0.max(leg.first)))
            }),
        };
        let Some((at, begin)) = begin else { return 0 };
        let lacking = |leg: &Leg| {
            let first = leg.first.max(begin);
            let wanted = (leg.last + 1).saturating_sub(first);
            let held: u64 = self
                .runs(leg.timeline)
                .map(|(from, to)| (to.min(leg.last) + 1).saturating_sub(from.max(first)))
                .sum();
            wanted.saturating_sub(held)
        };
        self.legs[at..].iter().map(lacking).sum()
    }

    /// The leg a segment lies on, and its number; one in the segment of the fork is read on the child.
    fn on_the_way(&self, start: WalSegment) -> Option<(usize, u64)> {
        let number = start.number(self.archived.size);
        let fits = |leg: &Leg| leg.timeline == start.timeline && (leg.first..=leg.last + 1).contains(&number);
        self.legs.iter().position(fits).map(|at| (at, number))
    }

    /// The runs of a timeline as numbers.
    pub fn runs(&self, timeline: Timeline) -> impl Iterator<Item = (u64, u64)> + '_ {
        let size = self.archived.size;
        let ranges = self.archived.ranges.ranges.iter();
        let own = ranges.filter(move |range| range.timeline() == timeline);
        own.map(move |range| (range.first.number(size), range.last.number(size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PgVersion;
    use crate::repo::archive::Ranges;

    fn segment(timeline: u32, number: u64) -> WalSegment {
        WalSegment::from_number(Timeline(timeline), number, WalSegmentSize::DEFAULT)
    }

    fn archive(runs: &[(u32, u64, u64)], history: &str, newest: (u32, u64)) -> Present {
        let range = |&(timeline, first, last): &(u32, u64, u64)| WalRange {
            first: segment(timeline, first),
            last: segment(timeline, last),
            stored_bytes: 1,
        };
        let timeline = Timeline(newest.0);
        let history = if history.is_empty() {
            TimelineHistory::root(timeline)
        } else {
            TimelineHistory::parse(history.as_bytes(), timeline).unwrap()
        };
        let archived = ArchivedRanges {
            stanza: "main".to_owned(),
            repo_key: 1,
            id: ArchiveId { version: PgVersion::major(15), db_id: 1 },
            size: WalSegmentSize::DEFAULT,
            size_assumed: false,
            ranges: Ranges { ranges: runs.iter().map(range).collect(), ..Ranges::default() },
        };
        let legs = legs(&history, WalSegmentSize::DEFAULT, newest.1);
        Present { archived, legs, last_stored: None }
    }

    #[test]
    fn only_gaps_behind_the_oldest_backup_count() {
        let held = archive(&[(1, 2, 5), (1, 8, 20), (1, 22, 30)], "", (1, 30));
        assert_eq!(held.missing(Some(&[segment(1, 4)])), 3);
        assert_eq!(held.missing(Some(&[segment(1, 9), segment(1, 25)])), 1);
        assert_eq!(held.missing(Some(&[segment(1, 22)])), 0);
        assert_eq!(held.missing(Some(&[segment(1, 6)])), 3);
        assert_eq!(held.missing(Some(&[])), 0, "there is no way without a backup");
        assert_eq!(held.missing(None), 3);
    }

    #[test]
    fn the_way_leaves_a_parent_before_the_fork() {
        // Left in the middle of segment 10; what timeline 1 wrote behind it is on no way.
        let history = "1\t0/A800000\tno recovery target specified\n";
        let held = archive(&[(1, 2, 9), (1, 14, 15), (2, 10, 12)], history, (2, 12));
        assert_eq!(held.missing(Some(&[segment(1, 3)])), 0);
        let held = archive(&[(1, 2, 7), (2, 11, 12)], history, (2, 12));
        assert_eq!(held.missing(Some(&[segment(1, 3)])), 3, "8 and 9 of the parent, 10 of the child");
        assert_eq!(held.missing(Some(&[segment(1, 10)])), 1, "a backup begun in the segment of the fork");
        assert_eq!(held.missing(Some(&[segment(1, 14)])), 0, "one that lies behind the fork is on no way");
        assert_eq!(held.missing(Some(&[segment(2, 11)])), 0);
    }
}
