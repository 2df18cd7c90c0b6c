//! An act of a runbook as an operation: the command line that carries out exactly what was shown.
//!
//! Pure; starts nothing.

use super::recover::command::handed_on;
use crate::base::Result;
use crate::base::state::OpId;
use crate::config::CliOption;
use crate::model::op::Spec;
use std::path::Path;

/// Options that only say for whom a call shows its result.
const NOT_HANDED_ON: [&str; 2] = ["stanza", "output"];

/// The act, and what was shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownAct {
    /// The incident.
    pub incident: String,
    /// Its stanza.
    pub stanza: String,
    /// The runbook.
    pub runbook: String,
    /// The node.
    pub node: String,
    /// Its title, for people.
    pub title: String,
    /// The name of what was shown: nothing else is run.
    pub digest: String,
}

/// Who asks for it, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The options of the call.
    pub given: &'a [CliOption],
    /// The folder relative paths start from.
    pub working_dir: &'a Path,
    /// Names of the environment's variables that are used.
    pub environment: &'a [String],
    /// Who.
    pub by: &'a str,
}

impl ShownAct {
    /// The operation that carries it out.
    pub fn spec(&self, id: OpId, caller: Caller<'_>) -> Result<Spec> {
        let mut arguments: Vec<String> = ["incident", "runbook", "run"].map(str::to_owned).to_vec();
        let options = [
            ("incident", &self.incident),
            ("runbook", &self.runbook),
            ("node", &self.node),
            ("shown", &self.digest),
            ("stanza", &self.stanza),
        ];
        arguments.extend(options.map(|(name, value)| format!("--{name}={value}")));
        arguments.extend(handed_on(caller.given, &NOT_HANDED_ON)?);
        Ok(Spec {
            schema: Spec::SCHEMA.to_owned(),
            id,
            stanza: self.stanza.clone(),
            summary: format!("runbook {}: {}", self.runbook, self.title),
            arguments,
            working_dir: caller.working_dir.to_owned(),
            environment: caller.environment.to_vec(),
            by: caller.by.to_owned(),
            plan: Some(self.digest.clone()),
            incident: None,
            asks: false,
            forecast: None,
        })
    }
}
