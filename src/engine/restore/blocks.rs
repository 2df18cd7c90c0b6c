//! Restoring a file kept in blocks: the map says which super block of which backup holds each block.
//!
//! Super blocks are read as streams and blocks written as they pass, so a super block of any claimed size needs one
//! block of memory. Blocks already in place are not fetched. The file counts only after its whole SHA-1 was read
//! back and found right.

use super::copy::{Copier, check_seal, codec_report, damaged, open_regular, write_error};
use super::write::TargetFile;
use crate::base::{Report, Result};
use crate::codec::{Compression, Decoder, Framing, Seal, StreamSpec, hash};
use crate::repo::blockmap::{Block, BlockMap};
use crate::repo::{BlockInfo, FileEntry, RepoError};
use crate::store::{Range, StorePath};
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

/// A block to fetch: its number in the file and where it is stored.
type Wanted<'m> = (usize, &'m Block);

impl Copier<'_> {
    /// Restores a block-incremental file.
    pub(super) fn blocks(&mut self, file: &FileEntry<'_>, path: &Path) -> Result<()> {
        let Some(info) = file.block else { return Ok(()) };
        let (stored, ..) = self.shared.manifest.stored(file)?;
        let map = self.read_map(file, &stored)?;
        let mut wanted = self.missing_blocks(file, info, &map, path)?;
        let fetched: u64 = wanted.iter().map(|(number, _)| block_length(file, info, *number)).sum();
        wanted.sort_by_key(|(_, block)| (block.reference, block.bundle, block.offset, block.index));
        let target = TargetFile::update(path).map_err(|error| write_error(path, &error))?;
        target.set_len(file.size_bytes).map_err(|error| write_error(path, &error))?;
        let same = |a: &Wanted<'_>, b: &Wanted<'_>| {
            (a.1.reference, a.1.bundle, a.1.offset) == (b.1.reference, b.1.bundle, b.1.offset)
        };
        for group in wanted.chunk_by(same) {
            self.shared.cancel.check()?;
            self.super_block(file, info, group, &target, path)?;
        }
        let whole = open_regular(path).map_err(|error| write_error(path, &error))?;
        let whole = whole
            .ok_or_else(|| Report::failed(format!("{} vanished while it was restored", path.display())))?;
        let sha1 = self.hash_file(&whole, file.size_bytes, path)?;
        check_seal(file, &stored, Seal { size_bytes: file.size_bytes, sha1 })?;
        self.shared.tally.add_bytes(file.size_bytes);
        self.shared.counts.restored(fetched);
        self.shared.counts.reused_bytes(file.size_bytes - fetched.min(file.size_bytes));
        self.finish(file, path, target)
    }

    fn read_map(&self, file: &FileEntry<'_>, stored: &StorePath) -> Result<BlockMap> {
        self.shared.manifest.block_map(self.shared.storage, file).map_err(|error| match error {
            RepoError::Store(error) => error.into(),
            error => damaged(file, stored, &format!("has an unreadable block map ({error})")),
        })
    }

    /// The blocks that are not in place yet.
    fn missing_blocks<'m>(
        &mut self,
        file: &FileEntry<'_>,
        info: BlockInfo,
        map: &'m BlockMap,
        path: &Path,
    ) -> Result<Vec<Wanted<'m>>> {
        let all = map.blocks.iter().enumerate();
        let existing = if self.shared.reuse {
            // One with other names is not written to but replaced, so nothing of it can be kept.
            let alone = |file: &File| file.metadata().is_ok_and(|meta| meta.nlink() == 1);
            open_regular(path).map_err(|error| write_error(path, &error))?.filter(alone)
        } else {
            None
        };
        let Some(existing) = existing else { return Ok(all.collect()) };
        let mut buffer = vec![0; info.block_bytes as usize];
        let mut missing = Vec::new();
        for (number, block) in all {
            self.shared.cancel.check()?;
            let length = usize::try_from(block_length(file, info, number)).unwrap_or(0);
            let at = number as u64 * u64::from(info.block_bytes);
            let here = existing.read_exact_at(&mut buffer[..length], at).is_ok();
            let prefix = usize::from(info.checksum_bytes);
            if !here || hash::xxh3_128(&buffer[..length])[..prefix] != block.checksum[..prefix] {
                missing.push((number, block));
            }
        }
        Ok(missing)
    }

    /// Reads one super block and writes the wanted blocks of it.
    fn super_block(
        &mut self,
        file: &FileEntry<'_>,
        info: BlockInfo,
        wanted: &[Wanted<'_>],
        target: &TargetFile,
        path: &Path,
    ) -> Result<()> {
        let Some((_, first)) = wanted.first() else { return Ok(()) };
        let stored = self.shared.manifest.super_block_path(first.reference, first.bundle, file.name)?;
        let bad = |why: &str| damaged(file, &stored, why);
        let reader = self
            .shared
            .storage
            .open(&stored, Range::Part { offset: first.offset, length: first.stored_bytes })?;
        let spec = self.spec(self.shared.manifest.compression);
        let mut decoder = Decoder::sized(reader, &spec, first.stored_bytes)
            .map_err(|error| codec_report(file, &stored, error))?;
        let mut buffer = vec![0; info.block_bytes as usize];
        let mut next = wanted.iter().peekable();
        for index in 0_u32.. {
            let got = decoder.fill(&mut buffer).map_err(|error| codec_report(file, &stored, error))?;
            while let Some((number, block)) = next.next_if(|(_, block)| block.index == index) {
                let length = usize::try_from(block_length(file, info, *number)).unwrap_or(0);
                let piece = buffer.get(..length.min(got)).unwrap_or_default();
                let prefix = usize::from(info.checksum_bytes);
                let sum = hash::xxh3_128(piece);
                if piece.len() < length || block.checksum[..prefix] != sum[..prefix] {
                    return Err(bad(&format!("has a damaged block {number}")));
                }
                target
                    .write_at(piece, *number as u64 * u64::from(info.block_bytes))
                    .map_err(|error| write_error(path, &error))?;
            }
            if got < buffer.len() {
                break;
            }
        }
        let seal = decoder.finish().map_err(|error| codec_report(file, &stored, error))?;
        if next.peek().is_some() || seal.size_bytes != first.plain_bytes {
            return Err(bad("has a super block that is not as long as its map says"));
        }
        Ok(())
    }

    fn spec(&self, compression: Compression) -> StreamSpec {
        StreamSpec { compression, cipher: self.shared.manifest.cipher_pass.clone(), framing: Framing::Raw }
    }
}

/// The bytes of block `number`; the last may be short.
fn block_length(file: &FileEntry<'_>, info: BlockInfo, number: usize) -> u64 {
    let start = number as u64 * u64::from(info.block_bytes);
    u64::from(info.block_bytes).min(file.size_bytes.saturating_sub(start))
}
