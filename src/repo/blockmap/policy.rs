//! Which files are stored as blocks, and how large blocks, their checksums and super blocks are.
//!
//! pgBackRest's own choices, so that either program goes on with what the other began. A reader takes the sizes from
//! the manifest, never from here. They are chosen when a file is first stored: block and checksum size never change
//! while later backups build on its map.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const DAY_S: i64 = 24 * 60 * 60;

/// From which file size on blocks have which size, largest first.
const BLOCK_SIZES: [(u64, u32); 11] = [
    (914 * MIB, 88 * 1024),
    (740 * MIB, 80 * 1024),
    (585 * MIB, 72 * 1024),
    (448 * MIB, 64 * 1024),
    (329 * MIB, 56 * 1024),
    (228 * MIB, 48 * 1024),
    (146 * MIB, 40 * 1024),
    (96 * MIB, 32 * 1024),
    (43 * MIB, 24 * 1024),
    (11 * MIB, 16 * 1024),
    (16 * KIB, 8 * 1024),
];

/// From which block size on checksums have how many bytes, largest first.
const CHECKSUM_SIZES: [(u64, u8); 6] =
    [(4 * MIB, 12), (2 * MIB, 11), (MIB, 10), (512 * KIB, 9), (128 * KIB, 8), (32 * KIB, 7)];

/// The block size of a file of `file_bytes` that was last changed `age_s` seconds before the backup began; nothing
/// if it is stored whole, because it is too small, or so old that it is not expected to change any more.
pub fn block_size_for(file_bytes: u64, age_s: i64) -> Option<u32> {
    let factor = match age_s {
        age_s if age_s >= 28 * DAY_S => return None,
        age_s if age_s >= 14 * DAY_S => 4,
        age_s if age_s >= 7 * DAY_S => 2,
        _ => 1,
    };
    let (_, block_bytes) = BLOCK_SIZES.into_iter().find(|(from, _)| file_bytes >= *from)?;
    Some(block_bytes * factor)
}

/// How many bytes of its checksum a block of `block_bytes` keeps.
pub fn checksum_size_for(block_bytes: u32) -> u8 {
    let size = CHECKSUM_SIZES.into_iter().find(|(from, _)| u64::from(block_bytes) >= *from);
    size.map_or(6, |(_, checksum_bytes)| checksum_bytes)
}

/// The configured sizes of super blocks, before they are rounded to whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuperBlockSizes {
    /// In a full backup: `repo-block-size-super-full`, in bytes.
    pub full_bytes: u64,
    /// In every other backup: `repo-block-size-super`, in bytes.
    pub other_bytes: u64,
}

impl Default for SuperBlockSizes {
    /// 1 MiB in a full backup, 256 KiB in others.
    fn default() -> Self {
        Self { full_bytes: MIB, other_bytes: 256 * KIB }
    }
}

/// How many plain bytes close a super block: the configured size, rounded up to whole blocks of `block_bytes`.
pub fn super_block_target(full: bool, block_bytes: u32, sizes: SuperBlockSizes) -> u64 {
    let wanted = if full { sizes.full_bytes } else { sizes.other_bytes };
    let block_bytes = u64::from(block_bytes.max(1));
    wanted.max(1).div_ceil(block_bytes).saturating_mul(block_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_sizes_follow_file_size_and_age() {
        assert_eq!(block_size_for(0, 0), None);
        assert_eq!(block_size_for(16 * KIB - 1, 0), None);
        for (from, block_bytes) in BLOCK_SIZES {
            assert_eq!(block_size_for(from, 0), Some(block_bytes));
            assert_ne!(block_size_for(from - 1, 0), Some(block_bytes));
        }
        assert_eq!(block_size_for(u64::MAX, 0), Some(90_112));
        let aged = |days: i64, seconds: i64| block_size_for(16 * KIB, days * DAY_S + seconds);
        assert_eq!(aged(0, -100), Some(8192), "changed after the backup began");
        assert_eq!((aged(7, -1), aged(7, 0)), (Some(8192), Some(16_384)));
        assert_eq!((aged(14, -1), aged(14, 0)), (Some(16_384), Some(32_768)));
        assert_eq!((aged(28, -1), aged(28, 0)), (Some(32_768), None));
    }

    #[test]
    fn larger_blocks_have_longer_checksums() {
        for (block_kib, checksum_bytes) in [
            (8, 6),
            (24, 6),
            (32, 7),
            (120, 7),
            (128, 8),
            (352, 8),
            (512, 9),
            (1024, 10),
            (2048, 11),
            (4096, 12),
            (16_384, 12),
        ] {
            assert_eq!(checksum_size_for(block_kib * 1024), checksum_bytes, "{block_kib}");
        }
    }

    #[test]
    fn super_blocks_are_whole_blocks() {
        let sizes = SuperBlockSizes::default();
        assert_eq!(super_block_target(true, 8192, sizes), MIB);
        assert_eq!(super_block_target(false, 8192, sizes), 256 * KIB);
        assert_eq!(super_block_target(false, 88 * 1024, sizes), 264 * KIB);
        assert_eq!(super_block_target(true, 4 << 20, sizes), 4 * MIB);
        let sizes = SuperBlockSizes { full_bytes: 32 * KIB, other_bytes: 100 * KIB };
        assert_eq!(
            (super_block_target(true, 8192, sizes), super_block_target(false, 24_576, sizes)),
            (32_768, 122_880)
        );
    }
}
