//! A plan as it is shown, in text or JSON: plain values.

use super::{Plan, Reason, WalRun, WalSpan};
use crate::base::BackupLabel;
use serde::Serialize;

/// A backup that stays although the retention would not keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptByPin {
    /// The backup.
    pub label: BackupLabel,
    /// The pinned backup: itself, or one that needs it.
    pub pin: BackupLabel,
}

/// What goes from the archive of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiveView {
    /// The archive's folder, for example `15-1`.
    pub id: String,
    /// Everything of that cluster goes.
    pub whole: bool,
    /// What stays, and for which backup.
    pub kept: Vec<WalSpan>,
    /// What goes.
    pub removed: Vec<WalRun>,
    /// History files that go.
    pub histories: Vec<String>,
}

/// What goes from one repository, or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpireView {
    /// The repository's number.
    pub repo: u32,
    /// Backups that go, oldest first.
    pub expired: Vec<Reason>,
    /// What the expired backups store, in bytes, as `backup.info` says.
    pub freed_bytes: u64,
    /// Backups that only a pin keeps.
    pub kept_by_pin: Vec<KeptByPin>,
    /// Folders that never became a backup, or are left of one, and go.
    pub leftovers: Vec<BackupLabel>,
    /// The backup that `latest` will name instead of what it names now.
    pub latest: Option<BackupLabel>,
    /// `backup.info` is written anew.
    pub info_changes: bool,
    /// The archives that are looked at.
    pub archive: Vec<ArchiveView>,
    /// Why WAL is not touched at all.
    pub archive_kept: Option<String>,
    /// Years whose kept manifests all go.
    pub manifest_years: Vec<String>,
    /// Kept manifests that go.
    pub manifests: Vec<BackupLabel>,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// How long it took; nothing for a plan.
    pub took_ms: Option<u64>,
}

impl ExpireView {
    /// True if there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        let archive =
            |view: &ArchiveView| !view.whole && view.removed.is_empty() && view.histories.is_empty();
        self.expired.is_empty()
            && self.leftovers.is_empty()
            && self.latest.is_none()
            && !self.info_changes
            && self.archive.iter().all(archive)
            && self.manifest_years.is_empty()
            && self.manifests.is_empty()
    }
}

impl Plan {
    /// What it says.
    pub fn view(&self) -> ExpireView {
        let choice = &self.choice;
        let own = choice.pins.keys().map(|label| KeptByPin { label: label.clone(), pin: label.clone() });
        let needed =
            choice.spared.iter().map(|(label, pin)| KeptByPin { label: label.clone(), pin: pin.clone() });
        let archive = self.cuts.iter().map(|cut| ArchiveView {
            id: cut.id.to_string(),
            whole: cut.whole,
            kept: cut.kept.clone(),
            removed: cut.runs.clone(),
            histories: cut.histories.iter().map(|timeline| timeline.history_file()).collect(),
        });
        ExpireView {
            repo: self.stanza.repository().key(),
            expired: choice.expired.values().cloned().collect(),
            freed_bytes: self.freed_bytes,
            kept_by_pin: own.chain(needed).collect(),
            leftovers: self
                .folders
                .iter()
                .filter(|label| !choice.expired.contains_key(*label))
                .cloned()
                .collect(),
            latest: self.latest.clone(),
            info_changes: self.save,
            archive: archive.collect(),
            archive_kept: self.archive_kept(),
            manifest_years: self.kept.years.clone(),
            manifests: self.kept.manifests.clone(),
            warnings: self.warnings.clone(),
            took_ms: None,
        }
    }

    /// True if the backup named by the request is listed here.
    pub fn set_found(&self) -> bool {
        self.choice.set_found
    }

    fn archive_kept(&self) -> Option<String> {
        match &self.choice.archive {
            Err(why) => Some(why.clone()),
            Ok(rule) if self.too_soon => {
                Some(format!("there are fewer than {} backups to keep WAL for: it is kept", rule.count))
            }
            Ok(_) => None,
        }
    }
}
