//! Looking for the record at which recovery would stop, and from there for the set.

use super::{Found, Placed, Proof, Prover, Reading, moment};
use crate::base::{Kind, Lsn, Report, Result, Timestamp, WalSegment};
use crate::engine::restore::ProofDepth;
use crate::model::target::Target;
use crate::wal::{self, Happening, ScanRequest, StopPoint};
use std::ops::ControlFlow;

impl<'a> Prover<'_, 'a> {
    /// A moment: the log is read from the newest set begun before it, and the stop found there decides which sets fit.
    pub(super) fn by_time(&self) -> Result<Found<'a>> {
        let Target::Time(time) = self.question.target else { return Err(Report::failed("not a time")) };
        let mut anchor = self
            .placed
            .iter()
            .filter(|p| p.set.start <= time.at)
            .max_by_key(|p| p.stop)
            .ok_or_else(|| self.before_all())?;
        loop {
            let reading = self.read(anchor, None, false)?;
            let Some(stop) = reading.outcome.stop else {
                self.end_is_real(anchor)?;
                return Err(self.past_end(&reading));
            };
            let best = self.newest_before(&stop, &anchor.path).ok_or_else(|| self.inside_backup(&stop))?;
            if best.start >= anchor.start {
                let mut found = self.answer(best, &reading, &stop)?;
                found.warnings.extend(self.left_behind(best, time.at));
                return Ok(found);
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

    /// A transaction or a restore point: backwards from the newest set, one stretch between two sets at a time.
    pub(super) fn by_record(&self) -> Result<Found<'a>> {
        let all_names = matches!(self.question.target, Target::Name(_));
        let explicit = self.question.allowed.len() == 1;
        let mut seen = Vec::new();
        let mut until = None;
        for placed in self.placed.iter().rev() {
            if explicit && !placed.allowed {
                continue;
            }
            let reading = self.read(placed, until, all_names)?;
            if until.is_none() && reading.outcome.stop.is_none() {
                self.end_is_real(placed)?;
            }
            if let Some(top) = reading.outcome.sub_transaction_of.filter(|_| reading.outcome.stop.is_none()) {
                return Err(Report::new(
                    Kind::TargetUnreachable,
                    format!(
                        "{} is a sub-transaction (a savepoint) of transaction {top}: no record ends it alone",
                        self.question.target
                    ),
                )
                .hint(format!("use --type=xid --target={top}")));
            }
            if let Some(stop) = reading.outcome.stop {
                self.unambiguous(&reading)?;
                let best =
                    self.newest_before(&stop, &placed.path).ok_or_else(|| self.inside_backup(&stop))?;
                if best.start >= placed.start {
                    return self.answer(best, &reading, &stop);
                }
                // Only an older set is complete before it; its own recovery may meet the target earlier.
                let reading = self.read(best, None, false)?;
                let stop = reading.outcome.stop.ok_or_else(|| self.past_end(&reading))?;
                return self.answer(best, &reading, &stop);
            }
            seen.extend(reading.outcome.restore_points);
            until = Some(placed.start);
        }
        Err(self.nowhere(&seen))
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
        let proof = Proof::build(self.question, placed, &listing, self.wal.size(), Some(reading));
        Ok(Found { set: placed.set, proof, warnings })
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
    fn unambiguous(&self, reading: &Reading) -> Result<()> {
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
        self.question.accepted.unless_accepted(Err(refusal), &mut Vec::new())
    }

    /// Transactions that ended before the target on a timeline the path has left: they would silently be missing.
    fn left_behind(&self, placed: &Placed<'a>, target: Timestamp) -> Vec<String> {
        let mut warnings = Vec::new();
        for stretch in placed.path.stretches() {
            let Some(left) = stretch.end.filter(|end| *end > placed.start) else { continue };
            let size = self.wal.size();
            let first = WalSegment::containing(stretch.timeline, left, size);
            let Ok(own_path) =
                self.wal.path(stretch.timeline, Some(crate::model::target::TimelineChoice::Current))
            else {
                continue;
            };
            let request = ScanRequest {
                expected: self.wal.expected(),
                threads: 1,
                cancel: self.cancel.clone(),
                ..ScanRequest::new(own_path, first.start_lsn(size), size)
            };
            let mut missed = 0_u64;
            // Damage on a branch that is not taken is no obstacle; what was read until then still counts.
            let _end = wal::scan(&self.wal, &request, &mut |record| match &record.happening {
                Happening::Commit(done) if record.lsn >= left => {
                    if done.time > target {
                        return ControlFlow::Break(());
                    }
                    missed += 1;
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Continue(()),
            });
            if missed > 0 {
                warnings.push(format!(
                    "timeline {} was alive at the target: {missed} transaction(s) committed there after {left} and before the target are not on timeline {}; to keep them use --target-timeline={}",
                    stretch.timeline,
                    placed.path.target(),
                    stretch.timeline
                ));
            }
        }
        warnings
    }
}
