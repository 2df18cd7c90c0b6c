//! The repository both tools restore: made once by the real PostgreSQL and the real pgBackRest, then kept.
//!
//! zst, AES-256, bundled; rows of which about half the bytes are noise, as in a ledger of orders with tokens, and 4,000 small
//! tables, as in a system with a schema per customer.

use crate::Setup;
use crate::machine::{Outcome, at, plain, run, run_detached};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How many small tables.
const SMALL_TABLES: u32 = 4_000;
/// WAL segments filled after the backup, so that there is something to fetch and replay.
const SEGMENTS: u32 = 24;
/// Of the repository.
pub(crate) const PASSPHRASE: &str = "a long phrase for the benchmark";
/// Where the benchmark's servers listen.
pub(crate) const SERVER_PORT: &str = "54329";

/// The finished repository.
pub(crate) struct Repository {
    /// The configuration of both tools.
    pub(crate) config: PathBuf,
    /// What the checks must find: rows of the last large table, then of all small ones together.
    pub(crate) expected: String,
    /// Bytes of the database as restored.
    pub(crate) database_bytes: u64,
}

/// The query that stands for an application's own check; its answer is in [`Repository::expected`].
pub(crate) const CHECK: &str =
    "select (select count(*) from event_1), (select sum(rows) from small_rows), (select max(id) from tail)";

/// A running server of the benchmark.
pub(crate) struct Server<'a> {
    setup: &'a Setup,
    data: PathBuf,
}

impl<'a> Server<'a> {
    /// Starts PostgreSQL on `data` without waiting until it accepts connections.
    pub(crate) fn start(setup: &'a Setup, data: &Path, options: &str) -> Outcome<Self> {
        let machine = &setup.machine;
        let options = format!(
            "-k {} -p {SERVER_PORT} -c listen_addresses='' -c shared_buffers=256MB {options}",
            machine.folder.display()
        );
        let mut start = machine.command(postgres_bin()?.join("pg_ctl"));
        start.args(["-D".as_ref(), data.as_os_str()]).args(["-W", "-o", &options, "start"]);
        run_detached(&mut start, &machine.path("postgres.log"))?;
        Ok(Self { setup, data: data.into() })
    }

    /// Starts PostgreSQL and waits until it takes writes.
    pub(crate) fn started(setup: &'a Setup, data: &Path, options: &str) -> Outcome<Self> {
        let server = Self::start(setup, data, options)?;
        let began = Instant::now();
        while server.sql("select not pg_is_in_recovery()").as_deref() != Ok("t") {
            if began.elapsed().as_secs() > 300 {
                return Err(format!("no server on {} after 300 s; see postgres.log", data.display()));
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        Ok(server)
    }

    /// The answer to a query.
    pub(crate) fn sql(&self, query: &str) -> Outcome<String> {
        Ok(run(self.psql().args(["-Atc", query]))?.trim().to_owned())
    }

    fn psql(&self) -> std::process::Command {
        let mut psql = self.setup.machine.command("psql");
        psql.args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-p",
            SERVER_PORT,
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-h",
        ]);
        psql.arg(&self.setup.machine.folder);
        psql
    }

    fn script(&self, name: &str, text: &str) -> Outcome<()> {
        let path = self.setup.machine.path(name);
        fs::write(&path, text).map_err(at(&path))?;
        run(self.psql().arg("-f").arg(&path)).map(drop)
    }

    /// Stops it at once (`immediate` leaves a crashed data directory) or cleanly.
    pub(crate) fn stop(self, mode: &str) -> Outcome<()> {
        let mut stop = self.setup.machine.command(postgres_bin()?.join("pg_ctl"));
        run(stop.args(["-D".as_ref(), self.data.as_os_str()]).args(["-m", mode, "-t", "600", "stop"]))
            .map(drop)
    }
}

/// The newest installed server's programs.
fn postgres_bin() -> Outcome<PathBuf> {
    let root = Path::new("/usr/lib/postgresql");
    let newest = fs::read_dir(root)
        .map_err(at(root))?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .ok_or("no PostgreSQL below /usr/lib/postgresql; run make setup")?;
    Ok(root.join(newest.to_string()).join("bin"))
}

/// The repository, built if the folder has none of this size.
#[expect(clippy::print_stdout, reason = "building takes minutes and says so")]
pub(crate) fn ready(setup: &Setup) -> Outcome<Repository> {
    let stamp = setup.machine.path("repository.stamp");
    let made = format!("3 {} GB", setup.gigabytes);
    let config = setup.machine.path("pgbackrest.conf");
    let read = |stamp: &Path| {
        let text = fs::read_to_string(stamp).ok()?;
        let (first, rest) = text.split_once('\n')?;
        let (bytes, expected) = rest.split_once('\n')?;
        (first == made).then_some(())?;
        let database_bytes = bytes.parse().ok()?;
        Some(Repository { config: config.clone(), expected: expected.into(), database_bytes })
    };
    if let Some(repository) = read(&stamp) {
        return Ok(repository);
    }
    println!("building the repository, once …");
    let began = Instant::now();
    let (bytes, expected) = build(setup, &config)?;
    fs::write(&stamp, format!("{made}\n{bytes}\n{expected}")).map_err(at(&stamp))?;
    println!("built in {} s", began.elapsed().as_secs());
    read(&stamp).ok_or_else(|| format!("{} is not what was just written", stamp.display()))
}

/// Database, backup, WAL; gives the database's size and what [`CHECK`] answers at the end.
fn build(setup: &Setup, config: &Path) -> Outcome<(u64, String)> {
    let machine = &setup.machine;
    let (data, repo) = (machine.fresh("data")?, machine.fresh("repo")?);
    write_config(setup, config, &data, &repo)?;
    make_cluster(setup, &data)?;

    // Without WAL the load is twice as fast; the backup follows anyway.
    let fast = "-c fsync=off -c max_wal_size=4GB -c maintenance_work_mem=256MB";
    let server = Server::started(setup, &data, &format!("{fast} -c wal_level=minimal -c max_wal_senders=0"))?;
    load(setup, &server)?;
    server.stop("fast")?;

    let push = format!("pgbackrest --config={} --stanza=bench archive-push %p", config.display());
    let archive = format!("{fast} -c archive_mode=on -c archive_command='{push}'");
    let server = Server::started(setup, &data, &archive)?;
    let pgbackrest = |command: &str, options: &[&str]| {
        let mut call = machine.command("pgbackrest");
        run(call.arg("--config").arg(config).args(["--stanza=bench", command]).args(options)).map(drop)
    };
    pgbackrest("stanza-create", &[])?;
    pgbackrest("backup", &["--type=full", "--start-fast"])?;
    for _ in 0..SEGMENTS {
        server.sql("insert into tail select id, token from seed limit 100000; select pg_switch_wal()")?;
    }
    server.sql("insert into tail values (4242, null); select pg_switch_wal()")?;
    pgbackrest("check", &[])?;
    let expected = server.sql(CHECK)?;
    let bytes = server.sql("select sum(pg_database_size(oid)) from pg_database")?;
    server.stop("fast")?;
    machine.fresh("data")?;
    Ok((bytes.parse().map_err(|_| format!("size {bytes}"))?, expected))
}

/// An empty cluster.
pub(crate) fn make_cluster(setup: &Setup, data: &Path) -> Outcome<()> {
    let mut initdb = setup.machine.command(postgres_bin()?.join("initdb"));
    initdb.args([
        "--no-sync",
        "--data-checksums",
        "--locale=C",
        "--encoding=UTF8",
        "--auth=trust",
        "-U",
        "postgres",
    ]);
    run(initdb.arg("-D").arg(data)).map(drop)
}

fn write_config(setup: &Setup, config: &Path, data: &Path, repo: &Path) -> Outcome<()> {
    let folder = setup.machine.folder.display();
    let text = format!(
        "[global]\nrepo1-path={}\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass={PASSPHRASE}\n\
         repo1-bundle=y\nrepo1-retention-full=9\ncompress-type=zst\ncompress-level=3\nprocess-max=2\n\
         log-level-console=warn\nlog-level-file=off\nlog-path={folder}/log\nlock-path={folder}/lock\n\
         spool-path={folder}/spool\n\n[bench]\npg1-path={}\npg1-port={SERVER_PORT}\npg1-socket-path={folder}\n\
         pg1-user=postgres\n",
        repo.display(),
        data.display(),
    );
    fs::write(config, text).map_err(at(config))?;
    run(plain("chmod").arg("644").arg(config)).map(drop)
}

/// Fills the database.
fn load(setup: &Setup, server: &Server<'_>) -> Outcome<()> {
    server.script("seed.sql", SEED)?;
    let mut small = String::new();
    for table in 1..=SMALL_TABLES {
        let _ = writeln!(
            small,
            "begin; create table account_{table} (id int primary key, name text, balance bigint); \
             insert into account_{table} select id, note, cents from seed limit {}; commit;",
            20 + table % 200
        );
    }
    let _ = writeln!(
        small,
        "create table small_rows as select sum(20 + i % 200) rows from generate_series(1, {SMALL_TABLES}) i; \
         create table tail (id bigint, token bytea);"
    );
    server.script("small.sql", &small)?;
    let mut table = 0;
    while server.sql("select pg_database_size('postgres')")?.parse().unwrap_or(u64::MAX)
        < setup.gigabytes * 1_000_000_000
    {
        table += 1;
        // Six copies of the seed, far apart: no window of a compressor sees two of them. In one transaction, so no WAL.
        let mut copies = format!(
            "begin; create table event_{table} as \
             select id * 6 id, customer, created, cents, status, note, token from seed;"
        );
        for copy in 1..6 {
            let _ = write!(
                copies,
                "insert into event_{table} \
                 select id * 6 + {copy}, customer, created, cents, status, note, token from seed;"
            );
        }
        server.sql(&format!("{copies} commit"))?;
        server.sql(&format!("alter table event_{table} add primary key (id)"))?;
    }
    server.sql("vacuum (freeze, analyze)")?;
    server.sql("checkpoint").map(drop)
}

/// 400,000 rows of about 200 bytes; 64 bytes of each are noise.
const SEED: &str = "
select setseed(0.42);
create table word as select array_agg(substr(md5(i::text), 1, 3 + i % 7)) w from generate_series(1, 512) i;
create table seed as
select i::bigint id,
       (random() * 100000)::int customer,
       timestamptz '2026-01-01' + i * interval '1.7 s' + random() * interval '1 s' created,
       (random() * random() * 1000000)::int cents,
       (array['new', 'paid', 'packed', 'shipped', 'returned'])[1 + floor(random() * 5)] status,
       concat_ws(' ', w[1 + floor(random() * 512)], w[1 + floor(random() * 512)], w[1 + floor(random() * 512)],
           w[1 + floor(random() * 512)], w[1 + floor(random() * 512)], w[1 + floor(random() * 512)],
           w[1 + floor(random() * 512)], w[1 + floor(random() * 512)]) note,
       decode(md5(random()::text) || md5(random()::text) || md5(random()::text) || md5(random()::text), 'hex') token
from generate_series(1, 400000) i, word;
";
