//! An operation written down: what it is to do, every event with its moment, what a person was asked, how it ended.
//!
//! The same records feed the screen, the text, the journal and a resumed worker. Numbers are for order and never
//! reused; clocks are for people and durations.

use super::Event;
use crate::base::state::OpId;
use crate::base::{Kind, Report, Timestamp};
use crate::model::forecast::Forecast;
use serde::{Deserialize, Serialize};

/// What an operation is to do: a command of this program, as a person could type it, and who confirmed what.
///
/// Holds no secret: options that are secret are refused on the command line of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Form of the file: `pgmayday.op/1`.
    pub schema: String,
    /// Its name.
    pub id: OpId,
    /// The stanza it works on.
    pub stanza: String,
    /// One line for people: what it does, to which cluster, to which target.
    pub summary: String,
    /// The command's words and options, without the program; the first is the command's name.
    pub arguments: Vec<String>,
    /// The folder relative paths in the arguments start from.
    pub working_dir: std::path::PathBuf,
    /// Names of the environment's variables that the configuration used; never their values.
    pub environment: Vec<String>,
    /// Who confirmed it.
    pub by: String,
    /// Digest of the plan that was shown and confirmed; nothing if it was not planned before.
    pub plan: Option<String>,
    /// The incident it belongs to.
    pub incident: Option<String>,
    /// True if a person is asked at the pause before promotion.
    pub asks: bool,
    /// How long the plan said it would take; what it took is measured against this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
}

impl Spec {
    /// The form this program writes.
    pub const SCHEMA: &'static str = "pgmayday.op/1";
}

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1, without holes.
    pub seq: u64,
    /// The wall clock.
    pub at: Timestamp,
    /// Milliseconds since boot of the host, a clock nobody can set.
    pub boot_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: RecordKind,
}

/// What a record tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum RecordKind {
    /// A worker took the operation up.
    Started {
        /// 1 for the first worker, one more for each that took over.
        attempt: u32,
        /// Every step in its order, known from the beginning.
        steps: Vec<String>,
    },
    /// Something happened in it.
    Event(Event),
    /// A person must decide before it goes on.
    Asked(Question),
    /// The person did.
    Answered {
        /// What.
        answer: Answer,
        /// Who.
        by: String,
    },
    /// Somebody asked it to stop.
    CancelRequested,
    /// It is over; nothing follows but another attempt.
    Ended(Outcome),
}

/// What a person is asked in the middle of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question, one sentence.
    pub text: String,
    /// What is known: what the checks said, how to look for oneself.
    pub evidence: Vec<String>,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is right: go on.
    Right,
    /// It is not: try the target before it, or end if there is none.
    Damaged,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was done.
    Done {
        /// What came out, in lines for people.
        lines: Vec<String>,
    },
    /// It stopped by itself, or was stopped.
    Failed {
        /// The class of the failure, as in error output: `failed`, `refused`, `cancelled`, …
        kind: String,
        /// What failed and why.
        headline: String,
        /// What was being done, innermost first.
        context: Vec<String>,
        /// What to do next.
        hint: Option<String>,
    },
}

impl From<&Report> for Outcome {
    fn from(report: &Report) -> Self {
        Self::Failed {
            kind: report.kind.name().to_owned(),
            headline: report.headline.clone(),
            context: report.context.clone(),
            hint: report.hint.clone(),
        }
    }
}

impl Outcome {
    /// True if everything was done.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// The failure as a report, for an exit code and a message; nothing if all went well.
    pub fn report(&self) -> Option<Report> {
        let Self::Failed { kind, headline, context, hint } = self else { return None };
        let kind = Kind::of_name(kind).unwrap_or(Kind::Failed);
        let mut report = Report::new(kind, headline.clone());
        report.context.clone_from(context);
        report.hint.clone_from(hint);
        Some(report)
    }
}
