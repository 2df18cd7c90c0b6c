//! What a probe found, how old that is, and the difference between "no" and "could not look".

use crate::base::Timestamp;
use serde::{Deserialize, Serialize};

/// What is said of a look that did not come back in time: nothing about what is there.
pub const SILENT: &str = "no answer";

/// The answer of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer<T> {
    /// Nobody has looked yet.
    Pending,
    /// It was seen.
    Known {
        /// What.
        value: T,
    },
    /// It could not be looked at; says nothing about what is there.
    Unknown {
        /// Why.
        why: String,
    },
    /// It was looked at and is broken.
    Failed {
        /// How.
        why: String,
    },
}

/// An answer and its age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact<T> {
    /// The last answer.
    #[serde(flatten)]
    pub answer: Answer<T>,
    /// When it was given; nothing while pending.
    pub at: Option<Timestamp>,
    /// Since when the answer is of this kind (known, unknown, failed): "refused for 12 s".
    pub since: Option<Timestamp>,
    /// Since when the probe that is under way now has been waiting.
    pub asked: Option<Timestamp>,
}

impl<T> Default for Fact<T> {
    fn default() -> Self {
        Self { answer: Answer::Pending, at: None, since: None, asked: None }
    }
}

impl<T> Fact<T> {
    /// A fact seen just now.
    pub fn known(value: T, at: Timestamp) -> Self {
        Self { answer: Answer::Known { value }, at: Some(at), since: Some(at), asked: None }
    }

    /// The value, if it was seen.
    pub fn value(&self) -> Option<&T> {
        match &self.answer {
            Answer::Known { value } => Some(value),
            _ => None,
        }
    }

    /// Takes a new answer; keeps since when answers have been of this kind.
    pub fn answered(&mut self, answer: Answer<T>, at: Timestamp) {
        if std::mem::discriminant(&answer) != std::mem::discriminant(&self.answer) || self.since.is_none() {
            self.since = Some(at);
        }
        self.answer = answer;
        self.at = Some(at);
        self.asked = None;
    }
}
