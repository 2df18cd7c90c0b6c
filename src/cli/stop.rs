//! `pgmayday stop`: nothing shall write to a stanza, or to any, from this host.

use super::Call;
use super::as_owner::step_down;
use super::command::{CommandSpec, Run, nothing_own};
use super::output::{self, Output};
use crate::base::{Report, Result};
use crate::engine::locks::{Ended, Fate, StopFile};
use crate::engine::stanza::lock_folder;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "stop",
    about: "Keep backups and archiving away from a stanza, or from all",
    long_about: "Writes a stop file, which this program and pgBackRest respect on this host: until `start`, no backup, \
                 expire, archiving or change of the stanza begins, for one stanza or, without --stanza, for all. \
                 PostgreSQL keeps its WAL meanwhile. What runs goes on; --force tells it to end.",
    options_of: "stop",
    reads_configuration: true,
    own: nothing_own,
    run: Run::Plain(run),
    failure_exit: None,
};

/// How long processes that were told to end are watched.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Document<'a> {
    stanza: Option<&'a str>,
    file: PathBuf,
    /// False if it was stopped before.
    created: bool,
    holders: Vec<Ended>,
}

fn run(call: &Call) -> Result<()> {
    step_down(call)?;
    let stanza = call.settings.stanza();
    let folder = lock_folder(&call.settings);
    let stop = StopFile::of(&folder, stanza);
    let created = stop.create().map_err(|error| cannot("write", stop.path(), &error))?;
    let holders = if call.settings.flag("force") {
        folder.end_holders(stanza, PATIENCE).map_err(|error| cannot("read", &folder.0, &error))?
    } else {
        Vec::new()
    };
    for line in holders.iter().filter_map(warning) {
        call.console.warn(&line);
    }
    let document = Document { stanza, file: stop.path().to_owned(), created, holders };
    match call.output {
        Output::Json => output::json("stop", &document),
        Output::Text => output::text(&document.to_text()),
    }
}

pub(super) fn cannot(doing: &str, path: &Path, error: &std::io::Error) -> Report {
    Report::failed(format!("cannot {doing} {}: {error}", path.display())).hint(
        "lock-path must be a folder that the owner of the data directory can write, the same for every user",
    )
}

/// The stanza, or all of them, as the subject of a sentence.
pub(super) fn subject(stanza: Option<&str>) -> String {
    stanza.map_or_else(|| "all stanzas:".to_owned(), |name| format!("stanza {name}:"))
}

fn warning(ended: &Ended) -> Option<String> {
    let lock = ended.lock.display();
    match &ended.fate {
        Fate::Ended => None,
        Fate::Ending => {
            Some(format!("process {} was told to end and still holds {lock}", ended.pid.unwrap_or(0)))
        }
        Fate::Untouched { why } => Some(format!("{lock} is held, and its holder was not told to end: {why}")),
    }
}

impl Document<'_> {
    fn to_text(&self) -> String {
        let (whose, file) = (subject(self.stanza), self.file.display());
        let mut lines = vec![if self.created {
            format!("{whose} stopped on this host by {file}")
        } else {
            format!("{whose} stopped before, by {file}")
        }];
        let mut pids: Vec<u32> =
            self.holders.iter().filter(|h| h.fate == Fate::Ended).filter_map(|h| h.pid).collect();
        pids.sort_unstable();
        pids.dedup();
        lines.extend(pids.iter().map(|pid| format!("process {pid} ended")));
        lines.join("\n")
    }
}
