//! A real cluster of 1 MB segments with two repositories, the second encrypted, and the programs that work on them; for
//! tests of what archives and backs up.
//!
//! The server stops and everything is removed when the value is dropped.

use pgmayday::base::{Secret, WalSegment};
use pgmayday::cluster::owner::{Account, Users, current, is_root, run_as};
use pgmayday::repo::{Archive, ArchiveId, Repository, StoredSegment};
use pgmayday::store::posix::Posix;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(120);
const PGBACKREST: &str = "/usr/bin/pgbackrest";
/// The passphrase of the second repository.
const PASSPHRASE: &str = "outer-secret";
/// The stanza.
pub(crate) const STANZA: &str = "made";

/// A real cluster and its repositories.
pub(crate) struct Cluster {
    home: tempfile::TempDir,
    owner: Account,
    program: PathBuf,
    bin: PathBuf,
    server: Option<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let pid = rustix::process::Pid::from_child(&server);
            // An error means that it is gone already.
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            drop(server.wait());
        }
    }
}

fn skip(why: &str) {
    assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "servers are required here, but {why}");
    eprintln!("skipped: {why}");
}

impl Cluster {
    /// Makes the cluster and the stanza; `options` are lines for the `[global]` section. Nothing is archived yet:
    /// `archive_command` is empty. `None` (said on stderr) where the test must skip itself.
    pub(crate) fn make(options: &str) -> Option<Self> {
        let users = Users::new();
        let owner = if is_root() { users.account("postgres") } else { Some(current(&users)) };
        let Some(owner) = owner else {
            skip("this is root and there is no user postgres");
            return None;
        };
        let bin = PathBuf::from("/usr/lib/postgresql/15/bin");
        if !bin.join("initdb").exists() || !Path::new(PGBACKREST).exists() {
            skip("PostgreSQL 15 or pgBackRest is not installed");
            return None;
        }
        let home = tempfile::Builder::new().prefix("pgm").tempdir_in("/tmp").unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        chown(home.path(), Some(owner.uid), Some(owner.gid)).unwrap();
        let program = home.path().join("pgmayday");
        let built = std::env::var_os("PGMAYDAY_TEST_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_pgmayday")), PathBuf::from);
        fs::copy(built, &program).unwrap();
        let mut cluster = Self { home, owner, program, bin, server: None };
        for name in ["repo1", "repo2", "lock", "log", "spool", "state"] {
            fs::create_dir(cluster.path(name)).unwrap();
            cluster.give(&cluster.path(name));
        }
        cluster.configure(options);
        let initdb = cluster.bin.join("initdb");
        let mut initdb = cluster.command(&initdb);
        initdb.args([
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "postgres",
            "--wal-segsize=1",
            "-E",
            "UTF8",
            "--locale=C",
        ]);
        run(initdb.arg("-D").arg(cluster.data()));
        let settings = [
            ("archive_mode", "on"),
            ("archive_command", ""),
            ("wal_level", "replica"),
            ("listen_addresses", ""),
            ("unix_socket_directories", cluster.home.path().to_str().unwrap()),
            ("fsync", "off"),
            ("shared_buffers", "16MB"),
            ("wal_keep_size", "1GB"),
            ("max_wal_size", "2GB"),
            ("timezone", "UTC"),
        ];
        let lines: Vec<String> = settings.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
        fs::write(cluster.data().join("postgresql.conf"), lines.join("\n")).unwrap();
        cluster.give(&cluster.data().join("postgresql.conf"));
        cluster.start();
        succeeded(cluster.pgbackrest(&["stanza-create"]));
        Some(cluster)
    }

    /// A path in the folder of this cluster.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("pg")
    }

    /// The program under test, where the owner can execute it.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The configuration's path; it contains the word that pgBackRest wants to see in `archive_command`.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("pgbackrest.conf")
    }

    /// Writes the configuration, with these lines in its `[global]` section.
    pub(crate) fn configure(&self, options: &str) {
        let at = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "[global]\nrepo1-path={}\nrepo2-path={}\nrepo2-cipher-type=aes-256-cbc\nrepo2-cipher-pass={PASSPHRASE}\n\
             repo1-retention-full=9\nrepo2-retention-full=9\n\
             lock-path={}\nlog-path={}\nspool-path={}\nlog-level-file=off\nstart-fast=y\n{options}\n\n\
             [{STANZA}]\npg1-path={}\npg1-socket-path={}\npg1-user=postgres\n",
            at("repo1"),
            at("repo2"),
            at("lock"),
            at("log"),
            at("spool"),
            at("pg"),
            self.home.path().display()
        );
        fs::write(self.config(), text).unwrap();
        self.give(&self.config());
    }

    /// Gives a tree to the owner of the cluster.
    pub(crate) fn give(&self, path: &Path) {
        let whom = format!("{}:{}", self.owner.uid, self.owner.gid);
        assert!(Command::new("chown").arg("-R").arg(whom).arg(path).status().unwrap().success());
    }

    /// A program as the owner of the cluster, with an environment in which only this cluster's state is named.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = run_as(&self.owner, program).unwrap();
        for (name, _) in std::env::vars() {
            if ["PGBACKREST_", "PGMAYDAY_", "PG"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("PGMAYDAY_STATE", self.path("state")).stdin(Stdio::null()).current_dir("/");
        command
    }

    /// The program under test with this cluster's configuration, in the data directory as PostgreSQL calls it.
    pub(crate) fn ours(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&self.program);
        command.arg(format!("--config={}", self.config().display())).arg(format!("--stanza={STANZA}"));
        command.args(arguments).current_dir(self.data());
        command
    }

    /// Real pgBackRest with this cluster's configuration, in the data directory, run to its end.
    pub(crate) fn pgbackrest(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(Path::new(PGBACKREST));
        command.arg(format!("--config={}", self.config().display())).arg(format!("--stanza={STANZA}"));
        command.args(arguments).current_dir(self.data()).output().unwrap()
    }

    /// What stands in `archive_command` for the program under test, or for pgBackRest.
    pub(crate) fn archive_command(&self, ours: bool) -> String {
        let program = if ours { self.program.display().to_string() } else { PGBACKREST.to_owned() };
        format!("{program} --config={} --stanza={STANZA} archive-push \"%p\"", self.config().display())
    }

    /// Starts the server and waits until it takes writes.
    pub(crate) fn start(&mut self) {
        self.server = Some(self.serve(&self.data()));
    }

    /// Starts a server on any data directory and waits until it takes writes; the caller stops it.
    pub(crate) fn serve(&self, data: &Path) -> Child {
        let log = self.path("server.log");
        let output = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = self.command(&self.bin.join("postgres"));
        command.arg("-D").arg(data).env("PGMAYDAY_STATE", self.path("state"));
        let mut child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
        let begun = Instant::now();
        loop {
            assert!(matches!(child.try_wait(), Ok(None)), "the server stopped:\n{}", self.log());
            let mut psql = self.psql("select pg_is_in_recovery()");
            if psql.output().unwrap().stdout == b"f\n" {
                return child;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not come up:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// What every server of this cluster logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("server.log")).unwrap()).into_owned()
    }

    /// Stops the server in order.
    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            self.stop_server(server);
        }
    }

    /// Stops a server that [`Self::serve`] started.
    pub(crate) fn stop_server(&self, mut server: Child) {
        let pid = rustix::process::Pid::from_child(&server);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let begun = Instant::now();
        while matches!(server.try_wait(), Ok(None)) {
            assert!(begun.elapsed() < PATIENCE, "the server does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `psql` with one statement.
    pub(crate) fn psql(&self, sql: &str) -> Command {
        let mut psql = self.command(&self.bin.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres"]);
        psql.arg("-h").arg(self.home.path());
        if !sql.is_empty() {
            psql.args(["-c", sql]);
        }
        psql
    }

    /// Asks the server; rows are separated by newlines, columns by `|`.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let output = succeeded(self.psql(sql).output().unwrap());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Sets `archive_command` in the running server.
    pub(crate) fn archive_with(&self, command: &str) {
        self.ask(&format!("alter system set archive_command = '{}'", command.replace('\'', "''")));
        self.ask("select pg_reload_conf()");
    }

    /// Ends the current segment and gives its name; something is written to it first.
    pub(crate) fn switch(&self) -> String {
        self.ask("select pg_logical_emit_message(false, 'x', 'y')");
        self.ask("select pg_walfile_name(pg_switch_wal())")
    }

    /// Waits until the server says that this segment, and all before it, are archived.
    pub(crate) fn wait_archived(&self, segment: &str) {
        let question = format!(
            "select coalesce(last_archived_wal, '') >= '{segment}' and not exists \
             (select from pg_ls_archive_statusdir() where name like '%.ready' and left(name, 24) <= '{segment}') \
             from pg_stat_archiver"
        );
        let begun = Instant::now();
        while self.ask(&question) != "t" {
            assert!(begun.elapsed() < PATIENCE, "{segment} is not archived:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// One of the repositories, opened.
    pub(crate) fn repository(&self, key: u32) -> Repository {
        let storage = Arc::new(Posix::new(self.path(&format!("repo{key}")), &format!("repo{key}")));
        Repository::new(storage, key, (key == 2).then(|| Secret::new(PASSPHRASE)))
    }

    /// The archive of the current cluster in a repository.
    pub(crate) fn archive(&self, key: u32) -> (Archive, ArchiveId) {
        let stanza = self.repository(key).stanza(STANZA);
        let info = stanza.archive_info().unwrap().value;
        let id = ArchiveId { version: info.current().0, db_id: info.current_db_id };
        (stanza.archive(&info), id)
    }

    /// Every segment in a repository's archive, each read whole and proven by its checksum.
    pub(crate) fn proven(&self, key: u32) -> Vec<StoredSegment> {
        let (archive, id) = self.archive(key);
        let mut stored = Vec::new();
        archive
            .segments(&id, None, &mut |segment| {
                stored.push(segment);
                true
            })
            .unwrap();
        for segment in &stored {
            let mut decoder = archive.open(&id, segment).unwrap();
            decoder.read_to_end(&mut Vec::new()).unwrap();
            let seal = decoder.finish().unwrap();
            assert_eq!((seal.sha1, seal.size_bytes), (segment.sha1, 1 << 20), "{}", segment.file_name());
        }
        stored
    }

    /// The archive of a repository has every segment from `first` to `last`, each once and sound.
    #[track_caller]
    pub(crate) fn assert_no_gap(&self, key: u32, first: &str, last: &str) {
        let size = pgmayday::base::WalSegmentSize::new(1 << 20).unwrap();
        let (first, last): (WalSegment, WalSegment) = (first.parse().unwrap(), last.parse().unwrap());
        let found: Vec<WalSegment> = self.proven(key).iter().map(|stored| stored.segment).collect();
        let expected: Vec<WalSegment> = (first.number(size)..=last.number(size))
            .map(|number| WalSegment::from_number(first.timeline, number, size))
            .collect();
        let within: Vec<WalSegment> =
            found.into_iter().filter(|segment| (first..=last).contains(segment)).collect();
        assert_eq!(within, expected, "repo{key}");
    }

    /// Every file below a repository's archive, as paths inside the archive.
    pub(crate) fn files(&self, key: u32) -> Vec<String> {
        fn collect(folder: &Path, root: &Path, into: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    collect(&path, root, into);
                } else {
                    into.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let root = self.path(&format!("repo{key}/archive/{STANZA}"));
        let mut files = Vec::new();
        collect(&root, &root, &mut files);
        files.sort();
        files
    }
}

/// Waits until something is true.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < PATIENCE, "{what}: it never happened");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a command that must succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", said(&output));
    output
}

/// The output of a command that must have succeeded.
#[track_caller]
pub(crate) fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}", said(&output));
    output
}

/// Everything a command printed.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
