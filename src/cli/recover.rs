//! The recovery a call asks for.

use super::Call;
use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Result};
use crate::model::plan::RecoverRequest;
use crate::recovery::recover::Recover;

/// The recovery that a call of `recover` asks for, as the operation `id`.
pub(super) fn recover_of(call: &Call, id: &OpId, state: &StateDir) -> Result<(Recover, RecoverRequest)> {
    let place = state.operation(id);
    Err(Report::usage(format!("{} cannot be done yet ({})", call.command, place.display())))
}
