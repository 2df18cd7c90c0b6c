//! Taking a lock that every pgBackRest on this host respects, and telling progress in it.

use super::{LockFolder, Work};
use crate::base::files::open_plain;
use crate::base::{Kind, Report};
use rustix::fs::OFlags;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a lock that somebody else holds is tried again.
const POLL: Duration = Duration::from_millis(200);

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another {work} of stanza '{stanza}' is running on this host: {} is locked{}", path.display(), holder(*pid))]
    Held {
        /// What that process does, as the lock's name tells.
        work: &'static str,
        /// The stanza.
        stanza: String,
        /// The lock file.
        path: PathBuf,
        /// The process, if it tells.
        pid: Option<u32>,
    },
    /// The file cannot be made or locked.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" by process {pid}"))
}

impl From<LockError> for Report {
    fn from(error: LockError) -> Self {
        let text = error.to_string();
        match error {
            LockError::Held { work, .. } => Self::new(Kind::Failed, text).hint(if work == "backup" {
                "wait until it has ended, or queue behind it with --wait"
            } else {
                "wait until it has ended"
            }),
            LockError::Io { .. } => Self::failed(text).hint(
                "lock-path must be a folder that the owner of the data directory can write, the same for every user",
            ),
        }
    }
}

/// Locks that are held until this is dropped.
#[derive(Debug)]
pub struct Held {
    files: Vec<File>,
    exec_id: String,
}

impl LockFolder {
    /// Takes the locks of `work` on `stanza` for these repositories, under the names of every pgBackRest version.
    pub fn take(&self, stanza: &str, work: &[Work], repo_keys: &[u32]) -> Result<Held, LockError> {
        let exec_id = new_exec_id();
        let mut held = Held { files: Vec::new(), exec_id };
        for work in work {
            let whole = std::iter::once(work.name().to_owned());
            let each = repo_keys.iter().map(|key| format!("{}-{key}", work.name()));
            for kind in whole.chain(each) {
                let path = self.0.join(format!("{stanza}-{kind}.lock"));
                let locked = lock(&path).map_err(|source| LockError::Io { path: path.clone(), source })?;
                match locked {
                    Ok(file) => held.files.push(file),
                    Err(pid) => {
                        let (work, stanza) = (work.name(), stanza.to_owned());
                        return Err(LockError::Held { work, stanza, path, pid });
                    }
                }
            }
        }
        held.tell(None);
        Ok(held)
    }

    /// As [`take`](Self::take), waiting as long as `go_on` says while another process holds it.
    pub fn take_when_free(
        &self,
        stanza: &str,
        work: &[Work],
        repo_keys: &[u32],
        go_on: &mut dyn FnMut(&LockError, Duration) -> bool,
    ) -> Result<Held, LockError> {
        let began = Instant::now();
        loop {
            match self.take(stanza, work, repo_keys) {
                Err(error @ LockError::Held { .. }) if go_on(&error, began.elapsed()) => {
                    std::thread::sleep(POLL);
                }
                other => return other,
            }
        }
    }
}

impl Held {
    /// Tells whoever looks how far the work is: bytes done, bytes in all.
    pub fn progress(&mut self, done_bytes: u64, total_bytes: u64) {
        self.tell(Some((done_bytes, total_bytes)));
    }

    /// The file is for people; work does not fail because it cannot be written.
    fn tell(&mut self, progress: Option<(u64, u64)>) {
        let pid = std::process::id();
        let head = format!("{{\"execId\":\"{}\"", self.exec_id);
        let text = match progress {
            Some((done, total)) => {
                let percent = super::percent_hundredths(done, total);
                format!("{head},\"pctCplt\":{percent},\"pid\":{pid},\"sz\":{total},\"szCplt\":{done}}}")
            }
            None => format!("{head},\"pid\":{pid}}}"),
        };
        for file in &mut self.files {
            let rewrite = |file: &mut File| {
                file.rewind()?;
                file.write_all(text.as_bytes())?;
                file.set_len(text.len() as u64)
            };
            rewrite(file).unwrap_or(());
        }
    }
}

fn new_exec_id() -> String {
    let mut random = [0; 4];
    // Nothing depends on it: it only tells one run from another.
    getrandom::fill(&mut random).unwrap_or(());
    format!("{}-{:08x}", std::process::id(), u32::from_ne_bytes(random))
}

/// Locks the file, or tells who holds it.
fn lock(path: &Path) -> io::Result<Result<File, Option<u32>>> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o770).create(folder)?;
    }
    loop {
        // The folder is often below /tmp: whatever stands there instead of a lock file is not written to.
        let file = open_plain(path, OFlags::RDWR | OFlags::CREATE)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(super::read(file).pid)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // pgBackRest removes its lock files: a lock on a file that is no longer there keeps nobody away.
        let ours = file.metadata()?;
        match std::fs::symlink_metadata(path) {
            Ok(now) if (now.dev(), now.ino()) == (ours.dev(), ours.ino()) => return Ok(Ok(file)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_under_both_names_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LockFolder(dir.path().join("locks"));
        let mut held = folder.take("main", &[Work::Backup], &[1, 3]).unwrap();
        held.progress(250, 1000);
        for lock in [folder.of_stanza("main", Work::Backup), folder.of_repo("main", Work::Backup, 3)] {
            assert_eq!(
                (lock.held, lock.bytes, lock.pid),
                (true, Some((250, 1000)), Some(std::process::id()))
            );
        }
        let refused = folder.take("main", &[Work::Backup], &[2]).unwrap_err();
        assert!(matches!(refused, LockError::Held { pid: Some(_), .. }), "{refused}");
        folder.take("main", &[Work::Archive], &[1]).unwrap();
        folder.take("other", &[Work::Backup], &[1]).unwrap();
        drop(held);
        folder.take("main", &[Work::Backup], &[1]).unwrap();
    }

    #[test]
    fn what_stands_in_the_place_of_a_lock_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LockFolder(dir.path().join("locks"));
        std::fs::create_dir(&folder.0).unwrap();
        let (precious, lock) = (dir.path().join("precious"), folder.0.join("main-backup.lock"));
        std::fs::write(&precious, "precious").unwrap();
        let lay: [&dyn Fn(); 3] = [
            &|| std::os::unix::fs::symlink(&precious, &lock).unwrap(),
            &|| std::fs::hard_link(&precious, &lock).unwrap(),
            &|| {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(rustix::fs::CWD, &lock, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            },
        ];
        for lay in lay {
            lay();
            let refused = folder.take("main", &[Work::Backup], &[1]).unwrap_err();
            assert!(matches!(refused, LockError::Io { .. }), "{refused}");
            assert!(!folder.of_stanza("main", Work::Backup).held);
            assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
            std::fs::remove_file(&lock).unwrap();
        }
        folder.take("main", &[Work::Backup], &[1]).unwrap();
    }

    #[test]
    fn who_waits_gets_it_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LockFolder(dir.path().to_owned());
        let held = folder.take("main", &[Work::Backup], &[1]).unwrap();
        let waits = folder.clone();
        let waiter = std::thread::spawn(move || {
            waits.take_when_free("main", &[Work::Backup], &[1], &mut |_, waited| {
                waited < Duration::from_secs(20)
            })
        });
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
        waiter.join().unwrap().unwrap();
        let _held = folder.take("main", &[Work::Backup], &[1]).unwrap();
        folder.take_when_free("main", &[Work::Backup], &[1], &mut |_, _| false).unwrap_err();
    }
}
