//! A mistake in a runbook's file: where it stands, what it is, and what would be right. Finds nothing itself.

use crate::base::{Kind, Report};
use serde::Serialize;
use std::fmt;

/// A place in a file, both counted from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl Place {
    /// The place of a byte of `text`; the end of the text for everything behind it.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = text.get(..end).unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1,
        }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub next: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, what, next } = self;
        write!(f, "{}:{}: {what}; {next}", place.line, place.column)
    }
}

/// All mistakes of one file as a failure of configuration.
pub fn report(file: &str, findings: &[Finding]) -> Report {
    let mistakes = match findings.len() {
        1 => "a mistake".to_owned(),
        several => format!("{several} mistakes"),
    };
    let lines = findings.iter().map(|finding| format!("{file}:{finding}"));
    let headline = format!("the runbook {file} has {mistakes} and is not used");
    Report::new(Kind::Usage, std::iter::once(headline).chain(lines).collect::<Vec<_>>().join("\n  "))
        .hint("correct the file; `pgmayday runbook check FILE` tells when it is right")
}
