//! Where the log of a stopped server ends: its own `pg_wal`, read record by record as its next start would.
//!
//! What a standby must have to have everything. Reads files only, changes none, and never guesses: a log with a hole, or
//! with damage before its end, has no end.

use crate::base::{self, Lsn, Timeline, WalSegment};
use crate::cluster::control::ControlFile;
use crate::model::op::Cancel;
use crate::wal::history::TimelineHistory;
use crate::wal::scan::{EndReason, ScanRequest, SegmentSource, scan};
use crate::wal::{Expected, WalError};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Headers of pages, by which a position after one differs from the page's beginning.
const PAGE_HEADERS: [u64; 2] = [24, 40];

/// The end of the log of the cluster in `data_dir`, which nobody serves; why there is none, in one sentence.
///
/// A position at the beginning of a page is given without the page's header, as a standby counts what it received.
pub fn end(data_dir: &Path, control: &ControlFile, cancel: &Cancel) -> Result<Lsn, String> {
    let modern = control.version.at_least(10);
    let folder = Folder(data_dir.join(if modern { "pg_wal" } else { "pg_xlog" }));
    let path = match folder.history(control.timeline).map_err(|report| report.headline)? {
        Some(text) => TimelineHistory::parse(&text, control.timeline).map_err(|error| error.to_string())?,
        None => TimelineHistory::root(control.timeline),
    };
    let mut request = ScanRequest::new(path.path(), control.redo_lsn, control.segment_size);
    request.expected = Expected { version: Some(control.version), system_id: Some(control.system_id) };
    request.cancel = cancel.clone();
    let end = scan(&folder, &request, &mut |_| ControlFlow::Continue(()))
        .map_err(|error: WalError| error.to_string())?;
    match end.reason {
        EndReason::NoSegment(segment) if folder.has_later(segment) => {
            return Err(format!("segment {segment} is missing, and later ones are there"));
        }
        EndReason::NoSegment(segment) if end.records == 0 => {
            return Err(format!("segment {segment} is missing"));
        }
        EndReason::Visitor | EndReason::Until => return Err("it was not read to its end".to_owned()),
        EndReason::NoSegment(_) | EndReason::Unwritten(_) => {}
    }
    if end.end_lsn < control.checkpoint_lsn {
        return Err(format!(
            "it ends at {}, before its last checkpoint at {}",
            end.end_lsn, control.checkpoint_lsn
        ));
    }
    let in_page = end.end_lsn.0 % u64::from(control.wal_page_bytes);
    Ok(if PAGE_HEADERS.contains(&in_page) { Lsn(end.end_lsn.0 - in_page) } else { end.end_lsn })
}

/// A server's own WAL.
struct Folder(PathBuf);

impl Folder {
    /// A segment of the same timeline with a greater number is there and is what its name says: old ones are kept
    /// under future names.
    fn has_later(&self, missing: WalSegment) -> bool {
        let names = std::fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut later = names.filter_map(|name| name.to_str()?.parse::<WalSegment>().ok());
        later.any(|segment| segment.timeline == missing.timeline && segment > missing && self.is_own(segment))
    }

    fn is_own(&self, segment: WalSegment) -> bool {
        let mut head = [0; 16];
        let read = File::open(self.0.join(segment.to_string())).and_then(|mut file| {
            let size = file.metadata()?.len();
            file.read_exact(&mut head)?;
            Ok(size)
        });
        let size = read.ok().and_then(|size| base::WalSegmentSize::new(u32::try_from(size).ok()?).ok());
        let address = head.get(8..16).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        size.is_some_and(|size| address == Some(segment.start_lsn(size).0))
    }
}

impl SegmentSource for Folder {
    fn open(&self, segment: WalSegment) -> base::Result<Option<Box<dyn Read + Send>>> {
        let path = self.0.join(segment.to_string());
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(base::Report::failed(format!("cannot open {}: {error}", path.display()))),
        }
    }

    fn history(&self, timeline: Timeline) -> base::Result<Option<Vec<u8>>> {
        let path = self.0.join(timeline.history_file());
        match std::fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(base::Report::failed(format!("cannot read {}: {error}", path.display()))),
        }
    }
}
