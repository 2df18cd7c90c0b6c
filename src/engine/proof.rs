//! Can the target be reached, from which backup set, and where exactly does recovery stop?
//!
//! Nothing here trusts a clock where the log can tell: PostgreSQL's own stop rule is applied to the archived records
//! in their order, the set is chosen by LSN on the timeline path that recovery will take, and every segment on the
//! way is known to be there. Reads only; what cannot be proven is refused with the nearest target that can.

mod archived;
mod search;
mod shown;

use crate::base::{Kind, Lsn, PgVersion, Report, Result, SystemId, Timeline, Timestamp, WalSegment};
use crate::codec;
use crate::engine::restore::{ProofDepth, Request};
use crate::model::op::Cancel;
use crate::model::target::{Recovery, Target, TimelineChoice};
use crate::repo::{Archive, ArchiveId, BackupEntry, BackupInfo};
use crate::wal::scan::EndReason;
use crate::wal::{
    self, OpenQuestion, Outcome, ScanEnd, ScanRequest, Simulation, StopPoint, TimelinePath, prove_history,
};
use archived::{ArchivedWal, Listing};
use std::ops::ControlFlow;

pub use shown::{Proof, Stop};

/// What is asked about one repository.
#[derive(Debug)]
pub struct Question<'a> {
    /// The backups' major version.
    pub version: PgVersion,
    /// Where recovery is to stop.
    pub target: &'a Target,
    exclusive: bool,
    timeline: Option<TimelineChoice>,
    system_id: SystemId,
    db_id: u32,
    /// Sets that may be restored, oldest first.
    allowed: Vec<&'a BackupEntry>,
    /// All online sets of the cluster, oldest first: the log may be read from any of them.
    known: Vec<&'a BackupEntry>,
    depth: ProofDepth,
    accepted: &'a Request,
}

impl<'a> Question<'a> {
    /// The question a request asks; `allowed` are the sets it may use, oldest first, at least one.
    pub fn new(
        request: &'a Request,
        target: &'a Target,
        info: &'a BackupInfo,
        allowed: &[&'a BackupEntry],
    ) -> Result<Self> {
        let newest = allowed.last().ok_or_else(|| Report::failed("no backup set may be used"))?;
        let history = info.history.get(&newest.db_id).ok_or_else(|| {
            Report::damaged(format!(
                "backup.info does not know the cluster (db id {}) of backup {}",
                newest.db_id, newest.label
            ))
        })?;
        let (exclusive, timeline) = match &request.recovery {
            Recovery::To { exclusive, timeline, .. } => (*exclusive, *timeline),
            _ => (false, None),
        };
        let immediate = *target == Target::Immediate && timeline.is_none();
        let mut known: Vec<_> =
            info.backups.values().filter(|b| b.db_id == newest.db_id && b.online).collect();
        known.sort_by_key(|b| (b.stop, &b.label));
        let depth = request.prove.unwrap_or(match target {
            Target::End | Target::Immediate => ProofDepth::Listing,
            _ => ProofDepth::Scan,
        });
        Ok(Self {
            version: history.version,
            target,
            exclusive,
            timeline: if immediate { Some(TimelineChoice::Current) } else { timeline },
            system_id: history.system_id,
            db_id: newest.db_id,
            allowed: allowed.to_vec(),
            known,
            depth,
            accepted: request,
        })
    }

    fn simulated(&self) -> wal::Target {
        let inclusive = !self.exclusive;
        match self.target {
            Target::End => wal::Target::Latest,
            Target::Immediate => wal::Target::Immediate,
            Target::Time(time) => wal::Target::Time { at: time.at, inclusive },
            Target::Lsn(lsn) => wal::Target::Lsn { lsn: *lsn, inclusive },
            Target::Xid(xid) => wal::Target::Xid { xid: *xid, inclusive },
            Target::Name(name) => wal::Target::Name(name.clone()),
        }
    }
}

/// The answer: a set and why it will do.
#[derive(Debug)]
pub struct Found<'a> {
    /// The set to restore.
    pub set: &'a BackupEntry,
    /// Why the target can be reached from it.
    pub proof: Proof,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// A set on the path a recovery from it takes.
#[derive(Debug, Clone)]
struct Placed<'a> {
    set: &'a BackupEntry,
    path: TimelinePath,
    first: WalSegment,
    start: Lsn,
    stop: Lsn,
    allowed: bool,
}

/// What reading the log from a set's start gave.
struct Reading {
    outcome: Outcome,
    end: ScanEnd,
}

/// Everything the search works with.
struct Prover<'q, 'a> {
    question: &'q Question<'a>,
    wal: ArchivedWal,
    threads: usize,
    cancel: &'q Cancel,
    /// Sets whose recovery path is sound, by their place in the log.
    placed: Vec<Placed<'a>>,
}

/// The set pgBackRest's rule by clock and position would take; for versions whose WAL is not read.
pub fn by_clock<'a>(question: &Question<'a>) -> Option<&'a BackupEntry> {
    let fits = |set: &&&'a BackupEntry| match question.target {
        Target::Time(time) => set.stop < time.at,
        Target::Lsn(lsn) => set.lsn_stop.is_some_and(|stop| stop <= *lsn),
        _ => true,
    };
    question.allowed.iter().rev().find(fits).copied()
}

/// Finds the newest set from which the target can be reached, and proves it.
pub fn find<'a>(
    question: &Question<'a>,
    archive: &Archive,
    threads: usize,
    cancel: &Cancel,
) -> Result<Found<'a>> {
    let id = ArchiveId { version: question.version, db_id: question.db_id };
    let sets = question.allowed.iter().rev().chain(question.known.iter().rev());
    let firsts = sets.filter_map(|set| set.archive_start);
    let salvage = question.accepted.salvage.as_deref();
    let wal = ArchivedWal::open(archive, id, question.system_id, firsts, salvage)?;
    let mut prover = Prover { question, wal, threads, cancel, placed: Vec::new() };
    prover.place()?;
    let mut found = match question.target {
        Target::End | Target::Immediate => prover.without_search(),
        Target::Time(_) => prover.by_time(),
        Target::Lsn(lsn) => prover.by_lsn(*lsn),
        Target::Xid(_) | Target::Name(_) => prover.by_record(),
    }?;
    found.warnings.extend(prover.history_is_true(&found)?);
    prover.latest_is_newest(&found)?;
    found.warnings.dedup();
    Ok(found)
}

impl<'a> Prover<'_, 'a> {
    /// Keeps the sets that lie on the path a recovery from them would take.
    fn place(&mut self) -> Result<()> {
        let mut refusals = Vec::new();
        for set in &self.question.known {
            let (Some(first), Some(start), Some(stop)) = (set.archive_start, set.lsn_start, set.lsn_stop)
            else {
                continue;
            };
            let allowed = self.question.allowed.iter().any(|a| a.label == set.label);
            let path = match self.wal.path(first.timeline, self.question.timeline) {
                Ok(path) => path,
                Err(report) if report.kind == Kind::TargetUnreachable && !allowed => continue,
                Err(report) => return Err(report),
            };
            // A backup that spans a fork would need records of both branches.
            if path.passes(first.timeline, start) && path.passes(first.timeline, stop) {
                self.placed.push(Placed { set, path, first, start, stop, allowed });
            } else if allowed {
                refusals.push(off_path(set, &path, first.timeline, stop));
            }
        }
        // By what they hold: a clock that was set makes the times lie.
        self.placed.sort_by_key(|placed| (placed.path.target(), placed.stop));
        if self.placed.iter().any(|placed| placed.allowed) {
            return Ok(());
        }
        let why = refusals.pop().unwrap_or_else(|| "no backup set names the WAL it needs".to_owned());
        let current = self
            .question
            .allowed
            .last()
            .and_then(|set| set.archive_start)
            .map_or(Timeline(1), |first| first.timeline);
        Err(Report::new(Kind::TargetUnreachable, why).hint(format!(
            "recover along the backup's own timeline with --target-timeline={current}, or use an older set"
        )))
    }

    /// "Latest" is what the history files tell: segments of a timeline above that one prove that a file is missing.
    fn latest_is_newest(&self, found: &Found<'_>) -> Result<()> {
        if !matches!(self.question.timeline, None | Some(TimelineChoice::Latest)) {
            return Ok(());
        }
        let taken = Timeline(found.proof.timeline);
        let Some(newer) = self.wal.timelines()?.into_iter().find(|timeline| *timeline > taken) else {
            return Ok(());
        };
        Err(Report::new(
            Kind::TargetUnreachable,
            format!(
                "the archive has WAL of timeline {newer} but not the history that leads there: recovery would end on timeline {taken} without what was written later"
            ),
        )
        .hint(format!(
            "archive {} from the pg_wal of the server that was promoted to it; or, if timeline {taken} is meant, say so with --target-timeline={taken}",
            newer.history_file()
        )))
    }

    /// The end of the archive, or of the backup.
    fn without_search(&self) -> Result<Found<'a>> {
        let placed = self.newest_allowed().ok_or_else(|| Report::failed("no set is on the path"))?.clone();
        let immediate = *self.question.target == Target::Immediate;
        let until = if immediate { placed.set.archive_stop } else { None };
        let listing = self.wal.listing(&placed.path, placed.first, until)?;
        self.wal.check_headers(&placed.path, placed.first, &listing, self.cancel)?;
        self.reaches(&placed, &listing, immediate)?;
        let reading = if self.question.depth == ProofDepth::Listing {
            if immediate { None } else { self.read_tail(&placed, &listing)? }
        } else {
            Some(self.read(&placed, None, false)?)
        };
        let mut warnings = Vec::new();
        if let Some(reading) = &reading {
            self.complete(&placed, reading, &listing)?;
            warnings.extend(unfinished_end(&reading.end));
            self.check_outcome(&placed, &reading.outcome, &mut warnings)?;
        }
        let mut proof = Proof::build(self.question, &placed, &listing, self.wal.size(), reading.as_ref());
        if immediate {
            proof.trouble_behind = self.trouble_behind(&placed, placed.stop, &mut warnings);
        }
        Ok(Found { set: placed.set, proof, warnings })
    }

    /// A recovery to the end must have read every segment the listing shows, and be consistent by then.
    fn complete(&self, placed: &Placed<'a>, reading: &Reading, listing: &Listing) -> Result<()> {
        if reading.outcome.stop.is_some()
            || reading.end.end_lsn.segment_number(self.wal.size()) >= listing.last.number(self.wal.size())
        {
            return Ok(());
        }
        Err(Report::new(
            Kind::TargetUnreachable,
            format!(
                "the log of backup {} ends at LSN {} although the archive goes on to {}",
                placed.set.label, reading.end.end_lsn, listing.last
            ),
        )
        .hint(match reading.outcome.last_ended {
            Some(last) => format!(
                "the last transaction before that can be reached with --type=lsn --target={}",
                last.lsn
            ),
            None => "choose a target before that position".to_owned(),
        }))
    }

    /// The archive must make the backup consistent, and have WAL of the timeline recovery is to end on: without it
    /// PostgreSQL would read the older timeline's segment instead, past the fork.
    fn reaches(&self, placed: &Placed<'a>, listing: &Listing, immediate: bool) -> Result<()> {
        let size = self.wal.size();
        if let Some(stop) =
            placed.set.archive_stop.filter(|stop| listing.last.number(size) < stop.number(size))
        {
            return Err(Report::new(
                Kind::TargetUnreachable,
                format!(
                    "the archive ends at WAL segment {}, but backup {} is consistent only at the end of {stop}",
                    listing.last, placed.set.label
                ),
            )
            .hint("look for the missing segments in the primary's or a standby's pg_wal; or use an older set"));
        }
        let (last, target) = (listing.last.timeline, placed.path.target());
        if immediate || last == target {
            return Ok(());
        }
        Err(Report::new(
            Kind::TargetUnreachable,
            format!(
                "timeline {target} has a history file but no WAL in the archive: recovery would end on timeline {last}"
            ),
        )
        .hint(format!(
            "archive the segments of timeline {target} from the server that was promoted, or recover along the older one with --target-timeline={last}"
        )))
    }

    /// The last commit of the archive, from its last segments only.
    fn read_tail(&self, placed: &Placed<'a>, listing: &Listing) -> Result<Option<Reading>> {
        /// Enough to meet a commit on any cluster that has commits.
        const TAIL_SEGMENTS: u64 = 8;
        let size = self.wal.size();
        let last = listing.last.number(size);
        let from = last.saturating_sub(TAIL_SEGMENTS - 1);
        if from <= placed.first.number(size) {
            return self.read(placed, None, false).map(Some);
        }
        let tail = Placed {
            start: WalSegment::from_number(Timeline(1), from, size).start_lsn(size),
            ..placed.clone()
        };
        self.read(&tail, None, false).map(Some)
    }

    /// Applies the stop rule from a set's start; with `beyond` reads on behind the stop.
    fn read(&self, placed: &Placed<'a>, until: Option<Lsn>, beyond: bool) -> Result<Reading> {
        let mut simulation = Simulation::new(self.question.simulated(), placed.stop);
        let request = ScanRequest {
            until,
            expected: self.wal.expected(),
            watch: simulation.watch(),
            zstd: Some(codec::unpack_zstd),
            threads: self.threads,
            cancel: self.cancel.clone(),
            ..ScanRequest::new(placed.path.clone(), placed.start, self.wal.size())
        };
        let end = wal::scan(&self.wal, &request, &mut |record| match simulation.feed(record) {
            ControlFlow::Break(()) if !beyond => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .map_err(|error| {
            let forks = forks(&placed.path);
            Report::from(error).context(format!("reading WAL from backup {} on{forks}", placed.set.label))
        })?;
        let outcome = simulation.finish(end.end_lsn);
        Ok(Reading { outcome, end })
    }

    fn newest_allowed(&self) -> Option<&Placed<'a>> {
        self.placed.iter().rev().find(|placed| placed.allowed)
    }

    /// The newest set that is consistent before the stop, on the same path.
    fn newest_before(&self, stop: &StopPoint, path: &TimelinePath) -> Option<&Placed<'a>> {
        let fits = |p: &&Placed<'a>| p.allowed && p.stop <= stop.lsn && p.path.target() == path.target();
        self.placed.iter().filter(fits).max_by_key(|p| p.stop)
    }

    /// Refuses what PostgreSQL would refuse, or worse, accept.
    fn check_outcome(
        &self,
        placed: &Placed<'a>,
        outcome: &Outcome,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        if let Some(lsn) = outcome.minimal_wal {
            return Err(Report::new(
                Kind::TargetUnreachable,
                format!(
                    "the log was written with wal_level=minimal at LSN {lsn}: recovery cannot go past it"
                ),
            )
            .hint("restore a set made after that, or choose a target before it"));
        }
        if let Some(lsn) = outcome.exclusive_lsn_before_effects() {
            let effects: Vec<_> =
                outcome.effects.iter().filter(|e| !e.abandoned).map(shown::effect).collect();
            let refusal = Report::refused(
                "half-done-drop",
                format!(
                    "stopping at {} leaves {}: the drop takes effect before its transaction commits",
                    self.question.target,
                    effects.join(" and ")
                ),
            )
            .hint(format!("use --type=lsn --target={lsn} --target-exclusive, which stops just before it"));
            self.question.accepted.unless_accepted(Err(refusal), warnings)?;
        }
        for prepared in &outcome.prepared {
            warnings.push(format!(
                "prepared transaction '{}' (xid {}) is undecided at the target and will hold its locks: commit or roll it back afterwards",
                prepared.gid, prepared.xid
            ));
        }
        if placed.set.page_error == Some(true) {
            warnings.push(format!("backup {} has pages with wrong checksums", placed.set.label));
        }
        Ok(())
    }

    /// History files carry no checksum: every fork on the path is compared with the log itself. Gives what looks like
    /// damage and decides nothing; that WAL of an old fork is expired is no news.
    fn history_is_true(&self, found: &Found<'a>) -> Result<Option<String>> {
        let placed = self.placed.iter().find(|p| p.set.label == found.set.label);
        let Some(target) = placed.map(|p| p.path.target()).filter(|target| *target > Timeline(1)) else {
            return Ok(None);
        };
        let proof = prove_history(&self.wal, target, self.wal.size(), self.wal.expected())?;
        let odd = |question: &&OpenQuestion| matches!(question, OpenQuestion::Reason { .. });
        Ok(proof.open_questions.iter().find(odd).map(ToString::to_string))
    }
}

/// An archived segment is whole; one that is not was pushed by hand, and its log ends where it ends.
fn unfinished_end(end: &ScanEnd) -> Option<String> {
    matches!(end.reason, EndReason::Unwritten(_)).then(|| {
        format!(
            "the archive's last WAL segment is not written to its end: recovery ends at LSN {}",
            end.end_lsn
        )
    })
}

fn off_path(set: &BackupEntry, path: &TimelinePath, own: Timeline, stop: Lsn) -> String {
    match path.stretch(own).and_then(|stretch| stretch.end) {
        Some(end) => format!(
            "timeline {} left timeline {own} at {end}, before backup {} was complete ({stop}): it cannot be recovered along timeline {}",
            path.target(),
            set.label,
            path.target()
        ),
        None => format!(
            "timeline {} does not descend from timeline {own}, on which backup {} was made",
            path.target(),
            set.label
        ),
    }
}

/// A moment for messages.
fn moment(time: Timestamp, lsn: Lsn) -> String {
    format!("{time} (LSN {lsn})")
}

/// Which history decides where the log is read, if any does: damage there looks like damage of a segment.
fn forks(path: &TimelinePath) -> String {
    let forks =
        path.stretches().iter().skip(1).map(|s| format!("timeline {} begins at {}", s.timeline, s.begin));
    let forks: Vec<_> = forks.collect();
    if forks.is_empty() {
        return String::new();
    }
    format!("; {} says: {}", path.target().history_file(), forks.join(", "))
}
