//! Bringing verified bytes to their destination.
//!
//! The destination's name appears only with whole and verified content under it: everything is written to a
//! temporary file beside it and renamed. Nothing is synced: PostgreSQL syncs a restored file itself before it
//! relies on it (`durable_rename` to its name in `pg_wal`).

use super::error::GetError;
use crate::base::WalSegment;
use crate::base::files::temporary_beside;
use crate::codec::quick::QuickHasher;
use crate::codec::{CodecError, Decoder, Sha1Hash};
pub(super) use crate::engine::identity::{Identity, check_header};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How much is decoded before it is written.
const CHUNK_BYTES: usize = 256 * 1024;
/// The most a history or backup history file may have; PostgreSQL's own are a few hundred bytes.
pub(super) const SMALL_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A file that becomes the destination; dropped unpublished, it is removed.
///
/// Its name is always the same, so that what a killed process left is overwritten by the next call, and it is
/// locked, so that two calls for one destination take turns.
#[derive(Debug)]
pub(super) struct Temporary {
    file: File,
    path: PathBuf,
    destination: PathBuf,
    published: bool,
}

impl Temporary {
    /// Makes the temporary file beside `destination`.
    pub(super) fn beside(destination: &Path) -> io::Result<Self> {
        let path = temporary_beside(destination);
        loop {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.lock()?;
            // Whoever held the lock before has renamed or removed what was opened here.
            let same = path.metadata().is_ok_and(|meta| {
                file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (meta.dev(), meta.ino()))
            });
            if same {
                file.set_len(0)?;
                return Ok(Self { file, path, destination: destination.to_owned(), published: false });
            }
        }
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its destination's name.
    pub(super) fn publish(mut self) -> io::Result<()> {
        std::fs::rename(&self.path, &self.destination)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Copies a whole segment from `source` to `target`, checking header, size and, if it is known, the SHA-1.
///
/// Gives the quick hash of the content. `place` names the source in errors, `target_path` the target.
pub(super) fn copy_segment(
    mut source: Decoder<'_>,
    target: &mut impl Write,
    wanted: WalSegment,
    identity: &Identity,
    sha1: Option<Sha1Hash>,
    (place, target_path): (&str, &Path),
) -> Result<[u8; 16], GetError> {
    let damaged = |source: CodecError| GetError::Damaged { place: place.to_owned(), source };
    let wrong = |why: String| GetError::Wrong { place: place.to_owned(), why };
    let size_bytes = u64::from(identity.segment_size.bytes());
    let mut quick = QuickHasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut done = 0;
    loop {
        let length = source.fill(&mut chunk).map_err(damaged)?;
        if done == 0 {
            check_header(&chunk[..length], wanted, identity).map_err(wrong)?;
        }
        done += length as u64;
        if done > size_bytes {
            return Err(wrong(format!("it has more than the {size_bytes} bytes of a segment")));
        }
        quick.update(&chunk[..length]);
        target
            .write_all(&chunk[..length])
            .map_err(|source| GetError::Destination { path: target_path.to_owned(), source })?;
        if length < chunk.len() {
            break;
        }
    }
    let seal = source.finish().map_err(damaged)?;
    if seal.size_bytes != size_bytes {
        return Err(wrong(format!("it has {} of the {size_bytes} bytes of a segment", seal.size_bytes)));
    }
    match sha1 {
        Some(named) if named != seal.sha1 => Err(GetError::checksum(place.to_owned(), named, seal.sha1)),
        _ => Ok(quick.finish()),
    }
}

/// The whole content of a small file.
pub(super) fn small_content(source: &mut Decoder<'_>, place: &str) -> Result<Vec<u8>, GetError> {
    let mut content = Vec::new();
    source
        .take(SMALL_FILE_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(|error| GetError::Damaged { place: place.to_owned(), source: CodecError::from_io(error) })?;
    if content.len() as u64 > SMALL_FILE_BYTES {
        let why = format!("it has more than {SMALL_FILE_BYTES} bytes");
        return Err(GetError::Wrong { place: place.to_owned(), why });
    }
    Ok(content)
}

/// Puts small content at its destination.
pub(super) fn put_small(content: &[u8], destination: &Path) -> Result<(), GetError> {
    let put = || {
        let mut temporary = Temporary::beside(destination)?;
        temporary.file().write_all(content)?;
        temporary.publish()
    };
    put().map_err(|source| GetError::Destination { path: destination.to_owned(), source })
}
