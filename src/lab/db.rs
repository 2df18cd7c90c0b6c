//! The lab's connections: the application's by TCP and password, the superuser's by the private socket.

use super::LabError;
use super::layout::{Lab, SUPERUSER};
use super::ledger;
use crate::cluster::sql::{Address, Host, Sql, SqlError};
use std::path::Path;

/// One connection; each call waits for its answer.
#[derive(Debug)]
pub struct Db(Sql);

impl Db {
    /// Connects as the application does.
    pub fn as_application(lab: &Lab, database: &str) -> Result<Self, LabError> {
        let mut address = Address::socket("", lab.settings().primary_port, ledger::ROLE, database);
        address.host = Host::Tcp("127.0.0.1".to_owned());
        address.password = Some(lab.password()?);
        Ok(Self(Sql::connect(&address, None)?))
    }

    /// Connects as superuser through a private socket.
    pub fn as_superuser(sockets: &Path, port: u16, database: &str) -> Result<Self, LabError> {
        Ok(Self(Sql::connect(&Address::socket(sockets, port, SUPERUSER, database), None)?))
    }

    /// Runs statements; every row of every result as text, NULL as the empty text.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<Vec<String>>, SqlError> {
        let rows = self.0.rows(sql)?.into_iter();
        Ok(rows.map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect())
    }

    /// The last row of what `rows` gives, which must have exactly `N` columns.
    pub fn last_row<const N: usize>(&mut self, sql: &str) -> Result<[String; N], SqlError> {
        let row = self.rows(sql)?.pop().unwrap_or_default();
        let columns = row.len();
        <[String; N]>::try_from(row).map_err(|_| SqlError::Failed {
            code: String::new(),
            why: format!("an answer of {columns} columns where {N} were asked for"),
        })
    }

    /// The only column of the last row.
    pub fn value(&mut self, sql: &str) -> Result<String, SqlError> {
        let [value] = self.last_row(sql)?;
        Ok(value)
    }
}

/// A number in an answer.
pub fn number<T: std::str::FromStr>(text: &str) -> Result<T, SqlError> {
    text.parse().map_err(|_| SqlError::Failed {
        code: String::new(),
        why: format!("'{text}' where a number was expected"),
    })
}
