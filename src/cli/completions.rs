//! `pgmayday completions SHELL`.

use super::command::{CommandSpec, Run};
use super::output::Stdout;
use super::{Call, tree};
use crate::base::{Report, Result};
use clap::builder::EnumValueParser;
use clap::{Arg, Command};
use clap_complete::Shell;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "completions",
    about: "Print completions for a shell",
    long_about: "Prints a script that teaches a shell the commands and options, for example\n\
                 pgmayday completions bash > /etc/bash_completion.d/pgmayday",
    options_of: "help",
    reads_configuration: false,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn own(command: Command) -> Command {
    let shell = Arg::new("shell").value_name("SHELL").required(true).help("the shell");
    command.arg(shell.value_parser(EnumValueParser::<Shell>::new()))
}

fn run(call: &Call) -> Result<()> {
    let shell = call.args.get_one::<Shell>("shell").ok_or_else(|| Report::usage("no shell is given"))?;
    clap_complete::generate(*shell, &mut tree::documented(), "pgmayday", &mut Stdout::lock());
    Ok(())
}
