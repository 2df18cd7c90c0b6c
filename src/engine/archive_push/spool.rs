//! The status files of asynchronous archiving, exactly as pgBackRest keeps them, so that either program can go on where
//! the other was stopped.
//!
//! `<spool-path>/archive/<stanza>/out/` holds
//!
//! - `<file>.ok`: the file is in every repository; empty, or `0` and a warning on the lines after it. Another number
//!   than 0 says that an operator renamed an error to have the file skipped;
//! - `<file>.error`, `global.error`: a number of pgBackRest's and a message.
//!
//! A name is used again by another cluster, or by the same one after it went back in time, and a status of the file
//! before would then acknowledge a file nobody archived. So an `.ok` of ours bears the modification time of the file
//! it speaks of, to the nanosecond: one that bears another time proves nothing (`Status::Unproven`). Status files are
//! written whole and durable or not at all. Only files of this folder are removed.

use super::PushError;
use super::source::Stamp;
use crate::base::{Timestamp, files};
use crate::engine::archive_get::Wanted;
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, FileTimes, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The most of a status file that is read.
const MOST_BYTES: u64 = 64 * 1024;
/// The most entries of the folder that are looked at for errors.
const MOST_ENTRIES: usize = 100_000;
/// What the name of a status file ends with while it is written.
const TEMPORARY: &str = ".pgbackrest.tmp";
const OK: &str = ".ok";
const ERROR: &str = ".error";
/// In the place of a file's name: the whole run failed.
const GLOBAL: &str = "global";

/// What the status files say that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The first file that failed; nothing if nothing can be archived at all.
    pub file: Option<String>,
    /// Why.
    pub message: String,
    /// When that was tried last.
    pub at: Timestamp,
    /// How many more files failed.
    pub others: usize,
}

/// What failed in the spool of a stanza, the whole run before single files. Makes and changes nothing; a spool that is
/// not there tells of no failure.
pub fn failure(spool_path: &Path, stanza: &str) -> Result<Option<Failure>, PushError> {
    let spool = Spool::at(spool_path, stanza);
    let failed = |source| PushError::Spool { path: spool.folder.clone(), source };
    let entries = match std::fs::read_dir(&spool.folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut names = BTreeSet::new();
    for entry in entries.take(MOST_ENTRIES) {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(ERROR)).map(str::to_owned));
    }
    let whole = names.remove(GLOBAL).then(|| GLOBAL.to_owned());
    let count = names.len();
    for (at, name) in whole.iter().chain(&names).enumerate() {
        // One that went away meanwhile was taken back.
        let Some((content, stamp)) = Spool::read(&spool.path(name, ERROR))? else { continue };
        let message = Content::parse(&content).map_or_else(String::new, |content| content.message);
        let at_us = stamp.modified_s.saturating_mul(1_000_000).saturating_add(stamp.modified_ns / 1000);
        let is_whole = whole.as_ref() == Some(name);
        let others = if is_whole { count } else { (count + whole.iter().len()).saturating_sub(at + 1) };
        let file = (!is_whole).then(|| name.clone());
        return Ok(Some(Failure { file, message, at: Timestamp(at_us), others }));
    }
    Ok(None)
}

/// The status files of one stanza.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// What the spool says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing.
    None,
    /// Just this file is archived, or was dropped with this warning.
    Done(Option<String>),
    /// A file of this name is archived; whether just this one, the repositories must tell.
    Unproven,
    /// An operator wants the file skipped; what the error was.
    Skipped(String),
    /// It failed: a number of pgBackRest's, and the message.
    Failed(u32, String),
}

impl Spool {
    /// The spool of a stanza, made if it is not there.
    pub fn open(spool_path: &Path, stanza: &str) -> Result<Self, PushError> {
        let spool = Self::at(spool_path, stanza);
        match DirBuilder::new().recursive(true).mode(0o750).create(&spool.folder) {
            Ok(()) => Ok(spool),
            Err(source) => Err(PushError::Spool { path: spool.folder, source }),
        }
    }

    fn at(spool_path: &Path, stanza: &str) -> Self {
        Self { folder: spool_path.join("archive").join(stanza).join("out") }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{name}{kind}"))
    }

    /// What is said about a file that was last written at `stamp`.
    pub(super) fn status(&self, file: Wanted, stamp: Stamp) -> Result<Status, PushError> {
        let name = file.to_string();
        if let Some((content, written)) = Self::read(&self.path(&name, OK))? {
            return Ok(match Content::parse(&content) {
                Some(Content { code: 0, message }) if written == stamp => {
                    Status::Done(Some(message).filter(|message| !message.is_empty()))
                }
                // Renaming keeps the time at which the error was written: after the file was.
                Some(Content { code, message }) if code != 0 && stamp.is_before(written) => {
                    Status::Skipped(message)
                }
                _ => Status::Unproven,
            });
        }
        for name in [name.as_str(), GLOBAL] {
            if let Some((content, _)) = Self::read(&self.path(name, ERROR))? {
                let unreadable =
                    || Content { code: 125, message: "its error file cannot be read".to_owned() };
                let Content { code, message } = Content::parse(&content).unwrap_or_else(unreadable);
                return Ok(Status::Failed(code, message));
            }
        }
        Ok(Status::None)
    }

    fn read(path: &Path) -> Result<Option<(Vec<u8>, Stamp)>, PushError> {
        let read = || -> io::Result<_> {
            let file = File::open(path)?;
            let stamp = Stamp::of(&file.metadata()?);
            let mut content = Vec::new();
            file.take(MOST_BYTES).read_to_end(&mut content)?;
            Ok((content, stamp))
        };
        match read() {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PushError::Spool { path: path.to_owned(), source }),
        }
    }

    /// Says that the file that was last written at `stamp` may be acknowledged.
    pub(super) fn put_ok(&self, file: Wanted, stamp: Stamp, warning: &str) -> Result<(), PushError> {
        let content = if warning.is_empty() { String::new() } else { format!("0\n{warning}") };
        self.put(&self.path(&file.to_string(), OK), &content, Some(stamp))
    }

    /// Says that the file, or without one the whole run, failed.
    pub(super) fn put_error(&self, file: Option<Wanted>, code: u32, message: &str) -> Result<(), PushError> {
        let name = file.map_or_else(|| GLOBAL.to_owned(), |file| file.to_string());
        self.put(&self.path(&name, ERROR), &format!("{code}\n{message}"), None)
    }

    fn put(&self, path: &Path, content: &str, stamp: Option<Stamp>) -> Result<(), PushError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(TEMPORARY);
        let temporary = PathBuf::from(temporary);
        let put = || {
            remove(&temporary)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&temporary)?;
            file.write_all(content.as_bytes())?;
            if let Some(stamp) = stamp {
                file.set_times(FileTimes::new().set_modified(stamp.time()?))?;
            }
            file.sync_all()?;
            std::fs::rename(&temporary, path)?;
            files::sync_folder(&self.folder)
        };
        put().map_err(|source| PushError::Spool { path: path.to_owned(), source })
    }

    /// Takes back what was said about a file that is archived.
    pub(super) fn discard_ok(&self, file: Wanted) -> Result<(), PushError> {
        let path = self.path(&file.to_string(), OK);
        remove(&path).map_err(|source| PushError::Spool { path, source })
    }

    /// Takes back what was said to have failed for this file, before it is tried again.
    pub(super) fn clear_errors(&self, file: Wanted) -> Result<(), PushError> {
        for name in [file.to_string().as_str(), GLOBAL] {
            let path = self.path(name, ERROR);
            remove(&path).map_err(|source| PushError::Spool { path, source })?;
        }
        Ok(())
    }

    /// Removes everything but the `.ok` of files that wait; what nobody waits for is of a file of former times.
    pub(super) fn sweep(&self, waiting: &[Wanted]) -> Result<(), PushError> {
        let failed = |source| PushError::Spool { path: self.folder.clone(), source };
        let waiting: BTreeSet<String> = waiting.iter().map(|file| format!("{file}{OK}")).collect();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !entry.file_name().to_str().is_some_and(|name| waiting.contains(name)) {
                remove(&entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Stamp {
    fn time(self) -> io::Result<SystemTime> {
        let seconds = u64::try_from(self.modified_s).map_err(io::Error::other)?;
        let nanos = u32::try_from(self.modified_ns).map_err(io::Error::other)?;
        Ok(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos))
    }

    fn is_before(self, other: Self) -> bool {
        (self.modified_s, self.modified_ns) <= (other.modified_s, other.modified_ns)
    }
}

/// A number and a message; an empty file is 0 and none.
struct Content {
    code: u32,
    message: String,
}

impl Content {
    fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self { code: 0, message: String::new() });
        }
        let (code, message) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        Some(Self { code: code.trim().parse().ok()?, message: message.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { modified_s: 1_795_242_701, modified_ns: 467_172_001 };
    const BEFORE: Stamp = Stamp { modified_s: 1_795_242_701, modified_ns: 467_172_000 };

    fn file(name: &str) -> Wanted {
        Wanted::parse(name).unwrap()
    }

    fn spool(dir: &Path) -> Spool {
        Spool::open(dir, "main").unwrap()
    }

    #[test]
    fn an_ok_counts_for_the_very_file_it_was_written_for() {
        let dir = tempfile::tempdir().unwrap();
        let spool = spool(dir.path());
        assert_eq!(spool.folder(), dir.path().join("archive/main/out"));
        let segment = file("00000001000000000000000A");
        let status = |stamp| spool.status(segment, stamp).unwrap();
        assert_eq!(status(STAMP), Status::None);
        spool.put_ok(segment, STAMP, "").unwrap();
        assert_eq!(std::fs::read(spool.folder().join("00000001000000000000000A.ok")).unwrap(), b"");
        assert_eq!((status(STAMP), status(BEFORE)), (Status::Done(None), Status::Unproven));
        spool.put_ok(segment, STAMP, "was there\nbefore").unwrap();
        assert_eq!(status(STAMP), Status::Done(Some("was there\nbefore".to_owned())));
        assert_eq!(std::fs::read_dir(spool.folder()).unwrap().count(), 1, "a temporary file is left");
        spool.discard_ok(segment).unwrap();
        spool.discard_ok(segment).unwrap();
        assert_eq!(status(STAMP), Status::None);
        // As pgBackRest writes it: at the time it was written.
        std::fs::write(spool.folder().join("00000001000000000000000A.ok"), "").unwrap();
        assert_eq!(status(STAMP), Status::Unproven);
    }

    #[test]
    fn errors_are_told_until_they_are_cleared_and_renaming_one_skips_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let spool = spool(dir.path());
        let (one, two) = (file("00000001000000000000000A"), file("00000002.history"));
        spool.put_error(Some(one), 45, "two\nlines").unwrap();
        let at = |name: &str| spool.folder().join(name);
        assert_eq!(std::fs::read(at("00000001000000000000000A.error")).unwrap(), b"45\ntwo\nlines");
        assert_eq!(spool.status(one, STAMP).unwrap(), Status::Failed(45, "two\nlines".to_owned()));
        assert_eq!(spool.status(two, STAMP).unwrap(), Status::None);
        spool.put_error(None, 103, "nothing works").unwrap();
        assert_eq!(spool.status(two, STAMP).unwrap(), Status::Failed(103, "nothing works".to_owned()));
        std::fs::rename(at("00000001000000000000000A.error"), at("00000001000000000000000A.ok")).unwrap();
        assert_eq!(spool.status(one, STAMP).unwrap(), Status::Skipped("two\nlines".to_owned()));
        // A file of this name that was written after the error: nobody wanted that one skipped.
        let later = Stamp { modified_s: i64::from(u32::MAX), modified_ns: 0 };
        assert_eq!(spool.status(one, later).unwrap(), Status::Unproven);
        spool.clear_errors(two).unwrap();
        assert_eq!(spool.status(two, STAMP).unwrap(), Status::None);
        let told = |dir: &Path| failure(dir, "main").unwrap().map(|f| (f.file, f.message, f.others));
        assert_eq!(told(dir.path()), None);
        spool.put_error(Some(two), 45, "why").unwrap();
        spool.put_error(Some(one), 45, "first").unwrap();
        assert_eq!(told(dir.path()), Some((Some(one.to_string()), "first".to_owned(), 1)));
        spool.put_error(None, 103, "nothing works").unwrap();
        assert_eq!(told(dir.path()), Some((None, "nothing works".to_owned(), 2)));
        let other = tempfile::tempdir().unwrap();
        assert_eq!(told(other.path()), None);
        assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0, "looking makes nothing");
        std::fs::write(at("00000002.history.error"), [0xFF]).unwrap();
        assert!(matches!(spool.status(two, STAMP).unwrap(), Status::Failed(125, _)));
    }

    #[test]
    fn only_the_ok_of_what_waits_stays() {
        let dir = tempfile::tempdir().unwrap();
        let spool = spool(dir.path());
        let (waits, gone) = (file("00000001000000000000000A"), file("00000001000000000000000B"));
        for file in [waits, gone] {
            spool.put_ok(file, STAMP, "").unwrap();
            spool.put_error(Some(file), 104, "why").unwrap();
        }
        spool.put_error(None, 104, "why").unwrap();
        std::fs::write(spool.folder().join("00000001000000000000000A.ok.pgbackrest.tmp"), "").unwrap();
        spool.sweep(&[waits]).unwrap();
        let left: Vec<_> =
            std::fs::read_dir(spool.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["00000001000000000000000A.ok"]);
    }
}
