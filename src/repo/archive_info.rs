//! `archive.info`: which clusters archived here, and the passphrase of the archive.
//!
//! Read whole and checked, written whole.

use super::error::{Fault, RepoError};
use super::ini::{self, WRITER, Writer};
use super::json::Object;
use super::load::Source;
use crate::base::{PgVersion, Secret, SystemId};
use std::collections::BTreeMap;

/// What `archive.info` says.
#[derive(Debug, Clone)]
pub struct ArchiveInfo {
    /// The history id of the cluster that archives now.
    pub current_db_id: u32,
    /// Every cluster that ever archived here, by history id.
    pub history: BTreeMap<u32, (PgVersion, SystemId)>,
    /// The passphrase of everything below the archive; nothing if the repository is not encrypted.
    pub cipher_pass: Option<Secret>,
}

pub(super) fn read(file: &mut Source, encrypted: bool) -> Result<ArchiveInfo, RepoError> {
    let mut current = None;
    let mut history = BTreeMap::new();
    let mut cipher_pass = None;
    ini::read(file, &mut |item| {
        match (item.section, item.key) {
            ("db", "db-id") => current = Some(item.unsigned32()?),
            ("db:history", id) => {
                let (mut system, mut version) = (None, None);
                let mut scanner = item.scanner();
                scanner.object(|key, value| {
                    match key {
                        // A historic quirk of the format: here db-id is the system identifier.
                        "db-id" => system = Some(SystemId(value.unsigned()?)),
                        "db-version" => version = Some(value.string()?.parse::<PgVersion>()?),
                        _ => value.skip()?,
                    }
                    Ok::<_, Fault>(())
                })?;
                let (Some(system), Some(version)) = (system, version) else {
                    return Err(Fault::format("db-id or db-version is missing"));
                };
                history.insert(history_id(id)?, (version, system));
            }
            ("cipher", "cipher-pass") => cipher_pass = Some(Secret::new(item.string()?)),
            _ => {}
        }
        Ok(())
    })?;
    let checked = || {
        let current_db_id = current_in(current, history.keys().copied())?;
        Ok(ArchiveInfo { current_db_id, cipher_pass: cipher_as_configured(cipher_pass, encrypted)?, history })
    };
    checked().map_err(|fault: Fault| fault.at(&file.place, 0))
}

impl ArchiveInfo {
    /// The cluster that archives now.
    pub fn current(&self) -> (PgVersion, SystemId) {
        // The current id is proven to be in the history when the file is read.
        self.history.get(&self.current_db_id).copied().unwrap_or((PgVersion::major(0), SystemId(0)))
    }

    /// The file as it is stored, before encryption.
    pub(super) fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        let mut file = Writer::begin(Vec::new(), WRITER)?;
        if let Some(passphrase) = &self.cipher_pass {
            file.string("cipher", "cipher-pass", passphrase.expose())?;
        }
        let (version, system) = self.current();
        file.item("db", "db-id", &self.current_db_id.to_string())?;
        file.item("db", "db-system-id", &system.to_string())?;
        file.string("db", "db-version", &version.to_string())?;
        for (id, (version, system)) in &self.history {
            let mut entry = Object::default();
            entry.plain("db-id", system);
            entry.string("db-version", version.to_string());
            file.item("db:history", &id.to_string(), &entry.finish())?;
        }
        file.finish()
    }
}

/// The key of a history entry: a number from 1.
pub(super) fn history_id(key: &str) -> Result<u32, Fault> {
    let plain = key.bytes().all(|b| b.is_ascii_digit()) && !key.starts_with('0');
    let id = if plain { key.parse().ok() } else { None };
    id.ok_or_else(|| Fault::format(format!("'{}' is not a history id", key.escape_debug())))
}

/// The current history id, proven to be one of the history.
pub(super) fn current_in(current: Option<u32>, mut history: impl Iterator<Item = u32>) -> Result<u32, Fault> {
    let current = current.ok_or_else(|| Fault::format("db-id is missing"))?;
    if history.any(|id| id == current) {
        Ok(current)
    } else {
        Err(Fault::format(format!("db-id {current} is not in its own history")))
    }
}

/// The passphrase a file carries for what it points to; there must be one exactly if the file itself is encrypted.
pub(super) fn cipher_as_configured(found: Option<Secret>, encrypted: bool) -> Result<Option<Secret>, Fault> {
    match (&found, encrypted) {
        (Some(_), true) | (None, false) => Ok(found),
        (None, true) => Err(Fault::format("the file is encrypted but carries no cipher-pass")),
        (Some(_), false) => Err(Fault::format("the file is not encrypted but carries a cipher-pass")),
    }
}
