//! Real PostgreSQL servers: found, started on a restored data directory, asked, and stopped whatever happens.

use super::fixture::Rows;
use super::{as_user, give, run, work_root};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take to start, recover or stop; these clusters are tiny.
const PATIENCE: Duration = Duration::from_secs(90);

/// The query whose answer the fixtures record.
const LEDGER: &str = "select count(*), coalesce(max(id), 0), md5(coalesce(string_agg(id||':'||note, ',' order by id), '')) from ledger";

/// True where a missing server fails the test instead of skipping it.
fn required() -> bool {
    std::env::var_os("REQUIRE_SERVERS").is_some_and(|value| value == "1")
}

/// The programs of a PostgreSQL version; `None` (said on stderr) where the test must skip itself.
pub(crate) fn postgres(major: &str, test: &str) -> Option<PathBuf> {
    let places = [
        std::env::var_os("PGMAYDAY_TEST_PG").map(PathBuf::from),
        Some(Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("pg")),
        Some(PathBuf::from("/var/tmp/pgmayday-tests/pg")),
    ];
    let debian = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
    let fetched = places.iter().flatten().map(|place| place.join(major).join("bin"));
    let works = |bin: &PathBuf| {
        as_user(bin.join("postgres")).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    if let Some(bin) = [debian].into_iter().chain(fetched).find(works) {
        return Some(bin);
    }
    // The fetching script leaves a note where a version cannot be had at all; that is nobody's mistake.
    let note = places
        .iter()
        .flatten()
        .find_map(|place| fs::read_to_string(place.join(format!("{major}.unobtainable"))).ok());
    let why = note.map_or_else(
        || "run tests/setup-postgres.sh".to_owned(),
        |note| format!("cannot be had: {}", note.trim()),
    );
    skip(test, &format!("PostgreSQL {major} is not installed ({why})"), why.starts_with("cannot"));
    None
}

/// pgBackRest itself, to make repositories with; `None` where the test must skip itself.
pub(crate) fn pgbackrest(test: &str) -> Option<&'static Path> {
    let path = Path::new("/usr/bin/pgbackrest");
    if path.exists() {
        return Some(path);
    }
    skip(test, "pgBackRest is not installed", false);
    None
}

fn skip(test: &str, why: &str, excused: bool) {
    assert!(!required() || excused, "{test} needs a server and REQUIRE_SERVERS=1 is set: {why}");
    eprintln!("SKIPPED {test}: {why}");
}

/// How a started server settled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It takes writes; recovery is over.
    Writable,
    /// It stopped by itself.
    Exited(ExitStatus),
}

/// A running server on a data directory; stopped at once when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where its socket lies; short, because a socket's path may have 107 bytes only.
    socket: tempfile::TempDir,
    log: PathBuf,
}

impl Server {
    /// Starts the server; it may still recover, wait or fail.
    pub(crate) fn start(bin: &Path, pgdata: &Path, settings: &[&str]) -> Self {
        let socket = tempfile::Builder::new().prefix("pgm-").tempdir_in("/tmp").unwrap();
        give(socket.path());
        // Not beside the data directory: what stands there is compared.
        let log = socket.path().join("log");
        let output = File::create(&log).unwrap();
        let mut command = as_user(bin.join("postgres"));
        command.arg("-D").arg(pgdata);
        let fixed = [
            "listen_addresses=",
            "fsync=off",
            "shared_buffers=16MB",
            "logging_collector=off",
            "log_destination=stderr",
            "port=5432",
        ];
        for setting in fixed.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        command.arg("-c").arg(format!("unix_socket_directories={}", socket.path().display()));
        let child =
            command.stdout(output.try_clone().unwrap()).stderr(output).stdin(Stdio::null()).spawn().unwrap();
        Self { child, socket, log }
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Waits until it takes writes or has stopped.
    pub(crate) fn settle(&mut self) -> Settled {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Settled::Exited(status);
            }
            if self.log().contains("database system is ready to accept connections") {
                return Settled::Writable;
            }
            assert!(begun.elapsed() < PATIENCE, "the server neither recovered nor stopped:\n{}", self.log());
            sleep(Duration::from_millis(15));
        }
    }

    /// Asks one question in a database; rows are separated by newlines, columns by `|`.
    pub(crate) fn ask_in(&self, database: &str, sql: &str) -> String {
        let mut psql = as_user("psql");
        psql.args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            self.role(),
            "-p",
            "5432",
            "-d",
            database,
            "-c",
            sql,
            "-h",
        ])
        .arg(self.socket.path());
        run(&mut psql).trim_end().to_owned()
    }

    /// Asks in the database `postgres`.
    pub(crate) fn ask(&self, sql: &str) -> String {
        self.ask_in("postgres", sql)
    }

    /// Runs statements one by one, each in its own transaction unless the script begins one.
    pub(crate) fn ask_script(&self, script: &str) -> String {
        let mut psql = as_user("psql");
        psql.args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            self.role(),
            "-p",
            "5432",
            "-d",
            "postgres",
            "-h",
        ])
        .arg(self.socket.path());
        let mut child =
            psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The fixtures and our own clusters are made by and for `postgres`.
    #[expect(clippy::unused_self, reason = "it is the server's role")]
    fn role(&self) -> &'static str {
        "postgres"
    }

    /// What the ledger holds.
    pub(crate) fn ledger(&self) -> Rows {
        let answer = self.ask(LEDGER);
        let mut fields = answer.split('|');
        let mut next = || fields.next().unwrap().to_owned();
        Rows { count: next().parse().unwrap(), max_id: next().parse().unwrap(), md5: next() }
    }

    /// The timeline it writes.
    pub(crate) fn timeline(&self) -> u64 {
        // Before the first checkpoint of the new timeline pg_control still names the old one: the WAL's name does not lie.
        let name = self.ask("select pg_walfile_name(pg_current_wal_insert_lsn())");
        u64::from_str_radix(&name[..8], 16).unwrap()
    }

    /// Stops it in order, with a checkpoint.
    pub(crate) fn stop(mut self) {
        self.signal(rustix::process::Signal::INT);
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "the server does not stop:\n{}", self.log());
            sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // An error means that it is gone already.
        let _gone = rustix::process::kill_process(pid, signal);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(rustix::process::Signal::QUIT);
            let _status = self.child.wait();
        }
    }
}

/// Starting a server there must fail; nothing else proves that a half-restored directory is harmless.
#[track_caller]
pub(crate) fn assert_refuses_to_start(bin: &Path, pgdata: &Path) {
    let mut server = Server::start(bin, pgdata, &[]);
    let settled = server.settle();
    assert!(
        matches!(settled, Settled::Exited(status) if !status.success()),
        "a half-restored cluster started:\n{}",
        server.log()
    );
}

/// An empty cluster of 1 MB segments that archives to a repository of its own; for what no fixture shows.
#[derive(Debug)]
pub(crate) struct Primary {
    home: tempfile::TempDir,
    bin: PathBuf,
    server: Option<Server>,
}

/// The stanza of every [`Primary`].
pub(crate) const STANZA: &str = "made";

impl Primary {
    /// Makes the cluster, its repository with the given options (`repo1-…=…` lines) and the stanza, and starts it.
    pub(crate) fn make(bin: &Path, options: &str) -> Self {
        let home = super::scratch("made-");
        let mut primary = Self { home, bin: bin.to_owned(), server: None };
        let at = |name: &str| primary.home.path().join(name);
        for name in ["repo", "lock", "log", "spool"] {
            fs::create_dir(at(name)).unwrap();
        }
        let config = primary
            .template(options)
            .replace("@REPO1@", at("repo").to_str().unwrap())
            .replace("@PGDATA@", at("pg").to_str().unwrap());
        let config = ["LOCK", "LOG", "SPOOL"].iter().fold(config, |text, name| {
            text.replace(&format!("@{name}@"), at(&name.to_lowercase()).to_str().unwrap())
        });
        fs::write(at("pgbackrest.conf"), config).unwrap();
        give(primary.home.path());
        run(as_user(bin.join("initdb"))
            .args([
                "--no-sync",
                "-A",
                "trust",
                "-U",
                "postgres",
                "--wal-segsize=1",
                "-k",
                "-E",
                "UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(at("pg")));
        let archive = format!(
            "archive_command=/usr/bin/pgbackrest --config={} --stanza={STANZA} archive-push %p",
            at("pgbackrest.conf").display()
        );
        let settings = [
            "archive_mode=on",
            archive.as_str(),
            "wal_level=replica",
            "max_prepared_transactions=8",
            "autovacuum=off",
            "track_commit_timestamp=on",
            "max_wal_size=1GB",
            "timezone=UTC",
        ];
        // In the file, not on the command line: the backup must carry what its WAL needs.
        let lines: Vec<_> = settings
            .iter()
            .map(|s| s.split_once('=').unwrap())
            .map(|(k, v)| format!("{k} = '{v}'"))
            .collect();
        fs::write(at("pg/postgresql.conf"), lines.join("\n")).unwrap();
        give(&at("pg/postgresql.conf"));
        let mut server = Server::start(bin, &at("pg"), &[]);
        assert_eq!(server.settle(), Settled::Writable, "{}", server.log());
        fs::write(at("socket"), server.socket.path().to_str().unwrap()).unwrap();
        primary.server = Some(server);
        primary.pgbackrest("stanza-create", &[]);
        primary
    }

    /// The configuration with `@…@` for a [`super::Case`].
    #[expect(clippy::unused_self, reason = "it describes this cluster's repository")]
    pub(crate) fn template(&self, options: &str) -> String {
        format!(
            "[global]\nrepo1-path=@REPO1@\n{options}lock-path=@LOCK@\nlog-path=@LOG@\nspool-path=@SPOOL@\nlog-level-console=warn\nlog-level-file=off\nstart-fast=y\n\n[{STANZA}]\npg1-path=@PGDATA@\n"
        )
    }

    /// The running server.
    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Where the repository lies.
    pub(crate) fn repo(&self) -> PathBuf {
        self.home.path().join("repo")
    }

    /// The configuration file that both programs take.
    pub(crate) fn config(&self) -> PathBuf {
        self.home.path().join("pgbackrest.conf")
    }

    /// Real pgBackRest with this cluster's configuration, ready for more arguments.
    pub(crate) fn pgbackrest_command(&self, command: &str) -> Command {
        let mut program = as_user("/usr/bin/pgbackrest");
        program.arg(format!("--config={}", self.config().display())).arg(format!("--stanza={STANZA}"));
        if matches!(command, "backup" | "check" | "stanza-create") {
            program
                .arg(format!("--pg1-socket-path={}", self.server().socket.path().display()))
                .arg("--pg1-user=postgres");
        }
        program.arg(command);
        program
    }

    /// Runs real pgBackRest on it.
    pub(crate) fn pgbackrest(&self, command: &str, options: &[&str]) -> String {
        run(self.pgbackrest_command(command).args(options))
    }

    /// Closes the current segment and waits until it is in the archive.
    pub(crate) fn archive_all(&self) {
        // A segment without content is not closed, and never archived.
        self.server().ask("select pg_create_restore_point('everything before')");
        let last = self.server().ask("select pg_walfile_name(pg_switch_wal())");
        let begun = Instant::now();
        // The name of a segment's first byte is that of the segment before: it is the last one with content.
        let archived = format!("select coalesce(last_archived_wal, '') >= '{last}' from pg_stat_archiver");
        while self.server().ask(&archived) != "t" {
            assert!(begun.elapsed() < PATIENCE, "segment {last} is not archived:\n{}", self.server().log());
            sleep(Duration::from_millis(20));
        }
    }

    /// The programs it runs with.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// Stops the server for good; the repository stays.
    pub(crate) fn destroy(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }

    /// Keeps the repository under a name below [`work_root`] and gives its path.
    pub(crate) fn keep_repo(mut self, name: &str) -> PathBuf {
        self.destroy();
        let kept = work_root().join(name);
        fs::rename(self.repo(), &kept).unwrap();
        kept
    }
}
