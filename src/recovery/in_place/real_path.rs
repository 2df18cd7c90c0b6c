//! From the exchange on: the proven copy takes the real path, is promoted, cleaned and served.

use super::run::{Run, runs, standing_report, switch_wal};
use super::{State, Target};
use crate::base::{Timeline, WalSegment};
use crate::cluster::server::{Patience, Server};
use crate::cluster::sql::{Verdict, check_every_database};
use crate::model::op::Event;
use crate::recovery::{RecoveryError, exchange};

impl Run<'_> {
    pub(super) fn exchange(&mut self, target: &Target) -> Result<String, RecoveryError> {
        let spec = self.spec;
        for data_dir in [&spec.data_dir, &self.restored] {
            if runs(data_dir)? {
                return Err(RecoveryError::server(
                    data_dir,
                    "it runs; a running data directory is not moved",
                ));
            }
        }
        let why = format!("recovery to {}", target.at);
        let exchanged =
            exchange::exchange(&spec.data_dir, &self.restored, &self.quarantine, &why, &self.owner);
        if !self.restored.exists() {
            self.state = State::Exchanged;
        }
        exchanged.map(|()| String::new())
    }

    fn closed_server(&mut self) -> Result<&mut Server, RecoveryError> {
        let data_dir = &self.spec.data_dir;
        self.server.as_mut().ok_or_else(|| RecoveryError::server(data_dir, "it was not started"))
    }

    pub(super) fn promote(&mut self) -> Result<(Timeline, String), RecoveryError> {
        let (sink, cancel) = (self.sink, self.cancel);
        self.closed_server()?.promote(Patience::default(), cancel, &mut standing_report(sink))?;
        self.state = State::Promoted;
        let file = self
            .session(&self.closed.sockets)?
            .value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")?
            .unwrap_or_default();
        let segment: WalSegment = file.parse().map_err(|e: crate::base::units::UnitError| {
            RecoveryError::server(&self.spec.data_dir, e.to_string())
        })?;
        Ok((segment.timeline, format!("timeline {}", segment.timeline)))
    }

    /// Commits, and connects to every database: a dropped one may be half there.
    pub(super) fn verify_writes(&mut self) -> Result<String, RecoveryError> {
        let mut session = self.session(&self.closed.sockets)?;
        // Rolled back, it would prove nothing; kept, it would be in the way.
        session.rows("CREATE TEMPORARY TABLE pgmayday_probe (n int)")?;
        session.rows("DROP TABLE pgmayday_probe")?;
        let checks = check_every_database(&self.address(&self.closed.sockets), Some(&self.owner))?;
        for check in &checks {
            let name = &check.database.name;
            match &check.verdict {
                Verdict::Sound | Verdict::Closed => {}
                Verdict::Broken { why } => {
                    let why = format!("database {name} cannot be used: {why}");
                    return Err(RecoveryError::server(&self.spec.data_dir, why));
                }
                Verdict::Unknown { why } => {
                    let text = format!("database {name} could not be checked: {why}");
                    self.sink.event(Event::Warning { text });
                }
            }
        }
        Ok(format!("{} databases answer", checks.len()))
    }

    pub(super) fn clean_settings(&mut self) -> Result<String, RecoveryError> {
        let written = std::mem::take(&mut self.written);
        let retracted = self.closed_server()?.retract_settings(&written)?;
        for line in retracted.others {
            let text =
                format!("{} = '{}' in postgresql.auto.conf is not ours and stays", line.name, line.value);
            self.sink.event(Event::Warning { text });
        }
        Ok(format!("{} recovery settings removed", written.len()))
    }

    /// The new timeline's history and its first segment must be in the archive before a replica or a later
    /// recovery relies on it.
    pub(super) fn prove_archive(&mut self, timeline: Timeline) -> Result<String, RecoveryError> {
        let history = timeline.history_file();
        self.wait_archived(&history)?;
        let segment = switch_wal(&mut self.session(&self.spec.sockets)?)?;
        self.wait_archived(&segment)?;
        Ok(format!("{history} and {segment} are in the archive"))
    }
}
