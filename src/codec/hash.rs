//! The hashes of repositories: SHA-1 of contents, printed as 40 lower-case hex digits, and XXH3-128 of blocks.

use sha1::{Digest as _, Sha1};
use std::fmt;
use std::str::FromStr;

/// A SHA-1 of some original content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha1Hash(pub [u8; 20]);

impl Sha1Hash {
    /// The hash of no bytes.
    pub const EMPTY: Self = Self([
        0xda, 0x39, 0xa3, 0xee, 0x5e, 0x6b, 0x4b, 0x0d, 0x32, 0x55, 0xbf, 0xef, 0x95, 0x60, 0x18, 0x90, 0xaf,
        0xd8, 0x07, 0x09,
    ]);

    /// The hash of `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha1::digest(content).into())
    }
}

/// Takes content piece by piece and gives its SHA-1.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha1);

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of everything taken.
    pub fn finish(self) -> Sha1Hash {
        Sha1Hash(self.0.finalize().into())
    }
}

/// XXH3-128 with seed 0 in its canonical (big-endian) form, as block maps hold it.
pub fn xxh3_128(content: &[u8]) -> [u8; 16] {
    twox_hash::XxHash3_128::oneshot(content).to_be_bytes()
}

impl fmt::Display for Sha1Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha1Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha1Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "'{}' is not a SHA-1 (expected 40 lower-case hex digits)",
                text.chars().take(60).collect::<String>()
            )
        };
        let digits = text.as_bytes();
        if digits.len() != 40 {
            return Err(bad());
        }
        let mut hash = [0; 20];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (nibble(pair[0]).ok_or_else(bad)? << 4) | nibble(pair[1]).ok_or_else(bad)?;
        }
        Ok(Self(hash))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_checksums_match_the_vectors_of_the_format() {
        let hex = |content: &[u8]| {
            xxh3_128(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
        };
        assert_eq!(hex(&[0; 8192]), "6c8a36bd5451c725620797930ab0991a");
        assert_eq!(hex(b"abc"), "06b05ab6733a618578af5f94892f3950");
    }

    #[test]
    fn sha1_prints_and_reads_lower_case_hex_only() {
        assert_eq!(Sha1Hash::of(b"").to_string(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!("da39a3ee5e6b4b0d3255bfef95601890afd80709".parse(), Ok(Sha1Hash::EMPTY));
        assert!("DA39A3EE5E6B4B0D3255BFEF95601890AFD80709".parse::<Sha1Hash>().is_err());
        assert!("da39".parse::<Sha1Hash>().is_err());
    }
}
