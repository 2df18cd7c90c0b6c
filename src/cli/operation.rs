//! A command of this program written down as an operation, and started.
//!
//! What is written is the command line and names of variables; values of the environment never are.

use super::{Call, follow, site};
use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Result, Timestamp};
use crate::model::op::{Life, Spec};
use crate::recovery::supervisor::Supervisor;
use serde::Serialize;
use std::time::Duration;

/// The worker is this program, whatever has become of its file meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// How often a new worker is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// What is printed of an operation that was started.
#[derive(Serialize)]
pub(super) struct Started<'a> {
    /// Its name.
    pub(super) operation: &'a OpId,
}

/// The operations of the state directory this call leads to.
pub(super) fn supervisor(call: &Call) -> Result<(Supervisor, StateDir)> {
    let state = site::state(call, &site::site(call)?)?;
    Ok((Supervisor::new(state.clone(), PROGRAM), state))
}

/// This call as an operation; the own options named in `without` are left out.
pub(super) fn spec(call: &Call, summary: String, without: &[&str]) -> Result<Spec> {
    let stanza = call.settings.stanza().ok_or_else(|| {
        Report::usage(format!("{} needs --stanza", call.command))
            .hint("the stanza is the cluster's name in the configuration")
    })?;
    let working_dir = std::env::current_dir()
        .map_err(|error| Report::failed(format!("cannot tell which folder this is: {error}")))?;
    Ok(Spec {
        schema: Spec::SCHEMA.to_owned(),
        id: OpId::new(call.command, Timestamp::now())?,
        stanza: stanza.to_owned(),
        summary,
        arguments: arguments(call, without),
        working_dir,
        environment: environment(call),
        by: site::actor(),
        plan: None,
        incident: None,
        asks: false,
        forecast: None,
    })
}

/// The call's command line: its name, pgBackRest's options, its own, its words.
fn arguments(call: &Call, without: &[&str]) -> Vec<String> {
    let given = call.given.iter().map(|option| match &option.value {
        Some(value) => format!("--{}={value}", option.name),
        None => format!("--{}", option.name),
    });
    let name = |own: &String| own.trim_start_matches("--").split('=').next().unwrap_or("").to_owned();
    let own = call.own.iter().filter(|own| !without.contains(&name(own).as_str())).cloned();
    let mut all: Vec<String> = std::iter::once(call.command.to_owned()).chain(given).chain(own).collect();
    if !call.positional.is_empty() {
        all.push("--".to_owned());
        all.extend(call.positional.iter().cloned());
    }
    all
}

/// The variables the configuration may have come from.
pub(super) fn environment(call: &Call) -> Vec<String> {
    let ours = |name: &String| name.starts_with("PGBACKREST_") || name == "PGMAYDAY_CONFIG";
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(ours);
    let expanded = call.settings.repos().iter().filter(|repo| repo.cipher_pass_expanded.is_some());
    let mut all: Vec<String> =
        set.chain(expanded.filter_map(|repo| repo.cipher_pass_variable.clone())).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Starts an operation and waits until its worker has taken it up.
pub(super) fn start(call: &Call, spec: &Spec) -> Result<Supervisor> {
    let site = site::site(call)?;
    may_start(&site)?;
    let supervisor = Supervisor::new(site::state(call, &site)?, PROGRAM);
    supervisor.start(spec)?;
    taken_up(&supervisor, &spec.id)?;
    Ok(supervisor)
}

/// Refuses where `pgmayday.toml` says that nothing may be started.
pub(super) fn may_start(site: &crate::config::site::Site) -> Result<()> {
    let Some(path) = site.path.as_ref().filter(|_| site.read_only) else { return Ok(()) };
    Err(Report::new(crate::base::Kind::Refused(None), "nothing may be started here")
        .hint(format!("{} says read-only = true", path.display())))
}

/// Waits until a worker that was asked for has its lock, so that it lives whatever becomes of this terminal.
pub(super) fn taken_up(supervisor: &Supervisor, id: &OpId) -> Result<()> {
    let mut follower = supervisor.follow(id)?;
    loop {
        let snapshot = follower.poll()?;
        match snapshot.life {
            Life::Starting => std::thread::sleep(LOOK),
            Life::Lost => return Err(follow::lost(supervisor, &snapshot)),
            Life::Running { .. } | Life::Ended | Life::Unknown { .. } => return Ok(()),
        }
    }
}
