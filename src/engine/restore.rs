//! Restore: plan first, then do exactly what the plan says.
//!
//! [`Plan::build`] reads the repository, proves the target and looks at what stands in the target folder; it writes
//! nothing. [`execute`] consumes the plan. Reuse is decided by content, never by time; a killed run is finished by
//! the same request.

mod blocks;
mod copy;
mod execute;
mod guards;
mod layout;
mod marker;
mod owners;
mod plan;
mod prepare;
mod queue;
mod request;
mod select;
mod selective;
mod settings;
mod space;
mod surplus;
mod view;
mod write;

use execute::Counts;

pub use execute::{Outcome, execute};
pub use layout::{Layout, Link, Maps, Root, RootKind};
pub use marker::{MARKER_NAME, Marker};
pub use plan::Plan;
pub use prepare::Survey;
pub use request::{ProofDepth, Request};
pub use selective::Selection;
pub use space::Filesystem;
pub use view::{Place, PlanView};
