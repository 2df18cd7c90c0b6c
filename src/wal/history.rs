//! Timeline history files, and the path of timelines that leads to one.
//!
//! Format: `timeline.c`. A history file has no checksum, so the parser takes only what PostgreSQL itself writes; that
//! what it says is true is proven against the log in [`super::fork`]. Reasons decide nothing and are taken as they are;
//! one that PostgreSQL never gives is a sign of damage, and remembered.

use super::WalError;
use super::reason;
use crate::base::{Lsn, Timeline};

/// One line of a history file: `timeline` was left at `switch_lsn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The timeline that was left.
    pub timeline: Timeline,
    /// The first position that belongs to the next timeline.
    pub switch_lsn: Lsn,
}

/// Where a timeline comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineHistory {
    /// The timeline the file describes.
    pub timeline: Timeline,
    /// The timelines it descends from, oldest first. Their switch positions need not rise: recovering to a moment
    /// before the last fork makes PostgreSQL write a smaller position behind a greater one.
    pub entries: Vec<HistoryEntry>,
    /// The first line, counted from 1, whose reason is none that PostgreSQL gives.
    pub odd_reason: Option<usize>,
}

const MAX_BYTES: usize = 1 << 20;

impl TimelineHistory {
    /// The history of a timeline that descends from none.
    pub fn root(timeline: Timeline) -> Self {
        Self { timeline, entries: Vec::new(), odd_reason: None }
    }

    /// Reads the content of `timeline`'s history file; refuses everything PostgreSQL would not have written.
    ///
    /// Every line is `timeline TAB LSN TAB reason`, and an empty line stands between two: a file is its parent's file
    /// with an empty line and one entry added. The reason of a stop at a time or an LSN brings a line feed of its own,
    /// so that a second empty line follows it.
    pub fn parse(text: &[u8], timeline: Timeline) -> Result<Self, WalError> {
        let bad = |line: usize, why: &str| WalError::History {
            timeline,
            why: if line == 0 { why.to_owned() } else { format!("line {line} {why}") },
        };
        if text.len() > MAX_BYTES {
            return Err(bad(0, "is too long to be one"));
        }
        let body = text.strip_suffix(b"\n").ok_or_else(|| bad(0, "does not end with a line feed"))?;
        let mut entries: Vec<HistoryEntry> = Vec::new();
        let mut odd_reason = None;
        // Empty lines that must and may still come before the next entry.
        let (mut must, mut may) = (0, 0);
        for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() && may > 0 {
                (must, may) = (0, may - 1);
                continue;
            }
            if must > 0 {
                return Err(bad(index + 1, "should be empty"));
            }
            let (entry, reason) =
                Self::entry(line).ok_or_else(|| bad(index + 1, "is not 'timeline TAB LSN TAB reason'"))?;
            odd_reason = odd_reason.or((!reason::is_known(reason)).then_some(index + 1));
            if entries.last().is_some_and(|before| before.timeline >= entry.timeline) {
                return Err(bad(index + 1, "names a timeline that is not above the one before"));
            }
            if entry.timeline >= timeline {
                return Err(bad(index + 1, "names a timeline that is not below the file's own"));
            }
            entries.push(entry);
            (must, may) = (1, if reason::brings_a_line_feed(reason) { 2 } else { 1 });
        }
        if may == 0 {
            return Err(bad(0, "ends with an empty line too many"));
        }
        Ok(Self { timeline, entries, odd_reason })
    }

    /// One entry, and its reason.
    fn entry(line: &[u8]) -> Option<(HistoryEntry, &[u8])> {
        let mut fields = line.splitn(3, |byte| *byte == b'\t');
        let (id, lsn, reason) = (fields.next()?, fields.next()?, fields.next()?);
        let (id, lsn) = (std::str::from_utf8(id).ok()?, std::str::from_utf8(lsn).ok()?);
        let timeline = Timeline(id.parse().ok().filter(|number| *number > 0)?);
        let switch_lsn: Lsn = lsn.parse().ok()?;
        // Only the one spelling PostgreSQL has: no sign, no leading zeros, upper case.
        let exact = timeline.to_string() == id && switch_lsn.to_string() == lsn && switch_lsn > Lsn::ZERO;
        let plain = !reason.is_empty() && reason.iter().all(|byte| *byte >= b' ' && *byte != 0x7F);
        (exact && plain).then_some((HistoryEntry { timeline, switch_lsn }, reason))
    }

    /// The timeline this one was forked from by name; where replay really came from is [`TimelinePath::before`].
    pub fn parent(&self) -> Option<Timeline> {
        self.entries.last().map(|entry| entry.timeline)
    }

    /// The first position of this timeline; nothing for one that descends from none.
    pub fn begin(&self) -> Option<Lsn> {
        self.entries.last().map(|entry| entry.switch_lsn)
    }

    /// The stretches of log a recovery to this timeline reads.
    pub fn path(&self) -> TimelinePath {
        let begins = [Lsn::ZERO].into_iter().chain(self.entries.iter().map(|entry| entry.switch_lsn));
        let timelines = self.entries.iter().map(|entry| entry.timeline).chain([self.timeline]);
        let mut stretches: Vec<Stretch> = Vec::new();
        for (timeline, begin) in timelines.zip(begins) {
            // A newer timeline wins wherever it begins; what an older one holds past that is not on the path.
            while stretches.last().is_some_and(|older| older.begin >= begin) {
                stretches.pop();
            }
            if let Some(older) = stretches.last_mut() {
                older.end = Some(begin);
            }
            stretches.push(Stretch { timeline, begin, end: None });
        }
        TimelinePath { stretches }
    }
}

/// A stretch of one timeline on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The timeline.
    pub timeline: Timeline,
    /// Its first position on the path.
    pub begin: Lsn,
    /// The first position that is no longer its own; nothing for the last.
    pub end: Option<Lsn>,
}

/// The stretches of log that lead to one timeline, in order and without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelinePath {
    stretches: Vec<Stretch>,
}

impl TimelinePath {
    /// The stretches, oldest first; never empty.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// The timeline `lsn` lies on.
    pub fn timeline_at(&self, lsn: Lsn) -> Timeline {
        let found = self.stretches.iter().rev().find(|stretch| stretch.begin <= lsn);
        found.map_or(Timeline(0), |stretch| stretch.timeline)
    }

    /// The timeline the path leads to.
    pub fn target(&self) -> Timeline {
        self.stretches.last().map_or(Timeline(0), |stretch| stretch.timeline)
    }

    /// The stretch `timeline` has on the path, if it is on it at all: its end is where it was left.
    pub fn stretch(&self, timeline: Timeline) -> Option<Stretch> {
        self.stretches.iter().find(|stretch| stretch.timeline == timeline).copied()
    }

    /// The timeline read before `timeline`, and the position where they meet.
    pub fn before(&self, timeline: Timeline) -> Option<(Timeline, Lsn)> {
        let at = self.stretches.iter().position(|stretch| stretch.timeline == timeline)?;
        let older = self.stretches.get(at.checked_sub(1)?)?;
        Some((older.timeline, self.stretches[at].begin))
    }

    /// True if a recovery along this path passes `lsn` on `timeline`.
    pub fn passes(&self, timeline: Timeline, lsn: Lsn) -> bool {
        self.stretch(timeline)
            .is_some_and(|stretch| stretch.begin <= lsn && stretch.end.is_none_or(|end| lsn <= end))
    }

    /// The positions where one timeline follows another.
    pub fn forks(&self) -> impl Iterator<Item = Lsn> + '_ {
        self.stretches.iter().skip(1).map(|stretch| stretch.begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "1\t0/5000000\tno recovery target specified\n\n2\t0/70000A0\tbefore transaction 733 2026-11-21 01:06:03+00\n";

    fn entries(text: &str, own: u32) -> Option<Vec<(u32, u64)>> {
        let history = TimelineHistory::parse(text.as_bytes(), Timeline(own)).ok()?;
        Some(history.entries.iter().map(|entry| (entry.timeline.0, entry.switch_lsn.0)).collect())
    }

    #[test]
    fn reads_what_postgresql_writes() {
        assert_eq!(entries(THREE, 3), Some(vec![(1, 0x0500_0000), (2, 0x0700_00A0)]));
        let path = TimelineHistory::parse(THREE.as_bytes(), Timeline(3)).unwrap().path();
        assert_eq!(path.timeline_at(Lsn(0x04FF_FFFF)), Timeline(1));
        assert_eq!(path.timeline_at(Lsn(0x0500_0000)), Timeline(2));
        assert_eq!(path.timeline_at(Lsn(0x0700_00A0)), Timeline(3));
        assert_eq!(path.before(Timeline(3)), Some((Timeline(2), Lsn(0x0700_00A0))));
        assert!(path.passes(Timeline(1), Lsn(0x0500_0000)) && !path.passes(Timeline(1), Lsn(0x0500_0001)));
        assert_eq!(TimelineHistory::root(Timeline(1)).path().target(), Timeline(1));
    }

    #[test]
    fn the_reason_of_a_stop_at_a_time_or_lsn_brings_a_second_empty_line() {
        for reason in ["before 2026-11-21 07:01:02.123456+00", "after LSN 0/5000000"] {
            let once = format!("1\t0/5000000\t{reason}\n\n");
            let twice = format!("{once}\n2\t0/70000A0\t{reason}\n\n");
            assert_eq!(entries(&once, 2), Some(vec![(1, 0x0500_0000)]), "{reason}");
            assert_eq!(entries(&twice, 3), Some(vec![(1, 0x0500_0000), (2, 0x0700_00A0)]), "{reason}");
            assert_eq!(entries(&format!("{once}\n"), 2), None, "{reason}");
            assert_eq!(entries(&twice.replace("\n\n\n", "\n\n\n\n"), 3), None, "{reason}");
        }
    }

    #[test]
    fn a_fork_before_the_parents_own_fork_skips_the_parent() {
        let text = "1\t0/5000000\tno recovery target specified\n\n2\t0/40000A0\tat restore point \"x\"\n";
        let path = TimelineHistory::parse(text.as_bytes(), Timeline(3)).unwrap().path();
        assert_eq!(path.before(Timeline(3)), Some((Timeline(1), Lsn(0x0400_00A0))));
        assert_eq!(path.stretch(Timeline(2)), None);
        assert_eq!(path.timeline_at(Lsn(0x0480_0000)), Timeline(3));
    }

    #[test]
    fn refuses_what_postgresql_would_not_write() {
        for text in [
            "",
            "\n",
            "# comment\n",
            "1\t0/5000000\tx",
            "1\t0/5000000\n",
            "1\t0/5000000\t\n",
            "1 0/5000000 x\n",
            "01\t0/5000000\tx\n",
            "+1\t0/5000000\tx\n",
            "0\t0/5000000\tx\n",
            "3\t0/5000000\tx\n",
            "1\t0/05000000\tx\n",
            "1\t0/500000a\tx\n",
            "1\t0/0\tx\n",
            "1\t0/5000000\tx\ry\n",
            "1\t0/5000000\tx\n2\t0/6000000\ty\n",
            "1\t0/5000000\tx\n\n1\t0/6000000\ty\n",
            "2\t0/5000000\tx\n\n1\t0/6000000\ty\n",
            "1\t0/5000000\tx\n\n\n2\t0/6000000\ty\n",
            "1\t0/5000000\tx\n\n",
        ] {
            assert_eq!(entries(text, 3), None, "{text:?}");
        }
    }

    #[test]
    fn a_flipped_bit_is_refused_or_changes_only_what_the_log_can_disprove() {
        let good = TimelineHistory::parse(THREE.as_bytes(), Timeline(3)).unwrap();
        for at in 0..THREE.len() {
            for bit in 0..8 {
                let mut text = THREE.as_bytes().to_vec();
                text[at] ^= 1 << bit;
                let Ok(read) = TimelineHistory::parse(&text, Timeline(3)) else { continue };
                let in_reason = THREE[..at].rsplit('\n').next().unwrap().matches('\t').count() >= 2;
                assert_eq!(read.entries == good.entries, in_reason, "byte {at} bit {bit}");
                let in_words = at >= 12 && at < THREE.find('\n').unwrap();
                assert!(!in_words || read.odd_reason == Some(1), "byte {at} bit {bit}");
            }
        }
    }
}
