//! `snapshot NAME`: a full backup that is kept, and a restore point of that name; without a name, those there are.

use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use super::progress::Lines;
use super::{Call, as_owner, backup, signals};
use crate::base::{BackupKind, Report, Result, Timestamp};
use crate::cluster::control::ControlFile;
use crate::cluster::sql::Sql;
use crate::engine::backup as engine;
use crate::engine::repositories::{Access, Repositories};
use crate::engine::snapshot::{self, Snapshot};
use crate::model::op::Cancel;
use clap::{Arg, Command};
use serde::Serialize;
use std::fmt::Write as _;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "snapshot",
    about: "Make a named backup that is kept, with a restore point, or list those there are",
    long_about: "Makes a full backup that no retention of this program removes, and behind it a restore point called NAME; \
                 `restore --type=name --target=NAME` comes back to exactly that moment. Name it after what it comes before: \
                 pre-migration-4711. `expire --set --accept=pinned` removes one. pgBackRest's own expire knows nothing of \
                 pins: where it runs on the same repository, too, a snapshot is not protected. Without NAME the snapshots \
                 are listed.",
    options_of: "backup",
    reads_configuration: true,
    own,
    run: Run::Coded(run),
    failure_exit: None,
};

#[derive(Serialize)]
struct Listed {
    snapshots: Vec<Snapshot>,
}

fn own(command: Command) -> Command {
    backup::own(command).arg(Arg::new("name").value_name("NAME").help("the name of the restore point"))
}

fn run(call: &Call) -> Result<u8> {
    as_owner::step_down(call)?;
    match &call.positional[..] {
        [] => list(call).map(|()| 0),
        [name] => make(call, name),
        _ => Err(Report::usage("a snapshot has one name")),
    }
}

fn list(call: &Call) -> Result<()> {
    let repository = Repositories::open(&call.settings, call.command).first()?;
    let info = repository.stanza(backup::stanza(call)?).backup_info()?.value;
    let snapshots = snapshot::list(&info);
    if call.output == Output::Json {
        return output::json("snapshots", &Listed { snapshots });
    }
    let mut out = String::new();
    for snapshot in &snapshots {
        let ended = Timestamp::from_unix_s(snapshot.stop);
        let at = snapshot.lsn.as_deref().unwrap_or("not known where");
        // Writing to a String cannot fail.
        writeln!(out, "{}  backup {} ended {ended}, restore point at {at}", snapshot.name, snapshot.label)
            .unwrap_or(());
    }
    if snapshots.is_empty() {
        out += "no snapshots; make one before a risky change: pgmayday --stanza=NAME snapshot pre-migration-4711\n";
    }
    output::text(&out)
}

fn make(call: &Call, name: &str) -> Result<u8> {
    let mut request = backup::request(call)?;
    if !request.online {
        return Err(Report::usage("a snapshot is made of a running cluster: a restore point needs a server"));
    }
    request.kind = BackupKind::Full;
    request.annotations.extend([snapshot::pinned(name)]);
    let cancel = Cancel::default();
    signals::cancel_on_request(&cancel)?;
    let repository = backup::repository(call, Access::Write)?;
    let mut locks = backup::lock(call, &request.stanza, &repository, &cancel)?;
    let stanza = repository.stanza(&request.stanza);
    snapshot::check_name(name, &stanza.backup_info()?.value)?;
    let outcome = engine::run(&request, &repository, &mut locks, &Lines::new(call.console), &cancel)?;
    let (mut sql, data_dir) = primary(&request)?;
    let control = ControlFile::read(&data_dir)?;
    let identity = (control.version, control.system_id);
    let label = outcome.label.parse().map_err(|error| Report::failed(format!("{error}")))?;
    let marked = snapshot::mark(&mut sql, identity, &stanza, &label, name, request.archive_timeout, &cancel)?;
    if call.output == Output::Json {
        let info = stanza.backup_info()?.value;
        let made = snapshot::list(&info).into_iter().find(|snapshot| snapshot.name == name);
        output::json("snapshots", &Listed { snapshots: made.into_iter().collect() })?;
    } else {
        output::text(&format!(
            "{}\nsnapshot '{name}': restore point at {}, WAL kept through {}\n  back to it: pgmayday --stanza={} restore \
             --type=name --target='{name}'",
            backup::text(&outcome),
            marked.lsn,
            marked.segment,
            request.stanza
        ))?;
    }
    Ok(backup::exit_code(&outcome))
}

/// A session with the server that takes writes.
fn primary(request: &engine::Request) -> Result<(Sql, std::path::PathBuf)> {
    let mut refused = None;
    for cluster in &request.clusters {
        match Sql::connect(&cluster.address, None).and_then(|mut sql| Ok((sql.is_in_recovery()?, sql))) {
            Ok((false, sql)) => return Ok((sql, cluster.data_dir.clone())),
            Ok((true, _)) => {}
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.map_or_else(|| Report::failed("no primary answers any more"), Report::from))
}
