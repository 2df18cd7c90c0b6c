//! `incident runbook`: where an incident is in its runbook, what is proposed there and why, and the steps of a person.
//!
//! The text and JSON twin of the console's screen. What an act says is carried out by [`super::act`]; who pilots the incident from a
//! console is not overtaken.

use super::{Desk, people, plain, which};
use crate::base::{Kind, Report, Result, Timestamp};
use crate::cli::board::{symbol, wrapped};
use crate::cli::output::{self, Output};
use crate::cli::site::{actor, state};
use crate::config::EVERY_COMMAND;
use crate::incident::TickResult;
use crate::incident::guide::{ItemState, Look, Step, Values};
use crate::model::guide::{GuideKind, GuideView};
use crate::model::question::judge::{Checked, Proposal, Sign};
use crate::model::situation::Situation;
use crate::runbook::Library;
use crate::survey::{Scope, Survey};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::time::Duration;

/// The longest wait for facts.
const LIMIT: Duration = Duration::from_secs(15);

/// Adds the subcommand.
pub(super) fn own(command: Command) -> Command {
    let word = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).value_name(value).required(true).help(help)
    };
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let part = |name: &'static str, about: &'static str| Command::new(name).about(about).arg(which());
    let note = || option("note", "TEXT", "what is to be said of it");
    command.subcommand(
        part("runbook", "where the incident is in its runbook, what is proposed and why")
            .arg(Arg::new("tree").long("tree").action(ArgAction::SetTrue).help("the whole runbook as a tree"))
            .subcommand(
                part("begin", "begin a runbook").arg(
                    Arg::new("name")
                        .value_name("RUNBOOK")
                        .help("which [default: the one it is in, else postgres-dr]"),
                ),
            )
            .subcommand(
                part("answer", "answer the question one is at")
                    .arg(word("exit", "ANSWER", "the answer's name or key"))
                    .arg(option("reason", "TEXT", "why; needed against what the facts propose")),
            )
            .subcommand(
                part("tick", "an item of the checklist one is at is so, is not so, or does not apply")
                    .arg(word("item", "ITEM", "which"))
                    .arg(
                        option("result", "RESULT", "how it stands [default: ok]; n/a asks for --note")
                            .value_parser(results()),
                    )
                    .arg(note()),
            )
            .subcommand(part("pass", "the checklist or message one is at is behind").arg(note()))
            .subcommand(super::act::own(part(
                "run",
                "carry out the act one is at: a command of this program, another program or a call to a server",
            )))
            .subcommand(
                part("set", "give a variable of the runbooks a value, for the whole incident")
                    .arg(word("name", "NAME", "the variable, as it stands in ${…}"))
                    .arg(word("value", "VALUE", "what it stands for")),
            )
            .subcommand(part("begun", "the act one is at was begun").arg(word(
                "text",
                "TEXT",
                "what was begun",
            )))
            .subcommand(part("done", "the act one is at is done").arg(word("text", "TEXT", "what came out")))
            .subcommand(part("failed", "the act one is at failed").arg(word("text", "TEXT", "what failed")))
            .subcommand(part("back", "back by one node; what was done stays done")),
    )
}

impl Desk<'_> {
    /// `incident runbook …`; nothing if the verb is another.
    pub(super) fn guide(&self, verb: &str) -> Option<Result<u8>> {
        if verb != "runbook" {
            return None;
        }
        Some(match self.args.subcommand() {
            None => self.show_guide().map(|()| 0),
            Some(("run", args)) => self.within(args).run_act(),
            Some(("set", args)) => self.within(args).give_value().map(|()| 0),
            Some((verb, args)) => self.within(args).take_step(verb).map(|()| 0),
        })
    }

    fn show_guide(&self) -> Result<()> {
        let id = self.chosen()?;
        let situation = self.situation(&id)?;
        let view = self.view(&id, Some(&situation), &self.library()?)?;
        match self.call.output {
            Output::Json => output::json("incident-runbook", &view),
            Output::Text if self.args.get_flag("tree") => output::text(&view.tree.join("\n")),
            Output::Text => output::text(&text(&view)),
        }
    }

    fn take_step(&self, verb: &str) -> Result<()> {
        let (id, library) = (self.chosen_open()?, self.library()?);
        self.is_nobody_elses(&id)?;
        // Only an answer and the items of a list are weighed against the facts.
        let situation = ["answer", "pass"].contains(&verb).then(|| self.situation(&id)).transpose()?;
        let view = self.view(&id, situation.as_ref(), &library)?;
        let name = self.args.try_get_one::<String>("name").ok().flatten().unwrap_or(&view.runbook);
        let (book, _) = library.book_or_shipped(name)?;
        let step = step(verb, self.args, &view)?;
        self.incidents.step(&id, &actor(), book, (&view.node.id, view.proposal.as_ref()), &step)?;
        let now = self.view(&id, None, &library)?;
        self.done(&id, &format!("incident {id} is at: {}", now.node.title))
    }

    fn give_value(&self) -> Result<()> {
        let id = self.chosen_open()?;
        self.is_nobody_elses(&id)?;
        let (name, value) = (plain(self.args, "name")?, plain(self.args, "value")?);
        self.incidents.give_value(&id, &actor(), &name, &value)?;
        self.done(&id, &format!("${{{name}}} is {value} in incident {id}"))
    }

    /// Refuses while somebody pilots the incident from a console.
    pub(super) fn is_nobody_elses(&self, id: &str) -> Result<()> {
        let Some(pilot) = self.incidents.pilot(id)? else { return Ok(()) };
        let headline = format!("{} at {} is the pilot of incident {id}", pilot.who, pilot.host);
        Err(Report::new(Kind::Refused(None), headline)
            .hint("tell that one, or go on here when that console is left"))
    }

    pub(super) fn library(&self) -> Result<Library> {
        let library = Library::of_host(Some(state(self.call, self.site)?.root()));
        library.troubles.iter().for_each(|trouble| self.call.console.warn(trouble));
        Ok(library)
    }

    fn situation(&self, id: &str) -> Result<Situation> {
        let view = self.incidents.view(id)?;
        let state = state(self.call, self.site)?;
        let survey = Survey::new(&self.call.config, self.site, Some(&view.stanza), Some(&state));
        let scope = Scope { incident: true, write_test: false, pages: false };
        Ok(survey.situation(scope, LIMIT, &drop, &|| true))
    }

    pub(super) fn view(
        &self,
        id: &str,
        situation: Option<&Situation>,
        library: &Library,
    ) -> Result<GuideView> {
        let incident = self.incidents.view(id)?;
        let settings = self.call.config.settings(EVERY_COMMAND, Some(&incident.stanza)).ok();
        let values = Values::of(settings.as_ref(), Some(&incident), situation);
        let look = Look { situation, values: &values, now: Timestamp::now(), ascii: false };
        self.incidents.guide(id, library, &look)
    }
}

/// What can be said of an item.
fn results() -> PossibleValuesParser {
    let said = [TickResult::Ok, TickResult::Failed, TickResult::NotApplicable];
    PossibleValuesParser::new(said.map(TickResult::name))
}

fn step(verb: &str, args: &ArgMatches, view: &GuideView) -> Result<Step> {
    let some = |name: &str| args.get_one::<String>(name).map(|text| text.trim().to_owned());
    Ok(match verb {
        "begin" => Step::Begin,
        "answer" => Step::Answer { exit: plain(args, "exit")?, reason: some("reason") },
        "tick" => {
            let state = match people::chosen(args, "result", TickResult::of_name) {
                None | Some(TickResult::Ok) => ItemState::Holds,
                Some(TickResult::NotApplicable) => ItemState::NotApplicable,
                Some(TickResult::Failed | TickResult::Unknown) => ItemState::Open,
            };
            Step::Tick { item: plain(args, "item")?, state, note: some("note") }
        }
        "pass" => Step::Pass { note: some("note"), seen: view.node.seen_to_hold() },
        "begun" => Step::Begun { what: plain(args, "text")? },
        "done" => Step::Ended { done: true, outcome: plain(args, "text")? },
        "failed" => Step::Ended { done: false, outcome: plain(args, "text")? },
        _ => Step::Back,
    })
}

/// The node as text.
fn text(view: &GuideView) -> String {
    let mut out = vec![format!("incident {} · {}", view.incident, view.title)];
    for trouble in &view.troubles {
        wrapped(&mut out, "! ", trouble);
    }
    for step in &view.path {
        let against = step.against.as_ref().map_or(String::new(), |why| format!(" against the facts: {why}"));
        wrapped(&mut out, "  ", &format!("{} → {} ({}){against}", step.title, step.left, step.by));
    }
    if view.fresh {
        out.push("nobody has begun it; `pgmayday incident runbook begin` does".to_owned());
    }
    out.push(String::new());
    wrapped(&mut out, &format!("{}. ", view.node.section), &view.node.title);
    for paragraph in &view.node.prose {
        wrapped(&mut out, "   ", paragraph);
    }
    if let Some(proposal) = &view.proposal {
        proposed(&mut out, proposal);
    }
    if let Some(heard) = &view.node.heard {
        wrapped(&mut out, "   ", &heard.text);
    }
    lines(&mut out, view);
    out.join("\n")
}

fn proposed(out: &mut Vec<String>, proposal: &Proposal) {
    out.push(String::new());
    for finding in &proposal.findings {
        wrapped(out, &format!("   {} ", symbol(finding.sign)), &finding.text);
    }
    let exit = proposal.exit.unwrap_or(crate::runbook::UNKNOWN);
    wrapped(out, "   ", &format!("proposed: {exit}, because {}", proposal.reason));
}

fn seen_mark(seen: &Checked) -> char {
    match seen.holds {
        Some(true) => symbol(Sign::Ok),
        Some(false) => symbol(Sign::Failed),
        None => symbol(Sign::Unknown),
    }
}

fn lines(out: &mut Vec<String>, view: &GuideView) {
    let node = &view.node;
    if !node.lines.is_empty() {
        out.push(String::new());
        let head = match node.kind {
            GuideKind::Decide => "   by hand:",
            GuideKind::Act if node.by_hand => "   to be done by hand; this program has no executor for it:",
            GuideKind::Act => "   to be done:",
            _ => "   text:",
        };
        out.push(head.to_owned());
        out.extend(node.lines.iter().map(|line| format!("     {line}")));
    }
    if !node.missing.is_empty() {
        out.push(format!(
            "   to be filled in: {} (`incident runbook set NAME VALUE`)",
            node.missing.join(", ")
        ));
    }
    for item in &node.items {
        let mark = match item.done {
            Some(true) if item.not_applicable => "[-]",
            Some(true) => "[x]",
            Some(false) => "[!]",
            None => "[ ]",
        };
        let must = if item.blocking { "" } else { " (advisory)" };
        wrapped(out, &format!("   {mark} {}: ", item.id), &format!("{}{must}", item.text));
        if let Some(seen) = &item.seen {
            wrapped(out, &format!("       {} ", seen_mark(seen)), &seen.text);
        }
        if let (Some((by, at)), Some(note)) = (&item.by, &item.note) {
            wrapped(out, "       ", &format!("{by}, {at}: {note}"));
        }
    }
    out.push(String::new());
    for way in &node.ways {
        let key = way.key.map_or_else(String::new, |key| format!(" ({key})"));
        wrapped(out, &format!("   {}{key}: ", way.id), &format!("{} → {}", way.label, way.to));
    }
    for blocked in &node.blocked {
        wrapped(out, "   open: ", blocked);
    }
}
