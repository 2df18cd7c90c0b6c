//! How the screens write: clipped text on a part of the frame, titled rules, bars, and numbers as an operator says
//! them. Whatever the size of the terminal, nothing here panics or writes outside its part.

use crate::base::Timestamp;
use crate::console::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

/// From this width on a screen shows a second pane.
pub(super) const WIDE: u16 = 110;

/// A part of the frame with coordinates of its own.
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

    /// Writes text; what does not fit is left out. Returns the column after it.
    pub(super) fn text(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        if x >= self.area.width || y >= self.area.height {
            return x;
        }
        let room = usize::from(self.area.width - x);
        let shown = shown(self.theme, text);
        let (end, _) = self.buffer.set_stringn(self.area.x + x, self.area.y + y, shown, room, style);
        end - self.area.x
    }

    /// Writes text in `width` columns; longer text ends in an ellipsis.
    pub(super) fn cut(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) {
        let width = width.min(self.area.width.saturating_sub(x));
        self.text(x, y, &shortened(text, width.into()), style);
    }

    /// Writes text at the right end of `width` columns.
    pub(super) fn right(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) {
        let free = width.saturating_sub(columns(text));
        self.cut(x.saturating_add(free), y, width.saturating_sub(free), text, style);
    }

    /// Writes pieces one after the other.
    pub(super) fn pieces(&mut self, x: u16, y: u16, pieces: &[(&str, Style)]) -> u16 {
        pieces.iter().fold(x, |x, (text, style)| self.text(x, y, text, *style))
    }

    /// Writes text over as many lines as it takes, from column `x` on; returns how many.
    pub(super) fn wrapped(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        let lines = wrap(text, usize::from(self.area.width.saturating_sub(x)).max(1));
        let mut count: u16 = 0;
        for line in &lines {
            self.text(x, y.saturating_add(count), line, style);
            count = count.saturating_add(1);
        }
        count
    }

    /// A titled rule: `─ TITLE ── more ─────`.
    pub(super) fn rule(&mut self, y: u16, title: &str, more: &str) {
        let dim = self.theme.dim();
        let mut x = self.text(0, y, "─ ", dim);
        x = self.text(x, y, title, self.theme.strong());
        if !more.is_empty() {
            x = self.text(x, y, " ── ", dim);
            x = self.text(x, y, &shortened(more, usize::from(self.area.width.saturating_sub(x + 2))), dim);
        }
        let rest = "─".repeat(usize::from(self.area.width.saturating_sub(x + 1)));
        self.text(x + 1, y, &rest, dim);
    }

    /// A vertical rule at column `x`.
    pub(super) fn upright(&mut self, x: u16) {
        for y in 0..self.area.height {
            self.text(x, y, "│", self.theme.dim());
        }
    }

    /// Puts a style on a whole line.
    pub(super) fn restyle(&mut self, y: u16, style: Style) {
        if y < self.area.height {
            self.buffer.set_style(Rect { y: self.area.y + y, height: 1, ..self.area }, style);
        }
    }
}

/// Columns that text takes.
pub(super) fn columns(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

/// Text in at most `room` columns, with an ellipsis if something was left out.
pub(super) fn shortened(text: &str, room: usize) -> String {
    if usize::from(columns(text)) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if usize::from(columns(&kept)) >= room {
            kept.pop();
            break;
        }
    }
    if room > 0 {
        kept.push('…');
    }
    kept
}

/// Text in lines of at most `room` columns, broken between words where that is possible.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        let with = usize::from(columns(&line)) + usize::from(!line.is_empty()) + usize::from(columns(&word));
        if with > room && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while usize::from(columns(&word)) > room && word.chars().count() > 1 {
            let at = word.char_indices().nth(room).map_or(word.len(), |(at, _)| at);
            let rest = word.split_off(at);
            lines.push(std::mem::replace(&mut word, rest));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The first line of a list that shows `selected` in the middle of `height` lines.
pub(super) fn top_of(selected: usize, count: usize, height: usize) -> usize {
    selected.saturating_sub(height / 2).min(count.saturating_sub(height))
}

/// Text as this terminal can show it.
fn shown(theme: Theme, text: &str) -> String {
    if theme.ascii { text.chars().map(ascii).collect() } else { text.to_owned() }
}

fn ascii(c: char) -> char {
    match c {
        '─' | '·' | '–' | '—' => '-',
        '│' | '▕' | '▏' => '|',
        '├' | '└' | '╮' | '╰' | '╯' | '✔' => '+',
        '█' => '#',
        '░' => '.',
        '…' => '~',
        '→' | '▶' => '>',
        '↑' | '▲' => '^',
        '↓' | '▼' => 'v',
        '○' => 'o',
        '•' => '*',
        '✖' | '×' => 'x',
        c if c.is_ascii() => c,
        _ => '?',
    }
}

/// A bar of `width` columns with its ends, filled to `done` of `total`.
pub(super) fn bar(theme: Theme, width: u16, done: u64, total: u64) -> String {
    let inner = u64::from(width.saturating_sub(2));
    let eighths = part(done, total, inner * 8);
    let at = |n: u64| usize::try_from(n).unwrap_or(0);
    if theme.ascii {
        let full = at(eighths / 8);
        return format!("[{}{}]", "#".repeat(full), " ".repeat(at(inner).saturating_sub(full)));
    }
    let mut text = "█".repeat(at(eighths / 8));
    if eighths % 8 > 0 {
        text.push(['▏', '▎', '▍', '▌', '▋', '▊', '▉'][at(eighths % 8 - 1).min(6)]);
    }
    let free = at(inner).saturating_sub(text.chars().count());
    format!("▕{text}{}▏", " ".repeat(free))
}

/// `whole × done ÷ total`, never more than `whole`.
pub(super) fn part(done: u64, total: u64, whole: u64) -> u64 {
    if total == 0 {
        return 0;
    }
    let value = u128::from(whole) * u128::from(done.min(total)) / u128::from(total);
    u64::try_from(value).unwrap_or(whole)
}

/// How long something took: `340 ms`, `1.2 s`, `12 s`, `4m38`, `1h05`, `2d03h`.
pub(super) fn took(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{ms} ms"),
        1..10 => format!("{s}.{} s", ms % 1000 / 100),
        10..60 => format!("{s} s"),
        60..3600 => format!("{}m{:02}", s / 60, s % 60),
        3600..86400 => format!("{}h{:02}", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86400, s % 86400 / 3600),
    }
}

/// How old something is: `12 s`, `14 m`, `27 h`, `2 d`.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let s = ms_between(since, now) / 1000;
    match s {
        0..60 => format!("{s} s"),
        60..7200 => format!("{} m", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86400),
    }
}

/// Milliseconds from `from` to `to`; 0 if that is not forward.
pub(super) fn ms_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.0.saturating_sub(from.0) / 1000).unwrap_or(0)
}

/// A clock of hours: `00:07:12`.
pub(super) fn hours(ms: u64) -> String {
    let s = ms / 1000;
    format!("{:02}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60)
}

/// Bytes in at most seven columns, powers of 1024: `812 B`, `44.7 MB`, `412 GB`.
pub(super) fn size(bytes: u64) -> String {
    let (mut unit, mut tenths) = (0, u128::from(bytes) * 10);
    while tenths >= 10_000 && unit < 6 {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    let name = ["B", "kB", "MB", "GB", "TB", "PB", "EB"][unit];
    if unit == 0 || tenths >= 1000 {
        format!("{} {name}", (tenths + 5) / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
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

/// A count and its word, which takes an s for all but one.
pub(super) fn counted(number: u64, word: &str) -> String {
    format!("{} {word}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A moment to the second, UTC: `2026-11-21 02:03:11`.
pub(super) fn second(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment as exactly as it is known, UTC: `2026-11-21 02:03:11.482 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.strip_suffix("+00").unwrap_or(&text))
}

/// The hour of a moment, UTC: `02:03:11`.
pub(super) fn clock(at: Timestamp) -> String {
    at.to_utc().format("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_ages_and_sizes_are_said_as_an_operator_says_them() {
        let all: Vec<String> = [0, 340, 1_250, 12_000, 278_000, 3_900_000, 183_600_000].map(took).into();
        assert_eq!(all, ["0 ms", "340 ms", "1.2 s", "12 s", "4m38", "1h05", "2d03h"]);
        let old = |s| age(Timestamp(0), Timestamp::from_unix_s(s));
        assert_eq!([old(12), old(840), old(97_200), old(180_000)], ["12 s", "14 m", "27 h", "2 d"]);
        assert_eq!(age(Timestamp(5), Timestamp(0)), "0 s");
        let all = [812, 1000, 46_871_347, 442_381_631_488, u64::MAX].map(size);
        assert_eq!(all, ["812 B", "1.0 kB", "44.7 MB", "412 GB", "16.0 EB"]);
        assert_eq!([count(7), count(1841), count(22_811_000)], ["7", "1 841", "22 811 000"]);
    }

    #[test]
    fn bars_fill_by_eighths_and_never_overflow() {
        let theme = Theme { colour: false, ascii: false };
        assert_eq!(bar(theme, 6, 5, 16), "▕█▎  ▏");
        assert_eq!(bar(theme, 6, 99, 16), "▕████▏");
        assert_eq!(bar(Theme { ascii: true, ..theme }, 6, 5, 16), "[#   ]");
        assert_eq!(bar(theme, 0, 1, 0), "▕▏");
    }

    #[test]
    fn text_is_wrapped_between_words_and_never_lost() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("ab", 0), "");
    }
}
