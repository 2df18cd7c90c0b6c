//! One recovery under way: its order, its steps, what it has learnt so far.

use super::{Durable, Phase, Recovered, Service, Spec, State, Target};
use crate::base::files::atomic_replace;
use crate::base::{Report, Timeline};
use crate::cluster::configuration::{DEBIAN_CLUSTERS, outside_file};
use crate::cluster::lock_file::LockFile;
use crate::cluster::owner::{Account, Users, owner_of};
use crate::cluster::running::{Running, look};
use crate::cluster::server::Server;
use crate::cluster::sql::{Address, Sql};
use crate::engine::restore::Plan;
use crate::model::op::{Cancel, Event, Mark, Sink};
use crate::recovery::closed::{Closed, HBA};
use crate::recovery::kept::Kept;
use crate::recovery::recover::Asker;
use crate::recovery::source::Source;
use crate::recovery::{RecoveryError, exchange, give, make_folder};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a server may take to stop.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(300);

pub(super) struct Run<'a> {
    pub(super) spec: &'a Spec,
    pub(super) source: &'a Source,
    pub(super) service: &'a dyn Service,
    pub(super) sink: &'a dyn Sink,
    pub(super) cancel: &'a Cancel,
    pub(super) users: Users,
    pub(super) owner: Account,
    pub(super) closed: Closed,
    pub(super) restored: PathBuf,
    pub(super) quarantine: PathBuf,
    pub(super) saved_wal: PathBuf,
    /// The server in its closed state, while one runs.
    pub(super) server: Option<Server>,
    /// The restore that is proven and not yet carried out.
    pub(super) plan: Option<Plan>,
    /// Everything another worker must know.
    pub(super) kept: Kept,
    record: Option<PathBuf>,
    pub(super) asker: Option<&'a dyn Asker>,
    pub(super) phases: Vec<Phase>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        spec: &'a Spec,
        source: &'a Source,
        service: &'a dyn Service,
        sink: &'a dyn Sink,
        cancel: &'a Cancel,
        durable: Option<Durable<'a>>,
    ) -> Result<Self, RecoveryError> {
        let users = Users::new();
        let (kept, record, asker, owner) = match durable {
            Some(durable) => (durable.kept, Some(durable.record), durable.asker, durable.owner),
            None => (Kept::default(), None, None, owner_of(&spec.data_dir, &users)?),
        };
        let (restored, quarantine) = exchange::names(&spec.data_dir, &spec.operation);
        for folder in [&spec.work_dir, &spec.closed_sockets] {
            make_folder(folder, &owner)?;
            belongs_to(folder, &owner)?;
        }
        let hba_file = spec.work_dir.join("closed_hba.conf");
        atomic_replace(&hba_file, HBA.as_bytes(), 0o600).map_err(RecoveryError::io("write", &hba_file))?;
        give(&hba_file, &owner)?;
        // The restored directory has another name than the one a configuration outside it speaks of.
        let config_file = outside_file(&spec.data_dir, Path::new(DEBIAN_CLUSTERS));
        let closed = Closed { sockets: spec.closed_sockets.clone(), port: spec.port, hba_file, config_file };
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
            kept,
            record,
            asker,
            phases: Vec::new(),
        })
    }

    pub(super) fn all(&mut self, targets: &[Target]) -> Result<Recovered, RecoveryError> {
        if targets.is_empty() {
            return Err(Report::failed("there is no target to recover to").into());
        }
        self.settle()?;
        if self.kept.state < State::Exchanged {
            self.until_exchanged(targets)?;
        }
        let target = targets
            .get(self.kept.tried)
            .ok_or_else(|| Report::failed("the recovery was begun with other targets than these"))?;
        let timeline = self.until_opened(target)?;
        self.until_done(timeline)?;
        Ok(Recovered {
            phases: std::mem::take(&mut self.phases),
            target: target.clone(),
            tries: self.kept.tried + 1,
            quarantine: self.quarantine.clone(),
            saved_wal: self.saved_wal.clone(),
            timeline,
            to_rebuild: self.spec.standbys.clone(),
            to_do: self.kept.to_do.clone(),
        })
    }

    /// Everything that leaves the old data directory as it is.
    fn until_exchanged(&mut self, targets: &[Target]) -> Result<(), RecoveryError> {
        self.step("check layout", |run| {
            exchange::check(&run.spec.data_dir, &run.spec.operation).map(|()| String::new())
        })?;
        // Repeated by every worker: after a reboot the old cluster and its writers may be back.
        self.step("stop writers", |run| Ok(run.service.stop_writers()?))?;
        self.step("archive last WAL", |run| run.archive_last_wal(targets))?;
        // Saved first: what the archive does not have counts for the proof.
        self.step("save WAL", Self::save_wal)?;
        if self.kept.state < State::Restored {
            let target = targets.get(self.kept.tried).unwrap_or(&targets[0]);
            self.step("prove target", |run| run.prove(target))?;
        }
        self.step("stop", Self::stop_all)?;
        if self.kept.state < State::Verified {
            self.restore_until_right(targets)?;
        }
        let target = targets.get(self.kept.tried).unwrap_or(&targets[0]);
        self.step("exchange", |run| run.exchange(target))
    }

    fn until_opened(&mut self, target: &Target) -> Result<Timeline, RecoveryError> {
        let data_dir = self.spec.data_dir.clone();
        if self.kept.state < State::Promoted {
            self.step("start closed", |run| run.start_paused(&data_dir, target, false))?;
            self.step("promote", |run| run.promote(target))?;
        } else if self.kept.state < State::Cleaned {
            self.step("start closed", |run| run.start_promoted(target))?;
        }
        if self.kept.state < State::Cleaned {
            self.step("verify writes", Self::verify_writes)?;
            self.step("clean settings", Self::clean_settings)?;
        }
        if self.kept.state < State::Opened {
            self.step("open", Self::open)?;
            self.mark(Mark::AcceptingConnections);
            self.reach(State::Opened)?;
        }
        let unknown = || RecoveryError::server(&data_dir, "its timeline after promotion is not known");
        self.kept.timeline.ok_or_else(unknown)
    }

    fn until_done(&mut self, timeline: Timeline) -> Result<(), RecoveryError> {
        if self.kept.state < State::Served {
            self.step("first write", |run| Ok(run.service.first_write()?))?;
            self.mark(Mark::ServiceBack);
            self.reach(State::Served)?;
        }
        if self.kept.state < State::Archived {
            self.step("prove archive", |run| run.prove_archive(timeline))?;
            self.reach(State::Archived)?;
        }
        if self.kept.state < State::Done {
            if self.spec.first_backup.wanted {
                self.step("first backup", |run| run.first_backup(timeline))?;
            } else {
                self.leave_backup()?;
            }
            self.reach(State::Done)?;
        }
        Ok(())
    }

    pub(super) fn step(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<String, RecoveryError>,
    ) -> Result<(), RecoveryError> {
        self.step_with(name, |run| work(run).map(|detail| ((), detail)))
    }

    pub(super) fn step_with<T>(
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

    /// Tells what a step's time is measured by.
    pub(super) fn amount(&self, step: &str, bytes: u64) {
        self.sink.event(Event::Amount { step: step.to_owned(), bytes });
    }

    pub(super) fn mark(&self, mark: Mark) {
        self.sink.event(Event::Reached { mark });
    }

    /// Writes down what changed.
    pub(super) fn keep(&mut self, change: impl FnOnce(&mut Kept)) -> Result<(), RecoveryError> {
        change(&mut self.kept);
        self.record.as_ref().map_or(Ok(()), |record| self.kept.save(record))
    }

    /// Writes down that this much has happened.
    pub(super) fn reach(&mut self, state: State) -> Result<(), RecoveryError> {
        self.keep(|kept| kept.state = state)
    }

    /// A session with the closed server.
    pub(super) fn closed_session(&self) -> Result<Sql, RecoveryError> {
        Ok(Sql::connect(&self.closed_address(), Some(&self.owner))?)
    }

    pub(super) fn closed_address(&self) -> Address {
        Address::socket(&self.closed.sockets, self.closed.port, &self.spec.superuser, "postgres")
    }

    /// A session with the server that runs as it is served: where it says it listens.
    pub(super) fn serving_session(&self) -> Result<Sql, RecoveryError> {
        let lock = LockFile::read(&self.spec.data_dir)?.and_then(Result::ok);
        let told = lock.and_then(|lock| lock.socket_dir.zip(lock.port));
        let (sockets, port) = told.unwrap_or_else(|| (self.spec.sockets.clone(), self.spec.port));
        let address = Address::socket(sockets, port, &self.spec.superuser, "postgres");
        Ok(Sql::connect(&address, Some(&self.owner))?)
    }
}

/// A folder that somebody else made under this name could lead the server's socket to them.
fn belongs_to(folder: &Path, owner: &Account) -> Result<(), RecoveryError> {
    let meta = std::fs::symlink_metadata(folder).map_err(RecoveryError::io("look at", folder))?;
    if meta.is_dir() && meta.uid() == owner.uid && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    let why = format!("it is not a folder that only {} can write to", owner.name);
    Err(RecoveryError::io("use", folder)(std::io::Error::other(why)))
}

pub(super) fn runs(data_dir: &Path) -> Result<bool, RecoveryError> {
    match look(data_dir)? {
        Running::Yes { .. } => Ok(true),
        Running::No | Running::Stale { .. } => Ok(false),
        Running::Unknown { why } => Err(RecoveryError::server(data_dir, why)),
    }
}

/// Ends the current segment; the name of the last one that has content.
pub(super) fn switch_wal(session: &mut Sql) -> Result<String, RecoveryError> {
    Ok(session.value("SELECT pg_walfile_name(pg_switch_wal() - 1)")?.unwrap_or_default())
}
