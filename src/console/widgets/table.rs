//! A table with fixed columns, one chosen line, and scrolling. It holds no rows: a screen gives what it shows.

use super::text::{left, put, right};
use crate::console::keymap::Cmd;
use crate::console::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// How far a page goes.
const PAGE: usize = 10;

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its title.
    pub title: &'static str,
    /// Its width; 0 for the one column that takes what is left.
    pub width: u16,
    /// Numbers stand at the right.
    pub right: bool,
}

impl Column {
    /// A column of text.
    pub const fn text(title: &'static str, width: u16) -> Self {
        Self { title, width, right: false }
    }

    /// A column of numbers.
    pub const fn number(title: &'static str, width: u16) -> Self {
        Self { title, width, right: true }
    }
}

/// Which line is chosen; always one that exists, if any does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selection {
    at: usize,
}

impl Selection {
    /// The chosen line.
    pub fn at(self) -> usize {
        self.at
    }

    /// Chooses a line.
    pub fn choose(&mut self, at: usize) {
        self.at = at;
    }

    /// Keeps it inside a list of this length.
    pub fn keep(&mut self, length: usize) {
        self.at = self.at.min(length.saturating_sub(1));
    }

    /// Moves through a list of this length; false if the command is no move.
    pub fn on(&mut self, cmd: Cmd, length: usize) -> bool {
        self.at = match cmd {
            Cmd::Up => self.at.saturating_sub(1),
            Cmd::Down => self.at.saturating_add(1),
            Cmd::PageUp => self.at.saturating_sub(PAGE),
            Cmd::PageDown => self.at.saturating_add(PAGE),
            Cmd::First => 0,
            Cmd::Last => usize::MAX,
            _ => return false,
        };
        self.keep(length);
        true
    }

    /// The first line shown, of `length`, where `height` lines have room: the chosen one stands near the middle.
    pub fn first(self, length: usize, height: usize) -> usize {
        self.at.saturating_sub(height / 2).min(length.saturating_sub(height))
    }
}

/// Draws titles and lines. A line has one span per column; the chosen line is reversed if `chosen` is given.
pub fn table(
    buffer: &mut Buffer,
    area: Rect,
    columns: &[Column],
    rows: &[Vec<Span<'_>>],
    chosen: Option<Selection>,
    theme: Theme,
) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let widths = widths(columns, area.width);
    let titles = columns.iter().map(|column| Span::raw(column.title)).collect::<Vec<_>>();
    put(buffer, area, line(&titles, columns, &widths).style(theme.dim()));
    let height = usize::from(area.height - 1);
    let first = chosen.map_or(0, |selection| selection.first(rows.len(), height));
    for (number, row) in rows.iter().enumerate().skip(first).take(height) {
        let y = area.y + 1 + u16::try_from(number - first).unwrap_or(0);
        let place = Rect { y, height: 1, ..area };
        put(buffer, place, line(row, columns, &widths));
        if chosen.is_some_and(|selection| selection.at == number) {
            buffer.set_style(place, theme.chosen());
        }
    }
}

/// The width of each column in `total`: what the fixed ones leave goes to the one without.
fn widths(columns: &[Column], total: u16) -> Vec<u16> {
    let gaps = u16::try_from(columns.len().saturating_sub(1)).unwrap_or(0) * 2;
    let fixed: u16 = columns.iter().map(|column| column.width).sum();
    let rest = total.saturating_sub(fixed.saturating_add(gaps));
    columns.iter().map(|column| if column.width == 0 { rest } else { column.width }).collect()
}

fn line<'a>(row: &[Span<'a>], columns: &[Column], widths: &[u16]) -> Line<'a> {
    let mut spans = Vec::new();
    for ((span, column), width) in row.iter().zip(columns).zip(widths) {
        let form = if column.right { right } else { left };
        if !spans.is_empty() {
            spans.push(Span::raw("  "));
        }
        spans.push(Span::styled(form(&span.content, usize::from(*width)), span.style));
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEME: Theme = Theme { colour: true, ascii: false };
    const COLUMNS: [Column; 3] =
        [Column::text("LABEL", 6), Column::number("SIZE", 5), Column::text("WHY", 0)];

    fn drawn(height: u16, chosen: usize) -> Vec<String> {
        let rows: Vec<Vec<Span<'_>>> = (0..20)
            .map(|n| vec![Span::raw(format!("row{n}")), Span::raw(n.to_string()), Span::raw("because")])
            .collect();
        let area = Rect::new(0, 0, 22, height);
        let mut buffer = Buffer::empty(area);
        table(&mut buffer, area, &COLUMNS, &rows, Some(Selection { at: chosen }), THEME);
        let line = |y| (0..22).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(line).collect()
    }

    #[test]
    fn columns_align_and_the_rest_takes_what_is_left() {
        assert_eq!(
            drawn(3, 0),
            ["LABEL    SIZE  WHY    ", "row0        0  because", "row1        1  because"]
        );
    }

    #[test]
    fn the_chosen_line_is_always_in_sight() {
        for chosen in 0..20 {
            for height in 2..25 {
                let lines = drawn(height, chosen);
                assert!(
                    lines.iter().any(|line| line.starts_with(&format!("row{chosen} "))),
                    "{chosen} {height}"
                );
            }
        }
        assert_eq!(drawn(1, 3).len(), 1);
    }

    #[test]
    fn a_selection_stays_in_its_list() {
        let mut selection = Selection::default();
        for (cmd, at) in
            [(Cmd::Up, 0), (Cmd::Down, 1), (Cmd::PageDown, 4), (Cmd::First, 0), (Cmd::Last, 4), (Cmd::Up, 3)]
        {
            assert!(selection.on(cmd, 5));
            assert_eq!(selection.at(), at, "{cmd:?}");
        }
        selection.keep(2);
        assert_eq!(selection.at(), 1);
        assert!(selection.on(Cmd::Last, 0));
        assert_eq!(selection.at(), 0);
        assert!(!selection.on(Cmd::Open, 5));
    }
}
