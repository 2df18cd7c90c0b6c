//! The log in order: segments of a timeline path, decoded ahead on several threads, delivered to one visitor.
//!
//! Segments come from a [`SegmentSource`]; which file holds a position is decided as PostgreSQL decides it (the newest
//! timeline of the path that has the segment), but never past the position where the path leaves a timeline.
//! Memory is bounded per thread; nothing here writes, waits for WAL to appear, or knows where segments are kept.

use super::happening::UnpackZstd;
use super::history::TimelinePath;
use super::record::Record;
use super::segment::{Piece, SegmentPlan, Stop, decode_segment, read_head};
use super::stitch::Stitcher;
use super::{Expected, WalError};
use crate::base::{self, Lsn, Timeline, WalSegment, WalSegmentSize};
use crate::model::op::Cancel;
use std::collections::VecDeque;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Where segments and history files come from.
pub trait SegmentSource: Sync {
    /// The plain bytes of a segment; none if there is no such segment.
    ///
    /// A read that fails may carry a [`base::Report`] in its error; it is then passed on as it is.
    ///
    /// Called from several threads, ahead of what is delivered, also for segments behind the last one.
    fn open(&self, segment: WalSegment) -> base::Result<Option<Box<dyn Read + Send>>>;

    /// The content of a timeline's history file; none if there is no such file.
    fn history(&self, timeline: Timeline) -> base::Result<Option<Vec<u8>>>;

    /// The oldest segment of a timeline, where the source can tell; it helps to refute a false fork.
    fn oldest_segment(&self, _timeline: Timeline) -> base::Result<Option<WalSegment>> {
        Ok(None)
    }
}

/// What to scan.
#[derive(Debug, Clone)]
pub struct ScanRequest {
    /// The timelines to follow.
    pub path: TimelinePath,
    /// The first record's position: a redo or checkpoint position, or a segment's beginning.
    pub from: Lsn,
    /// Take no record that begins here or later.
    pub until: Option<Lsn>,
    /// The cluster's segment size.
    pub size: WalSegmentSize,
    /// What every segment must be of.
    pub expected: Expected,
    /// Deliver every record, not only those with a meaning.
    pub every_record: bool,
    /// Deliver the record that reaches each of these and the one that follows it too, whatever they are.
    pub watch: Vec<Lsn>,
    /// Unpacks zstd page images.
    pub zstd: Option<UnpackZstd>,
    /// How many segments are decoded at once; at least one.
    pub threads: usize,
    /// Ends the scan from outside.
    pub cancel: Cancel,
}

impl ScanRequest {
    /// A scan of everything that matters along `path` from `from`, on one thread.
    pub fn new(path: TimelinePath, from: Lsn, size: WalSegmentSize) -> Self {
        Self {
            path,
            from,
            until: None,
            size,
            expected: Expected::default(),
            every_record: false,
            watch: Vec::new(),
            zstd: None,
            threads: 1,
            cancel: Cancel::default(),
        }
    }
}

/// Why a scan delivered its last record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// The visitor wanted no more.
    Visitor,
    /// The request's `until` was reached.
    Until,
    /// The source has no such segment; everything before it is whole.
    NoSegment(WalSegment),
    /// A segment is not written to its end, and no later one is written either.
    ///
    /// Usual for the newest segment of a `pg_wal`; never right for a segment that was archived whole.
    Unwritten(Stop),
}

/// How a scan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanEnd {
    /// Where the record after the last good one would begin.
    pub end_lsn: Lsn,
    /// Why nothing more was delivered.
    pub reason: EndReason,
    /// Records found good, those without a meaning included.
    pub records: u64,
    /// What the segments are of; nothing if none was read.
    pub found: Expected,
}

enum Message {
    Opened(WalSegment),
    Absent(WalSegment),
    Pieces(Vec<Piece>),
    /// The parent's segment was read up to the fork because the child's is missing.
    ForkWithout(WalSegment),
    Done,
    Failed(WalError),
}

struct Job {
    number: u64,
    answer: SyncSender<Message>,
}

const PIECES_PER_MESSAGE: usize = 512;
const MESSAGES_AHEAD: usize = 4;

/// Scans the log along a path and hands records to `visit` in order until it breaks or the log ends.
///
/// Fails at the first damage, after delivering everything before it; a missing segment is an end, not a failure, for
/// only the source's owner knows whether later segments exist.
pub fn scan(
    source: &dyn SegmentSource,
    request: &ScanRequest,
    visit: &mut dyn FnMut(&Record) -> ControlFlow<()>,
) -> Result<ScanEnd, WalError> {
    let (jobs, queue) = channel::<Job>();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for number in 0..request.threads.max(1) {
            let queue = &queue;
            let named = thread::Builder::new().name(format!("wal-{number}"));
            named.spawn_scoped(scope, move || work(source, request, queue)).map_err(|error| {
                WalError::Source(base::Report::failed(format!("cannot start a thread: {error}")))
            })?;
        }
        // Dropping the jobs (here) and the answers (there) ends every worker.
        let ended = collect(source, request, &jobs, visit);
        drop(jobs);
        ended
    })
}

fn collect(
    source: &dyn SegmentSource,
    request: &ScanRequest,
    jobs: &Sender<Job>,
    visit: &mut dyn FnMut(&Record) -> ControlFlow<()>,
) -> Result<ScanEnd, WalError> {
    let head_again = |segment, page_bytes, bytes| {
        let mut reader = source.open(segment)?.ok_or_else(|| WalError::Unreadable {
            segment,
            why: "it disappeared while it was read".to_owned(),
        })?;
        read_head(&mut *reader, segment, page_bytes, bytes)
    };
    let mut stitcher = Stitcher::new(request, &head_again, visit);
    let mut ahead: VecDeque<Receiver<Message>> = VecDeque::new();
    let mut next = request.from.segment_number(request.size);
    // The segment `until` begins in is needed only if a record can begin before it there.
    let last = request.until.map(|until| Lsn(until.0.saturating_sub(1)).segment_number(request.size));
    let reason = 'all: loop {
        // A record that begins before `until` may end in a later segment.
        let one_more = ahead.is_empty() && stitcher.in_record();
        while ahead.len() <= request.threads && (one_more || last.is_none_or(|last| next <= last)) {
            let (answer, answers) = sync_channel(MESSAGES_AHEAD);
            if jobs.send(Job { number: next, answer }).is_err() {
                break;
            }
            ahead.push_back(answers);
            next += 1;
        }
        let Some(answers) = ahead.pop_front() else { break EndReason::Until };
        let mut opened = WalSegment::from_number(request.path.target(), next, request.size);
        loop {
            request.cancel.check()?;
            match answers.recv() {
                Ok(Message::Opened(segment)) => {
                    opened = segment;
                    stitcher.enter(segment);
                }
                Ok(Message::Absent(segment) | Message::ForkWithout(segment)) => {
                    break 'all EndReason::NoSegment(segment);
                }
                Ok(Message::Pieces(pieces)) => {
                    for piece in pieces {
                        if stitcher.piece(piece)?.is_break() {
                            break 'all if stitcher.until_reached {
                                EndReason::Until
                            } else {
                                EndReason::Visitor
                            };
                        }
                    }
                }
                Ok(Message::Done) => break,
                Ok(Message::Failed(error)) => return Err(error),
                Err(_) => {
                    let why = "its decoding stopped unexpectedly".to_owned();
                    return Err(WalError::Unreadable { segment: opened, why });
                }
            }
        }
        if stitcher.until_reached {
            break EndReason::Until;
        }
    };
    let (records, found) = (stitcher.records, stitcher.expected);
    // Whatever the scan ran into behind it: where the log stopped making sense is what counts.
    Ok(match stitcher.stop() {
        Some((end_lsn, stop)) if !matches!(reason, EndReason::Visitor) => {
            ScanEnd { end_lsn, reason: EndReason::Unwritten(stop), records, found }
        }
        _ => ScanEnd { end_lsn: stitcher.end_lsn(), reason, records, found },
    })
}

fn work(source: &dyn SegmentSource, request: &ScanRequest, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { number, answer }) = job else { return };
        let message = match decode_one(source, request, number, &answer) {
            Ok(message) => message,
            Err(error) => Message::Failed(error),
        };
        // Nobody listens any more once the scan has ended.
        drop(answer.send(message));
    }
}

fn decode_one(
    source: &dyn SegmentSource,
    request: &ScanRequest,
    number: u64,
    answer: &SyncSender<Message>,
) -> Result<Message, WalError> {
    let (size, from, newest) = (request.size, request.from, request.path.target());
    let name = |timeline| WalSegment::from_number(timeline, number, size);
    let (start, end) = (name(newest).start_lsn(size), name(newest).end_lsn(size));
    let holders = request.path.stretches().iter().rev();
    let holders = holders.filter(|held| held.begin < end && held.end.is_none_or(|left| left > start));
    let mut wanted = None;
    for stretch in holders {
        let segment = name(stretch.timeline);
        let Some(mut reader) = source.open(segment)? else {
            wanted.get_or_insert(segment);
            continue;
        };
        let watch = watch_list(request, start);
        let until = [request.until, stretch.end.filter(|left| *left < end)].into_iter().flatten().min();
        let plan = SegmentPlan {
            segment,
            size,
            expected: request.expected,
            start: (from > start && from < end).then_some(from),
            until,
            every_record: request.every_record,
            watch,
            zstd: request.zstd,
        };
        if answer.send(Message::Opened(segment)).is_err() {
            return Ok(Message::Done);
        }
        send_pieces(&mut *reader, &plan, answer)?;
        // A newer timeline begins in this segment, and its own file of it is not there.
        let reached = request.until.is_some_and(|until| stretch.end.is_none_or(|left| until <= left));
        return Ok(match wanted.filter(|_| !reached) {
            Some(missing) => Message::ForkWithout(missing),
            None => Message::Done,
        });
    }
    Ok(Message::Absent(wanted.unwrap_or_else(|| name(newest))))
}

/// The watched positions and forks in or behind the segment, rising. An older one needs no watching: the first record of
/// every segment reaches the stitcher.
fn watch_list(request: &ScanRequest, start: Lsn) -> Vec<Lsn> {
    let mut watch: Vec<Lsn> = request.watch.iter().copied().chain(request.path.forks()).collect();
    watch.sort_unstable();
    let older = watch.partition_point(|lsn| *lsn < start);
    watch.split_off(older)
}

fn send_pieces(
    reader: &mut dyn Read,
    plan: &SegmentPlan,
    answer: &SyncSender<Message>,
) -> Result<(), WalError> {
    let mut batch: Vec<Piece> = Vec::new();
    let decoded = decode_segment(reader, plan, &mut |piece| {
        batch.push(piece);
        if batch.len() < PIECES_PER_MESSAGE
            || answer.send(Message::Pieces(std::mem::take(&mut batch))).is_ok()
        {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    // What was found before a fault is delivered before the fault.
    drop(answer.send(Message::Pieces(batch)));
    decoded
}
