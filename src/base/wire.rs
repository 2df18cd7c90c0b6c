//! How units are written into files and JSON: as the text people read, never as numbers of an unknown unit.

use super::PgVersion;
use super::clock::{TargetTime, Timestamp};
use super::state::OpId;
use super::units::{BackupKind, BackupLabel, Lsn, SystemId, Timeline, WalSegment};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use std::borrow::Cow;

/// Writes by `Display`, reads by `FromStr`.
macro_rules! as_text {
    ($($unit:ty),+) => {$(
        impl Serialize for $unit {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(Error::custom)
            }
        }
    )+};
}

as_text!(Lsn, WalSegment, BackupLabel, BackupKind, SystemId, PgVersion, OpId);

impl Serialize for Timeline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for Timeline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        TargetTime::parse(&text).map(|time| time.at).map_err(Error::custom)
    }
}
