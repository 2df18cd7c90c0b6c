//! Backups of a running cluster: full, and incremental after one row was changed on one page of a hundred.
//!
//! Each tool writes to a repository of its own and archives the WAL its backup waits for.

use crate::Setup;
use crate::live::{Live, Own, blocks};
use crate::machine::{Cost, Outcome, typical};
use crate::repository::Repository;
use crate::restore::{order, ratio};

/// Backs up in turns and prints medians and ratios.
#[expect(clippy::print_stdout, reason = "the result is printed")]
pub(crate) fn compare(setup: &Setup, repository: &Repository) -> Outcome<()> {
    let megabytes = repository.database_bytes / 1_000_000;
    let whole = if blocks(setup)? { "changed blocks" } else { "whole files" };
    println!("\nbackup of {megabytes} MB, zst 3, aes, bundled, {} runs each", setup.runs);
    let live = Live::start(setup, repository)?;
    let mut costs = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for run in 0..setup.runs {
        let mut own = Vec::new();
        for tool in &setup.tools {
            own.push(live.own_repository(tool)?);
        }
        for (kind, costs) in ["full", "incr"].into_iter().zip(&mut costs) {
            if kind == "incr" {
                live.change_one_percent(run)?;
            }
            for index in order(run) {
                let cost = once(setup, &live, &own[index], index, kind)?;
                println!("  run {}  {kind} {:10} {cost}", run + 1, setup.tools[index].name);
                costs[index].push(cost);
            }
        }
    }
    for (kind, costs) in [("full", &costs[0]), ("incr", &costs[1])] {
        for (tool, costs) in setup.tools.iter().zip(costs) {
            println!("  median {kind} {:10} {}", tool.name, typical(costs));
        }
        let what = if kind == "incr" { whole } else { "everything" };
        let [ours, theirs] = [typical(&costs[0]), typical(&costs[1])];
        println!(
            "  {} is {} at {kind} ({what}), and takes {:.2} times the processor time",
            setup.tools[0].name,
            ratio(theirs.wall, ours.wall),
            (ours.user_s + ours.system_s) / (theirs.user_s + theirs.system_s)
        );
    }
    live.stop()
}

fn once(setup: &Setup, live: &Live<'_>, own: &Own, index: usize, kind: &str) -> Outcome<Cost> {
    let tool = &setup.tools[index];
    live.archive_to(own, tool)?;
    let mut backup = own.command(setup, tool);
    backup.arg(format!("--type={kind}")).arg("backup");
    setup.machine.measured(&backup)
}
