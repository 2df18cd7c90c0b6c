//! The grammar and checksum of info files and manifests, streamed line by line.
//!
//! `[section]`, `key=value` with a raw key and exactly one JSON value, blank lines, nothing else. A key may hold
//! `=`: the first `=` whose rest is one JSON value separates. The SHA-1 in the last line is over the file
//! re-serialised as one JSON document. Memory is one line; a line longer than any real one is refused. What the
//! visitor gathered counts only after [`read`] returned without an error, because the checksum comes last. A
//! [`Writer`] writes the same grammar; it leaves the order of sections and keys to its caller.

mod writer;

use super::error::{Fault, Place, RepoError};
use super::json::{Scanner, is_value, write_string};
use crate::codec::hash::Hasher;
use crate::codec::{CodecError, Sha1Hash};
use std::io::{BufRead, Read as _};
pub use writer::WRITER;
pub(super) use writer::Writer;

/// The longest line accepted: far above a file entry with every page of a 1 GiB segment in error.
const LINE_LIMIT_BYTES: u64 = 16 << 20;

/// The repository format this program reads and writes.
const FORMAT: u64 = 5;

/// One `key=value` line in its section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) section: &'a str,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
}

impl<'a> Item<'a> {
    pub(super) fn scanner(&self) -> Scanner<'a> {
        Scanner::new(self.value)
    }

    pub(super) fn string(&self) -> Result<std::borrow::Cow<'a, str>, Fault> {
        let mut scanner = self.scanner();
        let text = scanner.string()?;
        scanner.end()?;
        Ok(text)
    }

    pub(super) fn unsigned(&self) -> Result<u64, Fault> {
        let mut scanner = self.scanner();
        let number = scanner.unsigned()?;
        scanner.end()?;
        Ok(number)
    }

    pub(super) fn unsigned32(&self) -> Result<u32, Fault> {
        u32::try_from(self.unsigned()?).map_err(|_| Fault::format("the number is beyond 32 bits"))
    }

    pub(super) fn boolean(&self) -> Result<bool, Fault> {
        let mut scanner = self.scanner();
        let flag = scanner.boolean()?;
        scanner.end()?;
        Ok(flag)
    }
}

/// What the `[backrest]` sections say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The version of the last writer.
    pub(super) backrest_version: String,
}

/// A decoded stream and where it came from.
pub(super) struct InfoFile<R> {
    pub(super) source: R,
    pub(super) place: Place,
    pub(super) encrypted: bool,
}

/// Reads the whole file, showing every item outside `[backrest]` to `visit`, and checks format and checksum.
pub(super) fn read<R: BufRead>(
    file: &mut InfoFile<R>,
    visit: &mut dyn FnMut(Item<'_>) -> Result<(), Fault>,
) -> Result<Header, RepoError> {
    let mut state = State::default();
    let mut line = Vec::new();
    let mut number = 0_u64;
    while next_line(file, &mut line, number)? {
        number += 1;
        let text = std::str::from_utf8(&line).map_err(|_| Fault::format("not UTF-8")).and_then(|text| {
            text.strip_suffix('\n').ok_or_else(|| Fault::format("the last line is cut short"))
        });
        if number == 1 && !matches!(text, Ok("[backrest]")) {
            return Err(not_an_info_file(file, &line));
        }
        text.and_then(|text| state.line(text, visit)).map_err(|fault| fault.at(&file.place, number))?;
    }
    state.finish(&file.place, number)
}

fn not_an_info_file<R>(file: &InfoFile<R>, line: &[u8]) -> RepoError {
    if file.encrypted {
        RepoError::Passphrase(file.place.clone())
    } else if line.starts_with(b"Salted__") {
        RepoError::Encrypted(file.place.clone())
    } else {
        Fault::format("expected [backrest] as the first line").at(&file.place, 1)
    }
}

/// Reads one line with its LF; false at the end of the file.
fn next_line<R: BufRead>(file: &mut InfoFile<R>, line: &mut Vec<u8>, number: u64) -> Result<bool, RepoError> {
    line.clear();
    match file.source.by_ref().take(LINE_LIMIT_BYTES + 1).read_until(b'\n', line) {
        Ok(length) if length as u64 > LINE_LIMIT_BYTES => {
            Err(Fault::hostile(format!("a line longer than {LINE_LIMIT_BYTES} bytes"))
                .at(&file.place, number + 1))
        }
        Ok(length) => Ok(length > 0),
        Err(error) => {
            let place = file.place.clone();
            Err(match CodecError::from_io(error) {
                CodecError::Undecryptable if number == 0 => RepoError::Passphrase(place),
                source => RepoError::Stream { place, source },
            })
        }
    }
}

/// The checksum of an info file: SHA-1 over its items, re-serialised as one JSON document.
#[derive(Default)]
struct Checksum {
    hash: Hasher,
    scratch: Vec<u8>,
    /// The section the document is in.
    section: Option<String>,
}

impl Checksum {
    fn add(&mut self, item: Item<'_>) {
        self.scratch.clear();
        match &mut self.section {
            Some(section) if section == item.section => self.scratch.push(b','),
            section => {
                self.scratch.extend_from_slice(if section.is_some() { b"},\"" } else { b"{\"" });
                self.scratch.extend_from_slice(item.section.as_bytes());
                self.scratch.extend_from_slice(b"\":{");
                *section = Some(item.section.to_owned());
            }
        }
        write_string(item.key, &mut self.scratch);
        self.scratch.push(b':');
        self.scratch.extend_from_slice(item.value.as_bytes());
        self.hash.update(&self.scratch);
    }

    fn finish(mut self) -> Sha1Hash {
        self.hash.update(b"}}");
        self.hash.finish()
    }
}

#[derive(Default)]
struct State {
    sum: Checksum,
    section: Option<String>,
    format: Option<u64>,
    version: Option<String>,
    checksum: Option<Sha1Hash>,
}

impl State {
    fn line(
        &mut self,
        text: &str,
        visit: &mut dyn FnMut(Item<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            self.section = Some(name.to_owned());
            return Ok(());
        }
        let (key, value) = split(text).ok_or_else(|| {
            Fault::format(format!(
                "expected key=value, found '{}'",
                text.escape_debug().take(80).collect::<String>()
            ))
        })?;
        if self.checksum.is_some() {
            return Err(Fault::format("something follows the checksum"));
        }
        let section = self.section.take().ok_or_else(|| Fault::format("a value outside any section"))?;
        let result = self.item(Item { section: &section, key, value }, visit);
        self.section = Some(section);
        result
    }

    fn item(
        &mut self,
        item: Item<'_>,
        visit: &mut dyn FnMut(Item<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if (item.section, item.key) == ("backrest", "backrest-checksum") {
            self.checksum = Some(item.string()?.parse()?);
            return Ok(());
        }
        self.sum.add(item);
        match (item.section, item.key) {
            ("backrest", "backrest-format") => {
                let found = item.unsigned()?;
                self.format = Some(found);
                if found == FORMAT { Ok(()) } else { Err(Fault::FormatNumber(found)) }
            }
            ("backrest", "backrest-version") => {
                self.version = Some(item.string()?.into_owned());
                Ok(())
            }
            ("backrest", _) => Ok(()),
            _ => visit(item),
        }
    }

    fn finish(self, place: &Place, lines: u64) -> Result<Header, RepoError> {
        let missing = |what: &str| Fault::format(format!("{what} is missing")).at(place, lines);
        let stated = self.checksum.ok_or_else(|| missing("the checksum at the end"))?;
        let actual = self.sum.finish();
        if actual != stated {
            return Err(RepoError::Checksum { place: place.clone(), stated, actual });
        }
        self.format.ok_or_else(|| missing("backrest-format"))?;
        Ok(Header { backrest_version: self.version.ok_or_else(|| missing("backrest-version"))? })
    }
}

/// Splits at the first `=` whose rest is exactly one JSON value.
fn split(line: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    while let Some(found) = line[from..].find('=') {
        let at = from + found;
        if is_value(&line[at + 1..]) {
            return Some((&line[..at], &line[at + 1..]));
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests;
