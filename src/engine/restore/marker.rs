//! The note a restore leaves in its target while it works, so that a killed one is known and can go on.
//!
//! Written before the first file and removed only after `pg_control` is durable. It names the request by a digest
//! and the backup set that was chosen: the same request resumes with the same set, any other is refused. A marker
//! beside a `pg_control` that the restore itself did not put there says nothing: that cluster was never touched, or
//! has been started since. It holds no secret.

use crate::base::{BackupLabel, Report, Result, files};
use crate::codec::Sha1Hash;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The marker's file name in the data directory.
pub const MARKER_NAME: &str = "pgmayday.restore";

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    schema: String,
    /// SHA-1 of the request's description.
    request: String,
    /// The backup set being restored.
    set: String,
    /// The repository it comes from.
    repo: u32,
    /// Manifest names of the files that stood in the target and are kept (`--type=preserve`).
    #[serde(default)]
    preserved: Vec<String>,
    /// SHA-1 of the `pg_control` that is about to be put in place.
    #[serde(default)]
    control: Option<String>,
}

const SCHEMA: &str = "pgmayday.restore-marker/1";

impl Marker {
    /// A marker for a request, described by text that is the same exactly if the request is.
    pub fn new(request: &str, set: &BackupLabel, repo: u32, preserved: &[String]) -> Self {
        let request = Sha1Hash::of(request.as_bytes()).to_string();
        let (schema, set) = (SCHEMA.to_owned(), set.to_string());
        Self { schema, request, set, repo, preserved: preserved.to_owned(), control: None }
    }

    /// The same marker, for the moment in which `pg_control` gets this content.
    #[must_use]
    pub fn finishing(&self, control: &[u8]) -> Self {
        Self { control: Some(Sha1Hash::of(control).to_string()), ..self.clone() }
    }

    /// Reads the marker of a restore that was interrupted: it stands in a data directory without `pg_control`, or
    /// with exactly the one the restore put there and nobody has used since.
    pub fn of_unfinished(data_dir: &Path) -> Result<Option<Self>> {
        let Some(marker) = Self::read(data_dir)? else { return Ok(None) };
        let control = data_dir.join("global/pg_control");
        match std::fs::read(&control) {
            Ok(content) => Ok(Some(marker).filter(|m| m.control == Some(Sha1Hash::of(&content).to_string()))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Some(marker))
            }
            Err(error) => Err(Report::failed(format!("cannot read {}: {error}", control.display()))
                .hint("run as root or as the owner of the data directory")),
        }
    }

    /// Manifest names of the files that are kept as they stood in the target.
    pub fn preserved(&self) -> &[String] {
        &self.preserved
    }

    /// True if this marker was left by the request described so.
    pub fn is_of(&self, request: &str) -> bool {
        self.schema == SCHEMA && self.request == Sha1Hash::of(request.as_bytes()).to_string()
    }

    /// The set that was being restored.
    pub fn set(&self) -> Option<BackupLabel> {
        self.set.parse().ok()
    }

    /// The repository it came from.
    pub fn repo(&self) -> u32 {
        self.repo
    }

    /// Reads the marker of a data directory; nothing if there is none.
    pub fn read(data_dir: &Path) -> Result<Option<Self>> {
        let path = path_in(data_dir);
        let bad = |why: String| {
            Report::failed(format!("the restore marker {} cannot be read: {why}", path.display()))
                .hint("look at what stands in that folder; remove it by hand or restore elsewhere")
        };
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| bad(error.to_string())),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(bad(error.to_string())),
        }
    }

    /// Writes the marker durably.
    pub fn write(&self, data_dir: &Path, owner: Option<(u32, u32)>) -> Result<()> {
        let path = path_in(data_dir);
        let bad = |why: String| {
            Report::failed(format!("cannot write the restore marker {}: {why}", path.display()))
        };
        let text = serde_json::to_vec(self).map_err(|error| bad(error.to_string()))?;
        files::atomic_replace(&path, &text, 0o600).map_err(|error| bad(error.to_string()))?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(&path, Some(user), Some(group))
                .map_err(|error| bad(error.to_string()))?;
        }
        Ok(())
    }

    /// Removes the marker durably.
    pub fn remove(data_dir: &Path) -> Result<()> {
        let path = path_in(data_dir);
        std::fs::remove_file(&path).and_then(|()| files::sync_folder(data_dir)).map_err(|error| {
            Report::failed(format!("cannot remove the restore marker {}: {error}", path.display()))
        })
    }
}

fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join(MARKER_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_knows_its_own_request_only() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Marker::read(dir.path()).unwrap(), None);
        let set = "20261121-010559F".parse().unwrap();
        Marker::new("stanza=main", &set, 2, &[]).write(dir.path(), None).unwrap();
        let back = Marker::read(dir.path()).unwrap().unwrap();
        assert!(back.is_of("stanza=main") && !back.is_of("stanza=main2"));
        assert_eq!((back.set(), back.repo()), (Some(set), 2));
        Marker::remove(dir.path()).unwrap();
        assert_eq!(Marker::read(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join(MARKER_NAME), b"{").unwrap();
        assert!(Marker::read(dir.path()).is_err());
    }

    #[test]
    fn a_marker_beside_a_cluster_that_lives_is_no_interrupted_restore() {
        let dir = tempfile::tempdir().unwrap();
        let control = dir.path().join("global/pg_control");
        std::fs::create_dir(dir.path().join("global")).unwrap();
        let marker = Marker::new("x", &"20261121-010559F".parse().unwrap(), 1, &[]);
        marker.write(dir.path(), None).unwrap();
        assert_eq!(Marker::of_unfinished(dir.path()).unwrap(), Some(marker.clone()));
        // A kill before the old cluster's pg_control was removed.
        std::fs::write(&control, b"old").unwrap();
        assert_eq!(Marker::of_unfinished(dir.path()).unwrap(), None);
        // A kill between putting pg_control in place and removing the marker; then the cluster is started.
        let finishing = marker.finishing(b"restored");
        finishing.write(dir.path(), None).unwrap();
        std::fs::write(&control, b"restored").unwrap();
        assert_eq!(Marker::of_unfinished(dir.path()).unwrap(), Some(finishing));
        std::fs::write(&control, b"in production").unwrap();
        assert_eq!(Marker::of_unfinished(dir.path()).unwrap(), None);
    }
}
