//! Saving `pg_wal` before a recovery: what the archive does not have yet.
//!
//! Only segments whose first page says that they are what their name says: a recycled segment bears a future name
//! over old content. Copies, never links, and never writes into the repository.

use super::{RecoveryError, give, make_folder};
use crate::base::files::sync_folder;
use crate::base::{Bytes, Timeline, WalSegment, WalSegmentSize};
use crate::cluster::owner::Account;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What was found in `pg_wal`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// Segments copied, in order of name.
    pub segments: Vec<WalSegment>,
    /// Those of them that are whole and waited to be archived.
    pub unarchived: Vec<WalSegment>,
    /// History files copied.
    pub histories: Vec<String>,
    /// Segments passed over because the server had archived them.
    pub archived: usize,
    /// Segments passed over because their content is not what their name says.
    pub recycled: usize,
}

/// Looks what the archive does not have in `data_dir`'s `pg_wal`, and how many bytes that are. Writes nothing.
pub fn look(data_dir: &Path) -> Result<(Saved, u64), RecoveryError> {
    let wal = data_dir.join("pg_wal");
    let mut saved = Saved::default();
    let entries = match fs::read_dir(&wal) {
        Ok(entries) => entries,
        // A wiped data directory has nothing to save.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((saved, 0)),
        Err(e) => return Err(RecoveryError::io("list", &wal)(e)),
    };
    let mut needed = 0;
    for entry in entries {
        let entry = entry.map_err(RecoveryError::io("list", &wal))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let bytes = entry.metadata().map_or(0, |meta| meta.len());
        if Timeline::from_history_file(name).is_some() {
            saved.histories.push(name.to_owned());
            needed += bytes;
        } else if let Ok(segment) = name.parse() {
            judge(&wal, segment, bytes, &mut saved)?;
        }
    }
    let size =
        |segment: &WalSegment| fs::metadata(wal.join(segment.to_string())).map_or(0, |meta| meta.len());
    needed += saved.segments.iter().map(size).sum::<u64>();
    saved.segments.sort_unstable();
    saved.unarchived.sort_unstable();
    saved.histories.sort_unstable();
    Ok((saved, needed))
}

/// Copies what the archive does not have from `data_dir`'s `pg_wal` into the folder `to`, which is made and given to
/// `owner`, who reads it when WAL is fetched.
///
/// Run again, it copies what has changed since.
pub fn save_wal(data_dir: &Path, to: &Path, owner: &Account) -> Result<Saved, RecoveryError> {
    make_folder(to, owner)?;
    let (saved, needed) = look(data_dir)?;
    check_space(to, needed)?;
    let wal = data_dir.join("pg_wal");
    let names = saved.segments.iter().map(ToString::to_string).chain(saved.histories.iter().cloned());
    for name in names {
        copy(&wal.join(&name), &to.join(&name), owner)?;
    }
    sync_folder(to).map_err(RecoveryError::io("sync", to))?;
    Ok(saved)
}

/// Decides whether a segment is to be copied. The size of a segment is the length of its file, so that a damaged
/// `pg_control` stands in nobody's way.
fn judge(wal: &Path, segment: WalSegment, bytes: u64, saved: &mut Saved) -> Result<(), RecoveryError> {
    let status = |suffix: &str| wal.join("archive_status").join(format!("{segment}.{suffix}")).exists();
    let size = u32::try_from(bytes).ok().and_then(|bytes| WalSegmentSize::new(bytes).ok());
    let Some(size) = size else { return Ok(()) };
    if status("done") {
        saved.archived += 1;
        return Ok(());
    }
    match first_page_position(&wal.join(segment.to_string()))? {
        Some(position) if position == segment.start_lsn(size).0 => {
            saved.segments.push(segment);
            if status("ready") {
                saved.unarchived.push(segment);
            }
        }
        Some(_) => saved.recycled += 1,
        None => {}
    }
    Ok(())
}

fn check_space(to: &Path, needed: u64) -> Result<(), RecoveryError> {
    let room = rustix::fs::statvfs(to).map_err(|e| RecoveryError::io("ask for the room in", to)(e.into()))?;
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if needed > free {
        return Err(RecoveryError::Space { path: to.to_owned(), needed: Bytes(needed), free: Bytes(free) });
    }
    Ok(())
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

/// Copies durably; a file that went away meanwhile, as a running server's segments do, is passed over.
fn copy(from: &Path, to: &Path, owner: &Account) -> Result<(), RecoveryError> {
    let mut source = match File::open(from) {
        Ok(file) => file,
        Err(e) if gone_or_short(&e) => return Ok(()),
        Err(e) => return Err(RecoveryError::io("open", from)(e)),
    };
    let target = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to);
    let mut target = target.map_err(RecoveryError::io("open", to))?;
    std::io::copy(&mut source, &mut target)
        .and_then(|_| target.sync_all())
        .map_err(RecoveryError::io("write", to))?;
    give(to, owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::owner::{Users, current};

    #[test]
    fn only_segments_that_are_what_they_are_called_and_not_archived_are_saved() {
        let dir = tempfile::tempdir().unwrap();
        let wal = dir.path().join("data/pg_wal");
        fs::create_dir_all(wal.join("archive_status")).unwrap();
        let segment = |number: u64, says: u64, status: &str| {
            let name = format!("00000001000000000000000{number}");
            let mut content = vec![0_u8; 1 << 20];
            content[8..16].copy_from_slice(&(says << 20).to_le_bytes());
            fs::write(wal.join(&name), content).unwrap();
            if !status.is_empty() {
                fs::write(wal.join("archive_status").join(format!("{name}.{status}")), "").unwrap();
            }
        };
        segment(2, 2, "done");
        segment(3, 3, "ready");
        segment(4, 4, "");
        segment(5, 2, "");
        fs::write(wal.join("000000010000000000000006"), "short").unwrap();
        fs::write(wal.join("00000002.history"), "1\t0/300000\tx\n").unwrap();
        fs::write(wal.join("000000010000000000000003.00000028.backup"), "x").unwrap();
        let to = dir.path().join("saved");
        let owner = current(&Users::new());
        for _ in 0..2 {
            let saved = save_wal(&dir.path().join("data"), &to, &owner).unwrap();
            let names = |list: &[WalSegment]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(names(&saved.segments), ["000000010000000000000003", "000000010000000000000004"]);
            assert_eq!(names(&saved.unarchived), ["000000010000000000000003"]);
            assert_eq!((saved.histories.len(), saved.archived, saved.recycled), (1, 1, 1));
            assert_eq!(fs::read_dir(&to).unwrap().count(), 3);
        }
    }

    #[test]
    fn a_wiped_directory_has_nothing_to_save() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("saved");
        assert_eq!(save_wal(dir.path(), &to, &current(&Users::new())).unwrap(), Saved::default());
        assert!(to.is_dir(), "the folder is there: archive-get would take its absence for an error");
    }
}
