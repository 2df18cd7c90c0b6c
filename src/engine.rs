//! Verbs on a repository: plan, restore, prove, fetch WAL.
