//! The beginning of a recovery in the journal: what was planned, who confirmed it, which operation was made of it.

use super::{Declaration, Incidents, checklist};
use crate::base::Result;
use crate::base::state::OpId;
use crate::journal::Fact;
use crate::model::op::Mark;
use crate::model::plan::RecoverPlan;

impl Incidents {
    /// Writes down that `plan` was confirmed as `operation`: in the stanza's open incident, or in a new one, declared
    /// as `declaration` says. The incident's name.
    ///
    /// `typed` is the word that was typed; empty for a command line, which confirms itself.
    pub fn begin(
        &self,
        actor: &str,
        declaration: &Declaration,
        plan: &RecoverPlan,
        operation: &OpId,
        typed: &str,
    ) -> Result<String> {
        let unready = self.unready(&declaration.stanza, plan);
        let incident = self.open_or_declared(actor, declaration)?;
        let reached = |mark| Fact::Reached { mark, operation: Some(operation.to_string()) };
        let confirmed = Fact::Confirmed {
            digest: plan.digest.clone(),
            summary: plan.summary(),
            command: plan.command.clone(),
            typed: typed.to_owned(),
            operation: operation.to_string(),
            last_commit: plan.last_commit,
            newest: plan.newest,
            forecast: plan.forecast.clone(),
        };
        let seen = checklist::seen::ticks(plan);
        let moments = [reached(Mark::Decided), confirmed, reached(Mark::Confirmed)];
        for fact in seen.into_iter().chain(moments).chain(targets(plan)) {
            self.append(&incident, actor, &fact)?;
        }
        if let Ok(Some(open)) = unready {
            let (operation, text) =
                (Some(operation.to_string()), format!("the recovery was started all the same: {open}"));
            self.append(&incident, actor, &Fact::Warning { operation, text })?;
        }
        Ok(incident)
    }

    /// What is to be told before a recovery of the stanza is started by `plan`: the blocking items of its open incident's
    /// checklist that are open. Nothing without such an incident: none of them was to be looked at.
    pub fn unready(&self, stanza: &str, plan: &RecoverPlan) -> Result<Option<String>> {
        Ok(self.open_one(stanza)?.and_then(|view| checklist::open_before(&view.standing, plan)))
    }
}

/// What the runbooks call the target, for whoever goes on in one.
fn targets(plan: &RecoverPlan) -> impl Iterator<Item = Fact> {
    let target = plan.request.targets.first().cloned();
    let kind = target.as_ref().map(|_| plan.request.kind.clone());
    let values = [("target_type", kind), ("target", target)];
    values
        .into_iter()
        .filter_map(|(name, value)| Some(Fact::ValueGiven { name: name.to_owned(), value: value? }))
}

#[cfg(test)]
mod tests {
    use crate::base::Timestamp;
    use crate::base::state::{OpId, StateDir};
    use crate::incident::checklist::{self, PRE_RESTORE};
    use crate::incident::{Declaration, Incidents, Settle, TickResult};
    use crate::journal::Fact;
    use crate::model::plan::RecoverPlan;

    #[test]
    fn what_was_open_before_a_recovery_is_told_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let incidents = Incidents::new(StateDir::at(dir.path()));
        let declaration = Declaration::sample();
        let plan = RecoverPlan::sample();
        let op = || OpId::new("recover", Timestamp::now()).unwrap();
        let begun = || incidents.begin("dk", &declaration, &plan, &op(), "").unwrap();
        let told = |id: &str| {
            let lines = incidents.view(id).unwrap().lines.into_iter();
            lines
                .filter(|line| line.text.contains("started all the same"))
                .map(|line| line.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(incidents.unready("orders", &plan).unwrap(), None, "no incident asked for anything");
        let id = begun();
        assert_eq!(told(&id), [""; 0]);
        let items = checklist::items(PRE_RESTORE).filter(|item| item.blocking && item.id != "fenced");
        for item in items {
            let (result, detail) = (TickResult::Ok, String::new());
            incidents.settle(&id, "dk", &Settle::Tick { item, result, detail }).unwrap();
        }
        let said = "open in the pre-restore list: fenced";
        assert_eq!(incidents.unready("orders", &plan).unwrap().as_deref(), Some(said));
        begun();
        assert!(matches!(&told(&id)[..], [line] if line.contains(said)), "{:?}", told(&id));
        let item = checklist::item(PRE_RESTORE, "fenced").unwrap();
        let (result, detail) = (TickResult::NotApplicable, "the host is gone".to_owned());
        incidents.settle(&id, "dk", &Settle::Tick { item, result, detail }).unwrap();
        begun();
        assert_eq!((told(&id).len(), incidents.unready("orders", &plan).unwrap()), (1, None));
        // What was said before a recovery that was done says nothing of the next one.
        let operation = incidents.view(&id).unwrap().standing.attempts.last().unwrap().operation.clone();
        incidents
            .append(&id, "worker", &Fact::OperationEnded { operation, done: true, lines: Vec::new() })
            .unwrap();
        let open = incidents.unready("orders", &plan).unwrap().unwrap();
        assert!(open.contains("fenced") && open.contains("target-name"), "{open}");
        // What the plan shows is seen anew each time.
        let shown = RecoverPlan { set: Some("20261120-020001F".to_owned()), ..plan.clone() };
        let open = incidents.unready("orders", &shown).unwrap().unwrap();
        assert!(!open.contains("exact-point") && open.contains("backup-available"), "{open}");
    }
}
