//! What the console knows: the last of everything that came in. Screens read it and never change it.

use crate::base::Timestamp;
use crate::incident::IncidentView;
use crate::model::board::Board;
use crate::model::catalog::CatalogView;
use crate::model::op::Snapshot;
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::model::wal_view::WalView;

/// Something that is read on demand.
#[derive(Debug, Clone, Default)]
pub enum Loaded<T> {
    /// Nobody asked for it.
    #[default]
    No,
    /// It is being read, since then; what was read before stays shown.
    Loading(Timestamp, Option<T>),
    /// It was read.
    Yes(T),
    /// It could not be read: the reason in lines, and what was read before.
    Failed(String, Option<T>),
}

impl<T> Loaded<T> {
    /// The last value, however old.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Yes(value) | Self::Loading(_, Some(value)) | Self::Failed(_, Some(value)) => Some(value),
            _ => None,
        }
    }
}

/// The model.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// The clock of the last tick.
    pub now: Timestamp,
    /// The board.
    pub board: Board,
    /// The backups.
    pub catalog: Loaded<CatalogView>,
    /// The archive.
    pub wal: Loaded<WalView>,
    /// The request the plan is for, and the plan.
    pub plan: Option<(RecoverRequest, Loaded<RecoverPlan>)>,
    /// The operation being followed.
    pub operation: Option<Snapshot>,
    /// The incident being followed.
    pub incident: Option<IncidentView>,
    /// All incidents, newest first.
    pub incidents: Vec<IncidentView>,
}
