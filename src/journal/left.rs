//! The sentence with which a recovery leaves a standby behind, and the way back from it. Finds no standby itself.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_that_was_left_is_found_again_and_nothing_else() {
        assert_eq!(left_standby(&standby_left(Path::new("/srv/it's in /b"))), Some("/srv/it's in /b"));
        assert_eq!(left_standby("the old data directory is kept in /srv/b"), None);
    }
}
