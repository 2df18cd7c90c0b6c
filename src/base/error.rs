//! How a failure reaches a person: one report with what, where, why and what to do next.
//!
//! Every room has its own error type, made for its callers; at the edge each becomes a [`Report`].
//! A report never carries a secret and never prints its own source twice.

use std::fmt;

/// The class of a failure; decides the exit code and what the caller may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The work failed for a reason that fits nowhere else.
    Failed,
    /// The command line, environment or configuration is wrong.
    Usage,
    /// A guard refused; `--accept=NAME` overrides exactly this one, if it has a name.
    Refused(Option<&'static str>),
    /// Stored data is damaged, missing or written with another key.
    Damaged,
    /// A store or server cannot be reached or refuses access.
    Unreachable,
    /// The operator cancelled.
    Cancelled,
    /// The recovery target cannot be reached from this repository.
    TargetUnreachable,
}

impl Kind {
    /// The exit code of the command contract.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused(_) => 3,
            Self::Damaged => 4,
            Self::Unreachable => 5,
            Self::Cancelled => 6,
            Self::TargetUnreachable => 7,
        }
    }
}

impl Kind {
    /// The name used in JSON; the guard of a refusal is told apart from it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Refused(_) => "refused",
            Self::Damaged => "damaged",
            Self::Unreachable => "unreachable",
            Self::Cancelled => "cancelled",
            Self::TargetUnreachable => "target_unreachable",
        }
    }

    /// The class of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [
            Self::Failed,
            Self::Usage,
            Self::Refused(None),
            Self::Damaged,
            Self::Unreachable,
            Self::Cancelled,
            Self::TargetUnreachable,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

/// A failure as it is shown: headline, where it happened from the outside in, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Class of the failure.
    pub kind: Kind,
    /// One sentence: what failed and why, naming file, option or host.
    pub headline: String,
    /// What was being done, innermost first.
    pub context: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
}

/// The result of everything above the rooms' own errors.
pub type Result<T, E = Report> = std::result::Result<T, E>;

impl Report {
    /// A report of the given class.
    pub fn new(kind: Kind, headline: impl Into<String>) -> Self {
        Self { kind, headline: headline.into(), context: Vec::new(), hint: None }
    }

    /// A plain failure.
    pub fn failed(headline: impl Into<String>) -> Self {
        Self::new(Kind::Failed, headline)
    }

    /// A mistake in command line or configuration.
    pub fn usage(headline: impl Into<String>) -> Self {
        Self::new(Kind::Usage, headline)
    }

    /// A guard's refusal; `guard` is the name `--accept` takes.
    pub fn refused(guard: &'static str, headline: impl Into<String>) -> Self {
        Self::new(Kind::Refused(Some(guard)), headline)
    }

    /// Damage found in stored data.
    pub fn damaged(headline: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, headline)
    }

    /// Adds what was being done.
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Self {
        self.context.push(doing.into());
        self
    }

    /// Adds what to do next; the first hint given stays.
    #[must_use]
    pub fn hint(mut self, next: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| next.into());
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)?;
        for doing in &self.context {
            write!(f, "\n  while {doing}")?;
        }
        if let Kind::Refused(Some(guard)) = self.kind {
            write!(f, "\n  guard: {guard} (override by --accept={guard}; it is recorded)")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  next: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// Adds context to any error that can become a report.
pub trait Context<T> {
    /// Adds what was being done when the error came.
    fn while_doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Report>> Context<T> for std::result::Result<T, E> {
    fn while_doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().context(doing()))
    }
}
