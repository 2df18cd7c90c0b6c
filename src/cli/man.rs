//! `pgmayday man [COMMAND]`.

use super::command::{CommandSpec, Run};
use super::commands;
use super::output::Stdout;
use super::{Call, tree};
use crate::base::{Report, Result};
use clap::{Arg, Command};
use clap_mangen::Man;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "man",
    about: "Print a manual page",
    long_about: "Prints the manual page of the program or of one command, in roff: pgmayday man | man -l -",
    options_of: "help",
    reads_configuration: false,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn own(command: Command) -> Command {
    command.arg(Arg::new("command").value_name("COMMAND").help("the page of this command"))
}

fn run(call: &Call) -> Result<()> {
    let mut root = tree::documented();
    root.build();
    let page = match call.args.get_one::<String>("command") {
        None => root,
        Some(name) => {
            let name = commands::find(name)?.name;
            let command = root.find_subcommand(name).cloned();
            command.ok_or_else(|| Report::usage(format!("there is no page for '{name}'")))?
        }
    };
    let name = page.get_bin_name().unwrap_or("pgmayday").replace(' ', "-");
    let man = Man::new(page.name(name))
        .section("1")
        .manual("pgmayday")
        .source(concat!("pgmayday ", env!("CARGO_PKG_VERSION")));
    man.render(&mut Stdout::lock())
        .map_err(|error| Report::failed(format!("cannot write the manual page: {error}")))
}
