//! `pgmayday stanza-create`: makes the stanza's info files in every configured repository.

use super::{name, repositories, show};
use crate::base::Result;
use crate::cli::Call;
use crate::cli::archive_command::archive_command;
use crate::cli::as_owner::step_down;
use crate::cli::command::{CommandSpec, Run, nothing_own};
use crate::engine::repositories::Access;
use crate::engine::stanza::create::{Created, Made, create};
use crate::engine::stanza::{self, Identity};

pub(in crate::cli) const SPEC: CommandSpec = CommandSpec {
    name: "stanza-create",
    about: "Make a stanza in every configured repository",
    long_about: "Writes archive.info and backup.info for the cluster in pg1-path, in every configured repository that \
                 does not have them. The running server must be the one of that data directory; --no-online believes \
                 the control file alone. A stanza that is there is left as it is; only a missing info file or copy \
                 is written from the other one. Refused where folders hold something but no info files, and where \
                 the info files are of another cluster.",
    options_of: "stanza-create",
    reads_configuration: true,
    own: nothing_own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn run(call: &Call) -> Result<()> {
    step_down(call)?;
    let stanza = name(call)?;
    let _held = stanza::lock(&call.settings, stanza)?;
    let (of, warnings) = stanza::identity(&call.settings, call.settings.flag("online"))?;
    let done = create(&repositories(call, Access::Create)?, stanza, of)?;
    for warning in warnings.iter().chain(done.iter().flat_map(|one| &one.warnings)) {
        call.console.warn(warning);
    }
    show(call, stanza, of, &done, |one| line(stanza, of, one))?;
    if let Ok(command) = archive_command(call, stanza) {
        call.console.info(&format!(
            "to archive with this program: archive_command = '{}'",
            command.replace('\'', "''")
        ));
    }
    Ok(())
}

fn line(stanza: &str, of: Identity, Created { repo, store: _, made, db_id, .. }: &Created) -> String {
    let archive = format!("{}-{db_id}", of.version);
    match made {
        Made::Created => format!("repo{repo}: stanza {stanza} made, archive {archive}, for {of}"),
        Made::Completed => {
            format!("repo{repo}: stanza {stanza}, whose making was interrupted, finished, archive {archive}")
        }
        Made::Mended { files } => {
            format!("repo{repo}: stanza {stanza} was there; missing and written again: {}", files.join(", "))
        }
        Made::Unchanged => format!("repo{repo}: stanza {stanza} was there, nothing was written"),
    }
}
