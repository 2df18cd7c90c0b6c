//! The ways out beside each other: which are open, how long each takes, what each gives up, what becomes of the damage.
//!
//! Pure. Times come from plans whose forecast was measured, and are left out elsewhere; whether a way is open comes from
//! plans and from what the facts say to the runbook's questions. A person decides.

mod weigh;

use super::forecast::Span;
use super::plan::{Loss, RecoverPlan, RecoverRequest};
use super::question::judge::Sign;
use super::situation::Situation;
use crate::base::{Report, Timestamp};
use serde::Serialize;
use std::fmt;

/// A way back to service; what changes least comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// What stopped the old server is repaired, and it is started.
    StartOld,
    /// A standby takes over.
    Promote,
    /// The rows are taken from a copy at the target; the cluster goes on.
    Beside,
    /// The cluster is recovered to the target.
    Recover,
    /// The cluster is recovered to the end of the archive.
    RecoverLatest,
}

/// What a way gives up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "gives_up", rename_all = "snake_case")]
pub enum GivesUp {
    /// Nothing that was committed.
    Nothing,
    /// What a plan says.
    Planned(Loss),
    /// It cannot be told; why.
    Unknown {
        /// Why.
        why: String,
    },
}

impl fmt::Display for GivesUp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => out.write_str("nothing"),
            Self::Planned(loss) => loss.fmt(out),
            Self::Unknown { why } => write!(out, "not known: {why}"),
        }
    }
}

/// One way, weighed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weighed {
    /// Which.
    pub way: Way,
    /// What it is called.
    pub title: String,
    /// Whether it is open: yes, with something to know, not known, no.
    pub sign: Sign,
    /// Why, one sentence.
    pub why: String,
    /// From the confirmation to the service, or to the copy that can be read; nothing where none was measured.
    pub time: Option<Span>,
    /// What is given up.
    #[serde(flatten)]
    pub gives_up: GivesUp,
    /// What becomes of the damage, a few words.
    pub damage: String,
    /// How it is gone.
    pub how: Vec<String>,
}

/// The ways beside each other, those that are open first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Options {
    /// The target they are compared for, in words.
    pub target: String,
    /// When that was.
    pub at: Timestamp,
    /// The ways.
    pub ways: Vec<Weighed>,
}

/// A plan, or why there is none.
pub type Planned<'a> = Result<&'a RecoverPlan, &'a Report>;

/// What is weighed.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// What is asked for.
    pub request: &'a RecoverRequest,
    /// The plan for it, or why there is none.
    pub plan: Planned<'a>,
    /// The plan for the end of the archive, or why there is none; nothing if that is what is asked for.
    pub latest: Option<Planned<'a>>,
    /// What is known of the servers.
    pub situation: &'a Situation,
    /// The time.
    pub now: Timestamp,
}

impl Options {
    /// Weighs every way.
    pub fn weigh(ground: &Ground<'_>) -> Self {
        let target = ground.plan.map_or_else(|_| ground.request.in_words(), |plan| plan.target.clone());
        Self { target, at: ground.now, ways: weigh::all(ground) }
    }
}
