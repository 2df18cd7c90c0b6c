//! What people do with an incident: roles, tasks, ticks, severity, follow-ups, and whether it can be closed.
//!
//! Each is looked at before it is written down, and again afterwards: of two who do the same at once one is told that
//! somebody was quicker. Nothing here runs or sends anything.

use super::checklist::{self, Item};
use super::{IncidentView, Incidents};
use crate::base::{Report, Result};
use crate::config::site::StanzaSite;
use crate::journal::{Fact, Role, Scenario, Severity, TickResult};
use crate::model::board::Limits;

/// The guard against closing over what is open.
pub const OPEN_MATTERS: &str = "incident-open-matters";

impl Incidents {
    /// Takes a role that nobody holds; from somebody who cannot hand it over any more only with a reason.
    pub fn take_role(&self, id: &str, actor: &str, role: Role, reason: Option<&str>) -> Result<()> {
        let view = self.view(id)?;
        let from = view.standing.holder(role);
        if from == Some(actor) {
            return Err(Report::usage(format!("{actor} is {} already", role.said())));
        }
        if let Some(holder) = from.filter(|_| reason.is_none()) {
            return Err(Report::usage(format!("{holder} is {}", role.said())).hint(format!(
                "let {holder} hand it over by `pgmayday incident role hand-over {} {actor}`; --reason=TEXT takes it all the same",
                role.name()
            )));
        }
        let from = from.map(str::to_owned);
        let reason = reason.filter(|_| from.is_some()).map(str::to_owned);
        self.append(id, actor, &Fact::RoleTaken { role, from, reason })?;
        self.now_held(id, actor, role)
    }

    /// Offers a role the actor holds to somebody, who holds it once that is acknowledged.
    pub fn hand_over(&self, id: &str, actor: &str, role: Role, to: &str) -> Result<()> {
        match self.view(id)?.standing.holder(role) {
            Some(holder) if holder == actor && to != actor => {
                self.append(id, actor, &Fact::RoleOffered { role, to: to.to_owned() })
            }
            Some(holder) if holder == actor => {
                Err(Report::usage(format!("{actor} is {} already", role.said())))
            }
            Some(holder) => Err(Report::usage(format!("{holder} is {}, not {actor}", role.said()))),
            None => Err(Report::usage(format!("nobody is {}", role.said()))
                .hint(format!("`pgmayday incident role take {}` takes it", role.name()))),
        }
    }

    /// Acknowledges a role that was offered to the actor, who holds it from now on.
    pub fn acknowledge(&self, id: &str, actor: &str, role: Role) -> Result<()> {
        let view = self.view(id)?;
        let standing = view.standing.roles.get(&role);
        let Some(standing) = standing.filter(|standing| standing.offered_to.as_deref() == Some(actor)) else {
            return Err(Report::usage(format!("the role of {} was not offered to {actor}", role.said())));
        };
        self.append(id, actor, &Fact::RoleAcknowledged { role, from: standing.holder.clone() })?;
        self.now_held(id, actor, role)
    }

    fn now_held(&self, id: &str, actor: &str, role: Role) -> Result<()> {
        match self.view(id)?.standing.holder(role) {
            Some(holder) if holder == actor => Ok(()),
            holder => Err(Report::failed(format!(
                "{} was quicker: {actor} is not {}",
                holder.unwrap_or("somebody"),
                role.said()
            ))),
        }
    }

    /// Judges anew how bad it is.
    pub fn set_severity(&self, id: &str, actor: &str, severity: Severity, reason: &str) -> Result<()> {
        self.append(id, actor, &Fact::SeverityChanged { severity, reason: reason.to_owned() })
    }

    /// Says which kind of recovery it has become; from now on what is expected of that kind counts.
    pub fn set_scenario(
        &self,
        id: &str,
        actor: &str,
        scenario: Scenario,
        site: &StanzaSite,
    ) -> Result<Targets> {
        let targets = targets(site, scenario);
        let Targets { rto_s, rpo_s } = targets;
        self.append(id, actor, &Fact::ScenarioChosen { scenario, rto_s, rpo_s })?;
        Ok(targets)
    }

    /// Gives somebody a task; its name.
    pub fn add_task(&self, id: &str, actor: &str, text: &str, owner: &str, minutes: u32) -> Result<u64> {
        let (text, owner) = (text.to_owned(), owner.to_owned());
        Ok(self.entered(id, actor, &Fact::TaskAdded { text, owner, minutes })?.seq)
    }

    /// Ends a task.
    pub fn end_task(&self, id: &str, actor: &str, task: u64, done: bool, text: &str) -> Result<()> {
        match self.view(id)?.standing.tasks.iter().find(|known| known.id == task) {
            Some(known) if known.end.is_none() => {
                self.append(id, actor, &Fact::TaskEnded { task, done, text: text.to_owned() })
            }
            Some(_) => Err(Report::usage(format!("task #{task} has ended already"))),
            None => Err(Report::usage(format!("incident {id} has no task #{task}"))
                .hint(format!("`pgmayday incident show {id}` lists them"))),
        }
    }

    /// Says how an item of a checklist stands, as the actor saw it or as a probe answered.
    pub fn tick(
        &self,
        id: &str,
        actor: &str,
        item: &Item,
        automatic: bool,
        result: TickResult,
        detail: &str,
    ) -> Result<()> {
        let (list, item) = (item.list.to_owned(), item.id.to_owned());
        self.append(id, actor, &Fact::Ticked { list, item, automatic, result, detail: detail.to_owned() })
    }

    /// Adds something to be done after the incident; its name.
    pub fn add_follow_up(&self, id: &str, actor: &str, text: &str, owner: &str, due: &str) -> Result<u64> {
        if !is_day(due) {
            return Err(Report::usage(format!("'{due}' is not a day; write for example 2026-12-01")));
        }
        let (text, owner, due) = (text.to_owned(), owner.to_owned(), due.to_owned());
        Ok(self.entered(id, actor, &Fact::FollowUpAdded { text, owner, due })?.seq)
    }

    /// Says that a follow-up is done.
    pub fn finish_follow_up(&self, id: &str, actor: &str, follow_up: u64, text: &str) -> Result<()> {
        match self.view(id)?.standing.follow_ups.iter().find(|known| known.id == follow_up) {
            Some(known) if known.done.is_none() => {
                self.append(id, actor, &Fact::FollowUpDone { follow_up, text: text.to_owned() })
            }
            Some(_) => Err(Report::usage(format!("follow-up #{follow_up} is done already"))),
            None => Err(Report::usage(format!("incident {id} has no follow-up #{follow_up}"))),
        }
    }
}

/// True for a day as a follow-up is due by: `2026-12-01`.
pub fn is_day(text: &str) -> bool {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// What is expected of a kind of recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    /// How long it may take, seconds.
    pub rto_s: u64,
    /// How much may be lost, seconds.
    pub rpo_s: u64,
}

/// What is expected of a kind of recovery: as the site says, else as the program ships it.
pub fn targets(site: &StanzaSite, scenario: Scenario) -> Targets {
    let shipped = Limits::default();
    let (expected, shipped_s) = match scenario {
        Scenario::Latest => (site.scenario.latest, 30 * 60),
        Scenario::Pitr => (site.scenario.pitr, site.rto.map_or(shipped.rto_s, |rto| rto.as_secs())),
        Scenario::Side => (site.scenario.side, 15 * 60),
        Scenario::FullSite => (site.scenario.full_site, 2 * 3600),
        Scenario::CrossRegion => (site.scenario.cross_region, 4 * 3600),
    };
    Targets {
        rto_s: expected.rto.map_or(shipped_s, |rto| rto.as_secs()),
        rpo_s: expected.rpo.or(site.rpo).map_or(shipped.rpo_s, |rpo| rpo.as_secs()),
    }
}

impl IncidentView {
    /// What is still open, each in a sentence; an incident is closed over it only knowingly.
    pub fn open_matters(&self) -> Vec<String> {
        let standing = &self.standing;
        let mut open: Vec<String> = standing
            .attempts
            .iter()
            .filter(|attempt| attempt.done.is_none())
            .map(|attempt| format!("operation {} has not ended", attempt.operation))
            .collect();
        open.extend(
            standing.open_tasks().map(|task| format!("task #{} of {}: {}", task.id, task.owner, task.text)),
        );
        open.extend(standing.waiting_messages().map(|message| {
            format!("{} message {} is not sent by every channel", message.audience.said(), message.id)
        }));
        for (role, held) in &standing.roles {
            if let Some(to) = &held.offered_to {
                open.push(format!("{to} has not acknowledged the role of {}", role.said()));
            }
        }
        open.extend(checklist::open_blocking(standing));
        open
    }
}
