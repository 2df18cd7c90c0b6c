//! Runbooks: questions, checklists and acts that lead from the pager to "service back", as files a person can read.
//!
//! Pure: reads files of runbooks and nothing else, runs nothing, judges no cluster. Whoever walks a runbook brings the
//! answers ([`model::question`](crate::model::question)), writes down what happened and does what an act says.
//!
//! # Form
//!
//! A runbook is one TOML file. `NAME.toml` in a folder replaces the shipped runbook of that name or adds one.
//!
//! ```toml
//! name = "restart"                  # as the file is called
//! title = "The server does not answer"
//! purpose = "What it is for."
//! applies = "When it is to be used, and when not."
//! start = "alive"
//! expected = "30m"                  # optional: how long it should take
//!
//! [node.alive]
//! kind = "decide"                   # a question; always with an exit "unknown"
//! question = "Is the primary alive?"
//! why = "What hangs on the answer."
//! ask = "primary-alive"             # optional: judged from live facts
//! look = ["pg_isready -h ${host} -p ${port}", "# how a person finds out by hand"]
//! within = "2m"                     # optional, with every kind but end: when to ask for help
//! [[node.alive.exit]]
//! id = "no"
//! key = "n"
//! label = "no: refused, or no process"
//! goto = "start"
//! [[node.alive.exit]]
//! id = "unknown"
//! key = "u"
//! label = "cannot tell"
//! goto = "before"
//!
//! [node.before]
//! kind = "checklist"
//! title = "Before it is started"
//! goto = "start"
//! [[node.before.item]]
//! id = "told"
//! text = "The application's owner knows."
//! why = "Optional: why it matters."
//! check = "disk-space"              # optional: answered by the program
//! blocking = true                   # nobody goes on without it
//!
//! [node.start]
//! kind = "act"                      # exactly one of operation, command, http, manual
//! title = "Start the server"
//! command = ["systemctl", "start", "${service}"]
//! risk = "What can go wrong."
//! confirm = "key"                   # none, key or typed
//! undo = "How it is taken back."
//! on_done = "tell"
//! on_failed = "tell"
//!
//! [node.tell]
//! kind = "notify"
//! title = "Tell those who wait"
//! audience = "internal"             # internal, external or both
//! template = "${stanza}: ${reason}"
//! goto = "end"
//!
//! [node.end]
//! kind = "end"
//! title = "Over"
//! outcome = "service-back"          # not-a-disaster, handed-over or abandoned
//! text = "What is true now."
//! runbook = "other"                 # optional: where it goes on
//! ```
//!
//! An act is an `operation` of this program with its `options`; a `command` (program and arguments, no shell); `http`
//! (`{ method = "POST", url = "…", header = ["…"], body = "…" }`); or `manual = true` with `steps`, for which there is no executor: lines a
//! person types, or prose behind `#`. The words are in [`vocabulary`]. `${secret:NAME}` may stand in `http` only, since
//! arguments and steps are seen by others; it is the variable NAME of the process, or the content of the file that
//! `pgmayday.toml` names under `[secret-file]`.

mod finding;
mod follow;
mod graph;
pub mod how;
pub mod library;
pub mod markdown;
mod nodes;
mod read;
pub mod template;
pub mod text;
pub mod tree;
pub mod vocabulary;
pub mod walk;

pub use finding::{Finding, Place, report};
pub use follow::{Because, Landing, follow};
pub use how::{on_paper, typed_lines};
pub use library::{Library, Origin};
pub use walk::Walk;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// A runbook without a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Runbook {
    /// Its name: that of the file.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it is for.
    pub purpose: String,
    /// When it is to be used, and when not.
    pub applies: String,
    /// The id of the first node.
    pub start: String,
    /// How long it should take.
    #[serde(rename = "expected_s", serialize_with = "seconds")]
    pub expected: Option<Duration>,
    /// SHA-256 of the file's text: which version it is.
    pub digest: String,
    /// Every node, by its number on paper.
    pub nodes: Vec<Node>,
}

/// One question, list, act, message or end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its number on paper, from 1.
    pub section: usize,
    /// Its name in the file.
    pub id: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: NodeKind,
    /// After how long to ask for help.
    #[serde(rename = "within_s", serialize_with = "seconds")]
    pub within: Option<Duration>,
    /// The node of another runbook that asks the same or does the same, as `RUNBOOK/NODE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same: Option<String>,
    /// Where it stands in the file.
    #[serde(skip)]
    pub place: Place,
}

/// The kinds of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeKind {
    /// A question.
    Decide(Decide),
    /// Things to see to.
    Checklist(Checklist),
    /// Something is done.
    Act(Act),
    /// Somebody is told.
    Notify(Notify),
    /// It is over.
    End(End),
}

/// A question and the ways on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decide {
    /// The question.
    pub question: String,
    /// What hangs on the answer, in Markdown.
    pub why: String,
    /// The name of the question that is judged from live facts, if one is.
    pub ask: Option<String>,
    /// How a person finds out: a line each, typed into a shell, or prose behind `#`.
    pub look: Vec<String>,
    /// The ways on; one is called `unknown`.
    pub exits: Vec<Exit>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// Its name; that of the question's answer where it is judged from facts.
    pub id: String,
    /// The key that gives it.
    pub key: char,
    /// The answer as a person reads it.
    pub label: String,
    /// Where it leads.
    pub goto: Goto,
}

/// The id of the node that comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Goto {
    /// The id.
    pub node: String,
    /// Where that stands in the file.
    #[serde(skip)]
    pub place: Place,
}

/// Things to see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checklist {
    /// What it is about.
    pub title: String,
    /// The items.
    pub items: Vec<Item>,
    /// Where it leads.
    pub goto: Goto,
}

/// One thing to see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name in the list.
    pub id: String,
    /// What has to be true.
    pub text: String,
    /// Why it matters.
    pub why: Option<String>,
    /// The automatic check that answers it, if there is one.
    pub check: Option<String>,
    /// Nobody goes on without it.
    pub blocking: bool,
}

/// Something that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Act {
    /// What.
    pub title: String,
    /// How.
    pub how: How,
    /// What can go wrong.
    pub risk: String,
    /// What a person gives before it is done.
    pub confirm: Confirm,
    /// How it is taken back.
    pub undo: String,
    /// Where it leads when it is done.
    pub on_done: Goto,
    /// Where it leads when it failed.
    pub on_failed: Goto,
}

/// How an act is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum How {
    /// By a command of this program.
    Operation {
        /// Its name in [`vocabulary::OPERATIONS`].
        operation: String,
        /// Its options.
        options: Vec<String>,
    },
    /// By another program.
    Command {
        /// The program and its arguments; no shell reads them.
        argv: Vec<String>,
    },
    /// By a call to a server.
    Http(Http),
    /// By a person.
    Manual {
        /// Lines that are typed, or prose behind `#`.
        steps: Vec<String>,
    },
}

/// A call to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Http {
    /// The method.
    pub method: String,
    /// The address.
    pub url: String,
    /// Headers as `Name: value`.
    pub header: Vec<String>,
    /// The body.
    pub body: Option<String>,
}

/// What a person gives before something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// Nothing: it changes nothing.
    None,
    /// One key.
    Key,
    /// A typed word.
    Typed,
}

/// Somebody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notify {
    /// What it is about.
    pub title: String,
    /// Who.
    pub audience: Audience,
    /// What, with variables.
    pub template: String,
    /// Where it leads.
    pub goto: Goto,
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Those who work on it and their management.
    Internal,
    /// Users and customers.
    External,
    /// All of them.
    Both,
}

/// It is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    /// In a few words.
    pub title: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What is true now and what is left to do.
    pub text: String,
    /// The runbook it goes on with.
    pub runbook: Option<String>,
}

/// How a runbook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The application works again.
    ServiceBack,
    /// The database is not what is broken.
    NotADisaster,
    /// Somebody or something else goes on.
    HandedOver,
    /// It was given up.
    Abandoned,
}

impl Outcome {
    /// Its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceBack => "service-back",
            Self::NotADisaster => "not-a-disaster",
            Self::HandedOver => "handed-over",
            Self::Abandoned => "abandoned",
        }
    }
}

/// A way from a node to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way<'b> {
    /// Its name: that of an exit, or `done`, `failed`, `next`.
    pub id: &'b str,
    /// The key, where a question has it.
    pub key: Option<char>,
    /// As a person reads it.
    pub label: &'b str,
    /// Where it leads.
    pub goto: &'b Goto,
}

/// The exit every question has.
pub const UNKNOWN: &str = "unknown";

impl Runbook {
    /// Reads a file's text; every mistake in it, in the order of the file, if it has any.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        let mut reader = read::Reader::new(text);
        let book = nodes::read(&mut reader);
        let book = book.and_then(|book| graph::check(&mut reader, book));
        let findings = reader.finish();
        match book {
            Some(book) if findings.is_empty() => Ok(Self { digest: digest(text), ..book }),
            _ => Err(findings),
        }
    }

    /// The node of this id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The variables it uses, in the order of their table.
    pub fn variables(&self) -> Vec<&'static vocabulary::Variable> {
        let used: std::collections::BTreeSet<&str> =
            self.nodes.iter().flat_map(Node::texts).flat_map(template::variables).collect();
        vocabulary::VARIABLES.iter().filter(|variable| used.contains(variable.name)).collect()
    }
}

/// SHA-256 of a file's text: which version of a runbook it is.
pub fn digest(text: &str) -> String {
    let hex = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    Sha256::digest(text.as_bytes()).iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect()
}

impl Node {
    /// What it is, in a few words.
    pub fn title(&self) -> &str {
        match &self.kind {
            NodeKind::Decide(decide) => &decide.question,
            NodeKind::Checklist(list) => &list.title,
            NodeKind::Act(act) => &act.title,
            NodeKind::Notify(notify) => &notify.title,
            NodeKind::End(end) => &end.title,
        }
    }

    /// The ways on, in the order of the file; an end has none.
    pub fn ways(&self) -> Vec<Way<'_>> {
        let way = |id, label, goto| Way { id, key: None, label, goto };
        match &self.kind {
            NodeKind::Decide(decide) => {
                let exit = |exit: &'_ Exit| -> Option<char> { Some(exit.key) };
                let ways = decide.exits.iter();
                ways.map(|e| Way { id: &e.id, key: exit(e), label: &e.label, goto: &e.goto }).collect()
            }
            NodeKind::Checklist(list) => vec![way("next", "go on", &list.goto)],
            NodeKind::Act(act) => {
                vec![way("done", "done", &act.on_done), way("failed", "failed", &act.on_failed)]
            }
            NodeKind::Notify(notify) => vec![way("next", "go on", &notify.goto)],
            NodeKind::End(_) => Vec::new(),
        }
    }

    /// Every text of it in which a variable may stand.
    pub fn texts(&self) -> Vec<&str> {
        match &self.kind {
            NodeKind::Decide(decide) => decide.look.iter().map(String::as_str).collect(),
            NodeKind::Act(act) => match &act.how {
                How::Operation { options: lines, .. }
                | How::Command { argv: lines }
                | How::Manual { steps: lines } => lines.iter().map(String::as_str).collect(),
                How::Http(http) => {
                    let body = http.body.iter();
                    std::iter::once(&http.url).chain(&http.header).chain(body).map(String::as_str).collect()
                }
            },
            NodeKind::Notify(notify) => vec![&notify.template],
            NodeKind::Checklist(_) | NodeKind::End(_) => Vec::new(),
        }
    }
}

#[expect(clippy::ref_option, reason = "the form that serde calls")]
fn seconds<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs()).serialize(serializer)
}

#[cfg(test)]
mod tests;
