//! Pins: backups that no retention may expire, written down as annotations so that they travel with the backup.
//!
//! The one place that knows the annotations' names. A pinned backup keeps everything it needs and the WAL from its start
//! through the restore point it was made for. pgBackRest's own `expire` knows nothing of this.

use crate::base::{Lsn, WalSegment};
use crate::repo::BackupEntry;
use std::collections::BTreeMap;

/// The annotation that pins; its value is the name of a restore point, or empty.
pub const PIN: &str = "pgmayday-pin";
/// The annotation that says where the restore point lies in WAL.
pub const PIN_LSN: &str = "pgmayday-pin-lsn";
/// The annotation that says which WAL segment is the last one needed.
pub const PIN_WAL: &str = "pgmayday-pin-wal";

/// What a pin says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The restore point it keeps reachable; nothing if only the backup itself is kept.
    pub restore_point: Option<String>,
    /// Where the restore point lies.
    pub lsn: Option<Lsn>,
    /// The last segment needed for it.
    pub wal: Option<WalSegment>,
    /// What in its annotations cannot be understood, one sentence each.
    pub doubts: Vec<String>,
}

/// How much WAL a pin keeps, from the first segment its backup needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastWal {
    /// Through this segment.
    Through(WalSegment),
    /// Everything: where the restore point lies is not known.
    Unknown,
}

impl Pin {
    /// The pin among a backup's annotations.
    pub fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let name = annotations.get(PIN)?;
        let mut doubts = Vec::new();
        let lsn = read(annotations, PIN_LSN, &mut doubts);
        let wal = read(annotations, PIN_WAL, &mut doubts);
        Some(Self { restore_point: Some(name.clone()).filter(|name| !name.is_empty()), lsn, wal, doubts })
    }

    /// The annotations that say it.
    pub fn annotations(&self) -> Vec<(String, String)> {
        let mut notes = vec![(PIN.to_owned(), self.restore_point.clone().unwrap_or_default())];
        notes.extend(self.lsn.map(|lsn| (PIN_LSN.to_owned(), lsn.to_string())));
        notes.extend(self.wal.map(|wal| (PIN_WAL.to_owned(), wal.to_string())));
        notes
    }

    /// How much WAL it keeps for its backup.
    pub fn last_wal(&self, backup: &BackupEntry) -> LastWal {
        let (Some(start), Some(stop)) = (backup.archive_start, backup.archive_stop) else {
            return LastWal::Unknown;
        };
        match (&self.restore_point, self.wal) {
            // A restore point on a timeline before the backup's own cannot be.
            (_, Some(wal)) if wal.timeline >= start.timeline => LastWal::Through(wal.max(stop)),
            (None, None) if self.lsn.is_none() && self.doubts.is_empty() => LastWal::Through(stop),
            _ => LastWal::Unknown,
        }
    }

    /// In words, for a list of backups.
    pub fn text(&self) -> String {
        match &self.restore_point {
            Some(name) => format!("pinned for restore point '{name}'"),
            None => "pinned".to_owned(),
        }
    }
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
    annotations: &BTreeMap<String, String>,
    key: &str,
    doubts: &mut Vec<String>,
) -> Option<T> {
    match annotations.get(key)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            doubts.push(format!("annotation {key}: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn segment(text: &str) -> WalSegment {
        text.parse().unwrap()
    }

    #[test]
    fn a_pin_is_read_as_it_is_written() {
        assert_eq!(Pin::of(&notes(&[("reason", "x")])), None);
        let pin = Pin {
            restore_point: Some("pre-migration-7".to_owned()),
            lsn: Some(Lsn(0x0500_0148)),
            wal: Some(segment("000000010000000000000005")),
            doubts: Vec::new(),
        };
        let written: BTreeMap<_, _> = pin.annotations().into_iter().collect();
        assert_eq!(Pin::of(&written), Some(pin));
        let bare = Pin::of(&notes(&[(PIN, "")])).unwrap();
        assert!(bare.restore_point.is_none() && bare.annotations() == [(PIN.to_owned(), String::new())]);
    }

    #[test]
    fn what_is_not_known_keeps_everything() {
        let mut backup = crate::repo::backup_info::empty_entry("20260101-000000F".parse().unwrap());
        backup.archive_start = Some(segment("000000020000000000000003"));
        backup.archive_stop = Some(segment("000000020000000000000004"));
        let last = |pairs: &[(&str, &str)]| Pin::of(&notes(pairs)).unwrap().last_wal(&backup);
        assert_eq!(last(&[(PIN, "")]), LastWal::Through(segment("000000020000000000000004")));
        assert_eq!(
            last(&[(PIN, "p"), (PIN_WAL, "000000020000000000000009")]),
            LastWal::Through(segment("000000020000000000000009"))
        );
        assert_eq!(
            last(&[(PIN, "p"), (PIN_WAL, "000000020000000000000003")]),
            LastWal::Through(segment("000000020000000000000004"))
        );
        for unknown in [
            &[(PIN, "p")][..],
            &[(PIN, ""), (PIN_LSN, "0/5")],
            &[(PIN, "p"), (PIN_WAL, "soon")],
            &[(PIN, ""), (PIN_WAL, "soon")],
            &[(PIN, "p"), (PIN_WAL, "000000010000000000000009")],
        ] {
            assert_eq!(last(unknown), LastWal::Unknown, "{unknown:?}");
        }
    }
}
