//! A disposable cluster with a live ledger, and disasters to rehearse.
