//! A small writer of write-ahead log for unit tests: pages, continued records, forks, given-up records.
//!
//! What it writes is what the integration tests see real servers write; it exists to make what they write rarely.

use super::record::{HEADER_BYTES, RecordHeader, manager};
use super::scan::SegmentSource;
use crate::base::{self, Lsn, PgVersion, Timeline, Timestamp, WalSegment, WalSegmentSize};
use std::collections::BTreeMap;
use std::io::Read;

pub(super) const PAGE: u64 = 8192;
pub(super) const SYSTEM_ID: u64 = 0x6512_3456_789A_BCDE;

/// A log under construction; its segments so far are a source.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) version: u16,
    pub(super) timeline: Timeline,
    pub(super) at: u64,
    pub(super) last: u64,
    pub(super) segments: BTreeMap<WalSegment, Vec<u8>>,
    pub(super) histories: BTreeMap<Timeline, Vec<u8>>,
    overwrite: bool,
}

pub(super) fn size() -> WalSegmentSize {
    WalSegmentSize::new(1 << 20).unwrap()
}

impl Log {
    /// A log that begins at the second segment.
    pub(super) fn new(version: u16) -> Self {
        Self {
            version,
            timeline: Timeline(1),
            at: 1 << 20,
            last: 0,
            segments: BTreeMap::new(),
            histories: BTreeMap::new(),
            overwrite: false,
        }
    }

    fn put(&mut self, mut bytes: &[u8], mut remaining: u32) {
        while !bytes.is_empty() {
            if self.at.is_multiple_of(PAGE) {
                self.page_header(remaining);
            }
            let taken = bytes.len().min(usize::try_from(PAGE - self.at % PAGE).unwrap());
            let segment = WalSegment::containing(self.timeline, Lsn(self.at), size());
            let offset = Lsn(self.at).segment_offset(size()) as usize;
            let content = self.segments.entry(segment).or_insert_with(|| vec![0; 1 << 20]);
            content[offset..offset + taken].copy_from_slice(&bytes[..taken]);
            self.at += taken as u64;
            bytes = &bytes[taken..];
            remaining = remaining.saturating_sub(u32::try_from(taken).unwrap());
        }
    }

    fn page_header(&mut self, remaining: u32) {
        let first = self.at.is_multiple_of(1 << 20);
        let magic = PgVersion::major(self.version).numbers().unwrap().wal_magic;
        let mut flags = u16::from(remaining > 0) | u16::from(first) << 1;
        if std::mem::take(&mut self.overwrite) {
            flags |= 8;
        }
        let mut header = [magic.to_le_bytes(), flags.to_le_bytes()].concat();
        header.extend(self.timeline.0.to_le_bytes());
        header.extend(self.at.to_le_bytes());
        header.extend(remaining.to_le_bytes());
        header.extend([0; 4]);
        if first {
            header.extend(SYSTEM_ID.to_le_bytes());
            header.extend((1_u32 << 20).to_le_bytes());
            header.extend((8192_u32).to_le_bytes());
        }
        let segment = WalSegment::containing(self.timeline, Lsn(self.at), size());
        let offset = Lsn(self.at).segment_offset(size()) as usize;
        let content = self.segments.entry(segment).or_insert_with(|| vec![0; 1 << 20]);
        content[offset..offset + header.len()].copy_from_slice(&header);
        self.at += header.len() as u64;
    }

    /// Where the last record ends, as PostgreSQL says it.
    pub(super) fn end_lsn(&self) -> Lsn {
        Lsn(self.at.next_multiple_of(8))
    }

    fn encode(&self, xid: u32, manager: u8, info: u8, main: &[u8]) -> Vec<u8> {
        let length = u32::try_from(main.len()).unwrap();
        let mut body = u8::try_from(length)
            .map_or_else(|_| [&[254][..], &length.to_le_bytes()].concat(), |short| vec![255, short]);
        body.extend(main);
        let mut header = u32::try_from(HEADER_BYTES + body.len()).unwrap().to_le_bytes().to_vec();
        header.extend(xid.to_le_bytes());
        header.extend(self.last.to_le_bytes());
        header.extend([info, manager, 0, 0]);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&body), &header);
        header.extend(crc.to_le_bytes());
        header.extend(body);
        header
    }

    /// Adds a record; returns where it begins.
    pub(super) fn record(&mut self, xid: u32, manager: u8, info: u8, main: &[u8]) -> Lsn {
        let bytes = self.encode(xid, manager, info, main);
        let lsn = self.begin();
        self.put(&bytes, u32::try_from(bytes.len()).unwrap());
        self.last = lsn.0;
        lsn
    }

    fn begin(&mut self) -> Lsn {
        self.at = self.at.next_multiple_of(8);
        if self.at.is_multiple_of(PAGE) {
            self.page_header(0);
        }
        Lsn(self.at)
    }

    /// A record of no meaning with that many bytes of data.
    pub(super) fn filler(&mut self, bytes: usize) -> Lsn {
        let data: Vec<u8> = (0..bytes).map(|at| u8::try_from((at * 7 + bytes) % 256).unwrap()).collect();
        self.record(0, manager::XLOG, 0x20, &data)
    }

    pub(super) fn commit(&mut self, xid: u32, time: Timestamp) -> Lsn {
        self.record(xid, manager::XACT, 0, &to_postgres(time).to_le_bytes())
    }

    /// A commit that drops so many files that its record is long.
    pub(super) fn long_commit(&mut self, xid: u32, time: Timestamp, files: u32) -> Lsn {
        let mut main = to_postgres(time).to_le_bytes().to_vec();
        main.extend(4_u32.to_le_bytes());
        main.extend(files.to_le_bytes());
        for file in 0..files {
            main.extend([1663_u32, 5, 20_000 + file].map(u32::to_le_bytes).concat());
        }
        self.record(xid, manager::XACT, 0x80, &main)
    }

    pub(super) fn end_of_recovery(&mut self, to: u32, from: u32) -> Lsn {
        let mut main = 5_i64.to_le_bytes().to_vec();
        main.extend(to.to_le_bytes());
        main.extend(from.to_le_bytes());
        if self.version >= 17 {
            main.extend([1_u32.to_le_bytes(), [0; 4]].concat());
        }
        self.record(0, manager::XLOG, 0x90, &main)
    }

    /// Ends the segment in use.
    pub(super) fn switch(&mut self) -> Lsn {
        let bytes = self.encode(0, manager::XLOG, 0x40, &[]);
        // A switch has no data, so not even a data header.
        let mut bytes = bytes[..HEADER_BYTES].to_vec();
        bytes[..4].copy_from_slice(&24_u32.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..20]);
        bytes[20..].copy_from_slice(&crc.to_le_bytes());
        let lsn = self.begin();
        self.put(&bytes, 24);
        self.last = lsn.0;
        self.at = self.at.next_multiple_of(1 << 20);
        lsn
    }

    /// Writes only the part of a long record that lies before the next page (or segment), as a crash leaves it, and
    /// then what the restarted server writes.
    pub(super) fn torn(&mut self, bytes: usize, until: u64) -> Lsn {
        let whole = self.encode(9, manager::XLOG, 0x20, &vec![1; bytes]);
        let lsn = self.begin();
        let kept = self.last;
        self.put(&whole, u32::try_from(whole.len()).unwrap());
        self.last = kept;
        for (segment, content) in &mut self.segments {
            let begin = segment.start_lsn(size()).0;
            if begin + (1 << 20) > until {
                content[usize::try_from(until.saturating_sub(begin)).unwrap()..].fill(0);
            }
        }
        self.segments.retain(|segment, _| segment.start_lsn(size()).0 < until);
        self.at = until;
        lsn
    }

    /// The record by which a restarted server declares a torn one void.
    pub(super) fn overwritten(&mut self, void: Lsn) -> Lsn {
        self.overwrite = true;
        let main = [void.0.to_le_bytes(), 7_u64.to_le_bytes()].concat();
        self.record(0, manager::XLOG, 0xD0, &main)
    }

    /// From here on a new timeline is written, beginning with a copy of the segment in use.
    pub(super) fn fork(&mut self, timeline: u32, history: &str) {
        let parent = WalSegment::containing(self.timeline, Lsn(self.at.saturating_sub(1)), size());
        let content = self.segments.get(&parent).cloned();
        self.timeline = Timeline(timeline);
        if let Some(content) = content.filter(|_| !self.at.is_multiple_of(1 << 20)) {
            self.segments.insert(WalSegment { timeline: self.timeline, ..parent }, content);
        }
        self.histories.insert(self.timeline, history.as_bytes().to_vec());
    }

    pub(super) fn segment(&self, number: u64) -> WalSegment {
        WalSegment::from_number(self.timeline, number, size())
    }
}

pub(super) fn to_postgres(time: Timestamp) -> i64 {
    time.0 - Timestamp::from_postgres_us(0).0
}

impl SegmentSource for Log {
    fn open(&self, segment: WalSegment) -> base::Result<Option<Box<dyn Read + Send>>> {
        let content = self.segments.get(&segment).cloned();
        Ok(content.map(|content| -> Box<dyn Read + Send> { Box::new(std::io::Cursor::new(content)) }))
    }

    fn history(&self, timeline: Timeline) -> base::Result<Option<Vec<u8>>> {
        Ok(self.histories.get(&timeline).cloned())
    }

    fn oldest_segment(&self, timeline: Timeline) -> base::Result<Option<WalSegment>> {
        Ok(self.segments.keys().filter(|segment| segment.timeline == timeline).min().copied())
    }
}

/// The header of the record that begins at `lsn`, for tests that change it.
pub(super) fn header_at(content: &[u8], offset: usize) -> RecordHeader {
    RecordHeader::parse(content[offset..].first_chunk().unwrap())
}
