//! Telling people: when the next update is due, what it says, and how it gets there.
//!
//! A message is a file before it is tried, and stays one until every channel has taken it or a person gave it up.
//! A channel that is down, slow or wrong disturbs nothing else. No finish is promised that a person did not enter.

pub mod cadence;
mod deliver;
mod draft;
mod queue;
mod status;

pub use cadence::{Due, Table};
pub use deliver::{Delivered, Outcome, Route};
pub use draft::{Draft, draft};
pub use queue::{Queued, Waiting};
pub use status::{Hook, Status};
