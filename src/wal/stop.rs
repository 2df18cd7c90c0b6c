//! Where PostgreSQL would end recovery: its own stop rule, applied to the log in order.
//!
//! Behaviour: `recoveryStopsBefore`, `recoveryStopsAfter`, `CheckRecoveryConsistency` of `xlogrecovery.c` (13 to 18 decide
//! alike). Decides nothing about which backup or timeline to take, and reads nothing itself: records are fed to it.

mod effects;

pub use effects::{Effect, EffectKind};

use super::happening::{Completion, Happening, Parameters, Prepared, WalLevel};
use super::record::{Record, manager};
use crate::base::{Lsn, Timestamp, Xid};
use effects::Effects;
use std::ops::ControlFlow;

/// Where recovery shall end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// At the end of the log.
    Latest,
    /// As soon as the backup is consistent.
    Immediate,
    /// At a moment.
    Time {
        /// The moment.
        at: Timestamp,
        /// Whether what ended exactly then is kept.
        inclusive: bool,
    },
    /// At the end of a transaction.
    Xid {
        /// The transaction.
        xid: Xid,
        /// Whether it is kept.
        inclusive: bool,
    },
    /// At a position.
    Lsn {
        /// The position.
        lsn: Lsn,
        /// Whether the record there is kept.
        inclusive: bool,
    },
    /// At the first restore point of this name.
    Name(String),
}

/// The record at which recovery ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopPoint {
    /// Where the record begins.
    pub lsn: Lsn,
    /// Where the record ends.
    pub end_lsn: Lsn,
    /// True if the record is still replayed.
    pub after: bool,
    /// The transaction whose end it is, if it is one.
    pub xid: Option<Xid>,
    /// The record's own time, if it has one.
    pub time: Option<Timestamp>,
}

impl StopPoint {
    /// The first position that is not replayed.
    pub fn replayed_to(&self) -> Lsn {
        if self.after { self.end_lsn } else { self.lsn }
    }
}

/// The end of a transaction, found on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Where its record begins.
    pub lsn: Lsn,
    /// The transaction.
    pub xid: Xid,
    /// Its time.
    pub time: Timestamp,
    /// Committed, or rolled back.
    pub committed: bool,
}

/// A named restore point, found on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPoint {
    /// Where its record begins.
    pub lsn: Lsn,
    /// When it was made.
    pub time: Timestamp,
    /// Its name.
    pub name: Box<str>,
}

/// What a recovery to the target would do, as far as the log tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Where it ends; nothing if the target was not met in the records fed.
    pub stop: Option<StopPoint>,
    /// True if the backup is consistent there; if not, PostgreSQL refuses to start (or the log ends too early).
    pub consistent: bool,
    /// The last end of a transaction that is replayed.
    pub last_ended: Option<Ended>,
    /// The last commit that is replayed.
    pub last_commit: Option<Ended>,
    /// The first commit that is not replayed.
    pub first_commit_after: Option<Ended>,
    /// The last commit that was seen and is not replayed.
    pub last_commit_after: Option<Ended>,
    /// How many commits were seen that are not replayed.
    pub commits_after: u64,
    /// Restore points seen, those behind the stop included: all of the target's name, and others up to a limit.
    pub restore_points: Vec<NamedPoint>,
    /// The top-level transaction, if the target's transaction is a sub-transaction; such a target matches nothing,
    /// unless its savepoint was rolled back.
    pub sub_transaction_of: Option<Xid>,
    /// Where the log was written with `wal_level=minimal` before the stop; PostgreSQL 14 and later refuse to go past it.
    pub minimal_wal: Option<Lsn>,
    /// Effects already in force at the stop although their transaction has not committed there.
    pub effects: Vec<Effect>,
    /// Settings the recovering server must at least have, as far as replayed records tell.
    pub parameters: Option<Parameters>,
    /// Transactions prepared but not decided at the stop.
    pub prepared: Vec<Prepared>,
    /// Where the last replayed record with a meaning begins: nothing behind it changes what is recovered.
    pub last_record: Option<Lsn>,
}

impl Outcome {
    /// The target that avoids every effect in force at the stop: exclusive, at the first of them.
    ///
    /// Nothing if there is none, or if they were in force on the original server too.
    pub fn exclusive_lsn_before_effects(&self) -> Option<Lsn> {
        self.effects.iter().filter(|effect| !effect.abandoned).map(|effect| effect.lsn).min()
    }
}

const MAX_OTHER_NAMES: usize = 1000;

/// PostgreSQL's stop rule at work.
#[derive(Debug)]
pub struct Simulation {
    target: Target,
    consistent_at: Lsn,
    begun: bool,
    effects: Effects,
    outcome: Outcome,
    replayed_to: Lsn,
}

impl Simulation {
    /// A recovery of a backup that is consistent once everything before `consistent_at` is replayed.
    ///
    /// `consistent_at` is the backup's stop LSN: the end of a record, as `pg_backup_stop` returns it.
    pub fn new(target: Target, consistent_at: Lsn) -> Self {
        let outcome = Outcome {
            stop: None,
            consistent: false,
            last_ended: None,
            last_commit: None,
            first_commit_after: None,
            last_commit_after: None,
            commits_after: 0,
            restore_points: Vec::new(),
            sub_transaction_of: None,
            minimal_wal: None,
            effects: Vec::new(),
            parameters: None,
            prepared: Vec::new(),
            last_record: None,
        };
        let effects = Effects::default();
        Self { target, consistent_at, begun: false, effects, outcome, replayed_to: Lsn::ZERO }
    }

    /// The positions the scan must watch for this target.
    pub fn watch(&self) -> Vec<Lsn> {
        match self.target {
            Target::Immediate => vec![self.consistent_at],
            Target::Lsn { lsn, .. } => vec![lsn],
            _ => Vec::new(),
        }
    }

    /// True once the stop is found.
    pub fn stopped(&self) -> bool {
        self.outcome.stop.is_some()
    }

    /// Takes the next record, from the redo position on.
    ///
    /// Breaks at the stop; fed further, it counts what is lost.
    pub fn feed(&mut self, record: &Record) -> ControlFlow<()> {
        if self.stopped() {
            self.lost(record);
            return ControlFlow::Continue(());
        }
        // Replay from a checkpoint that is its own redo position begins behind it.
        let own_checkpoint = !std::mem::replace(&mut self.begun, true)
            && matches!(&record.happening, Happening::Checkpoint(found) if found.redo == record.lsn);
        if !own_checkpoint && self.stops_before(record) {
            self.stop_at(record, false);
            self.lost(record);
            return ControlFlow::Break(());
        }
        self.replay(record);
        if !own_checkpoint && self.stops_after(record) {
            self.stop_at(record, true);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// What comes out; `end_lsn` is where the log ends, if it ended before the stop.
    pub fn finish(mut self, end_lsn: Lsn) -> Outcome {
        let reached = self.outcome.stop.map_or(end_lsn.max(self.replayed_to), |stop| stop.replayed_to());
        self.outcome.consistent = reached >= self.consistent_at;
        if self.outcome.stop.is_none() {
            self.outcome.effects = self.effects.in_force();
        }
        self.outcome
    }

    fn stops_before(&self, record: &Record) -> bool {
        match (&self.target, ended(record)) {
            (Target::Immediate, _) => record.lsn >= self.consistent_at,
            (Target::Lsn { lsn, inclusive: false }, _) => record.lsn >= *lsn,
            (Target::Xid { xid, inclusive: false }, Some(ended)) => ended.xid == *xid,
            (Target::Time { at, inclusive: true }, Some(ended)) => ended.time > *at,
            (Target::Time { at, inclusive: false }, Some(ended)) => ended.time >= *at,
            _ => false,
        }
    }

    fn stops_after(&self, record: &Record) -> bool {
        match (&self.target, &record.happening) {
            (Target::Name(wanted), Happening::RestorePoint { name, .. }) => **wanted == **name,
            (Target::Lsn { lsn, inclusive: true }, _) => record.lsn >= *lsn,
            (Target::Xid { xid, inclusive: true }, _) => ended(record).is_some_and(|ended| ended.xid == *xid),
            // Only behind a transaction's record does PostgreSQL look again whether it is consistent by now.
            (Target::Immediate, _) => record.manager == manager::XACT && record.end_lsn >= self.consistent_at,
            _ => false,
        }
    }

    fn stop_at(&mut self, record: &Record, after: bool) {
        let ended = ended(record);
        let time = match &record.happening {
            Happening::RestorePoint { time, .. } => Some(*time),
            _ => ended.map(|ended| ended.time),
        };
        let Record { lsn, end_lsn, .. } = *record;
        self.outcome.stop = Some(StopPoint { lsn, end_lsn, after, xid: ended.map(|ended| ended.xid), time });
        self.outcome.effects = self.effects.in_force();
    }

    fn replay(&mut self, record: &Record) {
        self.replayed_to = record.end_lsn;
        self.outcome.last_record = Some(record.lsn);
        self.look(record);
        self.effects.take(record);
        match &record.happening {
            Happening::Commit(_) | Happening::Abort(_) => {
                self.outcome.last_ended = ended(record);
                if let Some(commit) = ended(record).filter(|ended| ended.committed) {
                    self.outcome.last_commit = Some(commit);
                }
                let xid = ended(record).map(|ended| ended.xid);
                self.outcome.prepared.retain(|prepared| Some(prepared.xid) != xid);
            }
            Happening::Prepare(prepared) => self.outcome.prepared.push((**prepared).clone()),
            Happening::Parameters(parameters) => {
                let seen = self.outcome.parameters;
                self.outcome.parameters = Some(seen.map_or(*parameters, |seen| seen.highest(*parameters)));
            }
            _ => {}
        }
        if wal_level(&record.happening) == Some(WalLevel::Minimal) {
            self.outcome.minimal_wal.get_or_insert(record.lsn);
        }
    }

    fn lost(&mut self, record: &Record) {
        self.look(record);
        if let Some(commit) = ended(record).filter(|ended| ended.committed) {
            self.outcome.first_commit_after.get_or_insert(commit);
            self.outcome.last_commit_after = Some(commit);
            self.outcome.commits_after += 1;
        }
    }

    /// What is worth knowing on either side of the stop.
    fn look(&mut self, record: &Record) {
        if let Happening::RestorePoint { time, name } = &record.happening {
            let wanted = matches!(&self.target, Target::Name(wanted) if **wanted == **name);
            if wanted || self.outcome.restore_points.len() < MAX_OTHER_NAMES {
                let point = NamedPoint { lsn: record.lsn, time: *time, name: name.clone() };
                self.outcome.restore_points.push(point);
            }
        }
        if let Target::Xid { xid, .. } = self.target
            && let Some(top) = top_of(xid, &record.happening)
        {
            self.outcome.sub_transaction_of = Some(top);
        }
    }
}

fn ended(record: &Record) -> Option<Ended> {
    let (completion, committed) = match &record.happening {
        Happening::Commit(completion) => (completion, true),
        Happening::Abort(completion) => (completion, false),
        _ => return None,
    };
    let Completion { xid, time, .. } = *completion;
    Some(Ended { lsn: record.lsn, xid, time, committed })
}

/// The top-level transaction of `sub`, if the record tells.
fn top_of(sub: Xid, happening: &Happening) -> Option<Xid> {
    let (top, subs) = match happening {
        Happening::Commit(completion) | Happening::Abort(completion) => (completion.xid, completion.subs()),
        Happening::Assignment { top, subs } => (*top, &**subs),
        Happening::Prepare(prepared) => (prepared.xid, &*prepared.subs),
        _ => return None,
    };
    (top != sub && subs.contains(&sub)).then_some(top)
}

fn wal_level(happening: &Happening) -> Option<WalLevel> {
    match happening {
        Happening::Parameters(parameters) => Some(parameters.wal_level),
        Happening::Checkpoint(checkpoint) => checkpoint.wal_level,
        Happening::CheckpointRedo { wal_level } => Some(*wal_level),
        Happening::EndOfRecovery { wal_level, .. } => *wal_level,
        _ => None,
    }
}

#[cfg(test)]
mod tests;
