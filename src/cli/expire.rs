//! `expire`: takes out of the repositories what the retention does not keep; `--dry-run` shows the plan.
//!
//! Never prompts: a guard refuses, `--accept=NAME` overrides it.

mod show;

use super::Call;
use super::as_owner::step_down;
use super::command::{CommandSpec, Run, nothing_own};
use super::output::{self, Output};
use super::progress::Lines;
use crate::base::{Report, Result, Timestamp};
use crate::engine::expire::{self, Job, Request};
use crate::engine::locks::LockFolder;
use crate::engine::repositories::{Access, Repositories};
use crate::model::op::Cancel;
use std::path::PathBuf;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "expire",
    about: "Remove backups and WAL that the retention does not keep",
    long_about: "Removes backups beyond the configured retention with everything that needs them, and WAL that no kept \
                 backup needs. Pinned backups and the WAL they are pinned for stay. --set expires one backup, --oldest \
                 the oldest full one. While an incident holds the stanza nothing is removed. With --dry-run the plan is \
                 printed and nothing is done; a run that was killed is finished by the same command.",
    options_of: "expire",
    reads_configuration: true,
    own: nothing_own,
    run: Run::Coded(run),
    failure_exit: None,
};

fn run(call: &Call) -> Result<u8> {
    step_down(call)?;
    let settings = &call.settings;
    let request = request(call)?;
    let stanza = settings.stanza().ok_or_else(|| Report::usage("expire needs --stanza"))?;
    let access = if request.dry_run { Access::Read } else { Access::Write };
    let opened = Repositories::open_for(settings, call.command, access);
    let locks = LockFolder(PathBuf::from(settings.text("lock-path").unwrap_or("/tmp/pgbackrest")));
    let dry_run = request.dry_run;
    let job = Job { settings, stanza, locks: &locks, request, now: Timestamp::now(), locked: false };
    let runs = expire::run(&job, opened, &Lines::new(call.console), &Cancel::default())?;
    let failure = expire::failure(&runs);
    let shown = show::Shown::new(stanza, dry_run, &runs);
    match (call.output, failure) {
        (Output::Text, failure) => {
            output::text(&show::text(&shown))?;
            failure.map_or(Ok(0), Err)
        }
        // The reasons stand in the document, repository by repository.
        (Output::Json, failure) => {
            output::json(if dry_run { "expire-plan" } else { "expire" }, &shown)?;
            Ok(failure.map_or(0, |report| report.kind.exit_code()))
        }
    }
}

fn request(call: &Call) -> Result<Request> {
    let settings = &call.settings;
    let usage = |error: crate::base::units::UnitError| Report::usage(error.to_string());
    let set = settings.text("set").map(str::parse).transpose().map_err(usage)?;
    let oldest = settings.flag("oldest");
    if oldest && set.is_some() {
        return Err(Report::usage("--oldest and --set cannot be used together"));
    }
    let before = settings.text("archive-expire-before").map(str::parse).transpose().map_err(usage)?;
    Ok(Request {
        set,
        oldest,
        archive_before: before,
        dry_run: settings.flag("dry-run"),
        accept: call.accept.iter().cloned().collect(),
    })
}
