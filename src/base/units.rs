//! Units everybody speaks: LSN, timeline, WAL segment, backup label, system identifier, transaction id.
//!
//! Plain values with parsing and printing exactly as PostgreSQL and pgBackRest write them. This module
//! never does I/O and never guesses: text that is not in the one accepted form is an error.

use std::fmt;
use std::str::FromStr;

/// Text that is not a valid unit: says what was expected and what stood there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid {what} (expected {expected})")]
pub struct UnitError {
    /// The unit asked for, for example "LSN".
    pub what: &'static str,
    /// The form that would have been accepted.
    pub expected: &'static str,
    /// The text as it was given.
    pub text: String,
}

impl UnitError {
    fn new(what: &'static str, expected: &'static str, text: &str) -> Self {
        Self { what, expected, text: text.chars().take(80).collect() }
    }
}

/// A position in the write-ahead log, in bytes since the beginning of the cluster's WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The invalid LSN, `0/0`.
    pub const ZERO: Self = Self(0);

    /// The number of the WAL segment this position lies in.
    pub fn segment_number(self, size: WalSegmentSize) -> u64 {
        self.0 / u64::from(size.bytes())
    }

    /// The byte offset of this position inside its segment.
    pub fn segment_offset(self, size: WalSegmentSize) -> u32 {
        u32::try_from(self.0 % u64::from(size.bytes())).unwrap_or(0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::new("LSN", "for example 0/2000028", text);
        let (high, low) = text.split_once('/').ok_or_else(bad)?;
        let part = |digits: &str| {
            let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if plain { u32::from_str_radix(digits, 16).map_err(|_| bad()) } else { Err(bad()) }
        };
        Ok(Self((u64::from(part(high)?) << 32) | u64::from(part(low)?)))
    }
}

/// A timeline identifier; 1 after `initdb`, one more after every promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeline(pub u32);

impl Timeline {
    /// The name of this timeline's history file, for example `00000002.history`.
    pub fn history_file(self) -> String {
        format!("{:08X}.history", self.0)
    }

    /// The timeline a history file's name speaks of, or nothing if it is not such a name.
    pub fn from_history_file(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".history")?;
        if is_upper_hex(digits, 8) { u32::from_str_radix(digits, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The size of one WAL segment in bytes: a power of two from 1 MiB to 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WalSegmentSize(u32);

impl WalSegmentSize {
    /// PostgreSQL's default, 16 MiB.
    pub const DEFAULT: Self = Self(16 * 1024 * 1024);

    /// Accepts a size only if PostgreSQL would.
    pub fn new(bytes: u32) -> Result<Self, UnitError> {
        if bytes.is_power_of_two() && (1 << 20..=1 << 30).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(UnitError::new("WAL segment size", "a power of two from 1 MiB to 1 GiB", &bytes.to_string()))
        }
    }

    /// The size in bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }

    /// How many segments share one value of the middle 8 digits of a segment name.
    pub fn segments_per_log(self) -> u64 {
        (1 << 32) / u64::from(self.0)
    }
}

/// One WAL segment by name: timeline and the two halves of its position, independent of the segment size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalSegment {
    /// The timeline the segment was written on.
    pub timeline: Timeline,
    /// The middle 8 hex digits.
    pub log: u32,
    /// The last 8 hex digits.
    pub seg: u32,
}

impl WalSegment {
    /// The segment of `timeline` with the given running number.
    pub fn from_number(timeline: Timeline, number: u64, size: WalSegmentSize) -> Self {
        let per_log = size.segments_per_log();
        let log = u32::try_from(number / per_log).unwrap_or(u32::MAX);
        let seg = u32::try_from(number % per_log).unwrap_or(u32::MAX);
        Self { timeline, log, seg }
    }

    /// The segment of `timeline` that contains `lsn`.
    pub fn containing(timeline: Timeline, lsn: Lsn, size: WalSegmentSize) -> Self {
        Self::from_number(timeline, lsn.segment_number(size), size)
    }

    /// The running number: start position divided by the segment size.
    pub fn number(self, size: WalSegmentSize) -> u64 {
        u64::from(self.log) * size.segments_per_log() + u64::from(self.seg)
    }

    /// The position of the segment's first byte.
    pub fn start_lsn(self, size: WalSegmentSize) -> Lsn {
        Lsn(self.number(size) * u64::from(size.bytes()))
    }

    /// The position just after the segment's last byte.
    pub fn end_lsn(self, size: WalSegmentSize) -> Lsn {
        Lsn((self.number(size) + 1) * u64::from(size.bytes()))
    }

    /// The next segment on the same timeline.
    #[must_use]
    pub fn next(self, size: WalSegmentSize) -> Self {
        Self::from_number(self.timeline, self.number(size) + 1, size)
    }

    /// The first 16 digits: the folder of the archive the segment is kept in.
    pub fn folder(self) -> String {
        format!("{:08X}{:08X}", self.timeline.0, self.log)
    }
}

impl fmt::Display for WalSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}{:08X}{:08X}", self.timeline.0, self.log, self.seg)
    }
}

impl FromStr for WalSegment {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::new("WAL segment name", "24 upper-case hex digits", text);
        if !is_upper_hex(text, 24) {
            return Err(bad());
        }
        let part = |range| u32::from_str_radix(&text[range], 16).map_err(|_| bad());
        Ok(Self { timeline: Timeline(part(0..8)?), log: part(8..16)?, seg: part(16..24)? })
    }
}

/// True if `text` is exactly `digits` upper-case hexadecimal digits.
pub fn is_upper_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
}

/// The kind of a backup, as its label tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackupKind {
    /// Needs no other backup.
    Full,
    /// Needs its full.
    Diff,
    /// Needs its full and every backup between.
    Incr,
}

impl fmt::Display for BackupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Diff => "diff",
            Self::Incr => "incr",
        })
    }
}

impl FromStr for BackupKind {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        [Self::Full, Self::Diff, Self::Incr]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| UnitError::new("backup type", "full, diff or incr", text))
    }
}

/// The label of a backup: `YYYYMMDD-HHMMSSF`, optionally followed by `_YYYYMMDD-HHMMSS` and `D` or `I`.
///
/// A value of this type is safe as a path component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupLabel(String);

impl BackupLabel {
    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Full, differential or incremental.
    pub fn kind(&self) -> BackupKind {
        match self.0.as_bytes().last() {
            Some(b'D') => BackupKind::Diff,
            Some(b'I') => BackupKind::Incr,
            _ => BackupKind::Full,
        }
    }

    /// The label of the full backup this one belongs to; itself for a full.
    #[must_use]
    pub fn full(&self) -> Self {
        Self(self.0[..16].to_owned())
    }
}

impl fmt::Display for BackupLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BackupLabel {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let stamp = |bytes: &[u8]| {
            bytes.len() == 15
                && bytes[8] == b'-'
                && bytes.iter().enumerate().all(|(i, b)| i == 8 || b.is_ascii_digit())
        };
        let bytes = text.as_bytes();
        let full = bytes.len() >= 16 && stamp(&bytes[..15]) && bytes[15] == b'F';
        let rest = bytes.len() == 16
            || (bytes.len() == 33
                && bytes[16] == b'_'
                && stamp(&bytes[17..32])
                && matches!(bytes[32], b'D' | b'I'));
        if full && rest {
            Ok(Self(text.to_owned()))
        } else {
            Err(UnitError::new(
                "backup label",
                "YYYYMMDD-HHMMSSF or YYYYMMDD-HHMMSSF_YYYYMMDD-HHMMSS[DI]",
                text,
            ))
        }
    }
}

/// The identifier `initdb` gives a cluster; clones share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemId(pub u64);

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for SystemId {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.parse().map(Self).map_err(|_| UnitError::new("system identifier", "a number", text))
    }
}

/// A transaction id as WAL carries it: 32 bits, wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub u32);

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Xid {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.parse()
            .map(Self)
            .map_err(|_| UnitError::new("transaction id", "a number below 4294967296", text))
    }
}

/// A number of bytes, printed for people: `812 B`, `44.7 MB`, `1.2 GB` (powers of 1024, as pgBackRest counts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let (mut tenths, mut unit) = (u128::from(self.0) * 10 / 1024, 0);
        while tenths >= 10240 && unit + 1 < UNITS.len() {
            tenths /= 1024;
            unit += 1;
        }
        write!(f, "{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lsn_round_trips_as_postgres_prints_it() {
        for text in ["0/0", "0/2000028", "1/FFFFFFFF", "FFFFFFFF/FFFFFFFF", "16/B374D848"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        for text in ["", "/", "0", "0/", "/0", "0/123456789", "g/0", "0/+1", " 0/1"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }

    #[test]
    fn segment_arithmetic_follows_the_segment_size() {
        let mib = WalSegmentSize::new(1 << 20).unwrap();
        let last: WalSegment = "000000010000000000000FFF".parse().unwrap();
        assert_eq!(last.next(mib).to_string(), "000000010000000100000000");
        assert_eq!(last.next(mib).start_lsn(mib), Lsn(1 << 32));
        let default: WalSegment = "0000000A00000002000000FF".parse().unwrap();
        assert_eq!(default.next(WalSegmentSize::DEFAULT).to_string(), "0000000A0000000300000000");
        assert_eq!(default.folder(), "0000000A00000002");
        assert!(WalSegmentSize::new(3 << 20).is_err() && WalSegmentSize::new(1 << 19).is_err());
    }

    #[test]
    fn labels_are_strict() {
        let label: BackupLabel = "20261121-010559F_20261121-010607I".parse().unwrap();
        assert_eq!((label.kind(), label.full().as_str()), (BackupKind::Incr, "20261121-010559F"));
        for text in [
            "",
            "20261121-010559",
            "20261121-010559D",
            "../20261121-010559F",
            "20261121-010559F_",
            "20261121-010559F_20261121-010607F",
            "20261121-010559Fé",
        ] {
            assert!(text.parse::<BackupLabel>().is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_are_for_people() {
        assert_eq!(Bytes(812).to_string(), "812 B");
        assert_eq!(Bytes(23_304_350).to_string(), "22.2 MB");
        assert_eq!(Bytes(1 << 40).to_string(), "1.0 TB");
    }
}
