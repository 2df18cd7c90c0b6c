//! The situations: how each is made, and what is to be proposed in it.

use crate::cluster::{STANZA, run, wait_for};
use crate::damage::flip_bit;
use crate::patroni::{LED, Recorded};
use crate::real_patroni::{self, real};
use crate::world::{Answers, STANDBY_PORT, World, postmaster, signal_family};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// One situation.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Runs without being asked for.
    pub(crate) default: bool,
    /// Makes it and asks; nothing where it cannot be made here.
    pub(crate) make: fn(&mut World) -> Option<Answers>,
    /// The questions it is about.
    pub(crate) expected: &'static [(&'static str, &'static str)],
}

/// The situations in which what can be seen from here does not decide.
pub(crate) const UNDECIDABLE: &[&str] = &[
    "primary hung",
    "primary on another host is silent",
    "primary on another host refuses, nobody else is asked",
    "an open transaction and no check of the application",
    "patroni silent",
    "patroni refuses",
    "repository hangs",
    "primary killed, its start not disabled",
];

/// A port nobody listens at and that no other program is given by chance.
const CLOSED_PORT: u16 = 1;

const fn row(
    name: &'static str,
    make: fn(&mut World) -> Option<Answers>,
    expected: &'static [(&'static str, &'static str)],
) -> Row {
    Row { name, default: false, make, expected }
}

const fn default(
    name: &'static str,
    make: fn(&mut World) -> Option<Answers>,
    expected: &'static [(&'static str, &'static str)],
) -> Row {
    Row { name, default: true, make, expected }
}

pub(crate) const ROWS: &[Row] = &[
    default(
        "all well, alone",
        |world| world.survey(&["--write-test"]),
        &[
            ("primary-alive", "yes"),
            ("what-hinders", "nothing"),
            ("corruption", "none"),
            ("does-it-start", "yes"),
            ("replica-healthy", "no"),
            ("fenced", "no"),
            ("failed-over", "no-patroni"),
            ("repository-usable", "yes"),
            ("committed", "yes"),
        ],
    ),
    default(
        "bad update, committed",
        bad_update,
        &[("corruption", "logical"), ("committed", "yes"), ("what-hinders", "nothing")],
    ),
    row(
        "table dropped",
        table_dropped,
        &[("corruption", "logical"), ("committed", "yes"), ("primary-alive", "yes")],
    ),
    default(
        "bad update, not committed",
        |world| open_transaction(world, true),
        &[("committed", "no"), ("corruption", "none")],
    ),
    default(
        "an open transaction and no check of the application",
        |world| open_transaction(world, false),
        &[("committed", "unknown")],
    ),
    row("a prepared transaction waits", prepared, &[("committed", "no")]),
    default("read-only by default", read_only, &[("what-hinders", "read-only"), ("primary-alive", "yes")]),
    default(
        "commits hang on a synchronous standby",
        |world| commits_hang(world, true),
        &[("what-hinders", "commits-hang"), ("primary-alive", "yes")],
    ),
    row(
        "commits hang, seen without a write test",
        |world| commits_hang(world, false),
        &[("what-hinders", "commits-hang"), ("primary-alive", "yes")],
    ),
    default("archive stuck", archive_stuck, &[("what-hinders", "archive-stuck"), ("primary-alive", "yes")]),
    row(
        "certificate expired",
        certificate_expired,
        &[("what-hinders", "certificate"), ("primary-alive", "yes")],
    ),
    row("pg_wal full, alive", wal_full, &[("what-hinders", "disk-full"), ("primary-alive", "yes")]),
    row("pg_wal full, dead", wal_full_dead, &[("primary-alive", "no"), ("does-it-start", "yes")]),
    row("too many clients", too_many_clients, &[("primary-alive", "yes")]),
    row("nobody is let in", nobody_let_in, &[("primary-alive", "yes")]),
    row("repository stale", repository_stale, &[("repository-usable", "stale")]),
    default(
        "repository missing",
        |world| repositories_aside(world, &["repo1", "repo2"]),
        &[("repository-usable", "no")],
    ),
    row(
        "one of two repositories missing",
        |world| repositories_aside(world, &["repo1"]),
        &[("repository-usable", "yes")],
    ),
    row("repository with the wrong key", wrong_key, &[("repository-usable", "no")]),
    row("repository with a hole in its WAL", hole, &[("repository-usable", "stale")]),
    row("repository hangs", repository_hangs, &[("repository-usable", "unknown"), ("primary-alive", "yes")]),
    default("patroni up, the primary leads", |world| patroni(world, LED), &[("failed-over", "no")]),
    row(
        "patroni failed over",
        |world| patroni(world, Recorded { leader: Some(STANDBY_PORT), ..LED }),
        &[("failed-over", "yes")],
    ),
    row(
        "patroni 4 failed over",
        |world| patroni(world, Recorded { leader: Some(STANDBY_PORT), version_4: true, ..LED }),
        &[("failed-over", "yes")],
    ),
    row(
        "patroni paused without a leader",
        |world| patroni(world, Recorded { leader: None, paused: true, ..LED }),
        &[("failed-over", "no")],
    ),
    row(
        "patroni without a leader",
        |world| patroni(world, Recorded { leader: None, ..LED }),
        &[("failed-over", "no"), ("what-hinders", "nothing")],
    ),
    default(
        "real patroni, the primary leads",
        |world| real(world, |_| {}),
        &[
            ("failed-over", "no"),
            ("primary-alive", "yes"),
            ("what-hinders", "nothing"),
            ("replica-healthy", "yes"),
            ("fenced", "no"),
        ],
    ),
    row(
        "real patroni, paused",
        |world| real(world, real_patroni::pause),
        &[
            ("failed-over", "no"),
            ("primary-alive", "yes"),
            ("what-hinders", "nothing"),
            ("replica-healthy", "yes"),
        ],
    ),
    row(
        "real patroni, its store is gone",
        |world| real(world, real_patroni::lose_store),
        &[("what-hinders", "quorum-lost"), ("primary-alive", "yes")],
    ),
    row(
        "real patroni, the leader's server killed and started again",
        real_patroni::killed_leader,
        &[
            ("failed-over", "no"),
            ("primary-alive", "yes"),
            ("what-hinders", "nothing"),
            ("replica-healthy", "yes"),
            ("fenced", "no"),
        ],
    ),
    row(
        "real patroni, the other one leads after a switch",
        |world| real(world, real_patroni::switch_over),
        &[
            ("failed-over", "yes"),
            ("primary-alive", "yes"),
            ("what-hinders", "nothing"),
            ("replica-healthy", "yes"),
        ],
    ),
    row("patroni silent", patroni_silent, &[("failed-over", "unknown")]),
    row("patroni refuses", patroni_refuses, &[("failed-over", "unknown")]),
    default(
        "one bit of a table flipped, read",
        |world| flipped(world, "t", true),
        &[("corruption", "physical"), ("primary-alive", "yes")],
    ),
    row(
        "one bit of a table flipped, never read",
        |world| flipped(world, "t", false),
        &[("corruption", "physical")],
    ),
    row("one bit of an index flipped", |world| flipped(world, "t_pkey", false), &[("corruption", "index")]),
    row("primary hung", primary_hung, &[("primary-alive", "unknown")]),
    row(
        "primary on another host is silent",
        elsewhere_silent,
        &[("primary-alive", "unknown"), ("fenced", "unknown"), ("does-it-start", "unknown")],
    ),
    row(
        "primary on another host refuses, nobody else is asked",
        elsewhere_refused,
        &[("primary-alive", "unknown")],
    ),
    default(
        "primary killed, its start not disabled",
        killed,
        &[
            ("primary-alive", "no"),
            ("does-it-start", "yes"),
            ("fenced", "unknown"),
            ("replica-healthy", "no"),
        ],
    ),
    row("primary stopped in order", stopped, &[("primary-alive", "no"), ("does-it-start", "yes")]),
    row(
        "a library is missing",
        |world| broken_start(world, "shared_preload_libraries = 'no_such_library'"),
        &[("primary-alive", "no"), ("does-it-start", "yes")],
    ),
    row(
        "a wrong line in the configuration",
        |world| broken_start(world, "shared_buffers = lots"),
        &[("primary-alive", "no"), ("does-it-start", "yes")],
    ),
    row("pg_control damaged", control_damaged, &[("primary-alive", "no"), ("does-it-start", "no")]),
    default("WAL lost after a crash", wal_lost, &[("primary-alive", "no"), ("does-it-start", "no")]),
    row("a catalog file is missing", file_missing, &[("primary-alive", "no"), ("does-it-start", "no")]),
    row("data directory lost", directory_lost, &[("primary-alive", "no"), ("does-it-start", "no")]),
    row(
        "old primary in quarantine",
        quarantined,
        &[("fenced", "yes"), ("does-it-start", "no"), ("primary-alive", "no")],
    ),
    default(
        "standby fine",
        |world| with_standby(world, "", |_| {}),
        &[("replica-healthy", "yes"), ("primary-alive", "yes"), ("corruption", "none")],
    ),
    row(
        "standby delayed on purpose",
        |world| with_standby(world, "recovery_min_apply_delay = '1h'", |_| {}),
        &[("replica-healthy", "lagging")],
    ),
    row("standby paused", |world| with_standby(world, "", pause), &[("replica-healthy", "lagging")]),
    row(
        "standby dead",
        |world| with_standby(world, "", World::stop_standby),
        &[("replica-healthy", "no"), ("primary-alive", "yes")],
    ),
    row("standby gone another way", parted, &[("replica-healthy", "no"), ("primary-alive", "yes")]),
    row("two primaries", two_primaries, &[("primary-alive", "yes"), ("fenced", "no")]),
    default(
        "primary killed, the standby has everything",
        killed_with_standby,
        &[("primary-alive", "no"), ("replica-healthy", "yes"), ("does-it-start", "yes")],
    ),
    row(
        "primary killed, the standby lacks the end",
        killed_ahead,
        &[("primary-alive", "no"), ("replica-healthy", "lagging")],
    ),
    row(
        "primary's disk lost, the standby lacks an unknown tail",
        tail_unknown,
        &[("primary-alive", "no"), ("does-it-start", "no"), ("replica-healthy", "lagging")],
    ),
    row(
        "unreachable, but the standby still receives",
        unreachable_alive,
        &[("primary-alive", "yes"), ("fenced", "no")],
    ),
    row("refused from another host, and the standby lost it too", refused_twice, &[("primary-alive", "no")]),
    row("quorum lost", quorum_lost, &[("what-hinders", "quorum-lost"), ("primary-alive", "yes")]),
    row("transaction ids run out", wraparound, &[("what-hinders", "wraparound"), ("primary-alive", "yes")]),
];

fn bad_update(world: &mut World) -> Option<Answers> {
    world.cluster.ask("update t set note = 'wrong'");
    world.monitor(false);
    world.survey(&["--write-test"])
}

fn table_dropped(world: &mut World) -> Option<Answers> {
    world.cluster.ask("create table gone (id int); drop table gone");
    world.monitor(false);
    world.survey(&[])
}

fn open_transaction(world: &mut World, checked: bool) -> Option<Answers> {
    if !checked {
        world.without_monitor();
    }
    world.session("begin; delete from t;");
    let open = "select count(*) from pg_stat_activity where backend_xid is not null and state = 'idle in transaction'";
    wait_for("the transaction is open", || world.cluster.ask(open) == "1");
    let answers = world.survey(&[]);
    world.end_sessions();
    wait_for("the transaction is gone", || world.cluster.ask(open) == "0");
    answers
}

fn prepared(world: &mut World) -> Option<Answers> {
    world.cluster.ask("alter system set max_prepared_transactions = 5");
    world.cluster.stop();
    world.cluster.start();
    world.session("begin; delete from t where id = 1; prepare transaction 'two';");
    wait_for("it is prepared", || world.cluster.ask("select count(*) from pg_prepared_xacts") == "1");
    world.end_sessions();
    let answers = world.survey(&[]);
    world.cluster.ask("rollback prepared 'two'");
    answers
}

/// Sets something for the time of a survey.
fn setting(world: &mut World, name: &str, value: &str, arguments: &[&str]) -> Option<Answers> {
    world.cluster.ask(&format!("alter system set {name} = '{value}'"));
    world.cluster.ask("select pg_reload_conf()");
    wait_for("the setting holds", || world.cluster.ask(&format!("show {name}")) == value);
    let answers = world.survey(arguments);
    // Not by ALTER SYSTEM: the setting may forbid to write, or make it wait.
    let file = world.cluster.data().join("postgresql.auto.conf");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, without_lines(&text, name)).unwrap();
    world.cluster.ask("select pg_reload_conf()");
    wait_for("the setting is gone", || world.cluster.ask(&format!("show {name}")) != value);
    answers
}

fn read_only(world: &mut World) -> Option<Answers> {
    setting(world, "default_transaction_read_only", "on", &["--write-test"])
}

fn commits_hang(world: &mut World, written: bool) -> Option<Answers> {
    if written {
        let before = world.cluster.ask("select count(*) from pg_class");
        let answers = setting(world, "synchronous_standby_names", "nobody", &["--write-test"]);
        let left = "select (select count(*) from pg_stat_activity where application_name = 'pgmayday') + \
                    (select count(*) from pg_prepared_xacts) + (select count(*) from pg_replication_slots)";
        wait_for("nothing of the write test is left", || world.cluster.ask(left) == "0");
        assert_eq!(world.cluster.ask("select count(*) from pg_class"), before);
        return answers;
    }
    world.cluster.ask("alter system set synchronous_standby_names = 'nobody'");
    world.cluster.ask("select pg_reload_conf()");
    world.session("insert into t values (-1, 'waits');");
    let waits =
        "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and now() - query_start > '6 s'";
    wait_for("a commit has waited", || world.cluster.ask(waits) == "1");
    let answers = world.survey(&[]);
    world.spoil();
    answers
}

fn archive_stuck(world: &mut World) -> Option<Answers> {
    let works = world.cluster.archive_command(true);
    world.cluster.archive_with("false");
    for _ in 0..4 {
        world.cluster.switch();
    }
    let failed = "select last_failed_time > coalesce(last_archived_time, '-infinity') from pg_stat_archiver";
    wait_for("archiving fails", || world.cluster.ask(failed) == "t");
    let answers = world.survey(&[]);
    world.cluster.archive_with(&works);
    let last = world.cluster.switch();
    world.cluster.wait_archived(&last);
    answers
}

fn certificate_expired(world: &mut World) -> Option<Answers> {
    let data = world.cluster.data();
    let at = |name: &str| data.join(name);
    run(Command::new("openssl")
        .args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout"])
        .arg(at("server.key"))
        .arg("-out")
        .arg(at("server.csr")));
    run(Command::new("openssl")
        .args(["x509", "-req", "-days", "-1", "-in"])
        .arg(at("server.csr"))
        .arg("-signkey")
        .arg(at("server.key"))
        .arg("-out")
        .arg(at("server.crt")));
    run(Command::new("chmod").arg("600").arg(at("server.key")));
    world.cluster.give(&at("server.key"));
    world.cluster.give(&at("server.crt"));
    world.cluster.ask("alter system set ssl = on");
    world.cluster.ask("select pg_reload_conf()");
    wait_for("TLS is on", || world.cluster.ask("show ssl") == "on");
    let answers = world.survey(&[]);
    world.cluster.ask("alter system reset ssl");
    world.cluster.ask("select pg_reload_conf()");
    answers
}

/// `pg_wal` on a file system of its own with little room.
fn small_wal(world: &mut World, size: &str) -> Option<()> {
    world.cluster.archive_with("");
    world.cluster.stop();
    let mounted = world.mount(&world.cluster.data().join("pg_wal"), size);
    world.cluster.start();
    world.spoil();
    mounted
}

fn wal_full(world: &mut World) -> Option<Answers> {
    small_wal(world, "60m")?;
    let filler = world.cluster.data().join("pg_wal/filler");
    run(Command::new("fallocate").args(["-l", "40m"]).arg(filler));
    world.survey(&["--write-test"])
}

fn wal_full_dead(world: &mut World) -> Option<Answers> {
    small_wal(world, "40m")?;
    // It writes until it finds no room, and stops itself.
    let fill = "insert into t select g, repeat('x', 500) from generate_series(10000, 200000) g";
    let _fails = world.cluster.psql(fill).output().unwrap();
    wait_for("the server has stopped", || !world.cluster.psql("select 1").output().unwrap().status.success());
    std::thread::sleep(std::time::Duration::from_secs(1));
    // It may be trying to start again.
    world.kill();
    world.survey(&[])
}

fn too_many_clients(world: &mut World) -> Option<Answers> {
    world.cluster.ask("alter system set max_connections = 7");
    world.cluster.ask("alter system set max_wal_senders = 0");
    world.cluster.stop();
    world.cluster.start();
    for _ in 0..7 {
        world.session("select 1;");
    }
    wait_for("nobody else gets in", || !world.cluster.psql("select 1").output().unwrap().status.success());
    world.spoil();
    world.survey(&[])
}

fn nobody_let_in(world: &mut World) -> Option<Answers> {
    let hba = world.cluster.data().join("pg_hba.conf");
    fs::write(&hba, "local all all reject\n").unwrap();
    run(Command::new("kill").arg("-HUP").arg(postmaster(&world.cluster.data()).to_string()));
    wait_for("nobody gets in", || !world.cluster.psql("select 1").output().unwrap().status.success());
    world.spoil();
    world.survey(&[])
}

fn repository_stale(world: &mut World) -> Option<Answers> {
    "backup-age = '1s'".clone_into(&mut world.site);
    // The newest backup may have ended just now; ages are counted from whole seconds.
    std::thread::sleep(std::time::Duration::from_secs(3));
    world.survey(&[])
}

fn repositories_aside(world: &mut World, names: &[&str]) -> Option<Answers> {
    let aside = |world: &World, name: &str| world.cluster.path(&format!("{name}.aside"));
    for name in names {
        fs::rename(world.cluster.path(name), aside(world, name)).unwrap();
    }
    let answers = world.survey(&[]);
    for name in names {
        fs::rename(aside(world, name), world.cluster.path(name)).unwrap();
    }
    answers
}

/// Only this repository, under these settings.
fn only_repository(world: &mut World, change: &dyn Fn(String) -> String) -> Option<Answers> {
    let file = world.cluster.config();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, change(text.clone())).unwrap();
    let answers = world.survey(&[]);
    fs::write(&file, text).unwrap();
    answers
}

fn without_lines(text: &str, prefix: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with(prefix)).collect()
}

fn wrong_key(world: &mut World) -> Option<Answers> {
    only_repository(world, &|text| {
        let second = without_lines(&without_lines(&text, "repo1-"), "repo2-cipher-pass=");
        second.replace("repo2-cipher-type=", "repo2-cipher-pass=wrong\nrepo2-cipher-type=")
    })
}

fn hole(world: &mut World) -> Option<Answers> {
    let segments: Vec<String> = (0..3).map(|_| world.cluster.switch()).collect();
    world.cluster.wait_archived(&segments[2]);
    let middle = world.cluster.files(1).into_iter().find(|name| name.contains(&segments[1])).unwrap();
    let path = world.cluster.path(&format!("repo1/archive/{STANZA}/{middle}"));
    fs::remove_file(path).unwrap();
    world.spoil();
    only_repository(world, &|text| without_lines(&text, "repo2-"))
}

fn repository_hangs(world: &mut World) -> Option<Answers> {
    let info = world.cluster.path(&format!("repo1/backup/{STANZA}/backup.info"));
    fs::remove_file(&info).unwrap();
    run(Command::new("mkfifo").arg(&info));
    world.cluster.give(&info);
    world.spoil();
    only_repository(world, &|text| without_lines(&text, "repo2-"))
}

fn patroni(world: &mut World, recorded: Recorded) -> Option<Answers> {
    world.patroni(recorded);
    world.survey(&["--write-test"])
}

fn patroni_silent(world: &mut World) -> Option<Answers> {
    let _listener = world.silent_patroni();
    world.survey(&[])
}

fn patroni_refuses(world: &mut World) -> Option<Answers> {
    world.site = format!("patroni = ['http://127.0.0.1:{CLOSED_PORT}']");
    world.survey(&[])
}

fn flipped(world: &mut World, relation: &str, read: bool) -> Option<Answers> {
    world.flip(relation, 1);
    if read {
        let failed = world.cluster.psql(&format!("select count(*) from {relation}")).output().unwrap();
        assert!(!failed.status.success(), "the damage is not seen");
        return world.survey(&[]);
    }
    world.survey(&["--pages"])
}

fn primary_hung(world: &mut World) -> Option<Answers> {
    let pid = postmaster(&world.cluster.data());
    signal_family(pid, "STOP");
    let answers = world.survey(&["--write-test"]);
    signal_family(pid, "CONT");
    answers
}

/// The primary is another host's, at this address of ours.
fn elsewhere(world: &mut World, port: u16) -> Option<Answers> {
    only_repository(world, &|text| {
        let text = without_lines(&text, "pg1-socket-path");
        format!("{text}pg1-host=127.0.0.1\npg1-port={port}\n")
    })
}

fn elsewhere_silent(world: &mut World) -> Option<Answers> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere(world, listener.local_addr().unwrap().port())
}

fn elsewhere_refused(world: &mut World) -> Option<Answers> {
    elsewhere(world, CLOSED_PORT)
}

fn killed(world: &mut World) -> Option<Answers> {
    world.kill();
    world.survey(&["--write-test"])
}

fn stopped(world: &mut World) -> Option<Answers> {
    world.cluster.stop();
    let answers = world.survey(&[]);
    world.cluster.start();
    answers
}

fn broken_start(world: &mut World, line: &str) -> Option<Answers> {
    world.cluster.stop();
    world.spoil();
    let conf = world.cluster.data().join("postgresql.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, format!("{text}\n{line}\n")).unwrap();
    let log = fs::OpenOptions::new().append(true).open(world.cluster.path("server.log")).unwrap();
    let mut server = world.cluster.command(&Path::new(crate::world::BIN).join("postgres"));
    let failed = server
        .arg("-D")
        .arg(world.cluster.data())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .status()
        .unwrap();
    assert!(!failed.success(), "it starts");
    world.survey(&[])
}

fn control_damaged(world: &mut World) -> Option<Answers> {
    world.kill();
    flip_bit(&world.cluster.data().join("global/pg_control"), 40);
    world.survey(&[])
}

fn wal_lost(world: &mut World) -> Option<Answers> {
    world.kill();
    world.lose_wal();
    world.survey(&[])
}

fn file_missing(world: &mut World) -> Option<Answers> {
    world.kill();
    fs::remove_file(world.cluster.data().join("global/pg_filenode.map")).unwrap();
    world.survey(&[])
}

fn directory_lost(world: &mut World) -> Option<Answers> {
    world.kill();
    fs::rename(world.cluster.data(), world.cluster.path("lost")).unwrap();
    // The program is called in the data directory: an empty one stands where a mount would be.
    fs::create_dir(world.cluster.data()).unwrap();
    world.cluster.give(&world.cluster.data());
    world.survey(&[])
}

fn quarantined(world: &mut World) -> Option<Answers> {
    world.kill();
    let global = world.cluster.data().join("global");
    fs::rename(global.join("pg_control"), global.join("pg_control.quarantined")).unwrap();
    world.survey(&[])
}

fn with_standby(world: &mut World, settings: &str, change: fn(&mut World)) -> Option<Answers> {
    world.add_standby(settings);
    change(world);
    world.survey(&[])
}

fn pause(world: &mut World) {
    world.on_standby("select pg_wal_replay_pause()").unwrap();
    wait_for("replay is paused", || {
        world.on_standby("select pg_get_wal_replay_pause_state()").as_deref() == Some("paused")
    });
}

fn parted(world: &mut World) -> Option<Answers> {
    world.add_standby("");
    world.promote_standby();
    world.on_standby("insert into t values (-5, 'another way'); checkpoint").unwrap();
    world.stop_standby();
    fs::write(world.standby_data().join("standby.signal"), "").unwrap();
    world.cluster.give(&world.standby_data().join("standby.signal"));
    world.start_standby();
    world.survey(&[])
}

fn two_primaries(world: &mut World) -> Option<Answers> {
    world.add_standby("");
    world.promote_standby();
    world.survey(&[])
}

fn killed_with_standby(world: &mut World) -> Option<Answers> {
    world.add_standby("");
    world.cluster.ask("insert into t select g, 'x' from generate_series(10000, 12000) g");
    let behind = "select count(*) from pg_stat_replication where flush_lsn = pg_current_wal_lsn()";
    wait_for("the standby has all", || world.cluster.ask(behind) == "1");
    world.kill();
    lost(world);
    world.survey(&[])
}

/// The standby has seen that its primary is gone.
fn lost(world: &World) {
    wait_for("the standby has lost it", || {
        world.on_standby("select count(*) from pg_stat_wal_receiver where status = 'streaming'").as_deref()
            == Some("0")
    });
}

fn killed_ahead(world: &mut World) -> Option<Answers> {
    world.add_standby("");
    world.freeze_receiver();
    world.cluster.ask("insert into t select g, 'x' from generate_series(10000, 12000) g");
    // What was sent waits in the socket; more than it holds does not get there.
    world.cluster.ask("insert into t select g, repeat('x', 1000) from generate_series(20000, 40000) g");
    world.kill();
    world.thaw_receiver();
    lost(world);
    world.survey(&[])
}

fn tail_unknown(world: &mut World) -> Option<Answers> {
    world.add_standby("");
    world.kill();
    lost(world);
    fs::rename(world.cluster.data(), world.cluster.path("lost")).unwrap();
    fs::create_dir(world.cluster.data()).unwrap();
    world.cluster.give(&world.cluster.data());
    world.survey(&[])
}

fn unreachable_alive(world: &mut World) -> Option<Answers> {
    world.add_standby("");
    elsewhere_silent(world)
}

fn refused_twice(world: &mut World) -> Option<Answers> {
    world.add_standby("");
    world.kill();
    lost(world);
    elsewhere(world, CLOSED_PORT)
}

fn quorum_lost(world: &mut World) -> Option<Answers> {
    world.add_standby("");
    world.cluster.stop();
    // Patroni makes the primary a standby when it can no longer hold the leader's key.
    fs::write(world.cluster.data().join("standby.signal"), "").unwrap();
    world.cluster.give(&world.cluster.data().join("standby.signal"));
    let log = fs::OpenOptions::new().append(true).open(world.cluster.path("server.log")).unwrap();
    let mut server = world.cluster.command(&Path::new(crate::world::BIN).join("postgres"));
    let server = server
        .arg("-D")
        .arg(world.cluster.data())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    world.others.push(server);
    wait_for("it answers", || world.cluster.psql("select 1").output().unwrap().status.success());
    world.patroni(Recorded { leader: None, store_lost: true, ..LED });
    world.spoil();
    world.survey(&[])
}

fn wraparound(world: &mut World) -> Option<Answers> {
    world.cluster.stop();
    world.spoil();
    // 3 million ids before the end nobody may write any more.
    let resetwal = Path::new(crate::world::BIN).join("pg_resetwal");
    run(world.cluster.command(&resetwal).args(["-x", "2146435072", "-D"]).arg(world.cluster.data()));
    let page = world.cluster.data().join("pg_xact/07FF");
    fs::write(&page, vec![0; 256 * 1024]).unwrap();
    world.cluster.give(&page);
    world.cluster.start();
    world.survey(&[])
}
