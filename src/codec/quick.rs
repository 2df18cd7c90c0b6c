//! A quick hash for files of our own: proof that a file is still what was written, never of where it came from.
//!
//! XXH3-128 in its canonical form, piece by piece. Not for anything a stranger may have written.

use std::fmt;

/// Takes content piece by piece and gives its XXH3-128.
#[derive(Clone)]
pub struct QuickHasher(twox_hash::XxHash3_128);

impl QuickHasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self(twox_hash::XxHash3_128::new())
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.write(piece);
    }

    /// The hash of everything taken.
    pub fn finish(&self) -> [u8; 16] {
        self.0.finish_128().to_be_bytes()
    }
}

impl Default for QuickHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for QuickHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuickHasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_the_hash_of_the_whole() {
        let mut pieces = QuickHasher::new();
        [0; 8192].chunks(1000).for_each(|piece| pieces.update(piece));
        assert_eq!(pieces.finish(), crate::codec::hash::xxh3_128(&[0; 8192]));
    }
}
