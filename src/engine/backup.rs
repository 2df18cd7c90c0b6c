//! Backup: what a data directory consists of, and whether its pages are sound.
//!
//! [`scan`] walks the directory and copies nothing; [`pages`] judges pages as their bytes pass by and again where one
//! was caught half-written. Neither asks a server nor writes a manifest.

pub mod error;
pub mod pages;
pub mod scan;

pub use error::BackupError;
