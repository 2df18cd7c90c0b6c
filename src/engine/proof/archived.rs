//! The archive of one cluster as one readable log: segments by name, history files, and which of them a recovery
//! along a timeline path needs.
//!
//! Where a recovery brings a saved `pg_wal`, its segments continue the archive, as they will when it fetches WAL.
//! Absence, conflict and damage stay three different answers. Holds one folder's listing per timeline at a time,
//! however large the archive.

use crate::base::{Kind, Lsn, Report, Result, SystemId, Timeline, WalSegment, WalSegmentSize};
use crate::codec::{CodecError, Decoder, Sha1Hash};
use crate::model::op::Cancel;
use crate::model::target::TimelineChoice;
use crate::repo::{Archive, ArchiveId, StoredSegment};
use crate::wal::{Expected, SegmentHeader, SegmentSource, TimelineHistory, TimelinePath, WalError};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A long page header.
const HEADER_BYTES: usize = 40;

/// The archived log of one cluster in one repository.
#[derive(Debug)]
pub(super) struct ArchivedWal {
    archive: Archive,
    id: ArchiveId,
    size: WalSegmentSize,
    expected: Expected,
    /// A `pg_wal` with what the archive does not have, read after it.
    salvage: Option<PathBuf>,
    /// The last listed folder of each timeline.
    folders: Mutex<BTreeMap<Timeline, ListedFolder>>,
}

/// The middle digits of a folder's name and its segments.
type ListedFolder = (u32, Arc<Vec<StoredSegment>>);

/// The segments a recovery needs, as far as names and headers tell.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) segments: u64,
    /// How many of them only the salvage has.
    pub(super) salvaged: u64,
    pub(super) last: WalSegment,
}

impl ArchivedWal {
    /// The archive the backups of this cluster recover from; the segment size is read from the first of `firsts` (the
    /// segments with which backups begin, the likeliest first) that is there and sound.
    pub(super) fn open(
        archive: &Archive,
        id: ArchiveId,
        system_id: SystemId,
        firsts: impl Iterator<Item = WalSegment>,
        salvage: Option<&Path>,
    ) -> Result<Self> {
        let expected = Expected { version: Some(id.version), system_id: Some(system_id) };
        let size = WalSegmentSize::DEFAULT;
        let salvage = salvage.map(Path::to_owned);
        let mut wal =
            Self { archive: archive.clone(), id, size, expected, salvage, folders: Mutex::default() };
        let mut problem = None;
        for first in firsts {
            let size = wal.header(first).and_then(|header| {
                let header = header.ok_or_else(|| first_missing(first))?;
                wal.check_header(&header, first, header.segment_size).map(|()| header.segment_size)
            });
            match size {
                Ok(size) => {
                    wal.size = size;
                    return Ok(wal);
                }
                Err(report) => drop(problem.get_or_insert(report)),
            }
        }
        Err(problem.unwrap_or_else(|| Report::failed("no backup names the WAL it needs")))
    }

    pub(super) fn size(&self) -> WalSegmentSize {
        self.size
    }

    pub(super) fn expected(&self) -> Expected {
        self.expected
    }

    /// The path PostgreSQL would follow from a backup on timeline `from`.
    pub(super) fn path(&self, from: Timeline, choice: Option<TimelineChoice>) -> Result<TimelinePath> {
        let target = match choice {
            Some(TimelineChoice::Current) => from,
            Some(TimelineChoice::Number(number)) => number,
            None | Some(TimelineChoice::Latest) => self.newest_from(from)?,
        };
        let history = match self.read_history(target)? {
            Some(history) => history,
            // The first timeline has no history file; neither has a backup's own need one.
            None if target == from || target == Timeline(1) => TimelineHistory::root(target),
            None => {
                let known: Vec<_> =
                    self.archive.timelines(&self.id)?.iter().map(ToString::to_string).collect();
                return Err(Report::new(
                    Kind::TargetUnreachable,
                    format!("timeline {target} has no history file in the archive"),
                )
                .hint(format!("the archive knows the timelines {}", known.join(", "))));
            }
        };
        Ok(history.path())
    }

    /// Every timeline the archive has a segment or history file of.
    pub(super) fn timelines(&self) -> Result<Vec<Timeline>> {
        Ok(self.archive.timelines(&self.id)?)
    }

    /// As PostgreSQL looks for the newest timeline: upwards from the backup's, until a history file is missing.
    fn newest_from(&self, from: Timeline) -> Result<Timeline> {
        let mut newest = from;
        while self.read_history(Timeline(newest.0.saturating_add(1)))?.is_some() {
            newest = Timeline(newest.0 + 1);
        }
        Ok(newest)
    }

    fn read_history(&self, timeline: Timeline) -> Result<Option<TimelineHistory>> {
        let text = self.history(timeline)?;
        Ok(text.map(|text| TimelineHistory::parse(&text, timeline)).transpose()?)
    }

    /// Walks the names of every segment from `first` along the path, to `until` or the archive's end: one missing
    /// with later ones present, or one present twice with different content, is refused.
    pub(super) fn listing(
        &self,
        path: &TimelinePath,
        first: WalSegment,
        until: Option<WalSegment>,
    ) -> Result<Listing> {
        let mut listing = Listing { segments: 0, salvaged: 0, last: first };
        let until_number = until.map_or(u64::MAX, |segment| segment.number(self.size));
        let mut next = first.number(self.size);
        for (index, stretch) in path.stretches().iter().enumerate() {
            let after = path.stretches().get(index + 1).map(|s| s.begin.segment_number(self.size));
            let start = next.max(stretch.begin.segment_number(self.size));
            let end = after.unwrap_or(u64::MAX).min(until_number.saturating_add(1));
            if stretch.timeline < first.timeline || start >= end {
                continue;
            }
            next = self.list_stretch(stretch.timeline, start, end, &mut listing).map_err(|report| {
                if stretch.timeline == first.timeline {
                    return report;
                }
                report.context(format!("listing the segments of the path{}", super::forks(path)))
            })?;
            next = self.list_salvaged(stretch.timeline, next, end, &mut listing)?;
            if next < end && (after.is_some() || until.is_some()) {
                let missing = WalSegment::from_number(stretch.timeline, next, self.size);
                return Err(missing_segment(missing, "and recovery needs it to go on"));
            }
        }
        if listing.segments == 0 {
            return Err(first_missing(first));
        }
        Ok(listing)
    }

    /// Counts the segments `start..end` of one timeline; returns the number of the first that is not there.
    fn list_stretch(&self, timeline: Timeline, start: u64, end: u64, listing: &mut Listing) -> Result<u64> {
        let from = WalSegment::from_number(timeline, start, self.size);
        let mut next = start;
        let mut seen: Option<StoredSegment> = None;
        let mut problem = None;
        self.archive.segments(&self.id, Some(from), &mut |stored| {
            let number = stored.segment.number(self.size);
            if stored.segment.timeline != timeline || number >= end {
                return false;
            }
            if let Some(before) = seen.as_ref().filter(|before| before.segment == stored.segment) {
                if before.sha1 != stored.sha1 {
                    problem = Some(conflict(stored.segment, &[before.sha1, stored.sha1]));
                }
            } else if number == next {
                next += 1;
                listing.segments += 1;
                listing.last = stored.segment;
            } else {
                let missing = WalSegment::from_number(timeline, next, self.size);
                problem =
                    Some(missing_segment(missing, &format!("although later ones are ({})", stored.segment)));
            }
            seen = Some(stored);
            problem.is_none()
        })?;
        problem.map_or(Ok(next), Err)
    }

    /// Goes on behind the archive's end of a timeline with what was saved; returns the number of the first segment
    /// that is not there either.
    fn list_salvaged(&self, timeline: Timeline, start: u64, end: u64, listing: &mut Listing) -> Result<u64> {
        let mut next = start;
        while next < end {
            let segment = WalSegment::from_number(timeline, next, self.size);
            if self.salvaged(segment)?.is_none() {
                break;
            }
            next += 1;
            listing.segments += 1;
            listing.salvaged += 1;
            listing.last = segment;
        }
        Ok(next)
    }

    /// A segment that only the salvage has; a recycled file, which bears a future name, is none.
    fn salvaged(&self, segment: WalSegment) -> Result<Option<File>> {
        let Some(folder) = &self.salvage else { return Ok(None) };
        let path = folder.join(segment.to_string());
        let cannot = |error: io::Error| Report::failed(format!("cannot read {}: {error}", path.display()));
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(error)),
        };
        let mut first = Vec::with_capacity(HEADER_BYTES);
        file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut first).map_err(cannot)?;
        let Ok(header) = SegmentHeader::parse(&first) else { return Ok(None) };
        if header.page_lsn != segment.start_lsn(self.size) {
            return Ok(None);
        }
        self.check_header(&header, segment, self.size)
            .map_err(|report| report.context(format!("reading {}", path.display())))?;
        file.rewind().map_err(cannot)?;
        Ok(Some(file))
    }

    /// Checks the header of every segment of a listing: own cluster, own version, own place.
    pub(super) fn check_headers(
        &self,
        path: &TimelinePath,
        first: WalSegment,
        listing: &Listing,
        cancel: &Cancel,
    ) -> Result<()> {
        let last = listing.last.number(self.size);
        for number in first.number(self.size)..=last {
            cancel.check()?;
            let segment = self.on_path(path, number);
            let Some(header) = self.header(segment)? else { continue };
            self.check_header(&header, segment, self.size)?;
        }
        Ok(())
    }

    /// Reads what a server that reads ahead asks for behind `stop`: a fetch that fails there would stop the recovery
    /// short of a target it can reach.
    pub(super) fn sound_ahead(&self, path: &TimelinePath, stop: Lsn, cancel: &Cancel) -> Result<()> {
        /// The default of `wal_decode_buffer_size`, and some pages.
        const AHEAD_BYTES: u64 = (512 + 64) << 10;
        let last = Lsn(stop.0.saturating_add(AHEAD_BYTES)).segment_number(self.size);
        for number in stop.segment_number(self.size)..=last {
            cancel.check()?;
            let segment = self.on_path(path, number);
            let Some(mut reader) = self.open(segment)? else { break };
            io::copy(&mut reader, &mut io::sink()).map_err(|error| {
                let why = CodecError::from_io(error);
                Report::damaged(format!("WAL segment {segment} in the archive is damaged: {why}"))
            })?;
        }
        Ok(())
    }

    fn check_header(&self, header: &SegmentHeader, segment: WalSegment, size: WalSegmentSize) -> Result<()> {
        header
            .check(segment, size, &self.expected)
            .map_err(|fault| Report::from(WalError::Damaged { segment, lsn: segment.start_lsn(size), fault }))
    }

    /// The segment PostgreSQL reads for a number: of the newest timeline that had begun by its end.
    pub(super) fn on_path(&self, path: &TimelinePath, number: u64) -> WalSegment {
        let newest = path.stretches().iter().rev().find(|s| s.begin.segment_number(self.size) <= number);
        WalSegment::from_number(newest.map_or(path.target(), |s| s.timeline), number, self.size)
    }

    fn header(&self, segment: WalSegment) -> Result<Option<SegmentHeader>> {
        let Some(mut reader) = self.open(segment)? else { return Ok(None) };
        let mut first = Vec::with_capacity(HEADER_BYTES);
        let damaged =
            |why: String| Report::damaged(format!("WAL segment {segment} in the archive is damaged: {why}"));
        reader
            .by_ref()
            .take(HEADER_BYTES as u64)
            .read_to_end(&mut first)
            .map_err(|error| damaged(CodecError::from_io(error).to_string()))?;
        SegmentHeader::parse(&first).map(Some).map_err(|fault| damaged(fault.to_string()))
    }

    /// The listing of a segment's folder, kept for the next segments of the same folder.
    fn folder(&self, segment: WalSegment) -> Result<Arc<Vec<StoredSegment>>> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((log, listed)) = folders.get(&segment.timeline)
            && *log == segment.log
        {
            return Ok(Arc::clone(listed));
        }
        let mut listed = Vec::new();
        let start = WalSegment { seg: 0, ..segment };
        self.archive.segments(&self.id, Some(start), &mut |stored| {
            let inside = stored.segment.timeline == segment.timeline && stored.segment.log == segment.log;
            if inside {
                listed.push(stored);
            }
            inside
        })?;
        let listed = Arc::new(listed);
        folders.insert(segment.timeline, (segment.log, Arc::clone(&listed)));
        Ok(listed)
    }
}

impl SegmentSource for ArchivedWal {
    fn open(&self, segment: WalSegment) -> Result<Option<Box<dyn Read + Send>>> {
        let listed = self.folder(segment)?;
        let mut hits = listed.iter().filter(|stored| stored.segment == segment);
        let Some(stored) = hits.next() else {
            let salvaged = self.salvaged(segment)?;
            return Ok(salvaged.map(|file| Box::new(BufReader::new(file)) as Box<dyn Read + Send>));
        };
        if let Some(other) = hits.find(|other| other.sha1 != stored.sha1) {
            return Err(conflict(segment, &[stored.sha1, other.sha1]));
        }
        let decoder = self.archive.open(&self.id, stored)?;
        Ok(Some(Box::new(Checked { decoder: Some(decoder), sha1: stored.sha1 })))
    }

    fn history(&self, timeline: Timeline) -> Result<Option<Vec<u8>>> {
        if let Some(archived) = self.archive.history(&self.id, timeline)? {
            return Ok(Some(archived));
        }
        let Some(folder) = &self.salvage else { return Ok(None) };
        let path = folder.join(timeline.history_file());
        match std::fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Report::failed(format!("cannot read {}: {error}", path.display()))),
        }
    }
}

/// A segment's content that fails at its end unless it is what its name says.
struct Checked {
    decoder: Option<Decoder<'static>>,
    sha1: Sha1Hash,
}

impl Read for Checked {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else { return Ok(0) };
        let n = decoder.read(buf)?;
        if n > 0 || buf.is_empty() {
            return Ok(n);
        }
        let Some(decoder) = self.decoder.take() else { return Ok(0) };
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let seal = decoder.finish().map_err(|error| invalid(error.to_string()))?;
        if seal.sha1 == self.sha1 {
            Ok(0)
        } else {
            Err(invalid(format!("its content has SHA-1 {}, its name says {}", seal.sha1, self.sha1)))
        }
    }
}

fn conflict(segment: WalSegment, hashes: &[Sha1Hash]) -> Report {
    let shown: Vec<_> = hashes.iter().map(ToString::to_string).collect();
    Report::new(
        Kind::TargetUnreachable,
        format!("WAL segment {segment} is in the archive more than once with different content ({})", shown.join(", ")),
    )
    .hint("find out which one the cluster wrote (the other came from a clone or an earlier life), move the wrong one out of the archive, then plan again; or choose a target before it")
}

fn first_missing(first: WalSegment) -> Report {
    Report::new(
        Kind::TargetUnreachable,
        format!("WAL segment {first}, with which the backup begins, is not in the archive"),
    )
    .hint("without it the backup cannot become consistent; use another set or another repository")
}

fn missing_segment(segment: WalSegment, why: &str) -> Report {
    Report::new(Kind::TargetUnreachable, format!("WAL segment {segment} is missing in the archive, {why}"))
        .hint("look for it in the primary's or a standby's pg_wal or in another repository; or choose a target before it")
}
