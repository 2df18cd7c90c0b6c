//! The table of commands: what each is called, which options it takes, and the function that runs it.

use super::Call;
use crate::base::{Report, Result};
use crate::config::closest;
use std::ffi::OsString;

/// Every command, in the order of the help. A new command is one line here and one file.
pub const COMMANDS: &[CommandSpec] = &[
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

/// One command of the program.
#[derive(Debug)]
pub struct CommandSpec {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line for the list of commands.
    pub about: &'static str,
    /// What it does, for its own help page.
    pub long_about: &'static str,
    /// pgBackRest's command whose options and configuration sections hold for this one;
    /// [`crate::config::EVERY_COMMAND`] where no single one does.
    pub options_of: &'static str,
    /// False for commands that must work whatever the configuration and the environment say.
    pub reads_configuration: bool,
    /// Adds the command's words, subcommands and own options.
    pub own: fn(clap::Command) -> clap::Command,
    /// What runs it.
    pub run: Run,
    /// The exit code of every failure, where the contract of the command is stricter than [`crate::base::Kind`]:
    /// PostgreSQL takes a small code of its `restore_command` for the end of the archive.
    pub failure_exit: Option<u8>,
}

/// The function behind a command.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// Success is exit code 0.
    Plain(fn(&Call) -> Result<()>),
    /// Success has exit codes of its own.
    Coded(fn(&Call) -> Result<u8>),
}

impl CommandSpec {
    /// True for commands that this program gives to itself.
    pub(super) fn is_hidden(&self) -> bool {
        self.name.starts_with("__")
    }
}

/// For commands without words and options of their own.
pub(super) fn nothing_own(command: clap::Command) -> clap::Command {
    command
}

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
