//! A block map on its way to a backup: the bytes pgBackRest would write for it.
//!
//! The encoding can express only what a writer makes: within one backup, blocks lie in the order of the file, and
//! the super blocks of one run behind each other. A map of another shape is refused, never written wrong. The bytes
//! are neither encrypted nor put anywhere.

use super::{
    Block, BlockMap, RUN_BUNDLE_OR_CONTINUE, RUN_LAST, RUN_OFFSET_OR_ENDS, SUPER_CHANGE, SUPER_LAST,
    SUPER_TOTAL, SuperBlock, decode,
};
use crate::repo::RepoError;
use std::collections::HashMap;

/// Encodes the map of a file in blocks of `block_bytes`, each with the first `checksum_bytes` bytes of its checksum.
///
/// # Errors
/// [`RepoError::BlockMapMaking`] if these bytes would not decode to the same map: it has no block, or an order or
/// numbers that no writer makes.
pub fn encode(map: &BlockMap, block_bytes: u32, checksum_bytes: u8) -> Result<Vec<u8>, RepoError> {
    let refuse = |why| Err(RepoError::BlockMapMaking { why });
    if block_bytes == 0 || !(1..=16).contains(&checksum_bytes) {
        return refuse("it has no block size or no checksum size");
    }
    if map.blocks.is_empty() {
        return refuse("it has no block");
    }
    let mut encoder = Encoder {
        bytes: Vec::with_capacity(map.blocks.len() * (usize::from(checksum_bytes) + 2) + 16),
        block_bytes: u64::from(block_bytes),
        checksum_bytes: usize::from(checksum_bytes),
        states: HashMap::new(),
        last_size: 0,
    };
    // Version flags.
    encoder.varint(0);
    let mut runs = map.blocks.chunk_by(|a, b| a.reference == b.reference).peekable();
    while let Some(run) = runs.next() {
        encoder.run(run, runs.peek().is_none());
    }
    let file_bytes = (map.blocks.len() as u64).saturating_mul(u64::from(block_bytes));
    match decode(&encoder.bytes, file_bytes, block_bytes, checksum_bytes) {
        Ok(read) if read == *map => Ok(encoder.bytes),
        _ => refuse("its blocks have an order or numbers that the format cannot express"),
    }
}

/// Writes what it is given; whether that can be expressed shows when it is read again.
struct Encoder {
    bytes: Vec<u8>,
    block_bytes: u64,
    checksum_bytes: usize,
    /// Where the last super block of a reference stands.
    states: HashMap<u32, SuperBlock>,
    /// The stored size written last; sizes are differences to it.
    last_size: u64,
}

/// `bit` if the condition holds.
fn flag(condition: bool, bit: u64) -> u64 {
    if condition { bit } else { 0 }
}

impl Encoder {
    fn varint(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.bytes.push(low & 0x7f);
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// Consecutive blocks of one reference.
    fn run(&mut self, run: &[Block], last_run: bool) {
        let Some(first) = run.first() else { return };
        let mut groups = run.chunk_by(|a, b| (a.bundle, a.offset) == (b.bundle, b.offset)).peekable();
        let state = self.states.get(&first.reference).copied();
        let head = u64::from(first.reference) << 3 | flag(last_run, RUN_LAST);
        let mut current = match state {
            Some(seen) if seen.offset == first.offset => {
                let group = groups.next().unwrap_or(run);
                let ends = groups.peek().is_none();
                self.varint(head | RUN_BUNDLE_OR_CONTINUE | flag(ends, RUN_OFFSET_OR_ENDS));
                self.last_size = seen.stored_bytes;
                let mut current = seen;
                self.blocks(&mut current, group, true);
                current
            }
            Some(seen) => {
                let gap = first.offset.wrapping_sub(seen.offset.wrapping_add(seen.stored_bytes));
                self.varint(head | flag(gap != 0, RUN_OFFSET_OR_ENDS));
                if gap != 0 {
                    self.varint(gap);
                }
                seen
            }
            None => {
                let (bundled, moved) = (first.bundle != 0, first.offset != 0);
                self.varint(head | flag(bundled, RUN_BUNDLE_OR_CONTINUE) | flag(moved, RUN_OFFSET_OR_ENDS));
                if bundled {
                    self.varint(first.bundle);
                }
                if moved {
                    self.varint(first.offset);
                }
                SuperBlock {
                    bundle: first.bundle,
                    offset: first.offset,
                    stored_bytes: 0,
                    plain_bytes: self.block_bytes,
                    block: 0,
                }
            }
        };
        while let Some(group) = groups.next() {
            self.super_block(&mut current, group, groups.peek().is_none());
        }
        self.states.insert(first.reference, current);
    }

    /// A super block that was not met before, and the blocks used of it.
    fn super_block(&mut self, current: &mut SuperBlock, group: &[Block], last: bool) {
        let Some(first) = group.first() else { return };
        let held = first.plain_bytes.div_ceil(self.block_bytes);
        let total = first.index != 0 || group.len() as u64 != held;
        let change = first.plain_bytes != current.plain_bytes;
        let size = if self.last_size == 0 {
            first.stored_bytes
        } else {
            let difference = first.stored_bytes.wrapping_sub(self.last_size).cast_signed();
            (difference << 1 ^ difference >> 63).cast_unsigned()
        };
        self.varint(
            size << 3 | flag(last, SUPER_LAST) | flag(change, SUPER_CHANGE) | flag(total, SUPER_TOTAL),
        );
        if change {
            let rest = first.plain_bytes % self.block_bytes;
            self.varint((first.plain_bytes / self.block_bytes) << 1 | flag(rest != 0, 1));
            if rest != 0 {
                self.varint(rest);
            }
        }
        *current = SuperBlock {
            bundle: first.bundle,
            offset: first.offset,
            stored_bytes: first.stored_bytes,
            plain_bytes: first.plain_bytes,
            block: 0,
        };
        self.last_size = first.stored_bytes;
        self.blocks(current, group, total);
    }

    /// How many blocks are used of a super block, from which on, and their checksums.
    fn blocks(&mut self, current: &mut SuperBlock, group: &[Block], total: bool) {
        let Some(first) = group.first() else { return };
        let count = group.len() as u64;
        if total {
            let skip = u64::from(first.index).wrapping_sub(current.block);
            self.varint((count - 1) << 1 | flag(skip != 0, 1));
            if skip != 0 {
                self.varint(skip);
            }
        }
        for block in group {
            self.bytes.extend_from_slice(&block.checksum[..self.checksum_bytes]);
        }
        current.block = u64::from(first.index) + count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::blockmap::tests::{CHANGED, WHOLE, bytes};

    const SUMS: &str = "aaaaaaaaaaaa";

    /// A block of 8 KiB in a super block of so many of them, stored as it is.
    fn block(reference: u32, offset: u64, blocks: u64, index: u32) -> Block {
        let mut checksum = [0; 16];
        checksum[..6].fill(0xaa);
        let size_bytes = blocks * 8192;
        Block {
            reference,
            bundle: 1,
            offset,
            stored_bytes: size_bytes,
            plain_bytes: size_bytes,
            index,
            checksum,
        }
    }

    fn encoded(blocks: &[Block]) -> Result<Vec<u8>, RepoError> {
        encode(&BlockMap { blocks: blocks.to_vec() }, 8192, 6)
    }

    #[test]
    fn the_examples_of_the_format_come_out_byte_for_byte() {
        for example in [WHOLE, CHANGED] {
            let map = decode(&bytes(example), 57_344, 8192, 6).unwrap();
            assert_eq!(encode(&map, 8192, 6).unwrap(), bytes(example));
        }
    }

    #[test]
    fn a_super_block_of_which_nothing_is_left_is_a_gap() {
        let map = [block(0, 100, 1, 0), block(1, 0, 1, 0), block(0, 100 + 3 * 8192, 1, 0)];
        // The second run of backup 0 begins 16384 bytes behind the end of its first super block.
        let expected = format!("00 0601 64 818004 {SUMS} 0a01 01 {SUMS} 05 808001 01 {SUMS}");
        assert_eq!(encoded(&map).unwrap(), bytes(&expected));
    }

    #[test]
    fn short_last_blocks_and_files_of_their_own_are_encoded() {
        let mut last = block(2, 0, 1, 0);
        (last.bundle, last.stored_bytes, last.plain_bytes) = (0, 100, 100);
        // Size 100; less than one block, 100 bytes more than none.
        assert_eq!(encoded(&[last]).unwrap(), bytes(&format!("00 11 a306 01 64 {SUMS}")));
    }

    #[test]
    fn maps_that_no_writer_makes_are_refused() {
        let good = [block(0, 0, 2, 0), block(0, 0, 2, 1), block(1, 0, 1, 0), block(0, 16_384, 1, 0)];
        assert!(encoded(&good).is_ok());
        let wrong = |change: &dyn Fn(&mut [Block; 4])| {
            let mut map = good;
            change(&mut map);
            encoded(&map).is_err()
        };
        assert!(encoded(&[]).is_err());
        assert!(wrong(&|map| map[0].checksum[7] = 1), "a checksum longer than the file's");
        assert!(wrong(&|map| map[3].offset = 16_383), "super blocks that overlap");
        assert!(wrong(&|map| map[3].bundle = 2), "two bundles of one backup");
        assert!(wrong(&|map| map.swap(0, 1)), "blocks against the order of the file");
        assert!(wrong(&|map| map[1].index = 2), "a block behind the end of its super block");
        assert!(wrong(&|map| map[1].stored_bytes = 5), "one super block of two sizes");
        assert!(wrong(&|map| map[1].offset = 20_000), "a hole inside a run");
        assert!(wrong(&|map| map[3].stored_bytes = 0), "no bytes");
        assert!(wrong(&|map| map[3].plain_bytes = 0), "no content");
        assert!(wrong(&|map| map[3].offset = u64::MAX), "beyond every store");
        assert!(wrong(&|map| map[3].stored_bytes = u64::MAX), "larger than every store");
        let map = BlockMap { blocks: good.to_vec() };
        assert!(
            encode(&map, 0, 6).is_err() && encode(&map, 8192, 0).is_err() && encode(&map, 8192, 17).is_err()
        );
    }
}
