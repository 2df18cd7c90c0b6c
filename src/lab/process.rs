//! Who a process is: pid, start time, boot, working directory; and signals that reach only that one.
//!
//! A pid alone is never trusted: it may have been reused. A signal goes through a pidfd that was checked after
//! it was opened, so it cannot reach a stranger.

use super::LabError;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One process, told apart from any later one that gets the same pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// The boot the ticks count from.
    pub boot_id: String,
}

impl Identity {
    /// The process that has this pid now, or nothing (a zombie counts as nothing).
    pub fn of(pid: u32) -> Option<Self> {
        let start_ticks = start_ticks(pid)?;
        Some(Self { pid, start_ticks, boot_id: boot_id()? })
    }

    /// This very process.
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// True while exactly this process runs.
    pub fn alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// The working directory, as the kernel knows it.
    pub fn working_dir(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/{}/cwd", self.pid)).ok()
    }

    /// The program it runs.
    pub fn executable(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/{}/exe", self.pid)).ok()
    }

    /// True if it works inside `home`, or was started with a path inside as an argument or an option's value.
    ///
    /// A helper that must not keep a directory in use works elsewhere and is known by its arguments only.
    pub fn belongs_to(&self, home: &Path) -> bool {
        let works_inside = self.working_dir().is_some_and(|dir| dir.starts_with(home));
        let arguments = std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let told = |argument: &[u8]| {
            let value = argument.splitn(2, |byte| *byte == b'=').last().unwrap_or_default();
            Path::new(OsStr::from_bytes(value)).starts_with(home)
        };
        works_inside || arguments.split(|byte| *byte == 0).any(told)
    }

    /// Signals the process if it is still this one and belongs to `home`; false if it is gone.
    pub fn signal(&self, home: &Path, signal: Signal) -> Result<bool, LabError> {
        let Some(fd) = self.handle(home)? else { return Ok(false) };
        match pidfd_send_signal(&fd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(e) => Err(self.not_ours(format!("the kernel refused: {e}"))),
        }
    }

    /// Waits until the process has ended; false if it runs on after `limit`.
    pub fn wait_end(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        while self.alive() {
            if begun.elapsed() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    fn handle(&self, home: &Path) -> Result<Option<OwnedFd>, LabError> {
        let Some(fd) = raw_handle(self.pid) else { return Ok(None) };
        if !self.alive() {
            return Ok(None);
        }
        if self.belongs_to(home) {
            return Ok(Some(fd));
        }
        match self.working_dir() {
            Some(dir) => Err(self.not_ours(format!("it works in {}, not in the lab", dir.display()))),
            None => Err(self.not_ours("its working directory cannot be seen".to_owned())),
        }
    }

    fn not_ours(&self, why: String) -> LabError {
        LabError::NotOurs { pid: self.pid, why }
    }
}

/// The postmaster that serves `data_dir`, proven by its pid file and its working directory.
pub fn postmaster(data_dir: &Path) -> Option<Identity> {
    let text = std::fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let identity = Identity::of(pid)?;
    (identity.working_dir()? == data_dir).then_some(identity)
}

/// Every process that works inside `home` or was started for something inside, this one left out.
pub fn belonging_to(home: &Path) -> Vec<Identity> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(Identity::of)
        .filter(|identity| identity.belongs_to(home))
        .collect()
}

fn raw_handle(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Field 22 of `/proc/PID/stat`; nothing for a missing process or a zombie.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself hold spaces and parentheses.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot_id() -> Option<String> {
    Some(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_more_than_its_pid() {
        let own = Identity::own().unwrap();
        assert!(own.alive());
        let reused = Identity { start_ticks: own.start_ticks + 1, ..own.clone() };
        assert!(!reused.alive());
        assert!(!reused.signal(Path::new("/"), Signal::TERM).unwrap());
    }

    #[test]
    fn a_process_working_elsewhere_is_not_signalled() {
        let own = Identity::own().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(matches!(own.signal(elsewhere.path(), Signal::TERM), Err(LabError::NotOurs { .. })));
    }
}
