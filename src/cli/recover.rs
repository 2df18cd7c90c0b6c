//! `recover`: the cluster of a stanza on this host, from damaged to serving.
//!
//! Shows the plan and refuses what does not hold; then a worker of its own does the work, whatever becomes of this
//! terminal. Never prompts: the console does.

pub(super) mod show;

use super::command::{CommandSpec, Run};
use super::follow::follow;
use super::incident::keeper;
use super::output::{self, Output};
use super::restore::{fetch_command, passphrase_survives};
use super::{Call, operation, site};
use crate::base::state::{OpId, StateDir};
use crate::base::{Kind, Report, Result, Timestamp};
use crate::config::{EVERY_COMMAND, options};
use crate::incident::approval::SECOND_PERSON;
use crate::incident::{Declaration, Incidents};
use crate::model::op::{Cancel, Spec};
use crate::model::plan::{CheckState, RecoverPlan, RecoverRequest};
use crate::recovery::recover::{Recover, command};
use clap::{Arg, ArgAction, Command};

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: command::NAME,
    about: "Recover the cluster in place, to a target, and put it back into service",
    long_about: "Restores a copy beside the data directory, replays it to the target, checks it while nothing is \
                 promoted yet, exchanges the two directories in one step, promotes, cleans up and opens. The old \
                 data directory is kept in quarantine. Once the service is back its new timeline is seen to be \
                 archived and a full backup of it is made; if that fails, the recovery is done all the same and says \
                 how to make it. What stops the application, checks the data and starts the \
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

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn own(command: Command) -> Command {
    asking(command).arg(flag("detach", "print the operation's name and return; `pgmayday attach` follows it"))
}

/// Takes what a request is made of besides pgBackRest's options.
pub(super) fn asking(command: Command) -> Command {
    command
        .arg(
            Arg::new("or-target")
                .long("or-target")
                .value_name("TARGET")
                .action(ArgAction::Append)
                .help("an earlier target of the same type, tried if the damage is found in the one before"),
        )
        .arg(flag("ask", "ask a person at the pause before anything is promoted"))
        .arg(flag("no-first-backup", "make no full backup of the recovered cluster at the end"))
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
    let mut spec = spec(call, id.clone(), &plan)?;
    let site = site::site(call)?;
    operation::may_start(&site)?;
    if site.of(&plan.request.stanza).second_person {
        let incidents = Incidents::new(state.clone());
        let open = incidents.open_one(&plan.request.stanza)?;
        let alone = call.accepts(SECOND_PERSON);
        incidents.ask_for_second_person(open.as_ref(), &site::actor(), &plan, alone)?;
    }
    spec.incident = in_journal(call, &state, &plan, &id);
    operation::start(call, &spec)?;
    if call.args.get_flag("detach") {
        match call.output {
            Output::Text => output::text(id.as_str())?,
            Output::Json => output::json("operation-started", &operation::Started { operation: &id })?,
        }
        return Ok(0);
    }
    follow(call, &supervisor, &id)
}

/// Writes the start into the journal of the open incident, or of a new one; a journal that cannot be written is told
/// and stops no recovery.
fn in_journal(call: &Call, state: &StateDir, plan: &RecoverPlan, id: &OpId) -> Option<String> {
    let begun = site::site(call).and_then(|site| {
        let stanza = &plan.request.stanza;
        let declaration = Declaration::of_site(stanza, &site.of(stanza), plan.summary(), None);
        let incidents = Incidents::new(state.clone());
        if let Ok(Some(open)) = incidents.unready(stanza, plan) {
            call.console.warn(&format!("{open}; the journal keeps that it was started all the same"));
        }
        let incident = incidents.begin(&site::actor(), &declaration, plan, id, "")?;
        let held =
            keeper(call, &site, stanza).and_then(|keeper| incidents.hold(&incident, &site::actor(), &keeper));
        if let Err(report) = held {
            call.console.warn(&report.to_string());
        }
        Ok(incident)
    });
    begun.map_err(|report| call.console.warn(&format!("the recovery is not in a journal: {report}"))).ok()
}

/// Why the plan cannot be started, if it cannot.
pub(super) fn refused(plan: &RecoverPlan) -> Option<Report> {
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
    Ok((recover_to(call, &request, operation, state)?, request))
}

/// What is to be recovered to satisfy a request, with everything else as the call says it.
pub(super) fn recover_to(
    call: &Call,
    request: &RecoverRequest,
    operation: &OpId,
    state: &StateDir,
) -> Result<Recover> {
    passphrase_survives(call)?;
    let site = site::site(call)?.of(&request.stanza);
    let fetch = fetch_command(call, &request.stanza)?;
    let recover = Recover::new(&call.settings, &site, request.clone(), operation, state, fetch)?
        .with_given(&call.given);
    // pgBackRest's restore knows no port and no socket, and it may be told to use one repository only.
    let recover = match call.config.settings(EVERY_COMMAND, Some(&request.stanza)) {
        Ok(settings) => recover.with_server(&settings),
        Err(_) => recover,
    };
    Ok(match call.config.settings_beside("archive-push", Some(&request.stanza)) {
        Ok(settings) => recover.with_archives(&settings),
        Err(_) => recover,
    })
}

/// What an operation of this call is to do, as a plan of it was shown.
fn spec(call: &Call, id: OpId, plan: &RecoverPlan) -> Result<Spec> {
    let working_dir = std::env::current_dir()
        .map_err(|error| Report::failed(format!("cannot tell the working directory: {error}")))?;
    command::spec(id, plan, &call.given, &working_dir, operation::environment(call), &site::actor())
}

pub(super) fn request(call: &Call) -> Result<RecoverRequest> {
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
        no_first_backup: call.args.get_flag("no-first-backup"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{arguments, output::Console, tree};
    use crate::config::{CliOption, Config};
    use std::ffi::OsString;
    use std::path::PathBuf;

    const GIVEN: [(&str, &str); 3] =
        [("pg1-path", "/srv/my pg"), ("repo1-path", "/r"), ("config", "/c d.conf")];

    fn call(words: &[String]) -> Call {
        let split = arguments::split(words.iter().map(OsString::from)).unwrap();
        let args = tree::read(&SPEC, &split).unwrap();
        let config = Config::of_command_line(&split.config).unwrap();
        let settings = config.settings("restore", None).unwrap();
        let output = Output::of_settings(&settings);
        let console = Console::new(&settings, output);
        Call {
            command: SPEC.name,
            config,
            settings,
            positional: Vec::new(),
            args,
            output,
            accept: Vec::new(),
            console,
            given: split.config,
            own: Vec::new(),
            program: PathBuf::new(),
            arguments: words.to_vec(),
        }
    }

    fn words(request: &RecoverRequest) -> Vec<String> {
        let option = |(name, value): (&str, &str)| CliOption { name: name.into(), value: Some(value.into()) };
        command::arguments(&GIVEN.map(option), request).unwrap()
    }

    #[test]
    fn the_words_of_a_request_are_read_back_as_the_same_request() {
        let kinds: [(&str, &[&str]); 6] = [
            ("time", &["2026-11-21 02:03:11.482+00", "2026-11-21 02:03:00+00", "2026-11-21 02:00:00+00"]),
            ("name", &["it's \"odd\" --x $y"]),
            ("lsn", &["0/5A000148", "0/5A000000"]),
            ("xid", &["48211"]),
            ("immediate", &[]),
            ("default", &[]),
        ];
        for (kind, targets) in kinds {
            for flags in [false, true] {
                let asked = RecoverRequest {
                    stanza: "main".to_owned(),
                    kind: kind.to_owned(),
                    targets: targets.iter().map(|&text| text.to_owned()).collect(),
                    exclusive: flags && !matches!(kind, "name" | "immediate" | "default"),
                    timeline: Some(7).filter(|_| flags && kind != "immediate"),
                    set: flags.then(|| "20261121-010559F".to_owned()),
                    asks: flags,
                    no_first_backup: flags,
                };
                let read = call(&words(&asked));
                assert_eq!(request(&read).unwrap(), asked);
                // And the words of what was read are the same words again.
                assert_eq!(command::arguments(&read.given, &asked).unwrap(), words(&asked));
            }
        }
    }

    #[test]
    fn what_the_recovery_decides_itself_is_not_taken() {
        let refused = |more: &[&str]| {
            let more = more.iter().map(|&word| word.to_owned());
            let words: Vec<_> = ["recover", "--stanza=main", "--pg1-path=/d"].map(str::to_owned).into();
            request(&call(&words.into_iter().chain(more).collect::<Vec<_>>())).unwrap_err().headline
        };
        assert!(refused(&["--delta"]).contains("--delta"));
        assert!(
            refused(&["--target-action=promote", "--type=time", "--target=x"]).contains("--target-action")
        );
        assert!(refused(&["--or-target=x"]).contains("--or-target needs --target"));
    }
}
