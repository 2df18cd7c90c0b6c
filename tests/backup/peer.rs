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
        [PathBuf::from("/usr/bin/pgbackrest"), named]
            .into_iter()
            .find(|program| stores_blocks(program))
            .map(|program| Self { program })
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
    number
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok())
        .is_some_and(|minor| minor >= 46)
}

/// The `archive_command` of this program.
pub(crate) fn archive_command(yard: &Yard) -> String {
    format!(
        "{} --config={} --stanza={STANZA} archive-push %p",
        yard.program().display(),
        yard.config().display()
    )
}

/// `psql` on the yard's running cluster.
pub(crate) fn psql(yard: &Yard) -> Command {
    let mut psql = run_as(&yard.owner, Path::new("psql")).unwrap();
    psql.args(["-XAtq", "-U", "postgres", "-p", "5432", "-d", "postgres", "-h"]).arg(yard.path("run"));
    psql
}

/// Restores with one of the programs into a folder of its own; `None` is this program.
#[track_caller]
pub(crate) fn restore(yard: &Yard, peer: Option<&Peer>, to: &str, words: &[&str]) {
    let target = format!("--pg1-path={}", yard.text(to));
    let words: Vec<&str> = ["restore", &target].into_iter().chain(words.iter().copied()).collect();
    match peer {
        Some(peer) => drop(peer.run(yard, &words).exits(0, &[])),
        None => drop(yard.pgmayday(&words).exits(0, &[])),
    }
}

/// The end of the newest backup, with all of its WAL and no more.
pub(crate) const TO_ITS_END: [&str; 2] = ["--type=immediate", "--target-action=promote"];

/// Restores the newest backup to its end, starts it and compares what `sql` comes to.
#[track_caller]
pub(crate) fn restores(
    yard: &Yard,
    binaries: &Binaries,
    peer: Option<&Peer>,
    to: &str,
    sql: &str,
    expected: &str,
) {
    restore(yard, peer, to, &TO_ITS_END);
    assert_eq!(ask_copy(yard, binaries, to, sql), expected, "{to}");
}

/// Starts the restored cluster in `to` beside the others, waits until it has recovered, asks it, and stops it.
#[track_caller]
pub(crate) fn ask_copy(yard: &Yard, binaries: &Binaries, to: &str, sql: &str) -> String {
    Copy::start(yard, binaries, to).ask("postgres", sql)
}

/// A restored cluster that runs beside the others and takes writes; it archives nothing. Stopped when dropped.
pub(crate) struct Copy<'a> {
    yard: &'a Yard,
    binaries: &'a Binaries,
    dir: String,
    sockets: String,
}

impl<'a> Copy<'a> {
    /// Starts the cluster in `to` and waits until it has recovered.
    #[track_caller]
    pub(crate) fn start(yard: &'a Yard, binaries: &'a Binaries, to: &str) -> Self {
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
        let copy = Self { yard, binaries, dir, sockets };
        while copy.ask("postgres", "select pg_is_in_recovery()") == "t" {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        copy
    }

    /// Asks in one of its databases.
    #[track_caller]
    pub(crate) fn ask(&self, database: &str, sql: &str) -> String {
        self.run(database, &[sql]).exits(0, &[]).out.trim_end().to_owned()
    }

    /// Runs statements one after the other in one session.
    pub(crate) fn run(&self, database: &str, statements: &[&str]) -> Run {
        let mut psql = run_as(&self.yard.owner, Path::new("psql")).unwrap();
        psql.args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-p",
            "5433",
            "-d",
            database,
            "-h",
            &self.sockets,
        ]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        Run::of(&mut psql)
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        let mut stop = run_as(&self.yard.owner, &self.binaries.program("pg_ctl")).unwrap();
        drop(stop.args(["-w", "-m", "fast", "-D", &self.dir, "stop"]).output());
    }
}
