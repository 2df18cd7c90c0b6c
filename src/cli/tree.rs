//! The clap side: the commands with their own options for reading, and with pgBackRest's options for help,
//! completions and manual pages.

use super::arguments::Split;
use super::command::CommandSpec;
use super::commands::COMMANDS;
use crate::base::{Report, Result};
use crate::config::EVERY_COMMAND;
use crate::config::options::{self, Group, Kind, OptionDef, Section};
use clap::{Arg, ArgAction, ArgMatches, Command};

/// Names the option that overrides guards.
pub(super) const ACCEPT: &str = "accept";

/// An option that is ours, not pgBackRest's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OwnOption {
    pub name: String,
    /// True if it takes the next argument as its value.
    pub takes_value: bool,
}

/// Every own option of every command.
pub(super) fn own_options() -> Vec<OwnOption> {
    fn collect(command: &Command, into: &mut Vec<OwnOption>) {
        let own = command.get_arguments().filter_map(|arg| {
            let takes_value = arg.get_action().takes_values() && !arg.is_require_equals_set();
            Some(OwnOption { name: arg.get_long()?.to_owned(), takes_value })
        });
        into.extend(own);
        command.get_subcommands().for_each(|command| collect(command, into));
    }
    let mut all = Vec::new();
    collect(&reading(), &mut all);
    all
}

/// What clap reads: commands, words and own options.
fn reading() -> Command {
    tree(|command, _| command)
}

/// What people read: also the options of pgBackRest that each command takes.
pub(super) fn documented() -> Command {
    tree(|command, spec| {
        let taken = options::all().iter().filter(|def| is_listed(def, spec.options_of));
        taken.fold(command, |command, def| command.arg(described(def, spec.options_of)))
    })
}

fn tree(dress: impl Fn(Command, &CommandSpec) -> Command) -> Command {
    let root = Command::new("pgmayday")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Disaster-recovery console for PostgreSQL: restores pgBackRest repositories, proves the target, times the recovery")
        .disable_help_subcommand(true)
        .arg(
            Arg::new(ACCEPT)
                .long(ACCEPT)
                .global(true)
                .value_name("GUARD")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .help("override these guards by name; each is recorded"),
        );
    COMMANDS.iter().fold(root, |root, spec| {
        let command = Command::new(spec.name).about(spec.about).long_about(spec.long_about);
        let command = command.hide(spec.is_hidden());
        root.subcommand(dress((spec.own)(command), spec))
    })
}

/// Reads a command's words and own options.
pub(super) fn read(spec: &CommandSpec, split: &Split) -> Result<ArgMatches> {
    let words = split.words.iter().map(String::as_str);
    let (plain, dashed): (Vec<_>, Vec<_>) = words.partition(|word| !word.starts_with('-'));
    let mut argv = vec!["pgmayday"];
    argv.extend(plain);
    argv.extend(split.own.iter().map(String::as_str));
    if !dashed.is_empty() {
        argv.push("--");
        argv.extend(dashed);
    }
    let mut matches = reading().try_get_matches_from(argv).map_err(|error| usage(spec, &error))?;
    matches
        .remove_subcommand()
        .map(|(_, matches)| matches)
        .ok_or_else(|| Report::usage("no command is given"))
}

/// The first paragraph of clap's message, in one line.
fn usage(spec: &CommandSpec, error: &clap::Error) -> Report {
    let text = error.to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let line = paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let said = line.strip_prefix("error: ").unwrap_or(&line);
    Report::usage(format!("{}: {said}", spec.name))
        .hint(format!("'pgmayday help {}' shows what it takes", spec.name))
}

/// True if a command's help lists the option; commands that take any option list only the general ones. Secrets are
/// no options of a command line; `help COMMAND OPTION` explains them.
fn is_listed(def: &OptionDef, options_of: &str) -> bool {
    let fits = if options_of == EVERY_COMMAND { def.commands.is_empty() } else { def.valid_for(options_of) };
    fits && !def.hidden && !def.secret
}

/// pgBackRest's option as an argument of the help.
fn described(def: &OptionDef, command: &str) -> Arg {
    let kind = def.kind_for(command);
    let mut help = def.help.to_owned();
    if let Kind::Choice(words) | Kind::FlagOr(words) = kind {
        help = format!("{help}: {}", words.join(", "));
    }
    if let Some(default) = def.default_for(command) {
        help = format!("{help} [default: {default}]");
    }
    let arg = Arg::new(def.name).long(def.indexed_name(1)).help(help).help_heading(heading(def));
    match kind {
        Kind::Flag => arg.action(ArgAction::SetTrue),
        _ if kind.repeats() => arg.action(ArgAction::Append).value_name(placeholder(kind)),
        _ => arg.value_name(placeholder(kind)),
    }
}

/// What stands for the value in help.
pub(super) fn placeholder(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag | Kind::FlagOr(_) => "y|n",
        Kind::Choice(_) => "WORD",
        Kind::Integer(..) => "N",
        Kind::Size(..) | Kind::SizeOf(_) => "SIZE",
        Kind::Time(..) => "TIME",
        Kind::Path => "PATH",
        Kind::Text | Kind::List => "VALUE",
        Kind::Pairs => "KEY=VALUE",
    }
}

fn heading(def: &OptionDef) -> &'static str {
    match (def.group, def.section) {
        (Some(Group::Pg), _) => "PostgreSQL options (pg1- to pg256-)",
        (Some(Group::Repo), _) => "Repository options (repo1- to repo256-)",
        (None, Section::CommandLine) => "Command options",
        (None, _) if def.name.starts_with("log-") => "Log options",
        (None, _) => "General options",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trees_are_sound() {
        reading().debug_assert();
        documented().debug_assert();
    }

    #[test]
    fn no_secret_is_an_option_of_a_command_line() {
        assert!(options::all().iter().any(|def| def.secret));
        for command in documented().get_subcommands() {
            let secret = |arg: &&Arg| options::all().iter().any(|def| def.secret && arg.get_id() == def.name);
            assert!(command.get_arguments().find(secret).is_none(), "{}", command.get_name());
        }
    }

    #[test]
    fn no_own_option_hides_one_of_pgbackrest() {
        for own in own_options() {
            assert!(options::by_name(&own.name).is_none(), "--{} is pgBackRest's", own.name);
        }
    }
}
