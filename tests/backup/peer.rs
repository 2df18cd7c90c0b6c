//! Real pgBackRest of the installed or of a newer version, and what both programs' restores come to.

use crate::yard::{Run, STANZA, Yard};
use pgmayday::cluster::binaries::Binaries;
use pgmayday::cluster::owner::run_as;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where `tests/setup-pgbackrest.sh` puts the newer one, unless `PGMAYDAY_TEST_PGBACKREST` names another place.
const NEWER: &str = "/var/tmp/pgmayday-tests/pgbackrest/pgbackrest";

/// A pgBackRest.
#[derive(Debug)]
pub(crate) struct Peer {
    program: PathBuf,
}

impl Peer {
    /// The installed one.
    pub(crate) fn installed() -> Self {
        Self { program: "/usr/bin/pgbackrest".into() }
    }

    /// One that stores and restores blocks: 2.46 or later.
    pub(crate) fn with_blocks() -> Option<Self> {
        let named = std::env::var_os("PGMAYDAY_TEST_PGBACKREST").map_or_else(|| NEWER.into(), PathBuf::from);
        [PathBuf::from("/usr/bin/pgbackrest"), named].into_iter().find(|program| stores_blocks(program)).map(|program| Self { program })
    }

    /// Runs it on the yard's stanza.
    pub(crate) fn run(&self, yard: &Yard, words: &[&str]) -> Run {
        let mut command = run_as(&yard.owner, &self.program).unwrap();
        command.arg(format!("--config={}", yard.config().display())).arg(format!("--stanza={STANZA}"));
        Run::of(command.arg(format!("--cmd={}", self.program.display())).args(words))
    }
}

fn stores_blocks(program: &Path) -> bool {
    let Ok(output) = Command::new(program).arg("version").output() else { return false };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.trim().rsplit(' ').next().and_then(|version| version.strip_prefix("2."));
    number.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok()).is_some_and(|minor| minor >= 46)
}

/// The `archive_command` of this program.
pub(crate) fn archive_command(yard: &Yard) -> String {
    format!("{} --config={} --stanza={STANZA} archive-push %p", yard.program().display(), yard.config().display())
}

/// `psql` on the yard's running cluster.
pub(crate) fn psql(yard: &Yard) -> Command {
    let mut psql = run_as(&yard.owner, Path::new("psql")).unwrap();
    psql.args(["-XAtq", "-U", "postgres", "-p", "5432", "-d", "postgres", "-h"]).arg(yard.path("run"));
    psql
}

/// Starts the restored cluster in `to` beside the others, waits until it has recovered, asks it, and stops it.
pub(crate) fn ask_copy(yard: &Yard, binaries: &Binaries, to: &str, sql: &str) -> String {
    let (dir, sockets, log) = (yard.text(to), yard.text("side"), yard.text(&format!("log/{to}.log")));
    if !Path::new(&sockets).exists() {
        std::fs::create_dir(&sockets).unwrap();
        yard.give(Path::new(&sockets));
    }
    let options = format!("-c port=5433 -c unix_socket_directories={sockets} -c archive_mode=off");
    let mut start = run_as(&yard.owner, &binaries.program("pg_ctl")).unwrap();
    start.args(["-w", "-t", "120", "-D", &dir, "-l", &log, "-o", &options, "start"]);
    let status = start.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{}", std::fs::read_to_string(&log).unwrap_or_default());
    let ask = |sql: &str| {
        let mut psql = run_as(&yard.owner, Path::new("psql")).unwrap();
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p", "5433", "-d", "postgres", "-h", &sockets, "-c", sql]);
        Run::of(&mut psql).exits(0, &[]).out.trim_end().to_owned()
    };
    while ask("select pg_is_in_recovery()") == "t" {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let answer = ask(sql);
    let mut stop = run_as(&yard.owner, &binaries.program("pg_ctl")).unwrap();
    Run::of(stop.args(["-w", "-m", "fast", "-D", &dir, "stop"])).exits(0, &[]);
    answer
}
