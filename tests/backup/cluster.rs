//! A real cluster with checksums in a folder of its own, and real pgBackRest beside it.

use pgmayday::base::PgVersion;
use pgmayday::cluster::binaries::{Binaries, Search};
use pgmayday::cluster::owner::{Account, Users, current, is_root, run_as};
use pgmayday::cluster::process::{Finished, run_limited};
use pgmayday::cluster::server::{Patience, Server, StartOptions, StopMode, Until};
use pgmayday::cluster::sql::{Address, Sql};
use pgmayday::model::op::Cancel;
use pgmayday::repo::{Manifest, Repository};
use pgmayday::store::posix::Posix;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);
const PGBACKREST: &str = "/usr/bin/pgbackrest";
/// The version all of this is made with.
pub(crate) const VERSION: PgVersion = PgVersion::major(15);
/// Its catalog version.
pub(crate) const CATALOG: u32 = 202_209_061;

/// A cluster and what belongs to it; stopped and removed when dropped.
pub(crate) struct Cluster {
    home: tempfile::TempDir,
    binaries: Binaries,
    owner: Account,
    server: Option<Server>,
}

fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "servers are required here, but {why}");
    eprintln!("SKIPPED: {why}");
    None
}

impl Cluster {
    /// A stopped cluster whose `pg_wal` is a link; nothing where PostgreSQL or pgBackRest is not installed.
    pub(crate) fn make() -> Option<Self> {
        let named = std::env::var_os("PGMAYDAY_PG_BIN");
        let search = Search::new(named.as_deref(), std::env::var_os("PATH").as_deref());
        let binaries = match search.find(VERSION) {
            Ok(binaries) => binaries,
            Err(error) => return skip(&error.to_string()),
        };
        if !Path::new(PGBACKREST).exists() {
            return skip("pgBackRest is not installed");
        }
        let users = Users::new();
        let owner = if is_root() { users.account("postgres") } else { Some(current(&users)) };
        let Some(owner) = owner else { return skip("this is root and there is no user postgres") };
        let home = tempfile::Builder::new().prefix("pgmb-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = Self { home, binaries, owner, server: None };
        cluster.give(Path::new("."));
        let (data, wal) = (cluster.path("pg"), cluster.path("wal"));
        let arguments =
            ["-N", "-k", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--wal-segsize=1"];
        let places = ["-D", data.to_str().unwrap(), "-X", wal.to_str().unwrap()];
        cluster.run(&cluster.binaries.program("initdb"), &[&arguments[..], &places[..]].concat());
        let home = cluster.home.path().display();
        let config = format!(
            "[global]\nrepo1-path={home}/repo\nlock-path={home}/lock\nlog-path={home}/log\nspool-path={home}/spool\n\
             log-level-console=warn\nlog-level-file=off\nstart-fast=y\ncompress-type=none\n\n\
             [main]\npg1-path={home}/pg\npg1-socket-path={home}\npg1-user=postgres\n"
        );
        cluster.write("pgbackrest.conf", config);
        let archive = format!("{PGBACKREST} --config={home}/pgbackrest.conf --stanza=main archive-push %p");
        let settings = format!(
            "archive_mode = on\narchive_command = '{archive}'\nautovacuum = off\nfsync = off\nshared_buffers = '16MB'\n\
             timezone = 'UTC'\nmax_wal_size = '512MB'\n"
        );
        cluster.write("pg/postgresql.conf", settings);
        for folder in ["repo", "lock", "log", "spool"] {
            cluster.folder(folder);
        }
        cluster.pgbackrest(&["--no-online", "stanza-create"]);
        Some(cluster)
    }

    /// A path below the folder that holds everything; `pg` is the data directory.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("pg")
    }

    /// Gives an entry to the owner of the cluster.
    pub(crate) fn give(&self, below: impl AsRef<Path>) {
        lchown(self.home.path().join(below), Some(self.owner.uid), Some(self.owner.gid)).unwrap();
    }

    /// Makes a folder and those above it.
    pub(crate) fn folder(&self, below: &str) {
        if !self.path(below).exists() {
            if let Some((above, _)) = below.rsplit_once('/') {
                self.folder(above);
            }
            fs::create_dir(self.path(below)).unwrap();
            self.give(below);
        }
    }

    /// Writes a file that belongs to the owner.
    pub(crate) fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        if let Some((above, _)) = below.rsplit_once('/') {
            self.folder(above);
        }
        fs::write(self.path(below), content).unwrap();
        self.give(below);
    }

    /// Makes a link that belongs to the owner.
    pub(crate) fn link(&self, below: &str, to: impl AsRef<Path>) {
        std::os::unix::fs::symlink(to, self.path(below)).unwrap();
        self.give(below);
    }

    /// Runs a program as the owner.
    pub(crate) fn try_run(&self, program: &Path, arguments: &[&str]) -> Finished {
        let mut command = run_as(&self.owner, program).unwrap();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PGBACKREST_") {
                command.env_remove(&name);
            }
        }
        command.env("TZ", "UTC").env("LC_ALL", "C.UTF-8").args(arguments);
        run_limited(command, PATIENCE).unwrap()
    }

    /// The same, and it must succeed; gives all it printed.
    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) -> String {
        let finished = self.try_run(program, arguments);
        let printed = finished.stdout + &finished.stderr;
        assert!(finished.code == Some(0), "{} {arguments:?}: {printed}", program.display());
        printed
    }

    /// One of PostgreSQL's programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.binaries.program(name)
    }

    /// Runs pgBackRest; gives what it printed.
    pub(crate) fn pgbackrest(&self, arguments: &[&str]) -> String {
        let config = format!("--config={}", self.path("pgbackrest.conf").display());
        self.run(Path::new(PGBACKREST), &[&[config.as_str(), "--stanza=main"], arguments].concat())
    }

    /// The manifest of the newest backup, as our reader reads it.
    pub(crate) fn newest_manifest(&self) -> Manifest {
        let storage = Arc::new(Posix::new(self.path("repo"), "repo1"));
        let stanza = Repository::new(storage, 1, None).stanza("main");
        let info = stanza.backup_info().unwrap().value;
        let label = info.backups.keys().next_back().unwrap();
        stanza.manifest(&info, label).unwrap().value
    }

    /// Starts the server and waits until it takes writes.
    pub(crate) fn start(&mut self) {
        let options = StartOptions::private(self.home.path(), 5432, self.path("server.log"), "postgres");
        let mut server = Server::new(&self.data(), self.binaries.clone(), &Users::new(), options).unwrap();
        server.start().unwrap();
        let cancel = Cancel::default();
        let waited = server.wait(Until::Writable, Patience { still: PATIENCE }, &cancel, &mut |_, _| {});
        self.server = Some(server);
        if let Err(error) = waited {
            panic!("{error}\n{}", fs::read_to_string(self.path("server.log")).unwrap_or_default());
        }
    }

    /// Stops it in order.
    pub(crate) fn stop(&mut self) {
        let mut server = self.server.take().unwrap();
        assert!(server.stop(StopMode::Fast, PATIENCE, &Cancel::default()).unwrap());
    }

    /// Where SQL reaches it.
    pub(crate) fn address(&self) -> Address {
        let mut address = self.server.as_ref().unwrap().address();
        address.statement_limit = PATIENCE;
        address
    }

    /// Runs statements one by one in a database; the last one's first value.
    pub(crate) fn sql_in(&self, database: &str, statements: &[&str]) -> String {
        let mut session = Sql::connect(&self.address().with_database(database), Some(&self.owner)).unwrap();
        let mut last = None;
        for statement in statements {
            last = session.value(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        last.unwrap_or_default()
    }

    /// The same in the database `postgres`.
    pub(crate) fn sql(&self, statements: &[&str]) -> String {
        self.sql_in("postgres", statements)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            drop(server.stop(StopMode::Immediate, PATIENCE, &Cancel::default()));
        }
    }
}
