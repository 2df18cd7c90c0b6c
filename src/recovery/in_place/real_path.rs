//! From the exchange on: the proven copy takes the real path, is promoted, cleaned and served.

use super::run::{Run, STOP_LIMIT, runs, switch_wal};
use super::watch::{Course, Watcher};
use super::{State, Target};
use crate::base::{Timeline, WalSegment};
use crate::cluster::control::ControlFile;
use crate::cluster::server::{Patience, Server, StopMode, Until};
use crate::cluster::sql::{Verdict, check_every_database};
use crate::journal::no_archiving;
use crate::model::op::Event;
use crate::recovery::exchange::Placed;
use crate::recovery::{RecoveryError, exchange};
use std::time::{Duration, Instant};

/// How long a server that was started may take to accept a session.
const ACCEPT_LIMIT: Duration = Duration::from_secs(300);

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
        // Also where the old content did not reach its place: what stands on the real path is another cluster now.
        let moved = exchange::placed(&spec.data_dir, &self.restored, &self.quarantine, self.kept.vacant)?;
        if moved == Placed::Exchanged {
            self.reach(State::Exchanged)?;
        }
        exchanged?;
        Ok(if self.kept.vacant { "nothing stood there".to_owned() } else { String::new() })
    }

    fn closed_server(&mut self) -> Result<&mut Server, RecoveryError> {
        let data_dir = &self.spec.data_dir;
        self.server.as_mut().ok_or_else(|| RecoveryError::server(data_dir, "it was not started"))
    }

    pub(super) fn promote(&mut self, target: &Target) -> Result<String, RecoveryError> {
        let (sink, cancel) = (self.sink, self.cancel);
        let mut watcher = Watcher::new(sink, Course::default());
        self.closed_server()?
            .promote(Patience::default(), cancel, &mut |seen, pace| watcher.see(seen, pace))?;
        let timeline = self.timeline_now(target)?;
        self.keep(|kept| {
            kept.timeline = Some(timeline);
            kept.state = State::Promoted;
        })?;
        Ok(format!("timeline {timeline}"))
    }

    /// The timeline the closed server writes on; refused if promotion did not begin a new one.
    fn timeline_now(&self, target: &Target) -> Result<Timeline, RecoveryError> {
        let question = "SELECT pg_walfile_name(pg_current_wal_insert_lsn())";
        let file = self.closed_session()?.value(question)?.unwrap_or_default();
        let segment: WalSegment = file.parse().map_err(|e: crate::base::units::UnitError| {
            RecoveryError::server(&self.spec.data_dir, e.to_string())
        })?;
        if segment.timeline <= target.timeline {
            let why = format!(
                "it writes on timeline {}, as the cluster did before: its promotion was cut off; what it \
                 writes would stand against the archive. Keep it stopped and restore again",
                segment.timeline
            );
            return Err(RecoveryError::server(&self.spec.data_dir, why));
        }
        Ok(segment.timeline)
    }

    /// Starts a promoted cluster closed, or takes over the one that runs so already.
    pub(super) fn start_promoted(&mut self, target: &Target) -> Result<String, RecoveryError> {
        let data_dir = self.spec.data_dir.clone();
        let mut watcher = Watcher::new(self.sink, Course::default());
        self.closed_until(&data_dir, Until::Writable, &mut watcher)?;
        let timeline = self.timeline_now(target)?;
        self.keep(|kept| kept.timeline = Some(timeline))?;
        Ok(format!("promoted already, timeline {timeline}"))
    }

    /// Commits, and connects to every database: a dropped one may be half there.
    pub(super) fn verify_writes(&mut self) -> Result<String, RecoveryError> {
        let mut session = self.closed_session()?;
        // Rolled back, it would prove nothing; kept, it would be in the way.
        session.rows("CREATE TEMPORARY TABLE pgmayday_probe (n int)")?;
        session.rows("DROP TABLE pgmayday_probe")?;
        let checks = check_every_database(&self.closed_address(), Some(&self.owner))?;
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
        let written = self.kept.written_lines();
        let retracted = self.closed_server()?.retract_settings(&written)?;
        for line in retracted.others {
            let text =
                format!("{} = '{}' in postgresql.auto.conf is not ours and stays", line.name, line.value);
            self.sink.event(Event::Warning { text });
        }
        self.reach(State::Cleaned)?;
        Ok(format!("{} recovery settings removed", written.len()))
    }

    /// From closed to served; a server that runs as it is served already was opened by an earlier worker.
    pub(super) fn open(&mut self) -> Result<String, RecoveryError> {
        let data_dir = self.spec.data_dir.clone();
        if let Some(mut server) = self.server.take() {
            server.stop(StopMode::Fast, STOP_LIMIT, self.cancel)?;
        } else if self.is_closed(&data_dir)? {
            self.stop_found(&data_dir)?;
        }
        let said =
            if runs(&data_dir)? { "it was started already".to_owned() } else { self.service.open()? };
        let begun = Instant::now();
        loop {
            let problem = match self.serving_session().and_then(|mut sql| Ok(sql.is_in_recovery()?)) {
                Ok(false) => return Ok(said),
                Ok(true) => "it is in recovery".to_owned(),
                Err(error) => error.to_string(),
            };
            self.cancel.check()?;
            if begun.elapsed() > ACCEPT_LIMIT || !runs(&data_dir)? {
                let why = format!("it was started and takes no writes: {problem}");
                return Err(RecoveryError::server(&data_dir, why));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The new timeline's history and its first segment must be in every archive before a replica or a later recovery
    /// relies on it, and so must what it writes now.
    pub(super) fn prove_archive(&mut self, timeline: Timeline) -> Result<String, RecoveryError> {
        let mut session = self.serving_session()?;
        if session.value("SHOW archive_mode")?.as_deref() == Some("off") {
            let text = no_archiving();
            self.sink.event(Event::Warning { text: text.clone() });
            return Ok(text);
        }
        let everywhere = |file: &str| self.source.archived_everywhere(file);
        let mut files = vec![timeline.history_file()];
        self.wait_until_archived(&files[0], &everywhere)?;
        let size = ControlFile::read(&self.spec.data_dir)?.segment_size;
        files.extend(self.source.first_segment(timeline, size)?.map(|segment| segment.to_string()));
        files.push(switch_wal(&mut session)?);
        files.dedup();
        for file in &files[1..] {
            self.wait_until_archived(file, &everywhere)?;
        }
        Ok(format!("{} are in the archive", files.join(", ")))
    }
}
