//! A second person's word: where a stanza wants it, a recovery starts only by a plan that somebody else has approved.
//!
//! Asked for and given in the journal, by the plan's digest, so that what is approved is exactly what is started. Nothing
//! here starts anything, and nobody approves what they asked for themselves.

use super::{IncidentView, Incidents, words};
use crate::base::{Report, Result, Timestamp};
use crate::journal::{Entry, Fact};
use crate::model::plan::RecoverPlan;
use serde::Serialize;

/// The guard against a recovery that nobody else has looked at.
pub const SECOND_PERSON: &str = "second-person";

/// An approval that is older is asked for again, seconds.
const HOLDS_S: i64 = 3600;

/// A plan that waits for a second person, or has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approval {
    /// Its digest.
    pub digest: String,
    /// In one line.
    pub summary: String,
    /// Its command line.
    pub command: String,
    /// Who asked.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Who approved it and when.
    pub approved: Option<(String, Timestamp)>,
}

/// What was asked for in a journal, oldest first; of one plan only the last time.
pub fn approvals<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Vec<Approval> {
    let mut all: Vec<Approval> = Vec::new();
    for entry in entries {
        match &entry.fact {
            Fact::ApprovalAsked { digest, summary, command } => {
                all.retain(|asked| asked.digest != *digest);
                all.push(Approval {
                    digest: digest.clone(),
                    summary: summary.clone(),
                    command: command.clone(),
                    by: entry.actor.clone(),
                    at: entry.at,
                    approved: None,
                });
            }
            Fact::Approved { digest } => {
                let asked = all.iter_mut().find(|asked| asked.digest == *digest && asked.by != entry.actor);
                if let Some(asked) = asked {
                    asked.approved = Some((entry.actor.clone(), entry.at));
                }
            }
            _ => {}
        }
    }
    all
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    now.unix_s().saturating_sub(at.unix_s()) <= HOLDS_S
}

impl Incidents {
    /// Approves the plan whose digest begins so; the approval.
    ///
    /// # Errors
    /// Nobody asked for it lately, several begin so, or the actor asked for it.
    pub fn approve(&self, id: &str, actor: &str, beginning: &str) -> Result<Approval> {
        let asked = approvals(&self.entries(id)?);
        let fits = |asked: &&Approval| {
            beginning.len() >= 4
                && asked.digest.starts_with(beginning)
                && is_fresh(asked.at, Timestamp::now())
        };
        let mut fitting = asked.iter().filter(fits);
        let (Some(approval), None) = (fitting.next(), fitting.next()) else {
            let waiting: Vec<String> =
                asked.iter().filter(|asked| asked.approved.is_none()).map(Approval::said).collect();
            let waiting = if waiting.is_empty() {
                "nothing waits for an approval".to_owned()
            } else {
                waiting.join("; ")
            };
            return Err(Report::usage(format!(
                "no one plan that begins with '{beginning}' waits for an approval"
            ))
            .hint(waiting));
        };
        if approval.by == actor {
            return Err(Report::refused(
                SECOND_PERSON,
                format!("{actor} asked for it: somebody else approves it"),
            )
            .hint("log in as the person you are: names are what the journal tells people apart by"));
        }
        self.append(id, actor, &Fact::Approved { digest: approval.digest.clone() })?;
        Ok(approval.clone())
    }

    /// Refuses to start a plan that nobody else has approved, and asks for that; with `alone` it is started without, and
    /// that is written down.
    pub fn ask_for_second_person(
        &self,
        open: Option<&IncidentView>,
        actor: &str,
        plan: &RecoverPlan,
        alone: bool,
    ) -> Result<()> {
        let Some(open) = open else {
            if alone {
                return Ok(());
            }
            return Err(Report::refused(
                SECOND_PERSON,
                "a second person must approve the plan, and no incident is open",
            )
            .hint("declare it first: its journal is where the plan is approved"));
        };
        let now = Timestamp::now();
        let entries = match self.entries(&open.id) {
            Err(_) if alone => return Ok(()),
            entries => entries?,
        };
        let asked = approvals(&entries).into_iter().find(|asked| asked.digest == plan.digest);
        let approved = asked.as_ref().and_then(|asked| asked.approved.as_ref());
        if approved.is_some_and(|(by, at)| by != actor && is_fresh(*at, now)) {
            return Ok(());
        }
        if alone {
            let text = format!(
                "plan {} is started without a second person, {SECOND_PERSON} accepted",
                words::short(&plan.digest)
            );
            // A journal that cannot be written stops no recovery.
            return self.note(&open.id, actor, &text).or(Ok(()));
        }
        if asked.is_none_or(|asked| asked.by != actor || !is_fresh(asked.at, now)) {
            let (digest, summary, command) = (plan.digest.clone(), plan.summary(), plan.command.clone());
            self.append(&open.id, actor, &Fact::ApprovalAsked { digest, summary, command })?;
        }
        let short = words::short(&plan.digest);
        Err(Report::refused(SECOND_PERSON, format!("a second person must approve plan {short}; nothing was started")).hint(
            format!("it was asked for: somebody else looks at it and runs `pgmayday incident approve {short}`, then it is confirmed again"),
        ))
    }
}

impl Approval {
    /// In a line.
    pub fn said(&self) -> String {
        format!("plan {} of {}: {}", words::short(&self.digest), self.by, self.summary)
    }
}

#[cfg(test)]
mod tests;
