//! What a recovery is to reach: the type, the target and what happens there. Plain data.

use crate::base::{Lsn, TargetTime, Timeline, Xid};
use std::fmt;

/// Where recovery stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// At the end of the archived WAL.
    End,
    /// As soon as the backup is consistent.
    Immediate,
    /// Before the first transaction that ended after this moment.
    Time(TargetTime),
    /// After (or, exclusively, before) the record at this position.
    Lsn(Lsn),
    /// After (or, exclusively, before) this transaction.
    Xid(Xid),
    /// At a named restore point.
    Name(String),
}

impl Target {
    /// The name of the type, as `--type` takes it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::End => "default",
            Self::Immediate => "immediate",
            Self::Time(_) => "time",
            Self::Lsn(_) => "lsn",
            Self::Xid(_) => "xid",
            Self::Name(_) => "name",
        }
    }

    /// The value handed to PostgreSQL; nothing for targets without one.
    pub fn value(&self) -> Option<String> {
        match self {
            Self::End | Self::Immediate => None,
            Self::Time(time) => Some(time.text.clone()),
            Self::Lsn(lsn) => Some(lsn.to_string()),
            Self::Xid(xid) => Some(xid.to_string()),
            Self::Name(name) => Some(name.clone()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end of the archive"),
            Self::Immediate => f.write_str("the end of the backup"),
            Self::Time(time) => write!(f, "{}", time.at),
            Self::Lsn(lsn) => write!(f, "LSN {lsn}"),
            Self::Xid(xid) => write!(f, "transaction {xid}"),
            Self::Name(name) => write!(f, "restore point '{name}'"),
        }
    }
}

/// Which timeline recovery follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimelineChoice {
    /// The newest that descends from the backup's: PostgreSQL's default.
    Latest,
    /// The backup's own.
    Current,
    /// This one.
    Number(Timeline),
}

impl fmt::Display for TimelineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Current => f.write_str("current"),
            Self::Number(timeline) => write!(f, "{timeline}"),
        }
    }
}

/// What PostgreSQL does at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetAction {
    /// Wait, readable, for a decision.
    Pause,
    /// Begin a new timeline and accept writes.
    Promote,
    /// Shut down.
    Shutdown,
}

impl TargetAction {
    /// As `--target-action` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Promote => "promote",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What the restored cluster is to do when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// Recover to a target.
    To {
        /// Where.
        target: Target,
        /// Stop just before instead of just after.
        exclusive: bool,
        /// What happens there; nothing = PostgreSQL's default (pause), not written.
        action: Option<TargetAction>,
        /// Which timeline; nothing = PostgreSQL's default, not written.
        timeline: Option<TimelineChoice>,
    },
    /// Follow a primary.
    Standby {
        /// Which timeline; nothing = the newest.
        timeline: Option<TimelineChoice>,
    },
    /// Keep the recovery settings that stand in the target.
    Preserve,
    /// None: only the files.
    Nothing,
}

impl Recovery {
    /// The name of the type, as `--type` takes it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::To { target, .. } => target.type_name(),
            Self::Standby { .. } => "standby",
            Self::Preserve => "preserve",
            Self::Nothing => "none",
        }
    }
}
