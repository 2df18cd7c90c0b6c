//! The part of the report about people: roles, decisions with their evidence, checklists, tasks, messages, follow-ups.
//!
//! Says what the journal says; a part about which it says nothing is left out.

use super::super::table::{Side, item, paragraph, table};
use super::{below, utc};
use crate::incident::checklist;
use crate::incident::evidence::Decision;
use crate::incident::standing::{Message, Standing};
use crate::incident::words;
use crate::journal::Role;

fn section(title: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("## {title}\n\n{body}") }
}

/// Severity, kind of recovery, and who played which part at the end.
pub(super) fn roles(standing: &Standing) -> String {
    let mut body = String::new();
    if let Some(severity) = standing.severity {
        body += &item("- **Severity:** ", severity.said());
    }
    if let Some(scenario) = standing.scenario {
        body += &item("- **Kind:**     ", scenario.said());
    }
    for role in Role::ALL {
        if let Some(held) = standing.roles.get(role) {
            let offered = held.offered_to.as_ref();
            let offered =
                offered.map_or(String::new(), |to| format!(", offered to {to}, who has not acknowledged"));
            let text = format!("{} since {}{offered}", held.holder, utc(held.since));
            body += &item("- ", &format!("{}: {text}", role.said()));
        }
    }
    section("Roles", &body)
}

/// Every answer to a question of the runbook, with what was known when it was given.
pub(super) fn decisions(decisions: &[Decision]) -> String {
    let mut body = String::new();
    for decision in decisions {
        body += &item("- ", &format!("{} {}: {}", utc(decision.at), decision.by, decided(decision)));
        for finding in &decision.findings {
            body += &item("  - ", finding);
        }
    }
    section("Decisions", &body)
}

/// What was decided, and how that stands to what was proposed.
pub(super) fn decided(decision: &Decision) -> String {
    let proposal = match &decision.proposed {
        Some(proposed) if *proposed == decision.exit => "as proposed".to_owned(),
        Some(proposed) => format!("proposed was \"{proposed}\""),
        None => "nothing was proposed".to_owned(),
    };
    let reason = decision.reason.as_ref().map_or(String::new(), |reason| format!("; {reason}"));
    format!("\"{}\" of {}: {} ({proposal}{reason})", decision.node, decision.runbook, decision.exit)
}

/// The checklists that were begun, with every item: what nobody looked at is told, too.
pub(super) fn checklists(standing: &Standing) -> String {
    let mut body = String::new();
    for list in begun(standing) {
        if !body.is_empty() {
            body.push('\n');
        }
        body += &table(
            &[(list.as_str(), Side::Left), ("how", Side::Left), ("who", Side::Left), ("what", Side::Left)],
            &rows(standing, &list),
        );
    }
    section("Checklists", &body)
}

/// The names of the checklists of which something was looked at.
pub(super) fn begun(standing: &Standing) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for tick in &standing.ticks {
        if !lists.contains(&tick.list) {
            lists.push(tick.list.clone());
        }
    }
    lists
}

/// Item, result, person, text; items of the list that this program does not know come last.
pub(super) fn rows(standing: &Standing, list: &str) -> Vec<Vec<String>> {
    let known = checklist::items(list).map(|item| {
        let tick = checklist::tick(standing, item);
        let how = tick.map_or("not looked at", |tick| tick.result.said());
        let detail = tick.map(|tick| tick.detail.as_str()).filter(|detail| !detail.is_empty());
        let text = detail.map_or_else(|| item.text.to_owned(), |detail| format!("{}: {detail}", item.text));
        let kind = if item.blocking { "" } else { " (advisory)" };
        vec![
            item.id.to_owned() + kind,
            how.to_owned(),
            tick.map_or(String::new(), |tick| tick.by.clone()),
            text,
        ]
    });
    let other =
        standing.ticks.iter().filter(|tick| tick.list == list && checklist::item(list, &tick.item).is_none());
    let other = other.map(|tick| {
        vec![tick.item.clone(), tick.result.said().to_owned(), tick.by.clone(), tick.detail.clone()]
    });
    known.chain(other).collect()
}

/// Tasks with how they ended.
pub(super) fn tasks(standing: &Standing) -> String {
    let items = standing.tasks.iter().map(|task| item("- ", &task_text(task)));
    section("Tasks", &items.collect::<String>())
}

/// A task in a sentence.
pub(super) fn task_text(task: &crate::incident::standing::Task) -> String {
    let end = task.end.as_ref().map_or("did not end".to_owned(), |end| {
        let how = if end.done { "done" } else { "dropped" };
        let after = u64::try_from(end.at.0.saturating_sub(task.added_at.0) / 1000).unwrap_or(0);
        let text = if end.text.is_empty() { String::new() } else { format!(": {}", end.text) };
        format!("{how} by {} after {}{text}", end.by, words::duration(after))
    });
    let minutes = u64::try_from(task.due_at.0.saturating_sub(task.added_at.0) / 60_000_000).unwrap_or(0);
    format!("#{} {} ({}, {minutes} minutes): {end}", task.id, task.text, task.owner)
}

/// Messages with their texts and what became of them.
pub(super) fn messages(standing: &Standing) -> String {
    let mut body = String::new();
    for message in &standing.messages {
        if !body.is_empty() {
            body.push('\n');
        }
        body += &paragraph(&message_head(message));
        body += &below(&super::code("text", &message.text));
    }
    section("Messages", &body)
}

/// Who was to be told when by whom, and which channel took it.
pub(super) fn message_head(message: &Message) -> String {
    let channels = message.channels.iter().map(|channel| {
        let why = if channel.why.is_empty() { String::new() } else { format!(", {}", channel.why) };
        let how = match channel.state {
            crate::incident::standing::ChannelState::Waiting => "waits",
            crate::incident::standing::ChannelState::Failed => "was not taken, waits",
            crate::incident::standing::ChannelState::Sent => "was taken",
            crate::incident::standing::ChannelState::Dropped => "was given up",
        };
        format!("{} ({how} {}{why})", channel.name, utc(channel.at))
    });
    let channels: Vec<String> = channels.collect();
    format!(
        "{} update by {} at {}: {}; SHA-256 {}.",
        message.audience.said(),
        message.by,
        utc(message.at),
        channels.join(", "),
        message.sha256
    )
}

/// What is to be done afterwards.
pub(super) fn follow_ups(standing: &Standing) -> String {
    let items = standing.follow_ups.iter().map(|follow_up| item("- ", &follow_up_text(follow_up)));
    section("Follow-ups", &items.collect::<String>())
}

/// A follow-up in a sentence.
pub(super) fn follow_up_text(follow_up: &crate::incident::standing::FollowUp) -> String {
    let state = follow_up.done.as_ref().map_or("open".to_owned(), |text| {
        if text.is_empty() { "done".to_owned() } else { format!("done: {text}") }
    });
    format!("#{} {} ({}, by {}): {state}", follow_up.id, follow_up.text, follow_up.owner, follow_up.due)
}
