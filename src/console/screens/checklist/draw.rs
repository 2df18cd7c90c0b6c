//! The picture of the checklists: a line per item, and below them everything about the chosen one.

use super::{LISTS, seen};
use crate::console::model::Model;
use crate::console::screens::incident;
use crate::console::screens::paint::Sheet;
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, age, clock, cut, cut_at_word, time, width};
use crate::incident::checklist::{self, ITEMS, Item};
use crate::incident::standing::{Standing, Tick};
use crate::incident::{IncidentView, TickResult};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Lines of the chosen item, its rule included.
const DETAIL: u16 = 7;

/// A line of the lists.
enum Line {
    /// Where a list begins.
    List(&'static str),
    /// An item: its number.
    Item(usize, &'static Item),
}

/// Draws it.
pub(super) fn screen(model: &Model, selected: Selection, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut sheet = Sheet::new(theme, area, buffer);
    let Some(view) = incident::shown(model) else {
        let what = "What must be so before and after a restore is ticked in an incident.";
        return incident::none(&mut sheet, model, "CHECKLIST", what);
    };
    let lines = lines();
    let room = sheet.height().saturating_sub(DETAIL);
    let mut place = Selection::default();
    let is_chosen = |line: &Line| matches!(line, Line::Item(at, _) if *at == selected.at());
    place.choose(lines.iter().position(is_chosen).unwrap_or(0));
    let first = place.first(lines.len(), usize::from(room));
    for (y, line) in (0..room).zip(lines.iter().skip(first)) {
        match line {
            Line::List(list) => sheet.rule(y, &list.to_uppercase(), &standing_of(&view.standing, list)),
            Line::Item(_, item) => row(&mut sheet, y, item, view),
        }
        if is_chosen(line) {
            sheet.restyle(y, theme.chosen());
        }
    }
    if let Some(item) = ITEMS.get(selected.at()) {
        let y = room.min(u16::try_from(lines.len()).unwrap_or(room));
        detail(&mut sheet.below(y), item, view, model);
    }
}

fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for list in LISTS {
        lines.push(Line::List(list));
        let items = ITEMS.iter().enumerate().filter(|(_, item)| item.list == list);
        lines.extend(items.map(|(at, item)| Line::Item(at, item)));
    }
    lines
}

/// How a list stands, in a few words.
fn standing_of(standing: &Standing, list: &str) -> String {
    let blocking = checklist::items(list).filter(|item| checklist::stops(standing, item)).count();
    match blocking {
        0 => "nothing blocks".to_owned(),
        1 => "1 blocking item is open".to_owned(),
        number => format!("{number} blocking items are open"),
    }
}

fn mark(tick: Option<&Tick>) -> (&'static str, Option<State>) {
    match tick.map(|tick| tick.result) {
        None => ("[ ]", None),
        Some(TickResult::Ok) => ("[x]", Some(State::Ok)),
        Some(TickResult::NotApplicable) => ("[-]", Some(State::Ok)),
        Some(TickResult::Failed) => ("[!]", Some(State::Failed)),
        Some(TickResult::Unknown) => ("[?]", Some(State::Unknown)),
    }
}

fn row(sheet: &mut Sheet<'_>, y: u16, item: &Item, view: &IncidentView) {
    let theme = sheet.theme;
    let tick = checklist::tick(&view.standing, item);
    let (mark, state) = mark(tick);
    sheet.text(0, y, mark, state.map_or_else(Style::new, |state| theme.state(state)));
    let by = match tick {
        Some(tick) if tick.automatic => format!("seen {}", clock(tick.at)),
        Some(tick) => format!("{} {}", cut(&tick.by, 10), clock(tick.at)),
        None if item.blocking => String::new(),
        None => "advisory".to_owned(),
    };
    let room = u16::try_from(width(&by)).unwrap_or(0) + u16::from(!by.is_empty());
    let text = sheet.width().saturating_sub(4 + room);
    let style = if tick.is_some() || !item.blocking { Style::new() } else { theme.strong() };
    sheet.text(4, y, &cut_at_word(item.text, text.into()), style);
    sheet.right(sheet.width().saturating_sub(room), y, room, &by, theme.dim());
}

/// Everything about an item.
fn detail(sheet: &mut Sheet<'_>, item: &Item, view: &IncidentView, model: &Model) {
    let theme = sheet.theme;
    let kind = if item.blocking { "blocking" } else { "advisory" };
    sheet.rule(0, item.id, kind);
    let mut y = 1 + sheet.wrapped(2, 1, item.text, theme.strong()).min(2);
    y += sheet.wrapped(2, y, item.why, theme.dim()).min(2);
    let tick = checklist::tick(&view.standing, item);
    if let Some(tick) = tick {
        let (_, state) = mark(Some(tick));
        let state = state.unwrap_or(State::Unknown);
        let what = if tick.detail.is_empty() { String::new() } else { format!(": {}", tick.detail) };
        let how = if tick.automatic { "looked at by the program for " } else { "" };
        let text = format!(
            "{}, {how}{}, {} ({}){what}",
            tick.result.said(),
            tick.by,
            time(tick.at, model.now),
            age(tick.at, model.now)
        );
        y += sheet.said(y, (theme.symbol(state), theme.state(state)), &text, Style::new());
    }
    match (seen::seen(model, item), item.probe) {
        (Some((state, text)), _) => {
            sheet.said(
                y,
                (theme.symbol(state), theme.state(state)),
                &format!("seen now: {text}"),
                Style::new(),
            );
        }
        (None, Some(probe)) if tick.is_none() => {
            let text = if probe.starts_with("plan") {
                "the plan looks at this; there is none yet: t"
            } else {
                "the recovery looks at this; it has not come so far"
            };
            sheet.text(3, y, text, theme.dim());
        }
        _ => {}
    }
}
