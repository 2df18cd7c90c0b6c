//! Putting files into an archive: each appears under its name whole, encrypted as the archive is, and durable, or not
//! at all.
//!
//! Whether a file may stand there is for the caller to find out; nothing here compares contents. A folder's own name is
//! made durable before the first file is put into it, so that a file that is there has a durable way to it.

use super::super::error::RepoError;
use super::{Archive, ArchiveId, SMALL_LIMIT_BYTES, StoredSegment};
use crate::base::WalSegment;
use crate::codec::{CodecError, Compression, Packer, StreamSpec};
use crate::store::{EntryKind, PendingObject, StoreError, StorePath};
use std::fmt;
use std::io;

/// What the name of an object ends with while it is being written.
const TEMPORARY: &str = ".pgbackrest.tmp";

/// A file on its way into an archive; dropped without [`commit`](Self::commit), nothing was put there.
pub struct Incoming {
    packer: Packer<Box<dyn PendingObject>>,
    store: String,
    path: StorePath,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming('{}' in {})", self.path, self.store)
    }
}

impl Incoming {
    /// Takes what is to be stored: compressed already, not encrypted.
    pub fn write_all(&mut self, packed: &[u8]) -> Result<(), RepoError> {
        self.packer.write_all(packed).map_err(|error| write_error(&self.store, &self.path, error))
    }

    /// Makes the file durable and visible under its name.
    pub fn commit(self) -> Result<(), RepoError> {
        let pending = self.packer.finish().map_err(|error| write_error(&self.store, &self.path, error))?;
        pending.commit()?;
        Ok(())
    }
}

fn write_error(store: &str, path: &StorePath, error: CodecError) -> RepoError {
    let error = match error {
        CodecError::Io(error) => error,
        other => io::Error::other(other),
    };
    StoreError::from_io("write", store.to_owned(), path, &error).into()
}

impl Archive {
    /// Where the file of this name lies: what is about a segment in the folder of its first 16 digits.
    pub(super) fn path_of(&self, id: ArchiveId, name: &str) -> Result<StorePath, RepoError> {
        let segment = name.get(..24).and_then(|name| name.parse::<WalSegment>().ok());
        let folder = self.folder(id)?;
        let folder = match segment {
            Some(segment) => folder.join(&segment.folder())?,
            None => folder,
        };
        Ok(folder.join(name)?)
    }

    /// Begins to put a segment there; what is written to it must be compressed as `stored` says.
    pub fn begin(&self, id: &ArchiveId, stored: &StoredSegment) -> Result<Incoming, RepoError> {
        self.begin_at(self.path(id, stored)?)
    }

    /// The same for the last, unfinished segment of a timeline.
    pub fn begin_partial(&self, id: &ArchiveId, stored: &StoredSegment) -> Result<Incoming, RepoError> {
        self.begin_at(self.path_of(*id, &stored.partial_name())?)
    }

    fn begin_at(&self, path: StorePath) -> Result<Incoming, RepoError> {
        let storage = self.stanza.repository().storage();
        let store = storage.describe();
        self.ready(&path.parent())?;
        let spec = StreamSpec::full(Compression::None, self.cipher.clone());
        let packer = Packer::new(storage.create(&path)?, &spec, None)
            .map_err(|error| write_error(&store, &path, error))?;
        Ok(Incoming { packer, store, path })
    }

    /// Puts a history or backup history there, replacing one of the same name.
    pub fn put_small(&self, id: &ArchiveId, name: &str, content: &[u8]) -> Result<(), RepoError> {
        let path = self.path_of(*id, name)?;
        if content.len() as u64 > SMALL_LIMIT_BYTES {
            let error = io::Error::other(format!("{} bytes are too many for such a file", content.len()));
            return Err(write_error(
                &self.stanza.repository().storage().describe(),
                &path,
                CodecError::Io(error),
            ));
        }
        let mut incoming = self.begin_at(path)?;
        incoming.write_all(content)?;
        incoming.commit()
    }

    /// Makes the name of a file that is there durable: who put it there may have been killed before that.
    pub fn settle(&self, id: &ArchiveId, name: &str) -> Result<(), RepoError> {
        let folder = self.path_of(*id, name)?.parent();
        self.stanza.repository().storage().anchor(&folder)?;
        Ok(())
    }

    /// Sees to it that a folder is durable before there is anything in it.
    fn ready(&self, folder: &StorePath) -> Result<(), RepoError> {
        let storage = self.stanza.repository().storage();
        let mut in_use = false;
        storage.list(folder, &mut |entry| {
            in_use = entry.meta.kind == EntryKind::File && !entry.name.ends_with(TEMPORARY);
            !in_use
        })?;
        if !in_use {
            storage.anchor(folder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PgVersion, Secret, SystemId};
    use crate::codec::Sha1Hash;
    use crate::repo::{ArchiveInfo, Found, Repository};
    use crate::store::posix::Posix;
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::sync::Arc;

    const ID: ArchiveId = ArchiveId { version: PgVersion::major(15), db_id: 1 };

    fn archive(root: &std::path::Path, cipher: Option<Secret>) -> Archive {
        let stanza = Repository::new(Arc::new(Posix::new(root, "repo1")), 1, None).stanza("main");
        let history = BTreeMap::from([(1, (PgVersion::major(15), SystemId(7)))]);
        stanza.archive(&ArchiveInfo { current_db_id: 1, history, cipher_pass: cipher })
    }

    #[test]
    fn what_is_put_there_is_found_and_read_again() {
        for cipher in [None, Some(Secret::new("inner"))] {
            let dir = tempfile::tempdir().unwrap();
            let archive = archive(dir.path(), cipher);
            let (segment, content) =
                ("00000001000000000000000A".parse().unwrap(), b"some content".repeat(9000));
            let sha1 = Sha1Hash::of(&content);
            let mut stored = StoredSegment { segment, sha1, compression: Compression::None, stored_bytes: 0 };
            let mut incoming = archive.begin(&ID, &stored).unwrap();
            incoming.write_all(&content).unwrap();
            assert_eq!(archive.find(&ID, segment).unwrap(), Found::Absent, "it is not committed");
            incoming.commit().unwrap();
            let mut partial = archive.begin_partial(&ID, &stored).unwrap();
            partial.write_all(b"unfinished").unwrap();
            assert_eq!(archive.find_partial(&ID, segment).unwrap(), Found::Absent);
            partial.commit().unwrap();
            for (found, whole) in [
                (archive.find(&ID, segment).unwrap(), true),
                (archive.find_partial(&ID, segment).unwrap(), false),
            ] {
                let Found::One(found) = found else { panic!("{found:?}") };
                stored.stored_bytes = found.stored_bytes;
                assert_eq!(found, stored);
                let mut decoder =
                    if whole { archive.open(&ID, &found) } else { archive.open_partial(&ID, &found) }
                        .unwrap();
                let mut read = Vec::new();
                decoder.read_to_end(&mut read).unwrap();
                assert!(read == if whole { content.clone() } else { b"unfinished".to_vec() });
            }
            for name in ["00000002.history", "00000001000000000000000A.00000028.backup"] {
                assert_eq!(archive.small(&ID, name).unwrap(), None);
                for content in [&b"one"[..], b"two"] {
                    archive.put_small(&ID, name, content).unwrap();
                    archive.settle(&ID, name).unwrap();
                    assert_eq!(archive.small(&ID, name).unwrap().unwrap(), content);
                }
            }
            let below = |path: &str| dir.path().join("archive/main/15-1").join(path).exists();
            assert!(
                below("00000002.history")
                    && below("0000000100000000/00000001000000000000000A.00000028.backup")
            );
            assert!(archive.put_small(&ID, "00000003.history", &vec![0; 5 << 20]).is_err());
        }
    }
}
