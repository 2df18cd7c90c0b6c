//! Making a lab: primary, tables, workload, repository with full, differential and incremental backup, standby.
//!
//! Works only in a directory that is new or empty, which it marks before anything else.

use super::db::Db;
use super::layout::{Lab, STANZA, SUPERUSER, Settings};
use super::marker::{Root, random_id};
use super::workload::{self, Order};
use super::{LabError, ledger, postgres, programs};
use crate::cluster::binaries::Search;
use crate::model::op::{Event, Sink};
use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest path of a Unix socket that the kernel takes.
const SOCKET_PATH_MAX_BYTES: usize = 107;
/// Folder that may already be there: a copy of our program for an owner who cannot reach the original.
pub const PROGRAM_FOLDER: &str = "bin";
/// The workload has this many commits behind it before the first backup is made.
const FIRST_COMMITS: u64 = 50;

/// Makes a lab in `dir` and leaves it running.
///
/// `program` is our own executable, as the servers will call it; `search` finds PostgreSQL's.
pub fn up(dir: &Path, program: PathBuf, search: &Search, sink: &dyn Sink) -> Result<Lab, LabError> {
    let binaries = programs::find_postgres(search)?;
    let dir = prepare(dir)?;
    let [primary_port, standby_port] = free_ports()?;
    let settings = Settings {
        schema: String::new(),
        id: String::new(),
        pg_bin: binaries.folder,
        pg_version: binaries.version.to_string(),
        program,
        primary_port,
        standby_port,
    };
    let lab = Lab::create(Root::mark(&dir)?, settings)?;
    let built = build(&lab, sink);
    if built.is_err() {
        // What was half made is taken away again, unless even that fails: then the first error tells more.
        drop(super::down::down(&lab));
    }
    built.map(|()| lab)
}

fn build(lab: &Lab, sink: &dyn Sink) -> Result<(), LabError> {
    step(sink, "initdb", || make_primary(lab))?;
    step(sink, "start the primary", || postgres::start(lab, &lab.primary(), "primary.log"))?;
    step(sink, "make the stanza", || programs::ours(lab, &["stanza-create"]))?;
    step(sink, "make the databases", || make_databases(lab))?;
    step(sink, "start the workload", || start_workload(lab))?;
    step(sink, "full backup", || back_up(lab, "full"))?;
    step(sink, "start the standby", || make_standby(lab))?;
    step(sink, "differential backup", || back_up(lab, "diff"))?;
    step(sink, "incremental backup", || back_up(lab, "incr"))
}

/// Runs one step and tells the sink when it began and how long it took.
pub fn step<T>(
    sink: &dyn Sink,
    name: &str,
    work: impl FnOnce() -> Result<T, LabError>,
) -> Result<T, LabError> {
    sink.event(Event::StepStarted { step: name.to_owned() });
    let begun = Instant::now();
    let done = work()?;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    sink.event(Event::StepDone { step: name.to_owned(), took_ms, detail: String::new() });
    Ok(done)
}

fn prepare(dir: &Path) -> Result<PathBuf, LabError> {
    let place = |why: String, hint: &str| LabError::Place { dir: dir.to_owned(), why, hint: hint.to_owned() };
    std::fs::create_dir_all(dir).map_err(LabError::io("make", dir))?;
    let dir = std::fs::canonicalize(dir).map_err(LabError::io("find", dir))?;
    for entry in std::fs::read_dir(&dir).map_err(LabError::io("list", &dir))? {
        let name = entry.map_err(LabError::io("list", &dir))?.file_name();
        if name != PROGRAM_FOLDER {
            let why = format!("it is not empty ('{}' is there)", name.to_string_lossy());
            return Err(place(why, "give a new directory by --dir, or take the old lab down first"));
        }
    }
    let text = dir.to_str().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    if text.is_empty() || !text.bytes().all(plain) {
        let why = "its path has characters that would need quoting in PostgreSQL's commands".to_owned();
        return Err(place(why, "give a directory whose path has only letters, digits and ._-+ by --dir"));
    }
    // The longest socket is that of a server in its closed state, in a folder of its own.
    if text.len() + "/run/closed/.s.PGSQL.65535.lock".len() > SOCKET_PATH_MAX_BYTES {
        let why = "its path is too long for a socket in it".to_owned();
        return Err(place(why, "give a shorter path by --dir, for example /var/tmp/lab"));
    }
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))
        .map_err(LabError::io("close", &dir))?;
    Ok(dir)
}

/// Two ports that nobody listens on now, on loopback.
fn free_ports() -> Result<[u16; 2], LabError> {
    let listen = || TcpListener::bind("127.0.0.1:0").and_then(|l| Ok((l.local_addr()?.port(), l)));
    let io = |e| LabError::io("listen on", Path::new("127.0.0.1"))(e);
    // Both are held until both are known, so that they differ.
    let (first, second) = (listen().map_err(io)?, listen().map_err(io)?);
    Ok([first.0, second.0])
}

fn make_primary(lab: &Lab) -> Result<(), LabError> {
    for folder in ["run", "log", "repo", "lock", "spool", ".truth"] {
        let path = lab.dir().join(folder);
        std::fs::create_dir(&path).map_err(LabError::io("make", &path))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))
            .map_err(LabError::io("close", &path))?;
    }
    let secret = |path: &Path, text: &str| {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(LabError::io("write", path))
    };
    let random = || random_id().map_err(LabError::io("make a password for", lab.dir()));
    secret(&lab.dir().join("app.password"), &random()?)?;
    secret(&lab.config(), &backrest_config(lab, &random()?))?;
    secret(&lab.site_file(), &super::site::text(lab))?;
    workload::order(lab, Order::Hold)?;
    let data = lab.primary();
    let args =
        ["--data-checksums", "--wal-segsize=1", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
    let mut all: Vec<&std::ffi::OsStr> = args.iter().map(AsRef::as_ref).collect();
    all.extend::<[&std::ffi::OsStr; 4]>(["-U".as_ref(), SUPERUSER.as_ref(), "-D".as_ref(), data.as_ref()]);
    programs::run(lab.dir(), &lab.settings().pg_bin.join("initdb"), &all)?;
    append(&data.join("postgresql.conf"), &server_settings(lab)?)?;
    std::fs::write(data.join("pg_hba.conf"), HBA).map_err(LabError::io("write", &data.join("pg_hba.conf")))
}

/// The socket's folder is closed to everyone but its owner; over TCP there are only roles with passwords.
const HBA: &str = "\
local all all trust
local replication all trust
host all all 127.0.0.1/32 scram-sha-256
";

fn server_settings(lab: &Lab) -> Result<String, LabError> {
    let port = lab.settings().primary_port;
    let sockets = lab.sockets();
    let (push, fetch) = (lab.call().archive_text()?, lab.call().text()?);
    let (push, fetch) = (conf_string(&push), conf_string(&fetch));
    Ok(format!(
        "
# written by pgmayday lab
port = {port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '{}'
cluster_name = 'pgmayday-lab'
archive_mode = on
archive_command = {push}
archive_timeout = 5
restore_command = {fetch}
wal_keep_size = 64MB
track_commit_timestamp = on
shared_buffers = 64MB
max_connections = 50
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
",
        sockets.display()
    ))
}

/// A value of `postgresql.conf`.
fn conf_string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn backrest_config(lab: &Lab, passphrase: &str) -> String {
    let dir = lab.dir().display();
    format!(
        "[global]
repo1-path={dir}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={passphrase}
repo1-bundle=y
repo1-block=y
repo1-retention-full=9
compress-type=zst
log-path={dir}/log
log-level-console=warn
lock-path={dir}/lock
spool-path={dir}/spool
start-fast=y
process-max=2

[{STANZA}]
pg1-path={dir}/primary
pg1-port={}
pg1-socket-path={dir}/run
pg1-user={SUPERUSER}
",
        lab.settings().primary_port
    )
}

fn append(path: &Path, text: &str) -> Result<(), LabError> {
    let file = std::fs::OpenOptions::new().append(true).open(path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .map_err(LabError::io("write", path))
}

fn make_databases(lab: &Lab) -> Result<(), LabError> {
    let port = lab.settings().primary_port;
    let role = ledger::ROLE;
    let mut admin = Db::as_superuser(&lab.sockets(), port, "postgres")?;
    let password = lab.password()?;
    // The statement is never logged: log_statement is off and it does not fail.
    admin.rows(&format!("CREATE ROLE {role} LOGIN PASSWORD '{}'", password.expose()))?;
    for database in [ledger::DATABASE, ledger::SECOND_DATABASE] {
        admin.rows(&format!("CREATE DATABASE {database} OWNER {role}"))?;
    }
    Db::as_application(lab, ledger::DATABASE)?.rows(&ledger::schema())?;
    Db::as_application(lab, ledger::SECOND_DATABASE)?.rows(&ledger::second_schema())?;
    Ok(())
}

fn start_workload(lab: &Lab) -> Result<(), LabError> {
    let log = lab.logs().join("workload.log");
    let file = std::fs::File::create(&log).map_err(LabError::io("make", &log))?;
    let again = file.try_clone().map_err(LabError::io("make", &log))?;
    workload::order(lab, Order::Run)?;
    let mut command = programs::clean(lab.dir(), &lab.settings().program)?;
    command.arg("lab").arg(workload::SUBCOMMAND).arg(format!("--dir={}", lab.dir().display()));
    command.stdout(file).stderr(again);
    let mut child = command.spawn().map_err(LabError::io("start", &lab.settings().program))?;
    let begun = Instant::now();
    let limit = Duration::from_secs(30);
    while begun.elapsed() < limit {
        if workload::state(lab).is_some_and(|state| state.last >= FIRST_COMMITS) {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            let output = std::fs::read_to_string(&log).unwrap_or_default();
            let mut program = String::from("the workload");
            let _ = write!(program, " ({})", lab.settings().program.display());
            return Err(LabError::Program { program, status: status.to_string(), output });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(LabError::Timeout { what: "the workload's first commits".to_owned(), seconds: limit.as_secs() })
}

/// Backs the primary up as an operator would: by this program.
fn back_up(lab: &Lab, kind: &str) -> Result<(), LabError> {
    programs::ours(lab, &[&format!("--type={kind}"), "backup"]).map(drop)
}

fn make_standby(lab: &Lab) -> Result<(), LabError> {
    let Settings { pg_bin, primary_port, standby_port, .. } = lab.settings();
    let data = lab.standby();
    let sockets = lab.sockets().display().to_string();
    let args = [
        "-D".to_owned(),
        data.display().to_string(),
        "-R".to_owned(),
        "-X".to_owned(),
        "stream".to_owned(),
        "-c".to_owned(),
        "fast".to_owned(),
        "--no-sync".to_owned(),
        "-d".to_owned(),
        format!("host={sockets} port={primary_port} user={SUPERUSER} application_name=standby"),
    ];
    programs::run(lab.dir(), &pg_bin.join("pg_basebackup"), &args)?;
    // By its own data directory it is known to be a standby, which a failing archive must not end.
    let fetch = lab.call().option("pg1-path", data.to_string_lossy()).text()?;
    append(
        &data.join("postgresql.conf"),
        &format!(
            "port = {standby_port}\ncluster_name = 'pgmayday-lab-standby'\nrestore_command = {}\n",
            conf_string(&fetch)
        ),
    )?;
    postgres::start(lab, &data, "standby.log")
}
