//! Whether the plan on the screen may be confirmed, and what is said when it is. Pure.

use crate::console::model::{Loaded, Model, READ_ONLY};
use crate::console::screens::paint::counted;
use crate::console::screens::{Confirmed, Modal};
use crate::console::widgets::size;
use crate::model::op::Life;
use crate::model::plan::{CheckState, RecoverPlan, RecoverRequest};

/// Where planning stands for the request on the screen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Planned<'a> {
    /// Nothing was planned.
    Nothing,
    /// What was planned is not what stands on the screen.
    Another,
    /// It is being worked out, since then.
    Working(crate::base::Timestamp),
    /// It could not be worked out: why.
    Failed(&'a str),
    /// It is this.
    Plan(&'a RecoverPlan),
}

/// Where planning stands for `request`.
pub(super) fn planned<'a>(model: &'a Model, request: Option<&RecoverRequest>) -> Planned<'a> {
    let Some((planned, plan)) = &model.plan else { return Planned::Nothing };
    if Some(planned) != request {
        return Planned::Another;
    }
    match plan {
        Loaded::No => Planned::Nothing,
        Loaded::Loading(since, _) => Planned::Working(*since),
        Loaded::Failed(why, _) => Planned::Failed(why),
        Loaded::Yes(plan) if plan.answers(planned) => Planned::Plan(plan),
        Loaded::Yes(_) => Planned::Another,
    }
}

/// Why nothing may be started from here at all.
pub(super) fn barred(model: &Model) -> Option<String> {
    if model.starting {
        return Some("it is being started".to_owned());
    }
    if model.board.identity.read_only {
        return Some(READ_ONLY.to_owned());
    }
    let works = |life: &Life| matches!(life, Life::Starting | Life::Running { .. });
    let other = model.board.operations.iter().find(|operation| works(&operation.life));
    other.map(|operation| format!("an operation is at work: {}", operation.summary))
}

/// The plan that may be confirmed now, or why none may.
pub(super) fn confirmable<'a>(
    model: &'a Model,
    request: Option<&RecoverRequest>,
) -> Result<&'a RecoverPlan, String> {
    if let Some(why) = barred(model) {
        return Err(why);
    }
    match planned(model, request) {
        Planned::Plan(plan) if plan.can_start() => Ok(plan),
        Planned::Plan(plan) => {
            let failed = plan.checks.iter().find(|check| check.state == CheckState::Fail);
            Err(failed.map_or_else(|| "a check fails".to_owned(), |check| check.text.clone()))
        }
        Planned::Nothing | Planned::Another => Err("there is no plan for this target yet".to_owned()),
        Planned::Working(_) => Err("the plan is being worked out".to_owned()),
        Planned::Failed(_) => Err("the plan could not be worked out".to_owned()),
    }
}

/// The window that asks for the typed word before what was asked for is done as planned.
pub(super) fn confirm(plan: &RecoverPlan, request: RecoverRequest) -> Modal {
    let data_dir = plan.data_dir.display();
    let mut text = vec![
        format!("Recover {} to {}.", plan.request.stanza, plan.target),
        format!(
            "The server is stopped. {} are copied beside {data_dir} and {} of WAL are replayed.",
            size(plan.copy_bytes),
            counted(plan.replay_segments, "segment", "segments")
        ),
        format!("Then the copy takes the place of {data_dir}, is promoted and opened."),
        "The old data directory is kept whole in quarantine until a person removes it.".to_owned(),
        "Undo: until the exchange nothing of the old cluster is changed: cancel, and start it again."
            .to_owned(),
        "After it, exchange the two directories back while the server is stopped.".to_owned(),
    ];
    text.push(if plan.request.asks {
        "Before promotion you are asked whether the recovered data is right.".to_owned()
    } else {
        "You are not asked before promotion: the application's check decides.".to_owned()
    });
    let loss = plan.loss();
    if super::plan_pane::gives_up(&loss) {
        text.push(format!("Given up: {loss}."));
    }
    Modal::Confirm {
        title: format!("START PLAN {}", plan.digest.chars().take(8).collect::<String>()),
        text,
        word: plan.word().to_owned(),
        then: Confirmed::Start { request: Box::new(request), digest: plan.digest.clone() },
    }
}
