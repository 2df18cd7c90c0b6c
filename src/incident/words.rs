//! Facts, marks, phases and durations in an operator's words.
//!
//! Text only; nothing here decides anything. Whatever a person or a program wrote comes out as one plain line.

use crate::journal::Fact;
use crate::model::op::{Answer, Mark};

/// A fact as one line.
pub fn fact(fact: &Fact) -> String {
    let text = people(fact)
        .or_else(|| runbook(fact))
        .or_else(|| talk(fact))
        .or_else(|| operation(fact))
        .unwrap_or_else(|| record(fact));
    one_line(&text)
}

/// Facts about who does what.
fn people(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::SeverityChanged { severity, reason } => format!("{} from now on: {reason}", severity.said()),
        Fact::ScenarioChosen { scenario, rto_s, rpo_s } => {
            format!("it is a {} (RTO {}, RPO {})", scenario.said(), seconds(*rto_s), seconds(*rpo_s))
        }
        Fact::RoleTaken { role, from, reason } => {
            let from = from.as_ref().map_or(String::new(), |from| format!(" from {from}"));
            let reason = reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
            format!("took the role of {}{from}{reason}", role.said())
        }
        Fact::RoleOffered { role, to } => format!("hands the role of {} over to {to}", role.said()),
        Fact::RoleAcknowledged { role, from } => format!("is {} now, handed over by {from}", role.said()),
        Fact::PilotTaken => "took the seat".to_owned(),
        Fact::PilotLeft => "left the seat".to_owned(),
        Fact::TaskAdded { text, owner, minutes } => {
            format!("task for {owner}, {}: {text}", seconds(u64::from(*minutes) * 60))
        }
        Fact::TaskEnded { task, done, text } => {
            format!("task #{task} {}{}", if *done { "done" } else { "dropped" }, detail(text))
        }
        Fact::FollowUpAdded { text, owner, due } => format!("follow-up for {owner} by {due}: {text}"),
        Fact::FollowUpDone { follow_up, text } => format!("follow-up #{follow_up} done{}", detail(text)),
        _ => return None,
    })
}

/// The beginning of a digest, by which people call it.
pub fn short(digest: &str) -> &str {
    digest.get(..SHORT).unwrap_or(digest)
}

/// So many digits tell the plans of an incident apart.
const SHORT: usize = 12;

/// What follows a colon, if there is anything.
fn detail(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!(": {text}") }
}

/// Facts about the way through a runbook.
fn runbook(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::NodeEntered { runbook, node, .. } => format!("at \"{node}\" of {runbook}"),
        Fact::NodeAnswered { node, exit, proposed, reason, .. } => {
            let proposal = match proposed {
                Some(proposed) if proposed == exit => ", as proposed".to_owned(),
                Some(proposed) => format!(", against the proposal \"{proposed}\""),
                None => ", nothing was proposed".to_owned(),
            };
            format!("\"{node}\": {exit}{proposal}{}", detail(reason.as_deref().unwrap_or_default()))
        }
        Fact::NodePassed { node, note, .. } => {
            format!("\"{node}\" is behind{}", detail(note.as_deref().unwrap_or_default()))
        }
        Fact::WentBack { from, to, .. } => format!("went back from \"{from}\" to \"{to}\""),
        Fact::Ticked { list, item, automatic, result, detail: seen } => {
            let how = if *automatic { " (probe)" } else { "" };
            format!("{list}: {item} {}{how}{}", result.said(), detail(seen))
        }
        Fact::ValueGiven { name, value } => format!("${{{name}}} is {value}"),
        Fact::ActStarted { node, what, .. } => format!("\"{node}\": begins {what}"),
        Fact::ActEnded { node, what, done, outcome, .. } => {
            let how = if *done { "done" } else { "failed" };
            format!("\"{node}\": {what} {how}{}", detail(outcome))
        }
        _ => return None,
    })
}

/// Facts about who was told.
fn talk(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::MessageQueued { message, audience, channels, text, .. } => {
            format!("{} message {message} for {}: {text}", audience.said(), channels.join(", "))
        }
        Fact::MessageSent { message, channel, attempt: 0 | 1, .. } => {
            format!("{channel} took message {message}")
        }
        Fact::MessageSent { message, channel, attempt, .. } => {
            format!("{channel} took message {message} at attempt {attempt}")
        }
        Fact::MessageFailed { message, channel, attempt, why } => {
            format!("{channel} did not take message {message} at attempt {attempt}, it stays queued: {why}")
        }
        Fact::MessageDropped { message, channel, why } => {
            format!("message {message} is not sent to {channel} any more: {why}")
        }
        Fact::Told { audience, text } => format!("told {}: {text}", audience.said()),
        _ => return None,
    })
}

/// Facts about operations.
fn operation(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Confirmed { summary, .. } => format!("confirmed: {summary}"),
        Fact::ApprovalAsked { digest, summary, .. } => {
            format!("asks a second person to approve plan {}: {summary}", short(digest))
        }
        Fact::Approved { digest } => format!("approved plan {}", short(digest)),
        Fact::OperationStarted { operation, attempt: 0 | 1 } => format!("started {operation}"),
        Fact::OperationStarted { operation, attempt } => {
            format!("took {operation} up again, attempt {attempt}")
        }
        Fact::Step { step, took_ms, detail, .. } if detail.is_empty() => {
            format!("{step}: {}", duration(*took_ms))
        }
        Fact::Step { step, took_ms, detail, .. } => format!("{step}: {detail} ({})", duration(*took_ms)),
        Fact::Reached { mark, .. } => moment(*mark).to_owned(),
        Fact::Warning { text, .. } => format!("warning: {text}"),
        Fact::Answered { question, answer, .. } => format!("answered \"{}\" to: {question}", said(*answer)),
        Fact::OperationEnded { operation, done, lines } => {
            let what = if *done { "done" } else { "stopped" };
            format!("{what}: {}", if lines.is_empty() { operation.clone() } else { lines.join("; ") })
        }
        _ => return None,
    })
}

/// Facts about the incident and its journal; whatever is known by nobody else is shown with its members.
fn record(fact: &Fact) -> String {
    match fact {
        Fact::Declared { reason, detected_at, rto_s, rpo_s, severity, .. } => format!(
            "declared{}: {reason} (detected {detected_at}; RTO {}, RPO {})",
            severity.map_or(String::new(), |severity| format!(" {}", severity.said())),
            seconds(*rto_s),
            seconds(*rpo_s)
        ),
        Fact::Note { text } => format!("note: {text}"),
        Fact::Cut { bytes, sha256 } => {
            format!("{bytes} bytes of an interrupted write were cut off the end, SHA-256 {sha256}")
        }
        Fact::Damaged { text } => format!("damage found: {text}"),
        Fact::HoldPlaced { until } => {
            format!("hold placed: nothing is removed from the repositories until {until}")
        }
        Fact::HoldLifted => "hold lifted: backups and WAL are removed again as the retention says".to_owned(),
        Fact::Closed { text } => format!("closed: {text}"),
        other => unknown(&serde_json::to_value(other).unwrap_or_default()),
    }
}

fn unknown(members: &serde_json::Value) -> String {
    let kind = members.get("kind").and_then(|kind| kind.as_str()).unwrap_or("entry without a kind");
    let rest = members.as_object().into_iter().flatten().filter(|(name, _)| *name != "kind");
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{kind} (not known to this version): {}", rest.join(", "))
}

/// An answer.
pub fn said(answer: Answer) -> &'static str {
    match answer {
        Answer::Right => "it is right",
        Answer::Damaged => "the damage is in it",
    }
}

/// A moment that counts.
pub fn moment(mark: Mark) -> &'static str {
    match mark {
        Mark::Detected => "trouble detected",
        Mark::Declared => "incident declared",
        Mark::Decided => "plan chosen",
        Mark::Confirmed => "plan confirmed",
        Mark::RestoreStarted => "restore started",
        Mark::RestoreFinished => "restore finished",
        Mark::Consistent => "copy consistent",
        Mark::TargetReached => "target reached",
        Mark::Validated => "data checked",
        Mark::AcceptingConnections => "accepting connections",
        Mark::ServiceBack => "service back",
    }
}

/// What was done between two moments that follow each other in the journal.
pub fn phase(from: Mark, to: Mark) -> &'static str {
    match (from, to) {
        (Mark::RestoreFinished, Mark::TargetReached) => "replay",
        (Mark::Declared | Mark::Detected, Mark::Confirmed) => "decide and confirm",
        (_, Mark::Detected) => "detect",
        (_, Mark::Declared) => "declare",
        (_, Mark::Decided) => "decide",
        (_, Mark::Confirmed) => "confirm the plan",
        (_, Mark::RestoreStarted) => "prepare and stop",
        (_, Mark::RestoreFinished) => "copy",
        (_, Mark::Consistent) => "replay until consistent",
        (_, Mark::TargetReached) => "replay to the target",
        (_, Mark::Validated) => "verify",
        (_, Mark::AcceptingConnections) => "exchange and start",
        (_, Mark::ServiceBack) => "first write",
    }
}

/// A duration as people write it: `0.4 s`, `12 s`, `4m38`, `1h05`.
pub fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..=9 => format!("{s}.{} s", ms % 1000 / 100),
        10..=59 => format!("{s} s"),
        60..=3599 => format!("{}m{:02}", s / 60, s % 60),
        _ => format!("{}h{:02}", s / 3600, s % 3600 / 60),
    }
}

/// A limit, given in seconds.
pub fn seconds(s: u64) -> String {
    duration(s.saturating_mul(1000))
}

/// A duration to the second, as a clock shows it: `00:43:12`.
pub fn clock(ms: u64) -> String {
    let s = ms / 1000;
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// A duration to the millisecond, for sums that are to come out: `00:43:12.250`.
pub fn exact(ms: u64) -> String {
    format!("{}.{:03}", clock(ms), ms % 1000)
}

/// The same text without line breaks and other control characters, which a terminal would obey.
pub fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (ms, text) in [
            (0, "0.0 s"),
            (1_250, "1.2 s"),
            (59_999, "59 s"),
            (60_000, "1m00"),
            (278_000, "4m38"),
            (3_900_000, "1h05"),
            (90_000_000, "25h00"),
        ] {
            assert_eq!(duration(ms), text);
        }
        assert_eq!((clock(2_592_999).as_str(), clock(360_000_000).as_str()), ("00:43:12", "100:00:00"));
        assert_eq!(exact(2_592_050), "00:43:12.050");
    }

    #[test]
    fn nothing_written_into_a_journal_moves_a_cursor() {
        let note = Fact::Note { text: "one\n\ntwo\u{1b}[2J\u{9b}x\ttab".to_owned() };
        assert_eq!(fact(&note), "note: one two [2J x tab");
        let later: Fact = serde_json::from_str(r#"{"kind":"moon","phase":"full\u001b"}"#).unwrap();
        assert_eq!(fact(&later), "moon (not known to this version): phase=\"full\\u001b\"");
    }
}
