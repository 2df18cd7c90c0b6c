//! Windows over a screen: help, palette, a line of text, a typed confirmation, lines to read. The one on top gets the
//! keys; Esc always closes it. A window does nothing itself: it says what is to be done.

mod confirm;
mod draw;
mod field;
mod palette;

pub use confirm::Typed;
pub(super) use draw::Canvas;

use super::input::{Effect, Key};
use super::keymap::Cmd;
use super::model::Model;
use super::screens::{Asked, Modal};
use confirm::Confirmation;
use field::Field;
use palette::{Chosen, Palette};

/// A window while it is open.
#[derive(Debug)]
pub(super) enum Window {
    /// The keys of the screen, scrolled by so many lines.
    Help(usize),
    /// Commands by name.
    Palette(Palette),
    /// A line of text.
    Ask {
        title: String,
        text: Vec<String>,
        field: Field,
        then: Asked,
        /// Why the last try was not taken.
        refused: Option<String>,
    },
    /// A typed confirmation.
    Confirm(Confirmation),
    /// Lines to read, scrolled by so many.
    Text { title: String, lines: Vec<String>, scroll: usize },
}

/// What a key in a window leads to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing.
    Stay,
    /// The window closes.
    Close,
    /// It closes and this is run.
    Run(Cmd),
    /// It closes and this was said.
    Said(Asked, String),
    /// It stays and this is said so far.
    Typing(Asked, String),
    /// It closes without an answer: what was asked is taken back.
    Dropped(Asked),
    /// It closes and this is to be done.
    Do(Effect),
}

impl Window {
    pub(super) fn new(modal: Modal) -> Self {
        match modal {
            Modal::Help => Self::Help(0),
            Modal::Palette => Self::Palette(Palette::default()),
            Modal::Ask { title, text, initial, then } => {
                Self::Ask { title, text, field: Field::new(&initial), then, refused: None }
            }
            Modal::Confirm { title, text, word, then } => {
                Self::Confirm(Confirmation::new(title, text, word, then))
            }
            Modal::Text { title, lines } => Self::Text { title, lines, scroll: 0 },
        }
    }

    /// True if typed characters are text here.
    pub(super) fn takes_text(&self) -> bool {
        matches!(self, Self::Palette(_) | Self::Ask { .. } | Self::Confirm(_))
    }

    pub(super) fn key(&mut self, key: Key, model: &Model) -> Outcome {
        if key == Key::Esc {
            return match self {
                Self::Ask { then, .. } => Outcome::Dropped(*then),
                _ => Outcome::Close,
            };
        }
        match self {
            Self::Help(scroll) => read(scroll, MOST_HELP, key),
            Self::Text { scroll, lines, .. } => read(scroll, lines.len(), key),
            Self::Palette(palette) => match palette.key(key, model) {
                Chosen::Nothing => Outcome::Stay,
                Chosen::Run(cmd) => Outcome::Run(cmd),
            },
            Self::Ask { field, then, refused, .. } => ask(field, *then, refused, key),
            Self::Confirm(confirmation) => confirmation.key(key).map_or(Outcome::Stay, Outcome::Do),
        }
    }

    pub(super) fn paste(&mut self, text: &str) -> Outcome {
        match self {
            Self::Palette(palette) => {
                palette.field.paste(text);
            }
            Self::Ask { field, then, .. } => {
                if field.paste(text) {
                    return Outcome::Typing(*then, field.text().to_owned());
                }
            }
            Self::Confirm(confirmation) => confirmation.paste(),
            Self::Help(_) | Self::Text { .. } => {}
        }
        Outcome::Stay
    }
}

/// No screen has more keys than this.
const MOST_HELP: usize = 60;

fn read(scroll: &mut usize, most: usize, key: Key) -> Outcome {
    match key {
        Key::Up | Key::Char('k') => *scroll = scroll.saturating_sub(1),
        Key::Down | Key::Char('j') => *scroll = scroll.saturating_add(1),
        Key::PageUp => *scroll = scroll.saturating_sub(10),
        Key::PageDown | Key::Char(' ') => *scroll = scroll.saturating_add(10),
        Key::Home | Key::Char('g') => *scroll = 0,
        Key::Enter | Key::Char('q' | '?') => return Outcome::Close,
        _ => {}
    }
    *scroll = (*scroll).min(most);
    Outcome::Stay
}

fn ask(field: &mut Field, then: Asked, refused: &mut Option<String>, key: Key) -> Outcome {
    if key != Key::Enter {
        *refused = None;
        return if field.key(key) { Outcome::Typing(then, field.text().to_owned()) } else { Outcome::Stay };
    }
    let text = field.text().trim();
    let may_be_empty = match then {
        Asked::Part(part) => part.may_be_empty(),
        then => matches!(then, Asked::Filter | Asked::Field(_)),
    };
    if text.is_empty() && !may_be_empty {
        *refused = Some("write at least a word, or Esc to go back".to_owned());
        return Outcome::Stay;
    }
    Outcome::Said(then, text.to_owned())
}
