//! What is known of the cluster and its protection now: probes that look, each within its time, and never write.

use crate::base::state::StateDir;
use crate::base::{Report, Result};
use crate::config::Config;
use crate::config::site::Site;
use crate::model::board::Board;
use crate::model::catalog::CatalogView;
use crate::model::wal_view::WalView;
use std::sync::Arc;
use std::time::Duration;

/// What there is to look at.
#[derive(Debug, Clone)]
pub struct Survey {
    config: Config,
}

impl Survey {
    /// The stanza of `config` (the one chosen, or the only one), with what `site` adds; operations from `state`.
    pub fn new(config: &Config, _site: &Site, _stanza: Option<&str>, _state: Option<&StateDir>) -> Self {
        Self { config: config.clone() }
    }

    /// What can be told without waiting for anything: names, places, limits; every fact pending. Under 20 ms.
    pub fn blank(&self) -> Board {
        Board::default()
    }

    /// Looks at everything again and again on threads of its own until `go_on` says no, and hands each new state of
    /// the board to `tell`. A probe that hangs is told as hanging and hinders no other. Returns at once.
    pub fn watch(
        &self,
        _tell: Arc<dyn Fn(Board) + Send + Sync>,
        _go_on: Arc<dyn Fn() -> bool + Send + Sync>,
    ) {
    }

    /// Looks once at everything, at most for `limit`; what did not answer by then is unknown.
    pub fn once(&self, _limit: Duration) -> Board {
        Board::default()
    }

    /// Reads the backups. May take long; for a thread.
    pub fn catalog(&self) -> Result<CatalogView> {
        Err(Report::failed(format!("{:?}", self.config.warnings())))
    }

    /// Lists the archive. May take long; for a thread.
    pub fn wal(&self) -> Result<WalView> {
        Err(Report::failed(""))
    }
}
