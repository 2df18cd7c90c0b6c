//! What everyone speaks: units, moments, failures, files, secrets, PostgreSQL's version numbers.
//!
//! This room imports nothing of ours and never knows what a repository, a cluster or a screen is.

pub mod amount;
pub mod clock;
pub mod closest;
pub mod error;
pub mod files;
pub mod postgres;
pub mod prose;
pub mod secret;
pub mod shell;
pub mod state;
pub mod units;
mod wire;

pub use amount::Millis;
pub use clock::{TargetTime, Timestamp};
pub use error::{Context, Kind, Report, Result};
pub use postgres::PgVersion;
pub use secret::Secret;
pub use units::{BackupKind, BackupLabel, Bytes, Lsn, SystemId, Timeline, WalSegment, WalSegmentSize, Xid};
