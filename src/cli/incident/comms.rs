//! `incident comms`: what is due, a draft, sending, what waits, and what was told by other means.
//!
//! What is sent is shown first; `--preview` ends there. A channel that does not take a message is told and ends nothing.

use super::people::{chosen, names};
use super::{Desk, plain, text, which};
use crate::base::{Report, Result, Timestamp};
use crate::cli::output::{self, Output};
use crate::cli::site::{actor, word};
use crate::incident::comms::{Delivered, Draft, Hook, Route, Status, Table, draft};
use crate::incident::{IncidentView, Settle};
use crate::journal::Audience;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};
use serde::Serialize;

/// Adds the subcommand.
pub(super) fn own(command: Command) -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let part = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let audience = || {
        option("audience", "WHOM", "internal or external")
            .required(true)
            .value_parser(PossibleValuesParser::new(names(Audience::ALL, Audience::name)))
    };
    let said = || option("say", "TEXT", "a sentence that is added");
    let promise =
        || option("promise", "TEXT", "what you promise, for example a time; nothing else promises any");
    command.subcommand(
        part("comms", "tell people: what is due, a draft, sending")
            .subcommand_required(true)
            .subcommand(part("status", "what is due when, and what waits to be sent").arg(which()))
            .subcommand(
                part("draft", "an update with the facts filled in")
                    .arg(audience())
                    .arg(said())
                    .arg(promise())
                    .arg(which()),
            )
            .subcommand(
                part("send", "show an update and send it by every webhook of its audience")
                    .arg(audience())
                    .arg(
                        option("text", "TEXT", "the whole text [default: the draft]")
                            .conflicts_with_all(["say", "promise"]),
                    )
                    .arg(said())
                    .arg(promise())
                    .arg(flag("preview", "show it and do nothing"))
                    .arg(which()),
            )
            .subcommand(
                part("flush", "send what waits")
                    .arg(flag("now", "also what was tried a moment ago"))
                    .arg(which()),
            )
            .subcommand(
                part("drop", "give a message up on every channel that has not taken it")
                    .arg(Arg::new("message").value_name("MESSAGE").required(true).help("which message"))
                    .arg(Arg::new("text").value_name("TEXT").required(true).help("why"))
                    .arg(which()),
            )
            .subcommand(
                part("told", "write down that you told somebody by other means")
                    .arg(audience())
                    .arg(Arg::new("text").value_name("TEXT").required(true).help("what, and how"))
                    .arg(which()),
            ),
    )
}

impl Desk<'_> {
    /// Runs what belongs here; nothing if the verb does not.
    pub(super) fn comms(&self, verb: &str) -> Option<Result<()>> {
        let (verb, args) = self.args.subcommand().filter(|_| verb == "comms")?;
        let desk = self.within(args);
        Some(match verb {
            "status" => desk.comms_status(),
            "draft" => desk.comms_draft(),
            "send" => desk.comms_send(),
            "flush" => desk.comms_flush(),
            "drop" => desk.comms_drop(),
            _ => desk.comms_told(),
        })
    }

    fn audience(&self) -> Result<Audience> {
        chosen(self.args, "audience", Audience::of_name)
            .ok_or_else(|| Report::usage("incident comms: --audience is missing"))
    }

    fn routes(&self, view: &IncidentView) -> Vec<Route> {
        Route::of_site(&self.site.of(&view.stanza), &word)
    }

    fn table(&self, view: &IncidentView) -> Table {
        Table::new(&self.site.of(&view.stanza).cadence)
    }

    fn drafted(&self, view: &IncidentView, audience: Audience) -> Draft {
        let due = self.table(view).due(view);
        let next = due.iter().find(|due| due.audience == audience);
        let option = |name| self.args.get_one::<String>(name).map(String::as_str);
        draft(view, audience, next, (option("say"), option("promise")), Timestamp::now())
    }

    fn comms_status(&self) -> Result<()> {
        let view = self.incidents.view(&self.chosen()?)?;
        let status = self.incidents.talk(&view, &self.site.of(&view.stanza), &self.routes(&view))?;
        match self.call.output {
            Output::Text => {
                output::text(&text::comms(&view.id, &status.due, &lines(&status), Timestamp::now()))
            }
            Output::Json => output::json("incident-comms", &status),
        }
    }

    fn comms_draft(&self) -> Result<()> {
        let view = self.incidents.view(&self.chosen()?)?;
        let draft = self.drafted(&view, self.audience()?);
        match self.call.output {
            Output::Text => output::text(&draft.text),
            Output::Json => output::json("incident-draft", &draft),
        }
    }

    fn comms_send(&self) -> Result<()> {
        let view = self.incidents.view(&self.chosen_open()?)?;
        let (audience, actor) = (self.audience()?, actor());
        let text = match self.args.get_one::<String>("text") {
            Some(_) => plain(self.args, "text")?,
            None => self.drafted(&view, audience).text,
        };
        let routes = self.routes(&view);
        if self.args.get_flag("preview") {
            let reached = routes.iter().filter(|route| route.reaches(audience));
            let channels: Vec<&str> = reached.map(|route| route.name.as_str()).collect();
            let (text, _) = self.incidents.with_head(&view.id, &text)?;
            let preview = Preview { id: &view.id, audience, channels, text: &text };
            return match self.call.output {
                Output::Text => output::text(&preview.shown()),
                Output::Json => output::json("incident-message-preview", &preview),
            };
        }
        let queued = self.incidents.queue_for(&view, &actor, (audience, &text), &routes)?;
        if self.call.output == Output::Text {
            let channels = queued.channels.iter().map(|channel| channel.name.as_str()).collect();
            let preview = Preview { id: &view.id, audience, channels, text: &queued.text };
            output::text(&preview.shown())?;
        }
        let delivered = self.incidents.flush(&view.id, &actor, &routes, false)?;
        self.delivered(&view.id, Some(queued.message.as_str()), &delivered)
    }

    fn comms_flush(&self) -> Result<()> {
        let view = self.incidents.view(&self.chosen()?)?;
        let at_once = self.args.get_flag("now");
        let delivered = self.incidents.flush(&view.id, &actor(), &self.routes(&view), at_once)?;
        self.delivered(&view.id, None, &delivered)
    }

    /// A message that waits is no failure of the command: it is kept, and told as such.
    fn delivered(&self, id: &str, message: Option<&str>, delivered: &Delivered) -> Result<()> {
        for trouble in &delivered.troubles {
            self.call.console.warn(trouble);
        }
        match self.call.output {
            Output::Text => output::text(&text::delivered(delivered)),
            Output::Json => output::json("incident-delivered", &Sent { id, message, delivered }),
        }
    }

    fn comms_drop(&self) -> Result<()> {
        let (id, message, why) = (self.chosen()?, plain(self.args, "message")?, plain(self.args, "text")?);
        self.settle(&id, &Settle::DropMessage { message, why })
    }

    fn comms_told(&self) -> Result<()> {
        let (id, audience, text) = (self.chosen_open()?, self.audience()?, plain(self.args, "text")?);
        self.settle(&id, &Settle::Told { audience, text })
    }
}

/// Where messages can be sent to, and what waits and why.
fn lines(status: &Status) -> Vec<String> {
    let hook = |hook: &Hook| {
        let audience: Vec<&str> = hook.audience.iter().map(|audience| audience.name()).collect();
        format!("webhook  {} ({}): {}", hook.name, audience.join(", "), hook.place)
    };
    let mut lines: Vec<String> = status.webhooks.iter().map(hook).collect();
    if lines.is_empty() {
        lines.push("webhook  none; add [[stanza.NAME.webhook]] to pgmayday.toml".to_owned());
    }
    for queued in &status.waiting {
        for channel in queued.channels.iter().filter(|channel| channel.is_open()) {
            let why = if channel.why.is_empty() { "not tried yet" } else { &channel.why };
            lines.push(format!(
                "waits    {} for {} since {}, {} attempts: {why}",
                queued.message, channel.name, queued.at, channel.attempts
            ));
        }
    }
    lines.extend(status.troubles.iter().map(|trouble| format!("trouble  {trouble}")));
    lines
}

#[derive(Serialize)]
struct Preview<'a> {
    id: &'a str,
    audience: Audience,
    channels: Vec<&'a str>,
    text: &'a str,
}

impl Preview<'_> {
    fn shown(&self) -> String {
        let channels =
            if self.channels.is_empty() { "no webhook".to_owned() } else { self.channels.join(", ") };
        let text: Vec<String> = self.text.lines().map(|line| format!("  {}", text::plain(line))).collect();
        format!("{} update for {channels}:\n{}", self.audience.said(), text.join("\n"))
    }
}

#[derive(Serialize)]
struct Sent<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(flatten)]
    delivered: &'a Delivered,
}
