//! `pgmayday help [COMMAND [PART…|OPTION]]`, also reached by `--help` and by giving no command.

use super::command::{CommandSpec, Run};
use super::commands;
use super::{Call, output, tree};
use crate::base::{Report, Result};
use crate::config::options::{self, OptionDef, Section};
use crate::config::{EVERY_COMMAND, closest};
use clap::{Arg, Command};

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "help",
    about: "Explain the program, a command or an option of a command",
    long_about: "Explains the program, a command with all its options, or one option of a command.",
    options_of: "help",
    reads_configuration: false,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

const EXIT_CODES: &str = "\
Options of pgBackRest may stand before or after the command; PGBACKREST_* variables and pgbackrest.conf hold as \
with pgBackRest.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused by a guard, 4 damage found,
5 store or server out of reach, 6 cancelled, 7 target not reachable.";

fn own(command: Command) -> Command {
    let command = command.arg(Arg::new("command").value_name("COMMAND").help("explain this command"));
    let part = Arg::new("part").value_name("PART|OPTION").num_args(0..);
    command.arg(part.help("explain this part of the command, or this option of it"))
}

fn run(call: &Call) -> Result<()> {
    print(&call.positional)
}

/// Prints the help of the program, of a command, of a part of one (`incident role take`) or of an option.
pub(super) fn print(words: &[String]) -> Result<()> {
    let [name, parts @ ..] = words else { return output::text(&general()) };
    let spec = commands::find(name)?;
    match (of_parts(spec, parts), parts) {
        (Some(help), _) => output::text(&help),
        (None, [option, ..]) => output::text(&of_option(spec, option)?),
        (None, []) => Ok(()),
    }
}

fn general() -> String {
    let root = tree::documented().after_help(EXIT_CODES);
    let hint = "Name a command to do something; 'pgmayday help COMMAND' explains one.\n";
    format!("{}\n{hint}", root.clone().render_long_help())
}

/// The help of a command, or of a part of it; nothing if a word is no part. Words behind the last part are its arguments.
fn of_parts(spec: &CommandSpec, parts: &[String]) -> Option<String> {
    let mut root = tree::documented();
    root.build();
    let mut command = root.find_subcommand_mut(spec.name)?;
    for (depth, part) in parts.iter().enumerate() {
        if command.find_subcommand(part).is_none() {
            return (depth > 0).then(|| command.render_long_help().to_string());
        }
        command = command.find_subcommand_mut(part)?;
    }
    Some(command.render_long_help().to_string())
}

fn of_option(spec: &CommandSpec, name: &str) -> Result<String> {
    let name = name.trim_start_matches("--");
    let def = options::by_name(name).or_else(|| options::find(name, true).ok().map(|found| found.def));
    let def = def.filter(|def| def.valid_for(spec.options_of)).ok_or_else(|| unknown(spec, name))?;
    Ok(explained(def, spec))
}

fn unknown(spec: &CommandSpec, name: &str) -> Report {
    let report = Report::usage(format!("the command {} has no option '{name}'", spec.name));
    let known = options::all().iter().filter(|def| def.valid_for(spec.options_of) && !def.hidden);
    match closest(name, known.map(|def| def.name)) {
        Some(near) => report.hint(format!("did you mean '{near}'?")),
        None => report.hint(format!("'pgmayday help {}' lists its options", spec.name)),
    }
}

fn explained(def: &OptionDef, spec: &CommandSpec) -> String {
    let command = if spec.options_of == EVERY_COMMAND { "" } else { spec.options_of };
    let kind = def.kind_for(command);
    let name = def.indexed_name(1);
    let mut lines = vec![format!("{}\n", def.help)];
    if def.secret {
        lines.push(format!("in a file:    {name}=SECRET"));
    } else {
        let command_line = if kind.is_flag() {
            format!("--{name}{}", if def.negatable { format!(" or --no-{name}") } else { String::new() })
        } else {
            format!("--{name}={}", tree::placeholder(kind))
        };
        lines.push(format!("command line: {command_line}"));
    }
    lines.push(format!("environment:  {}", def.variable_name(1)));
    let place = match def.section {
        Section::CommandLine => "not in files",
        Section::Global => "in any section",
        Section::Stanza => "in stanza sections",
    };
    lines.push(format!("files:        {place}"));
    lines.push(format!("allowed:      {}", kind.allowed()));
    lines.push(format!("default:      {}", def.default_for(command).unwrap_or("none")));
    for need in def.needs.iter().filter(|need| need.commands.is_empty() || need.commands.contains(&command)) {
        let values =
            if need.values.is_empty() { String::new() } else { format!("={}", need.values.join(" or ")) };
        lines.push(format!("counts with:  {}{values}", need.option));
    }
    if !def.old.is_empty() {
        lines.push(format!("former names: {}", def.old.join(", ").replace('?', "N")));
    }
    lines.join("\n")
}
