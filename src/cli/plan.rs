//! `plan`: what a recovery in place would do, and the other ways out beside it. Writes nothing.

use super::board::symbol;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use super::recover::show::{self, wrapped};
use super::recover::{asking, recover_to, refused, request};
use super::{Call, operation, site};
use crate::base::state::{OpId, StateDir};
use crate::base::{Kind, Result, Timestamp};
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
    /// Nothing where none could be worked out; `refused` says why.
    plan: Option<&'a RecoverPlan>,
    refused: Option<&'a str>,
    options: &'a Options,
}

fn run(call: &Call) -> Result<u8> {
    let (_, state) = operation::supervisor(call)?;
    let request = request(call)?;
    let plan = match planned(call, &request, &state) {
        Err(report) if report.kind == Kind::Usage => return Err(report),
        other => other,
    };
    let latest = request.to_latest().map(|latest| planned(call, &latest, &state));
    let situation = situation(call, &state)?;
    let options = Options::weigh(&Ground {
        request: &request,
        plan: plan.as_ref(),
        latest: latest.as_ref().map(Result::as_ref),
        situation: &situation,
        now: Timestamp::now(),
    });
    // Where nothing can be planned the other ways are what counts.
    match (plan, call.output) {
        (Ok(plan), Output::Text) => {
            output::text(&format!("{}\n\n{}", show::plan(&plan), text(&options)))?;
            Ok(exit_code(&plan))
        }
        (Ok(plan), Output::Json) => {
            output::json("plan", &Document { plan: Some(&plan), refused: None, options: &options })?;
            Ok(exit_code(&plan))
        }
        (Err(report), Output::Text) => {
            output::text(&text(&options))?;
            Err(report)
        }
        (Err(report), Output::Json) => {
            let refused = Some(report.headline.as_str());
            output::json("plan", &Document { plan: None, refused, options: &options })?;
            Ok(report.kind.exit_code())
        }
    }
}

fn exit_code(plan: &RecoverPlan) -> u8 {
    refused(plan).map_or(0, |report| report.kind.exit_code())
}

fn planned(call: &Call, request: &RecoverRequest, state: &StateDir) -> Result<RecoverPlan> {
    let id = OpId::new(command::NAME, Timestamp::now())?;
    recover_to(call, request, &id, state)?.plan(&Cancel::default())
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
