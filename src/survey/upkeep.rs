//! Looking at what on this host keeps backups, WAL or expiry from going on: stop files, holds, archiving errors.
//!
//! Local files only; makes and removes none of them.

use crate::base::Timestamp;
use crate::engine::archive_push::spool::{self, Failure};
use crate::engine::hold::{self, Held};
use crate::engine::locks::LockFolder;
use crate::model::board::{ArchiveTrouble, HoldFacts, Upkeep};
use crate::model::fact::Answer;
use std::path::PathBuf;

/// The most of an error that is shown, in characters.
const MOST: usize = 200;

/// Where those files of a stanza are.
#[derive(Debug, Clone)]
pub(super) struct HostPlace {
    pub locks: LockFolder,
    pub stanza: String,
    /// Where asynchronous archiving leaves its errors; nothing if it does not archive so.
    pub spool: Option<PathBuf>,
}

impl HostPlace {
    pub(super) fn look(&self) -> Answer<Upkeep> {
        let stopped = match self.locks.stop_file(&self.stanza) {
            Ok(stopped) => stopped,
            Err(error) => {
                let folder = self.locks.0.display();
                return Answer::Unknown { why: format!("cannot look into {folder}: {error}") };
            }
        };
        let failure = self.spool.as_ref().map(|spool| spool::failure(spool, &self.stanza));
        let archiving = match failure {
            None | Some(Ok(None)) => None,
            Some(Ok(Some(failure))) => Some(trouble(failure)),
            Some(Err(error)) => return Answer::Unknown { why: error.to_string() },
        };
        let hold = match hold::look(&self.locks, &self.stanza, Timestamp::now()) {
            Held::No => None,
            Held::Yes(hold) => Some(HoldFacts::Stands {
                incident: hold.incident,
                since: hold.since,
                until: hold.until,
                by: hold.by,
            }),
            Held::Over(hold) => Some(HoldFacts::Over { incident: hold.incident, until: hold.until }),
            Held::Unknown(why) => Some(HoldFacts::Unreadable { why }),
        };
        let stopped_by = stopped.map(|file| file.path().to_owned());
        Answer::Known { value: Upkeep { stopped_by, hold, archiving } }
    }
}

fn trouble(failure: Failure) -> ArchiveTrouble {
    let Failure { file, message, at, others } = failure;
    ArchiveTrouble { file, why: first_line(&message), since: at, others }
}

/// The first line; with the next one where the first only announces it.
fn first_line(message: &str) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("it does not say why");
    let whole = match lines.next() {
        Some(next) if first.ends_with(':') => format!("{first} {next}"),
        _ => first.to_owned(),
    };
    whole.chars().filter(|c| !c.is_control()).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_that_moves_no_cursor() {
        assert_eq!(first_line("no room\nin /a"), "no room");
        assert_eq!(
            first_line("\nunable to push:\n  repo1: no \u{1b}room\nmore"),
            "unable to push: repo1: no room"
        );
        assert_eq!(first_line(" \n"), "it does not say why");
        assert_eq!(first_line(&"x".repeat(1000)).len(), MOST);
    }
}
