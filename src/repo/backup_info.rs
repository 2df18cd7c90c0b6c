//! `backup.info`: the list of backups, the history of clusters, and the passphrase of the manifests.
//!
//! Read whole and checked, written whole; never completed by looking at folders.

mod chain;
mod of_manifest;
mod write;

use super::archive_info::{cipher_as_configured, current_in, history_id};
use super::error::{Fault, RepoError};
use super::ini::{self, Item};
use super::json::Scanner;
use super::load::Source;
use crate::base::{BackupKind, BackupLabel, Lsn, PgVersion, Secret, SystemId, Timestamp, WalSegment};
use std::collections::BTreeMap;

/// What `backup.info` says.
#[derive(Debug, Clone)]
pub struct BackupInfo {
    /// The history id of the cluster that is backed up now.
    pub current_db_id: u32,
    /// Every cluster ever backed up here, by history id.
    pub history: BTreeMap<u32, DbHistory>,
    /// The backups, by label, which is by start time.
    pub backups: BTreeMap<BackupLabel, BackupEntry>,
    /// The passphrase of the manifests; nothing if the repository is not encrypted.
    pub cipher_pass: Option<Secret>,
}

/// One cluster of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DbHistory {
    /// Its major version.
    pub version: PgVersion,
    /// Its system identifier.
    pub system_id: SystemId,
    /// Its catalog version number.
    pub catalog: u32,
    /// Its `pg_control` version number.
    pub control: u32,
}

/// One backup as `backup.info` describes it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "one flag per flag of the format")]
pub struct BackupEntry {
    /// Its label.
    pub label: BackupLabel,
    /// Full, differential or incremental.
    pub kind: BackupKind,
    /// The history id of the cluster it is of.
    pub db_id: u32,
    /// The first WAL segment needed for consistency; nothing for an offline backup.
    pub archive_start: Option<WalSegment>,
    /// The last WAL segment needed for consistency.
    pub archive_stop: Option<WalSegment>,
    /// Where the backup started in WAL.
    pub lsn_start: Option<Lsn>,
    /// Where the backup stopped: before this a restore is not consistent.
    pub lsn_stop: Option<Lsn>,
    /// When it started.
    pub start: Timestamp,
    /// When it stopped.
    pub stop: Timestamp,
    /// The backup it was made against.
    pub prior: Option<BackupLabel>,
    /// The other backups it needs.
    pub references: Vec<BackupLabel>,
    /// Original bytes of all files.
    pub size_bytes: u64,
    /// Original bytes of the files this backup stores itself.
    pub delta_bytes: u64,
    /// Stored bytes of everything it needs; not meaningful for block-incremental backups.
    pub repo_size_bytes: u64,
    /// Stored bytes of its own.
    pub repo_delta_bytes: u64,
    /// Bytes of all block maps; present only for block-incremental backups.
    pub map_bytes: Option<u64>,
    /// Bytes of the block maps stored by itself.
    pub map_delta_bytes: Option<u64>,
    /// Whether page checksums failed while it was made; unknown for backups older than the flag.
    pub page_error: Option<bool>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// What a later version wrote beside, by key, as it stands; kept when the file is written again.
    pub unknown: BTreeMap<String, String>,
    /// The repository format it was made in.
    pub format: u64,
    /// The pgBackRest version that made it.
    pub backrest_version: String,
    /// Made from a running cluster.
    pub online: bool,
    /// Made from a standby.
    pub standby: bool,
    /// The WAL it needs was seen in the archive before it ended.
    pub archive_check: bool,
    /// WAL was copied into the backup.
    pub archive_copy: bool,
    /// Its files are compressed.
    pub compressed: bool,
    /// Its referenced files are hard-linked.
    pub hardlink: bool,
    /// Page checksums were looked at.
    pub checksum_page: bool,
}

/// True for the versions whose block-incremental container nobody else reads.
pub(super) fn is_block_beta(version: &str) -> bool {
    ["2.44", "2.45"].iter().any(|beta| {
        version.strip_prefix(beta).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

pub(super) fn read(file: &mut Source, encrypted: bool) -> Result<BackupInfo, RepoError> {
    let mut current = None;
    let mut history = BTreeMap::new();
    let mut backups = BTreeMap::new();
    let mut cipher_pass = None;
    ini::read(file, &mut |item| {
        match (item.section, item.key) {
            ("db", "db-id") => current = Some(item.unsigned32()?),
            ("db:history", id) => {
                history.insert(history_id(id)?, read_history(&item)?);
            }
            ("backup:current", label) => {
                let label: BackupLabel =
                    label.parse().map_err(|error| Fault::hostile(format!("as a backup label {error}")))?;
                backups.insert(label.clone(), read_entry(label, item.scanner())?);
            }
            ("cipher", "cipher-pass") => cipher_pass = Some(Secret::new(item.string()?)),
            _ => {}
        }
        Ok(())
    })?;
    let checked = || {
        let current_db_id = current_in(current, history.keys().copied())?;
        let unknown = backups.values().find(|b: &&BackupEntry| !history.contains_key(&b.db_id));
        if let Some(entry) = unknown {
            return Err(Fault::format(format!(
                "backup {} is of cluster {}, which is not in the history",
                entry.label, entry.db_id
            )));
        }
        Ok(BackupInfo {
            current_db_id,
            cipher_pass: cipher_as_configured(cipher_pass, encrypted)?,
            history,
            backups,
        })
    };
    checked().map_err(|fault| fault.at(&file.place, 0))
}

fn read_history(item: &Item<'_>) -> Result<DbHistory, Fault> {
    let (mut version, mut system, mut catalog, mut control) = (None, None, None, None);
    item.scanner().object(|key, value| {
        match key {
            "db-version" => version = Some(value.string()?.parse::<PgVersion>()?),
            "db-system-id" => system = Some(SystemId(value.unsigned()?)),
            "db-catalog-version" => catalog = Some(value.unsigned32()?),
            "db-control-version" => control = Some(value.unsigned32()?),
            _ => value.skip()?,
        }
        Ok::<_, Fault>(())
    })?;
    Ok(DbHistory {
        version: version.ok_or_else(|| missing("db-version"))?,
        system_id: system.ok_or_else(|| missing("db-system-id"))?,
        catalog: catalog.ok_or_else(|| missing("db-catalog-version"))?,
        control: control.ok_or_else(|| missing("db-control-version"))?,
    })
}

pub(super) fn missing(key: &str) -> Fault {
    Fault::format(format!("{key} is missing"))
}

/// The members of an entry that must be there, while they are gathered.
#[derive(Default)]
struct Required {
    kind: Option<BackupKind>,
    db_id: Option<u32>,
    start: Option<Timestamp>,
    stop: Option<Timestamp>,
    format: Option<u64>,
    version: Option<String>,
    sizes: [Option<u64>; 4],
    online: Option<bool>,
}

fn read_entry(label: BackupLabel, mut scanner: Scanner<'_>) -> Result<BackupEntry, Fault> {
    let mut entry = empty_entry(label);
    let mut required = Required::default();
    scanner.object(|key, value| {
        if required.take(key, value)? { Ok(()) } else { take_optional(&mut entry, key, value) }
    })?;
    required.complete(&mut entry)?;
    check_entry(&entry)?;
    Ok(entry)
}

impl Required {
    /// Takes the member if it is one of these.
    fn take(&mut self, key: &str, value: &mut Scanner<'_>) -> Result<bool, Fault> {
        match key {
            "backup-type" => self.kind = Some(kind_from(&value.string()?)?),
            "db-id" => self.db_id = Some(value.unsigned32()?),
            "backup-timestamp-start" => self.start = Some(Timestamp::from_unix_s(value.integer()?)),
            "backup-timestamp-stop" => self.stop = Some(Timestamp::from_unix_s(value.integer()?)),
            "backrest-format" => self.format = Some(value.unsigned()?),
            "backrest-version" => self.version = Some(value.string()?.into_owned()),
            "backup-info-size" => self.sizes[0] = Some(value.unsigned()?),
            "backup-info-size-delta" => self.sizes[1] = Some(value.unsigned()?),
            "backup-info-repo-size" => self.sizes[2] = Some(value.unsigned()?),
            "backup-info-repo-size-delta" => self.sizes[3] = Some(value.unsigned()?),
            "option-online" => self.online = Some(value.boolean()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn complete(self, entry: &mut BackupEntry) -> Result<(), Fault> {
        entry.kind = self.kind.ok_or_else(|| missing("backup-type"))?;
        entry.db_id = self.db_id.ok_or_else(|| missing("db-id"))?;
        entry.start = self.start.ok_or_else(|| missing("backup-timestamp-start"))?;
        entry.stop = self.stop.ok_or_else(|| missing("backup-timestamp-stop"))?;
        entry.format = self.format.ok_or_else(|| missing("backrest-format"))?;
        entry.backrest_version = self.version.ok_or_else(|| missing("backrest-version"))?;
        entry.online = self.online.ok_or_else(|| missing("option-online"))?;
        let [Some(size), Some(delta), Some(repo_size), Some(repo_delta)] = self.sizes else {
            return Err(missing("one of the sizes"));
        };
        (entry.size_bytes, entry.delta_bytes) = (size, delta);
        (entry.repo_size_bytes, entry.repo_delta_bytes) = (repo_size, repo_delta);
        Ok(())
    }
}

/// An entry of which nothing is known but its label.
pub(crate) fn empty_entry(label: BackupLabel) -> BackupEntry {
    BackupEntry {
        kind: label.kind(),
        label,
        db_id: 0,
        archive_start: None,
        archive_stop: None,
        lsn_start: None,
        lsn_stop: None,
        start: Timestamp(0),
        stop: Timestamp(0),
        prior: None,
        references: Vec::new(),
        size_bytes: 0,
        delta_bytes: 0,
        repo_size_bytes: 0,
        repo_delta_bytes: 0,
        map_bytes: None,
        map_delta_bytes: None,
        page_error: None,
        annotations: BTreeMap::new(),
        unknown: BTreeMap::new(),
        format: 0,
        backrest_version: String::new(),
        online: false,
        standby: false,
        archive_check: false,
        archive_copy: false,
        compressed: false,
        hardlink: false,
        checksum_page: false,
    }
}

fn take_optional(entry: &mut BackupEntry, key: &str, value: &mut Scanner<'_>) -> Result<(), Fault> {
    match key {
        "backup-archive-start" => entry.archive_start = optional_segment(value)?,
        "backup-archive-stop" => entry.archive_stop = optional_segment(value)?,
        "backup-lsn-start" => entry.lsn_start = Some(value.string()?.parse()?),
        "backup-lsn-stop" => entry.lsn_stop = Some(value.string()?.parse()?),
        "backup-prior" => entry.prior = Some(value.string()?.parse()?),
        "backup-reference" => value.array(|label| {
            entry.references.push(label.string()?.parse()?);
            Ok::<_, Fault>(())
        })?,
        "backup-info-repo-size-map" => entry.map_bytes = Some(value.unsigned()?),
        "backup-info-repo-size-map-delta" => entry.map_delta_bytes = Some(value.unsigned()?),
        "backup-error" => entry.page_error = Some(value.boolean()?),
        "backup-annotation" => value.object(|name, text| {
            entry.annotations.insert(name.to_owned(), text.string()?.into_owned());
            Ok::<_, Fault>(())
        })?,
        "option-backup-standby" => entry.standby = value.boolean()?,
        "option-archive-check" => entry.archive_check = value.boolean()?,
        "option-archive-copy" => entry.archive_copy = value.boolean()?,
        "option-compress" => entry.compressed = value.boolean()?,
        "option-hardlink" => entry.hardlink = value.boolean()?,
        "option-checksum-page" => entry.checksum_page = value.boolean()?,
        _ => {
            entry.unknown.insert(key.to_owned(), value.raw()?.to_owned());
        }
    }
    Ok(())
}

fn optional_segment(value: &mut Scanner<'_>) -> Result<Option<WalSegment>, Fault> {
    if value.null() { Ok(None) } else { Ok(Some(value.string()?.parse()?)) }
}

/// `full`, `diff` or `incr`.
pub(super) fn kind_from(text: &str) -> Result<BackupKind, Fault> {
    match text {
        "full" => Ok(BackupKind::Full),
        "diff" => Ok(BackupKind::Diff),
        "incr" => Ok(BackupKind::Incr),
        _ => Err(Fault::format("backup-type is not full, diff or incr")),
    }
}

/// Label, kind, prior and references must tell one story.
fn check_entry(entry: &BackupEntry) -> Result<(), Fault> {
    let full = entry.label.full();
    if entry.kind != entry.label.kind() {
        return Err(Fault::format(format!("backup {} calls itself {}", entry.label, entry.kind)));
    }
    if (entry.kind == BackupKind::Full) != entry.prior.is_none() {
        return Err(Fault::format(format!(
            "backup {} has a prior it must not have, or lacks one",
            entry.label
        )));
    }
    if entry.prior.iter().chain(&entry.references).any(|other| other.full() != full || *other == entry.label)
    {
        return Err(Fault::format(format!("backup {} refers to a backup outside its set", entry.label)));
    }
    Ok(())
}
