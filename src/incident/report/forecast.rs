//! The forecast of a confirmed plan against what the recovery took. Says nothing of one that was not forecast, or that
//! did not come to its end.

use super::super::evidence::{Confirmation, Operation};
use super::super::table::{Side, paragraph, table};
use super::{Evidence, below};
use crate::incident::words;
use crate::model::forecast::{Part, Score, scores};
use serde::Serialize;

/// A recovery that was forecast and is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scored {
    /// The operation.
    pub operation: String,
    /// What the forecast rested on.
    pub basis: String,
    /// Part by part, and all together.
    pub scores: Vec<Score>,
    /// How many workers it took: each after the first begins what it stood in again.
    pub attempts: u32,
}

/// Every recovery that was forecast and is done.
pub fn scored(evidence: &Evidence) -> Vec<Scored> {
    let done = |id: &str| {
        evidence.operations.iter().find(|operation| operation.id == id && operation.done == Some(true))
    };
    let one = |plan: &Confirmation| of(plan, done(&plan.operation)?);
    evidence.confirmed.iter().filter_map(one).collect()
}

fn of(plan: &Confirmation, operation: &Operation) -> Option<Scored> {
    let forecast = plan.forecast.as_ref()?;
    let steps = operation.steps.iter().map(|step| (step.name.as_str(), step.took_ms));
    Some(Scored {
        operation: operation.id.clone(),
        basis: forecast.basis(),
        scores: scores(forecast, steps),
        attempts: operation.attempts,
    })
}

/// The columns of the table of one.
pub(super) const COLUMNS: [(&str, Side); 5] = [
    ("part", Side::Left),
    ("half", Side::Right),
    ("nine of ten", Side::Right),
    ("actual", Side::Right),
    ("result", Side::Left),
];

/// Its rows.
pub(super) fn rows(scored: &Scored) -> Vec<Vec<String>> {
    let row = |score: &Score| {
        vec![
            name(score.part).to_owned(),
            words::duration(score.forecast.p50_ms),
            words::duration(score.forecast.p90_ms),
            words::duration(score.actual_ms),
            if score.within_p90 { "within" } else { "longer" }.to_owned(),
        ]
    };
    scored.scores.iter().map(row).collect()
}

/// What stands above the table.
pub(super) fn lead(scored: &Scored) -> String {
    let interrupted = match scored.attempts {
        0 | 1 => String::new(),
        attempts => format!(" It was interrupted: {attempts} workers took it up."),
    };
    format!(
        "{}: what half and nine of ten recoveries were to stay below, {}; from the confirmation to the service, \
         without the time people took.{interrupted}",
        scored.operation, scored.basis
    )
}

fn name(part: Option<Part>) -> &'static str {
    match part {
        Some(Part::Copy) => "copy",
        Some(Part::Replay) => "replay",
        Some(Part::Rest) => "everything else",
        None => "all together",
    }
}

/// The section of the Markdown; empty where nothing was forecast.
pub(super) fn section(evidence: &Evidence) -> String {
    let one = |one: &Scored| paragraph(&lead(one)) + &below(&table(&COLUMNS, &rows(one)));
    let text = scored(evidence).iter().map(one).collect::<Vec<_>>().join("\n");
    if text.is_empty() { text } else { format!("## Forecast against actual\n\n{text}") }
}
