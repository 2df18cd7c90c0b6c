//! The JSON form of `info`: pgBackRest's schema, keys in alphabetical order.

use crate::base::{BackupLabel, WalSegment};
use crate::engine::catalog::{BackupView, Catalog, Detail, RepoView, StanzaView, Status};
use crate::engine::locks::Lock;
use crate::repo::{BackupEntry, Target};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};

/// The whole document; backups become JSON one by one, because there may be ten thousand.
pub(super) struct Document<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) progress_only: bool,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let progress_only = self.progress_only;
        serializer
            .collect_seq(self.catalog.stanzas.iter().map(|stanza| StanzaObject { stanza, progress_only }))
    }
}

struct StanzaObject<'a> {
    stanza: &'a StanzaView,
    progress_only: bool,
}

impl Serialize for StanzaObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stanza = self.stanza;
        let mut object = serializer.serialize_map(None)?;
        if !self.progress_only {
            object.serialize_entry("archive", &stanza.repos.iter().flat_map(archives).collect::<Value>())?;
            object.serialize_entry("backup", &Backups(&stanza.backups))?;
            object.serialize_entry("cipher", stanza.cipher())?;
            object.serialize_entry("db", &stanza.repos.iter().flat_map(databases).collect::<Value>())?;
        }
        object.serialize_entry("name", &stanza.name)?;
        if !self.progress_only {
            object.serialize_entry("repo", &stanza.repos.iter().map(repo_object).collect::<Value>())?;
        }
        object.serialize_entry("status", &stanza_status(stanza))?;
        object.end()
    }
}

struct Backups<'a>(&'a [BackupView]);

impl Serialize for Backups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(backup_object))
    }
}

fn stanza_status(stanza: &StanzaView) -> Value {
    let mut status = status_object(&stanza.status);
    if matches!(stanza.status, Status::Other(_)) {
        status["message"] = json!("other");
    }
    status["lock"] = json!({ "backup": backup_lock(stanza), "restore": lock_object(&stanza.restore_lock) });
    status
}

fn status_object(status: &Status) -> Value {
    json!({ "code": status.code(), "message": status.to_string() })
}

fn repo_object(repo: &RepoView) -> Value {
    json!({ "cipher": repo.cipher, "key": repo.key, "status": status_object(&repo.status) })
}

fn lock_object(lock: &Lock) -> Value {
    match lock.bytes {
        Some((done, total)) => json!({ "held": lock.held, "size": total, "size-cplt": done }),
        None => json!({ "held": lock.held }),
    }
}

/// Backups may run in several repositories at once: each, and their sum.
fn backup_lock(stanza: &StanzaView) -> Value {
    let held = stanza.backup_locks.iter().any(|(_, lock)| lock.held);
    let running = stanza.backup_locks.iter().filter_map(|(key, lock)| Some((key, lock.bytes?)));
    let rows: Vec<Value> = running
        .clone()
        .map(|(key, (done, total))| json!({ "key": key, "size": total, "size-cplt": done }))
        .collect();
    if rows.is_empty() {
        return json!({ "held": held });
    }
    let sum = running
        .fold((0_u64, 0_u64), |(done, total), (_, (d, t))| (done.saturating_add(d), total.saturating_add(t)));
    json!({ "held": held, "repo": rows, "size": sum.1, "size-cplt": sum.0 })
}

fn archives(repo: &RepoView) -> impl Iterator<Item = Value> {
    let key = repo.key;
    repo.archives.iter().map(move |archive| {
        json!({
            "database": { "id": archive.database_id, "repo-key": key },
            "id": archive.id,
            "max": archive.bounds.map(|(_, last)| last.to_string()),
            "min": archive.bounds.map(|(first, _)| first.to_string()),
        })
    })
}

fn databases(repo: &RepoView) -> impl Iterator<Item = Value> {
    let key = repo.key;
    repo.databases.iter().map(move |db| {
        json!({ "id": db.id, "repo-key": key, "system-id": db.system_id.0, "version": db.version.to_string() })
    })
}

fn backup_object(backup: &BackupView) -> Value {
    let entry = &backup.entry;
    let text = |segment: Option<WalSegment>| segment.map(|segment| segment.to_string());
    let references: Vec<&str> = entry.references.iter().map(BackupLabel::as_str).collect();
    let mut object = json!({
        "archive": { "start": text(entry.archive_start), "stop": text(entry.archive_stop) },
        "backrest": { "format": entry.format, "version": entry.backrest_version },
        "database": { "id": entry.db_id, "repo-key": backup.repo_key },
        "info": {
            "delta": entry.delta_bytes,
            "repository": repository_sizes(entry),
            "size": entry.size_bytes,
        },
        "label": entry.label.as_str(),
        "prior": entry.prior.as_ref().map(BackupLabel::as_str),
        "reference": (!references.is_empty()).then_some(references),
        "timestamp": { "start": entry.start.unix_s(), "stop": entry.stop.unix_s() },
        "type": entry.kind.to_string(),
    });
    if let Some(error) = entry.page_error {
        object["error"] = json!(error);
    }
    if let (Some(start), Some(stop)) = (entry.lsn_start, entry.lsn_stop) {
        object["lsn"] = json!({ "start": start.to_string(), "stop": stop.to_string() });
    }
    if !entry.annotations.is_empty() {
        object["annotation"] = json!(entry.annotations);
    }
    if let Some(detail) = &backup.detail {
        add_detail(&mut object, detail);
    }
    object
}

/// The size of a block-incremental set is not known, because several backups share blocks.
fn repository_sizes(entry: &BackupEntry) -> Value {
    match (entry.map_bytes, entry.map_delta_bytes) {
        (None, _) => json!({ "delta": entry.repo_delta_bytes, "size": entry.repo_size_bytes }),
        (map, delta) => json!({ "delta": entry.repo_delta_bytes, "delta-map": delta, "size-map": map }),
    }
}

fn add_detail(object: &mut Value, detail: &Detail) {
    let databases = detail.databases.iter().map(|db| json!({ "name": db.name, "oid": db.oid }));
    object["database-ref"] = databases.collect();
    let tablespace = |target: &Target| {
        let (oid, name) = target.tablespace.as_ref()?;
        Some(json!({ "destination": target.path, "name": name, "oid": oid }))
    };
    let link = |target: &Target| {
        let (name, destination) = super::text::link_parts(target)?;
        Some(json!({ "destination": destination, "name": name }))
    };
    let or_null = |list: Vec<Value>| if list.is_empty() { Value::Null } else { Value::Array(list) };
    object["link"] = or_null(detail.targets.iter().filter_map(link).collect());
    object["tablespace"] = or_null(detail.targets.iter().filter_map(tablespace).collect());
    if !detail.damaged_files.is_empty() {
        object["error-list"] = json!(detail.damaged_files);
        object["error"] = json!(true);
    }
}
