//! The salvage folder: `pg_wal` of the damaged cluster, saved before the recovery, with what was never archived.
//!
//! Read only after every repository has said that it does not have the file. A segment is taken only if its pages
//! say that it is what its name says (recycled files bear future names), if it follows without a gap what is
//! archived, and if it lies on the branch this recovery follows. The last segment may be unfinished: PostgreSQL
//! stops at its last whole record.

use super::branch;
use super::deliver::{Identity, Temporary, check_header, copy_segment, small_content};
use super::error::GetError;
use super::lookup::Archives;
use super::wanted::Wanted;
use crate::base::{Timeline, WalSegment};
use crate::cluster::control::ControlFile;
use crate::codec::{CodecError, Compression, Decoder, Sha1Hash, StreamSpec};
use crate::wal::{Fault, SegmentHeader, TimelinePath};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// A saved `pg_wal`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Salvage<'a> {
    /// The folder.
    pub(super) folder: &'a Path,
    /// What its segments must agree with.
    pub(super) identity: Identity,
}

impl Salvage<'_> {
    fn failed(&self, name: &str, source: io::Error) -> GetError {
        GetError::Salvage { path: self.folder.join(name), source }
    }

    fn place(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Opens a segment that really is what its name says; nothing if there is none, or only a recycled file.
    fn open(&self, segment: WalSegment) -> Result<Option<File>, GetError> {
        let name = segment.to_string();
        let mut file = match File::open(self.folder.join(&name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A folder that is not there must not look like one without this segment.
                self.folder.metadata().map_err(|source| self.failed("", source))?;
                return Ok(None);
            }
            Err(error) => return Err(self.failed(&name, error)),
        };
        let mut first = Vec::new();
        (&mut file).take(8192).read_to_end(&mut first).map_err(|source| self.failed(&name, source))?;
        match SegmentHeader::parse_any_version(&first) {
            Err(Fault::Zeros) => return Ok(None),
            Ok(header) if header.page_lsn != segment.start_lsn(self.identity.segment_size) => {
                return Ok(None);
            }
            Ok(_) | Err(_) => {}
        }
        check_header(&first, segment, &self.identity)
            .map_err(|why| GetError::Wrong { place: self.place(&name), why })?;
        Ok(Some(file))
    }

    /// The content of a segment, for reading.
    pub(super) fn segment(&self, segment: WalSegment) -> Result<Option<Decoder<'static>>, GetError> {
        if self.open(segment)?.is_none() {
            return Ok(None);
        }
        let name = segment.to_string();
        let file = File::open(self.folder.join(&name)).map_err(|source| self.failed(&name, source))?;
        self.plain(file, &name).map(Some)
    }

    fn plain(&self, file: File, name: &str) -> Result<Decoder<'static>, GetError> {
        Decoder::new(file, &StreamSpec::full(Compression::None, None))
            .map_err(|source| GetError::Damaged { place: self.place(name), source })
    }

    /// Delivers the segment in the place of damaged archived copies, if its content has their SHA-1.
    pub(super) fn replace(
        &self,
        segment: WalSegment,
        sha1: Sha1Hash,
        destination: &Path,
    ) -> Result<bool, GetError> {
        match self.segment(segment)? {
            Some(source) => self.copy(source, segment, Some(sha1), destination).map(|()| true),
            None => Ok(false),
        }
    }

    /// Delivers the segment if it is here, continues what is archived and lies on the recovery's branch.
    pub(super) fn deliver(
        &self,
        segment: WalSegment,
        archives: &Archives,
        (data_dir, control): (&Path, &ControlFile),
        destination: &Path,
    ) -> Result<bool, GetError> {
        let Some(source) = self.segment(segment)? else { return Ok(false) };
        let off = |why| GetError::OffBranch { segment, folder: self.folder.to_owned(), why };
        let path = branch::path_of(data_dir, control, &|timeline| {
            Ok(archives.history(timeline, Some(self), Vec::new())?.map(|found| found.history))
        })?;
        if let Some(why) = branch::off_path(&path, segment, self.identity.segment_size) {
            return Err(off(why));
        }
        if let Some(missing) = self.missing_before(segment, archives, &path, control)? {
            return Err(off(format!("{missing}, which stands before it, is neither archived nor there")));
        }
        self.copy(source, segment, None, destination)?;
        Ok(true)
    }

    fn copy(
        &self,
        source: Decoder<'_>,
        segment: WalSegment,
        sha1: Option<Sha1Hash>,
        destination: &Path,
    ) -> Result<(), GetError> {
        let failed = |source| GetError::Destination { path: destination.to_owned(), source };
        let mut target = Temporary::beside(destination).map_err(failed)?;
        let place = self.place(&segment.to_string());
        copy_segment(source, target.file(), segment, &self.identity, sha1, (&place, destination))?;
        target.publish().map_err(failed)
    }

    /// The first segment missing on the way back to one that is archived, or to where this recovery begins.
    fn missing_before(
        &self,
        segment: WalSegment,
        archives: &Archives,
        path: &TimelinePath,
        control: &ControlFile,
    ) -> Result<Option<WalSegment>, GetError> {
        let size = self.identity.segment_size;
        let mut at = segment;
        while at.start_lsn(size) > control.redo_lsn {
            let number = at.number(size) - 1;
            let timeline = path.timeline_at(at.start_lsn(size)).min(at.timeline);
            let own = WalSegment::from_number(at.timeline, number, size);
            let older = WalSegment::from_number(timeline, number, size);
            // The segment before a fork may be archived under either timeline.
            let mut there = false;
            for before in [own, older] {
                let search = archives.search(Wanted::Segment(before))?;
                if !search.copies.is_empty() {
                    return Ok(None);
                }
                there |= self.open(before)?.is_some();
            }
            if !there {
                return Ok(Some(own));
            }
            at = if self.open(own)?.is_some() { own } else { older };
        }
        Ok(None)
    }

    /// The first real segment of the same timeline after `missing`.
    pub(super) fn later(&self, missing: WalSegment) -> Result<Option<WalSegment>, GetError> {
        let mut later = Vec::new();
        for entry in std::fs::read_dir(self.folder).map_err(|source| self.failed("", source))? {
            let entry = entry.map_err(|source| self.failed("", source))?;
            let segment = entry.file_name().to_str().and_then(|name| name.parse::<WalSegment>().ok());
            later.extend(segment.filter(|s| s.timeline == missing.timeline && *s > missing));
        }
        later.sort_unstable();
        for segment in later {
            if self.open(segment)?.is_some() {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }

    /// The content of a timeline's history file, if it was saved.
    pub(super) fn history(&self, timeline: Timeline) -> Result<Option<Vec<u8>>, GetError> {
        let name = timeline.history_file();
        match File::open(self.folder.join(&name)) {
            Ok(file) => small_content(&mut self.plain(file, &name)?, &self.place(&name)).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(GetError::Damaged { place: self.place(&name), source: CodecError::Io(error) }),
        }
    }
}
