//! An incident: the fold of its journal, the clocks of the recovery, the report.
//!
//! Reads journals and writes to them through [`crate::journal`]; it runs nothing.
//!
//! A moment that counts is that of the last attempt: one that is reached again forgets what was reached after its
//! earlier time. Phases last from one moment to the next by the boot clock, where both were seen in one boot of one
//! host, else by the wall clock; the time from detection to declaration is always the wall clock's, for a person says
//! when the trouble was detected.

mod act;
mod alone;
pub mod approval;
mod begin;
pub mod checklist;
pub mod comms;
mod course;
mod evidence;
mod export;
mod fold;
pub mod guide;
mod hold;
mod pilot;
pub mod report;
mod settle;
pub mod sign;
pub mod standing;
mod table;
pub mod words;

pub use act::{OPEN_MATTERS, Targets, is_day, targets};
pub use alone::{INCIDENT_OPEN, already_open};
pub use approval::Approval;
pub use evidence::Evidence;
pub use export::{Exported, MANIFEST};
pub use pilot::{Holder, Pilot};
pub use settle::{MOST_TASK_MINUTES, Settle, Settled, TASK_MINUTES};
pub use standing::Standing;

pub use crate::journal::{Audience, Role, TickResult};

use crate::base::files::sync_folder;
use crate::base::state::{StateDir, make_folder};
use crate::base::{Report, Result, Timestamp};
use crate::config::site::StanzaSite;
use crate::journal::{self, Entry, Fact, Journal, JournalError, Severity, Verification, Witness};
use crate::model::board::Limits;
use crate::model::op::Mark;
use crate::runbook::Library;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

/// An incident as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IncidentView {
    /// Its name, `2026-11-21-01`.
    pub id: String,
    /// The stanza.
    pub stanza: String,
    /// The environment's label.
    pub label: Option<String>,
    /// Why it was declared.
    pub reason: String,
    /// When the trouble was detected.
    pub detected_at: Timestamp,
    /// When it was declared.
    pub declared_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// How long the recovery may take, seconds.
    pub rto_s: u64,
    /// How much may be lost, seconds.
    pub rpo_s: u64,
    /// The moments reached.
    pub marks: BTreeMap<Mark, Timestamp>,
    /// The phases between them, in order.
    pub phases: Vec<PhaseTime>,
    /// From detected to service back, milliseconds, by a clock nobody can set where the boot was the same.
    pub rto_ms: Option<u64>,
    /// What was settled between people.
    pub standing: Standing,
    /// What people gave the runbooks' variables.
    pub values: BTreeMap<String, String>,
    /// Plans that a second person was asked to approve.
    pub approvals: Vec<Approval>,
    /// Every entry as a line.
    pub lines: Vec<JournalLine>,
    /// What the chain's verification says, one sentence.
    pub chain: String,
    /// True if the chain is whole.
    pub chain_ok: bool,
}

impl IncidentView {
    /// True for a rehearsal: it is in the fire drill's runbook, or its environment is called a drill or a lab.
    pub fn is_drill(&self) -> bool {
        let label = self.label.as_ref().map(|label| label.to_lowercase()).unwrap_or_default();
        let called = label.split(|c: char| !c.is_alphanumeric()).any(|word| ["drill", "lab"].contains(&word));
        called || self.standing.position.as_ref().is_some_and(|at| at.runbook == guide::FIRE_DRILL)
    }
}

/// The time from one mark to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseTime {
    /// What was done, in an operator's words.
    pub name: String,
    /// Where it began.
    pub from: Mark,
    /// Where it ended.
    pub to: Mark,
    /// How long, milliseconds.
    pub took_ms: u64,
}

/// An entry as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalLine {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, in one line.
    pub text: String,
    /// The last eight digits of its hash.
    pub hash_tail: String,
}

/// What is said when an incident is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The stanza.
    pub stanza: String,
    /// The environment's label.
    pub label: Option<String>,
    /// Why.
    pub reason: String,
    /// When the trouble was detected; nothing = now.
    pub detected_at: Option<Timestamp>,
    /// How long the recovery may take, seconds.
    pub rto_s: u64,
    /// How much may be lost, seconds.
    pub rpo_s: u64,
    /// How bad it is.
    pub severity: Option<Severity>,
}

impl Declaration {
    /// A declaration for a stanza with what `pgmayday.toml` expects of it, or what the program ships.
    pub fn of_site(stanza: &str, site: &StanzaSite, reason: String, detected_at: Option<Timestamp>) -> Self {
        let shipped = Limits::default();
        Self {
            stanza: stanza.to_owned(),
            label: site.label.clone(),
            reason,
            detected_at,
            rto_s: site.rto.map_or(shipped.rto_s, |rto| rto.as_secs()),
            rpo_s: site.rpo.map_or(shipped.rpo_s, |rpo| rpo.as_secs()),
            severity: None,
        }
    }
}

#[cfg(test)]
impl Declaration {
    /// One for tests.
    pub(crate) fn sample() -> Self {
        Self {
            stanza: "orders".to_owned(),
            label: None,
            reason: "db1 is gone".to_owned(),
            detected_at: None,
            rto_s: 3600,
            rpo_s: 300,
            severity: None,
        }
    }
}

/// The incidents of one state directory.
#[derive(Debug, Clone)]
pub struct Incidents {
    state: StateDir,
}

impl Incidents {
    /// The incidents under `state`.
    pub fn new(state: StateDir) -> Self {
        Self { state }
    }

    /// Declares one; its name: the day in UTC and a number. Whoever makes the folder has the name, so two who declare
    /// at once get two incidents.
    pub fn declare(&self, actor: &str, declaration: &Declaration) -> Result<String> {
        let now = Timestamp::now();
        let id = self.new_folder(now)?;
        let Declaration { stanza, label, reason, detected_at, rto_s, rpo_s, severity } = declaration.clone();
        let detected_at = detected_at.unwrap_or(now);
        let fact = Fact::Declared { stanza, label, reason, detected_at, rto_s, rpo_s, severity };
        let begun = Journal::create(&self.folder(&id)).and_then(|journal| journal.append(actor, &fact));
        begun.map_err(|error| told(error, &id))?;
        Ok(id)
    }

    /// The newest incident of a stanza that is not closed.
    ///
    /// Fails if there is none among those that can be read and one cannot be read: it may be the one.
    pub fn open_one(&self, stanza: &str) -> Result<Option<IncidentView>> {
        let (views, troubles) = self.list()?;
        let open = views.into_iter().find(|view| view.stanza == stanza && view.closed_at.is_none());
        match troubles.into_iter().next() {
            Some(trouble) if open.is_none() => Err(Report::failed(format!(
                "whether an incident of {stanza} is open cannot be told: {trouble}"
            ))),
            _ => Ok(open),
        }
    }

    /// Appends a fact to an incident.
    pub fn append(&self, id: &str, actor: &str, fact: &Fact) -> Result<()> {
        self.entered(id, actor, fact).map(drop)
    }

    /// Appends a fact to an incident; the entry it became.
    fn entered(&self, id: &str, actor: &str, fact: &Fact) -> Result<Entry> {
        let journal = Journal::open(&self.known(id)?).map_err(|error| told(error, id))?;
        journal.append(actor, fact).map_err(|error| told(error, id))
    }

    /// Every entry of an incident's journal that can be read, in order.
    fn entries(&self, id: &str) -> Result<Vec<Entry>> {
        let (contents, _) =
            journal::read_verified(&self.known(id)?, None).map_err(|error| told(error, id))?;
        Ok(contents.entries().cloned().collect())
    }

    /// Writes something down.
    pub fn note(&self, id: &str, actor: &str, text: &str) -> Result<()> {
        self.append(id, actor, &Fact::Note { text: text.to_owned() })
    }

    /// Closes an incident; one that is closed already stays as it is, and over what is open it is closed only
    /// `knowingly`, which is written down.
    ///
    /// # Errors
    /// Refused by the guard [`OPEN_MATTERS`].
    pub fn close(&self, id: &str, actor: &str, text: &str, knowingly: bool) -> Result<()> {
        let view = self.view(id)?;
        if let Some(at) = view.closed_at {
            return Err(Report::usage(format!("incident {id} was closed at {at}"))
                .hint("`pgmayday incident note` still adds to it"));
        }
        let library = Library::of_host(Some(self.state.root()));
        let mut open = view.open_matters();
        open.extend(guide::left(&self.entries(id)?, &library));
        let open = open.join("; ");
        if !open.is_empty() && !knowingly {
            return Err(Report::refused(OPEN_MATTERS, format!("incident {id} has open matters: {open}"))
                .hint("end them, or write them down by `pgmayday incident follow-up add`"));
        }
        if !open.is_empty() {
            self.note(id, actor, &format!("closed over open matters, {OPEN_MATTERS} accepted: {open}"))?;
        }
        self.append(id, actor, &Fact::Closed { text: text.to_owned() })
    }

    /// One incident, folded from its journal, chain verified.
    pub fn view(&self, id: &str) -> Result<IncidentView> {
        self.evidence(id).map(|evidence| evidence.view)
    }

    /// One incident with everything its report tells.
    pub fn evidence(&self, id: &str) -> Result<Evidence> {
        let folder = self.known(id)?;
        let (contents, verification) =
            journal::read_verified(&folder, None).map_err(|error| told(error, id))?;
        Ok(Evidence::of(id, &contents, verification))
    }

    /// Verifies the journal of an incident, also against what was written down of it elsewhere.
    pub fn verify(&self, id: &str, witness: Option<&Witness>) -> Result<Verification> {
        journal::verify(&self.known(id)?, witness).map_err(|error| told(error, id))
    }

    /// All of them, newest first; what cannot be read is told among the second.
    pub fn list(&self) -> Result<(Vec<IncidentView>, Vec<String>)> {
        let (mut views, mut troubles) = (Vec::new(), Vec::new());
        for id in self.ids()? {
            // Between its folder and its first line nobody has been given its name yet.
            if Journal::is_blank(&self.folder(&id)) {
                continue;
            }
            match self.view(&id) {
                Ok(view) if view.lines.is_empty() => troubles.push(format!("incident {id}: {}", view.chain)),
                Ok(view) => views.push(view),
                Err(report) => troubles.push(format!("incident {id}: {}", report.headline)),
            }
        }
        Ok((views, troubles))
    }

    /// The names of all incidents, newest first.
    pub fn ids(&self) -> Result<Vec<String>> {
        let folder = self.state.incidents();
        let unreadable = |error| Report::failed(format!("cannot list {}: {error}", folder.display()));
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            found.extend(name.to_str().and_then(|name| Some((number_of(name)?, name.to_owned()))));
        }
        found.sort();
        Ok(found.into_iter().rev().map(|(_, name)| name).collect())
    }

    /// The folder of an incident, whether it is there or not.
    fn folder(&self, id: &str) -> PathBuf {
        self.state.incidents().join(id)
    }

    /// The folder of an incident that is there.
    fn known(&self, id: &str) -> Result<PathBuf> {
        let shown = || words::one_line(&id.chars().take(80).collect::<String>());
        let folder = Some(self.folder(id)).filter(|_| number_of(id).is_some());
        match folder.as_ref().map(|folder| folder.symlink_metadata()) {
            Some(Ok(_)) => Ok(folder.unwrap_or_default()),
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => {
                Err(Report::failed(format!("cannot look for incident {}: {error}", shown())))
            }
            _ => {
                let place = self.state.incidents();
                Err(Report::usage(format!("there is no incident {} in {}", shown(), place.display()))
                    .hint("`pgmayday incident list` lists them"))
            }
        }
    }

    fn new_folder(&self, now: Timestamp) -> Result<String> {
        let place = self.state.incidents();
        let failed = |error| {
            let report = Report::failed(format!("cannot make an incident in {}: {error}", place.display()));
            report.hint("set PGMAYDAY_STATE to a folder that can be written, or act as its owner")
        };
        make_folder(&place).and_then(|()| journal::adopt(&place)).map_err(failed)?;
        let day = now.to_utc().format("%Y-%m-%d").to_string();
        let known = self.ids()?.into_iter().filter(|id| id.starts_with(&day));
        let mut number = known.filter_map(|id| number_of(&id)).map(|(_, number)| number).max().unwrap_or(0);
        loop {
            number += 1;
            let id = format!("{day}-{number:02}");
            match std::fs::DirBuilder::new().mode(0o750).create(place.join(&id)) {
                Ok(()) => {
                    journal::adopt(&place.join(&id)).and_then(|()| sync_folder(&place)).map_err(failed)?;
                    return Ok(id);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// The day and the number in the name of an incident; nothing if it is none. Names become parts of paths.
fn number_of(name: &str) -> Option<(String, u32)> {
    let (day, number) = name.split_at_checked(10)?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = day.split('-').collect();
    let is_day = parts.iter().map(|part| part.len()).eq([4, 2, 2]) && parts.iter().all(|part| digits(part));
    let number = number.strip_prefix('-').filter(|number| number.len() >= 2 && digits(number))?;
    is_day.then(|| number.parse().ok()).flatten().map(|number| (day.to_owned(), number))
}

fn told(error: JournalError, id: &str) -> Report {
    Report::from(error).context(format!("dealing with the journal of incident {id}"))
}

#[cfg(test)]
mod tests;
