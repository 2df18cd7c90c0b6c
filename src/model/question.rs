//! The questions a runbook may ask of live facts, and what each can be answered with. Each can also be `unknown`.
//!
//! Data; [`judge`] words an answer to propose. A person decides.

pub mod judge;

/// A question and its exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionKind {
    /// Its name.
    pub name: &'static str,
    /// What it can be answered with, besides `unknown`.
    pub exits: &'static [&'static str],
}

/// Every question.
pub const QUESTIONS: &[QuestionKind] = &[
    QuestionKind { name: "primary-alive", exits: &["yes", "no"] },
    QuestionKind {
        name: "what-hinders",
        exits: &[
            "nothing",
            "disk-full",
            "archive-stuck",
            "quorum-lost",
            "certificate",
            "commits-hang",
            "read-only",
            "wraparound",
        ],
    },
    QuestionKind { name: "corruption", exits: &["none", "physical", "logical", "index"] },
    QuestionKind { name: "does-it-start", exits: &["yes", "no"] },
    QuestionKind { name: "replica-healthy", exits: &["yes", "lagging", "no"] },
    QuestionKind { name: "fenced", exits: &["yes", "no"] },
    QuestionKind { name: "failed-over", exits: &["yes", "no", "no-patroni"] },
    QuestionKind { name: "repository-usable", exits: &["yes", "stale", "no"] },
    QuestionKind { name: "committed", exits: &["yes", "no"] },
];
