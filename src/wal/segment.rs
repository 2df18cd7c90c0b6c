//! One segment alone: cut into the end of a record begun before it, whole records, and the beginning of one that goes on.
//!
//! Knows nothing of the segments beside it, so that any thread can decode any segment; what must hold between two is
//! proven by the stitcher. Memory is one window of pages, one record that matters, and a bounded piece of the head.
//! Behaviour: `xlogreader.c`.

use super::bytes::align8;
use super::happening::{Dialect, Happening, UnpackZstd, decode, matters};
use super::page::{LONG_HEADER_BYTES, PageHeader, SHORT_HEADER_BYTES, SegmentHeader};
use super::record::{HEADER_BYTES, Record, RecordHeader, check_length, checksum};
use super::{Expected, Fault, WalError};
use crate::base::{Lsn, PgVersion, Timeline, WalSegment, WalSegmentSize};
use std::io::Read;
use std::ops::ControlFlow;

/// Bytes read at once; a multiple of every page size.
const WINDOW_BYTES: usize = 128 * 1024;
/// Bytes of a head kept for the stitcher; what matters and is longer is read again.
pub(super) const KEPT_HEAD_BYTES: usize = 64 * 1024;

/// What to decode, and how.
#[derive(Debug, Clone)]
pub struct SegmentPlan {
    /// The segment's name.
    pub segment: WalSegment,
    /// The cluster's segment size.
    pub size: WalSegmentSize,
    /// What the header must agree with.
    pub expected: Expected,
    /// Begin at this record instead of at the segment's first byte.
    pub start: Option<Lsn>,
    /// Take no record that begins here or later.
    pub until: Option<Lsn>,
    /// Deliver every record, not only those that matter.
    pub every_record: bool,
    /// Deliver the record that reaches each of these, and the one that follows it, whatever they are; rising.
    pub watch: Vec<Lsn>,
    /// Unpacks zstd page images.
    pub zstd: Option<UnpackZstd>,
}

/// What decoding a segment yields: a header, a head, records with what is found between them, one end.
///
/// A segment that was never written yields only its end.
#[derive(Debug)]
pub enum Piece {
    /// What the segment says of itself.
    Header(SegmentHeader),
    /// The rest of a record begun in the segment before.
    Head(Head),
    /// From this page on the pages are of this timeline.
    Timeline(Lsn, Timeline),
    /// The record begun here was given up after a crash; the next record must say so.
    Void(Lsn),
    /// A record that lies wholly in the segment.
    Record(Record),
    /// How the segment ends.
    End(SegmentEnd),
}

/// The rest of a record begun in the segment before; empty if there is none.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Bytes still missing at the segment's beginning, as its first page claims.
    pub(super) claimed: u64,
    /// True if the first page declares the record before it void.
    pub(super) overwrites: bool,
    /// Bytes found in this segment; fewer than claimed if the record goes on behind the segment.
    pub(super) got: u64,
    /// The first bytes, as many as are kept.
    pub(super) kept: Vec<u8>,
    /// Checksum over everything behind the first 16 bytes.
    pub(super) crc_behind_16: u32,
    /// Where the next record may begin.
    pub(super) end_lsn: Lsn,
}

/// A record of which only the beginning has been seen.
#[derive(Debug, Clone)]
pub struct Open {
    pub(super) lsn: Lsn,
    pub(super) total_bytes: u32,
    /// Bytes seen so far, header included.
    pub(super) got: u64,
    pub(super) header_bytes: [u8; HEADER_BYTES],
    pub(super) header: Option<RecordHeader>,
    /// Checksum over what was seen behind the header.
    pub(super) crc: u32,
    /// The bytes behind the header, if they matter.
    pub(super) body: Option<Vec<u8>>,
}

/// How a segment ends.
#[derive(Debug)]
pub struct SegmentEnd {
    /// Where the last record that lies wholly in the segment begins.
    pub last: Option<Lsn>,
    /// Where the record after the last one may begin.
    pub end_lsn: Lsn,
    /// The last page whose header was looked at.
    pub last_page: Lsn,
    /// Records that lie wholly in the segment.
    pub records: u64,
    /// The state of the last byte.
    pub tail: Tail,
}

/// The state at a segment's last byte.
#[derive(Debug)]
pub enum Tail {
    /// The last record ends here, or the rest is unused after a switch.
    Complete,
    /// The head fills the segment and goes on.
    HeadGoesOn,
    /// A record begun here goes on.
    Open(Box<Open>),
    /// Nothing valid stands at `lsn` or behind it in this segment.
    Stopped {
        /// Where the first missing record would begin, or the page that is not there.
        lsn: Lsn,
        /// What stands there.
        stop: Stop,
    },
    /// The next record begins at or behind the plan's `until`.
    Until,
}

/// Why nothing follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Never written: zeros.
    Zeros,
    /// A page of the file's former use: PostgreSQL renames old segments for new use.
    Recycled {
        /// The page's former address.
        page_lsn: Lsn,
    },
    /// The last record is cut off or invalid, and no valid page follows.
    Torn(Fault),
}

/// What a record is checked against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    pub(super) dialect: Dialect,
    pub(super) last: Option<Lsn>,
}

impl Open {
    pub(super) fn new(lsn: Lsn, total_bytes: u32) -> Self {
        let header_bytes = [0; HEADER_BYTES];
        Self { lsn, total_bytes, got: 0, header_bytes, header: None, crc: 0, body: None }
    }

    pub(super) fn missing(&self) -> u64 {
        u64::from(self.total_bytes) - self.got
    }

    /// Takes the next bytes; checks the header as soon as it is whole.
    pub(super) fn feed(&mut self, mut bytes: &[u8], chain: &Chain) -> Result<(), Fault> {
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
    pub(super) fn feed_sum(&mut self, crc: u32, bytes: u64) {
        self.crc = crc32c::crc32c_combine(self.crc, crc, usize::try_from(bytes).unwrap_or(usize::MAX));
        self.got += bytes;
    }

    /// The finished record.
    pub(super) fn finish(&self, end_lsn: Lsn, chain: &Chain) -> Result<Record, Fault> {
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

/// Decodes one segment from `reader`, handing each piece to `emit` as soon as it is known; ends early if that breaks.
pub fn decode_segment(
    reader: &mut dyn Read,
    plan: &SegmentPlan,
    emit: &mut dyn FnMut(Piece) -> ControlFlow<()>,
) -> Result<(), WalError> {
    let start = plan.segment.start_lsn(plan.size);
    let fail = |fault| WalError::at(plan.segment, start, fault);
    let mut window = vec![0_u8; WINDOW_BYTES];
    let mut filled = fill(reader, &mut window, plan.segment)?;
    let first = window.get(..filled.min(LONG_HEADER_BYTES)).unwrap_or_default();
    let header = match SegmentHeader::parse(first) {
        Ok(header) => header,
        // A file prepared for use but never written to.
        Err(Fault::Zeros) if plan.start.is_none() => {
            return never_written(reader, plan, emit, &window[..filled], Stop::Zeros);
        }
        Err(fault) => return Err(fail(fault)),
    };
    if header.page_lsn < start && header.segment_size == plan.size && plan.start.is_none() {
        let stop = Stop::Recycled { page_lsn: header.page_lsn };
        return never_written(reader, plan, emit, &window[..filled], stop);
    }
    header.check(plan.segment, plan.size, &plan.expected).map_err(fail)?;
    if emit(Piece::Header(header)).is_break() {
        return Ok(());
    }
    let mut machine = Machine::new(plan, &header, emit);
    let page_bytes = header.page_bytes as usize;
    let mut seen = 0_u64;
    while filled > 0 {
        for page in window[..filled].chunks(page_bytes) {
            if seen == u64::from(plan.size.bytes()) {
                return Err(fail(Fault::Long));
            }
            let address = Lsn(start.0 + seen);
            seen += page.len() as u64;
            if page.len() < page_bytes {
                return Err(WalError::at(plan.segment, address, Fault::Short(seen)));
            }
            if machine.page(address, page)?.is_break() {
                return Ok(());
            }
        }
        filled = fill(reader, &mut window, plan.segment)?;
    }
    if seen < u64::from(plan.size.bytes()) {
        return Err(WalError::at(plan.segment, Lsn(start.0 + seen), Fault::Short(seen)));
    }
    machine.end()
}

/// Reports a segment without a first page of its own; if a later page is its own, that is damage.
fn never_written(
    reader: &mut dyn Read,
    plan: &SegmentPlan,
    emit: &mut dyn FnMut(Piece) -> ControlFlow<()>,
    first: &[u8],
    stop: Stop,
) -> Result<(), WalError> {
    let lsn = plan.segment.start_lsn(plan.size);
    let (mut seen, mut window) = (0, first.to_vec());
    while !window.is_empty() {
        // 1024 divides every page size.
        for chunk in window.chunks(1024) {
            if seen > 0 && is_own_page(chunk, Lsn(lsn.0 + seen), None) {
                return Err(WalError::at(plan.segment, lsn, Fault::Gap(Box::new(fault_of(&stop)))));
            }
            seen += chunk.len() as u64;
        }
        window.resize(WINDOW_BYTES, 0);
        let filled = fill(reader, &mut window, plan.segment)?;
        window.truncate(filled);
    }
    if seen != u64::from(plan.size.bytes()) {
        let fault = if seen < u64::from(plan.size.bytes()) { Fault::Short(seen) } else { Fault::Long };
        return Err(WalError::at(plan.segment, lsn, fault));
    }
    let tail = Tail::Stopped { lsn, stop };
    // The last piece: whether more is wanted no longer matters.
    let _wanted = emit(Piece::End(SegmentEnd { last: None, end_lsn: lsn, last_page: lsn, records: 0, tail }));
    Ok(())
}

/// The fault a stop is when the log goes on behind it.
pub(super) fn fault_of(stop: &Stop) -> Fault {
    match stop {
        Stop::Zeros => Fault::Zeros,
        Stop::Recycled { page_lsn } => Fault::PageAddress(*page_lsn),
        Stop::Torn(fault) => fault.clone(),
    }
}

fn is_own_page(page: &[u8], address: Lsn, magic: Option<u16>) -> bool {
    PageHeader::parse(page).is_some_and(|header| {
        header.address == address
            && magic.map_or_else(
                || PgVersion::from_wal_magic(header.magic).is_some(),
                |magic| header.magic == magic,
            )
    })
}

fn fill(reader: &mut dyn Read, window: &mut [u8], segment: WalSegment) -> Result<usize, WalError> {
    let mut filled = 0;
    while filled < window.len() {
        match reader.read(&mut window[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(WalError::Unreadable { segment, why: error.to_string() }),
        }
    }
    Ok(filled)
}

enum State {
    /// Pages before the plan's start.
    Before,
    /// In the rest of a record begun before the segment.
    Head,
    /// The next byte begins a record.
    Boundary,
    Open(Box<Open>),
    Switched,
    Until,
    Stopped(Lsn, Stop),
}

struct Machine<'p, 'e> {
    plan: &'p SegmentPlan,
    emit: &'e mut dyn FnMut(Piece) -> ControlFlow<()>,
    magic: u16,
    page_bytes: u64,
    chain: Chain,
    state: State,
    head: Head,
    next_watch: usize,
    end_lsn: Lsn,
    timeline: Option<Timeline>,
    last_page: Lsn,
    records: u64,
}

/// Either go on, or the receiver wants no more.
type Step = Result<ControlFlow<()>, Fault>;
const GO_ON: Step = Ok(ControlFlow::Continue(()));

impl<'p, 'e> Machine<'p, 'e> {
    fn new(
        plan: &'p SegmentPlan,
        header: &SegmentHeader,
        emit: &'e mut dyn FnMut(Piece) -> ControlFlow<()>,
    ) -> Self {
        let magic = header.version.numbers().map_or(0, |numbers| numbers.wal_magic);
        let state =
            if plan.start.is_some_and(|start| start > header.page_lsn) { State::Before } else { State::Head };
        let dialect = Dialect { version: header.version, zstd: plan.zstd };
        Self {
            plan,
            emit,
            magic,
            page_bytes: u64::from(header.page_bytes),
            chain: Chain { dialect, last: None },
            state,
            head: Head::default(),
            next_watch: 0,
            end_lsn: header.page_lsn,
            timeline: None,
            last_page: header.page_lsn,
            records: 0,
        }
    }

    fn page(&mut self, address: Lsn, page: &[u8]) -> Result<ControlFlow<()>, WalError> {
        match &self.state {
            State::Switched | State::Until => return Ok(ControlFlow::Continue(())),
            State::Stopped(lsn, stop) => {
                if is_own_page(page, address, Some(self.magic)) {
                    let gap = Fault::Gap(Box::new(fault_of(stop)));
                    return Err(WalError::at(self.plan.segment, *lsn, gap));
                }
                return Ok(ControlFlow::Continue(()));
            }
            State::Before if self.plan.start.is_some_and(|start| start.0 >= address.0 + self.page_bytes) => {
                return Ok(ControlFlow::Continue(()));
            }
            _ => {}
        }
        match self.take_page(address, page) {
            Ok(step) => Ok(step),
            // Whether a fault is damage or the end of the log is known when the following pages are seen.
            Err(fault) => self.stop(address, fault, page),
        }
    }

    /// Notes that nothing valid stands at the next record; what the fault means depends on what follows.
    fn stop(&mut self, address: Lsn, fault: Fault, page: &[u8]) -> Result<ControlFlow<()>, WalError> {
        let lsn = match &self.state {
            State::Open(open) => open.lsn,
            State::Boundary if self.end_lsn >= address => self.end_lsn,
            _ => address,
        };
        // A record whose checksum is right is no torn write, and a page of the right address is no old one.
        if matches!(fault, Fault::Content(_) | Fault::PageTimeline { .. } | Fault::NoRecordHere) {
            return Err(WalError::at(self.plan.segment, lsn, fault));
        }
        let blank = page.iter().all(|byte| *byte == 0);
        let cut_off = matches!(self.state, State::Open(_) | State::Head);
        let stop = match fault {
            Fault::Zeros => Stop::Zeros,
            _ if blank && cut_off => Stop::Torn(Fault::Unfinished(lsn)),
            _ if blank => Stop::Zeros,
            Fault::PageAddress(found) if found < address && cut_off => Stop::Torn(Fault::Unfinished(lsn)),
            Fault::PageAddress(found) if found < address => Stop::Recycled { page_lsn: found },
            fault => Stop::Torn(fault),
        };
        if matches!(self.state, State::Head) && address > self.head_page() && self.emit_head().is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.state = State::Stopped(lsn, stop);
        Ok(ControlFlow::Continue(()))
    }

    fn take_page(&mut self, address: Lsn, page: &[u8]) -> Step {
        let first = address.segment_offset(self.plan.size) == 0;
        let header = PageHeader::parse(page).ok_or(Fault::Short(page.len() as u64))?;
        header.check(address, first, self.magic)?;
        if self.take_timeline(address, header.timeline)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let header_bytes = PageHeader::bytes(first);
        let payload = page.get(header_bytes..).unwrap_or_default();
        let begin = Lsn(address.0 + header_bytes as u64);
        let offset = match std::mem::replace(&mut self.state, State::Boundary) {
            State::Before => match self.begin_at(begin, &header)? {
                (ControlFlow::Continue(()), offset) => offset,
                (step, _) => return Ok(step),
            },
            State::Head => {
                self.state = State::Head;
                if self.take_head(&header, payload, first, begin)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                if matches!(self.state, State::Head) {
                    return GO_ON;
                }
                usize::try_from(self.end_lsn.0.saturating_sub(begin.0)).unwrap_or(usize::MAX)
            }
            State::Open(open) => match self.take_rest(open, &header, payload, begin)? {
                (ControlFlow::Continue(()), offset) => offset,
                (step, _) => return Ok(step),
            },
            _ if header.continues() => return Err(Fault::NothingToContinue),
            _ if header.overwrites() => return Err(Fault::PageFlags(header.flags)),
            _ => 0,
        };
        match payload.get(offset..) {
            Some(rest) if matches!(self.state, State::Boundary) => {
                self.records_of(rest, Lsn(begin.0 + offset as u64))
            }
            _ => GO_ON,
        }
    }

    /// The page the segment's head begins on.
    fn head_page(&self) -> Lsn {
        self.plan.segment.start_lsn(self.plan.size)
    }

    /// Pages of one segment are of the segment's timeline or, before a fork, of older ones.
    fn take_timeline(&mut self, address: Lsn, found: Timeline) -> Step {
        let own = self.plan.segment.timeline;
        if found > own || self.timeline.is_some_and(|before| before > found) || found.0 == 0 {
            return Err(Fault::PageTimeline { expected: self.timeline.unwrap_or(own), found });
        }
        self.last_page = address;
        if self.timeline.replace(found) == Some(found) {
            return GO_ON;
        }
        Ok((self.emit)(Piece::Timeline(address, found)))
    }

    /// Begins at the plan's start; returns its offset in the page's payload.
    fn begin_at(&mut self, begin: Lsn, header: &PageHeader) -> Result<(ControlFlow<()>, usize), Fault> {
        let start = self.plan.start.unwrap_or(begin).max(begin);
        // A start inside the rest of an older record, or not aligned, is no record's beginning.
        let rest_ends = align8(begin.0 + u64::from(header.remaining));
        if !start.0.is_multiple_of(8) || (header.continues() && start.0 < rest_ends) {
            return Err(Fault::NoRecordHere);
        }
        self.end_lsn = start;
        Ok((self.emit_head(), usize::try_from(start.0 - begin.0).unwrap_or(usize::MAX)))
    }

    fn take_head(&mut self, header: &PageHeader, payload: &[u8], first: bool, begin: Lsn) -> Step {
        if first {
            self.head.claimed = u64::from(header.remaining);
            self.head.overwrites = header.overwrites();
        } else if header.overwrites() {
            // The record ends nowhere: it was given up on this page.
            self.head.overwrites = true;
            self.end_lsn = begin;
            let flow = self.emit_head();
            self.state = State::Boundary;
            return Ok(flow);
        }
        let missing = self.head.claimed - self.head.got;
        if u64::from(header.remaining) != missing {
            return Err(Fault::ContinuationLength { expected: missing, found: u64::from(header.remaining) });
        }
        let taken = payload.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
        self.head.take(&payload[..taken]);
        if self.head.got < self.head.claimed {
            return GO_ON;
        }
        self.end_lsn = Lsn(align8(begin.0 + taken as u64));
        let flow = self.emit_head();
        self.state = State::Boundary;
        Ok(flow)
    }

    fn emit_head(&mut self) -> ControlFlow<()> {
        let mut head = std::mem::take(&mut self.head);
        head.end_lsn = self.end_lsn;
        (self.emit)(Piece::Head(head))
    }

    /// Takes the rest of an open record from a new page; returns where the next record begins in the payload.
    fn take_rest(
        &mut self,
        mut open: Box<Open>,
        header: &PageHeader,
        payload: &[u8],
        begin: Lsn,
    ) -> Result<(ControlFlow<()>, usize), Fault> {
        const ON: ControlFlow<()> = ControlFlow::Continue(());
        if header.overwrites() {
            return Ok(((self.emit)(Piece::Void(open.lsn)), 0));
        }
        let (missing, claimed) = (open.missing(), u64::from(header.remaining));
        let lsn = open.lsn;
        let checked = if !header.continues() {
            Err(Fault::NotContinued(lsn))
        } else if claimed != missing {
            Err(Fault::ContinuationLength { expected: missing, found: claimed })
        } else {
            Ok(())
        };
        let taken = payload.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
        let fed = checked.and_then(|()| open.feed(&payload[..taken], &self.chain));
        let offset = usize::try_from(align8(taken as u64)).unwrap_or(usize::MAX);
        if fed.is_err() || open.missing() > 0 {
            self.state = State::Open(open);
            return fed.map(|()| (ON, offset));
        }
        let record = open.finish(Lsn(begin.0 + offset as u64), &self.chain);
        match record {
            Ok(record) => Ok((self.deliver(record), offset)),
            Err(fault) => {
                self.state = State::Open(open);
                Err(fault)
            }
        }
    }

    /// Takes records from `payload`, which begins at a record's beginning at `begin`, up to the page's end.
    fn records_of(&mut self, payload: &[u8], begin: Lsn) -> Step {
        let mut offset = 0;
        // What is left of a page is a multiple of 8, so a record's length never lies across pages.
        while let Some(length) = payload.get(offset..).and_then(<[u8]>::first_chunk::<4>) {
            let rest = &payload[offset..];
            let lsn = Lsn(begin.0 + offset as u64);
            self.end_lsn = lsn;
            if self.plan.until.is_some_and(|until| lsn >= until) {
                self.state = State::Until;
                return GO_ON;
            }
            let total_bytes = u32::from_le_bytes(*length);
            if total_bytes == 0 && rest.iter().all(|byte| *byte == 0) {
                return Err(Fault::Zeros);
            }
            check_length(total_bytes)?;
            if total_bytes as usize > rest.len() {
                return self.open_record(Open::new(lsn, total_bytes), rest);
            }
            let Some((header_bytes, _)) = rest.split_first_chunk::<HEADER_BYTES>() else { break };
            let header = RecordHeader::parse(header_bytes);
            header.check(lsn, self.chain.last, self.chain.dialect.version)?;
            let body = &rest[HEADER_BYTES..total_bytes as usize];
            if checksum(crc32c::crc32c(body), header_bytes) != header.crc {
                return Err(Fault::Checksum);
            }
            offset += usize::try_from(align8(u64::from(total_bytes))).unwrap_or(usize::MAX);
            let end_lsn = Lsn(begin.0 + offset as u64);
            if matters(&header) {
                let happening = decode(&header, body, self.chain.dialect)?;
                if self.deliver(header.record(lsn, end_lsn, happening)).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                if matches!(self.state, State::Switched) {
                    return GO_ON;
                }
            } else if self.plan.every_record || self.chain.last.is_none() || self.reaches_watched(end_lsn) {
                if self.deliver(header.record(lsn, end_lsn, Happening::Other)).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            } else {
                self.note(lsn, end_lsn);
            }
        }
        GO_ON
    }

    fn open_record(&mut self, mut open: Open, bytes: &[u8]) -> Step {
        let fed = open.feed(bytes, &self.chain);
        if fed.is_ok() {
            self.state = State::Open(Box::new(open));
        }
        fed.map(ControlFlow::Continue)
    }

    fn reaches_watched(&self, end_lsn: Lsn) -> bool {
        self.plan.watch.get(self.next_watch).is_some_and(|watch| end_lsn >= *watch)
    }

    fn note(&mut self, lsn: Lsn, end_lsn: Lsn) {
        self.chain.last = Some(lsn);
        self.end_lsn = end_lsn;
        self.records += 1;
    }

    /// Hands a record out if it matters or was asked for.
    fn deliver(&mut self, mut record: Record) -> ControlFlow<()> {
        let wanted = self.plan.every_record
            || self.chain.last.is_none()
            || self.reaches_watched(record.end_lsn)
            || record.happening != Happening::Other;
        while self.plan.watch.get(self.next_watch).is_some_and(|watch| record.lsn >= *watch) {
            self.next_watch += 1;
        }
        if record.happening == Happening::Switch {
            record.end_lsn = self.plan.segment.end_lsn(self.plan.size);
            self.state = State::Switched;
        }
        self.note(record.lsn, record.end_lsn);
        if wanted { (self.emit)(Piece::Record(record)) } else { ControlFlow::Continue(()) }
    }

    fn end(mut self) -> Result<(), WalError> {
        let tail = match std::mem::replace(&mut self.state, State::Boundary) {
            State::Boundary | State::Switched => Tail::Complete,
            State::Until => Tail::Until,
            State::Open(open) => Tail::Open(open),
            State::Stopped(lsn, stop) => Tail::Stopped { lsn, stop },
            State::Head => {
                self.end_lsn = self.plan.segment.end_lsn(self.plan.size);
                if self.emit_head().is_break() {
                    return Ok(());
                }
                Tail::HeadGoesOn
            }
            // The plan's start lies behind the segment.
            State::Before => {
                let lsn = self.plan.start.unwrap_or(self.end_lsn);
                return Err(WalError::at(self.plan.segment, lsn, Fault::Short(0)));
            }
        };
        let end_lsn = self.end_lsn;
        let (last, last_page, records) = (self.chain.last, self.last_page, self.records);
        let _wanted = (self.emit)(Piece::End(SegmentEnd { last, end_lsn, last_page, records, tail }));
        Ok(())
    }
}

impl Head {
    fn take(&mut self, bytes: &[u8]) {
        let at = usize::try_from(self.got).unwrap_or(usize::MAX);
        let keep = bytes.len().min(KEPT_HEAD_BYTES.saturating_sub(at));
        self.kept.extend_from_slice(&bytes[..keep]);
        let behind = bytes.get(16_usize.saturating_sub(at)..).unwrap_or_default();
        self.crc_behind_16 = crc32c::crc32c_append(self.crc_behind_16, behind);
        self.got += bytes.len() as u64;
    }
}

/// Reads the first `bytes` of the head again, whole; for a record that matters and is longer than what is kept.
pub(super) fn read_head(
    reader: &mut dyn Read,
    segment: WalSegment,
    page_bytes: u32,
    bytes: u64,
) -> Result<Vec<u8>, WalError> {
    let mut page = vec![0_u8; page_bytes as usize];
    let mut head: Vec<u8> = Vec::new();
    let mut header_bytes = LONG_HEADER_BYTES;
    while (head.len() as u64) < bytes {
        if fill(reader, &mut page, segment)? < page.len() {
            return Err(WalError::Unreadable {
                segment,
                why: "it became shorter while it was read".to_owned(),
            });
        }
        let missing = usize::try_from(bytes - head.len() as u64).unwrap_or(usize::MAX);
        let payload = &page[header_bytes..];
        head.extend_from_slice(&payload[..payload.len().min(missing)]);
        header_bytes = SHORT_HEADER_BYTES;
    }
    Ok(head)
}

#[cfg(test)]
mod tests;
