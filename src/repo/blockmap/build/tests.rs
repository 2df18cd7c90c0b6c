//! The format's worked examples made anew, misuse, and files that change from backup to backup.

use super::*;
use crate::base::Secret;
use crate::codec::{Compression, EncoderPool, Framing, StreamSpec, decode_small};
use crate::repo::blockmap::tests::{CHANGED, WHOLE, bytes};
use crate::repo::blockmap::{decode, encode};
use proptest::prelude::*;
use std::io::Write as _;

/// A whole checksum that begins with these digits.
fn checksum(hex: &str) -> [u8; 16] {
    let mut checksum = [0x5a; 16];
    checksum[..6].copy_from_slice(&bytes(hex));
    checksum
}

/// A relation of 7 blocks of 8 KiB in bundle 1.
fn relation(prior: Option<BlockMap>, reference: u32) -> MapBuilder {
    MapBuilder::new(prior, reference, 1, 8192, 6).unwrap()
}

#[test]
fn a_relation_stored_whole_has_the_map_of_the_format() {
    let mut builder = relation(None, 3);
    for number in 1..=7 {
        let sum = checksum(&format!("{number:02x}").repeat(6));
        assert_eq!(builder.take_checksum(8192, sum).unwrap(), Taken::New);
    }
    assert_eq!(builder.open_bytes(), 57_344);
    builder.closed(24_601, 57_344).unwrap();
    assert_eq!(builder.open_bytes(), 0);
    let map = builder.finish().unwrap().unwrap();
    assert_eq!(encode(&map, 8192, 6).unwrap(), bytes(WHOLE));
}

#[test]
fn a_relation_changed_in_three_blocks_has_the_map_of_the_format() {
    let kept = ["6bf9fbb7c788", "1abd7b169070", "81a44034ccec", "0fbac3ba43c3"].map(checksum);
    let changed = ["8d1ceed9d92f", "dadaaaee3d04", "ba963eb85f92"].map(checksum);
    let old = checksum("000000000000");
    let mut builder = relation(None, 4);
    for sum in [old, kept[0], old, old, kept[1], kept[2], kept[3]] {
        builder.take_checksum(8192, sum).unwrap();
    }
    builder.closed(0, 57_344).unwrap();
    let before = builder.finish().unwrap().unwrap();
    let mut builder = relation(Some(before.clone()), 5);
    let now = [changed[0], kept[0], changed[1], changed[2], kept[1], kept[2], kept[3]];
    let taken = now.map(|sum| builder.take_checksum(8192, sum).unwrap() == Taken::New);
    assert_eq!(taken, [true, false, true, true, false, false, false]);
    assert_eq!(builder.open_bytes(), 24_576);
    builder.closed(0, 24_576).unwrap();
    let map = builder.finish().unwrap().unwrap();
    assert_eq!(map.blocks[1], before.blocks[1]);
    assert_eq!(encode(&map, 8192, 6).unwrap(), bytes(CHANGED));
}

/// Two blocks of 8 KiB and one of 100 bytes, in two super blocks.
fn small(prior: Option<BlockMap>, reference: u32) -> MapBuilder {
    MapBuilder::new(prior, reference, 0, 8192, 6).unwrap()
}

fn small_map() -> BlockMap {
    let mut builder = small(None, 0);
    builder.take(&[1; 8192]).unwrap();
    builder.take(&[2; 8192]).unwrap();
    builder.closed(0, 50).unwrap();
    builder.take(&[3; 100]).unwrap();
    builder.closed(50, 20).unwrap();
    builder.finish().unwrap().unwrap()
}

#[test]
fn an_unchanged_file_has_no_new_map_and_a_shorter_one_has() {
    let prior = small_map();
    let mut same = small(Some(prior.clone()), 1);
    for block in [&[1; 8192][..], &[2; 8192], &[3; 100]] {
        assert_eq!(same.take(block).unwrap(), Taken::Kept);
    }
    assert_eq!(same.finish().unwrap(), None);
    let mut shorter = small(Some(prior.clone()), 1);
    assert_eq!(shorter.take(&[1; 8192]).unwrap(), Taken::Kept);
    assert_eq!(shorter.finish().unwrap(), Some(BlockMap { blocks: prior.blocks[..1].to_vec() }));
}

#[test]
fn a_last_block_that_grew_or_shrank_is_a_new_one() {
    for last in [&[3; 99][..], &[3; 101], &[3; 8192]] {
        let mut builder = small(Some(small_map()), 1);
        builder.take(&[1; 8192]).unwrap();
        builder.take(&[2; 8192]).unwrap();
        assert_eq!(builder.take(last).unwrap(), Taken::New);
        assert_eq!(builder.open_bytes(), last.len() as u64);
    }
    // Even if the checksums were the same by chance.
    let mut builder = small(Some(small_map()), 1);
    builder.take_checksum(8192, xxh3_128(&[1; 8192])).unwrap();
    assert_eq!(builder.take_checksum(8191, xxh3_128(&[2; 8192])).unwrap(), Taken::New);
}

#[test]
fn what_would_lead_a_restore_astray_is_refused() {
    assert!(MapBuilder::new(None, 0, 0, 0, 6).is_err());
    assert!(MapBuilder::new(None, 0, 0, 8192, 0).is_err());
    assert!(MapBuilder::new(None, 0, 0, 8192, 17).is_err());
    assert!(MapBuilder::new(Some(small_map()), 0, 0, 8192, 6).is_err(), "a prior map of this backup");
    assert!(small(None, 0).finish().is_err(), "a file without blocks");
    assert!(small(Some(small_map()), 1).finish().is_err(), "a file that lost all its blocks");
    assert!(small(None, 0).take(&[]).is_err());
    assert!(small(None, 0).take(&[0; 8193]).is_err());
    let mut builder = small(None, 0);
    assert!(builder.closed(0, 1).is_err(), "nothing was open");
    builder.take(&[0; 5]).unwrap();
    assert!(builder.take(&[0; 8192]).is_err(), "the file went on behind its end");
    assert!(builder.closed(0, 0).is_err());
    assert!(builder.closed(u64::MAX, 1).is_err());
    assert!(builder.finish().is_err(), "a super block is still open");
    let mut builder = small(None, 0);
    builder.take(&[0; 8192]).unwrap();
    builder.closed(10, 5).unwrap();
    builder.take(&[1; 8192]).unwrap();
    for offset in [0, 14, 16] {
        assert!(builder.closed(offset, 5).is_err(), "{offset}");
    }
    builder.closed(15, 5).unwrap();
}

/// Blocks of the files below: small, so that many fit into a test.
const BLOCK_BYTES: u32 = 64;
const BLOCK: usize = BLOCK_BYTES as usize;

/// One backup: what was stored before the file, its super blocks, its map.
struct Backup {
    object: Vec<u8>,
    map_at: usize,
    size_bytes: u64,
}

fn spec(compression: Compression) -> StreamSpec {
    StreamSpec { compression, cipher: Some(Secret::new("set")), framing: Framing::Raw }
}

/// Stores a file as a backup does; gives the number of blocks stored too, or nothing if it is a reference.
fn store(
    content: &[u8],
    prior: Option<BlockMap>,
    reference: u32,
    target_bytes: u64,
    before_bytes: usize,
    pool: &EncoderPool,
) -> Option<(Backup, usize)> {
    let mut object = vec![0xee; before_bytes];
    let mut builder = MapBuilder::new(prior, reference, u64::from(reference % 3), BLOCK_BYTES, 7).unwrap();
    let (mut buffer, mut new) = (Vec::new(), 0);
    let mut close = |buffer: &mut Vec<u8>, builder: &mut MapBuilder| {
        assert_eq!(buffer.len() as u64, builder.open_bytes());
        let offset = object.len() as u64;
        let mut encoder = pool.encoder(&mut object).unwrap();
        encoder.write_all(buffer).unwrap();
        let (_, _, stored) = encoder.finish().unwrap();
        builder.closed(offset, stored.size_bytes).unwrap();
        buffer.clear();
    };
    for block in content.chunks(BLOCK) {
        if builder.take(block).unwrap() == Taken::New {
            new += 1;
            buffer.extend_from_slice(block);
        }
        if builder.open_bytes() >= target_bytes {
            close(&mut buffer, &mut builder);
        }
    }
    if builder.open_bytes() > 0 {
        close(&mut buffer, &mut builder);
    }
    let map = builder.finish().unwrap()?;
    let map_at = object.len();
    let map = encode(&map, BLOCK_BYTES, 7).unwrap();
    object.extend(crate::codec::encode_small(&map, &spec(Compression::None), None).unwrap());
    Some((Backup { object, map_at, size_bytes: content.len() as u64 }, new))
}

fn map_of(backup: &Backup) -> BlockMap {
    let map = decode_small(&backup.object[backup.map_at..], &spec(Compression::None), 1 << 20).unwrap();
    decode(&map, backup.size_bytes, BLOCK_BYTES, 7).unwrap()
}

/// The file as the last backup that stored something of it has it.
fn restore(backups: &[Option<Backup>]) -> Vec<u8> {
    let last = backups.iter().flatten().last().unwrap();
    let mut content = Vec::new();
    for block in map_of(last).blocks {
        let backup = backups[block.reference as usize].as_ref().unwrap();
        assert_eq!(block.bundle, u64::from(block.reference % 3));
        let from = usize::try_from(block.offset).unwrap();
        let to = from + usize::try_from(block.stored_bytes).unwrap();
        assert!(to <= backup.map_at);
        let plain =
            decode_small(&backup.object[from..to], &spec(Compression::Lz4), block.plain_bytes).unwrap();
        assert_eq!(plain.len() as u64, block.plain_bytes);
        let at = block.index as usize * BLOCK;
        content.extend_from_slice(&plain[at..plain.len().min(at + BLOCK)]);
    }
    content
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_file_that_changes_from_backup_to_backup_comes_back(
        first_bytes in 1_usize..2000,
        backups in proptest::collection::vec(
            (proptest::option::weighted(0.4, 1_usize..2000), proptest::collection::vec((0_usize..2000, any::<u8>()), 0..6), 1_u64..400, 0_usize..50),
            1..8,
        ),
    ) {
        let pool = EncoderPool::new(spec(Compression::Lz4), None).unwrap();
        let mut content = vec![0; first_bytes];
        let mut chain: Vec<Option<Backup>> = Vec::new();
        for (number, (resized, changes, target_bytes, before_bytes)) in backups.into_iter().enumerate() {
            let before = content.clone();
            if let Some(size_bytes) = resized {
                content.resize(size_bytes, u8::try_from(number).unwrap());
            }
            for (at, byte) in changes {
                let len = content.len();
                content[at % len] = byte;
            }
            let prior = chain.iter().flatten().last().map(map_of);
            let old = |_: &BlockMap| before.chunks(BLOCK).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let old = prior.as_ref().map(old).unwrap_or_default();
            let differs = |(number, block): (usize, &[u8])| old.get(number).is_none_or(|old| old != block);
            let expected = content.chunks(BLOCK).enumerate().filter(|block| differs(*block)).count();
            let reference = u32::try_from(number).unwrap();
            let stored = store(&content, prior, reference, target_bytes, before_bytes, &pool);
            let unchanged = expected == 0 && old.len() == content.len().div_ceil(BLOCK);
            prop_assert_eq!(stored.is_none(), unchanged);
            prop_assert_eq!(stored.as_ref().map_or(0, |(_, new)| *new), expected);
            chain.push(stored.map(|(backup, _)| backup));
            prop_assert!(restore(&chain) == content);
        }
    }
}
