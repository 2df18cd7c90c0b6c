//! Operations as others see them: start, list, follow, answer, cancel, resume. Files and locks only; no socket.

use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Result};
use crate::model::op::{Answer, Snapshot, Spec};
use std::path::PathBuf;

/// The operations of one state directory.
#[derive(Debug, Clone)]
pub struct Supervisor {
    state: StateDir,
    program: PathBuf,
}

impl Supervisor {
    /// The operations under `state`; workers are this program at `program`, usually `/proc/self/exe`.
    pub fn new(state: StateDir, program: impl Into<PathBuf>) -> Self {
        Self { state, program: program.into() }
    }

    /// Writes the operation down and starts its worker; does not wait for it.
    pub fn start(&self, _spec: &Spec) -> Result<()> {
        Err(Report::failed(format!("{} {}", self.state.root().display(), self.program.display())))
    }

    /// Starts another worker for an operation whose worker is gone.
    pub fn resume(&self, _id: &OpId) -> Result<()> {
        Err(Report::failed(""))
    }

    /// Asks an operation to stop at the next safe point; it then ends as cancelled and can be resumed.
    pub fn cancel(&self, _id: &OpId) -> Result<()> {
        Err(Report::failed(""))
    }

    /// Answers the question an operation asks now.
    pub fn answer(&self, _id: &OpId, _answer: Answer, _by: &str) -> Result<()> {
        Err(Report::failed(""))
    }

    /// All operations, newest first; one that cannot be read is told among the second.
    pub fn list(&self) -> Result<(Vec<Snapshot>, Vec<String>)> {
        Ok((Vec::new(), Vec::new()))
    }

    /// Follows one operation.
    pub fn follow(&self, _id: &OpId) -> Result<Follower> {
        Err(Report::failed(""))
    }
}

/// Reads what is new of one operation; cheap to ask ten times a second.
#[derive(Debug)]
pub struct Follower {}

impl Follower {
    /// The operation as it stands.
    pub fn poll(&mut self) -> Result<Snapshot> {
        Err(Report::failed(""))
    }
}
