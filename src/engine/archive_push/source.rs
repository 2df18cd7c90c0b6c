//! The file PostgreSQL wants archived, known by its stamp.
//!
//! A segment must be whole and, unless that is switched off, its first page must fit its name and this cluster: a
//! recycled file bears a name of the future. Never writes.

use super::PushError;
use crate::base::WalSegment;
use crate::codec::{Hasher, Sha1Hash};
use crate::engine::archive_get::Wanted;
use crate::engine::identity::{Identity, check_header};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// How much of a segment is read at a time.
pub(super) const CHUNK_BYTES: usize = 1 << 20;
/// The most a history or backup history file may have; PostgreSQL's own are a few hundred bytes.
const SMALL_BYTES: u64 = 4 << 20;
/// Enough for the first page's header.
const HEADER_BYTES: usize = 40;

/// When a file was last written, to the nanosecond: a file of the same name that was written at another moment is
/// another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) modified_s: i64,
    pub(super) modified_ns: i64,
}

impl Stamp {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self { modified_s: meta.mtime(), modified_ns: meta.mtime_nsec() }
    }

    /// The stamp of the file at `path`.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&std::fs::metadata(path)?))
    }
}

/// An opened file of `pg_wal`.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: Wanted,
    pub(super) path: PathBuf,
    handle: File,
    size_bytes: u64,
    stamp: Stamp,
}

impl Source {
    /// Opens the file and checks what can be told from its beginning.
    pub(super) fn open(
        path: &Path,
        file: Wanted,
        identity: &Identity,
        check: bool,
    ) -> Result<Self, PushError> {
        let failed = |source| PushError::Source { path: path.to_owned(), source };
        let handle = File::open(path).map_err(failed)?;
        let meta = handle.metadata().map_err(failed)?;
        let source =
            Self { file, path: path.to_owned(), handle, size_bytes: meta.len(), stamp: Stamp::of(&meta) };
        if !meta.is_file() {
            return Err(source.wrong("it is no file"));
        }
        match file {
            Wanted::Segment(segment) | Wanted::Partial(segment) => source.check(segment, identity, check)?,
            Wanted::History(_) | Wanted::BackupHistory(..) if source.size_bytes == 0 => {
                return Err(source.wrong("it is empty"));
            }
            Wanted::History(_) | Wanted::BackupHistory(..) if source.size_bytes > SMALL_BYTES => {
                return Err(source.wrong(format!("it has {} bytes", source.size_bytes)));
            }
            Wanted::History(_) | Wanted::BackupHistory(..) => {}
        }
        Ok(source)
    }

    fn check(&self, segment: WalSegment, identity: &Identity, header: bool) -> Result<(), PushError> {
        let whole = u64::from(identity.segment_size.bytes());
        if self.size_bytes != whole {
            return Err(self.wrong(format!("it has {} of the {whole} bytes of a segment", self.size_bytes)));
        }
        if header {
            let mut first = [0; HEADER_BYTES];
            self.handle.read_exact_at(&mut first, 0).map_err(|source| self.failed(source))?;
            check_header(&first, segment, identity).map_err(|why| self.wrong(why))?;
        }
        Ok(())
    }

    /// When the file that was opened was last written.
    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The whole content, in the place of what was in `into`.
    pub(super) fn read_into(&mut self, into: &mut Vec<u8>) -> Result<(), PushError> {
        into.clear();
        into.reserve_exact(usize::try_from(self.size_bytes + 1).unwrap_or(0));
        self.handle.rewind().map_err(|source| self.failed(source))?;
        // One byte more than expected shows that there is more.
        let read = (&self.handle).take(self.size_bytes + 1).read_to_end(into);
        read.map_err(|source| self.failed(source))?;
        self.unchanged(into.len() as u64)
    }

    /// Hands the content to `take` piece by piece and gives its hash.
    pub(super) fn stream(
        &mut self,
        chunk: &mut Vec<u8>,
        mut take: impl FnMut(&[u8]) -> Result<(), PushError>,
    ) -> Result<Sha1Hash, PushError> {
        chunk.resize(CHUNK_BYTES, 0);
        self.handle.rewind().map_err(|source| self.failed(source))?;
        let (mut hasher, mut read_bytes) = (Hasher::new(), 0);
        loop {
            let length = match self.handle.read(chunk) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(error)),
            };
            hasher.update(&chunk[..length]);
            take(&chunk[..length])?;
            read_bytes += length as u64;
        }
        self.unchanged(read_bytes)?;
        Ok(hasher.finish())
    }

    /// What was read must be the file that was opened, and nobody may have written to it meanwhile.
    fn unchanged(&self, read_bytes: u64) -> Result<(), PushError> {
        let meta = self.handle.metadata().map_err(|source| self.failed(source))?;
        let same = Stamp::of(&meta) == self.stamp && meta.len() == self.size_bytes;
        if same && read_bytes == self.size_bytes {
            Ok(())
        } else {
            Err(PushError::Changed(self.path.clone()))
        }
    }

    fn failed(&self, source: io::Error) -> PushError {
        PushError::Source { path: self.path.clone(), source }
    }

    fn wrong(&self, why: impl Into<String>) -> PushError {
        PushError::Wrong { path: self.path.clone(), why: why.into() }
    }
}
