//! The commands that make, change and remove a stanza, and what they share.

pub(super) mod create;
pub(super) mod delete;
pub(super) mod upgrade;

use super::Call;
use super::output::{self, Output};
use crate::base::{PgVersion, Report, Result, SystemId};
use crate::engine::repositories::{Access, Repositories};
use crate::engine::stanza::Identity;
use crate::repo::Repository;
use serde::Serialize;

/// The stanza this call is about.
fn name(call: &Call) -> Result<&str> {
    call.settings.stanza().ok_or_else(|| {
        Report::usage(format!("{} needs --stanza", call.command))
            .hint("the stanza is the cluster's name in the configuration")
    })
}

/// All repositories of this call, opened; what was odd about that is told.
fn repositories(call: &Call, access: Access) -> Result<Vec<Repository>> {
    let opened = Repositories::open_for(&call.settings, call.command, access);
    opened.warnings.iter().for_each(|warning| call.console.warn(warning));
    opened.all()
}

/// What is shown: the stanza, its cluster, and each repository.
#[derive(Serialize)]
struct Document<'a, T> {
    stanza: &'a str,
    version: PgVersion,
    system_id: SystemId,
    repos: &'a [T],
}

/// Shows what was done in each repository.
fn show<T: Serialize>(
    call: &Call,
    stanza: &str,
    of: Identity,
    repos: &[T],
    line: impl Fn(&T) -> String,
) -> Result<()> {
    match call.output {
        Output::Json => {
            let document = Document { stanza, version: of.version, system_id: of.system_id, repos };
            output::json(call.command, &document)
        }
        Output::Text => output::text(&repos.iter().map(line).collect::<Vec<_>>().join("\n")),
    }
}
