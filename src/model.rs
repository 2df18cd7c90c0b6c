//! Data that everyone may read and nobody does I/O with: what work reports while it runs, what a recovery is to reach,
//! what probes found, and the views that screens, text and JSON share.

pub mod board;
pub mod catalog;
pub mod effective;
pub mod fact;
pub mod forecast;
pub mod guide;
pub mod hold;
pub mod op;
pub mod options;
pub mod plan;
pub mod question;
pub mod situation;
pub mod target;
pub mod wal_view;
