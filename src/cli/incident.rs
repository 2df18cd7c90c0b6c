//! `pgmayday incident`: declare, note, close, the people and the messages, and the evidence: list, show, report, verify.
//!
//! A front for the room of the same name; it judges nothing and touches no cluster.

mod act;
mod comms;
mod evidence;
mod guide;
mod people;
mod text;

pub(super) use act::ActJob;

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use super::site::{actor, site, state};
use crate::base::{Report, Result, TargetTime, Timestamp};
use crate::config::EVERY_COMMAND;
use crate::config::site::Site;
use crate::incident::comms::Table;
use crate::incident::{Declaration, INCIDENT_OPEN, IncidentView, Incidents, OPEN_MATTERS, already_open};
use crate::journal::Severity;
use crate::recovery::hold::StanzaHold;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use serde::Serialize;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "incident",
    about: "Declare an incident, add to its journal, report and verify it",
    long_about: "An incident is a journal: what was seen, decided, confirmed and done, by whom and when, each entry bound \
                 to the one before. `declare` starts the clock and holds the stanza on this host: nothing is \
                 expired, and nothing is backed up unless that is accepted; `note` adds a sentence, `close` ends \
                 the incident and its hold. `role`, `task`, `tick`, `follow-up`, `severity` and `scenario` settle who \
                 does what; `runbook` shows the question that is to be answered now and takes the answer; `comms` tells people: what is due, a draft, sending. `list` and `show` read; `report` writes the evidence as Markdown or JSON; `verify` proves that no entry was \
                 altered, removed or put in, and exits with 4 if one was. Without a name the open incident is meant, \
                 else the newest one.",
    options_of: EVERY_COMMAND,
    reads_configuration: true,
    own,
    run: Run::Coded(run),
    failure_exit: None,
};

fn own(command: Command) -> Command {
    let option =
        |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value).required(false);
    let text = |help: &'static str| Arg::new("text").value_name("TEXT").required(true).help(help);
    let part = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let severities = PossibleValuesParser::new(people::names(Severity::ALL, Severity::name));
    guide::own(evidence::own(comms::own(people::own(command))))
        .subcommand_required(true)
        .subcommand(part("list", "all incidents, newest first, with recovery times"))
        .subcommand(part("show", "one incident: clocks, phases, every entry").arg(id()))
        .subcommand(
            part("declare", "start the clock")
                .arg(option("reason", "TEXT").required(true).help("why, in one sentence"))
                .arg(
                    option("severity", "SEVERITY")
                        .value_parser(severities)
                        .help("how bad it is, sev1 to sev4"),
                )
                .arg(option("detected-at", "TIME").help("when the trouble was detected [default: now]")),
        )
        .subcommand(
            part("approve", "approve a plan that somebody else wants to start")
                .arg(Arg::new("plan").value_name("PLAN").required(true).help("the beginning of its digest"))
                .arg(which()),
        )
        .subcommand(part("note", "write something down").arg(text("what")).arg(which()))
        .subcommand(part("close", "end the incident").arg(text("what is to be said about it")).arg(which()))
}

/// Which incident, as a word.
fn id() -> Arg {
    Arg::new("id").value_name("INCIDENT").help("which [default: the open one, else the newest]")
}

/// Which incident, as an option.
fn which() -> Arg {
    id().long("incident")
}

fn run(call: &Call) -> Result<u8> {
    let site = site(call)?;
    let incidents = Incidents::new(state(call, &site)?);
    let (verb, args) =
        call.args.subcommand().ok_or_else(|| Report::usage("incident: what is to be done with it?"))?;
    let desk = Desk { call, site: &site, incidents, args };
    let done = desk.people(verb).or_else(|| desk.comms(verb)).map(|done| done.map(|()| 0));
    if let Some(done) = done.or_else(|| desk.guide(verb)).or_else(|| desk.evidence(verb)) {
        return done;
    }
    match verb {
        "list" => desk.list(),
        "show" => desk.show(),
        "declare" => {
            let stanza = stanza(call)?;
            let (reason, detected_at) = (plain(args, "reason")?, detected_at(args)?);
            let severity = people::chosen(args, "severity", Severity::of_name);
            let declaration = Declaration::of_site(&stanza, &site.of(&stanza), reason, detected_at);
            desk.declare(&Declaration { severity, ..declaration })
        }
        "note" => desk.note(),
        "approve" => desk.approve(),
        _ => desk.close(),
    }
    .map(|()| 0)
}

/// A call and the incidents it is about.
struct Desk<'a> {
    call: &'a Call,
    site: &'a Site,
    incidents: Incidents,
    args: &'a ArgMatches,
}

impl<'a> Desk<'a> {
    /// The same desk with the arguments of an inner subcommand.
    fn within(&self, args: &'a ArgMatches) -> Self {
        Desk { incidents: self.incidents.clone(), args, ..*self }
    }
}

impl Desk<'_> {
    fn list(&self) -> Result<()> {
        let (views, troubles) = self.known()?;
        let rows: Vec<Row<'_>> = views.iter().map(Row::new).collect();
        match self.call.output {
            Output::Text => output::text(&text::list(&views, Timestamp::now())),
            Output::Json => output::json("incidents", &List { incidents: rows, troubles }),
        }
    }

    fn show(&self) -> Result<()> {
        let view = self.incidents.view(&self.chosen()?)?;
        match self.call.output {
            Output::Text => {
                let due = Table::new(&self.site.of(&view.stanza).cadence).due(&view);
                output::text(&text::show(
                    &view,
                    &due,
                    self.incidents.pilot(&view.id)?.as_ref(),
                    Timestamp::now(),
                ))
            }
            Output::Json => output::json("incident-view", &view),
        }
    }

    fn declare(&self, declaration: &Declaration) -> Result<()> {
        let accepted = self.call.accepts(INCIDENT_OPEN);
        let open = match self.incidents.open_one(&declaration.stanza) {
            Ok(Some(open)) if accepted => Some(format!("incident {} is still open", open.id)),
            Ok(Some(open)) => return Err(already_open(&open.id, &open.stanza)),
            Ok(None) => None,
            Err(report) if accepted => Some(report.headline),
            Err(report) => {
                return Err(report.hint(format!("--accept={INCIDENT_OPEN} declares one all the same")));
            }
        };
        let id = match open {
            Some(_) => self.incidents.declare(&actor(), declaration)?,
            None => self.incidents.declare_alone(&actor(), declaration)?,
        };
        if let Some(said) = open {
            let note = format!("declared although {said}: --accept={INCIDENT_OPEN}");
            self.incidents.note(&id, &actor(), &note)?;
        }
        let held_until = keeper(self.call, self.site, &declaration.stanza)
            .and_then(|keeper| self.incidents.hold(&id, &actor(), &keeper))
            .unwrap_or_else(|report| {
                self.call.console.warn(&report.to_string());
                None
            });
        let until = held_until.map_or_else(String::new, |until| {
            format!("; until {until} nothing is removed from its repositories")
        });
        self.say(
            &Done { id: &id, held_until, number: None },
            &format!("incident {id} is declared; the clock runs{until}"),
        )
    }

    fn note(&self) -> Result<()> {
        let (id, text) = (self.chosen_open()?, plain(self.args, "text")?);
        self.incidents.note(&id, &actor(), &text)?;
        self.done(&id, &format!("noted in incident {id}"))
    }

    fn approve(&self) -> Result<()> {
        let (id, plan) = (self.chosen_open()?, plain(self.args, "plan")?);
        let approval = self.incidents.approve(&id, &actor(), &plan)?;
        self.done(&id, &format!("approved: {}\n{}", approval.said(), approval.command))
    }

    fn close(&self) -> Result<()> {
        let (id, text) = (self.chosen_open()?, plain(self.args, "text")?);
        self.incidents.close(&id, &actor(), &text, self.call.accepts(OPEN_MATTERS))?;
        let released = self.incidents.view(&id).and_then(|view| {
            let keeper = keeper(self.call, self.site, &view.stanza)?;
            self.incidents.release(&id, &actor(), &keeper)
        });
        if let Err(report) = released {
            self.call.console.warn(&report.to_string());
        }
        self.done(&id, &format!("incident {id} is closed; `pgmayday incident report {id}` writes its report"))
    }

    fn done(&self, id: &str, said: &str) -> Result<()> {
        self.say(&Done { id, held_until: None, number: None }, said)
    }

    fn say(&self, done: &Done<'_>, said: &str) -> Result<()> {
        match self.call.output {
            Output::Text => output::text(said),
            Output::Json => output::json("incident-done", done),
        }
    }

    /// Those of the chosen stanza, or all; what cannot be read is warned about.
    fn known(&self) -> Result<(Vec<IncidentView>, Vec<String>)> {
        let (mut views, troubles) = self.incidents.list()?;
        for trouble in &troubles {
            self.call.console.warn(trouble);
        }
        let stanza = self.call.settings.stanza();
        views.retain(|view| stanza.is_none_or(|stanza| stanza == view.stanza));
        Ok((views, troubles))
    }

    fn named(&self) -> Option<String> {
        self.args.get_one::<String>("id").cloned()
    }

    /// The named one, else the open one, else the newest.
    fn chosen(&self) -> Result<String> {
        if let Some(id) = self.named() {
            return Ok(id);
        }
        let (views, _) = self.known()?;
        let open = views.iter().find(|view| view.closed_at.is_none());
        open.or(views.first()).map(|view| view.id.clone()).ok_or_else(|| {
            Report::usage("there is no incident yet").hint("`pgmayday incident declare` starts one")
        })
    }

    /// The named one, else the open one; two that are open are never mixed up.
    fn chosen_open(&self) -> Result<String> {
        if let Some(id) = self.named() {
            return Ok(id);
        }
        let (mut views, _) = self.known()?;
        views.retain(|view| view.closed_at.is_none());
        match views.as_slice() {
            [view] => Ok(view.id.clone()),
            [] => Err(Report::usage("no incident is open")
                .hint("`pgmayday incident declare` starts one; --incident names an older one")),
            several => {
                let ids: Vec<&str> = several.iter().map(|view| view.id.as_str()).collect();
                Err(Report::usage(format!("several incidents are open: {}", ids.join(", ")))
                    .hint("name one by --incident, or its stanza by --stanza"))
            }
        }
    }
}

/// Who keeps the holds of a stanza, as this call's configuration says.
pub(super) fn keeper(call: &Call, site: &Site, stanza: &str) -> Result<StanzaHold> {
    StanzaHold::new(&call.config.settings(EVERY_COMMAND, Some(stanza))?, &site.of(stanza))
}

/// The stanza an incident is declared for: the chosen one, else the only one.
fn stanza(call: &Call) -> Result<String> {
    if let Some(stanza) = call.settings.stanza() {
        return Ok(stanza.to_owned());
    }
    match call.config.stanzas().as_slice() {
        [stanza] => Ok(stanza.clone()),
        stanzas => {
            let known = match stanzas {
                [] => "no stanza is configured".to_owned(),
                stanzas => format!("these are configured: {}", stanzas.join(", ")),
            };
            Err(Report::usage(format!("incident declare requires --stanza; {known}")))
        }
    }
}

/// A text that says something.
fn plain(args: &ArgMatches, name: &str) -> Result<String> {
    let text = args.get_one::<String>(name).map(|text| text.trim().to_owned()).unwrap_or_default();
    if text.is_empty() { Err(Report::usage(format!("incident: the {name} is empty"))) } else { Ok(text) }
}

fn detected_at(args: &ArgMatches) -> Result<Option<Timestamp>> {
    let Some(text) = args.get_one::<String>("detected-at") else { return Ok(None) };
    let at = TargetTime::parse(text).map_err(|error| Report::usage(format!("--detected-at: {error}")))?.at;
    let now = Timestamp::now();
    if at > now {
        return Err(Report::usage(format!("--detected-at: {at} is still to come; it is {now} now")));
    }
    Ok(Some(at))
}

#[derive(Serialize)]
struct List<'a> {
    incidents: Vec<Row<'a>>,
    troubles: Vec<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    stanza: &'a str,
    label: Option<&'a str>,
    reason: &'a str,
    detected_at: Timestamp,
    declared_at: Timestamp,
    closed_at: Option<Timestamp>,
    rto_s: u64,
    rto_ms: Option<u64>,
    chain_ok: bool,
}

impl<'a> Row<'a> {
    fn new(view: &'a IncidentView) -> Self {
        Self {
            id: &view.id,
            stanza: &view.stanza,
            label: view.label.as_deref(),
            reason: &view.reason,
            detected_at: view.detected_at,
            declared_at: view.declared_at,
            closed_at: view.closed_at,
            rto_s: view.rto_s,
            rto_ms: view.rto_ms,
            chain_ok: view.chain_ok,
        }
    }
}

#[derive(Serialize)]
struct Done<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<Timestamp>,
    /// The name of the task or follow-up that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
}
