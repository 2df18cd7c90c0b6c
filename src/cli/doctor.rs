//! `pgmayday doctor`: what a recovery will need, checked now.

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use crate::base::{Report, Result};
use crate::config::EVERY_COMMAND;
use crate::model::effective::{ConfigView, Scope};
use clap::{Arg, ArgAction, Command};

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "doctor",
    about: "Show what the configuration means and where each value comes from",
    long_about: "With --config-origin: prints every option that has a value, for each stanza, and where the value \
                 comes from: command line, environment, file with line and section, or default. Secrets are shown \
                 as ***. Sections for single commands are listed apart.",
    options_of: EVERY_COMMAND,
    reads_configuration: true,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn own(command: Command) -> Command {
    command.arg(
        Arg::new("config-origin")
            .long("config-origin")
            .action(ArgAction::SetTrue)
            .help("print every option with its value and origin"),
    )
}

fn run(call: &Call) -> Result<()> {
    if !call.args.get_flag("config-origin") {
        return Err(Report::usage("doctor: nothing to look at is named")
            .hint("write pgmayday doctor --config-origin"));
    }
    let view = call.config.view(call.settings.stanza())?;
    match call.output {
        Output::Text => output::text(&text(&view)),
        Output::Json => output::json("config-origin", &view),
    }
}

fn text(view: &ConfigView) -> String {
    let block = |scope: &Scope| {
        let settings: Vec<String> =
            scope.options.iter().map(|row| format!("{}={}", row.option, row.value)).collect();
        let width = settings.iter().map(String::len).filter(|len| *len <= 60).max().unwrap_or(0);
        let rows = settings.iter().zip(&scope.options);
        let rows = rows.map(|(setting, row)| format!("  {setting:width$}  {}", row.origin));
        std::iter::once(scope.title()).chain(rows).collect::<Vec<_>>().join("\n")
    };
    view.scopes.iter().map(block).collect::<Vec<_>>().join("\n\n")
}
