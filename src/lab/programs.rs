//! The programs the lab runs: where they are, and running them with nothing inherited but the search path.
//!
//! An inherited variable of PostgreSQL or of our configuration would send a command to another cluster or repository.

use super::LabError;
use super::layout::Lab;
use crate::base::PgVersion;
use crate::cluster::binaries::{Binaries, Search};
use crate::cluster::owner::{Users, owner_of, run_as};
use crate::cluster::process::run_limited;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The longest any one program of the lab may take.
const LIMIT: Duration = Duration::from_secs(120);
/// PostgreSQL's major versions that this program can run.
const MAJORS: std::ops::RangeInclusive<u16> = 13..=18;

/// A command with an empty environment, run as the owner of the lab in `dir`.
pub fn clean(dir: &Path, program: &Path) -> Result<Command, LabError> {
    let mut command = run_as(&owner_of(dir, &Users::new())?, program)?;
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    Ok(command)
}

/// Runs a program for the lab in `dir` to its end; its standard output if it succeeded.
pub fn run<S: AsRef<OsStr>>(dir: &Path, program: &Path, args: &[S]) -> Result<String, LabError> {
    let mut command = clean(dir, program)?;
    command.args(args);
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |status: String, output: String| LabError::Program { program: name.clone(), status, output };
    let finished = run_limited(command, LIMIT).map_err(|e| failed("not run".to_owned(), e.to_string()))?;
    if finished.success() {
        return Ok(finished.stdout);
    }
    let said = format!("{}{}", finished.stdout, finished.stderr);
    let from = said.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
    let status = finished.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
    Err(failed(status, said[from..].trim().to_owned()))
}

/// The newest PostgreSQL installed that this program can run.
pub fn find_postgres(search: &Search) -> Result<Binaries, LabError> {
    let mut missing = None;
    for major in MAJORS.rev() {
        match search.find(PgVersion::major(major)) {
            Ok(found) => return Ok(found),
            Err(error) => missing = Some(error),
        }
    }
    Err(missing.map_or_else(
        || LabError::Missing { program: "postgres".to_owned(), looked: "nowhere".to_owned() },
        LabError::from,
    ))
}

/// Runs our program with the lab's configuration; what it printed.
pub fn ours(lab: &Lab, words: &[&str]) -> Result<String, LabError> {
    let call = lab.call().words();
    let all: Vec<&str> = call.iter().skip(1).map(String::as_str).chain(words.iter().copied()).collect();
    run(lab.dir(), &lab.settings().program, &all)
}
