//! Locks of a worker: one on its operation, which says that it lives, and one on what it works on.
//!
//! Both go with the process, however it ends. Lock files are never removed: another process may be about to lock.

use crate::base::state::{OpId, StateDir, make_folder};
use crate::base::{Kind, Report, Result};
use crate::recovery::supervisor::folder::{FILE_MODE, Folder, Holder, failed};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// Whoever looks whether the lock is held takes it for an instant: a worker tries this often, this far apart.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(25);

/// Takes an operation up: its lock, with this process inside.
pub(in crate::recovery) fn take(folder: &Folder) -> Result<File> {
    let path = folder.lock();
    let file = open(&path)?;
    if !locked(&file, &path)? {
        return Err(Report::new(Kind::Refused(None), "another worker does it")
            .hint("`pgmayday attach` shows what it is doing"));
    }
    let holder = serde_json::to_string(&Holder::myself()).unwrap_or_default();
    rewrite(&file, &holder).map_err(|error| failed("write", &path, &error))?;
    Ok(file)
}

/// The right to change a data directory, held until it is dropped.
///
/// Two locks make it. One is a file in the state directory, named by the directory's path: it stays with the path
/// when directories are exchanged, and says which operation it is that works there. The other is on the directory
/// itself, the one a restore takes, too: it also keeps out a restore by hand and an operation of another state
/// directory.
#[derive(Debug)]
pub struct TargetLock {
    _path: File,
    folders: Vec<File>,
}

impl TargetLock {
    /// Takes the path `target`, which need not exist, for the operation `id`; refuses if another operation has it.
    pub fn take(state: &StateDir, target: &Path, id: &OpId) -> Result<Self> {
        let targets = state.root().join("targets");
        make_folder(&targets).map_err(|error| failed("make", &targets, &error))?;
        let canonical = canonical(target);
        let digest = Sha256::digest(canonical.as_os_str().as_encoded_bytes());
        let name = digest.iter().take(16).fold(0_u128, |name, byte| (name << 8) | u128::from(*byte));
        let path = targets.join(format!("{name:032x}"));
        let mut file = open(&path)?;
        if !locked(&file, &path)? {
            let mut other = String::new();
            drop((&mut file).take(64).read_to_string(&mut other));
            let other: OpId = other.trim().parse().map_err(|_| taken(&canonical, "another operation"))?;
            return Err(taken(&canonical, &format!("operation {other}"))
                .hint(format!("`pgmayday attach {other}` shows what it is doing")));
        }
        rewrite(&file, id.as_str()).map_err(|error| failed("write", &path, &error))?;
        Ok(Self { _path: file, folders: Vec::new() })
    }

    /// Takes the directory itself as well, which must exist. Not for a path that is given to a restore: the restore
    /// takes it, and would find it taken.
    pub fn folder(&mut self, folder: &Path) -> Result<()> {
        let file = File::open(folder).map_err(|error| failed("open", folder, &error))?;
        if !locked(&file, folder)? {
            return Err(taken(folder, "a restore or another recovery")
                .hint("wait for it to end, or stop it; then resume this one"));
        }
        self.folders.push(file);
        Ok(())
    }
}

fn taken(target: &Path, by: &str) -> Report {
    Report::new(Kind::Refused(None), format!("{by} is at work on {}", target.display()))
}

/// The path without links, as far as it exists.
fn canonical(target: &Path) -> std::path::PathBuf {
    let absolute = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
    for above in absolute.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), absolute.strip_prefix(above)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    absolute
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
    options.open(path).map_err(|error| failed("open", path, &error))
}

/// Tries to lock; false if somebody else keeps it.
fn locked(file: &File, path: &Path) -> Result<bool> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
            Err(TryLockError::Error(error)) => return Err(failed("lock", path, &error)),
        }
    }
    Ok(false)
}

/// Writes in place: the lock is on this very file.
fn rewrite(mut file: &File, text: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_one_whatever_it_is_called() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::at(home.path().join("state"));
        let data = home.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, home.path().join("link")).unwrap();
        let ids =
            ["20261121T021407Z-recover-7f3a", "20261121T021407Z-restore-7f3b"].map(|id| id.parse().unwrap());
        let mut first = TargetLock::take(&state, &data, &ids[0]).unwrap();
        first.folder(&data).unwrap();
        let refused = TargetLock::take(&state, &home.path().join("link/"), &ids[1]).unwrap_err();
        assert!(refused.headline.contains(ids[0].as_str()), "{refused}");
        assert_eq!(refused.kind, Kind::Refused(None));
        let other = StateDir::at(home.path().join("other"));
        let mut second = TargetLock::take(&other, &data, &ids[1]).unwrap();
        assert!(second.folder(&data).is_err(), "another state directory, the same data directory");
        // The path stays taken when another directory gets it.
        std::fs::rename(&data, home.path().join("old")).unwrap();
        std::fs::create_dir(&data).unwrap();
        assert!(TargetLock::take(&state, &data, &ids[1]).is_err());
        drop(first);
        TargetLock::take(&state, &data, &ids[1]).unwrap();
    }
}
