//! Timeline histories: compared between repositories, read strictly, and proven by the log where it is at hand.
//!
//! A history file has no checksum, and PostgreSQL believes every byte of it: one flipped bit in a fork position makes
//! it replay rows of two histories. What is proven here: the file continues its parent's file, and the timeline's
//! log begins where the file says.

use super::Answer;
use super::call::{Call, with_failures};
use super::deliver::{Identity, put_small};
use super::error::GetError;
use super::lookup::Archives;
use super::salvage::Salvage;
use super::wanted::Wanted;
use crate::base::{Report, Timeline, WalSegment};
use crate::codec::Decoder;
use crate::wal::{Expected, SegmentSource, TimelineHistory, WalError, prove_history};
use std::io::Read;
use std::sync::{Mutex, PoisonError};

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
        warnings.extend(self.prove(&found, archives)?);
        put_small(&found.content, self.destination)?;
        let warnings = with_failures(warnings, &found.failures);
        Ok(Answer::Delivered { from: found.from, warnings })
    }

    /// Refuses a history that its ancestors' files or the log contradict; says what could not be proven.
    fn prove(&self, found: &FoundHistory, archives: &Archives) -> Result<Vec<String>, GetError> {
        let timeline = found.history.timeline;
        let Identity { version, system_id, segment_size } = self.identity;
        let source =
            ProofSource { archives, salvage: self.salvage(), subject: found, failure: Mutex::default() };
        let expected = Expected { version: Some(version), system_id: Some(system_id) };
        let unproven = |why: String| format!("{} is not proven: {why}", timeline.history_file());
        match prove_history(&source, timeline, segment_size, expected) {
            Ok(proof) => {
                Ok(proof.open_questions.iter().map(|question| unproven(question.to_string())).collect())
            }
            Err(error @ WalError::History { .. }) => Err(found.wrong(error.to_string())),
            Err(error) => match source.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(failure) => Err(failure),
                // Damage elsewhere in that segment is told when the segment itself is asked for.
                None => Ok(vec![unproven(error.to_string())]),
            },
        }
    }
}

/// The files a history is proven with; keeps the first failure, which says more than the proof can.
struct ProofSource<'a> {
    archives: &'a Archives,
    salvage: Option<Salvage<'a>>,
    subject: &'a FoundHistory,
    failure: Mutex<Option<GetError>>,
}

impl ProofSource<'_> {
    fn kept<T>(&self, result: Result<T, GetError>) -> crate::base::Result<T> {
        result.map_err(|error| {
            let report = Report::failed(error.to_string());
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            report
        })
    }

    fn opened(&self, segment: WalSegment) -> Result<Option<Decoder<'static>>, GetError> {
        let search = self.archives.search(Wanted::Segment(segment))?;
        if let Some(copy) = search.copies.first() {
            return copy.open().map(Some);
        }
        match (GetError::all(search.failures), &self.salvage) {
            (Some(error), _) => Err(error),
            (None, Some(salvage)) => salvage.segment(segment),
            (None, None) => Ok(None),
        }
    }
}

impl SegmentSource for ProofSource<'_> {
    fn open(&self, segment: WalSegment) -> crate::base::Result<Option<Box<dyn Read + Send>>> {
        let opened = self.kept(self.opened(segment))?;
        Ok(opened.map(|decoder| -> Box<dyn Read + Send> { Box::new(decoder) }))
    }

    fn history(&self, timeline: Timeline) -> crate::base::Result<Option<Vec<u8>>> {
        if timeline == self.subject.history.timeline {
            return Ok(Some(self.subject.content.clone()));
        }
        let found = self.kept(self.archives.history(timeline, self.salvage.as_ref(), Vec::new()))?;
        Ok(found.map(|found| found.content))
    }

    fn oldest_segment(&self, timeline: Timeline) -> crate::base::Result<Option<WalSegment>> {
        let first = self.kept(self.archives.first_from(WalSegment { timeline, log: 0, seg: 0 }))?;
        Ok(first.map(|(segment, _)| segment))
    }
}
