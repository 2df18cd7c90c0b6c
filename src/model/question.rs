//! The questions whose answers are judged from live facts, and the exits each can have.
//!
//! A table of names; it asks and judges nothing itself.

/// One question: its name in a runbook, and its exits besides `unknown`, which every question has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionKind {
    /// The name.
    pub name: &'static str,
    /// The exits, without `unknown`.
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
