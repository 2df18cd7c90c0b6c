//! The worker: the process that does an operation, in a session of its own, whatever becomes of the terminal.

use super::recover::Asker;
use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Result};
use crate::model::op::{Cancel, Sink, Spec};

/// What a worker gives to the job it runs.
pub struct Tools<'a> {
    /// What is to be done.
    pub spec: &'a Spec,
    /// Takes events and progress.
    pub sink: &'a dyn Sink,
    /// Asks a person.
    pub asker: &'a dyn Asker,
    /// Says when to stop.
    pub cancel: &'a Cancel,
}

/// Something a worker can do.
pub trait Job {
    /// Every step in its order.
    fn steps(&self) -> Vec<String>;
    /// Does it; lines that say what came out.
    fn run(&self, tools: &Tools<'_>) -> Result<Vec<String>>;
}

/// Takes the operation up: session, locks, records, journal; then the job that `prepare` makes of its spec.
pub fn run(_state: &StateDir, _id: &OpId, _prepare: &dyn Fn(&Spec) -> Result<Box<dyn Job>>) -> Result<()> {
    Err(Report::failed(""))
}
