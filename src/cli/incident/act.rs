//! `incident runbook run`: the act one is at, carried out as an operation that outlives this terminal.
//!
//! Runs exactly what was shown, once: an act that was begun is never begun again by itself. What needs a typed word is
//! run only with that word.

use super::Desk;
use crate::act::{Deed, Means};
use crate::base::state::{OpId, StateDir};
use crate::base::{Kind, Report, Result, Timestamp};
use crate::cli::output::{self, Output};
use crate::cli::site::{actor, site, word};
use crate::cli::{Call, follow, operation};
use crate::config::{EVERY_COMMAND, Settings};
use crate::incident::Incidents;
use crate::incident::guide::{Step, Values};
use crate::model::guide::{GuideKind, GuideView};
use crate::model::op::{Event, Spec};
use crate::recovery::act::{Caller, ShownAct};
use crate::recovery::recover::command::handed_on;
use crate::recovery::worker::{Job, Tools};
use crate::runbook::{How, Library, NodeKind};
use crate::survey::Survey;
use clap::{Arg, ArgAction, Command};
use std::path::Path;
use std::time::Instant;

/// This program, whatever has become of its file meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// How many lines of what came out stand in the journal; the operation keeps all.
const IN_JOURNAL: usize = 3;
/// Options of this call that a command which is run must not get.
const NOT_HANDED_ON: [&str; 2] = ["stanza", "output"];

/// Adds what the subcommand takes.
pub(super) fn own(command: Command) -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    command
        .arg(option("confirm", "WORD", "the stanza's name, where the act wants a typed word"))
        .arg(option("node", "NODE", "refuse if the incident is at another node by now"))
        .arg(option("runbook", "RUNBOOK", "refuse if the incident is in another runbook by now"))
        .arg(option("shown", "DIGEST", "refuse if anything else than what was shown would be run"))
        .arg(
            Arg::new("detach")
                .long("detach")
                .action(ArgAction::SetTrue)
                .help("print the operation's name and return; `pgmayday attach` follows it"),
        )
}

impl Desk<'_> {
    /// Starts the act and follows it.
    pub(super) fn run_act(&self) -> Result<u8> {
        let id = self.chosen_open()?;
        self.is_nobody_elses(&id)?;
        let view = self.act_view(&id)?;
        self.is_as_shown(&view)?;
        let digest = runnable(&view)?;
        let stanza = self.incidents.view(&id)?.stanza;
        let confirmed = self.args.get_one::<String>("confirm");
        if view.node.typed && confirmed != Some(&stanza) {
            return Err(Report::refused(
                "act-confirmation",
                format!("'{}' wants a typed word", view.node.title),
            )
            .hint(format!("it would run: {}; --confirm={stanza} does it", view.node.lines.join("; "))));
        }
        let act = ShownAct {
            incident: id,
            stanza,
            runbook: view.runbook.clone(),
            node: view.node.id.clone(),
            title: view.node.title.clone(),
            digest,
        };
        let working_dir = std::env::current_dir()
            .map_err(|error| Report::failed(format!("cannot tell which folder this is: {error}")))?;
        let (environment, by) = (operation::environment(self.call), actor());
        let caller =
            Caller { given: &self.call.given, working_dir: &working_dir, environment: &environment, by: &by };
        let spec = act.spec(OpId::new("act", Timestamp::now())?, caller)?;
        let supervisor = operation::start(self.call, &spec)?;
        if !self.args.get_flag("detach") {
            return follow::follow(self.call, &supervisor, &spec.id);
        }
        match self.call.output {
            Output::Text => output::text(spec.id.as_str())?,
            Output::Json => {
                output::json("operation-started", &operation::Started { operation: &spec.id })?;
            }
        }
        Ok(0)
    }

    /// What is shown without asking anything: what an act says does not hang on facts that change.
    fn act_view(&self, id: &str) -> Result<GuideView> {
        let stanza = self.incidents.view(id)?.stanza;
        let places = Survey::new(&self.call.config, self.site, Some(&stanza), None).places();
        self.view(id, Some(&places), &self.library()?)
    }

    /// Refuses where the incident stands elsewhere by now, or where something else would be run.
    fn is_as_shown(&self, view: &GuideView) -> Result<()> {
        let differs =
            |name: &str, now: &str| self.args.get_one::<String>(name).is_some_and(|expected| expected != now);
        if differs("runbook", &view.runbook) || differs("node", &view.node.id) {
            return Err(Report::new(
                Kind::Refused(None),
                format!("the incident is at '{}' by now", view.node.title),
            )
            .hint("somebody went on from another terminal: look at it again"));
        }
        if differs("shown", view.node.runs.as_deref().unwrap_or_default()) {
            return Err(Report::new(
                Kind::Refused(None),
                "something else than what was shown would be run; nothing was",
            )
            .hint("look at the act again: its runbook, the configuration or a value has changed"));
        }
        Ok(())
    }
}

/// The name of what can be run here.
fn runnable(view: &GuideView) -> Result<String> {
    let node = &view.node;
    let usage = |why: String, hint: &str| Err(Report::usage(why).hint(hint));
    if node.kind != GuideKind::Act || view.fresh {
        return usage(
            format!("'{}' is nothing that is run", node.title),
            "`pgmayday incident runbook` shows where it is",
        );
    }
    if let Some((what, by, at)) = &node.began {
        return usage(
            format!("{by} began it at {at}: {what}"),
            "look what came of it, then `pgmayday incident runbook done TEXT`, or failed",
        );
    }
    if let Some(name) = node.missing.first().filter(|_| !node.by_hand) {
        return usage(
            format!("${{{name}}} has no value here"),
            &format!("`pgmayday incident runbook set {name} VALUE` gives it one"),
        );
    }
    match &node.runs {
        Some(digest) => Ok(digest.clone()),
        None => usage(
            format!("'{}' is done by a person: there is no executor for it", node.title),
            "do it, then `pgmayday incident runbook done TEXT`, or failed",
        ),
    }
}

/// An act to be carried out by a worker.
pub(in crate::cli) struct ActJob {
    title: String,
    deed: Deed,
    line: String,
    place: Place,
}

/// Where its beginning and its end are written down.
struct Place {
    incidents: Incidents,
    library: Library,
    incident: String,
    runbook: String,
    node: String,
}

impl ActJob {
    /// What the operation's arguments mean; only `incident runbook run` can be one.
    pub(in crate::cli) fn of(call: &Call, state: &StateDir) -> Result<Self> {
        let args = call.args.subcommand_matches("runbook").and_then(|args| args.subcommand_matches("run"));
        let args =
            args.ok_or_else(|| Report::usage("of `incident` only `runbook run` can be an operation"))?;
        let site = site(call)?;
        let desk = Desk { call, site: &site, incidents: Incidents::new(state.clone()), args };
        let id = desk.chosen_open()?;
        let view = desk.act_view(&id)?;
        desk.is_as_shown(&view)?;
        runnable(&view)?;
        let library = desk.library()?;
        let how = how(&library, &view)?;
        let given = handed_on(&call.given, &NOT_HANDED_ON)?;
        let values = values(call, &desk.incidents, &id, &site)?;
        let value = |name: &str| values.get(name);
        let secret = |name: &str| site.secret(name, &word);
        let means = Means { program: Path::new(PROGRAM), given: &given, value: &value, secret: &secret };
        let deed = Deed::of(&how, &means)?;
        let line = view.node.lines.first().cloned().unwrap_or_default();
        let place = Place {
            incidents: desk.incidents,
            library,
            incident: id,
            runbook: view.runbook,
            node: view.node.id,
        };
        Ok(Self { title: view.node.title, deed, line, place })
    }
}

fn values(call: &Call, incidents: &Incidents, id: &str, site: &crate::config::site::Site) -> Result<Values> {
    let incident = incidents.view(id)?;
    let settings: Option<Settings> = call.config.settings(EVERY_COMMAND, Some(&incident.stanza)).ok();
    let places = Survey::new(&call.config, site, Some(&incident.stanza), None).places();
    Ok(Values::of(settings.as_ref(), Some(&incident), Some(&places)))
}

fn how(library: &Library, view: &GuideView) -> Result<How> {
    let (book, _) = library.book_or_shipped(&view.runbook)?;
    match book.node(&view.node.id).map(|node| &node.kind) {
        Some(NodeKind::Act(act)) => Ok(act.how.clone()),
        _ => Err(Report::failed(format!("'{}' is no act any more", view.node.title))),
    }
}

impl Place {
    fn step(&self, spec: &Spec, step: &Step) -> Result<()> {
        let (book, _) = self.library.book_or_shipped(&self.runbook)?;
        self.incidents.step(&self.incident, &spec.by, book, (&self.node, None), step)
    }
}

impl Job for ActJob {
    fn steps(&self) -> Vec<String> {
        vec![self.title.clone()]
    }

    /// The beginning is written down before anything is done, and without that nothing is; the end is written down
    /// whatever it is.
    fn run(&self, tools: &Tools<'_>) -> Result<Vec<String>> {
        let what = format!("{}: {}", tools.spec.id, self.line);
        self.place.step(tools.spec, &Step::Begun { what })?;
        tools.sink.event(Event::StepStarted { step: self.title.clone() });
        let began = Instant::now();
        let result = self.deed.carry_out(tools.cancel);
        let (done, outcome) = match &result {
            Ok(lines) => (true, in_short(lines)),
            Err(report) => (false, report.headline.clone()),
        };
        if done {
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tools.sink.event(Event::StepDone { step: self.title.clone(), took_ms, detail: String::new() });
        }
        if let Err(report) = self.place.step(tools.spec, &Step::Ended { done, outcome }) {
            let text = format!("the runbook did not go on: {}", report.headline);
            tools.sink.event(Event::Warning { text });
        }
        result
    }
}

/// What came out, for the journal.
fn in_short(lines: &[String]) -> String {
    let shown = lines.iter().skip(lines.len().saturating_sub(IN_JOURNAL));
    let text = shown.map(String::as_str).collect::<Vec<_>>().join("; ");
    if text.is_empty() { "done".to_owned() } else { text }
}
