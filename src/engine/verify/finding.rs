//! What verifying finds: how bad it is, of which kind, in which file, and why. Plain values; counts are complete, the list
//! of sentences is bounded.

use crate::codec::CodecError;
use crate::repo::RepoError;
use crate::store::{StoreError, StoreErrorKind, StorePath};
use serde::Serialize;

/// How many sentences one part of the result keeps.
const MOST_FINDINGS: usize = 1000;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing, nothing is wrong.
    Note,
    /// Odd, but nothing is lost.
    Warning,
    /// Could not be looked at.
    Unknown,
    /// Not what its writer stored.
    Damage,
}

/// How damage shows; pgBackRest counts the same kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is not there.
    Missing,
    /// A checksum differs.
    Checksum,
    /// A size differs.
    Size,
    /// Anything else: it cannot be decoded, or belongs elsewhere.
    Other,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The object of the repository.
    pub path: String,
    /// The file of the cluster, where one object holds several or a backup names it otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What is wrong with it.
    pub why: String,
}

/// The findings of one part of the result, worst first once sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The first of them.
    pub list: Vec<Finding>,
    /// How many more there are.
    pub not_listed: u64,
    /// How many of all are damage.
    pub damage: u64,
    /// How many of all say that something could not be looked at.
    pub unknown: u64,
    /// How many of all are warnings.
    pub warnings: u64,
}

impl Findings {
    /// Adds a finding.
    pub fn add(&mut self, level: Level, path: &StorePath, why: impl Into<String>) {
        self.push(Finding { level, path: path.to_string(), file: None, why: why.into() });
    }

    /// Adds a finding about a file inside an object.
    pub fn add_file(&mut self, level: Level, path: &StorePath, file: &str, why: impl Into<String>) {
        let file = Some(file.escape_debug().to_string());
        self.push(Finding { level, path: path.to_string(), file, why: why.into() });
    }

    /// Adds a failure to read something of the repository.
    pub fn add_error(&mut self, path: &StorePath, error: &RepoError) {
        self.add(level_of(error), path, error.to_string());
    }

    fn push(&mut self, finding: Finding) {
        match finding.level {
            Level::Damage => self.damage += 1,
            Level::Unknown => self.unknown += 1,
            Level::Warning => self.warnings += 1,
            Level::Note => {}
        }
        // Notes make room for what matters.
        if self.list.len() >= MOST_FINDINGS {
            self.not_listed += 1;
            let note = self.list.iter_mut().find(|kept| kept.level < finding.level);
            if let Some(kept) = note.filter(|_| finding.level == Level::Damage) {
                *kept = finding;
            }
        } else {
            self.list.push(finding);
        }
    }

    /// The worst level there is.
    pub fn worst(&self) -> Option<Level> {
        match (self.damage, self.unknown, self.warnings) {
            (1.., _, _) => Some(Level::Damage),
            (_, 1.., _) => Some(Level::Unknown),
            (_, _, 1..) => Some(Level::Warning),
            _ => self.list.first().map(|_| Level::Note),
        }
    }

    /// Puts the worst first, and findings of one level in the order of their objects.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| (b.level, &a.path, &a.file).cmp(&(a.level, &b.path, &b.file)));
    }
}

/// How many files were looked at and what came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub checked: u64,
    /// Those that are sound.
    pub valid: u64,
    /// Those that are not there.
    pub missing: u64,
    /// Those with another checksum.
    pub checksum_invalid: u64,
    /// Those with another size.
    pub size_invalid: u64,
    /// Those that are damaged otherwise.
    pub other: u64,
    /// Those that could not be read.
    pub unreadable: u64,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, verdict: Verdict) {
        self.checked += 1;
        *match verdict {
            Verdict::Sound => &mut self.valid,
            Verdict::Bad(Fault::Missing) => &mut self.missing,
            Verdict::Bad(Fault::Checksum) => &mut self.checksum_invalid,
            Verdict::Bad(Fault::Size) => &mut self.size_invalid,
            Verdict::Bad(Fault::Other) => &mut self.other,
            Verdict::Unreadable => &mut self.unreadable,
        } += 1;
    }

    /// How many are damaged or missing.
    pub fn damaged(&self) -> u64 {
        self.missing + self.checksum_invalid + self.size_invalid + self.other
    }
}

/// What came out for one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is what its writer stored.
    Sound,
    /// It is not.
    Bad(Fault),
    /// It could not be looked at.
    Unreadable,
}

/// What came out for one file, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judged {
    Sound,
    Bad { fault: Fault, why: String },
    Unreadable { why: String },
}

impl Judged {
    pub(super) fn bad(fault: Fault, why: impl Into<String>) -> Self {
        Self::Bad { fault, why: why.into() }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Sound => Verdict::Sound,
            Self::Bad { fault, .. } => Verdict::Bad(*fault),
            Self::Unreadable { .. } => Verdict::Unreadable,
        }
    }

    /// Level and reason of what is not sound.
    pub(super) fn told(&self) -> Option<(Level, &str)> {
        match self {
            Self::Sound => None,
            Self::Bad { why, .. } => Some((Level::Damage, why)),
            Self::Unreadable { why } => Some((Level::Unknown, why)),
        }
    }

    /// What it means that an object could not be opened.
    pub(super) fn not_opened(error: &StoreError) -> Self {
        match error.kind {
            StoreErrorKind::Missing => Self::bad(Fault::Missing, "is missing"),
            StoreErrorKind::BadPath => Self::bad(Fault::Other, "has a name no repository may use"),
            _ => Self::Unreadable { why: error.to_string() },
        }
    }

    /// What it means that a stream could not be decoded.
    pub(super) fn not_decoded(error: &CodecError) -> Self {
        match error {
            CodecError::Io(cause) => Self::Unreadable { why: cause.to_string() },
            error => Self::bad(Fault::Other, error.to_string()),
        }
    }
}

/// Whether a failure is damage, or only keeps somebody from looking.
pub(super) fn level_of(error: &RepoError) -> Level {
    match error {
        RepoError::Store(error) => match error.kind {
            StoreErrorKind::Missing | StoreErrorKind::BadPath => Level::Damage,
            _ => Level::Unknown,
        },
        RepoError::Stream { source: CodecError::Io(_), .. }
        | RepoError::Unsupported { .. }
        | RepoError::FormatNumber { .. }
        | RepoError::NoPassphrase(_) => Level::Unknown,
        RepoError::Both { main, copy } => level_of(main).max(level_of(copy)),
        _ => Level::Damage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_complete_where_sentences_are_not() {
        let mut findings = Findings::default();
        let path = StorePath::new("a").unwrap();
        for _ in 0..MOST_FINDINGS {
            findings.add(Level::Note, &path, "odd");
        }
        assert_eq!(findings.worst(), Some(Level::Note));
        findings.add(Level::Warning, &path, "strange");
        for _ in 0..5 {
            findings.add(Level::Damage, &path, "gone");
        }
        findings.sort();
        assert_eq!((findings.list.len(), findings.not_listed), (MOST_FINDINGS, 6));
        assert_eq!((findings.damage, findings.warnings, findings.worst()), (5, 1, Some(Level::Damage)));
        assert!(findings.list[..5].iter().all(|finding| finding.level == Level::Damage));
        let mut counts = Counts::default();
        counts.add(Verdict::Sound);
        counts.add(Verdict::Bad(Fault::Size));
        counts.add(Verdict::Unreadable);
        assert_eq!((counts.checked, counts.valid, counts.damaged(), counts.unreadable), (3, 1, 1, 1));
    }
}
