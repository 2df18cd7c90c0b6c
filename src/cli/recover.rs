//! `recover`: the cluster of a stanza on this host, from damaged to serving.
//!
//! Shows the plan and refuses what does not hold; then a worker of its own does the work, whatever becomes of this
//! terminal. Never prompts: the console does.

mod show;

use super::command::{CommandSpec, Run};
use super::follow::follow;
use super::output::{self, Output};
use super::restore::{fetch_command, passphrase_survives};
use super::{Call, operation, site};
use crate::base::state::{OpId, StateDir};
use crate::base::{Kind, Report, Result, Timestamp};
use crate::config::options;
use crate::model::op::{Cancel, Spec};
use crate::model::plan::{CheckState, RecoverPlan, RecoverRequest};
use crate::recovery::recover::{Recover, command};
use clap::{Arg, ArgAction, Command};

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: command::NAME,
    about: "Recover the cluster in place, to a target, and put it back into service",
    long_about: "Restores a copy beside the data directory, replays it to the target, checks it while nothing is \
                 promoted yet, exchanges the two directories in one step, promotes, cleans up and opens. The old \
                 data directory is kept in quarantine. What stops the application, checks the data and starts the \
                 service is told in pgmayday.toml. With --dry-run the plan is printed and nothing is done. The work \
                 goes on if this terminal is closed; a recovery that was killed is resumed where it stood.",
    options_of: "restore",
    reads_configuration: true,
    own,
    run: Run::Coded(run),
    failure_exit: None,
};

/// Options of a restore that a recovery in place decides itself.
const DECIDED: [&str; 11] = [
    "archive-mode",
    "db-exclude",
    "db-include",
    "delta",
    "force",
    "link-all",
    "link-map",
    "recovery-option",
    "tablespace-map",
    "tablespace-map-all",
    "target-action",
];

fn own(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    command
        .arg(
            Arg::new("or-target")
                .long("or-target")
                .value_name("TARGET")
                .action(ArgAction::Append)
                .help("an earlier target of the same type, tried if the damage is found in the one before"),
        )
        .arg(flag("ask", "ask a person at the pause before anything is promoted"))
        .arg(flag("detach", "print the operation's name and return; `pgmayday attach` follows it"))
}

fn run(call: &Call) -> Result<u8> {
    let (supervisor, state) = operation::supervisor(call)?;
    let id = OpId::new(command::NAME, Timestamp::now())?;
    let (recover, _) = recover_of(call, &id, &state)?;
    let plan = recover.plan(&Cancel::default())?;
    if call.settings.flag("dry-run") {
        match call.output {
            Output::Text => output::text(&show::plan(&plan))?,
            Output::Json => output::json("recover-plan", &plan)?,
        }
        return refused(&plan).map_or(Ok(0), |report| Ok(report.kind.exit_code()));
    }
    if call.output == Output::Text {
        output::text(&show::plan(&plan))?;
    }
    if let Some(report) = refused(&plan) {
        return Err(report);
    }
    operation::start(call, &spec(call, id.clone(), &plan)?)?;
    if call.args.get_flag("detach") {
        match call.output {
            Output::Text => output::text(id.as_str())?,
            Output::Json => output::json("operation-started", &operation::Started { operation: &id })?,
        }
        return Ok(0);
    }
    follow(call, &supervisor, &id)
}

/// Why the plan cannot be started, if it cannot.
fn refused(plan: &RecoverPlan) -> Option<Report> {
    let failed: Vec<_> = plan.checks.iter().filter(|check| check.state == CheckState::Fail).collect();
    let first = failed.first()?;
    // Without a set nothing was found to be restored to that target.
    let kind = if plan.set.is_none() { Kind::TargetUnreachable } else { Kind::Refused(None) };
    let report = Report::new(kind, first.text.clone());
    Some(match failed.len() {
        1 => report,
        more => report.hint(format!("{more} checks of the plan failed; --dry-run shows them all")),
    })
}

/// What is to be recovered, as a call says it; for the worker that does it too.
pub(super) fn recover_of(
    call: &Call,
    operation: &OpId,
    state: &StateDir,
) -> Result<(Recover, RecoverRequest)> {
    let request = request(call)?;
    passphrase_survives(call)?;
    let site = site::site(call)?.of(&request.stanza);
    let fetch = fetch_command(call, &request.stanza)?;
    let recover = Recover::new(&call.settings, &site, request.clone(), operation, state, fetch)?
        .with_given(&call.given);
    // pgBackRest's restore knows no port and no socket; its backup does.
    let recover = match call.config.settings("backup", Some(&request.stanza)) {
        Ok(settings) => recover.with_server(&settings),
        Err(_) => recover,
    };
    Ok((recover, request))
}

/// What an operation of this call is to do, as a plan of it was shown.
fn spec(call: &Call, id: OpId, plan: &RecoverPlan) -> Result<Spec> {
    let working_dir = std::env::current_dir()
        .map_err(|error| Report::failed(format!("cannot tell the working directory: {error}")))?;
    command::spec(id, plan, &call.given, &working_dir, operation::environment(call), &site::actor())
}

fn request(call: &Call) -> Result<RecoverRequest> {
    let settings = &call.settings;
    let given = call.given.iter().filter_map(|option| options::find(&option.name, true).ok());
    if let Some(found) = given.into_iter().find(|found| DECIDED.contains(&found.def.name)) {
        return Err(Report::usage(format!("recover does not take --{}", found.def.name))
            .hint("a recovery in place decides that itself; `restore` takes it"));
    }
    let stanza = settings.stanza().ok_or_else(|| Report::usage("recover needs --stanza"))?;
    let others: Vec<String> =
        call.args.get_many::<String>("or-target").into_iter().flatten().cloned().collect();
    let first = settings.text("target").map(str::to_owned);
    if first.is_none() && !others.is_empty() {
        return Err(Report::usage("--or-target needs --target"));
    }
    let timeline = match settings.text("target-timeline") {
        None => None,
        Some(text) => Some(text.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
            Report::usage(format!("--target-timeline={text} is not the number of a timeline"))
                .hint("without it the timeline is followed that the cluster is on")
        })?),
    };
    Ok(RecoverRequest {
        stanza: stanza.to_owned(),
        kind: settings.text("type").unwrap_or("default").to_owned(),
        targets: first.into_iter().chain(others).collect(),
        exclusive: settings.flag("target-exclusive"),
        timeline,
        set: settings.text("set").filter(|set| *set != "latest").map(str::to_owned),
        asks: call.args.get_flag("ask"),
    })
}
