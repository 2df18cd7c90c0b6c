//! Up to the exchange: the old cluster's last words are kept, it is stopped, the new one proven beside it.
//!
//! Nothing here changes the old data directory.

use super::run::{Run, STOP_LIMIT, runs, standing_report, switch_wal};
use super::{Finding, Spec, State, Target};
use crate::base::{Bytes, Report};
use crate::cluster::control::ControlFile;
use crate::cluster::server::{Patience, Pause, Phase as ServerPhase, Server, StartOptions, StopMode, Until};
use crate::engine::restore;
use crate::model::op::{Event, Progress, Sink};
use crate::recovery::closed::Limits;
use crate::recovery::{RecoveryError, salvage};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the archive may take for the last segment.
const ARCHIVE_LIMIT: Duration = Duration::from_secs(60);

/// How long helpers of a stopped server may go on.
const HELPERS_LIMIT: Duration = Duration::from_secs(60);

impl Run<'_> {
    /// While the primary lives its last segment is switched and awaited, else the last minutes are missing.
    pub(super) fn archive_last_wal(&mut self) -> Result<String, RecoveryError> {
        if !runs(&self.spec.data_dir)? {
            return Ok("the server does not run; what it had not archived is saved from pg_wal".to_owned());
        }
        let segment = switch_wal(&mut self.session(&self.spec.sockets)?)?;
        match self.wait_archived(&segment) {
            Ok(()) => Ok(format!("{segment} is in the archive")),
            // Archiving may be part of the disaster; whether the target needs this segment is for the proof to say.
            Err(RecoveryError::Timeout { what, seconds }) => {
                let text =
                    format!("{what} did not happen within {seconds} s; it is saved from pg_wal instead");
                self.sink.event(Event::Warning { text: text.clone() });
                Ok(text)
            }
            Err(other) => Err(other),
        }
    }

    pub(super) fn wait_archived(&self, file: &str) -> Result<(), RecoveryError> {
        let begun = Instant::now();
        while !self.source.archived(file)? {
            self.cancel.check()?;
            if begun.elapsed() > ARCHIVE_LIMIT {
                let what = format!("the archiving of {file}");
                return Err(RecoveryError::Timeout { what, seconds: ARCHIVE_LIMIT.as_secs() });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(super) fn save_wal(&mut self) -> Result<String, RecoveryError> {
        let saved = salvage::save_wal(&self.spec.data_dir, &self.saved_wal, &self.owner)?;
        let (copied, waiting) = (saved.segments.len(), saved.unarchived.len());
        Ok(format!("{copied} segments that are not in the archive, {waiting} of them whole"))
    }

    /// Stops the primary first, so that standbys and archive get its last words; then saves what came since.
    pub(super) fn stop_all(&mut self) -> Result<String, RecoveryError> {
        let mut stopped = 0;
        self.state = State::Stopped;
        for data_dir in std::iter::once(&self.spec.data_dir).chain(&self.spec.standbys) {
            if runs(data_dir)? {
                self.stop_found(data_dir)?;
                stopped += 1;
            }
        }
        self.save_wal()?;
        Ok(format!("{stopped} {}", if stopped == 1 { "server" } else { "servers" }))
    }

    fn stop_found(&self, data_dir: &Path) -> Result<(), RecoveryError> {
        let Spec { binaries, sockets, port, superuser, work_dir, .. } = self.spec;
        let options = StartOptions::private(sockets, *port, work_dir.join("stop.log"), superuser);
        let mut server = Server::new(data_dir, binaries.clone(), &self.users, options)?;
        server.attach()?;
        server.stop(StopMode::Fast, STOP_LIMIT, self.cancel)?;
        // A helper of the server, such as an archive command, may outlive it for a moment.
        let begun = Instant::now();
        while runs(data_dir)? {
            if begun.elapsed() > HELPERS_LIMIT {
                let why = "something still runs in it after it was stopped";
                return Err(RecoveryError::server(data_dir, why));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Restores and replays, to an earlier target each time the check finds the damage in it.
    pub(super) fn restore_until_right(
        &mut self,
        targets: &[Target],
    ) -> Result<(Target, usize), RecoveryError> {
        let mut why = String::new();
        for (tries, target) in targets.iter().enumerate() {
            if tries > 0 {
                self.step("prove target", |run| run.prove(target, true))?;
            }
            self.step("restore copy", Self::restore)?;
            let restored = self.restored.clone();
            self.step("replay", |run| run.start_paused(&restored))?;
            let found = self.step_with("verify", |run| {
                let found = run.service.verify(&run.closed, target)?;
                let text = match &found {
                    Finding::Right(text) => text.clone(),
                    Finding::Damaged(text) => format!("still damaged: {text}"),
                };
                Ok((found, text))
            })?;
            self.step("stop copy", |run| run.stop_closed().map(|()| String::new()))?;
            match found {
                Finding::Right(_) => return Ok((target.clone(), tries + 1)),
                Finding::Damaged(text) => why = format!("{text} (target {})", target.at),
            }
        }
        Err(RecoveryError::NotRight { why })
    }

    /// Plans the restore; the plan is kept and is what is then carried out.
    pub(super) fn prove(&mut self, target: &Target, again: bool) -> Result<String, RecoveryError> {
        let plan = self.source.plan(&self.restored, &self.saved_wal, target, again, self.cancel)?;
        for text in &plan.warnings {
            self.sink.event(Event::Warning { text: text.clone() });
        }
        let Some(proof) = &plan.proof else {
            return Err(Report::failed("the plan proves nothing about the target").into());
        };
        let set = &plan.manifest.label;
        let text = format!("from {set}, {} segments from {}", proof.segments, proof.first_segment);
        self.demanded.clone_from(&proof.parameters);
        self.plan = Some(plan);
        Ok(text)
    }

    fn restore(&mut self) -> Result<String, RecoveryError> {
        let plan = self.plan.take().ok_or_else(|| Report::failed("there is no plan to carry out"))?;
        self.written = plan.recovery_lines()?;
        let outcome = restore::execute(plan, &Inner(self.sink), self.cancel)?;
        for text in outcome.warnings {
            self.sink.event(Event::Warning { text });
        }
        Ok(format!("{} files, {}", outcome.files_total, Bytes(outcome.bytes_total)))
    }

    /// Starts closed and waits until replay has paused at the target.
    pub(super) fn start_paused(&mut self, data_dir: &Path) -> Result<String, RecoveryError> {
        let Spec { binaries, superuser, work_dir, .. } = self.spec;
        let command = self.source.restore_command(data_dir, &self.saved_wal)?;
        let mut limits = Limits::of(&ControlFile::read(data_dir)?);
        limits.raise(self.demanded.iter().copied());
        let options = self.closed.options(&command, &limits, &work_dir.join("closed.log"), superuser);
        let server = self.server.insert(Server::new(data_dir, binaries.clone(), &self.users, options)?);
        server.start()?;
        let mut report = standing_report(self.sink);
        let seen = server.wait(Until::TargetReached, Patience::default(), self.cancel, &mut report)?;
        let ServerPhase::Paused(Pause::AtTarget(words)) = &seen.phase else {
            let why = format!("it did not pause at the target ({:?})", seen.phase);
            return Err(RecoveryError::server(data_dir, why));
        };
        let used = server.connect()?.data_directory()?;
        if used != server.data_dir() {
            return Err(RecoveryError::server(data_dir, format!("it serves {} instead", used.display())));
        }
        Ok(words.clone())
    }

    pub(super) fn stop_closed(&mut self) -> Result<(), RecoveryError> {
        if let Some(mut server) = self.server.take() {
            server.stop(StopMode::Fast, STOP_LIMIT, self.cancel)?;
        }
        Ok(())
    }
}

/// Hands on progress and warnings of a step's own work, but not its smaller steps.
struct Inner<'a>(&'a dyn Sink);

impl Sink for Inner<'_> {
    fn event(&self, event: Event) {
        if matches!(event, Event::Warning { .. }) {
            self.0.event(event);
        }
    }

    fn progress(&self, progress: Progress) {
        self.0.progress(progress);
    }
}
