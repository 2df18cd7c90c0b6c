//! The result of a verification: plain values for text, JSON and the record of the state directory.

use super::finding::{Counts, Findings, Level};
use super::holes::Hole;
use super::{Depth, HoleKind};
use crate::base::{BackupLabel, Timestamp, WalSegment};
use crate::repo::archive::WalRange;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// What came out for one stanza of one repository.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// The stanza.
    pub stanza: String,
    /// The repository's number.
    pub repo: u32,
    /// How deep files of backups were looked into.
    pub depth: Depth,
    /// The only backup that was looked at, if it was one.
    pub set: Option<BackupLabel>,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Stored bytes read.
    pub bytes: u64,
    /// What was found about info files, folders and the history of manifests.
    pub findings: Findings,
    /// One per archive folder, oldest first.
    pub archives: Vec<ArchiveResult>,
    /// One per backup, oldest first.
    pub backups: Vec<BackupResult>,
}

impl Verification {
    /// Every list of findings.
    pub fn all_findings(&self) -> impl Iterator<Item = &Findings> {
        let archives = self.archives.iter().map(|archive| &archive.findings);
        let backups = self.backups.iter().map(|backup| &backup.findings);
        [&self.findings].into_iter().chain(archives).chain(backups)
    }

    /// The worst that was found; nothing if nothing was.
    pub fn worst(&self) -> Option<Level> {
        self.all_findings().filter_map(Findings::worst).max()
    }

    /// How many findings are damage, say that something could not be looked at, and are warnings.
    pub fn totals(&self) -> (u64, u64, u64) {
        self.all_findings()
            .fold((0, 0, 0), |sum, f| (sum.0 + f.damage, sum.1 + f.unknown, sum.2 + f.warnings))
    }
}

/// What came out for one archive folder.
#[derive(Debug, Clone, Serialize)]
pub struct ArchiveResult {
    /// The folder, for example `15-1`.
    pub id: String,
    /// Bytes of a segment.
    pub segment_bytes: u32,
    /// No segment tells its size, so that it is PostgreSQL's default.
    pub segment_size_assumed: bool,
    /// The segments.
    #[serde(flatten)]
    pub counts: Counts,
    /// Runs of consecutive segments, timeline by timeline.
    #[serde(serialize_with = "ranges")]
    pub ranges: Vec<WalRange>,
    /// What is missing between them.
    pub holes: Vec<Hole>,
    /// What was found.
    pub findings: Findings,
}

impl ArchiveResult {
    /// How many segments are missing that somebody may need.
    pub fn missing(&self) -> u64 {
        self.counts.missing
            + self
                .holes
                .iter()
                .filter(|hole| hole.kind == HoleKind::Missing)
                .map(|hole| hole.segments)
                .sum::<u64>()
    }
}

fn ranges<S: Serializer>(ranges: &[WalRange], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row {
        first: WalSegment,
        last: WalSegment,
        stored_bytes: u64,
    }
    serializer.collect_seq(ranges.iter().map(|range| Row {
        first: range.first,
        last: range.last,
        stored_bytes: range.stored_bytes,
    }))
}

/// What a backup is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupStatus {
    /// Everything it needs is sound.
    Valid,
    /// Something it needs is damaged or missing.
    Invalid,
    /// Neither its manifest nor the copy is usable.
    ManifestMissing,
    /// Its files are sound, but WAL it needs to become consistent is missing or damaged.
    WalMissing,
    /// Something could not be looked at.
    Unknown,
    /// It is being made, or was left unfinished.
    InProgress,
    /// It was expired while it was looked at.
    Expired,
}

impl fmt::Display for BackupStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::ManifestMissing => "manifest missing",
            Self::WalMissing => "wal missing",
            Self::Unknown => "unknown",
            Self::InProgress => "in-progress",
            Self::Expired => "expired",
        })
    }
}

/// What came out for one backup.
#[derive(Debug, Clone, Serialize)]
pub struct BackupResult {
    /// Its label.
    pub label: BackupLabel,
    /// What it is worth.
    pub status: BackupStatus,
    /// The files of its manifest, those stored by other backups too.
    #[serde(flatten)]
    pub counts: Counts,
    /// The WAL it needs; nothing for an offline backup.
    pub wal: Option<WalNeed>,
    /// What was found.
    pub findings: Findings,
}

/// The WAL a backup needs to become consistent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WalNeed {
    /// The first segment.
    pub start: WalSegment,
    /// The last segment.
    pub stop: WalSegment,
    /// How many of them are missing.
    pub missing: u64,
    /// How many of them are damaged or stored with different contents.
    pub damaged: u64,
}
