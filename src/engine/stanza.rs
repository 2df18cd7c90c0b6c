//! A stanza in its repositories: made, brought up to a new cluster, removed.
//!
//! Every repository is looked at and judged before the first byte is written to any of them. What is there is never
//! overwritten by guess: folders without info files, info files of another cluster and files that cannot be read are
//! refused. Who calls holds the stanza's locks ([`lock`]).

pub mod create;
pub mod delete;
pub mod upgrade;

use super::findings::Findings;
use super::locks::{Held, LockError, LockFolder, Work};
use super::served::{self, judge_cluster};
use crate::base::{Kind, PgVersion, Report, Result, SystemId};
use crate::cluster::control::ControlFile;
use crate::config::{PgSettings, Settings};
use crate::repo::{DbHistory, Loaded, RepoError};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long a question to the server may take here.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
/// The way without a server.
const OFFLINE: &str = "say --no-online to believe the control file alone";

/// Which cluster: what a stanza's history tells clusters apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its major version.
    pub version: PgVersion,
    /// Its system identifier.
    pub system_id: SystemId,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {} with system identifier {}", self.version, self.system_id)
    }
}

impl Identity {
    /// The cluster a control file is of.
    pub fn of(control: &ControlFile) -> Self {
        Self { version: control.version, system_id: control.system_id }
    }

    /// Its entry in the history of `backup.info`.
    pub(crate) fn history(self) -> Result<DbHistory> {
        // A control file is only read if its version is a known one.
        let numbers = self
            .version
            .numbers()
            .ok_or_else(|| Report::failed(format!("PostgreSQL {} is not known", self.version)))?;
        let Self { version, system_id } = self;
        Ok(DbHistory { version, system_id, catalog: numbers.catalog, control: numbers.control })
    }
}

impl From<DbHistory> for Identity {
    fn from(entry: DbHistory) -> Self {
        Self { version: entry.version, system_id: entry.system_id }
    }
}

impl From<(PgVersion, SystemId)> for Identity {
    fn from((version, system_id): (PgVersion, SystemId)) -> Self {
        Self { version, system_id }
    }
}

/// Refuses where the stanza is stopped on this host, then takes all its locks: nothing else works on it until they are
/// dropped.
pub fn lock(settings: &Settings, stanza: &str) -> Result<Held> {
    lock_folder(settings).refuse_if_stopped(stanza)?;
    lock_stopped(settings, stanza)
}

/// As [`lock`], for work that is only done on a stanza that is stopped.
pub(crate) fn lock_stopped(settings: &Settings, stanza: &str) -> Result<Held> {
    let keys: Vec<u32> = settings.repos().iter().map(|repo| repo.key).collect();
    let all = [Work::Archive, Work::Backup, Work::Restore];
    lock_folder(settings).take(stanza, &all, &keys).map_err(|error| match error {
        // Only a backup can be queued behind another one.
        held @ LockError::Held { .. } => Report::failed(held.to_string()).hint("wait until it has ended"),
        other @ LockError::Io { .. } => other.into(),
    })
}

/// Where the stanza's locks are.
pub fn lock_folder(settings: &Settings) -> LockFolder {
    LockFolder(PathBuf::from(settings.text("lock-path").unwrap_or("/tmp/pgbackrest")))
}

/// Which cluster the stanza's data directory holds, as its control file says; `online`, the running server must agree.
///
/// Also gives what an operator should know about that server.
pub fn identity(settings: &Settings, online: bool) -> Result<(Identity, Vec<String>)> {
    let clusters = settings.pg();
    if clusters.is_empty() {
        return Err(Report::usage(format!("{} needs pg1-path", settings.command()))
            .hint("set pg1-path in the stanza's section, or give --pg1-path"));
    }
    if !online {
        let control = ControlFile::read(clusters[0].local_path(settings.command())?)?;
        return Ok((Identity::of(&control), Vec::new()));
    }
    let mut standbys = Vec::new();
    let mut failed: Option<Report> = None;
    for pg in clusters {
        match primary(settings, pg) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => standbys.push(format!("pg{}", pg.key)),
            // The first reason counts: that of pg1 if it is the only one.
            Err(report) => drop(failed.get_or_insert(report)),
        }
    }
    Err(match failed {
        Some(mut report) if report.kind == Kind::Unreachable => {
            let first = report.hint.take().map(|hint| format!("{hint}; or ")).unwrap_or_default();
            report.hint(format!("{first}{OFFLINE}"))
        }
        Some(report) => report,
        None => Report::failed(format!(
            "{} replays WAL (a standby, or a recovery): no primary is configured on this host",
            standbys.join(", ")
        ))
        .hint(format!("run this where the primary is, or {OFFLINE}")),
    })
}

/// The cluster whose server takes writes; nothing if the server is in recovery.
fn primary(settings: &Settings, pg: &PgSettings) -> Result<Option<(Identity, Vec<String>)>> {
    let data_dir = pg.local_path(settings.command())?;
    let control = ControlFile::read(data_dir)?;
    let served = served::ask(&mut served::connect(settings, pg, STATEMENT_LIMIT)?)?;
    let mut found = Findings::new();
    found.take(&format!("pg{}", pg.key), judge_cluster(&served, &control, data_dir));
    let warnings = found.require()?;
    Ok((!served.in_recovery).then(|| (Identity::of(&control), warnings)))
}

/// What was read, or nothing if neither the file nor its copy is there. Any other trouble is no absence.
fn present<T>(read: Result<Loaded<T>, RepoError>, key: u32) -> Result<Option<Loaded<T>>> {
    match read {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(in_repo(key, error.into())),
    }
}

/// The repository stands before what went wrong in it.
fn in_repo(key: u32, mut report: Report) -> Report {
    report.headline = format!("repo{key}: {}", report.headline);
    report
}

#[cfg(test)]
mod tests;
