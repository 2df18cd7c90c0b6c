//! `recover`: a request and the configuration become a recovery in place that can be planned, run and resumed.

use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Result};
use crate::cluster::recovery_settings::RestoreCommand;
use crate::config::Settings;
use crate::config::site::StanzaSite;
use crate::model::op::{Answer, Cancel, Question, Sink};
use crate::model::plan::{RecoverPlan, RecoverRequest};

/// Asks a person something in the middle of an operation and waits for the answer, however long that takes.
pub trait Asker: Sync {
    /// Asks. Fails if the operation is cancelled meanwhile.
    fn ask(&self, question: Question) -> Result<Answer>;
}

/// A recovery in place of the stanza's cluster on this host.
#[derive(Debug)]
pub struct Recover {
    request: RecoverRequest,
}

impl Recover {
    /// Puts together what is needed. `settings` are those of pgBackRest's `restore` for the stanza; `command` is a
    /// call of this program with what is needed to find the repositories again; `operation` names directories.
    pub fn new(
        _settings: &Settings,
        _site: &StanzaSite,
        request: RecoverRequest,
        _operation: &OpId,
        _state: &StateDir,
        _command: RestoreCommand,
    ) -> Result<Self> {
        Ok(Self { request })
    }

    /// Every step in its order.
    pub fn steps(&self) -> Vec<String> {
        Vec::new()
    }

    /// Works everything out. Writes nothing.
    pub fn plan(&self, _cancel: &Cancel) -> Result<RecoverPlan> {
        Err(Report::failed(format!("no plan for {}", self.request.stanza)))
    }

    /// Does it, from wherever an earlier worker of the same operation left it. Returns lines that say what came out.
    pub fn run(&self, _asker: &dyn Asker, _sink: &dyn Sink, _cancel: &Cancel) -> Result<Vec<String>> {
        Err(Report::failed("not run"))
    }
}
