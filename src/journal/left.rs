//! The sentences with which a recovery leaves something behind, a standby, its archiving or the first backup, and the way
//! back from them. Finds nothing itself.

use std::path::Path;

const BEFORE: &str = "the standby in ";
const BEHIND: &str = " is stopped and must be rebuilt before it is started";

/// How the end of a recovery tells of a standby that it left stopped.
pub fn standby_left(data_dir: &Path) -> String {
    format!("{BEFORE}{}{BEHIND}", data_dir.display())
}

/// The data directory in such a sentence; nothing for any other.
pub fn left_standby(line: &str) -> Option<&str> {
    line.strip_prefix(BEFORE)?.strip_suffix(BEHIND)
}

const NO_BACKUP: &str = "not made: ";

/// How the step of the first backup tells that there is none, and why.
pub fn no_backup(why: &str) -> String {
    format!("{NO_BACKUP}{why}")
}

/// True if the step said so.
pub fn backup_left(detail: &str) -> bool {
    detail.starts_with(NO_BACKUP)
}

const ARCHIVING_OFF: &str = "archiving is off: ";

/// How the step that proves the archive tells that there is none.
pub fn no_archiving() -> String {
    format!("{ARCHIVING_OFF}nothing after this recovery can be recovered")
}

/// True if the step said so.
pub fn archiving_left(detail: &str) -> bool {
    detail.starts_with(ARCHIVING_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_that_was_left_is_found_again_and_nothing_else() {
        assert_eq!(left_standby(&standby_left(Path::new("/srv/it's in /b"))), Some("/srv/it's in /b"));
        assert_eq!(left_standby("the old data directory is kept in /srv/b"), None);
    }
}
