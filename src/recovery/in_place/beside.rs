//! Up to the exchange: the old cluster's last words are kept, it is stopped, the new one proven beside it.
//!
//! Nothing here changes the old data directory.

use super::run::{Run, STOP_LIMIT, runs, switch_wal};
use super::watch::{Course, Watcher};
use super::{Finding, Spec, State, Target, exchange};
use crate::base::{Bytes, Lsn, Report, shell};
use crate::cluster::control::ControlFile;
use crate::cluster::lock_file::LockFile;
use crate::cluster::running::{Running, look};
use crate::cluster::server::{
    Observation, Patience, Pause, Phase as ServerPhase, Server, StartOptions, StopMode, Until,
};
use crate::engine::proof::Proof;
use crate::engine::restore;
use crate::model::forecast::{COPY, REPLAY};
use crate::model::op::{Answer, Event, Mark, Progress, Question, Sink};
use crate::model::target;
use crate::recovery::closed::Limits;
use crate::recovery::{RecoveryError, salvage};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the archive may take for the last segment.
const ARCHIVE_LIMIT: Duration = Duration::from_secs(60);

/// How long something without a server may be at work before it is taken for a stranger's.
const STRANGER_LIMIT: Duration = Duration::from_secs(10);

/// How long helpers of a stopped server may go on.
const HELPERS_LIMIT: Duration = Duration::from_secs(60);

impl Run<'_> {
    /// While the primary lives its last segment is switched and awaited, else the last minutes are missing.
    pub(super) fn archive_last_wal(&mut self, targets: &[Target]) -> Result<String, RecoveryError> {
        if self.kept.vacant || !runs(&self.spec.data_dir)? {
            return Ok("the server does not run; what it had not archived is saved from pg_wal".to_owned());
        }
        let to_the_end = targets.get(self.kept.tried).is_some_and(|target| target.at == target::Target::End);
        if to_the_end && self.kept.state > State::Stopped {
            // It was started again meanwhile, and the end is further on than the copy was recovered to.
            self.stop_copy()?;
            self.reach(State::Stopped)?;
        }
        let switched = self.serving_session().and_then(|mut session| switch_wal(&mut session));
        let segment = match switched {
            Ok(segment) => segment,
            Err(error) => {
                let text = format!(
                    "the server runs but could not be asked to end its WAL segment ({error}); what it had not \
                     archived is saved from pg_wal"
                );
                self.sink.event(Event::Warning { text: text.clone() });
                return Ok(text);
            }
        };
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

    fn wait_archived(&self, file: &str) -> Result<(), RecoveryError> {
        self.wait_until_archived(file, &|file| self.source.archived(file))
    }

    /// Waits until a WAL file is where `archived` looks for it.
    pub(super) fn wait_until_archived(
        &self,
        file: &str,
        archived: &dyn Fn(&str) -> Result<bool, Report>,
    ) -> Result<(), RecoveryError> {
        let begun = Instant::now();
        while !archived(file)? {
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
        if self.kept.state < State::Stopped {
            self.reach(State::Stopped)?;
        }
        let mut stopped = 0;
        if runs(&self.spec.data_dir)? {
            self.stop_found(&self.spec.data_dir)?;
            stopped += 1;
        }
        stopped += self.stop_standbys()?;
        self.save_wal()?;
        Ok(format!("{stopped} {}", if stopped == 1 { "server" } else { "servers" }))
    }

    /// Stops the standbys of this host; how many ran.
    pub(super) fn stop_standbys(&self) -> Result<usize, RecoveryError> {
        let mut stopped = 0;
        for data_dir in &self.spec.standbys {
            if runs(data_dir)? {
                self.stop_found(data_dir)?;
                stopped += 1;
            }
        }
        Ok(stopped)
    }

    pub(super) fn stop_found(&self, data_dir: &Path) -> Result<(), RecoveryError> {
        let Spec { binaries, sockets, port, superuser, work_dir, .. } = self.spec;
        let begun = Instant::now();
        // Helpers of a server that has just ended go too.
        while let Some(why) = no_server(data_dir)? {
            if begun.elapsed() > STRANGER_LIMIT {
                return Err(RecoveryError::server(data_dir, why));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if !runs(data_dir)? {
            return Ok(());
        }
        let options = StartOptions::private(sockets, *port, work_dir.join("stop.log"), superuser);
        let mut server = Server::new(data_dir, binaries.clone(), &self.users, options)?;
        if let Err(error) = server.attach() {
            // It may have ended since it was looked at.
            return if runs(data_dir)? { Err(error.into()) } else { Ok(()) };
        }
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

    /// Restores and replays, to an earlier target each time the damage is found in it.
    pub(super) fn restore_until_right(&mut self, targets: &[Target]) -> Result<(), RecoveryError> {
        let mut why = "every target was tried".to_owned();
        while let Some(target) = targets.get(self.kept.tried) {
            if self.kept.state < State::Restored {
                if self.plan.is_none() {
                    self.step("prove target", |run| run.prove(target))?;
                }
                self.step(COPY, Self::restore)?;
            }
            let restored = self.restored.clone();
            self.step(REPLAY, |run| run.start_paused(&restored, target, true))?;
            match self.judged(target)? {
                Finding::Right(_) => {
                    self.mark(Mark::Validated);
                    self.step("stop copy", |run| run.stop_copy().map(|()| String::new()))?;
                    return self.reach(State::Verified);
                }
                Finding::Damaged(text) => why = format!("{text} (target {})", target.at),
            }
            self.step("stop copy", |run| run.stop_copy().map(|()| String::new()))?;
            self.keep(|kept| {
                kept.tried += 1;
                kept.state = State::Stopped;
            })?;
        }
        Err(RecoveryError::NotRight { why })
    }

    /// What the checks say of the copy at its target, and then what a person says who is to be asked.
    fn judged(&mut self, target: &Target) -> Result<Finding, RecoveryError> {
        let found = self.step_with("verify", |run| {
            let found = run.service.verify(&run.closed, target)?;
            let text = match &found {
                Finding::Right(text) => text.clone(),
                Finding::Damaged(text) => format!("still damaged: {text}"),
            };
            Ok((found, text))
        })?;
        match (found, self.asker) {
            (Finding::Right(said), Some(asker)) => self.step_with("decide", |run| {
                let question = run.question(target, &said)?;
                Ok(match asker.ask(question)? {
                    Answer::Right => (Finding::Right(said), "it is right".to_owned()),
                    Answer::Damaged => {
                        let text = "a person found the damage in it".to_owned();
                        (Finding::Damaged(text.clone()), text)
                    }
                })
            }),
            (found, _) => Ok(found),
        }
    }

    /// What a person is asked at the pause, and how to look for oneself.
    fn question(&self, target: &Target, said: &str) -> Result<Question, RecoveryError> {
        let place = self.closed.sockets.display();
        let look = format!(
            "psql -h {} -p {} -U {} postgres",
            shell::quoted(&place.to_string()),
            self.closed.port,
            shell::quoted(&self.spec.superuser)
        );
        let mut evidence = vec![format!("the checks say: {said}")];
        if let Some(last) = self.closed_session()?.value("SELECT pg_last_xact_replay_timestamp()")? {
            evidence.push(format!("the last transaction in it ended at {last}"));
        }
        evidence.push(format!("to look for yourself, as {}: {look}", self.owner.name));
        evidence.push("it reads only, nobody else can reach it, and nothing is promoted yet".to_owned());
        Ok(Question { text: format!("Is the data recovered to {} right?", target.at), evidence })
    }

    /// Plans the restore; the plan is kept and is what is then carried out.
    pub(super) fn prove(&mut self, target: &Target) -> Result<String, RecoveryError> {
        let target = self.at_the_end(target)?;
        // What another worker or another target left there is corrected, not refused.
        let again = !exchange::is_vacant(&self.restored)?;
        let plan = self.source.plan(&self.restored, &self.saved_wal, &target, again, self.cancel)?;
        for text in &plan.warnings {
            self.sink.event(Event::Warning { text: text.clone() });
        }
        let Some(proof) = &plan.proof else {
            return Err(Report::failed("the plan proves nothing about the target").into());
        };
        let set = &plan.manifest.label;
        let text = format!("from {set}, {} segments from {}", proof.segments, proof.first_segment);
        let lines = plan.recovery_lines()?;
        let (goal, from) = (stop_of(proof), plan.manifest.lsn_start);
        let demanded = proof.parameters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.plan = Some(plan);
        self.keep(|kept| {
            kept.written = lines.into_iter().map(|line| (line.name, line.value)).collect();
            kept.demanded = demanded;
            kept.goal = goal;
            kept.from = from;
        })?;
        Ok(text)
    }

    /// Recovery cannot pause at the end of the log: it is the position of the last record there.
    fn at_the_end(&mut self, target: &Target) -> Result<Target, RecoveryError> {
        if target.at != target::Target::End {
            return Ok(target.clone());
        }
        let at = self.source.end(&self.restored, &self.saved_wal, target, self.cancel)?;
        self.keep(|kept| {
            kept.end = match at {
                target::Target::Lsn(lsn) => Some(lsn),
                _ => None,
            };
        })?;
        Ok(Target { at, exclusive: false, timeline: target.timeline })
    }

    fn restore(&mut self) -> Result<String, RecoveryError> {
        let plan = self.plan.take().ok_or_else(|| Report::failed("there is no plan to carry out"))?;
        self.amount(COPY, plan.bytes_total);
        self.amount(REPLAY, plan.proof.as_ref().map_or(0, Proof::wal_bytes));
        self.mark(Mark::RestoreStarted);
        let outcome = restore::execute(plan, &Inner(self.sink), self.cancel)?;
        self.mark(Mark::RestoreFinished);
        self.reach(State::Restored)?;
        for text in outcome.warnings {
            self.sink.event(Event::Warning { text });
        }
        Ok(format!("{} files, {}", outcome.files_total, Bytes(outcome.bytes_total)))
    }

    /// Starts a server closed, or takes over the one of this operation that runs so already; true for the latter.
    fn start_closed(&mut self, data_dir: &Path) -> Result<bool, RecoveryError> {
        let Spec { binaries, superuser, work_dir, .. } = self.spec;
        let command = self.source.restore_command(data_dir, &self.saved_wal)?;
        let mut limits = Limits::of(&ControlFile::read(data_dir)?);
        limits.raise(self.kept.demanded.iter().cloned());
        let log = work_dir.join("closed.log");
        let options = self.closed.options(binaries.version, &command, &limits, &log, superuser);
        let goes_on = self.is_closed(data_dir)?;
        if !goes_on && runs(data_dir)? {
            self.stop_found(data_dir)?;
        }
        let server = self.server.insert(Server::new(data_dir, binaries.clone(), &self.users, options)?);
        // One that was being stopped may have ended since it was looked at.
        if goes_on && (server.attach().is_ok() || runs(data_dir)?) {
            return Ok(true);
        }
        server.start()?;
        Ok(false)
    }

    /// Starts a server closed, or takes it over, and waits until it has come so far.
    pub(super) fn closed_until(
        &mut self,
        data_dir: &Path,
        until: Until,
        watcher: &mut Watcher<'_>,
    ) -> Result<Observation, RecoveryError> {
        let taken_over = self.start_closed(data_dir)?;
        match self.wait_closed(data_dir, until, watcher) {
            // An earlier worker was stopping it when it was killed.
            Err(_) if taken_over && !self.cancel.requested() && !runs(data_dir)? => {
                self.start_closed(data_dir)?;
                self.wait_closed(data_dir, until, watcher)
            }
            other => other,
        }
    }

    fn wait_closed(
        &mut self,
        data_dir: &Path,
        until: Until,
        watcher: &mut Watcher<'_>,
    ) -> Result<Observation, RecoveryError> {
        let cancel = self.cancel;
        let server =
            self.server.as_mut().ok_or_else(|| RecoveryError::server(data_dir, "it was not started"))?;
        Ok(server.wait(until, Patience::default(), cancel, &mut |seen, pace| watcher.see(seen, pace))?)
    }

    /// Starts closed and waits until replay has paused at the target. `first`: what is reached counts for the time
    /// of the recovery.
    pub(super) fn start_paused(
        &mut self,
        data_dir: &Path,
        target: &Target,
        first: bool,
    ) -> Result<String, RecoveryError> {
        let at = match &target.at {
            target::Target::Time(time) => Some(time.at),
            _ => None,
        };
        let course = Course { from: self.kept.from, goal: self.kept.goal, target: at, first };
        let mut watcher = Watcher::new(self.sink, course);
        let seen = self.closed_until(data_dir, Until::TargetReached, &mut watcher)?;
        let server =
            self.server.as_ref().ok_or_else(|| RecoveryError::server(data_dir, "it was not started"))?;
        let words = match &seen.phase {
            ServerPhase::Paused(Pause::AtTarget(words)) => words.clone(),
            // An earlier worker had asked for the promotion when it was killed.
            ServerPhase::Primary if !first => "promoted already".to_owned(),
            other => {
                let why = format!("it did not pause at the target ({other:?})");
                return Err(RecoveryError::server(data_dir, why));
            }
        };
        let used = server.connect()?.data_directory()?;
        if used != server.data_dir() {
            return Err(RecoveryError::server(data_dir, format!("it serves {} instead", used.display())));
        }
        if first {
            self.mark(Mark::TargetReached);
        }
        Ok(words)
    }

    /// Stops the copy beside, whoever started it.
    pub(super) fn stop_copy(&mut self) -> Result<(), RecoveryError> {
        match self.server.take() {
            Some(mut server) => drop(server.stop(StopMode::Fast, STOP_LIMIT, self.cancel)?),
            None if self.restored.exists() && runs(&self.restored)? => self.stop_found(&self.restored)?,
            None => {}
        }
        Ok(())
    }
}

/// Why what runs in a data directory is no server of it that may be stopped: a shell, or a copy being made.
pub(in crate::recovery) fn no_server(data_dir: &Path) -> Result<Option<String>, RecoveryError> {
    let Running::Yes { pid, why } = look(data_dir)? else { return Ok(None) };
    let lock = LockFile::read(data_dir)?.and_then(Result::ok);
    Ok(match lock {
        Some(lock) if lock.pid == pid => None,
        _ => Some(format!("process {pid} is at work in it and is not its server ({why}): end it first")),
    })
}

/// The first position that is not replayed, as the proof knows it.
fn stop_of(proof: &Proof) -> Option<Lsn> {
    let stop = proof.stop.as_ref()?;
    if stop.after { &stop.end_lsn } else { &stop.lsn }.parse().ok()
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
