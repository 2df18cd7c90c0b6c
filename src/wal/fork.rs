//! History files proven: against each other, and against the log at the position where each timeline begins.
//!
//! A history file has no checksum, and one flipped bit in a fork's position joins rows of two histories without a word.
//! Behaviour: `writeTimeLineHistory` of `timeline.c`, the end of recovery in `xlog.c`, `checkTimeLineSwitch`.
//! What cannot be proven because files are missing is said, never assumed.

use super::history::{TimelineHistory, TimelinePath};
use super::page::{LONG_HEADER_BYTES, SegmentHeader};
use super::record::Record;
use super::scan::{ScanRequest, SegmentSource, scan};
use super::{Expected, Fault, Happening, WalError};
use crate::base::{Lsn, Timeline, WalSegment, WalSegmentSize};
use std::io::Read as _;
use std::ops::ControlFlow;

/// What was proven about a timeline's descent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof {
    /// The timeline's history.
    pub history: TimelineHistory,
    /// The path a recovery to the timeline takes.
    pub path: TimelinePath,
    /// Forks whose position the log itself confirms.
    pub proven: Vec<ProvenFork>,
    /// What could not be proven or refuted.
    pub open_questions: Vec<OpenQuestion>,
}

/// A fork the log confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenFork {
    /// The timeline that begins.
    pub timeline: Timeline,
    /// The timeline replayed before.
    pub from: Timeline,
    /// The first position of the new timeline.
    pub at: Lsn,
}

/// Something about a fork that is neither proven nor refuted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenQuestion {
    /// The segment in which the timeline begins is missing.
    #[error("timeline {timeline} begins in WAL segment {segment}, which is missing")]
    NoSegment {
        /// The timeline.
        timeline: Timeline,
        /// The missing segment.
        segment: WalSegment,
    },
    /// An ancestor's own history file is missing.
    #[error("the history file of timeline {0} is missing")]
    NoHistory(Timeline),
    /// The log holds two positions at which the timeline may begin; both mean the same to a recovery.
    #[error("timeline {timeline} begins at {at} or one record earlier")]
    TwoPositions {
        /// The timeline.
        timeline: Timeline,
        /// The position its history names.
        at: Lsn,
    },
    /// A reason is none that PostgreSQL gives. It decides nothing, but who wrote the rest of the file?
    #[error("line {line} of {} gives a reason that PostgreSQL does not give: damaged there?", timeline.history_file())]
    Reason {
        /// The timeline whose file it is.
        timeline: Timeline,
        /// The line, counted from 1.
        line: usize,
    },
    /// The segment of the fork ends before the record that begins the timeline.
    #[error("WAL segment {0} ends before the record that begins its timeline")]
    Unwritten(WalSegment),
}

/// Proves the history of `timeline` as far as the source's files allow.
///
/// Fails with [`WalError::History`] if its file contradicts an ancestor's file or the log.
pub fn prove_history(
    source: &dyn SegmentSource,
    timeline: Timeline,
    size: WalSegmentSize,
    expected: Expected,
) -> Result<ForkProof, WalError> {
    let history = match source.history(timeline)? {
        Some(text) => TimelineHistory::parse(&text, timeline)?,
        None if timeline == Timeline(1) => TimelineHistory::root(timeline),
        None => return Err(WalError::History { timeline, why: "it is missing".to_owned() }),
    };
    let mut proof =
        ForkProof { path: history.path(), history, proven: Vec::new(), open_questions: Vec::new() };
    proof.open_questions.extend(odd_reason(&proof.history));
    let generations = proof.history.entries.len();
    for generation in 0..=generations {
        let (before, entry) = proof.history.entries.split_at(generation);
        let member = entry.first().map_or(timeline, |entry| entry.timeline);
        let member_history = TimelineHistory { timeline: member, entries: before.to_vec(), odd_reason: None };
        if member != timeline {
            let question = agrees_with_own_file(source, &member_history, timeline)?;
            proof.open_questions.extend(question);
        }
        if generation > 0 {
            match prove_fork(source, &member_history, size, expected)? {
                Ok(fork) => proof.proven.push(fork),
                Err(question) => proof.open_questions.push(question),
            }
        }
    }
    Ok(proof)
}

/// A timeline's own file must say of its ancestors what a descendant's file says.
fn agrees_with_own_file(
    source: &dyn SegmentSource,
    member: &TimelineHistory,
    descendant: Timeline,
) -> Result<Option<OpenQuestion>, WalError> {
    let Some(text) = source.history(member.timeline)? else {
        let root = member.entries.is_empty();
        return Ok((!root).then_some(OpenQuestion::NoHistory(member.timeline)));
    };
    let own = TimelineHistory::parse(&text, member.timeline)?;
    if own.entries == member.entries {
        return Ok(odd_reason(&own));
    }
    let why = format!(
        "it contradicts {} about the ancestors of timeline {}",
        own.timeline.history_file(),
        own.timeline
    );
    Err(WalError::History { timeline: descendant, why })
}

fn odd_reason(history: &TimelineHistory) -> Option<OpenQuestion> {
    let timeline = history.timeline;
    history.odd_reason.map(|line| OpenQuestion::Reason { timeline, line })
}

type Answer = Result<ProvenFork, OpenQuestion>;

fn prove_fork(
    source: &dyn SegmentSource,
    history: &TimelineHistory,
    size: WalSegmentSize,
    expected: Expected,
) -> Result<Answer, WalError> {
    let (timeline, path) = (history.timeline, history.path());
    let Some((from, at)) = path.before(timeline) else {
        return Err(WalError::History {
            timeline,
            why: "it names no position at which it begins".to_owned(),
        });
    };
    let segment = WalSegment::containing(timeline, at, size);
    if source.open(segment)?.is_none() {
        return without_segment(source, segment, at, size).map(Err);
    }
    let mut request = ScanRequest::new(path, segment.start_lsn(size), size);
    request.expected = expected;
    request.every_record = true;
    let (mut begun, mut ambiguous) = (false, false);
    let ended = scan(source, &request, &mut |record: &Record| {
        if record.lsn < at {
            // These may belong to either side: they are also written before the record that begins a timeline.
            ambiguous =
                matches!(record.happening, Happening::Overwritten { .. } | Happening::FullPageWrites(_));
            return ControlFlow::Continue(());
        }
        // The scan itself refuses any other record at the beginning of a timeline.
        begun = matches!(record.happening, Happening::Checkpoint(_) | Happening::EndOfRecovery { .. });
        if begun { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match ended {
        Err(WalError::Damaged {
            fault: fault @ (Fault::Fork { .. } | Fault::PageTimeline { .. }),
            segment,
            lsn,
        }) => {
            let why = format!("WAL segment {segment} contradicts it at {lsn}: {fault}");
            Err(WalError::History { timeline, why })
        }
        Err(other) => Err(other),
        Ok(_) if !begun => Ok(Err(OpenQuestion::Unwritten(segment))),
        Ok(_) if ambiguous => Ok(Err(OpenQuestion::TwoPositions { timeline, at })),
        Ok(_) => Ok(Ok(ProvenFork { timeline, from, at })),
    }
}

/// The segment of the fork is missing: the oldest segment of the timeline may still refute the position.
fn without_segment(
    source: &dyn SegmentSource,
    segment: WalSegment,
    at: Lsn,
    size: WalSegmentSize,
) -> Result<OpenQuestion, WalError> {
    let timeline = segment.timeline;
    let Some(oldest) = source.oldest_segment(timeline)? else {
        return Ok(OpenQuestion::NoSegment { timeline, segment });
    };
    let refuted = if oldest.number(size) < segment.number(size) {
        true
    } else {
        // A segment that begins on an ancestor holds the fork.
        let mut first_page = Vec::new();
        if let Some(reader) = source.open(oldest)? {
            let read = reader.take(LONG_HEADER_BYTES as u64).read_to_end(&mut first_page);
            read.map_err(|error| WalError::Unreadable { segment: oldest, why: error.to_string() })?;
        }
        SegmentHeader::parse(&first_page).is_ok_and(|header| header.timeline < timeline)
    };
    if refuted {
        let why =
            format!("it begins the timeline at {at}, but the timeline's WAL begins in segment {oldest}");
        return Err(WalError::History { timeline, why });
    }
    Ok(OpenQuestion::NoSegment { timeline, segment })
}

#[cfg(test)]
mod tests;
