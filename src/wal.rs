//! Reading write-ahead log of PostgreSQL 13 to 18: pages, records, checksums, and what the records mean for recovery.
//!
//! The room knows bytes only. Segments come from a [`SegmentSource`]; it never opens a file, never knows a
//! repository, and never writes. Sources of the formats: `xlog_internal.h`, `xlogrecord.h`, `xact.h`, `pg_control.h`,
//! `dbcommands_xlog.h`, `tablespace.h`, `heapam_xlog.h` of each release; of the behaviour: `xlogreader.c`,
//! `xlogrecovery.c`, `timeline.c`, and `pg_waldump`, against which all of it is compared.
//!
//! Layers, each standing on those before it: [`page`] and [`record`] (bytes), [`happening`] (meaning), [`segment`]
//! (one segment alone, on any thread), [`mod@scan`] (segments in order along a timeline path), [`stop`] (where PostgreSQL
//! would end recovery), [`fork`] (history files proven against the log).

mod bytes;
pub mod fork;
pub mod happening;
pub mod history;
mod image;
pub mod page;
mod reason;
pub mod record;
pub mod scan;
pub mod segment;
mod stitch;
pub mod stop;
#[cfg(test)]
mod testlog;

pub use fork::{ForkProof, OpenQuestion, prove_history};
pub use happening::Happening;
pub use history::{TimelineHistory, TimelinePath};
pub use page::SegmentHeader;
pub use record::Record;
pub use scan::{ScanEnd, ScanRequest, SegmentSource, scan};
pub use stop::{Outcome, Simulation, StopPoint, Target};

use crate::base::{Lsn, Report, SystemId, Timeline, WalSegment};

/// Why bytes are not the write-ahead log they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Fewer bytes than the structure needs.
    #[error("only {0} bytes long")]
    Short(u64),
    /// More bytes than a segment has.
    #[error("longer than the segment size")]
    Long,
    /// A page of zeros where a page header is needed.
    #[error("a page of zeros")]
    Zeros,
    /// A page magic of no known version.
    #[error("page magic {0:04X} belongs to no PostgreSQL version from 13 to 18")]
    UnknownMagic(u16),
    /// A page magic that differs from the first page's.
    #[error("page magic {found:04X} differs from the segment's {expected:04X}")]
    Magic {
        /// The magic of the segment's first page.
        expected: u16,
        /// The magic that stands there.
        found: u16,
    },
    /// Page flags PostgreSQL does not know, or a long header in the wrong place.
    #[error("page flags {0:04X} are not possible here")]
    PageFlags(u16),
    /// The page says that it belongs elsewhere.
    #[error("the page is addressed {0}")]
    PageAddress(Lsn),
    /// The page's timeline cannot stand here.
    #[error("the page is of timeline {found}, expected {expected}")]
    PageTimeline {
        /// The timeline the position belongs to.
        expected: Timeline,
        /// The timeline in the page header.
        found: Timeline,
    },
    /// The header names a segment size that is impossible.
    #[error("the header names an impossible WAL segment size of {0} bytes")]
    SegmentSize(u32),
    /// The header names a page size that is impossible.
    #[error("the header names an impossible WAL page size of {0} bytes")]
    PageSize(u32),
    /// The segment is of another cluster or another build.
    #[error("{what} is {found}, expected {expected}")]
    Foreign {
        /// Which property differs.
        what: &'static str,
        /// The value asked for.
        expected: String,
        /// The value in the header.
        found: String,
    },
    /// A record is open but the page does not continue one.
    #[error("the page does not continue the record begun at {0}")]
    NotContinued(Lsn),
    /// The page continues a record although none is open.
    #[error("the page continues a record although none is open")]
    NothingToContinue,
    /// The page continues a record of another length.
    #[error("the page continues {found} bytes of a record of which {expected} are missing")]
    ContinuationLength {
        /// Bytes the record still needs.
        expected: u64,
        /// Bytes the page header claims.
        found: u64,
    },
    /// The position given as a record's beginning is none.
    #[error("no record begins here")]
    NoRecordHere,
    /// A record's length is impossible.
    #[error("record length {0} is impossible")]
    RecordLength(u32),
    /// A record of a resource manager that does not exist.
    #[error("resource manager {0} does not exist")]
    ResourceManager(u8),
    /// A record's link to the record before it is wrong.
    #[error("the record's link to the one before is {found}, expected {expected}")]
    Link {
        /// Where the record before begins (or the own position, which the link must stay below).
        expected: Lsn,
        /// The link.
        found: Lsn,
    },
    /// A record's checksum is wrong.
    #[error("the record's checksum is wrong")]
    Checksum,
    /// A record whose checksum is right but whose content cannot be.
    #[error("the content of a {0} record is not what PostgreSQL writes")]
    Content(&'static str),
    /// The log ends before the record does.
    #[error("the record begun at {0} is never finished")]
    Unfinished(Lsn),
    /// Bytes behind the last record that are not zero.
    #[error("bytes that are no record follow the last one")]
    Garbage,
    /// Unused until now, then used again: the pages after a gap are valid.
    #[error("a gap ({0}), with valid pages after it")]
    Gap(Box<Self>),
    /// The record that begins a timeline is missing or says something else.
    #[error("timeline {child} does not begin here, as {} says: {why}", child.history_file())]
    Fork {
        /// The timeline that should begin.
        child: Timeline,
        /// What stands there instead.
        why: String,
    },
}

/// Why reading write-ahead log failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// The segment's pages are of a version this program does not read.
    #[error(
        "WAL segment {segment} has page magic {magic:04X}, which belongs to no PostgreSQL version from 13 to 18"
    )]
    UnknownMagic {
        /// The segment.
        segment: WalSegment,
        /// The magic of its first page.
        magic: u16,
    },
    /// The segment belongs to another cluster, version or segment size.
    #[error("WAL segment {segment} is foreign: its {what} is {found}, expected {expected}")]
    Foreign {
        /// The segment.
        segment: WalSegment,
        /// Which property differs.
        what: &'static str,
        /// The value asked for.
        expected: String,
        /// The value found.
        found: String,
    },
    /// The segment's content is damaged.
    #[error("WAL segment {segment} is damaged at LSN {lsn}: {fault}")]
    Damaged {
        /// The segment.
        segment: WalSegment,
        /// Where in the log.
        lsn: Lsn,
        /// What is wrong.
        fault: Fault,
    },
    /// The bytes of the segment could not be had.
    #[error("WAL segment {segment} cannot be read: {why}")]
    Unreadable {
        /// The segment.
        segment: WalSegment,
        /// The reader's reason.
        why: String,
    },
    /// A timeline history file is not what PostgreSQL writes, or contradicts another or the log.
    #[error("timeline history file {}: {why}", timeline.history_file())]
    History {
        /// The timeline the file describes.
        timeline: Timeline,
        /// What is wrong.
        why: String,
    },
    /// The source failed, or the operator cancelled.
    #[error("{}", .0.headline)]
    Source(Report),
}

impl WalError {
    /// The error for a fault in `segment` at `lsn`, of the class that tells what can be done.
    pub(crate) fn at(segment: WalSegment, lsn: Lsn, fault: Fault) -> Self {
        match fault {
            Fault::UnknownMagic(magic) => Self::UnknownMagic { segment, magic },
            Fault::Foreign { what, expected, found } => Self::Foreign { segment, what, expected, found },
            fault => Self::Damaged { segment, lsn, fault },
        }
    }

    /// True if stored bytes are wrong, as opposed to unreachable or of an unknown version.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::History { .. } | Self::Foreign { .. })
    }
}

impl From<Report> for WalError {
    fn from(report: Report) -> Self {
        Self::Source(report)
    }
}

impl From<WalError> for Report {
    fn from(error: WalError) -> Self {
        let headline = error.to_string();
        match error {
            WalError::Source(report) => report,
            WalError::UnknownMagic { .. } => Self::failed(headline)
                .hint("this program reads the write-ahead log of PostgreSQL 13 to 18"),
            WalError::Unreadable { .. } => Self::damaged(headline),
            WalError::Damaged { fault: Fault::Fork { child, .. }, .. } => Self::damaged(headline).hint(format!(
                "compare {} and this segment with the copies in the primary's or a standby's pg_wal: one of them is wrong",
                child.history_file()
            )),
            WalError::Damaged { .. } => Self::damaged(headline)
                .hint("get the segment from another repository or from the primary's pg_wal, or choose a target before it"),
            WalError::Foreign { .. } => {
                Self::damaged(headline).hint("the archive holds WAL of another cluster; check archive_command there")
            }
            WalError::History { .. } => {
                Self::damaged(headline).hint("compare the file with the copy in the primary's or a standby's pg_wal")
            }
        }
    }
}

/// What all segments of one scan must agree on; nothing given means: whatever the first segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// The cluster's major version.
    pub version: Option<crate::base::PgVersion>,
    /// The cluster's system identifier.
    pub system_id: Option<SystemId>,
}
