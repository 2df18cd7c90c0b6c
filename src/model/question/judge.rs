//! What the facts say to a runbook's question: an exit to propose, why, and what speaks for and against it.
//!
//! Pure. Facts are evidence, never votes: one that proves something decides, however many say nothing. Unknown is never
//! a no, and a fact that is too old is unknown.

mod check;
mod committed;
mod corruption;
mod eye;
mod failover;
mod fenced;
mod hinders;
mod primary;
mod replica;
mod repository;
mod starts;

pub use check::{Checked, check};

pub use crate::model::board::judge::State as Sign;

use super::QUESTIONS;
use crate::base::Timestamp;
use crate::model::situation::Situation;
use eye::Eye;
use serde::Serialize;

/// One thing that was seen, or could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it speaks.
    pub sign: Sign,
    /// What was seen, one sentence with who it is about.
    pub text: String,
    /// When.
    pub at: Option<Timestamp>,
}

/// What is proposed as the answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// The exit; nothing where the facts do not decide: `unknown`.
    pub exit: Option<&'static str>,
    /// Why, one sentence.
    pub reason: String,
    /// What was seen.
    pub findings: Vec<Finding>,
}

/// The answer to propose to the question of this name; nothing if there is no such question.
pub fn judge(name: &str, situation: &Situation, now: Timestamp) -> Option<Proposal> {
    let kind = QUESTIONS.iter().find(|kind| kind.name == name)?;
    let eye = Eye { situation, now };
    let mut proposal = match kind.name {
        "primary-alive" => primary::judge(&eye),
        "what-hinders" => hinders::judge(&eye),
        "corruption" => corruption::judge(&eye),
        "does-it-start" => starts::judge(&eye),
        "replica-healthy" => replica::judge(&eye),
        "fenced" => fenced::judge(&eye),
        "failed-over" => failover::judge(&eye),
        "repository-usable" => repository::judge(&eye),
        "committed" => committed::judge(&eye),
        _ => return None,
    };
    // A word that is no exit of the question would lead nowhere.
    proposal.exit = proposal.exit.and_then(|exit| kind.exits.iter().copied().find(|known| *known == exit));
    Some(proposal)
}

/// What was found, on the way to a proposal.
#[derive(Debug, Default)]
struct Draft {
    findings: Vec<Finding>,
}

impl Draft {
    fn add(&mut self, sign: Sign, text: impl Into<String>, at: Option<Timestamp>) {
        let text = text.into();
        if !self.findings.iter().any(|finding| finding.text == text) {
            self.findings.push(Finding { sign, text, at });
        }
    }

    fn good(&mut self, text: impl Into<String>, at: Option<Timestamp>) {
        self.add(Sign::Ok, text, at);
    }

    fn late(&mut self, text: impl Into<String>, at: Option<Timestamp>) {
        self.add(Sign::Late, text, at);
    }

    fn bad(&mut self, text: impl Into<String>, at: Option<Timestamp>) {
        self.add(Sign::Failed, text, at);
    }

    fn unknown(&mut self, text: impl Into<String>, at: Option<Timestamp>) {
        self.add(Sign::Unknown, text, at);
    }

    fn propose(self, exit: &'static str, reason: impl Into<String>) -> Proposal {
        Proposal { exit: Some(exit), reason: reason.into(), findings: self.findings }
    }

    fn open(self, reason: impl Into<String>) -> Proposal {
        Proposal { exit: None, reason: reason.into(), findings: self.findings }
    }
}

#[cfg(test)]
mod tests;
