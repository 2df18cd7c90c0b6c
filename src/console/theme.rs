//! Colours, symbols and forms of numbers: one place, so that every screen speaks alike.
//!
//! Sixteen ANSI colours at most, none with `NO_COLOR`; a symbol and a word always carry the meaning.

pub use crate::model::board::judge::State;

use ratatui::style::{Color, Modifier, Style};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Colours may be used.
    pub colour: bool,
    /// Only ASCII may be used.
    pub ascii: bool,
}

impl Theme {
    /// The symbol of a state.
    pub fn symbol(self, state: State) -> &'static str {
        match (state, self.ascii) {
            (State::Ok, false) => "✔",
            (State::Late, _) => "!",
            (State::Unknown, _) => "?",
            (State::Failed, false) => "✖",
            (State::Ok, true) => "+",
            (State::Failed, true) => "x",
        }
    }

    /// The style of a state.
    pub fn state(self, state: State) -> Style {
        self.coloured(match state {
            State::Ok => Color::Green,
            State::Late => Color::Yellow,
            State::Unknown => Color::Magenta,
            State::Failed => Color::Red,
        })
    }

    /// Keys and what has the focus.
    pub fn focus(self) -> Style {
        self.coloured(Color::Cyan)
    }

    /// Ages and secondary things.
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The one thing that matters now.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The chosen line.
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
}
