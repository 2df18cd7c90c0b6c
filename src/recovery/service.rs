//! The application as `pgmayday.toml` describes it: hooks and checks. Without them, what PostgreSQL itself can tell.
//!
//! Never claims more than was looked at: where nothing is configured the detail says so.

mod hook;
mod smoke;
mod start;

use super::closed::Closed;
use super::in_place::{Finding, Service, Target};
use crate::base::Report;
use crate::cluster::binaries::Binaries;
use crate::cluster::lock_file::LockFile;
use crate::cluster::owner::Account;
use crate::cluster::sql::{Address, Sql};
use crate::config::site::StanzaSite;
use crate::model::op::{Cancel, Event, Sink};
use hook::{DAMAGED, Hook};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// A statement that waits for a standby in vain is given up by the server after 30 s, and then counts as committed.
const COMMIT_LIMIT: Duration = Duration::from_secs(25);

/// What a service is made of.
#[derive(Debug, Clone)]
pub struct Around {
    /// The stanza.
    pub stanza: String,
    /// The operation's name.
    pub operation: String,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where the old data directory ends; says how its server was started.
    pub quarantine: PathBuf,
    /// The account that owns it.
    pub owner: Account,
    /// PostgreSQL's programs.
    pub binaries: Binaries,
    /// Folder of the serving cluster's socket.
    pub sockets: PathBuf,
    /// Its port.
    pub port: u16,
    /// Its superuser.
    pub superuser: String,
    /// The folder for logs.
    pub work_dir: PathBuf,
}

/// A service made of hooks and checks.
pub struct ConfiguredService<'a> {
    around: Around,
    site: &'a StanzaSite,
    sink: &'a dyn Sink,
    cancel: &'a Cancel,
}

impl<'a> ConfiguredService<'a> {
    /// The service of one stanza.
    pub fn new(around: Around, site: &'a StanzaSite, sink: &'a dyn Sink, cancel: &'a Cancel) -> Self {
        Self { around, site, sink, cancel }
    }

    fn hook<'h>(&'h self, name: &'static str, words: &'h [String], limit: Duration) -> Hook<'h> {
        let Around { stanza, operation, data_dir, .. } = &self.around;
        Hook::new(name, words, limit)
            .with("PGMAYDAY_STANZA", stanza)
            .with("PGMAYDAY_OPERATION", operation)
            .with("PGMAYDAY_DATA_DIR", data_dir)
    }

    fn run(&self, hook: &Hook<'_>) -> Result<String, Report> {
        hook.run(&self.around.owner, self.cancel)
    }

    fn warn(&self, text: &str) {
        self.sink.event(Event::Warning { text: text.to_owned() });
    }
}

impl Service for ConfiguredService<'_> {
    fn stop_writers(&self) -> Result<String, Report> {
        let words = &self.site.hooks.stop_writers;
        if words.is_empty() {
            return Ok("no hook is configured: writers end when the server stops".to_owned());
        }
        self.run(&self.hook("stop-writers", words, 10 * MINUTE))
    }

    fn verify(&self, closed: &Closed, target: &Target) -> Result<Finding, Report> {
        let address = Address::socket(&closed.sockets, closed.port, &self.around.superuser, "postgres");
        let mut said = match smoke::every_database(&address, &self.around.owner, self.sink)? {
            Finding::Right(text) => vec![text],
            damaged @ Finding::Damaged(_) => return Ok(damaged),
        };
        match smoke::check_all(&address, &self.around.owner, &self.site.smoke)? {
            Finding::Right(text) => said.extend((!text.is_empty()).then_some(text)),
            damaged @ Finding::Damaged(_) => return Ok(damaged),
        }
        let words = &self.site.hooks.verify;
        if words.is_empty() {
            if self.site.smoke.is_empty() {
                said.push("no check of the application is configured".to_owned());
            }
            return Ok(Finding::Right(said.join("; ")));
        }
        let hook = self
            .hook("verify", words, HOUR)
            .with("PGHOST", &closed.sockets)
            .with("PGPORT", closed.port.to_string())
            .with("PGUSER", &self.around.superuser)
            .with("PGMAYDAY_TARGET_TYPE", target.at.type_name())
            .with("PGMAYDAY_TARGET", target.at.value().unwrap_or_default());
        let finished = hook.finish(&self.around.owner, self.cancel)?;
        if finished.code == Some(DAMAGED) {
            return Ok(Finding::Damaged(hook::last_line(&finished)));
        }
        said.push(hook.judge(&finished)?);
        said.retain(|text| !text.is_empty());
        Ok(Finding::Right(said.join("; ")))
    }

    fn open(&self) -> Result<String, Report> {
        let words = &self.site.hooks.start;
        if words.is_empty() {
            return start::as_before(&self.around, self.cancel);
        }
        self.run(&self.hook("start", words, HOUR))
    }

    fn first_write(&self) -> Result<String, Report> {
        let words = &self.site.hooks.first_write;
        if words.is_empty() {
            let place = commit(&self.around)?;
            self.warn(
                "no first-write hook is configured: whether the application itself writes again was not looked at",
            );
            return Ok(format!("a commit through {place}, not by the application"));
        }
        self.run(&self.hook("first-write", words, 10 * MINUTE))
    }

    fn first_backup(&self) -> Result<Option<String>, Report> {
        let words = &self.site.hooks.first_backup;
        if words.is_empty() {
            return Ok(None);
        }
        self.run(&self.hook("first-backup", words, 48 * HOUR)).map(Some)
    }
}

/// Commits through the address the cluster is served at, and leaves nothing; where that was.
fn commit(around: &Around) -> Result<String, Report> {
    let address = serving(around);
    let mut session = Sql::connect(&address, Some(&around.owner)).map_err(Report::from)?;
    // A message in the log and nothing else: unlike a bare transaction id, its commit waits for disk and standbys.
    let begun = Instant::now();
    let lsn =
        session.value("SELECT pg_logical_emit_message(true, 'pgmayday', 'probe')").map_err(Report::from)?;
    if begun.elapsed() > COMMIT_LIMIT {
        return Err(Report::failed(format!("a commit through {} waits", address.place())).hint(
            "a synchronous standby is probably awaited that is stopped: see synchronous_standby_names",
        ));
    }
    Ok(format!("{} (LSN {})", address.place(), lsn.unwrap_or_default()))
}

/// Where the server says it listens; where it was said to, if it does not tell.
fn serving(around: &Around) -> Address {
    let lock = LockFile::read(&around.data_dir).ok().flatten().and_then(Result::ok);
    let told = lock.and_then(|lock| lock.socket_dir.zip(lock.port));
    let (sockets, port) = told.unwrap_or_else(|| (around.sockets.clone(), around.port));
    Address::socket(sockets, port, &around.superuser, "postgres")
}
