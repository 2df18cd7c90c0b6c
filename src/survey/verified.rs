//! What verifications came to, as the record in the state directory tells. Reads that one file; verifies nothing.

use crate::engine::verify::BackupStatus;
use crate::engine::verify::Depth;
use crate::engine::verify::record::Record;
use crate::model::catalog::Verified;
use crate::repo::BackupEntry;

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
