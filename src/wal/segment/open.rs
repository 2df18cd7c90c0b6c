//! Records across a segment's edges: the rest of one begun before, the beginning of one that goes on.
//!
//! Keeps only what a later check or decoding needs; knows no page and no file.

use crate::base::Lsn;
use crate::wal::Fault;
use crate::wal::happening::{Dialect, Happening, decode, matters};
use crate::wal::record::{HEADER_BYTES, Record, RecordHeader, checksum};

/// Bytes of a head kept for the stitcher; what matters and is longer is read again.
pub(in crate::wal) const KEPT_HEAD_BYTES: usize = 64 * 1024;

/// The rest of a record begun in the segment before; empty if there is none.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Bytes still missing at the segment's beginning, as its first page claims.
    pub(in crate::wal) claimed: u64,
    /// True if the first page declares the record before it void.
    pub(in crate::wal) overwrites: bool,
    /// Bytes found in this segment; fewer than claimed if the record goes on behind the segment.
    pub(in crate::wal) got: u64,
    /// The first bytes, as many as are kept.
    pub(in crate::wal) kept: Vec<u8>,
    /// Checksum over everything behind the first 16 bytes.
    pub(in crate::wal) crc_behind_16: u32,
    /// Where the next record may begin.
    pub(in crate::wal) end_lsn: Lsn,
}

/// A record of which only the beginning has been seen.
#[derive(Debug, Clone)]
pub struct Open {
    pub(in crate::wal) lsn: Lsn,
    pub(in crate::wal) total_bytes: u32,
    /// Bytes seen so far, header included.
    pub(in crate::wal) got: u64,
    pub(in crate::wal) header_bytes: [u8; HEADER_BYTES],
    pub(in crate::wal) header: Option<RecordHeader>,
    /// Checksum over what was seen behind the header.
    pub(in crate::wal) crc: u32,
    /// The bytes behind the header, if they matter.
    pub(in crate::wal) body: Option<Vec<u8>>,
}

impl Head {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let at = usize::try_from(self.got).unwrap_or(usize::MAX);
        let keep = bytes.len().min(KEPT_HEAD_BYTES.saturating_sub(at));
        self.kept.extend_from_slice(&bytes[..keep]);
        let behind = bytes.get(16_usize.saturating_sub(at)..).unwrap_or_default();
        self.crc_behind_16 = crc32c::crc32c_append(self.crc_behind_16, behind);
        self.got += bytes.len() as u64;
    }
}

/// What a record is checked against.
#[derive(Debug, Clone, Copy)]
pub(in crate::wal) struct Chain {
    pub(in crate::wal) dialect: Dialect,
    pub(in crate::wal) last: Option<Lsn>,
}

impl Open {
    pub(in crate::wal) fn new(lsn: Lsn, total_bytes: u32) -> Self {
        let header_bytes = [0; HEADER_BYTES];
        Self { lsn, total_bytes, got: 0, header_bytes, header: None, crc: 0, body: None }
    }

    pub(in crate::wal) fn missing(&self) -> u64 {
        u64::from(self.total_bytes) - self.got
    }

    /// Takes the next bytes; checks the header as soon as it is whole.
    pub(in crate::wal) fn feed(&mut self, mut bytes: &[u8], chain: &Chain) -> Result<(), Fault> {
        if self.header.is_none() {
            let have = usize::try_from(self.got).unwrap_or(HEADER_BYTES);
            let taken = bytes.len().min(HEADER_BYTES - have);
            self.header_bytes[have..have + taken].copy_from_slice(&bytes[..taken]);
            self.got += taken as u64;
            bytes = &bytes[taken..];
            if self.got < HEADER_BYTES as u64 {
                return Ok(());
            }
            let header = RecordHeader::parse(&self.header_bytes);
            header.check(self.lsn, chain.last, chain.dialect.version)?;
            self.body = matters(&header).then(Vec::new);
            self.header = Some(header);
        }
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.got += bytes.len() as u64;
        if let Some(body) = &mut self.body {
            body.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Adds a sum made elsewhere over bytes that need not be kept.
    pub(in crate::wal) fn feed_sum(&mut self, crc: u32, bytes: u64) {
        self.crc = crc32c::crc32c_combine(self.crc, crc, usize::try_from(bytes).unwrap_or(usize::MAX));
        self.got += bytes;
    }

    /// The finished record.
    pub(in crate::wal) fn finish(&self, end_lsn: Lsn, chain: &Chain) -> Result<Record, Fault> {
        let header = self.header.ok_or(Fault::RecordLength(self.total_bytes))?;
        if checksum(self.crc, &self.header_bytes) != header.crc {
            return Err(Fault::Checksum);
        }
        let happening = match &self.body {
            Some(body) => decode(&header, body, chain.dialect)?,
            None => Happening::Other,
        };
        Ok(header.record(self.lsn, end_lsn, happening))
    }
}
