//! Incidents as text for a terminal or a log.
//!
//! Forms lines; decides nothing.

use crate::base::Timestamp;
use crate::base::shell::quoted;
use crate::incident::checklist::{self, Item, POST_RESTORE, PRE_RESTORE};
use crate::incident::comms::{Delivered, Due, Outcome};
use crate::incident::report::Rto;
use crate::incident::sign::Signed;
use crate::incident::standing::Task;
use crate::incident::{Exported, Holder, IncidentView, MANIFEST, Standing, words};
use crate::journal::{Role, Scenario, Severity, Verification};

pub(super) use words::one_line as plain;

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
pub(super) fn show(view: &IncidentView, due: &[Due], pilot: Option<&Holder>, now: Timestamp) -> String {
    let label = view.label.as_ref().map_or(String::new(), |label| format!(" · {}", words::one_line(label)));
    let closed = view.closed_at.map_or("open".to_owned(), |at| format!("closed {at}"));
    let mut lines = vec![
        format!("incident {} · {}{label} · {closed}", view.id, words::one_line(&view.stanza)),
        format!("reason   {}", words::one_line(&view.reason)),
        format!("detected {}", view.detected_at),
        format!("declared {}", view.declared_at),
        format!("RTO      {}", time(view, now).trim_end()),
        format!("RPO      {}", loss(view)),
    ];
    lines.extend(standing(&view.standing, now));
    lines.extend(pilot.map(|pilot| {
        format!("pilot    {} at {} since {}", plain(&pilot.who), plain(&pilot.host), pilot.since)
    }));
    lines.extend(due.iter().map(|due| format!("update   {}", next(due, now))));
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

fn loss(view: &IncidentView) -> String {
    let target = words::seconds(view.rpo_s);
    view.standing.loss.as_ref().map_or_else(
        || format!("at most {target}; what is given up is known with the plan"),
        |loss| format!("{} of {target}, last commit {}", words::duration(loss.lost_ms), loss.last_commit),
    )
}

/// Who does what.
fn standing(standing: &Standing, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let kind = [standing.severity.map(Severity::said), standing.scenario.map(Scenario::said)];
    let kind: Vec<&str> = kind.into_iter().flatten().collect();
    if !kind.is_empty() {
        lines.push(format!("kind     {}", kind.join(", ")));
    }
    for role in Role::ALL {
        let Some(held) = standing.roles.get(role) else { continue };
        let offered = held.offered_to.as_ref().map_or(String::new(), |to| format!(", offered to {to}"));
        lines.push(format!("role     {}: {}{offered}", role.said(), held.holder));
    }
    if let Some(position) = &standing.position {
        lines.push(format!("runbook  {}, at {} since {}", position.runbook, position.node, position.since));
    }
    lines.extend(standing.open_tasks().map(|task| format!("task     {}", self::task(task, now))));
    for tick in &standing.ticks {
        lines.push(format!("check    {}: {} {} ({})", tick.list, tick.item, tick.result.said(), tick.by));
    }
    for attempt in &standing.attempts {
        let how = match attempt.done {
            Some(true) => "done",
            Some(false) => "stopped",
            None => "not ended",
        };
        lines.push(format!("attempt  {}: {} {how}", attempt.number, attempt.operation));
    }
    for message in standing.waiting_messages() {
        lines.push(format!("waits    {} message {}", message.audience.said(), message.id));
    }
    for follow_up in standing.open_follow_ups() {
        let (id, owner, due, text) = (follow_up.id, &follow_up.owner, &follow_up.due, &follow_up.text);
        lines.push(format!("after    #{id} {owner} by {due}: {text}"));
    }
    lines
}

fn task(task: &Task, now: Timestamp) -> String {
    let left_ms = task.due_at.0.saturating_sub(now.0) / 1000;
    let time = match u64::try_from(left_ms) {
        Ok(ms) => format!("{} left", words::duration(ms)),
        Err(_) => format!("LATE by {}", words::duration(left_ms.unsigned_abs())),
    };
    format!("#{} {}: {} ({time})", task.id, task.owner, task.text)
}

/// When an audience is to be told next.
fn next(due: &Due, now: Timestamp) -> String {
    let at = due.at.to_utc().format("%H:%M:%S UTC");
    format!("{} {}, {at}", due.audience.said(), due.said(now))
}

/// What is due and what waits.
pub(super) fn comms(id: &str, due: &[Due], rest: &[String], now: Timestamp) -> String {
    let mut lines = vec![format!("incident {id}")];
    lines.extend(due.iter().map(|due| format!("update   {}", next(due, now))));
    lines.extend(rest.iter().map(|line| plain(line)));
    lines.join("\n")
}

/// What came of sending.
pub(super) fn delivered(delivered: &Delivered) -> String {
    if delivered.outcomes.is_empty() {
        return "nothing is to be sent now".to_owned();
    }
    let line = |outcome: &Outcome| {
        let (message, channel) = (&outcome.message, &outcome.channel);
        if outcome.sent {
            format!("sent     {message} to {channel}")
        } else {
            let why = plain(&outcome.why);
            format!("queued   {message} for {channel}, will be tried again: {why}")
        }
    };
    delivered.outcomes.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The checklists and how they stand.
pub(super) fn checklists(standing: &Standing) -> String {
    let mut lines = Vec::new();
    for list in [PRE_RESTORE, POST_RESTORE] {
        lines.push(list.to_owned());
        lines.extend(checklist::items(list).map(|item| row_of(standing, item)));
    }
    lines.join("\n")
}

fn row_of(standing: &Standing, item: &Item) -> String {
    let tick = checklist::tick(standing, item);
    let how = tick.map_or("-", |tick| tick.result.said());
    let by = tick.map_or(String::new(), |tick| format!("  ({} {})", tick.by, tick.at));
    let kind = if item.blocking { "blocking" } else { "advisory" };
    format!("  {:18} {how:14} {kind}  {}{by}", item.id, item.text)
}

/// What was exported, and how to check it.
pub(super) fn exported(exported: &Exported) -> String {
    format!(
        "{} incidents, {} files in {}\nsum of {MANIFEST}, to be written down elsewhere: {}\n\
         to check: cd {} && sha256sum --check {MANIFEST}",
        exported.incidents.len(),
        exported.files,
        exported.folder.display(),
        exported.manifest_sha256,
        quoted(&exported.folder.display().to_string())
    )
}

/// What a verification found.
pub(super) fn verification(id: &str, verification: &Verification, signatures: &[Signed]) -> String {
    let mut lines = vec![format!("incident {id}: {}", verification.sentence())];
    lines.extend(verification.findings.iter().map(|finding| format!("  {finding}")));
    if !verification.ok {
        lines.push(format!("stood behind: {}", verification.behind()));
    }
    for signed in signatures {
        let how = if signed.ok { "good" } else { "BAD" };
        let (seq, key) = (signed.seq, signed.key_sha256.get(..16).unwrap_or_default());
        lines.push(format!("signature under entry {seq}, key {key}…: {how}, {}", signed.what));
    }
    lines.push(format!("end of the chain, to be written down elsewhere: {}", verification.end));
    lines.join("\n")
}
