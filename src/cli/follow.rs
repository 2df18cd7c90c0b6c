//! Following an operation until it ends; here only until its records are there to be followed.

use super::Call;
use crate::base::Result;
use crate::base::state::OpId;
use crate::recovery::supervisor::Supervisor;

/// Follows the operation until it ends; its exit code.
pub(super) fn follow(_call: &Call, supervisor: &Supervisor, id: &OpId) -> Result<u8> {
    supervisor.follow(id)?.poll()?;
    Ok(0)
}
