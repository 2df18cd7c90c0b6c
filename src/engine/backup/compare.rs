//! What has to be copied: each file of a scan against the backup before.
//!
//! Same size and same time mean unchanged, unless something tells that the times cannot be believed; then every file of
//! the same size is read and compared by checksum. So is a file that had changed just before its backup copied it: see
//! [`young_from`]. Reads nothing itself.

use super::scan::{Scan, ScanFile};
use crate::base::Timestamp;
use crate::repo::{FileEntry, Manifest};

/// The manifest name of `pg_control`, which is read in its own way and copied always.
pub(super) const CONTROL_NAME: &str = "pg_data/global/pg_control";

/// A file that changed this shortly before the copying began may have gone on changing within the same second of its time:
/// times have whole seconds, the kernel's clock is a little behind, and a write takes a while from setting the time to
/// its last byte.
const YOUNG_S: i64 = 2;

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

/// From which time on an equal time proves nothing about a file of this backup.
///
/// Where relations came from a standby, they hold everything up to the start, while the times are the primary's: what
/// the primary wrote after the start need not be in the copy. Replay of that backup's own WAL makes up for it, but the
/// next backup's does not.
pub(super) fn young_from(before: &Manifest) -> i64 {
    let copied = before.copy_start.unix_s().saturating_sub(YOUNG_S);
    if before.standby { copied.min(before.start.unix_s().saturating_sub(YOUNG_S)) } else { copied }
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
    let proves = same_time && !delta && before.modified_s < young_from(prior);
    match (same_size, proves) {
        (true, true) if can_be_referred_to(&before) => Decision::Same(at),
        (true, _) => Decision::Copy { prior: Some(at), compare: delta || same_time },
        (false, _) => Decision::Copy { prior: Some(at), compare: false },
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
