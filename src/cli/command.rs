//! What a command is: its name and texts, which options it takes, and the function that runs it.

use super::Call;
use crate::base::Result;

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
