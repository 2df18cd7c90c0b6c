//! Marked copies of a cluster: side instances, drills, quarantines. Their WAL is not the archive's.
//!
//! A copy has the system identifier of its original and inherits its `archive_command`; what it writes would stand in the
//! archive as the original's own. Looks at names only.

use super::PushError;
use std::path::Path;

/// The files that mark a data directory whose WAL must not be archived.
pub const SIDE_MARKERS: [&str; 2] = ["pgmayday.quarantine", "pgmayday.side-instance"];

/// Refuses to archive for a data directory that bears one of the [markers](SIDE_MARKERS).
pub fn refuse_side_instance(data_dir: &Path) -> Result<(), PushError> {
    for marker in SIDE_MARKERS {
        let path = data_dir.join(marker);
        match path.symlink_metadata() {
            Ok(_) => return Err(PushError::Side { marker: path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(PushError::Source { path, source }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_directory_archives_nothing() {
        let dir = tempfile::tempdir().unwrap();
        refuse_side_instance(dir.path()).unwrap();
        for marker in SIDE_MARKERS {
            let path = dir.path().join(marker);
            std::fs::write(&path, "").unwrap();
            let refused = refuse_side_instance(dir.path()).unwrap_err();
            assert!(matches!(&refused, PushError::Side { marker } if *marker == path), "{refused}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
