//! Real servers for the tests: made, worked on, archived, recovered, promoted.

use crate::archive::Folder;
use pgmayday::base::{Lsn, WalSegment, WalSegmentSize};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// One cluster in a folder of its own; stopped and removed when dropped.
pub(crate) struct Server {
    pub(crate) major: u16,
    root: tempfile::TempDir,
    data: PathBuf,
    size: WalSegmentSize,
    running: bool,
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Where versions that Debian does not ship are put by `tests/setup-postgres.sh`.
fn fetched() -> impl Iterator<Item = PathBuf> {
    [
        std::env::var_os("PGMAYDAY_TEST_PG").map(PathBuf::from),
        Some(Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("pg")),
        Some(PathBuf::from("/var/tmp/pgmayday-tests/pg")),
    ]
    .into_iter()
    .flatten()
}

/// The first of the given programs that is installed for a version.
fn find(major: u16, name: &str) -> Option<PathBuf> {
    let debian = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
    let folders = fetched().map(|place| place.join(format!("{major}/bin")));
    [debian].into_iter().chain(folders).map(|bin| bin.join(name)).find(|path| path.exists())
}

/// The server of a major version; its absence is a failure where servers are required, else a spoken skip.
fn find_server(major: u16) -> Option<PathBuf> {
    let found = find(major, "postgres");
    if found.is_none() {
        // The fetching script leaves a note where a version cannot be had at all.
        let excused = fetched().any(|place| place.join(format!("{major}.unobtainable")).exists());
        let required = std::env::var_os("REQUIRE_SERVERS").is_some_and(|value| value == "1");
        assert!(!required || excused, "servers are required, but PostgreSQL {major} is not installed");
        eprintln!("SKIPPED: PostgreSQL {major} is not installed (run tests/setup-postgres.sh)");
    }
    found
}

/// A program of exactly this version, or of a newer one that talks to it.
pub(crate) fn find_tool(major: u16, name: &str) -> Option<PathBuf> {
    let talks = matches!(name, "psql" | "pg_basebackup");
    find(major, name).or_else(|| if talks { (major..=18).find_map(|newer| find(newer, name)) } else { None })
}

impl Server {
    /// A running cluster with an archive, or nothing if the version is not installed.
    pub(crate) fn make(major: u16, segment_mib: u32) -> Option<Self> {
        find_server(major)?;
        let root = tempfile::Builder::new().prefix(&format!("pgmayday-wal-{major}-")).tempdir().unwrap();
        let data = root.path().join("data");
        let size = WalSegmentSize::new(segment_mib << 20).unwrap();
        fs::create_dir(root.path().join("archive")).unwrap();
        let mut server = Self { major, root, data, size, running: false };
        if is_root() {
            let id = |flag| {
                let out = Command::new("id").args([flag, "postgres"]).output().unwrap();
                String::from_utf8(out.stdout).unwrap().trim().parse::<u32>().unwrap()
            };
            for path in [server.root.path(), &server.root.path().join("archive")] {
                chown(path, Some(id("-u")), Some(id("-g"))).unwrap();
            }
        }
        let data = server.data.to_str().unwrap().to_owned();
        let segments = format!("--wal-segsize={segment_mib}");
        server.run("initdb", &["-D", &data, &segments, "-A", "trust", "-U", "postgres", "--no-sync"]);
        let root = server.root.path().display().to_string();
        server.configure(&format!(
            "listen_addresses=''\nunix_socket_directories='{root}'\nfsync=off\nmax_prepared_transactions=8\n\
             archive_mode=on\narchive_command='test -f {root}/archive/%f || (cp %p {root}/part && mv {root}/part {root}/archive/%f)'\n\
             timezone='UTC'\nlog_timezone='UTC'\nmax_wal_size='64MB'\nmin_wal_size='8MB'\nautovacuum=off\n\
             wal_compression=off\nshared_buffers='16MB'\nwal_keep_size='1GB'\n"
        ));
        server.start();
        Some(server)
    }

    fn configure(&self, lines: &str) {
        let path = self.data.join("postgresql.conf");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(lines);
        fs::write(path, text).unwrap();
    }

    /// A command that runs one of PostgreSQL's programs as a user it accepts.
    pub(crate) fn program(&self, name: &str) -> Command {
        let path = find_tool(self.major, name).unwrap_or_else(|| panic!("no {name} for {}", self.major));
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.env("TZ", "UTC").env("LC_ALL", "C").current_dir(self.root.path());
        command
    }

    fn run(&self, name: &str, args: &[&str]) -> Output {
        // A server started by pg_ctl keeps inherited pipes open, so it writes to a file.
        let log = self.root.path().join(format!("{name}.out"));
        let file = fs::File::create(&log).unwrap();
        let mut command = self.program(name);
        command.args(args).stdout(file.try_clone().unwrap()).stderr(file);
        let status = command.status().unwrap();
        let text = fs::read(&log).unwrap();
        assert!(status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&text));
        Output { status, stdout: text, stderr: Vec::new() }
    }

    pub(crate) fn start(&mut self) {
        let (data, log) = (self.data.to_str().unwrap(), self.root.path().join("server.log"));
        self.run("pg_ctl", &["-D", data, "-l", log.to_str().unwrap(), "-w", "-t", "60", "start"]);
        self.running = true;
    }

    pub(crate) fn stop(&mut self, mode: &str) {
        if std::mem::take(&mut self.running) {
            self.run("pg_ctl", &["-D", self.data.to_str().unwrap(), "-m", mode, "-w", "stop"]);
        }
    }

    pub(crate) fn restart_with(&mut self, lines: &str) {
        self.stop("fast");
        self.configure(lines);
        self.start();
    }

    /// Runs statements in one session, each on its own unless the text opens a transaction; returns the output.
    pub(crate) fn sql_in(&self, database: &str, statements: &str) -> String {
        self.try_sql_in(database, statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// The same, with the server's refusal as an error.
    pub(crate) fn try_sql_in(&self, database: &str, statements: &str) -> Result<String, String> {
        let mut command = self.program("psql");
        let socket = self.root.path().to_str().unwrap();
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-h",
            socket,
            "-d",
            database,
        ]);
        let file = self.root.path().join("statements.sql");
        fs::write(&file, statements).unwrap();
        let out = command.arg("-f").arg(&file).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
    }

    pub(crate) fn sql(&self, statements: &str) -> String {
        self.sql_in("postgres", statements)
    }

    /// Makes a checkpoint; returns its redo position.
    pub(crate) fn checkpoint(&self) -> Lsn {
        self.sql("checkpoint; select redo_lsn from pg_control_checkpoint()").parse().unwrap()
    }

    pub(crate) fn archive(&self) -> Folder {
        Folder::new(self.root.path().join("archive"), self.size)
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// Ends the segment in use and waits until it is archived; returns its name.
    pub(crate) fn switch_and_wait(&self) -> WalSegment {
        let name = self.sql("select pg_walfile_name(pg_switch_wal())");
        let path = self.root.path().join("archive").join(&name);
        let deadline = Instant::now() + Duration::from_secs(60);
        while fs::metadata(&path).map_or(0, |file| file.len()) < u64::from(self.size.bytes()) {
            assert!(Instant::now() < deadline, "{name} was never archived");
            std::thread::sleep(Duration::from_millis(50));
        }
        name.parse().unwrap()
    }

    /// Something of everything a recovery must understand.
    pub(crate) fn workload(&mut self) {
        let space = self.root.path().join("space");
        self.sql(&format!(
            "\\! mkdir -p {0} && chmod 700 {0}\ncreate tablespace away location '{0}'",
            space.display()
        ));
        self.sql(
            "create table t (id int primary key, note text);
             insert into t select i, repeat(md5(i::text), 20) from generate_series(1, 2000) i;
             begin; insert into t values (-1, 'top'); savepoint a; insert into t values (-2, 'sub');
             savepoint b; insert into t values (-3, 'rolled back'); rollback to b; release a; commit;
             begin; insert into t values (-4, 'never'); rollback;
             begin; insert into t values (-5, 'prepared'); savepoint p; insert into t values (-6, 'prepared sub');
             prepare transaction 'gid one'; begin; insert into t values (-7, 'undone');
             prepare transaction 'gid two'; commit prepared 'gid one'; rollback prepared 'gid two';
             select pg_create_restore_point('first point'); select pg_create_restore_point('first point');
             create table dropped as select generate_series(1, 100) i; drop table dropped;",
        );
        // More than 64 sub-transactions make PostgreSQL write their assignment while they run.
        let mut many = "begin;".to_owned();
        for i in 0..150 {
            write!(many, "savepoint s; insert into t values ({}, 'many');", -100 - i).unwrap();
        }
        self.sql(&format!("{many} commit;"));
        self.sql(
            "create database one; create database two strategy-placeholder;"
                .replace(" strategy-placeholder", if self.major >= 15 { " strategy file_copy" } else { "" })
                .as_str(),
        );
        self.sql_in("one", "create table inside as select generate_series(1, 50) i");
        self.sql("alter database one set tablespace away");
        self.sql("checkpoint");
        self.sql("drop database two");
        self.sql("alter database one set tablespace pg_default; drop database one; drop tablespace away");
        for packing in ["pglz", "lz4", "zstd"] {
            if packing != "pglz" && self.major < 15 {
                continue;
            }
            let set = format!("alter system set wal_compression = {packing}");
            if self
                .program("psql")
                .args(["-U", "postgres", "-h"])
                .arg(self.root.path())
                .args(["-c", &set])
                .output()
                .unwrap()
                .status
                .success()
            {
                self.sql("select pg_reload_conf(); create database packed; select pg_sleep(0.2)");
                self.sql("checkpoint");
                self.sql("drop database packed");
            }
        }
        // Records longer than a page, than the kept part of a head, and than a whole segment.
        self.sql(
            "alter system reset wal_compression; select pg_reload_conf(); select pg_sleep(0.2);
             select pg_logical_emit_message(false, 'x', repeat('long ', 4000));
             select pg_logical_emit_message(true, 'x', repeat('longer ', 40000));
             select pg_logical_emit_message(false, 'x', repeat('longest ', 400000));
             select pg_switch_wal(); insert into t values (-8, 'after the switch');
             alter system set full_page_writes = off; select pg_reload_conf(); select pg_sleep(0.2);
             alter system reset full_page_writes; select pg_reload_conf(); select pg_sleep(0.2);
             update t set note = note || '.' where id > 0; vacuum t; checkpoint;",
        );
        // A commit record longer than the kept part of a head: thousands of dropped files.
        self.sql(
            "do $$ begin for i in 1..1500 loop execute format('create table drop_%s (id int primary key, x text)', i);
             end loop; end $$;
             set client_min_messages = error; create schema gone;
             begin; select count(*) from pg_class where relname like 'drop_%' \\gset
             select format('drop table %s', string_agg(relname, ',')) from pg_class where relname ~ '^drop_[0-9]+$' \\gexec
             commit;",
        );
        self.restart_with("max_connections=77\nmax_locks_per_transaction=1000\nwal_level=logical\n");
        self.sql(
            "select pg_create_restore_point('second point');
             begin; insert into t values (-9, 'logical'); savepoint l; insert into t values (-10, 'logical sub');
             create table cat (i int); prepare transaction 'gid three'; commit prepared 'gid three';",
        );
        self.stop("immediate");
        self.start();
        self.sql("insert into t values (-11, 'after a crash')");
    }

    /// Takes a base backup of the running cluster.
    pub(crate) fn backup(&mut self, to: &Path) {
        let socket = self.root.path().to_str().unwrap().to_owned();
        let to = to.to_str().unwrap();
        self.run("pg_basebackup", &["-h", &socket, "-U", "postgres", "-D", to, "-X", "none", "-c", "fast"]);
    }

    /// Recovers a copy of a backup with the given settings; returns its log and whether it came up.
    pub(crate) fn recover_copy(&self, base: &Path, settings: &str) -> (String, bool) {
        let (log, asked) = self.recover_copy_and(base, settings, |_| ());
        (log, asked.is_some())
    }

    /// As [`Self::recover_copy`]; asks the recovered server something if it came up.
    pub(crate) fn recover_copy_and<T>(
        &self,
        base: &Path,
        settings: &str,
        ask: impl FnOnce(&Self) -> T,
    ) -> (String, Option<T>) {
        let (copy, log) = (self.path("copy"), self.path("copy.log"));
        drop(fs::remove_dir_all(&copy));
        drop(fs::remove_file(&log));
        assert!(Command::new("cp").arg("-a").args([base, &copy]).status().unwrap().success());
        let mut text = fs::read_to_string(copy.join("postgresql.conf")).unwrap();
        let archive = self.path("archive");
        write!(
            text,
            "archive_mode=off\nhot_standby=off\nrestore_command='cp {}/%f %p'\n{settings}",
            archive.display()
        )
        .unwrap();
        fs::write(copy.join("postgresql.conf"), text).unwrap();
        fs::write(copy.join("recovery.signal"), "").unwrap();
        let data = copy.to_str().unwrap();
        // pg_ctl is content with a standby; only a finished recovery counts here.
        let file = fs::File::create(&log).unwrap();
        let mut postgres = self.program("postgres");
        let mut postgres = postgres.args(["-D", data]).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        let ready = || fs::read_to_string(&log).unwrap().contains("ready to accept connections");
        while postgres.try_wait().unwrap().is_none() && !ready() {
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        let asked = ready().then(|| ask(self));
        if asked.is_some() {
            self.run("pg_ctl", &["-D", data, "-m", "immediate", "-w", "stop"]);
        }
        postgres.wait().unwrap();
        (fs::read_to_string(&log).unwrap(), asked)
    }

    /// Keeps the stopped cluster's files as they are now.
    pub(crate) fn keep(&mut self) {
        self.stop("fast");
        let kept = self.path("kept");
        assert!(Command::new("cp").arg("-a").args([&self.data, &kept]).status().unwrap().success());
        self.start();
    }

    /// Puts back the files that were kept, without their log, to be recovered from the archive.
    pub(crate) fn go_back(&mut self) {
        self.stop("immediate");
        fs::remove_dir_all(&self.data).unwrap();
        fs::rename(self.path("kept"), &self.data).unwrap();
    }

    /// Loses a segment that was not archived.
    pub(crate) fn lose_segment(&self, name: &str) {
        assert!(!self.running);
        fs::remove_file(self.data.join("pg_wal").join(name)).unwrap();
    }

    /// Stops, recovers to the end of the log (or the given target) and promotes to a new timeline.
    pub(crate) fn promote(&mut self, timeline: u32, settings: &str) {
        self.stop("fast");
        fs::write(self.data.join("recovery.signal"), "").unwrap();
        let archive = self.root.path().join("archive");
        self.configure(&format!("restore_command='cp {}/%f %p'\n{settings}\n", archive.display()));
        self.start();
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.sql("select pg_is_in_recovery()") != "f" {
            assert!(Instant::now() < deadline, "the promotion never ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        let now = self.sql("select timeline_id from pg_control_checkpoint()");
        assert_eq!(now, timeline.to_string());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("server.log")).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(15).collect();
            eprintln!("the server said last (newest first):\n{}", tail.join("\n"));
        }
        if self.running && !std::thread::panicking() {
            self.stop("immediate");
        } else if self.running {
            drop(
                self.program("pg_ctl")
                    .args(["-D"])
                    .arg(&self.data)
                    .args(["-m", "immediate", "stop"])
                    .status(),
            );
        }
    }
}
