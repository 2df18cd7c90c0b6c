//! A stanza's two folders as a whole: what stands in them, info files mended, all of it removed.
//!
//! Judges nothing: whether a stanza may be made or removed is decided above. An info file is only ever mended by its
//! own copy, byte by byte, and only where one of the two is missing.

use super::Stanza;
use super::error::RepoError;
use crate::base::BackupLabel;
use crate::codec::{Compression, Decoder, Sha1Hash, StreamSpec};
use crate::store::{EntryKind, Range, StoreError, StorePath, list_sorted};
use std::io;

/// What a writer that was killed leaves beside a name.
const TEMPORARY_SUFFIX: &str = ".pgbackrest.tmp";

impl Stanza {
    fn info_files(&self) -> Result<[StorePath; 2], StoreError> {
        Ok([self.archive_folder()?.join("archive.info")?, self.backup_folder()?.join("backup.info")?])
    }

    /// What stands directly in the stanza's folders besides its info files and what a killed writer of them left.
    pub fn contents(&self) -> Result<Vec<StorePath>, RepoError> {
        let mut found = Vec::new();
        for info in self.info_files()? {
            let folder = info.parent();
            for entry in list_sorted(&**self.repository.storage(), &folder)? {
                let left_over =
                    entry.name.starts_with(info.file_name()) && entry.name.ends_with(TEMPORARY_SUFFIX);
                let name = entry.name.strip_suffix(".copy").unwrap_or(&entry.name);
                if !left_over && name != info.file_name() {
                    found.push(folder.join(&entry.name)?);
                }
            }
        }
        Ok(found)
    }

    /// The backups by their folders: those that have a manifest, whatever `backup.info` says.
    pub fn backups_by_folder(&self) -> Result<Vec<BackupLabel>, RepoError> {
        let storage = self.repository.storage();
        let mut found = Vec::new();
        for entry in list_sorted(&**storage, &self.backup_folder()?)? {
            let Ok(label) = entry.name.parse::<BackupLabel>() else { continue };
            if entry.meta.kind != EntryKind::File && storage.stat(&self.manifest_path(&label)?)?.is_some() {
                found.push(label);
            }
        }
        Ok(found)
    }

    /// Writes an info file or copy that is missing from the one that is there; gives what was written.
    pub fn mend_info(&self) -> Result<Vec<StorePath>, RepoError> {
        let mut mended = Vec::new();
        for main in self.info_files()? {
            let copy = main.with_suffix(".copy");
            let storage = self.repository.storage();
            let (has_main, has_copy) = (storage.stat(&main)?.is_some(), storage.stat(&copy)?.is_some());
            let (from, to) = match (has_main, has_copy) {
                (true, false) => (main, copy),
                (false, true) => (copy, main),
                _ => continue,
            };
            self.duplicate(&from, &to, None)?;
            mended.push(to);
        }
        Ok(mended)
    }

    /// True if an info file or its copy is missing while the other is there.
    pub fn info_needs_mending(&self) -> Result<bool, RepoError> {
        let storage = self.repository.storage();
        for main in self.info_files()? {
            if storage.stat(&main)?.is_some() != storage.stat(&main.with_suffix(".copy"))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stores the same bytes under a second name; if they are not the expected ones, somebody else has written them.
    pub(super) fn duplicate(
        &self,
        from: &StorePath,
        to: &StorePath,
        expected: Option<Sha1Hash>,
    ) -> Result<(), RepoError> {
        let fail = |error: io::Error| self.write_error(to, &error);
        let storage = self.repository.storage();
        let stored = storage.open(from, Range::Whole)?;
        let mut pending = storage.create(to)?;
        // A stream without compression and cipher: what is read, and its hash.
        let mut decoder = Decoder::new(stored, &StreamSpec::full(Compression::None, None))
            .map_err(|error| fail(io::Error::other(error)))?;
        io::copy(&mut decoder, &mut pending).map_err(fail)?;
        let seal = decoder.finish().map_err(|error| fail(io::Error::other(error)))?;
        if expected.is_some_and(|expected| expected != seal.sha1) {
            return Err(fail(io::Error::other(format!(
                "{from} is no longer what was written: another host works in the same folder"
            ))));
        }
        pending.commit()?;
        Ok(())
    }

    /// Removes the info files: from then on nobody takes the folders for a stanza.
    pub fn remove_info(&self) -> Result<(), RepoError> {
        for main in self.info_files()? {
            self.repository.storage().remove(&main)?;
            self.repository.storage().remove(&main.with_suffix(".copy"))?;
        }
        Ok(())
    }

    /// Removes both folders with everything in them.
    pub fn remove_folders(&self) -> Result<(), RepoError> {
        self.repository.storage().remove_folder(&self.archive_folder()?)?;
        self.repository.storage().remove_folder(&self.backup_folder()?)?;
        Ok(())
    }
}
