//! The beginning of a recovery in the journal: what was planned, who confirmed it, which operation was made of it.

use super::{Declaration, Incidents};
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
        let given = targets(plan);
        for fact in [reached(Mark::Decided), confirmed, reached(Mark::Confirmed)].into_iter().chain(given) {
            self.append(&incident, actor, &fact)?;
        }
        Ok(incident)
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
