//! The posix driver: a folder of this host or of a mounted filesystem.
//!
//! Objects are written beside their name and renamed, then file and folder are synced. Modes are pgBackRest's:
//! files 0640, folders 0750. Symbolic links inside the repository are reported, never followed for listing.

use super::{Entry, EntryKind, Meta, PendingObject, Range, Storage, StoreError, StorePath, StoreResult};
use crate::base::{Timestamp, files};
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
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
        PendingFile::begin(self, path, true)
    }

    fn create_in_tree(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>> {
        PendingFile::begin(self, path, false)
    }

    fn remove(&self, path: &StorePath) -> StoreResult<()> {
        match std::fs::remove_file(self.full(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.error("remove", path, &error)),
            _ => Ok(()),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a tree inside the repository's own root, by a checked path"
    )]
    fn remove_folder(&self, folder: &StorePath) -> StoreResult<()> {
        let fail = |error: io::Error| self.error("remove", folder, &error);
        if folder.as_str().is_empty() {
            return Err(fail(io::Error::other("the root of a store is not removed")));
        }
        let full = self.full(folder);
        match std::fs::remove_dir_all(&full) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(fail(error)),
            Ok(()) => files::sync_folder_of(&full).map_err(fail),
        }
    }

    fn settle(&self, folder: &StorePath) -> StoreResult<()> {
        let full = self.full(folder);
        sync_folders(&full)
            .and_then(|()| files::sync_folder_of(&full))
            .map_err(|error| self.error("sync", folder, &error))
    }

    fn make_folder(&self, folder: &StorePath) -> StoreResult<()> {
        make_folders(&self.full(folder)).map_err(|error| self.error("make", folder, &error))
    }

    fn anchor(&self, folder: &StorePath) -> StoreResult<()> {
        let fail = |error| self.error("make", folder, &error);
        make_folders(&self.full(folder)).map_err(fail)?;
        let mut at = folder.clone();
        while !at.as_str().is_empty() {
            files::sync_folder(&self.full(&at)).map_err(fail)?;
            at = at.parent();
        }
        files::sync_folder(&self.root).map_err(fail)
    }

    fn point(&self, path: &StorePath, destination: &str) -> StoreResult<bool> {
        let full = self.full(path);
        let temporary = temporary_of(&full);
        let replace = || {
            match std::fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            std::os::unix::fs::symlink(destination, &temporary)?;
            std::fs::rename(&temporary, &full)?;
            files::sync_folder_of(&full)
        };
        match replace() {
            Ok(()) => Ok(true),
            // A mounted share without links.
            Err(error) if matches!(error.raw_os_error(), Some(EPERM | EOPNOTSUPP)) => Ok(false),
            Err(error) => Err(self.error("link", path, &error)),
        }
    }

    fn hard_link(&self, existing: &StorePath, path: &StorePath) -> StoreResult<bool> {
        let full = self.full(path);
        let link = || {
            full.parent().map_or(Ok(()), make_folders)?;
            std::fs::hard_link(self.full(existing), &full)
        };
        match link() {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(EPERM | EOPNOTSUPP)) => Ok(false),
            Err(error) => Err(self.error("link", path, &error)),
        }
    }
}

const EPERM: i32 = rustix::io::Errno::PERM.raw_os_error();
const EOPNOTSUPP: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();

fn make_folders(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(folder)
}

/// Syncs every folder of a tree, the deepest first.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    files::sync_folder(folder)
}

/// Not the name pgBackRest writes to: it locks nothing, and where both put the same segment into an archive at once, for
/// example while one takes over from the other, one file would be made of two.
fn temporary_of(full: &Path) -> PathBuf {
    let mut temporary = full.as_os_str().to_owned();
    temporary.push(".pgmayday.pgbackrest.tmp");
    temporary.into()
}

/// A file under its temporary name.
struct PendingFile {
    file: File,
    temporary: PathBuf,
    full: PathBuf,
    path: StorePath,
    store: String,
    /// Its name is made durable by the commit, too.
    sync_name: bool,
    done: bool,
}

impl PendingFile {
    fn begin(store: &Posix, path: &StorePath, sync_name: bool) -> StoreResult<Box<dyn PendingObject>> {
        let full = store.full(path);
        let temporary = temporary_of(&full);
        let open = || {
            full.parent().map_or(Ok(()), make_folders)?;
            open_locked(&temporary)
        };
        let file = open().map_err(|error| store.error("write", path, &error))?;
        let (path, store) = (path.clone(), store.name.clone());
        Ok(Box::new(Self { file, temporary, full, path, store, sync_name, done: false }))
    }
}

/// Opens a temporary file that nobody else writes: two writers of one name, for example a pusher that outlived its
/// server, would make one file of two.
fn open_locked(temporary: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(temporary)?;
        // Any other failure is that of a share that knows no locks.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process is writing it now"));
        }
        // The one who held the lock may have renamed it meanwhile: what is open is then the finished object.
        let same = match std::fs::symlink_metadata(temporary) {
            Ok(now) => {
                let ours = file.metadata()?;
                (ours.ino(), ours.dev()) == (now.ino(), now.dev())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if same {
            file.set_len(0)?;
            return Ok(file);
        }
    }
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
            if self.sync_name {
                files::sync_folder_of(&self.full)?;
            }
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
            store.settle(&StorePath::new("a").unwrap()).unwrap();
            store.remove_folder(&StorePath::new("a").unwrap()).unwrap();
            store.remove_folder(&StorePath::new("a").unwrap()).unwrap();
            assert!(names("", "").is_empty());
        }
    }

    #[test]
    fn an_anchored_folder_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Posix::new(dir.path(), "repo1");
        let folder = StorePath::new("archive/main/15-1/0000000100000000").unwrap();
        for _ in 0..2 {
            store.anchor(&folder).unwrap();
            assert!(dir.path().join(folder.as_str()).is_dir());
        }
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(store.anchor(&StorePath::new("file/below").unwrap()).is_err());
        let read_only = crate::store::wrap::ReadOnly(store);
        assert!(read_only.anchor(&folder).is_err());
    }

    #[test]
    fn two_writers_never_make_one_object() {
        let dir = tempfile::tempdir().unwrap();
        let (store, path) = (Posix::new(dir.path(), "repo1"), StorePath::new("a/x").unwrap());
        let mut first = store.create(&path).unwrap();
        first.write_all(b"first").unwrap();
        let refused = store.create(&path).map(drop).unwrap_err();
        assert!(refused.why.contains("another process"), "{refused}");
        first.commit().unwrap();
        // A left-over of a killed writer is used anew; the finished object is not touched by that.
        std::fs::write(temporary_of(&dir.path().join("a/x")), "left over, and longer").unwrap();
        let mut second = store.create(&path).unwrap();
        second.write_all(b"2nd").unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/x")).unwrap(), b"first");
        second.commit().unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/x")).unwrap(), b"2nd");
        drop(store.create(&path).unwrap());
        assert_eq!(std::fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn pgbackrest_writing_the_same_object_is_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let (store, path) = (Posix::new(dir.path(), "repo1"), StorePath::new("a/x").unwrap());
        let mut ours = store.create(&path).unwrap();
        ours.write_all(b"0123").unwrap();
        // As pgBackRest opens it: made or emptied, no lock asked for.
        let mut theirs = File::create(dir.path().join("a/x.pgbackrest.tmp")).unwrap();
        theirs.write_all(b"ab").unwrap();
        ours.write_all(b"4567").unwrap();
        ours.commit().unwrap();
        theirs.write_all(b"cdefghijkl").unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/x")).unwrap(), b"01234567");
        assert_eq!(std::fs::read(dir.path().join("a/x.pgbackrest.tmp")).unwrap(), b"abcdefghijkl");
    }

    #[test]
    fn links_are_replaced_and_names_shared() {
        let dir = tempfile::tempdir().unwrap();
        let store = Posix::new(dir.path(), "repo1");
        let at = |name: &str| StorePath::new(name).unwrap();
        for label in ["one", "two"] {
            assert!(store.point(&at("latest"), label).unwrap());
            assert_eq!(std::fs::read_link(dir.path().join("latest")).unwrap(), Path::new(label));
        }
        super::super::write_small(&store, &at("one/f"), b"content").unwrap();
        assert!(store.hard_link(&at("one/f"), &at("two/deep/f")).unwrap());
        assert_eq!(std::fs::read(dir.path().join("two/deep/f")).unwrap(), b"content");
        store.remove_folder(&StorePath::new("").unwrap()).unwrap_err();
    }
}
