//! Which WAL is archived, timeline by timeline, and what is missing in between.
//!
//! Judges by names, and by one segment's header for the segment size; it reads no further content. A gap is no
//! damage by itself: expiring keeps only what old backups need to become consistent.

pub mod way;

use super::repositories::Slot;
use crate::base::{Kind, Report, Result, WalSegmentSize};
use crate::repo::archive::{Ranges, WalRange};
use crate::repo::{Archive, ArchiveId, RepoError, StoredSegment};
use crate::wal::page::SegmentHeader;

/// How many bytes of a segment the header needs.
const HEADER_BYTES: usize = 64;

/// How many segments are tried for a readable header.
const HEADER_TRIES: usize = 3;

/// The archive of one cluster in one repository.
#[derive(Debug)]
pub struct ArchivedRanges {
    /// The stanza.
    pub stanza: String,
    /// The repository's number.
    pub repo_key: u32,
    /// The archive's folder.
    pub id: ArchiveId,
    /// The segment size.
    pub size: WalSegmentSize,
    /// No header could be read, so the size is PostgreSQL's default.
    pub size_assumed: bool,
    /// Runs, conflicts, and segments that cannot be.
    pub ranges: Ranges,
}

/// Looks through the archives of `stanza`, or of all stanzas, in every repository.
pub fn read(slots: &[Slot], stanza: Option<&str>) -> Result<Vec<ArchivedRanges>> {
    let mut found = Vec::new();
    let mut known = false;
    for slot in slots {
        let repository = slot.repository.as_ref().map_err(Clone::clone)?;
        let names = match stanza {
            Some(name) => vec![name.to_owned()],
            None => repository.stanzas()?,
        };
        for name in names {
            let one = repository.stanza(&name);
            let info = match one.archive_info() {
                Err(error) if error.is_missing() => continue,
                info => info?.value,
            };
            known = true;
            let archive = one.archive(&info);
            for id in archive.ids() {
                found.extend(of_archive(&archive, id, &name, slot.key)?);
            }
        }
    }
    match stanza {
        Some(name) if !known => {
            Err(Report::new(Kind::Failed, format!("no repository has an archive of stanza '{name}'"))
                .hint("`info` lists the stanzas"))
        }
        _ => Ok(found),
    }
}

/// The ranges of one archive folder; nothing if it holds no segment.
fn of_archive(
    archive: &Archive,
    id: ArchiveId,
    stanza: &str,
    repo_key: u32,
) -> Result<Option<ArchivedRanges>> {
    let mut first = Vec::new();
    archive.segments(&id, None, &mut |stored| {
        first.push(stored);
        first.len() < HEADER_TRIES
    })?;
    if first.is_empty() {
        return Ok(None);
    }
    let size = first.iter().find_map(|stored| segment_size(archive, id, stored).ok().flatten());
    let (size, size_assumed) = size.map_or((WalSegmentSize::DEFAULT, true), |size| (size, false));
    let ranges = archive.ranges(&id, size)?;
    Ok(Some(ArchivedRanges { stanza: stanza.to_owned(), repo_key, id, size, size_assumed, ranges }))
}

/// The segment size a segment's header tells.
fn segment_size(
    archive: &Archive,
    id: ArchiveId,
    stored: &StoredSegment,
) -> Result<Option<WalSegmentSize>, RepoError> {
    let mut decoder = archive.open(&id, stored)?;
    let mut header = [0; HEADER_BYTES];
    let length = decoder.fill(&mut header).unwrap_or(0);
    Ok(SegmentHeader::parse(&header[..length]).ok().map(|header| header.segment_size))
}
