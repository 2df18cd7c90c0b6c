//! How telling people stands: what is due when, who is reached where, and what waits to be sent and why.
//!
//! Reads only; holds no address, only what may be shown of one.

use super::{Due, Queued, Route, Table};
use crate::base::{Report, Result};
use crate::config::site::StanzaSite;
use crate::incident::{IncidentView, Incidents};
use crate::journal::Audience;
use serde::Serialize;

/// How it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The incident.
    pub id: String,
    /// When each audience is to be told next; nothing once the incident is closed.
    pub due: Vec<Due>,
    /// Where messages can be sent to.
    pub webhooks: Vec<Hook>,
    /// The messages that some channel has not taken.
    pub waiting: Vec<Queued>,
    /// What could not be read.
    pub troubles: Vec<String>,
}

/// A place messages can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// Who listens there.
    pub audience: Vec<Audience>,
    /// Scheme and host, or why that is not known.
    pub place: String,
}

impl Hook {
    fn of(route: &Route) -> Self {
        let reached = Audience::ALL.iter().copied().filter(|audience| route.reaches(*audience));
        Self { name: route.name.clone(), audience: reached.collect(), place: route.place() }
    }
}

impl Status {
    /// When an audience is to be told next.
    pub fn next(&self, audience: Audience) -> Option<&Due> {
        self.due.iter().find(|due| due.audience == audience)
    }

    /// The channels that reach an audience.
    pub fn channels(&self, audience: Audience) -> Vec<&str> {
        let reached = self.webhooks.iter().filter(|hook| hook.audience.contains(&audience));
        reached.map(|hook| hook.name.as_str()).collect()
    }
}

impl Incidents {
    /// How telling people stands in an incident, by what the site says of its stanza.
    pub fn talk(&self, view: &IncidentView, site: &StanzaSite, routes: &[Route]) -> Result<Status> {
        let (messages, troubles) = self.messages(&view.id)?;
        Ok(Status {
            id: view.id.clone(),
            due: Table::new(&site.cadence).due(view),
            webhooks: routes.iter().map(Hook::of).collect(),
            waiting: messages.into_iter().filter(Queued::is_open).collect(),
            troubles,
        })
    }

    /// Queues a message for every channel that reaches its audience; refused where none does.
    pub fn queue_for(
        &self,
        view: &IncidentView,
        actor: &str,
        (audience, text): (Audience, &str),
        routes: &[Route],
    ) -> Result<Queued> {
        let reached = routes.iter().filter(|route| route.reaches(audience));
        let channels: Vec<String> = reached.map(|route| route.name.clone()).collect();
        if channels.is_empty() {
            return Err(Report::usage(format!("no webhook of {} reaches {}", view.stanza, audience.said())).hint(
                "add one to pgmayday.toml, or tell them yourself and write it down by `pgmayday incident comms told`",
            ));
        }
        self.queue(&view.id, actor, audience, text, &channels)
    }
}
