//! One open incident per stanza: whoever declares one while another console does the same is told of that one.
//!
//! Looks and declares under one lock; a lock that cannot be had keeps nobody from declaring.

use super::pilot::{locked, open};
use super::{Declaration, Incidents};
use crate::base::state::{give_to_owner_of_folder, make_folder};
use crate::base::{Report, Result};
use crate::journal;
use rustix::fs::OFlags;
use std::fs::File;

/// The file with the lock, among the incidents.
const FILE: &str = "declare.lock";

/// The guard against two open incidents of one stanza.
pub const INCIDENT_OPEN: &str = "incident-open";

impl Incidents {
    /// Declares an incident of a stanza that has none open. One that cannot be read keeps nobody from declaring.
    ///
    /// # Errors
    /// Refused by the guard [`INCIDENT_OPEN`].
    pub fn declare_alone(&self, actor: &str, declaration: &Declaration) -> Result<String> {
        let _lock = self.declaring();
        match self.open_one(&declaration.stanza) {
            Ok(Some(open)) => Err(already_open(&open.id, &open.stanza)),
            Ok(None) | Err(_) => self.declare(actor, declaration),
        }
    }

    /// The open incident of a stanza, or one that is declared now.
    pub(super) fn open_or_declared(&self, actor: &str, declaration: &Declaration) -> Result<String> {
        let _lock = self.declaring();
        match self.open_one(&declaration.stanza)? {
            Some(open) => Ok(open.id),
            None => self.declare(actor, declaration),
        }
    }

    /// The lock of whoever declares; nothing where it cannot be had in time.
    fn declaring(&self) -> Option<File> {
        let place = self.state.incidents();
        make_folder(&place).and_then(|()| journal::adopt(&place)).ok()?;
        let path = place.join(FILE);
        let file = open(&path, OFlags::RDWR | OFlags::CREATE).ok()?;
        give_to_owner_of_folder(&path).ok()?;
        locked(|| file.try_lock()).ok()?.then_some(file)
    }
}

/// The refusal to declare a second one.
pub fn already_open(id: &str, stanza: &str) -> Report {
    Report::refused(INCIDENT_OPEN, format!("incident {id} of {stanza} is still open"))
        .hint("add to it by `pgmayday incident note`, or end it by `pgmayday incident close`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::state::StateDir;

    #[test]
    fn of_many_who_declare_at_once_one_does() {
        let dir = tempfile::tempdir().unwrap();
        let incidents = Incidents::new(StateDir::at(dir.path()));
        let declaration = Declaration::sample();
        let declared: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..6).map(|_| scope.spawn(|| incidents.declare_alone("dk", &declaration))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let id = declared.iter().find_map(|one| one.as_ref().ok()).unwrap();
        for refused in declared.iter().filter_map(|one| one.as_ref().err()) {
            assert!(refused.headline.contains(id.as_str()), "{refused}");
        }
        assert_eq!(declared.iter().filter(|one| one.is_ok()).count(), 1);
        assert_eq!(incidents.open_or_declared("am", &declaration).unwrap(), *id);
        // Another stanza is another matter, and so is the time after it.
        let other = Declaration { stanza: "shop".to_owned(), ..declaration.clone() };
        incidents.declare_alone("dk", &other).unwrap();
        incidents.close(id, "dk", "over", false).unwrap();
        assert_ne!(incidents.declare_alone("dk", &declaration).unwrap(), *id);
    }
}
