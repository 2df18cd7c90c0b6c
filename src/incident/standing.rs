//! How an incident stands between people: severity, roles, tasks, checklists, position, messages, follow-ups, attempts.
//!
//! A fold of the journal, entry by entry; pure. Two who write at once are settled by the order of the entries: whoever
//! comes second with something that no longer holds changes nothing, and is shown in the journal all the same.

mod people;
mod talk;
mod work;

pub use people::{RoleStanding, Seat};
pub use talk::{Channel, ChannelState, Message};
pub use work::{Attempt, FollowUp, Loss, Position, Task, TaskEnd, Tick};

use super::words;
use crate::base::Timestamp;
use crate::journal::{Audience, Entry, Fact, Role, Scenario, Severity};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was settled between people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// How bad it is.
    pub severity: Option<Severity>,
    /// When the trouble was detected.
    #[serde(skip)]
    detected_at: Timestamp,
    /// Which kind of recovery it has become.
    pub scenario: Option<Scenario>,
    /// Who plays which part.
    pub roles: BTreeMap<Role, RoleStanding>,
    /// Who acts, as the journal tells it; whether that one is still there only the lock knows.
    pub pilot: Option<Seat>,
    /// Where in a runbook the incident is.
    pub position: Option<Position>,
    /// Who is to do what until when.
    pub tasks: Vec<Task>,
    /// How each item of each checklist stands, as it was looked at last.
    pub ticks: Vec<Tick>,
    /// The recoveries that were confirmed, numbered.
    pub attempts: Vec<Attempt>,
    /// What the recovery gives up, by the last plan that was confirmed.
    pub loss: Option<Loss>,
    /// What was or is to be sent.
    pub messages: Vec<Message>,
    /// When each audience was told last.
    pub told: BTreeMap<Audience, Timestamp>,
    /// What is to be done afterwards.
    pub follow_ups: Vec<FollowUp>,
}

impl Standing {
    /// Who plays a part.
    pub fn holder(&self, role: Role) -> Option<&str> {
        self.roles.get(&role).map(|standing| standing.holder.as_str())
    }

    /// The tasks that have not ended.
    pub fn open_tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.end.is_none())
    }

    /// The follow-ups that are not done.
    pub fn open_follow_ups(&self) -> impl Iterator<Item = &FollowUp> {
        self.follow_ups.iter().filter(|follow_up| follow_up.done.is_none())
    }

    /// The messages that some channel has not taken yet.
    pub fn waiting_messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.is_waiting())
    }

    /// Takes an entry in.
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.fact {
            // An incident is declared once; a second declaration in its journal changes nothing.
            Fact::Declared { severity, detected_at, .. } if self.detected_at == Timestamp::default() => {
                (self.severity, self.detected_at) = (*severity, *detected_at);
            }
            Fact::SeverityChanged { severity, .. } => self.severity = Some(*severity),
            Fact::ScenarioChosen { scenario, .. } => self.scenario = Some(*scenario),
            _ => {
                self.apply_people(entry);
                self.apply_work(entry);
                self.apply_talk(entry);
            }
        }
    }
}

/// A text as it is shown.
fn plain(text: &str) -> String {
    words::one_line(text)
}

#[cfg(test)]
mod tests;
