//! Ending the work that is going on on a stanza: SIGTERM to whoever holds its locks.
//!
//! The number in a lock file is believed only if that process has this very file open while the file is locked; the
//! signal goes through a handle that was taken before that was seen, so it reaches no other process that got the number.
//! Nothing is killed harder, and no lock file is removed.

use super::{LockFolder, Work, look};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Serialize;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often is looked whether a lock is free.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What became of a process that was to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It ended, or at least let the lock go.
    Ended,
    /// It was told to end and has not yet.
    Ending,
    /// It was not told to.
    Untouched {
        /// Why not.
        why: String,
    },
}

/// One lock that was held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// The lock file.
    pub lock: PathBuf,
    /// The process, if the lock file tells.
    pub pid: Option<u32>,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

impl LockFolder {
    /// Tells every process that holds a lock of `stanza`, or of any stanza, to end, and waits for `patience` at most until
    /// the locks are free.
    pub fn end_holders(&self, stanza: Option<&str>, patience: Duration) -> std::io::Result<Vec<Ended>> {
        let mut told: Vec<Ended> = Vec::new();
        let mut signalled = Vec::new();
        for lock in self.held(stanza)? {
            let pid = look(&lock).pid;
            // One process holds a lock under several names.
            let again = pid.is_some_and(|pid| signalled.contains(&pid));
            let fate = match pid {
                Some(_) if again => Fate::Ending,
                Some(pid) => match signal(pid, &lock) {
                    Ok(()) => {
                        signalled.push(pid);
                        Fate::Ending
                    }
                    Err(why) => Fate::Untouched { why },
                },
                None => {
                    Fate::Untouched { why: "the lock file does not say which process holds it".to_owned() }
                }
            };
            told.push(Ended { lock, pid, fate });
        }
        let begun = Instant::now();
        loop {
            let ending = told.iter_mut().filter(|ended| ended.fate == Fate::Ending);
            for ended in ending.filter(|ended| !look(&ended.lock).held) {
                ended.fate = Fate::Ended;
            }
            if told.iter().all(|ended| ended.fate != Fate::Ending) || begun.elapsed() >= patience {
                return Ok(told);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The lock files of a stanza, or of all, that are locked now; sorted.
    fn held(&self, stanza: Option<&str>) -> std::io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut held = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let ours = name.to_str().and_then(stanza_of).is_some_and(|of| stanza.is_none_or(|s| s == of));
            if ours && look(&entry.path()).held {
                held.push(entry.path());
            }
        }
        held.sort_unstable();
        Ok(held)
    }
}

/// The stanza a lock file is of: `<stanza>-<work>.lock` or `<stanza>-<work>-<repository>.lock`.
fn stanza_of(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".lock")?;
    let whole = match name.rsplit_once('-') {
        Some((rest, key)) if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => name,
    };
    let (stanza, work) = whole.rsplit_once('-')?;
    let known = [Work::Archive, Work::Backup, Work::Restore].iter().any(|known| known.name() == work);
    (known && !stanza.is_empty()).then_some(stanza)
}

/// Sends SIGTERM to the process, if it is proven to have the locked file open.
fn signal(pid: u32, lock: &Path) -> Result<(), String> {
    if pid == std::process::id() {
        return Err("it is this process".to_owned());
    }
    let gone = |error: rustix::io::Errno| format!("process {pid} cannot be reached: {error}");
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let raw = raw.ok_or_else(|| format!("{pid} is no process id"))?;
    let process = pidfd_open(raw, PidfdFlags::empty()).map_err(gone)?;
    // Only now: from here on the handle means the process that is looked at, whatever becomes of its number.
    match has_open(pid, lock) {
        Ok(true) => pidfd_send_signal(&process, Signal::TERM).map_err(gone),
        Ok(false) => Err(format!("process {pid}, which the lock file names, does not have it open")),
        Err(error) => Err(format!("process {pid} cannot be looked into: {error}")),
    }
}

/// True if one of the process's descriptors is this file.
fn has_open(pid: u32, file: &Path) -> std::io::Result<bool> {
    let wanted = std::fs::metadata(file)?;
    let path = file.canonicalize()?;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let Ok(entry) = entry else { continue };
        // The name first: other files may lie where a look hangs.
        if std::fs::read_link(entry.path()).is_ok_and(|place| place == path)
            && let Ok(meta) = std::fs::metadata(entry.path())
            && (meta.dev(), meta.ino()) == (wanted.dev(), wanted.ino())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    #[test]
    fn lock_files_belong_to_one_stanza() {
        assert_eq!(stanza_of("main-backup.lock"), Some("main"));
        assert_eq!(stanza_of("main-backup-12.lock"), Some("main"));
        assert_eq!(stanza_of("main-backup-restore-1.lock"), Some("main-backup"));
        assert_eq!(stanza_of("main-1-archive.lock"), Some("main-1"));
        for other in
            ["main.stop", "main.lock", "-backup.lock", "main-expire.lock", "backup.lock", "main-1.lock"]
        {
            assert_eq!(stanza_of(other), None, "{other}");
        }
    }

    /// A process that holds `lock` locked, and has its number written into `names`.
    #[expect(clippy::disallowed_methods, reason = "another process must hold the lock")]
    fn holder(lock: &Path) -> Child {
        let mut child = Command::new("flock")
            .arg("--exclusive")
            .arg("--no-fork")
            .arg(lock)
            .args(["sh", "-c", "echo locked; exec sleep 60"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        child
    }

    #[test]
    fn only_the_process_that_holds_the_lock_is_told_to_end() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LockFolder(dir.path().to_owned());
        let (lock, other) = (dir.path().join("main-backup.lock"), dir.path().join("other-backup-1.lock"));
        let mut holds = holder(&lock);
        let mut innocent = holder(&other);
        let name = |lock: &Path, pid: u32| std::fs::write(lock, format!("{{\"pid\":{pid}}}")).unwrap();
        let wait = Duration::from_secs(20);

        name(&lock, innocent.id());
        let told = folder.end_holders(Some("main"), wait).unwrap();
        assert!(
            matches!(&told[..], [Ended { fate: Fate::Untouched { why }, .. }] if why.contains("open")),
            "{told:?}"
        );
        assert!(innocent.try_wait().unwrap().is_none() && holds.try_wait().unwrap().is_none());

        name(&lock, holds.id());
        let told = folder.end_holders(Some("main"), wait).unwrap();
        assert_eq!(told, [Ended { lock: lock.clone(), pid: Some(holds.id()), fate: Fate::Ended }]);
        assert!(!holds.wait().unwrap().success());
        assert!(innocent.try_wait().unwrap().is_none(), "another stanza's work goes on");
        assert_eq!(folder.end_holders(Some("main"), wait).unwrap(), []);

        name(&other, innocent.id());
        let told = folder.end_holders(None, wait).unwrap();
        assert_eq!((told.len(), &told[0].fate), (1, &Fate::Ended));
        innocent.wait().unwrap();
    }

    #[test]
    fn a_lock_of_this_process_or_of_nobody_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LockFolder(dir.path().to_owned());
        assert_eq!(LockFolder(dir.path().join("none")).end_holders(None, Duration::ZERO).unwrap(), []);
        let held = folder.take("main", &[Work::Backup], &[1]).unwrap();
        let told = folder.end_holders(Some("main"), Duration::ZERO).unwrap();
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|ended| matches!(ended.fate, Fate::Untouched { .. })), "{told:?}");
        drop(held);
        let silent = File::create(dir.path().join("main-archive.lock")).unwrap();
        silent.try_lock().unwrap();
        let told = folder.end_holders(Some("main"), Duration::ZERO).unwrap();
        assert!(matches!(&told[..], [Ended { pid: None, fate: Fate::Untouched { .. }, .. }]), "{told:?}");
    }
}
