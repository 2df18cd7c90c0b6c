//! What lies where in a lab, and the settings that `up` fixed.
//!
//! Opening a lab proves the marker first; no path here leads out of it.

use super::LabError;
use super::marker::Root;
use crate::base::Secret;
use crate::base::files::atomic_replace;
use crate::cluster::binaries::Binaries;
use crate::cluster::recovery_settings::RestoreCommand;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const SCHEMA: &str = "pgmayday.lab/1";
/// Name of the settings file; once it is there, something may run.
pub const SETTINGS: &str = "lab.json";
/// The stanza of the lab's repository.
pub const STANZA: &str = "lab";
/// The superuser of the lab's clusters, by the private socket only.
pub const SUPERUSER: &str = "postgres";

/// What `up` decided and everything later needs.
///
/// What other versions wrote beside is passed over, so that their labs can be taken down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Form of this file.
    pub schema: String,
    /// The marker's id, so that settings of another lab are noticed.
    pub id: String,
    /// Folder of PostgreSQL's programs.
    pub pg_bin: PathBuf,
    /// PostgreSQL's major version, as text.
    pub pg_version: String,
    /// This program, as the servers call it and as it makes the lab's stanza and backups.
    pub program: PathBuf,
    /// Loopback port of the primary; part of its socket's name.
    pub primary_port: u16,
    /// Loopback port of the standby; part of its socket's name.
    pub standby_port: u16,
}

/// An opened lab.
#[derive(Debug, Clone)]
pub struct Lab {
    root: Root,
    settings: Settings,
}

impl Lab {
    /// Opens the lab in `dir`, marker and settings proven to belong together.
    pub fn open(dir: &Path) -> Result<Self, LabError> {
        let root = Root::open(dir)?;
        let path = root.path().join(SETTINGS);
        let text = std::fs::read(&path).map_err(|e| LabError::NotALab {
            dir: dir.to_owned(),
            why: format!("it was never finished, lab.json is missing ({e})"),
        })?;
        let bad = |why: String| LabError::Damaged { path: path.clone(), why };
        let settings: Settings = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
        if settings.schema != SCHEMA || settings.id != root.id() {
            return Err(bad("it belongs to another lab than the marker".to_owned()));
        }
        Ok(Self { root, settings })
    }

    /// Writes the settings of a freshly marked directory.
    pub fn create(root: Root, mut settings: Settings) -> Result<Self, LabError> {
        SCHEMA.clone_into(&mut settings.schema);
        root.id().clone_into(&mut settings.id);
        let path = root.path().join(SETTINGS);
        let text = serde_json::to_vec_pretty(&settings)
            .map_err(|e| LabError::Damaged { path: path.clone(), why: e.to_string() })?;
        atomic_replace(&path, &text, 0o600).map_err(LabError::io("write", &path))?;
        Ok(Self { root, settings })
    }

    /// The proven directory.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What `up` decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// PostgreSQL's programs.
    pub fn binaries(&self) -> Result<Binaries, LabError> {
        let Settings { pg_bin, pg_version, .. } = &self.settings;
        let version =
            pg_version.parse().map_err(|why| LabError::Damaged { path: self.dir().join(SETTINGS), why })?;
        Ok(Binaries { folder: pg_bin.clone(), version })
    }

    /// The lab's directory.
    pub fn dir(&self) -> &Path {
        self.root.path()
    }

    /// The primary's data directory.
    pub fn primary(&self) -> PathBuf {
        self.dir().join("primary")
    }

    /// The standby's data directory.
    pub fn standby(&self) -> PathBuf {
        self.dir().join("standby")
    }

    /// The folder of the private sockets.
    pub fn sockets(&self) -> PathBuf {
        self.dir().join("run")
    }

    /// The configuration file, in pgBackRest's form.
    pub fn config(&self) -> PathBuf {
        self.dir().join("pgbackrest.conf")
    }

    /// What that configuration has no place for: members, hooks, limits.
    pub fn site_file(&self) -> PathBuf {
        self.dir().join(crate::config::site::FILE_NAME)
    }

    /// Where operations and incidents of the lab are kept.
    pub fn state_dir(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// What the last verification of recovered data compared.
    pub fn verdict_file(&self) -> PathBuf {
        self.dir().join("verdict.json")
    }

    /// The folder of logs.
    pub fn logs(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// The truth about the ledger.
    pub fn truth_file(&self) -> PathBuf {
        self.dir().join(".truth/ledger.jsonl")
    }

    /// The truth about injected disasters.
    pub fn disasters_file(&self) -> PathBuf {
        self.dir().join(".truth/disasters.jsonl")
    }

    /// What a monitor saw of the application's check.
    pub fn monitor_file(&self) -> PathBuf {
        self.dir().join("monitor.jsonl")
    }

    /// Where the workload is told what to do.
    pub fn control_file(&self) -> PathBuf {
        self.dir().join("control")
    }

    /// Where the workload tells what it does.
    pub fn workload_file(&self) -> PathBuf {
        self.dir().join("workload.json")
    }

    /// A call of our program with the lab's configuration, which is about the primary.
    pub fn call(&self) -> RestoreCommand {
        RestoreCommand::new(&self.settings.program)
            .option("config", self.config().to_string_lossy())
            .option("stanza", STANZA)
    }

    /// The password of the application's role.
    pub fn password(&self) -> Result<Secret, LabError> {
        let path = self.dir().join("app.password");
        let text = std::fs::read_to_string(&path).map_err(LabError::io("read", &path))?;
        Ok(Secret::new(text.trim()))
    }
}
