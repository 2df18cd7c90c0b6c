//! What verifications came to, as the record in the state directory tells. Reads that one file; verifies nothing.

use crate::base::state::StateDir;
use crate::engine::verify::record::Record;
use crate::engine::verify::{BackupStatus, Depth};
use crate::model::board::{UnsoundBackup, VerificationFacts, VerifyRun};
use crate::model::catalog::Verified;
use crate::model::fact::Answer;
use crate::repo::BackupEntry;

/// Where the record of a stanza in a repository is.
#[derive(Debug, Clone)]
pub(super) struct RecordPlace {
    pub state: StateDir,
    pub stanza: String,
    pub key: u32,
}

impl RecordPlace {
    /// A record that cannot be read says nothing about the repository.
    pub(super) fn look(&self) -> Answer<VerificationFacts> {
        match Record::read(&self.state, &self.stanza, self.key) {
            Ok(record) => Answer::Known { value: record.as_ref().map(facts).unwrap_or_default() },
            Err(report) => Answer::Unknown { why: report.headline },
        }
    }
}

fn facts(record: &Record) -> VerificationFacts {
    let last = record.last.as_ref().map(|run| VerifyRun {
        at: run.at,
        whole: run.depth == Depth::Full,
        damage: run.damage,
        unknown: run.unknown,
    });
    let proven = || record.backups.values().filter(|known| known.is_proven());
    let mut unsound: Vec<UnsoundBackup> = record
        .backups
        .iter()
        .filter_map(|(label, known)| {
            Some(UnsoundBackup { label: label.clone(), wrong: wrong(known.status)?, at: known.at })
        })
        .collect();
    unsound.sort_by_key(|backup| std::cmp::Reverse(backup.at));
    let last_proven = proven().map(|known| known.at).max();
    VerificationFacts { last, proven: proven().count(), last_proven, unsound }
}

/// What is known of a backup; nothing if it was not verified, or another one of this name was.
pub(super) fn of_backup(record: &Record, entry: &BackupEntry) -> Option<Verified> {
    let known = record.backups.get(entry.label.as_str()).filter(|known| known.at >= entry.start)?;
    Some(Verified { at: known.at, wrong: wrong(known.status), whole: known.depth == Depth::Full })
}

/// What is wrong with a backup, as an operator would say it; nothing if it is sound.
fn wrong(status: BackupStatus) -> Option<String> {
    let text = match status {
        BackupStatus::Valid => return None,
        BackupStatus::Invalid => "damaged",
        BackupStatus::ManifestMissing => "without a usable manifest",
        BackupStatus::WalMissing => "without WAL that it needs",
        BackupStatus::Unknown => "not looked at completely",
        BackupStatus::InProgress => "unfinished",
        BackupStatus::Expired => "expired",
    };
    Some(text.to_owned())
}
