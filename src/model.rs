//! Data that everyone may read and nobody does I/O with: what work reports while it runs, what a recovery is to reach.

pub mod op;
pub mod target;
