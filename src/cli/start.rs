//! `pgmayday start`: takes back a stop.

use super::Call;
use super::as_owner::step_down;
use super::command::{CommandSpec, Run, nothing_own};
use super::output::{self, Output};
use super::stop::{cannot, subject};
use crate::base::Result;
use crate::engine::locks::StopFile;
use crate::engine::stanza::lock_folder;
use serde::Serialize;
use std::path::PathBuf;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "start",
    about: "Let backups and archiving of a stanza, or of all, go on after a stop",
    long_about: "Removes the stop file that `stop` wrote on this host: of one stanza or, without --stanza, the one for \
                 all. Starts no server and no backup. A stanza that was stopped by name stays stopped until it is \
                 started by name.",
    options_of: "start",
    reads_configuration: true,
    own: nothing_own,
    run: Run::Plain(run),
    failure_exit: None,
};

#[derive(Serialize)]
struct Document<'a> {
    stanza: Option<&'a str>,
    file: PathBuf,
    /// False if it was not stopped.
    removed: bool,
}

fn run(call: &Call) -> Result<()> {
    step_down(call)?;
    let stanza = call.settings.stanza();
    let folder = lock_folder(&call.settings);
    let stop = StopFile::of(&folder, stanza);
    let removed = stop.remove().map_err(|error| cannot("remove", stop.path(), &error))?;
    if let Some(name) = stanza
        && let Err(still) = folder.refuse_if_stopped(name)
    {
        call.console.warn(&still.headline);
    }
    let document = Document { stanza, file: stop.path().to_owned(), removed };
    match call.output {
        Output::Json => output::json("start", &document),
        Output::Text => {
            let (whose, file) = (subject(stanza), stop.path().display());
            output::text(&if removed {
                format!("{whose} started, {file} is gone")
            } else {
                format!("{whose} not stopped, there was no {file}")
            })
        }
    }
}
