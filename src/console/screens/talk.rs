//! Comms: whom to tell when, the draft with the facts filled in, and what came of every message.
//!
//! Nothing is sent that was not shown as it goes out; a draft that is shown is sent by Enter and by nothing else.

mod draw;
mod line;

pub(super) use line::line;

use super::paint::done;
use super::{Action, Asked, Modal, Part, Screen, ScreenId, incident};
use crate::console::input::{Effect, Key};
use crate::console::keymap::{Binding, Cmd};
use crate::console::model::Model;
use crate::console::theme::Theme;
use crate::console::widgets::{Selection, moment};
use crate::incident::comms::{Queued, draft};
use crate::incident::standing::Message;
use crate::incident::{Audience, IncidentView, Settle};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// A line that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Row {
    /// Somebody who is told.
    Audience(Audience),
    /// A message, by its name.
    Message(String),
}

/// Every line: the audiences, then the messages, newest first.
fn rows(view: &IncidentView) -> Vec<Row> {
    let mut rows: Vec<Row> = Audience::ALL.iter().copied().map(Row::Audience).collect();
    rows.extend(view.standing.messages.iter().rev().map(|message| Row::Message(message.id.clone())));
    rows
}

/// A draft as it is shown to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    audience: Audience,
    text: String,
    scroll: usize,
}

/// What a text that is asked for is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asking {
    Sentence,
    Promise,
    Told(Audience),
    GiveUp(String),
}

/// Comms.
#[derive(Debug, Default)]
pub struct TalkScreen {
    selected: Selection,
    /// The chosen message's name, so that it stays chosen when another one is written.
    chosen: Option<String>,
    /// The incident the additions are for.
    incident: String,
    sentence: Option<String>,
    promise: Option<String>,
    shown: Option<Shown>,
    asking: Option<Asking>,
}

impl TalkScreen {
    fn row(&self, view: &IncidentView) -> Option<Row> {
        rows(view).get(self.selected.at()).cloned()
    }

    /// For whom a draft is: the chosen audience, or that of the chosen message.
    fn audience(&self, view: &IncidentView) -> Audience {
        match self.row(view) {
            Some(Row::Audience(audience)) => audience,
            Some(Row::Message(id)) => message(view, &id).map_or(Audience::Internal, |known| known.audience),
            None => Audience::Internal,
        }
    }

    /// The update as it would be sent now.
    fn draft(&self, model: &Model, view: &IncidentView) -> String {
        let audience = self.audience(view);
        let next = model.talk.value().and_then(|talk| talk.next(audience));
        let additions = (self.sentence.as_deref(), self.promise.as_deref());
        draft(view, audience, next, additions, model.now).text
    }

    /// Why a command cannot be used now; nothing if it can.
    fn why_not(&self, model: &Model, cmd: Cmd) -> Option<String> {
        let view = incident::shown(model);
        let row = view.and_then(|view| self.row(view));
        let said = |text: &str| Some(text.to_owned());
        match (cmd, row) {
            (Cmd::Open, Some(Row::Message(_))) => return None,
            (Cmd::Open, _) => return said("choose a message; d shows the draft"),
            _ => {}
        }
        incident::why_not(model).or_else(|| match (cmd, self.row(view?)) {
            (Cmd::Send, _) => {
                let audience = self.shown.as_ref()?.audience;
                let reached = model.talk.value().map(|talk| talk.channels(audience));
                let none = reached.is_none_or(|channels| channels.is_empty());
                none.then(|| format!("no webhook reaches {}; t when you told them yourself", audience.said()))
            }
            (Cmd::Flush, _) => {
                let waits = model.talk.value().is_some_and(|talk| !talk.waiting.is_empty());
                (!waits).then(|| "nothing waits to be sent".to_owned())
            }
            (Cmd::GiveUp, Some(Row::Message(id))) => {
                (!message(view?, &id)?.is_waiting()).then(|| "this message does not wait".to_owned())
            }
            (Cmd::GiveUp, _) => said("choose a message that waits"),
            _ => None,
        })
    }

    fn begin(&mut self, model: &Model, view: &IncidentView, cmd: Cmd) -> Option<Action> {
        let audience = self.audience(view);
        let (asking, title, text, initial, part) = match cmd {
            Cmd::Draft => {
                self.shown = Some(Shown { audience, text: self.draft(model, view), scroll: 0 });
                return done();
            }
            Cmd::Open => return opened(view, &self.row(view)?, model),
            Cmd::Flush => return Some(Action::Do(Effect::Flush(view.id.clone()))),
            Cmd::Sentence => {
                let text = "A sentence that is added to the draft. Enter alone takes it out.";
                let said = self.sentence.clone().unwrap_or_default();
                (Asking::Sentence, "SENTENCE", text.to_owned(), said, Part::Addition)
            }
            Cmd::Promise => {
                let text = "What you promise, for example a time; nothing else promises any. Enter alone \
                            takes it out.";
                let said = self.promise.clone().unwrap_or_default();
                (Asking::Promise, "PROMISE", text.to_owned(), said, Part::Addition)
            }
            Cmd::Told => {
                let text = format!("What {} was told by other means, and how.", audience.said());
                (Asking::Told(audience), "TOLD", text, String::new(), Part::Text)
            }
            Cmd::GiveUp => {
                let Row::Message(id) = self.row(view)? else { return None };
                let text = "Why it is not sent any more where it was not taken.".to_owned();
                (Asking::GiveUp(id), "GIVE THE MESSAGE UP", text, String::new(), Part::Why)
            }
            _ => return None,
        };
        self.asking = Some(asking);
        Some(incident::ask(title, vec![text], &initial, part))
    }

    /// What keys mean while a draft is shown to be sent.
    fn on_shown(&mut self, model: &Model, view: &IncidentView, cmd: Cmd) -> Option<Action> {
        let shown = self.shown.as_mut()?;
        match cmd {
            Cmd::Up => shown.scroll = shown.scroll.saturating_sub(1),
            Cmd::Down => shown.scroll = shown.scroll.saturating_add(1).min(shown.text.len()),
            Cmd::Back => self.shown = None,
            Cmd::Send if self.why_not(model, cmd).is_none() => {
                let Shown { audience, text, .. } = self.shown.take()?;
                (self.sentence, self.promise) = (None, None);
                let incident = view.id.clone();
                return Some(Action::Do(Effect::Send { incident, audience, text }));
            }
            _ => return None,
        }
        done()
    }
}

/// True for a command of the list that a draft is shown over.
fn belongs_below(cmd: Cmd) -> bool {
    [Cmd::Draft, Cmd::Sentence, Cmd::Promise, Cmd::Told, Cmd::Open, Cmd::Flush, Cmd::GiveUp].contains(&cmd)
}

fn message<'a>(view: &'a IncidentView, id: &str) -> Option<&'a Message> {
    view.standing.messages.iter().find(|known| known.id == id)
}

/// What is queued of a message.
fn queued<'a>(model: &'a Model, id: &str) -> Option<&'a Queued> {
    model.talk.value()?.waiting.iter().find(|known| known.message == id)
}

/// A message with everything that came of it.
fn opened(view: &IncidentView, row: &Row, model: &Model) -> Option<Action> {
    let Row::Message(id) = row else { return None };
    let message = message(view, id)?;
    let mut lines: Vec<String> = message.text.lines().map(str::to_owned).collect();
    lines.push(String::new());
    for channel in &message.channels {
        lines.push(draw::came_of(channel, queued(model, id), model.now));
        if !channel.why.is_empty() {
            lines.push(format!("  because {}", channel.why));
        }
    }
    lines.push(String::new());
    lines.push(format!("{} by {}", message.id, message.by));
    let title = format!("{} MESSAGE, {} UTC", message.audience.said().to_uppercase(), moment(message.at));
    Some(Action::Open(Modal::Text { title, lines }))
}

impl Screen for TalkScreen {
    fn id(&self) -> ScreenId {
        ScreenId::Talk
    }

    fn title(&self) -> &'static str {
        "comms"
    }

    fn bindings(&self, model: &Model) -> Vec<Binding> {
        let key = |key: Key, cmd: Cmd, label: &'static str, help: &'static str| {
            Binding::new(&[key], cmd, label, help).unless(self.why_not(model, cmd))
        };
        if self.shown.is_some() {
            return vec![
                key(
                    Key::Enter,
                    Cmd::Send,
                    "send it",
                    "Send it as it is shown, by every channel named above.",
                ),
                Binding::new(&[Key::Esc], Cmd::Back, "do not send", "Back; nothing is sent."),
            ];
        }
        let mut bindings = vec![
            key(Key::Char('d'), Cmd::Draft, "draft", "Show the whole draft; Enter sends it then."),
            key(Key::Char('s'), Cmd::Sentence, "sentence", "Add a sentence to the draft."),
            key(Key::Char('p'), Cmd::Promise, "promise", "Add to the draft what you promise."),
            key(Key::Char('t'), Cmd::Told, "told", "Write down that you told them by other means."),
            key(Key::Enter, Cmd::Open, "open", "The chosen message, and what came of it on each channel."),
            key(Key::Char('f'), Cmd::Flush, "try again", "Try again now to send what waits."),
            key(Key::Char('x'), Cmd::GiveUp, "give up", "Give the chosen message up where it was not taken.")
                .quiet(),
        ];
        bindings.extend(incident::ways(model, self.id()));
        bindings
    }

    fn entered(&mut self, model: &Model) -> Vec<Effect> {
        incident::entered(model)
    }

    fn updated(&mut self, model: &Model) {
        let Some(view) = incident::shown(model) else { return };
        if view.id != self.incident {
            *self = Self { incident: view.id.clone(), ..Self::default() };
        }
        let rows = rows(view);
        let place =
            |id: &String| rows.iter().position(|row| matches!(row, Row::Message(known) if known == id));
        if let Some(at) = self.chosen.as_ref().and_then(place) {
            self.selected.choose(at);
        }
        self.selected.keep(rows.len());
    }

    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action> {
        let way = incident::go(model, cmd);
        let Some(view) = incident::shown(model) else { return way };
        if self.shown.is_some() {
            let action = self.on_shown(model, view, cmd);
            // What belongs to the list below puts the draft away; nothing else gets past it.
            if action.is_some() || way.is_none() && !belongs_below(cmd) {
                return action;
            }
            self.shown = None;
        }
        if way.is_some() {
            return way;
        }
        if self.selected.on(cmd, rows(view).len()) {
            self.chosen = match self.row(view) {
                Some(Row::Message(id)) => Some(id),
                _ => None,
            };
            return done();
        }
        if self.why_not(model, cmd).is_some() {
            return None;
        }
        self.begin(model, view, cmd)
    }

    fn text(&mut self, model: &Model, asked: Asked, text: &str) -> Option<Action> {
        let (Asked::Part(_), Some(view)) = (asked, incident::shown(model)) else { return None };
        let text = text.trim().to_owned();
        let said = Some(text.clone()).filter(|text| !text.is_empty());
        match self.asking.take()? {
            Asking::Sentence => self.sentence = said,
            Asking::Promise => self.promise = said,
            Asking::Told(audience) => return Some(incident::settle(view, Settle::Told { audience, text })),
            Asking::GiveUp(message) => {
                return Some(incident::settle(view, Settle::DropMessage { message, why: text }));
            }
        }
        done()
    }

    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
        draw::screen(self, model, theme, area, buffer);
    }
}
