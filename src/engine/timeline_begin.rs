//! Where a timeline begins, as its history file in the archive says.
//!
//! Reads one small file.

use crate::base::{Report, Result, Timeline, WalSegment, WalSegmentSize};
use crate::repo::{Archive, ArchiveId};
use crate::wal::history::TimelineHistory;

/// The first segment of a timeline: the one in which it left its parent. Nothing if its history is not in the archive, or
/// says that it has no parent.
pub fn first_segment(
    archive: &Archive,
    id: ArchiveId,
    timeline: Timeline,
    size: WalSegmentSize,
) -> Result<Option<WalSegment>> {
    let Some(text) = archive.history(&id, timeline)? else { return Ok(None) };
    let history = TimelineHistory::parse(&text, timeline).map_err(|error| {
        Report::damaged(format!("{} in the archive cannot be read: {error}", timeline.history_file()))
    })?;
    Ok(history.begin().map(|lsn| WalSegment::containing(timeline, lsn, size)))
}
