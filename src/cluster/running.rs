//! Is anything running in, or serving, a data directory?
//!
//! The lock file alone proves nothing: it survives a crash, and a server whose lock file was removed still serves.
//! So every process of the host is looked at: its working directory (a PostgreSQL process works in its data
//! directory) and its open files, also in linked tablespaces and a linked `pg_wal`; and the shared memory segment
//! the lock file names. What cannot be seen is said, never assumed. Only names are read: nothing here blocks on the
//! file systems other processes work in, and nothing is signalled.

use super::ClusterError;
use super::lock_file::LockFile;
use super::procfs::{Host, Segment, Use};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The answer about one data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Running {
    /// Nothing runs there, and everything could be seen.
    No,
    /// A lock file was left behind by a process that is gone.
    Stale {
        /// The process the lock file names.
        pid: u32,
    },
    /// A process runs there.
    Yes {
        /// The server if known, else the first process found.
        pid: u32,
        /// What proves it.
        why: String,
    },
    /// It cannot be told from here.
    Unknown {
        /// What stands in the way.
        why: String,
    },
}

/// How long a process that cannot be looked into gets to turn into one that can, or to end.
const CHANGING_LIMIT: Duration = Duration::from_secs(1);

/// Looks whether anything runs in `data_dir`, which need not exist: a server may still serve a removed one.
///
/// A process just changing its account (`su`, `setpriv`) cannot be looked into for an instant, so an unknown is
/// looked at again for a second. On a busy host another one does that at every look: only a process that was closed in
/// each look may serve the directory unseen, for the others were looked into, or have begun since.
pub fn look(data_dir: &Path) -> Result<Running, ClusterError> {
    look_for(data_dir, Who::Anybody)
}

/// As [`look`], but who surely serves nothing is nobody: a shell that only stands there, another call of this program.
/// For what is told of a server, never for what is done to its directory.
pub fn look_for_server(data_dir: &Path) -> Result<Running, ClusterError> {
    look_for(data_dir, Who::Servers)
}

/// Who counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Anybody,
    /// A server, or what may be one.
    Servers,
}

fn look_for(data_dir: &Path, who: Who) -> Result<Running, ClusterError> {
    let began = Instant::now();
    let mut closed = None;
    loop {
        let running = look_once(data_dir, who, &mut closed)?;
        if !matches!(running, Running::Unknown { .. }) || began.elapsed() > CHANGING_LIMIT {
            return Ok(running);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `closed` are the processes that could not be looked into in any look so far; nothing before the first.
fn look_once(data_dir: &Path, who: Who, closed: &mut Option<Vec<u32>>) -> Result<Running, ClusterError> {
    let lock = match LockFile::read(data_dir) {
        // A folder closed to this user may well be served.
        Err(ClusterError::Io { path, source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            return Ok(Running::Unknown { why: format!("{} may not be read by this user", path.display()) });
        }
        other => other?,
    };
    let roots = roots_of(data_dir)?;
    let host = Host::system();
    let mut users = host.users_of(&roots, closed.as_deref());
    users.found.retain(|found| who == Who::Anybody || !found.serves_nothing);
    *closed = Some(users.closed);
    let lock = match lock {
        None => None,
        Some(Ok(lock)) => Some(lock),
        Some(Err(unreadable)) => {
            return Ok(match users.found.first() {
                Some(found) => yes(found),
                None => Running::Unknown { why: unreadable.to_string() },
            });
        }
    };
    let Some(lock) = lock else {
        return Ok(match (users.found.first(), users.unseen) {
            (Some(found), _) => yes(found),
            (None, Some(why)) => Running::Unknown { why },
            (None, None) => Running::No,
        });
    };
    if let Some(found) = users.found.iter().find(|found| found.pid == lock.pid).or(users.found.first()) {
        return Ok(yes(found));
    }
    let segment = lock.shared_memory.and_then(|(key, id)| host.shared_memory(key, id));
    Ok(judge_lock(&lock, segment.as_ref(), users.unseen, host.sees_every_process()))
}

fn yes(found: &Use) -> Running {
    Running::Yes { pid: found.pid, why: found.why.clone() }
}

/// What a lock file means when no visible process uses the directory.
fn judge_lock(
    lock: &LockFile,
    segment: Option<&Segment>,
    unseen: Option<String>,
    sees_every_process: bool,
) -> Running {
    // A creator outside this pid namespace shows as 0.
    let segment = segment.filter(|segment| segment.creator == lock.pid || segment.creator == 0);
    if let Some(segment) = segment.filter(|segment| segment.attached > 0) {
        let (id, attached) = (segment.id, segment.attached);
        let why = format!("its shared memory segment {id} is still used by {attached} processes");
        return Running::Yes { pid: lock.pid, why };
    }
    if let Some(why) = unseen {
        return Running::Unknown { why };
    }
    // The segment of a killed server stays behind: seeing it unused proves that nobody is left.
    if segment.is_some() || sees_every_process {
        return Running::Stale { pid: lock.pid };
    }
    Running::Unknown {
        why: format!(
            "postmaster.pid names process {}, which cannot be seen from this container; a server outside may use the directory",
            lock.pid
        ),
    }
}

/// The places a server of this directory works in: itself, its tablespaces, its WAL.
fn roots_of(data_dir: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    let absolute = std::path::absolute(data_dir).map_err(|source| ClusterError::Io {
        doing: "resolve",
        path: data_dir.to_owned(),
        source,
    })?;
    let mut roots = vec![absolute.canonicalize().unwrap_or_else(|_| absolute.clone())];
    if roots.first() != Some(&absolute) {
        roots.push(absolute.clone());
    }
    let mut links = vec![absolute.join("pg_wal"), absolute.join("pg_xlog")];
    if let Ok(entries) = std::fs::read_dir(absolute.join("pg_tblspc")) {
        links.extend(entries.flatten().map(|entry| entry.path()));
    }
    for link in links {
        if link.is_symlink()
            && let Ok(place) = link.canonicalize()
            && !roots.iter().any(|root| place.starts_with(root))
        {
            roots.push(place);
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests;
