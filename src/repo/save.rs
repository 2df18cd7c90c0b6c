//! Writing a stanza's info files and manifests, in the order that leaves a reader something sound at every moment.
//!
//! An info file is written first under its name, then as its `.copy`, both with the same bytes. A manifest is written as
//! its `.copy` first: the name `backup.manifest` is what makes a backup exist.

use super::error::RepoError;
use super::{ArchiveInfo, BackupInfo, Manifest, Stanza, manifest};
use crate::base::BackupLabel;
use crate::codec::{CodecError, Compression, Encoder, Stored, StreamSpec, encode_small};
use crate::store::{StoreError, StorePath, write_small};
use std::io::{self, Write as _};

/// Compression of the manifests that outlive their backups.
const HISTORY_LEVEL: i32 = 9;

impl Stanza {
    /// Writes `backup.info` and its copy.
    pub fn save_backup_info(&self, info: &BackupInfo) -> Result<(), RepoError> {
        self.save_info(&self.backup_folder()?.join("backup.info")?, info.to_bytes())
    }

    /// Writes `archive.info` and its copy.
    pub fn save_archive_info(&self, info: &ArchiveInfo) -> Result<(), RepoError> {
        self.save_info(&self.archive_folder()?.join("archive.info")?, info.to_bytes())
    }

    fn save_info(&self, path: &StorePath, content: io::Result<Vec<u8>>) -> Result<(), RepoError> {
        let fail = |error: io::Error| self.write_error(path, &error);
        let spec = StreamSpec::full(Compression::None, self.repository.cipher().cloned());
        let stored = encode_small(&content.map_err(fail)?, &spec, None).map_err(into_io).map_err(fail)?;
        let storage = &**self.repository.storage();
        storage.anchor(&path.parent())?;
        write_small(storage, path, &stored)?;
        write_small(storage, &path.with_suffix(".copy"), &stored)?;
        Ok(())
    }

    /// Writes the manifest of a backup that is being made: it can be taken up again, and does not exist yet.
    pub fn save_partial_manifest(&self, info: &BackupInfo, manifest: &Manifest) -> Result<(), RepoError> {
        let path = self.manifest_path(&manifest.label)?.with_suffix(".copy");
        let spec = StreamSpec::full(Compression::None, info.cipher_pass.clone());
        self.write_manifest(manifest, &path, &spec, None).map(drop)
    }

    /// Writes the manifest of a backup whose files are all durable: from now on the backup exists. A copy of it is kept
    /// beyond the backup's life.
    pub fn commit_manifest(&self, info: &BackupInfo, manifest: &Manifest) -> Result<(), RepoError> {
        let path = self.manifest_path(&manifest.label)?;
        let spec = StreamSpec::full(Compression::None, info.cipher_pass.clone());
        let written = self.write_manifest(manifest, &path.with_suffix(".copy"), &spec, None)?;
        // Locks are of one host: another one may have begun to work in the same folder.
        self.duplicate(&path.with_suffix(".copy"), &path, Some(written.sha1))?;
        let spec = StreamSpec::full(Compression::Gz, info.cipher_pass.clone());
        let kept = self.history_path(&manifest.label)?;
        self.repository.storage().anchor(&kept.parent())?;
        self.write_manifest(manifest, &kept, &spec, Some(HISTORY_LEVEL)).map(drop)
    }

    /// Where the manifest of a backup is kept beyond its life, by the year of its full backup.
    pub fn history_path(&self, label: &BackupLabel) -> Result<StorePath, StoreError> {
        let year = &label.as_str()[..4];
        self.backup_folder()?.join("backup.history")?.join(year)?.join(&format!("{label}.manifest.gz"))
    }

    /// Lets the link `latest` name the backup, where the store has links.
    pub fn point_latest(&self, label: &BackupLabel) -> Result<(), RepoError> {
        let path = self.backup_folder()?.join("latest")?;
        self.repository.storage().point(&path, label.as_str()).map(drop)?;
        Ok(())
    }

    fn write_manifest(
        &self,
        manifest: &Manifest,
        path: &StorePath,
        spec: &StreamSpec,
        level: Option<i32>,
    ) -> Result<Stored, RepoError> {
        let fail = |error: io::Error| self.write_error(path, &error);
        let pending = self.repository.storage().create(path)?;
        let encoder = Encoder::new(pending, spec, level).map_err(into_io).map_err(fail)?;
        let mut lines = manifest::write(manifest, io::BufWriter::new(encoder)).map_err(fail)?;
        lines.flush().map_err(fail)?;
        let encoder = lines.into_inner().map_err(|error| fail(error.into_error()))?;
        let (pending, _, stored) = encoder.finish().map_err(into_io).map_err(fail)?;
        pending.commit()?;
        Ok(stored)
    }

    pub(super) fn write_error(&self, path: &StorePath, error: &io::Error) -> RepoError {
        StoreError::from_io("write", self.repository.storage().describe(), path, error).into()
    }
}

fn into_io(error: CodecError) -> io::Error {
    match error {
        CodecError::Io(error) => error,
        other => io::Error::other(other),
    }
}
