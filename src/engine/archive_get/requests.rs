//! The request log of a spool: which segments PostgreSQL was given, and when.
//!
//! One line per segment, added by the calls, followed by the prefetcher, and read by whoever wants to know how far a
//! recovery is before it accepts SQL. Never shortened.

use crate::base::{Timestamp, WalSegment};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

/// The name of the request log inside a spool.
pub const REQUEST_LOG: &str = "requests.log";

/// What counts as the end of the request log.
const RECENT_BYTES: u64 = 32 * 1024;

/// One line of the request log: five fields, separated by tabs, ended by a line feed.
///
/// `<microseconds since 1970> <name> delivered|failed <from> <milliseconds it took>`; `from` is what
/// [`Answer::Delivered`](super::Answer::Delivered) says, or `-`. The segment named by the last `delivered` line is
/// the one PostgreSQL is replaying or about to: this is the progress of a recovery before it accepts SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When the answer was given.
    pub at: Timestamp,
    /// The file asked for.
    pub name: String,
    /// `delivered`, or `failed` where that stops the recovery.
    pub outcome: String,
    /// Where it came from.
    pub from: String,
    /// How long the answer took, in milliseconds.
    pub took_ms: u64,
}

impl Request {
    pub(super) fn to_line(&self) -> String {
        let Self { at, name, outcome, from, took_ms } = self;
        format!("{}\t{name}\t{outcome}\t{}\t{took_ms}\n", at.0, from.replace(['\t', '\n'], " "))
    }

    /// Reads one line without its line feed; nothing if it is not one.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        let request = Self {
            at: Timestamp(next()?.parse().ok()?),
            name: next()?.to_owned(),
            outcome: next()?.to_owned(),
            from: next()?.to_owned(),
            took_ms: next()?.parse().ok()?,
        };
        next().is_none().then_some(request)
    }

    /// The segment that was delivered, if it was one.
    pub fn delivered_segment(&self) -> Option<WalSegment> {
        if self.outcome == "delivered" { self.name.parse().ok() } else { None }
    }
}

/// Follows the request log while it grows.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    read_bytes: u64,
}

impl LogTail {
    /// From the first request on.
    pub(super) fn whole(path: PathBuf) -> Self {
        Self { path, read_bytes: 0 }
    }

    /// From near the end on: the last few hundred requests, and what is added.
    pub(super) fn recent(path: PathBuf) -> Self {
        let length = path.metadata().map_or(0, |meta| meta.len());
        // A line cut at its beginning is no request.
        Self { path, read_bytes: length.saturating_sub(RECENT_BYTES) }
    }

    /// The requests added since the last call; a line still being written waits for the next one.
    pub fn next_requests(&mut self) -> io::Result<Vec<Request>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() == self.read_bytes {
            return Ok(Vec::new());
        }
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.read_bytes += complete as u64;
        let text = String::from_utf8_lossy(&text[..complete]);
        Ok(text.lines().filter_map(Request::parse).collect())
    }
}
