//! Starting, watching and stopping one PostgreSQL server on this host.
//!
//! The server runs as the owner of its data directory and is always told its data directory on the command line: a
//! `data_directory` line in a configuration file made `pg_ctl -D side` start production. Signals go through a pid
//! descriptor to a process just proven to work in that directory. Nothing here renames or removes anything, and a
//! dropped [`Server`] leaves the process running.

mod observe;
mod wait;

pub use observe::{Observation, Pause, Phase};
pub use wait::{Patience, Until};

use super::binaries::Binaries;
use super::configuration;
use super::lock_file::LockFile;
use super::owner::{self, Account, Users, owner_of, run_as};
use super::procfs::Host;
use super::running::{self, Running};
use super::server_log::ServerLog;
use super::sql::{Address, Sql};
use super::{ClusterError, explain};
use crate::base::{Kind, PgVersion, Report};
use crate::model::op::Cancel;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt as _, fchown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Why a server ended that should have gone on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("PostgreSQL in {} stopped: {line}{}", data_dir.display(), meaning.map(|m| format!(" ({m})")).unwrap_or_default())]
pub struct Failure {
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Its last fatal message, or what is known instead.
    pub line: String,
    /// What that means, if it is a known message.
    pub meaning: Option<&'static str>,
    /// What to do next, if it is a known message.
    pub advice: Option<&'static str>,
    /// The class of the failure.
    pub kind: Kind,
    /// Its log, if it is known.
    pub log: Option<PathBuf>,
}

impl From<Failure> for Report {
    fn from(failure: Failure) -> Self {
        let log = failure.log.as_ref().map(|path| format!("the log is {}", path.display()));
        let hint =
            [failure.advice.map(str::to_owned), log].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let report = Self::new(failure.kind, failure.to_string());
        if hint.is_empty() { report } else { report.hint(hint) }
    }
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// TCP port, also part of the socket's name.
    pub port: u16,
    /// Folder for the Unix socket.
    pub socket_dir: PathBuf,
    /// `listen_addresses`; empty means no TCP.
    pub listen_addresses: String,
    /// Further settings, which win over every file.
    pub settings: Vec<(String, String)>,
    /// A configuration file outside the data directory; if none is given, Debian's place is looked at.
    pub config_file: Option<PathBuf>,
    /// Takes the server's standard error, appended.
    pub log: PathBuf,
    /// Send the whole log there, in English and readable for [`ServerLog`], instead of where the configuration says.
    pub capture_log: bool,
    /// Database superuser for watching.
    pub superuser: String,
}

impl StartOptions {
    /// A private server: its own socket, no TCP, the whole log captured.
    pub fn private(
        socket_dir: impl Into<PathBuf>,
        port: u16,
        log: impl Into<PathBuf>,
        superuser: &str,
    ) -> Self {
        Self {
            port,
            socket_dir: socket_dir.into(),
            listen_addresses: String::new(),
            settings: Vec::new(),
            config_file: None,
            log: log.into(),
            capture_log: true,
            superuser: superuser.to_owned(),
        }
    }
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Ends sessions, writes a checkpoint.
    Fast,
    /// Ends at once; the next start recovers.
    Immediate,
}

/// One server, started by this process or found running.
#[derive(Debug)]
pub struct Server {
    data_dir: PathBuf,
    version: PgVersion,
    binaries: Binaries,
    owner: Account,
    options: StartOptions,
    child: Option<Child>,
    pid: Option<u32>,
    exit: Option<ExitStatus>,
    /// A promotion was asked for since the last start.
    pub(super) promoting: bool,
    log: ServerLog,
    sql: Option<Sql>,
}

impl Server {
    /// The server of a data directory, not yet started. Finds out its owner and, if none is given, a configuration
    /// file outside it.
    pub fn new(
        data_dir: &Path,
        binaries: Binaries,
        users: &Users,
        mut options: StartOptions,
    ) -> Result<Self, ClusterError> {
        let data_dir = data_dir.canonicalize().map_err(|source| ClusterError::Io {
            doing: "find",
            path: data_dir.to_owned(),
            source,
        })?;
        let version = read_version(&data_dir)?;
        if version != binaries.version {
            return Err(ClusterError::WrongState {
                what: "start PostgreSQL",
                why: format!(
                    "{} is of version {version}, {} of {}",
                    data_dir.display(),
                    binaries.folder.display(),
                    binaries.version
                ),
            });
        }
        if options.config_file.is_none() {
            options.config_file =
                configuration::outside_file(&data_dir, Path::new(configuration::DEBIAN_CLUSTERS));
        }
        let owner = owner_of(&data_dir, users)?;
        let log = ServerLog::from_end(&options.log);
        Ok(Self {
            data_dir,
            version,
            binaries,
            owner,
            options,
            child: None,
            pid: None,
            exit: None,
            promoting: false,
            log,
            sql: None,
        })
    }

    /// Takes over watching a server that already runs; fails if none does.
    pub fn attach(&mut self) -> Result<(), ClusterError> {
        match running::look(&self.data_dir)? {
            Running::Yes { pid, .. } => {
                let lock = LockFile::read(&self.data_dir)?.and_then(Result::ok);
                self.forget();
                self.pid = Some(lock.map_or(pid, |lock| lock.pid));
                self.log = ServerLog::of_running(&self.options.log);
                Ok(())
            }
            other => Err(ClusterError::WrongState {
                what: "watch a server",
                why: format!("none runs ({other:?})"),
            }),
        }
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its major version.
    pub fn version(&self) -> PgVersion {
        self.version
    }

    /// The account it runs as.
    pub fn owner(&self) -> &Account {
        &self.owner
    }

    /// Its programs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The process id, while one is known.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Changes how the next start goes.
    pub fn options_mut(&mut self) -> &mut StartOptions {
        &mut self.options
    }

    /// Where SQL reaches it, in database `postgres`.
    pub fn address(&self) -> Address {
        let mut address =
            Address::socket(&self.options.socket_dir, self.options.port, &self.options.superuser, "postgres");
        address.connect_limit = Duration::from_secs(3);
        address.statement_limit = Duration::from_secs(10);
        address
    }

    /// A new session in database `postgres`.
    pub fn connect(&self) -> Result<Sql, ClusterError> {
        Ok(Sql::connect(&self.address(), Some(&self.owner))?)
    }

    /// The words of the command that starts it, as a plan shows them.
    pub fn command_line(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.binaries.program("postgres").into()];
        words.extend(["-D".into(), self.data_dir.clone().into()]);
        let mut set = |name: &str, value: &Path| {
            let mut word = OsString::from(format!("{name}="));
            word.push(value);
            words.extend(["-c".into(), word]);
        };
        set("data_directory", &self.data_dir);
        if let Some(file) = &self.options.config_file {
            set("config_file", file);
        }
        set("unix_socket_directories", &self.options.socket_dir);
        set("port", Path::new(&self.options.port.to_string()));
        set("listen_addresses", Path::new(&self.options.listen_addresses));
        if self.options.capture_log {
            for (name, value) in [
                ("logging_collector", "off"),
                ("log_destination", "stderr"),
                ("log_min_messages", "warning"),
                ("log_line_prefix", "%m [%p] "),
                ("lc_messages", "C"),
            ] {
                set(name, Path::new(value));
            }
        }
        for (name, value) in &self.options.settings {
            set(name, Path::new(value));
        }
        words
    }

    /// Starts the server and returns at once; [`Self::wait`] tells what becomes of it.
    ///
    /// Refuses if anything runs in the data directory or if that cannot be told.
    pub fn start(&mut self) -> Result<(), ClusterError> {
        let in_use = |why: String| ClusterError::InUse { data_dir: self.data_dir.clone(), why };
        match running::look(&self.data_dir)? {
            Running::No | Running::Stale { .. } => {}
            Running::Yes { why, .. } | Running::Unknown { why } => return Err(in_use(why)),
        }
        let words = self.command_line();
        let mut words = words.iter();
        let program = words.next().map(PathBuf::from).unwrap_or_default();
        let mut command = run_as(&self.owner, &program)?;
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| ClusterError::Io { doing, path, source }
        };
        let log_path = self.options.log.clone();
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&log_path)
            .map_err(io("open", &log_path))?;
        // Created by root, it must still take the owner's next start.
        if owner::is_root() {
            fchown(&log, Some(self.owner.uid), Some(self.owner.gid)).map_err(io("give away", &log_path))?;
        }
        let second = log.try_clone().map_err(io("open", &log_path))?;
        // Its own process group: a Ctrl-C at the terminal is for this program, not for the server.
        command.args(words).stdout(Stdio::from(log)).stderr(Stdio::from(second)).process_group(0);
        self.log = ServerLog::from_end(&log_path);
        self.forget();
        let child = command.spawn().map_err(io("start", &program))?;
        self.pid = Some(child.id());
        self.child = Some(child);
        Ok(())
    }

    /// Stops the server and waits for its end, at most `limit`; true if it ran. A server that is still there after
    /// `limit`, or when the operator cancels the wait, is left stopping.
    pub fn stop(&mut self, mode: StopMode, limit: Duration, cancel: &Cancel) -> Result<bool, ClusterError> {
        self.sql = None;
        let Some(pid) = self.live_pid()? else {
            self.forget();
            return Ok(false);
        };
        let signal = match mode {
            StopMode::Fast => rustix::process::Signal::INT,
            StopMode::Immediate => rustix::process::Signal::QUIT,
        };
        self.signal(pid, signal)?;
        let began = Instant::now();
        let mut pause = Duration::from_millis(5);
        while self.is_alive(pid) {
            if cancel.requested() {
                return Err(ClusterError::Cancelled);
            }
            if began.elapsed() > limit {
                return Err(ClusterError::Stuck {
                    what: "the stop of the server".to_owned(),
                    standing_s: limit.as_secs(),
                    why: self.what_it_does(pid),
                });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
        self.log.look();
        self.forget();
        Ok(true)
    }

    /// The process of this server, if it lives: our child, or what the lock file names and works in the directory.
    fn live_pid(&mut self) -> Result<Option<u32>, ClusterError> {
        if let Some(pid) = self.pid
            && self.is_alive(pid)
        {
            return Ok(Some(pid));
        }
        let host = Host::system();
        let lock = LockFile::read(&self.data_dir)?.and_then(Result::ok);
        Ok(lock.map(|lock| lock.pid).filter(|pid| host.alive(*pid) && host.works_in(*pid, &self.data_dir)))
    }

    fn is_alive(&mut self, pid: u32) -> bool {
        match &mut self.child {
            Some(child) if child.id() == pid => match child.try_wait() {
                Ok(None) => true,
                Ok(Some(status)) => {
                    self.exit = Some(status);
                    false
                }
                Err(_) => false,
            },
            _ => Host::system().alive(pid),
        }
    }

    fn signal(&self, pid: u32, signal: rustix::process::Signal) -> Result<(), ClusterError> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
        let failed = |source: std::io::Error| ClusterError::Program {
            program: format!("process {pid}"),
            why: format!("cannot be signalled: {source}"),
        };
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(target) = raw else { return Err(failed(std::io::ErrorKind::NotFound.into())) };
        // Opened before the look, the descriptor cannot come to mean another process after it.
        let descriptor = pidfd_open(target, PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
        let ours = self.child.as_ref().is_some_and(|child| child.id() == pid);
        if !ours && !Host::system().works_in(pid, &self.data_dir) {
            return Err(ClusterError::WrongState {
                what: "signal the server",
                why: format!("process {pid} does not work in {}", self.data_dir.display()),
            });
        }
        pidfd_send_signal(&descriptor, signal).map_err(|error| failed(error.into()))
    }

    fn forget(&mut self) {
        self.child = None;
        self.pid = None;
        self.exit = None;
        self.promoting = false;
        self.sql = None;
    }

    /// Why the server ended, from its log.
    fn failure(&mut self) -> Failure {
        let facts = self.log.look();
        let complaint = facts.fatal();
        let line = complaint.map_or_else(
            || facts.bare.clone().unwrap_or_else(|| "it ended without a word in its log".to_owned()),
            |c| c.detail.as_ref().map_or_else(|| c.message.clone(), |d| format!("{}: {d}", c.message)),
        );
        let known = explain::explain(&line);
        Failure {
            data_dir: self.data_dir.clone(),
            line,
            meaning: known.map(|known| known.meaning),
            advice: known.map(|known| known.advice),
            kind: known.map_or(Kind::Failed, |known| known.kind),
            log: Some(self.log.path().to_owned()),
        }
    }
}

/// The major version of a data directory, from its `PG_VERSION`.
pub fn read_version(data_dir: &Path) -> Result<PgVersion, ClusterError> {
    let path = data_dir.join("PG_VERSION");
    let text = std::fs::read_to_string(&path).map_err(|source| ClusterError::Io {
        doing: "read",
        path: path.clone(),
        source,
    })?;
    text.trim().parse().map_err(|why| ClusterError::WrongState { what: "read PG_VERSION", why })
}
