//! Recovery in place: the damaged cluster is replaced by one restored beside it, proven before it is promoted.
//!
//! The order is what keeps data: writers stopped and their last WAL archived, `pg_wal` saved, the target proven,
//! everything stopped, restored beside, replayed to a pause, verified read-only, stopped, exchanged, started closed
//! on the real path, promoted, verified writing, cleaned, opened. The old data directory ends in quarantine; it is
//! never removed. Until the exchange nothing of the old cluster is changed.

pub(in crate::recovery) mod beside;
mod first_backup;
mod real_path;
mod run;
mod settle;
mod watch;

use super::closed::Closed;
use super::exchange;
use super::kept::{Kept, State};
use super::recover::Asker;
use super::source::Source;
use crate::base::{Kind, Report, Timeline};
use crate::cluster::binaries::Binaries;
use crate::cluster::owner::Account;
use crate::model::forecast::{COPY, REPLAY};
use crate::model::op::{Cancel, Sink};
use crate::model::target;
pub use first_backup::FirstBackup;
use run::Run;
use std::path::PathBuf;

/// The cluster to recover, and where its parts are.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name of this operation; part of directory names.
    pub operation: String,
    /// The data directory to replace.
    pub data_dir: PathBuf,
    /// The programs of its version.
    pub binaries: Binaries,
    /// Folder of the socket the serving cluster has.
    pub sockets: PathBuf,
    /// Its port.
    pub port: u16,
    /// Its superuser.
    pub superuser: String,
    /// Data directories of standbys on this host; stopped before anything is promoted.
    pub standbys: Vec<PathBuf>,
    /// Folder for everything the recovery keeps: logs, saved WAL.
    pub work_dir: PathBuf,
    /// Folder for the closed server's socket; made, accessible to the owner alone.
    pub closed_sockets: PathBuf,
    /// The backup at the end.
    pub first_backup: FirstBackup,
}

/// Where to recover to, on a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where replay stops. It cannot pause at the end of the log: that is recovered to as the position of the last
    /// record found there.
    pub at: target::Target,
    /// Stop just before it instead of just after.
    pub exclusive: bool,
    /// The timeline alive there.
    pub timeline: Timeline,
}

/// What a check of the recovered data says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Everything is as wanted; a few words.
    Right(String),
    /// The damage is in it: an earlier target is needed.
    Damaged(String),
}

/// The application around the cluster.
pub trait Service: Sync {
    /// Stops whoever writes; returns when no write can come any more.
    fn stop_writers(&self) -> Result<String, Report>;
    /// Looks at the recovered data, paused at the target, through the closed socket; reads only.
    fn verify(&self, closed: &Closed, target: &Target) -> Result<Finding, Report>;
    /// Starts the cluster the way it is served, under its own configuration.
    fn open(&self) -> Result<String, Report>;
    /// Lets the application write again and waits for its first commit, through the application's own address.
    fn first_write(&self) -> Result<String, Report>;
    /// Makes the first backup of the recovered cluster in the site's own way; nothing if it has none.
    fn first_backup(&self) -> Result<Option<String>, Report>;
}

/// One step as it went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Phase {
    /// What was done.
    pub name: &'static str,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What came out.
    pub detail: String,
}

/// What a finished recovery leaves.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Every step in order.
    pub phases: Vec<Phase>,
    /// The target that was right.
    pub target: Target,
    /// How many targets were tried.
    pub tries: usize,
    /// Where the old data directory is.
    pub quarantine: PathBuf,
    /// Where its `pg_wal` was saved.
    pub saved_wal: PathBuf,
    /// The new timeline.
    pub timeline: Timeline,
    /// Standbys that stay stopped: they hold the old history and must be rebuilt before they are started.
    pub to_rebuild: Vec<PathBuf>,
    /// What is left to do, with its command.
    pub to_do: Option<String>,
}

/// What makes a recovery one that another worker can go on with, and that may ask a person.
pub struct Durable<'a> {
    /// Where it is written down how far it has come.
    pub record: PathBuf,
    /// What stands there.
    pub kept: Kept,
    /// The account that owns the cluster.
    pub owner: Account,
    /// Who is asked at the pause before promotion; nobody if nothing.
    pub asker: Option<&'a dyn Asker>,
}

/// The steps in their order, as they are told; `asks`: a person decides at the pause; `backs_up`: a backup is made at the
/// end.
pub fn steps(asks: bool, backs_up: bool) -> Vec<&'static str> {
    let before = [
        "check layout",
        "stop writers",
        "archive last WAL",
        "save WAL",
        "prove target",
        "stop",
        COPY,
        REPLAY,
        "verify",
    ];
    let after = [
        "stop copy",
        "exchange",
        "start closed",
        "promote",
        "verify writes",
        "clean settings",
        "open",
        "first write",
        "prove archive",
    ];
    let steps = before.into_iter().chain(asks.then_some("decide")).chain(after);
    steps.chain(backs_up.then_some("first backup")).collect()
}

/// Recovers in place to the first of `targets` at which the service's check is right; they are tried in order,
/// each earlier than the one before.
pub fn recover(
    spec: &Spec,
    targets: &[Target],
    source: &Source,
    service: &dyn Service,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Recovered, Report> {
    go(Run::new(spec, source, service, sink, cancel, None)?, spec, targets)
}

/// As [`recover`], from wherever an earlier worker of the same operation left it: what it wrote down and what stands
/// on disk decide together what is still to be done.
pub fn recover_durably(
    spec: &Spec,
    targets: &[Target],
    source: &Source,
    service: &dyn Service,
    durable: Durable<'_>,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Recovered, Report> {
    go(Run::new(spec, source, service, sink, cancel, Some(durable))?, spec, targets)
}

fn go(mut run: Run<'_>, spec: &Spec, targets: &[Target]) -> Result<Recovered, Report> {
    run.all(targets).map_err(|error| {
        let report = Report::from(error);
        if report.kind == Kind::Cancelled {
            run.leave_nothing_running();
        }
        explain(&run.kept, spec, report)
    })
}

/// Says how far it has come, for whoever must go on by hand.
fn explain(kept: &Kept, spec: &Spec, report: Report) -> Report {
    let data_dir = spec.data_dir.display();
    let (restored, quarantine) = exchange::names(&spec.data_dir, &spec.operation);
    let (restored, quarantine) = (restored.display(), quarantine.display());
    let old = if kept.vacant {
        "there is no old one".to_owned()
    } else {
        format!("the old one is in {quarantine}")
    };
    match kept.state {
        State::Untouched => report.hint(format!(
            "nothing was changed: the cluster in {data_dir} is as it was; its writers may have been stopped"
        )),
        State::Stopped | State::Restored | State::Verified if kept.vacant => {
            report.hint(format!("nothing was put on {data_dir}; what was restored is in {restored}"))
        }
        State::Stopped | State::Restored | State::Verified => report.hint(format!(
            "the old cluster is stopped and unchanged in {data_dir}: starting it brings the old state back; \
             what was restored is in {restored}"
        )),
        State::Exchanged => {
            report.hint(format!("the restored cluster is on {data_dir}, not yet promoted; {old}"))
        }
        State::Promoted | State::Cleaned => report.hint(format!(
            "the restored cluster is on {data_dir} and promoted; what is left: clean its settings, open it, \
             prove its archive, back it up; {old}"
        )),
        State::Opened | State::Served | State::Archived | State::Done => report.hint(format!(
            "the restored cluster runs on {data_dir} as it is served; what is left: see that the application \
             writes and that its WAL is archived, and back it up; {old}"
        )),
    }
}
