//! `annotate`: notes on a backup, in every repository that has it.

use super::Call;
use super::as_owner::step_down;
use super::command::{CommandSpec, Run, nothing_own};
use super::output::{self, Output};
use super::progress::Lines;
use crate::base::{BackupLabel, Report, Result};
use crate::engine::annotate::{self, RepoNote};
use crate::engine::locks::LockFolder;
use crate::engine::repositories::{Access, Repositories};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "annotate",
    about: "Write notes on a backup",
    long_about: "Adds the notes given as --annotation=key=value to those of the backup --set, in every repository that \
                 has it; a note with an empty value is removed. pgBackRest's info shows them.",
    options_of: "annotate",
    reads_configuration: true,
    own: nothing_own,
    run: Run::Coded(run),
    failure_exit: None,
};

#[derive(Serialize)]
struct Shown<'a> {
    stanza: &'a str,
    set: &'a BackupLabel,
    repos: Vec<ShownRepo<'a>>,
}

#[derive(Serialize)]
struct ShownRepo<'a> {
    repo: u32,
    /// False if the backup is not in this repository.
    found: bool,
    changed: bool,
    annotations: Option<&'a BTreeMap<String, String>>,
    error: Option<&'a str>,
}

impl<'a> ShownRepo<'a> {
    fn of(note: &'a RepoNote) -> Self {
        let annotated = note.outcome.as_ref().ok().and_then(Option::as_ref);
        Self {
            repo: note.repo,
            found: annotated.is_some(),
            changed: annotated.is_some_and(|annotated| annotated.changed),
            annotations: annotated.map(|annotated| &annotated.annotations),
            error: note.outcome.as_ref().err().map(|report| report.headline.as_str()),
        }
    }
}

fn run(call: &Call) -> Result<u8> {
    step_down(call)?;
    let settings = &call.settings;
    let stanza = settings.stanza().ok_or_else(|| Report::usage("annotate needs --stanza"))?;
    let set = settings.text("set").ok_or_else(|| Report::usage("annotate needs --set"))?;
    let set: BackupLabel = set.parse().map_err(|error| Report::usage(format!("{error}")))?;
    let notes = settings.pairs("annotation");
    let locks = LockFolder(PathBuf::from(settings.text("lock-path").unwrap_or("/tmp/pgbackrest")));
    let opened = Repositories::open_for(settings, call.command, Access::Write);
    let done = annotate::run(opened, stanza, &set, &notes, &locks, &Lines::new(call.console))?;
    let failure = annotate::failure(&done, &set);
    let shown = Shown { stanza, set: &set, repos: done.iter().map(ShownRepo::of).collect() };
    match call.output {
        Output::Text => {
            output::text(&text(&shown))?;
            failure.map_or(Ok(0), Err)
        }
        Output::Json => {
            output::json("annotate", &shown)?;
            Ok(failure.map_or(0, |report| report.kind.exit_code()))
        }
    }
}

fn text(shown: &Shown<'_>) -> String {
    let mut out = String::new();
    for repo in shown.repos.iter().filter(|repo| repo.found) {
        let _infallible = writeln!(out, "repo{}: backup {}", repo.repo, shown.set);
        for (key, value) in repo.annotations.into_iter().flatten() {
            let _infallible = writeln!(out, "  {key}: {value}");
        }
    }
    out
}
