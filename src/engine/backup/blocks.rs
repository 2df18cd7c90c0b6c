//! Storing a file in blocks: only those that the backup before does not have, in super blocks, and a map of all.
//!
//! One pass over the file; memory is one super block. The map says for every block which backup holds it, so the file's
//! entry stands for all of them.

use super::copy::{Copier, Outcome, Pages, StoredFile, Task, write_error};
use super::object::{Hashing, Object};
use super::source::Source;
use crate::base::{Report, Result, Timestamp};
use crate::codec::{CodecError, EncoderPool, Hasher};
use crate::repo::BlockInfo;
use crate::repo::blockmap::policy::{self, SuperBlockSizes};
use crate::repo::blockmap::{self, MapBuilder, Taken};
use std::io::Write as _;

/// How files of this backup are laid out in blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockPolicy {
    /// Plain sizes at which a super block is closed.
    pub(super) sizes: SuperBlockSizes,
    /// This is a full backup.
    pub(super) full: bool,
    /// This backup's place in its list of references.
    pub(super) reference: u32,
    /// When it started: what has not changed for long gets larger blocks, or none.
    pub(super) start: Timestamp,
}

/// How one file is laid out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    block_bytes: u32,
    checksum_bytes: u8,
    /// The backup before has a map of it.
    has_map: bool,
    policy: BlockPolicy,
}

impl Copier<'_> {
    /// How a file is laid out in blocks, if it is. A file keeps its layout, or that it has none, while its size does not
    /// change; what has a map keeps it as it grows.
    pub(super) fn block_layout(&self, task: &Task<'_>) -> Option<Layout> {
        let policy = self.shared.block?;
        if let Some(before) = task.entry() {
            let kept = before.block.filter(|block| task.file.size_bytes >= u64::from(block.block_bytes));
            if kept.is_some() || before.size_bytes == task.file.size_bytes {
                let BlockInfo { block_bytes, checksum_bytes, .. } = kept?;
                return Some(Layout { block_bytes, checksum_bytes, has_map: true, policy });
            }
        }
        let age_s = policy.start.unix_s().saturating_sub(task.file.modified_s);
        let block_bytes = policy::block_size_for(task.file.size_bytes, age_s)?;
        let checksum_bytes = policy::checksum_size_for(block_bytes);
        Some(Layout { block_bytes, checksum_bytes, has_map: false, policy })
    }

    /// Stores the blocks that changed.
    pub(super) fn blocks(
        &mut self,
        task: &Task<'_>,
        layout: Layout,
        source: &mut Source,
        object: &mut Object<'_>,
    ) -> Result<Outcome> {
        let prior = match task.entry().zip(self.shared.prior).filter(|_| layout.has_map) {
            Some((before, manifest)) => Some(manifest.block_map(self.shared.storage, &before)?),
            None => None,
        };
        let encoders = self.shared.encoders;
        let (offset, path) = (object.at(), object.path().clone());
        let failed = write_error(self.shared.storage, &path);
        let bundle = task.bundle.unwrap_or(0);
        let mut map = MapBuilder::new(
            prior,
            layout.policy.reference,
            bundle,
            layout.block_bytes,
            layout.checksum_bytes,
        )?;
        let target = policy::super_block_target(layout.policy.full, layout.block_bytes, layout.policy.sizes);
        let mut stored = Hashing::new(object);
        let (mut hasher, mut size_bytes) = (Hasher::new(), 0_u64);
        let mut super_block = Vec::new();
        // Whole blocks, as many as fit into a chunk.
        let block = layout.block_bytes as usize;
        let chunk = (super::copy::CHUNK_BYTES / block).max(1) * block;
        loop {
            self.check()?;
            let got = source.fill(&mut self.buffer[..chunk])?;
            self.shared.tally.add_bytes(got as u64);
            hasher.update(&self.buffer[..got]);
            size_bytes += got as u64;
            for piece in self.buffer[..got].chunks(block) {
                if map.take(piece)? == Taken::New {
                    super_block.extend_from_slice(piece);
                }
                if super_block.len() as u64 >= target {
                    close(&mut super_block, &encoders.block, &mut stored, &mut map, &failed)?;
                }
            }
            if got < chunk {
                break;
            }
        }
        if !super_block.is_empty() {
            close(&mut super_block, &encoders.block, &mut stored, &mut map, &failed)?;
        }
        let sha1 = hasher.finish();
        if self.leaves_nothing(size_bytes) {
            return Ok(self.stored(task, 0, sha1, 0, sha1, offset));
        }
        let same = task.same(size_bytes, sha1);
        let Some(map) = map.finish()?.filter(|_| same.is_none()) else {
            if let Some(prior) = same {
                return Ok(Outcome::Same { prior, pages: Pages::default() });
            }
            // Every block is as before and yet the whole is not: the block checksums are too short to tell.
            return Err(collision(task));
        };
        let plain = blockmap::encode(&map, layout.block_bytes, layout.checksum_bytes)?;
        let map_at = stored.at();
        let mut encoder = encoders.map.encoder(&mut stored).map_err(&failed)?;
        encoder.write_all(&plain).map_err(CodecError::from_io).map_err(&failed)?;
        encoder.finish().map_err(&failed)?;
        let map_bytes = stored.at() - map_at;
        let (repo_size_bytes, repo_sha1) = stored.finish();
        let block =
            BlockInfo { block_bytes: layout.block_bytes, checksum_bytes: layout.checksum_bytes, map_bytes };
        Ok(Outcome::Stored(Box::new(StoredFile {
            size_bytes,
            sha1,
            repo_size_bytes,
            repo_sha1: Some(repo_sha1),
            bundle: task.bundle.map(|id| (id, offset)),
            block: Some(block),
            pages: Pages::default(),
        })))
    }
}

/// Stores a super block and tells the map where it is.
fn close(
    plain: &mut Vec<u8>,
    pool: &EncoderPool,
    stored: &mut Hashing<'_, '_>,
    map: &mut MapBuilder,
    failed: &dyn Fn(CodecError) -> Report,
) -> Result<()> {
    let offset = stored.at();
    let mut encoder = pool.encoder(&mut *stored).map_err(failed)?;
    encoder.write_all(plain).map_err(CodecError::from_io).map_err(failed)?;
    let (_, _, form) = encoder.finish().map_err(failed)?;
    map.closed(offset, form.size_bytes)?;
    plain.clear();
    Ok(())
}

fn collision(task: &Task<'_>) -> Report {
    Report::failed(format!(
        "{} changed although none of its blocks seems to: two contents have the same block checksum",
        task.file.name.escape_debug()
    ))
    .hint("make a full backup: it stores every block anew")
}
