//! What the console sees now of the items that the program can look at: from the plan and the operation.
//!
//! Evidence for the person who ticks. An item of which nothing is seen has none, and that says nothing about it.

use crate::console::model::Model;
use crate::console::screens::paint::exactly;
use crate::console::theme::State;
use crate::console::widgets::{moment, size};
use crate::incident::checklist::Item;
use crate::model::op::{Snapshot, StepStatus};
use crate::model::plan::RecoverPlan;

/// What is seen of an item; nothing for what only a person can tell, and where nothing was looked at.
pub(super) fn seen(model: &Model, item: &Item) -> Option<(State, String)> {
    let plan = || model.plan.as_ref().and_then(|(_, loaded)| loaded.value());
    let step = |name| step(model.operation.as_ref()?, name);
    match item.probe? {
        "plan-target" => plan().map(target),
        "plan-set" => plan().and_then(set),
        "plan-space" => plan().and_then(space),
        "verify-connect" | "verify-smoke" => step("verify"),
        "verify-health" => step("first write").or_else(|| step("verify writes")),
        "verify-archiving" => step("prove archive"),
        "verify-first-backup" => step("first backup"),
        _ => None,
    }
}

fn digest(plan: &RecoverPlan) -> &str {
    plan.digest.get(..8).unwrap_or(&plan.digest)
}

fn target(plan: &RecoverPlan) -> (State, String) {
    let last = plan.last_commit.map_or_else(String::new, |at| format!(", last commit {}", exactly(at)));
    (State::Ok, format!("plan {}: {}{last}", digest(plan), plan.target))
}

fn set(plan: &RecoverPlan) -> Option<(State, String)> {
    let set = plan.set.as_ref()?;
    let stop = plan.set_stop.map_or_else(String::new, |at| format!(" ended {} UTC", moment(at)));
    let state = if plan.can_start() { State::Ok } else { State::Failed };
    let refused = if plan.can_start() { "" } else { "; a check of the plan refuses it" };
    let segments = plan.replay_segments;
    Some((state, format!("plan {}: {set}{stop}, {segments} segments to replay{refused}", digest(plan))))
}

fn space(plan: &RecoverPlan) -> Option<(State, String)> {
    if plan.space.is_empty() {
        return None;
    }
    let short = plan.space.iter().any(|(_, needed, free)| needed > free);
    let place = |(path, needed, free): &(std::path::PathBuf, u64, u64)| {
        format!("{} needs {} of {}", path.display(), size(*needed), size(*free))
    };
    let places: Vec<String> = plan.space.iter().map(place).collect();
    let state = if short { State::Failed } else { State::Ok };
    Some((state, format!("plan {}: {}", digest(plan), places.join(", "))))
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
