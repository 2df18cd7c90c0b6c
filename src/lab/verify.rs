//! Checking a database against the truth, to the row.
//!
//! Reads only. Counts, sums and digests are computed by the server; where they differ the rows are fetched and
//! the first differences named.

use super::LabError;
use super::db::Db;
use super::ledger::{self, Entry, Expected};
use super::monitor;
use serde::{Deserialize, Serialize};

/// How many differing rows are named.
const NAMED: usize = 5;

/// What the comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Ledger rows the truth says there must be.
    pub rows_expected: u64,
    /// Ledger rows there are.
    pub rows_found: u64,
    /// SHA-256 of the ledger the truth says there must be.
    pub ledger_expected: String,
    /// SHA-256 of the ledger there is.
    pub ledger_found: String,
    /// What differs; empty if everything is as committed.
    pub differences: Vec<String>,
}

impl Verdict {
    /// True if every row is as it was committed.
    pub fn right(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares both databases with what they held after exactly `rows` transactions.
pub fn verify(shop: &mut Db, crm: &mut Db, rows: u64) -> Result<Verdict, LabError> {
    let expected = Expected::after(rows);
    let found: [String; 3] = shop.last_row(ledger::LEDGER_DIGEST_QUERY)?;
    let mut differences = Vec::new();
    let ledger = [expected.rows.to_string(), expected.amount_sum.to_string(), expected.ledger_sha256.clone()];
    if found != ledger {
        differences.push(format!(
            "the ledger has {} rows with sum {}, expected {} with sum {}",
            found[0], found[1], ledger[0], ledger[1]
        ));
        differences.extend(different_rows(shop, rows)?);
    }
    if shop.value(&ledger::rest_digest_query())? != expected.rest_sha256 {
        differences.push("accounts or the workload's orders differ from the ledger's truth".to_owned());
    }
    if shop.value(&ledger::old_orders_query())? != "t" {
        differences.push("orders from before the workload are missing or changed".to_owned());
    }
    let check = monitor::check(shop, crm)?;
    if !check.right {
        differences.push(format!("the application's check: {}", check.why));
    }
    let [count, _, digest] = found;
    Ok(Verdict {
        rows_expected: rows,
        rows_found: count.parse().unwrap_or(0),
        ledger_expected: expected.ledger_sha256,
        ledger_found: digest,
        differences,
    })
}

fn different_rows(shop: &mut Db, rows: u64) -> Result<Vec<String>, LabError> {
    let found = shop.rows("SELECT id, payer, payee, amount, note FROM ledger ORDER BY id")?;
    let mut differences = Vec::new();
    let mut found = found.iter().peekable();
    for entry in (1..=rows).map(Entry::of) {
        let Entry { id, payer, payee, amount, note } = entry;
        let wanted = [id.to_string(), payer.to_string(), payee.to_string(), amount.to_string(), note];
        match found.peek() {
            Some(row) if row[0] == wanted[0] => {
                if row[..] != wanted {
                    differences.push(format!(
                        "row {id} is {}, committed was {}",
                        row.join(" "),
                        wanted.join(" ")
                    ));
                }
                found.next();
            }
            _ => differences.push(format!("row {id} is missing")),
        }
        if differences.len() == NAMED {
            return Ok(differences);
        }
    }
    if let Some(row) = found.next() {
        differences.push(format!("row {} should not be there", row[0]));
    }
    Ok(differences)
}
