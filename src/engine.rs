//! Verbs on a repository: plan, restore, prove, fetch WAL.

pub mod catalog;
pub mod proof;
pub mod repositories;
pub mod restore;
