//! Ends of transactions, prepared transactions, sub-transactions.
//!
//! Formats: `xact.h` and `xactdesc.c`; prepared ones `twophase.c`. The optional parts of a commit stand one after the
//! other without padding; 15 added dropped statistics, 18 made each of those four bytes longer.

use super::Happening;
use crate::base::{PgVersion, Timestamp, Xid};
use crate::wal::bytes::{Cursor, align8};
use crate::wal::record::{RecordHeader, RelationFile};

/// The end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The transaction that ended: the record's own, or the prepared one that was decided here.
    ///
    /// Equal to what PostgreSQL compares with `recovery_target_xid`.
    pub xid: Xid,
    /// The server's clock at the end, which PostgreSQL compares with `recovery_target_time`.
    pub time: Timestamp,
    /// What only some transactions have.
    pub details: Option<Box<CompletionDetails>>,
}

/// What only some ends of transactions carry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompletionDetails {
    /// The database the transaction worked in.
    pub database: Option<u32>,
    /// Sub-transactions that ended with it.
    pub subs: Vec<Xid>,
    /// Relation files removed by it.
    pub dropped_files: Vec<RelationFile>,
    /// True if a prepared transaction was decided.
    pub prepared: bool,
    /// The prepared transaction's name, where the record tells (`wal_level` logical).
    pub gid: Option<String>,
}

impl Completion {
    /// The sub-transactions that ended with it.
    pub fn subs(&self) -> &[Xid] {
        self.details.as_deref().map_or(&[], |details| &details.subs)
    }
}

/// A transaction prepared for commit in two phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The transaction.
    pub xid: Xid,
    /// When it was prepared.
    pub time: Timestamp,
    /// The database it worked in.
    pub database: u32,
    /// Its name.
    pub gid: String,
    /// Its sub-transactions.
    pub subs: Vec<Xid>,
}

const HAS_XINFO: u8 = 0x80;
const HAS_DATABASE: u32 = 1 << 0;
const HAS_SUBS: u32 = 1 << 1;
const HAS_FILES: u32 = 1 << 2;
const HAS_INVALIDATIONS: u32 = 1 << 3;
const HAS_TWO_PHASE: u32 = 1 << 4;
const HAS_ORIGIN: u32 = 1 << 5;
const HAS_GID: u32 = 1 << 7;
const HAS_DROPPED_STATS: u32 = 1 << 8;
/// The lower half says what follows; the upper half how the commit is waited for.
const ALL_PARTS: u32 = 0xFFFF;
/// Bytes of one `SharedInvalidationMessage`, alike in all versions.
const INVALIDATION_BYTES: usize = 16;

pub(super) fn decode(header: &RecordHeader, main: &[u8], version: PgVersion) -> Option<Happening> {
    let mut bytes = Cursor(main);
    Some(match header.info & 0x70 {
        0x00 => Happening::Commit(completion(header, &mut bytes, version, false)?),
        0x10 => Happening::Prepare(Box::new(prepared(main, version)?)),
        0x20 => Happening::Abort(completion(header, &mut bytes, version, false)?),
        0x30 => Happening::Commit(completion(header, &mut bytes, version, true)?),
        0x40 => Happening::Abort(completion(header, &mut bytes, version, true)?),
        0x50 => {
            let top = Xid(bytes.u32()?);
            Happening::Assignment { top, subs: xids(&mut bytes)?.into() }
        }
        _ => Happening::Other,
    })
}

fn xids(bytes: &mut Cursor<'_>) -> Option<Vec<Xid>> {
    let count = bytes.count(4)?;
    (0..count).map(|_| bytes.u32().map(Xid)).collect()
}

fn skip_list(bytes: &mut Cursor<'_>, each: usize) -> Option<()> {
    let count = bytes.count(each)?;
    bytes.take(count * each).map(drop)
}

fn completion(
    header: &RecordHeader,
    bytes: &mut Cursor<'_>,
    version: PgVersion,
    prepared: bool,
) -> Option<Completion> {
    let time = Timestamp::from_postgres_us(bytes.i64()?);
    let xinfo = if header.info & HAS_XINFO == 0 { 0 } else { bytes.u32()? };
    let has = |bit| xinfo & bit != 0;
    // The record of a decided prepared transaction is useless without that transaction's id.
    if prepared && !has(HAS_TWO_PHASE) {
        return None;
    }
    if xinfo & ALL_PARTS == 0 && !prepared {
        return Some(Completion { xid: header.xid, time, details: None });
    }
    let mut details = CompletionDetails { prepared, ..CompletionDetails::default() };
    if has(HAS_DATABASE) {
        details.database = Some(bytes.u32()?);
        bytes.u32()?;
    }
    if has(HAS_SUBS) {
        details.subs = xids(bytes)?;
    }
    if has(HAS_FILES) {
        let count = bytes.count(RelationFile::BYTES)?;
        details.dropped_files = (0..count).map(|_| RelationFile::parse(bytes)).collect::<Option<_>>()?;
    }
    if has(HAS_DROPPED_STATS) {
        skip_list(bytes, if version.at_least(18) { 16 } else { 12 })?;
    }
    if has(HAS_INVALIDATIONS) {
        skip_list(bytes, INVALIDATION_BYTES)?;
    }
    let mut xid = header.xid;
    if has(HAS_TWO_PHASE) {
        xid = Xid(bytes.u32()?);
        if has(HAS_GID) {
            details.gid = Some(bytes.text()?);
        }
    }
    if has(HAS_ORIGIN) {
        bytes.take(16)?;
    }
    // Whatever is left was not understood: better said than guessed.
    if !bytes.0.is_empty() {
        return None;
    }
    Some(Completion { xid, time, details: Some(Box::new(details)) })
}

fn prepared(main: &[u8], version: PgVersion) -> Option<Prepared> {
    let mut bytes = Cursor(main);
    bytes.u32()?; // magic of the state file, which differs per version
    bytes.u32()?; // total length
    let xid = Xid(bytes.u32()?);
    let database = bytes.u32()?;
    let time = Timestamp::from_postgres_us(bytes.i64()?);
    bytes.u32()?; // owner
    let sub_count = usize::try_from(bytes.u32()?).ok()?;
    // Numbers of files and (from 15 on) statistics for both outcomes, and of invalidations.
    bytes.take(if version.at_least(15) { 20 } else { 12 })?;
    bytes.u8()?; // whether the relation cache's file becomes invalid
    bytes.u8()?; // padding
    let gid_bytes = usize::from(bytes.u16()?);
    let read = main.len() - bytes.0.len();
    // Origin's LSN and time stand aligned behind, then the name, then the sub-transactions, each aligned.
    let mut rest = Cursor(main.get(usize::try_from(align8(read as u64)).ok()? + 16..)?);
    let mut name = Cursor(rest.take(usize::try_from(align8(gid_bytes as u64)).ok()?)?);
    let gid = name.text()?;
    if sub_count > rest.0.len() / 4 || gid.len() + 1 != gid_bytes {
        return None;
    }
    let subs = (0..sub_count).map(|_| rest.u32().map(Xid)).collect::<Option<_>>()?;
    Some(Prepared { xid, time, database, gid, subs })
}
