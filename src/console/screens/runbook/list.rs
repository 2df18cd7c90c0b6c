//! The picture of a runbook's list: every item as it stands, the chosen one with everything about it. However long the list
//! is, the chosen item is in sight.

use crate::console::screens::paint::Sheet;
use crate::console::theme::{State, Theme};
use crate::console::widgets::clock;
use crate::model::guide::{GuideItem, GuideView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// More lines than an item takes.
const TALLEST: u16 = 60;

/// Draws it.
pub(super) fn draw(sheet: &mut Sheet<'_>, guide: &GuideView, chosen: usize) {
    let items = &guide.node.items;
    let heights: Vec<u16> = items
        .iter()
        .enumerate()
        .map(|(at, item)| height(sheet.theme, sheet.width(), item, at == chosen))
        .collect();
    // One line above, one below: there what is out of sight is counted.
    let room = sheet.height().saturating_sub(2);
    let whole: u16 = heights.iter().sum();
    let first = if whole <= room + 1 { 0 } else { first(&heights, chosen, room) };
    if first > 0 {
        sheet.text(4, 0, &format!("… {first} before"), sheet.theme.dim());
    }
    let mut y = 1;
    for (at, (item, height)) in items.iter().zip(&heights).enumerate().skip(first) {
        let is_last = at + 1 == items.len();
        if at > first && y + height > room + 1 + u16::from(is_last) {
            let left = items.len() - at;
            sheet.text(4, sheet.height().saturating_sub(1), &format!("… {left} after"), sheet.theme.dim());
            break;
        }
        draw_item(&mut sheet.below(y), item, at == chosen);
        y += height;
    }
}

/// The first item that is drawn, so that the chosen one has room below it.
fn first(heights: &[u16], chosen: usize, room: u16) -> usize {
    let mut used = 0_u16;
    let before = heights.iter().take(chosen + 1).rev().take_while(|height| {
        used = used.saturating_add(**height);
        used <= room
    });
    (chosen + 1).saturating_sub(before.count().max(1))
}

/// How many lines an item takes: it is drawn where nobody sees it.
fn height(theme: Theme, width: u16, item: &GuideItem, is_chosen: bool) -> u16 {
    let area = Rect { x: 0, y: 0, width, height: TALLEST };
    let mut buffer = Buffer::empty(area);
    draw_item(&mut Sheet::new(theme, area, &mut buffer), item, is_chosen)
}

/// Draws an item; the lines it took.
fn draw_item(sheet: &mut Sheet<'_>, item: &GuideItem, is_chosen: bool) -> u16 {
    let theme = sheet.theme;
    let (mark, style) = match item.done {
        Some(true) if item.not_applicable => ("[-]", theme.state(State::Ok)),
        Some(true) => ("[x]", theme.state(State::Ok)),
        Some(false) => ("[!]", theme.state(State::Failed)),
        None if item.holds_by_itself() => ("[ ]", theme.state(State::Ok)),
        None => ("[ ]", Style::new()),
    };
    sheet.text(0, 0, mark, style);
    if item.holds_by_itself() {
        sheet.text(1, 0, theme.symbol(State::Ok), theme.state(State::Ok));
    }
    let must = if item.blocking { "" } else { " (advisory)" };
    let text = format!("{}{must}", item.text);
    let style = if is_chosen { theme.strong() } else { Style::new() };
    let mut y = sheet.wrapped(4, 0, &text, style).max(1);
    if !is_chosen {
        return y;
    }
    sheet.text(3, 0, "▸", theme.focus());
    y += sheet.wrapped(4, y, item.why.as_deref().unwrap_or_default(), theme.dim());
    if let Some(seen) = &item.seen {
        let state = match seen.holds {
            Some(true) => State::Ok,
            Some(false) => State::Failed,
            None => State::Unknown,
        };
        let mark = (theme.symbol(state), theme.state(state));
        y += sheet.part(4, y, u16::MAX, u16::MAX).said(0, mark, &seen.text, Style::new());
    }
    if let Some((by, when)) = &item.by {
        let note = item.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        y += sheet.wrapped(4, y, &format!("{by}, {}{note}", clock(*when)), theme.dim());
    }
    y
}
