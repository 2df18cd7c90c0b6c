//! What a runbook's variables stand for, as far as the configuration, the incident and the facts tell.
//!
//! Guesses nothing: what is not known stays a variable, which a person fills in.

use crate::config::Settings;
use crate::incident::{IncidentView, words};
use crate::model::situation::Situation;
use std::collections::BTreeMap;

/// Names and values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<&'static str, String>);

impl Values {
    /// What the configuration of the stanza, the incident and the facts say.
    pub fn of(
        settings: Option<&Settings>,
        incident: Option<&IncidentView>,
        situation: Option<&Situation>,
    ) -> Self {
        let mut values = Self::default();
        if let Some(settings) = settings {
            values.put("stanza", settings.stanza());
            if let Some(cluster) = settings.pg().first() {
                values.put("data_dir", cluster.path.to_str());
                values.put("port", Some(&cluster.port.to_string()));
            }
        }
        if let Some(incident) = incident {
            values.put("incident", Some(&incident.id));
            values.put("reason", Some(&words::one_line(&incident.reason)));
            values.put("stanza", Some(&incident.stanza));
        }
        if let Some(situation) = situation {
            values.of_members(situation);
        }
        values
    }

    /// The primary is the first member that is configured; the replica the next one, if there is only one.
    fn of_members(&mut self, situation: &Situation) {
        let here = &situation.board.identity.host;
        let host = |at: usize| {
            situation.members.get(at).map(|member| member.host.clone().unwrap_or_else(|| here.clone()))
        };
        self.put("host", host(0).as_deref());
        if let [_, replica] = &situation.members[..] {
            self.put("replica", host(1).as_deref());
            self.put("replica_port", Some(&replica.port.to_string()));
        }
    }

    /// Gives a variable a value.
    pub fn put(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.0.insert(name, value.to_owned());
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}
