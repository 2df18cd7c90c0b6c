//! The lab's connections: the application's by TCP and password, the superuser's by the private socket.

use super::LabError;
use super::layout::{Lab, SUPERUSER};
use super::ledger;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// One connection; each call waits for its answer.
#[derive(Debug)]
pub struct Db {
    runtime: Runtime,
    client: Client,
}

impl Db {
    /// Connects as the application does.
    pub fn as_application(lab: &Lab, database: &str) -> Result<Self, LabError> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(lab.settings().primary_port).user(ledger::ROLE);
        config.password(lab.password()?.expose()).dbname(database);
        Self::connect(&config)
    }

    /// Connects as superuser through a private socket.
    pub fn as_superuser(sockets: &Path, port: u16, database: &str) -> Result<Self, LabError> {
        let mut config = Config::new();
        config.host_path(sockets).port(port).user(SUPERUSER).dbname(database);
        Self::connect(&config)
    }

    fn connect(config: &Config) -> Result<Self, LabError> {
        let failed = |why: &dyn std::fmt::Display| LabError::sql("connecting", why);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| failed(&e))?;
        let mut config = config.clone();
        config.connect_timeout(Duration::from_secs(3)).application_name("pgmayday-lab");
        let client = runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        });
        client.map_err(|e: tokio_postgres::Error| failed(&text(&e))).map(|client| Self { runtime, client })
    }

    /// Runs statements; every row of every result as text, NULL as the empty text.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, LabError> {
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(60), self.client.simple_query(sql)).await
        });
        let answer = answer.map_err(|_| LabError::sql("a query", "no answer within 60 s"))?;
        let messages = answer.map_err(|e| LabError::sql("a query", text(&e)))?;
        let row = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
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

/// The server's own message, which tokio-postgres hides behind "db error".
fn text(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || {
            let source = std::error::Error::source(error).map(|s| format!(": {s}")).unwrap_or_default();
            format!("{error}{source}")
        },
        |db| format!("{} ({})", db.message(), db.code().code()),
    )
}
