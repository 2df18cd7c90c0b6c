//! What is kept, as the configuration of a repository says, with the defaults that follow from each other.
//!
//! Looks at no repository.

use crate::base::BackupKind;
use crate::config::Settings;

/// How long full backups, and everything made against them, are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FullRetention {
    /// For ever.
    #[default]
    All,
    /// This many.
    Count(u64),
    /// So long that every moment of this many days can be reached.
    Days(u64),
}

/// What one repository keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Full backups.
    pub full: FullRetention,
    /// How many differential backups; full ones count, too. Nothing = all.
    pub diff: Option<u64>,
    /// For how many of the newest backups WAL is kept to the present, if that is said.
    pub archive: Option<u64>,
    /// Which backups those are: full ones; also differential ones; all.
    pub archive_kind: BackupKind,
    /// For how many days the manifests of expired backups are kept; nothing = for ever.
    pub history_days: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            full: FullRetention::All,
            diff: None,
            archive: None,
            archive_kind: BackupKind::Full,
            history_days: None,
        }
    }
}

impl Retention {
    /// What the settings of `expire` or `backup` say for the repository of this number.
    pub fn of(settings: &Settings, key: u32) -> Self {
        let number = |name| settings.integer_at(name, key).and_then(|number| u64::try_from(number).ok());
        let full = match (number("repo-retention-full"), settings.text_at("repo-retention-full-type", key)) {
            (None, _) => FullRetention::All,
            (Some(days), Some("time")) => FullRetention::Days(days),
            (Some(count), _) => FullRetention::Count(count),
        };
        let archive_kind = settings.text_at("repo-retention-archive-type", key);
        Self {
            full,
            diff: number("repo-retention-diff"),
            archive: number("repo-retention-archive"),
            archive_kind: archive_kind.and_then(|kind| kind.parse().ok()).unwrap_or(BackupKind::Full),
            history_days: number("repo-retention-history"),
        }
    }

    /// What an operator should know about these settings; `key` is the repository's number.
    pub fn warnings(&self, key: u32) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.full == FullRetention::All {
            warnings.push(format!(
                "repo{key}-retention-full is not set: full backups are kept for ever and the repository grows until it is full"
            ));
        }
        match (self.archive_kind, self.archive, self.diff) {
            (BackupKind::Diff, None, None) => warnings.push(format!(
                "repo{key}-retention-archive-type=diff, but neither repo{key}-retention-archive nor repo{key}-retention-diff \
                 is set: WAL is kept for ever"
            )),
            (BackupKind::Diff, Some(_), None) => warnings.push(format!(
                "repo{key}-retention-archive-type=diff, but repo{key}-retention-diff is not set: differential backups are \
                 kept whose WAL is not"
            )),
            (BackupKind::Incr, None, _) => warnings.push(format!(
                "repo{key}-retention-archive-type=incr, but repo{key}-retention-archive is not set: WAL is kept for ever"
            )),
            _ => {}
        }
        warnings
    }
}
