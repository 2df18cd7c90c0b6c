//! The hold of an incident: while it stands nothing is expired, because nobody knows yet what will be needed.
//!
//! One file per stanza, `<stanza>.hold`, in the folder of the lock files of this host. It ends at a moment written in
//! it, so that a forgotten incident does not fill the repository for ever; that it ended is told. A file that cannot be
//! read counts as a hold. Other hosts and pgBackRest's own `expire` know nothing of it.

use super::locks::LockFolder;
use crate::base::{Report, Result, Timestamp, files};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

/// The guard that refuses.
pub const GUARD: &str = "incident-hold";
/// Such a file has a few hundred bytes.
const LIMIT_BYTES: u64 = 64 * 1024;

/// Why nothing may be expired, and how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The incident's name.
    pub incident: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Who placed it.
    pub by: String,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// There is no hold.
    No,
    /// It stands.
    Yes(Hold),
    /// It was there, and its time is over.
    Over(Hold),
    /// Something is there that cannot be read: why.
    Unknown(String),
}

/// Places a hold on a stanza, or prolongs the one of the same incident; refuses while another incident's stands.
pub fn place(folder: &LockFolder, stanza: &str, hold: &Hold, now: Timestamp) -> Result<()> {
    match look(folder, stanza, now) {
        Held::Yes(other) if other.incident != hold.incident => {
            return Err(Report::refused(
                GUARD,
                format!("stanza '{stanza}' is held already: {}", other.text()),
            )
            .hint("lift that hold first, or go on under its incident"));
        }
        Held::Unknown(why) => {
            return Err(Report::failed(format!("cannot tell whether stanza '{stanza}' is held: {why}"))
                .hint("look at that file; removing it lifts the hold"));
        }
        Held::No | Held::Yes(_) | Held::Over(_) => {}
    }
    let path = path(folder, stanza)?;
    let write = || {
        std::fs::DirBuilder::new().recursive(true).mode(0o770).create(&folder.0)?;
        let mut text = serde_json::to_vec(hold)?;
        text.push(b'\n');
        files::atomic_replace(&path, &text, 0o640)
    };
    write().map_err(|error| failed("write", &path, &error))
}

/// Lifts the hold of an incident, or whatever hold there is if none is named; false if there was none.
pub fn lift(folder: &LockFolder, stanza: &str, incident: Option<&str>) -> Result<bool> {
    let path = path(folder, stanza)?;
    match look(folder, stanza, Timestamp(i64::MIN)) {
        Held::No => return Ok(false),
        Held::Yes(hold) | Held::Over(hold) => {
            if incident.is_some_and(|incident| incident != hold.incident) {
                return Err(Report::refused(
                    GUARD,
                    format!("stanza '{stanza}' is held by another incident: {}", hold.text()),
                )
                .hint("lift it under that incident's name"));
            }
        }
        Held::Unknown(why) if incident.is_some() => {
            return Err(Report::failed(format!("cannot tell whose hold it is: {why}"))
                .hint("look at that file; removing it lifts the hold"));
        }
        Held::Unknown(_) => {}
    }
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("remove", &path, &error)),
    }
    files::sync_folder_of(&path).map_err(|error| failed("remove", &path, &error))?;
    Ok(true)
}

/// Looks whether a stanza is held.
pub fn look(folder: &LockFolder, stanza: &str, now: Timestamp) -> Held {
    let path = match path(folder, stanza) {
        Ok(path) => path,
        Err(report) => return Held::Unknown(report.headline),
    };
    let unknown = |why: String| Held::Unknown(format!("{}: {why}", path.display()));
    let mut text = Vec::new();
    let opened = files::open_plain(&path, OFlags::RDONLY);
    let read = opened.and_then(|file| file.take(LIMIT_BYTES).read_to_end(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Held::No,
        Err(error) => return unknown(error.to_string()),
    }
    match serde_json::from_slice::<Hold>(&text) {
        Ok(hold) if now < hold.until => Held::Yes(hold),
        Ok(hold) => Held::Over(hold),
        Err(error) => unknown(error.to_string()),
    }
}

/// Refuses to remove anything while the stanza is held; gives the alarm if a hold has ended by itself.
pub fn refuse_while_held(folder: &LockFolder, stanza: &str, now: Timestamp) -> Result<Option<String>> {
    let lift = "lift the hold when nothing of that time is needed any more; until then make room elsewhere";
    match look(folder, stanza, now) {
        Held::No => Ok(None),
        Held::Yes(hold) => {
            Err(Report::refused(GUARD, format!("nothing of stanza '{stanza}' is removed: {}", hold.text()))
                .hint(lift))
        }
        Held::Unknown(why) => Err(Report::refused(
            GUARD,
            format!("nothing of stanza '{stanza}' is removed: there is a hold that cannot be read: {why}"),
        )
        .hint(lift)),
        Held::Over(hold) => Ok(Some(format!(
            "ALARM: the hold of incident {} on stanza '{stanza}' ended by itself at {}; backups and WAL are removed again. \
             If the incident is not over, place it anew",
            hold.incident, hold.until
        ))),
    }
}

impl Hold {
    /// In one sentence.
    pub fn text(&self) -> String {
        format!(
            "incident {} holds it since {} until {} (placed by {})",
            self.incident, self.since, self.until, self.by
        )
    }
}

/// The file of a stanza's hold.
pub fn path(folder: &LockFolder, stanza: &str) -> Result<PathBuf> {
    if stanza.is_empty() || stanza.contains('/') {
        return Err(Report::usage(format!("'{}' is not the name of a stanza", stanza.escape_debug())));
    }
    Ok(folder.0.join(format!("{stanza}.hold")))
}

fn failed(doing: &str, path: &std::path::Path, error: &io::Error) -> Report {
    Report::failed(format!("cannot {doing} {}: {error}", path.display()))
        .hint("lock-path must be a folder that this user can write")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(incident: &str, until_s: i64) -> Hold {
        Hold {
            incident: incident.to_owned(),
            since: Timestamp::from_unix_s(1000),
            until: Timestamp::from_unix_s(until_s),
            by: "anna".to_owned(),
        }
    }

    #[test]
    fn a_hold_refuses_until_it_is_lifted_or_over() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LockFolder(dir.path().join("locks"));
        let at = Timestamp::from_unix_s;
        assert_eq!(refuse_while_held(&folder, "main", at(1000)).unwrap(), None);
        assert!(!lift(&folder, "main", None).unwrap());
        place(&folder, "main", &hold("2026-11-21-01", 5000), at(1000)).unwrap();
        let refused = refuse_while_held(&folder, "main", at(4999)).unwrap_err();
        assert_eq!(refused.kind, crate::base::Kind::Refused(Some(GUARD)));
        assert!(refused.headline.contains("2026-11-21-01") && refused.headline.contains("anna"), "{refused}");
        assert_eq!(refuse_while_held(&folder, "other", at(4999)).unwrap(), None);
        // Another incident neither takes it over nor lifts it; its own prolongs it.
        place(&folder, "main", &hold("2026-11-21-02", 9000), at(1000)).unwrap_err();
        lift(&folder, "main", Some("2026-11-21-02")).unwrap_err();
        place(&folder, "main", &hold("2026-11-21-01", 6000), at(1000)).unwrap();
        assert_eq!(look(&folder, "main", at(5500)), Held::Yes(hold("2026-11-21-01", 6000)));
        let alarm = refuse_while_held(&folder, "main", at(6000)).unwrap().unwrap();
        assert!(alarm.contains("ALARM") && alarm.contains("2026-11-21-01"), "{alarm}");
        // What is over does not stand in the way of the next.
        place(&folder, "main", &hold("2026-11-21-02", 9000), at(6000)).unwrap();
        assert!(lift(&folder, "main", Some("2026-11-21-02")).unwrap());
        assert_eq!(look(&folder, "main", at(0)), Held::No);
    }

    #[test]
    fn what_cannot_be_read_is_a_hold() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LockFolder(dir.path().to_owned());
        std::fs::write(dir.path().join("main.hold"), "{\"incident\":").unwrap();
        let refused = refuse_while_held(&folder, "main", Timestamp::now()).unwrap_err();
        assert_eq!(refused.kind, crate::base::Kind::Refused(Some(GUARD)));
        place(&folder, "main", &hold("x", i64::MAX / 2_000_000), Timestamp(0)).unwrap_err();
        lift(&folder, "main", Some("x")).unwrap_err();
        assert!(lift(&folder, "main", None).unwrap());
        assert!(matches!(look(&folder, "../main", Timestamp(0)), Held::Unknown(_)));
    }
}
