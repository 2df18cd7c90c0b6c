//! `archive-get` as PostgreSQL calls it: one process per segment, one after the other.

use crate::Setup;
use crate::machine::{self, Outcome, typical};
use crate::repository::Repository;
use crate::restore::{order, ratio, restore_command};
use std::fs;

/// Fetches every archived segment after the backup by both tools, in turns.
#[expect(clippy::print_stdout, reason = "the result is printed")]
pub(crate) fn compare(setup: &Setup, repository: &Repository) -> Outcome<()> {
    let machine = &setup.machine;
    let target = machine.fresh("target")?;
    // Both tools read the control file of the cluster they fetch for.
    machine::run(&mut restore_command(setup, repository, &setup.tools[1], &target))?;
    let segments = archived(setup)?;
    println!(
        "\narchive-get of {} segments of 16 MiB, one process each, {} runs each",
        segments.len(),
        setup.runs
    );
    let mut costs = [Vec::new(), Vec::new()];
    for run in 0..setup.runs {
        for index in order(run) {
            let (tool, costs) = (&setup.tools[index], &mut costs[index]);
            machine.fresh("spool")?;
            let script = format!(
                "for s in {list}; do \
                 {program} --config={config} --stanza=bench --pg1-path={data} archive-get $s {data}/pg_wal/RECOVERYXLOG \
                 || exit 1; done",
                list = segments.join(" "),
                program = tool.program.display(),
                config = repository.config.display(),
                data = target.display(),
            );
            let mut all = machine.command("sh");
            all.arg("-c").arg(script);
            costs.push(machine.measured(&all)?);
        }
    }
    let count = u32::try_from(segments.len()).map_err(|error| error.to_string())?;
    for (tool, costs) in setup.tools.iter().zip(&costs) {
        let each_ms = (typical(costs).wall / count).as_secs_f64() * 1e3;
        println!("  median {:10} {each_ms:6.1} ms per segment   {}", tool.name, typical(costs));
    }
    println!("  {} is {}", setup.tools[0].name, ratio(typical(&costs[1]).wall, typical(&costs[0]).wall));
    Ok(())
}

/// The names of all archived segments, in order.
fn archived(setup: &Setup) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![setup.machine.path("repo/archive/bench")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(machine::at(&folder))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if name.len() > 64 && name.as_bytes()[24] == b'-' {
                names.push(name[..24].to_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}
