//! Looking for the record at which recovery would stop, and from there for the set.

use super::{Found, Placed, Proof, Prover, Reading, moment};
use crate::base::{Kind, Lsn, Report, Result, WalSegment};
use crate::engine::restore::ProofDepth;
use crate::model::target::{Target, TimelineChoice};
use crate::wal::{self, Happening, Record, ScanRequest, StopPoint};
use std::ops::ControlFlow;

impl<'a> Prover<'_, 'a> {
    /// A moment: the log is read from the newest set begun before it, and the stop found there decides which sets fit.
    pub(super) fn by_time(&self) -> Result<Found<'a>> {
        let Target::Time(time) = self.question.target else { return Err(Report::failed("not a time")) };
        let mut anchor =
            self.placed.iter().rfind(|p| p.set.start <= time.at).ok_or_else(|| self.before_all())?;
        loop {
            let reading = self.read(anchor, None, false)?;
            let Some(stop) = reading.outcome.stop else {
                self.end_is_real(anchor)?;
                return Err(self.past_end(&reading));
            };
            let best = self.newest_before(&stop, &anchor.path).ok_or_else(|| self.inside_backup(&stop))?;
            if best.start >= anchor.start {
                return self.answer(best, &reading, &stop);
            }
            anchor = best;
        }
    }

    /// A position: the newest set complete before it.
    pub(super) fn by_lsn(&self, lsn: Lsn) -> Result<Found<'a>> {
        let fits = |p: &&Placed<'a>| p.allowed && p.stop <= lsn;
        let placed =
            self.placed.iter().filter(fits).max_by_key(|p| p.stop).ok_or_else(|| self.before_all())?;
        let reading = self.read(placed, None, false)?;
        let Some(stop) = reading.outcome.stop else {
            self.end_is_real(placed)?;
            return Err(self.past_end(&reading));
        };
        self.answer(placed, &reading, &stop)
    }

    /// A transaction or a restore point: backwards from the newest set, one stretch between two sets at a time. A
    /// stretch that cannot be read is an obstacle only if the target is in none of the others.
    pub(super) fn by_record(&self) -> Result<Found<'a>> {
        let explicit = self.question.allowed.len() == 1;
        let (mut seen, mut obstacle, mut until) = (Vec::new(), None, None);
        for placed in self.placed.iter().rev() {
            if explicit && !placed.allowed {
                continue;
            }
            match self.stretch(placed, until) {
                Ok(reading) => {
                    if let Some(stop) = reading.outcome.stop {
                        return self.answer_in(placed, &reading, &stop);
                    }
                    self.no_savepoint(&reading)?;
                    seen.extend(reading.outcome.restore_points);
                }
                Err(report) if report.kind == Kind::Cancelled => return Err(report),
                Err(report) => drop(obstacle.get_or_insert(report)),
            }
            until = Some(placed.start);
        }
        Err(obstacle.unwrap_or_else(|| self.nowhere(&seen)))
    }

    /// Reads from a set to the next one, or to the archive's end; a stretch without the target must be whole.
    fn stretch(&self, placed: &Placed<'a>, until: Option<Lsn>) -> Result<Reading> {
        let all_names = matches!(self.question.target, Target::Name(_));
        let reading = match self.read(placed, until, all_names) {
            // Damage behind the target is no obstacle to it.
            Err(report) if all_names && report.kind != Kind::Cancelled => {
                let reading = self.read(placed, until, false).map_err(|_| report)?;
                if reading.outcome.stop.is_some() {
                    return Ok(reading);
                }
                reading
            }
            other => other?,
        };
        if reading.outcome.stop.is_none() && until.is_none_or(|until| reading.end.end_lsn < until) {
            let size = self.wal.size();
            let last = until.map(|until| self.wal.on_path(&placed.path, until.segment_number(size)));
            self.wal.listing(&placed.path, placed.first, last)?;
        }
        Ok(reading)
    }

    /// The answer for a target found in the stretch behind `placed`.
    fn answer_in(&self, placed: &Placed<'a>, reading: &Reading, stop: &StopPoint) -> Result<Found<'a>> {
        let mut warnings = Vec::new();
        self.unambiguous(reading, &mut warnings)?;
        let best = self.newest_before(stop, &placed.path).ok_or_else(|| self.inside_backup(stop))?;
        let mut found = if best.start >= placed.start {
            self.answer(best, reading, stop)?
        } else {
            // Only an older set is complete before it; its own recovery may meet the target earlier.
            let reading = self.stretch(best, None)?;
            let stop = reading.outcome.stop.ok_or_else(|| self.past_end(&reading))?;
            self.unambiguous(&reading, &mut warnings)?;
            self.answer(best, &reading, &stop)?
        };
        found.warnings.extend(warnings);
        Ok(found)
    }

    /// No record ends a sub-transaction alone.
    fn no_savepoint(&self, reading: &Reading) -> Result<()> {
        let Some(top) = reading.outcome.sub_transaction_of else { return Ok(()) };
        Err(Report::new(
            Kind::TargetUnreachable,
            format!(
                "{} is a sub-transaction (a savepoint) of transaction {top}: no record ends it alone",
                self.question.target
            ),
        )
        .hint(format!(
            "use --type=xid --target={top}{}",
            if self.question.exclusive { " --target-exclusive" } else { "" }
        )))
    }

    /// Puts set, stop and evidence together.
    fn answer(&self, placed: &Placed<'a>, reading: &Reading, stop: &StopPoint) -> Result<Found<'a>> {
        let mut warnings = Vec::new();
        self.check_outcome(placed, &reading.outcome, &mut warnings)?;
        // The segment the stop lies in, also where the stop is the first byte behind one.
        let last = self.wal.on_path(&placed.path, stop.lsn.segment_number(self.wal.size()));
        let until = (self.question.depth != ProofDepth::Full).then_some(last);
        let listing = self.wal.listing(&placed.path, placed.first, until)?;
        if self.question.depth == ProofDepth::Full {
            self.read(placed, None, true)?;
        }
        warnings.extend(self.left_behind(placed));
        let mut proof = Proof::build(self.question, placed, &listing, self.wal.size(), Some(reading));
        proof.trouble_behind = self.trouble_behind(placed, stop.replayed_to(), &mut warnings);
        Ok(Found { set: placed.set, proof, warnings })
    }

    /// A gap, conflict or damage behind the stop is no obstacle, but it is told, and the server must not read ahead
    /// into it.
    pub(super) fn trouble_behind(
        &self,
        placed: &Placed<'a>,
        stop: Lsn,
        warnings: &mut Vec<String>,
    ) -> Option<String> {
        let listed = self.wal.listing(&placed.path, placed.first, None).map(drop);
        let sound = listed.and_then(|()| self.wal.sound_ahead(&placed.path, stop, self.cancel));
        let trouble = sound.err()?.headline;
        warnings.push(format!(
            "{trouble}; it lies behind the target, what follows it cannot be recovered from this archive"
        ));
        Some(trouble)
    }

    /// A log that ended without the target must really end there: a gap is told as one.
    fn end_is_real(&self, placed: &Placed<'a>) -> Result<()> {
        self.wal.listing(&placed.path, placed.first, None).map(drop)
    }

    fn before_all(&self) -> Report {
        let report = Report::new(
            Kind::TargetUnreachable,
            format!("{} is before every backup set that may be used", self.question.target),
        );
        match self.placed.iter().find(|placed| placed.allowed) {
            Some(first) => report.hint(format!(
                "the earliest reachable point is the end of backup {} ({}): --type=immediate --set={}",
                first.set.label,
                moment(first.set.stop, first.stop),
                first.set.label
            )),
            None => report,
        }
    }

    fn inside_backup(&self, stop: &StopPoint) -> Report {
        let at = stop.time.map_or_else(|| stop.lsn.to_string(), |time| moment(time, stop.lsn));
        let report = Report::new(
            Kind::TargetUnreachable,
            format!(
                "recovery to {} would stop at {at}, before any backup set that may be used is consistent",
                self.question.target
            ),
        );
        match self.placed.iter().filter(|p| p.allowed).min_by_key(|p| p.stop) {
            Some(first) => report.hint(format!(
                "the earliest reachable point is the end of backup {} at LSN {}: --type=immediate --set={}",
                first.set.label, first.stop, first.set.label
            )),
            None => report,
        }
    }

    fn past_end(&self, reading: &Reading) -> Report {
        let end = reading.end.end_lsn;
        let last = reading.outcome.last_ended;
        let known = last.map_or_else(
            || format!("no transaction ends in the archive; it ends at LSN {end}"),
            |last| format!("the last transaction in the archive ended at {}", moment(last.time, last.lsn)),
        );
        Report::new(
            Kind::TargetUnreachable,
            format!("nothing in the archive is past {}: PostgreSQL would not reach it and refuse to start; {known}", self.question.target),
        )
        .hint("recover to the end of the archive with --type=default; if the primary lives, switch its WAL segment and wait for the archive first")
    }

    fn nowhere(&self, seen: &[wal::stop::NamedPoint]) -> Report {
        let report = Report::new(
            Kind::TargetUnreachable,
            format!(
                "{} does not occur in the archive behind any backup set that may be used",
                self.question.target
            ),
        );
        if !matches!(self.question.target, Target::Name(_)) {
            return report
                .hint("look for the transaction's end; one that is still open or prepared has none");
        }
        let known: Vec<_> =
            seen.iter().map(|p| format!("'{}' at {}", p.name, moment(p.time, p.lsn))).collect();
        report.hint(if known.is_empty() {
            "the archive has no named restore point".to_owned()
        } else {
            format!("the archive has {}", known.join(", "))
        })
    }

    /// PostgreSQL stops at the first restore point of a name; which one was meant, only a person knows.
    fn unambiguous(&self, reading: &Reading, warnings: &mut Vec<String>) -> Result<()> {
        let Target::Name(name) = self.question.target else { return Ok(()) };
        let same: Vec<_> = reading.outcome.restore_points.iter().filter(|p| *p.name == **name).collect();
        if same.len() < 2 {
            return Ok(());
        }
        let places: Vec<_> = same.iter().map(|p| moment(p.time, p.lsn)).collect();
        let refusal = Report::refused(
            "ambiguous-name",
            format!("restore point '{name}' exists more than once: {}", places.join(", ")),
        )
        .hint("choose one by its LSN with --type=lsn; by name, recovery stops at the first");
        self.question.accepted.unless_accepted(Err(refusal), warnings)
    }

    /// What a timeline that the path has left holds up to the target: it would silently be missing, or it is what was
    /// meant (transaction ids and names occur again on another timeline).
    fn left_behind(&self, placed: &Placed<'a>) -> Vec<String> {
        let mut warnings = Vec::new();
        let size = self.wal.size();
        for stretch in placed.path.stretches() {
            let Some(left) = stretch.end.filter(|end| *end > placed.start) else { continue };
            let first = WalSegment::containing(stretch.timeline, left, size);
            let Ok(own_path) = self.wal.path(stretch.timeline, Some(TimelineChoice::Current)) else {
                continue;
            };
            let request = ScanRequest {
                expected: self.wal.expected(),
                threads: 1,
                cancel: self.cancel.clone(),
                ..ScanRequest::new(own_path, first.start_lsn(size), size)
            };
            let mut branch = Branch { target: self.question.target, missed: 0, same: None };
            // Damage on a branch that is not taken is no obstacle; what was read until then still counts.
            let _end = wal::scan(&self.wal, &request, &mut |record| {
                if record.lsn < left { ControlFlow::Continue(()) } else { branch.take(record) }
            });
            let (own, target) = (stretch.timeline, placed.path.target());
            if branch.missed > 0 {
                warnings.push(format!(
                    "timeline {own} was alive at the target: {} transaction(s) committed there after {left} and before the target are not on timeline {target}; to keep them use --target-timeline={own}",
                    branch.missed
                ));
            }
            if let Some(at) = branch.same {
                warnings.push(format!(
                    "timeline {own}, which recovery leaves at {left}, has another {} at LSN {at}; if that one is meant use --target-timeline={own}",
                    self.question.target
                ));
            }
        }
        warnings
    }
}

/// What matters on a branch that recovery does not take.
struct Branch<'t> {
    target: &'t Target,
    missed: u64,
    same: Option<Lsn>,
}

impl Branch<'_> {
    fn take(&mut self, record: &Record) -> ControlFlow<()> {
        let beyond = match (self.target, &record.happening) {
            (Target::Time(time), Happening::Commit(done)) => done.time > time.at,
            (Target::Lsn(lsn), _) => record.lsn >= *lsn,
            _ => false,
        };
        if beyond {
            return ControlFlow::Break(());
        }
        let same = match (self.target, &record.happening) {
            (Target::Xid(xid), Happening::Commit(done) | Happening::Abort(done)) => done.xid == *xid,
            (Target::Name(wanted), Happening::RestorePoint { name, .. }) => **wanted == **name,
            _ => false,
        };
        if same {
            self.same = Some(record.lsn);
            return ControlFlow::Break(());
        }
        let counts = matches!(self.target, Target::Time(_) | Target::Lsn(_));
        self.missed += u64::from(counts && matches!(record.happening, Happening::Commit(_)));
        ControlFlow::Continue(())
    }
}
