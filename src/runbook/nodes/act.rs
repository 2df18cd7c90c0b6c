//! An act from its table: exactly one way of doing it, and everything a person must know before it is done.
//!
//! Does nothing of it.

use super::{goto, lines, near, one_of, plain, template_text};
use crate::runbook::read::{Fields, Reader, Text};
use crate::runbook::vocabulary::{OPERATIONS, operation_of};
use crate::runbook::{Act, Confirm, How, Http};

/// The keys that say how an act is done.
const WAYS: [&str; 4] = ["operation", "command", "http", "manual"];

pub(super) fn act(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Act> {
    fields.only(
        reader,
        &[
            "kind",
            "title",
            "operation",
            "options",
            "command",
            "http",
            "manual",
            "steps",
            "risk",
            "confirm",
            "undo",
            "on_done",
            "on_failed",
            "within",
            "same",
        ],
    );
    let title = plain(reader, fields, "title");
    let how = how(reader, fields);
    let risk = plain(reader, fields, "risk");
    let words = [("none", Confirm::None), ("key", Confirm::Key), ("typed", Confirm::Typed)];
    let confirm = one_of(reader, fields, "confirm", &words);
    let undo = plain(reader, fields, "undo");
    let on_done = goto(reader, fields, "on_done");
    let on_failed = goto(reader, fields, "on_failed");
    if let (Some(how), Some(confirm)) = (&how, confirm) {
        confirmed_enough(reader, fields, how, confirm);
    }
    Some(Act {
        title: title?,
        how: how?,
        risk: risk?,
        confirm: confirm?,
        undo: undo?,
        on_done: on_done?,
        on_failed: on_failed?,
    })
}

fn how(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<How> {
    let given: Vec<&str> = WAYS.into_iter().filter(|key| fields.has(key)).collect();
    let [way] = given.as_slice() else {
        let (what, next) = match given.as_slice() {
            [] => (
                "how it is done is missing",
                "add operation, command, http or manual = true with steps".to_owned(),
            ),
            several => ("it is done in several ways", format!("keep one of {}", several.join(", "))),
        };
        let at = given.get(1).map_or(fields.at, |key| fields.at_key(key));
        reader.found(at, format!("{}: {what}", fields.what), next);
        return None;
    };
    for (key, of) in [("options", "operation"), ("steps", "manual")] {
        if fields.has(key) && *way != of {
            let what = format!("{}: '{key}' belongs to '{of}', and it is done by '{way}'", fields.what);
            reader.found(fields.at_key(key), what, format!("remove it, or write {of}"));
        }
    }
    match *way {
        "operation" => operation(reader, fields),
        "command" => command(reader, fields),
        "http" => http(reader, fields).map(How::Http),
        _ => manual(reader, fields),
    }
}

fn operation(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<How> {
    let name = fields.text(reader, "operation")?;
    let options = fields.texts(reader, "options");
    for option in &options {
        template_text(reader, fields, "options", option, false);
    }
    if operation_of(&name.text).is_none() {
        let next = near(&name.text, OPERATIONS.iter().map(|operation| operation.name));
        reader.found(name.at, format!("{}: there is no operation '{}'", fields.what, name.text), next);
        return None;
    }
    let options = options.into_iter().map(|option| option.text).collect();
    Some(How::Operation { operation: name.text, options })
}

fn command(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<How> {
    let argv = fields.texts(reader, "command");
    for word in &argv {
        template_text(reader, fields, "command", word, false);
    }
    let Some(program) = argv.first() else {
        let what = format!("{}: the command is empty", fields.what);
        reader.found(fields.at_key("command"), what, "write command = [\"program\", \"argument\"]");
        return None;
    };
    if program.text.contains("${") {
        let what = format!("{}: the program is a variable", fields.what);
        reader.found(program.at, what, "name the program; variables may stand in its arguments");
    }
    Some(How::Command { argv: argv.into_iter().map(|word| word.text).collect() })
}

fn http(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Http> {
    let call = fields.table(reader, "http", &format!("{}, http", fields.what))?;
    call.only(reader, &["method", "url", "header", "body"]);
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"].map(|method| (method, method));
    let method = one_of(reader, &call, "method", &methods);
    let url = call.text(reader, "url");
    if let Some(url) = &url {
        template_text(reader, &call, "url", url, true);
        let whole = ["https://", "http://", "${secret:"].iter().any(|begin| url.text.starts_with(begin));
        if !whole || url.text.contains(char::is_whitespace) {
            let what = format!("{}: '{}' is no address", call.what, url.text);
            reader.found(url.at, what, "write https://host/path");
        }
    }
    let headers = call.texts(reader, "header");
    for header in &headers {
        template_text(reader, &call, "header", header, true);
        if !header.text.split_once(": ").is_some_and(|(name, _)| is_header_name(name)) {
            reader.found(header.at, format!("{}: this is no header", call.what), "write \"Name: value\"");
        }
    }
    let body: Option<Text> = call.optional_text(reader, "body");
    if let Some(body) = &body {
        template_text(reader, &call, "body", body, true);
    }
    let header = headers.into_iter().map(|header| header.text).collect();
    Some(Http { method: method?.to_owned(), url: url?.text, header, body: body.map(|body| body.text) })
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn manual(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<How> {
    if !fields.flag(reader, "manual")? {
        let what = format!("{}: manual = false says nothing", fields.what);
        reader.found(fields.at_key("manual"), what, "write manual = true with steps, or remove it");
        return None;
    }
    let steps = lines(reader, fields, "steps");
    if steps.is_empty() {
        let what = format!("{}: 'steps' says nothing", fields.what);
        let key = if fields.has("steps") { "steps" } else { "manual" };
        reader.found(fields.at_key(key), what, "add steps = [\"…\"]: the exact lines, or prose behind #");
    }
    Some(How::Manual { steps })
}

/// An operation that cannot be taken back by a key is not begun by one.
fn confirmed_enough(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, how: &How, confirm: Confirm) {
    let (least, who) = match how {
        How::Operation { operation, .. } => {
            let least = operation_of(operation).map_or(Confirm::Typed, |operation| operation.least);
            (least, format!("'{operation}'"))
        }
        How::Command { .. } | How::Http(_) => (Confirm::Key, "something outside this program".to_owned()),
        How::Manual { .. } => (Confirm::None, String::new()),
    };
    if confirm < least {
        let word = if least == Confirm::Typed { "typed" } else { "key" };
        let what = format!("{}: {who} is not begun with so little confirmation", fields.what);
        reader.found(fields.at_key("confirm"), what, format!("write confirm = \"{word}\""));
    }
}
