//! How a lab stands: processes, roles, positions, archive, backups, and what the truth says in numbers.
//!
//! Looks only; what cannot be seen is said.

use super::db::{Db, number};
use super::disaster::{self, Happened};
use super::layout::{Lab, STANZA};
use super::truth::Truth;
use super::workload::{self, State};
use super::{LabError, process, programs};
use crate::base::Timestamp;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// How a lab stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The lab's directory.
    pub dir: PathBuf,
    /// The lab's id.
    pub id: String,
    /// The configuration file, for every command that wants one.
    pub config: PathBuf,
    /// The lab's stanza.
    pub stanza: &'static str,
    /// Primary and standby.
    pub servers: Vec<ServerStatus>,
    /// The workload, if it runs.
    pub workload: Option<State>,
    /// What the archive holds, as the primary counts.
    pub archive: Option<ArchiveStatus>,
    /// Labels of the backups; nothing if they cannot be listed.
    pub backups: Option<Vec<String>>,
    /// The truth in numbers.
    pub truth: TruthStatus,
    /// What was injected.
    pub disasters: Vec<Happened>,
}

/// One server.
#[derive(Debug, Clone, Serialize)]
pub struct ServerStatus {
    /// Which one: "primary" or "standby".
    pub name: &'static str,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Its loopback port.
    pub port: u16,
    /// The server's process, if one runs.
    pub pid: Option<u32>,
    /// "primary" or "in recovery", as the server itself says; why it could not be asked, otherwise.
    pub role: String,
    /// Position: written on a primary, replayed in recovery.
    pub lsn: Option<String>,
    /// The timeline of the last checkpoint.
    pub timeline: Option<u32>,
}

/// What the primary's archiver counts.
#[derive(Debug, Clone, Serialize)]
pub struct ArchiveStatus {
    /// The last segment archived.
    pub last: String,
    /// How many were archived.
    pub archived: u64,
    /// How many attempts failed.
    pub failed: u64,
}

/// The truth in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct TruthStatus {
    /// Transactions committed in the present history.
    pub committed: u64,
    /// The time of the last commit, as PostgreSQL prints it; empty if there was none.
    pub last_at: String,
    /// A transaction whose answer was lost.
    pub in_doubt: Option<u64>,
    /// Transactions that recoveries took back.
    pub taken_back: u64,
}

/// Looks.
pub fn look(lab: &Lab) -> Result<Status, LabError> {
    let settings = lab.settings();
    let truth = Truth::load(&lab.truth_file())?;
    let servers = vec![
        server(lab, "primary", lab.primary(), settings.primary_port),
        server(lab, "standby", lab.standby(), settings.standby_port),
    ];
    Ok(Status {
        dir: lab.dir().to_owned(),
        id: lab.root().id().to_owned(),
        config: lab.config(),
        stanza: STANZA,
        servers,
        workload: workload::state(lab).filter(|state| state.process.alive()),
        archive: archive(lab).ok(),
        backups: backups(lab).ok(),
        truth: TruthStatus {
            committed: truth.last(),
            last_at: truth.commits.last().map(|commit| commit.at.to_string()).unwrap_or_default(),
            in_doubt: truth.in_doubt,
            taken_back: truth.taken_back,
        },
        disasters: disaster::happened(lab)?,
    })
}

fn server(lab: &Lab, name: &'static str, data_dir: PathBuf, port: u16) -> ServerStatus {
    let pid = process::postmaster(&data_dir).map(|server| server.pid);
    let asked = pid.map(|_| ask(&lab.sockets(), port));
    let (role, lsn, timeline) = match asked {
        None => ("not running".to_owned(), None, None),
        Some(Err(error)) => (error.to_string(), None, None),
        Some(Ok([recovering, lsn, timeline])) => {
            let role = if recovering == "t" { "in recovery" } else { "primary" };
            (role.to_owned(), Some(lsn), timeline.parse().ok())
        }
    };
    ServerStatus { name, data_dir, port, pid, role, lsn, timeline }
}

fn ask(sockets: &Path, port: u16) -> Result<[String; 3], LabError> {
    Ok(Db::as_superuser(sockets, port, "postgres")?.last_row(
        "SELECT pg_is_in_recovery(),
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
           (SELECT timeline_id FROM pg_control_checkpoint())",
    )?)
}

fn archive(lab: &Lab) -> Result<ArchiveStatus, LabError> {
    let [last, archived, failed] = Db::as_superuser(&lab.sockets(), lab.settings().primary_port, "postgres")?
        .last_row("SELECT last_archived_wal, archived_count, failed_count FROM pg_stat_archiver")?;
    Ok(ArchiveStatus { last, archived: number(&archived)?, failed: number(&failed)? })
}

fn backups(lab: &Lab) -> Result<Vec<String>, LabError> {
    let text = programs::ours(lab, &["--output=json", "info"])?;
    let bad = |why: String| LabError::Damaged { path: lab.dir().join("repo"), why };
    let info: serde_json::Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let labels = info
        .pointer("/0/backup")
        .and_then(serde_json::Value::as_array)
        .ok_or_else(|| bad("the catalog has no list of backups".to_owned()))?;
    Ok(labels.iter().filter_map(|backup| backup.get("label")?.as_str().map(str::to_owned)).collect())
}

impl Status {
    /// The status for a person.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("lab {} in {}", &self.id[..8], self.dir.display())];
        for server in &self.servers {
            let pid = server.pid.map_or_else(String::new, |pid| format!(" pid {pid}"));
            let lsn = server.lsn.as_ref().map_or_else(String::new, |lsn| format!(" at {lsn}"));
            let timeline = server.timeline.map_or_else(String::new, |t| format!(" timeline {t}"));
            lines.push(format!(
                "  {:<9} 127.0.0.1:{:<6}{}{pid}{lsn}{timeline}",
                server.name, server.port, server.role
            ));
        }
        lines.push(match &self.workload {
            None => "  workload  not running".to_owned(),
            Some(state) => {
                let trouble = if state.trouble.is_empty() { "" } else { ", cannot commit: " };
                let order = format!("{:?}", state.order).to_lowercase();
                format!("  workload  pid {} {order}{trouble}{}", state.process.pid, state.trouble)
            }
        });
        if let Some(archive) = &self.archive {
            let ArchiveStatus { last, archived, failed } = archive;
            lines.push(format!("  archive   {last} is the last of {archived}, {failed} failed"));
        }
        let backups = self.backups.as_ref().map_or_else(|| "cannot be listed".to_owned(), |b| b.join(" "));
        lines.push(format!("  backups   {backups}"));
        lines.push(format!("  truth     {} commits, last at {}", self.truth.committed, self.truth.last_at));
        for happened in &self.disasters {
            lines.push(format!("  disaster  {} at {}", happened.disaster.name(), Timestamp(happened.at_us)));
        }
        lines.push(format!(
            "  use       pgmayday --config={} --stanza={} info",
            self.config.display(),
            self.stanza
        ));
        lines.join("\n") + "\n"
    }
}
