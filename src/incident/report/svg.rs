//! The report's pictures: recovery time and loss against their targets, and the course of the incident.
//!
//! Draws from numbers the journal gave; a number that is not known is not drawn.

use super::super::words;
use super::html::escaped;
use crate::base::Timestamp;
use crate::incident::evidence::Decision;
use crate::incident::standing::Message;
use crate::incident::{Evidence, IncidentView};

/// The width of a picture, in its own units.
const WIDTH: u64 = 900;
/// Where bars begin.
const LEFT: u64 = 130;

/// Two bars with their targets as lines.
pub(super) fn clocks(view: &IncidentView) -> String {
    let rto = bar(20, "recovery time", view.rto_ms, view.rto_s.saturating_mul(1000));
    let loss = view.standing.loss.as_ref().map(|loss| loss.lost_ms);
    let rpo = bar(80, "data given up", loss, view.rpo_s.saturating_mul(1000));
    format!(
        "<svg viewBox=\"0 0 {WIDTH} 130\" role=\"img\" aria-label=\"recovery time and loss against their targets\">\n{rto}{rpo}</svg>"
    )
}

/// One bar; the scale reaches a little past the longer of the two.
fn bar(y: u64, name: &str, actual_ms: Option<u64>, target_ms: u64) -> String {
    let scale = actual_ms.unwrap_or(0).max(target_ms).max(1).saturating_mul(5) / 4;
    let at = |ms: u64| LEFT + share(ms, scale, WIDTH - LEFT);
    let actual = actual_ms.map_or("not known".to_owned(), words::duration);
    let drawn = actual_ms.map_or(String::new(), |ms| {
        let (fill, width) = (if ms <= target_ms { "#2e7d32" } else { "#a40000" }, at(ms) - LEFT);
        format!("<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width}\" height=\"26\" fill=\"{fill}\"/>\n")
    });
    let (target, top, bottom) = (at(target_ms), y - 6, y + 32);
    let target = format!(
        "<line x1=\"{target}\" y1=\"{top}\" x2=\"{target}\" y2=\"{bottom}\" stroke=\"#1a1a1a\" stroke-width=\"2\"/>\n"
    );
    let said = text(LEFT, y + 46, &format!("{actual}, target {}", words::duration(target_ms)));
    [text(0, y + 18, name), drawn, target, said].concat()
}

/// The phases one after the other, each as long as it took, and above them what was decided and told.
pub(super) fn course(evidence: &Evidence) -> String {
    let view = &evidence.view;
    let total = view.phases.iter().map(|phase| phase.took_ms).sum::<u64>().max(1);
    let (mut parts, mut from) = (Vec::new(), 0);
    let colours = ["#455a64", "#78909c"];
    for ((number, phase), fill) in (0_u64..).zip(&view.phases).zip(colours.iter().cycle()) {
        let (x, until) = (share(from, total, WIDTH), share(from + phase.took_ms, total, WIDTH));
        let title = format!("{}: {}", phase.name, words::duration(phase.took_ms));
        parts.push(format!(
            "<rect x=\"{x}\" y=\"40\" width=\"{}\" height=\"30\" fill=\"{fill}\"><title>{}</title></rect>\n",
            (until - x).max(1),
            escaped(&title)
        ));
        // Names of short phases would lie over each other: they go down in steps.
        parts.push(text(x.min(WIDTH - 160), 90 + 18 * (number % 4), &title));
        from += phase.took_ms;
    }
    let decision = |decision: &Decision| (decision.at, format!("{} {}", decision.node, decision.exit));
    let message = |message: &Message| (message.at, format!("{} update", message.audience.said()));
    let decisions = evidence.decisions.iter().map(decision);
    for (at, title) in decisions.chain(view.standing.messages.iter().map(message)) {
        parts.extend(place(view, at, total).map(|x| {
            let title = escaped(&title);
            format!("<circle cx=\"{x}\" cy=\"24\" r=\"6\" fill=\"#1565c0\"><title>{title}</title></circle>\n")
        }));
    }
    format!(
        "<svg viewBox=\"0 0 {WIDTH} 160\" role=\"img\" aria-label=\"the course of the incident\">\n{}</svg>",
        parts.concat()
    )
}

/// Where a moment of the wall clock lies; nothing outside of the phases.
fn place(view: &IncidentView, at: Timestamp, total_ms: u64) -> Option<u64> {
    let since_ms = u64::try_from(at.0.checked_sub(view.detected_at.0)? / 1000).ok()?;
    (since_ms <= total_ms).then(|| share(since_ms, total_ms, WIDTH))
}

fn share(part: u64, whole: u64, of: u64) -> u64 {
    let scaled = u128::from(part.min(whole)) * u128::from(of) / u128::from(whole.max(1));
    u64::try_from(scaled).unwrap_or(of)
}

fn text(x: u64, y: u64, said: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" font-size=\"14\" fill=\"#1a1a1a\">{}</text>\n", escaped(said))
}
