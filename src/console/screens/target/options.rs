//! The form as it is drawn: kinds of target, what was filled in, what is wrong with it, and the echo of a time.

use super::form::{Choice, Form, ROWS, Row, right_moments};
use crate::base::{TargetTime, Timestamp};
use crate::console::model::Model;
use crate::console::screens::paint::{Sheet, exactly};
use crate::console::theme::State;
use crate::console::widgets::{age, beside};
use ratatui::style::Style;

/// Columns of the names.
const NAMES: u16 = 21;

/// Draws the form; `cursor` is the line the next key works on. Returns the lines it took.
pub(super) fn draw(sheet: &mut Sheet<'_>, model: &Model, form: &Form, cursor: Option<usize>) -> u16 {
    sheet.rule(0, "RECOVER TO", "");
    let mut y = 1;
    for (at, row) in ROWS.into_iter().enumerate() {
        if row == Row::Timeline {
            sheet.rule(y, "HOW", "");
            y += 1;
        }
        y += draw_row(&mut sheet.below(y), model, form, row, Some(at) == cursor);
    }
    y
}

fn draw_row(sheet: &mut Sheet<'_>, model: &Model, form: &Form, row: Row, here: bool) -> u16 {
    let theme = sheet.theme;
    let sign = match row {
        Row::Choice(choice) if choice == form.choice => "(•)",
        Row::Choice(_) => "( )",
        Row::Exclusive if form.exclusive && form.can_be_exclusive() => "[x]",
        Row::Asks if form.asks => "[x]",
        Row::Exclusive | Row::Asks => "[ ]",
        Row::Timeline | Row::Set => "   ",
    };
    let style = if here { theme.focus().patch(theme.strong()) } else { Style::new() };
    sheet.text(0, 0, if here { "▶" } else { " " }, style);
    let x = sheet.text(2, 0, sign, style);
    sheet.text(x + 1, 0, row.name(), style);
    let mut lines = 1;
    if row.has_text() {
        let text = form.text(row);
        let shown = match (text, row) {
            ("", Row::Timeline) => "the cluster's own".to_owned(),
            ("", Row::Set) => "chosen by the plan".to_owned(),
            ("", _) => "[ ]".to_owned(),
            (text, _) => format!("[{text}]"),
        };
        sheet.text(NAMES + 2, 0, &shown, if text.is_empty() { theme.dim() } else { Style::new() });
    }
    let mut note = |sheet: &mut Sheet<'_>, text: &str, style: Style| {
        lines += sheet.below(lines).wrapped(6, 0, text, style);
    };
    if row == Row::Choice(form.choice) && row.has_text() && form.text(row).is_empty() {
        note(sheet, &format!("to be filled in: {}", row.form()), theme.dim());
    } else if let Some(error) = form.error(row, model) {
        note(sheet, &format!("{} {error}", theme.symbol(State::Failed)), theme.state(State::Failed));
    } else if row == Row::Choice(Choice::Time) {
        if let Ok(time) = TargetTime::parse(form.text(row)) {
            note(sheet, &echo(&time, model), theme.dim());
        }
    } else if row == Row::Choice(Choice::LastRight) {
        match (super::form::no_right_moment(model), right_moments(model)) {
            (None, [first, rest @ ..]) => note(sheet, &last_right(*first, rest, model.now), theme.dim()),
            (why, _) => note(sheet, why.unwrap_or_default(), theme.dim()),
        }
    } else if row == Row::Exclusive && !form.can_be_exclusive() {
        sheet.text(x + 2 + 27, 0, "not for this target", theme.dim());
    }
    lines
}

fn last_right(first: Timestamp, rest: &[Timestamp], now: Timestamp) -> String {
    let earlier = match rest.len() {
        0 => "no earlier one to fall back on".to_owned(),
        1 => "1 earlier one to fall back on".to_owned(),
        number => format!("{number} earlier ones to fall back on"),
    };
    format!("{}, {} ago; {earlier}", exactly(first), age(first, now))
}

/// A time as it was understood: UTC, local, how long ago.
fn echo(time: &TargetTime, model: &Model) -> String {
    let now = model.now;
    let ago = if time.at > now {
        format!("in {}: in the future", age(now, time.at))
    } else {
        format!("{} ago", age(time.at, now))
    };
    let local = match beside(time.at, model.zone) {
        text if text.is_empty() => text,
        text => format!(" · {text} here"),
    };
    let zone = if time.zone_assumed { " · read as this host's time" } else { "" };
    format!("= {}{local} · {ago}{zone}", exactly(time.at))
}

/// The same while it is being typed: what it would mean, or what is wrong.
pub(super) fn typed(row: Row, text: &str, model: &Model) -> Vec<String> {
    let mut form = Form::default();
    if let Row::Choice(choice) = row {
        form.choice = choice;
    }
    text.clone_into(&mut form.texts[super::form::number(row)]);
    match form.error(row, model) {
        Some(error) => vec![error],
        None if row == Row::Choice(Choice::Time) => {
            TargetTime::parse(text).map(|time| echo(&time, model)).into_iter().collect()
        }
        None => Vec::new(),
    }
}
