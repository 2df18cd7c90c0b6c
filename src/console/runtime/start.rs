//! From a confirmed plan to a running operation: planned once more, compared, written down, started.
//!
//! What was confirmed is what is executed: a plan that came out differently is refused. A journal that cannot be
//! written never stops a recovery; it is told.

use super::Setup;
use super::work::{Tools, declare};
use crate::base::state::OpId;
use crate::base::{Kind, Report, Result, Timestamp};
use crate::console::input::Input;
use crate::incident::Incidents;
use crate::journal::Fact;
use crate::model::op::{Cancel, Mark, Spec};
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::recovery::recover::command;

/// The stanza the console was opened for.
pub(super) fn stanza(tools: &Tools) -> Result<String> {
    let stanza = tools.setup.stanza.clone();
    stanza.ok_or_else(|| Report::usage("no stanza is chosen").hint("open the console with --stanza=NAME"))
}

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
    let id = OpId::new("recover", Timestamp::now())?;
    let incident = match incident(tools, &plan, detected_at) {
        Ok((incidents, incident)) => {
            let noted = note(&incidents, &incident, tools, &plan, &id, typed);
            tell_failure(tools, noted);
            Some(incident)
        }
        Err(report) => {
            tell_failure(tools, Err(report));
            None
        }
    };
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

/// The open incident of the stanza; one is declared where none is.
fn incident(
    tools: &Tools,
    plan: &RecoverPlan,
    detected_at: Option<Timestamp>,
) -> Result<(Incidents, String)> {
    let incidents = tools.incidents()?;
    let open = incidents.open_one(&plan.request.stanza)?;
    let id = match open {
        Some(open) => open.id,
        None => declare(tools, summary(plan), detected_at)?,
    };
    Ok((incidents, id))
}

fn note(
    incidents: &Incidents,
    incident: &str,
    tools: &Tools,
    plan: &RecoverPlan,
    id: &OpId,
    typed: &str,
) -> Result<()> {
    let operation = Some(id.to_string());
    let confirmed = Fact::Confirmed {
        digest: plan.digest.clone(),
        summary: summary(plan),
        command: plan.command.clone(),
        typed: typed.to_owned(),
        operation: id.to_string(),
    };
    let reached = |mark| Fact::Reached { mark, operation: operation.clone() };
    [reached(Mark::Decided), confirmed, reached(Mark::Confirmed)]
        .iter()
        .try_for_each(|fact| incidents.append(incident, &tools.setup.actor, fact))
}

fn tell_failure(tools: &Tools, result: Result<()>) {
    if let Err(report) = result {
        tools.tell(Input::Said(Err(
            report.context("writing the journal; the recovery is started all the same")
        )));
    }
}

fn summary(plan: &RecoverPlan) -> String {
    format!("recover {} in place to {}", plan.request.stanza, plan.target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Check, CheckState};

    fn plan(state: CheckState) -> RecoverPlan {
        let request = RecoverRequest {
            stanza: "orders".to_owned(),
            kind: "time".to_owned(),
            targets: vec!["2026-11-21 02:03:00+00".to_owned()],
            exclusive: false,
            timeline: None,
            set: None,
            asks: false,
        };
        RecoverPlan {
            request,
            target: "2026-11-21 02:03:00+00".to_owned(),
            target_at: None,
            data_dir: "/srv/pg".into(),
            repo: None,
            set: None,
            set_stop: None,
            copy_bytes: 0,
            copy_files: 0,
            replay_bytes: 0,
            replay_segments: 0,
            timeline: None,
            space: Vec::new(),
            last_commit: None,
            first_lost_commit: None,
            newest: None,
            checks: vec![Check { state, text: String::new() }],
            steps: Vec::new(),
            command: String::new(),
            digest: "7f3a".to_owned(),
        }
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
