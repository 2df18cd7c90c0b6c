//! The lab's servers: making, starting and stopping them.

use super::LabError;
use super::layout::Lab;
use super::process::{self, Identity};
use super::programs;
use rustix::process::Signal;
use std::path::Path;
use std::time::Duration;

/// Starts a server and waits until it accepts connections.
pub fn start(lab: &Lab, data_dir: &Path, log: &str) -> Result<(), LabError> {
    let log = lab.logs().join(log);
    let args: [&std::ffi::OsStr; 9] = [
        "-D".as_ref(),
        data_dir.as_ref(),
        "-l".as_ref(),
        log.as_ref(),
        "-w".as_ref(),
        "-t".as_ref(),
        "60".as_ref(),
        "-s".as_ref(),
        "start".as_ref(),
    ];
    programs::run(lab.dir(), &lab.settings().pg_bin.join("pg_ctl"), &args).map(drop)
}

/// Kills a server the hard way, as a power cut would; false if none ran.
pub fn kill(lab: &Lab, data_dir: &Path) -> Result<bool, LabError> {
    end(lab, data_dir, Signal::KILL)
}

/// Ends a server at once, its children too; false if none ran.
pub fn stop_at_once(lab: &Lab, data_dir: &Path) -> Result<bool, LabError> {
    end(lab, data_dir, Signal::QUIT)
}

/// How long the processes of a stopped server may take to notice, on a machine that is busy with other work.
const CHILDREN_LIMIT: Duration = Duration::from_secs(60);

fn end(lab: &Lab, data_dir: &Path, signal: Signal) -> Result<bool, LabError> {
    lab.root().inside(data_dir)?;
    let Some(server) = process::postmaster(data_dir) else { return Ok(false) };
    let works_here = |process: &Identity| process.working_dir().is_some_and(|dir| dir == data_dir);
    let children: Vec<Identity> = process::belonging_to(data_dir).into_iter().filter(works_here).collect();
    server.signal(lab.dir(), signal)?;
    if !server.wait_end(Duration::from_secs(15)) {
        server.signal(lab.dir(), Signal::KILL)?;
    }
    // Children notice by themselves that the postmaster died, but not at once.
    for child in &children {
        if !child.wait_end(CHILDREN_LIMIT) {
            let what = format!("the end of process {}", child.pid);
            return Err(LabError::Timeout { what, seconds: CHILDREN_LIMIT.as_secs() });
        }
    }
    Ok(true)
}
