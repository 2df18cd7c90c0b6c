//! What comes into the console and what it asks for. Plain values; the whole conversation can be recorded.

use super::modal::Typed;
use crate::base::state::OpId;
use crate::base::{Report, Timestamp};
use crate::incident::comms::Status;
use crate::incident::guide::Step;
use crate::incident::{Audience, IncidentView, Settle};
use crate::model::board::Board;
use crate::model::catalog::CatalogView;
use crate::model::effective::ConfigView;
use crate::model::guide::GuideView;
use crate::model::op::Snapshot;
use crate::model::options::Options;
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::model::question::judge::Proposal;
use crate::model::wal_view::WalView;
use std::fmt;

/// A key as the console understands it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A character, upper case where shift was held.
    Char(char),
    /// A character with control held, lower case.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift and tab.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

impl fmt::Display for Key {
    /// As footer and help show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => f.write_str("Space"),
            Self::Char(c) => write!(f, "{c}"),
            Self::Ctrl(c) => write!(f, "Ctrl-{}", c.to_ascii_uppercase()),
            Self::Enter => f.write_str("Enter"),
            Self::Esc => f.write_str("Esc"),
            Self::Tab => f.write_str("Tab"),
            Self::BackTab => f.write_str("Shift-Tab"),
            Self::Backspace => f.write_str("Backspace"),
            Self::Delete => f.write_str("Del"),
            Self::Up => f.write_str("Up"),
            Self::Down => f.write_str("Down"),
            Self::Left => f.write_str("Left"),
            Self::Right => f.write_str("Right"),
            Self::Home => f.write_str("Home"),
            Self::End => f.write_str("End"),
            Self::PageUp => f.write_str("PgUp"),
            Self::PageDown => f.write_str("PgDn"),
        }
    }
}

/// Something that happened outside.
#[derive(Debug, Clone)]
pub enum Input {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this many columns and lines now.
    Resize(u16, u16),
    /// Time went by; every input's clock is the one of the last tick.
    Tick(Timestamp),
    /// The probes found something.
    Board(Box<Board>),
    /// The catalog was read.
    Catalog(Result<CatalogView, Report>),
    /// The archive was listed.
    Wal(Result<WalView, Report>),
    /// A plan was worked out; the request says for what.
    Plan(Box<RecoverRequest>, Result<Box<RecoverPlan>, Report>),
    /// The ways out were weighed; the request says for what.
    Compared(Box<RecoverRequest>, Box<Options>),
    /// An operation was started, or not.
    Started(Result<OpId, Report>),
    /// An operation as it stands.
    Operation(Box<Snapshot>),
    /// An incident's journal as it stands.
    Incident(Box<IncidentView>),
    /// Where the open incident is in its runbook.
    Guide(Result<Box<GuideView>, Report>),
    /// The incidents there are, newest first.
    Incidents(Vec<IncidentView>),
    /// How telling people stands in the open incident.
    Talk(Result<Box<Status>, Report>),
    /// What the configuration means.
    Configuration(Result<Box<ConfigView>, Report>),
    /// Something was settled in this incident, in words; or was not.
    Settled(String, Result<String, Report>),
    /// Something that was asked for was done, in words; or was not.
    Said(Result<String, Report>),
}

/// An act of a runbook as it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActShown {
    /// The incident.
    pub incident: String,
    /// The runbook.
    pub runbook: String,
    /// The node.
    pub node: String,
    /// Its title.
    pub title: String,
    /// The name of exactly what was shown.
    pub digest: String,
}

/// Something the console wants done; only the runtime does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Look at everything again now.
    Refresh,
    /// Read the catalog.
    LoadCatalog,
    /// List the archive.
    LoadWal,
    /// Read the incidents.
    LoadIncidents,
    /// Look what the configuration means.
    LoadConfiguration,
    /// Follow this incident's journal.
    WatchIncident(String),
    /// Follow the runbook of this incident, with the facts its questions are judged by.
    WatchRunbook(String),
    /// Follow how telling people stands in this incident.
    WatchTalk(String),
    /// Settle something between people.
    Settle {
        /// The incident.
        incident: String,
        /// What.
        what: Settle,
    },
    /// Send a message that was shown.
    Send {
        /// The incident.
        incident: String,
        /// For whom.
        audience: Audience,
        /// What it says.
        text: String,
    },
    /// Try again now to send what waits.
    Flush(String),
    /// Take a step in the runbook, as it was shown.
    Step {
        /// The incident.
        incident: String,
        /// The runbook.
        runbook: String,
        /// The node that was shown.
        seen: String,
        /// What was proposed there, with its evidence.
        proposal: Option<Box<Proposal>>,
        /// What the person does.
        step: Step,
    },
    /// Carry out the act that is shown, as an operation; the typed word, where the act wants one.
    RunAct {
        /// What was shown.
        act: Box<ActShown>,
        /// The word that was typed.
        typed: Option<Typed>,
    },
    /// Give a variable of the runbooks a value.
    GiveValue {
        /// The variable.
        name: String,
        /// What it stands for.
        value: String,
    },
    /// Approve the plan of this digest, which somebody else wants to start; confirmed by the typed word.
    Approve {
        /// The digest.
        digest: String,
        /// The word that was typed.
        typed: Typed,
    },
    /// Work out a plan. Writes nothing.
    Plan(Box<RecoverRequest>),
    /// Weigh the ways out for this target. Writes nothing.
    Compare(Box<RecoverRequest>),
    /// Start what was planned, shown and confirmed by the typed word. The only effect that can destroy anything.
    Start {
        /// What was asked for.
        request: Box<RecoverRequest>,
        /// The digest of the plan that was on the screen.
        digest: String,
        /// The word that was typed.
        typed: Typed,
    },
    /// Take a lost operation up again, confirmed by the typed word.
    Resume {
        /// Which.
        id: OpId,
        /// The word that was typed.
        typed: Typed,
    },
    /// Follow this operation.
    Watch(OpId),
    /// Answer the question of an operation: the recovered data is right, promote it. Confirmed by the typed word.
    Promote {
        /// Which.
        id: OpId,
        /// The word that was typed.
        typed: Typed,
    },
    /// Answer the question of an operation: the damage is in it, nothing is promoted.
    Damaged(OpId),
    /// Ask an operation to stop, confirmed by the typed word.
    Cancel {
        /// Which.
        id: OpId,
        /// The word that was typed.
        typed: Typed,
    },
    /// Declare an incident: the clock runs.
    Declare {
        /// Why.
        reason: String,
        /// When the trouble was detected; nothing = now.
        detected_at: Option<Timestamp>,
    },
    /// Add a note to the open incident.
    Note(String),
    /// Close the open incident with a sentence.
    CloseIncident(String),
    /// Close the open incident over what is still open, confirmed by the typed word.
    CloseOver {
        /// The sentence.
        text: String,
        /// The word that was typed.
        typed: Typed,
    },
    /// Give the terminal back to the shell until it returns.
    Suspend,
    /// Leave; work goes on.
    Quit,
}

impl Effect {
    /// True for what changes a cluster; such an effect exists only after a typed confirmation.
    pub fn is_destructive(&self) -> bool {
        matches!(
            self,
            Self::Start { .. }
                | Self::Resume { .. }
                | Self::Cancel { .. }
                | Self::Promote { .. }
                | Self::RunAct { typed: Some(_), .. }
        )
    }

    /// True for what leaves a trace anywhere: refused where the console is read-only.
    pub fn writes(&self) -> bool {
        let noted = matches!(
            self,
            Self::Declare { .. }
                | Self::Note(_)
                | Self::CloseIncident(_)
                | Self::CloseOver { .. }
                | Self::Damaged(_)
                | Self::Step { .. }
                | Self::RunAct { .. }
                | Self::Approve { .. }
                | Self::GiveValue { .. }
                | Self::Settle { .. }
                | Self::Send { .. }
                | Self::Flush(_)
        );
        noted || self.is_destructive()
    }
}
