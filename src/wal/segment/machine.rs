//! The state of decoding one segment, fed page by page.
//!
//! Says at once what cannot be a crash's trace; everything else is judged when the following pages are seen.

use super::open::{Chain, Head, Open};
use super::{Piece, SegmentEnd, SegmentPlan, Stop, Tail, fault_of, is_own_page};
use crate::base::{Lsn, Timeline};
use crate::wal::bytes::align8;
use crate::wal::happening::{Dialect, Happening, decode, matters};
use crate::wal::page::{PageHeader, SegmentHeader};
use crate::wal::record::{HEADER_BYTES, Record, RecordHeader, check_length, checksum};
use crate::wal::{Fault, WalError};
use std::ops::ControlFlow;

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

pub(super) struct Machine<'p, 'e> {
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
    pub(super) fn new(
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

    pub(super) fn page(&mut self, address: Lsn, page: &[u8]) -> Result<ControlFlow<()>, WalError> {
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

    pub(super) fn end(mut self) -> Result<(), WalError> {
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
