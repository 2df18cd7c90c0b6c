//! One recovery under way: its order, its steps, what it has learnt so far.

use super::{Phase, Recovered, Service, Spec, State, Target};
use crate::base::Report;
use crate::base::files::atomic_replace;
use crate::cluster::configuration::{DEBIAN_CLUSTERS, outside_file};
use crate::cluster::owner::{Account, Users, owner_of};
use crate::cluster::pace::Pace;
use crate::cluster::recovery_settings::ConfLine;
use crate::cluster::running::{Running, look};
use crate::cluster::server::{Observation, Server};
use crate::cluster::sql::{Address, Sql};
use crate::engine::restore::Plan;
use crate::model::op::{Cancel, Event, Sink};
use crate::recovery::closed::{Closed, HBA};
use crate::recovery::source::Source;
use crate::recovery::{RecoveryError, exchange, give, make_folder};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a server may take to stop.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(300);
/// How long replay stands still before the operator is told.
const STANDING_WARNING: Duration = Duration::from_secs(15);

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
    /// Settings the log to be replayed demands, at least.
    pub(super) demanded: Vec<(&'static str, u32)>,
    /// What the restore wrote into `postgresql.auto.conf`.
    pub(super) written: Vec<ConfLine>,
    pub(super) phases: Vec<Phase>,
    pub(super) state: State,
}

impl<'a> Run<'a> {
    pub(super) fn new(
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
            make_folder(folder, &owner)?;
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
            demanded: Vec::new(),
            written: Vec::new(),
            phases: Vec::new(),
            state: State::Untouched,
        })
    }

    pub(super) fn all(&mut self, targets: &[Target]) -> Result<Recovered, RecoveryError> {
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

    pub(super) fn session(&self, sockets: &Path) -> Result<Sql, RecoveryError> {
        Ok(Sql::connect(&self.address(sockets), Some(&self.owner))?)
    }

    pub(super) fn address(&self, sockets: &Path) -> Address {
        Address::socket(sockets, self.spec.port, &self.spec.superuser, "postgres")
    }
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

/// Tells once in a while that replay stands still, and what it waits for.
pub(super) fn standing_report(sink: &dyn Sink) -> impl FnMut(&Observation, Pace) {
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
