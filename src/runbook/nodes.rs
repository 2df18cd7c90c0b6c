//! From the tables of a file to nodes: every key of every kind, each text in its place.
//!
//! Looks at one node at a time; what they are together is for [`super::graph`].

mod act;

use super::finding::Place;
use super::read::{Fields, Reader, Text};
use super::template::{Fault, Piece, pieces, within_quotes};
use super::vocabulary::{CHECKS, VARIABLES};
use super::{
    Audience, Checklist, Decide, End, Exit, Goto, Item, Node, NodeKind, Notify, Outcome, Runbook, UNKNOWN,
};
use crate::base::amount::time_ms;
use crate::base::closest::closest;
use crate::model::question::QUESTIONS;
use std::collections::BTreeMap;
use std::time::Duration;

/// The keys that mean something else wherever a runbook is walked.
const RESERVED_KEYS: &str = "eghjklmqr";

/// A file as far as it can be read; nothing without a name, a start and nodes.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Runbook> {
    let document = reader.document()?;
    let top = Fields::new(document.get_ref(), 0, "the runbook");
    top.only(reader, &["name", "title", "purpose", "applies", "start", "expected", "node"]);
    let name = top.text(reader, "name");
    if let Some(name) = &name
        && !is_name(&name.text)
    {
        reader.found(name.at, format!("'{}' is no name for a runbook", name.text), NAME_FORM);
    }
    let title = plain(reader, &top, "title");
    let purpose = plain(reader, &top, "purpose");
    let applies = plain(reader, &top, "applies");
    let start = top.text(reader, "start");
    let expected = duration(reader, &top, "expected");
    let nodes = read_nodes(reader, &top)?;
    let start = start?;
    if !nodes.iter().any(|node| node.id == start.text) {
        let next = near(&start.text, nodes.iter().map(|node| node.id.as_str()));
        reader.found(start.at, format!("start: there is no node '{}'", start.text), next);
        return None;
    }
    Some(Runbook {
        name: name?.text,
        title: title?,
        purpose: purpose?,
        applies: applies?,
        start: start.text,
        expected,
        digest: String::new(),
        nodes,
    })
}

const NAME_FORM: &str = "use lower-case letters, digits and dashes, beginning with a letter";

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && text.len() <= 60
}

/// What was probably meant by a word.
pub(super) fn near<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    closest(word, known.clone()).map_or_else(
        || {
            let known: Vec<&str> = known.take(12).collect();
            format!("there are {}", known.join(", "))
        },
        |near| format!("did you mean '{near}'?"),
    )
}

/// The nodes; nothing if one of them could not be read, for then what they are together cannot be judged.
fn read_nodes(reader: &mut Reader<'_>, top: &Fields<'_, '_>) -> Option<Vec<Node>> {
    let Some(table) = top.table(reader, "node", "node") else {
        if !top.has("node") {
            reader.found(top.at, "the runbook has no node", "add [node.NAME] with kind = \"decide\"");
        }
        return None;
    };
    let mut nodes = Vec::new();
    let mut whole = true;
    for (id, at) in table.keys() {
        if !is_name(id) {
            let shown: String = id.chars().filter(|c| !c.is_control()).take(40).collect();
            reader.found(at, format!("'{shown}' is no name for a node"), NAME_FORM);
        }
        let what = format!("node '{id}'");
        let Some(fields) = table.table(reader, id, &what) else {
            whole = false;
            continue;
        };
        match read_node(reader, &fields, id) {
            Some(node) => nodes.push(node),
            None => whole = false,
        }
    }
    if nodes.is_empty() && whole {
        reader.found(table.at, "the runbook has no node", "add [node.NAME] with kind = \"decide\"");
        whole = false;
    }
    whole.then_some(nodes)
}

fn read_node(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, id: &str) -> Option<Node> {
    let kind = fields.text(reader, "kind")?;
    let read = match kind.text.as_str() {
        "decide" => decide(reader, fields).map(NodeKind::Decide),
        "checklist" => checklist(reader, fields).map(NodeKind::Checklist),
        "act" => act::act(reader, fields).map(NodeKind::Act),
        "notify" => notify(reader, fields).map(NodeKind::Notify),
        "end" => end(reader, fields).map(NodeKind::End),
        other => {
            let next = near(other, ["decide", "checklist", "act", "notify", "end"].into_iter());
            reader.found(kind.at, format!("{}: '{other}' is no kind of node", fields.what), next);
            None
        }
    };
    let within = duration(reader, fields, "within");
    let same = same(reader, fields);
    Some(Node { section: 0, id: id.to_owned(), kind: read?, within, same, place: reader.place(fields.at) })
}

/// The node of another runbook that asks or does the same.
fn same(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<String> {
    let same = fields.optional_text(reader, "same")?;
    if !same.text.split_once('/').is_some_and(|(runbook, node)| is_name(runbook) && is_name(node)) {
        let what = format!("{}: '{}' names no node of another runbook", fields.what, same.text);
        reader.found(same.at, what, "write same = \"RUNBOOK/NODE\"");
    }
    Some(same.text)
}

fn decide(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Decide> {
    fields.only(reader, &["kind", "question", "why", "ask", "look", "exit", "within", "same"]);
    let question = plain(reader, fields, "question");
    let why = plain(reader, fields, "why");
    let look = lines(reader, fields, "look");
    if look.is_empty() {
        let next = "add look = [\"…\"]: how a person finds out by hand";
        reader.found(fields.at_key("look"), format!("{}: 'look' says nothing", fields.what), next);
    }
    let ask = fields.optional_text(reader, "ask");
    let exits = exits(reader, fields);
    if let Some(ask) = &ask {
        answers(reader, fields, ask, exits.as_deref());
    }
    Some(Decide { question: question?, why: why?, ask: ask.map(|ask| ask.text), look, exits: exits? })
}

/// The exits; nothing if one cannot be read.
fn exits(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Vec<Exit>> {
    let form = "[[node.NAME.exit]] with id, key, label and goto";
    let tables = fields.tables(reader, "exit", form);
    let mut exits: Vec<Exit> = Vec::new();
    let mut whole = true;
    for table in &tables {
        table.only(reader, &["id", "key", "label", "goto"]);
        let id = table.text(reader, "id");
        let key = table.text(reader, "key");
        let label = plain(reader, table, "label");
        let goto = goto(reader, table, "goto");
        if let Some(id) = &id
            && exits.iter().any(|exit| exit.id == id.text)
        {
            let what = format!("{}: the exit '{}' is there twice", fields.what, id.text);
            reader.found(id.at, what, "each answer has one exit: rename or remove one");
        }
        let key = key.and_then(|key| exit_key(reader, fields, &key, &exits));
        match (id, key, label, goto) {
            (Some(id), Some(key), Some(label), Some(goto)) => {
                exits.push(Exit { id: id.text, key, label, goto });
            }
            _ => whole = false,
        }
    }
    if whole && !exits.iter().any(|exit| exit.id == UNKNOWN) {
        let what = format!("{}: there is no exit 'unknown'", fields.what);
        let next = "add one: \"could not look\" is not \"no\", and needs a way on";
        reader.found(fields.at, what, next);
    }
    if whole && exits.len() == 1 && tables.len() == 1 && exits.iter().all(|exit| exit.id == UNKNOWN) {
        let what = format!("{}: the question has no answer but 'unknown'", fields.what);
        reader.found(fields.at, what, "add an exit for each answer");
    }
    whole.then_some(exits)
}

fn exit_key(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, key: &Text, before: &[Exit]) -> Option<char> {
    let mut chars = key.text.chars();
    let one =
        chars.next().filter(|c| chars.as_str().is_empty() && (c.is_ascii_lowercase() || c.is_ascii_digit()));
    let Some(letter) = one else {
        let what = format!("{}: '{}' is no key", fields.what, key.text);
        reader.found(key.at, what, "write one lower-case letter or digit");
        return None;
    };
    if let Some(other) = before.iter().find(|exit| exit.key == letter) {
        let what = format!("{}: the key '{letter}' is given twice, also to '{}'", fields.what, other.id);
        reader.found(key.at, what, "each exit has a key of its own");
    }
    if RESERVED_KEYS.contains(letter) {
        let what = format!("{}: the key '{letter}' means something else on every screen", fields.what);
        let taken: Vec<String> = RESERVED_KEYS.chars().map(String::from).collect();
        reader.found(key.at, what, format!("choose one that is none of {}", taken.join(" ")));
    }
    Some(letter)
}

/// Compares the exits with the answers of a question that is judged from facts.
fn answers(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, ask: &Text, exits: Option<&[Exit]>) {
    let Some(question) = QUESTIONS.iter().find(|question| question.name == ask.text) else {
        let next = near(&ask.text, QUESTIONS.iter().map(|question| question.name));
        reader.found(ask.at, format!("{}: there is no question '{}'", fields.what, ask.text), next);
        return;
    };
    let Some(exits) = exits else { return };
    for answer in question.exits {
        if !exits.iter().any(|exit| exit.id == *answer) {
            let what = format!("{}: the answer '{answer}' of '{}' has no exit", fields.what, ask.text);
            reader.found(ask.at, what, format!("add [[…exit]] with id = \"{answer}\""));
        }
    }
    for exit in exits {
        if exit.id != UNKNOWN && !question.exits.contains(&exit.id.as_str()) {
            let what = format!("{}: '{}' is no answer of '{}'", fields.what, exit.id, ask.text);
            let next = format!("its answers are {} and unknown", question.exits.join(", "));
            reader.found_in(exit.goto.place, what, next);
        }
    }
}

fn checklist(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Checklist> {
    fields.only(reader, &["kind", "title", "item", "goto", "within"]);
    let title = plain(reader, fields, "title");
    let goto = goto(reader, fields, "goto");
    let form = "[[node.NAME.item]] with id, text and blocking";
    let tables = fields.tables(reader, "item", form);
    if tables.is_empty() {
        reader.found(
            fields.at_key("item"),
            format!("{}: the list has no item", fields.what),
            format!("add {form}"),
        );
    }
    let mut items = Vec::new();
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for table in &tables {
        table.only(reader, &["id", "text", "why", "check", "blocking"]);
        let id = table.text(reader, "id");
        let text = plain(reader, table, "text");
        let why = if table.has("why") { plain(reader, table, "why") } else { None };
        let check = table.optional_text(reader, "check");
        if let Some(check) = &check
            && !CHECKS.iter().any(|known| known.name == check.text)
        {
            let next = near(&check.text, CHECKS.iter().map(|check| check.name));
            reader.found(check.at, format!("{}: there is no check '{}'", fields.what, check.text), next);
        }
        if !table.has("blocking") {
            let what = format!("{}: 'blocking' is missing", table.what);
            reader.found(table.at, what, "add blocking = true if nobody may go on without it, else false");
        }
        let blocking = table.flag(reader, "blocking");
        let (Some(id), Some(text)) = (id, text) else { continue };
        if places.insert(id.text.clone(), reader.place(id.at)).is_some() {
            let what = format!("{}: the item '{}' is there twice", fields.what, id.text);
            reader.found(id.at, what, "each item has a name of its own");
        }
        let check = check.map(|check| check.text);
        items.push(Item { id: id.text, text, why, check, blocking: blocking.unwrap_or(true) });
    }
    Some(Checklist { title: title?, items, goto: goto? })
}

fn notify(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Notify> {
    fields.only(reader, &["kind", "title", "audience", "template", "goto", "within"]);
    let title = plain(reader, fields, "title");
    let audiences =
        [("internal", Audience::Internal), ("external", Audience::External), ("both", Audience::Both)];
    let audience = one_of(reader, fields, "audience", &audiences);
    let template = fields.text(reader, "template");
    if let Some(template) = &template {
        template_text(reader, fields, "template", template, false);
    }
    let goto = goto(reader, fields, "goto");
    Some(Notify { title: title?, audience: audience?, template: template?.text, goto: goto? })
}

fn end(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<End> {
    fields.only(reader, &["kind", "title", "outcome", "text", "runbook"]);
    let title = plain(reader, fields, "title");
    let outcomes = [Outcome::ServiceBack, Outcome::NotADisaster, Outcome::HandedOver, Outcome::Abandoned];
    let outcome = one_of(reader, fields, "outcome", &outcomes.map(|outcome| (outcome.name(), outcome)));
    let text = plain(reader, fields, "text");
    let runbook = fields.optional_text(reader, "runbook");
    if let (Some(runbook), Some(outcome)) = (&runbook, outcome)
        && outcome != Outcome::HandedOver
    {
        let what = format!(
            "{}: it goes on with '{}', and its outcome is {}",
            fields.what,
            runbook.text,
            outcome.name()
        );
        reader.found(runbook.at, what, "write outcome = \"handed-over\", or remove 'runbook'");
    }
    Some(End { title: title?, outcome: outcome?, text: text?, runbook: runbook.map(|text| text.text) })
}

/// One of some words.
fn one_of<T: Copy>(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    key: &str,
    words: &[(&str, T)],
) -> Option<T> {
    let text = fields.text(reader, key)?;
    let found = words.iter().find(|(word, _)| *word == text.text).map(|(_, value)| *value);
    if found.is_none() {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let what = format!("{}: '{}' is no {key}", fields.what, text.text);
        reader.found(text.at, what, format!("write one of {}", all.join(", ")));
    }
    found
}

fn goto(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, key: &str) -> Option<Goto> {
    let text = fields.text(reader, key)?;
    Some(Goto { place: reader.place(text.at), node: text.text })
}

/// A duration with its unit, if the key is there.
fn duration(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, key: &str) -> Option<Duration> {
    let text = fields.optional_text(reader, key)?;
    let unit = text.text.ends_with(|c: char| c.is_ascii_alphabetic());
    let ms = time_ms(&text.text).filter(|ms| unit && (1000..=30 * 86_400_000).contains(ms));
    if ms.is_none() {
        let what = format!("{}: '{}' is no duration", fields.what, text.text);
        reader.found(text.at, what, "write for example 90s, 5m or 2h, at most 30d");
    }
    ms.map(Duration::from_millis)
}

/// A text that is read as it stands: no variable is filled in.
fn plain(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, key: &str) -> Option<String> {
    let text = fields.text(reader, key)?;
    if text.text.contains("${") {
        let what = format!("{}: '{key}' has a variable, and none is filled in there", fields.what);
        reader.found(
            text.at,
            what,
            "write it without; variables stand in look, steps, template and commands",
        );
    }
    Some(text.text)
}

/// Lines for a shell, or prose behind `#`.
fn lines(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, key: &str) -> Vec<String> {
    let lines = fields.texts(reader, key);
    for line in &lines {
        template_text(reader, fields, key, line, false);
        if line.text.contains('\n') {
            let what = format!("{}: '{key}' has a line break in one of its lines", fields.what);
            reader.found(line.at, what, "write each line as a text of its own");
        }
        if !line.text.starts_with('#')
            && let Some(range) = within_quotes(&line.text)
        {
            let variable = line.text.get(range).unwrap_or_default();
            let what = format!("{}: {variable} stands between quotes in '{key}'", fields.what);
            reader.found(line.at, what, "take it out of them: a value is quoted when it is filled in");
        }
    }
    lines.into_iter().map(|line| line.text).collect()
}

/// Checks what stands in `${…}`.
fn template_text(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, key: &str, text: &Text, secrets: bool) {
    for (_, piece) in pieces(&text.text) {
        let (what, next) = match piece {
            Ok(Piece::Secret(_)) if !secrets => (
                format!("a secret in '{key}' can be seen by others"),
                "secrets may stand in the url, header or body of http only".to_owned(),
            ),
            Ok(_) => continue,
            Err(Fault::Open) => (
                format!("'${{' in '{key}' has no end"),
                "close it, or write a shell's variable as $NAME".to_owned(),
            ),
            Err(Fault::Unknown(name)) => (
                format!("there is no variable '{name}'"),
                near(&name, VARIABLES.iter().map(|variable| variable.name)),
            ),
            Err(Fault::BadSecret(name)) => (
                format!("'{name}' is no name for a secret"),
                "use upper-case letters, digits and underscores".to_owned(),
            ),
        };
        reader.found(text.at, format!("{}: {what}", fields.what), next);
    }
}
