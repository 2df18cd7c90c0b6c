//! Where repositories live: one small synchronous trait and its drivers.
//!
//! Paths are relative to the store's root, `/`-separated, and checked by [`StorePath`] so that no name from a
//! repository can lead out of it. `create` is atomic by contract: an object exists only after `commit`.
//! This room never looks inside an object.

pub mod memory;
pub mod path;
pub mod posix;
pub mod wrap;

use crate::base::{Kind, Report, Timestamp};
pub use path::StorePath;
use std::fmt;
use std::io::{Read, Write};

/// What an entry of a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file or object.
    File,
    /// A folder (posix only; object stores have none).
    Folder,
    /// A symbolic link and where it points, as written.
    Link(String),
}

/// What a store tells about an entry without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// File, folder or link.
    pub kind: EntryKind,
    /// Stored bytes; 0 for folders and links.
    pub size_bytes: u64,
    /// When it was last written.
    pub modified: Timestamp,
}

/// An entry of a listing: the name inside the listed folder and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The last path component.
    pub name: String,
    /// What it is.
    pub meta: Meta,
}

/// Which bytes of an object to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// From the first to the last byte.
    Whole,
    /// `length` bytes from `offset`; an object that ends earlier gives a short read, which the caller must notice.
    Part {
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
    },
}

/// What went wrong, sorted by what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The object is not there. Only this one means absence.
    Missing,
    /// Access is refused.
    Denied,
    /// The store cannot be reached or is failing; a retry may help.
    Unreachable,
    /// The path is not one a repository may use.
    BadPath,
    /// No space left.
    Full,
    /// Anything else.
    Other,
}

/// A store's failure: what, on which path of which store, why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {doing} '{path}' in {store}: {why}")]
pub struct StoreError {
    /// What kind of failure.
    pub kind: StoreErrorKind,
    /// The verb: "read", "list", …
    pub doing: &'static str,
    /// The store, as [`Storage::describe`] names it.
    pub store: String,
    /// The path inside the store.
    pub path: String,
    /// The cause.
    pub why: String,
}

impl StoreError {
    /// True if the object simply does not exist.
    pub fn is_missing(&self) -> bool {
        self.kind == StoreErrorKind::Missing
    }

    /// Sorts an operating-system error into the kinds callers act on.
    pub fn from_io(doing: &'static str, store: String, path: &StorePath, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound | Io::NotADirectory => StoreErrorKind::Missing,
            Io::PermissionDenied => StoreErrorKind::Denied,
            Io::StorageFull | Io::QuotaExceeded => StoreErrorKind::Full,
            Io::TimedOut | Io::StaleNetworkFileHandle | Io::HostUnreachable | Io::NetworkDown => {
                StoreErrorKind::Unreachable
            }
            _ => StoreErrorKind::Other,
        };
        Self { kind, doing, store, path: path.to_string(), why: error.to_string() }
    }
}

impl From<StoreError> for Report {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind {
            StoreErrorKind::Missing | StoreErrorKind::BadPath => Kind::Damaged,
            StoreErrorKind::Denied | StoreErrorKind::Unreachable => Kind::Unreachable,
            StoreErrorKind::Full | StoreErrorKind::Other => Kind::Failed,
        };
        let hint = match error.kind {
            StoreErrorKind::Missing => {
                "check that this repository is complete and the path in the configuration is right"
            }
            StoreErrorKind::Denied => "run as the user that owns the repository, or correct its permissions",
            StoreErrorKind::Unreachable => "check the mount or the network, then run the same command again",
            StoreErrorKind::BadPath => {
                "the repository names a path it must not; treat it as damaged or hostile"
            }
            StoreErrorKind::Full => "make room on that filesystem and run the same command again",
            StoreErrorKind::Other => "see the system's log for that device",
        };
        Self::new(kind, error.to_string()).hint(hint)
    }
}

/// The result of a store's operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// A store of objects.
pub trait Storage: fmt::Debug + Send + Sync {
    /// The store in the operator's words, for example `repo1 (/var/lib/pgbackrest)`; never a secret.
    fn describe(&self) -> String;
    /// What stands at `path` (links are not followed), or nothing.
    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>>;
    /// Visits every entry directly inside `folder`, in no order; a missing folder has none. The visitor returns
    /// false to stop early.
    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()>;
    /// The same for entries whose names begin with `prefix`: cheaper where a store can choose, since the others are not
    /// even looked at.
    fn list_prefix(
        &self,
        folder: &StorePath,
        prefix: &str,
        visit: &mut dyn FnMut(Entry) -> bool,
    ) -> StoreResult<()> {
        self.list(folder, &mut |entry| !entry.name.starts_with(prefix) || visit(entry))
    }
    /// Opens an object for reading.
    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn Read + Send>>;
    /// Begins an object that exists only once it is committed; folders on the way are made.
    fn create(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>>;
    /// Removes an object; one that is not there is no error.
    fn remove(&self, path: &StorePath) -> StoreResult<()>;
    /// Removes a folder with everything in it; one that is not there is no error.
    fn remove_folder(&self, folder: &StorePath) -> StoreResult<()>;

    /// As [`create`](Self::create), for one of many objects of a tree: their names are durable only after
    /// [`settle`](Self::settle) of a folder above them.
    fn create_in_tree(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>> {
        self.create(path)
    }
    /// Makes the names of everything below `folder` durable.
    fn settle(&self, _folder: &StorePath) -> StoreResult<()> {
        Ok(())
    }
    /// Makes an empty folder, where the store has folders.
    fn make_folder(&self, _folder: &StorePath) -> StoreResult<()> {
        Ok(())
    }
    /// Makes `folder` if it is not there, and its name and those of all folders above it durable, where the store has
    /// folders.
    fn anchor(&self, _folder: &StorePath) -> StoreResult<()> {
        Ok(())
    }
    /// Lets the symbolic link `path` point to `destination`, replacing it; false where the store has no links.
    fn point(&self, _path: &StorePath, _destination: &str) -> StoreResult<bool> {
        Ok(false)
    }
    /// Gives the object `existing` the second name `path`; false where the store cannot.
    fn hard_link(&self, _existing: &StorePath, _path: &StorePath) -> StoreResult<bool> {
        Ok(false)
    }
}

/// An object being written; dropped without [`commit`](PendingObject::commit), nothing was written.
pub trait PendingObject: Write + Send {
    /// Makes the object durable and visible under its name.
    fn commit(self: Box<Self>) -> StoreResult<Meta>;
}

/// Writes a whole small object.
pub fn write_small(storage: &dyn Storage, path: &StorePath, content: &[u8]) -> StoreResult<Meta> {
    let mut pending = storage.create(path)?;
    pending
        .write_all(content)
        .map_err(|error| StoreError::from_io("write", storage.describe(), path, &error))?;
    pending.commit()
}

/// The sorted entries directly inside `folder`; a missing folder is empty.
pub fn list_sorted(storage: &dyn Storage, folder: &StorePath) -> StoreResult<Vec<Entry>> {
    let mut entries = Vec::new();
    storage.list(folder, &mut |entry| {
        entries.push(entry);
        true
    })?;
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// The whole of a small object; one longer than `limit_bytes` is refused, so that a lying store cannot fill memory.
pub fn read_small(storage: &dyn Storage, path: &StorePath, limit_bytes: u64) -> StoreResult<Vec<u8>> {
    let fail = |why: String| StoreError {
        kind: StoreErrorKind::Other,
        doing: "read",
        store: storage.describe(),
        path: path.to_string(),
        why,
    };
    let mut content = Vec::new();
    let reader = storage.open(path, Range::Whole)?;
    reader
        .take(limit_bytes + 1)
        .read_to_end(&mut content)
        .map_err(|error| StoreError::from_io("read", storage.describe(), path, &error))?;
    if content.len() as u64 > limit_bytes {
        return Err(fail(format!("longer than the {limit_bytes} bytes allowed for such a file")));
    }
    Ok(content)
}
