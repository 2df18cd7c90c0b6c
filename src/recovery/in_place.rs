//! Recovery in place: the damaged cluster is replaced by one restored beside it, proven before it is promoted.
//!
//! The order is what keeps data: writers stopped and their last WAL archived, the target proven, `pg_wal` saved,
//! everything stopped, restored beside, replayed to a pause, verified read-only, stopped, exchanged, started closed
//! on the real path, promoted, verified writing, cleaned, opened. The old data directory ends in quarantine; it is
//! never removed. Until the exchange nothing of the old cluster is changed.

use super::closed::{Closed, HBA};
use super::source::Source;
use super::{RecoveryError, exchange, salvage};
use crate::base::files::atomic_replace;
use crate::base::{Bytes, Report, TargetTime, Timeline, WalSegment};
use crate::cluster::binaries::Binaries;
use crate::cluster::control::ControlFile;
use crate::cluster::owner::{Account, Users, is_root, owner_of};
use crate::cluster::pace::Pace;
use crate::cluster::recovery_settings::ConfLine;
use crate::cluster::running::{Running, look};
use crate::cluster::server::{
    Observation, Patience, Pause, Phase as ServerPhase, Server, StartOptions, StopMode, Until,
};
use crate::cluster::sql::{Address, Sql, Verdict, check_every_database};
use crate::engine::restore::{self, Plan};
use crate::model::op::{Cancel, Event, Progress, Sink};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the archive may take for the last segment.
const ARCHIVE_LIMIT: Duration = Duration::from_secs(120);
/// How long a server may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(300);
/// How long replay stands still before the operator is told.
const STANDING_WARNING: Duration = Duration::from_secs(15);

/// The cluster to recover, and where its parts are.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name of this operation; part of directory names.
    pub operation: String,
    /// The data directory to replace.
    pub data_dir: PathBuf,
    /// The programs of its version.
    pub binaries: Binaries,
    /// Folder of the socket the serving cluster has.
    pub sockets: PathBuf,
    /// Its port.
    pub port: u16,
    /// Its superuser.
    pub superuser: String,
    /// Data directories of standbys on this host; stopped before anything is promoted.
    pub standbys: Vec<PathBuf>,
    /// Folder for everything the recovery keeps: logs, saved WAL.
    pub work_dir: PathBuf,
    /// Folder for the closed server's socket; made, accessible to the owner alone.
    pub closed_sockets: PathBuf,
}

/// A moment to recover to, on a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The last moment whose commits are wanted.
    pub time: TargetTime,
    /// The timeline alive at that moment.
    pub timeline: Timeline,
}

/// What a check of the recovered data says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Everything is as wanted; a few words.
    Right(String),
    /// The damage is in it: an earlier target is needed.
    Damaged(String),
}

/// The application around the cluster.
pub trait Service: Sync {
    /// Stops whoever writes; returns when no write can come any more.
    fn stop_writers(&self) -> Result<String, Report>;
    /// Looks at the recovered data, paused at the target, through the closed socket; reads only.
    fn verify(&self, closed: &Closed, target: &Target) -> Result<Finding, Report>;
    /// Starts the cluster the way it is served, under its own configuration.
    fn open(&self) -> Result<String, Report>;
    /// Lets the application write again and waits for its first commit, through the application's own address.
    fn first_write(&self) -> Result<String, Report>;
    /// Makes the first backup of the recovered cluster.
    fn first_backup(&self) -> Result<String, Report>;
}

/// One step as it went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Phase {
    /// What was done.
    pub name: &'static str,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What came out.
    pub detail: String,
}

/// What a finished recovery leaves.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Every step in order.
    pub phases: Vec<Phase>,
    /// The target that was right.
    pub target: Target,
    /// How many targets were tried.
    pub tries: usize,
    /// Where the old data directory is.
    pub quarantine: PathBuf,
    /// Where its `pg_wal` was saved.
    pub saved_wal: PathBuf,
    /// The new timeline.
    pub timeline: Timeline,
    /// Standbys that stay stopped: they hold the old history and must be rebuilt before they are started.
    pub to_rebuild: Vec<PathBuf>,
}

/// Recovers in place to the first of `targets` at which the service's check is right; they are tried in order,
/// each earlier than the one before.
pub fn recover(
    spec: &Spec,
    targets: &[Target],
    source: &Source,
    service: &dyn Service,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Recovered, Report> {
    let mut run = Run::new(spec, source, service, sink, cancel)?;
    let result = run.all(targets);
    result.map_err(|error| run.state.explain(spec, error.into()))
}

/// How far a recovery has come, for whoever must go on by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The old cluster serves or can serve.
    Untouched,
    /// The old cluster is stopped, its directory unchanged.
    Stopped,
    /// The restored directory stands on the real path.
    Exchanged,
    /// And is promoted.
    Promoted,
}

impl State {
    fn explain(self, spec: &Spec, report: Report) -> Report {
        let data_dir = spec.data_dir.display();
        let (restored, quarantine) = exchange::names(&spec.data_dir, &spec.operation);
        let (restored, quarantine) = (restored.display(), quarantine.display());
        match self {
            Self::Untouched => report.hint(format!(
                "nothing was changed: the cluster in {data_dir} is as it was, its writers are stopped"
            )),
            Self::Stopped => report.hint(format!(
                "the old cluster is stopped and unchanged in {data_dir}: starting it brings the old state back; \
                 what was restored is in {restored}"
            )),
            Self::Exchanged => report.hint(format!(
                "the restored cluster is on {data_dir}, not yet promoted; the old one is in {quarantine}"
            )),
            Self::Promoted => report.hint(format!(
                "the restored cluster is on {data_dir} and promoted; what is left: clean its settings, open it, \
                 prove its archive, back it up; the old one is in {quarantine}"
            )),
        }
    }
}

struct Run<'a> {
    spec: &'a Spec,
    source: &'a Source,
    service: &'a dyn Service,
    sink: &'a dyn Sink,
    cancel: &'a Cancel,
    users: Users,
    owner: Account,
    closed: Closed,
    restored: PathBuf,
    quarantine: PathBuf,
    saved_wal: PathBuf,
    /// The server in its closed state, while one runs.
    server: Option<Server>,
    /// The restore that is proven and not yet carried out.
    plan: Option<Plan>,
    /// What the restore wrote into `postgresql.auto.conf`.
    written: Vec<ConfLine>,
    phases: Vec<Phase>,
    state: State,
}

impl<'a> Run<'a> {
    fn new(
        spec: &'a Spec,
        source: &'a Source,
        service: &'a dyn Service,
        sink: &'a dyn Sink,
        cancel: &'a Cancel,
    ) -> Result<Self, RecoveryError> {
        let users = Users::new();
        let owner = owner_of(&spec.data_dir, &users)?;
        let (restored, quarantine) = exchange::names(&spec.data_dir, &spec.operation);
        for folder in [&spec.work_dir, &spec.closed_sockets] {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(RecoveryError::io("make", folder))?;
            give(folder, &owner)?;
        }
        let hba_file = spec.work_dir.join("closed_hba.conf");
        atomic_replace(&hba_file, HBA.as_bytes(), 0o600).map_err(RecoveryError::io("write", &hba_file))?;
        give(&hba_file, &owner)?;
        let closed = Closed { sockets: spec.closed_sockets.clone(), port: spec.port, hba_file };
        Ok(Self {
            spec,
            source,
            service,
            sink,
            cancel,
            users,
            owner,
            closed,
            restored,
            quarantine,
            saved_wal: spec.work_dir.join("saved_wal"),
            server: None,
            plan: None,
            written: Vec::new(),
            phases: Vec::new(),
            state: State::Untouched,
        })
    }

    fn all(&mut self, targets: &[Target]) -> Result<Recovered, RecoveryError> {
        let first = targets.first().ok_or_else(|| Report::failed("there is no target to recover to"))?;
        self.step("check layout", |run| {
            exchange::check(&run.spec.data_dir, &run.spec.operation).map(|()| String::new())
        })?;
        self.step("stop writers", |run| Ok(run.service.stop_writers()?))?;
        self.step("archive last WAL", Self::archive_last_wal)?;
        self.step("prove target", |run| run.prove(first, false))?;
        self.step("save WAL", Self::save_wal)?;
        self.step("stop", Self::stop_all)?;
        let (target, tries) = self.restore_until_right(targets)?;
        self.step("exchange", |run| run.exchange(&target))?;
        let data_dir = self.spec.data_dir.clone();
        self.step("start closed", |run| run.start_paused(&data_dir))?;
        let timeline = self.step_with("promote", Self::promote)?;
        self.step("verify writes", Self::verify_writes)?;
        self.step("clean settings", Self::clean_settings)?;
        self.step("open", |run| {
            run.stop_closed()?;
            Ok(run.service.open()?)
        })?;
        self.step("first write", |run| Ok(run.service.first_write()?))?;
        self.step("prove archive", |run| run.prove_archive(timeline))?;
        self.step("first backup", |run| Ok(run.service.first_backup()?))?;
        Ok(Recovered {
            phases: std::mem::take(&mut self.phases),
            target,
            tries,
            quarantine: self.quarantine.clone(),
            saved_wal: self.saved_wal.clone(),
            timeline,
            to_rebuild: self.spec.standbys.clone(),
        })
    }

    fn step(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<String, RecoveryError>,
    ) -> Result<(), RecoveryError> {
        self.step_with(name, |run| work(run).map(|detail| ((), detail)))
    }

    fn step_with<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<(T, String), RecoveryError>,
    ) -> Result<T, RecoveryError> {
        self.cancel.check()?;
        self.sink.event(Event::StepStarted { step: name.to_owned() });
        let begun = Instant::now();
        let (value, detail) = work(self)?;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.sink.event(Event::StepDone { step: name.to_owned(), took_ms, detail: detail.clone() });
        self.phases.push(Phase { name, took_ms, detail });
        Ok(value)
    }

    fn session(&self, sockets: &Path) -> Result<Sql, RecoveryError> {
        Ok(Sql::connect(&self.address(sockets), Some(&self.owner))?)
    }

    fn address(&self, sockets: &Path) -> Address {
        Address::socket(sockets, self.spec.port, &self.spec.superuser, "postgres")
    }

    /// While the primary lives its last segment is switched and awaited, else the last minutes are missing.
    fn archive_last_wal(&mut self) -> Result<String, RecoveryError> {
        if !runs(&self.spec.data_dir)? {
            return Ok("the server does not run; what it had not archived is saved from pg_wal".to_owned());
        }
        let segment = switch_wal(&mut self.session(&self.spec.sockets)?)?;
        self.wait_archived(&segment)?;
        Ok(format!("{segment} is in the archive"))
    }

    fn wait_archived(&self, file: &str) -> Result<(), RecoveryError> {
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

    fn save_wal(&mut self) -> Result<String, RecoveryError> {
        let size = match ControlFile::read(&self.spec.data_dir) {
            Ok(control) => control.segment_size,
            Err(error) if self.spec.data_dir.join("pg_wal").exists() => return Err(error.into()),
            Err(_) => return Ok("there is no pg_wal to save".to_owned()),
        };
        let saved = salvage::save_wal(&self.spec.data_dir, size, &self.saved_wal)?;
        Ok(format!("{} segments, {} of them not archived", saved.segments.len(), saved.unarchived.len()))
    }

    /// Stops the primary first, so that standbys and archive get its last words; then saves what came since.
    fn stop_all(&mut self) -> Result<String, RecoveryError> {
        let mut stopped = 0;
        for data_dir in std::iter::once(&self.spec.data_dir).chain(&self.spec.standbys) {
            if runs(data_dir)? {
                self.stop_found(data_dir)?;
                stopped += 1;
            }
        }
        self.state = State::Stopped;
        self.save_wal()?;
        Ok(format!("{stopped} {}", if stopped == 1 { "server" } else { "servers" }))
    }

    fn stop_found(&self, data_dir: &Path) -> Result<(), RecoveryError> {
        let Spec { binaries, sockets, port, superuser, work_dir, .. } = self.spec;
        let options = StartOptions::private(sockets, *port, work_dir.join("stop.log"), superuser);
        let mut server = Server::new(data_dir, binaries.clone(), &self.users, options)?;
        server.attach()?;
        server.stop(StopMode::Fast, STOP_LIMIT, self.cancel)?;
        if runs(data_dir)? {
            return Err(RecoveryError::server(data_dir, "something still runs in it after it was stopped"));
        }
        Ok(())
    }

    /// Restores and replays, to an earlier target each time the check finds the damage in it.
    fn restore_until_right(&mut self, targets: &[Target]) -> Result<(Target, usize), RecoveryError> {
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
                Finding::Damaged(text) => why = format!("{text} (target {})", target.time.text),
            }
        }
        Err(RecoveryError::NotRight { why })
    }

    /// Plans the restore; the plan is kept and is what is then carried out.
    fn prove(&mut self, target: &Target, again: bool) -> Result<String, RecoveryError> {
        let plan = self.source.plan(&self.restored, &self.saved_wal, target, again, self.cancel)?;
        for text in &plan.warnings {
            self.sink.event(Event::Warning { text: text.clone() });
        }
        let Some(proof) = &plan.proof else {
            return Err(Report::failed("the plan proves nothing about the target").into());
        };
        let set = &plan.manifest.label;
        let text = format!("from {set}, {} segments from {}", proof.segments, proof.first_segment);
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

    fn exchange(&mut self, target: &Target) -> Result<String, RecoveryError> {
        let spec = self.spec;
        for data_dir in [&spec.data_dir, &self.restored] {
            if runs(data_dir)? {
                return Err(RecoveryError::server(
                    data_dir,
                    "it runs; a running data directory is not moved",
                ));
            }
        }
        let why = format!("recovery to {}", target.time.text);
        let exchanged = exchange::exchange(&spec.data_dir, &self.restored, &self.quarantine, &why);
        if !self.restored.exists() {
            self.state = State::Exchanged;
        }
        exchanged.map(|()| String::new())
    }

    /// Starts closed and waits until replay has paused at the target.
    fn start_paused(&mut self, data_dir: &Path) -> Result<String, RecoveryError> {
        let Spec { binaries, superuser, work_dir, .. } = self.spec;
        let command = self.source.restore_command(data_dir, &self.saved_wal)?;
        let options = self.closed.options(&command, &work_dir.join("closed.log"), superuser);
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

    fn stop_closed(&mut self) -> Result<(), RecoveryError> {
        if let Some(mut server) = self.server.take() {
            server.stop(StopMode::Fast, STOP_LIMIT, self.cancel)?;
        }
        Ok(())
    }

    fn closed_server(&mut self) -> Result<&mut Server, RecoveryError> {
        let data_dir = &self.spec.data_dir;
        self.server.as_mut().ok_or_else(|| RecoveryError::server(data_dir, "it was not started"))
    }

    fn promote(&mut self) -> Result<(Timeline, String), RecoveryError> {
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
    fn verify_writes(&mut self) -> Result<String, RecoveryError> {
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

    fn clean_settings(&mut self) -> Result<String, RecoveryError> {
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
    fn prove_archive(&mut self, timeline: Timeline) -> Result<String, RecoveryError> {
        let history = timeline.history_file();
        self.wait_archived(&history)?;
        let segment = switch_wal(&mut self.session(&self.spec.sockets)?)?;
        self.wait_archived(&segment)?;
        Ok(format!("{history} and {segment} are in the archive"))
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

fn runs(data_dir: &Path) -> Result<bool, RecoveryError> {
    match look(data_dir)? {
        Running::Yes { .. } => Ok(true),
        Running::No | Running::Stale { .. } => Ok(false),
        Running::Unknown { why } => Err(RecoveryError::server(data_dir, why)),
    }
}

/// Ends the current segment; the name of the last one that has content.
fn switch_wal(session: &mut Sql) -> Result<String, RecoveryError> {
    Ok(session.value("SELECT pg_walfile_name(pg_switch_wal() - 1)")?.unwrap_or_default())
}

/// Tells once in a while that replay stands still, and what it waits for.
fn standing_report(sink: &dyn Sink) -> impl FnMut(&Observation, Pace) {
    let mut told = Duration::ZERO;
    move |seen, pace| match pace {
        Pace::Standing { still } if still >= told + STANDING_WARNING => {
            told = still;
            let waits = seen.waits_for.as_deref().unwrap_or("nothing that can be seen");
            let text = format!("replay has stood still for {} s, it waits for {waits}", still.as_secs());
            sink.event(Event::Warning { text });
        }
        Pace::Standing { .. } => {}
        _ => told = Duration::ZERO,
    }
}

/// Gives a file or folder we made to the owner of the cluster.
fn give(path: &Path, owner: &Account) -> Result<(), RecoveryError> {
    if is_root() {
        std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid))
            .map_err(RecoveryError::io("give to the owner", path))?;
    }
    Ok(())
}
