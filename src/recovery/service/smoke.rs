//! Checks of a recovered cluster by SQL: queries with the only value they may return, and every database answering.
//!
//! Reads only: each query runs in a read-only transaction.

use crate::base::Report;
use crate::cluster::owner::Account;
use crate::cluster::sql::{Address, Sql, SqlError, Verdict, check_every_database};
use crate::config::site::Smoke;
use crate::model::op::{Event, Sink};
use crate::recovery::in_place::Finding;

/// Opens a session in every database.
pub(super) fn every_database(address: &Address, owner: &Account, sink: &dyn Sink) -> Result<Finding, Report> {
    let checks = check_every_database(address, Some(owner)).map_err(Report::from)?;
    for check in &checks {
        let name = &check.database.name;
        match &check.verdict {
            Verdict::Sound | Verdict::Closed => {}
            Verdict::Broken { why } => {
                return Ok(Finding::Damaged(format!("database {name} cannot be used: {why}")));
            }
            Verdict::Unknown { why } => {
                sink.event(Event::Warning { text: format!("database {name} could not be checked: {why}") });
            }
        }
    }
    Ok(Finding::Right(format!("{} databases answer", checks.len())))
}

/// Makes every check; the first that is wrong counts.
pub(super) fn check_all(address: &Address, owner: &Account, checks: &[Smoke]) -> Result<Finding, Report> {
    for check in checks {
        match answer(address, owner, check) {
            Ok(found) if found.as_deref() == Some(check.expect.as_str()) => {}
            Ok(found) => {
                let found = found.map_or_else(|| "no single value".to_owned(), |value| format!("'{value}'"));
                return Ok(Finding::Damaged(format!(
                    "'{}' in {} returns {found}, not '{}'",
                    check.sql, check.database, check.expect
                )));
            }
            // Out of sessions or memory: nothing is known about the data. A missing table is damage.
            Err(SqlError::Failed { code, why }) if !code.starts_with("53") && !code.starts_with("57") => {
                return Ok(Finding::Damaged(format!("'{}' in {} fails: {why}", check.sql, check.database)));
            }
            Err(error) => {
                return Err(Report::from(error).context(format!("checking '{}'", check.sql)));
            }
        }
    }
    let right = if checks.is_empty() { String::new() } else { format!("{} checks right", checks.len()) };
    Ok(Finding::Right(right))
}

/// The only value a check returns; nothing if it returns another number of values, or NULL.
fn answer(address: &Address, owner: &Account, check: &Smoke) -> Result<Option<String>, SqlError> {
    let mut session = Sql::connect(&address.with_database(&check.database), Some(owner))?;
    session.rows("SET default_transaction_read_only = on")?;
    let rows = session.rows(&check.sql)?;
    Ok(match rows.as_slice() {
        [row] => match row.as_slice() {
            [value] => value.clone(),
            _ => None,
        },
        _ => None,
    })
}
