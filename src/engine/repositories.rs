//! The configured repositories, opened.
//!
//! Chooses the driver and the passphrase; a repository that cannot be opened stands beside the others with its
//! reason, so that one broken repository never hides a sound one. What is opened for reading cannot be written to.

use crate::base::{Kind, Report, Result, Secret};
use crate::config::{RepoSettings, Settings};
use crate::repo::Repository;
use crate::store::Storage;
use crate::store::posix::Posix;
use crate::store::wrap::ReadOnly;
use std::sync::Arc;

/// One configured repository.
#[derive(Debug)]
pub struct Slot {
    /// Its number in the configuration.
    pub key: u32,
    /// The cipher it is configured with: `none` or `aes-256-cbc`.
    pub cipher: &'static str,
    /// The repository, or why there is none.
    pub repository: Result<Repository>,
}

/// The configured repositories, in the order of their numbers.
#[derive(Debug)]
pub struct Repositories {
    /// One per repository.
    pub slots: Vec<Slot>,
    /// What an operator should know about how they were opened.
    pub warnings: Vec<String>,
}

/// What a repository is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing can be written.
    Read,
    /// It may be written to.
    Write,
    /// A stanza may be made in it: where nothing tells which passphrase is meant, a variable is expanded.
    Create,
}

impl Repositories {
    /// Opens what `settings` name for reading, for the command `command`.
    pub fn open(settings: &Settings, command: &str) -> Self {
        Self::open_for(settings, command, Access::Read)
    }

    /// Opens what `settings` name.
    pub fn open_for(settings: &Settings, command: &str, access: Access) -> Self {
        let mut warnings = Vec::new();
        let slots = settings
            .repos()
            .iter()
            .map(|repo| open_one(settings, repo, command, access, &mut warnings))
            .collect();
        Self { slots, warnings }
    }

    /// Opens only the repository of this number, so that another one that hangs is not touched.
    pub fn open_only(settings: &Settings, key: u32, command: &str) -> Self {
        let mut warnings = Vec::new();
        let only = settings.repos().iter().filter(|repo| repo.key == key);
        let slots = only.map(|repo| open_one(settings, repo, command, Access::Read, &mut warnings)).collect();
        Self { slots, warnings }
    }

    /// The repositories, at least one and all of them opened, or the first reason why not.
    pub fn all(self) -> Result<Vec<Repository>> {
        if self.slots.is_empty() {
            return Err(none_configured());
        }
        self.slots.into_iter().map(|slot| slot.repository).collect()
    }

    /// The first repository, or the one `--repo` names.
    pub fn first(self) -> Result<Repository> {
        self.slots.into_iter().next().ok_or_else(none_configured)?.repository
    }
}

/// The failure of work done in several repositories, if it failed in any: the only repository's own, or one that names
/// those that failed. A refusal by the same guard in all that failed stays that refusal.
pub fn failure_in(doing: &str, outcomes: &[(u32, Option<&Report>)]) -> Option<Report> {
    let failed: Vec<_> = outcomes.iter().filter_map(|(repo, report)| Some((repo, (*report)?))).collect();
    let (first_repo, first) = *failed.first()?;
    if outcomes.len() == 1 || first.kind == Kind::Cancelled {
        return Some(first.clone().context(format!("working on repo{first_repo}")));
    }
    let refused = matches!(first.kind, Kind::Refused(_));
    let alike = refused && failed.iter().all(|(_, report)| report.kind == first.kind);
    let reasons: Vec<_> =
        failed.iter().map(|(repo, report)| format!("repo{repo}: {}", report.headline)).collect();
    let headline = format!(
        "{doing} failed in {} of {} repositories: {}",
        failed.len(),
        outcomes.len(),
        reasons.join("; ")
    );
    let mut report = Report::new(if alike { first.kind } else { Kind::Failed }, headline);
    report.hint.clone_from(&first.hint);
    Some(report)
}

fn none_configured() -> Report {
    Report::usage("no repository is configured").hint("set repo1-path in the configuration")
}

fn open_one(
    settings: &Settings,
    repo: &RepoSettings,
    command: &str,
    access: Access,
    warnings: &mut Vec<String>,
) -> Slot {
    let cipher = if repo.cipher_pass.is_some() { "aes-256-cbc" } else { "none" };
    let honoured = repo.local_path(command).map_err(Report::from).and_then(|path| {
        match settings.text_at("repo-target-time", repo.key) {
            None => Ok(path),
            Some(_) => Err(Report::usage(format!(
                "repo{}-target-time cannot be honoured: a folder keeps no earlier versions of its files",
                repo.key
            ))),
        }
    });
    let repository = honoured.map(|path| {
        let folder = Posix::new(path, &format!("repo{}", repo.key));
        let storage: Arc<dyn Storage> =
            if access == Access::Read { Arc::new(ReadOnly(folder)) } else { Arc::new(folder) };
        let with = |cipher: Option<Secret>| Repository::new(Arc::clone(&storage), repo.key, cipher);
        let literal = with(repo.cipher_pass.clone());
        let Some(value) = repo.cipher_pass_expanded.clone() else { return literal };
        let name = repo.cipher_pass_variable.as_deref().unwrap_or_default();
        if opens(&literal, settings.stanza()) {
            warnings.push(format!(
                "the passphrase of repository {} is the literal text ${{{name}}}, because pgBackRest does not expand \
                 variables: anyone who reads the configuration can read the repository",
                repo.key
            ));
            return literal;
        }
        let expanded = with(Some(value));
        if opens(&expanded, settings.stanza()) {
            return expanded;
        }
        if access == Access::Create {
            warnings.push(format!(
                "the passphrase of repository {} is the value of variable {name}: pgBackRest takes ${{{name}}} \
                 literally and will not be able to read what is written now",
                repo.key
            ));
            return expanded;
        }
        literal
    });
    Slot { key: repo.key, cipher, repository }
}

/// True if an info file of the stanza, or of any if none is named, can be read with the repository's passphrase.
fn opens(repository: &Repository, stanza: Option<&str>) -> bool {
    let names = match stanza {
        Some(name) => vec![name.to_owned()],
        None => repository.stanzas().unwrap_or_default(),
    };
    names
        .iter()
        .map(|name| repository.stanza(name))
        .any(|s| s.backup_info().is_ok() || s.archive_info().is_ok())
}
