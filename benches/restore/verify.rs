//! `verify` of the whole repository. Where the manifest has the hash of what is stored, pgBackRest compares only that; the
//! same is asked of this program first. What it does by itself, decoding everything as a restore would, has no opponent.

use crate::Setup;
use crate::machine::{Cost, Outcome, Tool, typical};
use crate::repository::Repository;
use crate::restore::{order, ratio};

/// Verifies by both tools, in turns.
#[expect(clippy::print_stdout, reason = "the result is printed")]
pub(crate) fn compare(setup: &Setup, repository: &Repository) -> Outcome<()> {
    let megabytes = repository.database_bytes / 1_000_000;
    println!("\nverify of a backup of {megabytes} MB and its WAL, {} runs each", setup.runs);
    let once = |tool: &Tool, more: &[&str]| -> Outcome<Cost> {
        let mut verify = setup.machine.command(&tool.program);
        verify.arg("--config").arg(&repository.config).args(["--stanza=bench", "verify"]).args(more);
        verify.arg(format!("--process-max={}", setup.processes));
        setup.machine.measured(&verify)
    };
    let (mut costs, mut whole) = ([Vec::new(), Vec::new()], Vec::new());
    // Where pgBackRest stands in for this program it knows no depths.
    let deep = setup.tools[0].program != setup.tools[1].program;
    for run in 0..setup.runs {
        for index in order(run) {
            let depth: &[&str] = if index == 0 && deep { &["--depth=stored"] } else { &[] };
            costs[index].push(once(&setup.tools[index], depth)?);
        }
        if deep {
            whole.push(once(&setup.tools[0], &["--depth=full"])?);
        }
    }
    for (tool, costs) in setup.tools.iter().zip(&costs) {
        println!("  median {:10} {}", tool.name, typical(costs));
    }
    println!("  {} is {}", setup.tools[0].name, ratio(typical(&costs[1]).wall, typical(&costs[0]).wall));
    if deep {
        println!("  median {:10} {}  with everything decoded", setup.tools[0].name, typical(&whole));
    }
    Ok(())
}
