//! Joining decoded segments: the log is one chain, or it is said where it breaks.
//!
//! Proves for every two neighbours that the record across them is whole and sound, that the first record of the later
//! links to the last of the earlier, that pages are of the path's timeline at their position, and that a timeline begins
//! with the record PostgreSQL writes there. Does no I/O but reading one long head again.

use super::happening::{Dialect, Happening, matters};
use super::page::PageHeader;
use super::record::{Record, RecordHeader};
use super::scan::ScanRequest;
use super::segment::{Chain, Head, Open, Piece, SegmentEnd, Stop, Tail, fault_of};
use super::{Expected, Fault, WalError};
use crate::base::{Lsn, PgVersion, Timeline, WalSegment};
use std::ops::ControlFlow;

/// Reads the first bytes of a segment's head again: segment, page bytes, head bytes.
pub(super) type HeadAgain<'a> = &'a dyn Fn(WalSegment, u32, u64) -> Result<Vec<u8>, WalError>;

/// Takes pieces in the log's order and hands on records.
pub(super) struct Stitcher<'a> {
    request: &'a ScanRequest,
    head_again: HeadAgain<'a>,
    visit: &'a mut dyn FnMut(&Record) -> ControlFlow<()>,
    segment: WalSegment,
    version: Option<PgVersion>,
    page_bytes: u32,
    timeline: Option<Timeline>,
    first_of_segment: bool,
    last: Option<Lsn>,
    open: Option<Box<Open>>,
    void: Option<Lsn>,
    /// The record finished last was a segment switch, so the rest of its segment is unused.
    switched: bool,
    stopped: Option<(WalSegment, Lsn, Stop)>,
    forks: Vec<Fork>,
    next_watch: usize,
    pub(super) expected: Expected,
    end_lsn: Lsn,
    pub(super) records: u64,
    pub(super) until_reached: bool,
}

#[derive(Clone, Copy)]
struct Fork {
    at: Lsn,
    child: Timeline,
    parent: Timeline,
    begun: bool,
}

impl<'a> Stitcher<'a> {
    pub(super) fn new(
        request: &'a ScanRequest,
        head_again: HeadAgain<'a>,
        visit: &'a mut dyn FnMut(&Record) -> ControlFlow<()>,
    ) -> Self {
        let mut forks: Vec<Fork> = request
            .path
            .stretches()
            .windows(2)
            .map(|pair| Fork {
                at: pair[1].begin,
                child: pair[1].timeline,
                parent: pair[0].timeline,
                begun: false,
            })
            .filter(|fork| fork.at >= request.from)
            .collect();
        forks.reverse();
        Self {
            request,
            head_again,
            visit,
            segment: WalSegment::containing(request.path.target(), request.from, request.size),
            version: request.expected.version,
            page_bytes: 0,
            timeline: None,
            first_of_segment: true,
            last: None,
            open: None,
            void: None,
            switched: false,
            stopped: None,
            forks,
            next_watch: 0,
            expected: request.expected,
            end_lsn: request.from,
            records: 0,
            until_reached: false,
        }
    }

    /// A segment's pieces follow.
    pub(super) fn enter(&mut self, segment: WalSegment) {
        self.segment = segment;
        self.first_of_segment = true;
        self.timeline = None;
    }

    /// Where and why the log ended in an earlier segment, if it did.
    pub(super) fn stop(&self) -> Option<(Lsn, Stop)> {
        self.stopped.as_ref().map(|(_, lsn, stop)| (*lsn, stop.clone()))
    }

    /// True while a record is begun but not finished.
    pub(super) fn in_record(&self) -> bool {
        self.open.is_some()
    }

    /// Where the record after the last whole one begins.
    pub(super) fn end_lsn(&self) -> Lsn {
        self.open.as_ref().map_or(self.end_lsn, |open| open.lsn)
    }

    fn fail<T>(&self, lsn: Lsn, fault: Fault) -> Result<T, WalError> {
        Err(WalError::at(self.segment, lsn, fault))
    }

    fn segment_start(&self) -> Lsn {
        self.segment.start_lsn(self.request.size)
    }

    pub(super) fn piece(&mut self, piece: Piece) -> Result<ControlFlow<()>, WalError> {
        const GO_ON: Result<ControlFlow<()>, WalError> = Ok(ControlFlow::Continue(()));
        match piece {
            Piece::Header(header) => {
                if let Some((segment, lsn, stop)) = &self.stopped {
                    // The log goes on in this segment, so what stopped it before was damage.
                    return Err(WalError::at(*segment, *lsn, fault_of(stop)));
                }
                header
                    .check(self.segment, self.request.size, &self.expected)
                    .map_err(|fault| WalError::at(self.segment, self.segment_start(), fault))?;
                self.expected = Expected { version: Some(header.version), system_id: Some(header.system_id) };
                self.version = Some(header.version);
                self.page_bytes = header.page_bytes;
                GO_ON
            }
            Piece::Timeline(page, timeline) => self.page_timeline(page, timeline).map(ControlFlow::Continue),
            Piece::Head(head) => self.head(&head),
            Piece::Void(lsn) => {
                self.void = Some(lsn);
                GO_ON
            }
            Piece::Record(record) => self.record(&record),
            Piece::End(end) => self.end(end).map(ControlFlow::Continue),
        }
    }

    fn chain(&self) -> Chain {
        let version = self.version.unwrap_or(PgVersion::major(13));
        Chain { dialect: Dialect { version, zstd: self.request.zstd }, last: self.last }
    }

    /// Every page must be of the timeline the path has at its first byte.
    fn page_timeline(&mut self, page: Lsn, found: Timeline) -> Result<(), WalError> {
        let path = &self.request.path;
        let mut wrong = (path.timeline_at(page) != found).then_some((page, found));
        if let Some(before) = self.timeline.replace(found) {
            let page = Lsn(page.0 - u64::from(self.page_bytes));
            wrong = wrong.or_else(|| (path.timeline_at(page) != before).then_some((page, before)));
        }
        match wrong {
            Some((page, found)) => {
                self.fail(page, Fault::PageTimeline { expected: path.timeline_at(page), found })
            }
            None => Ok(()),
        }
    }

    fn head(&mut self, head: &Head) -> Result<ControlFlow<()>, WalError> {
        const GO_ON: Result<ControlFlow<()>, WalError> = Ok(ControlFlow::Continue(()));
        self.end_lsn = head.end_lsn;
        self.switched = false;
        // Until a record has begun, what a head belongs to is a record nobody asked for, however long it is.
        if self.last.is_none() && self.open.is_none() {
            return GO_ON;
        }
        let start = self.segment_start();
        let Some(mut open) = self.open.take() else {
            if head.claimed > 0 || head.overwrites {
                return self.fail(start, Fault::NothingToContinue);
            }
            return GO_ON;
        };
        if head.overwrites {
            self.void = Some(open.lsn);
            return GO_ON;
        }
        if head.claimed != open.missing() {
            let fault = if head.claimed == 0 {
                Fault::NotContinued(open.lsn)
            } else {
                Fault::ContinuationLength { expected: open.missing(), found: head.claimed }
            };
            return self.fail(start, fault);
        }
        let lsn = open.lsn;
        self.absorb(&mut open, head)?;
        if open.missing() > 0 {
            self.open = Some(open);
            return GO_ON;
        }
        let record = open.finish(head.end_lsn, &self.chain());
        let mut record = record.map_err(|fault| WalError::at(self.segment, lsn, fault))?;
        if record.happening == Happening::Switch {
            self.switched = true;
            record.end_lsn = self.segment.end_lsn(self.request.size);
        }
        self.records += 1;
        self.last = Some(record.lsn);
        self.deliver(&record)
    }

    /// Adds a head's bytes to the open record; only a long head that matters is read again.
    fn absorb(&self, open: &mut Open, head: &Head) -> Result<(), WalError> {
        let chain = self.chain();
        let failed = |lsn| move |fault| WalError::at(self.segment, lsn, fault);
        if head.kept.len() as u64 == head.got {
            return open.feed(&head.kept, &chain).map_err(failed(open.lsn));
        }
        let (first_16, _) = head.kept.split_at(head.kept.len().min(16));
        open.feed(first_16, &chain).map_err(failed(open.lsn))?;
        if open.header.as_ref().is_some_and(|header: &RecordHeader| !matters(header)) {
            open.feed_sum(head.crc_behind_16, head.got - 16);
            return Ok(());
        }
        let whole = (self.head_again)(self.segment, self.page_bytes, head.got)?;
        open.feed(whole.get(16..).unwrap_or_default(), &chain).map_err(failed(open.lsn))
    }

    fn record(&mut self, record: &Record) -> Result<ControlFlow<()>, WalError> {
        if std::mem::take(&mut self.first_of_segment)
            && let Some(last) = self.last
            && record.prev != last
        {
            return self.fail(record.lsn, Fault::Link { expected: last, found: record.prev });
        }
        self.last = Some(record.lsn);
        self.end_lsn = record.end_lsn;
        self.deliver(record)
    }

    fn deliver(&mut self, record: &Record) -> Result<ControlFlow<()>, WalError> {
        if let Some(void) = self.void.take()
            && !matches!(record.happening, Happening::Overwritten { lsn, .. } if lsn == void)
        {
            return self.fail(record.lsn, Fault::Unfinished(void));
        }
        if self.request.until.is_some_and(|until| record.lsn >= until) {
            self.until_reached = true;
            return Ok(ControlFlow::Break(()));
        }
        self.fork(record)?;
        let mut wanted = self.request.every_record || record.happening != Happening::Other;
        while let Some(watch) = self.request.watch.get(self.next_watch) {
            wanted |= record.end_lsn >= *watch;
            if record.lsn < *watch {
                break;
            }
            self.next_watch += 1;
        }
        if wanted { Ok((self.visit)(record)) } else { Ok(ControlFlow::Continue(())) }
    }

    /// Where the path changes timeline, the next record must begin exactly there and name both timelines.
    fn fork(&mut self, record: &Record) -> Result<(), WalError> {
        let Some(&fork) = self.forks.last().filter(|fork| record.lsn >= fork.at) else { return Ok(()) };
        let wrong = |why: String| Fault::Fork { child: fork.child, why };
        if !fork.begun && !begins_at(record.lsn, fork.at, self.page_bytes, self.request) {
            return self.fail(fork.at, wrong(format!("the next record begins at {}", record.lsn)));
        }
        let named = match &record.happening {
            Happening::Checkpoint(checkpoint) if checkpoint.shutdown => {
                Some((checkpoint.timeline, checkpoint.prev_timeline))
            }
            Happening::EndOfRecovery { timeline, prev_timeline, .. } => Some((*timeline, *prev_timeline)),
            // Both may be written before the record that begins the timeline.
            Happening::Overwritten { .. } | Happening::FullPageWrites(_) => None,
            _ => return self.fail(record.lsn, wrong("an ordinary record stands there".to_owned())),
        };
        match named {
            Some(named) if named != (fork.child, fork.parent) => {
                let (to, from) = named;
                self.fail(record.lsn, wrong(format!("the record there leads from timeline {from} to {to}")))
            }
            Some(_) => {
                self.forks.pop();
                Ok(())
            }
            None => {
                if let Some(fork) = self.forks.last_mut() {
                    fork.begun = true;
                }
                Ok(())
            }
        }
    }

    fn end(&mut self, end: SegmentEnd) -> Result<(), WalError> {
        self.records += end.records;
        if self.stopped.is_some() {
            // A further file that was never written changes nothing.
            return Ok(());
        }
        if let Some(timeline) = self.timeline {
            let expected = self.request.path.timeline_at(end.last_page);
            if expected != timeline {
                return self.fail(end.last_page, Fault::PageTimeline { expected, found: timeline });
            }
        }
        if end.last.is_some() {
            self.last = end.last;
            self.end_lsn = end.end_lsn;
        }
        match end.tail {
            Tail::Complete | Tail::HeadGoesOn => {}
            Tail::Until => self.until_reached = true,
            Tail::Open(open) => {
                if let Some(header) = &open.header {
                    let checked = header.check(open.lsn, self.last, self.chain().dialect.version);
                    checked.or_else(|fault| self.fail(open.lsn, fault))?;
                }
                self.open = Some(open);
            }
            // A switch record across two segments leaves the rest of the second unused.
            Tail::Stopped { stop: Stop::Zeros, .. } if self.switched => {
                self.end_lsn = self.segment.end_lsn(self.request.size);
            }
            Tail::Stopped { lsn, stop } => {
                let (lsn, stop) = match &self.open {
                    Some(open) => (open.lsn, Stop::Torn(Fault::Unfinished(open.lsn))),
                    None => (lsn, stop),
                };
                self.end_lsn = lsn;
                self.stopped = Some((self.segment, lsn, stop));
            }
        }
        Ok(())
    }
}

/// True if a record at `lsn` is the one a fork at `at` means.
fn begins_at(lsn: Lsn, at: Lsn, page_bytes: u32, request: &ScanRequest) -> bool {
    let page = Lsn(lsn.0 - lsn.0 % u64::from(page_bytes.max(1)));
    let header = PageHeader::bytes(page.segment_offset(request.size) == 0);
    // PostgreSQL names a page's beginning, never the position behind its header.
    if lsn.0 == page.0 + header as u64 { at == page } else { at == lsn }
}
