//! One segment alone: cut into the end of a record begun before it, whole records, and the beginning of one that goes on.
//!
//! Knows nothing of the segments beside it, so that any thread can decode any segment; what must hold between two is
//! proven by the stitcher. Memory is one window of pages, one record that matters, and a bounded piece of the head.
//! Behaviour: `xlogreader.c`.

mod machine;
mod open;

pub(super) use open::Chain;
pub use open::{Head, Open};

use super::happening::UnpackZstd;
use super::page::{LONG_HEADER_BYTES, PageHeader, SHORT_HEADER_BYTES, SegmentHeader};
use super::record::Record;
use super::{Expected, Fault, WalError};
use crate::base::{Lsn, PgVersion, Report, Timeline, WalSegment, WalSegmentSize};
use machine::Machine;
use std::io::Read;
use std::ops::ControlFlow;

/// Bytes read at once; a multiple of every page size.
const WINDOW_BYTES: usize = 128 * 1024;
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

/// A reader that knows more than "I/O error" hands its report through the error.
fn unreadable(segment: WalSegment, error: std::io::Error) -> WalError {
    match error.downcast::<Report>() {
        Ok(report) => WalError::Source(report.context(format!("reading WAL segment {segment}"))),
        Err(error) => WalError::Unreadable { segment, why: error.to_string() },
    }
}

fn fill(reader: &mut dyn Read, window: &mut [u8], segment: WalSegment) -> Result<usize, WalError> {
    let mut filled = 0;
    while filled < window.len() {
        match reader.read(&mut window[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(segment, error)),
        }
    }
    Ok(filled)
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
