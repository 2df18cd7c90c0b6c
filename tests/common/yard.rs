//! One real cluster, its repositories and the two programs that work on them, in a folder of its own.
//!
//! Everything belongs to `postgres` if root runs the tests, because PostgreSQL refuses root; this program is then started
//! as root all the same, unless it is asked for as that user. Whatever runs at the end is stopped.

use pgmayday::cluster::binaries::{Binaries, Search};
use pgmayday::cluster::owner::{Account, Users, current, is_root, run_as};
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The stanza of every yard.
pub(crate) const STANZA: &str = "main";
const PGBACKREST: &str = "/usr/bin/pgbackrest";
const PORT: &str = "5432";

/// What a program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    command: String,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nexit {:?}\n--- out\n{}\n--- err\n{}", self.command, self.code, self.out, self.err)
    }
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self::came_to(command, &output)
    }

    pub(crate) fn came_to(command: &Command, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let command = format!("{command:?}");
        let run = Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
            command,
        };
        assert!(!run.err.contains("panicked at"), "{run}");
        run
    }

    /// It must have exited with this code, having said all of this.
    #[track_caller]
    pub(crate) fn exits(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        for word in words {
            assert!(self.out.contains(word) || self.err.contains(word), "`{word}` is not said by {self}");
        }
        self
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

/// PostgreSQL 15 if it and pgBackRest are installed. Where servers are required their absence is a failure.
pub(crate) fn installed(test: &str) -> Option<Binaries> {
    let found = Search::new(None, std::env::var_os("PATH").as_deref()).find("15".parse().unwrap());
    let unprivileged = !is_root() || Users::new().account("postgres").is_some();
    let why = match found {
        Ok(binaries) if unprivileged && Path::new(PGBACKREST).exists() => return Some(binaries),
        Ok(_) => "pgBackRest or the user postgres is missing".to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "{test}: servers are required here, but {why}");
    eprintln!("skipped {test}: {why}");
    None
}

/// The folder with all of it.
pub(crate) struct Yard {
    home: tempfile::TempDir,
    binaries: Binaries,
    pub(crate) owner: Account,
}

impl Drop for Yard {
    fn drop(&mut self) {
        for name in self.clusters() {
            drop(
                self.postgres("pg_ctl")
                    .args(["-D"])
                    .arg(self.path(&name))
                    .args(["-m", "immediate", "stop"])
                    .output(),
            );
        }
    }
}

impl Yard {
    /// A cluster that archives with the installed pgBackRest, not yet started, and a configuration with one repository
    /// for each of `ciphers`, whose passphrase it is, or empty.
    pub(crate) fn new(binaries: &Binaries, ciphers: &[&str]) -> Self {
        let users = Users::new();
        let owner = if is_root() { users.account("postgres").unwrap() } else { current(&users) };
        // Short, because a socket's path may have 107 bytes only.
        let home = tempfile::Builder::new().prefix("pgm-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let yard = Self { home, binaries: binaries.clone(), owner };
        yard.give(yard.home.path());
        for folder in ["run", "log", "spool"] {
            fs::create_dir(yard.path(folder)).unwrap();
            yard.give(&yard.path(folder));
        }
        yard.configure(ciphers, "pg", "");
        yard.initdb("pg");
        yard
    }

    /// A path inside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A path inside as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("pgbackrest.conf")
    }

    pub(crate) fn give(&self, path: &Path) {
        chown(path, Some(self.owner.uid), Some(self.owner.gid)).unwrap();
    }

    /// Writes the configuration; `pg` is the folder of the stanza's cluster, `more` goes into `[global]`.
    pub(crate) fn configure(&self, ciphers: &[&str], pg: &str, more: &str) {
        let repos: Vec<String> = ciphers
            .iter()
            .zip(1..)
            .map(|(cipher, key)| {
                // Bundles, because every file of its own is synced for itself; unless `more` says something else.
                let path = self.text(&format!("repo{key}"));
                let bundle = format!("repo{key}-bundle=");
                let bundle = if more.contains(&bundle) { String::new() } else { format!("{bundle}y\n") };
                let path = format!("repo{key}-path={path}\n{bundle}");
                if cipher.is_empty() {
                    return path;
                }
                format!("{path}repo{key}-cipher-type=aes-256-cbc\nrepo{key}-cipher-pass={cipher}\n")
            })
            .collect();
        let [lock, log, spool, run, pg] = ["lock", "log", "spool", "run", pg].map(|name| self.text(name));
        let text = format!(
            "[global]\n{}lock-path={lock}\nlog-path={log}\nspool-path={spool}\nlog-level-console=info\n\
             log-level-file=off\nstart-fast=y\narchive-timeout=30\n{more}\n[{STANZA}]\npg1-path={pg}\n\
             pg1-socket-path={run}\npg1-port={PORT}\npg1-user=postgres\n",
            repos.concat()
        );
        fs::write(self.config(), text).unwrap();
        self.give(&self.config());
    }

    fn clusters(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home.path()).unwrap().map(|entry| entry.unwrap());
        let names = entries.filter(|entry| entry.path().join("postmaster.pid").exists());
        names.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    fn postgres(&self, program: &str) -> Command {
        run_as(&self.owner, &self.binaries.program(program)).unwrap()
    }

    fn run_postgres(&self, program: &str, arguments: &[&str]) {
        Run::of(self.postgres(program).args(arguments)).exits(0, &[]);
    }

    /// Makes a new cluster in the folder `pg`, which archives with pgBackRest.
    pub(crate) fn initdb(&self, pg: &str) {
        let dir = self.text(pg);
        self.run_postgres(
            "initdb",
            &[
                "-D",
                &dir,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-N",
                "-k",
                "--wal-segsize=1",
                "--locale=C",
                "-E",
                "UTF8",
            ],
        );
        self.settings(pg, &self.archive_command(), "");
    }

    /// The `archive_command` of real pgBackRest.
    pub(crate) fn archive_command(&self) -> String {
        format!("{PGBACKREST} --config={} --stanza={STANZA} archive-push %p", self.config().display())
    }

    /// Writes the settings of the cluster in `pg` anew; `more` are further lines, which win.
    pub(crate) fn settings(&self, pg: &str, archive_command: &str, more: &str) {
        let path = self.path(pg).join("postgresql.conf");
        let text = format!(
            "listen_addresses = ''\nport = {PORT}\nunix_socket_directories = '{}'\nfsync = off\nshared_buffers = 16MB\n\
             max_connections = 20\nautovacuum = off\ntimezone = 'UTC'\nlogging_collector = off\narchive_mode = on\n\
             archive_command = '{archive_command}'\n{more}\n",
            self.text("run")
        );
        fs::write(&path, text).unwrap();
        self.give(&path);
    }

    /// Starts the cluster in `pg` and waits until it answers.
    pub(crate) fn start(&self, pg: &str) {
        let (dir, log) = (self.text(pg), self.text(&format!("log/{pg}.log")));
        // The server inherits the streams: a pipe would never end.
        let mut command = self.postgres("pg_ctl");
        command.args(["-w", "-D", &dir, "-l", &log, "start"]).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().unwrap();
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(status.success(), "{command:?}: {}", said());
    }

    pub(crate) fn stop(&self, pg: &str) {
        self.run_postgres("pg_ctl", &["-w", "-m", "fast", "-D", &self.text(pg), "stop"]);
    }

    pub(crate) fn restart(&self, pg: &str) {
        self.stop(pg);
        self.start(pg);
    }

    /// A copy of the running cluster `pg` that follows it as a standby, in the folder `to`, not started.
    pub(crate) fn standby(&self, to: &str) {
        let (run, to) = (self.text("run"), self.text(to));
        self.run_postgres(
            "pg_basebackup",
            &["-h", &run, "-p", PORT, "-U", "postgres", "-D", &to, "-R", "-c", "fast", "-N"],
        );
    }

    /// Asks the running server.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let mut psql = run_as(&self.owner, Path::new("psql")).unwrap();
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p", PORT, "-d", "postgres", "-h"]);
        let run = Run::of(psql.arg(self.path("run")).args(["-c", sql])).exits(0, &[]);
        run.out.trim_end().to_owned()
    }

    /// Real pgBackRest on the stanza, with these words.
    pub(crate) fn pgbackrest_command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = run_as(&self.owner, Path::new(PGBACKREST)).unwrap();
        command
            .arg(format!("--config={}", self.config().display()))
            .arg(format!("--stanza={STANZA}"))
            .args(words);
        command
    }

    pub(crate) fn pgbackrest(&self, words: &[&str]) -> Run {
        Run::of(&mut self.pgbackrest_command(words))
    }

    /// This program, at a path that the owner of the cluster can execute.
    pub(crate) fn program(&self) -> PathBuf {
        let named = std::env::var_os("PGMAYDAY_TEST_BIN").map(PathBuf::from);
        let built = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_pgmayday")));
        let mut test = run_as(&self.owner, Path::new("test")).unwrap();
        if test.arg("-x").arg(&built).status().unwrap().success() {
            return built;
        }
        let copy = self.path("bin/pgmayday");
        if !copy.exists() {
            fs::create_dir_all(self.path("bin")).unwrap();
            fs::copy(&built, &copy).unwrap();
        }
        copy
    }

    /// This program on the stanza, as whoever runs the tests.
    pub(crate) fn pgmayday(&self, words: &[&str]) -> Run {
        self.pgmayday_for(&[&format!("--stanza={STANZA}")], words)
    }

    /// This program with the configuration and these options, as whoever runs the tests.
    pub(crate) fn pgmayday_for(&self, options: &[&str], words: &[&str]) -> Run {
        Run::of(self.pgmayday_command().args(options).args(words))
    }

    /// This program with the configuration, still without a stanza.
    pub(crate) fn pgmayday_command(&self) -> Command {
        let mut command = Command::new(self.program());
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/").stdin(Stdio::null());
        command.arg(format!("--config={}", self.config().display()));
        command
    }
}

// Each test program uses some of the helpers; naming them here keeps the others from being reported as unused.
const _: fn(&Yard, &str) = Yard::restart;
