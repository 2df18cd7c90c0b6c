//! How windows look: one frame in the middle, or for a filter one line at the bottom.

use super::palette::Palette;
use super::{Confirmation, Field, Window};
use crate::console::keymap::Binding;
use crate::console::model::Model;
use crate::console::screens::{Asked, Screen};
use crate::console::theme::{State, Theme};
use crate::console::widgets::{left, lines, put};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget as _};

/// What a window is drawn with.
pub(in crate::console) struct Canvas<'a> {
    pub(in crate::console) model: &'a Model,
    /// The screen below.
    pub(in crate::console) screen: &'a dyn Screen,
    pub(in crate::console) theme: Theme,
    pub(in crate::console) bindings: &'a [Binding],
    /// The screen's place; the line below it is the one for filters.
    pub(in crate::console) area: Rect,
    pub(in crate::console) below: Rect,
}

impl Window {
    /// Draws it over what is there.
    pub(in crate::console) fn draw(&self, on: &Canvas<'_>, buffer: &mut Buffer) {
        match self {
            Self::Help(scroll) => {
                let text = help(on);
                framed(on, buffer, "KEYS", &text, *scroll, "Up/Down scroll  Esc back");
            }
            Self::Text { title, lines, scroll } => text_window(on, buffer, title, lines, *scroll),
            Self::Palette(palette) => palette_window(on, buffer, palette),
            Self::Ask { then: Asked::Filter, field, .. } => {
                Clear.render(on.below, buffer);
                put(buffer, on.below, input("/", field, on.below.width, on.theme));
            }
            Self::Ask { title, text, field, refused, then } => {
                let mut shown = wrapped(text, on);
                shown.push(Line::default());
                shown.push(input("> ", field, inner_width(on), on.theme));
                let meant = on.screen.typed(on.model, *then, field.text());
                shown.extend(wrapped(&meant, on));
                shown.push(refusal(refused.as_deref(), on.theme));
                framed(on, buffer, title, &shown, 0, "Enter take it  Esc back");
            }
            Self::Confirm(confirmation) => confirm_window(on, buffer, confirmation),
        }
    }
}

fn confirm_window(on: &Canvas<'_>, buffer: &mut Buffer, asked: &Confirmation) {
    let mut shown = wrapped(&asked.text, on);
    shown.push(Line::default());
    shown.push(Line::from(vec![
        Span::raw("Type "),
        Span::styled(asked.word.clone(), on.theme.strong()),
        Span::raw(" to do this. Anything else does nothing."),
    ]));
    shown.push(input("> ", &asked.field, inner_width(on), on.theme));
    shown.push(refusal(asked.refused.as_deref(), on.theme));
    framed(on, buffer, &asked.title, &shown, 0, "Esc no, go back (default)");
}

fn text_window(on: &Canvas<'_>, buffer: &mut Buffer, title: &str, text: &[String], scroll: usize) {
    let skipped =
        text.iter().take(scroll).map(|line| lines(line, usize::from(inner_width(on))).len().max(1)).sum();
    framed(on, buffer, title, &wrapped(text, on), skipped, "Up/Down scroll  Esc back");
}

fn palette_window(on: &Canvas<'_>, buffer: &mut Buffer, palette: &Palette) {
    let theme = on.theme;
    let rows = palette.rows(on.model);
    let room = usize::from(on.area.height).saturating_sub(6).max(1);
    let first = palette.at().saturating_sub(room - 1);
    let mut shown = vec![input(":", &palette.field, inner_width(on), theme)];
    let width = usize::from(inner_width(on));
    for (number, row) in rows.iter().enumerate().skip(first).take(room) {
        let about = row.why_not.as_deref().unwrap_or(row.about);
        let text = left(&format!("{} {about}", left(row.name, 16)), width);
        let style = match (number == palette.at(), row.why_not.is_some()) {
            (true, _) => theme.chosen(),
            (false, true) => theme.dim(),
            (false, false) => Style::new(),
        };
        shown.push(Line::styled(text, style));
    }
    if rows.is_empty() {
        shown.push(Line::styled("no command of this name", theme.dim()));
    }
    shown.push(refusal(palette.refused.as_deref(), theme));
    framed(on, buffer, "COMMAND", &shown, 0, "Enter do it  Tab next  Esc back");
}

/// The keys of the screen, then those of every screen; what cannot be used now with its reason.
fn help(on: &Canvas<'_>) -> Vec<Line<'static>> {
    let theme = on.theme;
    let mut shown = Vec::new();
    for binding in on.bindings {
        let keys: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
        let is_off = binding.disabled.is_some();
        let (key, text) = if is_off { (theme.dim(), theme.dim()) } else { (theme.focus(), Style::new()) };
        let wrapped = |text: &str| lines(text, usize::from(inner_width(on)).saturating_sub(12));
        let heads = std::iter::once(left(&keys.join(" "), 12)).chain(std::iter::repeat(" ".repeat(12)));
        for (line, head) in wrapped(&binding.help).into_iter().zip(heads) {
            shown.push(Line::from(vec![Span::styled(head, key), Span::styled(line, text)]));
        }
        let why = binding.disabled.iter().flat_map(|why| wrapped(&format!("not now: {why}")));
        shown.extend(
            why.map(|line| Line::styled(format!("{}{line}", " ".repeat(12)), theme.state(State::Late))),
        );
    }
    shown
}

fn refusal(why: Option<&str>, theme: Theme) -> Line<'static> {
    match why {
        Some(why) => Line::styled(format!("{} {why}", theme.symbol(State::Late)), theme.state(State::Late)),
        None => Line::default(),
    }
}

/// The line being typed, its cursor reversed.
fn input(prompt: &'static str, field: &Field, width: u16, theme: Theme) -> Line<'static> {
    let room = usize::from(width).saturating_sub(prompt.len()).max(3);
    let [before, under, behind] = field.shown(room);
    Line::from(vec![
        Span::styled(prompt, theme.focus()),
        Span::raw(before),
        Span::styled(under, theme.chosen()),
        Span::raw(behind),
    ])
}

fn inner_width(on: &Canvas<'_>) -> u16 {
    on.area.width.saturating_sub(8).min(88)
}

fn wrapped(text: &[String], on: &Canvas<'_>) -> Vec<Line<'static>> {
    let width = usize::from(inner_width(on));
    let broken = text.iter().flat_map(|line| {
        let parts = lines(line, width);
        if parts.is_empty() { vec![String::new()] } else { parts }
    });
    broken.map(Line::from).collect()
}

/// A frame in the middle of the screen, as high as its lines need; `keys` stand in its lower edge.
fn framed(on: &Canvas<'_>, buffer: &mut Buffer, title: &str, shown: &[Line<'_>], scroll: usize, keys: &str) {
    let width = (inner_width(on) + 4).min(on.area.width);
    let wanted = u16::try_from(shown.len()).unwrap_or(u16::MAX).saturating_add(2);
    let height = wanted.min(on.area.height);
    let place = Rect {
        x: on.area.x + (on.area.width - width) / 2,
        y: on.area.y + (on.area.height - height) / 3,
        width,
        height,
    };
    Clear.render(place, buffer);
    let block = Block::bordered()
        .title(Span::styled(format!(" {title} "), on.theme.strong()))
        .title_bottom(Line::styled(format!(" {keys} "), on.theme.dim()).right_aligned());
    let inside = block.inner(place);
    block.render(place, buffer);
    let room = usize::from(inside.height);
    let first = scroll.min(shown.len().saturating_sub(room));
    for (number, line) in shown.iter().skip(first).take(room).enumerate() {
        let y = inside.y + u16::try_from(number).unwrap_or(0);
        let row = Rect { x: inside.x + 1, y, width: inside.width.saturating_sub(2), height: 1 };
        put(buffer, row, line.clone());
    }
    if first + room < shown.len() {
        let more = Rect {
            x: place.right().saturating_sub(3),
            y: inside.bottom().saturating_sub(1),
            width: 1,
            height: 1,
        };
        put(buffer, more, Span::styled("▼", on.theme.focus()));
    }
}
