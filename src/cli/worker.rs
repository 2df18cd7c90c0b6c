//! `pgmayday __worker ID`: does an operation. Started by this program itself, never by a person.
//!
//! The operation's arguments are read as the command line would be, with this process's environment.

use super::command::{CommandSpec, Run};
use super::incident::ActJob;
use super::recover::recover_of;
use super::restore::RestoreJob;
use super::{Call, call_of};
use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Result};
use crate::config::EVERY_COMMAND;
use crate::model::op::Spec;
use crate::recovery::recover::Recover;
use crate::recovery::worker::{self, Job, TargetLock, Tools};
use clap::Arg;
use std::path::PathBuf;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "__worker",
    about: "Do an operation",
    long_about: "Does the operation of this name, wherever an earlier worker left it. `attach ID --resume` starts it.",
    options_of: EVERY_COMMAND,
    reads_configuration: false,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn own(command: clap::Command) -> clap::Command {
    command.arg(Arg::new("id").value_name("ID").required(true).help("the operation"))
}

fn run(call: &Call) -> Result<()> {
    let id: OpId = call.positional.first().map_or("", String::as_str).parse()?;
    let state = std::env::var_os("PGMAYDAY_STATE").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = StateDir::at(state.ok_or_else(|| {
        Report::usage("PGMAYDAY_STATE does not name the state directory")
            .hint(format!("`pgmayday attach {id} --resume` starts a worker"))
    })?);
    worker::run(&state, &id, &|spec| prepare(spec, &state))
}

/// What the operation's arguments mean.
fn prepare(spec: &Spec, state: &StateDir) -> Result<Box<dyn Job>> {
    let call = call_of(&spec.arguments, std::env::vars_os().collect())?;
    match call.command {
        "recover" => {
            let data_dir = call.settings.pg().first().map(|cluster| cluster.path.clone());
            let (recover, _) = recover_of(&call, &spec.id, state)?;
            Ok(Box::new(RecoverJob { recover, data_dir, state: state.clone() }))
        }
        "incident" => Ok(Box::new(ActJob::of(&call, state)?)),
        "restore" if !call.settings.flag("dry-run") => Ok(Box::new(RestoreJob::new(call, state.clone())?)),
        other => Err(Report::usage(format!("{other} is not a command an operation can be made of"))),
    }
}

/// A recovery in place to be done.
struct RecoverJob {
    recover: Recover,
    data_dir: Option<PathBuf>,
    state: StateDir,
}

impl Job for RecoverJob {
    fn steps(&self) -> Vec<String> {
        self.recover.steps()
    }

    fn run(&self, tools: &Tools<'_>) -> Result<Vec<String>> {
        let path = self.data_dir.as_deref();
        let _lock = path.map(|path| TargetLock::take(&self.state, path, &tools.spec.id)).transpose()?;
        self.recover.run(tools.asker, tools.sink, tools.cancel)
    }
}
