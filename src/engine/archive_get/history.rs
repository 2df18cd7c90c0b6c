//! Timeline histories: compared between repositories, read strictly, and proven by the log where it is at hand.
//!
//! A history file has no checksum, and PostgreSQL believes every byte of it: one flipped bit in a fork position makes
//! it replay rows of two histories. What is proven here: the file continues its parent's file, and the timeline's
//! log begins where the file says.

use super::Answer;
use super::call::{Call, with_failures};
use super::deliver::put_small;
use super::error::GetError;
use super::lookup::Archives;
use super::salvage::Salvage;
use super::wanted::Wanted;
use crate::base::{Timeline, WalSegment};
use crate::wal::TimelineHistory;
use crate::wal::history::HistoryEntry;

/// A history file that is what PostgreSQL writes.
#[derive(Debug)]
pub(super) struct FoundHistory {
    /// Where it is.
    from: String,
    /// Its bytes.
    content: Vec<u8>,
    /// What it says.
    pub(super) history: TimelineHistory,
    /// Why other repositories could not be read.
    failures: Vec<GetError>,
}

impl FoundHistory {
    fn wrong(&self, why: String) -> GetError {
        GetError::Wrong { place: format!("{} in {}", self.history.timeline.history_file(), self.from), why }
    }
}

impl Archives {
    /// The history of a timeline, the same in every repository that has it; else the saved one. `failures` are those
    /// of repositories that could not even be opened.
    pub(super) fn history(
        &self,
        timeline: Timeline,
        salvage: Option<&Salvage<'_>>,
        mut failures: Vec<GetError>,
    ) -> Result<Option<FoundHistory>, GetError> {
        let wanted = Wanted::History(timeline);
        let (mut found, others) = self.small(wanted);
        failures.extend(others);
        if let [(first, content), others @ ..] = &found[..]
            && let Some((second, _)) = others.iter().find(|(_, other)| other != content)
        {
            return Err(GetError::Differs { wanted, first: first.clone(), second: second.clone() });
        }
        let (from, content) = if found.is_empty() {
            if let Some(error) = GetError::all(std::mem::take(&mut failures)) {
                return Err(error);
            }
            let Some(salvage) = salvage else { return Ok(None) };
            let Some(content) = salvage.history(timeline)? else { return Ok(None) };
            (salvage.folder.display().to_string(), content)
        } else {
            found.swap_remove(0)
        };
        match TimelineHistory::parse(&content, timeline) {
            Ok(history) => Ok(Some(FoundHistory { from, content, history, failures })),
            Err(error) => Err(GetError::Wrong {
                place: format!("{} in {from}", timeline.history_file()),
                why: error.to_string(),
            }),
        }
    }
}

impl Call<'_> {
    /// Delivers a timeline's history.
    pub(super) fn history(
        &self,
        timeline: Timeline,
        archives: &Archives,
        failures: Vec<GetError>,
        mut warnings: Vec<String>,
    ) -> Result<Answer, GetError> {
        let salvage = self.salvage();
        let Some(found) = archives.history(timeline, salvage.as_ref(), failures)? else {
            return self.absent(archives, Vec::new());
        };
        self.continues_its_parent(&found, archives)?;
        warnings.extend(self.begins_as_it_says(&found, archives)?);
        put_small(&found.content, self.destination)?;
        let warnings = with_failures(warnings, &found.failures);
        Ok(Answer::Delivered { from: found.from, warnings })
    }

    /// Refuses a history whose older entries are not those of the timeline it came from.
    fn continues_its_parent(&self, found: &FoundHistory, archives: &Archives) -> Result<(), GetError> {
        let Some((HistoryEntry { timeline: parent, .. }, older)) = found.history.entries.split_last() else {
            return Ok(());
        };
        let salvage = self.salvage();
        let theirs = archives.history(*parent, salvage.as_ref(), Vec::new())?;
        // The first timeline has no history file, and older ones may have expired.
        match theirs.map(|theirs| theirs.history.entries) {
            Some(entries) if entries != older => {
                Err(found
                    .wrong(format!("it differs from {}, which it must begin with", parent.history_file())))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a history whose last fork is not where the log of its timeline begins; a warning if no log tells.
    fn begins_as_it_says(
        &self,
        found: &FoundHistory,
        archives: &Archives,
    ) -> Result<Option<String>, GetError> {
        let timeline = found.history.timeline;
        let Some(begin) = found.history.begin() else { return Ok(None) };
        let stated = WalSegment::containing(timeline, begin, self.identity.segment_size);
        let lowest =
            archives.first_from(WalSegment { timeline, log: 0, seg: 0 })?.map(|(segment, _)| segment);
        match lowest {
            Some(lowest) if lowest < stated => Err(found.wrong(format!(
                "it says that timeline {timeline} begins at {begin}, but {lowest} is archived"
            ))),
            Some(lowest) if lowest == stated => Ok(None),
            _ => Ok(Some(format!(
                "the beginning of timeline {timeline} at {begin} could not be proven: {stated} is not archived"
            ))),
        }
    }
}
