//! The checks of a plan about the cluster as it stands: each a sentence in an operator's words. Looks, writes nothing.

use super::Recover;
use super::cluster::{Followers, Found};
use crate::base::{Bytes, PgVersion, Report, Result};
use crate::cluster::control::State;
use crate::cluster::owner::Users;
use crate::cluster::owner::{Account, current, is_root};
use crate::cluster::running::Running;
use crate::cluster::sql::{Address, Sql};
use crate::config::site::StanzaSite;
use crate::model::plan::{Check, CheckState};
use crate::recovery::in_place::FirstBackup;
use crate::recovery::in_place::beside::no_server;
use crate::recovery::{exchange, salvage};
use std::path::Path;
use std::time::Duration;

/// A server that does not answer must not hold the plan up.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Checks, gathered in their order.
#[derive(Debug, Default)]
pub(super) struct Checks(pub(super) Vec<Check>);

impl Checks {
    pub(super) fn add(&mut self, state: CheckState, text: impl Into<String>) {
        self.0.push(Check { state, text: text.into() });
    }

    pub(super) fn ok(&mut self, text: impl Into<String>) {
        self.add(CheckState::Ok, text);
    }

    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.add(CheckState::Warn, text);
    }

    pub(super) fn fail(&mut self, text: impl Into<String>) {
        self.add(CheckState::Fail, text);
    }

    /// A refusal in one sentence: what is wrong, and what to do instead.
    pub(super) fn refused(&mut self, report: &Report) {
        self.fail(sentence(report));
    }
}

/// A report in one sentence.
pub(super) fn sentence(report: &Report) -> String {
    match &report.hint {
        Some(hint) => format!("{}; {hint}", report.headline),
        None => report.headline.clone(),
    }
}

/// Everything that can be told of the data directory and its server.
pub(super) fn of_cluster(recover: &Recover, found: &Found, checks: &mut Checks) {
    layout(found, checks);
    rights(found, checks);
    server(found, checks);
    if found.data_dir.join("standby.signal").exists() {
        checks.fail("the data directory is a standby's: recover its primary, or promote this one instead");
    }
    unarchived(found, checks);
    hooks(&recover.site, recover.request.asks, checks);
    first_backup(&recover.first_backup(), checks);
}

fn layout(found: &Found, checks: &mut Checks) {
    let data_dir = found.data_dir.display();
    match exchange::check_layout(&found.data_dir) {
        Err(error) => checks.refused(&error.into()),
        Ok(()) if found.vacant => {
            checks.ok(format!("nothing stands in {data_dir}: the restored copy is put there"));
        }
        Ok(()) => checks.ok(format!("{data_dir} can be exchanged: no mount point, no links, no tablespaces")),
    }
}

/// Who we are must be allowed to rename, and to act for the owner.
fn rights(found: &Found, checks: &mut Checks) {
    let parent = found.data_dir.parent().unwrap_or(Path::new("/"));
    if rustix::fs::access(parent, rustix::fs::Access::WRITE_OK).is_err() {
        checks.fail(format!("this user may not rename anything in {}", parent.display()));
    }
    let me = current(&Users::new());
    if let Some(owner) = found.owner.as_ref().filter(|owner| !is_root() && owner.uid != me.uid) {
        checks.fail(format!("the cluster belongs to {}: run this as that user or as root", owner.name));
    }
}

fn server(found: &Found, checks: &mut Checks) {
    match &found.running {
        Ok(Running::Yes { pid, why }) if found.vacant => checks.fail(format!(
            "process {pid} still serves the removed data directory ({why}): end it with kill -INT {pid}"
        )),
        Ok(Running::Yes { pid, .. }) => {
            match no_server(&found.data_dir) {
                Ok(Some(why)) => return checks.fail(why),
                Err(error) => return checks.refused(&error.into()),
                Ok(None) => {}
            }
            checks.ok(format!("the server runs (process {pid}) and will be stopped"));
            answers(found, checks);
        }
        Ok(Running::Unknown { why }) => {
            checks.fail(format!("cannot tell whether a server runs in the data directory: {why}"));
        }
        Err(report) => checks.refused(report),
        Ok(Running::No | Running::Stale { .. }) => stopped(found, checks),
    }
}

/// A server that was not stopped may simply start, and then nothing is lost.
fn stopped(found: &Found, checks: &mut Checks) {
    match &found.control {
        Ok(control) if control.state == State::InProduction => checks.warn(
            "the server does not run and was not stopped cleanly: the old data directory may simply start, and \
             then nothing is lost",
        ),
        Ok(control) => checks.ok(format!("the server does not run; it was left '{}'", control.state)),
        Err(_) if found.vacant => {}
        Err(report) => checks.warn(format!("the server does not run; {}", report.headline)),
    }
}

fn answers(found: &Found, checks: &mut Checks) {
    let owner = found.owner.as_ref();
    let user = found.superuser.as_deref().or(owner.map(|owner| owner.name.as_str())).unwrap_or("postgres");
    let mut address = Address::socket(&found.sockets, found.port, user, "postgres");
    address.connect_limit = ANSWER_LIMIT;
    address.statement_limit = ANSWER_LIMIT;
    let asked = Sql::connect(&address, owner).and_then(|mut session| session.is_in_recovery());
    match asked {
        Ok(false) => {}
        Ok(true) => checks.fail("the server is in recovery: it is no primary, so it is not what to recover"),
        Err(error) => checks.warn(format!(
            "the server does not answer ({error}): its last WAL segment cannot be switched, it is saved from pg_wal"
        )),
    }
}

fn unarchived(found: &Found, checks: &mut Checks) {
    match salvage::look(&found.data_dir) {
        Ok((saved, bytes)) if !saved.segments.is_empty() => checks.ok(format!(
            "{} WAL segments that are not in the archive ({}) will be saved from pg_wal",
            saved.segments.len(),
            Bytes(bytes)
        )),
        Ok(_) => {}
        Err(error) => checks.warn(format!("pg_wal cannot be looked at: {error}")),
    }
}

fn hooks(site: &StanzaSite, asks: bool, checks: &mut Checks) {
    let hooks = &site.hooks;
    let named = [
        ("stop-writers", &hooks.stop_writers),
        ("verify", &hooks.verify),
        ("start", &hooks.start),
        ("first-write", &hooks.first_write),
    ];
    let missing: Vec<_> = named.iter().filter(|(_, words)| words.is_empty()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        checks.warn(format!("no hook is configured for {}", missing.join(", ")));
    }
    match (asks, hooks.verify.is_empty() && site.smoke.is_empty()) {
        (true, _) => checks.ok("a person is asked before anything is promoted"),
        (false, true) => {
            checks.warn(
                "nobody is asked, and no check of the application is configured: only databases are opened",
            );
        }
        (false, false) => checks.ok("the configured checks decide whether it is right; nobody is asked"),
    }
}

fn first_backup(backup: &FirstBackup, checks: &mut Checks) {
    let once = "once the service is back";
    match (backup.wanted, backup.hook.is_empty()) {
        (true, true) => checks.ok(format!("{once}, a full backup of it is made")),
        (true, false) => checks.ok(format!("{once}, the first-backup hook backs it up")),
        (false, _) => checks.warn(format!("no backup of it is made; {once}: {}", backup.by_hand())),
    }
}

pub(super) fn standbys(followers: &Followers, checks: &mut Checks) {
    for standby in &followers.here {
        checks.warn(format!(
            "the standby in {} will be stopped and must be rebuilt before it is started again",
            standby.display()
        ));
    }
    for member in &followers.elsewhere {
        checks.warn(format!(
            "{member}: stop it before this starts if it is a standby, and rebuild it afterwards"
        ));
    }
}

pub(super) fn programs(
    found: Result<crate::cluster::binaries::Binaries>,
    version: PgVersion,
    checks: &mut Checks,
) {
    match found {
        Ok(binaries) => checks.ok(format!("PostgreSQL {version} is in {}", binaries.folder.display())),
        Err(report) => checks.refused(&report),
    }
}

pub(super) fn acts_as(owner: &Account, checks: &mut Checks) {
    if !owner.named {
        checks.warn(format!("the host knows no name for the owner of the data directory ({})", owner.uid));
    }
}
