//! One pilot per incident: whoever holds the lock acts, everybody else watches.
//!
//! The lock is the kernel's and ends with its process, however that ends; what stands in the file is only believed
//! while the lock is held. Nothing here ends another process or takes a lock away.

use super::Incidents;
use crate::base::state::give_to_owner_of_folder;
use crate::base::{Kind, Report, Result, Timestamp};
use crate::journal::{Fact, Stamp};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

/// The file with the lock, in the incident's folder.
const FILE: &str = "pilot.lock";
/// How often the lock is tried: who only looks holds it for a moment, too.
const TRIES: u32 = 20;
/// Between two tries.
const BETWEEN: Duration = Duration::from_millis(10);
/// What stands in the file is never longer.
const MOST: u64 = 4096;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who.
    pub who: String,
    /// At which host.
    pub host: String,
    /// Which process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

/// The seat of the one who acts; dropping it frees the lock.
#[derive(Debug)]
pub struct Pilot {
    incidents: Incidents,
    id: String,
    actor: String,
    _lock: File,
    /// Why the taking could not be written down; that stops nobody from acting.
    pub unwritten: Option<Report>,
}

impl Pilot {
    /// Leaves the seat, and writes that down.
    pub fn leave(self) -> Result<()> {
        self.incidents.append(&self.id, &self.actor, &Fact::PilotLeft)
    }
}

impl Incidents {
    /// Takes the seat of an incident, if nobody has it: no process lives that took it and did not leave.
    pub fn take_seat(&self, id: &str, actor: &str) -> Result<Pilot> {
        let path = self.known(id)?.join(FILE);
        let failed = |error: io::Error| Report::failed(format!("cannot take {}: {error}", path.display()));
        let lock = open(&path, OFlags::RDWR | OFlags::CREATE).map_err(failed)?;
        if !locked(|| lock.try_lock()).map_err(failed)? {
            let who = holder(&lock).map_or_else(
                |_| "somebody".to_owned(),
                |holder| format!("{} at {} (process {})", holder.who, holder.host, holder.pid),
            );
            return Err(Report::new(Kind::Refused(None), format!("{who} is the pilot of incident {id}"))
                .hint("watch, or let that one leave the seat; it is free as soon as that process ends"));
        }
        let Stamp { host, at, .. } = Stamp::now();
        let holder = Holder { who: actor.to_owned(), host, pid: std::process::id(), since: at };
        write(&lock, &holder).and_then(|()| give_to_owner_of_folder(&path)).map_err(failed)?;
        let unwritten = self.append(id, actor, &Fact::PilotTaken).err();
        Ok(Pilot {
            incidents: self.clone(),
            id: id.to_owned(),
            actor: actor.to_owned(),
            _lock: lock,
            unwritten,
        })
    }

    /// Who has the seat of an incident now.
    pub fn pilot(&self, id: &str) -> Result<Option<Holder>> {
        let path = self.known(id)?.join(FILE);
        let failed = |error: io::Error| Report::failed(format!("cannot look at {}: {error}", path.display()));
        let lock = match open(&path, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => holder(&lock).map(Some).map_err(failed),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

pub(super) fn open(path: &Path, access: OFlags) -> io::Result<File> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o640))?))
}

pub(super) fn locked(lock: impl Fn() -> Result<(), TryLockError>) -> io::Result<bool> {
    for _ in 0..TRIES {
        match lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN),
        }
    }
    Ok(false)
}

fn holder(file: &File) -> io::Result<Holder> {
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

fn write(file: &File, holder: &Holder) -> io::Result<()> {
    let text = serde_json::to_vec(holder)?;
    file.set_len(0)?;
    file.write_all_at(&text, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::state::StateDir;
    use crate::incident::Declaration;

    #[test]
    fn one_acts_and_the_seat_is_free_when_that_one_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let incidents = Incidents::new(StateDir::at(dir.path()));
        let id = incidents.declare("dk", &Declaration::sample()).unwrap();
        assert_eq!(incidents.pilot(&id).unwrap(), None);
        let first = incidents.take_seat(&id, "dk").unwrap();
        assert!(first.unwritten.is_none());
        assert_eq!(incidents.pilot(&id).unwrap().map(|holder| holder.who).as_deref(), Some("dk"));
        let refused = incidents.take_seat(&id, "am").unwrap_err();
        assert!(refused.headline.starts_with("dk at ") && refused.kind == Kind::Refused(None), "{refused}");
        // Killed: it never said that it left.
        drop(first);
        assert_eq!(incidents.pilot(&id).unwrap(), None);
        let second = incidents.take_seat(&id, "am").unwrap();
        let told = |incidents: &Incidents| incidents.view(&id).unwrap().standing.pilot.map(|seat| seat.who);
        assert_eq!(told(&incidents).as_deref(), Some("am"));
        second.leave().unwrap();
        assert_eq!((told(&incidents), incidents.pilot(&id).unwrap()), (None, None));
        assert!(incidents.take_seat("2026-01-01-01", "dk").is_err());
    }
}
