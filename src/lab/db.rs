//! The lab's connections: the application's by TCP and password, the superuser's by the private socket.

use super::LabError;
use super::layout::{Lab, SUPERUSER};
use super::ledger;
use crate::recovery::standin::{Address, Session};
use std::path::Path;

/// One connection; each call waits for its answer.
#[derive(Debug)]
pub struct Db(Session);

impl Db {
    /// Connects as the application does.
    pub fn as_application(lab: &Lab, database: &str) -> Result<Self, LabError> {
        Self::connect(&Address {
            host: "127.0.0.1".to_owned(),
            port: lab.settings().primary_port,
            user: ledger::ROLE.to_owned(),
            password: Some(lab.password()?),
            database: database.to_owned(),
        })
    }

    /// Connects as superuser through a private socket.
    pub fn as_superuser(sockets: &Path, port: u16, database: &str) -> Result<Self, LabError> {
        Self::connect(&Address {
            host: sockets.display().to_string(),
            port,
            user: SUPERUSER.to_owned(),
            password: None,
            database: database.to_owned(),
        })
    }

    fn connect(address: &Address) -> Result<Self, LabError> {
        Session::connect(address).map(Self).map_err(|e| LabError::sql("connecting", e.headline))
    }

    /// Runs statements; every row of every result as text, NULL as the empty text.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, LabError> {
        self.0.rows(sql).map_err(|e| LabError::sql("a query", e.headline))
    }

    /// The last row of what `rows` gives, with at least `columns` columns.
    pub fn last_row(&self, sql: &str, columns: usize) -> Result<Vec<String>, LabError> {
        let row = self.rows(sql)?.pop().unwrap_or_default();
        if row.len() < columns { Err(LabError::sql("a query", "fewer columns than asked for")) } else { Ok(row) }
    }

    /// The first column of the last row.
    pub fn value(&self, sql: &str) -> Result<String, LabError> {
        Ok(self.last_row(sql, 1)?.swap_remove(0))
    }
}
