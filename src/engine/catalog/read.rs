//! Filling the catalog: which info files are read, what each failure means, and how repositories are merged.

use super::{
    ArchiveView, BackupView, Catalog, DatabaseView, Detail, Query, RepoView, Slot, StanzaView, Status,
    label_of,
};
use crate::base::{BackupLabel, PgVersion, Report, SystemId};
use crate::engine::locks::{Lock, LockFolder, Work};
use crate::repo::{
    Archive, ArchiveInfo, BackupEntry, BackupInfo, Loaded, Manifest, RepoError, Repository, Stanza,
};
use crate::store::StoreErrorKind;
use std::collections::{BTreeMap, VecDeque};

/// The name under which failures are shown when no stanza is known.
const NO_STANZA: &str = "[invalid]";

/// One stanza in one repository, while it is read.
struct Draft {
    key: u32,
    cipher: &'static str,
    status: Status,
    info: Option<BackupInfo>,
    archive: Option<(Archive, ArchiveInfo)>,
    manifest: Option<Manifest>,
    lock: Lock,
}

impl Draft {
    fn new(slot: &Slot, status: Status) -> Self {
        let lock = Lock::default();
        Self { key: slot.key, cipher: slot.cipher, status, info: None, archive: None, manifest: None, lock }
    }

    /// Keeps nothing but the reason.
    fn fail(&mut self, error: &RepoError) {
        self.status = Status::Other(told(error));
        self.info = None;
        self.archive = None;
        self.manifest = None;
    }
}

/// A stanza, while it is read.
#[derive(Default)]
struct StanzaDraft {
    repos: BTreeMap<u32, Draft>,
    restore_lock: Lock,
}

pub(super) fn catalog(slots: &[Slot], query: &Query<'_>, locks: &LockFolder) -> Catalog {
    let mut warnings = Vec::new();
    let mut stanzas: BTreeMap<String, StanzaDraft> = BTreeMap::new();
    let mut failed: BTreeMap<u32, String> = BTreeMap::new();
    let label = label_of(query);
    let mut found = false;
    for slot in slots {
        match names(slot, query) {
            Ok((repository, names)) => {
                for (name, exists) in names {
                    let stanza = repository.stanza(&name);
                    let set = label.as_ref().filter(|label| has_manifest(&stanza, label));
                    found |= set.is_some();
                    let draft = if exists {
                        read_stanza(slot, &stanza, set, query, &mut warnings)
                    } else {
                        Draft::new(slot, Status::MissingPath)
                    };
                    stanzas.entry(name).or_default().repos.insert(slot.key, draft);
                }
            }
            Err(reason) => {
                failed.insert(slot.key, reason);
            }
        }
    }
    if stanzas.is_empty() && !failed.is_empty() {
        stanzas.insert(query.stanza.unwrap_or(NO_STANZA).to_owned(), StanzaDraft::default());
    }
    for (name, stanza) in &mut stanzas {
        complete(slots, &failed, stanza);
        look_at_locks(name, stanza, query, locks);
        if query.set.is_some() && !found {
            without_the_set(stanza);
        }
    }
    let stanzas = stanzas.into_iter().map(|(name, stanza)| view(name, stanza, query, label.as_ref()));
    Catalog { stanzas: stanzas.collect(), warnings }
}

/// Names of stanzas, each with whether its folder is there.
type Names = Vec<(String, bool)>;

/// The stanzas of a repository that are asked for, each with whether it is there; or why that is not known.
fn names<'a>(slot: &'a Slot, query: &Query<'_>) -> Result<(&'a Repository, Names), String> {
    let repository = slot.repository.as_ref().map_err(of_report)?;
    let present = repository.stanzas().map_err(|error| told(&error))?;
    let names = match query.stanza {
        Some(name) => vec![(name.to_owned(), present.iter().any(|present| present == name))],
        None => present.into_iter().map(|name| (name, true)).collect(),
    };
    Ok((repository, names))
}

fn of_report(report: &Report) -> String {
    let hint = report.hint.as_ref().map_or(String::new(), |hint| format!("\nHINT: {hint}"));
    format!("[RepoInvalidError] {}{hint}", report.headline)
}

fn has_manifest(stanza: &Stanza, label: &BackupLabel) -> bool {
    let path = stanza.backup_folder().and_then(|folder| folder.join(label.as_str())?.join("backup.manifest"));
    path.is_ok_and(|path| matches!(stanza.repository().storage().stat(&path), Ok(Some(_))))
}

fn read_stanza(
    slot: &Slot,
    stanza: &Stanza,
    set: Option<&BackupLabel>,
    query: &Query<'_>,
    warnings: &mut Vec<String>,
) -> Draft {
    let mut draft = Draft::new(slot, Status::Ok);
    if query.progress_only {
        return draft;
    }
    let mut keep = |more: Vec<String>| warnings.extend(more);
    match stanza.backup_info() {
        Ok(Loaded { value, warnings }) => {
            keep(warnings);
            draft.info = Some(value);
        }
        Err(error) if error.is_missing() => draft.status = Status::MissingData,
        Err(error) => draft.fail(&error),
    }
    let Some(info) = &draft.info else { return draft };
    let rest = stanza.archive_info().and_then(|archive| {
        let manifest = set.map(|label| stanza.manifest(info, label)).transpose()?;
        Ok((archive, manifest))
    });
    match rest {
        Ok((archive, manifest)) => {
            keep(archive.warnings);
            draft.archive = Some((stanza.archive(&archive.value), archive.value));
            draft.manifest = manifest.map(|Loaded { value, warnings }| {
                keep(warnings);
                value
            });
        }
        Err(error) => draft.fail(&error),
    }
    draft
}

/// Gives every stanza a state in every repository.
fn complete(slots: &[Slot], failed: &BTreeMap<u32, String>, stanza: &mut StanzaDraft) {
    for slot in slots {
        let instead = failed.get(&slot.key).map_or(Status::MissingPath, |why| Status::Other(why.clone()));
        stanza.repos.entry(slot.key).or_insert_with(|| Draft::new(slot, instead));
    }
}

/// Looks at the locks of the repositories whose info file could be read, or of all if none is read at all.
fn look_at_locks(name: &str, stanza: &mut StanzaDraft, query: &Query<'_>, locks: &LockFolder) {
    if name == NO_STANZA {
        return;
    }
    let mut read = false;
    for draft in stanza.repos.values_mut().filter(|draft| draft.info.is_some() || query.progress_only) {
        draft.lock = locks.of_repo(name, Work::Backup, draft.key);
        let restore = locks.of_repo(name, Work::Restore, draft.key);
        if restore.held && !stanza.restore_lock.held {
            stanza.restore_lock = restore;
        }
        read = true;
    }
    let whole = locks.of_stanza(name, Work::Backup);
    let nobody = stanza.repos.values().all(|draft| !draft.lock.held);
    if let Some(first) = stanza.repos.values_mut().next().filter(|_| read && nobody) {
        first.lock = whole;
    }
}

/// The set asked for is nowhere: repositories that are otherwise sound say so.
fn without_the_set(stanza: &mut StanzaDraft) {
    for draft in stanza.repos.values_mut().filter(|draft| draft.status == Status::Ok) {
        draft.status = Status::BackupMissing;
        draft.info = None;
    }
}

fn view(name: String, stanza: StanzaDraft, query: &Query<'_>, label: Option<&BackupLabel>) -> StanzaView {
    let current = stanza.repos.values().filter_map(|draft| draft.info.as_ref()).find_map(current_of);
    let mut status = None;
    let mut repos = Vec::new();
    let mut drafts: Vec<Draft> = stanza.repos.into_values().collect();
    for draft in &mut drafts {
        let (databases, archives) = clusters(draft);
        let own = draft.info.as_ref().and_then(current_of);
        if own.is_some() && own != current {
            status = Some(Status::DatabaseMismatch);
        }
        if draft.status == Status::Ok && draft.info.as_ref().is_some_and(|info| info.backups.is_empty()) {
            draft.status = Status::NoBackups;
        }
        status = Some(match status {
            Some(Status::DatabaseMismatch) => Status::DatabaseMismatch,
            Some(before) if before.code() != draft.status.code() => Status::Mixed,
            _ => draft.status.clone(),
        });
        let (key, cipher, status) = (draft.key, draft.cipher, draft.status.clone());
        repos.push(RepoView { key, cipher, status, databases, archives });
    }
    let backup_locks = drafts.iter().map(|draft| (draft.key, draft.lock)).collect();
    let backups = merged(drafts, query, label);
    let status = status.unwrap_or(Status::MissingPath);
    StanzaView { name, status, repos, current, backups, backup_locks, restore_lock: stanza.restore_lock }
}

fn current_of(info: &BackupInfo) -> Option<(PgVersion, SystemId)> {
    info.history.get(&info.current_db_id).map(|db| (db.version, db.system_id))
}

/// The clusters of a repository and their archives; a failure becomes the repository's state.
fn clusters(draft: &mut Draft) -> (Vec<DatabaseView>, Vec<ArchiveView>) {
    let (mut databases, mut archives) = (Vec::new(), Vec::new());
    let (Some(info), Some((archive, archive_info))) = (&draft.info, &draft.archive) else {
        return (databases, archives);
    };
    let newest = info.history.keys().next_back().copied();
    let mut failure = None;
    for (id, db) in &info.history {
        databases.push(DatabaseView { id: *id, version: db.version, system_id: db.system_id });
        match archive_of(archive, archive_info, *id, db.version, db.system_id) {
            Ok(view) if view.bounds.is_some() || Some(*id) == newest => archives.push(view),
            Ok(_) => {}
            Err(reason) => {
                failure = Some(reason);
                break;
            }
        }
    }
    if let Some(reason) = failure {
        draft.status = Status::Other(reason);
        draft.info = None;
    }
    (databases, archives)
}

/// The archive of a cluster: under the same history id if that is the same cluster, else under the newest id that is.
fn archive_of(
    archive: &Archive,
    info: &ArchiveInfo,
    id: u32,
    version: PgVersion,
    system_id: SystemId,
) -> Result<ArchiveView, String> {
    let ids = archive.ids_of(version, system_id);
    let same = info.history.get(&id).is_some_and(|entry| *entry == (version, system_id));
    let archive_id = ids.iter().find(|found| same && found.db_id == id).or(ids.last()).ok_or_else(|| {
        format!(
            "[ArchiveMismatchError] archive.info knows no archive of PostgreSQL {version} with system identifier \
             {system_id}"
        )
    })?;
    let bounds = archive.bounds(archive_id).map_err(|error| told(&error))?;
    Ok(ArchiveView { database_id: id, id: archive_id.to_string(), bounds })
}

/// The backups of all repositories, each repository's in the order of their labels, oldest stop first.
fn merged(drafts: Vec<Draft>, query: &Query<'_>, label: Option<&BackupLabel>) -> Vec<BackupView> {
    let mut lists: Vec<(u32, Option<Manifest>, VecDeque<BackupEntry>)> = drafts
        .into_iter()
        .filter_map(|draft| Some((draft.key, draft.manifest, draft.info?.backups.into_values().collect())))
        .collect();
    let mut backups = Vec::new();
    loop {
        let next = lists.iter_mut().filter(|(.., list)| !list.is_empty());
        let Some((repo_key, manifest, list)) = next.min_by_key(|(.., list)| list.front().map(|b| b.stop))
        else {
            return backups;
        };
        let Some(entry) = list.pop_front() else { return backups };
        let wanted = query.set.is_none() || label == Some(&entry.label);
        if wanted && query.kind.is_none_or(|kind| kind == entry.kind) {
            let detail = manifest.as_ref().filter(|_| query.set.is_some()).map(detail);
            backups.push(BackupView { repo_key: *repo_key, entry, detail });
        }
    }
}

fn detail(manifest: &Manifest) -> Detail {
    let templates = ["template0", "template1"];
    let databases = manifest.databases.iter().filter(|db| !templates.contains(&db.name.as_str())).cloned();
    let damaged = manifest.files.iter().filter(|file| file.page_ok == Some(false));
    Detail {
        databases: databases.collect(),
        targets: manifest.targets.iter().filter(|target| target.link).cloned().collect(),
        damaged_files: damaged
            .map(|f| f.name.strip_prefix("pg_data/").unwrap_or(f.name).to_owned())
            .collect(),
    }
}

/// The failure in pgBackRest's form: its class, the reason, and what to do.
fn told(error: &RepoError) -> String {
    let hint = error.hint();
    let hint = if hint.is_empty() { String::new() } else { format!("\nHINT: {hint}") };
    format!("[{}] {error}{hint}", error_name(error))
}

/// The name pgBackRest gives to this class of failure.
fn error_name(error: &RepoError) -> &'static str {
    match error {
        RepoError::Store(error) => match error.kind {
            StoreErrorKind::Missing => "FileMissingError",
            StoreErrorKind::Denied => "FileOpenError",
            StoreErrorKind::BadPath => "ParamInvalidError",
            StoreErrorKind::Unreachable | StoreErrorKind::Full | StoreErrorKind::Other => "FileReadError",
        },
        RepoError::Both { main, copy } => match (error_name(main), error_name(copy)) {
            (main, copy) if main == copy => main,
            ("FileMissingError", other) | (other, "FileMissingError") => other,
            _ => "FileOpenError",
        },
        RepoError::NotEncrypted(_)
        | RepoError::Passphrase(_)
        | RepoError::Encrypted(_)
        | RepoError::NoPassphrase(_) => "CryptoError",
        RepoError::Stream { .. } => "FileReadError",
        RepoError::Checksum { .. } => "ChecksumError",
        RepoError::NoSuchBackup { .. } => "BackupSetInvalidError",
        RepoError::Format { .. }
        | RepoError::FormatNumber { .. }
        | RepoError::Hostile { .. }
        | RepoError::Unfinished { .. }
        | RepoError::Unsupported { .. }
        | RepoError::BlockMap { .. }
        | RepoError::BlockMapMaking { .. } => "FormatError",
    }
}
