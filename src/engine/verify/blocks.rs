//! Files stored in blocks: the map decodes, every super block it uses decodes, and what is put together is the file.
//!
//! Blocks are taken in the file's order. Those of one backup come from its super blocks one after the other, so one
//! super block per backup is open at a time. What the file stores itself is read from front to back and hashed on the
//! way; super blocks of other backups are read where they lie.

use super::files::{Checker, stored};
use super::finding::{Fault, Judged};
use super::watch::Watched;
use crate::base::Result;
use crate::codec::{Compression, Decoder, Framing, Hasher, Sha1Hash, decode_small, hash};
use crate::repo::blockmap::{self, Block};
use crate::repo::{BlockInfo, FileEntry};
use crate::store::{Range, StorePath};
use std::collections::HashMap;
use std::io::{Cursor, Read};

/// The largest super block looked into; pgBackRest makes them of 16 MiB and a block at most.
const LARGEST_BYTES: u64 = 64 << 20;

/// What a file stores itself.
enum Own<'a> {
    /// All of it.
    Memory(Vec<u8>),
    /// An object or a part of one, read forwards from `base`.
    Forward(Watched<'a, Box<dyn Read + Send>>),
}

/// A super block of one backup, being decoded.
struct Open {
    bundle: u64,
    offset: u64,
    plain_bytes: u64,
    /// The number of the next block.
    next: u32,
    decoder: Decoder<'static>,
    path: StorePath,
}

/// One file being put together.
struct Assembly<'a, 'f> {
    checker: &'a Checker<'a>,
    file: &'f FileEntry<'f>,
    info: BlockInfo,
    path: &'f StorePath,
    /// Where in its object the file's own range begins.
    base: u64,
    own: Own<'a>,
}

/// Stops at the first thing that is not sound.
type Found<T> = std::result::Result<T, Judged>;

/// Judges a file whose range is read from its object now.
pub(super) fn check_object(
    checker: &Checker<'_>,
    file: &FileEntry<'_>,
    info: BlockInfo,
    path: &StorePath,
    buffer: &mut [u8],
) -> Result<Judged> {
    let base = file.bundle.map_or(0, |(_, offset)| offset);
    // An object of its own may be too long; a part of a bundle has neighbours.
    let range = match file.bundle {
        Some(_) => Range::Part { offset: base, length: file.repo_size_bytes },
        None => Range::Whole,
    };
    let source = match checker.work.storage.open(path, range) {
        Ok(source) => source,
        Err(error) => return Ok(Judged::not_opened(&error)),
    };
    let watched = Watched::new(source, checker.work).hashing(file.repo_checksum.is_some());
    let mut assembly = Assembly { checker, file, info, path, base, own: Own::Forward(watched) };
    let content = if checker.decodes(file) {
        assembly.content(buffer).err().unwrap_or(Judged::Sound)
    } else {
        Judged::Sound
    };
    let Own::Forward(mut watched) = assembly.own else { return Ok(content) };
    watched.drain(buffer, file.repo_size_bytes);
    Ok(stored(file, watched)?.unwrap_or(content))
}

/// Judges a file of a bundle; `source` gives its range.
pub(super) fn check_part(
    checker: &Checker<'_>,
    file: &FileEntry<'_>,
    info: BlockInfo,
    path: &StorePath,
    source: &mut (impl Read + Send),
    buffer: &mut [u8],
) -> Result<Judged> {
    let mut watched = Watched::new(source, checker.work).hashing(file.repo_checksum.is_some());
    if !checker.decodes(file) {
        watched.drain(buffer, file.repo_size_bytes);
        return Ok(stored(file, watched)?.unwrap_or(Judged::Sound));
    }
    let mut bytes = Vec::new();
    // A failure is kept by the reader.
    let _read = watched.read_to_end(&mut bytes);
    if let Some(judged) = stored(file, watched)? {
        return Ok(judged);
    }
    let base = file.bundle.map_or(0, |(_, offset)| offset);
    let mut assembly = Assembly { checker, file, info, path, base, own: Own::Memory(bytes) };
    Ok(assembly.content(buffer).err().unwrap_or(Judged::Sound))
}

impl Assembly<'_, '_> {
    /// Puts the file together.
    fn content(&mut self, buffer: &mut [u8]) -> Found<()> {
        let blocks = self.map()?;
        let block_bytes = u64::from(self.info.block_bytes).min(self.file.size_bytes);
        if block_bytes > LARGEST_BYTES {
            return Err(too_large(block_bytes));
        }
        let mut block_buffer = vec![0; usize::try_from(block_bytes).unwrap_or(0)];
        let mut open: HashMap<u32, Open> = HashMap::new();
        let mut hasher = Hasher::new();
        let mut left = self.file.size_bytes;
        for (number, block) in blocks.iter().enumerate() {
            if self.checker.work.cancel.requested() {
                // The caller's own look finds it.
                return Err(Judged::Unreadable { why: "cancelled".to_owned() });
            }
            let length = usize::try_from(left.min(u64::from(self.info.block_bytes))).unwrap_or(0);
            left -= length as u64;
            let current = self.at(&mut open, block, buffer)?;
            let piece = &mut block_buffer[..length];
            let got = current.decoder.fill(piece).map_err(|error| broken(&current.path, block, &error))?;
            current.next += 1;
            let prefix = usize::from(self.info.checksum_bytes);
            if got < length || hash::xxh3_128(piece)[..prefix] != block.checksum[..prefix] {
                let why = format!("has a damaged block {number} in {} at {}", current.path, block.offset);
                return Err(Judged::bad(Fault::Checksum, why));
            }
            hasher.update(piece);
        }
        for (_, current) in open {
            close(current, buffer)?;
        }
        let (found, said) = (hasher.finish(), self.file.checksum.unwrap_or(Sha1Hash::EMPTY));
        if found != said {
            let why = format!("has content with SHA-1 {found}, the manifest says {said}");
            return Err(Judged::bad(Fault::Checksum, why));
        }
        Ok(())
    }

    /// The blocks of the file, in order.
    fn map(&self) -> Found<Vec<Block>> {
        let bad = |why: String| Judged::bad(Fault::Other, why);
        let (file, info) = (self.file, self.info);
        // A map has one checksum and a few numbers per block; anything much larger is a lie.
        let count = file.size_bytes.div_ceil(u64::from(info.block_bytes).max(1));
        if info.map_bytes > count.saturating_mul(64).saturating_add(1024) {
            return Err(bad("claims a block map larger than any file of its size has".to_owned()));
        }
        let start = file.repo_size_bytes.saturating_sub(info.map_bytes);
        let bytes = match &self.own {
            Own::Memory(all) => all.get(usize::try_from(start).unwrap_or(usize::MAX)..).map(<[u8]>::to_vec),
            Own::Forward(_) => Some(self.read_at(self.path, self.base + start, info.map_bytes)?),
        };
        let bytes = bytes.ok_or_else(|| bad("ends before its block map".to_owned()))?;
        let spec = self.checker.spec(Compression::None, Framing::Raw);
        let plain = decode_small(&bytes, &spec, info.map_bytes)
            .map_err(|error| bad(format!("has a block map that cannot be decoded: {error}")))?;
        blockmap::decode(&plain, file.size_bytes, info.block_bytes, info.checksum_bytes)
            .map(|map| map.blocks)
            .map_err(|error| bad(format!("has an unreadable {error}")))
    }

    /// The super block a block lies in, decoded up to the block.
    fn at<'o>(
        &mut self,
        open: &'o mut HashMap<u32, Open>,
        block: &Block,
        buffer: &mut [u8],
    ) -> Found<&'o mut Open> {
        let here = |o: &Open| (o.bundle, o.offset) == (block.bundle, block.offset) && o.next <= block.index;
        if !open.get(&block.reference).is_some_and(here) {
            if let Some(done) = open.remove(&block.reference) {
                close(done, buffer)?;
            }
            let next = self.open(block)?;
            open.insert(block.reference, next);
        }
        let Some(current) = open.get_mut(&block.reference) else { return Err(no_reference(block)) };
        let skip = u64::from(block.index - current.next) * u64::from(self.info.block_bytes);
        let mut left = skip;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let got = current
                .decoder
                .fill(&mut buffer[..piece])
                .map_err(|error| broken(&current.path, block, &error))?;
            if got < piece {
                let why = format!("needs more of {} at {} than there is", current.path, block.offset);
                return Err(Judged::bad(Fault::Size, why));
            }
            left -= got as u64;
        }
        current.next = block.index;
        Ok(current)
    }

    fn open(&mut self, block: &Block) -> Found<Open> {
        let manifest = self.checker.manifest;
        let known = usize::try_from(block.reference).is_ok_and(|at| at < manifest.references.len());
        if !known {
            return Err(no_reference(block));
        }
        if block.stored_bytes > LARGEST_BYTES {
            return Err(too_large(block.stored_bytes));
        }
        let path = manifest
            .super_block_path(block.reference, block.bundle, self.file.name)
            .map_err(|error| Judged::bad(Fault::Other, error.to_string()))?;
        let end = block.offset.saturating_add(block.stored_bytes);
        let own_end = self.base + self.file.repo_size_bytes.saturating_sub(self.info.map_bytes);
        let bytes = if path == *self.path && block.offset >= self.base && end <= own_end {
            self.read_own(block.offset, block.stored_bytes)?
        } else {
            self.read_at(&path, block.offset, block.stored_bytes)?
        };
        let spec = self.checker.spec(manifest.compression, Framing::Raw);
        let decoder = Decoder::sized(Cursor::new(bytes), &spec, block.stored_bytes)
            .map_err(|error| broken(&path, block, &error))?;
        let (bundle, offset, plain_bytes) = (block.bundle, block.offset, block.plain_bytes);
        Ok(Open { bundle, offset, plain_bytes, next: 0, decoder, path })
    }

    /// Bytes of the file's own range.
    fn read_own(&mut self, offset: u64, length: u64) -> Found<Vec<u8>> {
        let from = offset - self.base;
        let short = || Judged::bad(Fault::Size, format!("ends before its super block at {offset}"));
        match &mut self.own {
            Own::Memory(all) => {
                let (from, length) = (usize::try_from(from), usize::try_from(length));
                let range = from.ok().zip(length.ok()).map(|(from, length)| from..from + length);
                range.and_then(|range| all.get(range)).map(<[u8]>::to_vec).ok_or_else(short)
            }
            Own::Forward(watched) if watched.taken() <= from => {
                let gap = from - watched.taken();
                let unreadable = |error: std::io::Error| Judged::Unreadable { why: error.to_string() };
                let skipped = std::io::copy(&mut watched.by_ref().take(gap), &mut std::io::sink());
                if skipped.map_err(unreadable)? < gap {
                    return Err(short());
                }
                let mut bytes = Vec::new();
                watched.by_ref().take(length).read_to_end(&mut bytes).map_err(unreadable)?;
                if (bytes.len() as u64) < length { Err(short()) } else { Ok(bytes) }
            }
            // Behind what was read already: no writer does that, but it can be read.
            Own::Forward(_) => self.read_at(self.path, offset, length),
        }
    }

    /// Bytes of any object; not counted, because they are counted in their own place.
    fn read_at(&self, path: &StorePath, offset: u64, length: u64) -> Found<Vec<u8>> {
        let work = self.checker.work;
        let source = work.storage.open(path, Range::Part { offset, length });
        let source = source.map_err(|error| match Judged::not_opened(&error) {
            Judged::Bad { fault, why } => Judged::Bad { fault, why: format!("needs {path}, which {why}") },
            other => other,
        })?;
        let mut watched = Watched::new(source, work).uncounted();
        let mut bytes = Vec::new();
        watched
            .read_to_end(&mut bytes)
            .map_err(|error| Judged::Unreadable { why: format!("needs {path}: {error}") })?;
        if (bytes.len() as u64) < length {
            let why = format!("needs {length} bytes at {offset} of {path}, which ends before");
            return Err(Judged::bad(Fault::Size, why));
        }
        Ok(bytes)
    }
}

/// Proves that a super block ended properly, as long as its map says.
fn close(open: Open, buffer: &mut [u8]) -> Found<()> {
    let Open { path, offset, plain_bytes, mut decoder, .. } = open;
    let broken = |error: &crate::codec::CodecError| {
        Judged::bad(Fault::Other, format!("has a damaged super block in {path} at {offset}: {error}"))
    };
    loop {
        let got = decoder.fill(buffer).map_err(|error| broken(&error))?;
        if got < buffer.len() {
            break;
        }
    }
    let seal = decoder.finish().map_err(|error| broken(&error))?;
    if seal.size_bytes != plain_bytes {
        let why = format!("has a super block in {path} at {offset} that is not as long as its map says");
        return Err(Judged::bad(Fault::Size, why));
    }
    Ok(())
}

fn broken(path: &StorePath, block: &Block, error: &crate::codec::CodecError) -> Judged {
    Judged::bad(Fault::Other, format!("has a damaged super block in {path} at {}: {error}", block.offset))
}

fn no_reference(block: &Block) -> Judged {
    Judged::bad(
        Fault::Other,
        format!("points to backup number {}, which its set does not have", block.reference),
    )
}

fn too_large(bytes: u64) -> Judged {
    Judged::Unreadable { why: format!("has a block of {bytes} bytes, more than this program looks into") }
}
