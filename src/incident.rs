//! An incident: the fold of its journal, the clocks of the recovery, the report.
//!
//! Reads journals and writes to them through [`crate::journal`]; it runs nothing.

use crate::base::state::StateDir;
use crate::base::{Report, Result, Timestamp};
use crate::journal::Fact;
use crate::model::op::Mark;
use serde::Serialize;
use std::collections::BTreeMap;

/// An incident as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IncidentView {
    /// Its name, `2026-11-21-01`.
    pub id: String,
    /// The stanza.
    pub stanza: String,
    /// The environment's label.
    pub label: Option<String>,
    /// Why it was declared.
    pub reason: String,
    /// When the trouble was detected.
    pub detected_at: Timestamp,
    /// When it was declared.
    pub declared_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// How long the recovery may take, seconds.
    pub rto_s: u64,
    /// How much may be lost, seconds.
    pub rpo_s: u64,
    /// The moments reached.
    pub marks: BTreeMap<Mark, Timestamp>,
    /// The phases between them, in order.
    pub phases: Vec<PhaseTime>,
    /// From detected to service back, milliseconds, by a clock nobody can set where the boot was the same.
    pub rto_ms: Option<u64>,
    /// Every entry as a line.
    pub lines: Vec<JournalLine>,
    /// What the chain's verification says, one sentence.
    pub chain: String,
    /// True if the chain is whole.
    pub chain_ok: bool,
}

/// The time from one mark to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseTime {
    /// What was done, in an operator's words.
    pub name: String,
    /// Where it began.
    pub from: Mark,
    /// Where it ended.
    pub to: Mark,
    /// How long, milliseconds.
    pub took_ms: u64,
}

/// An entry as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalLine {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, in one line.
    pub text: String,
    /// The last eight digits of its hash.
    pub hash_tail: String,
}

/// What is said when an incident is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The stanza.
    pub stanza: String,
    /// The environment's label.
    pub label: Option<String>,
    /// Why.
    pub reason: String,
    /// When the trouble was detected; nothing = now.
    pub detected_at: Option<Timestamp>,
    /// How long the recovery may take, seconds.
    pub rto_s: u64,
    /// How much may be lost, seconds.
    pub rpo_s: u64,
}

/// The incidents of one state directory.
#[derive(Debug, Clone)]
pub struct Incidents {
    state: StateDir,
}

impl Incidents {
    /// The incidents under `state`.
    pub fn new(state: StateDir) -> Self {
        Self { state }
    }

    /// Declares one; its name.
    pub fn declare(&self, _actor: &str, _declaration: &Declaration) -> Result<String> {
        Err(Report::failed(self.state.root().display().to_string()))
    }

    /// The newest incident of a stanza that is not closed.
    pub fn open_one(&self, _stanza: &str) -> Result<Option<IncidentView>> {
        Ok(None)
    }

    /// Appends a fact to an incident.
    pub fn append(&self, _id: &str, _actor: &str, _fact: &Fact) -> Result<()> {
        Ok(())
    }

    /// One incident, folded from its journal, chain verified.
    pub fn view(&self, _id: &str) -> Result<IncidentView> {
        Err(Report::failed(""))
    }

    /// All of them, newest first; what cannot be read is told among the second.
    pub fn list(&self) -> Result<(Vec<IncidentView>, Vec<String>)> {
        Ok((Vec::new(), Vec::new()))
    }
}
