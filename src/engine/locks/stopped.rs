//! Stop files: an operator's word that nothing shall write to a stanza from this host.
//!
//! `<stanza>.stop` for one, `all.stop` for every stanza, both empty, in the folder of the lock files. pgBackRest
//! respects ours and we respect its.

use super::LockFolder;
use crate::base::{Report, Result};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// The stop file of one stanza or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopFile {
    path: PathBuf,
}

impl StopFile {
    /// The file that stops `stanza`, or every stanza.
    pub fn of(folder: &LockFolder, stanza: Option<&str>) -> Self {
        Self { path: folder.0.join(format!("{}.stop", stanza.unwrap_or("all"))) }
    }

    /// Its path.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// True if it is there.
    pub fn exists(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// Makes it; false if it was there.
    pub fn create(&self) -> io::Result<bool> {
        if let Some(folder) = self.path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o770).create(folder)?;
        }
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(&self.path);
        match made {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes it; false if it was not there.
    pub fn remove(&self) -> io::Result<bool> {
        match std::fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl LockFolder {
    /// The file by which an operator stopped the stanza, or all of them, on this host.
    pub fn stop_file(&self, stanza: &str) -> io::Result<Option<StopFile>> {
        for which in [None, Some(stanza)] {
            let file = StopFile::of(self, which);
            match file.path.symlink_metadata() {
                Ok(_) => return Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Refuses to go on where an operator stopped the stanza, or all of them, on this host.
    pub fn refuse_if_stopped(&self, stanza: &str) -> Result<()> {
        for (which, what) in
            [(None, "all stanzas are".to_owned()), (Some(stanza), format!("stanza '{stanza}' is"))]
        {
            let file = StopFile::of(self, which);
            if file.exists() {
                let start = which
                    .map_or("pgmayday start".to_owned(), |name| format!("pgmayday --stanza={name} start"));
                return Err(Report::failed(format!(
                    "{what} stopped on this host by {}",
                    file.path.display()
                ))
                .hint(format!("when the reason for it is gone: {start}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stanza_or_all_are_stopped_and_started() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LockFolder(dir.path().join("locks"));
        folder.refuse_if_stopped("main").unwrap();
        let main = StopFile::of(&folder, Some("main"));
        assert_eq!((main.create().unwrap(), main.create().unwrap()), (true, false));
        let refused = folder.refuse_if_stopped("main").unwrap_err().to_string();
        assert!(refused.contains("main.stop") && refused.contains("--stanza=main start"), "{refused}");
        folder.refuse_if_stopped("other").unwrap();
        assert_eq!((main.remove().unwrap(), main.remove().unwrap()), (true, false));
        assert_eq!(folder.stop_file("main").unwrap(), None);
        main.create().unwrap();
        assert_eq!(folder.stop_file("main").unwrap(), Some(main.clone()));
        StopFile::of(&folder, None).create().unwrap();
        assert_eq!(folder.stop_file("main").unwrap(), Some(StopFile::of(&folder, None)));
        std::fs::write(dir.path().join("file"), "").unwrap();
        LockFolder(dir.path().join("file")).stop_file("main").unwrap_err();
        assert!(folder.refuse_if_stopped("other").unwrap_err().headline.contains("all stanzas"));
    }
}
