//! What has to be copied: each file of a scan against the backup before.
//!
//! Same size and same time mean unchanged, unless something tells that the times cannot be believed; then every file of
//! the same size is read and compared by checksum. Reads nothing itself.

use super::scan::{Scan, ScanFile};
use crate::base::Timestamp;
use crate::repo::{FileEntry, Manifest};

/// The manifest name of `pg_control`, which is read in its own way and copied always.
pub(super) const CONTROL_NAME: &str = "pg_data/global/pg_control";

/// What is done with one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing is stored: it is empty, and the backup bundles.
    Empty,
    /// It is as in the backup before, at this place of its manifest.
    Same(u32),
    /// It is copied.
    Copy {
        /// Its place in the manifest before.
        prior: Option<u32>,
        /// It is likely to be unchanged: compare before storing anything.
        compare: bool,
    },
}

/// Decides for every file of `scan`, in its order.
pub(super) fn decide(scan: &Scan, prior: Option<&Manifest>, delta: bool, bundling: bool) -> Vec<Decision> {
    scan.files.iter().map(|file| decide_one(file, prior, delta, bundling)).collect()
}

fn decide_one(file: &ScanFile, prior: Option<&Manifest>, delta: bool, bundling: bool) -> Decision {
    if file.size_bytes == 0 && bundling {
        return Decision::Empty;
    }
    let known = prior.and_then(|prior| Some((prior, prior.files.find(&file.name)?)));
    let Some((prior, at)) = known.filter(|_| &*file.name != CONTROL_NAME) else {
        return Decision::Copy { prior: None, compare: false };
    };
    let before = prior.files.get(at);
    let Ok(at) = u32::try_from(at) else { return Decision::Copy { prior: None, compare: false } };
    let same_size = before.size_bytes == file.size_bytes;
    let same_time = before.modified_s == file.modified_s;
    match (same_size, same_time, delta) {
        (true, true, false) if can_be_referred_to(&before) => Decision::Same(at),
        (true, _, _) => Decision::Copy { prior: Some(at), compare: delta },
        (false, ..) => Decision::Copy { prior: Some(at), compare: false },
    }
}

/// An entry that says what its content is and where it lies.
fn can_be_referred_to(before: &FileEntry<'_>) -> bool {
    (before.checksum.is_some() || before.size_bytes == 0) && before.is_stored()
}

/// Why times and sizes cannot be believed against the backup before; nothing if they can.
pub(super) fn distrust(
    scan: &Scan,
    prior: &Manifest,
    copy_start: Timestamp,
    same_timeline: bool,
) -> Option<String> {
    if !same_timeline {
        return Some("the cluster is on another timeline than when the last backup was made".to_owned());
    }
    scan.files.iter().find_map(|file| {
        let why = |what: &str| Some(format!("{} {what}", file.name.escape_debug()));
        if file.modified_s > copy_start.unix_s() {
            return why("has a time in the future");
        }
        let before = prior.files.get(prior.files.find(&file.name)?);
        if file.modified_s < before.modified_s {
            return why("is older than in the last backup");
        }
        if file.modified_s == before.modified_s && file.size_bytes != before.size_bytes {
            return why("has another size but the same time as in the last backup");
        }
        None
    })
}
