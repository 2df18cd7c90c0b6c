//! `restore`: plan, then do it; `--dry-run` stops after the plan.
//!
//! Never prompts: a guard refuses, `--accept=NAME` overrides it.

mod commands;
mod request;
mod show;

pub(super) use request::{fetch_command, passphrase_survives};

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use super::progress::Lines;
use crate::base::Result;
use crate::engine::repositories::Repositories;
use crate::engine::restore::{self, Plan};
use crate::model::op::Cancel;
use clap::{Arg, Command};
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
    command.arg(
        Arg::new("prove").long("prove").value_name("DEPTH").value_parser(["listing", "scan", "full"]).help(
            "how much WAL is read before anything is written: names and headers, to the target, or all of it",
        ),
    )
}

fn run(call: &Call) -> Result<()> {
    let request = request::from_call(call)?;
    let opened = Repositories::open(&call.settings, call.command);
    for warning in &opened.warnings {
        call.console.warn(warning);
    }
    let mut accepted = Vec::new();
    if request.fetches() {
        request.unless_accepted(passphrase_survives(call), &mut accepted)?;
    }
    for warning in &accepted {
        call.console.warn(warning);
    }
    let cancel = Cancel::default();
    let plan = Plan::build(request, &opened, &cancel)?;
    if call.settings.flag("dry-run") {
        let view = plan.view()?;
        let shown = show::Shown { commands: commands::exact(call, &view), view };
        return show(call, "restore-plan", &shown, &|| show::plan(&shown));
    }
    for warning in &plan.warnings {
        call.console.warn(warning);
    }
    let outcome = restore::execute(plan, &Lines::new(call.console), &cancel)?;
    show(call, "restore", &outcome, &|| show::outcome(&outcome))
}

fn show(call: &Call, name: &str, body: &impl Serialize, text: &dyn Fn() -> String) -> Result<()> {
    match call.output {
        Output::Text => output::text(&text()),
        Output::Json => output::json(name, body),
    }
}
