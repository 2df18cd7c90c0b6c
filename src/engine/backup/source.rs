//! A file of the cluster as it is read for the backup: as far as it was long when it was looked at, its pages checked on
//! the way.
//!
//! Relations are read up to the size seen, because replay makes what comes after, and to the end of a page that was just
//! being added; other files are read to their end.
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
        let mut path = places.path_of(file);
        // What a standby does not have, yet or any more, is gone only if the primary does not have it either.
        if file.relation_like && places.relations != places.primary && !path.exists() {
            path = real_path(places.primary, &file.name);
        }
        let content = if &*file.name == CONTROL_NAME {
            Content::Control(Cursor::new(control::image(places.primary)?.0))
        } else {
            match open_plain(&path) {
                Ok(Some(file)) => Content::File(file),
                Ok(None) => return Ok(None),
                Err(error) => return Err(BackupError::io("open", &path)(error)),
            }
        };
        let pages = pages.filter(|_| file.page_checked);
        let page_bytes = pages.map_or(1, |pages| u64::from(pages.page_bytes));
        let whole_pages = file.size_bytes.checked_next_multiple_of(page_bytes).unwrap_or(file.size_bytes);
        let left_bytes = if file.relation_like { whole_pages } else { u64::MAX };
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
            let file = File::from(file);
            if file.metadata()?.is_file() {
                return Ok(Some(file));
            }
            Err(io::Error::other("something else than a plain file has taken its place"))
        }
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::backup::scan::OwnerId;

    /// What is read of a relation file of so many bytes that had `seen` when it was listed, and its suspect pages.
    fn read(bytes: usize, seen: u64) -> (usize, usize) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("base/5")).unwrap();
        std::fs::write(dir.path().join("base/5/16384"), vec![0; bytes]).unwrap();
        let file = ScanFile {
            name: "pg_data/base/5/16384".into(),
            size_bytes: seen,
            modified_s: 0,
            mode: 0o600,
            owner: OwnerId::default(),
            page_checked: true,
            relation_like: true,
        };
        let places = Places { primary: dir.path(), relations: dir.path() };
        let options = PageOptions { page_bytes: 8192, header_check: true };
        let mut source = Source::open(&file, &places, Some(options)).unwrap().unwrap();
        let got = source.fill(&mut vec![0; 1 << 20]).unwrap();
        (got, source.finish().unwrap().suspects.len())
    }

    #[test]
    fn a_page_that_was_being_added_is_read_whole() {
        assert_eq!(read(5 * 8192, 2 * 8192), (2 * 8192, 0));
        assert_eq!(read(5 * 8192, 2 * 8192 + 4096), (3 * 8192, 0));
        assert_eq!(read(2 * 8192 + 4096, 2 * 8192 + 4096), (2 * 8192 + 4096, 1));
        assert_eq!(read(8192, 5 * 8192), (8192, 0));
    }
}
