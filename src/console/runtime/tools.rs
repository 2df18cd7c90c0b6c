//! What every thread of the console works with: the setup, the way back to the screen, the places of operations and
//! incidents. Starts no thread.

use super::{Message, Setup, tell};
use crate::base::{Report, Result, Timestamp};
use crate::config::EVERY_COMMAND;
use crate::console::input::Input;
use crate::incident::Incidents;
use crate::recovery::hold::StanzaHold;
use crate::recovery::supervisor::Supervisor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

/// Everything threads work with.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) setup: Arc<Setup>,
    pub(super) to: Sender<Message>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Tools {
    pub(super) fn tell(&self, input: Input) {
        tell(&self.to, input);
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The stanza the console was opened for.
    pub(super) fn stanza(&self) -> Result<String> {
        let stanza = self.setup.stanza.clone();
        stanza.ok_or_else(|| Report::usage("no stanza is chosen").hint("open the console with --stanza=NAME"))
    }

    /// The operations, if there is a place for them.
    pub(super) fn supervisor(&self) -> Result<Supervisor> {
        let state = self.setup.state.clone().ok_or_else(no_state)?;
        Ok(Supervisor::new(state, self.setup.program.clone()))
    }

    /// The incidents, if there is a place for them.
    pub(super) fn incidents(&self) -> Result<Incidents> {
        Ok(Incidents::new(self.setup.state.clone().ok_or_else(no_state)?))
    }

    /// Who keeps the holds of the stanza.
    pub(super) fn keeper(&self) -> Result<StanzaHold> {
        let stanza = self.stanza()?;
        let settings = self.setup.config.settings(EVERY_COMMAND, Some(&stanza))?;
        StanzaHold::new(&settings, &self.setup.site.of(&stanza))
    }

    /// Places the hold of an incident; one that cannot be placed is told and stops nothing.
    pub(super) fn hold(&self, incident: &str) -> Option<Timestamp> {
        let held =
            self.keeper().and_then(|keeper| self.incidents()?.hold(incident, &self.setup.actor, &keeper));
        held.unwrap_or_else(|report| {
            self.tell(Input::Said(Err(report)));
            None
        })
    }
}

fn no_state() -> Report {
    Report::usage("there is no place for operations and incidents")
        .hint("set PGMAYDAY_STATE to an absolute path, or state-dir in pgmayday.toml")
}
