//! The head of a journal: what the incident is, its clock against the target, and where the time went.

use crate::base::Timestamp;
use crate::console::screens::paint::{Sheet, flow, hours, lasting, share};
use crate::console::theme::State;
use crate::console::widgets::{bar, duration, elapsed, moment, width};
use crate::incident::{IncidentView, PhaseTime};
use ratatui::style::Style;

/// From this width on the phases are a bar.
const BAR: u16 = 100;

/// What the recovery took: measured once service is back, else running.
pub(in crate::console::screens) fn elapsed_ms(incident: &IncidentView, now: Timestamp) -> u64 {
    incident.rto_ms.unwrap_or_else(|| elapsed(incident.detected_at, incident.closed_at.unwrap_or(now)))
}

/// Whether the target is kept: ok while there is time, late past 80 percent, failed past the target.
pub(in crate::console::screens) fn judged(elapsed_ms: u64, rto_s: u64) -> State {
    let target_ms = rto_s.saturating_mul(1000);
    match elapsed_ms {
        ms if ms > target_ms => State::Failed,
        ms if ms > target_ms / 5 * 4 => State::Late,
        _ => State::Ok,
    }
}

/// In a word: closed, served again, or open.
pub(in crate::console::screens) fn stands(incident: &IncidentView) -> &'static str {
    match (incident.closed_at, incident.rto_ms) {
        (Some(_), Some(_)) => "closed",
        (Some(_), None) => "closed unserved",
        (None, Some(_)) => "service back",
        (None, None) => "open",
    }
}

/// Draws it. Returns the lines it took.
pub(super) fn draw(sheet: &mut Sheet<'_>, incident: &IncidentView, now: Timestamp) -> u16 {
    let theme = sheet.theme;
    let label = incident.label.as_deref().unwrap_or_default();
    sheet.rule(
        0,
        "INCIDENT",
        &[&incident.id, incident.stanza.as_str(), label, stands(incident)].join(" ").replace("  ", " "),
    );
    let mut y = 1 + sheet.below(1).wrapped(1, 0, &incident.reason, theme.strong()).max(1);
    let spent = elapsed_ms(incident, now);
    let state = judged(spent, incident.rto_s);
    let target = incident.rto_s.saturating_mul(1000);
    let style = theme.state(state);
    let mut x = sheet.text(1, y, "RTO ", theme.dim());
    x = sheet.text(x, y, &hours(spent), style.patch(theme.strong()));
    x = sheet.text(x, y, &format!(" of {} ", hours(target)), theme.dim());
    x = sheet.text(x, y, &bar(22, spent, target), style);
    let words = match (state, incident.rto_ms.is_some()) {
        (State::Failed, _) => {
            format!("{} over the target", lasting(spent.saturating_sub(target)))
        }
        (_, true) => "kept".to_owned(),
        _ => format!("{} left", lasting(target.saturating_sub(spent))),
    };
    x = sheet.pieces(x + 1, y, &[(theme.symbol(state), style), (" ", style), (&words, Style::new())]);
    let detected = format!("detected {} UTC", moment(incident.detected_at));
    if usize::from(x) + 2 + width(&detected) < usize::from(sheet.width()) {
        sheet.right(x, y, sheet.width().saturating_sub(x + 1), &detected, theme.dim());
    }
    y += 1;
    y + phases(&mut sheet.below(y), &incident.phases)
}

fn phases(sheet: &mut Sheet<'_>, phases: &[PhaseTime]) -> u16 {
    if phases.is_empty() {
        return 0;
    }
    let mut y = 0;
    if sheet.width() >= BAR {
        phase_bar(sheet, phases);
        y = 1;
    }
    let words: Vec<String> = phases
        .iter()
        .enumerate()
        .map(|(at, phase)| format!("{} {} {}", letter(at), phase.name, duration(phase.took_ms)))
        .collect();
    let dim = sheet.theme.dim();
    for line in flow(&words, " · ", usize::from(sheet.width().saturating_sub(2))) {
        sheet.text(1, y, &line, dim);
        y += 1;
    }
    y
}

/// The sign of a phase, in its bar and before its name.
fn letter(at: usize) -> char {
    char::from(b'a' + u8::try_from(at % 26).unwrap_or(0))
}

/// Every phase with as many columns as it has a share of the time, but at least one.
fn phase_bar(sheet: &mut Sheet<'_>, phases: &[PhaseTime]) {
    let total: u64 = phases.iter().map(|phase| phase.took_ms).fold(0, u64::saturating_add);
    let room = u64::from(sheet.width().saturating_sub(2)).saturating_sub(phases.len() as u64);
    let mut x = 1;
    for (at, phase) in phases.iter().enumerate() {
        let width = 1 + usize::try_from(share(phase.took_ms, total, room)).unwrap_or(0);
        let style = if at % 2 == 0 { sheet.theme.chosen() } else { sheet.theme.focus() };
        x = sheet.text(x, 0, &letter(at).to_string().repeat(width), style);
    }
}
