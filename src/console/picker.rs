//! Choosing among several stanzas before the console opens. Pure, like the app.

use super::input::Key;
use super::keymap::Cmd;
use super::theme::Theme;
use super::widgets::{Selection, put, rule};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The list and the line chosen.
#[derive(Debug)]
pub struct Picker {
    theme: Theme,
    names: Vec<String>,
    selection: Selection,
}

/// What a key leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picked {
    /// Nothing yet.
    Not,
    /// This stanza.
    Stanza(String),
    /// None: leave.
    Leave,
}

impl Picker {
    /// A list of these.
    pub fn new(theme: Theme, names: &[String]) -> Self {
        Self { theme, names: names.to_vec(), selection: Selection::default() }
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Picked {
        let cmd = match key {
            Key::Up | Key::Char('k') => Cmd::Up,
            Key::Down | Key::Char('j') => Cmd::Down,
            Key::PageUp => Cmd::PageUp,
            Key::PageDown => Cmd::PageDown,
            Key::Home | Key::Char('g') => Cmd::First,
            Key::End | Key::Char('G') => Cmd::Last,
            Key::Enter => {
                return self.names.get(self.selection.at()).cloned().map_or(Picked::Not, Picked::Stanza);
            }
            Key::Esc | Key::Char('q') | Key::Ctrl('c') => return Picked::Leave,
            _ => return Picked::Not,
        };
        self.selection.on(cmd, self.names.len());
        Picked::Not
    }

    /// Draws it, in as little room as there is.
    pub fn paint(&self, area: Rect, buffer: &mut Buffer) {
        rule(buffer, area, format!("WHICH STANZA? {} ARE CONFIGURED", self.names.len()), self.theme);
        let room = usize::from(area.height.saturating_sub(2));
        let first = self.selection.first(self.names.len(), room);
        for (number, name) in self.names.iter().enumerate().skip(first).take(room) {
            let y = area.y + 1 + u16::try_from(number - first).unwrap_or(0);
            let chosen = number == self.selection.at();
            let style = if chosen { self.theme.chosen() } else { Style::new() };
            put(buffer, Rect { y, height: 1, ..area }, Span::styled(format!("  {name}  "), style));
        }
        if area.height > 1 {
            let keys = [("Up/Down", " choose  "), ("Enter", " open  "), ("q", " quit")];
            let spans = keys
                .iter()
                .flat_map(|(key, label)| [Span::styled(*key, self.theme.focus()), Span::raw(*label)]);
            put(
                buffer,
                Rect { y: area.bottom() - 1, height: 1, ..area },
                Line::from(spans.collect::<Vec<_>>()),
            );
        }
        self.theme.finish(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_is_chosen_or_none() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let mut picker = Picker::new(Theme { colour: false, ascii: true }, &names);
        assert_eq!(picker.key(Key::Down), Picked::Not);
        assert_eq!(picker.key(Key::Enter), Picked::Stanza("b".to_owned()));
        picker.key(Key::Char('G'));
        assert_eq!(picker.key(Key::Enter), Picked::Stanza("c".to_owned()));
        assert_eq!(picker.key(Key::Char('q')), Picked::Leave);
        for (width, height) in [(0, 0), (1, 1), (80, 24), (5, 2)] {
            let area = Rect::new(0, 0, width, height);
            let mut buffer = Buffer::empty(area);
            picker.paint(area, &mut buffer);
            assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
        }
    }
}
