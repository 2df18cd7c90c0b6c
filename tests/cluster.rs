//! The `cluster` room against real PostgreSQL servers: found running, started, watched, paused, promoted, explained.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say why they skip"
)]
#![expect(clippy::disallowed_methods, reason = "a test looks into its own environment")]

use pgmayday::base::{Kind, Lsn, PgVersion, Report, Secret, Timestamp};
use pgmayday::cluster::binaries::{Binaries, Search};
use pgmayday::cluster::control::{ControlFile, State};
use pgmayday::cluster::owner::{Account, Users, current, is_root, run_as};
use pgmayday::cluster::pace::Pace;
use pgmayday::cluster::process::run_limited;
use pgmayday::cluster::recovery_settings::{RecoverySettings, RestoreCommand, Target, TargetAction};
use pgmayday::cluster::replay::{Goal, Meter};
use pgmayday::cluster::running::{Running, look};
use pgmayday::cluster::server::{Patience, Pause, Phase, Server, StartOptions, StopMode, Until};
use pgmayday::cluster::sql::{Host, Sql, SqlError, Verdict, check_every_database};
use pgmayday::cluster::{ClusterError, owner};
use pgmayday::model::op::Cancel;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The installed PostgreSQL of a version. Where servers are required its absence is a failure, else a spoken skip.
fn installed(major: u16) -> Option<Binaries> {
    let named = std::env::var_os("PGMAYDAY_PG_BIN");
    let search = Search::new(named.as_deref(), std::env::var_os("PATH").as_deref());
    let found = search.find(PgVersion::major(major));
    let unprivileged = !is_root() || Users::new().account("postgres").is_some();
    match found {
        Ok(binaries) if unprivileged => Some(binaries),
        Ok(_) => skip("this is root and there is no user postgres"),
        Err(error) if major == 15 => skip(&error.to_string()),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "servers are required here, but {why}");
    eprintln!("skipped: {why}");
    None
}

/// A folder of one test, its clusters in it; whatever still runs there at the end is stopped.
struct Yard {
    folder: tempfile::TempDir,
    binaries: Binaries,
    owner: Account,
    users: Users,
}

impl Drop for Yard {
    fn drop(&mut self) {
        for name in ["primary", "restored"] {
            let dir = self.path(name);
            if dir.join("PG_VERSION").exists()
                && let Ok(mut server) =
                    Server::new(&dir, self.binaries.clone(), &self.users, self.options(name))
            {
                drop(server.stop(StopMode::Immediate, MINUTE, &Cancel::default()));
            }
        }
    }
}

impl Yard {
    fn new(binaries: Binaries) -> Self {
        let users = Users::new();
        let owner = if is_root() { users.account("postgres").unwrap() } else { current(&users) };
        let folder = tempfile::Builder::new().prefix("pgm").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let yard = Self { folder, binaries, owner, users };
        yard.give(yard.folder.path());
        std::fs::create_dir(yard.path("archive")).unwrap();
        yard.give(&yard.path("archive"));
        yard
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn give(&self, path: &Path) {
        chown(path, Some(self.owner.uid), Some(self.owner.gid)).unwrap();
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let path = self.binaries.program(program);
        let mut command = run_as(&self.owner, &path).unwrap();
        command.args(args);
        let finished = run_limited(command, MINUTE * 2).unwrap();
        assert!(finished.success(), "{program}: {}", finished.stderr);
        finished.stdout
    }

    fn options(&self, name: &str) -> StartOptions {
        let port = if name == "primary" { 5432 } else { 5433 };
        let mut options =
            StartOptions::private(self.folder.path(), port, self.path(&format!("{name}.log")), "postgres");
        for (setting, value) in
            [("fsync", "off"), ("shared_buffers", "16MB"), ("max_connections", "20"), ("autovacuum", "off")]
        {
            options.settings.push((setting.into(), value.into()));
        }
        options
    }

    fn server(&self, name: &str) -> Server {
        Server::new(&self.path(name), self.binaries.clone(), &self.users, self.options(name)).unwrap()
    }

    fn initdb(&self) -> Server {
        let dir = self.path("primary");
        self.run(
            "initdb",
            &["-D", dir.to_str().unwrap(), "-U", "postgres", "-A", "trust", "-N", "--wal-segsize=1"],
        );
        self.server("primary")
    }

    /// A running primary that archives.
    fn primary(&self) -> Server {
        let mut server = self.initdb();
        let archive = format!("cp %p {}/%f", self.path("archive").display());
        server
            .options_mut()
            .settings
            .extend([("archive_mode".into(), "on".into()), ("archive_command".into(), archive)]);
        start(&mut server, Until::Writable);
        server
    }

    /// Copies the primary, the way a restored backup looks: `backup_label` and no WAL.
    fn base_backup(&self) {
        let to = self.path("restored");
        let host = self.folder.path().to_str().unwrap().to_owned();
        self.run(
            "pg_basebackup",
            &[
                "-h",
                &host,
                "-U",
                "postgres",
                "-D",
                to.to_str().unwrap(),
                "-X",
                "none",
                "-c",
                "fast",
                "--no-sync",
            ],
        );
    }

    fn fetch_program(&self, name: &str, before: &str) -> PathBuf {
        let path = self.path(name);
        let text = format!(
            "#!/bin/sh\n# --archive=FOLDER archive-get FILE TO\n{before}\nexec cp \"${{1#--archive=}}/$3\" \"$4\"\n"
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        owner::check_executable_by(&self.owner, &path).unwrap();
        path
    }

    fn settings(&self, target: Target, fetch: PathBuf) -> RecoverySettings {
        let archive = self.path("archive");
        RecoverySettings {
            version: self.binaries.version,
            target,
            exclusive: false,
            action: TargetAction::Pause,
            timeline: None,
            archive_mode_off: true,
            options: Vec::new(),
            restore_command: RestoreCommand::new(fetch).option("archive", archive.to_str().unwrap()),
        }
    }

    /// Writes the recovery settings into the restored directory.
    fn prepare(&self, settings: &RecoverySettings) -> Vec<pgmayday::cluster::recovery_settings::ConfLine> {
        let dir = self.path("restored");
        let auto_conf = std::fs::read(dir.join("postgresql.auto.conf")).unwrap();
        let files = settings.files(&auto_conf, Timestamp::now()).unwrap();
        let (name, content) = files.settings_file.unwrap();
        std::fs::write(dir.join(name), content).unwrap();
        let signal = dir.join(files.signal.unwrap());
        std::fs::write(&signal, "").unwrap();
        self.give(&signal);
        files.written
    }
}

fn wait(server: &mut Server, until: Until) -> Result<Phase, ClusterError> {
    let patience = Patience { still: MINUTE };
    server.wait(until, patience, &Cancel::default(), &mut |_, _| {}).map(|seen| seen.phase)
}

fn start(server: &mut Server, until: Until) {
    server.start().unwrap();
    if let Err(error) = wait(server, until) {
        panic!(
            "{}\n{}",
            Report::from(error),
            std::fs::read_to_string(&server.options_mut().log).unwrap_or_default()
        );
    }
}

fn stop(server: &mut Server) {
    assert!(server.stop(StopMode::Fast, MINUTE, &Cancel::default()).unwrap());
}

fn sql(server: &Server, statement: &str) -> Option<String> {
    server.connect().unwrap().value(statement).unwrap()
}

/// Commits `rows` rows and returns the position after them, in a segment that is archived.
fn commit(server: &Server, rows: u32) -> Lsn {
    sql(server, &format!("insert into ledger select from generate_series(1, {rows})"));
    let lsn = sql(server, "select pg_current_wal_insert_lsn()").unwrap().parse().unwrap();
    sql(server, "select pg_switch_wal()");
    lsn
}

fn archived(server: &Server) {
    sql(server, "checkpoint");
    let last = sql(server, "select pg_walfile_name(pg_switch_wal())").unwrap();
    for _ in 0..600 {
        if sql(server, "select last_archived_wal from pg_stat_archiver").is_some_and(|done| done >= last) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{last} was not archived");
}

#[test]
fn a_running_server_is_found_by_every_sign() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut server = yard.initdb();
    let dir = yard.path("primary");
    assert_eq!(look(&dir).unwrap(), Running::No);
    start(&mut server, Until::Writable);
    let postmaster = server.pid().unwrap();
    let Running::Yes { pid, why } = look(&dir).unwrap() else { panic!("not found") };
    assert!(pid == postmaster && why.contains("postgres"), "{why}");
    assert!(matches!(server.start(), Err(ClusterError::InUse { .. })));

    let lock = std::fs::read(dir.join("postmaster.pid")).unwrap();
    std::fs::remove_file(dir.join("postmaster.pid")).unwrap();
    assert!(
        matches!(look(&dir).unwrap(), Running::Yes { .. }),
        "a server without its lock file still serves"
    );
    std::fs::write(dir.join("postmaster.pid"), &lock).unwrap();
    yard.give(&dir.join("postmaster.pid"));

    assert_eq!(ControlFile::read(&dir).unwrap().state, State::InProduction);
    stop(&mut server);
    assert_eq!(look(&dir).unwrap(), Running::No);
    assert!(!server.stop(StopMode::Fast, MINUTE, &Cancel::default()).unwrap());
    assert!(ControlFile::read(&dir).unwrap().stopped_cleanly());

    std::fs::write(dir.join("postmaster.pid"), &lock).unwrap();
    yard.give(&dir.join("postmaster.pid"));
    assert!(matches!(look(&dir).unwrap(), Running::Stale { pid } if pid == postmaster), "{:?}", look(&dir));
    start(&mut server, Until::Writable);
    assert!(server.stop(StopMode::Immediate, MINUTE, &Cancel::default()).unwrap());
    assert_eq!(
        ControlFile::read(&dir).unwrap().state,
        State::InProduction,
        "an immediate stop leaves no clean state"
    );
}

#[test]
fn the_control_file_says_what_pg_controldata_prints() {
    for major in 13..=18 {
        let Some(binaries) = installed(major) else { continue };
        if !binaries.program("pg_controldata").exists() {
            eprintln!("skipped: PostgreSQL {major} here has no pg_controldata");
            continue;
        }
        let yard = Yard::new(binaries);
        drop(yard.initdb());
        let dir = yard.path("primary");
        let control = ControlFile::read(&dir).unwrap();
        let text = yard.run("pg_controldata", &[dir.to_str().unwrap()]);
        let told = |label: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(':'));
            line.unwrap_or_else(|| panic!("{label} is not in\n{text}")).trim().to_owned()
        };
        let on_off = |flag: bool| if flag { "on" } else { "off" }.to_owned();
        for (label, ours) in [
            ("Database system identifier", control.system_id.to_string()),
            ("Database cluster state", control.state.to_string()),
            ("Latest checkpoint location", control.checkpoint_lsn.to_string()),
            ("Latest checkpoint's REDO location", control.redo_lsn.to_string()),
            ("Latest checkpoint's TimeLineID", control.timeline.to_string()),
            ("Latest checkpoint's PrevTimeLineID", control.previous_timeline.to_string()),
            ("Minimum recovery ending location", control.min_recovery_lsn.to_string()),
            ("Min recovery ending loc's timeline", control.min_recovery_timeline.to_string()),
            ("Backup start location", control.backup_start_lsn.to_string()),
            ("Backup end location", control.backup_end_lsn.to_string()),
            ("wal_level setting", control.wal_level.to_string()),
            ("wal_log_hints setting", on_off(control.wal_log_hints)),
            ("max_connections setting", control.max_connections.to_string()),
            ("max_worker_processes setting", control.max_worker_processes.to_string()),
            ("max_wal_senders setting", control.max_wal_senders.unwrap().to_string()),
            ("max_prepared_xacts setting", control.max_prepared_xacts.to_string()),
            ("max_locks_per_xact setting", control.max_locks_per_xact.to_string()),
            ("track_commit_timestamp setting", on_off(control.track_commit_timestamp)),
            ("Database block size", control.page_bytes.to_string()),
            ("WAL block size", control.wal_page_bytes.to_string()),
            ("Bytes per WAL segment", control.segment_size.bytes().to_string()),
            ("Data page checksum version", u8::from(control.data_checksums).to_string()),
        ] {
            assert_eq!(told(label), ours, "PostgreSQL {major}: {label}");
        }
        assert_eq!((control.version, control.stray_byte_at), (PgVersion::major(major), None));
    }
}

#[test]
fn pauses_at_the_target_moves_on_and_promotes() {
    for major in 13..=18 {
        let Some(binaries) = installed(major) else { continue };
        if !binaries.program("pg_basebackup").exists() {
            eprintln!("skipped: PostgreSQL {major} here has no pg_basebackup");
            continue;
        }
        pause_move_on_promote(&Yard::new(binaries));
    }
}

fn pause_move_on_promote(yard: &Yard) {
    let mut primary = yard.primary();
    sql(&primary, "create table ledger ()");
    yard.base_backup();
    let first = commit(&primary, 10);
    let second = commit(&primary, 20);
    commit(&primary, 40);
    archived(&primary);
    stop(&mut primary);

    let fetch = yard.fetch_program("fetch", "");
    let written = yard.prepare(&yard.settings(Target::Lsn(first.to_string()), fetch.clone()));
    let mut server = yard.server("restored");
    server.start().unwrap();
    let mut meter = Meter::new(Goal { lsn: Some(first), time: None });
    let seen = server
        .wait(Until::TargetReached, Patience { still: MINUTE }, &Cancel::default(), &mut |seen, _| {
            meter.add(seen.position, seen.at);
        })
        .unwrap_or_else(|error| panic!("{}", Report::from(error)));
    let Phase::Paused(Pause::AtTarget(words)) = &seen.phase else { panic!("{seen:?}") };
    assert!(words.contains("recovery stopping"), "{words}");
    assert!(
        seen.position.exact
            && seen.position.replayed.unwrap() >= first
            && seen.position.last_commit.is_some()
    );
    assert_eq!(sql(&server, "select count(*) from ledger").as_deref(), Some("10"));
    assert!(server.connect().unwrap().is_in_recovery().unwrap());
    assert!(
        matches!(server.retract_settings(&written), Err(ClusterError::WrongState { .. })),
        "still needed"
    );

    let back = yard.settings(Target::Lsn("0/10000".into()), fetch.clone());
    let refused = server.move_on(&written, &back, Timestamp::now(), MINUTE, &Cancel::default()).unwrap_err();
    assert!(refused.to_string().contains("needs a new restore"), "{refused}");
    let later = yard.settings(Target::Lsn(second.to_string()), fetch);
    let written = server.move_on(&written, &later, Timestamp::now(), MINUTE, &Cancel::default()).unwrap();
    assert!(matches!(wait(&mut server, Until::TargetReached).unwrap(), Phase::Paused(Pause::AtTarget(_))));
    assert_eq!(sql(&server, "select count(*) from ledger").as_deref(), Some("30"));

    let patience = Patience { still: MINUTE };
    server
        .promote(patience, &Cancel::default(), &mut |_, _| {})
        .unwrap_or_else(|error| panic!("{}", Report::from(error)));
    sql(&server, "insert into ledger select from generate_series(1, 5)");
    assert_eq!(sql(&server, "select count(*) from ledger").as_deref(), Some("35"));
    let left = server.retract_settings(&written).unwrap();
    assert!(left.others.is_empty(), "{left:?}");
    assert!(left.pending_restart.contains(&"archive_mode".to_owned()), "{left:?}");
    let auto_conf = std::fs::read_to_string(yard.path("restored/postgresql.auto.conf")).unwrap();
    assert!(!auto_conf.contains("recovery_target") && !auto_conf.contains("restore_command"), "{auto_conf}");
    assert!(!yard.path("restored/recovery.signal").exists());
    stop(&mut server);
    start(&mut server, Until::Writable);
    assert_eq!(sql(&server, "select count(*) from ledger").as_deref(), Some("35"));
    stop(&mut server);
}

#[test]
fn a_standby_is_consistent_readable_and_promoted() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut primary = yard.primary();
    sql(&primary, "create table ledger ()");
    yard.base_backup();
    commit(&primary, 10);
    archived(&primary);
    stop(&mut primary);
    let fetch = yard.fetch_program("fetch", "");
    yard.prepare(&yard.settings(Target::Standby, fetch));
    let mut server = yard.server("restored");
    start(&mut server, Until::Consistent);
    assert_eq!(
        wait(&mut server, Until::Readable).unwrap(),
        Phase::Replaying { consistent: true, readable: true }
    );
    for _ in 0..600 {
        if sql(&server, "select count(*) from ledger").as_deref() == Some("10") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Another process that comes later sees the same.
    let mut second = yard.server("restored");
    second.attach().unwrap();
    let seen = second.observe().unwrap();
    assert_eq!(seen.phase, Phase::Replaying { consistent: true, readable: true });
    assert!(seen.position.exact && seen.position.last_commit.is_some(), "{seen:?}");
    sql(&second, "select pg_wal_replay_pause()");
    for _ in 0..600 {
        if second.observe().unwrap().phase == Phase::Paused(Pause::Asked) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(second.observe().unwrap().phase, Phase::Paused(Pause::Asked));
    second.promote(Patience { still: MINUTE }, &Cancel::default(), &mut |_, _| {}).unwrap();
    assert_eq!(server.observe().unwrap().phase, Phase::Primary);
    assert_eq!(sql(&server, "select count(*) from ledger").as_deref(), Some("10"));
    stop(&mut server);
    assert_eq!(second.observe().unwrap().phase, Phase::Ended);
}

#[test]
fn without_hot_standby_the_target_stops_the_server() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut primary = yard.primary();
    sql(&primary, "create table ledger ()");
    yard.base_backup();
    let target = commit(&primary, 10);
    commit(&primary, 20);
    archived(&primary);
    stop(&mut primary);
    let fetch = yard.fetch_program("fetch", "sleep 0.3");
    yard.prepare(&yard.settings(Target::Lsn(target.to_string()), fetch));
    let mut server = yard.server("restored");
    server.options_mut().settings.push(("hot_standby".into(), "off".into()));
    server.start().unwrap();
    let (mut named, mut waited) = (None, false);
    let seen = server
        .wait(Until::TargetReached, Patience { still: MINUTE }, &Cancel::default(), &mut |seen, _| {
            named = named.max(seen.position.replayed);
            waited |= seen.waits_for.as_ref().is_some_and(|what| what.contains("restore_command"));
        })
        .unwrap_or_else(|error| panic!("{}", Report::from(error)));
    assert_eq!(seen.phase, Phase::Ended);
    assert!(waited && named.is_some_and(|lsn| lsn > Lsn(0)), "{named:?}");
    assert_eq!(ControlFile::read(&yard.path("restored")).unwrap().state, State::ShutDownInRecovery);
}

#[test]
fn limits_that_are_too_low_are_named() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut primary = yard.primary();
    sql(&primary, "create table ledger ()");
    yard.base_backup();
    stop(&mut primary);
    primary.options_mut().settings.push(("max_connections".into(), "50".into()));
    start(&mut primary, Until::Writable);
    commit(&primary, 10);
    archived(&primary);
    stop(&mut primary);
    let fetch = yard.fetch_program("fetch", "");
    yard.prepare(&yard.settings(Target::Default, fetch));
    let mut server = yard.server("restored");
    server.start().unwrap();
    let error = wait(&mut server, Until::TargetReached).unwrap_err();
    assert!(error.to_string().contains("insufficient parameter settings"), "{error}");
    stop(&mut server);
    server.start().unwrap();
    let report = Report::from(wait(&mut server, Until::TargetReached).unwrap_err());
    assert!(report.to_string().contains("max_connections"), "{report}");
    let minimums = ControlFile::read(&yard.path("restored")).unwrap().standby_minimums();
    for (name, value) in minimums {
        server.options_mut().settings.push((name.into(), value.to_string()));
    }
    assert!(!server.stop(StopMode::Fast, MINUTE, &Cancel::default()).unwrap(), "it refused to start");
    start(&mut server, Until::Writable);
    stop(&mut server);
}

#[test]
fn an_unreachable_target_is_explained() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut primary = yard.primary();
    sql(&primary, "create table ledger ()");
    yard.base_backup();
    commit(&primary, 10);
    archived(&primary);
    stop(&mut primary);
    let fetch = yard.fetch_program("fetch", "");
    let written = yard.prepare(&yard.settings(Target::Name("no-such-point".into()), fetch));
    assert!(written.iter().any(|line| line.value == "no-such-point"));
    let mut server = yard.server("restored");
    server.start().unwrap();
    let error = wait(&mut server, Until::TargetReached).unwrap_err();
    let report = Report::from(error);
    assert_eq!(report.kind, Kind::TargetUnreachable, "{report}");
    assert!(
        report.headline.contains("recovery ended before configured recovery target was reached"),
        "{report}"
    );
    assert!(report.hint.clone().unwrap().contains("nearest targets"), "{report}");
    assert_eq!(look(&yard.path("restored")).unwrap(), Running::No);

    let mut primary = yard.server("primary");
    primary.options_mut().settings.push(("shared_preload_libraries".into(), "no_such_library".into()));
    primary.start().unwrap();
    let report = Report::from(wait(&mut primary, Until::Writable).unwrap_err());
    assert!(report.headline.contains("shared_preload_libraries is not installed"), "{report}");
    primary.options_mut().settings.pop();
    primary.options_mut().config_file = Some(yard.path("missing.conf"));
    primary.start().unwrap();
    let report = Report::from(wait(&mut primary, Until::Writable).unwrap_err());
    assert!(report.headline.contains("missing.conf"), "{report}");
}

#[test]
fn slow_is_not_stuck() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut primary = yard.primary();
    sql(&primary, "create table ledger ()");
    yard.base_backup();
    commit(&primary, 10);
    archived(&primary);
    stop(&mut primary);
    let patience = Patience { still: Duration::from_secs(4) };

    // Works for longer than there is patience, once, and then delivers.
    let once = yard.path("worked");
    let busy = format!("[ -e {0} ] || timeout 7 sh -c 'while :; do :; done'; : > {0}", once.display());
    let mut settings = yard.settings(Target::Default, yard.fetch_program("slow", &busy));
    settings.action = TargetAction::Promote;
    let written = yard.prepare(&settings);
    let mut server = yard.server("restored");
    server.start().unwrap();
    let mut slowest = Duration::ZERO;
    let seen = server.wait(Until::Writable, patience, &Cancel::default(), &mut |_, pace| {
        if let Pace::Slow { standing } = pace {
            slowest = slowest.max(standing);
        }
    });
    assert_eq!(seen.unwrap_or_else(|error| panic!("{}", Report::from(error))).phase, Phase::Primary);
    assert!(slowest > patience.still, "{slowest:?}");
    assert!(!written.is_empty());
    stop(&mut server);

    // Never comes back: named with what it hangs on, and the server is left alone.
    std::fs::remove_dir_all(yard.path("restored")).unwrap();
    start(&mut primary, Until::Writable);
    yard.base_backup();
    archived(&primary);
    stop(&mut primary);
    yard.prepare(&yard.settings(Target::Default, yard.fetch_program("hangs", "exec sleep 1000")));
    let mut server = yard.server("restored");
    server.start().unwrap();
    let error = server.wait(Until::Consistent, patience, &Cancel::default(), &mut |_, _| {}).unwrap_err();
    let ClusterError::Stuck { why, standing_s, .. } = &error else { panic!("{error}") };
    assert!(why.contains("sleep 1000") && *standing_s >= 4, "{error}");
    let cancelled = Cancel::default();
    cancelled.request();
    assert!(matches!(
        server.wait(Until::Consistent, patience, &cancelled, &mut |_, _| {}),
        Err(ClusterError::Cancelled)
    ));
    assert!(matches!(look(&yard.path("restored")).unwrap(), Running::Yes { .. }));
    assert!(server.stop(StopMode::Fast, MINUTE, &Cancel::default()).unwrap());
}

#[test]
fn a_database_lost_in_an_interrupted_drop_is_found() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut primary = yard.primary();
    sql(&primary, "create table ledger ()");
    sql(&primary, "create database orders");
    yard.base_backup();
    commit(&primary, 10);
    let mut session = primary.connect().unwrap();
    session.rows("drop database orders").unwrap();
    // Its commit is the last one before this transaction.
    let xid: u32 =
        session.value("select (pg_current_xact_id()::text::bigint - 1)").unwrap().unwrap().parse().unwrap();
    archived(&primary);
    stop(&mut primary);
    let mut settings = yard.settings(Target::Xid(xid.to_string()), yard.fetch_program("fetch", ""));
    settings.exclusive = true;
    settings.action = TargetAction::Promote;
    yard.prepare(&settings);
    let mut server = yard.server("restored");
    start(&mut server, Until::Writable);
    assert_eq!(sql(&server, "select count(*) from ledger").as_deref(), Some("10"));
    let checks = check_every_database(&server.address(), Some(server.owner())).unwrap();
    let verdict =
        |name: &str| checks.iter().find(|check| check.database.name == name).unwrap().verdict.clone();
    assert!(matches!(verdict("orders"), Verdict::Broken { .. }), "{checks:?}");
    assert_eq!(
        (verdict("postgres"), verdict("template1"), verdict("template0")),
        (Verdict::Sound, Verdict::Sound, Verdict::Closed)
    );
    stop(&mut server);
}

#[test]
fn root_passes_a_peer_check_through_psql() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut server = yard.initdb();
    let hba = yard.path("primary/pg_hba.conf");
    std::fs::write(&hba, "local all all peer\n").unwrap();
    start(&mut server, Until::Writable);
    let user = server.owner().name.clone();
    let mut address = server.address();
    let direct = Sql::connect(&address, None);
    if is_root() {
        assert!(matches!(direct, Err(SqlError::Denied { .. })), "{direct:?}");
        let mut session = Sql::connect(&address, Some(server.owner())).unwrap();
        assert!(session.through_psql());
        assert_eq!(session.value("select session_user").unwrap().as_deref(), Some(user.as_str()));
        let rows = session.rows("select 'a' || chr(10) || 'b', null, ''").unwrap();
        assert_eq!(rows, [[Some("a\nb".to_owned()), None, Some(String::new())]]);
        assert!(matches!(session.rows("select 1/0"), Err(SqlError::Failed { code, .. }) if code == "22012"));
        assert!(check_every_database(&address, Some(server.owner())).unwrap().len() == 3);
    } else {
        eprintln!("skipped: only root is refused by a peer check");
    }
    address.user = "nobody_here".to_owned();
    assert!(matches!(Sql::connect(&address, Some(server.owner())), Err(SqlError::Denied { .. })));
    stop(&mut server);
}

#[test]
fn sessions_are_limited_and_say_why_they_fail() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut server = yard.initdb();
    start(&mut server, Until::Writable);
    let mut address = server.address();
    address.statement_limit = Duration::from_millis(300);
    let mut session = Sql::connect(&address, None).unwrap();
    assert!(
        matches!(session.rows("select pg_sleep(60)"), Err(SqlError::Failed { code, .. }) if code == "57014")
    );
    assert_eq!(
        session.value("select 41 + 1").unwrap().as_deref(),
        Some("42"),
        "the session survives its limit"
    );
    assert!(matches!(session.rows("selec 1"), Err(SqlError::Failed { code, .. }) if code == "42601"));
    let missing = Sql::connect(&address.with_database("no such"), None).unwrap_err();
    assert!(missing.to_string().contains("\"no such\" does not exist"), "{missing}");
    stop(&mut server);
    assert!(matches!(session.rows("select 1"), Err(SqlError::Lost { .. })));
}

#[test]
fn a_password_over_tcp_is_used_and_never_shown() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    let mut server = yard.initdb();
    std::fs::write(
        yard.path("primary/pg_hba.conf"),
        "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    server.options_mut().port = free;
    server.options_mut().listen_addresses = "127.0.0.1".into();
    start(&mut server, Until::Writable);
    sql(&server, "create role clerk login password 'open sesame'");
    let mut address = server.address();
    address.host = Host::Tcp("127.0.0.1".into());
    address.user = "clerk".into();
    assert!(matches!(Sql::connect(&address, None), Err(SqlError::Denied { .. })));
    address.password = Some(Secret::new("wrong guess"));
    let denied = Sql::connect(&address, None).unwrap_err();
    assert!(matches!(denied, SqlError::Denied { .. }) && !denied.to_string().contains("guess"), "{denied}");
    address.password = Some(Secret::new("open sesame"));
    let mut session = Sql::connect(&address, None).unwrap();
    assert_eq!(session.value("select session_user").unwrap().as_deref(), Some("clerk"));
    assert!(!format!("{address:?} {session:?}").contains("sesame"));
    stop(&mut server);
}

#[test]
fn a_configuration_beside_the_data_directory_cannot_redirect_it() {
    let Some(binaries) = installed(15) else { return };
    let yard = Yard::new(binaries);
    drop(yard.initdb());
    let dir = yard.path("primary");
    let conf = yard.path("split.conf");
    std::fs::rename(dir.join("postgresql.conf"), &conf).unwrap();
    let text = std::fs::read_to_string(&conf).unwrap()
        + "\ndata_directory = '/nonexistent/production'\nwork_mem = '7MB'\n";
    std::fs::write(&conf, text).unwrap();
    yard.give(&conf);
    let mut server = yard.server("primary");
    server.options_mut().config_file = Some(conf);
    start(&mut server, Until::Writable);
    let mut session = server.connect().unwrap();
    assert_eq!(session.data_directory().unwrap(), dir.canonicalize().unwrap());
    assert_eq!(session.value("show work_mem").unwrap().as_deref(), Some("7MB"));
    stop(&mut server);
}
