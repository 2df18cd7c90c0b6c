//! Timeline histories: compared between repositories, read strictly, and proven by the log where it is at hand.
//!
//! A history file has no checksum, and PostgreSQL believes every byte of it: one flipped bit in a fork position makes
//! it replay rows of two histories.

use super::error::GetError;
use super::lookup::Archives;
use super::salvage::Salvage;
use super::wanted::Wanted;
use super::{Answer, Call};
use crate::base::Timeline;
use crate::wal::TimelineHistory;

/// A history file that is what PostgreSQL writes.
#[derive(Debug)]
pub(super) struct FoundHistory {
    /// Where it is.
    pub(super) from: String,
    /// Its bytes.
    pub(super) content: Vec<u8>,
    /// What it says.
    pub(super) history: TimelineHistory,
    /// Repositories that could not be read.
    pub(super) failures: Vec<GetError>,
}

impl Archives {
    /// The history of a timeline, the same in every repository that has it; else the saved one.
    pub(super) fn history(
        &self,
        timeline: Timeline,
        salvage: Option<&Salvage<'_>>,
    ) -> Result<Option<FoundHistory>, GetError> {
        let wanted = Wanted::History(timeline);
        let (mut found, failures) = self.small(wanted);
        if let [(first, content), others @ ..] = &found[..]
            && let Some((second, _)) = others.iter().find(|(_, other)| other != content)
        {
            return Err(GetError::Differs { wanted, first: first.clone(), second: second.clone() });
        }
        if found.is_empty() {
            if let Some(error) = GetError::all(failures) {
                return Err(error);
            }
            let Some(salvage) = salvage else { return Ok(None) };
            let Some(content) = salvage.history(timeline)? else { return Ok(None) };
            let from = salvage.folder.display().to_string();
            return read(timeline, from, content, Vec::new()).map(Some);
        }
        let (from, content) = found.swap_remove(0);
        read(timeline, from, content, failures).map(Some)
    }
}

fn read(
    timeline: Timeline,
    from: String,
    content: Vec<u8>,
    failures: Vec<GetError>,
) -> Result<FoundHistory, GetError> {
    match TimelineHistory::parse(&content, timeline) {
        Ok(history) => Ok(FoundHistory { from, content, history, failures }),
        Err(error) => Err(GetError::Wrong {
            place: format!("{} in {from}", timeline.history_file()),
            why: error.to_string(),
        }),
    }
}
