//! The lab: a disposable PostgreSQL with a standby, a repository and a ledger whose every commit is known.
//!
//! Under one marked directory, on a private socket and loopback ports, lives everything a recovery needs to be
//! rehearsed: servers, archive, a workload that writes down the truth, and disasters to inject. Since the truth
//! is known, a recovery is checked to the row.
//!
//! The lab never touches anything outside its marked directory: every destructive act goes through
//! [`marker::Root`], every signal through [`process::Identity`].

pub mod db;
pub mod demo;
pub mod disaster;
pub mod down;
pub mod error;
pub mod layout;
pub mod ledger;
pub mod marker;
pub mod monitor;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod rehearsal;
pub mod service;
pub mod site;
pub mod status;
pub mod truth;
pub mod up;
pub mod verify;
pub mod workload;

pub use disaster::Disaster;
pub use error::LabError;
pub use layout::Lab;
