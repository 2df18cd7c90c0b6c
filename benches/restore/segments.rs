//! `archive-get` as PostgreSQL calls it: one process per segment, one after the other.

use crate::Setup;
use crate::machine::{self, Cost, Outcome, typical};
use crate::repository::Repository;
use crate::restore::{order, ratio, restore_command};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Fetches every archived segment after the backup by both tools, in turns.
pub(crate) fn compare(setup: &Setup, repository: &Repository) -> Outcome<()> {
    let target = setup.machine.fresh("target")?;
    // Both tools read the control file of the cluster they fetch for.
    machine::run(&mut restore_command(setup, repository, &setup.tools[1], &target))?;
    let segments = archived(setup)?;
    for pause in [Duration::ZERO, Duration::from_millis(50)] {
        compare_at(setup, repository, &segments, pause)?;
    }
    Ok(())
}

/// One series of calls per tool and run, with a pause after each, as replaying a segment takes; pauses are not counted.
#[expect(clippy::print_stdout, reason = "the result is printed")]
fn compare_at(setup: &Setup, repository: &Repository, segments: &[String], pause: Duration) -> Outcome<()> {
    println!(
        "\narchive-get of {} segments of 16 MiB, one process each, {} ms between them, {} runs each",
        segments.len(),
        pause.as_millis(),
        setup.runs
    );
    let count = u32::try_from(segments.len()).map_err(|error| error.to_string())?;
    let mut costs = [Vec::new(), Vec::new()];
    for run in 0..setup.runs {
        for index in order(run) {
            let (tool, costs) = (&setup.tools[index], &mut costs[index]);
            setup.machine.fresh("spool")?;
            let script = format!(
                "for s in {list}; do \
                 {program} --config={config} --stanza=bench --pg1-path={data} archive-get $s {data}/pg_wal/RECOVERYXLOG \
                 || exit 1; sleep {pause}; done",
                list = segments.join(" "),
                program = tool.program.display(),
                config = repository.config.display(),
                data = setup.machine.path("target").display(),
                pause = pause.as_secs_f64(),
            );
            let mut all = setup.machine.command("sh");
            all.arg("-c").arg(script);
            let cost = setup.machine.measured(&all)?;
            costs.push(Cost { wall: cost.wall.saturating_sub(pause * count), ..cost });
        }
    }
    for (tool, costs) in setup.tools.iter().zip(&costs) {
        let each_ms = (typical(costs).wall / count).as_secs_f64() * 1e3;
        println!("  median {:10} {each_ms:6.1} ms per segment   {}", tool.name, typical(costs));
    }
    println!("  {} is {}", setup.tools[0].name, ratio(typical(&costs[1]).wall, typical(&costs[0]).wall));
    Ok(())
}

/// The names of all archived segments, in order.
pub(crate) fn archived(setup: &Setup) -> Outcome<Vec<String>> {
    names_below(&setup.machine.path("repo/archive/bench"))
}

/// The names of all segments stored below a folder, in order.
pub(crate) fn names_below(archive: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![archive.to_owned()];
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
