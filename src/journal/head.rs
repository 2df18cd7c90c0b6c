//! What proves the end of a journal: `SEQ:HASH`, in the head file or given by whoever wrote it down elsewhere.
//!
//! Judges and formats; the file is replaced by the writer only.

use super::Fact;
use super::chain::{Contents, FIRST_PREVIOUS, is_hash};
use super::file::open_plain;
use crate::base::Report;
use rustix::fs::OFlags;
use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;

/// The file beside the journal that names its last line.
pub const HEAD_FILE: &str = "head";

/// More than a number and a hash take is not read.
const LONGEST_BYTES: u64 = 1024;

/// Number and hash of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The number; 0 for a journal without lines.
    pub seq: u64,
    /// The hash.
    pub hash: String,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for Witness {
    type Err = Report;

    fn from_str(text: &str) -> Result<Self, Report> {
        let parts = text.trim().split_once(':').map(|(seq, hash)| (seq.parse(), hash.to_ascii_lowercase()));
        match parts {
            Some((Ok(seq), hash)) if is_hash(&hash) => Ok(Self { seq, hash }),
            _ => {
                let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
                Err(Report::usage(format!("'{shown}' is not the number and the hash of an entry"))
                    .hint("write SEQ:HASH with all 64 digits, as `pgmayday incident verify` prints it"))
            }
        }
    }
}

impl serde::Serialize for Witness {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the head file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    Says(Witness),
    Missing,
    Nonsense,
    Unreadable(String),
}

/// How a witness stands to a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It names an entry that is there, this many before the end.
    Proves { seq: u64, behind: u64 },
    /// It does not, for this reason.
    Contradicts(String),
}

impl Head {
    pub(super) fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        let read = open_plain(path, OFlags::RDONLY)
            .and_then(|file| file.take(LONGEST_BYTES).read_to_end(&mut bytes));
        match read {
            Ok(_) => {
                let witness = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
                witness.map_or(Self::Nonsense, Self::Says)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }

    /// How it stands to the journal.
    pub(super) fn judge(&self, contents: &Contents) -> Verdict {
        match self {
            Self::Says(witness) => witness.judge(contents, "the head file"),
            Self::Missing => Verdict::Contradicts(
                "the head file is missing: entries removed from the end would not be noticed".to_owned(),
            ),
            Self::Nonsense => Verdict::Contradicts("the head file holds no number and hash".to_owned()),
            Self::Unreadable(why) => Verdict::Contradicts(format!("the head file cannot be read: {why}")),
        }
    }

    /// True if an entry tells of this contradiction already: it is told once.
    pub(super) fn is_told(&self, verdict: &str, contents: &Contents) -> bool {
        let key = match self {
            Self::Says(witness) => witness.to_string(),
            _ => verdict.to_owned(),
        };
        contents.entries().any(|entry| matches!(&entry.fact, Fact::Damaged { text } if text.contains(&key)))
    }
}

impl Witness {
    /// The witness of a journal's end.
    pub(super) fn of((seq, hash): (u64, &str)) -> Self {
        Self { seq, hash: hash.to_owned() }
    }

    /// How it stands to the journal; `name` is what it is called in the reason.
    pub(super) fn judge(&self, contents: &Contents, name: &str) -> Verdict {
        let Self { seq, hash } = self;
        let (last, _) = contents.end();
        let found = match seq {
            0 => Some(FIRST_PREVIOUS),
            _ => contents.lines.iter().rfind(|line| line.seq() == *seq).map(|line| line.computed.as_str()),
        };
        match found {
            Some(found) if found == hash => Verdict::Proves { seq: *seq, behind: last.saturating_sub(*seq) },
            Some(_) => Verdict::Contradicts(format!("{name} says {self}, but entry {seq} is another one")),
            None if *seq > last => Verdict::Contradicts(format!(
                "{name} says {self}, but the journal ends with entry {last}: what followed was removed"
            )),
            None => Verdict::Contradicts(format!("{name} says {self}, but there is no entry {seq}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_read_as_it_is_written_and_nothing_else_is() {
        let text = format!("7:{}", "0a".repeat(32));
        let witness: Witness = text.parse().unwrap();
        assert_eq!(witness.to_string(), text);
        assert_eq!(format!(" {}\n", text.to_uppercase()).parse::<Witness>().unwrap(), witness);
        for wrong in ["", ":", "7", "7:0a", &text[1..], &format!("-{text}"), &text.replace('a', "g")] {
            assert!(wrong.parse::<Witness>().is_err(), "{wrong}");
        }
    }
}
