//! `postmaster.pid`: what a server says about itself in its data directory.
//!
//! Format: `src/include/utils/pidfile.h`. The file alone proves nothing: it survives a crash and it can be removed
//! under a living server ([`super::running`] weighs it). Never written here.

use super::ClusterError;
use crate::base::Timestamp;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The name of the lock file below the data directory.
pub const LOCK_FILE: &str = "postmaster.pid";

/// What a lock file says; lines a starting server has not written yet are absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFile {
    /// Process id of the server, or of a stand-alone backend.
    pub pid: u32,
    /// True if a stand-alone backend (`postgres --single`) wrote it.
    pub single: bool,
    /// The data directory, as the server saw its path.
    pub data_dir: PathBuf,
    /// When the server started.
    pub started: Timestamp,
    /// TCP port, also part of the socket's name.
    pub port: Option<u16>,
    /// Folder of the first Unix socket; nothing if it has none.
    pub socket_dir: Option<PathBuf>,
    /// The first address listened on; nothing if there is none.
    pub listen: Option<String>,
    /// Key and id of the System V shared memory segment that guards the directory.
    pub shared_memory: Option<(u64, u64)>,
    /// From 10 on: `starting`, `stopping`, `ready` or `standby`.
    pub status: Option<String>,
}

/// A lock file that is there but does not say which process holds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("postmaster.pid does not name a process (its first line is '{0}')")]
pub struct Unreadable(pub String);

impl LockFile {
    /// Reads the lock file below `data_dir`; nothing if there is none.
    pub fn read(data_dir: &Path) -> Result<Option<Result<Self, Unreadable>>, ClusterError> {
        let path = data_dir.join(LOCK_FILE);
        let mut text = String::new();
        match std::fs::File::open(&path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(64 * 1024).read_to_end(&mut bytes)?;
            text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(())
        }) {
            Ok(()) => Ok(Some(Self::parse(&text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ClusterError::Io { doing: "read", path, source }),
        }
    }

    /// Reads the content of a lock file.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let line = |number: usize| lines.get(number - 1).copied().filter(|line| !line.is_empty());
        let first = line(1).unwrap_or("").trim();
        let digits = first.strip_prefix('-').unwrap_or(first);
        let pid = digits.parse::<u32>().ok().filter(|pid| *pid > 0 && i32::try_from(*pid).is_ok());
        let Some(pid) = pid else { return Err(Unreadable(first.chars().take(40).collect())) };
        let shared_memory = line(7).and_then(|line| {
            let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
            Some((numbers.next()??, numbers.next()??))
        });
        Ok(Self {
            pid,
            single: first.starts_with('-'),
            data_dir: PathBuf::from(line(2).unwrap_or("")),
            started: Timestamp::from_unix_s(line(3).and_then(|line| line.parse().ok()).unwrap_or(0)),
            port: line(4).and_then(|line| line.parse().ok()),
            socket_dir: line(5).map(PathBuf::from),
            listen: line(6).map(str::to_owned),
            shared_memory,
            status: line(8).map(|line| line.trim().to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_line_of_a_running_server() {
        let text =
            "4711\n/srv/pg\n1795222561\n5433\n/run/postgresql\nlocalhost\n  1234567        12\nready   \n";
        let lock = LockFile::parse(text).unwrap();
        assert_eq!(
            (lock.pid, lock.single, lock.port, lock.shared_memory),
            (4711, false, Some(5433), Some((1_234_567, 12)))
        );
        assert_eq!((lock.status.as_deref(), lock.listen.as_deref()), (Some("ready"), Some("localhost")));
        assert_eq!(lock.socket_dir.as_deref(), Some(Path::new("/run/postgresql")));
    }

    #[test]
    fn a_starting_server_or_a_single_one_says_less() {
        let lock = LockFile::parse("-4711\n/srv/pg\n1795222561\n5433\n\n").unwrap();
        assert_eq!((lock.pid, lock.single, lock.socket_dir, lock.shared_memory), (4711, true, None, None));
        for text in ["", "\n", "postgres\n", "0\n", "99999999999\n", "4294967295\n", "--1\n"] {
            assert!(LockFile::parse(text).is_err(), "{text:?}");
        }
    }
}
