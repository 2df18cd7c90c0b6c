//! A plan as it is shown: plain numbers and sentences, for the screen and for JSON.

use super::plan::Plan;
use super::settings;
use super::space::Filesystem;
use crate::base::Result;
use crate::cluster::recovery_settings::ConfLine;
use crate::engine::proof::Proof;
use serde::Serialize;
use std::path::PathBuf;

/// Everything an operator needs to say yes or no.
#[derive(Debug, Clone, Serialize)]
pub struct PlanView {
    /// The stanza.
    pub stanza: String,
    /// The repository's number.
    pub repo: u32,
    /// The chosen backup set.
    pub set: String,
    /// When it ended, UTC.
    pub set_stop: String,
    /// PostgreSQL version of the backup.
    pub version: String,
    /// The cluster's system identifier.
    pub system_id: String,
    /// The type of recovery.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where the data directory goes.
    pub data_dir: PathBuf,
    /// Other places that receive data, and what they are.
    pub other_places: Vec<Place>,
    /// Bytes of the target.
    pub bytes_total: u64,
    /// Files of the target.
    pub files_total: u64,
    /// Bytes standing in the target in files that the backup also has; reused where their content is right.
    pub bytes_reusable: u64,
    /// Entries that will be removed.
    pub removed_total: u64,
    /// The first of them.
    pub removed: Vec<PathBuf>,
    /// Room per filesystem.
    pub filesystems: Vec<Filesystem>,
    /// Whether and why the target can be reached; absent if nothing is replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// True if an interrupted run is finished.
    pub resumes: bool,
    /// The lines written for recovery.
    pub settings: Vec<String>,
    /// What to know before saying yes.
    pub warnings: Vec<String>,
}

/// A place besides the data directory.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// The name in the backup.
    pub name: String,
    /// Where it goes.
    pub path: PathBuf,
}

impl Plan {
    /// The lines that will be written into `postgresql.auto.conf`, to be taken back after the recovery.
    pub fn recovery_lines(&self) -> Result<Vec<ConfLine>> {
        Ok(settings::for_plan(self).lines()?)
    }

    /// The plan as it is shown.
    pub fn view(&self) -> Result<PlanView> {
        let manifest = &self.manifest;
        let lines = settings::for_plan(self).lines()?;
        let places = self.layout.roots().iter().filter(|root| root.path != self.layout.data_dir());
        Ok(PlanView {
            stanza: self.request.stanza.clone(),
            repo: self.repo_key,
            set: manifest.label.to_string(),
            set_stop: manifest.stop.to_string(),
            version: manifest.db.version.to_string(),
            system_id: manifest.db.system_id.to_string(),
            kind: self.request.recovery.type_name(),
            data_dir: self.layout.data_dir().to_owned(),
            other_places: places.map(|r| Place { name: r.prefix.clone(), path: r.path.clone() }).collect(),
            bytes_total: self.bytes_total,
            files_total: manifest.files.len() as u64,
            bytes_reusable: self.survey.kept_bytes,
            removed_total: self.survey.surplus,
            removed: self.survey.surplus_named.clone(),
            filesystems: self.filesystems.clone(),
            proof: self.proof.clone(),
            resumes: self.resumes,
            settings: lines.iter().map(ToString::to_string).collect(),
            warnings: self.warnings.clone(),
        })
    }
}
