//! What records mean for a recovery: ends of transactions, restore points, checkpoints, timelines, and effects that
//! no rollback undoes.
//!
//! Formats per version: `xact.h`, `xactdesc.c`, `pg_control.h`, `xlog_internal.h`, `dbcommands_xlog.h`, `tablespace.h`.
//! Records that say nothing here become [`Happening::Other`] without their body being looked at.

mod database;
mod transaction;

pub use database::DatabaseMark;
pub use transaction::{Completion, CompletionDetails, Prepared};

use super::Fault;
use super::bytes::Cursor;
use super::record::{Body, RecordHeader, manager};
use crate::base::{Lsn, PgVersion, Timeline, Timestamp, Xid};

/// How much the log tells (`wal_level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WalLevel {
    /// Not enough for recovery from an archive.
    Minimal,
    /// Enough for recovery and standbys.
    Replica,
    /// Enough for logical decoding.
    Logical,
}

impl WalLevel {
    fn parse(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Minimal),
            1 => Some(Self::Replica),
            2 => Some(Self::Logical),
            _ => None,
        }
    }
}

/// Settings a standby must not have lower than the server that wrote the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// `max_connections`
    pub max_connections: u32,
    /// `max_worker_processes`
    pub max_worker_processes: u32,
    /// `max_wal_senders`
    pub max_wal_senders: u32,
    /// `max_prepared_transactions`
    pub max_prepared_transactions: u32,
    /// `max_locks_per_transaction`
    pub max_locks_per_transaction: u32,
    /// `wal_level`
    pub wal_level: WalLevel,
}

impl Parameters {
    /// Field by field the higher of both; the wal level is the later one's.
    #[must_use]
    pub fn highest(self, later: Self) -> Self {
        Self {
            max_connections: self.max_connections.max(later.max_connections),
            max_worker_processes: self.max_worker_processes.max(later.max_worker_processes),
            max_wal_senders: self.max_wal_senders.max(later.max_wal_senders),
            max_prepared_transactions: self.max_prepared_transactions.max(later.max_prepared_transactions),
            max_locks_per_transaction: self.max_locks_per_transaction.max(later.max_locks_per_transaction),
            wal_level: later.wal_level,
        }
    }
}

/// A checkpoint record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// True for the checkpoint of a clean stop or of the end of a recovery.
    pub shutdown: bool,
    /// Where replay begins from this checkpoint.
    pub redo: Lsn,
    /// The timeline from here on.
    pub timeline: Timeline,
    /// The timeline until here; another one only where a timeline begins.
    pub prev_timeline: Timeline,
    /// `full_page_writes` at the time.
    pub full_page_writes: bool,
    /// `wal_level` at the time; carried from version 17 on.
    pub wal_level: Option<WalLevel>,
    /// The next transaction id, with its epoch in the upper 32 bits.
    pub next_xid: u64,
    /// The server's clock, whole seconds.
    pub time: Timestamp,
}

/// What a record means for a recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Nothing that matters here; delivered only where every record, or this position, was asked for.
    Other,
    /// A transaction committed, prepared ones included.
    Commit(Completion),
    /// A transaction was rolled back; also a single savepoint, whose own id the record then carries.
    Abort(Completion),
    /// A transaction was prepared for commit in two phases.
    Prepare(Box<Prepared>),
    /// Sub-transactions of a running transaction.
    Assignment {
        /// The top-level transaction.
        top: Xid,
        /// Its sub-transactions named here.
        subs: Box<[Xid]>,
    },
    /// A named restore point.
    RestorePoint {
        /// When it was made.
        time: Timestamp,
        /// Its name.
        name: Box<str>,
    },
    /// Settings of the server changed.
    Parameters(Parameters),
    /// A checkpoint.
    Checkpoint(Box<Checkpoint>),
    /// The position a checkpoint's replay begins at (from version 17 on).
    CheckpointRedo {
        /// `wal_level` at the time.
        wal_level: WalLevel,
    },
    /// A timeline begins after a promotion.
    EndOfRecovery {
        /// When the promotion happened.
        time: Timestamp,
        /// The new timeline.
        timeline: Timeline,
        /// The timeline replayed until here.
        prev_timeline: Timeline,
        /// `wal_level` at the time; carried from version 17 on.
        wal_level: Option<WalLevel>,
    },
    /// `full_page_writes` changed to this.
    FullPageWrites(bool),
    /// An online backup of a primary ended.
    BackupEnd {
        /// Where that backup's replay begins.
        start: Lsn,
    },
    /// The rest of the segment is unused.
    Switch,
    /// A record cut off by a crash is declared void.
    Overwritten {
        /// Where the void record begins.
        lsn: Lsn,
        /// When the server wrote this.
        time: Timestamp,
    },
    /// A database's files were made.
    DatabaseCreated {
        /// The database.
        database: u32,
        /// The tablespace of its files.
        tablespace: u32,
        /// The database copied from, where the record tells.
        from: Option<u32>,
    },
    /// A database's files were copied to another tablespace (`ALTER DATABASE … SET TABLESPACE`).
    DatabaseMoved {
        /// The database.
        database: u32,
        /// The tablespace its files come from.
        from: u32,
        /// The tablespace its files go to.
        to: u32,
    },
    /// A database's files are removed, at once and whatever becomes of the transaction.
    DatabaseDropped {
        /// The database.
        database: u32,
        /// The tablespaces its files are removed from.
        tablespaces: Box<[u32]>,
    },
    /// A row of `pg_database` was changed in place, which no rollback undoes.
    DatabaseInPlace(DatabaseMark),
    /// A tablespace's link is made.
    TablespaceCreated {
        /// The tablespace.
        tablespace: u32,
        /// The folder it stands for.
        path: Box<str>,
    },
    /// A tablespace's link and folder are removed, at once and whatever becomes of the transaction.
    TablespaceDropped {
        /// The tablespace.
        tablespace: u32,
    },
}

/// Unpacks zstd-packed page images: stored bytes and the plain length expected; none if it is not possible.
///
/// The compression library has one home elsewhere; without this, an in-place change of `pg_database` inside a
/// zstd-packed image is reported as unreadable instead of decoded.
pub type UnpackZstd = fn(&[u8], usize) -> Option<Vec<u8>>;

/// What decoding needs to know about the log it decodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub(super) version: PgVersion,
    pub(super) zstd: Option<UnpackZstd>,
}

/// True if the record's body says something that matters here.
pub(super) fn matters(header: &RecordHeader) -> bool {
    match header.manager {
        manager::XLOG => !matches!(header.info & 0xF0, 0x20 | 0x30 | 0xA0 | 0xB0),
        manager::XACT => header.info & 0x70 <= 0x50,
        manager::DATABASE | manager::TABLESPACE => true,
        manager::HEAP => header.info & 0x70 == 0x70,
        _ => false,
    }
}

/// What the record says; its checksum must have been found right.
pub(super) fn decode(header: &RecordHeader, body: &[u8], dialect: Dialect) -> Result<Happening, Fault> {
    let parts = Body::parse(body, dialect.version).ok_or(Fault::Content("WAL"))?;
    let version = dialect.version;
    let (name, decoded) = match header.manager {
        manager::XLOG => ("XLOG", xlog(header.info, parts.main, version)),
        manager::XACT => ("transaction", transaction::decode(header, parts.main, version)),
        manager::DATABASE => ("database", database::decode(header.info, parts.main, version)),
        manager::TABLESPACE => ("tablespace", database::tablespace(header.info, parts.main)),
        manager::HEAP => ("heap", database::in_place(&parts, dialect)),
        _ => ("", Some(Happening::Other)),
    };
    decoded.ok_or(Fault::Content(name))
}

fn xlog(info: u8, main: &[u8], version: PgVersion) -> Option<Happening> {
    let mut bytes = Cursor(main);
    Some(match info & 0xF0 {
        0x00 => Happening::Checkpoint(Box::new(checkpoint(true, &mut bytes, version)?)),
        0x10 => Happening::Checkpoint(Box::new(checkpoint(false, &mut bytes, version)?)),
        0x40 => Happening::Switch,
        0x50 => Happening::BackupEnd { start: Lsn(bytes.u64()?) },
        0x60 => Happening::Parameters(Parameters {
            max_connections: bytes.u32()?,
            max_worker_processes: bytes.u32()?,
            max_wal_senders: bytes.u32()?,
            max_prepared_transactions: bytes.u32()?,
            max_locks_per_transaction: bytes.u32()?,
            wal_level: WalLevel::parse(bytes.u32()?)?,
        }),
        0x70 => {
            let time = Timestamp::from_postgres_us(bytes.i64()?);
            let mut name = Cursor(bytes.take(64)?);
            Happening::RestorePoint { time, name: name.text()?.into() }
        }
        0x80 => Happening::FullPageWrites(bytes.u8()? != 0),
        0x90 => Happening::EndOfRecovery {
            time: Timestamp::from_postgres_us(bytes.i64()?),
            timeline: Timeline(bytes.u32()?),
            prev_timeline: Timeline(bytes.u32()?),
            wal_level: if version.at_least(17) { Some(WalLevel::parse(bytes.u32()?)?) } else { None },
        },
        0xD0 => {
            Happening::Overwritten { lsn: Lsn(bytes.u64()?), time: Timestamp::from_postgres_us(bytes.i64()?) }
        }
        0xE0 if version.at_least(17) => {
            Happening::CheckpointRedo { wal_level: WalLevel::parse(bytes.u32()?)? }
        }
        _ => Happening::Other,
    })
}

fn checkpoint(shutdown: bool, bytes: &mut Cursor<'_>, version: PgVersion) -> Option<Checkpoint> {
    let redo = Lsn(bytes.u64()?);
    let timeline = Timeline(bytes.u32()?);
    let prev_timeline = Timeline(bytes.u32()?);
    let full_page_writes = bytes.u8()? != 0;
    bytes.take(3)?;
    let level = bytes.u32()?;
    let wal_level = if version.at_least(17) { Some(WalLevel::parse(level)?) } else { None };
    let next_xid = bytes.u64()?;
    // Next OID, next multi-xact and offset, oldest xid and database, oldest multi-xact and database.
    bytes.take(7 * 4 + 4)?;
    let time = Timestamp::from_unix_s(bytes.i64()?);
    Some(Checkpoint { shutdown, redo, timeline, prev_timeline, full_page_writes, wal_level, next_xid, time })
}
