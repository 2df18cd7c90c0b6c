//! SQL on one server, blocking, with every wait limited.
//!
//! A connection is made as the user asked for. Where a Unix socket's peer check refuses root, the same statements go
//! through `psql`, run as the owner of the data directory. Values are text. No TLS: the servers spoken to are on this
//! host. Nothing here holds a transaction open or retries a statement.

mod databases;
mod direct;
mod psql;

pub use databases::{Database, DatabaseCheck, Verdict, check_every_database, databases};

use super::owner::{Account, is_root};
use super::recovery_settings::{AUTO_CONF, ConfLine, quoted};
use crate::base::{Kind, Report, Secret};
use std::path::PathBuf;
use std::time::Duration;

/// Why a statement or a connection failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// No server answers there.
    #[error("no PostgreSQL answers at {at}: {why}")]
    Unreachable {
        /// Socket or host, and port.
        at: String,
        /// The system's reason.
        why: String,
    },
    /// The server is there but takes no sessions now (starting, not yet consistent, stopping).
    #[error("PostgreSQL at {at} takes no sessions now: {why}")]
    NotNow {
        /// Socket or host, and port.
        at: String,
        /// The server's words.
        why: String,
    },
    /// The server refuses this user.
    #[error("PostgreSQL at {at} refuses the session: {why}")]
    Denied {
        /// Socket or host, and port.
        at: String,
        /// The server's words.
        why: String,
    },
    /// The server refused the statement or the database.
    #[error("{why}{}", if code.is_empty() { String::new() } else { format!(" (SQLSTATE {code})") })]
    Failed {
        /// SQLSTATE; empty if it is not known.
        code: String,
        /// The server's words, detail included.
        why: String,
    },
    /// No answer came in time, or the connection was lost; it cannot be used again.
    #[error("the session with PostgreSQL at {at} was lost: {why}")]
    Lost {
        /// Socket or host, and port.
        at: String,
        /// What happened.
        why: String,
    },
}

impl SqlError {
    /// True if nobody listens there: the system itself said no, at once.
    pub fn is_refused(&self) -> bool {
        let Self::Unreachable { why, .. } = self else { return false };
        ["Connection refused", "No such file or directory"].iter().any(|sign| why.contains(sign))
    }
}

impl From<SqlError> for Report {
    fn from(error: SqlError) -> Self {
        let text = error.to_string();
        match error {
            SqlError::Unreachable { .. } | SqlError::NotNow { .. } | SqlError::Lost { .. } => {
                Self::new(Kind::Unreachable, text)
            }
            SqlError::Denied { .. } => Self::new(Kind::Unreachable, text)
                .hint("name a database user that pg_hba.conf lets in, or run this as the owner of the data directory"),
            SqlError::Failed { .. } => Self::failed(text),
        }
    }
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// The folder of its Unix socket.
    Socket(PathBuf),
    /// A TCP host name or address.
    Tcp(String),
}

/// How to reach a server and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Address {
    /// Where it listens.
    pub host: Host,
    /// Its port, also part of the socket's name.
    pub port: u16,
    /// Database user.
    pub user: String,
    /// Database.
    pub database: String,
    /// Password, if one is needed.
    pub password: Option<Secret>,
    /// The longest wait for a connection.
    pub connect_limit: Duration,
    /// The longest wait for a statement.
    pub statement_limit: Duration,
}

impl Address {
    /// A server on a Unix socket, with limits of 5 s to connect and 30 s for a statement.
    pub fn socket(folder: impl Into<PathBuf>, port: u16, user: &str, database: &str) -> Self {
        Self {
            host: Host::Socket(folder.into()),
            port,
            user: user.to_owned(),
            database: database.to_owned(),
            password: None,
            connect_limit: Duration::from_secs(5),
            statement_limit: Duration::from_secs(30),
        }
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The server as it is named in messages.
    pub fn place(&self) -> String {
        match &self.host {
            Host::Socket(folder) => format!("{}/.s.PGSQL.{}", folder.display(), self.port),
            Host::Tcp(host) => format!("{host}:{}", self.port),
        }
    }
}

/// One row; nothing where the value is NULL.
pub type Row = Vec<Option<String>>;

/// A session, direct or through `psql`.
#[derive(Debug)]
pub struct Sql {
    way: Way,
}

#[derive(Debug)]
enum Way {
    Direct(direct::Session),
    Psql(psql::Psql),
}

impl Sql {
    /// Opens a session. As root on a Unix socket that refuses it, `owner` is the account `psql` is then run as.
    pub fn connect(address: &Address, owner: Option<&Account>) -> Result<Self, SqlError> {
        match direct::Session::connect(address) {
            Ok(session) => Ok(Self { way: Way::Direct(session) }),
            Err(SqlError::Denied { at, why }) => match (&address.host, owner) {
                (Host::Socket(_), Some(owner)) if is_root() => {
                    Ok(Self { way: Way::Psql(psql::Psql::connect(address, owner)?) })
                }
                _ => Err(SqlError::Denied { at, why }),
            },
            Err(other) => Err(other),
        }
    }

    /// True if the session goes through `psql` as the owner.
    pub fn through_psql(&self) -> bool {
        matches!(self.way, Way::Psql(_))
    }

    /// Runs one statement and returns its rows as text.
    pub fn rows(&mut self, statement: &str) -> Result<Vec<Row>, SqlError> {
        match &mut self.way {
            Way::Direct(session) => session.rows(statement),
            Way::Psql(psql) => psql.rows(statement),
        }
    }

    /// Runs one statement and returns the first value of its first row.
    pub fn value(&mut self, statement: &str) -> Result<Option<String>, SqlError> {
        Ok(self.rows(statement)?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// True while the server replays WAL.
    pub fn is_in_recovery(&mut self) -> Result<bool, SqlError> {
        Ok(self.value("select pg_is_in_recovery()")?.as_deref() == Some("t"))
    }

    /// The data directory the server really uses (superusers only).
    pub fn data_directory(&mut self) -> Result<PathBuf, SqlError> {
        Ok(PathBuf::from(self.value("show data_directory")?.unwrap_or_default()))
    }

    /// Has the server read its configuration files again.
    pub fn reload(&mut self) -> Result<(), SqlError> {
        self.rows("select pg_reload_conf()").map(drop)
    }

    /// Every line of `postgresql.auto.conf` that sets one of these names, as the server itself reads the file.
    pub fn auto_conf_lines(&mut self, names: &[ConfLine]) -> Result<Vec<ConfLine>, SqlError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<String> = names.iter().map(|line| literal(&line.name)).collect();
        let rows = self.rows(&format!(
            "select lower(name), setting from pg_file_settings where lower(name) in ({}) and sourcefile like '%/{AUTO_CONF}' order by seqno",
            list.join(", ")
        ))?;
        let line = |row: Row| {
            let mut fields = row.into_iter().map(Option::unwrap_or_default);
            ConfLine { name: fields.next().unwrap_or_default(), value: fields.next().unwrap_or_default() }
        };
        Ok(rows.into_iter().map(line).collect())
    }
}

/// A string as an SQL literal that does not depend on `standard_conforming_strings`.
pub fn literal(text: &str) -> String {
    let quoted = quoted(text);
    if quoted.contains('\\') { format!(" E{quoted}") } else { quoted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_cannot_break_out() {
        assert_eq!(literal("plain"), "'plain'");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'; drop table x; --"), " E'a\\\\''; drop table x; --'");
    }

    #[test]
    fn a_missing_server_is_unreachable_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let address = Address::socket(dir.path(), 5999, "postgres", "postgres");
        let error = Sql::connect(&address, None).unwrap_err();
        assert!(matches!(error, SqlError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(".s.PGSQL.5999"), "{error}");
        assert!(error.is_refused());
    }
}
