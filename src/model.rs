//! Data that everyone may read and nobody does I/O with: what work reports while it runs.

pub mod op;
