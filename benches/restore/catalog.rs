//! `info` on a catalog nobody should have: 10,000 backups and 1,000,000 archived segments.
//!
//! Its repository is a synthetic one, made once.

use crate::Setup;
use crate::machine::{self, Outcome, at, plain, typical};
use crate::restore::{order, ratio};
use crate::synthetic::{BACKUPS, SEGMENTS, write_archive, write_backups};
use std::fs;
use std::path::PathBuf;

/// Lists the catalog as JSON by both tools, in turns.
#[expect(clippy::print_stdout, reason = "the result is printed")]
pub(crate) fn compare(setup: &Setup) -> Outcome<()> {
    let config = ready(setup)?;
    println!("\ninfo of {BACKUPS} backups and {SEGMENTS} segments, {} runs each", setup.runs);
    let mut costs = [Vec::new(), Vec::new()];
    for run in 0..setup.runs {
        for index in order(run) {
            let (tool, costs) = (&setup.tools[index], &mut costs[index]);
            let mut info = setup.machine.command(&tool.program);
            info.arg("--config").arg(&config).args(["info", "--output=json"]);
            costs.push(setup.machine.measured(&info)?);
            let listed = machine::run(&mut info)?.matches("\"backrest\":").count() as u64;
            if listed != BACKUPS {
                return Err(format!("{} listed {listed} backups", tool.name));
            }
        }
    }
    for (tool, costs) in setup.tools.iter().zip(&costs) {
        println!("  median {:10} {}", tool.name, typical(costs));
    }
    println!("  {} is {}", setup.tools[0].name, ratio(typical(&costs[1]).wall, typical(&costs[0]).wall));
    Ok(())
}

/// The synthetic repository's configuration; makes the repository if it is not there.
pub(crate) fn ready(setup: &Setup) -> Outcome<PathBuf> {
    let config = setup.machine.path("catalog.conf");
    let stamp = setup.machine.path("catalog.stamp");
    if stamp.exists() {
        return Ok(config);
    }
    let repo = setup.machine.fresh("catalog")?;
    let text = format!(
        "[global]\nrepo1-path={}\nlog-level-file=off\nlock-path={}/lock\n\n[bench]\npg1-path=/nowhere\n",
        repo.display(),
        setup.machine.folder.display()
    );
    fs::write(&config, text).map_err(at(&config))?;
    write_backups(&repo.join("backup/bench"))?;
    write_archive(&repo.join("archive/bench"))?;
    machine::run(plain("chmod").args(["-R", "a+rX"]).arg(&repo))?;
    fs::write(&stamp, "").map_err(at(&stamp))?;
    Ok(config)
}
