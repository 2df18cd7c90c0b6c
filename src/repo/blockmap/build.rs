//! The map of a file in a new backup, made while the file is read once.
//!
//! Whoever stores a file cuts it into blocks and shows them in order. A block that is what the map of the backup
//! before says stays where it is; a new one goes into the open super block, which the caller collects, stores and
//! then reports with [`MapBuilder::closed`]. Nothing here holds content. A map that would lead a restore to a wrong
//! place is refused: blocks after a short one, a super block that was never stored, one that does not follow the one
//! before.
//!
//! ```text
//! for block in file:
//!     if builder.take(block)? is New: buffer += block
//!     if builder.open_bytes() >= super_block_target: store(buffer)
//! if builder.open_bytes() > 0: store(buffer)
//! store(buffer): encode it raw at the end of bundle or file; builder.closed(offset, stored_bytes)
//! builder.finish()? -> a map to encode, encrypt raw and append, or nothing: the whole file is a reference
//! ```

use super::{Block, BlockMap};
use crate::codec::hash::xxh3_128;
use crate::repo::RepoError;

/// What is to be done with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is stored already; nothing.
    Kept,
    /// It belongs to the open super block.
    New,
}

/// Makes the map of one file.
#[derive(Debug)]
pub struct MapBuilder {
    prior: Vec<Block>,
    reference: u32,
    bundle: u64,
    block_bytes: u32,
    checksum_bytes: u8,
    blocks: Vec<Block>,
    /// The entries of the open super block.
    open: Vec<usize>,
    open_bytes: u64,
    /// Where the last super block ends.
    end: Option<u64>,
    /// The last block was a short one, so that none may follow.
    short: bool,
}

impl MapBuilder {
    /// Begins the map of a file that is stored in blocks of `block_bytes`, with `checksum_bytes` of each checksum.
    ///
    /// `prior` is the file's map in the backup this one builds on; both sizes are those of that map then, and its
    /// reference numbers must be valid in the new backup, whose own is `reference`: its place at the end of its list
    /// of references. `bundle` is the number of the bundle the file goes into, 0 for a file of its own.
    ///
    /// # Errors
    /// [`RepoError::BlockMapMaking`] if there is no block or checksum size, or the prior map is not of the past.
    pub fn new(
        prior: Option<BlockMap>,
        reference: u32,
        bundle: u64,
        block_bytes: u32,
        checksum_bytes: u8,
    ) -> Result<Self, RepoError> {
        if block_bytes == 0 || !(1..=16).contains(&checksum_bytes) {
            return refuse("it has no block size or no checksum size");
        }
        let prior = prior.map(|map| map.blocks).unwrap_or_default();
        if prior.iter().any(|block| block.reference >= reference) {
            return refuse("the map before it names backups that are not older");
        }
        let blocks = Vec::with_capacity(prior.len());
        Ok(Self {
            prior,
            reference,
            bundle,
            block_bytes,
            checksum_bytes,
            blocks,
            open: Vec::new(),
            open_bytes: 0,
            end: None,
            short: false,
        })
    }

    /// Takes the next block of the file; only the last may be shorter than the block size.
    ///
    /// # Errors
    /// [`RepoError::BlockMapMaking`] for a block that is empty, too long, or behind a short one.
    pub fn take(&mut self, block: &[u8]) -> Result<Taken, RepoError> {
        self.take_checksum(block.len() as u64, xxh3_128(block))
    }

    fn take_checksum(&mut self, length: u64, whole: [u8; 16]) -> Result<Taken, RepoError> {
        let block_bytes = u64::from(self.block_bytes);
        if length == 0 || length > block_bytes || self.short {
            return refuse("a block is empty, too long, or follows a short one");
        }
        self.short = length < block_bytes;
        let kept = usize::from(self.checksum_bytes);
        let mut checksum = [0; 16];
        checksum[..kept].copy_from_slice(&whole[..kept]);
        if let Some(prior) = self.prior.get(self.blocks.len())
            && prior.checksum == checksum
            && prior.length(block_bytes) == length
        {
            self.blocks.push(*prior);
            return Ok(Taken::Kept);
        }
        let Ok(index) = u32::try_from(self.open.len()) else {
            return refuse("a super block has too many blocks");
        };
        self.open.push(self.blocks.len());
        self.open_bytes += length;
        self.blocks.push(Block {
            reference: self.reference,
            bundle: self.bundle,
            offset: 0,
            stored_bytes: 0,
            plain_bytes: 0,
            index,
            checksum,
        });
        Ok(Taken::New)
    }

    /// Plain bytes of the open super block; 0 if there is none.
    pub fn open_bytes(&self) -> u64 {
        self.open_bytes
    }

    /// The open super block was stored: `stored_bytes` bytes from `offset` on, counted from the start of the bundle
    /// or of the file's own object.
    ///
    /// # Errors
    /// [`RepoError::BlockMapMaking`] if no super block is open, or this one does not follow the one before.
    pub fn closed(&mut self, offset: u64, stored_bytes: u64) -> Result<(), RepoError> {
        if self.open.is_empty() || stored_bytes == 0 {
            return refuse("a super block was stored that has no blocks or no bytes");
        }
        if self.end.is_some_and(|end| end != offset) {
            return refuse("a super block does not follow the one before");
        }
        let Some(end) = offset.checked_add(stored_bytes) else {
            return refuse("a super block lies beyond what any store can hold");
        };
        self.end = Some(end);
        for entry in self.open.drain(..) {
            if let Some(block) = self.blocks.get_mut(entry) {
                (block.offset, block.stored_bytes) = (offset, stored_bytes);
                block.plain_bytes = self.open_bytes;
            }
        }
        self.open_bytes = 0;
        Ok(())
    }

    /// The map of the file, to be stored behind its super blocks; nothing if every block is where the prior map says
    /// and no block is gone, so that the file as a whole is a reference to the backup before.
    ///
    /// # Errors
    /// [`RepoError::BlockMapMaking`] if a super block is still open, or the file has no block: such a file has no
    /// map and is stored as an empty one.
    pub fn finish(self) -> Result<Option<BlockMap>, RepoError> {
        if !self.open.is_empty() {
            return refuse("a super block was not stored");
        }
        if self.blocks.is_empty() {
            return refuse("it has no block");
        }
        let changed = self.end.is_some() || self.blocks.len() != self.prior.len();
        Ok(changed.then_some(BlockMap { blocks: self.blocks }))
    }
}

impl Block {
    /// How many bytes of content this block has, in a file of blocks of `block_bytes`.
    fn length(&self, block_bytes: u64) -> u64 {
        let before = u64::from(self.index).saturating_mul(block_bytes);
        self.plain_bytes.saturating_sub(before).min(block_bytes)
    }
}

fn refuse<T>(why: &'static str) -> Result<T, RepoError> {
    Err(RepoError::BlockMapMaking { why })
}

#[cfg(test)]
mod tests;
