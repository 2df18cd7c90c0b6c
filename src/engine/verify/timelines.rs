//! The history files of an archive: each read strictly, compared with those of its ancestors, and proven by the log at
//! the fork.
//!
//! They carry no checksum, and PostgreSQL believes every byte: one flipped bit in a fork's position makes it replay rows
//! of two histories. The proof reads one segment per timeline, up to its fork.

use super::finding::{Findings, Level};
use super::shelf::Shelf;
use super::{Depth, Work};
use crate::base::{Kind, Result, Timeline, WalSegment};
use crate::repo::{Archive, ArchiveId, Found};
use crate::wal::{SegmentSource, TimelineHistory, WalError, prove_history};
use std::collections::BTreeMap;
use std::io::Read;

/// The histories that can be read; tells what is wrong with them.
pub(super) fn check(
    work: &Work<'_>,
    shelf: &Shelf,
    findings: &mut Findings,
) -> Result<BTreeMap<Timeline, TimelineHistory>> {
    let mut histories = BTreeMap::new();
    for timeline in &shelf.histories {
        work.cancel.check()?;
        let path = shelf.folder.join(&timeline.history_file())?;
        match shelf.archive.history(&shelf.id, *timeline) {
            // Expired meanwhile.
            Ok(None) => {}
            Err(error) => findings.add_error(&path, &error),
            Ok(Some(text)) => match TimelineHistory::parse(&text, *timeline) {
                Ok(history) => drop(histories.insert(*timeline, history)),
                Err(error) => findings.add(Level::Damage, &path, error.to_string()),
            },
        }
    }
    if work.request.set.is_some() {
        return Ok(histories);
    }
    let mut refuted = Vec::new();
    for (timeline, history) in &histories {
        let path = shelf.folder.join(&timeline.history_file())?;
        if let Some(ancestor) = contradicted(history, &histories) {
            let why =
                format!("contradicts {} about the ancestors of timeline {ancestor}", ancestor.history_file());
            findings.add(Level::Damage, &path, why);
            continue;
        }
        if work.request.depth == Depth::Full && shelf.id.version.at_least(13) {
            match prove(work, shelf, *timeline)? {
                Proof::Right(questions) => {
                    for question in questions {
                        findings.add(Level::Note, &path, format!("is not proven: {question}"));
                    }
                }
                Proof::Wrong(why) => {
                    findings.add(Level::Damage, &path, why);
                    refuted.push(*timeline);
                }
            }
        }
    }
    // What is proven wrong leads nowhere.
    histories.retain(|timeline, _| !refuted.contains(timeline));
    Ok(histories)
}

/// The ancestor whose own file says something else of its ancestors.
fn contradicted(
    history: &TimelineHistory,
    histories: &BTreeMap<Timeline, TimelineHistory>,
) -> Option<Timeline> {
    let entries = &history.entries;
    let differs = |(index, ancestor): (usize, Timeline)| {
        histories.get(&ancestor).is_some_and(|own| own.entries[..] != entries[..index])
    };
    let ancestors = entries.iter().enumerate().map(|(index, entry)| (index, entry.timeline));
    ancestors.into_iter().find(|found| differs(*found)).map(|(_, ancestor)| ancestor)
}

enum Proof {
    /// Nothing speaks against it; what could not be proven.
    Right(Vec<String>),
    Wrong(String),
}

fn prove(work: &Work<'_>, shelf: &Shelf, timeline: Timeline) -> Result<Proof> {
    let source = Source { archive: &shelf.archive, id: shelf.id };
    let proven = prove_history(&source, timeline, shelf.size, shelf.expected);
    work.cancel.check()?;
    Ok(match proven {
        Ok(proof) => Proof::Right(proof.open_questions.iter().map(ToString::to_string).collect()),
        Err(error @ WalError::History { .. }) => Proof::Wrong(error.to_string()),
        Err(WalError::Source(report)) if report.kind == Kind::Cancelled => return Err(report),
        // Damage of the segment itself is told where segments are.
        Err(error) => Proof::Right(vec![error.to_string()]),
    })
}

/// The archive as the proof reads it.
struct Source<'a> {
    archive: &'a Archive,
    id: ArchiveId,
}

impl SegmentSource for Source<'_> {
    fn open(&self, segment: WalSegment) -> Result<Option<Box<dyn Read + Send>>> {
        let stored = match self.archive.find(&self.id, segment)? {
            Found::Absent => return Ok(None),
            Found::One(stored) => stored,
            Found::Conflict(several) => match several.first() {
                Some(stored) => *stored,
                None => return Ok(None),
            },
        };
        Ok(Some(Box::new(self.archive.open(&self.id, &stored)?)))
    }

    fn history(&self, timeline: Timeline) -> Result<Option<Vec<u8>>> {
        Ok(self.archive.history(&self.id, timeline)?)
    }

    fn oldest_segment(&self, timeline: Timeline) -> Result<Option<WalSegment>> {
        let mut oldest = None;
        let from = WalSegment { timeline, log: 0, seg: 0 };
        self.archive.segments(&self.id, Some(from), &mut |stored| {
            oldest = (stored.segment.timeline == timeline).then_some(stored.segment);
            false
        })?;
        Ok(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_file_repeats_its_parents() {
        let parse = |timeline: u32, text: &str| {
            (Timeline(timeline), TimelineHistory::parse(text.as_bytes(), Timeline(timeline)).unwrap())
        };
        let second = parse(2, "1\t0/5000000\tx\n");
        let third = parse(3, "1\t0/5000000\tx\n\n2\t0/6000000\ty\n");
        let other = parse(3, "1\t0/5000080\tx\n\n2\t0/6000000\ty\n");
        let all = |third: &(Timeline, TimelineHistory)| BTreeMap::from([second.clone(), third.clone()]);
        assert_eq!(contradicted(&third.1, &all(&third)), None);
        assert_eq!(contradicted(&other.1, &all(&other)), Some(Timeline(2)));
        assert_eq!(contradicted(&other.1, &BTreeMap::from([other.clone()])), None);
    }
}
