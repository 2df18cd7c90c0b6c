//! `archive-push` as PostgreSQL calls it: one process per segment, one after the other, in both ways.

use crate::Setup;
use crate::live::Own;
use crate::machine::{self, Cost, Outcome, Tool, at, typical};
use crate::repository::Repository;
use crate::restore::{order, ratio, restore_command};
use crate::segments;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Pushes every archived segment of the benchmark by both tools, in turns.
pub(crate) fn compare(setup: &Setup, repository: &Repository) -> Outcome<()> {
    let target = setup.machine.fresh("target")?;
    machine::run(&mut restore_command(setup, repository, &setup.tools[1], &target))?;
    let names = segments::archived(setup)?;
    for name in &names {
        let mut get = setup.machine.command(&setup.tools[1].program);
        get.arg("--config").arg(&repository.config).arg("--stanza=bench");
        get.arg(format!("--pg1-path={}", target.display())).args(["archive-get", name]);
        machine::run(get.arg(target.join("pg_wal").join(name)))?;
    }
    compare_way(setup, &target, &names, "")?;
    compare_way(setup, &target, &names, "archive-async=y\n")
}

/// One series of calls per tool and run.
#[expect(clippy::print_stdout, reason = "the result is printed")]
fn compare_way(setup: &Setup, data: &Path, names: &[String], more: &str) -> Outcome<()> {
    let way = if more.is_empty() { "each by its call" } else { "in the background" };
    println!(
        "\narchive-push of {} segments of 16 MiB, zst 3, aes, {way}, {} runs each",
        names.len(),
        setup.runs
    );
    let count = u32::try_from(names.len()).map_err(|error| error.to_string())?;
    let mut costs = [Vec::new(), Vec::new()];
    for run in 0..setup.runs {
        for index in order(run) {
            let tool = &setup.tools[index];
            make_ready(data, names)?;
            setup.machine.fresh("spool")?;
            let own = Own::fresh(setup, tool, data, more)?;
            machine::run(own.command(setup, tool).args(["--no-online", "stanza-create"]))?;
            costs[index].push(setup.machine.measured(&all(setup, tool, &own, data, names))?);
            let stored =
                segments::names_below(&setup.machine.path(&format!("own-{}/archive/bench", tool.name)))?;
            if stored != names {
                return Err(format!(
                    "{} acknowledged {} segments and stored {}",
                    tool.name,
                    names.len(),
                    stored.len()
                ));
            }
        }
    }
    let per_segment = |costs: &[Cost]| (typical(costs).wall / count).as_secs_f64() * 1e3;
    for (tool, costs) in setup.tools.iter().zip(&costs) {
        println!("  median {:10} {:6.1} ms per segment   {}", tool.name, per_segment(costs), typical(costs));
    }
    println!("  {} is {}", setup.tools[0].name, ratio(typical(&costs[1]).wall, typical(&costs[0]).wall));
    Ok(())
}

/// What the server's archiver does with segments that are ready.
fn all(setup: &Setup, tool: &Tool, own: &Own, data: &Path, names: &[String]) -> Command {
    let script = format!(
        "for s in {list}; do {program} --config={config} --stanza=bench archive-push {data}/pg_wal/$s || exit 1; \
         mv {data}/pg_wal/archive_status/$s.ready {data}/pg_wal/archive_status/$s.done; done",
        list = names.join(" "),
        program = tool.program.display(),
        config = own.config.display(),
        data = data.display(),
    );
    let mut all = setup.machine.command("sh");
    all.arg("-c").arg(script);
    all
}

/// Says of every segment that it is to be archived.
fn make_ready(data: &Path, names: &[String]) -> Outcome<()> {
    let status = data.join("pg_wal/archive_status");
    for name in names {
        let (ready, done) = (status.join(format!("{name}.ready")), status.join(format!("{name}.done")));
        if done.exists() {
            fs::rename(&done, &ready).map_err(at(&done))?;
        } else {
            fs::write(&ready, "").map_err(at(&ready))?;
        }
    }
    // Made by this user, removed and renamed by the server's.
    machine::run(machine::plain("chmod").arg("-R").arg("a+rwX").arg(&status)).map(drop)
}
