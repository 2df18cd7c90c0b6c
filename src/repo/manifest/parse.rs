//! Interpreting the lines of a manifest.
//!
//! Every section goes into a [`Draft`]; nothing is a [`Manifest`] before the checksum was right and
//! [`Draft::assemble`] found the parts agreeing with each other. Unknown keys and sections are skipped.

use super::super::backup_info::{kind_from, missing};
use super::super::error::{Fault, RepoError};
use super::super::ini::{self, Item};
use super::super::json::Scanner;
use super::super::load::Source;
use super::files::{Attributes, BlockInfo, FileRecord, FileTableBuilder, Owner};
use super::{Database, MadeWith, Manifest, Target, names};
use crate::base::{BackupKind, BackupLabel, Lsn, PgVersion, Secret, SystemId, Timestamp, WalSegment};
use crate::codec::{Compression, Sha1Hash};
use crate::store::StorePath;
use std::collections::BTreeMap;

/// Block sizes are stored in units of this.
const BLOCK_UNIT_BYTES: u64 = 8192;

/// Reads the manifest of `label`, whose stanza's backups are in `folder`.
pub(in crate::repo) fn read(
    file: &mut Source,
    folder: &StorePath,
    label: &BackupLabel,
    encrypted: bool,
    completeness: Completeness,
) -> Result<Manifest, RepoError> {
    let mut draft = Draft::default();
    let header = ini::read(file, &mut |item| draft.take(&item))?;
    draft
        .assemble(header.backrest_version, folder, label, encrypted, completeness)
        .map_err(|fault| fault.at(&file.place, 0))
}

/// Whether a manifest must be of a backup that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::repo) enum Completeness {
    /// Every file was copied.
    Whole,
    /// It may be of a backup that was interrupted.
    Partial,
}

/// A path or link whose attributes may still be missing.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) name: String,
    /// Where it points, for a link.
    pub(super) destination: String,
    pub(super) attributes: Attributes,
}

/// What was read so far.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one flag per flag of the format")]
pub(super) struct Draft {
    pub(super) label: Option<BackupLabel>,
    pub(super) kind: Option<BackupKind>,
    pub(super) prior: Option<BackupLabel>,
    pub(super) references: Option<Vec<BackupLabel>>,
    pub(super) start: Option<Timestamp>,
    pub(super) stop: Option<Timestamp>,
    pub(super) copy_start: Option<Timestamp>,
    pub(super) archive_start: Option<WalSegment>,
    pub(super) archive_stop: Option<WalSegment>,
    pub(super) lsn_start: Option<Lsn>,
    pub(super) lsn_stop: Option<Lsn>,
    pub(super) block_incr: bool,
    pub(super) bundle: bool,
    pub(super) bundle_raw: bool,
    pub(super) db_catalog: Option<u32>,
    pub(super) db_control: Option<u32>,
    pub(super) db_id: Option<u32>,
    pub(super) db_system_id: Option<SystemId>,
    pub(super) db_version: Option<PgVersion>,
    pub(super) compress: Option<bool>,
    pub(super) compression: Option<Compression>,
    pub(super) online: Option<bool>,
    pub(super) checksum_page: bool,
    pub(super) archive_check: bool,
    pub(super) archive_copy: bool,
    pub(super) standby: bool,
    pub(super) hardlink: bool,
    pub(super) made_with: MadeWith,
    pub(super) cipher_pass: Option<Secret>,
    pub(super) targets: Vec<Target>,
    pub(super) databases: Vec<Database>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) paths: Vec<Loose>,
    pub(super) links: Vec<Loose>,
    pub(super) files: FileTableBuilder,
    /// A file without checksum although it has content: copying it had not ended.
    pub(super) uncopied: Option<String>,
    pub(super) has_blocks: bool,
    pub(super) file_defaults: Attributes,
    pub(super) path_defaults: Attributes,
    pub(super) link_defaults: Attributes,
}

impl Draft {
    fn take(&mut self, item: &Item<'_>) -> Result<(), Fault> {
        match item.section {
            "target:file" => self.take_file(item),
            "target:path" => {
                names::check_path(item.key)?;
                let entry = read_loose(item)?;
                self.paths.push(entry);
                Ok(())
            }
            "target:link" => {
                names::check_link(item.key)?;
                let entry = read_loose(item)?;
                names::check_destination(&entry.destination)?;
                self.links.push(entry);
                Ok(())
            }
            "target:file:default" => take_default(&mut self.file_defaults, item),
            "target:path:default" => take_default(&mut self.path_defaults, item),
            "target:link:default" => take_default(&mut self.link_defaults, item),
            "backup" => self.take_backup(item),
            "backup:db" => self.take_db(item),
            "backup:option" => self.take_option(item),
            "backup:target" => {
                self.targets.push(read_target(item)?);
                Ok(())
            }
            "db" => {
                self.databases.push(read_database(item)?);
                Ok(())
            }
            "cipher" if item.key == "cipher-pass" => {
                self.cipher_pass = Some(Secret::new(item.string()?));
                Ok(())
            }
            "metadata" if item.key == "annotation" => item.scanner().object(|key, value| {
                self.annotations.insert(key.to_owned(), value.string()?.into_owned());
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn take_backup(&mut self, item: &Item<'_>) -> Result<(), Fault> {
        let time =
            || item.unsigned().and_then(|s| i64::try_from(s).map_err(|_| Fault::format("no such time")));
        match item.key {
            "backup-label" => self.label = Some(item.string()?.parse()?),
            "backup-type" => self.kind = Some(kind_from(&item.string()?)?),
            "backup-prior" => self.prior = Some(item.string()?.parse()?),
            "backup-reference" => {
                let labels: Result<_, _> = item.string()?.split(',').map(str::parse).collect();
                self.references = Some(labels?);
            }
            "backup-timestamp-start" => self.start = Some(Timestamp::from_unix_s(time()?)),
            "backup-timestamp-stop" => self.stop = Some(Timestamp::from_unix_s(time()?)),
            "backup-timestamp-copy-start" => self.copy_start = Some(Timestamp::from_unix_s(time()?)),
            "backup-archive-start" => self.archive_start = Some(item.string()?.parse()?),
            "backup-archive-stop" => self.archive_stop = Some(item.string()?.parse()?),
            "backup-lsn-start" => self.lsn_start = Some(item.string()?.parse()?),
            "backup-lsn-stop" => self.lsn_stop = Some(item.string()?.parse()?),
            "backup-block-incr" => self.block_incr = item.boolean()?,
            "backup-bundle" => self.bundle = item.boolean()?,
            "backup-bundle-raw" => self.bundle_raw = item.boolean()?,
            _ => {}
        }
        Ok(())
    }

    fn take_db(&mut self, item: &Item<'_>) -> Result<(), Fault> {
        match item.key {
            "db-catalog-version" => self.db_catalog = Some(item.unsigned32()?),
            "db-control-version" => self.db_control = Some(item.unsigned32()?),
            "db-id" => self.db_id = Some(item.unsigned32()?),
            "db-system-id" => self.db_system_id = Some(SystemId(item.unsigned()?)),
            "db-version" => self.db_version = Some(item.string()?.parse()?),
            _ => {}
        }
        Ok(())
    }

    fn take_option(&mut self, item: &Item<'_>) -> Result<(), Fault> {
        match item.key {
            "option-compress" => self.compress = Some(item.boolean()?),
            "option-compress-type" => self.compression = Some(item.string()?.parse()?),
            "option-online" => self.online = Some(item.boolean()?),
            "option-checksum-page" => self.checksum_page = item.boolean()?,
            "option-archive-check" => self.archive_check = item.boolean()?,
            "option-archive-copy" => self.archive_copy = item.boolean()?,
            "option-backup-standby" => self.standby = item.boolean()?,
            "option-hardlink" => self.hardlink = item.boolean()?,
            "option-buffer-size" => self.made_with.buffer_bytes = Some(item.unsigned()?),
            "option-compress-level" => self.made_with.compress_level = Some(wrapped(item.unsigned32()?)),
            "option-compress-level-network" => {
                self.made_with.compress_level_network = Some(wrapped(item.unsigned32()?));
            }
            "option-delta" => self.made_with.delta = Some(item.boolean()?),
            "option-process-max" => self.made_with.process_max = Some(item.unsigned32()?),
            _ => {}
        }
        Ok(())
    }

    fn take_file(&mut self, item: &Item<'_>) -> Result<(), Fault> {
        names::check_file(item.key)?;
        let record = read_file(item)?;
        if record.size_bytes > 0 && record.checksum.is_none() && self.uncopied.is_none() {
            self.uncopied = Some(item.key.to_owned());
        }
        self.has_blocks |= record.block.is_some();
        self.files.push(record)
    }
}

/// A negative level is stored as the 32 bits it has.
fn wrapped(level: u32) -> i32 {
    level.cast_signed()
}

/// The members of a file's value that are looked at together once all were read.
#[derive(Default)]
struct Parts {
    size: Option<u64>,
    repo_size: Option<u64>,
    modified: Option<i64>,
    bundle: Option<u64>,
    bundle_offset: u64,
    block_units: Option<u64>,
    checksum_bytes: Option<u64>,
    map_bytes: u64,
}

fn read_file<'a>(item: &Item<'a>) -> Result<FileRecord<'a>, Fault> {
    let mut record = FileRecord { name: item.key, ..FileRecord::default() };
    let mut parts = Parts::default();
    let mut scanner = item.scanner();
    scanner.object(|key, value| {
        match key {
            "size" => parts.size = Some(value.unsigned()?),
            "repo-size" => parts.repo_size = Some(value.unsigned()?),
            "timestamp" => parts.modified = Some(value.integer()?),
            "checksum" => record.checksum = Some(value.string()?.parse::<Sha1Hash>()?),
            "rck" => record.repo_checksum = Some(value.string()?.parse::<Sha1Hash>()?),
            "reference" => record.owner = Some(value.string()?.parse()?),
            "bni" => parts.bundle = Some(value.unsigned()?),
            "bno" => parts.bundle_offset = value.unsigned()?,
            "bi" => parts.block_units = Some(value.unsigned()?),
            "bic" => parts.checksum_bytes = Some(value.unsigned()?),
            "bim" => parts.map_bytes = value.unsigned()?,
            "checksum-page" => record.page_ok = Some(value.boolean()?),
            "checksum-page-error" => record.page_errors = read_page_errors(value)?,
            "mode" => record.mode = Some(read_mode(&value.string()?)?),
            "user" => record.user = Some(read_owner(value)?),
            "group" => record.group = Some(read_owner(value)?),
            _ => value.skip()?,
        }
        Ok::<_, Fault>(())
    })?;
    parts.complete(&mut record)?;
    Ok(record)
}

impl Parts {
    fn complete(self, record: &mut FileRecord<'_>) -> Result<(), Fault> {
        record.size_bytes = self.size.ok_or_else(|| missing("size"))?;
        record.modified_s = self.modified.ok_or_else(|| missing("timestamp"))?;
        record.repo_size_bytes = self.repo_size.unwrap_or(record.size_bytes);
        if record.size_bytes == 0 && record.checksum.take().is_some_and(|hash| hash != Sha1Hash::EMPTY) {
            return Err(Fault::hostile("an empty file with a checksum of something else"));
        }
        if let Some(id) = self.bundle {
            let end = self.bundle_offset.checked_add(record.repo_size_bytes);
            if id == 0 || end.is_none_or(|end| i64::try_from(end).is_err()) {
                return Err(Fault::hostile("a place in a bundle that cannot be"));
            }
            record.bundle = Some((id, self.bundle_offset));
        } else if self.bundle_offset != 0 {
            return Err(Fault::format("an offset in a bundle, but no bundle"));
        }
        if self.map_bytes > 0 {
            record.block = Some(self.block(record)?);
        }
        Ok(())
    }

    fn block(&self, record: &FileRecord<'_>) -> Result<BlockInfo, Fault> {
        let bad = |why| Fault::hostile(format!("a block map that cannot be: {why}"));
        let units = self.block_units.ok_or_else(|| bad("no block size"))?;
        let block_bytes = units.checked_mul(BLOCK_UNIT_BYTES).and_then(|bytes| u32::try_from(bytes).ok());
        let block_bytes = block_bytes.filter(|bytes| *bytes > 0).ok_or_else(|| bad("its block size"))?;
        let checksum_bytes =
            u8::try_from(self.checksum_bytes.unwrap_or(6)).ok().filter(|n| (1..=16).contains(n));
        let checksum_bytes = checksum_bytes.ok_or_else(|| bad("its checksum size"))?;
        if record.size_bytes == 0 || self.map_bytes > record.repo_size_bytes {
            return Err(bad("it is larger than what is stored"));
        }
        Ok(BlockInfo { block_bytes, checksum_bytes, map_bytes: self.map_bytes })
    }
}

/// Page numbers and inclusive ranges, ascending: `[[1,3],6]`.
fn read_page_errors(value: &mut Scanner<'_>) -> Result<Vec<(u32, u32)>, Fault> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    value.array(|element| {
        let (first, last) = if element.at_array() {
            let mut ends = Vec::new();
            element.array(|end| {
                ends.push(end.unsigned32()?);
                Ok::<_, Fault>(())
            })?;
            let [first, last] = ends[..] else {
                return Err(Fault::format("a page range with other than two ends"));
            };
            (first, last)
        } else {
            let page = element.unsigned32()?;
            (page, page)
        };
        if first > last || ranges.last().is_some_and(|(_, before)| *before >= first) {
            return Err(Fault::format("page ranges out of order"));
        }
        ranges.push((first, last));
        Ok(())
    })?;
    Ok(ranges)
}

/// Permission bits in octal; set-id and sticky bits never occur in a cluster.
fn read_mode(text: &str) -> Result<u32, Fault> {
    let plain = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = if plain { u32::from_str_radix(text, 8).ok() } else { None };
    mode.filter(|mode| *mode <= 0o777)
        .ok_or_else(|| Fault::hostile(format!("'{}' is not a mode", names::shown(text))))
}

fn read_owner(value: &mut Scanner<'_>) -> Result<Owner<String>, Fault> {
    if value.at_string() {
        let name = value.string()?;
        if name.is_empty() || name.contains(['\0', '\n', ':']) {
            return Err(Fault::hostile(format!("'{}' is not a user or group", names::shown(&name))));
        }
        return Ok(Owner::Named(name.into_owned()));
    }
    if value.boolean()? { Err(Fault::format("a user or group that is true")) } else { Ok(Owner::Unnamed) }
}

/// Takes a member of [`Attributes`]; false if the key is none.
fn take_attribute(attributes: &mut Attributes, key: &str, value: &mut Scanner<'_>) -> Result<bool, Fault> {
    match key {
        "mode" => attributes.mode = Some(read_mode(&value.string()?)?),
        "user" => attributes.user = Some(read_owner(value)?),
        "group" => attributes.group = Some(read_owner(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn take_default(attributes: &mut Attributes, item: &Item<'_>) -> Result<(), Fault> {
    take_attribute(attributes, item.key, &mut item.scanner()).map(drop)
}

fn read_loose(item: &Item<'_>) -> Result<Loose, Fault> {
    let mut loose =
        Loose { name: item.key.to_owned(), destination: String::new(), attributes: Attributes::default() };
    item.scanner().object(|key, value| {
        if key == "destination" {
            loose.destination = value.string()?.into_owned();
        } else if !take_attribute(&mut loose.attributes, key, value)? {
            value.skip()?;
        }
        Ok::<_, Fault>(())
    })?;
    Ok(loose)
}

fn read_target(item: &Item<'_>) -> Result<Target, Fault> {
    names::check_target(item.key)?;
    let (mut path, mut file, mut kind, mut oid, mut name) = (None, None, None, None, None);
    item.scanner().object(|key, value| {
        match key {
            "path" => path = Some(value.string()?.into_owned()),
            "file" => file = Some(value.string()?.into_owned()),
            "type" => kind = Some(value.string()?.into_owned()),
            "tablespace-id" => oid = Some(value.string()?.into_owned()),
            "tablespace-name" => name = Some(value.string()?.into_owned()),
            _ => value.skip()?,
        }
        Ok::<_, Fault>(())
    })?;
    let path = path.ok_or_else(|| missing("path"))?;
    names::check_destination(&path)?;
    if let Some(file) = &file {
        names::check_component(file)?;
    }
    let link = match kind.as_deref() {
        Some("link") => true,
        Some("path") => false,
        _ => return Err(Fault::format("a target that is neither path nor link")),
    };
    let tablespace = match (oid, name) {
        (Some(oid), Some(name)) if item.key.strip_prefix("pg_tblspc/") == Some(&oid) => {
            Some((oid.parse().map_err(|_| Fault::format("tablespace-id is not a number"))?, name))
        }
        (None, None) if !item.key.starts_with("pg_tblspc/") => None,
        _ => return Err(Fault::format("a tablespace whose name, id and key do not agree")),
    };
    Ok(Target { name: item.key.to_owned(), path, file, link, tablespace })
}

fn read_database(item: &Item<'_>) -> Result<Database, Fault> {
    let (mut oid, mut last) = (None, None);
    item.scanner().object(|key, value| {
        match key {
            "db-id" => oid = Some(value.unsigned32()?),
            "db-last-system-id" => last = Some(value.unsigned32()?),
            _ => value.skip()?,
        }
        Ok::<_, Fault>(())
    })?;
    Ok(Database {
        name: item.key.to_owned(),
        oid: oid.ok_or_else(|| missing("db-id"))?,
        last_system_oid: last.ok_or_else(|| missing("db-last-system-id"))?,
    })
}
