//! Damage to a file: one edit, placed relative to the file's length.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Text that means something in one of the formats.
const TOKENS: &[&str] = &[
    "\"",
    "\\u0000",
    "\\",
    "[",
    "]",
    "{",
    "}",
    "=",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "1e400",
    "18446744073709551616",
    "\n[",
    "]\n",
    "\n",
    "\r\n",
    "\0",
    "/",
    "../",
    "..",
    "\u{feff}",
    "\u{fffd}",
    "[target:file]\n",
    "[global]\n",
    "{\"a\":",
    "${HOME}",
];
/// Numbers at the edges of what fields hold.
const NUMBERS: &[u64] = &[
    0,
    1,
    7,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
];

/// One edit.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// Flips one bit.
    Flip(Index, u8),
    /// Writes a little-endian number of 1, 2, 4 or 8 bytes at a multiple of its width.
    Number(Index, u64, usize),
    /// Replaces a run of decimal digits.
    Digits(Index, u64),
    /// Inserts a token, possibly very often.
    Token(Index, &'static str, usize),
    /// Ends the file early.
    Cut(Index),
    /// Takes a range out.
    Remove(Index, Index),
    /// Writes a range again somewhere else.
    Copy(Index, Index, Index),
    /// Exchanges two lines.
    SwapLines(Index, Index),
    /// Takes a line out.
    DropLine(Index),
}

impl Arbitrary for Edit {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let at = any::<Index>;
        prop_oneof![
            (at(), 0u8..8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            (at(), select(NUMBERS), select(&[1usize, 2, 4, 8][..]))
                .prop_map(|(at, n, w)| Self::Number(at, n, w)),
            (at(), select(NUMBERS)).prop_map(|(at, number)| Self::Digits(at, number)),
            (at(), select(TOKENS), select(&[1usize, 1, 1, 2, 200, 100_000][..]))
                .prop_map(|(at, token, times)| Self::Token(at, token, times)),
            at().prop_map(Self::Cut),
            (at(), at()).prop_map(|(from, to)| Self::Remove(from, to)),
            (at(), at(), at()).prop_map(|(from, to, there)| Self::Copy(from, to, there)),
            (at(), at()).prop_map(|(a, b)| Self::SwapLines(a, b)),
            at().prop_map(Self::DropLine),
        ]
        .boxed()
    }
}

/// A position from the start to just behind the end.
fn position(index: Index, bytes: &[u8]) -> usize {
    index.index(bytes.len() + 1)
}

fn range(from: Index, to: Index, bytes: &[u8]) -> std::ops::Range<usize> {
    let (a, b) = (position(from, bytes), position(to, bytes));
    a.min(b)..a.max(b)
}

fn edit_lines(bytes: &mut Vec<u8>, edit: impl FnOnce(&mut Vec<&[u8]>)) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    if !lines.is_empty() {
        edit(&mut lines);
    }
    *bytes = lines.concat();
}

impl Edit {
    /// Does it.
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Flip(at, bit) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Number(at, number, width) if bytes.len() >= *width => {
                let start = at.index(bytes.len() / width) * width;
                bytes[start..start + width].copy_from_slice(&number.to_le_bytes()[..*width]);
            }
            Self::Digits(at, number) => {
                let start = position(*at, bytes);
                let Some(first) = bytes[start..].iter().position(u8::is_ascii_digit) else { return };
                let run = bytes[start + first..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                bytes.splice(start + first..start + first + run, number.to_string().into_bytes());
            }
            Self::Token(at, token, times) => {
                let at = position(*at, bytes);
                bytes.splice(at..at, token.repeat(*times).into_bytes());
            }
            Self::Cut(at) => bytes.truncate(position(*at, bytes)),
            Self::Remove(from, to) => drop(bytes.drain(range(*from, *to, bytes))),
            Self::Copy(from, to, there) => {
                let part = bytes[range(*from, *to, bytes)].to_vec();
                let at = position(*there, bytes);
                bytes.splice(at..at, part);
            }
            Self::SwapLines(a, b) => edit_lines(bytes, |lines| {
                let count = lines.len();
                lines.swap(a.index(count), b.index(count));
            }),
            Self::DropLine(at) => edit_lines(bytes, |lines| {
                let count = lines.len();
                lines.remove(at.index(count));
            }),
            Self::Flip(..) | Self::Number(..) => {}
        }
    }
}
