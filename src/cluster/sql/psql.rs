//! Statements through `psql`, run as the owner of the data directory: the way root passes a peer check.

use super::{Address, Host, Row, SqlError};
use crate::cluster::owner::{Account, run_as};
use crate::cluster::process::{Finished, run_limited};
use std::path::Path;
use std::time::Duration;

const FIELD: char = '\u{1f}';
const RECORD: char = '\u{1e}';
const NULL: &str = "\u{1d}";

#[derive(Debug)]
pub(super) struct Psql {
    address: Address,
    owner: Account,
}

impl Psql {
    pub(super) fn connect(address: &Address, owner: &Account) -> Result<Self, SqlError> {
        let mut psql = Self { address: address.clone(), owner: owner.clone() };
        psql.rows("select 1")?;
        Ok(psql)
    }

    pub(super) fn rows(&mut self, statement: &str) -> Result<Vec<Row>, SqlError> {
        let at = self.address.place();
        let lost = |why: String| SqlError::Lost { at: at.clone(), why };
        let mut psql = run_as(&self.owner, Path::new("psql")).map_err(|error| lost(error.to_string()))?;
        let host = match &self.address.host {
            Host::Socket(folder) => folder.as_os_str().to_owned(),
            Host::Tcp(host) => host.into(),
        };
        psql.args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]);
        psql.arg("-F").arg(FIELD.to_string()).arg("-R").arg(RECORD.to_string());
        psql.arg("-P").arg(format!("null={NULL}"));
        psql.arg("-h").arg(host).arg("-p").arg(self.address.port.to_string());
        psql.arg("-U").arg(&self.address.user).arg("-d").arg(connection_string(&self.address));
        psql.arg("-c").arg(statement);
        psql.env("LC_ALL", "C.UTF-8");
        let limit = self.address.connect_limit + self.address.statement_limit + Duration::from_secs(2);
        let finished = run_limited(psql, limit).map_err(|error| lost(error.to_string()))?;
        if finished.success() { Ok(parse_rows(&finished.stdout)) } else { Err(read_failure(&at, &finished)) }
    }
}

/// The database and what libpq has no switch for, as one connection string.
fn connection_string(address: &Address) -> String {
    let escaped: String = address
        .database
        .chars()
        .flat_map(|c| ['\\'].into_iter().filter(move |_| "\\'".contains(c)).chain([c]))
        .collect();
    let wait_s = address.connect_limit.as_secs().max(2);
    let limit_ms = address.statement_limit.as_millis();
    format!(
        "dbname='{escaped}' connect_timeout={wait_s} application_name=pgmayday \
         options='-c statement_timeout={limit_ms} -c client_min_messages=warning -c datestyle=ISO'"
    )
}

fn parse_rows(text: &str) -> Vec<Row> {
    if text.is_empty() {
        return Vec::new();
    }
    let text = text.strip_suffix('\n').unwrap_or(text);
    let value = |field: &str| (field != NULL).then(|| field.to_owned());
    text.split(RECORD).map(|record| record.split(FIELD).map(value).collect()).collect()
}

/// `ERROR:  42P01: relation "x" does not exist`, or `psql: error: connection to … failed: FATAL:  …`.
fn read_failure(at: &str, finished: &Finished) -> SqlError {
    let at = at.to_owned();
    let text: Vec<&str> =
        finished.stderr.lines().map(str::trim).filter(|line| !line.starts_with("LOCATION:")).collect();
    let text = text.join(" ");
    let Some((_, rest)) = text.split_once("FATAL:  ").or_else(|| text.split_once("ERROR:  ")) else {
        return if finished.code == Some(2) {
            SqlError::Unreachable { at, why: text }
        } else {
            SqlError::Lost { at, why: finished.complaint() }
        };
    };
    let (code, why) = match rest.split_once(": ") {
        Some((code, why)) if code.len() == 5 && code.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            (code.to_owned(), why.trim().to_owned())
        }
        _ => (String::new(), rest.trim().to_owned()),
    };
    let denied = ["authentication failed", "no pg_hba.conf entry", "role \""];
    if code == "57P03" || code.is_empty() && why.starts_with("the database system is") {
        SqlError::NotNow { at, why }
    } else if code.starts_with("28") || code.is_empty() && denied.iter().any(|text| why.contains(text)) {
        SqlError::Denied { at, why }
    } else {
        SqlError::Failed { code, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_line_breaks_empties_and_nulls() {
        assert!(parse_rows("").is_empty());
        let text = |v: &str| Some(v.to_owned());
        assert_eq!(
            parse_rows(&format!("a\nb{FIELD}{FIELD}{NULL}{RECORD}c{FIELD}d{FIELD}e\n")),
            [vec![text("a\nb"), text(""), None], vec![text("c"), text("d"), text("e")]]
        );
    }

    #[test]
    fn failures_are_told_apart() {
        let failure = |code: i32, stderr: &str| {
            read_failure(
                "here",
                &Finished { code: Some(code), stdout: String::new(), stderr: stderr.to_owned() },
            )
        };
        assert!(matches!(
            failure(1, "ERROR:  42P01: relation \"x\" does not exist\nLOCATION:  parserOpenTable, x.c:1\n"),
            SqlError::Failed { code, why } if code == "42P01" && why == "relation \"x\" does not exist"
        ));
        let head = "psql: error: connection to server on socket \"/x\" failed:";
        assert!(matches!(
            failure(2, &format!("{head} FATAL:  the database system is starting up\n")),
            SqlError::NotNow { .. }
        ));
        assert!(matches!(
            failure(2, &format!("{head} FATAL:  Peer authentication failed for user \"a\"\n")),
            SqlError::Denied { .. }
        ));
        assert!(matches!(
            failure(2, &format!("{head} FATAL:  database \"a\" does not exist\n")),
            SqlError::Failed { .. }
        ));
        assert!(matches!(
            failure(2, &format!("{head} No such file or directory\n")),
            SqlError::Unreachable { .. }
        ));
    }

    #[test]
    fn database_names_cannot_add_connection_options() {
        let address = Address::socket("/tmp", 5432, "postgres", r"a' host=evil \");
        assert!(connection_string(&address).starts_with(r"dbname='a\' host=evil \\' connect_timeout=5"));
    }
}
