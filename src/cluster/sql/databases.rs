//! Connecting to every database: a recovery that stopped inside a DROP DATABASE leaves one that is listed and gone.

use super::{Address, Sql, SqlError};
use crate::cluster::owner::Account;

/// One row of `pg_database`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its object id.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// False for `template0` and others that take no sessions on purpose.
    pub allows_connections: bool,
    /// True if the server itself marked it as left over from an interrupted drop (`datconnlimit = -2`).
    pub marked_invalid: bool,
}

/// What connecting showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A session could be opened and the catalog read.
    Sound,
    /// It takes no sessions on purpose, and its files are there.
    Closed,
    /// It is listed but cannot be used: an interrupted drop, missing files.
    Broken {
        /// The server's words.
        why: String,
    },
    /// It could not be checked.
    Unknown {
        /// What stands in the way.
        why: String,
    },
}

/// A database and what connecting to it showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseCheck {
    /// The database.
    pub database: Database,
    /// The outcome.
    pub verdict: Verdict,
}

/// The databases of a server, by name.
pub fn databases(sql: &mut Sql) -> Result<Vec<Database>, SqlError> {
    let rows =
        sql.rows("select oid, datname, datallowconn, datconnlimit = -2 from pg_database order by datname")?;
    let database = |row: super::Row| {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || fields.next().unwrap_or_default();
        Database {
            oid: next().parse().unwrap_or(0),
            name: next(),
            allows_connections: next() == "t",
            marked_invalid: next() == "t",
        }
    };
    Ok(rows.into_iter().map(database).collect())
}

/// Opens a session in every database of the server at `address` and reads its catalog.
pub fn check_every_database(
    address: &Address,
    owner: Option<&Account>,
) -> Result<Vec<DatabaseCheck>, SqlError> {
    let mut sql = Sql::connect(address, owner)?;
    let listed = databases(&mut sql)?;
    let mut checks = Vec::with_capacity(listed.len());
    for database in listed {
        let verdict = if database.allows_connections || database.marked_invalid {
            connect_to(address, owner, &database)
        } else {
            files_of(&mut sql, &database)
        };
        checks.push(DatabaseCheck { database, verdict });
    }
    Ok(checks)
}

fn connect_to(address: &Address, owner: Option<&Account>, database: &Database) -> Verdict {
    let read = Sql::connect(&address.with_database(&database.name), owner)
        .and_then(|mut sql| sql.value("select count(*) from pg_class where relname is not null"));
    match read {
        // Servers without the mark's check let a session in.
        Ok(_) if database.marked_invalid => {
            Verdict::Broken { why: "left behind by an interrupted DROP DATABASE".to_owned() }
        }
        Ok(_) => Verdict::Sound,
        // Out of sessions, wrong user: nothing is known about the database.
        Err(SqlError::Failed { code, why }) if code.starts_with("53") => Verdict::Unknown { why },
        Err(SqlError::Failed { why, .. }) => Verdict::Broken { why },
        Err(other) => Verdict::Unknown { why: other.to_string() },
    }
}

/// A database without sessions can only be looked at: are its files there?
fn files_of(sql: &mut Sql, database: &Database) -> Verdict {
    let oid = database.oid;
    let path = format!(
        "select case when d.dattablespace = 1663 then 'base/{oid}/PG_VERSION' end from pg_database d where d.oid = {oid}"
    );
    let there = format!("select (pg_stat_file(p, true)).size > 0 from ({path}) as t(p) where p is not null");
    match sql.value(&there) {
        Ok(Some(size)) if size == "t" => Verdict::Closed,
        Ok(None) => Verdict::Unknown { why: "it takes no sessions and its files were not found".to_owned() },
        Ok(Some(_)) => Verdict::Broken { why: "its PG_VERSION file is empty".to_owned() },
        Err(error) => Verdict::Unknown { why: error.to_string() },
    }
}
