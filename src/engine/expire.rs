//! `expire`: what the retention does not keep any more is taken out of a repository, and nothing that is still needed.
//!
//! A [`Plan`] is a value: it says what would go and why, and writes nothing. Executing it keeps an order in which every
//! reader finds a sound repository after a kill at any point, and in which the same command, run again, ends where an
//! unbroken run ends: first `backup.info` without the backups that go, then their manifests, newest first, then their
//! files, then WAL. What pgBackRest keeps is kept; besides, pinned backups and the WAL they are pinned for, the folder
//! of an interrupted backup, and whatever holds a manifest that cannot be read. Takes no locks: [`run`] does.

mod choose;
mod execute;
mod kept;
mod retention;
mod run;
mod view;
mod wal;

use super::reconcile::{Reconciled, reconcile};
use crate::base::{BackupKind, BackupLabel, Result, Timestamp, WalSegment};
use crate::repo::{Archive, BackupInfo, FolderState, Loaded, Stanza};
use choose::Choice;
pub use execute::execute;
use kept::KeptCut;
pub use retention::{FullRetention, Retention};
pub use run::{Job, RepoRun, failure, run};
use serde::Serialize;
use std::collections::BTreeSet;
pub use view::{ArchiveView, ExpireView, KeptByPin};
use wal::Cut;
pub use wal::WalSpan;

/// What is asked for besides what the retention says.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Expire this backup and what needs it, whatever the retention says.
    pub set: Option<BackupLabel>,
    /// Expire the oldest full backup and what needs it.
    pub oldest: bool,
    /// Keep WAL from this segment on although more could go; where no backup is, expire WAL before it.
    pub archive_before: Option<WalSegment>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// The guards that are overridden.
    pub accept: BTreeSet<String>,
}

impl Request {
    /// True if the guard of this name is overridden.
    pub fn accepts(&self, guard: &str) -> bool {
        self.accept.contains(guard)
    }
}

/// By which rule a backup goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// There are more full backups than are kept.
    Full,
    /// It is older than the days that are kept.
    Days,
    /// There are more differential backups than are kept.
    Diff,
    /// It was named.
    Set,
    /// It is the oldest, and that was asked for.
    Oldest,
}

/// Why a backup goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The backup.
    pub label: BackupLabel,
    /// By which rule.
    pub rule: Rule,
    /// The backup the rule speaks of: itself, or one it needs.
    pub with: BackupLabel,
}

/// Folders and files of the archive that go, one after the other with nothing kept between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WalRun {
    /// The first: a segment's name, or that of a folder.
    pub from: String,
    /// The last.
    pub through: String,
    /// Whole folders.
    pub folders: u64,
    /// Single files.
    pub files: u64,
}

/// What would be taken out of one repository.
#[derive(Debug)]
pub struct Plan {
    stanza: Stanza,
    /// `backup.info` as it will be.
    info: BackupInfo,
    save: bool,
    choice: Choice,
    /// Expired backups that have a folder, newest first.
    unmade: Vec<BackupLabel>,
    /// Folders that go: of expired backups, and of what never became one. Newest first.
    folders: Vec<BackupLabel>,
    latest: Option<BackupLabel>,
    /// The archive, if anything of it may go.
    archive: Option<Archive>,
    cuts: Vec<Cut>,
    /// There are fewer backups than WAL is to be kept for.
    too_soon: bool,
    kept: KeptCut,
    /// Bytes that the expired backups store, as `backup.info` says.
    freed_bytes: u64,
    warnings: Vec<String>,
}

/// Works out what goes from one repository; `now` decides where days count.
pub fn plan(stanza: &Stanza, retention: &Retention, request: &Request, now: Timestamp) -> Result<Plan> {
    let Reconciled { mut info, changed, folders, doubtful, mut warnings } = reconcile(stanza)?;
    let mut choice = choose::choose(&info, retention, request, now)?;
    warnings.append(&mut choice.warnings);
    if let Some(label) = doubtful.first() {
        choice.archive = Err(format!("nobody knows what WAL {label} needs, which is not listed: it is kept"));
    }
    for (label, pin) in &choice.pins {
        warnings.extend(pin.doubts.iter().map(|doubt| {
            format!(
                "backup {label} is pinned, but how much WAL that needs is not known, so all is kept: {doubt}"
            )
        }));
    }
    let freed = choice.expired.keys().filter_map(|label| info.backups.get(label));
    let freed_bytes = freed.map(|entry| entry.repo_delta_bytes).fold(0, u64::saturating_add);
    info.backups.retain(|label, _| !choice.expired.contains_key(label));
    let on_disk = folders.keys().rev();
    let unmade = on_disk.clone().filter(|label| choice.expired.contains_key(*label)).cloned().collect();
    let resumable = resumable(stanza, &info, folders.iter().next_back());
    // Whatever its own manifest has come to: files that a listed backup needs stay.
    let needed: BTreeSet<_> = info.backups.keys().flat_map(|label| info.needs(label)).collect();
    let goes = |label: &&BackupLabel| {
        !needed.contains(*label) && !doubtful.contains(*label) && resumable.as_ref() != Some(*label)
    };
    let unlisted =
        on_disk.clone().filter(|label| needed.contains(*label) && !info.backups.contains_key(*label));
    warnings.extend(unlisted.map(|label| {
        format!("{label} is no backup any more, but a listed backup needs its files: it is left alone")
    }));
    let folders = on_disk.filter(goes).cloned().collect();
    let latest = repointed(stanza, &info)?;
    let (archive, cuts) = cuts(stanza, &info, &choice, request)?;
    let kept = match retention.history_days {
        Some(days) => kept::cut(stanza, &info, days, now)?,
        None => KeptCut::default(),
    };
    Ok(Plan {
        stanza: stanza.clone(),
        save: changed || !choice.expired.is_empty(),
        too_soon: choice.archive.is_ok() && archive.is_none(),
        info,
        choice,
        unmade,
        folders,
        latest,
        archive,
        cuts,
        kept,
        freed_bytes,
        warnings,
    })
}

/// The newest folder, if it is of a backup that may be running on another host or can be taken up again. One whose prior
/// goes cannot.
fn resumable(
    stanza: &Stanza,
    info: &BackupInfo,
    newest: Option<(&BackupLabel, &FolderState)>,
) -> Option<BackupLabel> {
    let (label, _) = newest.filter(|(_, state)| **state == FolderState::Partial)?;
    let orphaned = || {
        let partial = stanza.partial_manifest(info, label);
        partial.is_ok_and(|manifest| manifest.prior.is_some_and(|prior| !info.backups.contains_key(&prior)))
    };
    let useless = label.kind() != BackupKind::Full && orphaned();
    (!useless).then(|| label.clone())
}

/// Where the link `latest` is to point instead: it must not name what is gone.
fn repointed(stanza: &Stanza, info: &BackupInfo) -> Result<Option<BackupLabel>> {
    let Some(named) = stanza.latest()? else { return Ok(None) };
    let sound = named.parse().is_ok_and(|label| info.backups.contains_key(&label));
    Ok(if sound { None } else { info.backups.keys().next_back().cloned() })
}

/// What in the archive goes; no archive where none of it may.
fn cuts(
    stanza: &Stanza,
    info: &BackupInfo,
    choice: &Choice,
    request: &Request,
) -> Result<(Option<Archive>, Vec<Cut>)> {
    let rule = match choice.archive {
        Ok(rule) if wal::applies(info, choice, rule, request) => rule,
        _ => return Ok((None, Vec::new())),
    };
    let Loaded { value: archive_info, .. } = stanza.archive_info()?;
    wal::same_history(&archive_info, info)?;
    let archive = stanza.archive(&archive_info);
    let mut cuts = Vec::new();
    for id in archive.ids_present()? {
        let current = id.db_id == archive_info.current_db_id;
        let keep = wal::Keep::of(info, choice, rule, id.db_id, current, request.archive_before);
        cuts.extend(wal::cut(&archive, id, keep, choice)?);
    }
    Ok((Some(archive), cuts))
}
