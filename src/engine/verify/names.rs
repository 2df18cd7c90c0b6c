//! What a file of an archive folder is, as its name tells.

use crate::base::units::is_upper_hex;
use crate::base::{Lsn, WalSegment, WalSegmentSize};
use crate::repo::StoredSegment;

/// A file inside a folder of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Archived {
    /// A segment.
    Segment(StoredSegment),
    /// The unfinished last segment of a timeline that was left.
    Partial(StoredSegment),
    /// The history file of a backup, and the offset in the segment where the backup began.
    BackupHistory(WalSegment, u32),
    /// Nothing that belongs there.
    Stray,
}

impl Archived {
    /// The file `name` of the folder `folder`.
    pub(super) fn of_name(folder: &str, name: &str, stored_bytes: u64) -> Self {
        if !name.starts_with(folder) {
            return Self::Stray;
        }
        if let Some(stored) = StoredSegment::from_name(name, stored_bytes) {
            return Self::Segment(stored);
        }
        let Some((segment, rest)) = name.split_at_checked(24) else { return Self::Stray };
        let Ok(named) = segment.parse::<WalSegment>() else { return Self::Stray };
        if let Some(rest) = rest.strip_prefix(".partial") {
            let stored = StoredSegment::from_name(&format!("{segment}{rest}"), stored_bytes);
            return stored.map_or(Self::Stray, Self::Partial);
        }
        let offset = rest.strip_prefix('.').and_then(|rest| rest.strip_suffix(".backup"));
        match offset.filter(|offset| is_upper_hex(offset, 8)).map(|offset| u32::from_str_radix(offset, 16)) {
            Some(Ok(offset)) => Self::BackupHistory(named, offset),
            _ => Self::Stray,
        }
    }
}

/// Checks the text of a backup's history file against its name: where the backup began and ended, line by line as
/// PostgreSQL writes it. Nobody recovers by it.
pub(super) fn check_backup_history(
    text: &[u8],
    segment: WalSegment,
    offset: u32,
    size: WalSegmentSize,
) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|_| "is not text")?;
    let begin = Lsn(segment.start_lsn(size).0.saturating_add(u64::from(offset)));
    let line = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        found.ok_or_else(|| format!("has no line '{key}'"))
    };
    let place = |key: &'static str| {
        let (lsn, file) =
            line(key)?.split_once(" (file ").ok_or_else(|| format!("has no file at '{key}'"))?;
        let lsn: Lsn = lsn.parse().map_err(|_| format!("has no LSN at '{key}'"))?;
        let file: WalSegment = file
            .strip_suffix(')')
            .and_then(|file| file.parse().ok())
            .ok_or_else(|| format!("has no segment at '{key}'"))?;
        Ok::<_, String>((lsn, file))
    };
    let (start, file) = place("START WAL LOCATION")?;
    if !text.starts_with("START WAL LOCATION: ") || start != begin || file != segment {
        return Err(format!("does not begin with WAL location {begin} in {segment}, as its name says"));
    }
    let (stop, _) = place("STOP WAL LOCATION")?;
    if stop < start {
        return Err("ends before it begins".to_owned());
    }
    line("CHECKPOINT LOCATION")?
        .parse::<Lsn>()
        .map_err(|_| "has no LSN at 'CHECKPOINT LOCATION'".to_owned())?;
    line("START TIME")?;
    line("LABEL").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "0000000100000000";

    #[test]
    fn names_tell_what_a_file_is() {
        let of = |name: &str| Archived::of_name(FOLDER, name, 7);
        let sha1 = "a".repeat(40);
        let wal = "000000010000000000000009";
        assert!(
            matches!(of(&format!("{wal}-{sha1}.gz")), Archived::Segment(s) if s.segment.to_string() == wal)
        );
        assert!(
            matches!(of(&format!("{wal}.partial-{sha1}.zst")), Archived::Partial(s) if s.segment.to_string() == wal)
        );
        assert_eq!(
            of(&format!("{wal}.00000028.backup")),
            Archived::BackupHistory(wal.parse().unwrap(), 0x28)
        );
        for stray in [
            format!("{wal}-{sha1}.gz.pgbackrest.tmp"),
            format!("000000020000000000000009-{sha1}.gz"),
            format!("{wal}.0000002.backup"),
            format!("{wal}.partial"),
            wal.to_owned(),
            "é".repeat(20),
            String::new(),
        ] {
            assert_eq!(of(&stray), Archived::Stray, "{stray}");
        }
    }

    #[test]
    fn a_backups_history_is_what_its_name_says() {
        let size = WalSegmentSize::new(1 << 20).unwrap();
        let segment: WalSegment = "000000010000000000000009".parse().unwrap();
        let text = "START WAL LOCATION: 0/900028 (file 000000010000000000000009)\n\
                    STOP WAL LOCATION: 0/900138 (file 000000010000000000000009)\nCHECKPOINT LOCATION: 0/900060\n\
                    BACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-21 01:05:59 UTC\n\
                    LABEL: pgBackRest backup started at 2026-11-21 01:05:59\nSTART TIMELINE: 1\n\
                    STOP TIME: 2026-11-21 01:06:00 UTC\nSTOP TIMELINE: 1\n";
        let check = |text: &str, offset| check_backup_history(text.as_bytes(), segment, offset, size);
        check(text, 0x28).unwrap();
        assert!(check(text, 0x29).is_err());
        for (from, to) in [
            ("0/900028", "0/900068"),
            ("0009)", "0008)"),
            ("STOP WAL", "STOQ WAL"),
            ("0/900138", "0/100138"),
            ("CHECKPOINT LOCATION: 0/900060", "CHECKPOINT LOCATION: x"),
        ] {
            assert!(check(&text.replacen(from, to, 1), 0x28).is_err(), "{from}");
        }
        assert!(check_backup_history(&[0xff, 0xfe], segment, 0x28, size).is_err());
    }
}
