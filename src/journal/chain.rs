//! A line of the journal as bytes: its form, its hash, and what a reader makes of it.
//!
//! Works on bytes in memory only. The hash is over the bytes as they stand, never over what they mean.

use super::{Entry, Fact, Stamp};
use serde_json::Error;
use sha2::{Digest as _, Sha256};

/// What the first line gives as the hash of the line before it.
pub const FIRST_PREVIOUS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What stands between the rest of a line and its hash.
const MEMBER: &str = ",\"hash\":\"";
/// What ends a line.
const END: &str = "\"}";
/// Digits of a hash.
const DIGITS: usize = 64;

/// What was read of a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Every whole line.
    pub lines: Vec<Line>,
    /// What stands after the last line feed.
    pub torn: Option<Torn>,
    /// How many bytes the whole lines take.
    pub whole_bytes: u64,
}

/// A whole line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: u64,
    /// What it says, or why it cannot be read.
    pub entry: Result<Entry, String>,
    /// The hash it states, if it has the form of a line.
    pub stated: Option<String>,
    /// The hash of its bytes.
    pub computed: String,
}

/// The beginning of a line whose writing was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Torn {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: String,
}

impl Contents {
    /// Reads a journal's bytes. Nothing is refused: a line that makes no sense is told as such.
    pub fn of(bytes: &[u8]) -> Self {
        Self::tail_of(bytes, usize::MAX)
    }

    /// As [`Self::of`], but with the last `most` lines only: enough for a writer, whatever the journal's length.
    pub(super) fn tail_of(bytes: &[u8], most: usize) -> Self {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (whole, rest) = bytes.split_at(whole);
        let text = whole.strip_suffix(b"\n");
        let lines: Vec<&[u8]> = text.into_iter().flat_map(|text| text.split(|byte| *byte == b'\n')).collect();
        let before = lines.len().saturating_sub(most);
        Self {
            lines: lines.into_iter().zip(1..).skip(before).map(|(line, at)| Line::of(line, at)).collect(),
            torn: (!rest.is_empty()).then(|| Torn { bytes: rest.len() as u64, sha256: sha256(rest) }),
            whole_bytes: whole.len() as u64,
        }
    }

    /// Every entry that can be read, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().filter_map(|line| line.entry.as_ref().ok())
    }

    /// Number and hash of the end, what the next line continues.
    pub(super) fn end(&self) -> (u64, &str) {
        self.lines.last().map_or((0, FIRST_PREVIOUS), |line| (line.seq(), &line.computed))
    }
}

impl Line {
    fn of(bytes: &[u8], number: u64) -> Self {
        let parts = parted(bytes);
        let computed = parts.map_or_else(|| sha256(bytes), |(body, _)| hash_of(body));
        let entry = serde_json::from_slice(bytes).map_err(|error| why(&error));
        Self { number, entry, stated: parts.map(|(_, hash)| hash.to_owned()), computed }
    }

    /// The number it bears, or else the one of its place.
    pub fn seq(&self) -> u64 {
        self.entry.as_ref().map_or(self.number, |entry| entry.seq)
    }
}

/// The reason without the place: the line is named anyway, and a column helps nobody.
fn why(error: &Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// A line without its last member and brace, and the hash it states; nothing if it has another form.
fn parted(line: &[u8]) -> Option<(&[u8], &str)> {
    let rest = line.strip_suffix(END.as_bytes())?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    let hash = std::str::from_utf8(hash).ok().filter(|hash| is_hash(hash))?;
    Some((rest.strip_suffix(MEMBER.as_bytes())?, hash))
}

/// True for 64 digits as they are written here.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The hash of a line whose bytes before its last member are `body`.
fn hash_of(body: &[u8]) -> String {
    hex(&Sha256::new().chain_update(body).chain_update(b"}").finalize())
}

/// SHA-256 as journals write it: 64 lower-case digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// The entry that continues a journal ending at (`seq`, `previous`), and its line with the line feed.
pub(super) fn sealed(
    (seq, previous): (u64, &str),
    stamp: &Stamp,
    actor: &str,
    fact: &Fact,
) -> Result<(Entry, String), Error> {
    let mut entry = Entry {
        seq: seq.saturating_add(1),
        at: stamp.at,
        boot_ms: stamp.boot_ms,
        boot_id: stamp.boot_id.clone(),
        host: stamp.host.clone(),
        actor: actor.to_owned(),
        fact: fact.clone(),
        previous: previous.to_owned(),
        hash: String::new(),
    };
    let unsealed = serde_json::to_string(&entry)?;
    let body = unsealed.strip_suffix(END).and_then(|rest| rest.strip_suffix(MEMBER)).unwrap_or_default();
    entry.hash = hash_of(body.as_bytes());
    let line = format!("{body}{MEMBER}{}{END}\n", entry.hash);
    Ok((entry, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, previous: &str, fact: &Fact) -> (Entry, String) {
        let stamp = Stamp { boot_id: "b".to_owned(), host: "db1".to_owned(), ..Stamp::default() };
        sealed((seq, previous), &stamp, "dk", fact).unwrap()
    }

    #[test]
    fn the_hash_is_the_last_member_and_over_the_rest() {
        let tricky = Fact::Note { text: "a \"hash\":\"b\"} line\nfeed, é and \u{1b}[1m".to_owned() };
        let (entry, text) = line(0, FIRST_PREVIOUS, &tricky);
        assert!(text.starts_with("{\"seq\":1,\"at\":\"1970-01-01 00:00:00+00\","), "{text}");
        assert!(
            text.ends_with(&format!(",\"previous\":\"{FIRST_PREVIOUS}\",\"hash\":\"{}\"}}\n", entry.hash))
        );
        let contents = Contents::of(text.as_bytes());
        assert_eq!(contents.lines.len(), 1, "{text}");
        assert_eq!(contents.lines[0].entry.as_ref().unwrap(), &entry);
        assert_eq!(contents.lines[0].stated.as_ref(), Some(&entry.hash));
        assert_eq!(contents.lines[0].computed, entry.hash);
        assert_eq!(contents.end(), (1, entry.hash.as_str()));
    }

    #[test]
    fn what_a_later_program_wrote_is_kept() {
        let later = r#"{"kind":"moon_phase","phase":"full","n":[1,2.5,null]}"#;
        let fact: Fact = serde_json::from_str(later).unwrap();
        assert!(matches!(&fact, Fact::Unknown(members) if members["phase"] == "full"), "{fact:?}");
        let (entry, text) = line(0, FIRST_PREVIOUS, &fact);
        let contents = Contents::of(text.as_bytes());
        assert_eq!(contents.lines[0].entry.as_ref().unwrap(), &entry);
        assert_eq!(contents.lines[0].computed, entry.hash);
    }

    #[test]
    fn any_bytes_are_read_and_only_whole_lines_are_lines() {
        for (bytes, lines, torn) in
            [(&b""[..], 0, 0), (b"\n", 1, 0), (b"x", 0, 1), (b"\n\n\xff", 2, 1), (b"{}\n\"}\n", 2, 0)]
        {
            let contents = Contents::of(bytes);
            assert_eq!(contents.lines.len(), lines, "{bytes:?}");
            assert_eq!(contents.torn.map_or(0, |torn| torn.bytes), torn, "{bytes:?}");
            assert!(contents.lines.iter().all(|line| line.entry.is_err() && line.stated.is_none()));
        }
        assert_eq!(
            Contents::of(b"abc").torn.unwrap().sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
