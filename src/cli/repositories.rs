//! From configured repositories to opened ones, for every command that reads them.
//!
//! Opens stores for reading only. A passphrase written as `${NAME}` is first taken as it is written, as pgBackRest
//! does, and by the variable's value only if that text opens nothing.

use crate::base::{Report, Result, Secret};
use crate::config::{RepoSettings, Settings};
use crate::repo::Repository;
use crate::store::Storage;
use crate::store::posix::Posix;
use crate::store::wrap::ReadOnly;
use std::sync::Arc;

/// The repositories `command` shall use, in their order.
pub(super) fn open(settings: &Settings, command: &str) -> Result<Vec<Repository>> {
    let opened: Vec<Repository> =
        settings.repos().iter().map(|repo| open_one(settings, repo, command)).collect::<Result<_>>()?;
    if opened.is_empty() {
        return Err(Report::usage("no repository is configured").hint("set repo1-path in the configuration"));
    }
    Ok(opened)
}

fn open_one(settings: &Settings, repo: &RepoSettings, command: &str) -> Result<Repository> {
    let path = repo.local_path(command)?;
    let storage: Arc<dyn Storage> = Arc::new(ReadOnly(Posix::new(path, &format!("repo{}", repo.key))));
    let with = |cipher: Option<&Secret>| Repository::new(Arc::clone(&storage), repo.key, cipher.cloned());
    let literal = with(repo.cipher_pass.as_ref());
    let (Some(expanded), Some(stanza)) = (&repo.cipher_pass_expanded, settings.stanza()) else {
        return Ok(literal);
    };
    match literal.stanza(stanza).archive_info() {
        Err(error) if error.is_passphrase() => Ok(with(Some(expanded))),
        _ => Ok(literal),
    }
}
