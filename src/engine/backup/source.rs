//! A file of the cluster as it is read for the backup: as far as it was long when it was looked at, its pages checked on
//! the way.
//!
//! Relations are read up to the size seen, because replay makes what comes after; other files are read to their end.
//! Files vanish while a server runs: that is no error. Nothing here writes.

use super::compare::CONTROL_NAME;
use super::control;
use super::error::BackupError;
use super::pages::{PageChecker, PageScan, SEGMENT_BYTES, first_block};
use super::scan::{ScanFile, real_path};
use std::fs::File;
use std::io::{self, Cursor, Read as _};
use std::path::{Path, PathBuf};

/// From where the files of a backup are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    /// The primary's data directory.
    pub(super) primary: &'a Path,
    /// The data directory relations are read from; the primary's, or a standby's.
    pub(super) relations: &'a Path,
}

impl Places<'_> {
    /// Where a file is read.
    pub(super) fn path_of(&self, file: &ScanFile) -> PathBuf {
        let folder = if file.relation_like { self.relations } else { self.primary };
        real_path(folder, &file.name)
    }
}

/// How pages are checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageOptions {
    pub(super) page_bytes: u32,
    pub(super) header_check: bool,
}

/// An open file.
pub(super) struct Source {
    content: Content,
    left_bytes: u64,
    checker: Option<PageChecker>,
    /// The first page's number in its relation.
    pub(super) first_block: u32,
    pub(super) path: PathBuf,
}

enum Content {
    File(File),
    Control(Cursor<Vec<u8>>),
}

impl Source {
    /// Opens a file; nothing if it is gone.
    pub(super) fn open(
        file: &ScanFile,
        places: &Places<'_>,
        pages: Option<PageOptions>,
    ) -> Result<Option<Self>, BackupError> {
        let path = places.path_of(file);
        let content = if &*file.name == CONTROL_NAME {
            Content::Control(Cursor::new(control::image(places.primary)?.0))
        } else {
            match open_plain(&path) {
                Ok(Some(file)) => Content::File(file),
                Ok(None) => return Ok(None),
                Err(error) => return Err(BackupError::io("open", &path)(error)),
            }
        };
        let left_bytes = if file.relation_like { file.size_bytes } else { u64::MAX };
        let pages = pages.filter(|_| file.page_checked);
        let first_block = pages.map_or(0, |pages| first_block(&file.name, pages.page_bytes, SEGMENT_BYTES));
        let checker = pages
            .map(|pages| PageChecker::new(pages.page_bytes, first_block, pages.header_check))
            .transpose()?;
        Ok(Some(Self { content, left_bytes, checker, first_block, path }))
    }

    /// Fills `buffer` as far as the file goes; fewer bytes than asked for means its end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, BackupError> {
        let wanted = buffer.len().min(usize::try_from(self.left_bytes).unwrap_or(usize::MAX));
        let mut filled = 0;
        while filled < wanted {
            let got = match &mut self.content {
                Content::File(file) => file.read(&mut buffer[filled..wanted]),
                Content::Control(bytes) => bytes.read(&mut buffer[filled..wanted]),
            };
            match got {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BackupError::io("read", &self.path)(error)),
            }
        }
        self.left_bytes -= filled as u64;
        if let Some(checker) = &mut self.checker {
            checker.update(&buffer[..filled]);
        }
        Ok(filled)
    }

    /// What the pages were like, if they were checked.
    pub(super) fn finish(self) -> Option<PageScan> {
        self.checker.map(PageChecker::finish)
    }
}

/// Opens a plain file without waiting for anybody, such as the other end of a pipe that has taken its place.
fn open_plain(path: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{Mode, OFlags};
    match rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => {
            Ok(Some(File::from(file)).filter(|file| file.metadata().is_ok_and(|meta| meta.is_file())))
        }
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
