//! Wrappers around a store: one that refuses to write, and one that fails on purpose.

use super::{Entry, Meta, PendingObject, Range, Storage, StoreError, StoreErrorKind, StorePath, StoreResult};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store that can be read only; what a plan and a restore are given.
#[derive(Debug)]
pub struct ReadOnly<S>(pub S);

impl<S: Storage> ReadOnly<S> {
    fn refuse(&self, doing: &'static str, path: &StorePath) -> StoreError {
        StoreError {
            kind: StoreErrorKind::Denied,
            doing,
            store: self.describe(),
            path: path.to_string(),
            why: "this work may only read the repository".to_owned(),
        }
    }
}

impl<S: Storage> Storage for ReadOnly<S> {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>> {
        self.0.stat(path)
    }

    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()> {
        self.0.list(folder, visit)
    }

    fn list_prefix(
        &self,
        folder: &StorePath,
        prefix: &str,
        visit: &mut dyn FnMut(Entry) -> bool,
    ) -> StoreResult<()> {
        self.0.list_prefix(folder, prefix, visit)
    }

    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn Read + Send>> {
        self.0.open(path, range)
    }

    fn create(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>> {
        Err(self.refuse("write", path))
    }

    fn remove(&self, path: &StorePath) -> StoreResult<()> {
        Err(self.refuse("remove", path))
    }

    fn remove_folder(&self, folder: &StorePath) -> StoreResult<()> {
        Err(self.refuse("remove", folder))
    }

    fn settle(&self, folder: &StorePath) -> StoreResult<()> {
        Err(self.refuse("write", folder))
    }

    fn make_folder(&self, folder: &StorePath) -> StoreResult<()> {
        Err(self.refuse("write", folder))
    }

    fn anchor(&self, folder: &StorePath) -> StoreResult<()> {
        Err(self.refuse("write", folder))
    }

    fn point(&self, path: &StorePath, _: &str) -> StoreResult<bool> {
        Err(self.refuse("write", path))
    }

    fn hard_link(&self, _: &StorePath, path: &StorePath) -> StoreResult<bool> {
        Err(self.refuse("write", path))
    }
}

/// How a [`Faulty`] store misbehaves when an object is read.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The `n`th opened object (counted from 1) cannot be reached.
    UnreachableAt(u64),
    /// One bit of the object is flipped: byte offset and mask.
    Flip {
        /// The object.
        path: StorePath,
        /// Which byte of it.
        offset: u64,
        /// The bits to flip.
        mask: u8,
    },
    /// The object ends after this many bytes.
    Truncate {
        /// The object.
        path: StorePath,
        /// Where it ends.
        length: u64,
    },
}

/// A store that fails in one prescribed way; the engine's tests stand on it.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    fault: Fault,
    opened: Arc<AtomicU64>,
}

impl<S: Storage> Faulty<S> {
    /// Wraps `inner` so that it shows `fault`.
    pub fn new(inner: S, fault: Fault) -> Self {
        Self { inner, fault, opened: Arc::default() }
    }
}

impl<S: Storage> Storage for Faulty<S> {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>> {
        self.inner.stat(path)
    }

    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()> {
        self.inner.list(folder, visit)
    }

    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn Read + Send>> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let start = if let Range::Part { offset, .. } = range { offset } else { 0 };
        match &self.fault {
            Fault::UnreachableAt(n) if *n == number => Err(StoreError {
                kind: StoreErrorKind::Unreachable,
                doing: "read",
                store: self.describe(),
                path: path.to_string(),
                why: "the store does not answer".to_owned(),
            }),
            Fault::Flip { path: p, offset, mask } if p == path => Ok(Box::new(Flipping {
                inner: self.inner.open(path, range)?,
                at: start,
                target: *offset,
                mask: *mask,
            })),
            Fault::Truncate { path: p, length } if p == path => {
                Ok(Box::new(self.inner.open(path, range)?.take(length.saturating_sub(start))))
            }
            _ => self.inner.open(path, range),
        }
    }

    fn create(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>> {
        self.inner.create(path)
    }

    fn remove(&self, path: &StorePath) -> StoreResult<()> {
        self.inner.remove(path)
    }

    fn remove_folder(&self, folder: &StorePath) -> StoreResult<()> {
        self.inner.remove_folder(folder)
    }
}

struct Flipping {
    inner: Box<dyn Read + Send>,
    at: u64,
    target: u64,
    mask: u8,
}

impl Read for Flipping {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        if let Some(index) = self.target.checked_sub(self.at).and_then(|i| usize::try_from(i).ok())
            && let Some(byte) = buf[..n].get_mut(index)
        {
            *byte ^= self.mask;
        }
        self.at += n as u64;
        Ok(n)
    }
}
