//! What the last verification of a stanza in a repository came to, kept in the state directory for those who show it.
//!
//! One small file per stanza and repository. A backup's entry is only replaced by a verification that looked at least as
//! deep, or that found damage. Holds no secret. Nobody decides a recovery by it.

use super::{BackupStatus, Depth, Level, Verification};
use crate::base::files::atomic_replace;
use crate::base::state::{StateDir, give_to_owner_of_folder, make_folder};
use crate::base::{Kind, Report, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};

/// The form this program writes and reads.
const SCHEMA: &str = "pgmayday.verified/1";
/// The largest record read: ten thousand backups have one of a megabyte.
const MOST_BYTES: u64 = 16 << 20;
const FILE_MODE: u32 = 0o640;

/// What is known from verifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    schema: String,
    /// The stanza.
    pub stanza: String,
    /// The repository's number.
    pub repo: u32,
    /// The last verification of the whole stanza, if there was one.
    pub last: Option<Run>,
    /// The backups that were looked at completely, by label.
    pub backups: BTreeMap<String, Verified>,
}

/// One verification of a whole stanza.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How deep it looked.
    pub depth: Depth,
    /// Findings that are damage.
    pub damage: u64,
    /// Findings that say that something could not be looked at.
    pub unknown: u64,
    /// Findings that are warnings.
    pub warnings: u64,
}

/// What came out for one backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// What it is worth.
    pub status: BackupStatus,
    /// When the verification began.
    pub at: Timestamp,
    /// How deep it looked.
    pub depth: Depth,
}

impl Record {
    fn empty(stanza: &str, repo: u32) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            stanza: stanza.to_owned(),
            repo,
            last: None,
            backups: BTreeMap::new(),
        }
    }

    /// What the state directory knows of a stanza in a repository; nothing if it was never verified.
    pub fn read(state: &StateDir, stanza: &str, repo: u32) -> Result<Option<Self>> {
        let path = state.verification(stanza, repo);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::PermissionDenied => Kind::Unreachable,
                    _ => Kind::Failed,
                };
                return Err(Report::new(kind, format!("cannot read {}: {error}", path.display())));
            }
        }
        let damaged = |why: String| {
            Report::damaged(format!("{} is damaged: {why}", path.display()))
                .hint("verify again: it is written anew")
        };
        let record: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let fits = record.schema == SCHEMA && record.stanza == stanza && record.repo == repo;
        if fits { Ok(Some(record)) } else { Err(damaged("it is of another form or stanza".to_owned())) }
    }

    /// Adds what a verification came to.
    fn take(&mut self, verification: &Verification) {
        if verification.set.is_none() {
            let (damage, unknown, warnings) = verification.totals();
            let (at, took_ms, depth) = (verification.started, verification.took_ms, verification.depth);
            self.last = Some(Run { at, took_ms, depth, damage, unknown, warnings });
            let there: Vec<&str> = verification.backups.iter().map(|backup| backup.label.as_str()).collect();
            self.backups.retain(|label, _| there.contains(&label.as_str()));
        }
        for backup in &verification.backups {
            let label = backup.label.as_str();
            let new = Verified { status: backup.status, at: verification.started, depth: verification.depth };
            let shallow = new.depth == Depth::Stored && new.status == BackupStatus::Valid;
            match backup.status {
                BackupStatus::Expired => drop(self.backups.remove(label)),
                // Not looked at completely: what was known before stays.
                BackupStatus::Unknown | BackupStatus::InProgress => {}
                _ if shallow && self.backups.get(label).is_some_and(Verified::is_proven) => {}
                _ => drop(self.backups.insert(label.to_owned(), new)),
            }
        }
    }
}

impl Verified {
    /// True if every byte the backup needs was decoded and found sound.
    pub fn is_proven(&self) -> bool {
        self.status == BackupStatus::Valid && self.depth == Depth::Full
    }
}

/// Keeps what a verification came to; a record that cannot be read is replaced.
pub fn keep(state: &StateDir, verification: &Verification) -> Result<()> {
    let (stanza, repo) = (verification.stanza.as_str(), verification.repo);
    let mut record = match Record::read(state, stanza, repo) {
        Ok(Some(record)) => record,
        Err(report) if report.kind == Kind::Unreachable => return Err(report),
        _ => Record::empty(stanza, repo),
    };
    record.take(verification);
    let path = state.verification(stanza, repo);
    let failed = |error: &dyn std::fmt::Display| {
        Report::failed(format!("cannot keep the result in {}: {error}", path.display()))
    };
    let bytes = serde_json::to_vec(&record).map_err(|error| failed(&error))?;
    make_folder(state.root()).map_err(|error| failed(&error))?;
    atomic_replace(&path, &bytes, FILE_MODE)
        .and_then(|()| give_to_owner_of_folder(&path))
        .map_err(|error| failed(&error))
}

impl Verification {
    /// True if everything was looked at and nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.worst().is_none_or(|level| level < Level::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BackupResult, Counts, Findings};
    use super::*;

    const FULL: &str = "20261121-010559F";
    const INCR: &str = "20261121-010559F_20261121-010607I";

    fn verification(set: Option<&str>, depth: Depth, backups: &[(&str, BackupStatus)]) -> Verification {
        Verification {
            stanza: "main".to_owned(),
            repo: 2,
            depth,
            set: set.map(|label| label.parse().unwrap()),
            started: Timestamp::from_unix_s(1_795_225_447),
            took_ms: 7,
            bytes: 1,
            findings: Findings::default(),
            archives: Vec::new(),
            backups: backups
                .iter()
                .map(|(label, status)| BackupResult {
                    label: label.parse().unwrap(),
                    status: *status,
                    counts: Counts::default(),
                    wal: None,
                    findings: Findings::default(),
                })
                .collect(),
        }
    }

    #[test]
    fn only_a_look_as_deep_or_damage_replaces_what_is_known() {
        use BackupStatus::{Invalid, Unknown, Valid};
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().join("state"));
        assert_eq!(Record::read(&state, "main", 2).unwrap(), None);
        let kept = |set, depth, backups: &[(&str, BackupStatus)]| {
            keep(&state, &verification(set, depth, backups)).unwrap();
            let record = Record::read(&state, "main", 2).unwrap().unwrap();
            record.backups.into_iter().map(|(label, v)| (label, v.status, v.depth)).collect::<Vec<_>>()
        };
        let full = |status, depth| (FULL.to_owned(), status, depth);
        let incr = |status, depth| (INCR.to_owned(), status, depth);
        let both = kept(None, Depth::Full, &[(FULL, Valid), (INCR, Valid)]);
        assert_eq!(both, [full(Valid, Depth::Full), incr(Valid, Depth::Full)]);
        let stored = kept(None, Depth::Stored, &[(FULL, Valid), (INCR, Invalid)]);
        assert_eq!(stored, [full(Valid, Depth::Full), incr(Invalid, Depth::Stored)]);
        let one = kept(Some(INCR), Depth::Full, &[(INCR, Valid)]);
        assert_eq!(one, [full(Valid, Depth::Full), incr(Valid, Depth::Full)]);
        assert_eq!(kept(Some(FULL), Depth::Full, &[(FULL, Unknown)]).len(), 2);
        // What was expired is forgotten.
        assert_eq!(kept(None, Depth::Full, &[(FULL, Valid)]), [full(Valid, Depth::Full)]);
        assert_eq!(Record::read(&state, "main", 1).unwrap(), None);
        std::fs::write(state.verification("main", 2), "{").unwrap();
        assert!(Record::read(&state, "main", 2).unwrap_err().headline.contains("damaged"));
        assert_eq!(kept(None, Depth::Full, &[(FULL, Valid)]).len(), 1);
    }
}
