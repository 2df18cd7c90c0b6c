//! The backup a new one is made against.

use crate::base::BackupKind;
use crate::repo::{BackupEntry, BackupInfo};

/// The kind a backup really has, and what it stands on: a differential one on the newest full one of the same cluster, an
/// incremental one on the newest of any kind. Where there is none it becomes a full one.
pub(super) fn choose(info: &BackupInfo, asked: BackupKind) -> (BackupKind, Option<&BackupEntry>) {
    let fits = |entry: &&BackupEntry| {
        entry.db_id == info.current_db_id
            && match asked {
                BackupKind::Full => false,
                BackupKind::Diff => entry.kind == BackupKind::Full,
                BackupKind::Incr => true,
            }
    };
    match info.backups.values().rev().find(fits) {
        Some(prior) => (asked, Some(prior)),
        None => (BackupKind::Full, None),
    }
}
