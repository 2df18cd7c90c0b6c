//! What the console knows: the last of everything that came in. Screens read it and never change it.

use super::keymap::Cmd;
use super::widgets::Zone;
use crate::base::Timestamp;
use crate::base::state::OpId;
use crate::incident::comms::Status;
use crate::incident::{Approval, IncidentView};
use crate::model::board::Board;
use crate::model::catalog::CatalogView;
use crate::model::effective::ConfigView;
use crate::model::guide::GuideView;
use crate::model::op::{Life, Snapshot};
use crate::model::options::Options;
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
    /// The operator's clock, shown beside UTC.
    pub zone: Zone,
    /// Who sits here, as the journal calls that one.
    pub actor: String,
    /// The board.
    pub board: Board,
    /// The backups.
    pub catalog: Loaded<CatalogView>,
    /// The archive.
    pub wal: Loaded<WalView>,
    /// The request the plan is for, and the plan.
    pub plan: Option<(RecoverRequest, Loaded<RecoverPlan>)>,
    /// The request the ways out were weighed for, and what came of it.
    pub options: Option<(RecoverRequest, Loaded<Options>)>,
    /// An incident is being declared here: its runbook opens as soon as it is there.
    pub declaring: bool,
    /// A confirmed plan is being started, which is done once.
    pub starting: bool,
    /// The operation being followed.
    pub operation: Option<Snapshot>,
    /// The incident being followed.
    pub incident: Option<IncidentView>,
    /// The runbook of the open incident, and how far it is.
    pub guide: Loaded<GuideView>,
    /// All incidents, newest first.
    pub incidents: Vec<IncidentView>,
    /// How telling people stands in the open incident.
    pub talk: Loaded<Status>,
    /// What the configuration means.
    pub configuration: Loaded<ConfigView>,
}

impl<T> Loaded<T> {
    /// Being read again since `now`; what was read stays.
    pub fn begin(&mut self, now: Timestamp) {
        *self = Self::Loading(now, self.take());
    }

    /// Takes what was read, or why it was not.
    pub fn end(&mut self, result: Result<T, String>) {
        *self = match result {
            Ok(value) => Self::Yes(value),
            Err(why) => Self::Failed(why, self.take()),
        };
    }

    fn take(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Self::Yes(value) => Some(value),
            Self::Loading(_, value) | Self::Failed(_, value) => value,
            Self::No => None,
        }
    }
}

impl Model {
    /// The operation somebody works on now: the one being followed, else the newest on the board.
    pub fn live_operation(&self) -> Option<OpId> {
        self.operation_that(|life| matches!(life, Life::Starting | Life::Running { .. }))
    }

    /// The operation whose worker is gone without an end.
    pub fn lost_operation(&self) -> Option<OpId> {
        self.operation_that(|life| *life == Life::Lost)
    }

    /// The operation a person wants to see: a live one, a lost one, the one followed, the newest.
    pub fn any_operation(&self) -> Option<OpId> {
        self.live_operation().or_else(|| self.lost_operation()).or_else(|| self.operation_that(|_| true))
    }

    fn operation_that(&self, fits: impl Fn(&Life) -> bool) -> Option<OpId> {
        let followed = self.operation.as_ref().filter(|followed| fits(&followed.life));
        let on_board = || self.board.operations.iter().find(|operation| fits(&operation.life));
        followed.map(|followed| followed.spec.id.clone()).or_else(|| on_board()?.id.parse().ok())
    }

    /// The plan of the open incident that waits for a second person; the newest.
    pub fn waiting_approval(&self) -> Option<&Approval> {
        let open = self.board.incident.as_ref()?;
        let incident = self.incident.as_ref().filter(|incident| incident.id == open.id)?;
        incident.approvals.iter().rev().find(|asked| asked.approved.is_none())
    }

    /// What is still open in the incident that is followed, each in a sentence.
    pub fn open_matters(&self) -> Vec<String> {
        let Some(view) = &self.incident else { return Vec::new() };
        let mut matters = view.open_matters();
        let guide = self.guide.value().filter(|guide| guide.incident == view.id && view.closed_at.is_none());
        matters.extend(guide.into_iter().flat_map(|guide| guide.left.iter().cloned()));
        matters
    }

    /// What is told before a recovery is started: what is open in the checklist of the open incident.
    pub fn unready(&self) -> Option<String> {
        let open = self.board.incident.as_ref()?;
        let incident = self.incident.as_ref().filter(|incident| incident.id == open.id)?;
        let plan = self.plan.as_ref().and_then(|(_, plan)| plan.value())?;
        let said = crate::incident::checklist::open_before(&incident.standing, plan)?;
        Some(format!("{said} (K). It can be started all the same; the journal keeps that."))
    }

    /// Why a command that holds on every screen cannot be used now; nothing if it can.
    pub fn why_not(&self, cmd: Cmd) -> Option<String> {
        let unless = |there: bool, why: &str| (!there).then(|| why.to_owned());
        let incident = self.board.incident.as_ref();
        let writes = [Cmd::Incident, Cmd::Note, Cmd::CloseIncident, Cmd::Approve, Cmd::Cancel, Cmd::Resume];
        if writes.contains(&cmd) && self.board.identity.read_only {
            return Some(READ_ONLY.to_owned());
        }
        match cmd {
            Cmd::Operation => unless(self.any_operation().is_some(), "no operation is known here"),
            Cmd::Cancel => unless(self.live_operation().is_some(), "no operation is running"),
            Cmd::Resume => unless(self.lost_operation().is_some(), "no operation has lost its worker"),
            Cmd::Incident if self.declaring => Some("an incident is being declared".to_owned()),
            Cmd::Incident => incident.map(|open| format!("incident {} is open already", open.id)),
            Cmd::Runbook => unless(incident.is_some(), "no incident is open; i on the board declares one"),
            Cmd::Approve => unless(self.waiting_approval().is_some(), "nobody waits for an approval"),
            Cmd::Journal | Cmd::People | Cmd::Talk | Cmd::Checklist => unless(
                incident.is_some() || self.incident.is_some(),
                "no incident is open; i on the board declares one",
            ),
            Cmd::Note | Cmd::CloseIncident => unless(incident.is_some(), "no incident is open"),
            Cmd::Backups | Cmd::Wal | Cmd::Recover => {
                unless(self.board.identity.stanza.is_some(), "no stanza is configured")
            }
            _ => None,
        }
    }
}

/// Why nothing is started in a read-only console.
pub const READ_ONLY: &str = "this console is read-only: nothing is changed from here";
