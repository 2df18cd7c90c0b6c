//! Snapshots: a full backup that no retention removes, and a restore point behind it, by one name.
//!
//! The pin is in the backup from the start; where the restore point lies is added once its WAL is in the archive. Killed
//! between, the backup keeps all WAL from its start: too much, never too little.

use super::archive_wait;
use super::pin::{PIN, Pin};
use super::stanza::Identity;
use super::{annotate, served};
use crate::base::{BackupLabel, Lsn, PgVersion, Report, Result, WalSegment};
use crate::cluster::sql::Sql;
use crate::model::op::Cancel;
use crate::repo::{BackupInfo, Stanza};
use serde::Serialize;
use std::time::Duration;

/// The longest name of a restore point, in bytes.
const NAME_BYTES: usize = 63;

/// A restore point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// Where it lies.
    pub lsn: Lsn,
    /// The segment it is in.
    pub segment: WalSegment,
}

/// A snapshot as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Its name, which is that of its restore point.
    pub name: String,
    /// Its backup.
    pub label: String,
    /// When the backup ended, seconds since 1970.
    pub stop: i64,
    /// Where the restore point lies; nothing if it was not reached when the snapshot was made.
    pub lsn: Option<String>,
    /// The last WAL segment that is kept for it.
    pub wal: Option<String>,
}

/// Fails unless `name` can be a restore point's that nobody mistakes for another of this stanza.
pub fn check_name(name: &str, info: &BackupInfo) -> Result<()> {
    let advice = "say what it comes before, for example pre-migration-4711 or pre-deploy-2026-11-28";
    if name.is_empty() || name.len() > NAME_BYTES || name.contains(|c: char| c.is_control()) {
        return Err(Report::usage(format!(
            "'{}' cannot be the name of a restore point: it takes 1 to {NAME_BYTES} bytes without control characters",
            name.escape_debug()
        ))
        .hint(advice));
    }
    match list(info).into_iter().find(|snapshot| snapshot.name == name) {
        Some(taken) => Err(Report::usage(format!(
            "there is a snapshot '{name}' already (backup {}): recovery would stop at the first of two",
            taken.label
        ))
        .hint(advice)),
        None => Ok(()),
    }
}

/// The snapshots of a stanza, oldest first.
pub fn list(info: &BackupInfo) -> Vec<Snapshot> {
    let snapshot = |entry: &crate::repo::BackupEntry| {
        let pin = Pin::of(&entry.annotations)?;
        Some(Snapshot {
            name: pin.restore_point?,
            label: entry.label.to_string(),
            stop: entry.stop.unix_s(),
            lsn: pin.lsn.map(|lsn| lsn.to_string()),
            wal: pin.wal.map(|wal| wal.to_string()),
        })
    };
    info.backups.values().filter_map(snapshot).collect()
}

/// The annotation that pins a backup from its start.
pub fn pinned(name: &str) -> (String, String) {
    (PIN.to_owned(), name.to_owned())
}

/// Makes the restore point behind the backup `label` and sees it into the archive; then the pin says where it lies. The
/// caller holds the lock.
pub fn mark(
    sql: &mut Sql,
    identity: (PgVersion, crate::base::SystemId),
    stanza: &Stanza,
    label: &BackupLabel,
    name: &str,
    limit: Duration,
    cancel: &Cancel,
) -> Result<Marked> {
    let closed = served::close_segment(sql, identity.0, name)?;
    let marked = Marked { lsn: closed.restore_point, segment: closed.segment };
    let mut ask = || served::archiver(sql);
    let stanzas = std::slice::from_ref(stanza);
    archive_wait::wait_for(stanzas, marked.segment, Identity::from(identity), limit, cancel, Some(&mut ask))?;
    let pin = Pin {
        restore_point: Some(name.to_owned()),
        lsn: Some(marked.lsn),
        wal: Some(marked.segment),
        doubts: Vec::new(),
    };
    match annotate::annotate(stanza, label, &pin.annotations())? {
        Some(_) => Ok(marked),
        None => Err(Report::failed(format!("backup {label} is no longer listed"))),
    }
}
