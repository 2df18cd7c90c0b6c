//! The posix driver: a folder of this host or of a mounted filesystem.
//!
//! Objects are written beside their name and renamed, then file and folder are synced. Modes are pgBackRest's:
//! files 0640, folders 0750. Symbolic links inside the repository are reported, never followed for listing.

use super::{Entry, EntryKind, Meta, PendingObject, Range, Storage, StoreError, StorePath, StoreResult};
use crate::base::{Timestamp, files};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A repository in a folder.
#[derive(Debug)]
pub struct Posix {
    root: PathBuf,
    name: String,
}

impl Posix {
    /// A store rooted at `root`; `name` is how it is called in messages, for example `repo1`.
    pub fn new(root: impl Into<PathBuf>, name: &str) -> Self {
        let root = root.into();
        let name = format!("{name} ({})", root.display());
        Self { root, name }
    }

    fn full(&self, path: &StorePath) -> PathBuf {
        if path.as_str().is_empty() { self.root.clone() } else { self.root.join(path.as_str()) }
    }

    fn error(&self, doing: &'static str, path: &StorePath, error: &io::Error) -> StoreError {
        StoreError::from_io(doing, self.name.clone(), path, error)
    }
}

fn meta_of(path: &Path, metadata: &Metadata) -> Meta {
    let kind = if metadata.is_symlink() {
        EntryKind::Link(std::fs::read_link(path).unwrap_or_default().to_string_lossy().into_owned())
    } else if metadata.is_dir() {
        EntryKind::Folder
    } else {
        EntryKind::File
    };
    let size_bytes = if kind == EntryKind::File { metadata.len() } else { 0 };
    Meta { kind, size_bytes, modified: Timestamp::from_unix_s(metadata.mtime()) }
}

impl Storage for Posix {
    fn describe(&self) -> String {
        self.name.clone()
    }

    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>> {
        let full = self.full(path);
        match std::fs::symlink_metadata(&full) {
            Ok(metadata) => Ok(Some(meta_of(&full, &metadata))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(self.error("stat", path, &error)),
        }
    }

    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()> {
        self.list_prefix(folder, "", visit)
    }

    fn list_prefix(
        &self,
        folder: &StorePath,
        prefix: &str,
        visit: &mut dyn FnMut(Entry) -> bool,
    ) -> StoreResult<()> {
        let full = self.full(folder);
        let entries = match std::fs::read_dir(&full) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.error("list", folder, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| self.error("list", folder, &error))?;
            // A name that is not UTF-8 cannot come from pgBackRest.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !name.starts_with(prefix) {
                continue;
            }
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(self.error("list", folder, &error)),
            };
            if !visit(Entry { meta: meta_of(&entry.path(), &metadata), name }) {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn Read + Send>> {
        let fail = |error: io::Error| self.error("read", path, &error);
        let mut file = File::open(self.full(path)).map_err(fail)?;
        if file.metadata().map_err(fail)?.is_dir() {
            return Err(fail(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        match range {
            Range::Whole => Ok(Box::new(file)),
            Range::Part { offset, length } => {
                file.seek(SeekFrom::Start(offset)).map_err(fail)?;
                Ok(Box::new(file.take(length)))
            }
        }
    }

    fn create(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>> {
        let fail = |error: io::Error| self.error("write", path, &error);
        let full = self.full(path);
        if let Some(folder) = full.parent() {
            DirBuilder::new().recursive(true).mode(0o750).create(folder).map_err(fail)?;
        }
        let mut temporary = full.clone().into_os_string();
        temporary.push(".pgbackrest.tmp");
        let temporary = PathBuf::from(temporary);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(&temporary)
            .map_err(fail)?;
        Ok(Box::new(PendingFile {
            file,
            temporary,
            full,
            path: path.clone(),
            store: self.name.clone(),
            done: false,
        }))
    }

    fn remove(&self, path: &StorePath) -> StoreResult<()> {
        match std::fs::remove_file(self.full(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.error("remove", path, &error)),
            _ => Ok(()),
        }
    }
}

/// A file under its temporary name.
struct PendingFile {
    file: File,
    temporary: PathBuf,
    full: PathBuf,
    path: StorePath,
    store: String,
    done: bool,
}

impl Write for PendingFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl PendingObject for PendingFile {
    fn commit(mut self: Box<Self>) -> StoreResult<Meta> {
        let finish = || {
            self.file.sync_all()?;
            std::fs::rename(&self.temporary, &self.full)?;
            files::sync_folder_of(&self.full)?;
            Ok(meta_of(&self.full, &self.file.metadata()?))
        };
        let result = finish()
            .map_err(|error: io::Error| StoreError::from_io("write", self.store.clone(), &self.path, &error));
        self.done = result.is_ok();
        result
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.done {
            drop(std::fs::remove_file(&self.temporary));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;

    #[test]
    fn a_prefix_chooses_the_same_entries_in_every_store() {
        let dir = tempfile::tempdir().unwrap();
        let (posix, memory) = (Posix::new(dir.path(), "repo1"), Memory::default());
        let stores: [&dyn Storage; 2] = [&posix, &memory];
        for store in stores {
            for name in ["a/aa", "a/ab", "a/b", "a/aab/x"] {
                let mut pending = store.create(&StorePath::new(name).unwrap()).unwrap();
                pending.write_all(b"x").unwrap();
                pending.commit().unwrap();
            }
            let names = |folder: &str, prefix: &str| {
                let mut names = Vec::new();
                let visit = &mut |entry: Entry| {
                    names.push(entry.name);
                    true
                };
                store.list_prefix(&StorePath::new(folder).unwrap(), prefix, visit).unwrap();
                names.sort();
                names
            };
            assert_eq!(names("a", "aa"), ["aa", "aab"]);
            assert_eq!(names("a", "").len(), 4);
            assert!(names("a", "x").is_empty() && names("none", "a").is_empty());
        }
    }
}
