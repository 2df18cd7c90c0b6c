//! Reading every file of an archive, by many threads.
//!
//! A segment that was listed and is not there any more is neither sound nor missing yet: it may have been expired.

use super::finding::{Counts, Fault, Findings, Judged, Level, Verdict};
use super::infos::Infos;
use super::names::Archived;
use super::outcome::ArchiveResult;
use super::segment::{self, Job};
use super::shelf::Shelf;
use super::{Work, pool, timelines};
use crate::base::{PgVersion, Result, SystemId, Timeline, WalSegment, WalSegmentSize};
use crate::repo::StoredSegment;
use crate::repo::archive::WalRange;
use crate::store::StorePath;
use crate::wal::TimelineHistory;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// All archives of a stanza that were looked at.
pub(super) struct Archives {
    pub(super) shelved: Vec<Shelved>,
    /// The stanza's archive folder could be listed: what is not here is not there.
    pub(super) listed: bool,
}

/// The archive of one cluster, verified.
pub(super) struct Shelved {
    pub(super) cluster: (PgVersion, SystemId),
    pub(super) size: WalSegmentSize,
    pub(super) result: ArchiveResult,
    /// Segments that are there but not sound.
    pub(super) bad: BTreeMap<WalSegment, Verdict>,
    pub(super) dark: Vec<WalRange>,
    pub(super) shelf: Shelf,
    pub(super) histories: BTreeMap<Timeline, TimelineHistory>,
    /// Segments that were listed and then not there.
    pub(super) vanished: BTreeSet<WalSegment>,
}

impl Shelved {
    /// Takes what came out for one more file.
    pub(super) fn take(&mut self, job: &Job, judged: &Judged) {
        take(&mut self.result.counts, &mut self.result.findings, &mut self.bad, job, judged);
    }
}

/// What was found while many threads look.
#[derive(Default)]
struct Account {
    counts: Counts,
    findings: Findings,
    bad: BTreeMap<WalSegment, Verdict>,
    vanished: BTreeSet<WalSegment>,
}

/// Counts and tells what came out for one file.
fn take(
    counts: &mut Counts,
    findings: &mut Findings,
    bad: &mut BTreeMap<WalSegment, Verdict>,
    job: &Job,
    judged: &Judged,
) {
    if let Some((level, why)) = judged.told() {
        findings.add(level, &job.path, why);
    }
    if let Some(stored) = job.segment() {
        counts.add(judged.verdict());
        if *judged != Judged::Sound {
            bad.insert(stored.segment, judged.verdict());
        }
    }
}

/// Reads every file of an archive.
pub(super) fn verify(work: &Work<'_>, infos: &Infos, mut shelf: Shelf) -> Result<Shelved> {
    let cluster = infos.archive.history.get(&shelf.id.db_id).copied();
    let mut histories = BTreeMap::new();
    let account = Mutex::new(Account { findings: std::mem::take(&mut shelf.findings), ..Account::default() });
    let cipher = infos.archive.cipher_pass.as_ref();
    if infos.archive_open {
        let jobs = shelf.folders.iter().flat_map(|folder| jobs(work, &shelf, folder));
        pool::run(work, jobs, |job, buffer| {
            let judged = segment::check(work, &shelf, cipher, &job, buffer)?;
            let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
            match job.segment() {
                Some(stored) if gone(&judged) => drop(account.vanished.insert(stored.segment)),
                None if gone(&judged) => {}
                _ => {
                    let Account { counts, findings, bad, .. } = &mut *account;
                    take(counts, findings, bad, &job, &judged);
                }
            }
            if job.segment().is_some() {
                work.tally.add_file();
            }
            Ok(())
        })?;
    }
    let mut account = account.into_inner().unwrap_or_else(PoisonError::into_inner);
    if infos.archive_open {
        histories = timelines::check(work, &shelf, &mut account.findings)?;
    } else {
        let why = "was not read: archive.info holds its key, and neither it nor its copy can be used";
        account.findings.add(Level::Unknown, &shelf.folder, why);
    }
    let Account { counts, findings, bad, vanished } = account;
    let result = ArchiveResult {
        id: shelf.id.to_string(),
        segment_bytes: shelf.size.bytes(),
        segment_size_assumed: shelf.size_assumed,
        counts,
        ranges: without_vanished(&shelf.ranges.ranges, &vanished, shelf.size),
        holes: Vec::new(),
        findings,
    };
    Ok(Shelved {
        cluster: cluster.unwrap_or((shelf.id.version, SystemId(0))),
        size: shelf.size,
        result,
        bad,
        dark: shelf.dark.clone(),
        histories,
        vanished,
        shelf,
    })
}

fn gone(judged: &Judged) -> bool {
    judged.verdict() == Verdict::Bad(Fault::Missing)
}

/// The jobs of one folder. One that cannot be listed was told before; one that is gone was expired.
fn jobs(work: &Work<'_>, shelf: &Shelf, folder: &str) -> Vec<Job> {
    let listed =
        if work.cancel.requested() { Vec::new() } else { shelf.list(work, folder).unwrap_or_default() };
    let (mut jobs, mut segments) = (Vec::new(), Vec::<(StorePath, StoredSegment)>::new());
    for (name, kind) in listed {
        let Ok(path) = shelf.folder.join(folder).and_then(|path| path.join(&name)) else { continue };
        match kind {
            Archived::Segment(stored) if shelf.wanted(stored.segment) => segments.push((path, stored)),
            Archived::Partial(stored) if shelf.only.is_none() => jobs.push(Job::partial(path, stored)),
            Archived::BackupHistory(segment, offset) if shelf.only.is_none() => {
                jobs.push(Job::backup_history(path, segment, offset));
            }
            _ => {}
        }
    }
    for files in segments.chunk_by(|a, b| a.1.segment == b.1.segment) {
        jobs.extend(Job::of_segment(files));
    }
    jobs
}

/// Runs without single segments.
fn without_vanished(
    runs: &[WalRange],
    vanished: &BTreeSet<WalSegment>,
    size: WalSegmentSize,
) -> Vec<WalRange> {
    if vanished.is_empty() {
        return runs.to_vec();
    }
    let mut left = Vec::new();
    for run in runs {
        let mut first = run.first;
        for gone in vanished.range(run.first..=run.last) {
            if first < *gone {
                let last = step_back(*gone, size);
                left.push(WalRange { first, last, stored_bytes: 0 });
            }
            first = gone.next(size);
        }
        if first <= run.last {
            left.push(WalRange { first, ..*run });
        }
    }
    left
}

fn step_back(segment: WalSegment, size: WalSegmentSize) -> WalSegment {
    WalSegment::from_number(segment.timeline, segment.number(size).saturating_sub(1), size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanished_splits_its_run() {
        let size = WalSegmentSize::DEFAULT;
        let at = |number| WalSegment::from_number(Timeline(1), number, size);
        let runs = [WalRange { first: at(254), last: at(260), stored_bytes: 7 }];
        let left = |gone: &[u64]| {
            let left = without_vanished(&runs, &gone.iter().map(|n| at(*n)).collect(), size);
            left.iter().map(|run| (run.first.number(size), run.last.number(size))).collect::<Vec<_>>()
        };
        assert_eq!(left(&[]), [(254, 260)]);
        assert_eq!(left(&[254, 257, 260]), [(255, 256), (258, 259)]);
        assert_eq!(left(&[255, 256]), [(254, 254), (257, 260)]);
        assert_eq!(left(&[253, 300]), [(254, 260)]);
    }
}
