//! The picture of the people: roles, tasks, follow-ups, and what else stops a close.

use super::{Row, rows};
use crate::base::Timestamp;
use crate::console::model::Model;
use crate::console::screens::incident;
use crate::console::screens::paint::{Sheet, counted, since};
use crate::console::theme::{State, Theme};
use crate::console::widgets::{Selection, age, left, lines, time, width};
use crate::incident::standing::{FollowUp, Standing, Task};
use crate::incident::{IncidentView, Role};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A line of the screen.
enum Item {
    /// Where a section begins.
    Rule(&'static str, String),
    /// Something to choose, or only to read.
    Line { row: Option<Row>, sign: Option<State>, text: String, style: Style },
}

/// Draws it.
pub(super) fn screen(model: &Model, selected: Selection, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut sheet = Sheet::new(theme, area, buffer);
    let Some(view) = incident::shown(model) else {
        let what = "Roles, tasks and follow-ups belong to an incident.";
        return incident::none(&mut sheet, model, "PEOPLE", what);
    };
    let columns = usize::from(sheet.width()).saturating_sub(2);
    let items: Vec<Item> =
        items(view, model, theme).into_iter().flat_map(|item| wrapped(item, columns)).collect();
    let chosen = rows(&view.standing).get(selected.at()).copied();
    let is_chosen = |item: &Item| matches!(item, Item::Line { row: Some(row), .. } if Some(*row) == chosen);
    let mut place = Selection::default();
    place.choose(items.iter().position(is_chosen).unwrap_or(0));
    let first = place.first(items.len(), usize::from(sheet.height()));
    for (y, item) in (0..sheet.height()).zip(items.iter().skip(first)) {
        draw(&mut sheet, y, item);
        if is_chosen(item) {
            sheet.restyle(y, theme.chosen());
        }
    }
}

/// A line that is too long goes on below itself; what is padded at its beginning stays so.
fn wrapped(item: Item, columns: usize) -> Vec<Item> {
    let Item::Line { row, sign, text, style } = item else { return vec![item] };
    let fits = |end: &usize| width(text.get(..*end).unwrap_or_default()) <= columns;
    let cut = text.match_indices(' ').map(|(at, _)| at).rfind(fits).unwrap_or(0);
    if width(&text) <= columns || cut == 0 {
        return vec![Item::Line { row, sign, text, style }];
    }
    let (first, rest) = text.split_at(cut);
    let more = |line: String| Item::Line { row: None, sign: None, text: format!("    {line}"), style };
    let more: Vec<Item> = lines(rest.trim(), columns.saturating_sub(4)).into_iter().map(more).collect();
    std::iter::once(Item::Line { row, sign, text: first.to_owned(), style }).chain(more).collect()
}

fn draw(sheet: &mut Sheet<'_>, y: u16, item: &Item) {
    match item {
        Item::Rule(title, more) => sheet.rule(y, title, more),
        Item::Line { sign, text, style, .. } => {
            if let Some(state) = *sign {
                sheet.text(0, y, sheet.theme.symbol(state), sheet.theme.state(state));
            }
            sheet.text(2, y, text, *style);
        }
    }
}

fn items(view: &IncidentView, model: &Model, theme: Theme) -> Vec<Item> {
    let standing = &view.standing;
    let matters = model.open_matters();
    let stops = match matters.len() {
        0 => "nothing stops a close".to_owned(),
        number => format!("{} a close", counted(number as u64, "matter stops", "matters stop")),
    };
    let head = if view.closed_at.is_some() { "closed".to_owned() } else { stops };
    let mut items = vec![Item::Rule("PEOPLE", format!("{} · {head}", view.id))];
    let late = standing.open_tasks().filter(|task| task.is_late(model.now)).count();
    let open = standing.open_tasks().count();
    let tasks = if late > 0 { format!("{open} open, {late} late") } else { format!("{open} open") };
    let after = format!("{} open", standing.open_follow_ups().count());
    for row in rows(standing) {
        match row {
            Row::Role(role) => items.push(self::role(standing, role, row, model)),
            Row::Task(id) => {
                let known = standing.tasks.iter().find(|task| task.id == id);
                items.extend(known.map(|known| task(known, row, model.now, theme)));
            }
            Row::FollowUp(id) => {
                let known = standing.follow_ups.iter().find(|follow_up| follow_up.id == id);
                items.extend(known.map(|known| follow_up(known, row, model.now, theme)));
            }
        }
    }
    section(&mut items, "TASKS", tasks, "n gives somebody one", |row| matches!(row, Row::Task(_)), theme);
    section(
        &mut items,
        "FOLLOW-UPS",
        after,
        "f writes one down",
        |row| matches!(row, Row::FollowUp(_)),
        theme,
    );
    if !matters.is_empty() && view.closed_at.is_none() {
        items.push(Item::Rule("STOPS A CLOSE", "each is ended, or the close says that it is not".to_owned()));
        let line = |text| Item::Line { row: None, sign: Some(State::Late), text, style: Style::new() };
        items.extend(matters.into_iter().map(line));
    }
    items
}

/// Puts the title of a section before its first line, or behind everything with what to do where it has none.
fn section(
    items: &mut Vec<Item>,
    title: &'static str,
    more: String,
    empty: &str,
    belongs: impl Fn(Row) -> bool,
    theme: Theme,
) {
    let first =
        items.iter().position(|item| matches!(item, Item::Line { row: Some(row), .. } if belongs(*row)));
    if let Some(at) = first {
        items.insert(at, Item::Rule(title, more));
        return;
    }
    let behind_roles = 1 + Role::ALL.len();
    let at = if title == "TASKS" { behind_roles.min(items.len()) } else { items.len() };
    let line = Item::Line { row: None, sign: None, text: format!("none; {empty}"), style: theme.dim() };
    items.splice(at..at, [Item::Rule(title, more), line]);
}

fn role(standing: &Standing, role: Role, row: Row, model: &Model) -> Item {
    let name = left(role.said(), 17);
    let Some(held) = standing.roles.get(&role) else {
        let text = format!("{name} nobody: t takes it");
        return Item::Line { row: Some(row), sign: Some(State::Unknown), text, style: Style::new() };
    };
    let you = if held.holder == model.actor { " (you)" } else { "" };
    let since = format!("since {} ({})", time(held.since, model.now), age(held.since, model.now));
    let offered = held.offered_to.as_ref().map(|to| {
        let to = if *to == model.actor { "you: a acknowledges" } else { to };
        format!(", offered to {to}")
    });
    let sign = if offered.is_some() { State::Late } else { State::Ok };
    let holder = left(&format!("{}{you}", held.holder), 16);
    let text = format!("{name} {holder} {since}{}", offered.unwrap_or_default());
    Item::Line { row: Some(row), sign: Some(sign), text, style: Style::new() }
}

fn task(task: &Task, row: Row, now: Timestamp, theme: Theme) -> Item {
    let said = |how: &str| {
        let owner = left(&task.owner, 10);
        format!("{} {owner} {} {}", left(&format!("#{}", task.id), 4), left(how, 14), task.text)
    };
    let (sign, text, style) = match &task.end {
        None if task.is_late(now) => {
            let how = format!("LATE {}", since(task.due_at, now));
            (Some(State::Late), said(&how), theme.state(State::Late))
        }
        None => (None, said(&format!("{} left", since(now, task.due_at))), Style::new()),
        Some(end) => {
            let how = if end.done { "done" } else { "dropped" };
            let what = if end.text.is_empty() { String::new() } else { format!(": {}", end.text) };
            let sign = end.done.then_some(State::Ok);
            let text = said(&format!("{how} {}", time(end.at, now)));
            (sign, format!("{text} ({}{what})", end.by), theme.dim())
        }
    };
    Item::Line { row: Some(row), sign, text, style }
}

fn follow_up(follow_up: &FollowUp, row: Row, now: Timestamp, theme: Theme) -> Item {
    let today = now.to_utc().format("%Y-%m-%d").to_string();
    let (owner, id) = (left(&follow_up.owner, 10), left(&format!("#{}", follow_up.id), 4));
    let late = follow_up.done.is_none() && follow_up.due < today;
    let when = left(&format!("by {}{}", follow_up.due, if late { " LATE" } else { "" }), 14);
    let said = format!("{id} {owner} {when} {}", follow_up.text);
    let (sign, text, style) = if let Some(what) = &follow_up.done {
        let what = if what.is_empty() { String::new() } else { format!(" (done: {what})") };
        (Some(State::Ok), format!("{said}{what}"), theme.dim())
    } else {
        let style = if late { theme.state(State::Late) } else { Style::new() };
        (late.then_some(State::Late), said, style)
    };
    Item::Line { row: Some(row), sign, text, style }
}
