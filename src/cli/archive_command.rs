//! The `archive_command` this program proposes: itself, by its absolute path, with the configuration named.
//!
//! pgBackRest's own check insists on its name in the command, and where the configuration is named it stands there. Only
//! text; nothing is set.

use super::Call;
use super::restore::fetch_command;
use crate::base::Result;
use crate::config::Origin;
use std::path::{Path, PathBuf};

/// The command as the setting's value, not yet quoted for the configuration file.
pub(super) fn archive_command(call: &Call, stanza: &str) -> Result<String> {
    let mut command = fetch_command(call, stanza)?;
    for (name, path) in configuration(call) {
        command = command.option(name, path.to_string_lossy());
    }
    Ok(command.archive_text()?)
}

/// The files that are read without being named, as options that name them.
fn configuration(call: &Call) -> Vec<(&'static str, PathBuf)> {
    let by_hand =
        |name: &str| matches!(call.settings.origin(name), Origin::CommandLine | Origin::Environment(_));
    if by_hand("config") {
        return Vec::new();
    }
    let folder = PathBuf::from(call.settings.text("config-path").unwrap_or("/etc/pgbackrest"));
    let places = [folder.join("pgbackrest.conf"), PathBuf::from("/etc/pgbackrest.conf")];
    let mut found = Vec::new();
    found.extend(places.into_iter().find(|path| path.is_file()).map(|path| ("config", path)));
    // Naming the file alone would leave the folder beside it unread.
    let beside = folder.join("conf.d");
    if !by_hand("config-include-path") && holds_configuration(&beside) {
        found.push(("config-include-path", beside));
    }
    found
}

fn holds_configuration(folder: &Path) -> bool {
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| entry.path().extension().is_some_and(|extension| extension == "conf"))
}
