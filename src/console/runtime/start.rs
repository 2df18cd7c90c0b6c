//! From a confirmed plan to a running operation: planned once more, compared, written down, started.
//!
//! What was confirmed is what is executed: a plan that came out differently is refused. A journal that cannot be
//! written never stops a recovery; it is told.

use super::Setup;
use super::tools::Tools;
use crate::base::state::OpId;
use crate::base::{Kind, Report, Result, Timestamp};
use crate::console::input::Input;
use crate::incident::Declaration;
use crate::model::op::{Cancel, Spec};
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::recovery::recover::command;

/// What a person confirmed.
pub(super) struct Confirmed<'a> {
    pub(super) request: &'a RecoverRequest,
    /// The digest of the plan that was on the screen.
    pub(super) digest: &'a str,
    pub(super) typed: &'a str,
}

/// Starts what was confirmed; its name. An incident that has to be declared for it was detected at `detected_at`.
pub(super) fn recovery(
    tools: &Tools,
    confirmed: &Confirmed<'_>,
    detected_at: Option<Timestamp>,
) -> Result<OpId> {
    let Confirmed { request, digest, typed } = *confirmed;
    if tools.setup.site.read_only {
        return Err(Report::new(Kind::Refused(None), crate::console::model::READ_ONLY));
    }
    let plan = (tools.setup.planner)(request, &Cancel::default())?;
    same_as_confirmed(&plan, digest, typed)?;
    second_person(tools, &plan)?;
    let id = OpId::new("recover", Timestamp::now())?;
    let incident = in_journal(tools, &plan, &id, typed, detected_at);
    let Setup { given, working_dir, environment, actor, .. } = &*tools.setup;
    let spec = command::spec(id.clone(), &plan, given, working_dir, environment.clone(), actor)?;
    let spec = Spec { incident, ..spec };
    tools.supervisor()?.start(&spec)?;
    Ok(id)
}

/// The last gate: the plan as it is now must be the one that was on the screen, and nothing may refuse it.
fn same_as_confirmed(plan: &RecoverPlan, digest: &str, typed: &str) -> Result<()> {
    let refused = |why: &str| Report::new(Kind::Refused(None), why);
    if plan.digest != digest {
        return Err(refused("the plan has changed since it was shown; nothing was started")
            .hint("look at the new plan and confirm that one"));
    }
    if !plan.can_start() {
        return Err(refused("a check of the plan refuses it; nothing was started")
            .hint("the plan's checks say which"));
    }
    if typed != plan.word() {
        return Err(refused("what was typed is not the name the plan asks for; nothing was started"));
    }
    Ok(())
}

/// Where the stanza wants it, somebody else has approved the plan.
fn second_person(tools: &Tools, plan: &RecoverPlan) -> Result<()> {
    let stanza = &plan.request.stanza;
    if !tools.setup.site.of(stanza).second_person {
        return Ok(());
    }
    let incidents = tools.incidents()?;
    let open = incidents.open_one(stanza)?;
    incidents.ask_for_second_person(open.as_ref(), &tools.setup.actor, plan, false)
}

/// Writes the start into the journal of the open incident, or of a new one; its name.
///
/// A journal that cannot be written never stops a recovery; it is told.
fn in_journal(
    tools: &Tools,
    plan: &RecoverPlan,
    id: &OpId,
    typed: &str,
    detected_at: Option<Timestamp>,
) -> Option<String> {
    let begun = declaration(tools, plan.summary(), detected_at)
        .and_then(|declaration| tools.incidents()?.begin(&tools.setup.actor, &declaration, plan, id, typed))
        .inspect(|incident| {
            tools.hold(incident);
        });
    let told = |report: Report| {
        let report = report.context("writing the journal; the recovery is started all the same");
        tools.tell(Input::Said(Err(report)));
    };
    begun.map_err(told).ok()
}

/// An incident of the stanza with what is expected of it.
pub(super) fn declaration(
    tools: &Tools,
    reason: String,
    detected_at: Option<Timestamp>,
) -> Result<Declaration> {
    let stanza = tools.stanza()?;
    Ok(Declaration::of_site(&stanza, &tools.setup.site.of(&stanza), reason, detected_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Check, CheckState};

    fn plan(state: CheckState) -> RecoverPlan {
        RecoverPlan { checks: vec![Check { state, text: String::new() }], ..RecoverPlan::sample() }
    }

    #[test]
    fn only_the_plan_that_was_shown_is_started() {
        assert!(same_as_confirmed(&plan(CheckState::Ok), "7f3a", "orders").is_ok());
        assert!(same_as_confirmed(&plan(CheckState::Warn), "7f3a", "orders").is_ok());
        for (state, digest, typed) in [
            (CheckState::Ok, "7f3b", "orders"),
            (CheckState::Fail, "7f3a", "orders"),
            (CheckState::Ok, "7f3a", "order"),
        ] {
            let report = same_as_confirmed(&plan(state), digest, typed).unwrap_err();
            assert_eq!(report.kind, Kind::Refused(None));
        }
    }
}
