//! A part of the frame with coordinates of its own, on which a screen writes lines; and the few words about numbers
//! that only screens need. Whatever the size of the terminal, nothing here panics or writes outside its part.

use super::Action;
use crate::base::Timestamp;
use crate::console::theme::Theme;
use crate::console::widgets::{self, cut, duration, elapsed, lines, put, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// From this width on a screen shows a second pane.
pub(super) const WIDE: u16 = 110;

/// A command that was understood and needs nothing from outside.
#[expect(clippy::unnecessary_wraps, reason = "it is what a screen answers a command with")]
pub(super) fn done() -> Option<Action> {
    Some(Action::All(Vec::new()))
}

/// A part of the frame.
pub(super) struct Sheet<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    /// What the terminal can show.
    pub(super) theme: Theme,
}

impl<'a> Sheet<'a> {
    /// The part `area` of the frame.
    pub(super) fn new(theme: Theme, area: Rect, buffer: &'a mut Buffer) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area, theme }
    }

    /// Columns.
    pub(super) fn width(&self) -> u16 {
        self.area.width
    }

    /// Lines.
    pub(super) fn height(&self) -> u16 {
        self.area.height
    }

    /// A part of this part.
    pub(super) fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Sheet<'_> {
        let x = x.min(self.area.width);
        let y = y.min(self.area.height);
        let area = Rect {
            x: self.area.x + x,
            y: self.area.y + y,
            width: width.min(self.area.width - x),
            height: height.min(self.area.height - y),
        };
        Sheet { buffer: self.buffer, area, theme: self.theme }
    }

    /// The lines from `y` on.
    pub(super) fn below(&mut self, y: u16) -> Sheet<'_> {
        self.part(0, y, u16::MAX, u16::MAX)
    }

    /// Writes text, cut at the edge. Returns the column after it.
    pub(super) fn text(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        self.cut(x, y, u16::MAX, text, style)
    }

    /// Writes text in at most `width` columns; longer text ends in an ellipsis. Returns the column after it.
    pub(super) fn cut(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let place = self.part(x, y, width, 1).area;
        x.saturating_add(put(self.buffer, place, Span::styled(text, style)))
    }

    /// Writes text at the right end of `width` columns.
    pub(super) fn right(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) {
        let width = width.min(self.area.width.saturating_sub(x));
        self.cut(x, y, width, &widgets::right(text, width.into()), style);
    }

    /// Writes pieces one after the other.
    pub(super) fn pieces(&mut self, x: u16, y: u16, pieces: &[(&str, Style)]) -> u16 {
        pieces.iter().fold(x, |x, (text, style)| self.text(x, y, text, *style))
    }

    /// Writes text over as many lines as it takes, from column `x` on; returns how many.
    pub(super) fn wrapped(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        let mut count: u16 = 0;
        for line in lines(text, self.area.width.saturating_sub(x).into()) {
            self.text(x, y.saturating_add(count), &line, style);
            count = count.saturating_add(1);
        }
        count
    }

    /// A titled rule: `─ TITLE · more ─────`.
    pub(super) fn rule(&mut self, y: u16, title: &str, more: &str) {
        let dim = self.theme.dim();
        let more = Some((more, dim)).filter(|(more, _)| !more.is_empty());
        self.rule_of(y, title, more.as_slice());
    }

    /// A titled rule that says several things, each in its style.
    pub(super) fn rule_of(&mut self, y: u16, title: &str, more: &[(&str, Style)]) {
        let mut spans = vec![Span::styled(title, self.theme.strong())];
        for (text, style) in more {
            spans.push(Span::styled(" · ", self.theme.dim()));
            spans.push(Span::styled(*text, *style));
        }
        let place = self.part(0, y, u16::MAX, 1).area;
        widgets::rule(self.buffer, place, Line::from(spans), self.theme);
    }

    /// An upright line at column `x`.
    pub(super) fn upright(&mut self, x: u16) {
        let place = self.part(x, 0, 1, u16::MAX).area;
        if !place.is_empty() {
            widgets::upright(self.buffer, place, self.theme);
        }
    }

    /// Puts a style on a whole line.
    pub(super) fn restyle(&mut self, y: u16, style: Style) {
        let place = self.part(0, y, u16::MAX, 1).area;
        self.buffer.set_style(place, style);
    }

    /// A sign and a sentence over as many lines as it takes; returns how many.
    pub(super) fn said(&mut self, y: u16, sign: (&str, Style), text: &str, style: Style) -> u16 {
        self.text(1, y, sign.0, sign.1);
        self.wrapped(3, y, text, style).max(1)
    }
}

/// Pieces that stay whole where they can, in lines of at most `room` columns.
pub(super) fn flow(parts: &[String], between: &str, room: usize) -> Vec<String> {
    let mut flowing: Vec<String> = Vec::new();
    for part in parts {
        match flowing.last_mut() {
            Some(line) if width(line) + width(between) + width(part) <= room => {
                line.push_str(between);
                line.push_str(part);
            }
            _ => flowing.push(cut(part, room)),
        }
    }
    flowing
}

/// `whole × done ÷ total`, never more than `whole`.
pub(super) fn share(done: u64, total: u64, whole: u64) -> u64 {
    if total == 0 {
        return 0;
    }
    let value = u128::from(whole) * u128::from(done.min(total)) / u128::from(total);
    u64::try_from(value).unwrap_or(whole)
}

/// A duration in whole seconds, for what is going on now: tenths would only flicker.
pub(super) fn lasting(ms: u64) -> String {
    duration(ms / 1000 * 1000)
}

/// From one moment to another, in whole seconds.
pub(super) fn since(from: Timestamp, to: Timestamp) -> String {
    lasting(elapsed(from, to))
}

/// A clock of hours: `00:07:12`.
pub(super) fn hours(ms: u64) -> String {
    let s = ms / 1000;
    format!("{:02}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60)
}

/// A count with its thousands apart: `22 811`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(c);
    }
    text
}

/// A count and its word in the singular or plural: `1 gap`, `22 811 files`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A moment as exactly as it is known, UTC: `2026-11-21 02:03:11.482 UTC`.
pub(super) fn exactly(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.strip_suffix("+00").unwrap_or(&text))
}

/// The same without the day, if it is today's.
pub(super) fn near(at: Timestamp, now: Timestamp) -> String {
    let text = exactly(at);
    let today = at.to_utc().date_naive() == now.to_utc().date_naive();
    text.split_once(' ').filter(|_| today).map_or_else(|| text.clone(), |(_, clock)| clock.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_an_operator_says_them() {
        assert_eq!([count(7), count(1841), count(22_811_000)], ["7", "1 841", "22 811 000"]);
        assert_eq!([counted(1, "gap", "gaps"), counted(0, "gap", "gaps")], ["1 gap", "0 gaps"]);
        assert_eq!((lasting(3_999), hours(432_000)), ("3 s".into(), "00:07:12".into()));
        assert_eq!((share(5, 0, 9), share(3, 4, 100), share(9, 4, 100)), (0, 75, 100));
        assert_eq!(exactly(Timestamp(1_795_226_591_482_000)), "2026-11-21 02:03:11.482 UTC");
    }

    #[test]
    fn pieces_stay_whole() {
        let parts = ["1 stop", "2 copy", "3 a very long step"].map(str::to_owned);
        assert_eq!(flow(&parts, "  ", 14), ["1 stop  2 copy", "3 a very long…"]);
    }

    #[test]
    fn nothing_is_written_outside_a_part() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 3));
        let theme = Theme { colour: false, ascii: false };
        let area = Rect::new(0, 0, 8, 3);
        let mut sheet = Sheet::new(theme, area, &mut buffer);
        let mut part = sheet.part(2, 1, 4, 1);
        part.text(1, 0, "abcdef", Style::new());
        part.text(0, 7, "x", Style::new());
        part.text(70, 0, "x", Style::new());
        part.upright(9);
        part.restyle(3, theme.chosen());
        assert_eq!(buffer, Buffer::with_lines(["        ", "   ab…  ", "        "]));
    }
}
