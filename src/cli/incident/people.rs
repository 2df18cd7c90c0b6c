//! `incident role`, `task`, `tick`, `follow-up`, `severity`, `scenario`: what people settle, from the command line.
//!
//! Says who asks and what; whether it can be is the incident's to judge.

use super::{Desk, Done, plain, text, which};
use crate::base::{Report, Result};
use crate::cli::output::{self, Output};
use crate::cli::site::actor;
use crate::incident::checklist::{self, Item};
use crate::incident::standing::Tick;
use crate::incident::{MOST_TASK_MINUTES, Settle, Settled, TASK_MINUTES, words};
use crate::journal::{Role, Scenario, Severity, TickResult};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use serde::Serialize;

/// Adds the subcommands.
pub(super) fn own(command: Command) -> Command {
    let severities = PossibleValuesParser::new(names(Severity::ALL, Severity::name));
    let scenarios = PossibleValuesParser::new(names(Scenario::ALL, Scenario::name));
    let results = PossibleValuesParser::new(names(TickResult::ALL, TickResult::name));
    command
        .subcommand(role())
        .subcommand(task())
        .subcommand(follow_up())
        .subcommand(
            part("tick", "an item of a checklist, as you saw it; without one, the checklists")
                .arg(Arg::new("list").value_name("LIST").help("pre-restore or post-restore"))
                .arg(Arg::new("item").value_name("ITEM").requires("list").help("which item"))
                .arg(
                    option("result", "HOW", "ok, failed, unknown or n/a [default: ok]").value_parser(results),
                )
                .arg(option("detail", "TEXT", "what was seen"))
                .arg(which()),
        )
        .subcommand(
            part("severity", "judge anew how bad it is")
                .arg(word("severity", "SEVERITY", "sev1 to sev4").value_parser(severities))
                .arg(word("text", "TEXT", "why"))
                .arg(which()),
        )
        .subcommand(
            part("scenario", "say which kind of recovery it has become; its targets count from now on")
                .arg(
                    word("scenario", "KIND", "latest, pitr, side, full-site or cross-region")
                        .value_parser(scenarios),
                )
                .arg(which()),
        )
}

fn part(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about)
}

fn word(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(value).required(true).help(help)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn number(help: &'static str) -> Arg {
    word("number", "N", help).value_parser(clap::value_parser!(u64))
}

fn owner() -> Arg {
    option("owner", "WHO", "who does it [default: who asks]")
}

fn role() -> Command {
    let roles = PossibleValuesParser::new(names(Role::ALL, Role::name));
    let role = word("role", "ROLE", "lead, operator or comms").value_parser(roles);
    let reason = option("reason", "TEXT", "why it is taken from somebody who does not hand it over");
    part("role", "Incident Lead, Restore Operator, Comms Lead: who is it")
        .subcommand_required(true)
        .subcommand(part("take", "take a role that nobody holds").arg(role.clone()).arg(reason).arg(which()))
        .subcommand(
            part("hand-over", "offer a role; until that one acknowledges, you hold it")
                .arg(role.clone())
                .arg(word("to", "WHO", "to whom"))
                .arg(which()),
        )
        .subcommand(part("acknowledge", "take over a role that was offered to you").arg(role).arg(which()))
}

fn task() -> Command {
    let minutes = option("minutes", "N", "within how many minutes [default: 10]");
    let minutes = minutes.value_parser(clap::value_parser!(u32).range(1..=i64::from(MOST_TASK_MINUTES)));
    let outcome = Arg::new("text").value_name("TEXT").help("what came out");
    part("task", "who does what within which time")
        .subcommand_required(true)
        .subcommand(
            part("add", "give somebody a task")
                .arg(word("text", "TEXT", "what"))
                .arg(minutes)
                .arg(owner())
                .arg(which()),
        )
        .subcommand(part("done", "it is done").arg(number("which task")).arg(outcome).arg(which()))
        .subcommand(
            part("drop", "it is not done any more")
                .arg(number("which task"))
                .arg(word("text", "TEXT", "why"))
                .arg(which()),
        )
}

fn follow_up() -> Command {
    let outcome = Arg::new("text").value_name("TEXT").help("what came out");
    part("follow-up", "what is to be done after the incident")
        .subcommand_required(true)
        .subcommand(
            part("add", "write one down")
                .arg(word("text", "TEXT", "what"))
                .arg(option("due", "DAY", "by when, for example 2026-12-01").required(true))
                .arg(owner())
                .arg(which()),
        )
        .subcommand(part("done", "it is done").arg(number("which follow-up")).arg(outcome).arg(which()))
}

/// The names of a closed set of words.
pub(super) fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|one| name(*one)).collect()
}

/// The one of a closed set that was given; clap lets nothing else through.
pub(super) fn chosen<T>(args: &ArgMatches, name: &str, of_name: fn(&str) -> Option<T>) -> Option<T> {
    args.get_one::<String>(name).and_then(|text| of_name(text))
}

impl Desk<'_> {
    /// Runs what belongs here; nothing if the verb does not.
    pub(super) fn people(&self, verb: &str) -> Option<Result<()>> {
        let inner = self.args.subcommand();
        Some(match (verb, inner) {
            ("role", Some((verb, args))) => self.within(args).role(verb),
            ("task", Some((verb, args))) => self.within(args).task(verb),
            ("follow-up", Some((verb, args))) => self.within(args).follow_up(verb),
            ("tick", _) => self.tick(),
            ("severity", _) => self.severity(),
            ("scenario", _) => self.scenario(),
            _ => return None,
        })
    }

    fn needed<T>(&self, name: &str, of_name: fn(&str) -> Option<T>) -> Result<T> {
        chosen(self.args, name, of_name)
            .ok_or_else(|| Report::usage(format!("incident: the {name} is missing")))
    }

    fn number(&self) -> Result<u64> {
        let number = self.args.get_one::<u64>("number").copied();
        number.ok_or_else(|| Report::usage("incident: the number is missing"))
    }

    fn optional(&self, name: &str) -> Option<&str> {
        self.args.get_one::<String>(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn owner(&self) -> String {
        self.optional("owner").map_or_else(actor, str::to_owned)
    }

    /// Settles something in the incident `id` and tells it.
    pub(super) fn settle(&self, id: &str, what: &Settle) -> Result<()> {
        let Settled { said, number } = self.incidents.settle(id, &actor(), what)?;
        self.say(&Done { id, held_until: None, number }, &said)
    }

    fn said(&self) -> String {
        self.optional("text").unwrap_or_default().to_owned()
    }

    fn role(&self, verb: &str) -> Result<()> {
        let (id, role) = (self.chosen_open()?, self.needed("role", Role::of_name)?);
        let what = match verb {
            "take" => Settle::TakeRole { role, reason: self.optional("reason").map(str::to_owned) },
            "hand-over" => Settle::OfferRole { role, to: plain(self.args, "to")? },
            _ => Settle::AcknowledgeRole { role },
        };
        self.settle(&id, &what)
    }

    fn task(&self, verb: &str) -> Result<()> {
        let id = self.chosen_open()?;
        let what = if verb == "add" {
            let minutes = self.args.get_one::<u32>("minutes").copied().unwrap_or(TASK_MINUTES);
            Settle::AddTask { text: plain(self.args, "text")?, owner: self.owner(), minutes }
        } else {
            Settle::EndTask { task: self.number()?, done: verb == "done", text: self.said() }
        };
        self.settle(&id, &what)
    }

    fn follow_up(&self, verb: &str) -> Result<()> {
        let id = self.chosen()?;
        let what = if verb == "add" {
            let due = plain(self.args, "due")?;
            Settle::AddFollowUp { text: plain(self.args, "text")?, owner: self.owner(), due }
        } else {
            Settle::FinishFollowUp { follow_up: self.number()?, text: self.said() }
        };
        self.settle(&id, &what)
    }

    fn tick(&self) -> Result<()> {
        let (Some(list), Some(id)) = (self.optional("list"), self.optional("item")) else {
            return self.checklists();
        };
        let item = checklist::item(list, id).ok_or_else(|| {
            Report::usage(format!("there is no item {id} in a checklist {list}"))
                .hint("`pgmayday incident tick` shows the checklists")
        })?;
        let result = chosen(self.args, "result", TickResult::of_name).unwrap_or(TickResult::Ok);
        let detail = self.optional("detail").unwrap_or_default().to_owned();
        self.settle(&self.chosen_open()?, &Settle::Tick { item, result, detail })
    }

    fn checklists(&self) -> Result<()> {
        let view = self.incidents.view(&self.chosen()?)?;
        match self.call.output {
            Output::Text => output::text(&text::checklists(&view.standing)),
            Output::Json => {
                let tick = |item| Checked { item, tick: checklist::tick(&view.standing, item) };
                let items = checklist::ITEMS.iter().map(tick).collect();
                output::json("incident-checklists", &Checklists { id: &view.id, items })
            }
        }
    }

    fn severity(&self) -> Result<()> {
        let (id, text) = (self.chosen_open()?, plain(self.args, "text")?);
        let severity = self.needed("severity", Severity::of_name)?;
        self.incidents.set_severity(&id, &actor(), severity, &text)?;
        self.done(&id, &format!("incident {id} is {} from now on", severity.said()))
    }

    fn scenario(&self) -> Result<()> {
        let id = self.chosen_open()?;
        let scenario = self.needed("scenario", Scenario::of_name)?;
        let site = self.site.of(&self.incidents.view(&id)?.stanza);
        let targets = self.incidents.set_scenario(&id, &actor(), scenario, &site)?;
        let said = format!(
            "incident {id} is a {}: RTO {}, RPO {}",
            scenario.said(),
            words::seconds(targets.rto_s),
            words::seconds(targets.rpo_s)
        );
        self.done(&id, &said)
    }
}

#[derive(Serialize)]
struct Checklists<'a> {
    id: &'a str,
    items: Vec<Checked<'a>>,
}

#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    item: &'a Item,
    /// How it stands; nothing if nobody has looked at it.
    tick: Option<&'a Tick>,
}
