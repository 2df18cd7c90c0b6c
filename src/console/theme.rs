//! Colours, symbols and forms of numbers: one place, so that every screen speaks alike.
//!
//! Sixteen ANSI colours at most, none with `NO_COLOR`; a symbol and a word always carry the meaning.

pub use crate::model::board::judge::State;

use ratatui::buffer::Buffer;
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

    /// Translates a finished picture to what the terminal can show: nothing but ASCII, no colour.
    ///
    /// Screens draw with every character and colour they like; here is the one place that takes them away.
    pub fn finish(self, buffer: &mut Buffer) {
        for cell in &mut buffer.content {
            if self.ascii && !cell.symbol().is_ascii() {
                cell.set_symbol(ascii(cell.symbol()));
            }
            if !self.colour {
                (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
            }
        }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
}

/// What stands for a symbol where only ASCII may be used.
fn ascii(symbol: &str) -> &'static str {
    match symbol {
        "─" | "–" | "—" | "·" | "━" => "-",
        "│" | "┃" | "▕" | "▏" | "↓" | "↑" => "|",
        "┬" | "┴" | "┼" | "├" | "┤" | "┌" | "┐" | "└" | "┘" | "✔" => "+",
        "╮" | "╰" => "\\",
        "╭" | "╯" => "/",
        "█" | "▉" | "▊" | "▋" | "▌" | "▐" | "▀" | "▄" | "▅" | "▆" | "▇" | "▓" => "#",
        "▒" => ":",
        "▁" | "▂" | "▃" => "_",
        "▍" | "▎" | "░" => ".",
        "✖" | "×" => "x",
        "▶" | "›" | "→" | "»" | "▸" | "≥" => ">",
        "◀" | "‹" | "←" | "«" | "≤" => "<",
        "▼" => "v",
        "▲" => "^",
        "○" | "◌" => "o",
        "●" | "•" => "*",
        "…" => "~",
        "’" | "‘" => "'",
        "“" | "”" => "\"",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    #[test]
    fn a_finished_picture_has_only_what_the_terminal_can_show() {
        let area = Rect::new(0, 0, 12, 1);
        let mut buffer = Buffer::empty(area);
        buffer.set_string(0, 0, "─✔▶█…日本é", Style::new().fg(Color::Red).bg(Color::Blue));
        let before = buffer.clone();
        Theme { colour: true, ascii: false }.finish(&mut buffer);
        assert_eq!(buffer, before);
        Theme { colour: false, ascii: true }.finish(&mut buffer);
        let text: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(text, "-+>#~? ? ?  ");
        assert!(buffer.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    }
}
