//! Writing info files and manifests: items as they come, the checksum at the end.
//!
//! Sections and keys must come in the order of the format; nothing is sorted or left out here. A name that the
//! grammar cannot carry is refused, because a file that nobody can read is worse than none.

use super::{Checksum, FORMAT, Item, split};
use crate::repo::json::write_string;
use std::io::{self, Write};

/// What stands as the version of the writer in files of ours; pgBackRest keeps it as text.
pub const WRITER: &str = concat!("pgmayday-", env!("CARGO_PKG_VERSION"));

/// Writes one file.
pub(in crate::repo) struct Writer<W> {
    out: W,
    sum: Checksum,
    section: Option<String>,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a file whose writer is `version`.
    pub(in crate::repo) fn begin(out: W, version: &str) -> io::Result<Self> {
        let mut writer = Self { out, sum: Checksum::default(), section: None, line: Vec::new() };
        writer.item("backrest", "backrest-format", &FORMAT.to_string())?;
        writer.string("backrest", "backrest-version", version)?;
        Ok(writer)
    }

    /// Writes an item; `value` is one JSON value and no array.
    pub(in crate::repo) fn item(&mut self, section: &str, key: &str, value: &str) -> io::Result<()> {
        self.line.clear();
        if self.section.as_deref() != Some(section) {
            if self.section.is_some() {
                self.line.push(b'\n');
            }
            self.line.extend_from_slice(format!("[{section}]\n").as_bytes());
            self.section = Some(section.to_owned());
        }
        let head = self.line.len();
        for part in [key, "=", value] {
            self.line.extend_from_slice(part.as_bytes());
        }
        let line = std::str::from_utf8(&self.line[head..]).unwrap_or_default();
        // What would be read back as something else: a key with a line break, or one after which another `=` parses.
        let header = line.starts_with('[') && line.ends_with(']');
        if header || line.contains('\n') || split(line) != Some((key, value)) {
            let shown: String = key.escape_debug().take(200).collect();
            let why = format!("the repository format cannot carry the name '{shown}'");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.line.push(b'\n');
        self.sum.add(Item { section, key, value });
        self.out.write_all(&self.line)
    }

    /// Writes a text item.
    pub(in crate::repo) fn string(&mut self, section: &str, key: &str, text: &str) -> io::Result<()> {
        let mut value = Vec::new();
        write_string(text, &mut value);
        self.item(section, key, &String::from_utf8_lossy(&value))
    }

    /// Writes the checksum and hands back where it was all written to.
    pub(in crate::repo) fn finish(mut self) -> io::Result<W> {
        let checksum = self.sum.finish();
        write!(self.out, "\n[backrest]\nbackrest-checksum=\"{checksum}\"\n")?;
        Ok(self.out)
    }
}
