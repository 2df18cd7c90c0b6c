//! One line of text being typed.

use crate::console::input::Key;
use tui_input::{Input, InputRequest};

/// A text of more than this many characters is a mistake.
const MOST: usize = 4096;

/// One line and the place in it.
#[derive(Debug, Clone, Default)]
pub(in crate::console) struct Field(Input);

impl Field {
    pub(super) fn new(text: &str) -> Self {
        Self(Input::new(text.chars().filter(|c| !c.is_control()).collect()))
    }

    pub(super) fn text(&self) -> &str {
        self.0.value()
    }

    /// Takes a key; true if the text is another now.
    pub(super) fn key(&mut self, key: Key) -> bool {
        let request = match key {
            Key::Char(c) if !c.is_control() && self.text().len() < MOST => InputRequest::InsertChar(c),
            Key::Backspace | Key::Ctrl('h') => InputRequest::DeletePrevChar,
            Key::Delete => InputRequest::DeleteNextChar,
            Key::Left => InputRequest::GoToPrevChar,
            Key::Right => InputRequest::GoToNextChar,
            Key::Home | Key::Ctrl('a') => InputRequest::GoToStart,
            Key::End | Key::Ctrl('e') => InputRequest::GoToEnd,
            Key::Ctrl('w') => InputRequest::DeletePrevWord,
            Key::Ctrl('u') => InputRequest::DeleteLine,
            Key::Ctrl('k') => InputRequest::DeleteTillEnd,
            _ => return false,
        };
        self.0.handle(request).is_some_and(|changed| changed.value)
    }

    /// Takes pasted text: one line of it, however many it has.
    pub(super) fn paste(&mut self, text: &str) -> bool {
        let mut changed = false;
        for c in text.trim().chars().take(MOST) {
            changed |= self.key(Key::Char(if c.is_control() { ' ' } else { c }));
        }
        changed
    }

    /// What is shown in `columns`, in three parts: before the cursor, under it, behind it.
    pub(super) fn shown(&self, columns: usize) -> [String; 3] {
        let scroll = self.0.visual_scroll(columns.max(2) - 1);
        let mut parts = [String::new(), String::new(), String::new()];
        let mut column = 0;
        for (at, c) in self.text().chars().enumerate() {
            let wide = super::super::widgets::width(c.encode_utf8(&mut [0; 4]));
            let part = at.cmp(&self.0.cursor()) as i8 + 1;
            if column >= scroll && column + wide <= scroll + columns {
                parts[usize::try_from(part).unwrap_or(0)].push(c);
            }
            column += wide;
        }
        if parts[1].is_empty() {
            parts[1].push(' ');
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_edited_in_place() {
        let mut field = Field::new("ab\nc");
        assert_eq!(field.text(), "abc");
        for key in [Key::Left, Key::Char('é'), Key::Home, Key::Delete, Key::End, Key::Backspace] {
            field.key(key);
        }
        assert_eq!(field.text(), "bé");
        assert!(field.paste(" x\ny\u{1b}[31m "));
        assert_eq!(field.text(), "béx y [31m");
        assert!(!field.key(Key::Left), "a move changes no text");
    }

    #[test]
    fn the_cursor_is_always_in_sight() {
        let mut field = Field::default();
        for c in "a long text with 日本語 in it".chars() {
            field.key(Key::Char(c));
            for columns in 3..12 {
                let [before, under, behind] = field.shown(columns);
                assert!(!under.is_empty());
                assert!(super::super::super::widgets::width(&format!("{before}{behind}")) <= columns);
            }
        }
        field.key(Key::Home);
        assert_eq!(field.shown(6), ["", "a", " long"].map(str::to_owned));
    }
}
