//! Roles and the seat of the one who acts.
//!
//! A role that was offered stays with its holder until the other one acknowledges it: never with nobody, never with two.

use super::{Standing, plain};
use crate::base::Timestamp;
use crate::journal::{Entry, Fact};
use serde::Serialize;

/// A role that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleStanding {
    /// Who.
    pub holder: String,
    /// Since when.
    pub since: Timestamp,
    /// To whom it is offered; that one has not acknowledged it yet.
    pub offered_to: Option<String>,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seat {
    /// Who.
    pub who: String,
    /// At which host.
    pub host: String,
    /// Since when.
    pub since: Timestamp,
}

impl Standing {
    pub(super) fn apply_people(&mut self, entry: &Entry) {
        let actor = || plain(&entry.actor);
        let held = || RoleStanding { holder: actor(), since: entry.at, offered_to: None };
        match &entry.fact {
            Fact::RoleTaken { role, from, .. } => {
                let holder = self.holder(*role);
                if holder.is_none() || holder == from.as_deref() {
                    self.roles.insert(*role, held());
                }
            }
            Fact::RoleOffered { role, to } => {
                let standing = self.roles.get_mut(role).filter(|standing| standing.holder == actor());
                if let Some(standing) = standing {
                    standing.offered_to = Some(plain(to));
                }
            }
            Fact::RoleAcknowledged { role, from } => {
                let offered = self.roles.get(role).filter(|standing| {
                    standing.holder == *from && standing.offered_to.as_ref() == Some(&actor())
                });
                if offered.is_some() {
                    self.roles.insert(*role, held());
                }
            }
            Fact::PilotTaken => {
                self.pilot = Some(Seat { who: actor(), host: plain(&entry.host), since: entry.at });
            }
            Fact::PilotLeft if self.pilot.as_ref().is_some_and(|seat| seat.who == actor()) => {
                self.pilot = None;
            }
            _ => {}
        }
    }
}
