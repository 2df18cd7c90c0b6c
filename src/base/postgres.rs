//! What each PostgreSQL major version is called inside its files: versions, catalog numbers, WAL magics.
//!
//! Source: `pg_control.h`, `catversion.h`, `xlog_internal.h` of the releases. Only 64-bit little-endian hosts.

use std::fmt;
use std::str::FromStr;

/// A PostgreSQL major version; [`numbers`](PgVersion::numbers) tells whether it is a known one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PgVersion(u16);

/// Numbers that identify a major version in `pg_control` and WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionNumbers {
    /// The version.
    pub version: PgVersion,
    /// `pg_control_version`.
    pub control: u32,
    /// Catalog version number.
    pub catalog: u32,
    /// Magic of WAL pages.
    pub wal_magic: u16,
}

const fn row(version: u16, control: u32, catalog: u32, wal_magic: u16) -> VersionNumbers {
    VersionNumbers { version: PgVersion(version), control, catalog, wal_magic }
}

/// One row per known major version, oldest first.
pub const VERSIONS: [VersionNumbers; 11] = [
    row(905, 942, 201_510_051, 0xD087),
    row(906, 960, 201_608_131, 0xD093),
    row(1000, 1002, 201_707_211, 0xD097),
    row(1100, 1100, 201_809_051, 0xD098),
    row(1200, 1201, 201_909_212, 0xD101),
    row(1300, 1300, 202_007_201, 0xD106),
    row(1400, 1300, 202_107_181, 0xD10D),
    row(1500, 1300, 202_209_061, 0xD110),
    row(1600, 1300, 202_307_071, 0xD113),
    row(1700, 1700, 202_406_281, 0xD116),
    row(1800, 1800, 202_506_291, 0xD118),
];

impl PgVersion {
    /// 9.6, the first whose backups leave nothing in the data directory.
    pub const NINE_SIX: Self = Self(906);

    /// A version from 10 on by its major number.
    pub const fn major(major: u16) -> Self {
        Self(major * 100)
    }

    /// The major number: 15 for 15, 9 for 9.6.
    pub fn major_number(self) -> u16 {
        self.0 / 100
    }

    /// True if this version is at least the given major version.
    pub fn at_least(self, major: u16) -> bool {
        self.0 >= major * 100
    }

    /// The row of numbers of this version, if it is a known one.
    pub fn numbers(self) -> Option<VersionNumbers> {
        VERSIONS.into_iter().find(|n| n.version == self)
    }

    /// The version that writes this control and catalog number.
    pub fn from_control(control: u32, catalog: u32) -> Option<Self> {
        VERSIONS.iter().find(|n| n.control == control && n.catalog == catalog).map(|n| n.version)
    }

    /// The version whose WAL pages carry this magic.
    pub fn from_wal_magic(magic: u16) -> Option<Self> {
        VERSIONS.iter().find(|n| n.wal_magic == magic).map(|n| n.version)
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            write!(f, "{}.{}", self.0 / 100, self.0 % 100)
        } else {
            write!(f, "{}", self.0 / 100)
        }
    }
}

impl FromStr for PgVersion {
    type Err = String;

    /// Reads `9.6` or `15`. A repository's history may name versions this program does not know: ask
    /// [`numbers`](PgVersion::numbers) before relying on one.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            let shown: String = text.chars().take(40).collect();
            format!("'{shown}' is not a PostgreSQL major version (expected 9.0 to 9.6, or 10 and later)")
        };
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        let number = |digits: &str| {
            let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| plain).ok_or_else(bad)
        };
        let version = Self(number(major)? * 100 + number(minor)?);
        let exists = (900..=906).contains(&version.0) || version.0 >= 1000;
        if exists && version.to_string() == text { Ok(version) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_print_as_pgbackrest_writes_them() {
        assert_eq!("9.6".parse::<PgVersion>().unwrap().to_string(), "9.6");
        assert_eq!("15".parse::<PgVersion>().unwrap(), PgVersion::major(15));
        for bad in ["", "15.2", "9", "9.7", "9.10", "8.4", "015", "+15", "15.0", "100", "x"] {
            assert!(bad.parse::<PgVersion>().is_err(), "{bad}");
        }
        let (old, new) = ("9.4".parse::<PgVersion>().unwrap(), "19".parse::<PgVersion>().unwrap());
        assert!(old.numbers().is_none() && new.numbers().is_none() && old < new);
        assert_eq!(PgVersion::from_wal_magic(0xD110), Some(PgVersion::major(15)));
        assert_eq!(PgVersion::from_control(1300, 202_307_071), Some(PgVersion::major(16)));
    }
}
