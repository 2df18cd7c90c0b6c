//! What a monitor of the application knows: at which moments its check was right.
//!
//! It knows nothing of the truth; the target of a recovery is taken from here, as it would be at night.

use super::LabError;
use super::db::{Db, number};
use super::layout::Lab;
use super::ledger;
use crate::base::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time from one check to the next.
pub const INTERVAL: Duration = Duration::from_millis(200);

/// One run of the check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The server's clock when the check began, before it saw any row; ours where there was no server.
    pub at_us: i64,
    /// True if the check was right.
    pub right: bool,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// Runs the check again and again until `stop` says so.
pub fn watch(lab: &Lab, stop: &dyn Fn() -> bool) -> Result<(), LabError> {
    let path = lab.monitor_file();
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(LabError::io("open", &path))?;
    let mut connections = None;
    while !stop() {
        let begun = Instant::now();
        let seen = look(lab, &mut connections).unwrap_or_else(|error| {
            connections = None;
            Seen { at_us: Timestamp::now().0, right: false, why: error.to_string() }
        });
        let mut line = serde_json::to_vec(&seen)
            .map_err(|e| LabError::Damaged { path: path.clone(), why: e.to_string() })?;
        line.push(b'\n');
        file.write_all(&line).map_err(LabError::io("write", &path))?;
        std::thread::sleep(INTERVAL.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

fn look(lab: &Lab, connections: &mut Option<(Db, Db)>) -> Result<Seen, LabError> {
    let (shop, crm) = match connections {
        Some(both) => both,
        None => connections.insert((
            Db::as_application(lab, ledger::DATABASE)?,
            Db::as_application(lab, ledger::SECOND_DATABASE)?,
        )),
    };
    check(shop, crm)
}

/// Runs the application's check once.
pub fn check(shop: &mut Db, crm: &mut Db) -> Result<Seen, LabError> {
    let [at_us, right] = shop.last_row(&ledger::check_query())?;
    let second = crm.value(&ledger::second_check_query())?;
    let at_us = number(&at_us)?;
    let why = match (right.as_str(), second.as_str()) {
        ("t", "t") => String::new(),
        ("t", _) => "customers are missing".to_owned(),
        _ => "the books do not agree".to_owned(),
    };
    Ok(Seen { at_us, right: why.is_empty(), why })
}

/// What the monitor knows now, in the form the hook `monitor` of `pgmayday.toml` has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The last check was right.
    pub right: bool,
    /// Why it was not.
    pub why: String,
    /// The last moments it was right, newest first.
    pub last_right: Vec<Timestamp>,
    /// The first moment it was wrong since then.
    pub wrong_since: Option<Timestamp>,
}

/// How many right moments a report has.
const MOMENTS: usize = 20;
/// A monitor that saw nothing for so long does not run.
const SILENT_US: i64 = 10_000_000;

/// Reads the monitor's file from its end; an error if the monitor has been silent.
pub fn report(path: &Path, now: Timestamp) -> Result<Report, LabError> {
    let text = std::fs::read_to_string(path).map_err(LabError::io("read", path))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut seen = whole.lines().rev().map(|line| parse(path, line));
    let last = seen.next().transpose()?;
    let Some(last) = last.filter(|last| now.0 - last.at_us < SILENT_US) else {
        return Err(LabError::Wrong("the monitor does not run".to_owned()));
    };
    let mut report = Report { right: last.right, why: last.why, last_right: Vec::new(), wrong_since: None };
    let mut at = Timestamp(last.at_us);
    if report.right {
        report.last_right.push(at);
    } else {
        report.wrong_since = Some(at);
    }
    for seen in seen {
        let seen = seen?;
        at = Timestamp(seen.at_us);
        match (seen.right, report.last_right.is_empty()) {
            (true, _) => report.last_right.push(at),
            // The wrong moments before a right one are another trouble's.
            (false, false) => {}
            (false, true) => report.wrong_since = Some(at),
        }
        if report.last_right.len() == MOMENTS {
            break;
        }
    }
    Ok(report)
}

fn parse(path: &Path, line: &str) -> Result<Seen, LabError> {
    serde_json::from_str(line)
        .map_err(|e| LabError::Damaged { path: path.to_owned(), why: format!("'{line}': {e}") })
}

/// The moments before `wrong` at which the check was right, in order.
///
/// The last of them is the latest moment known to be good; those before are for a verification that fails.
pub fn right_before(path: &Path, wrong: Timestamp) -> Result<Vec<Timestamp>, LabError> {
    let right = read(path)?.into_iter().filter(|seen| seen.right).map(|seen| Timestamp(seen.at_us));
    Ok(right.filter(|at| *at < wrong).collect())
}

/// The first moment after `since` at which the check was wrong.
pub fn first_wrong(path: &Path, since: Timestamp) -> Result<Option<Timestamp>, LabError> {
    let wrong = read(path)?.into_iter().find(|seen| !seen.right && Timestamp(seen.at_us) > since);
    Ok(wrong.map(|seen| Timestamp(seen.at_us)))
}

/// Everything seen so far; a line still being written is left out.
fn read(path: &Path) -> Result<Vec<Seen>, LabError> {
    let text = std::fs::read_to_string(path).map_err(LabError::io("read", path))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| parse(path, line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_right_moment_is_the_one_before_the_first_wrong_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("monitor");
        let line = |at: i64, right: bool| format!("{{\"at_us\":{at},\"right\":{right}}}\n");
        let text =
            [(1, false), (2, true), (3, true), (4, false), (5, false)].map(|(at, r)| line(at, r)).concat();
        std::fs::write(&path, text + "{\"at_us\":6,").unwrap();
        assert_eq!(right_before(&path, Timestamp(4)).unwrap(), [Timestamp(2), Timestamp(3)]);
        assert_eq!(first_wrong(&path, Timestamp(1)).unwrap(), Some(Timestamp(4)));
        assert_eq!(first_wrong(&path, Timestamp(4)).unwrap(), Some(Timestamp(5)));
        let told = report(&path, Timestamp(6)).unwrap();
        assert_eq!((told.right, told.wrong_since), (false, Some(Timestamp(4))));
        assert_eq!(told.last_right, [Timestamp(3), Timestamp(2)]);
        assert!(report(&path, Timestamp(SILENT_US + 6)).is_err(), "a monitor that is gone says nothing");
    }
}
