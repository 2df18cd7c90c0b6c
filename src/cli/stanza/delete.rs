//! `pgmayday stanza-delete`: removes a stanza from one repository, with its backups and WAL.

use super::{name, repositories};
use crate::base::{Report, Result};
use crate::cli::Call;
use crate::cli::as_owner::step_down;
use crate::cli::command::{CommandSpec, Run, nothing_own};
use crate::cli::output::{self, Output};
use crate::engine::repositories::Access;
use crate::engine::stanza::delete::{BACKUPS_GUARD, Consent, Deleted, delete};
use serde::Serialize;

pub(in crate::cli) const SPEC: CommandSpec = CommandSpec {
    name: "stanza-delete",
    about: "Remove a stanza from a repository, with its backups and WAL",
    long_about: "Removes the stanza's info files, then its backups and its WAL, from the only configured repository \
                 or the one --repo names. The stanza must have been stopped on this host (`stop`), and no server may \
                 run in its data directory unless --force is given. While it has backups it is refused, unless \
                 --accept=stanza-backups says that they may go. Nothing brings them back.",
    options_of: "stanza-delete",
    reads_configuration: true,
    own: nothing_own,
    run: Run::Plain(run),
    failure_exit: None,
};

#[derive(Serialize)]
struct Document<'a> {
    stanza: &'a str,
    #[serde(flatten)]
    deleted: &'a Deleted,
}

fn run(call: &Call) -> Result<()> {
    step_down(call)?;
    let stanza = name(call)?;
    if let many @ 2.. = call.settings.repos().len() {
        return Err(Report::usage(format!(
            "{many} repositories are configured: a stanza is removed from one at a time"
        ))
        .hint("name it: --repo=N"));
    }
    let repository = repositories(call, Access::Write)?.into_iter().next();
    let repository = repository.ok_or_else(|| Report::usage("no repository is configured"))?;
    let consent = Consent { running: call.settings.flag("force"), backups: call.accepts(BACKUPS_GUARD) };
    let deleted = delete(&call.settings, &repository, stanza, consent)?;
    deleted.warnings.iter().for_each(|warning| call.console.warn(warning));
    match call.output {
        Output::Json => output::json("stanza-delete", &Document { stanza, deleted: &deleted }),
        Output::Text => output::text(&line(stanza, &deleted)),
    }
}

fn line(stanza: &str, Deleted { repo, existed, backups, .. }: &Deleted) -> String {
    match (existed, backups) {
        (false, _) => format!("repo{repo}: there was no stanza {stanza}"),
        (true, 0) => format!("repo{repo}: stanza {stanza} removed; it had no backups"),
        (true, 1) => format!("repo{repo}: stanza {stanza} removed with its backup"),
        (true, many) => format!("repo{repo}: stanza {stanza} removed with its {many} backups"),
    }
}
