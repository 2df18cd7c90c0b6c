//! The screens: each reads the model, answers commands, and draws itself. None does anything by itself.

pub mod board;
pub mod catalog;
pub mod checklist;
pub mod doctor;
pub mod history;
mod incident;
pub mod journal;
pub mod options;
mod paint;
pub mod people;
pub mod runbook;
pub mod running;
pub mod talk;
pub mod target;
pub mod wal;

use super::input::Effect;
use super::keymap::{Binding, Cmd};
use super::model::Model;
use super::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Which screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScreenId {
    /// What is alive, what is protected.
    Board,
    /// The backups.
    Catalog,
    /// The WAL ranges.
    Wal,
    /// Target and plan.
    Target,
    /// The ways out beside each other.
    Options,
    /// The running operation.
    Running,
    /// The runbook of the incident.
    Runbook,
    /// The journal of the incident.
    Journal,
    /// All incidents.
    History,
    /// Roles, tasks, follow-ups.
    People,
    /// What was and is to be said to whom.
    Talk,
    /// The checklists before and after a restore.
    Checklist,
    /// What the configuration means.
    Doctor,
}

/// What a screen wants after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Go to another screen.
    Go(ScreenId),
    /// One level up.
    Back,
    /// Have something done.
    Do(Effect),
    /// Open a window over the screen.
    Open(Modal),
    /// Go to another screen and give it a text, as if it had been typed there.
    Hand {
        /// Which screen.
        to: ScreenId,
        /// What the text is.
        asked: Asked,
        /// The text.
        text: String,
    },
    /// Several, in order.
    All(Vec<Self>),
}

/// A window over a screen. Typed text goes to the window on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modal {
    /// The keys of the screen.
    Help,
    /// Commands by name.
    Palette,
    /// One line of text; what is done with it is made by `then`.
    Ask {
        /// The title.
        title: String,
        /// Lines above the input.
        text: Vec<String>,
        /// What stands in the input at first.
        initial: String,
        /// What to do with the text.
        then: Asked,
    },
    /// Something that changes a cluster: the word must be typed; nothing else is accepted. Default is no.
    Confirm {
        /// The title.
        title: String,
        /// What will happen and how it is undone.
        text: Vec<String>,
        /// The word to type.
        word: String,
        /// What is done then; the typed word is filled in.
        then: Confirmed,
    },
    /// Lines to read: commands, a log, a failure.
    Text {
        /// The title.
        title: String,
        /// The lines.
        lines: Vec<String>,
    },
}

/// What is done with a line of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Declare an incident for this reason.
    DeclareReason,
    /// Write a note.
    Note,
    /// Close the incident with this sentence.
    CloseIncident,
    /// Filter the screen below.
    Filter,
    /// A field of the screen below: its number.
    Field(usize),
    /// The backup set to recover from.
    Set,
    /// Why this way of the runbook's node is taken against what the facts propose: its number.
    Reason(u8),
    /// What a variable of the runbook's node stands for: its number among those without a value.
    Value(u8),
    /// What came of an act of the runbook: true if it was done.
    Outcome(bool),
    /// A part of what is settled on the screen below.
    Part(Part),
}

/// A part of something that is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What it is about.
    Text,
    /// Who it is for.
    Who,
    /// Within how many minutes.
    Minutes,
    /// By which day.
    Day,
    /// Why.
    Why,
    /// What came out or was seen, if anything is to be said of it.
    Outcome,
    /// What is added to a draft; nothing takes it out again.
    Addition,
}

impl Part {
    /// True if saying nothing says something.
    pub fn may_be_empty(self) -> bool {
        matches!(self, Self::Outcome | Self::Addition)
    }
}

/// What is done once the word was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmed {
    /// Start the plan that was shown.
    Start {
        /// What was asked for.
        request: Box<crate::model::plan::RecoverRequest>,
        /// The digest of the plan that was shown.
        digest: String,
    },
    /// Resume an operation.
    Resume(crate::base::state::OpId),
    /// Stop an operation.
    Cancel(crate::base::state::OpId),
    /// Approve the plan of this digest.
    Approve(String),
    /// Carry out this act of the runbook.
    Act(Box<crate::console::input::ActShown>),
    /// Close the open incident with this sentence, over what is still open.
    CloseOver(String),
    /// Answer an operation's question: what was recovered is right. It is promoted then.
    AnswerRight(crate::base::state::OpId),
}

/// One screen.
pub trait Screen {
    /// Which it is.
    fn id(&self) -> ScreenId;

    /// Its title, in a word or two.
    fn title(&self) -> &'static str;

    /// Its keys, with those that cannot be used now and why. Moves, Esc, help, palette and quit are added by the app.
    fn bindings(&self, model: &Model) -> Vec<Binding>;

    /// The screen was entered: what must be loaded.
    fn entered(&mut self, _model: &Model) -> Vec<Effect> {
        Vec::new()
    }

    /// The model changed: keep selections valid.
    fn updated(&mut self, _model: &Model) {}

    /// Answers a command.
    fn on(&mut self, model: &Model, cmd: Cmd) -> Option<Action>;

    /// Takes the text a window asked for on behalf of this screen.
    fn text(&mut self, _model: &Model, _asked: Asked, _text: &str) -> Option<Action> {
        None
    }

    /// What a text that is being typed for this screen would mean, or what is wrong with it: lines below the input.
    fn typed(&self, _model: &Model, _asked: Asked, _text: &str) -> Vec<String> {
        Vec::new()
    }

    /// Draws itself into `area`, which is at least 80 by 21: header and footer are the app's.
    fn draw(&self, model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer);
}
