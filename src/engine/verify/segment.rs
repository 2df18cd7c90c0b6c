//! One file of the archive: a segment, an unfinished one, or the history file of a backup.
//!
//! A segment is decoded to its end. Its content must have the SHA-1 its name says and the size of a segment, and its
//! first page must be of the cluster, the version and the place of its name.

use super::Work;
use super::finding::{Fault, Judged};
use super::names::check_backup_history;
use super::shelf::Shelf;
use super::watch::{Decoded, Watched, decode};
use crate::base::{Result, Secret, WalSegment, WalSegmentSize};
use crate::codec::{Compression, StreamSpec, decode_small};
use crate::repo::StoredSegment;
use crate::store::{Range, StorePath};
use crate::wal::SegmentHeader;
use std::io::Read as _;

/// A long page header.
const HEADER_BYTES: usize = 40;
/// The history file of a backup has a few hundred bytes.
const SMALL_FILE_BYTES: u64 = 1 << 20;

/// One file to look at.
pub(super) struct Job {
    pub(super) path: StorePath,
    kind: Kind,
}

enum Kind {
    /// A segment, and other files that claim to be the same with other content.
    Segment(StoredSegment, Vec<String>),
    Partial(StoredSegment),
    BackupHistory(WalSegment, u32),
}

impl Job {
    /// The jobs for all files of one segment.
    pub(super) fn of_segment(files: &[(StorePath, StoredSegment)]) -> Vec<Self> {
        let others = |own: &StoredSegment| {
            let other = files.iter().filter(|(_, other)| other.sha1 != own.sha1);
            other.map(|(_, other)| other.file_name()).collect()
        };
        let job = |(path, stored): &(StorePath, StoredSegment)| Self {
            path: path.clone(),
            kind: Kind::Segment(*stored, others(stored)),
        };
        files.iter().map(job).collect()
    }

    pub(super) fn partial(path: StorePath, stored: StoredSegment) -> Self {
        Self { path, kind: Kind::Partial(stored) }
    }

    pub(super) fn backup_history(path: StorePath, segment: WalSegment, offset: u32) -> Self {
        Self { path, kind: Kind::BackupHistory(segment, offset) }
    }

    /// The segment, if it is one.
    pub(super) fn segment(&self) -> Option<&StoredSegment> {
        if let Kind::Segment(stored, _) = &self.kind { Some(stored) } else { None }
    }
}

/// Looks at one file.
pub(super) fn check(
    work: &Work<'_>,
    shelf: &Shelf,
    cipher: Option<&Secret>,
    job: &Job,
    buffer: &mut [u8],
) -> Result<Judged> {
    match &job.kind {
        Kind::Segment(stored, others) => {
            let alone = content(work, shelf, cipher, &job.path, stored, buffer)?;
            let missing = matches!(alone, Judged::Bad { fault: Fault::Missing, .. });
            Ok(if others.is_empty() || missing { alone } else { conflict(&alone, others) })
        }
        Kind::Partial(stored) => content(work, shelf, cipher, &job.path, stored, buffer),
        Kind::BackupHistory(segment, offset) => {
            backup_history(work, shelf, cipher, &job.path, (*segment, *offset))
        }
    }
}

fn conflict(alone: &Judged, others: &[String]) -> Judged {
    let by_itself = match alone {
        Judged::Sound => "this file is sound by itself".to_owned(),
        Judged::Bad { why, .. } | Judged::Unreadable { why } => format!("this file {why}"),
    };
    Judged::bad(
        Fault::Other,
        format!(
            "is stored with different contents: also as {}; {by_itself}. One of them is of a clone or an earlier \
             life of the cluster",
            others.join(", ")
        ),
    )
}

fn content(
    work: &Work<'_>,
    shelf: &Shelf,
    cipher: Option<&Secret>,
    path: &StorePath,
    stored: &StoredSegment,
    buffer: &mut [u8],
) -> Result<Judged> {
    let source = match work.storage.open(path, Range::Whole) {
        Ok(source) => source,
        Err(error) => return Ok(Judged::not_opened(&error)),
    };
    let size_bytes = u64::from(shelf.size.bytes());
    let spec = StreamSpec::full(stored.compression, cipher.cloned());
    let mut first = Vec::with_capacity(HEADER_BYTES);
    let mut watched = Watched::new(source, work);
    let see = &mut |piece: &[u8]| first.extend_from_slice(&piece[..piece.len().min(HEADER_BYTES)]);
    let decoded = decode(&mut watched, &spec, stored.stored_bytes, size_bytes, buffer, see);
    let (_, _, failure) = watched.finish()?;
    if let Some(why) = failure {
        return Ok(Judged::Unreadable { why });
    }
    let seal = match decoded {
        Decoded::Whole(seal) => seal,
        Decoded::TooLong => {
            let why = format!("has more content than the {size_bytes} bytes of a segment");
            return Ok(Judged::bad(Fault::Size, why));
        }
        Decoded::Broken(error) => return Ok(Judged::not_decoded(&error)),
    };
    if seal.sha1 != stored.sha1 {
        let why = format!("has content with SHA-1 {}, its name says {}", seal.sha1, stored.sha1);
        return Ok(Judged::bad(Fault::Checksum, why));
    }
    if seal.size_bytes != size_bytes {
        let why = format!("has {} of the {size_bytes} bytes of a segment", seal.size_bytes);
        return Ok(Judged::bad(Fault::Size, why));
    }
    Ok(header(shelf, stored.segment, shelf.size, &first)
        .map_or_else(|why| Judged::bad(Fault::Other, why), |_| Judged::Sound))
}

/// Checks the first page; that of a version this program does not know is believed.
fn header(
    shelf: &Shelf,
    segment: WalSegment,
    size: WalSegmentSize,
    first: &[u8],
) -> std::result::Result<Option<SegmentHeader>, String> {
    if shelf.id.version.numbers().is_none() {
        return Ok(None);
    }
    let header =
        SegmentHeader::parse_any_version(first).map_err(|fault| format!("is no WAL segment: {fault}"))?;
    header.check(segment, size, &shelf.expected).map_err(|fault| format!("belongs elsewhere: {fault}"))?;
    Ok(Some(header))
}

/// The segment size a segment tells, if its first page is what its name says.
pub(super) fn size_of(shelf: &Shelf, stored: &StoredSegment) -> Option<WalSegmentSize> {
    let mut decoder = shelf.archive.open(&shelf.id, stored).ok()?;
    let mut first = [0; HEADER_BYTES];
    let got = decoder.fill(&mut first).ok()?;
    let told = SegmentHeader::parse_any_version(&first[..got]).ok()?.segment_size;
    header(shelf, stored.segment, told, &first[..got]).ok().map(|_| told)
}

fn backup_history(
    work: &Work<'_>,
    shelf: &Shelf,
    cipher: Option<&Secret>,
    path: &StorePath,
    (segment, offset): (WalSegment, u32),
) -> Result<Judged> {
    let source = match work.storage.open(path, Range::Whole) {
        Ok(source) => source,
        Err(error) => return Ok(Judged::not_opened(&error)),
    };
    let mut watched = Watched::new(source.take(SMALL_FILE_BYTES), work).uncounted();
    let mut stored = Vec::new();
    let _read = watched.read_to_end(&mut stored);
    if let (_, _, Some(why)) = watched.finish()? {
        return Ok(Judged::Unreadable { why });
    }
    let spec = StreamSpec::full(Compression::None, cipher.cloned());
    Ok(match decode_small(&stored, &spec, SMALL_FILE_BYTES) {
        Err(error) => Judged::not_decoded(&error),
        Ok(text) => check_backup_history(&text, segment, offset, shelf.size)
            .map_or_else(|why| Judged::bad(Fault::Other, why), |()| Judged::Sound),
    })
}
