//! `pgmayday.toml`: what pgBackRest's configuration has no place for. Optional; without it everything has a default.
//!
//! ```toml
//! state-dir = "/var/lib/pgmayday"          # where operations and incidents are kept
//!
//! [stanza.main]
//! label = "PRODUCTION"                     # always visible
//! second-person = true                     # a recovery starts only once somebody else has approved its plan
//! rpo = "5m"
//! rto = "1h"
//! backup-age = "26h"
//! hold = "72h"                             # how long an open incident keeps backups and WAL from being removed
//! patroni = ["http://db1:8008"]            # its REST interface, one per node; asked, never told anything
//! log = "/var/log/postgresql/main.log"     # the server's log, where it is not found by itself
//!
//! [stanza.main.hooks]                      # programs with their arguments; no shell
//! stop-writers = ["systemctl", "stop", "shop.service"]
//! monitor = ["/usr/local/bin/when-was-it-right"]
//!
//! [[stanza.main.smoke]]                    # a recovered cluster must answer so
//! database = "shop"
//! sql = "SELECT count(*) > 0 FROM orders"
//! expect = "t"
//!
//! [[stanza.main.member]]                   # servers besides the pgN of pgbackrest.conf
//! name = "standby"
//! host = "db2"
//! port = 5432
//!
//! # What a kind of recovery may cost: latest 30m, pitr 60m (or the stanza's own rto), side 15m, full-site 2h,
//! # cross-region 4h, and rpo 5m each, if nothing is said.
//! [stanza.main.scenario.full-site]
//! rto = "90m"
//!
//! [[stanza.main.cadence]]                  # how often an audience is told during an incident
//! audience = "external"                    # internal or external
//! severity = "sev1"                        # of every severity, if it is missing
//! after = "2h"                             # from this time since the declaration on
//! first = "15m"                            # when the first update is due
//! every = "30m"
//!
//! [[stanza.main.webhook]]                  # where messages are sent to
//! name = "ops-chat"
//! kind = "slack"                           # slack, ntfy, or json
//! audience = "internal"                    # internal, external or both
//! url-env = "OPS_CHAT_URL"                 # or url-file; or url, where it is no secret
//! ```
//!
//! A runbook's call to a server may need a secret, `${secret:TOKEN}`: the variable TOKEN, or the file named here.
//!
//! ```toml
//! [secret-file]
//! TOKEN = "/etc/pgbackrest/patroni.token"
//! ```
//!
//! A mistake in it is an error with line and column, never ignored. Holds no secret.

mod comms;
mod secret;

pub use comms::{AudienceSite, CadenceSite, Expected, Scenarios, SeveritySite, WebhookKind, WebhookSite};

use super::ConfigError;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the file.
pub const FILE_NAME: &str = "pgmayday.toml";

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Site {
    /// Where operations and incidents are kept.
    pub state_dir: Option<PathBuf>,
    /// Nothing may be started.
    pub read_only: bool,
    /// Files with what `${secret:NAME}` of a runbook stands for, by its name; not everybody may read them.
    pub secret_file: BTreeMap<String, PathBuf>,
    /// Per stanza.
    pub stanza: BTreeMap<String, StanzaSite>,
    /// The file itself.
    #[serde(skip)]
    pub path: Option<PathBuf>,
}

/// What the file says of one stanza.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StanzaSite {
    /// The environment's label, shown everywhere.
    pub label: Option<String>,
    /// A recovery starts only by a plan that somebody else has approved.
    pub second_person: bool,
    /// How much may be lost.
    #[serde(deserialize_with = "duration")]
    pub rpo: Option<Duration>,
    /// How long a point-in-time recovery may take.
    #[serde(deserialize_with = "duration")]
    pub rto: Option<Duration>,
    /// How old the last good backup may be.
    #[serde(deserialize_with = "duration")]
    pub backup_age: Option<Duration>,
    /// How long an incident keeps backups and WAL from being removed, if it is not closed before; zero holds nothing.
    #[serde(deserialize_with = "duration")]
    pub hold: Option<Duration>,
    /// The folder of PostgreSQL's programs, if they are not where the system's packages put them.
    pub pg_bin: Option<PathBuf>,
    /// Addresses of Patroni's REST interface, one per node. They are asked, never told anything.
    pub patroni: Vec<String>,
    /// The log of the server of the first data directory on this host, where it is not found by itself: by
    /// `current_logfiles`, where Debian keeps it, or where the running server writes to.
    pub log: Option<PathBuf>,
    /// Servers besides those of `pgbackrest.conf`.
    pub member: Vec<MemberSite>,
    /// Programs that know the application.
    pub hooks: Hooks,
    /// Checks of a recovered cluster.
    pub smoke: Vec<Smoke>,
    /// What is expected of each kind of recovery.
    pub scenario: Scenarios,
    /// How often whom is told.
    pub cadence: Vec<CadenceSite>,
    /// Where messages are sent to.
    #[serde(deserialize_with = "comms::webhooks")]
    pub webhook: Vec<WebhookSite>,
}

/// One more server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MemberSite {
    /// What it is called.
    pub name: String,
    /// Its host, if it is another than this one.
    pub host: Option<String>,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The folder of its socket, on this host.
    pub socket_dir: Option<PathBuf>,
    /// Its data directory, on this host: a standby here is stopped before anything is promoted.
    pub data_dir: Option<PathBuf>,
    /// Its log, on this host, where it is not found by itself.
    pub log: Option<PathBuf>,
    /// The role to connect as.
    pub user: Option<String>,
    /// The database to connect to.
    pub database: Option<String>,
}

fn default_port() -> u16 {
    5432
}

/// Programs with their arguments, run without a shell as the owner of the data directory. Exit code 0 is success; the
/// last line of standard output is shown. Each gets `PGMAYDAY_STANZA`, `PGMAYDAY_OPERATION` and `PGMAYDAY_DATA_DIR`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Hooks {
    /// Stops whoever writes; returns when no write can come any more.
    pub stop_writers: Vec<String>,
    /// Looks at the recovered data, paused at the target; reads only. Gets `PGHOST` (the private socket's folder),
    /// `PGPORT`, `PGUSER`, `PGMAYDAY_TARGET_TYPE` and `PGMAYDAY_TARGET`. Exit code 3: the damage is in it.
    pub verify: Vec<String>,
    /// Starts the server the way it is served.
    pub start: Vec<String>,
    /// Lets the application write again and returns after its first commit through the application's own address.
    pub first_write: Vec<String>,
    /// Makes the first backup of the recovered cluster, in the place of this program's own full backup.
    pub first_backup: Vec<String>,
    /// Prints when the application's check was right and wrong, as JSON:
    /// `{"right": true, "why": "", "last_right": ["2026-11-21 02:03:11.2+00", …newest first], "wrong_since": null}`.
    pub monitor: Vec<String>,
}

/// One check: a query and the only value it may return.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Smoke {
    /// The database.
    pub database: String,
    /// One query that returns one value; run in a read-only transaction.
    pub sql: String,
    /// The value, as text.
    pub expect: String,
}

impl Site {
    /// Finds and reads the file: `PGMAYDAY_CONFIG`, then beside `pgbackrest.conf` as `--config` names it, then in
    /// `/etc/pgbackrest`, then in `/etc`. None anywhere is fine; one that was named must be there.
    pub fn load(named: Option<&Path>, backrest_config: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(path) = named {
            return Self::read(path);
        }
        let beside = backrest_config.and_then(Path::parent);
        let places = [beside, Some(Path::new("/etc/pgbackrest")), Some(Path::new("/etc"))];
        let found =
            places.into_iter().flatten().map(|folder| folder.join(FILE_NAME)).find(|path| path.exists());
        found.map_or_else(|| Ok(Self::default()), |path| Self::read(&path))
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), why: error.to_string() })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let site: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(""));
            ConfigError::Site {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1,
                why: error.message().to_owned(),
            }
        })?;
        Ok(Self { path: Some(path.to_owned()), ..site })
    }

    /// What it says of a stanza; the defaults if it says nothing.
    pub fn of(&self, stanza: &str) -> StanzaSite {
        self.stanza.get(stanza).cloned().unwrap_or_default()
    }
}

/// A duration as in `pgbackrest.conf`: `90s`, `5m`, `26h`, `1d`; a number without a unit is refused.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    let ms = super::time_ms(&text).filter(|_| unit);
    ms.map(|ms| Some(Duration::from_millis(ms))).ok_or_else(|| {
        serde::de::Error::custom(format!("'{text}' is not a duration; write for example 90s, 5m, 26h or 1d"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Site, String> {
        Site::parse(text, Path::new("/etc/pgmayday.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_is_optional_and_read() {
        assert_eq!(parse("").unwrap().of("main"), StanzaSite::default());
        let text = "[stanza.main]\nrpo = '5m'\nhold = '3d'\npatroni = ['http://a:8008']\nlog = '/l'\n[stanza.main.hooks]\nmonitor = ['m', 'x y']\n\
                    [[stanza.main.smoke]]\ndatabase='d'\nsql='SELECT 1'\nexpect='1'\n\
                    [[stanza.main.member]]\nname='standby'\nhost='db2'\n";
        let main = parse(text).unwrap().of("main");
        assert_eq!(main.rpo, Some(Duration::from_secs(300)));
        assert_eq!(main.hold, Some(Duration::from_secs(3 * 86_400)));
        assert_eq!(main.hooks.monitor, ["m", "x y"]);
        assert_eq!(
            (main.patroni.as_slice(), main.log),
            (&["http://a:8008".to_owned()][..], Some("/l".into()))
        );
        assert_eq!((main.member[0].port, main.smoke.len()), (5432, 1));
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let error = parse("[stanza.main]\nlable = 'x'\n").unwrap_err();
        assert!(error.contains("/etc/pgmayday.toml") && error.contains("line 2, column 1"), "{error}");
        assert!(error.contains("lable"), "{error}");
        for wrong in ["[stanza.main]\nrpo = '5'", "[stanza.main]\nrpo = '5x'", "state-dir = 1", "[stanza"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
