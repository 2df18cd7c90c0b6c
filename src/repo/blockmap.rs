//! Block maps: where each block of a file stored as blocks lies.
//!
//! A map is a list of runs; each run names a backup and super blocks of it, each super block names how many of its
//! blocks are used. Numbers are unsigned LEB128. The decoder takes every byte or fails, and gives exactly as many
//! blocks as the file has. Block checksums are XXH3-128, cut to the first bytes; checking them is the caller's.
//! A new map is made by a [`MapBuilder`] and stored by [`encode()`]; nothing here reads or writes a file.

mod build;
mod encode;
pub mod policy;

use super::RepoError;
use std::collections::HashMap;

pub use build::{MapBuilder, Taken};
pub use encode::encode;

/// One block of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Position in the manifest's list of references.
    pub reference: u32,
    /// The bundle that holds the super block; 0 if it is in the file's own `.pgbi`.
    pub bundle: u64,
    /// Where the super block starts in bundle or file.
    pub offset: u64,
    /// Stored bytes of the super block.
    pub stored_bytes: u64,
    /// Bytes of the super block after decoding.
    pub plain_bytes: u64,
    /// The block's number inside its super block.
    pub index: u32,
    /// XXH3-128 of the block; as many bytes as the file's `checksum_bytes` count, the others are zero.
    pub checksum: [u8; 16],
}

/// Where the blocks of one file lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockMap {
    /// One entry per block of the file, in order.
    pub blocks: Vec<Block>,
}

/// The largest plain super block believed: pgBackRest's option goes to 16 MiB, and one block more by rounding.
const SUPER_BLOCK_LIMIT_BYTES: u64 = 1 << 30;

/// Decodes the map of a file of `file_bytes` bytes in blocks of `block_bytes`.
pub fn decode(
    bytes: &[u8],
    file_bytes: u64,
    block_bytes: u32,
    checksum_bytes: u8,
) -> Result<BlockMap, RepoError> {
    let mut decoder = Decoder::new(bytes, file_bytes, u64::from(block_bytes), usize::from(checksum_bytes))?;
    if decoder.varint()? & 1 != 0 {
        return decoder.fail("unknown version flags");
    }
    while !decoder.run()? {}
    if decoder.at != bytes.len() {
        return decoder.fail("the end of the map");
    }
    if decoder.blocks.len() as u64 != decoder.expected {
        return decoder.fail("as many blocks as the file has");
    }
    Ok(BlockMap { blocks: decoder.blocks })
}

/// Where the last super block of a reference stands.
#[derive(Clone, Copy)]
struct SuperBlock {
    bundle: u64,
    offset: u64,
    stored_bytes: u64,
    plain_bytes: u64,
    /// The next block of it.
    block: u64,
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    block_bytes: u64,
    checksum_bytes: usize,
    expected: u64,
    /// By reference.
    states: HashMap<u32, SuperBlock>,
    /// The stored size decoded last; sizes are differences to it.
    last_size: u64,
    blocks: Vec<Block>,
}

const RUN_LAST: u64 = 1;
const RUN_BUNDLE_OR_CONTINUE: u64 = 2;
const RUN_OFFSET_OR_ENDS: u64 = 4;
const SUPER_LAST: u64 = 1;
const SUPER_CHANGE: u64 = 2;
const SUPER_TOTAL: u64 = 4;

impl<'a> Decoder<'a> {
    fn new(
        bytes: &'a [u8],
        file_bytes: u64,
        block_bytes: u64,
        checksum_bytes: usize,
    ) -> Result<Self, RepoError> {
        let mut decoder = Self {
            bytes,
            at: 0,
            block_bytes,
            checksum_bytes,
            expected: 0,
            states: HashMap::new(),
            last_size: 0,
            blocks: Vec::new(),
        };
        if block_bytes == 0 || !(1..=16).contains(&checksum_bytes) {
            return decoder.fail("a block size and a checksum size");
        }
        decoder.expected = file_bytes.div_ceil(block_bytes);
        // Every block carries its checksum, so a map shorter than that is wrong before anything is allocated.
        if decoder.expected > (bytes.len() / checksum_bytes) as u64 {
            return decoder.fail("a map as long as the file's blocks need");
        }
        decoder.blocks.reserve_exact(usize::try_from(decoder.expected).unwrap_or(0));
        Ok(decoder)
    }

    fn fail<T>(&self, why: &'static str) -> Result<T, RepoError> {
        Err(RepoError::BlockMap { at: self.at, why })
    }

    fn varint(&mut self) -> Result<u64, RepoError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(self.at) else { return self.fail("a number, not the end") };
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return self.fail("a number below 2^64");
            }
            value |= bits << shift;
            self.at += 1;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.fail("a number of at most ten bytes")
    }

    /// A sum inside the range any store can hold.
    fn add(&self, a: u64, b: u64) -> Result<u64, RepoError> {
        match a.checked_add(b).filter(|sum| i64::try_from(*sum).is_ok()) {
            Some(sum) => Ok(sum),
            None => self.fail("an offset any store can hold"),
        }
    }

    /// Decodes one run of blocks of one reference; true if it was the last.
    fn run(&mut self) -> Result<bool, RepoError> {
        let head = self.varint()?;
        let Ok(reference) = u32::try_from(head >> 3) else { return self.fail("a reference number") };
        let last_run = head & RUN_LAST != 0;
        let state = self.states.get(&reference).copied();
        let continues = state.is_some() && head & RUN_BUNDLE_OR_CONTINUE != 0;
        let mut current = match state {
            None => {
                let bundle = if head & RUN_BUNDLE_OR_CONTINUE != 0 { self.varint()? } else { 0 };
                let offset = if head & RUN_OFFSET_OR_ENDS != 0 { self.varint()? } else { 0 };
                SuperBlock { bundle, offset, stored_bytes: 0, plain_bytes: self.block_bytes, block: 0 }
            }
            Some(seen) if continues => seen,
            Some(seen) => {
                let gap = if head & RUN_OFFSET_OR_ENDS != 0 { self.varint()? } else { 0 };
                let behind = self.add(seen.offset, seen.stored_bytes)?;
                SuperBlock { offset: self.add(behind, gap)?, stored_bytes: 0, ..seen }
            }
        };
        if continues {
            let ends = head & RUN_OFFSET_OR_ENDS != 0;
            self.last_size = current.stored_bytes;
            self.super_block_body(reference, &mut current, true)?;
            if ends {
                self.states.insert(reference, current);
                return Ok(last_run);
            }
        }
        let mut first = !continues;
        loop {
            let head = self.varint()?;
            if !first {
                current.offset = self.add(current.offset, current.stored_bytes)?;
            }
            first = false;
            self.super_block_header(head, &mut current)?;
            self.super_block_body(reference, &mut current, head & SUPER_TOTAL != 0)?;
            if head & SUPER_LAST != 0 {
                self.states.insert(reference, current);
                return Ok(last_run);
            }
        }
    }

    /// Stored and plain size of a new super block.
    fn super_block_header(&mut self, head: u64, current: &mut SuperBlock) -> Result<(), RepoError> {
        let number = head >> 3;
        current.stored_bytes = if self.last_size == 0 {
            number
        } else {
            let difference = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
            match self.last_size.checked_add_signed(difference) {
                Some(size) => size,
                None => return self.fail("a size that is not negative"),
            }
        };
        if head & SUPER_CHANGE != 0 {
            let plain = self.varint()?;
            let rest = if plain & 1 != 0 { self.varint()? } else { 0 };
            let Some(whole) = (plain >> 1).checked_mul(self.block_bytes) else {
                return self.fail("a super block of a sensible size");
            };
            current.plain_bytes = self.add(whole, rest)?;
        }
        if current.stored_bytes == 0
            || current.plain_bytes == 0
            || current.plain_bytes > SUPER_BLOCK_LIMIT_BYTES
        {
            return self.fail("a super block of a sensible size");
        }
        self.add(current.offset, current.stored_bytes)?;
        self.last_size = current.stored_bytes;
        current.block = 0;
        Ok(())
    }

    /// The blocks used of a super block, with their checksums.
    fn super_block_body(
        &mut self,
        reference: u32,
        current: &mut SuperBlock,
        total: bool,
    ) -> Result<(), RepoError> {
        let held = current.plain_bytes.div_ceil(self.block_bytes);
        let mut count = held;
        if total {
            let number = self.varint()?;
            count = (number >> 1) + 1;
            if number & 1 != 0 {
                let skip = self.varint()?;
                current.block = self.add(current.block, skip)?;
            }
        }
        if self.add(current.block, count)? > held {
            return self.fail("no more blocks than the super block holds");
        }
        if count > self.expected - self.blocks.len() as u64 {
            return self.fail("no more blocks than the file has");
        }
        for _ in 0..count {
            let Some(found) = self.bytes.get(self.at..self.at + self.checksum_bytes) else {
                return self.fail("a checksum, not the end");
            };
            let mut checksum = [0; 16];
            checksum[..self.checksum_bytes].copy_from_slice(found);
            self.at += self.checksum_bytes;
            let Ok(index) = u32::try_from(current.block) else { return self.fail("a block number") };
            self.blocks.push(Block {
                reference,
                bundle: current.bundle,
                offset: current.offset,
                stored_bytes: current.stored_bytes,
                plain_bytes: current.plain_bytes,
                index,
                checksum,
            });
            current.block += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
