//! `make bench`: this program against the installed pgBackRest, on one real repository, in turns.
//!
//! Numbers are medians of alternating runs on the same machine, filesystem and process count; ratios are what counts.
//! Everything made is kept below one folder and reused, so only the first run is slow. Names of parts as arguments
//! select them: `cargo bench --bench restore -- catalog`. The environment sets the size: see [`Setup::from_env`].
//! Measures programs, never the network; touches nothing outside its folder.

#![expect(clippy::print_stdout, reason = "the result is printed")]

mod backup;
mod catalog;
mod console;
mod floor;
mod hung;
mod live;
mod machine;
mod push;
mod repository;
mod restore;
mod segments;
mod synthetic;
mod verify;

use machine::{Machine, Outcome, Tool};
use repository::Repository;
use std::process::ExitCode;

/// What to measure with.
pub(crate) struct Setup {
    /// The folder and the user.
    pub(crate) machine: Machine,
    /// Least size of the database, in units of 10^9 bytes.
    pub(crate) gigabytes: u64,
    /// Runs per tool.
    pub(crate) runs: usize,
    /// `process-max` of both tools.
    pub(crate) processes: usize,
    /// Ours, then pgBackRest.
    pub(crate) tools: [Tool; 2],
}

impl Setup {
    /// Reads `PGMAYDAY_BENCH_GB` (3), `_RUNS` (5), `_PROCESSES` (2), `_DIR` (below `target`), `_THEIRS` (the
    /// installed pgBackRest; one that stores blocks lets both store them) and `_OURS`, a path that stands in for the
    /// program just built (pgBackRest itself, to see how much two equal programs differ).
    fn from_env() -> Outcome<Self> {
        let number = |name: &str, default: usize| match machine::setting(name) {
            Some(text) => text.parse().map_err(|_| format!("{name}={text} is not a number")),
            None => Ok(default),
        };
        let machine = Machine::new()?;
        let built = machine.install(env!("CARGO_BIN_EXE_pgmayday").as_ref())?;
        let theirs =
            machine::setting("PGMAYDAY_BENCH_THEIRS").unwrap_or_else(|| "/usr/bin/pgbackrest".to_owned());
        let ours = machine::setting("PGMAYDAY_BENCH_OURS").map_or(built, Into::into);
        Ok(Self {
            gigabytes: number("PGMAYDAY_BENCH_GB", 3)? as u64,
            runs: number("PGMAYDAY_BENCH_RUNS", 5)?,
            processes: number("PGMAYDAY_BENCH_PROCESSES", 2)?,
            tools: [
                Tool { name: "pgmayday", program: ours },
                Tool { name: "pgbackrest", program: theirs.into() },
            ],
            machine,
        })
    }
}

/// A part that works on the repository.
type Comparison = fn(&Setup, &Repository) -> Outcome<()>;

fn run() -> Outcome<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|name| name == part);
    let setup = Setup::from_env()?;
    println!("folder {}, {} processes", setup.machine.folder.display(), setup.processes);
    let on_repository: [(&str, Comparison); 6] = [
        ("restore", restore::compare),
        ("archive-get", segments::compare),
        ("backup", backup::compare),
        ("archive-push", push::compare),
        ("verify", verify::compare),
        ("console", console::measure),
    ];
    if wanted("hung") {
        console::while_nothing_answers(&setup)?;
    }
    if on_repository.iter().any(|(part, _)| wanted(part)) {
        let repository = repository::ready(&setup)?;
        for (_, compare) in on_repository.iter().filter(|(part, _)| wanted(part)) {
            compare(&setup, &repository)?;
        }
    }
    if wanted("catalog") {
        catalog::compare(&setup)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}
