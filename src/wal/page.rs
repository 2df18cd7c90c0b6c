//! Page headers: the long one at the beginning of a segment, the short one on every other page.
//!
//! Format: `XLogPageHeaderData` and `XLogLongPageHeaderData` of `xlog_internal.h`, alike in 13 to 18. This module looks
//! at headers only, never at records.

use super::bytes::Cursor;
use super::{Expected, Fault};
use crate::base::{Lsn, PgVersion, SystemId, Timeline, WalSegment, WalSegmentSize};

/// Bytes of a short page header.
pub const SHORT_HEADER_BYTES: usize = 24;
/// Bytes of the long header on a segment's first page.
pub const LONG_HEADER_BYTES: usize = 40;

const FIRST_IS_CONTINUED: u16 = 0x0001;
const LONG: u16 = 0x0002;
const FIRST_IS_OVERWRITTEN: u16 = 0x0008;
const ALL_FLAGS: u16 = 0x000F;

/// What the first page of a segment says about the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The major version that writes this page magic.
    pub version: PgVersion,
    /// The timeline of the first page: the segment's own, or an ancestor's in the segment of a fork.
    pub timeline: Timeline,
    /// The position of the first byte.
    pub page_lsn: Lsn,
    /// The cluster's identifier.
    pub system_id: SystemId,
    /// The segment size the cluster was made with.
    pub segment_size: WalSegmentSize,
    /// Bytes of one WAL page (8192 unless PostgreSQL was built otherwise).
    pub page_bytes: u32,
}

impl SegmentHeader {
    /// Reads the header from the first 40 or more bytes of a segment.
    ///
    /// Refuses a page that PostgreSQL 13 to 18 would not have written as the first of a segment: unknown magic,
    /// impossible sizes, an address that is no segment's beginning.
    pub fn parse(first_bytes: &[u8]) -> Result<Self, Fault> {
        let header = Self::parse_any_version(first_bytes)?;
        let magic = header.version.numbers().map_or(0, |numbers| numbers.wal_magic);
        if header.version.at_least(13) { Ok(header) } else { Err(Fault::UnknownMagic(magic)) }
    }

    /// The same for every version from 9.5 on, whose headers look alike though their records do not.
    pub fn parse_any_version(first_bytes: &[u8]) -> Result<Self, Fault> {
        let short = || Fault::Short(first_bytes.len() as u64);
        let page = PageHeader::parse(first_bytes).ok_or_else(short)?;
        if page.magic == 0 && first_bytes[..SHORT_HEADER_BYTES].iter().all(|byte| *byte == 0) {
            return Err(Fault::Zeros);
        }
        let version = PgVersion::from_wal_magic(page.magic).ok_or(Fault::UnknownMagic(page.magic))?;
        if page.flags & LONG == 0 || page.flags & !ALL_FLAGS != 0 {
            return Err(Fault::PageFlags(page.flags));
        }
        let mut rest = Cursor(first_bytes.get(SHORT_HEADER_BYTES..).unwrap_or_default());
        let (system_id, segment_bytes, page_bytes) =
            (|| Some((rest.u64()?, rest.u32()?, rest.u32()?)))().ok_or_else(short)?;
        let segment_size =
            WalSegmentSize::new(segment_bytes).map_err(|_| Fault::SegmentSize(segment_bytes))?;
        if !page_bytes.is_power_of_two() || !(1024..=65536).contains(&page_bytes) {
            return Err(Fault::PageSize(page_bytes));
        }
        if page.address.segment_offset(segment_size) != 0 {
            return Err(Fault::PageAddress(page.address));
        }
        if page.timeline.0 == 0 {
            return Err(Fault::PageTimeline { expected: Timeline(1), found: page.timeline });
        }
        let system_id = SystemId(system_id);
        Ok(Self {
            version,
            timeline: page.timeline,
            page_lsn: page.address,
            system_id,
            segment_size,
            page_bytes,
        })
    }

    /// Checks that the segment is what its name, the cluster and the scan say.
    pub fn check(&self, segment: WalSegment, size: WalSegmentSize, expected: &Expected) -> Result<(), Fault> {
        let foreign = |what, expected: &dyn ToString, found: &dyn ToString| {
            Err(Fault::Foreign { what, expected: expected.to_string(), found: found.to_string() })
        };
        if let Some(version) = expected.version.filter(|version| *version != self.version) {
            return foreign("PostgreSQL version", &version, &self.version);
        }
        if let Some(system_id) = expected.system_id.filter(|id| *id != self.system_id) {
            return foreign("system identifier", &system_id, &self.system_id);
        }
        if size != self.segment_size {
            return foreign("segment size", &size.bytes(), &self.segment_size.bytes());
        }
        if self.page_lsn != segment.start_lsn(size) {
            return Err(Fault::PageAddress(self.page_lsn));
        }
        if self.timeline > segment.timeline {
            return Err(Fault::PageTimeline { expected: segment.timeline, found: self.timeline });
        }
        Ok(())
    }
}

/// The fields every page begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageHeader {
    pub(super) magic: u16,
    pub(super) flags: u16,
    pub(super) timeline: Timeline,
    pub(super) address: Lsn,
    /// Bytes of the record begun before this page that are still missing; 0 if the page continues none.
    pub(super) remaining: u32,
}

impl PageHeader {
    pub(super) fn parse(page: &[u8]) -> Option<Self> {
        let mut bytes = Cursor(page.get(..SHORT_HEADER_BYTES)?);
        Some(Self {
            magic: bytes.u16()?,
            flags: bytes.u16()?,
            timeline: Timeline(bytes.u32()?),
            address: Lsn(bytes.u64()?),
            remaining: bytes.u32()?,
        })
    }

    /// Bytes of the header itself on a page of this kind.
    pub(super) fn bytes(first_of_segment: bool) -> usize {
        if first_of_segment { LONG_HEADER_BYTES } else { SHORT_HEADER_BYTES }
    }

    /// True if the page begins with the rest of a record.
    pub(super) fn continues(&self) -> bool {
        self.flags & FIRST_IS_CONTINUED != 0
    }

    /// True if the record open before this page was given up here after a crash.
    pub(super) fn overwrites(&self) -> bool {
        self.flags & FIRST_IS_OVERWRITTEN != 0
    }

    /// Checks everything that can be known of a page at `address` of a segment with the given magic.
    pub(super) fn check(&self, address: Lsn, first_of_segment: bool, magic: u16) -> Result<(), Fault> {
        if self.magic != magic {
            return Err(Fault::Magic { expected: magic, found: self.magic });
        }
        if self.flags & !ALL_FLAGS != 0 || (self.flags & LONG != 0) != first_of_segment {
            return Err(Fault::PageFlags(self.flags));
        }
        if self.address != address {
            return Err(Fault::PageAddress(self.address));
        }
        if self.continues() && self.overwrites() {
            return Err(Fault::PageFlags(self.flags));
        }
        if self.continues() != (self.remaining != 0) {
            return Err(Fault::ContinuationLength { expected: 0, found: u64::from(self.remaining) });
        }
        Ok(())
    }
}
