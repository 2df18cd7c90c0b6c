//! The truth: every commit of the workload, in the order of the write-ahead log, with its own commit time.
//!
//! There is one writer, so the order of its commits is the order of the log. A commit whose answer was lost is
//! written down as in doubt until the server can be asked. The file is appended to, never rewritten.

use super::LabError;
use crate::base::{Lsn, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// One line of the truth file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fact {
    /// Transaction `id` was committed.
    Commit {
        /// Its number in the ledger.
        id: u64,
        /// The server's transaction id.
        xid: u64,
        /// Commit time as the server recorded it, microseconds since 1970.
        at_us: i64,
        /// A position at or after the end of the commit record.
        lsn: String,
    },
    /// Transaction `id` was sent and no answer came.
    InDoubt {
        /// Its number in the ledger.
        id: u64,
    },
    /// The database was found to have been taken back to transaction `to`.
    Rewound {
        /// The last transaction it still has.
        to: u64,
    },
    /// The database holds what the writer never wrote; nothing can be checked any more.
    Foreign {
        /// The highest transaction number found.
        found: u64,
    },
}

/// One commit of the database's present history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The server's transaction id.
    pub xid: u64,
    /// Commit time as the server recorded it.
    pub at: Timestamp,
    /// A position at or after the end of the commit record.
    pub lsn: Lsn,
}

/// What is known about the present history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Commits in order; element `n` is transaction `n + 1`.
    pub commits: Vec<Commit>,
    /// The transaction whose answer never came, always the one after the last commit.
    pub in_doubt: Option<u64>,
    /// Commits that a recovery took back, over the lab's life.
    pub taken_back: u64,
    /// True if something else wrote to the ledger.
    pub foreign: bool,
}

impl Truth {
    /// Reads the truth file; a line still being written at its end is left out.
    pub fn load(path: &Path) -> Result<Self, LabError> {
        let mut truth = Self::default();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(truth),
            Err(e) => return Err(LabError::io("open", path)(e)),
        };
        let mut reader = BufReader::new(file);
        let (mut line, mut number) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line).map_err(LabError::io("read", path))?;
            if line.pop() != Some(b'\n') {
                return Ok(truth);
            }
            number += 1;
            let bad = |why: String| LabError::Damaged {
                path: path.to_owned(),
                why: format!("line {number}: {why}"),
            };
            let fact = serde_json::from_slice(&line).map_err(|e| bad(e.to_string()))?;
            truth.apply(&fact).map_err(bad)?;
        }
    }

    /// Takes one fact in; an error says why it does not follow from those before.
    pub fn apply(&mut self, fact: &Fact) -> Result<(), String> {
        let next = self.last() + 1;
        match fact {
            Fact::Commit { id, xid, at_us, lsn } => {
                if *id != next {
                    return Err(format!("commit {id} where {next} was due"));
                }
                let lsn = lsn.parse().map_err(|e: crate::base::units::UnitError| e.to_string())?;
                self.commits.push(Commit { xid: *xid, at: Timestamp(*at_us), lsn });
                self.in_doubt = None;
            }
            Fact::InDoubt { id } if *id == next => self.in_doubt = Some(*id),
            Fact::InDoubt { id } => return Err(format!("{id} in doubt where {next} was due")),
            Fact::Rewound { to } => {
                let keep = usize::try_from(*to).unwrap_or(usize::MAX);
                self.taken_back += self.last().saturating_sub(*to);
                self.commits.truncate(keep);
                self.in_doubt = None;
            }
            Fact::Foreign { .. } => self.foreign = true,
        }
        Ok(())
    }

    /// The number of the last transaction known to be committed; 0 if none.
    pub fn last(&self) -> u64 {
        self.commits.len() as u64
    }

    /// How many transactions a recovery to `target` brings back: recovery goes through the log in order and stops
    /// at the first commit whose time is past the target, whatever follows it.
    pub fn rows_at(&self, target: Timestamp) -> u64 {
        self.commits.iter().take_while(|commit| commit.at <= target).count() as u64
    }

    /// The transaction number `id`, if it is known to be committed.
    pub fn commit(&self, id: u64) -> Option<&Commit> {
        self.commits.get(usize::try_from(id.checked_sub(1)?).ok()?)
    }

    /// True if a database that was not stopped by a target may hold `rows` transactions at its end.
    pub fn may_end_with(&self, rows: u64) -> bool {
        rows == self.last() || self.in_doubt == Some(rows)
    }
}

/// The writer's end of the truth file.
#[derive(Debug)]
pub struct Pen {
    file: File,
    path: PathBuf,
    /// Everything written so far.
    pub truth: Truth,
}

impl Pen {
    /// Opens the truth file for appending; a torn last line of a killed writer is cut off.
    pub fn open(path: &Path) -> Result<Self, LabError> {
        let truth = Truth::load(path)?;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = file.map_err(LabError::io("open", path))?;
        let text = std::fs::read(path).map_err(LabError::io("read", path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64).map_err(LabError::io("cut", path))?;
        Ok(Self { file, path: path.to_owned(), truth })
    }

    /// Writes one fact down.
    pub fn write(&mut self, fact: &Fact) -> Result<(), LabError> {
        self.truth.apply(fact).map_err(|why| LabError::Damaged { path: self.path.clone(), why })?;
        let mut line = serde_json::to_vec(fact)
            .map_err(|e| LabError::Damaged { path: self.path.clone(), why: e.to_string() })?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(LabError::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(id: u64, at_us: i64) -> Fact {
        Fact::Commit { id, xid: 700 + id, at_us, lsn: "0/3000028".to_owned() }
    }

    #[test]
    fn recovery_stops_at_the_first_commit_past_the_target_even_if_the_clock_went_back() {
        let mut truth = Truth::default();
        for (id, at) in [(1, 10), (2, 20), (3, 15), (4, 30)] {
            truth.apply(&commit(id, at)).unwrap();
        }
        let rows: Vec<u64> = [5, 10, 15, 19, 20, 29, 30].map(|at| truth.rows_at(Timestamp(at))).into();
        assert_eq!(rows, [0, 1, 1, 1, 3, 3, 4]);
    }

    #[test]
    fn a_torn_line_and_a_lost_answer_are_no_commits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("truth");
        let mut pen = Pen::open(&path).unwrap();
        pen.write(&commit(1, 10)).unwrap();
        pen.write(&Fact::InDoubt { id: 2 }).unwrap();
        pen.file.write_all(br#"{"kind":"commit","id":2"#).unwrap();
        let truth = Truth::load(&path).unwrap();
        assert_eq!((truth.last(), truth.in_doubt), (1, Some(2)));
        assert!(truth.may_end_with(1) && truth.may_end_with(2) && !truth.may_end_with(3));
        let mut pen = Pen::open(&path).unwrap();
        pen.write(&commit(2, 20)).unwrap();
        pen.write(&Fact::Rewound { to: 1 }).unwrap();
        let truth = Truth::load(&path).unwrap();
        assert_eq!((truth.last(), truth.in_doubt, truth.taken_back), (1, None, 1));
    }

    #[test]
    fn a_gap_in_the_numbers_is_damage() {
        let mut truth = Truth::default();
        truth.apply(&commit(1, 10)).unwrap();
        assert!(truth.apply(&commit(3, 20)).is_err());
        assert!(truth.apply(&Fact::InDoubt { id: 5 }).is_err());
    }
}
