//! A session by tokio-postgres behind blocking calls, on a runtime of its own that runs only during a call.

use super::{Address, Host, Row, SqlError};
use std::fmt;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

pub(super) struct Session {
    runtime: Runtime,
    client: Client,
    at: String,
    limit: Duration,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn connect(address: &Address) -> Result<Self, SqlError> {
        let at = address.place();
        let unreachable = |why: String| SqlError::Unreachable { at: at.clone(), why };
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| unreachable(error.to_string()))?;
        let config = configure(address);
        let connected = runtime.block_on(async {
            let (client, connection) =
                match tokio::time::timeout(address.connect_limit, config.connect(NoTls)).await {
                    Ok(Ok(both)) => both,
                    Ok(Err(error)) => return Err(connect_error(&at, &error)),
                    Err(_) => {
                        let why = format!("no answer within {} s", address.connect_limit.as_secs_f32());
                        return Err(unreachable(why));
                    }
                };
            // Its end shows in the client, as an error of the statement under way.
            tokio::spawn(async move { drop(connection.await) });
            Ok(client)
        });
        Ok(Self { client: connected?, runtime, at, limit: address.statement_limit })
    }

    pub(super) fn rows(&mut self, statement: &str) -> Result<Vec<Row>, SqlError> {
        // The server gives up first, at the same limit: then the session survives.
        let limit = self.limit + Duration::from_secs(2);
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(limit, self.client.simple_query(statement)).await });
        let messages = match answer {
            Ok(Ok(messages)) => messages,
            Ok(Err(error)) => return Err(statement_error(&self.at, &error)),
            Err(_) => {
                let why = format!("no answer within {} s", limit.as_secs_f32());
                return Err(SqlError::Lost { at: self.at.clone(), why });
            }
        };
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len()).map(|column| row.try_get(column).ok().flatten().map(str::to_owned)).collect(),
            ),
            _ => None,
        });
        Ok(rows.collect())
    }
}

fn configure(address: &Address) -> Config {
    let mut config = Config::new();
    match &address.host {
        Host::Socket(folder) => config.host_path(folder),
        Host::Tcp(host) => config.host(host),
    };
    let limit_ms = address.statement_limit.as_millis();
    config
        .port(address.port)
        .user(&address.user)
        .dbname(&address.database)
        .application_name("pgmayday")
        .connect_timeout(address.connect_limit)
        .options(format!("-c statement_timeout={limit_ms} -c client_min_messages=warning -c datestyle=ISO"));
    if let Some(password) = &address.password {
        config.password(password.expose());
    }
    config
}

fn connect_error(at: &str, error: &tokio_postgres::Error) -> SqlError {
    let at = at.to_owned();
    let Some(server) = error.as_db_error() else {
        let why = innermost(error);
        // A server that wants a password that was not given is there, and says no.
        return if why.contains("password") {
            SqlError::Denied { at, why }
        } else {
            SqlError::Unreachable { at, why }
        };
    };
    let why = words(server);
    match server.code() {
        code if *code == SqlState::CANNOT_CONNECT_NOW => SqlError::NotNow { at, why },
        code if code.code().starts_with("28") => SqlError::Denied { at, why },
        code => SqlError::Failed { code: code.code().to_owned(), why },
    }
}

fn statement_error(at: &str, error: &tokio_postgres::Error) -> SqlError {
    match error.as_db_error() {
        // Class 57P: the server or this session was ended.
        Some(server) if server.code().code().starts_with("57P") => {
            SqlError::Lost { at: at.to_owned(), why: words(server) }
        }
        Some(server) => SqlError::Failed { code: server.code().code().to_owned(), why: words(server) },
        None => SqlError::Lost { at: at.to_owned(), why: innermost(error) },
    }
}

fn words(server: &tokio_postgres::error::DbError) -> String {
    let more = [server.detail(), server.hint()].into_iter().flatten();
    more.fold(server.message().to_owned(), |all, next| format!("{all}: {next}"))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
