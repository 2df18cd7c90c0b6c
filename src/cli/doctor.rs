//! `pgmayday doctor`: what a recovery will need, checked now.

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use crate::base::{Report, Result};
use crate::config::{Config, EVERY_COMMAND, Effective};
use clap::{Arg, ArgAction, Command};
use serde::Serialize;

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
    let document = document(call)?;
    match call.output {
        Output::Text => output::text(&document.to_text()),
        Output::Json => output::json("config-origin", &document),
    }
}

#[derive(Serialize)]
struct Document {
    scopes: Vec<Scope>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Scope {
    /// The stanza, if the options are those of one.
    stanza: Option<String>,
    /// The section for a single command, if the options are only what it says.
    section: Option<String>,
    options: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    option: String,
    value: String,
    origin: String,
}

fn document(call: &Call) -> Result<Document> {
    let stanzas = match call.settings.stanza() {
        Some(stanza) => vec![stanza.to_owned()],
        None => call.config.stanzas(),
    };
    let mut scopes = Vec::new();
    if stanzas.is_empty() {
        scopes.push(Scope { stanza: None, section: None, options: rows(call.settings.effective()) });
    }
    for stanza in &stanzas {
        let settings = call.config.settings(EVERY_COMMAND, Some(stanza))?;
        let options = rows(settings.effective());
        scopes.push(Scope { stanza: Some(stanza.clone()), section: None, options });
    }
    let wanted = |section: &&str| {
        section.split_once(':').is_some_and(|(name, _)| name == "global" || stanzas.iter().any(|s| s == name))
    };
    scopes.extend(
        call.config.command_sections().filter(wanted).map(|section| of_section(&call.config, section)),
    );
    Ok(Document { scopes, warnings: call.config.warnings().to_vec() })
}

fn of_section(config: &Config, section: &str) -> Scope {
    Scope { stanza: None, section: Some(section.to_owned()), options: rows(config.section(section)) }
}

fn rows(effective: Vec<Effective>) -> Vec<Row> {
    let with_value = effective.into_iter().filter_map(|Effective { option, value, origin }| {
        Some(Row { option, value: value?, origin: origin.to_string() })
    });
    with_value.collect()
}

impl Document {
    fn to_text(&self) -> String {
        let mut blocks = Vec::new();
        for Scope { stanza, section, options } in &self.scopes {
            let mut lines = vec![match (stanza, section) {
                (Some(stanza), _) => format!("stanza {stanza}"),
                (None, Some(section)) => format!("only for one command: [{section}]"),
                (None, None) => "no stanza".to_owned(),
            }];
            let settings: Vec<String> =
                options.iter().map(|row| format!("{}={}", row.option, row.value)).collect();
            let width = settings.iter().map(String::len).filter(|len| *len <= 60).max().unwrap_or(0);
            let rows = settings.iter().zip(options);
            lines.extend(rows.map(|(setting, row)| format!("  {setting:width$}  {}", row.origin)));
            blocks.push(lines.join("\n"));
        }
        blocks.join("\n\n")
    }
}
