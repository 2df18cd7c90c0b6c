//! `global/pg_control`: who a cluster is, what state it was left in, and how far recovery must go.
//!
//! Format: `src/include/catalog/pg_control.h` of each release, 64-bit little-endian layout, 9.5 to 18. A file is
//! recognised only by the exact pair of control and catalog version and believed only if its CRC-32C holds.
//! Nothing here guesses a layout, and nothing writes to disk.

use super::ClusterError;
use crate::base::{Lsn, PgVersion, SystemId, Timeline, Timestamp, WalSegmentSize};
use std::fmt;
use std::path::Path;

/// The name of the control file below the data directory.
pub const CONTROL_FILE: &str = "global/pg_control";
/// The size of the file on disk, the same in every version.
pub const CONTROL_FILE_BYTES: usize = 8192;
/// The checkpoint position pgBackRest writes so that a restored cluster cannot start without its `backup_label`.
const UNUSABLE_CHECKPOINT: u64 = 0xDEAD;
const AT_CHECKPOINT: usize = 32;

/// Why bytes are not a control file one can believe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Fewer bytes than the fields of this version take.
    #[error("control file has {found} bytes, at least {needed} are needed")]
    Short {
        /// Bytes there are.
        found: usize,
        /// Bytes the fields take.
        needed: usize,
    },
    /// The pair of version numbers belongs to no version this program knows.
    #[error("control version {control} with catalog version {catalog} is not a known PostgreSQL version{}",
            if *swapped { " (the bytes are in the order of a big-endian host)" } else { "" })]
    UnknownVersion {
        /// `pg_control_version`.
        control: u32,
        /// `catalog_version_no`.
        catalog: u32,
        /// True if the numbers would be known with their bytes in reverse order.
        swapped: bool,
    },
    /// The checksum does not match the content.
    #[error("control file is damaged: its CRC-32C is {found:08X}, its content gives {computed:08X}")]
    Checksum {
        /// The checksum as stored.
        found: u32,
        /// The checksum of the content.
        computed: u32,
    },
    /// The checksum holds but a field has a value PostgreSQL never writes.
    #[error("control file has an impossible {field}: {value}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

/// The state a cluster was in when its control file was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Being made by `initdb`, or starting up.
    Startup,
    /// Stopped cleanly.
    ShutDown,
    /// Stopped cleanly while in recovery.
    ShutDownInRecovery,
    /// Was about to stop.
    ShuttingDown,
    /// Replaying its own WAL after a crash.
    InCrashRecovery,
    /// Replaying WAL of an archive or of a primary.
    InArchiveRecovery,
    /// Open for business; after a crash it still says so.
    InProduction,
}

impl fmt::Display for State {
    /// As `pg_controldata` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Startup => "starting up",
            Self::ShutDown => "shut down",
            Self::ShutDownInRecovery => "shut down in recovery",
            Self::ShuttingDown => "shutting down",
            Self::InCrashRecovery => "in crash recovery",
            Self::InArchiveRecovery => "in archive recovery",
            Self::InProduction => "in production",
        })
    }
}

/// How much the WAL tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WalLevel {
    /// Not enough for an archive.
    Minimal,
    /// Enough for archive recovery and standbys (`archive` and `hot_standby` of 9.5 included).
    Replica,
    /// Enough for logical decoding too.
    Logical,
}

impl fmt::Display for WalLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minimal => "minimal",
            Self::Replica => "replica",
            Self::Logical => "logical",
        })
    }
}

/// What a control file says; positions and settings are those at its last write.
#[expect(clippy::struct_excessive_bools, reason = "the fields of the file, as they are")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFile {
    /// The major version that wrote it.
    pub version: PgVersion,
    /// The cluster's identifier; clones share it.
    pub system_id: SystemId,
    /// State at the last write.
    pub state: State,
    /// When the file was last written, whole seconds.
    pub written_at: Timestamp,
    /// Where the latest checkpoint record lies.
    pub checkpoint_lsn: Lsn,
    /// Where replay from that checkpoint begins.
    pub redo_lsn: Lsn,
    /// Timeline of the latest checkpoint.
    pub timeline: Timeline,
    /// Timeline the latest checkpoint's one continues; equal unless it is an end-of-recovery checkpoint.
    pub previous_timeline: Timeline,
    /// When the latest checkpoint was made, whole seconds.
    pub checkpoint_at: Timestamp,
    /// Recovery must replay at least to here before the data is consistent; zero if none is under way.
    pub min_recovery_lsn: Lsn,
    /// Timeline of [`Self::min_recovery_lsn`]; zero with it.
    pub min_recovery_timeline: Timeline,
    /// Start of the base backup being recovered from; zero once its end was reached.
    pub backup_start_lsn: Lsn,
    /// End of a backup taken from a standby; zero otherwise.
    pub backup_end_lsn: Lsn,
    /// True while the backup's end record must still be seen.
    pub backup_end_required: bool,
    /// `wal_level` in force.
    pub wal_level: WalLevel,
    /// `wal_log_hints` in force.
    pub wal_log_hints: bool,
    /// `max_connections` in force; a hot standby needs at least as much.
    pub max_connections: u32,
    /// `max_worker_processes` in force.
    pub max_worker_processes: u32,
    /// `max_wal_senders` in force; recorded from 12 on.
    pub max_wal_senders: Option<u32>,
    /// `max_prepared_transactions` in force.
    pub max_prepared_xacts: u32,
    /// `max_locks_per_transaction` in force.
    pub max_locks_per_xact: u32,
    /// `track_commit_timestamp` in force.
    pub track_commit_timestamp: bool,
    /// Size of a data page in bytes.
    pub page_bytes: u32,
    /// Size of a WAL page in bytes.
    pub wal_page_bytes: u32,
    /// Size of a WAL segment.
    pub segment_size: WalSegmentSize,
    /// True if data pages carry checksums.
    pub data_checksums: bool,
    /// Offset of the first byte after the checksum that is not zero. PostgreSQL writes zeros there and never reads
    /// them: the cluster is unharmed, but something else wrote into the file.
    pub stray_byte_at: Option<usize>,
}

/// Where the fields of one version lie, in bytes from the start of the file.
struct Layout {
    checkpoint_copy: usize,
    /// Of the time inside the checkpoint's copy.
    checkpoint_time: usize,
    /// Of `unloggedLSN`, after which the recovery fields follow alike in every version.
    recovery: usize,
    has_wal_senders: bool,
    /// Of `blcksz`, `xlog_blcksz` follows 8 and `xlog_seg_size` 12 bytes later, `data_checksum_version` 36.
    page_bytes: usize,
    crc: usize,
}

impl Layout {
    fn of(version: PgVersion) -> Self {
        let at_least = |major| version.at_least(major);
        let crc = match version.major_number() {
            ..=9 => 256,
            11 => 280,
            18.. => 292,
            _ => 288,
        };
        // 11 dropped the previous checkpoint's position; 12 widened the next transaction id and added max_wal_senders.
        Self {
            checkpoint_copy: if at_least(11) { 40 } else { 48 },
            checkpoint_time: if at_least(12) { 64 } else { 56 },
            recovery: if version.major_number() == 11 { 120 } else { 128 },
            has_wal_senders: at_least(12),
            page_bytes: if version.major_number() == 11 { 208 } else { 216 },
            crc,
        }
    }
}

impl ControlFile {
    /// Reads `global/pg_control` below `data_dir`.
    ///
    /// A running server may be writing it: a checksum that does not hold is read again a few times first.
    pub fn read(data_dir: &Path) -> Result<Self, ClusterError> {
        let path = data_dir.join(CONTROL_FILE);
        let mut attempt = 0;
        loop {
            let bytes = read_bounded(&path).map_err(|source| ClusterError::Io {
                doing: "read",
                path: path.clone(),
                source,
            })?;
            match Self::parse(&bytes) {
                Err(ControlError::Checksum { .. } | ControlError::Short { .. }) if attempt < 5 => {
                    attempt += 1;
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                parsed => return parsed.map_err(|source| ClusterError::Control { path, source }),
            }
        }
    }

    /// Reads the content of a control file; anything after the first 8192 bytes is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlError> {
        let (fields, layout, version) = verified(bytes)?;
        let copy = layout.checkpoint_copy;
        let recovery = layout.recovery;
        // From wal_level on the fields are 4 bytes wide; max_wal_senders, where recorded, shifts the last three.
        let shift = if layout.has_wal_senders { 4 } else { 0 };
        let state = parse_state(fields.u32(16))?;
        let segment_bytes = fields.u32(layout.page_bytes + 12);
        let checksum_version = fields.u32(layout.page_bytes + 36);
        if checksum_version > 1 {
            return Err(impossible("data_checksum_version", checksum_version));
        }
        let page_bytes = page_size("block size", fields.u32(layout.page_bytes))?;
        let wal_page_bytes = page_size("WAL block size", fields.u32(layout.page_bytes + 8))?;
        Ok(Self {
            version,
            system_id: SystemId(fields.u64(0)),
            state,
            written_at: fields.seconds(24),
            checkpoint_lsn: Lsn(fields.u64(AT_CHECKPOINT)),
            redo_lsn: Lsn(fields.u64(copy)),
            timeline: Timeline(fields.u32(copy + 8)),
            previous_timeline: Timeline(fields.u32(copy + 12)),
            checkpoint_at: fields.seconds(copy + layout.checkpoint_time),
            min_recovery_lsn: Lsn(fields.u64(recovery + 8)),
            min_recovery_timeline: Timeline(fields.u32(recovery + 16)),
            backup_start_lsn: Lsn(fields.u64(recovery + 24)),
            backup_end_lsn: Lsn(fields.u64(recovery + 32)),
            backup_end_required: fields.flag(recovery + 40, "backupEndRequired")?,
            wal_level: parse_wal_level(version, fields.u32(recovery + 44))?,
            wal_log_hints: fields.flag(recovery + 48, "wal_log_hints")?,
            max_connections: fields.u32(recovery + 52),
            max_worker_processes: fields.u32(recovery + 56),
            max_wal_senders: layout.has_wal_senders.then(|| fields.u32(recovery + 60)),
            max_prepared_xacts: fields.u32(recovery + 60 + shift),
            max_locks_per_xact: fields.u32(recovery + 64 + shift),
            track_commit_timestamp: fields.flag(recovery + 68 + shift, "track_commit_timestamp")?,
            page_bytes,
            wal_page_bytes,
            segment_size: WalSegmentSize::new(segment_bytes)
                .map_err(|_| impossible("WAL segment size", segment_bytes))?,
            data_checksums: checksum_version == 1,
            stray_byte_at: stray_byte(bytes, layout.crc + 4),
        })
    }

    /// True if the cluster was stopped cleanly, so that its files are consistent without replaying WAL.
    pub fn stopped_cleanly(&self) -> bool {
        matches!(self.state, State::ShutDown | State::ShutDownInRecovery)
    }

    /// The settings a hot standby needs at least as large as they are here, by name.
    pub fn standby_minimums(&self) -> Vec<(&'static str, u32)> {
        let mut minimums = vec![
            ("max_connections", self.max_connections),
            ("max_worker_processes", self.max_worker_processes),
            ("max_prepared_transactions", self.max_prepared_xacts),
            ("max_locks_per_transaction", self.max_locks_per_xact),
        ];
        minimums.extend(self.max_wal_senders.map(|senders| ("max_wal_senders", senders)));
        minimums
    }

    /// True if the checkpoint is the mark a restore leaves: only `backup_label` says where replay begins.
    pub fn checkpoint_is_marked_unusable(&self) -> bool {
        self.checkpoint_lsn == Lsn(UNUSABLE_CHECKPOINT)
    }
}

/// Makes the checkpoint position of a control file useless and renews its checksum, as pgBackRest does when it
/// restores an online backup: without its `backup_label` the cluster cannot start from the wrong place.
pub fn mark_unusable_checkpoint(bytes: &mut [u8]) -> Result<(), ControlError> {
    let (_, layout, _) = verified(bytes)?;
    let short = || ControlError::Short { found: 0, needed: layout.crc + 4 };
    bytes
        .get_mut(AT_CHECKPOINT..AT_CHECKPOINT + 8)
        .ok_or_else(short)?
        .copy_from_slice(&UNUSABLE_CHECKPOINT.to_le_bytes());
    let crc = crc32c::crc32c(bytes.get(..layout.crc).ok_or_else(short)?);
    bytes.get_mut(layout.crc..layout.crc + 4).ok_or_else(short)?.copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// The fields of a control file whose version is known and whose checksum holds.
fn verified(bytes: &[u8]) -> Result<(Fields<'_>, Layout, PgVersion), ControlError> {
    if bytes.len() < 16 {
        return Err(ControlError::Short { found: bytes.len(), needed: 16 });
    }
    let fields = Fields(bytes);
    let (control, catalog) = (fields.u32(8), fields.u32(12));
    let Some(version) = PgVersion::from_control(control, catalog) else {
        let swapped = PgVersion::from_control(control.swap_bytes(), catalog.swap_bytes()).is_some();
        return Err(ControlError::UnknownVersion { control, catalog, swapped });
    };
    let layout = Layout::of(version);
    let Some(covered) = bytes.get(..layout.crc).filter(|_| bytes.len() >= layout.crc + 4) else {
        return Err(ControlError::Short { found: bytes.len(), needed: layout.crc + 4 });
    };
    let (found, computed) = (fields.u32(layout.crc), crc32c::crc32c(covered));
    if found != computed {
        return Err(ControlError::Checksum { found, computed });
    }
    Ok((fields, layout, version))
}

/// Little-endian reads; callers have checked the length, so what lies outside reads as zero and never panics.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0.get(at..at + N).and_then(|part| part.try_into().ok()).unwrap_or([0; N])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.take(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.take(at))
    }

    fn seconds(&self, at: usize) -> Timestamp {
        Timestamp::from_unix_s(i64::from_le_bytes(self.take(at)))
    }

    fn flag(&self, at: usize, field: &'static str) -> Result<bool, ControlError> {
        match self.take::<1>(at) {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(ControlError::Field { field, value: other.into() }),
        }
    }
}

fn impossible(field: &'static str, value: u32) -> ControlError {
    ControlError::Field { field, value: value.into() }
}

fn parse_state(value: u32) -> Result<State, ControlError> {
    Ok(match value {
        0 => State::Startup,
        1 => State::ShutDown,
        2 => State::ShutDownInRecovery,
        3 => State::ShuttingDown,
        4 => State::InCrashRecovery,
        5 => State::InArchiveRecovery,
        6 => State::InProduction,
        _ => return Err(impossible("state", value)),
    })
}

/// 9.5 still told archive from `hot_standby`.
fn parse_wal_level(version: PgVersion, value: u32) -> Result<WalLevel, ControlError> {
    let four_levels = version.numbers().is_some_and(|numbers| numbers.control == 942);
    match (four_levels, value) {
        (_, 0) => Ok(WalLevel::Minimal),
        (_, 1) | (true, 2) => Ok(WalLevel::Replica),
        (false, 2) | (true, 3) => Ok(WalLevel::Logical),
        _ => Err(impossible("wal_level", value)),
    }
}

fn page_size(field: &'static str, bytes: u32) -> Result<u32, ControlError> {
    let possible = bytes.is_power_of_two() && (1024..=65536).contains(&bytes);
    if possible { Ok(bytes) } else { Err(impossible(field, bytes)) }
}

fn stray_byte(bytes: &[u8], after: usize) -> Option<usize> {
    let end = bytes.len().min(CONTROL_FILE_BYTES);
    bytes.get(after..end)?.iter().position(|byte| *byte != 0).map(|at| after + at)
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::with_capacity(CONTROL_FILE_BYTES);
    std::fs::File::open(path)?.take(CONTROL_FILE_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests;
