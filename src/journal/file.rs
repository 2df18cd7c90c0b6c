//! The journal's files: locked, appended to, read. One writer at a time, whatever process it is in.
//!
//! Removes and rewrites nothing but the torn end of an interrupted write, and that only with a record of it.

use super::chain::{Contents, sealed};
use super::head::{HEAD_FILE, Head, Verdict, Witness};
use super::{Entry, Fact, JournalError, Stamp};
use crate::base::Timestamp;
use crate::base::files::{atomic_replace, open_folder, sync_folder_of};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file with the lines.
pub const JOURNAL_FILE: &str = "journal.jsonl";

/// Permissions of the files: the owner writes, the group may read.
const MODE: u32 = 0o640;
/// How long a writer waits for another one.
const WRITER_WAITS: Duration = Duration::from_secs(10);
/// How long a reader does; then it reads without, and may see a write under way as torn.
const READER_WAITS: Duration = Duration::from_secs(1);
/// Between two looks at the lock.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// A journal, by its folder. Holds nothing open between calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// The journal in `folder`, whether it is there or not.
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Begins a journal in a folder that has none.
    pub fn create(folder: &Path) -> Result<Self, JournalError> {
        let journal = Self::at(folder);
        let path = journal.path();
        if path.symlink_metadata().is_ok() {
            return Err(JournalError::io("make", &path)(io::ErrorKind::AlreadyExists.into()));
        }
        // The witness comes first: from the first line on, a journal without one was robbed of it.
        journal
            .replace_head(&Witness::of(Contents::default().end()))
            .map_err(JournalError::io("write", &journal.head_path()))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::open(&path, flags, Mode::from_raw_mode(MODE)).map(File::from);
        made.map_err(io::Error::from)
            .and_then(|file| belong(&file, folder).and_then(|()| file.sync_all()))
            .and_then(|()| sync_folder_of(&path))
            .map_err(JournalError::io("make", &path))?;
        Ok(journal)
    }

    /// The journal that is in `folder`.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let journal = Self::at(folder);
        journal.file(OFlags::RDONLY).map(|_| journal)
    }

    /// True for a folder in which a journal is about to begin, or never came to begin.
    pub fn is_blank(folder: &Path) -> bool {
        let journal = Self::at(folder);
        let bytes = journal.path().symlink_metadata().map(|meta| meta.len());
        let is_missing = matches!(&bytes, Err(error) if error.kind() == io::ErrorKind::NotFound);
        match Head::read(&journal.head_path()) {
            Head::Says(Witness { seq: 0, .. }) => is_missing || bytes.is_ok_and(|bytes| bytes == 0),
            Head::Missing => is_missing,
            _ => false,
        }
    }

    /// The file with the lines.
    pub fn path(&self) -> PathBuf {
        self.folder.join(JOURNAL_FILE)
    }

    fn head_path(&self) -> PathBuf {
        self.folder.join(HEAD_FILE)
    }

    /// Reads everything; a line that makes no sense is told as such.
    pub fn read(&self) -> Result<Contents, JournalError> {
        self.read_with_head().map(|(contents, _)| contents)
    }

    /// The lines and the witness beside them, as they belong together.
    pub(super) fn read_with_head(&self) -> Result<(Contents, Head), JournalError> {
        let file = self.file(OFlags::RDONLY)?;
        let locked = wait(READER_WAITS, || file.try_lock_shared());
        locked.map_err(JournalError::io("lock", &self.path()))?;
        // Without the lock the order counts: what is read first can only be behind.
        let head = Head::read(&self.head_path());
        Ok((Contents::of(&self.bytes(&file)?), head))
    }

    /// Appends a fact with the clocks of now.
    pub fn append(&self, actor: &str, fact: &Fact) -> Result<Entry, JournalError> {
        self.write(None, actor, fact)
    }

    /// Appends a fact with the clocks of whoever saw it happen.
    pub fn append_at(&self, stamp: &Stamp, actor: &str, fact: &Fact) -> Result<Entry, JournalError> {
        self.write(Some(stamp), actor, fact)
    }

    fn write(&self, stamp: Option<&Stamp>, actor: &str, fact: &Fact) -> Result<Entry, JournalError> {
        let path = self.path();
        let file = self.file(OFlags::RDWR)?;
        if !wait(WRITER_WAITS, || file.try_lock()).map_err(JournalError::io("lock", &path))? {
            return Err(JournalError::Busy { path, waited_s: WRITER_WAITS.as_secs() });
        }
        let head = Head::read(&self.head_path());
        let bytes = self.bytes(&file)?;
        let mut contents = Contents::tail_of(&bytes, 2);
        if matches!(head.judge(&contents), Verdict::Contradicts(_)) {
            // It may speak of an earlier line, and of what was told before.
            contents = Contents::of(&bytes);
        }
        // Read under the lock, the clocks go on as the numbers do.
        let stamp = stamp.cloned().unwrap_or_else(Stamp::now);
        let mut pen =
            Pen { file: &file, path: &path, end: Witness::of(contents.end()), at: contents.whole_bytes };
        if tell_what_was_found(&mut pen, &contents, &head, &stamp)? {
            // A failure comes back with the entry's own head, below.
            drop(self.replace_head(&pen.end));
        }
        let entry = pen.line(&stamp, actor, fact)?;
        self.replace_head(&pen.end).map_err(|source| JournalError::Head {
            seq: entry.seq,
            path: self.head_path(),
            source,
        })?;
        Ok(entry)
    }

    fn file(&self, access: OFlags) -> Result<File, JournalError> {
        let path = self.path();
        let doing = if access == OFlags::RDONLY { "read" } else { "append to" };
        open_plain(&path, access).map_err(JournalError::io(doing, &path))
    }

    fn bytes(&self, mut file: &File) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(JournalError::io("read", &self.path()))?;
        Ok(bytes)
    }

    fn replace_head(&self, end: &Witness) -> io::Result<()> {
        let path = self.head_path();
        atomic_replace(&path, format!("{end}\n").as_bytes(), MODE)?;
        let file = open_plain(&path, OFlags::RDONLY)?;
        // Never given away: a file that somebody else has put there by another name of it.
        if file.metadata()?.nlink() == 1 { belong(&file, &self.folder) } else { Ok(()) }
    }
}

/// Who tells of what was found in the journal itself.
const JOURNALIST: &str = "journal";

/// Where the next line goes.
struct Pen<'a> {
    file: &'a File,
    path: &'a Path,
    end: Witness,
    at: u64,
}

impl Pen<'_> {
    /// Writes one line at once and makes it durable.
    fn line(&mut self, stamp: &Stamp, actor: &str, fact: &Fact) -> Result<Entry, JournalError> {
        let (entry, line) = sealed((self.end.seq, &self.end.hash), stamp, actor, fact)
            .map_err(|error| JournalError::Form { path: self.path.to_owned(), why: error.to_string() })?;
        self.put(line.as_bytes()).map_err(JournalError::io("append to", self.path))?;
        self.at += line.len() as u64;
        self.end = Witness::of((entry.seq, &entry.hash));
        Ok(entry)
    }

    fn put(&self, line: &[u8]) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        if let Err(error) = self.file.write_all_at(line, self.at) {
            // Half a line has no line feed: if it stays, the next writer cuts it and tells.
            drop(self.file.set_len(before));
            return Err(error);
        }
        // A torn end that is longer than the line that tells of it loses its rest only now: a crash before this
        // leaves a torn end again, never a silence.
        let end = self.at + line.len() as u64;
        if before > end {
            self.file.set_len(end)?;
        }
        self.file.sync_all()
    }
}

/// Opens a regular file: never through a link, never waiting for the other end of a pipe.
pub(super) fn open_plain(path: &Path, access: OFlags) -> io::Result<File> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(wrong()),
        Err(error) => return Err(error.into()),
    };
    let is_file = file.metadata()?.is_file();
    if is_file { Ok(file) } else { Err(wrong()) }
}

/// Puts down a torn end and a head that contradicts the journal; true if the head is to be brought up to date.
fn tell_what_was_found(
    pen: &mut Pen<'_>,
    contents: &Contents,
    head: &Head,
    stamp: &Stamp,
) -> Result<bool, JournalError> {
    if let Some(torn) = &contents.torn {
        pen.line(stamp, JOURNALIST, &Fact::Cut { bytes: torn.bytes, sha256: torn.sha256.clone() })?;
    }
    // Nothing replaces the old head before the contradiction is on disk.
    match head.judge(contents) {
        Verdict::Proves { behind, .. } => Ok(behind > 0 || contents.torn.is_some()),
        Verdict::Contradicts(text) => {
            if !head.is_told(&text, contents) {
                pen.line(stamp, JOURNALIST, &Fact::Damaged { text })?;
            }
            Ok(true)
        }
    }
}

/// Tries until the lock is had or the time is over; true if it is had.
fn wait(limit: Duration, lock: impl Fn() -> Result<(), TryLockError>) -> io::Result<bool> {
    let begin_ms = Timestamp::boot_ms();
    loop {
        match lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        if u128::from(Timestamp::boot_ms().saturating_sub(begin_ms)) >= limit.as_millis() {
            return Ok(false);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// Gives a folder that root made to the owner of the folder it is in, who is to go on with it.
pub fn adopt(folder: &Path) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    open_folder(folder).and_then(|file| belong(&file, parent))
}

/// What root makes belongs to the folder's owner, who is to go on with it.
fn belong(file: &File, folder: &Path) -> io::Result<()> {
    let (here, there) = (file.metadata()?, std::fs::metadata(folder)?);
    if rustix::process::geteuid().is_root() && (here.uid(), here.gid()) != (there.uid(), there.gid()) {
        std::os::unix::fs::fchown(file, Some(there.uid()), Some(there.gid()))?;
    }
    Ok(())
}
