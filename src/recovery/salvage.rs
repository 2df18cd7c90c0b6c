//! Saving `pg_wal` before a recovery: what the archive may not have yet.
//!
//! Only segments whose first page says that they are what their name says: a recycled segment bears a future name
//! over old content. Copies, never links, and never writes into the repository.

use super::RecoveryError;
use crate::base::files::sync_folder;
use crate::base::{Timeline, WalSegment, WalSegmentSize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What was saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// Segments copied, in order of name.
    pub segments: Vec<WalSegment>,
    /// Segments the server had not archived yet, by its own marks.
    pub unarchived: Vec<WalSegment>,
    /// History files copied.
    pub histories: Vec<String>,
    /// Segments passed over because their content is not what their name says.
    pub recycled: usize,
}

/// Copies the segments and history files of `data_dir`'s `pg_wal` into the folder `to`, which is made.
///
/// Run again, it copies what has changed since.
pub fn save_wal(data_dir: &Path, size: WalSegmentSize, to: &Path) -> Result<Saved, RecoveryError> {
    let wal = data_dir.join("pg_wal");
    std::fs::create_dir_all(to).map_err(RecoveryError::io("make", to))?;
    let mut saved = Saved::default();
    let entries = match std::fs::read_dir(&wal) {
        Ok(entries) => entries,
        // A wiped data directory has nothing to save.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(saved),
        Err(e) => return Err(RecoveryError::io("list", &wal)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(RecoveryError::io("list", &wal))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if Timeline::from_history_file(name).is_some() {
            if copy(&entry.path(), &to.join(name))? {
                saved.histories.push(name.to_owned());
            }
        } else if let Ok(segment) = name.parse::<WalSegment>() {
            match first_page_position(&entry.path())? {
                Some(position) if position == segment.start_lsn(size).0 => {}
                Some(_) => {
                    saved.recycled += 1;
                    continue;
                }
                None => continue,
            }
            if copy(&entry.path(), &to.join(name))? {
                saved.segments.push(segment);
                if wal.join("archive_status").join(format!("{name}.ready")).exists() {
                    saved.unarchived.push(segment);
                }
            }
        }
    }
    sync_folder(to).map_err(RecoveryError::io("sync", to))?;
    saved.segments.sort_unstable();
    saved.unarchived.sort_unstable();
    saved.histories.sort_unstable();
    Ok(saved)
}

/// `xlp_pageaddr` of a segment's first page (`xlog_internal.h`: bytes 8 to 15); nothing if the file went away.
fn first_page_position(path: &Path) -> Result<Option<u64>, RecoveryError> {
    let mut position = [0_u8; 8];
    match File::open(path).and_then(|file| file.read_exact_at(&mut position, 8)) {
        Ok(()) => Ok(Some(u64::from_le_bytes(position))),
        Err(e) if gone_or_short(&e) => Ok(None),
        Err(e) => Err(RecoveryError::io("read", path)(e)),
    }
}

fn gone_or_short(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof)
}

/// Copies durably; false if the file went away meanwhile, as a running server's segments do.
fn copy(from: &Path, to: &Path) -> Result<bool, RecoveryError> {
    let mut content = Vec::new();
    match File::open(from).and_then(|mut file| file.read_to_end(&mut content)) {
        Ok(_) => {}
        Err(e) if gone_or_short(&e) => return Ok(false),
        Err(e) => return Err(RecoveryError::io("read", from)(e)),
    }
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to);
    file.and_then(|mut file| file.write_all(&content).and_then(|()| file.sync_all()))
        .map_err(RecoveryError::io("write", to))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_segments_that_are_what_they_are_called_are_saved() {
        let dir = tempfile::tempdir().unwrap();
        let size = WalSegmentSize::new(1 << 20).unwrap();
        let wal = dir.path().join("data/pg_wal");
        fs::create_dir_all(wal.join("archive_status")).unwrap();
        let segment = |name: &str, says: u64| {
            let mut content = vec![0_u8; 1 << 20];
            content[8..16].copy_from_slice(&says.to_le_bytes());
            fs::write(wal.join(name), content).unwrap();
        };
        segment("000000010000000000000003", 3 << 20);
        segment("000000010000000000000004", 4 << 20);
        segment("000000010000000000000005", 2 << 20);
        fs::write(wal.join("archive_status/000000010000000000000004.ready"), "").unwrap();
        fs::write(wal.join("00000002.history"), "1\t0/300000\tx\n").unwrap();
        fs::write(wal.join("000000010000000000000003.00000028.backup"), "x").unwrap();
        let to = dir.path().join("saved");
        let saved = save_wal(&dir.path().join("data"), size, &to).unwrap();
        let names = |list: &[WalSegment]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&saved.segments), ["000000010000000000000003", "000000010000000000000004"]);
        assert_eq!(names(&saved.unarchived), ["000000010000000000000004"]);
        assert_eq!((saved.histories.len(), saved.recycled), (1, 1));
        assert_eq!(fs::read_dir(&to).unwrap().count(), 3);
    }
}
