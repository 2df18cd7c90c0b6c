//! The format's worked examples, and maps that lie.

use super::*;
use proptest::prelude::*;

pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// A 56 KiB relation stored whole by the backup with reference 3.
pub(super) const WHOLE: &str = "00 1f01 99c001 83801c 0e 010101010101 020202020202 030303030303 040404040404 050505050505 \
                     060606060606 070707070707";
/// The same relation two backups later: blocks 0, 2 and 3 in backup 5, the others in backup 4.
pub(super) const CHANGED: &str = "00 2a01 87800c06 00 8d1ceed9d92f 2201 8780200e 0101 6bf9fbb7c788 2e 02 dadaaaee3d04 \
                       ba963eb85f92 27 0502 1abd7b169070 81a44034ccec 0fbac3ba43c3";

#[test]
fn a_file_stored_whole_is_one_super_block() {
    let map = decode(&bytes(WHOLE), 57_344, 8192, 6).unwrap();
    assert_eq!(map.blocks.len(), 7);
    for (index, block) in map.blocks.iter().enumerate() {
        assert_eq!((block.reference, block.bundle, block.offset), (3, 1, 24_601));
        assert_eq!((block.stored_bytes, block.plain_bytes), (57_344, 57_344));
        assert_eq!(block.index as usize, index);
        assert_eq!(block.checksum[..6], [u8::try_from(index + 1).unwrap(); 6]);
        assert_eq!(block.checksum[6..], [0; 10]);
    }
}

#[test]
fn a_changed_file_takes_blocks_from_two_backups() {
    let map = decode(&bytes(CHANGED), 57_344, 8192, 6).unwrap();
    let seen: Vec<_> =
        map.blocks.iter().map(|b| (b.reference, b.index, b.stored_bytes, b.plain_bytes)).collect();
    let five = |index| (5, index, 24_576, 24_576);
    let four = |index| (4, index, 57_344, 57_344);
    assert_eq!(seen, [five(0), four(1), five(1), five(2), four(4), four(5), four(6)]);
    assert!(map.blocks.iter().all(|block| (block.bundle, block.offset) == (1, 0)));
    assert_eq!(map.blocks[6].checksum[..6], bytes("0fbac3ba43c3"));
}

#[test]
fn maps_that_do_not_fit_the_file_are_refused() {
    let whole = bytes(WHOLE);
    for file_bytes in [0, 1, 8192 * 6, 8192 * 7 + 1, u64::MAX] {
        assert!(decode(&whole, file_bytes, 8192, 6).is_err(), "{file_bytes}");
    }
    for cut in 0..whole.len() {
        assert!(decode(&whole[..cut], 57_344, 8192, 6).is_err(), "cut at {cut}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(decode(&longer, 57_344, 8192, 6).is_err());
    assert!(decode(&whole, 57_344, 0, 6).is_err() && decode(&whole, 57_344, 8192, 0).is_err());
    assert!(decode(&whole, 57_344, 8192, 17).is_err());
}

#[test]
fn numbers_beyond_every_store_are_refused() {
    let huge = "ffffffffffffffffff01";
    let sums = "000000000000";
    for map in [
        format!("00 1f01 {huge} 83801c 02 {sums}"),
        format!("00 1f01 00 {huge} 02 {sums}"),
        format!("00 1f01 00 83801c {huge} {sums}"),
        format!("00 1f01 00 87801c 02 {huge} {sums}"),
        format!("00 1f01 00 87801c 02 01 {huge} {sums}"),
        format!("00 {huge} 01 00 83801c 02 {sums}"),
        format!("00 1f ffffffffffffffffffff01 00 83801c 02 {sums}"),
        format!("00 1f01 00 03 02 {sums}"),
        format!("01 1f01 00 83801c 02 {sums}"),
    ] {
        assert!(decode(&bytes(&map), 8192, 8192, 6).is_err(), "{map}");
    }
}

proptest! {
    #[test]
    fn arbitrary_maps_never_panic(map in proptest::collection::vec(any::<u8>(), 0..200), blocks in 0_u64..40) {
        if let Ok(map) = decode(&map, blocks * 8192, 8192, 1) {
            prop_assert_eq!(map.blocks.len() as u64, blocks);
            if let Ok(again) = encode(&map, 8192, 1) {
                prop_assert_eq!(decode(&again, blocks * 8192, 8192, 1).unwrap(), map);
            }
        }
    }

    #[test]
    fn changed_maps_never_panic(at in 0_usize..60, to: u8) {
        let mut map = bytes(CHANGED);
        let at = at % map.len();
        map[at] = to;
        if let Ok(map) = decode(&map, 57_344, 8192, 6) {
            prop_assert_eq!(map.blocks.len(), 7);
            if let Ok(again) = encode(&map, 8192, 6) {
                prop_assert_eq!(decode(&again, 57_344, 8192, 6).unwrap(), map);
            }
        }
    }
}
