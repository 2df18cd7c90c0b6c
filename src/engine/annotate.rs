//! `annotate`: notes on a backup that was made before.
//!
//! Only `backup.info` carries them; the manifest keeps what was said when the backup was made. Each repository's own
//! file is read and written, never one for another.

use super::locks::{LockFolder, Work};
use super::reconcile::{Reconciled, reconcile};
use super::repositories::{Repositories, failure_in};
use crate::base::{BackupLabel, Report, Result};
use crate::model::op::{Event, Sink};
use crate::repo::Stanza;
use serde::Serialize;
use std::collections::BTreeMap;

/// The notes of a backup after they were changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Annotated {
    /// All notes it has now.
    pub annotations: BTreeMap<String, String>,
    /// `backup.info` had to be written.
    pub changed: bool,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

/// What came out in one repository.
#[derive(Debug)]
pub struct RepoNote {
    /// The repository's number.
    pub repo: u32,
    /// The notes; nothing if the backup is not listed there; or why it failed.
    pub outcome: Result<Option<Annotated>>,
}

/// Merges notes into those of a backup of one repository: a value replaces, an empty value removes. Nothing if the
/// backup is not listed. The caller holds the lock.
pub fn annotate(
    stanza: &Stanza,
    label: &BackupLabel,
    notes: &[(String, String)],
) -> Result<Option<Annotated>> {
    let Reconciled { mut info, changed, warnings, .. } = reconcile(stanza)?;
    let Some(entry) = info.backups.get_mut(label) else { return Ok(None) };
    let before = entry.annotations.clone();
    for (key, value) in notes {
        if value.is_empty() {
            entry.annotations.remove(key);
        } else {
            entry.annotations.insert(key.clone(), value.clone());
        }
    }
    let annotations = entry.annotations.clone();
    let changed = changed || annotations != before;
    if changed {
        stanza.save_backup_info(&info)?;
    }
    Ok(Some(Annotated { annotations, changed, warnings }))
}

/// Does it in every repository that was opened; fails as a whole where the stanza is stopped or somebody else works on
/// it.
pub fn run(
    opened: Repositories,
    stanza: &str,
    label: &BackupLabel,
    notes: &[(String, String)],
    locks: &LockFolder,
    sink: &dyn Sink,
) -> Result<Vec<RepoNote>> {
    let warn = |text: String| sink.event(Event::Warning { text });
    opened.warnings.into_iter().for_each(warn);
    let keys: Vec<u32> = opened.slots.iter().map(|slot| slot.key).collect();
    locks.refuse_if_stopped(stanza)?;
    let _held = locks.take(stanza, &[Work::Backup], &keys)?;
    let one =
        |repository: Result<crate::repo::Repository>| annotate(&repository?.stanza(stanza), label, notes);
    let mut done = Vec::new();
    for slot in opened.slots {
        let outcome = one(slot.repository);
        for warning in outcome.iter().flatten().flat_map(|annotated| &annotated.warnings) {
            warn(format!("repo{}: {warning}", slot.key));
        }
        done.push(RepoNote { repo: slot.key, outcome });
    }
    Ok(done)
}

/// The failure of the whole: a repository that failed, or no repository that knows the backup.
pub fn failure(done: &[RepoNote], label: &BackupLabel) -> Option<Report> {
    let outcomes: Vec<_> = done.iter().map(|note| (note.repo, note.outcome.as_ref().err())).collect();
    let found = done.iter().any(|note| matches!(note.outcome, Ok(Some(_))));
    failure_in("annotate", &outcomes).or_else(|| {
        let missing = || {
            Report::failed(format!("there is no backup {label} to annotate")).hint("`info` lists the backups")
        };
        (!found).then(missing)
    })
}
