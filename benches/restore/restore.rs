//! Restore: the copy alone, and until an application's check answered on the recovered server.

use crate::Setup;
use crate::floor;
use crate::machine::{Cost, Outcome, Tool, median, typical};
use crate::repository::{CHECK, PASSPHRASE, Repository, Server};
use std::path::Path;
use std::time::{Duration, Instant};

/// One tool's runs.
#[derive(Default)]
struct Series {
    copies: Vec<Cost>,
    totals: Vec<Duration>,
}

/// Restores in turns and prints medians and ratios.
#[expect(clippy::print_stdout, reason = "the result is printed")]
pub(crate) fn compare(setup: &Setup, repository: &Repository) -> Outcome<()> {
    let gigabytes = repository.database_bytes / 1_000_000;
    println!("\nrestore of {gigabytes} MB, latest, into an empty directory, {} runs each", setup.runs);
    let mut series = [Series::default(), Series::default()];
    for run in 0..setup.runs {
        for index in order(run) {
            let (tool, series) = (&setup.tools[index], &mut series[index]);
            let (copy, total) = once(setup, repository, tool)?;
            println!(
                "  run {}  {:10} {copy}  {:6.2} s to the check",
                run + 1,
                tool.name,
                total.as_secs_f64()
            );
            series.copies.push(copy);
            series.totals.push(total);
        }
    }
    for (tool, series) in setup.tools.iter().zip(&series) {
        println!(
            "  median {:10} {}  {:6.2} s to the check",
            tool.name,
            typical(&series.copies),
            median(&series.totals).as_secs_f64()
        );
    }
    let floors: Vec<Duration> =
        (0..setup.runs).map(|_| floor::measure(setup, PASSPHRASE)).collect::<Outcome<_>>()?;
    let floor = median(&floors);
    println!("  floor: decrypt, decompress and hash to nowhere in {:.2} s", floor.as_secs_f64());
    let [ours, theirs] = &series;
    let copies = |series: &Series| typical(&series.copies).wall;
    let cpu = |series: &Series| {
        median(&series.copies.iter().map(|cost| cost.user_s + cost.system_s).collect::<Vec<_>>())
    };
    println!(
        "  {} is {} at the copy, {} to the passed check, and takes {:.2} times the processor time",
        setup.tools[0].name,
        ratio(copies(theirs), copies(ours)),
        ratio(median(&theirs.totals), median(&ours.totals)),
        cpu(ours) / cpu(theirs)
    );
    for (tool, series) in setup.tools.iter().zip(&series) {
        println!("  {:10} takes {:.2} floors", tool.name, copies(series).as_secs_f64() / floor.as_secs_f64());
    }
    Ok(())
}

/// Who goes first changes from run to run, because the second finds another machine (caches, freed blocks) than the first.
pub(crate) fn order(run: usize) -> [usize; 2] {
    [run % 2, 1 - run % 2]
}

/// How many times faster the second is.
pub(crate) fn ratio(slow: Duration, fast: Duration) -> String {
    format!("{:.2}x as fast", slow.as_secs_f64() / fast.as_secs_f64())
}

/// The arguments both tools understand.
pub(crate) fn restore_command(
    setup: &Setup,
    repository: &Repository,
    tool: &Tool,
    target: &Path,
) -> std::process::Command {
    let mut command = setup.machine.command(&tool.program);
    command.arg("--config").arg(&repository.config).args(["--stanza=bench", "restore"]);
    command.arg(format!("--pg1-path={}", target.display()));
    command.arg(format!("--process-max={}", setup.processes));
    command
}

/// One restore, then the server until its check answers rightly: the cost of the copy and the whole time.
fn once(setup: &Setup, repository: &Repository, tool: &Tool) -> Outcome<(Cost, Duration)> {
    let target = setup.machine.fresh("target")?;
    let copy = setup.machine.measured(&restore_command(setup, repository, tool, &target))?;
    let began = Instant::now();
    let server = Server::started(setup, &target, "-c archive_mode=off")?;
    let answer = server.sql(CHECK)?;
    let total = copy.wall + began.elapsed();
    server.stop("immediate")?;
    if answer != repository.expected {
        return Err(format!("{}: the check answered {answer}, not {}", tool.name, repository.expected));
    }
    Ok((copy, total))
}
