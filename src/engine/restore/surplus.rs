//! Removing what stands in the target and is not in the backup.
//!
//! A folder goes with everything below it, but never what is mounted there: another filesystem inside the target
//! belongs to somebody else. Links are removed as links and never followed.

use crate::base::{Kind, Report, Result};
use rustix::fs::{AtFlags, CWD, StatxFlags};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes on disk of a file, or of a folder with everything below it. Fails if something else is mounted in it.
pub(super) fn weigh(path: &Path, folder: bool) -> Result<u64> {
    let look = |path: &Path, error: &io::Error| {
        Report::failed(format!("cannot look at {}: {error}", path.display()))
            .hint("run as root or as the owner of the data directory")
    };
    let bytes_of = |path: &Path| match std::fs::symlink_metadata(path) {
        Ok(meta) => Ok(if meta.is_file() { meta.blocks().saturating_mul(512) } else { 0 }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(look(path, &error)),
    };
    if !folder {
        return bytes_of(path);
    }
    let around = path.parent().map(mount_of);
    let mut bytes = 0_u64;
    let mut pending = vec![path.to_owned()];
    while let Some(folder) = pending.pop() {
        if around.as_ref().is_some_and(|around| *around != mount_of(&folder)) {
            return Err(Report::new(
                Kind::Refused(None),
                format!(
                    "{} would be removed because the backup does not have it, but something is mounted at {}",
                    path.display(),
                    folder.display()
                ),
            )
            .hint("unmount it, or mount it outside the target, then run the same command again"));
        }
        for entry in std::fs::read_dir(&folder).map_err(|error| look(&folder, &error))? {
            let entry = entry.map_err(|error| look(&folder, &error))?;
            if entry.file_type().map_err(|error| look(&entry.path(), &error))?.is_dir() {
                pending.push(entry.path());
            } else {
                bytes = bytes.saturating_add(bytes_of(&entry.path())?);
            }
        }
    }
    Ok(bytes)
}

/// Removes one entry; a folder with everything below it.
pub(super) fn remove(path: &Path, folder: bool) -> Result<()> {
    if folder {
        weigh(path, true)?;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the guarded home: a surplus folder inside a root of the plan, nothing mounted below it"
    )]
    let removed = if folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Report::failed(format!("cannot remove {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// What tells one mount from another, bind mounts of one filesystem included; the device where the kernel is too old.
fn mount_of(path: &Path) -> Option<(u64, u64)> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    let asked = rustix::fs::statx(CWD, path, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID);
    let device = std::fs::symlink_metadata(path).ok()?.dev();
    Some((device, asked.map_or(0, |answer| answer.stx_mnt_id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_whole_and_what_it_links_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("a/b"), dir.path().join("outside"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), b"x").unwrap();
        std::fs::write(inside.join("f"), vec![1; 10_000]).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        assert!(weigh(&dir.path().join("a"), true).unwrap() >= 10_000);
        remove(&dir.path().join("a"), true).unwrap();
        assert!(outside.join("kept").exists() && !dir.path().join("a").exists());
    }

    #[test]
    fn a_mount_is_told_from_the_folder_around_it() {
        assert_ne!(mount_of(Path::new("/proc")), mount_of(Path::new("/")));
        assert_eq!(mount_of(Path::new("/proc/self")), mount_of(Path::new("/proc")));
        let refused = weigh(Path::new("/proc"), true).unwrap_err();
        assert!(refused.headline.contains("something is mounted at /proc"), "{refused}");
    }
}
