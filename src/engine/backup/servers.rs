//! Which server is the primary and which a standby, and who is read from.
//!
//! A backup is always begun and ended on the primary, and `pg_control` always comes from it; relations may come from a
//! standby on this host. Asks only.

use super::request::{Request, StandbyUse};
use super::session::{Session, Start};
use crate::base::{Lsn, Report, Result, SystemId, Timeline};
use crate::cluster::control::ControlFile;
use crate::cluster::sql::{Address, Sql};
use crate::model::op::Cancel;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A configured cluster: its data directory on this host and how its server is reached.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Its server.
    pub address: Address,
}

/// The servers of an online backup.
pub(super) struct Servers {
    primary: Mutex<Session>,
    primary_address: Address,
    pub(super) primary_dir: PathBuf,
    pub(super) standby: Option<Standby>,
}

/// A standby that relations are read from.
pub(super) struct Standby {
    sql: Sql,
    pub(super) data_dir: PathBuf,
}

/// How often a standby is asked how far it is.
const POLL: Duration = Duration::from_millis(100);

impl Servers {
    /// Connects to the configured clusters and finds out their roles.
    pub(super) fn find(request: &Request, warnings: &mut Vec<String>) -> Result<Self> {
        let mut primary = None;
        let mut standby = None;
        let mut refused = None;
        for cluster in &request.clusters {
            match role(cluster) {
                Ok((sql, false)) if primary.is_none() => primary = Some((sql, cluster)),
                Ok((_, false)) => {
                    return Err(Report::failed("two of the configured clusters are primaries")
                        .hint("a stanza has one; take the other one out of the configuration before it is backed up"));
                }
                Ok((sql, true)) if standby.is_none() => {
                    standby = Some(Standby { sql, data_dir: cluster.data_dir.clone() });
                }
                Ok((_, true)) => {}
                Err(report) => {
                    warnings.push(format!("{}: {}", cluster.data_dir.display(), report.headline));
                    refused = refused.or(Some(report));
                }
            }
        }
        let Some((sql, cluster)) = primary else {
            let no_primary = || Report::failed("none of the configured clusters is a primary that answers");
            return Err(refused.unwrap_or_else(no_primary).hint(
                "a backup is begun and ended on the primary: add its pgN-path and pgN-port on this host",
            ));
        };
        let standby = match (request.standby, standby) {
            (StandbyUse::No, _) => None,
            (StandbyUse::Prefer, None) => {
                warnings.push("no standby answers: relations are copied from the primary".to_owned());
                None
            }
            (StandbyUse::Require, None) => {
                return Err(Report::failed("no standby answers, and backup-standby=y wants one")
                    .hint("start it, or say --backup-standby=prefer"));
            }
            (_, found) => found,
        };
        let primary = Mutex::new(Session::new(sql, request.statement_limit)?);
        let (primary_dir, primary_address) = (cluster.data_dir.clone(), cluster.address.clone());
        Ok(Self { primary, primary_address, primary_dir, standby })
    }

    /// Begins the backup. The server's checkpoint may take minutes; who cancels does not wait for it.
    pub(super) fn start(&mut self, name: &str, fast: bool, cancel: &Cancel) -> Result<Start> {
        let done = AtomicBool::new(false);
        let address = &self.primary_address;
        let session = self.primary.get_mut().unwrap_or_else(PoisonError::into_inner);
        let backend = session.backend;
        let started = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) && !cancel.requested() {
                    std::thread::sleep(POLL);
                }
                if !done.load(Ordering::Acquire) {
                    // Where the server cannot be asked to give up, its answer is waited for.
                    drop(
                        Sql::connect(address, None)
                            .map(|mut sql| sql.rows(&format!("select pg_cancel_backend({backend})"))),
                    );
                }
            });
            let started = session.start(name, fast);
            done.store(true, Ordering::Release);
            started
        });
        cancel.check()?;
        started
    }

    /// The session with the primary, for who has it alone.
    pub(super) fn primary(&mut self) -> &mut Session {
        self.primary.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where the primary has written WAL, asked by any thread.
    pub(super) fn insert_lsn(&self) -> Option<Lsn> {
        self.primary.lock().unwrap_or_else(PoisonError::into_inner).insert_lsn()
    }

    /// Fails once the session that holds the backup is lost: the server has forgotten the backup then.
    pub(super) fn still_there(&self) -> Result<()> {
        let mut primary = self.primary.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(primary.sql().rows("select 1").map(drop)?)
    }

    /// The data directory relations are read from.
    pub(super) fn relations_dir(&self) -> &Path {
        self.standby.as_ref().map_or(&self.primary_dir, |standby| &standby.data_dir)
    }
}

/// A session with the cluster's server, and whether that is in recovery.
fn role(cluster: &Cluster) -> Result<(Sql, bool)> {
    let mut sql = Sql::connect(&cluster.address, None)?;
    let standby = sql.is_in_recovery()?;
    let serves = sql.data_directory()?;
    let same = match (serves.canonicalize(), cluster.data_dir.canonicalize()) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => serves == cluster.data_dir,
    };
    if !same {
        return Err(Report::failed(format!(
            "the server at {} serves {}, not {}",
            cluster.address.place(),
            serves.display(),
            cluster.data_dir.display()
        ))
        .hint("correct pgN-path, pgN-port or pgN-socket-path"));
    }
    Ok((sql, standby))
}

impl Standby {
    /// A standby of another cluster has nothing that could be copied.
    pub(super) fn refuse_stranger(&self, primary: SystemId) -> Result<()> {
        let own = ControlFile::read(&self.data_dir)?.system_id;
        if own == primary {
            return Ok(());
        }
        Err(Report::failed(format!(
            "the standby in {} is of another cluster: its system identifier is {own}, the primary's is {primary}",
            self.data_dir.display()
        ))
        .hint("correct pgN-path, or back up from the primary with --no-backup-standby"))
    }

    /// Waits until everything the primary wrote before the backup's start is in the standby's files.
    pub(super) fn catch_up(&mut self, started: &Start, limit: Duration, cancel: &Cancel) -> Result<()> {
        let start = started.lsn;
        let began = Instant::now();
        let late = |what: &str| {
            Report::failed(format!(
                "the standby in {} has not {what} {start} within {} s",
                self.data_dir.display(),
                limit.as_secs()
            ))
            .hint("see whether it is far behind, or back up from the primary with --no-backup-standby")
        };
        loop {
            cancel.check()?;
            let replayed = self.sql.value("select pg_last_wal_replay_lsn()")?;
            if replayed.and_then(|text| text.parse::<Lsn>().ok()).is_some_and(|lsn| lsn >= start) {
                break;
            }
            if began.elapsed() > limit {
                return Err(late("replayed"));
            }
            std::thread::sleep(POLL);
        }
        // What is only in its memory would not be copied.
        loop {
            cancel.check()?;
            self.sql.rows("checkpoint")?;
            let control = ControlFile::read(&self.data_dir)?;
            if control.checkpoint_lsn >= start {
                return self.refuse_branch(control.timeline, started.segment.timeline);
            }
            if began.elapsed() > limit {
                return Err(late("made a restart point at"));
            }
            std::thread::sleep(POLL);
        }
    }

    /// What follows another timeline may be further than the start, and yet lack what the primary wrote.
    fn refuse_branch(&self, own: Timeline, primary: Timeline) -> Result<()> {
        if own == primary {
            return Ok(());
        }
        Err(Report::failed(format!(
            "the standby in {} follows timeline {own}, the primary writes timeline {primary}",
            self.data_dir.display()
        ))
        .hint("build the standby anew, or back up from the primary with --no-backup-standby"))
    }
}
