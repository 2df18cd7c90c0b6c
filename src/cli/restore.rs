//! `restore`: plan, then do it; `--dry-run` stops after the plan.
//!
//! Never prompts: a guard refuses, `--accept=NAME` overrides it.

mod commands;
mod job;
mod request;
mod show;

pub(super) use job::RestoreJob;
pub(super) use request::{fetch_command, passphrase_survives};

use super::Call;
use super::command::{CommandSpec, Run};
use super::operation;
use super::output::{self, Output};
use super::progress::Lines;
use crate::base::{Report, Result};
use crate::engine::repositories::Repositories;
use crate::engine::restore::{self, Plan, Request};
use crate::model::op::Cancel;
use clap::{Arg, ArgAction, Command};
use serde::Serialize;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "restore",
    about: "Restore a cluster, to the end of the archive or to a target",
    long_about: "Chooses the newest backup set from which the target can be reached, proves that it can be, and \
                 restores the files and the settings for recovery. Nothing is written before all of that holds. \
                 With --dry-run the plan is printed and nothing is done. A restore that was killed is finished by \
                 the same command; --delta corrects what stands in the target instead of refusing it.",
    options_of: "restore",
    reads_configuration: true,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn own(command: Command) -> Command {
    let prove = Arg::new("prove").long("prove").value_name("DEPTH").value_parser(["listing", "scan", "full"]);
    let detach = Arg::new("detach").long("detach").action(ArgAction::SetTrue);
    command
        .arg(prove.help(
            "how much WAL is read before anything is written: names and headers, to the target, or all of it",
        ))
        .arg(detach.help("do it as an operation that outlives this terminal; `attach` follows it"))
}

fn run(call: &Call) -> Result<()> {
    let request = request::from_call(call)?;
    if call.args.get_flag("detach") {
        return detach(call, &request);
    }
    let cancel = Cancel::default();
    let warn = |text: &str| call.console.warn(text);
    let plan = plan(call, request, &warn, &cancel)?;
    if call.settings.flag("dry-run") {
        let view = plan.view()?;
        let shown = show::Shown { commands: commands::exact(call, &view), view };
        return show(call, "restore-plan", &shown, &|| show::plan(&shown));
    }
    for warning in &plan.warnings {
        warn(warning);
    }
    let outcome = restore::execute(plan, &Lines::new(call.console), &cancel)?;
    show(call, "restore", &outcome, &|| show::outcome(&outcome))
}

/// Makes the plan; what was accepted and what was odd about the repositories is told at once.
fn plan(call: &Call, request: Request, warn: &dyn Fn(&str), cancel: &Cancel) -> Result<Plan> {
    let opened = Repositories::open(&call.settings, call.command);
    for warning in &opened.warnings {
        warn(warning);
    }
    let mut accepted = Vec::new();
    if request.fetches() {
        request.unless_accepted(passphrase_survives(call), &mut accepted)?;
    }
    for warning in &accepted {
        warn(warning);
    }
    Plan::build(request, &opened, cancel)
}

/// Starts the restore as an operation and prints its name.
fn detach(call: &Call, request: &Request) -> Result<()> {
    if call.settings.flag("dry-run") {
        return Err(Report::usage("--detach has no meaning with --dry-run: a plan does nothing"));
    }
    let summary = format!("restore stanza {} to {}", request.stanza, request.data_dir.display());
    let spec = operation::spec(call, summary, &["detach"])?;
    operation::start(call, &spec)?;
    match call.output {
        Output::Text => {
            call.console.info(&format!("`pgmayday attach {}` follows it", spec.id));
            output::text(spec.id.as_str())
        }
        Output::Json => output::json("operation-started", &operation::Started { operation: &spec.id }),
    }
}

fn show(call: &Call, name: &str, body: &impl Serialize, text: &dyn Fn() -> String) -> Result<()> {
    match call.output {
        Output::Text => output::text(&text()),
        Output::Json => output::json(name, body),
    }
}
