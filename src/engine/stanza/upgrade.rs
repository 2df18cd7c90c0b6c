//! Telling a stanza that another cluster has taken the place of the one before: a new entry in both histories.
//!
//! Ids are never used again; the old cluster's backups and WAL stay. The two files are looked at apart, so that an
//! upgrade that was interrupted between them is finished by the same command. Nothing is written where the histories
//! would not agree afterwards.

use super::{Identity, in_repo, present};
use crate::base::{Report, Result};
use crate::repo::{ArchiveInfo, BackupInfo, Repository, Stanza};
use serde::Serialize;
use std::collections::BTreeMap;

/// The stanza in one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upgraded {
    /// The repository's number.
    pub repo: u32,
    /// Where it is.
    pub store: String,
    /// False if it was of this cluster already and nothing was written.
    pub changed: bool,
    /// The cluster that was current before.
    pub before: String,
    /// The cluster's history id there.
    pub db_id: u32,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// Both files as they are to be; nothing for one that stays.
struct Plan {
    archive: Option<ArchiveInfo>,
    backup: Option<BackupInfo>,
    before: Identity,
    db_id: u32,
    warnings: Vec<String>,
}

/// Makes the cluster `of` the current one of `stanza` in every repository.
pub fn upgrade(repositories: &[Repository], stanza: &str, of: Identity) -> Result<Vec<Upgraded>> {
    let mut planned = Vec::new();
    for repository in repositories {
        let stanza = repository.stanza(stanza);
        let plan = plan(&stanza, of)?;
        planned.push((stanza, plan));
    }
    planned.into_iter().map(|(stanza, plan)| carry_out(&stanza, plan)).collect()
}

fn plan(stanza: &Stanza, of: Identity) -> Result<Plan> {
    let key = stanza.repository().key();
    let missing = |file: &str| {
        in_repo(
            key,
            Report::failed(format!("stanza '{}' has no {file}", stanza.name()))
                .hint(format!("make the stanza first: pgmayday --stanza={} stanza-create", stanza.name())),
        )
    };
    let archive = present(stanza.archive_info(), key)?.ok_or_else(|| missing("archive.info"))?;
    let backup = present(stanza.backup_info(), key)?.ok_or_else(|| missing("backup.info"))?;
    let mut warnings = archive.warnings;
    warnings.extend(backup.warnings);
    let (mut archive, mut backup) = (archive.value, backup.value);
    let before = Identity::from(archive.current());
    let (archive_is_current, backup_is_current) = (before == of, Identity::from(backup.current()) == of);
    if !archive_is_current {
        archive.current_db_id = next_id(&archive.history)?;
        archive.history.insert(archive.current_db_id, (of.version, of.system_id));
    }
    if !backup_is_current {
        backup.current_db_id = next_id(&backup.history)?;
        backup.history.insert(backup.current_db_id, of.history()?);
    }
    agree(&archive, &backup).map_err(|why| {
        let name = stanza.name();
        in_repo(
            key,
            Report::damaged(format!(
                "archive.info and backup.info of stanza '{name}' do not belong together: {why}"
            ))
            .hint("bring back the pair of files that was written together"),
        )
    })?;
    let db_id = archive.current_db_id;
    let (archive, backup) =
        ((!archive_is_current).then_some(archive), (!backup_is_current).then_some(backup));
    Ok(Plan { archive, backup, before, db_id, warnings })
}

/// One more than the largest that was ever given.
fn next_id<T>(history: &BTreeMap<u32, T>) -> Result<u32> {
    let largest = history.keys().next_back().copied().unwrap_or(0);
    largest.checked_add(1).ok_or_else(|| Report::damaged(format!("history id {largest} has no successor")))
}

/// Both histories name the same clusters under the same ids, and the same one as current.
pub(crate) fn agree(archive: &ArchiveInfo, backup: &BackupInfo) -> Result<(), String> {
    let of_archive = archive.history.iter().map(|(id, entry)| (*id, Identity::from(*entry)));
    let of_backup = backup.history.iter().map(|(id, entry)| (*id, Identity::from(*entry)));
    let (of_archive, of_backup): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (of_archive.collect(), of_backup.collect());
    for id in of_archive.keys().chain(of_backup.keys()) {
        let told = |history: &BTreeMap<u32, Identity>| {
            history.get(id).map_or_else(|| "nothing".to_owned(), ToString::to_string)
        };
        if of_archive.get(id) != of_backup.get(id) {
            return Err(format!(
                "under id {id} the first has {}, the second {}",
                told(&of_archive),
                told(&of_backup)
            ));
        }
    }
    if archive.current_db_id != backup.current_db_id {
        return Err(format!(
            "id {} is current in the first, {} in the second",
            archive.current_db_id, backup.current_db_id
        ));
    }
    Ok(())
}

fn carry_out(stanza: &Stanza, plan: Plan) -> Result<Upgraded> {
    let repository = stanza.repository();
    let key = repository.key();
    let Plan { archive, backup, before, db_id, warnings } = plan;
    let changed = archive.is_some() || backup.is_some();
    if let Some(info) = archive {
        stanza.save_archive_info(&info).map_err(|error| in_repo(key, error.into()))?;
    }
    if let Some(info) = backup {
        stanza.save_backup_info(&info).map_err(|error| in_repo(key, error.into()))?;
    }
    let before = before.to_string();
    Ok(Upgraded { repo: key, store: repository.storage().describe(), changed, before, db_id, warnings })
}
