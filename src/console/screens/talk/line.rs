//! One line that says when whom is to be told next: the foot of a screen of an incident.

use crate::console::model::Model;
use crate::console::screens::paint::Sheet;
use crate::console::theme::State;
use crate::incident::Role;
use ratatui::style::Style;

/// Draws it as a rule at line `y`.
pub(in crate::console::screens) fn line(sheet: &mut Sheet<'_>, y: u16, model: &Model) {
    let theme = sheet.theme;
    let mut parts: Vec<(String, Style)> = Vec::new();
    if let Some(talk) = model.talk.value() {
        for due in &talk.due {
            let late = due.late_ms(model.now).is_some();
            let style = if late { theme.state(State::Late).patch(theme.strong()) } else { Style::new() };
            let mark = if late { "! " } else { "" };
            parts.push((format!("{mark}{} {}", due.audience.said(), due.said(model.now)), style));
        }
        if !talk.waiting.is_empty() {
            parts.push((format!("{} queued", talk.waiting.len()), theme.state(State::Late)));
        }
    }
    if parts.is_empty() {
        parts.push(("not known yet".to_owned(), theme.dim()));
    }
    parts.push(("C".to_owned(), theme.focus()));
    // What is cut off where a line is too long is the name.
    let holder = model.incident.as_ref().and_then(|view| view.standing.holder(Role::Comms));
    if let Some(holder) = holder {
        parts.push((holder.to_owned(), theme.dim()));
    }
    let parts: Vec<(&str, Style)> = parts.iter().map(|(text, style)| (text.as_str(), *style)).collect();
    sheet.rule_of(y, "COMMS", &parts);
}
