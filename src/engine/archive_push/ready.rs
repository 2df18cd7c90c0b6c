//! What waits to be archived: the `.ready` files of `pg_wal/archive_status`, and whether they are too many.
//!
//! Only looks; PostgreSQL alone makes and renames them.

use super::PushError;
use crate::base::{Bytes, PgVersion};
use crate::engine::archive_get::Wanted;
use crate::engine::identity::Identity;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of WAL inside a data directory.
pub(super) fn wal_folder(data_dir: &Path, version: PgVersion) -> PathBuf {
    data_dir.join(if version.at_least(10) { "pg_wal" } else { "pg_xlog" })
}

/// The status folder beside a file of WAL.
pub(super) fn folder_of(path: &Path) -> Option<PathBuf> {
    Some(path.parent()?.join("archive_status"))
}

/// True if PostgreSQL says that the file at `path` is to be archived.
pub(super) fn is_ready(path: &Path, file: Wanted) -> bool {
    folder_of(path).is_some_and(|folder| folder.join(format!("{file}.ready")).exists())
}

/// Everything that waits, in the order in which PostgreSQL asks for it: histories first, then by name. A folder that is
/// not there has nothing.
pub(super) fn list(folder: &Path) -> Result<Vec<Wanted>, PushError> {
    let failed = |source| PushError::Source { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut waiting = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".ready"));
        waiting.extend(name.and_then(Wanted::parse));
    }
    waiting.sort_by_cached_key(|file| (!matches!(file, Wanted::History(_)), file.to_string()));
    Ok(waiting)
}

/// A queue that is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queue {
    /// How many files wait.
    pub(super) files: usize,
    /// The most bytes that may wait.
    pub(super) most_bytes: u64,
}

impl Queue {
    /// The queue if so many files are more than `most_bytes` allow; every file counts as a segment.
    pub(super) fn too_long(files: usize, identity: &Identity, most_bytes: u64) -> Option<Self> {
        let bytes = u64::from(identity.segment_size.bytes()).saturating_mul(files as u64);
        (bytes > most_bytes).then_some(Self { files, most_bytes })
    }

    /// The queue in words.
    pub(super) fn words(&self) -> String {
        format!("{} files wait, more than archive-push-queue-max={}", self.files, Bytes(self.most_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{SystemId, WalSegmentSize};

    #[test]
    fn what_waits_is_listed_in_the_order_of_postgresql() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("archive_status");
        assert!(list(&folder).unwrap().is_empty());
        std::fs::create_dir(&folder).unwrap();
        for name in [
            "000000010000000000000003.ready",
            "000000010000000000000002.00000028.backup.ready",
            "000000010000000000000002.ready",
            "00000002.history.ready",
            "000000020000000000000003.ready",
            "000000010000000000000003.partial.ready",
            "000000010000000000000001.done",
            "000000010000000000000004.ready.tmp",
            "nonsense.ready",
        ] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let names: Vec<String> = list(&folder).unwrap().iter().map(ToString::to_string).collect();
        let expected = [
            "00000002.history",
            "000000010000000000000002",
            "000000010000000000000002.00000028.backup",
            "000000010000000000000003",
            "000000010000000000000003.partial",
            "000000020000000000000003",
        ];
        assert_eq!(names, expected);
        let segment = dir.path().join("000000010000000000000002");
        assert!(is_ready(&segment, Wanted::parse("000000010000000000000002").unwrap()));
        assert!(!is_ready(&segment, Wanted::parse("000000010000000000000001").unwrap()));
    }

    #[test]
    fn a_queue_is_too_long_only_beyond_its_bytes() {
        let identity = Identity {
            version: PgVersion::major(15),
            system_id: SystemId(1),
            segment_size: WalSegmentSize::new(1 << 20).unwrap(),
        };
        assert_eq!(Queue::too_long(4, &identity, 4 << 20), None);
        let queue = Queue::too_long(5, &identity, 4 << 20).unwrap();
        assert_eq!(queue.words(), "5 files wait, more than archive-push-queue-max=4.0 MB");
        assert!(Queue::too_long(0, &identity, 0).is_none());
        assert!(Queue::too_long(1, &identity, 0).is_some());
    }
}
