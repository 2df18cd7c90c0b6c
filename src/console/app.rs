//! The whole console as one pure machine: inputs in, effects out, a picture of what is known. It reads no clock, no
//! file and no terminal, and nothing it does by itself changes a cluster.

mod acts;
mod frame;
mod intake;
mod stack;

use super::input::{Effect, Input, Key};
use super::keymap::{Binding, Cmd, everywhere};
use super::modal::{Outcome, Window};
use super::model::{Model, READ_ONLY};
use super::screens::{Action, Asked, Confirmed, Modal, ScreenId};
use super::theme::{State, Theme};
use super::widgets::Zone;
use crate::base::Timestamp;
use stack::Stack;
use std::collections::BTreeMap;

/// The smallest terminal a screen is drawn in.
pub const SMALLEST: (u16, u16) = (80, 24);

/// The last messages kept.
const MOST_NOTICES: usize = 100;

/// A message to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Notice {
    at: Timestamp,
    state: State,
    text: String,
}

/// The console.
pub struct App {
    theme: Theme,
    size: (u16, u16),
    model: Model,
    screens: Stack,
    windows: Vec<Window>,
    /// What was said, oldest first; the last is shown while it is new.
    notices: Vec<Notice>,
    /// The last message was seen and is no longer shown.
    dismissed: bool,
    /// What each screen is filtered by.
    filters: BTreeMap<u8, String>,
    /// The open incident that is followed of itself.
    opened: Option<String>,
    /// The incident whose runbook was opened for that: it is begun as soon as it can be read.
    begins: Option<String>,
    /// What was to be said at the end of this incident, until it is closed.
    farewell: Option<(String, String)>,
    left: bool,
}

impl App {
    /// A console that knows nothing yet, on a terminal of `size` columns and lines.
    pub fn new(theme: Theme, size: (u16, u16), now: Timestamp) -> Self {
        Self {
            theme,
            size,
            model: Model { now, ..Model::default() },
            screens: Stack::default(),
            windows: Vec::new(),
            notices: Vec::new(),
            dismissed: true,
            filters: BTreeMap::new(),
            opened: None,
            begins: None,
            farewell: None,
            left: false,
        }
    }

    /// The same, with the operator's clock shown beside UTC.
    #[must_use]
    pub fn in_zone(mut self, zone: Zone) -> Self {
        self.model.zone = zone;
        self
    }

    /// The same, with this one sitting there.
    #[must_use]
    pub fn by(mut self, actor: &str) -> Self {
        actor.clone_into(&mut self.model.actor);
        self
    }

    /// What it knows.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The screen that is shown.
    pub fn screen(&self) -> ScreenId {
        self.screens.top()
    }

    /// True once it was left.
    pub fn is_left(&self) -> bool {
        self.left
    }

    /// Takes what happened; what is to be done, in order.
    pub fn update(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Key(key) => self.key(key, &mut effects),
            Input::Paste(text) => self.paste(&text, &mut effects),
            Input::Resize(columns, lines) => self.size = (columns, lines),
            Input::Tick(now) => self.tick(now),
            other => self.take_in(other, &mut effects),
        }
        effects
    }

    /// Every key that means something now: the screen's, then those of every screen.
    pub fn bindings(&self) -> Vec<Binding> {
        let mut bindings = self.screens.shown().bindings(&self.model);
        let filters = bindings.iter().any(|binding| binding.cmd == Cmd::Filter);
        for mut binding in everywhere() {
            binding.keys.retain(|key| !bindings.iter().any(|own| own.keys.contains(key)));
            let taken = binding.cmd == Cmd::Filter && !filters;
            if !binding.keys.is_empty() && !taken {
                bindings.push(binding);
            }
        }
        bindings
    }

    fn too_small(&self) -> bool {
        self.size.0 < SMALLEST.0 || self.size.1 < SMALLEST.1
    }

    fn tick(&mut self, now: Timestamp) {
        self.model.now = now;
        let shown_s = |state| if state == State::Ok { 8 } else { 60 };
        if self.notices.last().is_some_and(|last| now.unix_s() - last.at.unix_s() > shown_s(last.state)) {
            self.dismissed = true;
        }
    }

    fn key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        match key {
            Key::Ctrl('c') => return self.perform(Effect::Quit, effects),
            Key::Ctrl('z') => return self.perform(Effect::Suspend, effects),
            // Nothing is done blindly; leaving is always possible.
            Key::Char('q') if self.too_small() => return self.perform(Effect::Quit, effects),
            _ if self.too_small() => return,
            _ => {}
        }
        if let Some(window) = self.windows.last_mut() {
            let outcome = window.key(key, &self.model);
            return self.outcome(outcome, effects);
        }
        let found = self.bindings().into_iter().find(|binding| binding.keys.contains(&key));
        match found {
            Some(Binding { disabled: Some(why), label, .. }) => {
                self.say(State::Late, format!("{label}: {why}"));
            }
            Some(binding) => {
                self.dismissed = true;
                self.command(binding.cmd, effects);
            }
            None if key == Key::Char('/') => self.say(State::Late, "this screen has nothing to filter"),
            None => {}
        }
    }

    fn paste(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if self.too_small() {
            return;
        }
        // Without a window that takes text, pasted text is nothing: it must never act as keys.
        if let Some(window) = self.windows.last_mut() {
            let outcome = window.paste(text);
            self.outcome(outcome, effects);
        }
    }

    fn outcome(&mut self, outcome: Outcome, effects: &mut Vec<Effect>) {
        if !matches!(outcome, Outcome::Stay | Outcome::Typing(..)) {
            self.windows.pop();
        }
        match outcome {
            Outcome::Run(cmd) => self.command(cmd, effects),
            Outcome::Do(effect) => self.perform(effect, effects),
            Outcome::Typing(Asked::Filter, text) => self.filter(text, effects),
            Outcome::Dropped(Asked::Filter) => self.filter(String::new(), effects),
            Outcome::Said(asked, text) => self.said(asked, text, effects),
            Outcome::Stay | Outcome::Close | Outcome::Typing(..) | Outcome::Dropped(_) => {}
        }
    }

    fn said(&mut self, asked: Asked, text: String, effects: &mut Vec<Effect>) {
        match asked {
            Asked::DeclareReason => {
                let detected_at =
                    self.model.board.application.as_ref().and_then(|fact| fact.value()?.wrong_since);
                self.perform(Effect::Declare { reason: text, detected_at }, effects);
            }
            Asked::Note => self.perform(Effect::Note(text), effects),
            Asked::CloseIncident => self.close_incident(text, effects),
            Asked::Filter => self.filter(text, effects),
            Asked::Field(_)
            | Asked::Set
            | Asked::Reason(_)
            | Asked::Outcome(_)
            | Asked::Value(_)
            | Asked::Part(_) => {
                let action = self.screens.shown_mut().text(&self.model, asked, &text);
                self.act(action, effects);
            }
        }
    }

    fn filter(&mut self, text: String, effects: &mut Vec<Effect>) {
        let action = self.screens.shown_mut().text(&self.model, Asked::Filter, &text);
        self.filters.insert(self.screens.top() as u8, text);
        self.act(action, effects);
    }

    fn act(&mut self, action: Option<Action>, effects: &mut Vec<Effect>) {
        match action {
            None => {}
            Some(Action::Go(id)) => self.go(id, effects),
            Some(Action::Back) => self.back(effects),
            Some(Action::Do(effect)) => self.perform(effect, effects),
            Some(Action::Open(modal)) => self.open(modal),
            Some(Action::Hand { to, asked, text }) => {
                self.go(to, effects);
                let action = self.screens.shown_mut().text(&self.model, asked, &text);
                self.act(action, effects);
            }
            Some(Action::All(actions)) => {
                for action in actions {
                    self.act(Some(action), effects);
                }
            }
        }
    }

    /// Opens a window, unless what it leads to is refused.
    fn open(&mut self, mut modal: Modal) {
        if let Modal::Confirm { then: Confirmed::Start { .. }, text, .. } = &mut modal {
            text.extend(self.model.unready());
        }
        let leads_to_writing = match &modal {
            Modal::Confirm { .. } => true,
            Modal::Ask { then, .. } => {
                matches!(
                    then,
                    Asked::DeclareReason
                        | Asked::Note
                        | Asked::CloseIncident
                        | Asked::Reason(_)
                        | Asked::Outcome(_)
                        | Asked::Value(_)
                        | Asked::Part(_)
                )
            }
            Modal::Help | Modal::Palette | Modal::Text { .. } => false,
        };
        if leads_to_writing && self.model.board.identity.read_only {
            self.say(State::Late, READ_ONLY);
        } else {
            self.windows.push(Window::new(modal));
        }
    }

    fn say(&mut self, state: State, text: impl Into<String>) {
        self.notices.push(Notice { at: self.model.now, state, text: text.into() });
        let surplus = self.notices.len().saturating_sub(MOST_NOTICES);
        self.notices.drain(..surplus);
        self.dismissed = false;
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("screen", &self.screens.top())
            .field("windows", &self.windows)
            .finish_non_exhaustive()
    }
}
