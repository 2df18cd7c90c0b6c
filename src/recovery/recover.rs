//! `recover`: a request and the configuration become a recovery in place that can be planned, run and resumed.
//!
//! A plan writes nothing. A run keeps in the operation's folder what another worker needs to go on, and everything
//! the server's account must read in a folder of its own beside the data directory. Knows no lab and no screen.

mod checks;
mod cluster;
pub mod command;
mod plan;

use super::exchange;
use super::in_place::{self, Durable, FirstBackup, Recovered, Spec, Target};
use super::kept::{FILE_NAME, Facts, Kept};
use super::service::{Around, ConfiguredService};
use super::source::{Source, Wish};
use super::supervisor::Supervisor;
use crate::base::state::{self, OpId, StateDir};
use crate::base::{Kind, PgVersion, Report, Result, Timeline, Timestamp};
use crate::cluster::owner::{Account, Users};
use crate::cluster::recovery_settings::RestoreCommand;
use crate::config::site::StanzaSite;
use crate::config::{CliOption, Origin, Settings};
use crate::engine::restore::{Plan, ProofDepth};
use crate::engine::stanza::lock_folder;
use crate::model::forecast::Measured;
use crate::model::op::{Answer, Cancel, Question, Sink};
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::model::target::{self, TimelineChoice};
use crate::repo::Manifest;
use cluster::{Found, Named};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The longest path of a Unix socket the system takes is 107 bytes.
const SOCKET_PATH_BYTES: usize = 100;

/// The file beside the data directory that one recovery at a time holds locked.
const LOCK: &str = "pgmayday.lock";

/// Asks a person something in the middle of an operation and waits for the answer, however long that takes.
pub trait Asker: Sync {
    /// Asks. Fails if the operation is cancelled meanwhile.
    fn ask(&self, question: Question) -> Result<Answer>;
}

/// A recovery in place of the stanza's cluster on this host.
#[derive(Debug)]
pub struct Recover {
    request: RecoverRequest,
    settings: Settings,
    site: StanzaSite,
    source: Source,
    /// This program with what is needed to find the repositories again.
    call: RestoreCommand,
    named: Named,
    given: Vec<CliOption>,
    operation: OpId,
    state: StateDir,
    data_dir: PathBuf,
    key: u32,
}

impl Recover {
    /// Puts together what is needed. `settings` are those of pgBackRest's `restore` for the stanza; `command` is a
    /// call of this program with what is needed to find the repositories again; `operation` names directories.
    pub fn new(
        settings: &Settings,
        site: &StanzaSite,
        request: RecoverRequest,
        operation: &OpId,
        state: &StateDir,
        command: RestoreCommand,
    ) -> Result<Self> {
        let set = match request.set.as_deref() {
            None | Some("latest") => None,
            Some(label) => {
                Some(label.parse().map_err(|e: crate::base::units::UnitError| Report::usage(e.to_string()))?)
            }
        };
        let (key, data_dir) = cluster::local(settings)?;
        let on_command_line = settings.effective().into_iter().filter_map(|option| {
            let chosen = option.origin == Origin::CommandLine;
            option.value.filter(|_| chosen).map(|value| CliOption { name: option.option, value: Some(value) })
        });
        Ok(Self {
            given: on_command_line.collect(),
            source: Source::open(settings, command.clone())?.with_set(set),
            call: command,
            settings: settings.clone(),
            site: site.clone(),
            named: Named::default(),
            operation: operation.clone(),
            state: state.clone(),
            data_dir,
            key,
            request,
        })
    }

    /// Takes port, socket and user of the server from the settings of a command that speaks SQL, or of no single one;
    /// pgBackRest's `restore` has none. Without them the server's own files tell.
    #[must_use]
    pub fn with_server(mut self, settings: &Settings) -> Self {
        self.named = Named::of(settings, self.key);
        self
    }

    /// Takes the repositories the cluster archives to from the settings of `archive-push`; without them they are taken to
    /// be those that are restored from.
    #[must_use]
    pub fn with_archives(mut self, settings: &Settings) -> Self {
        self.source = self.source.with_archives(settings);
        self
    }

    /// Takes the options the call was given, exactly as they were, for the command that is shown.
    #[must_use]
    pub fn with_given(self, given: &[CliOption]) -> Self {
        Self { given: given.to_vec(), ..self }
    }

    /// Every step in its order.
    pub fn steps(&self) -> Vec<String> {
        in_place::steps(self.request.asks, !self.request.no_first_backup)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    /// Works everything out. Writes nothing.
    pub fn plan(&self, cancel: &Cancel) -> Result<RecoverPlan> {
        plan::build(self, cancel)
    }

    /// Does it, from wherever an earlier worker of the same operation left it. Returns lines that say what came out.
    pub fn run(&self, asker: &dyn Asker, sink: &dyn Sink, cancel: &Cancel) -> Result<Vec<String>> {
        self.work(asker, sink, cancel).map(|(spec, recovered)| lines(&spec, &recovered))
    }

    /// As [`Self::run`]; returns what came out as values.
    pub fn recover(&self, asker: &dyn Asker, sink: &dyn Sink, cancel: &Cancel) -> Result<Recovered> {
        self.work(asker, sink, cancel).map(|(_, recovered)| recovered)
    }

    fn work(&self, asker: &dyn Asker, sink: &dyn Sink, cancel: &Cancel) -> Result<(Spec, Recovered)> {
        let targets = command::targets(&self.request, Timestamp::now())?;
        let folder = self.state.operation(&self.operation);
        state::make_folder(&folder)
            .map_err(|error| Report::failed(format!("cannot make {}: {error}", folder.display())))?;
        let lock = self.lock()?;
        let record = folder.join(FILE_NAME);
        let mut kept = Kept::load(&record)?;
        let facts = match kept.facts.take() {
            Some(facts) => facts,
            None => self.facts(&targets[0], cancel)?,
        };
        kept.facts = Some(facts.clone());
        kept.save(&record)?;
        if facts.data_dir != self.data_dir {
            return Err(Report::failed(format!(
                "this recovery was begun for {}, and the configuration now names {}",
                facts.data_dir.display(),
                self.data_dir.display()
            ))
            .hint("give it the configuration it was begun with"));
        }
        let users = Users::new();
        let owner = users.account_of(facts.owner_uid);
        super::give(&beside(&self.data_dir, LOCK), &owner)?;
        let spec = self.spec(&facts)?;
        let service = ConfiguredService::new(self.around(&spec, &owner), &self.site, sink, cancel);
        let durable = Durable { record, kept, owner, asker: Some(asker).filter(|_| self.request.asks) };
        let timeline = Timeline(facts.timeline);
        let target = |at| Target { at, exclusive: self.request.exclusive, timeline };
        let targets: Vec<Target> = targets.into_iter().map(target).collect();
        let recovered =
            in_place::recover_durably(&spec, &targets, &self.source, &service, durable, sink, cancel)?;
        drop(lock);
        Ok((spec, recovered))
    }

    /// What recoveries before this one measured on this host.
    fn measured(&self) -> Vec<Measured> {
        // Reads only: no worker is started by it.
        Supervisor::new(self.state.clone(), PathBuf::new()).measured(&self.request.stanza)
    }

    /// One recovery per data directory at a time, whichever operation it belongs to.
    fn lock(&self) -> Result<File> {
        let path = beside(&self.data_dir, LOCK);
        let cannot = |why: String| Report::failed(format!("cannot lock {}: {why}", path.display()));
        let opened = File::options().create(true).append(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| cannot(error.to_string()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => Err(Report::new(
                Kind::Refused(None),
                format!("another recovery of {} is under way", self.data_dir.display()),
            )
            .hint("attach to that one, or cancel it")),
            Err(std::fs::TryLockError::Error(error)) => Err(cannot(error.to_string())),
        }
    }

    /// What must be known of the cluster before anything is touched.
    fn facts(&self, first: &target::Target, cancel: &Cancel) -> Result<Facts> {
        let users = Users::new();
        let found = cluster::look_at(&self.data_dir, &self.named, &users)?;
        let told = found.version.zip(found.owner.clone()).zip(self.own_timeline(&found));
        let (version, owner, timeline) = if let Some(((version, owner), timeline)) = told {
            (version, owner, timeline)
        } else {
            // What is left of the cluster does not tell: the backup and the archive do.
            let plan = self.first_plan(first, self.own_timeline(&found), &[], cancel)?;
            let owner = self.owner(&found, Some(&plan.manifest), &users)?;
            let timeline = plan.proof.as_ref().map(|proof| Timeline(proof.timeline));
            let timeline = self.own_timeline(&found).or(timeline).unwrap_or(Timeline(1));
            (plan.manifest.db.version, owner, timeline)
        };
        let superuser = found.superuser.clone().unwrap_or_else(|| owner.name.clone());
        let followers = cluster::followers(&self.settings, &self.site, &found, &superuser);
        Ok(Facts {
            data_dir: self.data_dir.clone(),
            version: version.to_string(),
            sockets: found.sockets.clone(),
            port: found.port,
            superuser,
            owner_uid: owner.uid,
            standbys: followers.here,
            timeline: timeline.0,
        })
    }

    /// The timeline that was asked for, or the one the cluster is on as far as its control file tells.
    fn own_timeline(&self, found: &Found) -> Option<Timeline> {
        let control = found.control.as_ref().ok();
        // After a promotion the last checkpoint is still of the old timeline for a while.
        let current = control.map(|control| control.timeline.max(control.min_recovery_timeline));
        self.request.timeline.map(Timeline).or(current)
    }

    /// The plan of the first target, along `timeline` or else the newest.
    fn first_plan(
        &self,
        at: &target::Target,
        timeline: Option<Timeline>,
        accept: &[&str],
        cancel: &Cancel,
    ) -> Result<Plan> {
        self.plan_at(at, timeline, ProofDepth::Scan, accept, cancel)
    }

    /// As [`Self::first_plan`], proven by reading this much.
    fn plan_at(
        &self,
        at: &target::Target,
        timeline: Option<Timeline>,
        depth: ProofDepth,
        accept: &[&str],
        cancel: &Cancel,
    ) -> Result<Plan> {
        let timeline = timeline.map_or(TimelineChoice::Latest, TimelineChoice::Number);
        let exclusive = self.request.exclusive && self.request.kind == at.type_name();
        let (restored, _) = exchange::names(&self.data_dir, self.operation.as_str());
        let saved = self.work_dir().join("saved_wal");
        // Until it is saved, what the archive does not have is where the server wrote it.
        let own = self.data_dir.join("pg_wal");
        let wal = [&saved, &own].into_iter().find(|folder| folder.is_dir());
        let wish = Wish { at, exclusive, timeline, depth, wal: wal.map(PathBuf::as_path) };
        let again = !exchange::is_vacant(&restored)?;
        self.source.plan_for(&restored, &saved, &wish, again, accept, cancel)
    }

    fn owner(&self, found: &Found, manifest: Option<&Manifest>, users: &Users) -> Result<Account> {
        if let Some(owner) = &found.owner {
            return Ok(owner.clone());
        }
        let folder = manifest.and_then(|m| m.paths.iter().find(|entry| entry.name == "pg_data"));
        let name = folder.and_then(|entry| match &entry.user {
            crate::repo::Owner::Named(name) => Some(name.as_str()),
            crate::repo::Owner::Unnamed => None,
        });
        cluster::owner_named(name, &self.data_dir, users)
    }

    fn binaries(&self, version: PgVersion) -> Result<crate::cluster::binaries::Binaries> {
        cluster::binaries(&self.site, version, std::env::var_os("PGMAYDAY_PG_BIN").as_deref())
    }

    fn spec(&self, facts: &Facts) -> Result<Spec> {
        let version = facts.version().map_err(Report::failed)?;
        let work_dir = self.work_dir();
        Ok(Spec {
            operation: self.operation.as_str().to_owned(),
            data_dir: facts.data_dir.clone(),
            binaries: self.binaries(version)?,
            sockets: facts.sockets.clone(),
            port: facts.port,
            superuser: facts.superuser.clone(),
            standbys: facts.standbys.clone(),
            closed_sockets: self.closed_sockets(facts.port),
            work_dir,
            first_backup: self.first_backup(),
        })
    }

    /// The backup at the end. It goes where the configuration says, whatever was restored from.
    fn first_backup(&self) -> FirstBackup {
        let call = self.call.words().into_iter().filter(|word| !word.starts_with("--repo="));
        FirstBackup {
            wanted: !self.request.no_first_backup,
            words: call.chain(command::places(&self.given)).chain(FirstBackup::command()).collect(),
            hook: self.site.hooks.first_backup.clone(),
            locks: lock_folder(&self.settings),
        }
    }

    /// Beside the data directory, where its owner can reach it: the state directory may be closed to that account.
    fn work_dir(&self) -> PathBuf {
        beside(&self.data_dir, &format!("pgmayday-{}", self.operation))
    }

    /// In the work folder, or where its name would be too long for a socket in a folder of its own in `/tmp`.
    fn closed_sockets(&self, port: u16) -> PathBuf {
        let folder = self.work_dir().join("s");
        let socket = folder.join(format!(".s.PGSQL.{port}"));
        if socket.as_os_str().len() < SOCKET_PATH_BYTES {
            return folder;
        }
        Path::new("/tmp").join(format!("pgmayday-{}", self.operation))
    }

    fn around(&self, spec: &Spec, owner: &Account) -> Around {
        let (_, quarantine) = exchange::names(&spec.data_dir, &spec.operation);
        Around {
            stanza: self.request.stanza.clone(),
            operation: spec.operation.clone(),
            data_dir: spec.data_dir.clone(),
            quarantine,
            owner: owner.clone(),
            binaries: spec.binaries.clone(),
            sockets: spec.sockets.clone(),
            port: spec.port,
            superuser: spec.superuser.clone(),
            work_dir: spec.work_dir.clone(),
        }
    }
}

/// `data_dir` with `.suffix` behind its name.
fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    PathBuf::from(name)
}

/// What came out, for people.
fn lines(spec: &Spec, recovered: &Recovered) -> Vec<String> {
    let mut lines = vec![format!(
        "recovered to {}, now on timeline {}{}",
        recovered.target.at,
        recovered.timeline,
        match recovered.tries {
            1 => String::new(),
            tries => format!("; {tries} targets were tried"),
        }
    )];
    if recovered.quarantine.exists() {
        lines.push(format!("the old data directory is kept in {}", recovered.quarantine.display()));
    }
    lines.push(format!("logs and saved WAL are in {}", spec.work_dir.display()));
    lines.extend(recovered.to_rebuild.iter().map(|standby| crate::journal::standby_left(standby)));
    lines.extend(recovered.to_do.iter().map(|next| format!("next: {next}")));
    lines
}
