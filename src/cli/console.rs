//! `pgmayday` on a terminal, also `pgmayday console`: everything the console needs is looked up here, then it opens.
//!
//! Nothing is read before the first frame but the configuration's own files; nothing is started from here.

use super::command::{self, CommandSpec, Run};
use super::commands;
use super::output::{Output, to_stderr};
use super::recover::recover_of;
use super::{Call, call_of, operation, site};
use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Result, Timestamp};
use crate::config::{CliOption, EVERY_COMMAND};
use crate::console::runtime::{self, Left, Planner, Setup};
use crate::console::theme::Theme;
use crate::console::widgets::Zone;
use crate::model::op::Cancel;
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::recovery::recover;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "console",
    about: "Open the console: what is alive, what is protected, how to get it back",
    long_about: "Opens the console on this terminal; the same as no command at all. Where there is no terminal, or \
                 one that cannot move its cursor (TERM unset or dumb), the board is printed as text instead. \
                 NO_COLOR is obeyed; where the locale is not UTF-8 only ASCII is used.",
    options_of: EVERY_COMMAND,
    reads_configuration: true,
    own: command::nothing_own,
    run: Run::Coded(open),
    failure_exit: None,
};

/// What no command at all means: `console` where it can be opened, else `board`.
pub(super) fn or_board(output: Output) -> &'static str {
    if output == Output::Text && can_open() { SPEC.name } else { "board" }
}

fn can_open() -> bool {
    runtime::can_open(std::env::var_os("TERM").map(PathBuf::from).as_deref())
}

/// Opens the console; its exit code.
pub(super) fn open(call: &Call) -> Result<u8> {
    if !can_open() {
        let board = commands::find("board")?;
        return match board.run {
            Run::Plain(run) => run(call).map(|()| 0),
            Run::Coded(run) => run(call),
        };
    }
    let theme = theme();
    let stanza = match (call.settings.stanza(), call.config.stanzas()) {
        (Some(stanza), _) => Some(stanza.to_owned()),
        (None, stanzas) if stanzas.len() > 1 => match runtime::pick(theme, &stanzas)? {
            Some(stanza) => Some(stanza),
            None => return Ok(0),
        },
        (None, stanzas) => stanzas.into_iter().next(),
    };
    let left = runtime::run(setup(call, theme, stanza)?)?;
    Ok(after(&left))
}

fn setup(call: &Call, theme: Theme, stanza: Option<String>) -> Result<Setup> {
    let site = site::site(call)?;
    let working_dir = std::env::current_dir()
        .map_err(|error| Report::failed(format!("cannot tell which folder this is: {error}")))?;
    let state = site::state(call, &site);
    let planner: Planner = {
        let (given, state) = (call.given.clone(), state.clone());
        Arc::new(move |request, cancel| plan(&given, &state.clone()?, request, cancel))
    };
    Ok(Setup {
        config: call.config.clone(),
        stanza,
        state: state.ok(),
        site,
        program: PathBuf::from("/proc/self/exe"),
        working_dir,
        environment: operation::environment(call),
        given: call.given.clone(),
        actor: site::actor(),
        word: site::word,
        theme,
        zone: Zone::host(),
        planner,
    })
}

/// Colour unless `NO_COLOR` is set; more than ASCII where the locale says UTF-8 and the terminal has the signs.
fn theme() -> Theme {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let locale = locale.to_string_lossy().to_lowercase();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    let few_signs = set("TERM").is_some_and(|term| term == "linux");
    Theme { colour: set("NO_COLOR").is_none(), ascii: !utf8 || few_signs }
}

/// What is said once the terminal is given back; the exit code.
fn after(left: &Left) -> u8 {
    for trouble in &left.troubles {
        to_stderr(&format!("warning: {trouble}"));
    }
    if let Some(id) = &left.running {
        to_stderr(&format!("the recovery goes on; `pgmayday attach {id}` returns to it"));
    }
    left.signal.and_then(|signal| u8::try_from(128 + signal).ok()).unwrap_or(0)
}

/// The plan of the recovery that the command line with this call's options would do.
fn plan(
    given: &[CliOption],
    state: &StateDir,
    request: &RecoverRequest,
    cancel: &Cancel,
) -> Result<RecoverPlan> {
    let call = call_of(&recover::command::arguments(given, request)?, std::env::vars_os().collect())?;
    let id = OpId::new(recover::command::NAME, Timestamp::now())?;
    let (recover, _) = recover_of(&call, &id, state)?;
    recover.plan(cancel)
}
