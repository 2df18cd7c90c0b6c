//! Which passphrase a file of a repository is encrypted with, told by its path.
//!
//! The user's passphrase opens the info files; those hold the passphrases of archive and manifests; a manifest
//! holds that of its backup's files. Only looks, decrypts nothing for anybody.

use super::error::{Place, RepoError};
use super::{Loaded, Repository};
use crate::base::{BackupLabel, Secret};
use crate::store::StorePath;

/// The passphrase of the file at `path`; nothing if the repository is not encrypted.
pub fn passphrase_of(repository: &Repository, path: &StorePath) -> Result<Option<Secret>, RepoError> {
    let Some(user) = repository.cipher() else { return Ok(None) };
    let parts: Vec<&str> = path.as_str().split('/').collect();
    let name = path.file_name();
    let main = name.strip_suffix(".copy").unwrap_or(name);
    match parts[..] {
        ["archive", _, _, ..] if main == "archive.info" => Ok(Some(user.clone())),
        ["archive", stanza, _, ..] => Ok(repository.stanza(stanza).archive_info()?.value.cipher_pass),
        ["backup", _, _, ..] if main == "backup.info" => Ok(Some(user.clone())),
        ["backup", stanza, folder, ..] => {
            let stanza = repository.stanza(stanza);
            let Loaded { value: info, .. } = stanza.backup_info()?;
            if folder == "backup.history" || main == "backup.manifest" {
                return Ok(info.cipher_pass);
            }
            let label: BackupLabel = folder.parse().map_err(|_| no_passphrase(repository, path))?;
            Ok(stanza.manifest(&info, &label)?.value.cipher_pass)
        }
        _ => Err(no_passphrase(repository, path)),
    }
}

fn no_passphrase(repository: &Repository, path: &StorePath) -> RepoError {
    RepoError::NoPassphrase(Place { store: repository.storage().describe(), path: path.clone() })
}
