//! Record headers and bodies: checksum, links, the parts a record consists of.
//!
//! Format: `XLogRecord` and the block headers of `xlogrecord.h`. A record that does not matter is only summed, never
//! copied; this module knows no page and no segment.

use super::bytes::Cursor;
use super::{Fault, Happening};
use crate::base::{Lsn, PgVersion, Xid};

/// Bytes of a record's fixed header.
pub(super) const HEADER_BYTES: usize = 24;
/// The smallest record: a header alone.
const MIN_RECORD_BYTES: u32 = 24;
/// The largest record any version can write (a palloc'ed buffer, 1 GiB).
const MAX_RECORD_BYTES: u32 = 1 << 30;
const LAST_BUILT_IN_MANAGER: u8 = 21;
const FIRST_CUSTOM_MANAGER: u8 = 128;

/// Resource managers whose records are looked into (`rmgrlist.h`, alike in 13 to 18).
pub(super) mod manager {
    pub(crate) const XLOG: u8 = 0;
    pub(crate) const XACT: u8 = 1;
    pub(crate) const DATABASE: u8 = 4;
    pub(crate) const TABLESPACE: u8 = 5;
    pub(crate) const HEAP: u8 = 10;
}

/// One record of the log, as it is delivered in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where the record begins.
    pub lsn: Lsn,
    /// Where the next record may begin (PostgreSQL's `EndRecPtr`): aligned, the segment's end after a switch.
    pub end_lsn: Lsn,
    /// Where the record before it begins.
    pub prev: Lsn,
    /// The transaction that wrote it (a sub-transaction's own id in a savepoint); 0 if none.
    pub xid: Xid,
    /// The resource manager's number.
    pub manager: u8,
    /// The `xl_info` byte.
    pub info: u8,
    /// Total length with header and page images, before alignment.
    pub total_bytes: u32,
    /// What it means for a recovery.
    pub happening: Happening,
}

/// The fixed header.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordHeader {
    pub(super) total_bytes: u32,
    pub(super) xid: Xid,
    pub(super) prev: Lsn,
    pub(super) info: u8,
    pub(super) manager: u8,
    pub(super) crc: u32,
}

impl RecordHeader {
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self {
            total_bytes: word(0),
            xid: Xid(word(4)),
            prev: Lsn(u64::from(word(8)) | u64::from(word(12)) << 32),
            info: bytes[16],
            manager: bytes[17],
            crc: word(20),
        }
    }

    /// Checks what PostgreSQL checks before it trusts a header; `last` is where the record before begins, if known.
    pub(super) fn check(&self, lsn: Lsn, last: Option<Lsn>, version: PgVersion) -> Result<(), Fault> {
        check_length(self.total_bytes)?;
        let custom = self.manager >= FIRST_CUSTOM_MANAGER && version.at_least(15);
        if self.manager > LAST_BUILT_IN_MANAGER && !custom {
            return Err(Fault::ResourceManager(self.manager));
        }
        match last {
            Some(last) if self.prev != last => Err(Fault::Link { expected: last, found: self.prev }),
            None if self.prev >= lsn => Err(Fault::Link { expected: lsn, found: self.prev }),
            _ => Ok(()),
        }
    }

    /// The record as delivered.
    pub(super) fn record(&self, lsn: Lsn, end_lsn: Lsn, happening: Happening) -> Record {
        let Self { total_bytes, xid, prev, info, manager, .. } = *self;
        Record { lsn, end_lsn, prev, xid, manager, info, total_bytes, happening }
    }
}

/// Refuses a length no record can have.
pub(super) fn check_length(total_bytes: u32) -> Result<(), Fault> {
    if (MIN_RECORD_BYTES..=MAX_RECORD_BYTES).contains(&total_bytes) {
        Ok(())
    } else {
        Err(Fault::RecordLength(total_bytes))
    }
}

/// The checksum of a whole record, given the sum over everything behind its header.
pub(super) fn checksum(body_crc: u32, header: &[u8; HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(body_crc, &header[..20])
}

/// A relation's file as `RelFileLocator` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationFile {
    /// Object id of the tablespace.
    pub tablespace: u32,
    /// Object id of the database; 0 for shared relations.
    pub database: u32,
    /// The file number.
    pub relation: u32,
}

impl RelationFile {
    /// Bytes of the stored form.
    pub(super) const BYTES: usize = 12;

    pub(super) fn parse(bytes: &mut Cursor<'_>) -> Option<Self> {
        Some(Self { tablespace: bytes.u32()?, database: bytes.u32()?, relation: bytes.u32()? })
    }
}

/// A page image inside a record, still in its stored form.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageImage<'a> {
    pub(super) stored: &'a [u8],
    pub(super) hole_offset: usize,
    pub(super) hole_bytes: Option<usize>,
    pub(super) packing: Packing,
}

/// How a page image is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Pglz,
    Lz4,
    Zstd,
}

/// One block a record refers to.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockRef<'a> {
    pub(super) relation: RelationFile,
    pub(super) fork: u8,
    pub(super) image: Option<PageImage<'a>>,
    pub(super) data: &'a [u8],
}

/// A record's body cut into its parts.
#[derive(Debug)]
pub(super) struct Body<'a> {
    pub(super) blocks: Vec<BlockRef<'a>>,
    pub(super) main: &'a [u8],
}

struct BlockHead {
    relation: RelationFile,
    fork: u8,
    data_bytes: usize,
    image: Option<(usize, usize, Option<usize>, Packing)>,
}

const BLOCK_HAS_IMAGE: u8 = 0x10;
const BLOCK_HAS_DATA: u8 = 0x20;
const BLOCK_SAME_RELATION: u8 = 0x80;
const MAX_BLOCK_ID: u8 = 32;

impl<'a> Body<'a> {
    /// Cuts the bytes behind a record's header into block references and main data.
    pub(super) fn parse(body: &'a [u8], version: PgVersion) -> Option<Self> {
        let mut bytes = Cursor(body);
        let mut heads: Vec<BlockHead> = Vec::new();
        let (mut main_bytes, mut total) = (0_usize, 0_usize);
        while bytes.0.len() > total {
            match bytes.u8()? {
                255 => {
                    main_bytes = usize::from(bytes.u8()?);
                    total += main_bytes;
                    break;
                }
                254 => {
                    main_bytes = usize::try_from(bytes.u32()?).ok()?;
                    total += main_bytes;
                    break;
                }
                253 => {
                    bytes.u16()?;
                }
                252 => {
                    bytes.u32()?;
                }
                id if id <= MAX_BLOCK_ID => {
                    let head = Self::block(&mut bytes, version, heads.last())?;
                    total += head.data_bytes + head.image.map_or(0, |image| image.0);
                    heads.push(head);
                }
                _ => return None,
            }
        }
        if bytes.0.len() != total {
            return None;
        }
        let mut blocks = Vec::with_capacity(heads.len());
        for head in heads {
            let image = match head.image {
                Some((stored, hole_offset, hole_bytes, packing)) => {
                    Some(PageImage { stored: bytes.take(stored)?, hole_offset, hole_bytes, packing })
                }
                None => None,
            };
            blocks.push(BlockRef {
                relation: head.relation,
                fork: head.fork,
                image,
                data: bytes.take(head.data_bytes)?,
            });
        }
        Some(Self { blocks, main: bytes.take(main_bytes)? })
    }

    fn block(bytes: &mut Cursor<'_>, version: PgVersion, before: Option<&BlockHead>) -> Option<BlockHead> {
        let flags = bytes.u8()?;
        let data_bytes = usize::from(bytes.u16()?);
        if (flags & BLOCK_HAS_DATA == 0) != (data_bytes == 0) {
            return None;
        }
        let image = if flags & BLOCK_HAS_IMAGE == 0 { None } else { Some(Self::image(bytes, version)?) };
        let relation =
            if flags & BLOCK_SAME_RELATION == 0 { RelationFile::parse(bytes)? } else { before?.relation };
        bytes.u32()?;
        Some(BlockHead { relation, fork: flags & 0x0F, data_bytes, image })
    }

    fn image(bytes: &mut Cursor<'_>, version: PgVersion) -> Option<(usize, usize, Option<usize>, Packing)> {
        const HAS_HOLE: u8 = 0x01;
        let (stored, hole_offset, info) = (bytes.u16()?, bytes.u16()?, bytes.u8()?);
        // Up to 14 bit 2 means packed (pglz only); from 15 on there is one bit for each of three methods.
        let packing = if version.at_least(15) {
            match info & 0x1C {
                0 => Packing::Plain,
                0x04 => Packing::Pglz,
                0x08 => Packing::Lz4,
                0x10 => Packing::Zstd,
                _ => return None,
            }
        } else if info & 0x02 == 0 {
            Packing::Plain
        } else {
            Packing::Pglz
        };
        let hole_bytes = match (info & HAS_HOLE != 0, packing) {
            (false, _) => Some(0),
            // Without packing the hole is whatever the image lacks of a page.
            (true, Packing::Plain) => None,
            (true, _) => Some(usize::from(bytes.u16()?)),
        };
        Some((usize::from(stored), usize::from(hole_offset), hole_bytes, packing))
    }
}
