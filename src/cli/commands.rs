//! The table of commands, and finding one in it. Runs none.

use super::command::CommandSpec;
use crate::base::{Report, Result};
use crate::config::closest;
use std::ffi::OsString;

/// Every command, in the order of the help. A new command is one line here and one file.
pub(super) const COMMANDS: &[CommandSpec] = &[
    super::console::SPEC,
    super::board::SPEC,
    super::survey::SPEC,
    super::info::SPEC,
    super::restore::SPEC,
    super::backup::SPEC,
    super::snapshot::SPEC,
    super::attach::SPEC,
    super::recover::SPEC,
    super::plan::SPEC,
    super::archive_get::SPEC,
    super::stanza::create::SPEC,
    super::stanza::upgrade::SPEC,
    super::stanza::delete::SPEC,
    super::check::SPEC,
    super::stop::SPEC,
    super::start::SPEC,
    super::archive_push::SPEC,
    super::wal::SPEC,
    super::expire::SPEC,
    super::annotate::SPEC,
    super::verify::SPEC,
    super::repo_ls::SPEC,
    super::repo_get::SPEC,
    super::incident::SPEC,
    super::runbook::SPEC,
    super::doctor::SPEC,
    super::lab::SPEC,
    super::help::SPEC,
    super::version::SPEC,
    super::completions::SPEC,
    super::man::SPEC,
    super::worker::SPEC,
];

/// The command of this name.
pub(super) fn find(name: &str) -> Result<&'static CommandSpec> {
    COMMANDS.iter().find(|spec| spec.name == name).ok_or_else(|| {
        let shown: String = name.chars().take(80).collect();
        let report = Report::usage(format!("'{shown}' is not a command"));
        let known = COMMANDS.iter().filter(|spec| !spec.is_hidden());
        match closest(name, known.map(|spec| spec.name)) {
            Some(near) => report.hint(format!("did you mean 'pgmayday {near}'?")),
            None => report.hint("'pgmayday help' lists the commands"),
        }
    })
}

/// The exit code of failures, looked up before anything is parsed: an argument that is wrong must not make a
/// strict command fail with a code that means something else to its caller.
pub(super) fn failure_exit(args: &[OsString]) -> Option<u8> {
    let of =
        |arg: &OsString| COMMANDS.iter().find(|spec| arg == spec.name).and_then(|spec| spec.failure_exit);
    args.iter().skip(1).find_map(of)
}
