//! Recovery in place: the damaged cluster is replaced by one restored beside it, proven before it is promoted.
//!
//! The order is what keeps data: writers stopped and their last WAL archived, the target proven, `pg_wal` saved,
//! everything stopped, restored beside, replayed to a pause, verified read-only, stopped, exchanged, started closed
//! on the real path, promoted, verified writing, cleaned, opened. The old data directory ends in quarantine; it is
//! never removed. Until the exchange nothing of the old cluster is changed.

use super::closed::{Closed, HBA};
use super::standin::{Address, Server, Session};
use super::{RecoveryError, exchange, salvage, settings};
use crate::base::files::atomic_replace;
use crate::base::{Report, TargetTime, Timeline, WalSegment};
use crate::cluster::control::ControlFile;
use crate::cluster::running::{Running, look};
use crate::model::op::{Cancel, Event, Sink};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the archive may take for the last segment.
const ARCHIVE_LIMIT: Duration = Duration::from_secs(120);
/// How long replay may stand still.
const STUCK_LIMIT: Duration = Duration::from_secs(120);

/// The cluster to recover, and where its parts are.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name of this operation; part of directory names.
    pub operation: String,
    /// The data directory to replace.
    pub data_dir: PathBuf,
    /// Folder of the server's programs.
    pub bin_dir: PathBuf,
    /// Folder of the socket the serving cluster has.
    pub sockets: PathBuf,
    /// Its port.
    pub port: u16,
    /// Its superuser.
    pub superuser: String,
    /// The log of the serving cluster.
    pub log: PathBuf,
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

/// Where the backup and the WAL come from.
pub trait Source: Sync {
    /// Proves that the target can be reached, or refuses; a sentence for the operator.
    fn prove(&self, target: &Target) -> Result<String, Report>;
    /// Restores the right backup set into `into`, with recovery settings that pause at the target.
    /// With `again`, what lies in `into` is a restore of ours for another target, to be corrected.
    fn restore(
        &self,
        into: &Path,
        target: &Target,
        again: bool,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<String, Report>;
    /// The `restore_command` of a server on `data_dir`.
    fn restore_command(&self, data_dir: &Path) -> Result<String, Report>;
    /// True once a WAL file (segment or history, by name) is in every repository.
    fn archived(&self, file: &str) -> Result<bool, Report>;
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
    source: &dyn Source,
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
    source: &'a dyn Source,
    service: &'a dyn Service,
    sink: &'a dyn Sink,
    cancel: &'a Cancel,
    closed: Closed,
    restored: PathBuf,
    quarantine: PathBuf,
    saved_wal: PathBuf,
    phases: Vec<Phase>,
    state: State,
}

impl<'a> Run<'a> {
    fn new(
        spec: &'a Spec,
        source: &'a dyn Source,
        service: &'a dyn Service,
        sink: &'a dyn Sink,
        cancel: &'a Cancel,
    ) -> Result<Self, RecoveryError> {
        let (restored, quarantine) = exchange::names(&spec.data_dir, &spec.operation);
        let private = |dir: &Path| {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(RecoveryError::io("make", dir))
        };
        private(&spec.work_dir)?;
        private(&spec.closed_sockets)?;
        let hba_file = spec.work_dir.join("closed_hba.conf");
        atomic_replace(&hba_file, HBA.as_bytes(), 0o600).map_err(RecoveryError::io("write", &hba_file))?;
        let closed = Closed { sockets: spec.closed_sockets.clone(), port: spec.port, hba_file };
        let saved_wal = spec.work_dir.join("saved_wal");
        Ok(Self {
            spec,
            source,
            service,
            sink,
            cancel,
            closed,
            restored,
            quarantine,
            saved_wal,
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
        self.step("prove target", |run| Ok(run.source.prove(first)?))?;
        self.step("save WAL", Self::save_wal)?;
        self.step("stop", Self::stop_all)?;
        let (target, tries) = self.restore_until_right(targets)?;
        self.step("exchange", |run| {
            let why = format!("recovery to {}", target.time.text);
            exchange::exchange(&run.spec.data_dir, &run.restored, &run.quarantine, &why)?;
            run.state = State::Exchanged;
            Ok(String::new())
        })?;
        let data_dir = self.spec.data_dir.clone();
        self.step("start closed", |run| run.start_paused(&data_dir))?;
        let timeline = self.step_with("promote", Self::promote)?;
        self.step("verify writes", Self::verify_writes)?;
        self.step("clean settings", Self::clean_settings)?;
        self.step("open", Self::open)?;
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

    fn old_server(&self) -> Server {
        let Spec { data_dir, bin_dir, log, .. } = self.spec;
        Server { data_dir: data_dir.clone(), bin_dir: bin_dir.clone(), log: log.clone() }
    }

    fn closed_server(&self, data_dir: &Path) -> Server {
        let log = self.spec.work_dir.join("closed.log");
        Server { data_dir: data_dir.to_owned(), bin_dir: self.spec.bin_dir.clone(), log }
    }

    fn session(&self, sockets: &Path, database: &str) -> Result<Session, RecoveryError> {
        let Spec { port, superuser, .. } = self.spec;
        Ok(Session::connect(&Address {
            host: sockets.display().to_string(),
            port: *port,
            user: superuser.clone(),
            password: None,
            database: database.to_owned(),
        })?)
    }

    fn runs(&self, data_dir: &Path) -> Result<bool, RecoveryError> {
        match look(data_dir).map_err(Report::from)? {
            Running::Yes { .. } => Ok(true),
            Running::No | Running::Stale { .. } => Ok(false),
            Running::Unknown { why } => Err(RecoveryError::server(data_dir, why)),
        }
    }

    /// While the primary lives its last segment is switched and awaited, else the last minutes are missing.
    fn archive_last_wal(&mut self) -> Result<String, RecoveryError> {
        if !self.runs(&self.spec.data_dir)? {
            return Ok("the server does not run; what it had not archived is saved from pg_wal".to_owned());
        }
        let session = self.session(&self.spec.sockets, "postgres")?;
        let segment = switch_wal(&session)?;
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
            Err(error) if self.spec.data_dir.join("pg_wal").exists() => return Err(Report::from(error).into()),
            Err(_) => return Ok("there is no pg_wal to save".to_owned()),
        };
        let saved = salvage::save_wal(&self.spec.data_dir, size, &self.saved_wal)?;
        Ok(format!("{} segments, {} of them not archived", saved.segments.len(), saved.unarchived.len()))
    }

    /// Stops the primary first, so that standbys and archive get its last words; then saves what came since.
    fn stop_all(&mut self) -> Result<String, RecoveryError> {
        let mut stopped = 0;
        for data_dir in std::iter::once(&self.spec.data_dir).chain(&self.spec.standbys) {
            if self.runs(data_dir)? {
                Server { data_dir: data_dir.clone(), ..self.old_server() }.stop()?;
                stopped += 1;
            }
        }
        self.state = State::Stopped;
        self.save_wal()?;
        let servers = if stopped == 1 { "server" } else { "servers" };
        Ok(format!("{stopped} {servers}"))
    }

    /// Restores and replays, to an earlier target each time the check finds the damage in it.
    fn restore_until_right(&mut self, targets: &[Target]) -> Result<(Target, usize), RecoveryError> {
        let mut why = String::new();
        for (tries, target) in targets.iter().enumerate() {
            if tries > 0 {
                self.step("prove target", |run| Ok(run.source.prove(target)?))?;
            }
            self.step("restore copy", |run| {
                let Run { restored, source, sink, cancel, .. } = run;
                Ok(source.restore(restored, target, tries > 0, *sink, cancel)?)
            })?;
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
            self.step("stop copy", |run| {
                run.closed_server(&run.restored).stop()?;
                Ok(String::new())
            })?;
            match found {
                Finding::Right(_) => return Ok((target.clone(), tries + 1)),
                Finding::Damaged(text) => why = format!("{text} (target {})", target.time.text),
            }
        }
        Err(RecoveryError::NotRight { why })
    }

    /// Starts closed and waits until replay has paused at the target.
    fn start_paused(&mut self, data_dir: &Path) -> Result<String, RecoveryError> {
        let command = self.source.restore_command(data_dir)?;
        self.closed_server(data_dir).start(&self.closed.settings(data_dir, &command))?;
        let session = self.session(&self.closed.sockets, "postgres")?;
        let serves = session.value("SHOW data_directory")?;
        if Path::new(&serves) != data_dir {
            return Err(RecoveryError::server(data_dir, format!("it serves {serves} instead")));
        }
        let (mut last, mut moved) = (String::new(), Instant::now());
        loop {
            self.cancel.check()?;
            let row = session.rows(
                "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END,
                   pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()",
            )?;
            let row = row.into_iter().next().unwrap_or_default();
            let [recovering, pause, lsn, commit] = <[String; 4]>::try_from(row).unwrap_or_default();
            if recovering != "t" {
                let why = "it ended recovery and promoted instead of pausing at the target";
                return Err(RecoveryError::server(data_dir, why));
            }
            if pause == "paused" {
                return Ok(format!("paused at {lsn}, last commit {commit}"));
            }
            if lsn != last {
                (last, moved) = (lsn, Instant::now());
            } else if moved.elapsed() > STUCK_LIMIT {
                let what = format!("any progress of replay past {lsn}");
                return Err(RecoveryError::Timeout { what, seconds: STUCK_LIMIT.as_secs() });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn promote(&mut self) -> Result<(Timeline, String), RecoveryError> {
        let session = self.session(&self.closed.sockets, "postgres")?;
        if session.value("SELECT pg_promote(true, 60)")? != "t" {
            return Err(RecoveryError::server(&self.spec.data_dir, "it did not promote within 60 s"));
        }
        self.state = State::Promoted;
        let file = session.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")?;
        let segment: WalSegment =
            file.parse().map_err(|_| RecoveryError::server(&self.spec.data_dir, "it names no WAL file"))?;
        Ok((segment.timeline, format!("timeline {}", segment.timeline)))
    }

    /// Commits, and connects to every database: a dropped one may be half there.
    fn verify_writes(&mut self) -> Result<String, RecoveryError> {
        let session = self.session(&self.closed.sockets, "postgres")?;
        session.rows("BEGIN; CREATE TEMPORARY TABLE pgmayday_probe (n int); DROP TABLE pgmayday_probe; COMMIT")?;
        let names = session.rows("SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname")?;
        for name in names.iter().flatten() {
            self.session(&self.closed.sockets, name)?.value("SELECT count(*) FROM pg_class")?;
        }
        Ok(format!("{} databases answer", names.len()))
    }

    fn clean_settings(&mut self) -> Result<String, RecoveryError> {
        let session = self.session(&self.closed.sockets, "postgres")?;
        let before = session.rows(&settings::left_query())?;
        for row in &before {
            if let Some(name) = row.first() {
                session.rows(&settings::reset_statement(name))?;
            }
        }
        session.rows("SELECT pg_reload_conf()")?;
        let left = session.rows(&settings::left_query())?;
        if let Some(name) = left.first().and_then(|row| row.first()) {
            let why = format!("{name} is still in postgresql.auto.conf");
            return Err(RecoveryError::server(&self.spec.data_dir, why));
        }
        Ok(format!("{} recovery settings removed", before.len()))
    }

    /// Leaves the closed state: a start without its command line, under the cluster's own configuration.
    fn open(&mut self) -> Result<String, RecoveryError> {
        self.closed_server(&self.spec.data_dir).stop()?;
        self.old_server().start(&[])?;
        Ok(String::new())
    }

    /// The new timeline's history and its first segment must be in the archive before a replica or a later
    /// recovery relies on it.
    fn prove_archive(&mut self, timeline: Timeline) -> Result<String, RecoveryError> {
        let history = timeline.history_file();
        self.wait_archived(&history)?;
        let segment = switch_wal(&self.session(&self.spec.sockets, "postgres")?)?;
        self.wait_archived(&segment)?;
        Ok(format!("{history} and {segment} are in the archive"))
    }
}

/// Ends the current segment; the name of the last one that has content.
fn switch_wal(session: &Session) -> Result<String, RecoveryError> {
    Ok(session.value("SELECT pg_walfile_name(pg_switch_wal() - 1)")?)
}
