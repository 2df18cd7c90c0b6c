//! What a runbook's variables stand for, as far as the configuration, the incident and the facts tell.
//!
//! Guesses nothing: what is not known stays a variable, which a person fills in.

use crate::base::closest::closest;
use crate::base::{Report, Result};
use crate::config::Settings;
use crate::incident::{IncidentView, Incidents, words};
use crate::journal::Fact;
use crate::model::situation::Situation;
use crate::runbook::vocabulary::VARIABLES;
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
                let socket = cluster.socket_path.as_ref().filter(|_| cluster.host.is_none());
                values.put("server", cluster.host.as_deref().or_else(|| socket?.to_str()));
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
        // What a person gave is better than what was guessed. Who names another host means its server, too.
        let given = |name: &str| incident.and_then(|it| it.values.get(name)).map(String::as_str);
        values.put("server", given("host"));
        values.put("replica_server", given("replica"));
        for variable in VARIABLES {
            values
                .put(variable.name, incident.and_then(|it| it.values.get(variable.name)).map(String::as_str));
        }
        values
    }

    /// The primary is the first member that is configured; the replica the next one, if there is only one.
    fn of_members(&mut self, situation: &Situation) {
        let here = &situation.board.identity.host;
        let host = |at: usize| {
            situation.members.get(at).map(|member| member.host.clone().unwrap_or_else(|| here.clone()))
        };
        // Where only the socket lets one in, the host's name leads nowhere.
        let server = |at: usize| {
            let member = situation.members.get(at)?;
            member.host.clone().or_else(|| member.socket.as_ref()?.to_str().map(str::to_owned))
        };
        self.put("host", host(0).as_deref());
        self.put("server", server(0).as_deref());
        if let [_, replica] = &situation.members[..] {
            self.put("replica", host(1).as_deref());
            self.put("replica_server", server(1).as_deref());
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

/// What a variable stands for, in words.
pub fn meaning(name: &str) -> &'static str {
    VARIABLES.iter().find(|variable| variable.name == name).map_or("no variable", |variable| variable.what)
}

/// What the incident itself says, and nobody else.
const OWN: [&str; 5] = ["stanza", "incident", "reason", "elapsed", "next_update"];

impl Incidents {
    /// Gives a variable of the runbooks a value, for the whole incident.
    ///
    /// # Errors
    /// There is no such variable, the incident itself says what it is, or the value is not one line of text.
    pub fn give_value(&self, id: &str, actor: &str, name: &str, value: &str) -> Result<()> {
        let known: Vec<&str> =
            VARIABLES.iter().map(|it| it.name).filter(|name| !OWN.contains(name)).collect();
        if !known.contains(&name) {
            let near = closest(name, known.iter().copied());
            let hint = near.map_or_else(
                || format!("they are {}", known.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            return Err(Report::usage(format!("nobody gives a value to ${{{name}}}")).hint(hint));
        }
        let value = value.trim();
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(Report::usage(format!("a value of ${{{name}}} is one line of text")));
        }
        self.append(id, actor, &Fact::ValueGiven { name: name.to_owned(), value: value.to_owned() })
    }
}
