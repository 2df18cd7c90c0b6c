//! The report for programs, `pgmayday.incident/1`.
//!
//! Names and forms here are a contract; members are added, never changed.

use super::{Rto, Scored, scored};
use crate::base::Timestamp;
use crate::incident::evidence::{Answered, Confirmation, Decision, Operation, Said};
use crate::incident::standing::{Loss, Standing};
use crate::incident::{Evidence, JournalLine, PhaseTime};
use crate::journal::Verification;
use crate::model::op::Mark;
use serde::Serialize;
use std::collections::BTreeMap;

/// The document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    id: &'a str,
    stanza: &'a str,
    label: Option<&'a str>,
    reason: &'a str,
    operators: Vec<&'a str>,
    detected_at: Timestamp,
    declared_at: Timestamp,
    closed_at: Option<Timestamp>,
    rto: Rto,
    rpo: Rpo,
    standing: &'a Standing,
    decisions: &'a [Decision],
    marks: &'a BTreeMap<Mark, Timestamp>,
    phases: &'a [PhaseTime],
    confirmed: &'a [Confirmation],
    operations: &'a [Operation],
    forecasts: Vec<Scored>,
    answers: &'a [Answered],
    warnings: &'a [Said],
    notes: &'a [Said],
    closing: Option<&'a Said>,
    remarks: &'a [String],
    timeline: &'a [JournalLine],
    chain: Chain<'a>,
}

/// What may be lost. What was lost is told by the confirmed plans, as a number where they proved one.
#[derive(Debug, Serialize)]
struct Rpo {
    target_s: u64,
    /// What the plan that was confirmed last gives up; nothing where it proved no moment.
    actual: Option<Loss>,
    /// True if that is within the target.
    met: Option<bool>,
}

/// How the journal stands.
#[derive(Debug, Serialize)]
struct Chain<'a> {
    sentence: String,
    #[serde(flatten)]
    verification: &'a Verification,
}

impl<'a> Document<'a> {
    /// The report of an incident.
    pub fn new(evidence: &'a Evidence) -> Self {
        let view = &evidence.view;
        Self {
            id: &view.id,
            stanza: &view.stanza,
            label: view.label.as_deref(),
            reason: &view.reason,
            operators: evidence.operators().collect(),
            detected_at: view.detected_at,
            declared_at: view.declared_at,
            closed_at: view.closed_at,
            rto: Rto::of(view),
            rpo: Rpo {
                target_s: view.rpo_s,
                actual: view.standing.loss,
                met: view.standing.loss.map(|loss| loss.lost_ms <= view.rpo_s.saturating_mul(1000)),
            },
            standing: &view.standing,
            decisions: &evidence.decisions,
            marks: &view.marks,
            phases: &view.phases,
            confirmed: &evidence.confirmed,
            operations: &evidence.operations,
            forecasts: scored(evidence),
            answers: &evidence.answers,
            warnings: &evidence.warnings,
            notes: &evidence.notes,
            closing: evidence.closing.as_ref(),
            remarks: &evidence.remarks,
            timeline: &view.lines,
            chain: Chain { sentence: view.chain.clone(), verification: &evidence.verification },
        }
    }
}
