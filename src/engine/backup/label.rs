//! The label of a new backup: its start in local time, later than every label before.
//!
//! Labels sort by time, and pgBackRest looks for the newest by sorting. A clock that was set back would put a new backup
//! before old ones, so that such a label is refused, never made.

use crate::base::{BackupKind, BackupLabel, Report, Result, Timestamp};
use crate::repo::Stanza;
use crate::store::{EntryKind, StorePath};
use chrono::Local;

/// How a label of its kind ends.
fn letter(kind: BackupKind) -> char {
    match kind {
        BackupKind::Full => 'F',
        BackupKind::Diff => 'D',
        BackupKind::Incr => 'I',
    }
}

/// A label for a backup of `kind` that starts at `at`; `full` is the full backup it stands on.
pub(super) fn make(kind: BackupKind, full: Option<&BackupLabel>, at: Timestamp) -> Option<BackupLabel> {
    let stamp = at.to_utc().with_timezone(&Local).format("%Y%m%d-%H%M%S");
    let own = format!("{stamp}{}", letter(kind));
    let text = match full.filter(|_| kind != BackupKind::Full) {
        Some(full) => format!("{full}_{own}"),
        None => own,
    };
    text.parse().ok()
}

/// A label that sorts after all of `existing`; one second later is tried, too, because two backups may follow each other
/// within one.
pub(super) fn unused(
    kind: BackupKind,
    full: Option<&BackupLabel>,
    at: Timestamp,
    existing: &[BackupLabel],
) -> Result<BackupLabel> {
    let rivals = existing.iter().filter(|label| full.is_none_or(|full| label.full() == *full));
    let newest = rivals.max();
    let later = Timestamp(at.0.saturating_add(1_000_000));
    let fitting = [at, later]
        .into_iter()
        .filter_map(|at| make(kind, full, at))
        .find(|label| newest.is_none_or(|n| label > n));
    fitting.ok_or_else(|| {
        let newest = newest.map(ToString::to_string).unwrap_or_default();
        Report::failed(format!(
            "a backup that starts now ({}) would sort before backup {newest}: the clock or the time zone was set back",
            at.local_text()
        ))
        .hint("set the clock right, or wait until it has passed that backup's time")
    })
}

/// Every label the stanza's folder and the newest year of its history know.
pub(super) fn existing(stanza: &Stanza) -> Result<Vec<BackupLabel>> {
    let storage = &**stanza.repository().storage();
    let folder = stanza.backup_folder()?;
    let mut labels = Vec::new();
    storage.list(&folder, &mut |entry| {
        labels.extend(entry.name.parse::<BackupLabel>().ok());
        true
    })?;
    let history = folder.join("backup.history")?;
    let mut years: Vec<String> = Vec::new();
    storage.list(&history, &mut |entry| {
        if entry.meta.kind == EntryKind::Folder {
            years.push(entry.name);
        }
        true
    })?;
    if let Some(year) = years.iter().max() {
        let of_year: StorePath = history.join(year)?;
        storage.list(&of_year, &mut |entry| {
            let name = entry.name.split('.').next().unwrap_or_default();
            labels.extend(name.parse::<BackupLabel>().ok());
            true
        })?;
    }
    labels.sort_unstable();
    labels.dedup();
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> BackupLabel {
        text.parse().unwrap()
    }

    #[test]
    fn a_label_is_local_time_and_later_than_all_of_its_set() {
        let at = Timestamp::from_unix_s(1_795_220_636);
        let full = make(BackupKind::Full, None, at).unwrap();
        let incr = unused(BackupKind::Incr, Some(&full), at, std::slice::from_ref(&full)).unwrap();
        assert!(incr > full && incr.full() == full && incr.kind() == BackupKind::Incr);
        let taken = [full.clone(), incr.clone()];
        let next = unused(BackupKind::Incr, Some(&full), at, &taken).unwrap();
        assert!(next > incr);
        let other_set = label("20990101-000000F_20990101-000000I");
        unused(BackupKind::Diff, Some(&full), at, &[full.clone(), other_set]).unwrap();
    }

    #[test]
    fn a_clock_that_was_set_back_is_told() {
        let at = Timestamp::from_unix_s(1_795_220_636);
        let future = [label("20990101-000000F")];
        let refused = unused(BackupKind::Full, None, at, &future).unwrap_err().to_string();
        assert!(refused.contains("set back") && refused.contains("20990101-000000F"), "{refused}");
    }
}
