//! The trend: incidents and drills in the order of time, each with the share of its target that it took.
//!
//! Targets differ, so shares are compared, not times. What is not known of an incident has no bar.

use crate::base::Timestamp;
use crate::console::screens::journal::summary::elapsed_ms;
use crate::console::screens::paint::Sheet;
use crate::console::theme::{State, Theme};
use crate::incident::IncidentView;
use ratatui::style::Style;

/// Lines of the picture, its rule included.
pub(super) const HEIGHT: u16 = 7;
/// Lines of the bars.
const BARS: u16 = 5;
/// Columns of what stands before the bars.
const LABEL: u16 = 6;
/// Columns of a bar with the gap behind it.
const STEP: u16 = 3;
/// No bar is higher than twice the target; what is more has an arrow.
const MOST: u64 = 200;
/// The scale goes at least so far beyond the target.
const LEAST: u64 = 125;

/// The share of a target that was taken, percent.
type Share = fn(&IncidentView, Timestamp) -> Option<u64>;

fn percent(taken_ms: u64, limit_s: u64) -> u64 {
    let whole_ms = u128::from(limit_s.max(1)) * 1000;
    u64::try_from(u128::from(taken_ms) * 100 / whole_ms).unwrap_or(u64::MAX)
}

/// Of the recovery time: measured, or so far. One that was closed before service was back has none.
fn rto(view: &IncidentView, now: Timestamp) -> Option<u64> {
    let known = view.rto_ms.is_some() || view.closed_at.is_none();
    known.then(|| percent(elapsed_ms(view, now), view.rto_s))
}

/// Of the loss, where a plan told it.
fn rpo(view: &IncidentView, _now: Timestamp) -> Option<u64> {
    view.standing.loss.as_ref().map(|loss| percent(loss.lost_ms, view.rpo_s))
}

/// Draws it: at the left the recovery times, at the right the losses. `incidents` is newest first.
pub(super) fn draw(sheet: &mut Sheet<'_>, incidents: &[IncidentView], chosen: usize, now: Timestamp) {
    sheet.rule(0, "TREND", "share of the target, oldest left; i incident, d drill, line = target");
    let half = sheet.width() / 2;
    for (x, name, share) in [(0, "RTO", rto as Share), (half, "RPO", rpo as Share)] {
        let mut place = sheet.part(x, 1, half, HEIGHT - 1);
        let room = usize::from(place.width().saturating_sub(LABEL) / STEP);
        let (shown, chosen) = window(incidents, chosen, room);
        chart(&mut place, name, shown, chosen, share, now);
    }
}

/// The incidents that have room, the chosen one among them; and which it is.
fn window(incidents: &[IncidentView], chosen: usize, room: usize) -> (&[IncidentView], usize) {
    let first = (chosen + 1).saturating_sub(room).min(incidents.len());
    let last = (first + room).min(incidents.len());
    (&incidents[first..last], chosen - first.min(chosen))
}

fn chart(
    sheet: &mut Sheet<'_>,
    name: &str,
    shown: &[IncidentView],
    chosen: usize,
    share: Share,
    now: Timestamp,
) {
    let theme = sheet.theme;
    let shares: Vec<Option<u64>> = shown.iter().map(|view| share(view, now)).collect();
    let most = shares.iter().flatten().copied().max().unwrap_or(0).clamp(LEAST, MOST);
    let target = BARS - line_of(100, most);
    let columns = STEP * u16::try_from(shown.len()).unwrap_or(0);
    sheet.right(0, target, LABEL - 1, "100 %", theme.dim());
    sheet.text(LABEL, target, &"─".repeat(usize::from(columns)), theme.dim());
    sheet.text(0, BARS, name, theme.strong());
    // Newest first in the list, newest last in the picture.
    for (at, (view, share)) in shown.iter().zip(&shares).enumerate() {
        let back = u16::try_from(shown.len() - 1 - at).unwrap_or(0);
        let x = LABEL + STEP * back;
        bar(sheet, x, *share, most);
        let sign = if view.is_drill() { "d" } else { "i" };
        let style = if at == chosen { theme.chosen() } else { Style::new() };
        sheet.text(x, BARS, sign, style);
    }
}

/// The line a share ends in, counted from the bottom, from 1.
fn line_of(percent: u64, most: u64) -> u16 {
    let line = (percent * u64::from(BARS)).div_ceil(most.max(1)).max(1);
    u16::try_from(line).unwrap_or(BARS).min(BARS)
}

fn style_of(percent: u64, theme: Theme) -> Style {
    theme.state(match percent {
        101.. => State::Failed,
        81.. => State::Late,
        _ => State::Ok,
    })
}

fn bar(sheet: &mut Sheet<'_>, x: u16, share: Option<u64>, most: u64) {
    const EIGHTHS: [&str; 8] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇"];
    let Some(percent) = share else {
        sheet.text(x, BARS - 1, "··", sheet.theme.dim());
        return;
    };
    let style = style_of(percent, sheet.theme);
    // Nothing at all is seen, too.
    let eighths = (percent.min(most) * u64::from(BARS) * 8 / most.max(1)).max(1);
    let full = u16::try_from(eighths / 8).unwrap_or(BARS);
    for line in 0..full.min(BARS) {
        sheet.text(x, BARS - 1 - line, "██", style);
    }
    let rest = EIGHTHS[usize::try_from(eighths % 8).unwrap_or(0)];
    if full < BARS && rest != " " {
        sheet.text(x, BARS - 1 - full, &rest.repeat(2), style);
    }
    if percent > most {
        sheet.text(x, 0, "▲▲", style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_overflow_and_end_in_their_line() {
        assert_eq!((percent(1_800_000, 3600), percent(5, 0), percent(0, 60)), (50, 0, 0));
        assert!(percent(u64::MAX, 1) > 1_000_000);
        assert_eq!([1, 25, 26, 100, 125].map(|share| line_of(share, 125)), [1, 1, 2, 4, 5]);
        assert_eq!(line_of(0, 0), 1);
    }

    #[test]
    fn the_chosen_one_is_always_in_the_picture() {
        let incidents = vec![IncidentView::default(); 30];
        for chosen in 0..30 {
            for room in 1..40 {
                let (shown, at) = window(&incidents, chosen, room);
                assert!(at < shown.len() && shown.len() <= room, "{chosen} {room}");
            }
        }
        assert_eq!(window(&[], 0, 5).0.len(), 0);
    }
}
