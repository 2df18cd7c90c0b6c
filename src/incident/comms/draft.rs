//! What an update says: the facts of the incident, filled in, for a person to read before it goes out.
//!
//! A draft for the outside names no host, no operation and no reason of the inside. A time at which something will be
//! done is in it only if a person entered it.

use super::cadence::Due;
use crate::base::Timestamp;
use crate::incident::standing::Loss;
use crate::incident::{IncidentView, words};
use crate::journal::{Audience, Role};
use crate::model::op::Mark;
use serde::Serialize;

/// A draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// For whom.
    pub audience: Audience,
    /// What it says.
    pub text: String,
}

/// Drafts an update. `said` is what a person adds; `promise` is a time or a step that this person promises.
pub fn draft(
    view: &IncidentView,
    audience: Audience,
    next: Option<&Due>,
    (said, promise): (Option<&str>, Option<&str>),
    now: Timestamp,
) -> Draft {
    let mut lines = vec![head(view, audience)];
    lines.push(stage(view).to_owned());
    if audience == Audience::Internal {
        lines.extend(inside(view, now));
    }
    lines.extend(said.map(words::one_line));
    lines.extend(promise.map(|promise| format!("Expected: {}", words::one_line(promise))));
    if let Some(due) = next {
        let at = Timestamp(now.0.saturating_add(i64::try_from(due.every_s).unwrap_or(0) * 1_000_000));
        lines.push(format!("Next update by {}.", minute(at)));
    }
    Draft { audience, text: lines.join("\n") }
}

fn head(view: &IncidentView, audience: Audience) -> String {
    let severity = view.standing.severity.map_or(String::new(), |severity| format!(" {}", severity.said()));
    match audience {
        Audience::Internal => format!(
            "Incident {}{severity}, {}: {}",
            view.id,
            words::one_line(&view.stanza),
            words::one_line(&view.reason)
        ),
        Audience::External => {
            format!("We are working on a disruption of our service since {}.", minute(view.detected_at))
        }
    }
}

/// How far it is, in words that say nothing about how long it will take.
fn stage(view: &IncidentView) -> &'static str {
    if view.closed_at.is_some() {
        return "The incident is closed.";
    }
    let last = view.marks.keys().max();
    match last {
        Some(Mark::ServiceBack) => "Service is back; we are watching it.",
        Some(Mark::AcceptingConnections) => "The recovered database accepts connections; it is being opened.",
        Some(Mark::Validated) => {
            "The recovered data was checked and found right; it is being brought to service."
        }
        Some(Mark::TargetReached) => "The data is recovered; it is being checked.",
        Some(Mark::RestoreFinished | Mark::Consistent) => {
            "The backup is restored; the changes since then are being replayed."
        }
        Some(Mark::RestoreStarted) => "The backup is being restored.",
        Some(Mark::Decided | Mark::Confirmed) => "The way to recover is decided; it is being prepared.",
        Some(Mark::Detected | Mark::Declared) | None => "We are looking into the cause.",
    }
}

fn inside(view: &IncidentView, now: Timestamp) -> Vec<String> {
    let target_ms = view.rto_s.saturating_mul(1000);
    let since_ms = u64::try_from(now.0.saturating_sub(view.detected_at.0) / 1000).unwrap_or(0);
    let mut lines = vec![match view.rto_ms {
        Some(ms) => {
            format!("Service was back after {} (target {}).", words::duration(ms), words::duration(target_ms))
        }
        None => format!(
            "Detected {}, {} ago (RTO {}).",
            minute(view.detected_at),
            words::duration(since_ms),
            words::duration(target_ms)
        ),
    }];
    if let Some(loss) = &view.standing.loss {
        lines.push(given_up(loss, view.rpo_s));
    }
    if let Some(attempt) = view.standing.attempts.last() {
        let how = match attempt.done {
            Some(true) => "done",
            Some(false) => "stopped",
            None => "under way",
        };
        lines.push(format!("Recovery attempt {}: {how}.", attempt.number));
    }
    let roles = Role::ALL.iter().filter_map(|role| Some((role, view.standing.holder(*role)?)));
    let roles: Vec<String> = roles.map(|(role, holder)| format!("{}: {holder}", role.said())).collect();
    if !roles.is_empty() {
        lines.push(roles.join(", "));
    }
    lines
}

/// The loss as the journal has it, with both its ends: whoever stopped the writers sees whether it counts too far.
fn given_up(loss: &Loss, rpo_s: u64) -> String {
    let until = if loss.until_newest { "the newest commit known" } else { "the detection" };
    format!(
        "Given up: what was written after {} up to {until} at {}, {} (RPO {}).",
        loss.last_commit,
        loss.until,
        words::duration(loss.lost_ms),
        words::seconds(rpo_s)
    )
}

fn minute(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> IncidentView {
        let mut view = IncidentView {
            id: "2026-11-21-01".to_owned(),
            stanza: "orders".to_owned(),
            reason: "db1 lost\nits disk".to_owned(),
            detected_at: Timestamp::from_unix_s(1_795_225_447),
            rto_s: 3600,
            rpo_s: 300,
            ..IncidentView::default()
        };
        view.marks.insert(Mark::RestoreStarted, Timestamp::from_unix_s(1_795_226_000));
        let last_commit = Timestamp::from_unix_s(1_795_225_400);
        view.standing.loss =
            Some(Loss { last_commit, until: view.detected_at, lost_ms: 47_000, until_newest: false });
        view
    }

    #[test]
    fn facts_are_filled_in_and_the_outside_learns_no_inner_ones() {
        let now = Timestamp::from_unix_s(1_795_226_047);
        let due = Due { audience: Audience::External, last: None, at: now, every_s: 1800 };
        let inside = draft(&view(), Audience::Internal, None, (None, None), now).text;
        let expected = "Incident 2026-11-21-01, orders: db1 lost its disk\nThe backup is being restored.\n\
                        Detected 2026-11-21 01:44 UTC, 10m00 ago (RTO 1h00).\n\
                        Given up: what was written after 2026-11-21 01:43:20+00 up to the detection at \
                        2026-11-21 01:44:07+00, 47 s (RPO 5m00).";
        assert_eq!(inside, expected);
        let outside = draft(&view(), Audience::External, Some(&due), (None, None), now).text;
        let expected = "We are working on a disruption of our service since 2026-11-21 01:44 UTC.\n\
                        The backup is being restored.\nNext update by 2026-11-21 02:24 UTC.";
        assert_eq!(outside, expected);
    }

    #[test]
    fn nothing_is_promised_that_nobody_entered() {
        let now = Timestamp::from_unix_s(1_795_226_047);
        let of = |promise| draft(&view(), Audience::External, None, (Some("Sorry."), promise), now).text;
        assert!(!of(None).contains("Expected") && of(None).ends_with("\nSorry."));
        assert!(of(Some("back by 03:00 UTC")).ends_with("\nSorry.\nExpected: back by 03:00 UTC"));
    }
}
