//! One stored object while it is written: made when its first byte comes, kept only if it is committed.

use crate::base::Result;
use crate::codec::{Hasher, Sha1Hash};
use crate::store::{PendingObject, Storage, StorePath};
use std::io::{self, Write};

/// An object of the backup.
pub(super) struct Object<'a> {
    storage: &'a dyn Storage,
    path: StorePath,
    pending: Option<Box<dyn PendingObject>>,
    /// Where the next byte goes.
    at: u64,
}

impl<'a> Object<'a> {
    pub(super) fn new(storage: &'a dyn Storage, path: StorePath) -> Self {
        Self { storage, path, pending: None, at: 0 }
    }

    /// Where the next byte goes.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Its path in the store.
    pub(super) fn path(&self) -> &StorePath {
        &self.path
    }

    /// Begins it although nothing may be written: an empty object.
    pub(super) fn begin(&mut self) -> Result<()> {
        if self.pending.is_none() {
            self.pending = Some(self.storage.create_in_tree(&self.path)?);
        }
        Ok(())
    }

    /// Keeps it, if it was begun; its name is durable once the tree is settled.
    pub(super) fn commit(self) -> Result<()> {
        if let Some(pending) = self.pending {
            pending.commit()?;
        }
        Ok(())
    }
}

impl Write for Object<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let pending = match &mut self.pending {
            Some(pending) => pending,
            none => none.insert(self.storage.create_in_tree(&self.path).map_err(|error| {
                let kind = match error.kind {
                    crate::store::StoreErrorKind::Full => io::ErrorKind::StorageFull,
                    crate::store::StoreErrorKind::Denied => io::ErrorKind::PermissionDenied,
                    _ => io::ErrorKind::Other,
                };
                io::Error::new(kind, error)
            })?),
        };
        let written = pending.write(bytes)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes what several streams write into one object, as one stored form.
pub(super) struct Hashing<'a, 'b> {
    object: &'a mut Object<'b>,
    hasher: Hasher,
    bytes: u64,
}

impl<'a, 'b> Hashing<'a, 'b> {
    pub(super) fn new(object: &'a mut Object<'b>) -> Self {
        Self { object, hasher: Hasher::new(), bytes: 0 }
    }

    /// Where the next byte goes in the object.
    pub(super) fn at(&self) -> u64 {
        self.object.at()
    }

    /// How much was written and its SHA-1.
    pub(super) fn finish(self) -> (u64, Sha1Hash) {
        (self.bytes, self.hasher.finish())
    }
}

impl Write for Hashing<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.object.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
