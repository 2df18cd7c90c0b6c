//! Configuration files: which are read, and their lines.
//!
//! Lookup order and grammar are pgBackRest's. Lines are read one by one within limits, so a file without end or
//! a line without end is an error, not an exhausted memory. A line's content never gets into an error: it may
//! be a secret.

use super::ConfigError;
use crate::base::Secret;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A longer line is refused.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// A larger file is refused.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// One `key=value` of a file.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub file: Arc<Path>,
    pub number: u32,
    pub section: Arc<str>,
    pub key: String,
    pub value: Secret,
}

/// What command line and environment say about the files to read.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--no-config`.
    pub no_config: bool,
    /// `--config-path`.
    pub config_path: Option<PathBuf>,
    /// `--config-include-path`.
    pub include_path: Option<PathBuf>,
}

impl Lookup {
    /// Reads every line of every file that counts, in order.
    ///
    /// A file or folder given by its own option must exist; default ones may be missing. `--config` alone leaves
    /// the include folder out.
    pub(super) fn read(&self, default_dir: &Path) -> Result<Vec<Line>, ConfigError> {
        let mut lines = Vec::new();
        let base = self.config_path.as_deref().unwrap_or(default_dir);
        if let Some(config) = &self.config {
            read_file(config, true, &mut lines)?;
        } else if !self.no_config {
            let found = read_file(&base.join("pgbackrest.conf"), false, &mut lines)?;
            if let (false, true, Some(parent)) = (found, base == default_dir, default_dir.parent()) {
                read_file(&parent.join("pgbackrest.conf"), false, &mut lines)?;
            }
        }
        let told_where = self.config_path.is_some() || self.include_path.is_some();
        if told_where || (self.config.is_none() && !self.no_config) {
            let default = base.join("conf.d");
            let folder = self.include_path.as_deref().unwrap_or(&default);
            for path in conf_files(folder, self.include_path.is_some())? {
                read_file(&path, false, &mut lines)?;
            }
        }
        Ok(lines)
    }
}

/// The `*.conf` files of a folder, sorted by name.
fn conf_files(folder: &Path, required: bool) -> Result<Vec<PathBuf>, ConfigError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if !required && is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(folder, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let name = entry.file_name();
        if name.as_encoded_bytes().strip_suffix(b".conf").is_some_and(|stem| !stem.is_empty()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Appends a file's lines; false if it is missing and need not exist.
fn read_file(path: &Path, required: bool, lines: &mut Vec<Line>) -> Result<bool, ConfigError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if !required && is_missing(&error) => return Ok(false),
        Err(error) => return Err(unreadable(path, &error)),
    };
    parse(path, BufReader::new(file), lines)?;
    Ok(true)
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::Unreadable { path: path.to_owned(), why: error.to_string() }
}

/// Appends the lines of one file.
pub(super) fn parse(path: &Path, mut reader: impl BufRead, lines: &mut Vec<Line>) -> Result<(), ConfigError> {
    let file: Arc<Path> = Arc::from(path);
    let (mut section, mut number, mut total): (Option<Arc<str>>, u32, u64) = (None, 0, 0);
    let mut raw = Vec::new();
    loop {
        raw.clear();
        let mut limited = (&mut reader).take(MAX_LINE_BYTES + 1);
        let read = limited.read_until(b'\n', &mut raw).map_err(|error| unreadable(path, &error))? as u64;
        if read == 0 {
            return Ok(());
        }
        number = number.saturating_add(1);
        total += read;
        let wrong = |why| ConfigError::Syntax { path: path.to_owned(), line: number, why };
        if read > MAX_LINE_BYTES {
            return Err(wrong("the line is longer than 1 MiB"));
        }
        if total > MAX_FILE_BYTES {
            return Err(wrong("the file is larger than 16 MiB"));
        }
        match content(&raw).map_err(wrong)? {
            Content::Nothing => {}
            Content::Section(name) => section = Some(Arc::from(name)),
            Content::Pair(key, value) => {
                let section =
                    section.clone().ok_or_else(|| wrong("the option stands before any [section]"))?;
                let value = Secret::new(value);
                let key = key.to_owned();
                lines.push(Line { file: Arc::clone(&file), number, section, key, value });
            }
        }
    }
}

enum Content<'a> {
    Nothing,
    Section(&'a str),
    Pair(&'a str, &'a str),
}

/// What one line says: trimmed, `#` only at its beginning, first `=` parts key and value.
fn content(raw: &[u8]) -> Result<Content<'_>, &'static str> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let from = raw.iter().position(|byte| !blank(byte)).unwrap_or(raw.len());
    let to = raw.iter().rposition(|byte| !blank(byte)).map_or(from, |last| last + 1);
    let trimmed = &raw[from..to];
    if trimmed.is_empty() || trimmed.starts_with(b"#") {
        return Ok(Content::Nothing);
    }
    if trimmed.starts_with(b"\xEF\xBB\xBF") {
        return Err("the file begins with a byte order mark; save it without one");
    }
    let text = std::str::from_utf8(trimmed).map_err(|_| "the line is not UTF-8")?;
    if text.contains('\0') {
        return Err("the line contains a zero byte");
    }
    if let Some(rest) = text.strip_prefix('[') {
        let name = rest.strip_suffix(']').ok_or("the section does not end with ']'")?;
        return if name.is_empty() { Err("the section has no name") } else { Ok(Content::Section(name)) };
    }
    let (key, value) = text.split_once('=').ok_or("the line has no '='")?;
    let (key, value) = (key.trim_matches(BLANKS), value.trim_matches(BLANKS));
    if key.is_empty() { Err("no option stands before the '='") } else { Ok(Content::Pair(key, value)) }
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

#[cfg(test)]
mod tests;
