//! `plan`: what a recovery in place would do, and the other ways out beside it. Writes nothing.

use super::board::symbol;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use super::recover::show::{self, wrapped};
use super::recover::{asking, recover_to, refused, request};
use super::{Call, operation, site};
use crate::base::state::{OpId, StateDir};
use crate::base::{Result, Timestamp};
use crate::model::op::Cancel;
use crate::model::options::{Ground, Options, Weighed};
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::model::situation::Situation;
use crate::recovery::recover::command;
use crate::survey::{Scope, Survey};
use serde::Serialize;
use std::time::Duration;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "plan",
    about: "Plan a recovery in place, with the other ways out beside it",
    long_about: "Works out what `recover` with the same options would do: the backup set, the WAL, the room, the time it will take \
                 by what recoveries on this host took, what it gives up, and every check. Beside it stand the other ways \
                 out: starting the old server, promoting a standby, taking rows from a copy, recovering to the end of the \
                 archive; each with whether it is open, how long it takes where that was measured, what it gives up and \
                 what becomes of the damage. The servers are looked at for ten seconds at most. Nothing is written. The \
                 exit code is that of the plan: 3 if a check fails, 7 if the target is not reachable.",
    options_of: "restore",
    reads_configuration: true,
    own: asking,
    run: Run::Coded(run),
    failure_exit: None,
};

/// The longest look at the servers.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Document<'a> {
    plan: &'a RecoverPlan,
    options: &'a Options,
}

fn run(call: &Call) -> Result<u8> {
    let (_, state) = operation::supervisor(call)?;
    let request = request(call)?;
    let plan = planned(call, &request, &state);
    let latest = latest(call, &request, &state).map(|plan| plan.map_err(|report| report.headline));
    let situation = situation(call, &state)?;
    let target = plan.as_ref().map_or_else(|_| request.targets.join(", or "), |plan| plan.target.clone());
    let options = Options::weigh(&Ground {
        target: &target,
        plan: plan.as_ref().map_err(|report| report.headline.as_str()),
        latest: latest.as_ref().map(|plan| plan.as_ref().map_err(String::as_str)),
        situation: &situation,
        now: Timestamp::now(),
    });
    let plan = match plan {
        Ok(plan) => plan,
        // Where nothing can be planned the other ways are what counts.
        Err(report) if call.output == Output::Text => {
            output::text(&text(&options))?;
            return Err(report);
        }
        Err(report) => return Err(report),
    };
    match call.output {
        Output::Json => output::json("plan", &Document { plan: &plan, options: &options })?,
        Output::Text => output::text(&format!("{}\n\n{}", show::plan(&plan), text(&options)))?,
    }
    Ok(refused(&plan).map_or(0, |report| report.kind.exit_code()))
}

fn planned(call: &Call, request: &RecoverRequest, state: &StateDir) -> Result<RecoverPlan> {
    let id = OpId::new(command::NAME, Timestamp::now())?;
    recover_to(call, request, &id, state)?.plan(&Cancel::default())
}

/// The plan for the end of the archive, unless that is what was asked for.
fn latest(call: &Call, request: &RecoverRequest, state: &StateDir) -> Option<Result<RecoverPlan>> {
    request.to_latest().map(|latest| planned(call, &latest, state))
}

fn situation(call: &Call, state: &StateDir) -> Result<Situation> {
    let site = site::site(call)?;
    let survey = Survey::new(&call.config, &site, call.settings.stanza(), Some(state));
    Ok(survey.situation(Scope { incident: true, ..Scope::default() }, LIMIT, &|_| (), &|| true))
}

/// The ways out, two or more lines each.
fn text(options: &Options) -> String {
    let mut out = vec![format!("ways out, for {}", options.target)];
    options.ways.iter().for_each(|weighed| out.extend(lines(weighed)));
    out.join("\n")
}

fn lines(weighed: &Weighed) -> Vec<String> {
    let time = weighed.time.map_or_else(|| "not measured here".to_owned(), |time| time.to_string());
    let mut lines = vec![format!("  {} {}", symbol(weighed.sign), weighed.title)];
    let said = [
        ("why", weighed.why.clone()),
        ("takes", time),
        ("gives up", weighed.gives_up.to_string()),
        ("damage", weighed.damage.clone()),
    ];
    for (name, text) in said {
        lines.extend(wrapped(&format!("    {name:<10}"), &text, 14));
    }
    lines.extend(weighed.how.iter().map(|how| format!("    {:<10}{how}", "how")));
    lines
}
