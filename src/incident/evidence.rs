//! Everything a journal tells about an incident, put in order for a report: who, what, how long, by which command.
//!
//! Takes only what the entries say; nothing is worked out that they do not know, and no number is made up.

use super::course::{Course, Moment};
use super::{IncidentView, fold, words};
use crate::base::Timestamp;
use crate::journal::{Contents, Entry, Fact, Verification};
use crate::model::forecast::Forecast;
use crate::model::op::Answer;
use serde::Serialize;

/// An incident with everything that is told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The incident as it stands.
    pub view: IncidentView,
    /// What verifying its journal found.
    pub verification: Verification,
    /// The people and programs that wrote to it, in the order in which they came.
    pub actors: Vec<String>,
    /// The answers to the runbook's questions.
    pub decisions: Vec<Decision>,
    /// The plans that were confirmed.
    pub confirmed: Vec<Confirmation>,
    /// The operations, in the order in which they began.
    pub operations: Vec<Operation>,
    /// The questions that were answered.
    pub answers: Vec<Answered>,
    /// What was to be known.
    pub warnings: Vec<Said>,
    /// What people wrote down.
    pub notes: Vec<Said>,
    /// What was said at the end.
    pub closing: Option<Said>,
    /// What to know about the clocks and the attempts behind the numbers.
    pub remarks: Vec<String>,
}

/// An answer to a question of a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// The runbook.
    pub runbook: String,
    /// The question's node.
    pub node: String,
    /// The exit that was taken.
    pub exit: String,
    /// The exit that was proposed.
    pub proposed: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The evidence as it was shown.
    pub findings: Vec<String>,
}

/// A plan that was confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// The operation made of it.
    pub operation: String,
    /// What it does, as it was shown.
    pub summary: String,
    /// The exact command.
    pub command: String,
    /// Digest of the plan.
    pub digest: String,
    /// The word that was typed.
    pub typed: String,
    /// How long it was to take.
    pub forecast: Option<Forecast>,
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Its name.
    pub id: String,
    /// When it was first told of.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// True if everything was done; nothing while it runs, or if its end was never told.
    pub done: Option<bool>,
    /// From the first worker to the end.
    pub took_ms: Option<u64>,
    /// How many workers took it up.
    pub attempts: u32,
    /// The steps that ended well.
    pub steps: Vec<DoneStep>,
    /// What came out, or what failed and why.
    pub lines: Vec<String>,
    #[serde(skip)]
    begin: Moment,
}

/// A step that ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoneStep {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub took_ms: u64,
    /// What came out.
    pub detail: String,
}

/// A question that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// The operation that asked.
    pub operation: String,
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: Answer,
}

/// A sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// The operation it is about.
    pub operation: Option<String>,
    /// What.
    pub text: String,
}

impl Evidence {
    /// What these lines tell.
    pub(super) fn of(id: &str, contents: &Contents, verification: Verification) -> Self {
        let mut evidence = Self {
            view: fold::view(id, contents, &verification),
            verification,
            actors: Vec::new(),
            decisions: Vec::new(),
            confirmed: Vec::new(),
            operations: Vec::new(),
            answers: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            closing: None,
            remarks: Vec::new(),
        };
        contents.entries().for_each(|entry| evidence.take(entry));
        evidence.remarks = remarks(contents, &evidence);
        evidence
    }

    /// The people, without the programs that wrote on their behalf.
    pub fn operators(&self) -> impl Iterator<Item = &str> {
        self.actors.iter().map(String::as_str).filter(|actor| !["worker", "journal"].contains(actor))
    }

    fn take(&mut self, entry: &Entry) {
        if !self.actors.contains(&entry.actor) {
            self.actors.push(entry.actor.clone());
        }
        let (at, by) = (entry.at, entry.actor.clone());
        let said = |operation: Option<&String>, text: &str| Said {
            at,
            by: by.clone(),
            operation: operation.cloned(),
            text: text.to_owned(),
        };
        match &entry.fact {
            Fact::Note { text } => self.notes.push(said(None, text)),
            Fact::Warning { operation, text } => self.warnings.push(said(operation.as_ref(), text)),
            Fact::Closed { text } => self.closing = Some(said(None, text)),
            Fact::Confirmed { digest, summary, command, typed, operation, forecast, .. } => {
                self.confirmed.push(Confirmation {
                    at,
                    by,
                    operation: operation.clone(),
                    summary: summary.clone(),
                    command: command.clone(),
                    digest: digest.clone(),
                    typed: typed.clone(),
                    forecast: forecast.clone(),
                });
            }
            Fact::NodeAnswered { runbook, node, exit, proposed, reason, findings } => {
                self.decisions.push(Decision {
                    at,
                    by,
                    runbook: runbook.clone(),
                    node: node.clone(),
                    exit: exit.clone(),
                    proposed: proposed.clone(),
                    reason: reason.clone(),
                    findings: findings.clone(),
                });
            }
            Fact::Answered { operation, question, answer } => self.answers.push(Answered {
                at,
                by,
                operation: operation.clone(),
                question: question.clone(),
                answer: *answer,
            }),
            _ => self.take_operation(entry),
        }
    }

    fn take_operation(&mut self, entry: &Entry) {
        match &entry.fact {
            Fact::OperationStarted { operation, attempt } => {
                let operation = self.operation(operation, entry);
                operation.attempts = operation.attempts.max(*attempt);
                // What an earlier worker ended with is not how it ended.
                (operation.ended_at, operation.done, operation.took_ms) = (None, None, None);
            }
            Fact::Step { operation, step, took_ms, detail } => {
                let step = DoneStep { name: step.clone(), took_ms: *took_ms, detail: detail.clone() };
                self.operation(operation, entry).steps.push(step);
            }
            Fact::OperationEnded { operation, done, lines } => {
                let operation = self.operation(operation, entry);
                operation.ended_at = Some(entry.at);
                operation.done = Some(*done);
                operation.took_ms = Some(operation.begin.until(&Moment::of(entry)).ms);
                operation.lines.clone_from(lines);
            }
            _ => {}
        }
    }

    fn operation(&mut self, id: &str, entry: &Entry) -> &mut Operation {
        let known = self.operations.iter().position(|operation| operation.id == id);
        let at = known.unwrap_or_else(|| {
            self.operations.push(Operation {
                id: id.to_owned(),
                started_at: entry.at,
                ended_at: None,
                done: None,
                took_ms: None,
                attempts: 1,
                steps: Vec::new(),
                lines: Vec::new(),
                begin: Moment::of(entry),
            });
            self.operations.len() - 1
        });
        &mut self.operations[at]
    }
}

/// What a reader of the numbers must know.
fn remarks(contents: &Contents, evidence: &Evidence) -> Vec<String> {
    let mut course = Course::default();
    contents.entries().for_each(|entry| course.apply(entry));
    let mut remarks = Vec::new();
    let by_wall: Vec<String> = course
        .phases()
        .into_iter()
        .filter(|(phase, wall)| *wall && phase.from != crate::model::op::Mark::Detected)
        .map(|(phase, _)| format!("\"{}\"", phase.name))
        .collect();
    if !by_wall.is_empty() {
        remarks.push(format!(
            "The host or its boot changed during {}: this time is the wall clock's.",
            by_wall.join(", ")
        ));
    }
    if course.again > 0 {
        remarks.push(
            "A part was done more than once; moments are those of the last attempt, and the time of the attempts \
             before it is in the phase that leads to its first moment."
                .to_owned(),
        );
    }
    let entries: Vec<&Entry> = contents.entries().collect();
    for pair in entries.windows(2) {
        let [before, after] = pair else { continue };
        let back_ms = before.at.0.saturating_sub(after.at.0) / 1000;
        if back_ms > 0 {
            let back = words::duration(u64::try_from(back_ms).unwrap_or(0));
            remarks.push(format!("The wall clock went back by {back} before entry {}.", after.seq));
        }
    }
    if evidence.view.detected_at > evidence.view.declared_at {
        remarks
            .push("The detection is dated after the declaration; it counts from the declaration.".to_owned());
    }
    remarks
}
