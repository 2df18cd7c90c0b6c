//! Following an operation from a terminal: what happens is told until it ends, and leaving it changes nothing.

use super::Call;
use crate::base::state::OpId;
use crate::base::{Report, Result};
use crate::recovery::supervisor::Supervisor;

/// Tells what happens in an operation until it ends; its exit code, or its failure.
pub(super) fn follow(_call: &Call, supervisor: &Supervisor, id: &OpId) -> Result<u8> {
    let snapshot = supervisor.follow(id)?.poll()?;
    Err(Report::failed(format!("{:?}", snapshot.life)))
}
