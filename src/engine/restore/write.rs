//! Writing one restored file: buffered, or past the page cache where that pays.
//!
//! Never follows a link, never writes through a hard link that somebody else may hold, never reports success: the
//! caller compares what went through with the manifest. Durability is the business of the restore's end.

use rustix::fs::{Mode, OFlags, Timespec, Timestamps};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

/// Writes go out in pieces of this size.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// What direct writes must be aligned to, in memory and in the file.
const ALIGNMENT: usize = 4096;

/// A reusable buffer whose usable part is aligned for direct writes.
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// A buffer of [`CHUNK_BYTES`].
    pub(super) fn new() -> Self {
        let memory = vec![0; CHUNK_BYTES + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { memory, start }
    }

    /// The aligned part.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + CHUNK_BYTES]
    }
}

/// A file being restored.
#[derive(Debug)]
pub(super) struct TargetFile {
    file: File,
    direct: bool,
    /// Where the next piece goes.
    at: u64,
}

impl TargetFile {
    /// Opens `path` for writing from its beginning, empty. With `direct` the page cache is avoided if the filesystem
    /// can.
    pub(super) fn create(path: &Path, direct: bool) -> io::Result<Self> {
        let file = open_unshared(path)?;
        file.set_len(0)?;
        let direct = direct && set_direct(&file, true).is_ok();
        Ok(Self { file, direct, at: 0 })
    }

    /// Opens `path` for writing single blocks, keeping what is there.
    pub(super) fn update(path: &Path) -> io::Result<Self> {
        Ok(Self { file: open_unshared(path)?, direct: false, at: 0 })
    }

    /// Appends a piece; all but the last must be [`CHUNK_BYTES`] long.
    pub(super) fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.direct && !piece.len().is_multiple_of(ALIGNMENT) {
            set_direct(&self.file, false)?;
            self.direct = false;
        }
        let mut rest = piece;
        while !rest.is_empty() {
            match self.file.write_at(rest, self.at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.at += written as u64;
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Some filesystems take the flag and refuse the write; a write cut short leaves an unaligned rest.
                Err(error) if self.direct && error.kind() == io::ErrorKind::InvalidInput => {
                    set_direct(&self.file, false)?;
                    self.direct = false;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes a block at its place.
    pub(super) fn write_at(&self, block: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(block, offset)
    }

    /// Sets the length; what was beyond is gone, what is added reads as zeros and takes no space.
    pub(super) fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    /// Sets owner, mode and modification time.
    pub(super) fn finish(self, attributes: Attributes) -> io::Result<()> {
        attributes.apply(&self.file)
    }
}

/// Owner, mode and modification time of a restored file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    /// User and group to give it to; nothing if they stay as created.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) modified_s: i64,
}

impl Attributes {
    /// Applies them to an open file; the owner first, because changing it clears mode bits.
    pub(super) fn apply(self, file: &File) -> io::Result<()> {
        if let Some((user, group)) = self.owner {
            let (user, group) = (rustix::fs::Uid::from_raw(user), rustix::fs::Gid::from_raw(group));
            rustix::fs::fchown(file, Some(user), Some(group))?;
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode))?;
        let time = Timespec { tv_sec: self.modified_s, tv_nsec: 0 };
        rustix::fs::futimens(file, &Timestamps { last_access: time, last_modification: time })?;
        Ok(())
    }
}

/// Opens a file for reading and writing without following a link; one that has other names is replaced, because
/// writing through it would change them too.
fn open_unshared(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |flags| rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)).map(File::from);
    let file = open(flags)?;
    if file.metadata()?.nlink() <= 1 {
        return Ok(file);
    }
    std::fs::remove_file(path)?;
    Ok(open(flags | OFlags::EXCL)?)
}

fn set_direct(file: &File, on: bool) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    let wanted = if on { flags | OFlags::DIRECT } else { flags - OFlags::DIRECT };
    Ok(rustix::fs::fcntl_setfl(file, wanted)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_and_buffered_writes_give_the_same_file() {
        let dir = tempfile::tempdir_in(".").unwrap();
        for len in [0, 1, 4095, 4096, CHUNK_BYTES, CHUNK_BYTES + 8192, 3 * CHUNK_BYTES + 77] {
            let content: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
            for direct in [false, true] {
                let path = dir.path().join("f");
                std::fs::write(&path, vec![9; 5_000_000]).unwrap();
                let mut file = TargetFile::create(&path, direct).unwrap();
                let mut buffer = Buffer::new();
                for piece in content.chunks(CHUNK_BYTES) {
                    buffer.bytes()[..piece.len()].copy_from_slice(piece);
                    file.append(&buffer.bytes()[..piece.len()]).unwrap();
                }
                file.finish(Attributes { mode: 0o640, owner: None, modified_s: 1_000_000 }).unwrap();
                assert_eq!(std::fs::read(&path).unwrap(), content, "{len} {direct}");
                let meta = std::fs::metadata(&path).unwrap();
                assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o640, 1_000_000));
            }
        }
    }

    #[test]
    fn a_hard_link_elsewhere_keeps_its_content_and_a_symbolic_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("f"), dir.path().join("other"));
        std::fs::write(&other, b"mine").unwrap();
        std::fs::hard_link(&other, &path).unwrap();
        let mut file = TargetFile::create(&path, false).unwrap();
        file.append(b"new").unwrap();
        assert_eq!(
            (std::fs::read(&other).unwrap(), std::fs::read(&path).unwrap()),
            (b"mine".to_vec(), b"new".to_vec())
        );
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(TargetFile::create(&path, false).is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"mine");
    }
}
