//! What the screens of an incident share: which one they show, the ways between them, and when nothing can be written.

use super::paint::Sheet;
use super::{Action, Asked, Modal, Part, ScreenId};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::{Model, READ_ONLY};
use crate::incident::{IncidentView, Settle};
use ratatui::style::Style;

/// The incident that is shown: the open one, else the one that is followed. Nothing while it is being read.
pub(super) fn shown(model: &Model) -> Option<&IncidentView> {
    let open = model.board.incident.as_ref().map(|open| &open.id);
    model.incident.as_ref().filter(|followed| open.is_none_or(|open| *open == followed.id))
}

/// What must be looked at for it.
pub(super) fn entered(model: &Model) -> Vec<Effect> {
    match (shown(model), &model.board.incident) {
        (None, Some(open)) => vec![Effect::WatchIncident(open.id.clone())],
        _ => Vec::new(),
    }
}

/// Why nothing can be settled in it now; nothing if it can.
pub(super) fn why_not(model: &Model) -> Option<String> {
    why_not_after(model).or_else(|| {
        let closed = shown(model).is_some_and(|view| view.closed_at.is_some());
        closed.then(|| "the incident is closed".to_owned())
    })
}

/// Why not even what comes after an incident can be settled now.
pub(super) fn why_not_after(model: &Model) -> Option<String> {
    if model.board.identity.read_only {
        return Some(READ_ONLY.to_owned());
    }
    shown(model).is_none().then(|| "no incident is shown".to_owned())
}

/// The screens of an incident, with their keys.
const WAYS: [(char, Cmd, ScreenId, &str, &str); 3] = [
    ('P', Cmd::People, ScreenId::People, "people", "Roles, tasks and follow-ups of the incident."),
    ('C', Cmd::Talk, ScreenId::Talk, "comms", "What is to be said to whom and when."),
    ('K', Cmd::Checklist, ScreenId::Checklist, "checklist", "What must be so before and after a restore."),
];

/// The ways to the other screens of an incident.
pub(super) fn ways(model: &Model, from: ScreenId) -> Vec<Binding> {
    let others = WAYS.iter().filter(|way| way.2 != from);
    let binding = |(key, cmd, _, label, help): &(char, Cmd, ScreenId, &'static str, &'static str)| {
        Binding::new(&[Key::Char(*key)], *cmd, *label, *help).quiet().unless(model.why_not(*cmd))
    };
    others.map(binding).collect()
}

/// Goes one of these ways.
pub(super) fn go(model: &Model, cmd: Cmd) -> Option<Action> {
    let way = WAYS.iter().find(|way| way.1 == cmd)?;
    model.why_not(cmd).is_none().then_some(Action::Go(way.2))
}

/// Settles something in an incident.
pub(super) fn settle(incident: &IncidentView, what: Settle) -> Action {
    Action::Do(Effect::Settle { incident: incident.id.clone(), what })
}

/// Asks for a part of what is settled.
pub(super) fn ask(title: &str, text: Vec<String>, initial: &str, part: Part) -> Action {
    Action::Open(Modal::Ask {
        title: title.to_owned(),
        text,
        initial: initial.to_owned(),
        then: Asked::Part(part),
    })
}

/// What is said where no incident can be shown.
pub(super) fn none(sheet: &mut Sheet<'_>, model: &Model, title: &str, what: &str) {
    if model.board.incident.is_some() {
        sheet.rule(0, title, "");
        sheet.text(3, 2, "being read", sheet.theme.dim());
        return;
    }
    sheet.rule(0, title, "no incident");
    let text = format!("{what} i on the board declares an incident; H shows those there were.");
    sheet.wrapped(3, 2, &text, Style::new());
}
