//! Disasters, injected without telling; what really happened is written into a hidden file.
//!
//! Every disaster happens under load where there is a server left to load.

use super::db::{Db, number};
use super::layout::Lab;
use super::truth::Truth;
use super::{LabError, ledger, postgres};
use crate::base::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::str::FromStr;

/// What can happen to a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disaster {
    /// An UPDATE nobody wanted.
    BadUpdate,
    /// A table of the application is dropped.
    DropTable,
    /// The second database is dropped.
    DropDatabase,
    /// The primary's processes die at once; its data directory stays.
    KillPrimary,
    /// The primary dies and its data directory is emptied.
    WipeDatadir,
}

impl Disaster {
    /// All of them, as the command line names them.
    pub const ALL: [(&'static str, Self); 5] = [
        ("bad-update", Self::BadUpdate),
        ("drop-table", Self::DropTable),
        ("drop-database", Self::DropDatabase),
        ("kill-primary", Self::KillPrimary),
        ("wipe-datadir", Self::WipeDatadir),
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, disaster)| *disaster == self).map_or("", |(name, _)| name)
    }
}

impl FromStr for Disaster {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, disaster)| *disaster).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            format!("'{text}' is not a disaster (known: {})", names.join(", "))
        })
    }
}

/// What really happened, one line of the hidden file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// Which disaster.
    pub disaster: Disaster,
    /// When: the commit time of the damage as the server recorded it, else our clock; microseconds since 1970.
    pub at_us: i64,
    /// The damage's transaction, if it was one.
    pub xid: Option<u64>,
    /// A position at or before the damage.
    pub lsn_before: Option<String>,
    /// A position at or after the damage.
    pub lsn_after: Option<String>,
    /// Ledger rows committed before it.
    pub rows_before: u64,
    /// SHA-256 of those rows, as the application's ledger had them.
    pub ledger_sha256: String,
}

/// Lets a disaster happen.
pub fn inject(lab: &Lab, disaster: Disaster) -> Result<(), LabError> {
    let damage = match disaster {
        Disaster::BadUpdate => {
            by_statement(lab, ledger::DATABASE, "UPDATE ledger SET amount = amount * 100")?
        }
        Disaster::DropTable => by_statement(lab, ledger::DATABASE, "DROP TABLE orders")?,
        Disaster::DropDatabase => drop_database(lab)?,
        Disaster::KillPrimary | Disaster::WipeDatadir => {
            // A dead primary's directory can still be wiped.
            if !postgres::kill(lab, &lab.primary())? && disaster == Disaster::KillPrimary {
                return Err(LabError::NotRunning("primary"));
            }
            Damage { at: Timestamp::now(), xid: None, lsn_before: None, lsn_after: None }
        }
    };
    if disaster == Disaster::WipeDatadir {
        wipe(lab)?;
    }
    let rows_before = settled_truth(lab, damage.at)?.rows_at(damage.at);
    write_down(
        lab,
        &Happened {
            disaster,
            at_us: damage.at.0,
            xid: damage.xid,
            lsn_before: damage.lsn_before,
            lsn_after: damage.lsn_after,
            rows_before,
            ledger_sha256: ledger::Expected::after(rows_before).ledger_sha256,
        },
    )
}

/// Everything that was injected so far, oldest first.
pub fn happened(lab: &Lab) -> Result<Vec<Happened>, LabError> {
    let path = lab.disasters_file();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(LabError::io("read", &path)(e)),
    };
    text.lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(|e| LabError::Damaged { path, why: e.to_string() })
}

struct Damage {
    at: Timestamp,
    xid: Option<u64>,
    lsn_before: Option<String>,
    lsn_after: Option<String>,
}

fn by_statement(lab: &Lab, database: &str, statement: &str) -> Result<Damage, LabError> {
    let mut db = Db::as_superuser(&lab.sockets(), lab.settings().primary_port, database)?;
    let lsn_before = db.value("SELECT pg_current_wal_insert_lsn()")?;
    let xid = db.value(&format!("BEGIN; {statement}; SELECT pg_current_xact_id(); COMMIT"))?;
    let [at_us, lsn_after] = db.last_row(&format!(
        "SELECT (extract(epoch FROM pg_xact_commit_timestamp('{xid}'::xid)) * 1000000)::bigint,
           pg_current_wal_insert_lsn()"
    ))?;
    Ok(Damage {
        at: Timestamp(number(&at_us)?),
        xid: Some(number(&xid)?),
        lsn_before: Some(lsn_before),
        lsn_after: Some(lsn_after),
    })
}

/// DROP DATABASE takes no transaction block: its transaction is the one of those meanwhile that is not the writer's.
fn drop_database(lab: &Lab) -> Result<Damage, LabError> {
    let mut db = Db::as_superuser(&lab.sockets(), lab.settings().primary_port, "postgres")?;
    let next = "SELECT pg_snapshot_xmax(pg_current_snapshot()), pg_current_wal_insert_lsn()";
    let [first, lsn_before] = db.last_row(next)?;
    db.rows(&format!("DROP DATABASE {} WITH (FORCE)", ledger::SECOND_DATABASE))?;
    let [end, lsn_after] = db.last_row(next)?;
    let rows = db.rows(&format!(
        "SELECT n, (extract(epoch FROM at) * 1000000)::bigint
           FROM generate_series({first}::bigint, {end}::bigint - 1) n, pg_xact_commit_timestamp(n::text::xid) AS at
          WHERE at IS NOT NULL ORDER BY n"
    ))?;
    let mut commits = Vec::new();
    for row in &rows {
        let [xid, at_us] = row.as_slice() else { continue };
        commits.push((number::<u64>(xid)?, Timestamp(number(at_us)?)));
    }
    let until = commits.last().map_or(Timestamp(0), |(_, at)| *at);
    let truth = settled_truth(lab, until)?;
    let writers = |xid: u64| truth.commits.iter().rev().any(|commit| commit.xid == xid);
    let (xid, at) = commits
        .into_iter()
        .find(|(xid, _)| !writers(*xid))
        .ok_or_else(|| LabError::Wrong("the transaction of DROP DATABASE was not found".to_owned()))?;
    Ok(Damage { at, xid: Some(xid), lsn_before: Some(lsn_before), lsn_after: Some(lsn_after) })
}

/// Empties the primary's data directory, as a hand in the wrong window would.
fn wipe(lab: &Lab) -> Result<(), LabError> {
    let data = lab.primary();
    for entry in std::fs::read_dir(&data).map_err(LabError::io("list", &data))? {
        lab.root().remove(&entry.map_err(LabError::io("list", &data))?.path())?;
    }
    Ok(())
}

/// The truth, once the writer has written down everything up to `at`: it writes within milliseconds of a commit.
fn settled_truth(lab: &Lab, at: Timestamp) -> Result<Truth, LabError> {
    for _ in 0..40 {
        let truth = Truth::load(&lab.truth_file())?;
        if truth.in_doubt.is_some() || truth.commits.last().is_some_and(|commit| commit.at > at) {
            return Ok(truth);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Truth::load(&lab.truth_file())
}

fn write_down(lab: &Lab, happened: &Happened) -> Result<(), LabError> {
    let path = lab.disasters_file();
    let mut line = serde_json::to_vec(happened)
        .map_err(|e| LabError::Damaged { path: path.clone(), why: e.to_string() })?;
    line.push(b'\n');
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(&line)).map_err(LabError::io("write", &path))
}
