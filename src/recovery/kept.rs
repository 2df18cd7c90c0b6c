//! `recover.json`: how far a recovery in place has come, for the worker that goes on after a kill or a reboot.
//!
//! Replaced atomically and durably at every transition, always after the transition itself: what stands here has
//! happened. Whoever reads it still looks at the disk, which may be one transition ahead. Holds no secret.

use super::RecoveryError;
use crate::base::files::atomic_replace;
use crate::base::{Lsn, PgVersion, Timeline};
use crate::cluster::recovery_settings::ConfLine;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Form of the file.
const SCHEMA: &str = "pgmayday.recover/1";

/// The file's name in the operation's folder.
pub const FILE_NAME: &str = "recover.json";

/// How far a recovery has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The old cluster serves or can serve.
    #[default]
    Untouched,
    /// The old cluster is stopped, its directory unchanged.
    Stopped,
    /// The copy beside is whole, with its recovery settings; it may have replayed.
    Restored,
    /// The copy beside was found right at its target.
    Verified,
    /// The restored directory stands on the real path.
    Exchanged,
    /// And is promoted.
    Promoted,
    /// Its recovery settings are gone.
    Cleaned,
    /// It runs as it is served.
    Opened,
    /// The application writes.
    Served,
    /// Its new timeline is in the archive.
    Archived,
    /// It was backed up, or that was left to a person: nothing is left to do here.
    Done,
}

/// What is known of the cluster from the time before anything was touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The data directory to replace.
    pub data_dir: PathBuf,
    /// PostgreSQL's major version.
    pub version: String,
    /// Folder of the serving cluster's socket.
    pub sockets: PathBuf,
    /// Its port.
    pub port: u16,
    /// Its superuser.
    pub superuser: String,
    /// Number of the account that owns the data directory.
    pub owner_uid: u32,
    /// Standbys on this host.
    pub standbys: Vec<PathBuf>,
    /// The timeline that is followed.
    pub timeline: u32,
}

impl Facts {
    /// The major version.
    pub fn version(&self) -> Result<PgVersion, String> {
        self.version.parse()
    }
}

/// What is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    schema: String,
    /// How far it has come.
    pub state: State,
    /// The cluster as it was found.
    pub facts: Option<Facts>,
    /// Nothing stood on the real path.
    pub vacant: bool,
    /// Targets at which the damage was found.
    pub tried: usize,
    /// Where the log ends, if that is what is recovered to.
    pub end: Option<Lsn>,
    /// Lines the restore wrote into `postgresql.auto.conf`: name and value.
    pub written: Vec<(String, String)>,
    /// Settings the replayed log demands.
    pub demanded: Vec<(String, u32)>,
    /// Where replay begins.
    pub from: Option<Lsn>,
    /// Where replay will end.
    pub goal: Option<Lsn>,
    /// The timeline after promotion.
    pub timeline: Option<Timeline>,
    /// What is left to a person when everything is done.
    #[serde(default)]
    pub to_do: Option<String>,
}

impl Kept {
    /// What an earlier worker left; the beginning if there was none.
    pub fn load(path: &Path) -> Result<Self, RecoveryError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { schema: SCHEMA.to_owned(), ..Self::default() });
            }
            Err(e) => return Err(RecoveryError::io("read", path)(e)),
        };
        let bad = |why: String| RecoveryError::io("read", path)(std::io::Error::other(why));
        let kept: Self = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
        if kept.schema == SCHEMA { Ok(kept) } else { Err(bad(format!("its form is '{}'", kept.schema))) }
    }

    /// Writes it down.
    pub fn save(&self, path: &Path) -> Result<(), RecoveryError> {
        let text = serde_json::to_vec_pretty(&Self { schema: SCHEMA.to_owned(), ..self.clone() })
            .map_err(|e| RecoveryError::io("write", path)(e.into()))?;
        atomic_replace(path, &text, 0o640).map_err(RecoveryError::io("write", path))
    }

    /// The lines the restore wrote, for taking them back.
    pub fn written_lines(&self) -> Vec<ConfLine> {
        let line = |(name, value): &(String, String)| ConfLine { name: name.clone(), value: value.clone() };
        self.written.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_nothing_else_is_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let mut kept = Kept::load(&path).unwrap();
        assert_eq!((kept.state, kept.tried), (State::Untouched, 0));
        kept.state = State::Exchanged;
        kept.written.push(("restore_command".to_owned(), "get %f".to_owned()));
        kept.goal = Some(Lsn(0x5A00_0148));
        kept.timeline = Some(Timeline(3));
        kept.save(&path).unwrap();
        assert_eq!(Kept::load(&path).unwrap(), kept);
        assert!(State::Verified < State::Exchanged && State::Restored < State::Verified);
        for text in ["", "{}", "{\"schema\":\"other/1\"}"] {
            std::fs::write(&path, text).unwrap();
            assert!(Kept::load(&path).is_err(), "{text}");
        }
    }
}
