//! Which backups stand or fall together.
//!
//! A backup needs its prior and everything it names as a reference, and what those need in turn. Only the list is
//! looked at, never a folder.

use super::{BackupEntry, BackupInfo};
use crate::base::BackupLabel;
use std::collections::BTreeSet;

impl BackupInfo {
    /// The backup and every listed backup that cannot be restored without it; none if it is not listed.
    pub fn dependents(&self, label: &BackupLabel) -> BTreeSet<BackupLabel> {
        let mut found: BTreeSet<_> =
            self.backups.get_key_value(label).map(|(label, _)| label.clone()).into_iter().collect();
        loop {
            let more: Vec<_> = self
                .backups
                .values()
                .filter(|entry| {
                    !found.contains(&entry.label) && direct(entry).any(|other| found.contains(other))
                })
                .map(|entry| entry.label.clone())
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// The backup and every backup it cannot be restored without, listed or not.
    pub fn needs(&self, label: &BackupLabel) -> BTreeSet<BackupLabel> {
        let mut found = BTreeSet::new();
        let mut open = vec![label];
        while let Some(label) = open.pop() {
            if found.insert(label.clone()) {
                open.extend(self.backups.get(label).into_iter().flat_map(direct));
            }
        }
        found
    }
}

/// What an entry itself says it needs.
fn direct(entry: &BackupEntry) -> impl Iterator<Item = &BackupLabel> {
    entry.prior.iter().chain(&entry.references)
}
