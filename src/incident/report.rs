//! The report of an incident: Markdown and HTML for people, JSON for programs. What an auditor reads a year later.
//!
//! Everything in it stands in the journal; it ends with how to check that without this program.

use super::evidence::{Confirmation, Operation};
use super::table::{Side, escaped, item, paragraph, table};
use super::{Evidence, IncidentView, words};
use crate::base::Timestamp;
use crate::journal::{JOURNAL_FILE, RECIPE};
use crate::model::op::Mark;
use serde::Serialize;

mod forecast;
mod html;
mod json;
mod people;
mod svg;

pub use forecast::{Scored, scored};
pub use html::html;
pub use json::Document;

/// How the recovery time came out against its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rto {
    /// The target, seconds.
    pub target_s: u64,
    /// From detected to service back, milliseconds; nothing if service never came back.
    pub actual_ms: Option<u64>,
    /// From declared to service back, milliseconds.
    pub from_declared_ms: Option<u64>,
    /// True if the target was met; nothing while it cannot be told.
    pub met: Option<bool>,
}

impl Rto {
    /// Of an incident as it stands.
    pub fn of(view: &IncidentView) -> Self {
        let first = view.phases.first().filter(|phase| phase.to == Mark::Declared);
        let before_declared_ms = first.map_or(0, |phase| phase.took_ms);
        Self {
            target_s: view.rto_s,
            actual_ms: view.rto_ms,
            from_declared_ms: view.rto_ms.map(|ms| ms.saturating_sub(before_declared_ms)),
            met: view.rto_ms.map(|ms| ms <= view.rto_s.saturating_mul(1000)),
        }
    }

    fn verdict(self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "service back was not recorded",
        }
    }
}

/// The report as Markdown, at most 100 columns wide but for the exact commands.
pub fn markdown(evidence: &Evidence) -> String {
    let standing = &evidence.view.standing;
    let parts = [
        head(evidence),
        clocks(evidence),
        phases(&evidence.view),
        forecast::section(evidence),
        people::roles(standing),
        people::decisions(&evidence.decisions),
        people::checklists(standing),
        people::tasks(standing),
        people::messages(standing),
        people::follow_ups(standing),
        confirmed(&evidence.confirmed),
        operations(evidence),
        answers(evidence),
        said(evidence),
        timeline(&evidence.view),
        chain(evidence),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn utc(at: Timestamp) -> String {
    format!("{} UTC", at.to_utc().format("%Y-%m-%d %H:%M:%S"))
}

fn head(evidence: &Evidence) -> String {
    let view = &evidence.view;
    let closed = view.closed_at.map_or("still open".to_owned(), utc);
    let label = view.label.as_ref().map_or(String::new(), |label| format!(" ({label})"));
    let people: Vec<&str> = evidence.operators().collect();
    let mut text = format!("# Incident {}\n\n", view.id);
    text += &item("- **Stanza:**   ", &format!("{}{label}", view.stanza));
    text += &item("- **Reason:**   ", &view.reason);
    text += &item("- **Detected:** ", &utc(view.detected_at));
    text += &item("- **Declared:** ", &utc(view.declared_at));
    text += &item("- **Closed:**   ", &closed);
    text += &item("- **People:**   ", &people.join(", "));
    if let Some(closing) = &evidence.closing {
        text += &item("- **Outcome:**  ", &closing.text);
    }
    text
}

fn clocks(evidence: &Evidence) -> String {
    let rto = Rto::of(&evidence.view);
    let clock = |ms: Option<u64>| ms.map_or("-".to_owned(), words::exact);
    let target = words::clock(rto.target_s.saturating_mul(1000));
    let rows = [
        vec![
            "recovery time, detected to service back".to_owned(),
            target,
            clock(rto.actual_ms),
            rto.verdict().to_owned(),
        ],
        vec![
            "recovery time, declared to service back".to_owned(),
            String::new(),
            clock(rto.from_declared_ms),
            String::new(),
        ],
        vec![
            "data given up".to_owned(),
            words::clock(evidence.view.rpo_s.saturating_mul(1000)),
            clock(evidence.view.standing.loss.as_ref().map(|loss| loss.lost_ms)),
            given_up(evidence).to_owned(),
        ],
    ];
    let columns =
        [("", Side::Left), ("target", Side::Right), ("actual", Side::Right), ("result", Side::Left)];
    let mut text = format!("## Recovery time and loss\n\n{}", table(&columns, &rows));
    for remark in &evidence.remarks {
        text += &below(&paragraph(remark));
    }
    text
}

/// What the confirmed plan proved; a plan that proved no moment is quoted, not worked out.
fn given_up(evidence: &Evidence) -> &'static str {
    let view = &evidence.view;
    match view.standing.loss.as_ref().map(|loss| loss.lost_ms <= view.rpo_s.saturating_mul(1000)) {
        Some(true) => "within the target",
        Some(false) => "more than the target",
        None if evidence.confirmed.is_empty() => "no plan was confirmed",
        None => "see the plan below",
    }
}

fn phases(view: &IncidentView) -> String {
    if view.phases.is_empty() {
        return String::new();
    }
    let total: u64 = view.phases.iter().map(|phase| phase.took_ms).sum();
    let rows: Vec<Vec<String>> = view
        .phases
        .iter()
        .map(|phase| {
            let until = view.marks.get(&phase.to).copied().unwrap_or_default();
            vec![
                phase.name.clone(),
                words::exact(phase.took_ms),
                share(phase.took_ms, total),
                words::moment(phase.to).to_owned(),
                until.to_utc().format("%H:%M:%S%.3f").to_string(),
            ]
        })
        .chain([vec![
            "total".to_owned(),
            words::exact(total),
            share(total, total),
            String::new(),
            String::new(),
        ]])
        .collect();
    let columns = [
        ("phase", Side::Left),
        ("took", Side::Right),
        ("share", Side::Right),
        ("until", Side::Left),
        ("UTC", Side::Left),
    ];
    format!("## Phases\n\n{}", table(&columns, &rows))
}

/// A part in percent, rounded to tenths.
fn share(part_ms: u64, total_ms: u64) -> String {
    let tenths = (u128::from(part_ms) * 1000 + u128::from(total_ms) / 2).checked_div(u128::from(total_ms));
    tenths.map_or("-".to_owned(), |tenths| format!("{}.{} %", tenths / 10, tenths % 10))
}

fn confirmed(plans: &[Confirmation]) -> String {
    let mut text = String::new();
    for plan in plans {
        let typed = if plan.typed.is_empty() {
            "by its command line".to_owned()
        } else {
            format!("by typing \"{}\"", plan.typed)
        };
        text += &below(&paragraph(&plan.summary));
        text += &below(&paragraph(&format!(
            "Confirmed by {} {typed} at {}; plan {}; operation {}.",
            plan.by,
            utc(plan.at),
            plan.digest,
            plan.operation
        )));
        text += &below(&code("sh", &plan.command));
    }
    if text.is_empty() { text } else { format!("## What was confirmed\n{text}") }
}

/// Text as it is; the fence is longer than any in it.
fn code(language: &str, text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    let plain: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    format!("{fence}{language}\n{}\n{fence}\n", plain.trim_end())
}

fn operations(evidence: &Evidence) -> String {
    let parts: Vec<String> = evidence.operations.iter().map(operation).collect();
    if parts.is_empty() { String::new() } else { format!("## Operations\n\n{}", parts.join("\n")) }
}

fn operation(operation: &Operation) -> String {
    let how = match operation.done {
        Some(true) => "done",
        Some(false) => "stopped",
        None => "its end is not recorded",
    };
    let took = operation.took_ms.map_or(String::new(), |ms| format!(" after {}", words::clock(ms)));
    let attempts = match operation.attempts {
        0 | 1 => String::new(),
        attempts => format!("; {attempts} workers took it up"),
    };
    let mut text = format!("### {}\n\n", escaped(&operation.id));
    text += &paragraph(&format!("Began {}; {how}{took}{attempts}.", utc(operation.started_at)));
    if !operation.steps.is_empty() {
        let rows: Vec<Vec<String>> = (1..)
            .zip(&operation.steps)
            .map(|(number, step): (u32, _)| {
                vec![
                    number.to_string(),
                    step.name.clone(),
                    words::duration(step.took_ms),
                    step.detail.clone(),
                ]
            })
            .collect();
        let columns =
            [("#", Side::Right), ("step", Side::Left), ("took", Side::Right), ("result", Side::Left)];
        text += &below(&table(&columns, &rows));
    }
    if !operation.lines.is_empty() {
        text.push('\n');
        operation.lines.iter().for_each(|line| text += &item("- ", line));
    }
    text
}

fn answers(evidence: &Evidence) -> String {
    let items = evidence.answers.iter().map(|answered| {
        let at = answered.at.to_utc().format("%H:%M:%S");
        let said = words::said(answered.answer);
        item("- ", &format!("{at} {}: \"{}\" — \"{said}\"", answered.by, answered.question))
    });
    let items: String = items.collect();
    if items.is_empty() { items } else { format!("## Questions and answers\n\n{items}") }
}

fn said(evidence: &Evidence) -> String {
    let mut text = String::new();
    for (title, sentences) in [("Warnings", &evidence.warnings), ("Notes", &evidence.notes)] {
        if !sentences.is_empty() {
            if !text.is_empty() {
                text.push('\n');
            }
            text += &["## ", title, "\n\n"].concat();
        }
        for said in sentences {
            let at = said.at.to_utc().format("%H:%M:%S");
            text += &item("- ", &format!("{at} {}: {}", said.by, said.text));
        }
    }
    text
}

fn timeline(view: &IncidentView) -> String {
    let mut text = "## Timeline (UTC)\n".to_owned();
    let mut day = String::new();
    for line in &view.lines {
        let moment = line.at.to_utc();
        let today = moment.format("%Y-%m-%d").to_string();
        if today != day {
            text += &["\n**", &today, "**\n\n"].concat();
            day = today;
        }
        let at = moment.format("%H:%M:%S%.3f");
        text += &item("- ", &format!("{at} {} {}: {}", line.hash_tail, line.actor, line.text));
    }
    text
}

fn chain(evidence: &Evidence) -> String {
    let verification = &evidence.verification;
    let mut text = "## Proof\n\n".to_owned();
    text += &paragraph(&format!(
        "Every entry of {JOURNAL_FILE} bears its own hash and that of the entry before it; the timeline shows the \
         last eight digits of its own. Verified when this report was made: {}.",
        verification.sentence()
    ));
    verification.findings.iter().for_each(|finding| text += &item("- ", &finding.to_string()));
    text += "\nEnd of the chain:\n";
    text += &below(&code("text", &verification.end.to_string()));
    let how = "With stock tools, in the folder of the journal, by bash; only the last line is to appear:";
    text += &below(&paragraph(how));
    text + &below(&code("sh", RECIPE))
}

/// A block after an empty line.
fn below(block: &str) -> String {
    ["\n", block].concat()
}
