//! `pgmayday stanza-upgrade`: another cluster has taken the place of the stanza's.

use super::{name, repositories, show};
use crate::base::Result;
use crate::cli::Call;
use crate::cli::as_owner::step_down;
use crate::cli::command::{CommandSpec, Run, nothing_own};
use crate::engine::repositories::Access;
use crate::engine::stanza::upgrade::{Upgraded, upgrade};
use crate::engine::stanza::{self, Identity};

pub(in crate::cli) const SPEC: CommandSpec = CommandSpec {
    name: "stanza-upgrade",
    about: "Tell a stanza of its cluster's new version or system identifier",
    long_about: "After pg_upgrade or initdb: makes the cluster in pg1-path the current one of the stanza, in every \
                 configured repository. The old cluster's backups and WAL stay; a new full backup is needed. Nothing \
                 is written where the stanza is of this cluster already, so it may be repeated. --no-online believes \
                 the control file alone.",
    options_of: "stanza-upgrade",
    reads_configuration: true,
    own: nothing_own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn run(call: &Call) -> Result<()> {
    step_down(call)?;
    let stanza = name(call)?;
    let _held = stanza::lock(&call.settings, stanza)?;
    let (of, warnings) = stanza::identity(&call.settings, call.settings.flag("online"))?;
    let done = upgrade(&repositories(call, Access::Write)?, stanza, of)?;
    for warning in warnings.iter().chain(done.iter().flat_map(|one| &one.warnings)) {
        call.console.warn(warning);
    }
    show(call, stanza, of, &done, |one| line(stanza, of, one))?;
    if done.iter().any(|one| one.changed) {
        call.console.info("the next backup must be a full one: the old cluster's backups are no base for it");
    }
    Ok(())
}

fn line(stanza: &str, of: Identity, one: &Upgraded) -> String {
    let Upgraded { repo, before, db_id, .. } = one;
    if one.changed {
        format!("repo{repo}: stanza {stanza} upgraded from {before} to {of}, archive {}-{db_id}", of.version)
    } else {
        format!("repo{repo}: stanza {stanza} is of this cluster already, nothing was written")
    }
}
