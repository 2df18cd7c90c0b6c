//! What Patroni's REST interface tells.
//!
//! Data only.

use crate::base::{Lsn, Timeline, Timestamp};
use crate::model::fact::Fact;
use serde::Serialize;

/// One node of Patroni that is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PatroniNode {
    /// Its address as configured.
    pub address: String,
    /// What it said.
    pub facts: Fact<PatroniFacts>,
}

/// What a node of Patroni says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PatroniFacts {
    /// It could list the cluster: it cannot while it waits for the distributed store.
    pub listed: bool,
    /// The cluster as it sees it; empty where it could not list it.
    pub members: Vec<PatroniMember>,
    /// Patroni does nothing by itself now.
    pub paused: bool,
    /// The role of the node that was asked: `primary`, `replica`, …; of 3.x `master` is told as `primary`.
    pub own_role: Option<String>,
    /// The state of the server of the node that was asked.
    pub own_state: Option<String>,
    /// The node that was asked has lost the distributed store, or nobody holds the leader's key in it.
    pub store_lost: bool,
    /// The changes of timeline it knows, oldest first.
    pub history: Vec<PatroniSwitch>,
}

/// A member of the cluster as Patroni lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PatroniMember {
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// `leader`, `replica`, `sync_standby`, …
    pub role: String,
    /// `running`, `streaming`, `stopped`, `start failed`, …
    pub state: String,
    /// Its timeline.
    pub timeline: Option<Timeline>,
    /// Bytes it is behind; nothing if that is unknown.
    pub lag_bytes: Option<u64>,
}

impl PatroniMember {
    /// It holds the leader's key.
    pub fn is_leader(&self) -> bool {
        matches!(self.role.as_str(), "leader" | "standby_leader")
    }

    /// Its server runs.
    pub fn runs(&self) -> bool {
        matches!(self.state.as_str(), "running" | "streaming" | "in archive recovery")
    }
}

/// One change of timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PatroniSwitch {
    /// The timeline that ended.
    pub timeline: Timeline,
    /// Where.
    pub lsn: Lsn,
    /// When, if it is told.
    pub at: Option<Timestamp>,
    /// Who led afterwards, if it is told.
    pub leader: Option<String>,
}
