//! Starting the recovered cluster the way the old one was started, where no hook says how.
//!
//! Debian's clusters by `pg_ctlcluster`, the others by `pg_ctl` with the words the old server was started with.

use super::Around;
use crate::base::{Report, shell};
use crate::cluster::configuration::{DEBIAN_CLUSTERS, outside_file};
use crate::cluster::owner::{is_root, run_as};
use crate::cluster::process::{command, run_until};
use crate::model::op::Cancel;
use crate::recovery::give;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What a server leaves about how it was started.
const OPTS_FILE: &str = "postmaster.opts";
/// Debian's program.
const PG_CTLCLUSTER: &str = "/usr/bin/pg_ctlcluster";
/// A large cluster starts slowly only after a crash, and this one was stopped cleanly.
const LIMIT: Duration = Duration::from_secs(600);

/// Starts the server and waits until it accepts sessions; says how.
pub(super) fn as_before(around: &Around, cancel: &Cancel) -> Result<String, Report> {
    let (how, command) = match debian_cluster(&around.data_dir) {
        Some((version, name)) => by_pg_ctlcluster(around, &version, &name)?,
        None => by_pg_ctl(around)?,
    };
    let finished = run_until(command, LIMIT, cancel).map_err(Report::from)?;
    if finished.success() {
        return Ok(format!("by {how}"));
    }
    let log = log_file(around);
    Err(Report::failed(format!("{how} did not start the cluster: {}", finished.complaint()))
        .hint(format!("its log is {}; start it as it is always started, then resume", log.display())))
}

/// Version and name of a cluster whose configuration Debian keeps.
fn debian_cluster(data_dir: &Path) -> Option<(String, String)> {
    let file = outside_file(data_dir, Path::new(DEBIAN_CLUSTERS))?;
    let name = file.parent()?;
    let text = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let found = (text(name.parent()?)?, text(name)?);
    Path::new(PG_CTLCLUSTER).exists().then_some(found)
}

/// As root the service manager learns of it; the owner starts it directly.
fn by_pg_ctlcluster(around: &Around, version: &str, name: &str) -> Result<(String, Command), Report> {
    let program = Path::new(PG_CTLCLUSTER);
    let mut pg_ctlcluster = if is_root() { command(program) } else { run_as(&around.owner, program)? };
    pg_ctlcluster.args([version, name, "start"]);
    Ok((format!("pg_ctlcluster {version} {name} start"), pg_ctlcluster))
}

fn by_pg_ctl(around: &Around) -> Result<(String, Command), Report> {
    let log = log_file(around);
    // Made here, so that it belongs to the owner and is not readable by all.
    let made = std::fs::OpenOptions::new().append(true).create(true).open(&log);
    made.map_err(|error| Report::failed(format!("cannot open {}: {error}", log.display())))?;
    give(&log, &around.owner)?;
    let program = around.binaries.program("pg_ctl");
    let mut pg_ctl = run_as(&around.owner, &program)?;
    pg_ctl.arg("-D").arg(&around.data_dir).arg("-l").arg(&log).args(["-w", "-s", "-t"]);
    pg_ctl.arg(LIMIT.as_secs().to_string());
    let words = started_with(&around.quarantine, &around.data_dir);
    if !words.is_empty() {
        pg_ctl.arg("-o").arg(shell::line(words.iter().map(String::as_str)));
    }
    pg_ctl.arg("start");
    let how = if words.is_empty() { "pg_ctl" } else { "pg_ctl with the options it had" };
    Ok((how.to_owned(), pg_ctl))
}

/// The options the old server was started with, its data directory left out. A closed server's are no way to serve.
fn started_with(old: &Path, data_dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(old.join(OPTS_FILE)).unwrap_or_default();
    let words = shell::double_quoted_words(text.lines().next().unwrap_or_default());
    if words.iter().any(|word| word.contains("closed_hba.conf")) {
        return Vec::new();
    }
    let mut rest = words.into_iter().skip(1);
    let mut kept = Vec::new();
    while let Some(word) = rest.next() {
        match word.strip_prefix("-D") {
            Some("") => drop(rest.next()),
            Some(joined) if Path::new(joined) == data_dir => {}
            _ => kept.push(word),
        }
    }
    kept
}

fn log_file(around: &Around) -> PathBuf {
    around.work_dir.join("server.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_started_with_what_it_had_and_never_closed() {
        let dir = tempfile::tempdir().unwrap();
        let with = |text: &str| {
            std::fs::write(dir.path().join(OPTS_FILE), text).unwrap();
            started_with(dir.path(), Path::new("/data"))
        };
        assert_eq!(with("/bin/postgres \"-D\" \"/data\" \"-p\" \"5433\"\n"), ["-p", "5433"]);
        assert_eq!(with("/bin/postgres \"-D/data\" \"-c\" \"a=b c\"\n"), ["-c", "a=b c"]);
        assert_eq!(with("/bin/postgres \"-D\" \"/data\" \"-c\" \"hba_file=/x/closed_hba.conf\"\n"), [""; 0]);
        assert_eq!(started_with(Path::new("/no/such"), Path::new("/data")), [""; 0]);
    }
}
