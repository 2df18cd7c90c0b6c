//! Putting a restored data directory in the place of the damaged one, and the damaged one into quarantine.
//!
//! One `RENAME_EXCHANGE`, so that at no moment there is no data directory to tempt an entrypoint to `initdb`. The
//! quarantine cannot be started: its `pg_control` bears another name until a person gives it back. Nothing is
//! ever removed.

use super::{RecoveryError, give};
use crate::base::Timestamp;
use crate::base::files::{atomic_replace, sync_folder, sync_folder_of};
use crate::cluster::owner::Account;
use rustix::fs::{AtFlags, CWD, RenameFlags, StatxAttributes, StatxFlags, renameat_with, statx};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Marks a data directory as quarantined; says why and how to look into it.
pub const QUARANTINE_MARKER: &str = "pgmayday.quarantine";
const CONTROL: &str = "global/pg_control";
/// What `pg_control` is called in a quarantine, so that no server starts there.
pub const CONTROL_ASIDE: &str = "global/pg_control.quarantined";

/// Checks, before anything is touched, that the exchange will work: what [`check_layout`] looks at, and a kernel and
/// filesystem that can exchange, which is tried with two empty folders beside the data directory.
pub fn check(data_dir: &Path, operation: &str) -> Result<(), RecoveryError> {
    check_layout(data_dir)?;
    let refuse = |why: String| RecoveryError::Layout { data_dir: data_dir.to_owned(), why };
    if is_vacant(data_dir)? {
        return Ok(());
    }
    let parent = data_dir.parent().ok_or_else(|| refuse(NO_PARENT.to_owned()))?;
    try_exchange(parent, operation).map_err(refuse)
}

const NO_PARENT: &str = "it has no folder to be renamed in";

/// True if nothing stands on the data directory's path: it is not there, or an empty directory.
pub fn is_vacant(data_dir: &Path) -> Result<bool, RecoveryError> {
    match std::fs::read_dir(data_dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(data_dir.symlink_metadata().is_err()),
        Err(e) => Err(RecoveryError::io("list", data_dir)(e)),
    }
}

/// The part of [`check`] that only looks: one filesystem, no mount point, no links out of the directory.
///
/// Whether the filesystem can exchange two directories shows only when it does, so a plan cannot know it; a recovery
/// tries it before it touches anything.
pub fn check_layout(data_dir: &Path) -> Result<(), RecoveryError> {
    let refuse = |why: String| RecoveryError::Layout { data_dir: data_dir.to_owned(), why };
    let look = |path: &Path| std::fs::symlink_metadata(path).map_err(RecoveryError::io("look at", path));
    let parent = data_dir.parent().ok_or_else(|| refuse(NO_PARENT.to_owned()))?;
    let meta = match std::fs::symlink_metadata(data_dir) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && parent.is_dir() => return Ok(()),
        Err(e) => return Err(RecoveryError::io("look at", data_dir)(e)),
    };
    if !meta.is_dir() {
        return Err(refuse("it is not a directory of its own (a symbolic link?)".to_owned()));
    }
    if is_mount(data_dir)? || look(parent)?.dev() != meta.dev() {
        return Err(refuse("it is a mount point, which cannot be renamed".to_owned()));
    }
    for entry in std::fs::read_dir(data_dir).map_err(RecoveryError::io("list", data_dir))? {
        let path = entry.map_err(RecoveryError::io("list", data_dir))?.path();
        let linked = look(&path)?.is_symlink() && path.is_dir();
        if linked || is_mount(&path)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let what = if linked { "a link, which both directories would share" } else { "a mount point" };
            return Err(refuse(format!("its {name} is {what}")));
        }
    }
    let spaces = data_dir.join("pg_tblspc");
    match std::fs::read_dir(&spaces).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(refuse("it has tablespaces, which both directories would share".to_owned())),
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(RecoveryError::io("list", &spaces)(e));
        }
        _ => {}
    }
    Ok(())
}

/// True for the root of a mount, also of a bind mount within the same filesystem.
fn is_mount(path: &Path) -> Result<bool, RecoveryError> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let seen = statx(CWD, path, flags, StatxFlags::BASIC_STATS)
        .map_err(|e| RecoveryError::io("look at", path)(e.into()))?;
    Ok(seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Exchanges two empty folders to see whether kernel and filesystem can.
fn try_exchange(parent: &Path, operation: &str) -> Result<(), String> {
    let pair = ["a", "b"].map(|name| parent.join(format!(".pgmayday-{operation}-{name}")));
    let made = pair.iter().try_for_each(|folder| match std::fs::create_dir(folder) {
        // Left behind by a worker that was killed here.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        other => other,
    });
    let tried = made.and_then(|()| {
        renameat_with(CWD, &pair[0], CWD, &pair[1], RenameFlags::EXCHANGE).map_err(std::io::Error::from)
    });
    for folder in &pair {
        // Empty and made by us a moment ago; one left behind does no harm.
        drop(std::fs::remove_dir(folder));
    }
    tried.map_err(|e| format!("directories in {} cannot be exchanged ({e})", parent.display()))
}

/// Exchanges `restored` and `data_dir`, then moves the old content to `quarantine` and makes it unstartable. Where
/// nothing stands on the real path, `restored` is renamed to it and there is no quarantine.
///
/// Nothing may run in either; the caller has made sure of that. A kill at any moment is finished by [`finish`].
pub fn exchange(
    data_dir: &Path,
    restored: &Path,
    quarantine: &Path,
    why: &str,
    owner: &Account,
) -> Result<(), RecoveryError> {
    if is_vacant(data_dir)? {
        // An empty directory is replaced; one that is not empty any more makes this fail.
        std::fs::rename(restored, data_dir).map_err(RecoveryError::io("put in place", restored))?;
        return sync_folder_of(data_dir).map_err(RecoveryError::io("sync the folder of", data_dir));
    }
    if quarantine.symlink_metadata().is_ok() {
        return Err(RecoveryError::Layout {
            data_dir: data_dir.to_owned(),
            why: format!("{} already exists", quarantine.display()),
        });
    }
    // Marked before it is moved: whoever finds the old content afterwards, wherever, finds the marker with it.
    let marker = format!(
        "This data directory was replaced by a recovery at {}.\nReason: {why}\nIt was served as {}.\n{}\n\
         It must not be started where it is: it would write over what lives now and act outwards.\n\
         To look into it, copy it to another host or start it closed, after renaming\n  {CONTROL_ASIDE}\n\
         back to\n  {CONTROL}\n",
        Timestamp::now(),
        data_dir.display(),
        belongs_in(quarantine)
    );
    let place = data_dir.join(QUARANTINE_MARKER);
    atomic_replace(&place, marker.as_bytes(), 0o600).map_err(RecoveryError::io("write", &place))?;
    give(&place, owner)?;
    if let Err(e) = renameat_with(CWD, restored, CWD, data_dir, RenameFlags::EXCHANGE) {
        // The old cluster stays where it is, and is no quarantine.
        drop(std::fs::remove_file(&place));
        return Err(RecoveryError::io("exchange with the restored directory", data_dir)(e.into()));
    }
    finish(data_dir, restored, quarantine)
}

/// Where an exchange stands on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// The old content is on the real path.
    Before,
    /// The restored directory is on the real path; the old content may not have reached its place yet.
    Exchanged,
}

/// Looks how far the exchange of these three has come. `vacant`: nothing stood on the real path when it began.
pub fn placed(
    data_dir: &Path,
    restored: &Path,
    quarantine: &Path,
    vacant: bool,
) -> Result<Placed, RecoveryError> {
    let marked = |folder: &Path| {
        std::fs::read_to_string(folder.join(QUARANTINE_MARKER))
            .is_ok_and(|text| text.lines().any(|line| line == belongs_in(quarantine)))
    };
    // A marker on the real path is of an exchange that did not come to its rename.
    let moved = !marked(data_dir) && (marked(restored) || marked(quarantine));
    let filled = vacant && !restored.exists() && !is_vacant(data_dir)?;
    Ok(if moved || filled { Placed::Exchanged } else { Placed::Before })
}

/// Brings the old content from where the exchange left it into quarantine; does nothing where that is done.
pub fn finish(data_dir: &Path, restored: &Path, quarantine: &Path) -> Result<(), RecoveryError> {
    if restored.symlink_metadata().is_ok() {
        renameat_with(CWD, restored, CWD, quarantine, RenameFlags::NOREPLACE)
            .map_err(|e| RecoveryError::io("move to quarantine", restored)(e.into()))?;
    }
    sync_folder_of(data_dir).map_err(RecoveryError::io("sync the folder of", data_dir))?;
    if quarantine.symlink_metadata().is_err() {
        return Ok(());
    }
    disarm(quarantine)
}

/// The line of the marker that tells this quarantine from any other.
fn belongs_in(quarantine: &Path) -> String {
    format!("Its place is {}.", quarantine.display())
}

/// Takes away what a server needs to start.
fn disarm(quarantine: &Path) -> Result<(), RecoveryError> {
    let (from, to) = (quarantine.join(CONTROL), quarantine.join(CONTROL_ASIDE));
    match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
        Ok(()) => sync_folder(&quarantine.join("global")).map_err(RecoveryError::io("sync", quarantine)),
        // A wiped data directory has no control file, and cannot start for that reason.
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(e) => Err(RecoveryError::io("rename", &from)(e.into())),
    }
}

/// The name for the restored directory while it stands beside, and for the old one in quarantine.
pub fn names(data_dir: &Path, operation: &str) -> (PathBuf, PathBuf) {
    let with = |suffix: &str| {
        let mut name = data_dir.as_os_str().to_owned();
        name.push(format!(".{suffix}-{operation}"));
        PathBuf::from(name)
    };
    (with("restored"), with("quarantine"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::owner::{Users, current};
    use std::fs;

    fn cluster(dir: &Path, name: &str, content: &str) -> PathBuf {
        let path = dir.join(name);
        fs::create_dir_all(path.join("global")).unwrap();
        fs::write(path.join(CONTROL), content).unwrap();
        path
    }

    #[test]
    fn the_old_content_ends_in_quarantine_marked_and_unstartable() {
        let dir = tempfile::tempdir().unwrap();
        let live = cluster(dir.path(), "main", "old");
        let new = cluster(dir.path(), "new", "new");
        fs::create_dir(dir.path().join(".pgmayday-op1-b")).unwrap();
        check(&live, "op1").unwrap();
        let (_, quarantine) = names(&live, "op1");
        exchange(&live, &new, &quarantine, "a test", &current(&Users::new())).unwrap();
        assert_eq!(fs::read(live.join(CONTROL)).unwrap(), b"new");
        assert_eq!(fs::read(quarantine.join(CONTROL_ASIDE)).unwrap(), b"old");
        assert!(!quarantine.join(CONTROL).exists() && !new.exists());
        assert!(fs::read_to_string(quarantine.join(QUARANTINE_MARKER)).unwrap().contains("a test"));
        assert!(!live.join(QUARANTINE_MARKER).exists());
    }

    #[test]
    fn an_exchange_cut_off_anywhere_is_known_and_finished() {
        let dir = tempfile::tempdir().unwrap();
        let live = cluster(dir.path(), "main", "old");
        let (new, quarantine) = names(&live, "op1");
        let state = || placed(&live, &new, &quarantine, false).unwrap();
        cluster(dir.path(), new.file_name().unwrap().to_str().unwrap(), "new");
        assert_eq!(state(), Placed::Before);
        // Another operation's marker in the restored content says nothing.
        fs::write(new.join(QUARANTINE_MARKER), "Its place is /elsewhere.\n").unwrap();
        fs::write(live.join(QUARANTINE_MARKER), belongs_in(&quarantine)).unwrap();
        assert_eq!(state(), Placed::Before, "marked, not moved");
        fs::rename(&live, dir.path().join("x")).unwrap();
        fs::rename(&new, &live).unwrap();
        fs::rename(dir.path().join("x"), &new).unwrap();
        assert_eq!(state(), Placed::Exchanged, "moved, not in quarantine");
        for _ in 0..2 {
            finish(&live, &new, &quarantine).unwrap();
            assert_eq!(state(), Placed::Exchanged);
            assert_eq!(fs::read(quarantine.join(CONTROL_ASIDE)).unwrap(), b"old");
        }
    }

    #[test]
    fn where_nothing_stands_the_copy_is_put_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("main");
        let (new, quarantine) = names(&live, "op1");
        for made in [false, true] {
            if made {
                fs::remove_file(live.join(CONTROL)).unwrap();
                fs::remove_dir(live.join("global")).unwrap();
            }
            cluster(dir.path(), new.file_name().unwrap().to_str().unwrap(), "new");
            check(&live, "op1").unwrap();
            assert_eq!(placed(&live, &new, &quarantine, true).unwrap(), Placed::Before);
            exchange(&live, &new, &quarantine, "", &current(&Users::new())).unwrap();
            assert_eq!(fs::read(live.join(CONTROL)).unwrap(), b"new");
            assert_eq!(placed(&live, &new, &quarantine, true).unwrap(), Placed::Exchanged);
            finish(&live, &new, &quarantine).unwrap();
            assert!(!quarantine.exists());
        }
    }

    #[test]
    fn shared_parts_and_taken_names_are_refused_before_anything_moves() {
        let dir = tempfile::tempdir().unwrap();
        let live = cluster(dir.path(), "main", "old");
        let new = cluster(dir.path(), "new", "new");
        fs::create_dir(dir.path().join("taken")).unwrap();
        assert!(exchange(&live, &new, &dir.path().join("taken"), "", &current(&Users::new())).is_err());
        assert_eq!(fs::read(live.join(CONTROL)).unwrap(), b"old");
        fs::create_dir_all(live.join("pg_tblspc")).unwrap();
        check(&live, "op2").unwrap();
        std::os::unix::fs::symlink("/somewhere", live.join("pg_tblspc/16384")).unwrap();
        assert!(matches!(check(&live, "op3"), Err(RecoveryError::Layout { .. })));
        fs::remove_file(live.join("pg_tblspc/16384")).unwrap();
        std::os::unix::fs::symlink(dir.path(), live.join("pg_wal")).unwrap();
        assert!(check(&live, "op4").unwrap_err().to_string().contains("pg_wal is a link"));
        assert!(
            matches!(check(Path::new("/proc"), "op5"), Err(RecoveryError::Layout { .. })),
            "a mount point"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "the trial leaves nothing behind");
    }
}
