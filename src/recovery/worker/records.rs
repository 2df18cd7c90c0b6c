//! Writing `events.jsonl`: one line per record, each written at once and synced before anything goes on.
//!
//! Work is not stopped by a file that takes no more. A record that cannot be written is kept in memory with those
//! after it, all are tried again with every next one and by the worker's clock, and `worker.log` says so. The first
//! record is another matter: nothing is begun that cannot be written down.

use crate::base::{Report, Result, Timestamp};
use crate::model::op::{Record, RecordKind};
use crate::recovery::supervisor::folder::{FILE_MODE, failed};
use crate::recovery::supervisor::reader::Reader;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The records of one operation, for the one process that holds its lock.
#[derive(Debug)]
pub(in crate::recovery) struct Records {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    /// Where the last record that is written ends.
    end: u64,
    /// Number of the last record, written or not.
    seq: u64,
    /// Lines that are not written yet.
    waiting: VecDeque<Vec<u8>>,
    /// The last trouble told.
    told: Option<String>,
}

impl Records {
    /// Opens the file, which may not be there yet, and cuts a torn line at its end. Gives what stands in it, too.
    ///
    /// The caller holds the operation's lock.
    pub(in crate::recovery) fn open(path: &Path) -> Result<(Self, Reader)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let fail = |error: io::Error| failed("open", path, &error);
        let file = options.open(path).map_err(fail)?;
        let mut reader = Reader::default();
        reader.read(path)?;
        file.set_len(reader.offset).map_err(fail)?;
        let inner =
            Inner { file, end: reader.offset, seq: reader.state.seq, waiting: VecDeque::new(), told: None };
        Ok((Self { path: path.to_owned(), inner: Mutex::new(inner) }, reader))
    }

    /// Appends a record; its number.
    pub(in crate::recovery) fn append(&self, kind: RecordKind) -> u64 {
        let mut inner = self.lock();
        inner.push(kind);
        inner.write(&self.path);
        inner.seq
    }

    /// Appends a record and fails if it could not be written.
    pub(in crate::recovery) fn append_or_fail(&self, kind: RecordKind) -> Result<()> {
        let mut inner = self.lock();
        inner.push(kind);
        if inner.write(&self.path) {
            return Ok(());
        }
        let why = inner.told.clone().unwrap_or_default();
        Err(Report::failed(why).hint("make room there or make it writable, then resume"))
    }

    /// Tries again to write what waits; true if nothing waits any more.
    pub(in crate::recovery) fn flush(&self) -> bool {
        self.lock().write(&self.path)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, kind: RecordKind) {
        self.seq += 1;
        let record = Record { seq: self.seq, at: Timestamp::now(), boot_ms: Timestamp::boot_ms(), kind };
        // Plain structures always can be written as JSON.
        let mut line = serde_json::to_vec(&record).unwrap_or_default();
        line.push(b'\n');
        self.waiting.push_back(line);
    }

    /// Writes what waits, line by line: only a line that is not complete is ever cut again.
    fn write(&mut self, path: &Path) -> bool {
        while let Some(line) = self.waiting.front() {
            if let Err(error) = self.file.write_all_at(line, self.end) {
                drop(self.file.set_len(self.end));
                self.tell(format!("cannot write {}: {error}; the work goes on", path.display()));
                return false;
            }
            self.end += line.len() as u64;
            self.waiting.pop_front();
            if let Err(error) = self.file.sync_data() {
                self.tell(format!("cannot sync {}: {error}; the work goes on", path.display()));
            }
        }
        true
    }

    /// Says it in `worker.log`, once.
    fn tell(&mut self, text: String) {
        if self.told.as_ref() != Some(&text) {
            say(&text);
            self.told = Some(text);
        }
    }
}

/// Prints a line for `worker.log`; the log itself may be what cannot be written.
pub(super) fn say(text: &str) {
    drop(writeln!(io::stderr().lock(), "{} {text}", Timestamp::now()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::op::Event;

    fn warning(text: &str) -> RecordKind {
        RecordKind::Event(Event::Warning { text: text.to_owned() })
    }

    #[test]
    fn a_torn_tail_is_cut_and_the_numbers_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (records, _) = Records::open(&path).unwrap();
        assert_eq!((records.append(warning("a")), records.append(warning("b"))), (1, 2));
        drop(records);
        let whole = std::fs::read(&path).unwrap();
        for torn in [&b"{"[..], &b"\0\0\0"[..], &whole[..whole.len() / 2 - 3]] {
            std::fs::write(&path, [&whole[..], torn].concat()).unwrap();
            let (records, reader) = Records::open(&path).unwrap();
            assert_eq!((reader.state.seq, std::fs::read(&path).unwrap()), (2, whole.clone()));
            assert_eq!(records.append(warning("c")), 3);
            assert!(std::fs::read(&path).unwrap().starts_with(&whole));
        }
    }

    #[test]
    fn a_file_that_takes_no_more_loses_nothing() {
        // Every write to this device fails with "no space left".
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let inner = Inner { file, end: 0, seq: 0, waiting: VecDeque::new(), told: None };
        let records = Records { path: path.clone(), inner: Mutex::new(inner) };
        assert_eq!((records.append(warning("a")), records.append(warning("b"))), (1, 2));
        assert!(!records.flush());
        assert!(records.append_or_fail(warning("c")).unwrap_err().headline.contains("cannot write"));
        records.lock().file = File::create(&path).unwrap();
        assert!(records.flush());
        let mut reader = Reader::default();
        reader.read(&path).unwrap();
        assert_eq!((reader.state.seq, reader.state.warnings.len()), (3, 3));
    }
}
