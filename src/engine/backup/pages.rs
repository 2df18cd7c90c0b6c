//! Page checksums, computed while the bytes of a copy pass by.
//!
//! The algorithm is PostgreSQL's (`storage/checksum_impl.h`): 32 independent sums of an FNV-1a variant, so that a
//! processor works on many at once; about 20 GB/s per thread with nothing better than SSE2. A page that is wrong in
//! the copy is only a [`Suspect`], because a running server may have been writing it: [`judge`] looks again.
//! Reads no file and repairs nothing.

pub mod judge;

use super::error::BackupError;
use crate::base::Lsn;

/// The size of a relation's segment file in bytes, unless PostgreSQL was built otherwise.
pub const SEGMENT_BYTES: u32 = 1 << 30;

/// A partial page at the end of a file counts as a page from this many bytes on; with fewer, the file as a whole is
/// nothing that consists of pages.
const LEAST_PARTIAL_BYTES: usize = 512;

const LANES: usize = 32;
const LANE_BYTES: usize = 4;
/// What all lanes take in at once.
const ROW_BYTES: usize = LANES * LANE_BYTES;
const PRIME: u32 = 16_777_619;
/// What each lane begins with.
const OFFSETS: [u32; LANES] = [
    0x5b1f_36e9,
    0xb852_5960,
    0x02ab_50aa,
    0x1de6_6d2a,
    0x79ff_467a,
    0x9bb9_f8a3,
    0x217e_7cd2,
    0x83e1_3d2c,
    0xf8d4_474f,
    0xe39e_b970,
    0x42c6_ae16,
    0x9932_16fa,
    0x7b09_3b5d,
    0x98da_ff3c,
    0xf718_902a,
    0x0b1c_9cdb,
    0xe58f_764b,
    0x1876_36bc,
    0x5d7b_3bb1,
    0xe73d_e7de,
    0x92be_c979,
    0xcca6_c0b2,
    0x304a_0979,
    0x85aa_43d4,
    0x7831_25bb,
    0x6ca8_eaa2,
    0xe407_eac6,
    0x4b5c_fc3e,
    0x9fbf_8c76,
    0x15ca_20be,
    0xf2ca_9fd3,
    0x959b_d756,
];

/// Where a page's header keeps its checksum.
const CHECKSUM_AT: usize = 8;
/// Where it keeps the end of its free space, which is 0 only in a page that is all zero.
const UPPER_AT: usize = 14;

/// The checksum a page has as block `block` of its relation; what it carries as its checksum does not count.
///
/// A page's size is a multiple of 128 bytes; a rest below that is not looked at.
pub fn page_checksum(page: &[u8], block: u32) -> u16 {
    let (rows, _) = page.as_chunks::<ROW_BYTES>();
    let mut lanes = OFFSETS;
    if let Some((first, rows)) = rows.split_first() {
        let mut first = *first;
        first[CHECKSUM_AT..CHECKSUM_AT + 2].fill(0);
        take_in(&mut lanes, &first);
        for row in rows {
            take_in(&mut lanes, row);
        }
    }
    for _ in 0..2 {
        take_in(&mut lanes, &[0; ROW_BYTES]);
    }
    let sum = lanes.iter().fold(block, |sum, lane| sum ^ lane);
    u16::try_from(sum % 65_535 + 1).unwrap_or(u16::MAX)
}

/// One round of all lanes. Written so that the compiler makes vector instructions of it.
#[inline]
fn take_in(lanes: &mut [u32; LANES], row: &[u8; ROW_BYTES]) {
    let (words, _) = row.as_chunks::<LANE_BYTES>();
    for (lane, word) in lanes.iter_mut().zip(words) {
        let mixed = *lane ^ u32::from_le_bytes(*word);
        *lane = mixed.wrapping_mul(PRIME) ^ (mixed >> 17);
    }
}

/// True for a page PostgreSQL would take: its checksum is right, or it is all zero.
///
/// Without the check of the header only a page without a checksum may be all zero, as where pages are encrypted.
pub fn is_right(page: &[u8], block: u32, header_check: bool) -> bool {
    let stored = u16_at(page, CHECKSUM_AT);
    let empty = if header_check { u16_at(page, UPPER_AT) == Some(0) } else { stored == Some(0) };
    if empty { is_zero(page) } else { stored == Some(page_checksum(page, block)) }
}

/// The position in WAL of a page's last change, as its header tells.
pub fn page_lsn(page: &[u8]) -> Option<Lsn> {
    let half = |at: usize| Some(u64::from(u32::from_le_bytes(*page.get(at..)?.first_chunk()?)));
    Some(Lsn(half(0)? << 32 | half(4)?))
}

fn u16_at(page: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*page.get(at..)?.first_chunk()?))
}

fn is_zero(page: &[u8]) -> bool {
    page.chunks(ROW_BYTES).all(|row| row.iter().fold(0, |any, byte| any | byte) == 0)
}

/// A page whose copied bytes are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// Its number, counted from the start of the relation.
    pub block: u32,
    /// The position in WAL its copied header tells.
    pub lsn: Lsn,
}

/// What a file's pages were like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageScan {
    /// How many there were, a partial one at the end included.
    pub pages: u64,
    /// The file ends in less than 512 bytes of a page: it does not consist of pages, and the manifest says that its
    /// check failed without a list.
    pub misaligned: bool,
    /// Pages that were wrong, in order.
    pub suspects: Vec<Suspect>,
}

/// Checks the pages of one file as its bytes pass by.
#[derive(Debug)]
pub struct PageChecker {
    page_bytes: usize,
    header_check: bool,
    /// The number of the next page.
    block: u32,
    pages: u64,
    /// The beginning of a page whose rest has not come yet.
    begun: Vec<u8>,
    suspects: Vec<Suspect>,
}

impl PageChecker {
    /// A checker of pages of `page_bytes`, the first of which is block `first_block` of its relation (see
    /// [`first_block`]). `header_check` is off where pages are encrypted.
    pub fn new(page_bytes: u32, first_block: u32, header_check: bool) -> Result<Self, BackupError> {
        let size = usize::try_from(page_bytes).ok();
        let size = size.filter(|bytes| bytes.is_power_of_two() && (1 << 10..=1 << 15).contains(bytes));
        Ok(Self {
            page_bytes: size.ok_or(BackupError::PageSize(page_bytes))?,
            header_check,
            block: first_block,
            pages: 0,
            begun: Vec::new(),
            suspects: Vec::new(),
        })
    }

    /// Takes in the next bytes of the file, however many; only pages that come in parts are copied.
    pub fn update(&mut self, mut piece: &[u8]) {
        if !self.begun.is_empty() {
            let wanted = (self.page_bytes - self.begun.len()).min(piece.len());
            let (rest, after) = piece.split_at(wanted);
            self.begun.extend_from_slice(rest);
            piece = after;
            if self.begun.len() < self.page_bytes {
                return;
            }
            let page = std::mem::take(&mut self.begun);
            self.page(&page);
            self.begun = page;
            self.begun.clear();
        }
        let mut pages = piece.chunks_exact(self.page_bytes);
        for page in &mut pages {
            self.page(page);
        }
        self.begun.extend_from_slice(pages.remainder());
    }

    /// The result, once the file has ended.
    pub fn finish(mut self) -> PageScan {
        let misaligned = (1..LEAST_PARTIAL_BYTES).contains(&self.begun.len());
        if self.begun.len() >= LEAST_PARTIAL_BYTES {
            let page = std::mem::take(&mut self.begun);
            self.suspect(&page);
        }
        PageScan { pages: self.pages, misaligned, suspects: self.suspects }
    }

    fn page(&mut self, page: &[u8]) {
        if is_right(page, self.block, self.header_check) {
            self.pages += 1;
            self.block = self.block.wrapping_add(1);
        } else {
            self.suspect(page);
        }
    }

    fn suspect(&mut self, page: &[u8]) {
        self.suspects.push(Suspect { block: self.block, lsn: page_lsn(page).unwrap_or_default() });
        self.pages += 1;
        self.block = self.block.wrapping_add(1);
    }
}

/// The number of a file's first page in its relation: `16384.3` is the fourth segment.
///
/// `segment_bytes` is [`SEGMENT_BYTES`], unless PostgreSQL was built otherwise.
pub fn first_block(name: &str, page_bytes: u32, segment_bytes: u32) -> u32 {
    let segment = name.rsplit_once('.').map_or(0, |(_, digits)| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if plain { digits.parse().unwrap_or(0) } else { 0 }
    });
    segment_bytes.checked_div(page_bytes).unwrap_or(0).wrapping_mul(segment)
}

/// Blocks as inclusive ranges, as a manifest lists them: 1, 2, 3 and 6 become 1 to 3 and 6 to 6.
pub fn ranges(blocks: &[u32]) -> Vec<(u32, u32)> {
    let mut sorted = blocks.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let runs = sorted.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    runs.filter_map(|run| Some((*run.first()?, *run.last()?))).collect()
}

#[cfg(test)]
mod tests;
