//! Page images inside records: unpacking them and finding one row.
//!
//! Only for rows that stand nowhere else. Formats: `xloginsert.c`, `pg_lzcompress.c`, the LZ4 block format, `bufpage.h`,
//! `htup_details.h`. Never changes a page and never trusts a length.

use super::happening::UnpackZstd;
use super::record::{Packing, PageImage};

const MAX_PAGE_BYTES: usize = 32 * 1024;
const PAGE_SIZE_AT: usize = 18;
const LINE_POINTERS_AT: usize = 24;

/// The whole page of an image; none if it cannot be unpacked.
pub(super) fn unpack(image: &PageImage<'_>, zstd: Option<UnpackZstd>) -> Option<Vec<u8>> {
    let unpacked;
    let plain: &[u8] = match image.packing {
        Packing::Plain => image.stored,
        packed => {
            unpacked = match packed {
                Packing::Pglz => pglz(image.stored),
                Packing::Lz4 => lz4_block(image.stored),
                _ => zstd?(image.stored, MAX_PAGE_BYTES),
            }?;
            &unpacked
        }
    };
    let page_bytes = usize::from(u16_at(plain, PAGE_SIZE_AT)? & 0xFF00);
    let hole_bytes = image.hole_bytes.unwrap_or_else(|| page_bytes.saturating_sub(plain.len()));
    if page_bytes != plain.len() + hole_bytes {
        return None;
    }
    let (before, after) = plain.split_at_checked(image.hole_offset)?;
    let mut page = Vec::with_capacity(page_bytes);
    page.extend_from_slice(before);
    page.resize(before.len() + hole_bytes, 0);
    page.extend_from_slice(after);
    Some(page)
}

/// The user data of the row with line pointer `item` (counted from 1) of a heap page.
pub(super) fn row(page: &[u8], item: u16) -> Option<&[u8]> {
    const NORMAL: u32 = 1;
    const HEADER_LENGTH_AT: usize = 22;
    let at = LINE_POINTERS_AT + 4 * usize::from(item.checked_sub(1)?);
    let pointer = u32::from(u16_at(page, at)?) | u32::from(u16_at(page, at + 2)?) << 16;
    let (offset, state, length) = (pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17);
    if state != NORMAL {
        return None;
    }
    let tuple = page.get(offset as usize..)?.get(..length as usize)?;
    tuple.get(usize::from(*tuple.get(HEADER_LENGTH_AT)?)..)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|pair| u16::from_le_bytes(*pair))
}

/// Appends `length` bytes from `distance` before the end, which may overlap what is being written.
fn repeat(plain: &mut Vec<u8>, distance: usize, length: usize) -> Option<()> {
    let from = plain.len().checked_sub(distance)?;
    if distance == 0 || plain.len() + length > MAX_PAGE_BYTES {
        return None;
    }
    for at in from..from + length {
        plain.push(plain[at]);
    }
    Some(())
}

fn pglz(stored: &[u8]) -> Option<Vec<u8>> {
    const LONGEST_SHORT: usize = 18;
    let mut plain = Vec::with_capacity(8192);
    let mut bytes = stored.iter().copied();
    while let Some(control) = bytes.next() {
        for bit in 0..8 {
            let Some(first) = bytes.next() else { break };
            if control >> bit & 1 == 0 {
                if plain.len() == MAX_PAGE_BYTES {
                    return None;
                }
                plain.push(first);
                continue;
            }
            let distance = usize::from(first & 0xF0) << 4 | usize::from(bytes.next()?);
            let mut length = usize::from(first & 0x0F) + 3;
            if length == LONGEST_SHORT {
                length += usize::from(bytes.next()?);
            }
            repeat(&mut plain, distance, length)?;
        }
    }
    Some(plain)
}

fn lz4_block(stored: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(8192);
    let mut bytes = super::bytes::Cursor(stored);
    while let Some(token) = bytes.u8() {
        let literals = lz4_length(&mut bytes, token >> 4)?;
        if plain.len() + literals > MAX_PAGE_BYTES {
            return None;
        }
        plain.extend_from_slice(bytes.take(literals)?);
        // The last sequence has no match.
        if bytes.0.is_empty() {
            break;
        }
        let distance = usize::from(bytes.u16()?);
        let length = lz4_length(&mut bytes, token & 0x0F)? + 4;
        repeat(&mut plain, distance, length)?;
    }
    Some(plain)
}

fn lz4_length(bytes: &mut super::bytes::Cursor<'_>, nibble: u8) -> Option<usize> {
    let mut length = usize::from(nibble);
    if nibble == 15 {
        loop {
            let more = bytes.u8()?;
            length += usize::from(more);
            if more != 255 {
                break;
            }
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unpacks_repeats_that_overlap_themselves() {
        // One literal, then a match of 18 + 2 bytes at distance 1.
        assert_eq!(pglz(&[0b10, b'a', 0x0F, 0x01, 0x02]).unwrap(), [b'a'; 21]);
        // Token 1 literal + match of 4 + 15 + 3 at distance 1, then a last sequence of 2 literals.
        assert_eq!(
            lz4_block(&[0x1F, b'a', 1, 0, 3, 0x20, b'b', b'c']).unwrap(),
            [&[b'a'; 23][..], b"bc"].concat()
        );
    }

    proptest! {
        #[test]
        fn never_panics(stored in proptest::collection::vec(any::<u8>(), 0..400), item: u16) {
            drop(pglz(&stored));
            drop(lz4_block(&stored));
            row(&stored, item);
        }
    }
}
