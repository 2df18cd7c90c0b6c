//! Runs of consecutive segments per timeline, the gaps between them, and conflicting copies.
//!
//! Built from a sorted walk over the archive in memory proportional to the number of runs, not of segments.

use super::{Archive, ArchiveId, RepoError, StoredSegment};
use crate::base::{Timeline, WalSegment, WalSegmentSize};

/// Consecutive segments of one timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalRange {
    /// The first segment.
    pub first: WalSegment,
    /// The last segment.
    pub last: WalSegment,
    /// Stored bytes of all of them.
    pub stored_bytes: u64,
}

impl WalRange {
    /// The timeline of the run.
    pub fn timeline(&self) -> Timeline {
        self.first.timeline
    }

    /// How many segments the run has.
    pub fn segments(&self, size: WalSegmentSize) -> u64 {
        self.last.number(size) - self.first.number(size) + 1
    }
}

/// Segments missing between two runs of one timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first missing segment.
    pub first: WalSegment,
    /// The last missing segment.
    pub last: WalSegment,
}

impl Gap {
    /// How many segments are missing.
    pub fn segments(&self, size: WalSegmentSize) -> u64 {
        self.last.number(size) - self.first.number(size) + 1
    }
}

/// What an archive folder holds, run by run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    /// The runs, by timeline and position.
    pub ranges: Vec<WalRange>,
    /// Segments stored with different contents.
    pub conflicts: Vec<WalSegment>,
    /// Segments whose number cannot exist with the segment size given: the size is wrong, or the file is foreign.
    pub impossible: Vec<WalSegment>,
}

impl Ranges {
    /// The gaps between runs of the same timeline.
    pub fn gaps(&self, size: WalSegmentSize) -> Vec<Gap> {
        let between = |pair: &[WalRange]| {
            (pair[0].timeline() == pair[1].timeline()).then(|| Gap {
                first: pair[0].last.next(size),
                last: WalSegment::from_number(pair[1].timeline(), pair[1].first.number(size) - 1, size),
            })
        };
        self.ranges.windows(2).filter_map(between).collect()
    }

    /// Takes the next stored segment of a sorted walk; `previous` is the one before it.
    pub fn add(&mut self, stored: &StoredSegment, previous: Option<&StoredSegment>, size: WalSegmentSize) {
        let segment = stored.segment;
        if u64::from(segment.seg) >= size.segments_per_log() {
            self.impossible.push(segment);
            return;
        }
        if let Some(previous) = previous.filter(|previous| previous.segment == segment) {
            if previous.sha1 != stored.sha1 && self.conflicts.last() != Some(&segment) {
                self.conflicts.push(segment);
            }
            return;
        }
        match self.ranges.last_mut() {
            Some(range) if range.last.next(size) == segment => {
                range.last = segment;
                range.stored_bytes = range.stored_bytes.saturating_add(stored.stored_bytes);
            }
            _ => self.ranges.push(WalRange {
                first: segment,
                last: segment,
                stored_bytes: stored.stored_bytes,
            }),
        }
    }
}

impl Archive {
    /// The runs of consecutive segments in an archive folder, for segments of the given size.
    pub fn ranges(&self, id: &ArchiveId, size: WalSegmentSize) -> Result<Ranges, RepoError> {
        let mut ranges = Ranges::default();
        let mut previous = None;
        self.segments(id, None, &mut |stored| {
            ranges.add(&stored, previous.as_ref(), size);
            previous = Some(stored);
            true
        })?;
        Ok(ranges)
    }
}
