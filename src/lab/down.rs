//! Taking a lab down: its own processes, then its own directory, nothing else.

use super::layout::{Lab, SETTINGS};
use super::marker::Root;
use super::workload::{self, Order};
use super::{LabError, postgres, process};
use rustix::process::Signal;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Stops what the lab started and removes its directory; safe to run again after it was interrupted.
pub fn down(lab: &Lab) -> Result<(), LabError> {
    stop_workload(lab)?;
    for data_dir in data_dirs(lab)? {
        postgres::stop_at_once(lab, &data_dir)?;
    }
    end_the_rest(lab)?;
    lab.root().clone().remove_everything()
}

/// Takes down what is in `dir`, also a lab whose making was killed before anything was started in it.
pub fn down_in(dir: &Path) -> Result<(), LabError> {
    let root = Root::open(dir)?;
    if root.path().join(SETTINGS).symlink_metadata().is_err() {
        return root.remove_everything();
    }
    down(&Lab::open(dir)?)
}

fn stop_workload(lab: &Lab) -> Result<(), LabError> {
    let Some(state) = workload::state(lab) else { return Ok(()) };
    workload::order(lab, Order::Stop)?;
    // A transaction that waits for a lock does not see the order.
    if !state.process.wait_end(Duration::from_secs(3)) {
        state.process.signal(lab.dir(), Signal::KILL)?;
        if !state.process.wait_end(Duration::from_secs(3)) {
            return Err(LabError::Timeout { what: "the end of the workload".to_owned(), seconds: 6 });
        }
    }
    Ok(())
}

/// Every data directory directly inside: the two servers', and what recoveries have put beside them.
fn data_dirs(lab: &Lab) -> Result<Vec<PathBuf>, LabError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(lab.dir()).map_err(LabError::io("list", lab.dir()))? {
        let entry = entry.map_err(LabError::io("list", lab.dir()))?;
        let real = entry.file_type().map_err(LabError::io("look at", &entry.path()))?.is_dir();
        if real && entry.path().join("postmaster.pid").exists() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Ends helpers that servers left behind, such as an archive command or a prefetcher: our own user's, of the programs
/// the lab runs, working in the lab or for it. Anybody else's shell in there is left alone.
fn end_the_rest(lab: &Lab) -> Result<(), LabError> {
    let own = rustix::process::geteuid().as_raw();
    let settings = lab.settings();
    let programs = [&settings.program, &settings.pg_bin.join("postgres")];
    let programs: Vec<PathBuf> = programs.into_iter().filter_map(|p| p.canonicalize().ok()).collect();
    for left in process::belonging_to(lab.dir()) {
        let same_user = std::fs::metadata(format!("/proc/{}", left.pid)).is_ok_and(|meta| meta.uid() == own);
        if same_user && left.executable().is_some_and(|executable| programs.contains(&executable)) {
            left.signal(lab.dir(), Signal::TERM)?;
            if !left.wait_end(Duration::from_secs(3)) {
                left.signal(lab.dir(), Signal::KILL)?;
            }
        }
    }
    Ok(())
}
