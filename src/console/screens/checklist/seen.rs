//! What the console sees now of the items that the program can look at: from the plan and the operation.
//!
//! Evidence for the person who ticks. An item of which nothing is seen has none, and that says nothing about it.

use crate::console::model::Model;
use crate::console::theme::State;
use crate::incident::TickResult;
use crate::incident::checklist::{Item, seen};
use crate::model::op::{Snapshot, StepStatus};

/// What is seen of an item; nothing for what only a person can tell, and where nothing was looked at.
pub(super) fn seen(model: &Model, item: &Item) -> Option<(State, String)> {
    if let Some(plan) = model.plan.as_ref().and_then(|(_, loaded)| loaded.value())
        && let Some((result, text)) = seen::of_plan(plan, item)
    {
        let state = match result {
            TickResult::Ok => State::Ok,
            TickResult::Failed => State::Failed,
            TickResult::Unknown | TickResult::NotApplicable => State::Unknown,
        };
        return Some((state, text));
    }
    let step = |name| step(model.operation.as_ref()?, name);
    match item.probe? {
        "verify-connect" | "verify-smoke" => step("verify"),
        "verify-health" => step("first write").or_else(|| step("verify writes")),
        "verify-archiving" => step("prove archive"),
        "verify-first-backup" => step("first backup"),
        _ => None,
    }
}

/// How a step of the operation stands that looks at the item; nothing before it began.
fn step(operation: &Snapshot, name: &str) -> Option<(State, String)> {
    let step = operation.state.steps.iter().find(|step| step.name == name)?;
    let (state, how) = match &step.status {
        StepStatus::Waiting => return None,
        StepStatus::Running { .. } => (State::Unknown, "under way".to_owned()),
        StepStatus::Done { detail, .. } if detail.is_empty() => (State::Ok, "done".to_owned()),
        StepStatus::Done { detail, .. } => (State::Ok, detail.clone()),
        StepStatus::Stopped => (State::Failed, "the operation stopped in it".to_owned()),
    };
    Some((state, format!("{}, {name}: {how}", operation.spec.id)))
}
