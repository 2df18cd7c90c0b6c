//! Writing `backup.info`.
//!
//! Keys in the order of their bytes, as pgBackRest must find them. What a later version wrote into a backup's entry is
//! written again as it stood.

use super::{BackupEntry, BackupInfo, DbHistory};
use crate::base::{PgVersion, SystemId};
use crate::repo::ini::{WRITER, Writer};
use crate::repo::json::{Object, write_string};
use std::collections::BTreeMap;
use std::fmt::Display;

impl BackupInfo {
    /// The cluster that is backed up now.
    pub fn current(&self) -> DbHistory {
        // The current id is proven to be in the history when the file is read.
        let nobody =
            DbHistory { version: PgVersion::major(0), system_id: SystemId(0), catalog: 0, control: 0 };
        self.history.get(&self.current_db_id).copied().unwrap_or(nobody)
    }

    /// The file as it is stored, before encryption.
    pub(in crate::repo) fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        let mut file = Writer::begin(Vec::new(), WRITER)?;
        for (label, entry) in &self.backups {
            file.item("backup:current", label.as_str(), &entry_text(entry))?;
        }
        if let Some(passphrase) = &self.cipher_pass {
            file.string("cipher", "cipher-pass", passphrase.expose())?;
        }
        let current = self.current();
        file.item("db", "db-catalog-version", &current.catalog.to_string())?;
        file.item("db", "db-control-version", &current.control.to_string())?;
        file.item("db", "db-id", &self.current_db_id.to_string())?;
        file.item("db", "db-system-id", &current.system_id.to_string())?;
        file.string("db", "db-version", &current.version.to_string())?;
        for (id, cluster) in &self.history {
            let mut entry = Object::default();
            entry.plain("db-catalog-version", cluster.catalog);
            entry.plain("db-control-version", cluster.control);
            entry.plain("db-system-id", cluster.system_id);
            entry.string("db-version", cluster.version.to_string());
            file.item("db:history", &id.to_string(), &entry.finish())?;
        }
        file.finish()
    }
}

/// The members of an entry: key and JSON value, sorted by key.
#[derive(Default)]
struct Members<'a>(BTreeMap<&'a str, String>);

impl<'a> Members<'a> {
    /// A number, a flag, or what is JSON already.
    fn plain(&mut self, key: &'a str, value: &dyn Display) {
        self.0.insert(key, value.to_string());
    }

    fn optional(&mut self, key: &'a str, value: Option<&dyn Display>) {
        if let Some(value) = value {
            self.plain(key, value);
        }
    }

    fn text(&mut self, key: &'a str, text: &dyn Display) {
        let mut quoted = Vec::new();
        write_string(&text.to_string(), &mut quoted);
        self.0.insert(key, String::from_utf8(quoted).unwrap_or_default());
    }

    fn optional_text(&mut self, key: &'a str, text: Option<&dyn Display>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn text_or_null(&mut self, key: &'a str, text: Option<&dyn Display>) {
        match text {
            Some(text) => self.text(key, text),
            None => self.plain(key, &"null"),
        }
    }
}

/// A value that may be missing, as something to print.
fn shown<T: Display>(value: Option<&T>) -> Option<&dyn Display> {
    value.map(|value| value as &dyn Display)
}

fn entry_text(entry: &BackupEntry) -> String {
    let mut members = Members::default();
    for (key, value) in &entry.unknown {
        members.plain(key, value);
    }
    members.plain("backrest-format", &entry.format);
    members.text("backrest-version", &entry.backrest_version);
    if !entry.annotations.is_empty() {
        let mut notes = Object::default();
        entry.annotations.iter().for_each(|(key, text)| notes.string(key, text));
        members.plain("backup-annotation", &notes.finish());
    }
    members.text_or_null("backup-archive-start", shown(entry.archive_start.as_ref()));
    members.text_or_null("backup-archive-stop", shown(entry.archive_stop.as_ref()));
    members.optional("backup-error", shown(entry.page_error.as_ref()));
    members.plain("backup-info-repo-size", &entry.repo_size_bytes);
    members.plain("backup-info-repo-size-delta", &entry.repo_delta_bytes);
    members.optional("backup-info-repo-size-map", shown(entry.map_bytes.as_ref()));
    members.optional("backup-info-repo-size-map-delta", shown(entry.map_delta_bytes.as_ref()));
    members.plain("backup-info-size", &entry.size_bytes);
    members.plain("backup-info-size-delta", &entry.delta_bytes);
    members.optional_text("backup-lsn-start", shown(entry.lsn_start.as_ref()));
    members.optional_text("backup-lsn-stop", shown(entry.lsn_stop.as_ref()));
    members.optional_text("backup-prior", shown(entry.prior.as_ref()));
    if entry.prior.is_some() {
        members.plain("backup-reference", &list_text(entry));
    }
    members.plain("backup-timestamp-start", &entry.start.unix_s());
    members.plain("backup-timestamp-stop", &entry.stop.unix_s());
    members.text("backup-type", &entry.kind);
    members.plain("db-id", &entry.db_id);
    members.plain("option-archive-check", &entry.archive_check);
    members.plain("option-archive-copy", &entry.archive_copy);
    members.plain("option-backup-standby", &entry.standby);
    members.plain("option-checksum-page", &entry.checksum_page);
    members.plain("option-compress", &entry.compressed);
    members.plain("option-hardlink", &entry.hardlink);
    members.plain("option-online", &entry.online);
    let body: Vec<String> = members.0.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", body.join(","))
}

fn list_text(entry: &BackupEntry) -> String {
    // Labels need no escapes.
    let labels: Vec<String> = entry.references.iter().map(|label| format!("\"{label}\"")).collect();
    format!("[{}]", labels.join(","))
}
