//! Removing a stanza from one repository, with its backups and its WAL.
//!
//! Only where an operator stopped the stanza on this host, where nothing runs in its data directory, and where what
//! would be lost was accepted by name. The info files go first: what a crash leaves is no stanza any more, and the same
//! command finishes it. The stop file goes last.

use super::{in_repo, lock_folder, lock_stopped};
use crate::base::{Kind, Report, Result};
use crate::cluster::running::{Running, look};
use crate::config::Settings;
use crate::engine::locks::StopFile;
use crate::repo::{RepoError, Repository, Stanza};
use serde::Serialize;
use std::path::Path;

/// The guard that keeps backups.
pub const BACKUPS_GUARD: &str = "stanza-backups";
/// How many labels are told.
const LABELS_TOLD: usize = 3;

/// What may be done although it is refused otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consent {
    /// A cluster may run in the data directory (`--force`).
    pub running: bool,
    /// Backups may be removed ([`BACKUPS_GUARD`]).
    pub backups: bool,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// The repository's number.
    pub repo: u32,
    /// Where it is.
    pub store: String,
    /// False if nothing of the stanza was there.
    pub existed: bool,
    /// How many backups went with it.
    pub backups: usize,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// Removes the stanza of `settings` from `repository`.
pub fn delete(
    settings: &Settings,
    repository: &Repository,
    stanza: &str,
    consent: Consent,
) -> Result<Deleted> {
    let stop = StopFile::of(&lock_folder(settings), Some(stanza));
    if !stop.exists() {
        return Err(Report::new(
            Kind::Refused(None),
            format!("stanza '{stanza}' is not stopped on this host: there is no {}", stop.path().display()),
        )
        .hint(format!(
            "stop it first, so that nothing is archived meanwhile: pgmayday --stanza={stanza} stop"
        )));
    }
    let _held = lock_stopped(settings, stanza)?;
    let mut warnings = Vec::new();
    for pg in settings.pg() {
        let look = pg.local_path(settings.command()).map_err(Report::from).and_then(not_running);
        match look {
            Err(report) if consent.running => warnings.push(report.headline),
            other => other?,
        }
    }
    let key = repository.key();
    let failed = |error: RepoError| in_repo(key, error.into());
    let stanza_there = repository.stanza(stanza);
    let backups = backups(&stanza_there).map_err(failed)?;
    if !backups.is_empty() {
        let report = guard(key, stanza, &backups);
        if !consent.backups {
            return Err(report);
        }
        warnings.push(format!("{}; accepted by {BACKUPS_GUARD}", report.headline));
    }
    let existed = exists(&stanza_there).map_err(failed)?;
    stanza_there.remove_info().map_err(failed)?;
    stanza_there.remove_folders().map_err(failed)?;
    stop.remove().map_err(|error| {
        Report::failed(format!(
            "the stanza is removed, but its stop file {} is not: {error}",
            stop.path().display()
        ))
    })?;
    Ok(Deleted {
        repo: key,
        store: repository.storage().describe(),
        existed,
        backups: backups.len(),
        warnings,
    })
}

/// A cluster that still archives would fill its disk with WAL that nobody takes.
fn not_running(data_dir: &Path) -> Result<()> {
    const NEXT: &str = "stop the server first; or say --force, if its WAL is to go nowhere";
    match look(data_dir)? {
        Running::No | Running::Stale { .. } => Ok(()),
        Running::Yes { pid, why } => Err(Report::new(
            Kind::Refused(None),
            format!("a server runs in {} (process {pid}: {why})", data_dir.display()),
        )
        .hint(NEXT)),
        Running::Unknown { why } => Err(Report::new(
            Kind::Refused(None),
            format!("cannot tell whether a server runs in {}: {why}", data_dir.display()),
        )
        .hint("run as root or as the owner of the data directory; or say --force")),
    }
}

/// Every backup that `backup.info` lists or that has a folder with a manifest. A `backup.info` that cannot be read hides
/// none of them.
fn backups(stanza: &Stanza) -> Result<Vec<String>, RepoError> {
    let mut labels: Vec<String> = stanza.backups_by_folder()?.iter().map(ToString::to_string).collect();
    if let Ok(info) = stanza.backup_info() {
        labels.extend(info.value.backups.keys().map(ToString::to_string));
    }
    labels.sort_unstable();
    labels.dedup();
    Ok(labels)
}

fn guard(key: u32, stanza: &str, backups: &[String]) -> Report {
    let count = match backups.len() {
        1 => "1 backup".to_owned(),
        many => format!("{many} backups"),
    };
    let newest: Vec<&str> = backups.iter().rev().take(LABELS_TOLD).map(String::as_str).collect();
    Report::refused(
        BACKUPS_GUARD,
        format!(
            "repo{key}: stanza '{stanza}' has {count} (newest first: {}), which would be gone for good",
            newest.join(", ")
        ),
    )
    .hint("copy them elsewhere if they may still be needed")
}

/// True if anything of the stanza is there, be it a single info file.
fn exists(stanza: &Stanza) -> Result<bool, RepoError> {
    let storage = stanza.repository().storage();
    Ok(storage.stat(&stanza.archive_folder()?)?.is_some()
        || storage.stat(&stanza.backup_folder()?)?.is_some())
}
