//! Starting a worker: this program again, for an operation that was checked, with its output in a file.
//!
//! The worker cuts itself loose from the terminal. Nobody waits for it but a thread that takes its exit status, so
//! that a long-lived console collects no dead processes.

use super::folder::{FILE_MODE, Folder};
use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Result};
use crate::config::options;
use crate::model::op::Spec;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Refuses a spec that cannot be carried out, or that would write a secret down.
pub(super) fn check(spec: &Spec) -> Result<()> {
    let wrong = |why: String| Err(Report::usage(format!("operation {} cannot be started: {why}", spec.id)));
    if spec.schema != Spec::SCHEMA {
        return wrong(format!("its form is '{}'", spec.schema));
    }
    if !spec.arguments.first().is_some_and(|command| !command.is_empty() && !command.starts_with('-')) {
        return wrong("its arguments do not begin with a command".to_owned());
    }
    if !spec.working_dir.is_absolute() {
        return wrong("its working folder is not absolute".to_owned());
    }
    for argument in &spec.arguments {
        let Some(option) = argument.strip_prefix("--") else { continue };
        let name = option.split('=').next().unwrap_or(option);
        if options::find(name, true).is_ok_and(|found| found.def.secret) {
            let report = Report::usage(format!("--{name} is a secret and may not stand in an operation"));
            return Err(report.hint("keep it in the configuration file or in the environment"));
        }
    }
    let plain = |name: &&String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match spec.environment.iter().find(|name| !plain(name)) {
        // Not shown: what is no name may be a value.
        Some(_) => wrong("what it says of the environment is not a list of names".to_owned()),
        None => Ok(()),
    }
}

/// Starts the worker of an operation.
#[expect(clippy::disallowed_methods, reason = "a worker is this program, started again")]
pub(super) fn worker(program: &Path, state: &StateDir, folder: &Folder, id: &OpId) -> io::Result<()> {
    let log = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(folder.log())?;
    let mut command = Command::new(program);
    command.arg0("pgmayday").arg("__worker").arg(id.as_str()).env("PGMAYDAY_STATE", state.root());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = command.spawn()?;
    // Without the thread the dead worker stays in the process table until this process ends; nothing else.
    let reaper = std::thread::Builder::new().name("reaper".to_owned());
    drop(reaper.spawn(move || child.wait()));
    Ok(())
}
