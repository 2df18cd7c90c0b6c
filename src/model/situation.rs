//! The situation a runbook's questions are judged by: the board, and per member what only an incident asks for. Facts only.
//!
//! Filled by probes and judged by [`super::question`]; nothing here looks at anything or decides.

mod disk;
mod log;
mod patroni;
mod server;

pub use disk::{
    ArchiveQueue, Certificate, ConfigurationFacts, ControlFacts, FolderFacts, PageDamage, PageFacts, Room,
};
pub use log::{LogSign, LogTail, SignKind};
pub use patroni::{PatroniFacts, PatroniMember, PatroniNode, PatroniSwitch};
pub use server::{
    ArchiverFacts, ChecksumFailure, CommitWait, Contact, HealthFacts, OpenWriter, ReceiverFacts, StandbyLink,
    WriteTest,
};

use super::board::Board;
use super::fact::Fact;
use serde::Serialize;
use std::path::PathBuf;

/// Everything the runbook's questions are judged by.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Situation {
    /// What the first screen knows: servers, data directories, repositories, the application.
    pub board: Board,
    /// One per member of the board, in its order.
    pub members: Vec<MemberFacts>,
    /// The nodes of Patroni that were named, in their order; none if none is configured.
    pub patroni: Vec<PatroniNode>,
}

/// What is known of one member besides the board's facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MemberFacts {
    /// The host it is spoken to at; nothing for this one.
    pub host: Option<String>,
    /// Its port.
    pub port: u16,
    /// The folder of its socket, where it is spoken to through one.
    pub socket: Option<PathBuf>,
    /// How a session with it came to be, or did not.
    pub contact: Fact<Contact>,
    /// What hinders it, as it says itself.
    pub health: Fact<HealthFacts>,
    /// What became of a commit; nothing where none was asked for.
    pub write: Option<Fact<WriteTest>>,
    /// The end of its log; nothing for a server elsewhere.
    pub log: Option<Fact<LogTail>>,
    /// What its data directory tells beyond the board's facts; nothing for a server elsewhere.
    pub folder: Option<Fact<FolderFacts>>,
    /// What reading every page came to; nothing where that was not asked for.
    pub pages: Option<Fact<PageFacts>>,
}

impl MemberFacts {
    /// True if it can be looked at from here, beyond asking it.
    pub fn is_here(&self) -> bool {
        self.folder.is_some()
    }
}
