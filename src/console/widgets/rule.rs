//! Rules with titles, and the one upright line between two panes. Sections are told by rules, never by boxes.

use super::text::put;
use crate::console::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// How an upright line meets a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    /// It goes on below.
    Below,
    /// It comes from above.
    Above,
    /// It crosses.
    Cross,
}

/// A rule over the first line of `area` with a title: `─ CLUSTER ─────`.
pub fn rule<'a>(buffer: &mut Buffer, area: Rect, title: impl Into<Line<'a>>, theme: Theme) {
    let line = Rect { height: area.height.min(1), ..area };
    buffer.set_stringn(
        line.x,
        line.y,
        "─".repeat(usize::from(line.width)),
        if line.is_empty() { 0 } else { usize::from(line.width) },
        theme.dim(),
    );
    let title = title.into();
    if title.width() == 0 || line.width < 6 {
        return;
    }
    let mut spans = vec![Span::raw(" ")];
    spans.extend(title.spans.iter().map(|span| span.clone().patch_style(title.style)));
    spans.push(Span::raw(" "));
    let place = Rect { x: line.x + 1, width: line.width - 2, ..line };
    // The title stands out of its rule: what the rule's style was does not shine through.
    let taken = u16::try_from(title.width() + 2).unwrap_or(u16::MAX).min(place.width);
    buffer.set_style(Rect { width: taken, ..place }, Style::reset());
    put(buffer, place, Line::from(spans));
}

/// A rule with two titles and an upright line beginning at column `at` of `area`: `─ CLUSTER ──┬─ PROTECTION ──`.
pub fn split_rule<'a>(
    buffer: &mut Buffer,
    area: Rect,
    at: u16,
    titles: [impl Into<Line<'a>>; 2],
    theme: Theme,
) {
    let at = at.min(area.width);
    let [first, second] = titles;
    rule(buffer, Rect { width: at, ..area }, first, theme);
    let rest = Rect { x: area.x + at, width: area.width - at, ..area };
    rule(buffer, Rect { x: rest.x, width: rest.width.min(1), ..rest }, Line::default(), theme);
    rule(
        buffer,
        Rect { x: rest.x + rest.width.min(1), width: rest.width.saturating_sub(1), ..rest },
        second,
        theme,
    );
    joint(buffer, area.x + at, area.y, Joint::Below, theme);
}

/// Marks where an upright line meets a rule.
pub fn joint(buffer: &mut Buffer, x: u16, y: u16, joint: Joint, theme: Theme) {
    if let Some(cell) = buffer.cell_mut((x, y)) {
        cell.set_symbol(match joint {
            Joint::Below => "┬",
            Joint::Above => "┴",
            Joint::Cross => "┼",
        });
        cell.set_style(theme.dim());
    }
}

/// An upright line at the left edge of `area`, from its top to its bottom.
pub fn upright(buffer: &mut Buffer, area: Rect, theme: Theme) {
    for y in area.top()..area.bottom() {
        if let Some(cell) = buffer.cell_mut((area.x, y)) {
            cell.set_symbol("│");
            cell.set_style(theme.dim());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEME: Theme = Theme { colour: true, ascii: false };

    fn text(draw: impl Fn(&mut Buffer, Rect)) -> Vec<String> {
        let area = Rect::new(0, 0, 24, 2);
        let mut buffer = Buffer::empty(area);
        draw(&mut buffer, area);
        buffer.set_style(area, Style::reset());
        (0..2).map(|y| (0..24).map(|x| buffer[(x, y)].symbol().to_owned()).collect()).collect()
    }

    #[test]
    fn rules_carry_their_titles() {
        assert_eq!(text(|b, a| rule(b, a, "CLUSTER", THEME))[0], "─ CLUSTER ──────────────");
        assert_eq!(text(|b, a| rule(b, a, "", THEME))[0], "─".repeat(24));
        assert_eq!(text(|b, a| split_rule(b, a, 12, ["ONE", "TWO"], THEME))[0], "─ ONE ──────┬─ TWO ─────");
        let long = text(|b, a| rule(b, a, "A TITLE THAT IS MUCH TOO LONG", THEME));
        assert_eq!(long[0], "─ A TITLE THAT IS MUCH…─");
    }

    #[test]
    fn nothing_fails_where_there_is_no_room() {
        for width in 0..8 {
            for height in 0..3 {
                let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
                let area = Rect::new(0, 0, width, height);
                rule(&mut buffer, area, "TITLE", THEME);
                split_rule(&mut buffer, area, 3, ["A", "B"], THEME);
                upright(&mut buffer, Rect { x: 3, width: 1, ..area }, THEME);
            }
        }
    }
}
