//! What a look at a server or a repository found: one line each, good, doubtful or bad, with what to do next.
//!
//! Plain values; nothing is looked at here and nothing is printed.

use crate::base::{Kind, Report, Result};
use serde::{Serialize, Serializer};

/// How a finding was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but an operator should know.
    Warn,
    /// Does not work; the kind decides the exit code.
    Fail(Kind),
}

impl Verdict {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail(_) => "fail",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose it is: `pg1`, `repo2`; empty if it concerns the whole.
    pub subject: String,
    /// What was looked at, for example `archive_mode`.
    pub name: &'static str,
    /// How it was judged.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do next.
    pub next: Option<String>,
}

impl Finding {
    /// Text and advice as one sentence.
    pub fn in_words(&self) -> String {
        let next = self.next.as_ref().map_or(String::new(), |next| format!(" ({next})"));
        format!("{}{}{next}", self.whose(), self.text)
    }

    fn whose(&self) -> String {
        if self.subject.is_empty() { String::new() } else { format!("{}: ", self.subject) }
    }

    /// The finding as a failure.
    fn report(&self, kind: Kind) -> Report {
        let report = Report::new(kind, format!("{}{}", self.whose(), self.text));
        match &self.next {
            Some(next) => report.hint(next.clone()),
            None => report,
        }
    }
}

/// Findings in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Findings {
    /// All of them.
    pub all: Vec<Finding>,
}

impl Findings {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn add(&mut self, name: &'static str, verdict: Verdict, text: String, next: Option<String>) {
        self.all.push(Finding { subject: String::new(), name, verdict, text, next });
    }

    /// As it should be.
    pub fn ok(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, Verdict::Ok, text.into(), None);
    }

    /// Works, but an operator should know.
    pub fn warn(&mut self, name: &'static str, text: impl Into<String>, next: Option<String>) {
        self.add(name, Verdict::Warn, text.into(), next);
    }

    /// Does not work.
    pub fn fail(&mut self, name: &'static str, kind: Kind, text: impl Into<String>, next: Option<String>) {
        self.add(name, Verdict::Fail(kind), text.into(), next);
    }

    /// Does not work, for the reason of a report.
    pub fn failed(&mut self, name: &'static str, report: Report) {
        let text =
            report.context.iter().fold(report.headline, |text, doing| format!("{text} (while {doing})"));
        self.add(name, Verdict::Fail(report.kind), text, report.hint);
    }

    /// Takes over the findings about `subject`.
    pub fn take(&mut self, subject: &str, of: Self) {
        self.all.extend(of.all.into_iter().map(|finding| Finding { subject: subject.to_owned(), ..finding }));
    }

    /// The first that failed.
    pub fn first_failure(&self) -> Option<(&Finding, Kind)> {
        self.all.iter().find_map(|finding| match finding.verdict {
            Verdict::Fail(kind) => Some((finding, kind)),
            _ => None,
        })
    }

    /// True if nothing failed.
    pub fn passed(&self) -> bool {
        self.first_failure().is_none()
    }

    /// For work that can only go on if nothing failed: the warnings, or the first failure with the others as context.
    pub fn require(self) -> Result<Vec<String>> {
        let Some((first, kind)) = self.first_failure() else {
            let warns = |finding: &Finding| finding.verdict == Verdict::Warn;
            return Ok(self.all.into_iter().filter(warns).map(|finding| finding.in_words()).collect());
        };
        let others =
            self.all.iter().filter(|other| matches!(other.verdict, Verdict::Fail(_)) && *other != first);
        let mut report = first.report(kind);
        let others: Vec<&str> = others.map(|other| other.text.as_str()).collect();
        if !others.is_empty() {
            report.headline = format!("{}; also: {}", report.headline, others.join("; "));
        }
        Err(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_only_without_failures() {
        let mut found = Findings::new();
        found.ok("version", "15");
        found.warn("path", "another spelling", Some("write it alike".to_owned()));
        assert_eq!(found.clone().require().unwrap(), ["another spelling (write it alike)"]);
        let mut bad = Findings::new();
        bad.fail("archive_mode", Kind::Failed, "archive_mode is off", Some("switch it on".to_owned()));
        bad.failed("server", Report::new(Kind::Unreachable, "no answer"));
        found.take("pg1", bad);
        let report = found.require().unwrap_err();
        assert_eq!((report.kind, report.hint.as_deref()), (Kind::Failed, Some("switch it on")));
        assert_eq!(report.headline, "pg1: archive_mode is off; also: no answer");
    }
}
