//! Writing a manifest.
//!
//! Sections and keys in the order of the format; attributes only where they differ from the defaults, which are those of
//! the data directory. What is written is what [`read`](super::read) would give back.

use super::{FileEntry, LinkEntry, Manifest, Owner, PathEntry, Target};
use crate::base::BackupLabel;
use crate::repo::ini::Writer;
use crate::repo::json::Object;
use std::io::{self, Write};

/// The data directory's own entry.
const BASE: &str = "pg_data";
/// What of the data directory's mode a file may have by default.
const FILE_MODE_MASK: u32 = 0o640;
/// Block checksums of this size need not be told.
const DEFAULT_CHECKSUM_BYTES: u8 = 6;
const BLOCK_UNIT_BYTES: u32 = 8192;

/// Writes `manifest`; one that is not whole yet, too.
pub(in crate::repo) fn write<W: Write>(manifest: &Manifest, out: W) -> io::Result<W> {
    let mut file = Writer::begin(out, &manifest.backrest_version)?;
    write_backup(manifest, &mut file)?;
    write_cluster(manifest, &mut file)?;
    for target in &manifest.targets {
        file.item("backup:target", &target.name, &target_text(target))?;
    }
    if let Some(passphrase) = &manifest.cipher_pass {
        file.string("cipher", "cipher-pass", passphrase.expose())?;
    }
    for database in &manifest.databases {
        let mut entry = Object::default();
        entry.plain("db-id", database.oid);
        entry.plain("db-last-system-id", database.last_system_oid);
        file.item("db", &database.name, &entry.finish())?;
    }
    if !manifest.annotations.is_empty() {
        let mut notes = Object::default();
        manifest.annotations.iter().for_each(|(key, text)| notes.string(key, text));
        file.item("metadata", "annotation", &notes.finish())?;
    }
    write_tree(manifest, &mut file)?;
    file.finish()
}

fn write_backup<W: Write>(manifest: &Manifest, file: &mut Writer<W>) -> io::Result<()> {
    let section = "backup";
    let text = |text: Option<String>, key: &'static str, file: &mut Writer<W>| {
        text.map_or(Ok(()), |text| file.string(section, key, &text))
    };
    text(manifest.archive_start.map(|s| s.to_string()), "backup-archive-start", file)?;
    text(manifest.archive_stop.map(|s| s.to_string()), "backup-archive-stop", file)?;
    let flags = [
        ("backup-block-incr", manifest.block_incr),
        ("backup-bundle", manifest.bundle),
        ("backup-bundle-raw", manifest.bundle_raw),
    ];
    for (key, _) in flags.into_iter().filter(|(_, set)| *set) {
        file.item(section, key, "true")?;
    }
    file.string(section, "backup-label", manifest.label.as_str())?;
    text(manifest.lsn_start.map(|lsn| lsn.to_string()), "backup-lsn-start", file)?;
    text(manifest.lsn_stop.map(|lsn| lsn.to_string()), "backup-lsn-stop", file)?;
    text(manifest.prior.as_ref().map(ToString::to_string), "backup-prior", file)?;
    let references: Vec<&str> = manifest.references.iter().map(BackupLabel::as_str).collect();
    file.string(section, "backup-reference", &references.join(","))?;
    for (key, at) in [
        ("backup-timestamp-copy-start", manifest.copy_start),
        ("backup-timestamp-start", manifest.start),
        ("backup-timestamp-stop", manifest.stop),
    ] {
        file.item(section, key, &at.unix_s().to_string())?;
    }
    file.string(section, "backup-type", &manifest.kind.to_string())
}

fn write_cluster<W: Write>(manifest: &Manifest, file: &mut Writer<W>) -> io::Result<()> {
    let db = &manifest.db;
    file.item("backup:db", "db-catalog-version", &db.catalog.to_string())?;
    file.item("backup:db", "db-control-version", &db.control.to_string())?;
    file.item("backup:db", "db-id", &db.id.to_string())?;
    file.item("backup:db", "db-system-id", &db.system_id.to_string())?;
    file.string("backup:db", "db-version", &db.version.to_string())?;
    let made = &manifest.made_with;
    let level = |level: Option<i32>| level.map(|level| level.cast_unsigned().to_string());
    let name = format!("\"{}\"", manifest.compression);
    let options = [
        ("option-archive-check", Some(manifest.archive_check.to_string())),
        ("option-archive-copy", Some(manifest.archive_copy.to_string())),
        ("option-backup-standby", Some(manifest.standby.to_string())),
        ("option-buffer-size", made.buffer_bytes.map(|bytes| bytes.to_string())),
        ("option-checksum-page", Some(manifest.checksum_page.to_string())),
        ("option-compress", Some((manifest.compression != crate::codec::Compression::None).to_string())),
        ("option-compress-level", level(made.compress_level)),
        ("option-compress-level-network", level(made.compress_level_network)),
        ("option-compress-type", Some(name)),
        ("option-delta", made.delta.map(|delta| delta.to_string())),
        ("option-hardlink", Some(manifest.hardlink.to_string())),
        ("option-online", Some(manifest.online.to_string())),
        ("option-process-max", made.process_max.map(|count| count.to_string())),
    ];
    for (key, value) in options {
        value.map_or(Ok(()), |value| file.item("backup:option", key, &value))?;
    }
    Ok(())
}

fn target_text(target: &Target) -> String {
    let mut entry = Object::default();
    entry.optional("file", target.file.as_ref());
    entry.string("path", &target.path);
    if let Some((oid, name)) = &target.tablespace {
        entry.string("tablespace-id", oid.to_string());
        entry.string("tablespace-name", name);
    }
    entry.string("type", if target.link { "link" } else { "path" });
    entry.finish()
}

/// The attributes that need not be told because most entries have them.
struct Defaults<'a> {
    user: Owner<&'a str>,
    group: Owner<&'a str>,
    folder_mode: u32,
}

impl Defaults<'_> {
    fn file_mode(&self) -> u32 {
        self.folder_mode & FILE_MODE_MASK
    }

    fn group(&self, entry: &mut Object, group: Owner<&str>) {
        if group != self.group {
            add_owner(entry, "group", group);
        }
    }

    fn user(&self, entry: &mut Object, user: Owner<&str>) {
        if user != self.user {
            add_owner(entry, "user", user);
        }
    }
}

fn add_owner(entry: &mut Object, key: &str, owner: Owner<&str>) {
    match owner {
        Owner::Named(name) => entry.string(key, name),
        Owner::Unnamed => entry.plain(key, false),
    }
}

fn owner_text(owner: Owner<&str>) -> String {
    let mut quoted = Vec::new();
    match owner {
        Owner::Named(name) => crate::repo::json::write_string(name, &mut quoted),
        Owner::Unnamed => quoted.extend_from_slice(b"false"),
    }
    String::from_utf8(quoted).unwrap_or_default()
}

fn mode_text(mode: u32) -> String {
    format!("{mode:04o}")
}

fn write_tree<W: Write>(manifest: &Manifest, file: &mut Writer<W>) -> io::Result<()> {
    let base = manifest.paths.iter().find(|path| path.name == BASE).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "a manifest without the data directory itself")
    })?;
    let (user, group) = (base.user.as_deref(), base.group.as_deref());
    let defaults = Defaults { user, group, folder_mode: base.mode };
    for entry in manifest.files.iter() {
        file.item("target:file", entry.name, &file_text(&entry, &defaults))?;
    }
    let write_defaults = |section: &str, mode: Option<u32>, file: &mut Writer<W>| {
        file.item(section, "group", &owner_text(group))?;
        mode.map_or(Ok(()), |mode| file.string(section, "mode", &mode_text(mode)))?;
        file.item(section, "user", &owner_text(user))
    };
    write_defaults("target:file:default", Some(defaults.file_mode()), file)?;
    for link in &manifest.links {
        file.item("target:link", &link.name, &link_text(link, &defaults))?;
    }
    if !manifest.links.is_empty() {
        write_defaults("target:link:default", None, file)?;
    }
    for path in &manifest.paths {
        file.item("target:path", &path.name, &path_text(path, &defaults))?;
    }
    write_defaults("target:path:default", Some(defaults.folder_mode), file)
}

fn file_text(file: &FileEntry<'_>, defaults: &Defaults<'_>) -> String {
    let mut entry = Object::default();
    if let Some(block) = file.block {
        entry.plain("bi", block.block_bytes / BLOCK_UNIT_BYTES);
        if block.checksum_bytes != DEFAULT_CHECKSUM_BYTES {
            entry.plain("bic", block.checksum_bytes);
        }
        entry.plain("bim", block.map_bytes);
    }
    if let Some((bundle, offset)) = file.bundle {
        entry.plain("bni", bundle);
        if offset > 0 {
            entry.plain("bno", offset);
        }
    }
    entry.optional("checksum", file.checksum.filter(|_| file.size_bytes > 0));
    if let Some(ok) = file.page_ok {
        entry.plain("checksum-page", ok);
    }
    if !file.page_errors.is_empty() {
        entry.plain("checksum-page-error", pages_text(&file.page_errors));
    }
    defaults.group(&mut entry, file.group);
    if file.mode != defaults.file_mode() {
        entry.string("mode", mode_text(file.mode));
    }
    entry.optional("rck", file.repo_checksum);
    if !file.stored_here {
        entry.string("reference", file.owner.as_str());
    }
    if file.repo_size_bytes != file.size_bytes {
        entry.plain("repo-size", file.repo_size_bytes);
    }
    entry.plain("size", file.size_bytes);
    entry.plain("timestamp", file.modified_s);
    defaults.user(&mut entry, file.user);
    entry.finish()
}

/// Single pages and inclusive ranges: `[[1,3],6]`.
fn pages_text(ranges: &[(u32, u32)]) -> String {
    let one = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("[{first},{last}]") }
    };
    format!("[{}]", ranges.iter().map(one).collect::<Vec<_>>().join(","))
}

fn link_text(link: &LinkEntry, defaults: &Defaults<'_>) -> String {
    let mut entry = Object::default();
    entry.string("destination", &link.destination);
    defaults.group(&mut entry, link.group.as_deref());
    defaults.user(&mut entry, link.user.as_deref());
    entry.finish()
}

fn path_text(path: &PathEntry, defaults: &Defaults<'_>) -> String {
    let mut entry = Object::default();
    defaults.group(&mut entry, path.group.as_deref());
    if path.mode != defaults.folder_mode {
        entry.string("mode", mode_text(path.mode));
    }
    defaults.user(&mut entry, path.user.as_deref());
    entry.finish()
}
