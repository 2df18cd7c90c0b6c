//! A store in memory, for tests and for reading copies of small trees.
//!
//! Has no folders of its own: a folder exists while an object stands below it, as in an object store.

use super::{
    Entry, EntryKind, Meta, PendingObject, Range, Storage, StoreError, StoreErrorKind, StorePath, StoreResult,
};
use crate::base::Timestamp;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

type Object = (Arc<[u8]>, Timestamp);
type Tree = BTreeMap<String, Object>;

/// A store of objects held in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    objects: Arc<Mutex<Tree>>,
}

impl Memory {
    /// Puts an object, replacing what was there.
    pub fn put(&self, path: &StorePath, content: &[u8]) {
        self.lock().insert(path.as_str().to_owned(), (content.into(), Timestamp::now()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tree> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file_meta(content: &[u8], modified: Timestamp) -> Meta {
    Meta { kind: EntryKind::File, size_bytes: content.len() as u64, modified }
}

fn folder_meta(modified: Timestamp) -> Meta {
    Meta { kind: EntryKind::Folder, size_bytes: 0, modified }
}

fn prefix_of(folder: &StorePath) -> String {
    if folder.as_str().is_empty() { String::new() } else { format!("{}/", folder.as_str()) }
}

impl Storage for Memory {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn stat(&self, path: &StorePath) -> StoreResult<Option<Meta>> {
        let objects = self.lock();
        if let Some((content, modified)) = objects.get(path.as_str()) {
            return Ok(Some(file_meta(content, *modified)));
        }
        let prefix = prefix_of(path);
        let below = objects.range(prefix.clone()..).next().filter(|(name, _)| name.starts_with(&prefix));
        Ok(below.map(|(_, (_, modified))| folder_meta(*modified)))
    }

    fn list(&self, folder: &StorePath, visit: &mut dyn FnMut(Entry) -> bool) -> StoreResult<()> {
        let prefix = prefix_of(folder);
        let objects = self.lock().clone();
        let mut last = String::new();
        for (name, (content, modified)) in
            objects.range(prefix.clone()..).take_while(|(n, _)| n.starts_with(&prefix))
        {
            let below = &name[prefix.len()..];
            let (name, meta) = match below.split_once('/') {
                Some((first, _)) => (first, folder_meta(*modified)),
                None => (below, file_meta(content, *modified)),
            };
            if name != last {
                name.clone_into(&mut last);
                if !visit(Entry { name: last.clone(), meta }) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn open(&self, path: &StorePath, range: Range) -> StoreResult<Box<dyn Read + Send>> {
        let objects = self.lock();
        let Some((content, _)) = objects.get(path.as_str()) else {
            return Err(StoreError {
                kind: StoreErrorKind::Missing,
                doing: "read",
                store: self.describe(),
                path: path.to_string(),
                why: "there is no such object".to_owned(),
            });
        };
        let mut reader = Cursor::new(Arc::clone(content));
        match range {
            Range::Whole => Ok(Box::new(reader)),
            Range::Part { offset, length } => {
                reader.set_position(offset);
                Ok(Box::new(reader.take(length)))
            }
        }
    }

    fn create(&self, path: &StorePath) -> StoreResult<Box<dyn PendingObject>> {
        Ok(Box::new(Pending { store: self.clone(), path: path.clone(), content: Vec::new() }))
    }

    fn remove(&self, path: &StorePath) -> StoreResult<()> {
        self.lock().remove(path.as_str());
        Ok(())
    }

    fn remove_folder(&self, folder: &StorePath) -> StoreResult<()> {
        let prefix = prefix_of(folder);
        self.lock().retain(|name, _| !name.starts_with(&prefix));
        Ok(())
    }
}

struct Pending {
    store: Memory,
    path: StorePath,
    content: Vec<u8>,
}

impl Write for Pending {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.content.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PendingObject for Pending {
    fn commit(self: Box<Self>) -> StoreResult<Meta> {
        self.store.put(&self.path, &self.content);
        Ok(file_meta(&self.content, Timestamp::now()))
    }
}
