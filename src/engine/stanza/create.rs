//! Making a stanza: its two info files in every repository.
//!
//! `archive.info` comes first, so that what a crash leaves can be told from a stanza that lost its `backup.info`: it
//! holds nothing else yet, and the next run finishes it. A stanza that is there is left as it is, byte by byte; only a
//! missing copy is made good.

use super::{Identity, in_repo, present};
use crate::base::{Kind, Report, Result, Secret};
use crate::codec::random_passphrase;
use crate::repo::{ArchiveInfo, BackupInfo, Repository, Stanza};
use crate::store::StorePath;
use serde::Serialize;
use std::collections::BTreeMap;

/// The history id of a new stanza's cluster.
const FIRST_ID: u32 = 1;
/// How many names of what stands in the way are told.
const NAMES_TOLD: usize = 3;

/// What came of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Made {
    /// The stanza was made.
    Created,
    /// An interrupted creation was finished.
    Completed,
    /// The stanza was there; a missing info file or copy was written from the other.
    Mended {
        /// What was written.
        files: Vec<String>,
    },
    /// The stanza was there, nothing was written.
    Unchanged,
}

/// The stanza in one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Created {
    /// The repository's number.
    pub repo: u32,
    /// Where it is.
    pub store: String,
    /// What was done.
    #[serde(flatten)]
    pub made: Made,
    /// The cluster's history id there.
    pub db_id: u32,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// What is to be done in one repository.
enum Plan {
    /// Write both files.
    Both,
    /// Write `backup.info`.
    BackupInfo,
    /// Write what is missing of a pair.
    Mend {
        db_id: u32,
    },
    Nothing {
        db_id: u32,
    },
}

/// Makes `stanza` for the cluster `of` in every repository that does not have it.
pub fn create(repositories: &[Repository], stanza: &str, of: Identity) -> Result<Vec<Created>> {
    let mut planned = Vec::new();
    for repository in repositories {
        let stanza = repository.stanza(stanza);
        let (plan, warnings) = plan(&stanza, of)?;
        planned.push((stanza, plan, warnings));
    }
    planned.into_iter().map(|(stanza, plan, warnings)| carry_out(&stanza, &plan, warnings, of)).collect()
}

fn plan(stanza: &Stanza, of: Identity) -> Result<(Plan, Vec<String>)> {
    let key = stanza.repository().key();
    let archive = present(stanza.archive_info(), key)?;
    let backup = present(stanza.backup_info(), key)?;
    match (archive, backup) {
        (None, None) => {
            let contents = stanza.contents().map_err(|error| in_repo(key, error.into()))?;
            let Some(first) = contents.first() else { return Ok((Plan::Both, Vec::new())) };
            let others = match contents.len() {
                1 => String::new(),
                all => format!(" and {} more", all - 1),
            };
            Err(in_repo(
                key,
                Report::new(
                    Kind::Refused(None),
                    format!("'{first}'{others} stands in the folders of stanza '{}', but no info files", stanza.name()),
                )
                .hint(
                    "a stanza may have lost its info files: bring archive.info and backup.info back; or, if what is there \
                     is not needed, move it away yourself",
                ),
            ))
        }
        (Some(archive), None) => {
            matches(stanza, "archive.info", archive.value.current().into(), of)?;
            let contents = stanza.contents().map_err(|error| in_repo(key, error.into()))?;
            if contents.is_empty() && archive.value.history.len() == 1 {
                return Ok((Plan::BackupInfo, archive.warnings));
            }
            let there: Vec<&str> = contents.iter().take(NAMES_TOLD).map(StorePath::as_str).collect();
            Err(lost(stanza, "backup.info", "archive.info", &there))
        }
        (None, Some(_)) => Err(lost(stanza, "archive.info", "backup.info", &[])),
        (Some(archive), Some(backup)) => {
            matches(stanza, "archive.info", archive.value.current().into(), of)?;
            matches(stanza, "backup.info", backup.value.current().into(), of)?;
            let db_id = archive.value.current_db_id;
            let mut warnings = archive.warnings;
            warnings.extend(backup.warnings);
            let mend = stanza.info_needs_mending().map_err(|error| in_repo(key, error.into()))?;
            if mend {
                // The warnings tell of what is now made good.
                return Ok((Plan::Mend { db_id }, Vec::new()));
            }
            Ok((Plan::Nothing { db_id }, warnings))
        }
    }
}

fn matches(stanza: &Stanza, file: &str, there: Identity, wanted: Identity) -> Result<()> {
    if there == wanted {
        return Ok(());
    }
    let name = stanza.name();
    Err(in_repo(
        stanza.repository().key(),
        Report::new(
            Kind::Refused(None),
            format!("{file} of stanza '{name}' is of {there}, the data directory holds {wanted}"),
        )
        .hint(format!(
            "check --stanza and pg1-path; if this cluster has taken the other's place (after an upgrade or initdb): \
             pgmayday --stanza={name} stanza-upgrade"
        )),
    ))
}

fn lost(stanza: &Stanza, missing: &str, there: &str, contents: &[&str]) -> Report {
    let with = if contents.is_empty() { String::new() } else { format!(", with {}", contents.join(", ")) };
    in_repo(
        stanza.repository().key(),
        Report::damaged(format!("stanza '{}' has {there}{with}, but {missing} is missing", stanza.name()))
            .hint(format!("bring {missing} back from its copy or another copy of this repository")),
    )
}

fn carry_out(stanza: &Stanza, plan: &Plan, mut warnings: Vec<String>, of: Identity) -> Result<Created> {
    let repository = stanza.repository();
    let key = repository.key();
    let failed = |error: crate::repo::RepoError| in_repo(key, error.into());
    let (made, db_id) = match plan {
        Plan::Both => {
            stanza.save_archive_info(&archive_info(repository, of)?).map_err(failed)?;
            stanza.save_backup_info(&backup_info(repository, of)?).map_err(failed)?;
            (Made::Created, FIRST_ID)
        }
        Plan::BackupInfo => {
            stanza.mend_info().map_err(failed)?;
            stanza.save_backup_info(&backup_info(repository, of)?).map_err(failed)?;
            (Made::Completed, FIRST_ID)
        }
        Plan::Mend { db_id } => {
            let files = stanza.mend_info().map_err(failed)?.iter().map(ToString::to_string).collect();
            (Made::Mended { files }, *db_id)
        }
        Plan::Nothing { db_id } => (Made::Unchanged, *db_id),
    };
    if made == Made::Created || made == Made::Completed {
        // What cannot be read back is no stanza, however well it was written.
        let archive = stanza.archive_info().map_err(failed)?;
        let backup = stanza.backup_info().map_err(failed)?;
        warnings.extend(archive.warnings.into_iter().chain(backup.warnings));
    }
    Ok(Created { repo: key, store: repository.storage().describe(), made, db_id, warnings })
}

/// Each file of an encrypted repository holds a passphrase of its own.
fn passphrase(repository: &Repository) -> Result<Option<Secret>> {
    Ok(match repository.cipher() {
        Some(_) => Some(random_passphrase()?),
        None => None,
    })
}

fn archive_info(repository: &Repository, of: Identity) -> Result<ArchiveInfo> {
    Ok(ArchiveInfo {
        current_db_id: FIRST_ID,
        history: BTreeMap::from([(FIRST_ID, (of.version, of.system_id))]),
        cipher_pass: passphrase(repository)?,
    })
}

fn backup_info(repository: &Repository, of: Identity) -> Result<BackupInfo> {
    Ok(BackupInfo {
        current_db_id: FIRST_ID,
        history: BTreeMap::from([(FIRST_ID, of.history()?)]),
        backups: BTreeMap::new(),
        cipher_pass: passphrase(repository)?,
    })
}
