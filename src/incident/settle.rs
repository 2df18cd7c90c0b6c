//! What people settle, as one value: a command and a screen ask for it alike, and it is told in the same words.
//!
//! Whether it can be is judged where it is done; nothing here is written around that.

use super::Incidents;
use super::checklist::Item;
use crate::base::{Report, Result};
use crate::journal::{Audience, Fact, Role, TickResult};

/// The longest time a task is given, minutes.
pub const MOST_TASK_MINUTES: u32 = 10_080;
/// The time a task is given where nobody says another, minutes.
pub const TASK_MINUTES: u32 = 10;

/// Something that is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settle {
    /// Takes a role; from somebody else only with a reason.
    TakeRole {
        /// Which.
        role: Role,
        /// Why it is taken from whoever holds it.
        reason: Option<String>,
    },
    /// Offers a role.
    OfferRole {
        /// Which.
        role: Role,
        /// To whom.
        to: String,
    },
    /// Takes over a role that was offered.
    AcknowledgeRole {
        /// Which.
        role: Role,
    },
    /// Gives somebody a task.
    AddTask {
        /// What.
        text: String,
        /// Who.
        owner: String,
        /// Within how many minutes.
        minutes: u32,
    },
    /// Ends a task.
    EndTask {
        /// Which.
        task: u64,
        /// It was done; else it is not done any more.
        done: bool,
        /// What came out, or why.
        text: String,
    },
    /// Writes down what is to be done after the incident.
    AddFollowUp {
        /// What.
        text: String,
        /// Who.
        owner: String,
        /// By which day.
        due: String,
    },
    /// A follow-up is done.
    FinishFollowUp {
        /// Which.
        follow_up: u64,
        /// What came out.
        text: String,
    },
    /// Says how an item of a checklist stands.
    Tick {
        /// Which.
        item: &'static Item,
        /// How.
        result: TickResult,
        /// What was seen.
        detail: String,
    },
    /// Writes down that somebody was told by other means.
    Told {
        /// Who.
        audience: Audience,
        /// What, and how.
        text: String,
    },
    /// Gives a message up where it was not taken.
    DropMessage {
        /// Which.
        message: String,
        /// Why.
        why: String,
    },
}

/// What was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// In a sentence.
    pub said: String,
    /// The name of the task or follow-up it is about.
    pub number: Option<u64>,
}

impl Settled {
    fn plain(said: String) -> Self {
        Self { said, number: None }
    }

    fn numbered(number: u64, said: String) -> Self {
        Self { said, number: Some(number) }
    }
}

impl Incidents {
    /// Settles something in an incident, by the actor.
    pub fn settle(&self, id: &str, actor: &str, what: &Settle) -> Result<Settled> {
        let now_is = |role: Role| Settled::plain(format!("{actor} is {} of incident {id}", role.said()));
        Ok(match what {
            Settle::TakeRole { role, reason } => {
                self.take_role(id, actor, *role, reason.as_deref())?;
                now_is(*role)
            }
            Settle::OfferRole { role, to } => {
                self.hand_over(id, actor, *role, to)?;
                Settled::plain(format!(
                    "{to} is asked to be {}; until `pgmayday incident role acknowledge {}`, it is {actor}",
                    role.said(),
                    role.name()
                ))
            }
            Settle::AcknowledgeRole { role } => {
                self.acknowledge(id, actor, *role)?;
                now_is(*role)
            }
            Settle::AddTask { text, owner, minutes } => {
                let number = self.add_task(id, actor, text, owner, *minutes)?;
                Settled::numbered(number, format!("task #{number} for {owner}, {minutes} minutes"))
            }
            Settle::EndTask { task, done, text } => {
                self.end_task(id, actor, *task, *done, text)?;
                let how = if *done { "done" } else { "dropped" };
                Settled::numbered(*task, format!("task #{task} is {how}"))
            }
            Settle::AddFollowUp { text, owner, due } => {
                let number = self.add_follow_up(id, actor, text, owner, due)?;
                Settled::numbered(number, format!("follow-up #{number} for {owner} by {due}"))
            }
            Settle::FinishFollowUp { follow_up, text } => {
                self.finish_follow_up(id, actor, *follow_up, text)?;
                Settled::numbered(*follow_up, format!("follow-up #{follow_up} is done"))
            }
            Settle::Tick { item, result, detail } => {
                let hint = "`pgmayday incident tick … --result=n/a --detail=TEXT` gives it";
                reasoned(item.id, *result, detail, hint)?;
                self.tick(id, actor, item, false, *result, detail)?;
                Settled::plain(format!("{}: {} is {}", item.list, item.id, result.said()))
            }
            Settle::Told { audience, text } => {
                self.append(id, actor, &Fact::Told { audience: *audience, text: text.clone() })?;
                Settled::plain(format!("written down: {} was told", audience.said()))
            }
            Settle::DropMessage { message, why } => {
                self.drop_message(id, actor, message, why)?;
                Settled::plain(format!("message {message} is given up where it was not taken"))
            }
        })
    }
}

/// That something does not apply is said with its reason only.
pub(super) fn reasoned(item: &str, result: TickResult, detail: &str, hint: &str) -> Result<()> {
    if result == TickResult::NotApplicable && detail.trim().is_empty() {
        return Err(Report::usage(format!("{item}: not applicable asks for the reason why")).hint(hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::state::StateDir;
    use crate::incident::{Declaration, checklist};

    fn declared(dir: &tempfile::TempDir) -> (Incidents, String) {
        let incidents = Incidents::new(StateDir::at(dir.path()));
        let id = incidents.declare("dk", &Declaration::sample()).unwrap();
        (incidents, id)
    }

    #[test]
    fn what_is_settled_is_told_and_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let (incidents, id) = declared(&dir);
        let settle = |actor: &str, what| incidents.settle(&id, actor, &what).unwrap();
        settle("dk", Settle::TakeRole { role: Role::Lead, reason: None });
        let offered = settle("dk", Settle::OfferRole { role: Role::Lead, to: "am".to_owned() });
        assert!(offered.said.contains("am is asked to be Incident Lead"), "{}", offered.said);
        settle("am", Settle::AcknowledgeRole { role: Role::Lead });
        let (text, owner) = ("look".to_owned(), "dk".to_owned());
        let task = settle("am", Settle::AddTask { text, owner, minutes: 5 }).number.unwrap();
        let ended = settle("dk", Settle::EndTask { task, done: false, text: "no need".to_owned() });
        assert_eq!(ended, Settled { said: format!("task #{task} is dropped"), number: Some(task) });
        let (text, owner, due) = ("mend".to_owned(), "am".to_owned(), "2026-12-01".to_owned());
        let follow_up = settle("am", Settle::AddFollowUp { text, owner, due }).number.unwrap();
        settle("am", Settle::FinishFollowUp { follow_up, text: String::new() });
        settle("am", Settle::Told { audience: Audience::External, text: "phoned".to_owned() });
        let standing = incidents.view(&id).unwrap().standing;
        assert_eq!(standing.holder(Role::Lead), Some("am"));
        assert!(standing.told.contains_key(&Audience::External) && standing.follow_ups[0].done.is_some());
    }

    #[test]
    fn that_something_does_not_apply_needs_a_reason_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let (incidents, id) = declared(&dir);
        let item = checklist::item(checklist::PRE_RESTORE, "fenced").unwrap();
        let tick = |result, detail: &str| {
            incidents.settle(&id, "dk", &Settle::Tick { item, result, detail: detail.to_owned() })
        };
        assert!(tick(TickResult::NotApplicable, " ").unwrap_err().headline.contains("reason"));
        assert!(incidents.view(&id).unwrap().standing.ticks.is_empty(), "nothing was written");
        tick(TickResult::Ok, "").unwrap();
        tick(TickResult::NotApplicable, "the host is gone").unwrap();
        assert_eq!(incidents.view(&id).unwrap().standing.ticks[0].detail, "the host is gone");
    }
}
