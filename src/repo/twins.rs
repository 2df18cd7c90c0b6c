//! Both files of a pair, read and compared; and info files read for nothing but the proof that they are whole.
//!
//! A reader takes the first sound file of a pair and never learns that the other is gone; who looks for damage reads
//! both. Where both hold the same bytes, one reading proves both. Never chooses for anybody what a difference means.

use super::error::RepoError;
use super::load::{self, Source};
use super::manifest::Completeness;
use super::{ArchiveInfo, BackupInfo, Manifest, Stanza, archive_info, backup_info, ini, manifest};
use crate::base::{BackupLabel, Secret};
use crate::codec::{Compression, Seal};
use crate::store::{Range, Storage, StoreError, StorePath, StoreResult};
use std::io::Read;
use std::sync::Arc;

/// How much of two files is compared at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A file and its `.copy`.
#[derive(Debug)]
pub struct Twins<T> {
    /// The main file.
    pub path: StorePath,
    /// What the first sound one of the two says.
    pub value: Option<T>,
    /// Whether the main file is sound.
    pub main: Result<(), RepoError>,
    /// Whether the copy is sound.
    pub copy: Result<(), RepoError>,
    /// Both hold the same bytes.
    pub same: bool,
}

impl<T> Twins<T> {
    /// The path of the copy.
    pub fn copy_path(&self) -> StorePath {
        self.path.with_suffix(".copy")
    }

    /// True if both are sound and the same.
    pub fn agree(&self) -> bool {
        self.main.is_ok() && self.copy.is_ok() && self.same
    }
}

impl Stanza {
    /// Reads `backup.info` and its copy.
    pub fn backup_info_twins(&self) -> Result<Twins<BackupInfo>, StoreError> {
        let path = self.backup_folder()?.join("backup.info")?;
        let cipher = self.repository.cipher();
        Ok(self.twins(path, cipher, &|file| backup_info::read(file, cipher.is_some())))
    }

    /// Reads `archive.info` and its copy.
    pub fn archive_info_twins(&self) -> Result<Twins<ArchiveInfo>, StoreError> {
        let path = self.archive_folder()?.join("archive.info")?;
        let cipher = self.repository.cipher();
        Ok(self.twins(path, cipher, &|file| archive_info::read(file, cipher.is_some())))
    }

    /// Reads the manifest of a backup and its copy.
    pub fn manifest_twins(
        &self,
        info: &BackupInfo,
        label: &BackupLabel,
    ) -> Result<Twins<Manifest>, StoreError> {
        let (folder, path) = (self.backup_folder()?, self.manifest_path(label)?);
        let cipher = info.cipher_pass.as_ref();
        let read = |file: &mut Source| {
            let manifest = manifest::read(file, &folder, label, cipher.is_some(), Completeness::Whole)?;
            self.refuse_beta(info, manifest, &path)
        };
        Ok(self.twins(path.clone(), cipher, &read))
    }

    /// Reads an info file or manifest to its end and keeps nothing; size and SHA-1 of its text, if the checksum at its
    /// end is right and nothing is left over.
    pub fn seal_of_info_file(
        &self,
        path: &StorePath,
        compression: Compression,
        cipher: Option<&Secret>,
    ) -> Result<Seal, RepoError> {
        let mut file = load::open_compressed(&self.repository.storage, path, compression, cipher)?;
        ini::read(&mut file, &mut |_| Ok(()))?;
        let place = file.place;
        file.source.into_inner().finish().map_err(|source| RepoError::Stream { place, source })
    }

    fn twins<T>(
        &self,
        path: StorePath,
        cipher: Option<&Secret>,
        read: &dyn Fn(&mut Source) -> Result<T, RepoError>,
    ) -> Twins<T> {
        let storage = &self.repository.storage;
        let one = |path: &StorePath| load::open(storage, path, cipher).and_then(|mut file| read(&mut file));
        let copy_path = path.with_suffix(".copy");
        // What cannot be compared is read instead, and the reading tells why.
        let same = same_bytes(storage, &path, &copy_path).unwrap_or(false);
        let (value, main, copy) = match one(&path) {
            Ok(value) if same => (Some(value), Ok(()), Ok(())),
            Ok(value) => (Some(value), Ok(()), one(&copy_path).map(drop)),
            Err(error) => match one(&copy_path) {
                Ok(value) => (Some(value), Err(error), Ok(())),
                Err(second) => (None, Err(error), Err(second)),
            },
        };
        Twins { path, value, main, copy, same }
    }
}

/// True if two objects hold the same bytes.
fn same_bytes(storage: &Arc<dyn Storage>, one: &StorePath, other: &StorePath) -> StoreResult<bool> {
    let (mut left, mut right) = (storage.open(one, Range::Whole)?, storage.open(other, Range::Whole)?);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    loop {
        next_chunk(&mut left, &mut here)
            .map_err(|error| StoreError::from_io("read", storage.describe(), one, &error))?;
        next_chunk(&mut right, &mut there)
            .map_err(|error| StoreError::from_io("read", storage.describe(), other, &error))?;
        if here != there || here.is_empty() {
            return Ok(here == there);
        }
    }
}

fn next_chunk(source: &mut impl Read, into: &mut Vec<u8>) -> std::io::Result<usize> {
    into.clear();
    source.take(CHUNK_BYTES as u64).read_to_end(into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::Repository;
    use crate::store::memory::Memory;

    #[test]
    fn files_are_compared_to_their_last_byte() {
        let store = Memory::default();
        let path = |name: &str| StorePath::new(name).unwrap();
        let long = vec![7; 3 * CHUNK_BYTES + 5];
        for (name, content) in [("a", &long[..]), ("b", &long[..]), ("c", &long[1..]), ("d", b""), ("e", b"")]
        {
            store.put(&path(name), content);
        }
        let store: Arc<dyn Storage> = Arc::new(store);
        let same = |one: &str, other: &str| same_bytes(&store, &path(one), &path(other)).unwrap();
        assert!(same("a", "b") && same("d", "e"));
        assert!(!same("a", "c") && !same("c", "a") && !same("a", "d") && !same("d", "a"));
        assert!(same_bytes(&store, &path("a"), &path("none")).unwrap_err().is_missing());
    }

    #[test]
    fn each_of_a_pair_is_judged_by_itself() {
        let store = Memory::default();
        let stanza = Repository::new(Arc::new(store.clone()), 1, None).stanza("main");
        let history = [(1, (crate::base::PgVersion::major(15), crate::base::SystemId(7)))].into();
        let info = ArchiveInfo { current_db_id: 1, history, cipher_pass: None };
        stanza.save_archive_info(&info).unwrap();
        assert!(stanza.archive_info_twins().unwrap().agree());
        let main = StorePath::new("archive/main/archive.info").unwrap();
        store.put(&main, b"[backrest]\nx");
        let twins = stanza.archive_info_twins().unwrap();
        assert!(twins.main.is_err() && twins.copy.is_ok() && twins.value.is_some() && !twins.same);
        store.put(&twins.copy_path(), b"[backrest]\nx");
        let twins = stanza.archive_info_twins().unwrap();
        assert!(twins.main.is_err() && twins.copy.is_err() && twins.value.is_none() && twins.same);
    }
}
