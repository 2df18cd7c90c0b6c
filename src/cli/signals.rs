//! Ending work in the foreground when it is asked to.

use crate::base::{Report, Result};
use crate::model::op::Cancel;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Cancels the work at its next safe point when somebody presses Ctrl-C or asks this process to end.
pub(super) fn cancel_on_request(cancel: &Cancel) -> Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, cancel.flag())
            .map_err(|error| Report::failed(format!("cannot take signals: {error}")))?;
    }
    Ok(())
}
