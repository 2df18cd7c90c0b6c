//! `pgmayday version`.

use super::Call;
use super::command::{CommandSpec, Run, nothing_own};
use super::output::{self, Output};
use crate::base::Result;
use serde::Serialize;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "version",
    about: "Print the version",
    long_about: "Prints the name and version of this program.",
    options_of: "version",
    reads_configuration: false,
    own: nothing_own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn run(call: &Call) -> Result<()> {
    if call.settings.text("output") == Some("num") {
        return output::text(env!("CARGO_PKG_VERSION"));
    }
    print(call.output)
}

/// Prints name and version.
pub(super) fn print(form: Output) -> Result<()> {
    #[derive(Serialize)]
    struct Version {
        version: &'static str,
    }
    match form {
        Output::Text => output::text(concat!("pgmayday ", env!("CARGO_PKG_VERSION"))),
        Output::Json => output::json("version", &Version { version: env!("CARGO_PKG_VERSION") }),
    }
}
