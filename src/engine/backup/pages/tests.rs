#![expect(
    clippy::cast_possible_truncation,
    reason = "the numbers of these tests are small, or are cut on purpose"
)]

use super::judge::{Judge, Verdict, read_page};
use super::*;
use crate::model::op::Cancel;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

const PAGE: usize = 8192;
const PAGE_BYTES: u32 = 8192;

/// The checksum once more, one word after the other, as the format says it.
fn plain_checksum(page: &[u8], block: u32) -> u16 {
    let mut lanes = OFFSETS;
    for (k, word) in page.chunks_exact(4).chain(std::iter::repeat_n(&[0; 4][..], 64)).enumerate() {
        let mut word: [u8; 4] = word.try_into().unwrap();
        if k == 2 {
            word[..2].fill(0);
        }
        let mixed = lanes[k % 32] ^ u32::from_le_bytes(word);
        lanes[k % 32] = mixed.wrapping_mul(16_777_619) ^ (mixed >> 17);
    }
    let sum = lanes.into_iter().fold(0, |a, b| a ^ b) ^ block;
    (sum % 65_535 + 1) as u16
}

/// A page of arbitrary content, sealed as the given block.
fn page_of(bytes: usize, seed: u64, lsn: u64, block: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut page = Vec::with_capacity(bytes);
    while page.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        page.extend_from_slice(&state.to_le_bytes());
    }
    page[..4].copy_from_slice(&((lsn >> 32) as u32).to_le_bytes());
    page[4..8].copy_from_slice(&(lsn as u32).to_le_bytes());
    page[UPPER_AT..UPPER_AT + 2].copy_from_slice(&[0, 1]);
    seal(&mut page, block);
    page
}

fn seal(page: &mut [u8], block: u32) {
    let sum = page_checksum(page, block).to_le_bytes();
    page[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&sum);
}

fn check(bytes: &[u8], first: u32, pieces: impl IntoIterator<Item = usize>) -> PageScan {
    let mut checker = PageChecker::new(PAGE_BYTES, first, true).unwrap();
    let mut rest = bytes;
    for piece in pieces {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        checker.update(now);
        rest = later;
    }
    checker.update(rest);
    checker.finish()
}

/// A file of `pages` right pages from block `first` on.
fn file_of(pages: u32, first: u32) -> Vec<u8> {
    (0..pages).flat_map(|n| page_of(PAGE, u64::from(n) + 7, 0x1000 + u64::from(n), first + n)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_vector_form_is_the_plain_form(size in 0_usize..6, seed: u64, block: u32) {
        let page = page_of(1024 << size, seed, seed, block);
        prop_assert_eq!(page_checksum(&page, block), plain_checksum(&page, block));
        prop_assert!(is_right(&page, block, true) && is_right(&page, block, false));
        prop_assert!(!is_right(&page, block ^ 1, true));
    }

    #[test]
    fn pieces_of_any_size_give_the_same(pieces in prop::collection::vec(0_usize..20_000, 0..12), cut in 0_usize..9000) {
        let mut file = file_of(6, 10);
        file[3 * PAGE + 100] ^= 4;
        file.truncate(file.len() - cut);
        let whole = check(&file, 10, []);
        prop_assert_eq!(&check(&file, 10, pieces), &whole);
        prop_assert!(whole.suspects.iter().any(|s| s.block == 13));
    }
}

#[test]
fn a_flipped_bit_is_found_in_pages_of_every_size() {
    for size in 0..6 {
        let bytes: usize = 1024 << size;
        let block = 77 << size;
        let page = page_of(bytes, 5, 0x1_0000_0002, block);
        // Every bit of the header, and some of every row.
        let bits = (0..24 * 8).chain((24 * 8..bytes * 8).step_by(331));
        for bit in bits {
            let mut page = page.clone();
            page[bit / 8] ^= 1 << (bit % 8);
            let mut checker = PageChecker::new(bytes as u32, block, true).unwrap();
            checker.update(&page);
            let blocks: Vec<_> = checker.finish().suspects.iter().map(|s| s.block).collect();
            assert_eq!(blocks, [block], "bit {bit} of {bytes} bytes");
        }
    }
}

#[test]
fn zero_pages_are_right_and_pages_that_only_look_so_are_not() {
    let mut page = vec![0; PAGE];
    assert!(is_right(&page, 9, true) && is_right(&page, 9, false));
    page[PAGE - 1] = 1;
    assert!(!is_right(&page, 9, true) && !is_right(&page, 9, false));
    // A right checksum does not help a page whose header cannot be.
    let mut page = page_of(PAGE, 1, 1, 9);
    page[UPPER_AT..UPPER_AT + 2].fill(0);
    seal(&mut page, 9);
    assert!(!is_right(&page, 9, true) && is_right(&page, 9, false));
    // Encrypted pages have no header to look at.
    let scan = |header_check| {
        let mut checker = PageChecker::new(PAGE_BYTES, 9, header_check).unwrap();
        checker.update(&page);
        checker.finish().suspects.len()
    };
    assert_eq!((scan(true), scan(false)), (1, 0));
}

#[test]
fn no_page_has_checksum_zero() {
    for block in 0..70_000 {
        assert_ne!(page_checksum(&[1; 1024], block), 0);
    }
}

#[test]
fn a_partial_page_at_the_end_counts_from_512_bytes_on() {
    let file = file_of(3, 0);
    let scan = |bytes: usize| check(&file[..bytes], 0, []);
    assert_eq!(scan(2 * PAGE), PageScan { pages: 2, misaligned: false, suspects: Vec::new() });
    for rest in [1, 511] {
        assert_eq!(scan(2 * PAGE + rest), PageScan { pages: 2, misaligned: true, suspects: Vec::new() });
    }
    for rest in [512, 4096, PAGE - 1] {
        let suspects = vec![Suspect { block: 2, lsn: Lsn(0x1002) }];
        assert_eq!(scan(2 * PAGE + rest), PageScan { pages: 3, misaligned: false, suspects });
    }
    assert_eq!(scan(0), PageScan { pages: 0, misaligned: false, suspects: Vec::new() });
    assert!(scan(7).misaligned);
}

#[test]
fn segments_count_on() {
    let first = |name, page| first_block(name, page, SEGMENT_BYTES);
    assert_eq!((first("16384", 8192), first("16384.3", 8192)), (0, 3 * 131_072));
    assert_eq!((first("16384_fsm.1", 8192), first("16384.1", 1024)), (131_072, 1 << 20));
    assert_eq!((first("16384.", 8192), first("a.b", 8192), first("a.+1", 8192)), (0, 0, 0));
    assert_eq!(first_block("16384.2", 8192, 1 << 20), 256);
    let file = file_of(2, 131_072);
    assert!(check(&file, 131_072, []).suspects.is_empty());
    assert_eq!(check(&file, 0, []).suspects.len(), 2, "another segment's pages");
    let mut file = file;
    file[PAGE + 5000] ^= 1;
    assert_eq!(check(&file, 131_072, []).suspects, [Suspect { block: 131_073, lsn: Lsn(0x1001) }]);
}

#[test]
fn impossible_page_sizes_are_refused() {
    for bytes in [0, 1, 128, 512, 1000, 8191, 65_536, u32::MAX] {
        assert!(PageChecker::new(bytes, 0, true).is_err(), "{bytes}");
    }
}

#[test]
fn ranges_are_those_of_the_manifest() {
    assert_eq!(ranges(&[1, 2, 3, 6]), [(1, 3), (6, 6)]);
    assert_eq!(ranges(&[6, 3, 3, 1, 2]), [(1, 3), (6, 6)]);
    assert_eq!(ranges(&[u32::MAX - 1, u32::MAX, 0]), [(0, 0), (u32::MAX - 1, u32::MAX)]);
    assert!(ranges(&[]).is_empty());
}

/// A cluster as the looks of a judge find it: for each look what block 5 is then.
fn verdict(start: Option<u64>, looks: Vec<Option<Vec<u8>>>, insert: Option<u64>) -> (Verdict, usize, u32) {
    let cancel = Cancel::default();
    let pauses = vec![Duration::ZERO; looks.len()];
    let judge = Judge { header_check: true, start_lsn: start.map(Lsn), pauses: &pauses, cancel: &cancel };
    let mut looks: VecDeque<_> = looks.into();
    let (before, mut asked) = (looks.len(), 0);
    let verdict = judge.judge(
        &[Suspect { block: 5, lsn: Lsn(0x50) }],
        &mut |block| {
            assert_eq!(block, 5);
            Ok(looks.pop_front().unwrap())
        },
        &mut || {
            asked += 1;
            insert.map(Lsn)
        },
    );
    (verdict.unwrap(), before - looks.len(), asked)
}

/// Block 5, its second half from another time: what a copy of a page being written holds.
fn torn(lsn: u64) -> Vec<u8> {
    let mut page = page_of(PAGE, 1, lsn, 5);
    page[PAGE / 2..].copy_from_slice(&page_of(PAGE, 2, lsn, 5)[PAGE / 2..]);
    page
}

fn right(lsn: u64) -> Vec<u8> {
    page_of(PAGE, 3, lsn, 5)
}

#[test]
fn a_page_that_is_right_on_another_look_is_fine() {
    let fine = Verdict::default();
    let start = Some(0x100);
    assert_eq!(verdict(start, vec![Some(right(0x100))], None), (fine.clone(), 1, 0));
    let looks = vec![Some(torn(0x90)), Some(torn(0x150)), Some(right(0x160)), Some(torn(0))];
    assert_eq!(verdict(start, looks, None), (fine.clone(), 3, 0), "the looks end with the last suspect");
    assert_eq!(
        verdict(start, vec![Some(torn(0x90)), None], None),
        (fine.clone(), 2, 0),
        "cut off or dropped"
    );
    assert_eq!(verdict(start, vec![Some(vec![0; PAGE])], None), (fine, 1, 0), "cut off and added again");
}

#[test]
fn a_page_that_stays_wrong_is_judged_by_its_position() {
    let bad = Verdict { bad: vec![5], recopy: Vec::new() };
    let fine = Verdict::default();
    let start = Some(0x100);
    let stays = |lsn: u64, insert| verdict(start, vec![Some(torn(lsn)), Some(torn(lsn))], insert).0;
    assert_eq!(stays(0xFF, Some(0x200)), bad, "not changed since the start");
    assert_eq!(stays(0x100, Some(0x200)), fine);
    assert_eq!(stays(0x200, Some(0x200)), fine);
    assert_eq!(stays(0x201, Some(0x200)), bad, "a position WAL has not reached");
    assert_eq!(stays(0xDEAD_0000_0000_0000, Some(0x200)), bad);
    assert_eq!(stays(0x180, None), bad, "nobody says how far WAL is");
    let offline = |page: Vec<u8>| verdict(None, vec![Some(page)], Some(0x200)).0;
    assert_eq!(offline(torn(0x180)), bad);
    // The last look counts, not what was copied.
    assert_eq!(verdict(start, vec![Some(torn(0x150)), Some(torn(0x50))], Some(0x200)).0, bad);
    assert_eq!(verdict(start, vec![Some(torn(0x50)), Some(torn(0x150))], Some(0x200)).0, fine);
    // Without a look there is only the copy.
    assert_eq!(verdict(Some(0x40), Vec::new(), Some(0x200)).0, fine);
    assert_eq!(verdict(start, Vec::new(), Some(0x200)), (bad.clone(), 0, 0));
    // The rest of a file that ends in a page is no page.
    assert_eq!(verdict(start, vec![Some(right(0x50)[..4096].to_vec())], Some(0x200)).0, bad);
    assert_eq!(verdict(start, vec![Some(vec![1; 3])], Some(0x200)).0, bad);
}

#[test]
fn a_copy_that_nothing_repairs_is_to_be_made_again() {
    let again = Verdict { bad: Vec::new(), recopy: vec![5] };
    assert_eq!(verdict(Some(0x100), vec![Some(right(0xFF))], Some(0x200)).0, again);
    assert_eq!(verdict(None, vec![Some(right(0x100))], None).0, again, "nobody writes to a stopped cluster");
}

#[test]
fn only_suspects_are_read_again_and_a_cancel_ends_the_pauses() {
    let cancel = Cancel::default();
    let suspects = [2, 4, 9].map(|block| Suspect { block, lsn: Lsn(1) });
    let pauses = [Duration::ZERO, Duration::from_secs(3600)];
    let judge = Judge { header_check: true, start_lsn: Some(Lsn(0x10)), pauses: &pauses, cancel: &cancel };
    let mut seen = Vec::new();
    let result = judge.judge(
        &suspects,
        &mut |block| {
            seen.push(block);
            cancel.request();
            Ok(Some(page_of(PAGE, 1, 0x20, if block == 9 { 1 } else { block })))
        },
        &mut || None,
    );
    assert!(matches!(result, Err(BackupError::Cancelled)));
    assert_eq!(seen, [2, 4, 9]);
    let failing = judge_without_pauses().judge(
        &suspects,
        &mut |_| Err(BackupError::io("read", "/x".as_ref())(std::io::Error::other("disk"))),
        &mut || None,
    );
    assert!(failing.unwrap_err().to_string().contains("cannot read /x: disk"));
}

fn judge_without_pauses() -> Judge<'static> {
    static NEVER: std::sync::LazyLock<Cancel> = std::sync::LazyLock::new(Cancel::default);
    Judge { header_check: true, start_lsn: Some(Lsn(0x10)), pauses: &[Duration::ZERO], cancel: &NEVER }
}

#[test]
fn pages_are_read_as_they_are_now() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("16384");
    std::fs::write(&path, &file_of(2, 0)[..PAGE + 700]).unwrap();
    let length = |index| read_page(&path, PAGE_BYTES, index).unwrap().map(|page| page.len());
    assert_eq!([length(0), length(1), length(2), length(u32::MAX)], [Some(PAGE), Some(700), None, None]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(length(0), None, "a dropped file has no pages");
    assert!(read_page(dir.path(), PAGE_BYTES, 0).is_err());
}
