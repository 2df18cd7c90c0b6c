//! Incidents as text for a terminal or a log.
//!
//! Forms lines; decides nothing.

use crate::base::Timestamp;
use crate::incident::report::Rto;
use crate::incident::{IncidentView, words};
use crate::journal::Verification;

/// One line per incident.
pub(super) fn list(views: &[IncidentView], now: Timestamp) -> String {
    if views.is_empty() {
        return "no incident yet; `pgmayday incident declare` starts one".to_owned();
    }
    views.iter().map(|view| row(view, now)).collect::<Vec<_>>().join("\n")
}

fn row(view: &IncidentView, now: Timestamp) -> String {
    let state = match (view.closed_at, view.rto_ms) {
        (Some(_), _) => "closed",
        (None, Some(_)) => "back",
        (None, None) => "open",
    };
    let chain = if view.chain_ok { "" } else { "  JOURNAL DAMAGED" };
    let reason = words::one_line(&view.reason);
    format!("{}  {state:6}  {}  {}  {reason}{chain}", view.id, time(view, now), words::one_line(&view.stanza))
}

/// Recovery time against its target, always of one width; while service is out, the time since the detection.
fn time(view: &IncidentView, now: Timestamp) -> String {
    let target_ms = view.rto_s.saturating_mul(1000);
    let since_ms = u64::try_from(now.0.saturating_sub(view.detected_at.0) / 1000).unwrap_or(0);
    let running = view.closed_at.is_none().then_some(since_ms);
    let (actual_ms, result) = match (view.rto_ms, Rto::of(view).met, running) {
        (Some(ms), Some(true), _) => (Some(ms), "met"),
        (Some(ms), _, _) => (Some(ms), "missed"),
        (None, _, Some(ms)) if ms <= target_ms => (Some(ms), "so far"),
        (None, _, Some(ms)) => (Some(ms), "late"),
        (None, _, None) => (None, ""),
    };
    let actual = actual_ms.map_or("--:--:--".to_owned(), words::clock);
    format!("{actual} of {} {result:6}", words::clock(target_ms))
}

/// One incident with every entry.
pub(super) fn show(view: &IncidentView, now: Timestamp) -> String {
    let label = view.label.as_ref().map_or(String::new(), |label| format!(" · {}", words::one_line(label)));
    let closed = view.closed_at.map_or("open".to_owned(), |at| format!("closed {at}"));
    let mut lines = vec![
        format!("incident {} · {}{label} · {closed}", view.id, words::one_line(&view.stanza)),
        format!("reason   {}", words::one_line(&view.reason)),
        format!("detected {}", view.detected_at),
        format!("declared {}", view.declared_at),
        format!("RTO      {}", time(view, now).trim_end()),
    ];
    if !view.phases.is_empty() {
        lines.push("phases".to_owned());
        lines.extend(view.phases.iter().map(|phase| {
            format!(
                "  {:24} {:>8}  to {}",
                phase.name,
                words::duration(phase.took_ms),
                words::moment(phase.to)
            )
        }));
    }
    lines.push("journal".to_owned());
    lines.extend(view.lines.iter().map(|line| {
        let at = line.at.to_utc().format("%Y-%m-%d %H:%M:%S%.3f");
        format!("  {:>3}  {at}  {:8} {}  {}", line.seq, line.actor, line.hash_tail, line.text)
    }));
    lines.push(format!("chain    {}", view.chain));
    lines.join("\n")
}

/// What a verification found.
pub(super) fn verification(id: &str, verification: &Verification) -> String {
    let mut lines = vec![format!("incident {id}: {}", verification.sentence())];
    lines.extend(verification.findings.iter().map(|finding| format!("  {finding}")));
    if !verification.ok {
        lines.push(format!("stood behind: {}", verification.behind()));
    }
    lines.push(format!("end of the chain, to be written down elsewhere: {}", verification.end));
    lines.join("\n")
}
