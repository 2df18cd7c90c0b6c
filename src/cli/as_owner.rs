//! Doing work as the user it belongs to when root asks for it.
//!
//! What root writes into a repository or a spool the cluster's own user could not read or replace afterwards. So this
//! process becomes the same program run as the owner: of the data directory, or else of the repository. With
//! `allow-root` given, or where both are root's own, it goes on as root.

use super::Call;
use crate::base::{Report, Result};
use crate::cluster::owner::{Account, Users, check_executable_by, is_root, owner_of, run_as};
use crate::config::{EVERY_COMMAND, Origin, Settings};
use std::os::unix::process::CommandExt as _;

/// Returns if this process is the right user; otherwise it becomes another program, or fails.
pub(super) fn step_down(call: &Call) -> Result<()> {
    let asked_for = call.settings.flag("allow-root") && call.settings.origin("allow-root") != Origin::Default;
    if !is_root() || asked_for {
        return Ok(());
    }
    let Some(owner) = owner(call)? else { return Ok(()) };
    let program = std::env::current_exe()
        .map_err(|error| Report::failed(format!("cannot tell which program this is: {error}")))?;
    let refused = |report: Report| {
        report.hint(format!(
            "run this as user {}, or say --allow-root to write files that root owns",
            owner.name
        ))
    };
    check_executable_by(&owner, &program).map_err(|error| refused(error.into()))?;
    let mut command = run_as(&owner, &program).map_err(|error| refused(error.into()))?;
    // Paths given relative to the caller's folder mean the same afterwards.
    if let Ok(here) = std::env::current_dir() {
        command.current_dir(here);
    }
    let error = command.args(std::env::args_os().skip(1)).exec();
    Err(refused(Report::failed(format!("cannot become user {}: {error}", owner.name))))
}

/// Lets files have the modes of the repository's format whatever the umask: PostgreSQL's own would keep the group out,
/// and with it whoever reads the repository by it.
pub(super) fn neutral_umask(call: &Call) {
    if call.settings.flag("neutral-umask") {
        rustix::process::umask(rustix::fs::Mode::empty());
    }
}

/// Whose files the work will touch; nobody if they are root's own.
fn owner(call: &Call) -> Result<Option<Account>> {
    let users = Users::new();
    let configured = configured(call);
    let all = || std::iter::once(&call.settings).chain(&configured);
    let clusters = all().flat_map(Settings::pg).filter(|pg| pg.host.is_none()).map(|pg| pg.path.as_path());
    let stores = all().flat_map(Settings::repos).filter_map(|repo| repo.local_path(call.command).ok());
    for place in clusters.chain(stores).filter(|place| place.exists()) {
        let owner = owner_of(place, &users)?;
        if owner.uid != 0 {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

/// What is configured for the stanzas of a call whose command itself takes no data directory, or whose stanza is not
/// chosen: the locks and stop files of `stop` and `start` belong to somebody, too.
fn configured(call: &Call) -> Vec<Settings> {
    if !call.settings.pg().is_empty() {
        return Vec::new();
    }
    let names = call.settings.stanza().map_or_else(|| call.config.stanzas(), |name| vec![name.to_owned()]);
    names.iter().filter_map(|name| call.config.settings(EVERY_COMMAND, Some(name)).ok()).collect()
}
