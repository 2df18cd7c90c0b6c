//! The board: what is alive, what is protected, how far back and forward a recovery can go. Facts only.
//!
//! Filled by probes, judged by [`judge`], shown by the screen, the text and the JSON alike.

pub mod judge;

use super::fact::Fact;
use crate::base::{BackupKind, Lsn, PgVersion, SystemId, Timeline, Timestamp};
use serde::Serialize;
use std::path::PathBuf;

/// Everything the first screen knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Board {
    /// Which cluster this is, and where we look from.
    pub identity: Identity,
    /// What is expected of it.
    pub limits: Limits,
    /// Its servers, the primary first as configured.
    pub members: Vec<Member>,
    /// Its repositories.
    pub repositories: Vec<Repository>,
    /// What on this host keeps backups, WAL or expiry from going on.
    pub upkeep: Fact<Upkeep>,
    /// The application, if a check is configured.
    pub application: Option<Fact<Application>>,
    /// Operations that run, were lost, or ended lately; newest first.
    pub operations: Vec<Operation>,
    /// The open incident.
    pub incident: Option<OpenIncident>,
    /// What was odd while looking, in sentences.
    pub warnings: Vec<String>,
}

/// Which cluster, seen from where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The stanza; nothing if none is configured.
    pub stanza: Option<String>,
    /// All stanzas configured.
    pub stanzas: Vec<String>,
    /// The host we run on.
    pub host: String,
    /// The environment's label, for example `PRODUCTION`.
    pub label: Option<String>,
    /// True if nothing may be started from here.
    pub read_only: bool,
    /// The configuration files read, for the empty state.
    pub configuration: Vec<PathBuf>,
}

/// What is expected, with what the mission ships where nothing was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// How much may be lost, seconds.
    pub rpo_s: u64,
    /// How long a point-in-time recovery may take, seconds.
    pub rto_s: u64,
    /// How old the last good backup may be, seconds.
    pub backup_age_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rpo_s: 300, rto_s: 3600, backup_age_s: 26 * 3600 }
    }
}

/// One server of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// What it is called, for example `primary`.
    pub name: String,
    /// Where it is: `db1:5432`, or a data directory on this host.
    pub place: String,
    /// What a session with it tells.
    pub server: Fact<ServerFacts>,
    /// What its data directory tells; nothing for a server elsewhere.
    pub data_dir: Option<Fact<DataDirFacts>>,
}

/// What a server says of itself.
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerFacts {
    /// It replays somebody's log.
    pub in_recovery: bool,
    /// Its timeline.
    pub timeline: Option<Timeline>,
    /// Written or replayed up to here.
    pub lsn: Option<Lsn>,
    /// It takes writes: not in recovery and not read-only by default.
    pub writable: bool,
    /// A standby receives from its primary now.
    pub streaming: bool,
    /// Replay is paused.
    pub paused: bool,
    /// Age of the last transaction replayed by a standby that has replayed all it received is 0; milliseconds.
    pub lag_ms: Option<u64>,
    /// Segments archiving has failed for since the last success; nothing where it does not archive.
    pub archive_failing: Option<String>,
    /// The server's version.
    pub version: Option<PgVersion>,
}

/// What a data directory says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataDirFacts {
    /// The cluster's identifier.
    pub system_id: SystemId,
    /// The major version.
    pub version: PgVersion,
    /// The state in `pg_control`, in words: `in production`, `shut down`, …
    pub state: String,
    /// The timeline of its last checkpoint.
    pub timeline: Timeline,
    /// A process serves it; nothing if that could not be told.
    pub running: Option<bool>,
}

/// One repository of the stanza.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// Its number.
    pub key: u32,
    /// What and where it is: `disk /var/lib/pgbackrest`.
    pub place: String,
    /// Its backups.
    pub backups: Fact<BackupFacts>,
    /// Its WAL.
    pub wal: Fact<WalFacts>,
    /// What verifying it came to; nothing where there is no state directory to keep that.
    pub verification: Option<Fact<VerificationFacts>>,
}

/// The backups of a repository, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupFacts {
    /// How many there are.
    pub total: usize,
    /// When the oldest ended: before that nothing can be reached.
    pub oldest_stop: Option<Timestamp>,
    /// The newest of each kind: when it ended.
    pub last: Vec<(BackupKind, Timestamp)>,
    /// Backups with page checksum errors.
    pub with_errors: usize,
    /// The label of the newest backup, if page checksum errors were found while it was made.
    pub newest_damaged: Option<String>,
    /// Percent of a running backup, times 100; nothing if none runs.
    pub running: Option<Option<u32>>,
    /// Moments at which backups ended, with their kind, oldest first; the latest few hundred.
    pub marks: Vec<(Timestamp, BackupKind)>,
    /// The stanza's state where it is not sound, as `info` says it.
    pub trouble: Option<String>,
}

/// What verifying a repository came to, as this host knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerificationFacts {
    /// The last verification of everything.
    pub last: Option<VerifyRun>,
    /// How many backups were proven sound to the last byte, be it one by one.
    pub proven: usize,
    /// When the last of them was looked at.
    pub last_proven: Option<Timestamp>,
    /// Backups that are there and were found not to be sound, the one seen last first.
    pub unsound: Vec<UnsoundBackup>,
}

/// One verification of everything a stanza has in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VerifyRun {
    /// When it began.
    pub at: Timestamp,
    /// Backups were decoded and compared; else only their stored bytes.
    pub whole: bool,
    /// Findings that are damage.
    pub damage: u64,
    /// Findings that say that something could not be looked at.
    pub unknown: u64,
}

/// A backup that was found not to be sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnsoundBackup {
    /// Its label.
    pub label: String,
    /// What is wrong with it, in a few words.
    pub wrong: String,
    /// When it was looked at.
    pub at: Timestamp,
}

/// What on this host keeps backups, WAL or expiry from going on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Upkeep {
    /// The file by which an operator stopped the stanza, or all of them.
    pub stopped_by: Option<PathBuf>,
    /// Why nothing is expired.
    pub hold: Option<HoldFacts>,
    /// Why asynchronous archiving fails.
    pub archiving: Option<ArchiveTrouble>,
}

/// The hold of an incident on expiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HoldFacts {
    /// It stands: nothing is expired.
    Stands {
        /// The incident.
        incident: String,
        /// Since when.
        since: Timestamp,
        /// When it ends by itself.
        until: Timestamp,
        /// Who placed it.
        by: String,
    },
    /// It ended by itself and was not lifted.
    Over {
        /// The incident.
        incident: String,
        /// When it ended.
        until: Timestamp,
    },
    /// Something is there that cannot be read; nothing is expired.
    Unreadable {
        /// Why.
        why: String,
    },
}

/// What asynchronous archiving could not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiveTrouble {
    /// The file it failed for; nothing if nothing can be archived at all.
    pub file: Option<String>,
    /// Why, one line.
    pub why: String,
    /// Since when it was seen to fail.
    pub since: Timestamp,
    /// How many more files it failed for.
    pub others: usize,
}

/// The WAL of a repository, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WalFacts {
    /// The last segment of the newest timeline.
    pub last_segment: Option<String>,
    /// When it was stored, by the store's clock.
    pub last_stored: Option<Timestamp>,
    /// The time of the last commit in the archive, if it was read.
    pub last_commit: Option<Timestamp>,
    /// The timelines, oldest first.
    pub timelines: Vec<TimelineFacts>,
    /// Segments missing on the way from the oldest backup to the newest WAL.
    pub missing: u64,
    /// Segments stored twice with different content.
    pub conflicts: u64,
}

/// One timeline of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineFacts {
    /// Which.
    pub timeline: Timeline,
    /// First and last segment by name.
    pub first: String,
    /// The last one.
    pub last: String,
    /// Runs of consecutive segments: first number, last number, counted in segments from the start of the log.
    pub runs: Vec<(u64, u64)>,
}

/// What the application's own check says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Application {
    /// True if the last check was right.
    pub right: bool,
    /// Why it was not.
    pub why: String,
    /// Moments at which the check was right, newest first: where a recovery may want to go.
    pub last_right: Vec<Timestamp>,
    /// The first moment at which it was wrong since.
    pub wrong_since: Option<Timestamp>,
}

/// An operation in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Its name.
    pub id: String,
    /// What it does.
    pub summary: String,
    /// Whether somebody works on it.
    #[serde(flatten)]
    pub life: super::op::Life,
    /// The step it is in.
    pub step: Option<String>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// How it ended, one line; nothing if it did not.
    pub ended: Option<String>,
    /// True if it ended well.
    pub done: bool,
    /// It waits for a person's answer.
    pub asks: bool,
}

/// The open incident in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenIncident {
    /// Its name, `2026-11-21-01`.
    pub id: String,
    /// Why it was declared.
    pub reason: String,
    /// When the trouble was detected.
    pub detected_at: Timestamp,
    /// When it was declared.
    pub declared_at: Timestamp,
    /// When service was back, if it is.
    pub service_back_at: Option<Timestamp>,
}
