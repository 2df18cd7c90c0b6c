//! Which WAL is archived, timeline by timeline, as a list for people. Plain values.

use crate::base::{Timeline, Timestamp, WalSegment};
use serde::Serialize;

/// The archives of one stanza.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WalView {
    /// One per archive folder of each repository.
    pub archives: Vec<ArchiveRow>,
    /// What could not be read, in sentences.
    pub troubles: Vec<String>,
    /// When it was read.
    pub read_at: Option<Timestamp>,
}

/// One archive folder of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiveRow {
    /// The repository's number.
    pub repo: u32,
    /// The folder, for example `15-1`.
    pub id: String,
    /// The segment size in bytes.
    pub segment_bytes: u32,
    /// No segment header could be read, so the size is PostgreSQL's default.
    pub size_assumed: bool,
    /// Its timelines, oldest first.
    pub timelines: Vec<TimelineRow>,
    /// Segments stored more than once with different content.
    pub conflicts: Vec<WalSegment>,
    /// Segments whose number cannot exist with this segment size.
    pub impossible: Vec<WalSegment>,
}

/// One timeline of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineRow {
    /// Which.
    pub timeline: Timeline,
    /// Where it left its parent: the parent and the position, if its history file says so.
    pub parent: Option<(Timeline, crate::base::Lsn)>,
    /// Runs of consecutive segments and the gaps between them, in order.
    pub stretches: Vec<Stretch>,
}

/// Consecutive segments, there or missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The first segment.
    pub first: WalSegment,
    /// The last segment.
    pub last: WalSegment,
    /// How many segments.
    pub segments: u64,
    /// Stored bytes; 0 for a gap.
    pub stored_bytes: u64,
    /// True for segments that are missing.
    pub missing: bool,
    /// The number of the first segment, counted from the start of the log.
    pub first_number: u64,
}
