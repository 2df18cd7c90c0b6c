//! What is known of the cluster and its protection now: probes that look, each within its time, and never write; but for
//! the write test, where it was asked for.
//!
//! Every probe has a thread of its own and one at most: one that hangs is told as hanging, hinders no other, and is
//! not started again while it hangs. What a fact means is not judged here.

mod application;
mod blank;
mod folder;
mod health;
mod member;
mod operations;
mod pages;
mod patroni;
mod repository;
mod upkeep;
mod verified;
mod views;
mod watch;

use crate::base::state::StateDir;
use crate::base::{Report, Result, Timestamp};
use crate::cluster::owner::Users;
use crate::config::Config;
use crate::config::site::Site;
use crate::model::board::Board;
use crate::model::catalog::CatalogView;
use crate::model::op::Cancel;
use crate::model::situation::{PageFacts, Situation};
use crate::model::wal_view::WalView;
use application::Monitor;
use folder::FolderPlace;
use member::{DataDir, ServerPlace};
use pages::PagesPlace;
use patroni::PatroniPlace;
use repository::RepoPlace;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use upkeep::HostPlace;
use verified::RecordPlace;

/// What there is to look at.
#[derive(Debug, Clone)]
pub struct Survey {
    inner: Arc<Inner>,
}

/// What all watchers of one survey share.
#[derive(Debug)]
struct Inner {
    blank: Situation,
    stanza: Option<String>,
    settings: Option<crate::config::Settings>,
    state: Option<StateDir>,
    probes: Vec<Probe>,
    /// Per probe: since when its thread is under way.
    flights: Vec<Mutex<Option<Timestamp>>>,
    /// Counts the requests to look at everything now.
    refreshes: AtomicU64,
    /// Stops reading pages.
    stop_pages: Cancel,
}

/// What of a cluster is looked at besides what the board shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    /// What the questions of a runbook are judged by.
    pub incident: bool,
    /// Whether a commit comes back on a primary: writes a few bytes of WAL and uses up a transaction id.
    pub write_test: bool,
    /// Every page of the data directories on this host: takes as long as reading them.
    pub pages: bool,
}

impl Scope {
    fn has(self, part: Part) -> bool {
        match part {
            Part::Board => true,
            Part::Incident => self.incident,
            Part::Write => self.write_test,
            Part::Pages => self.pages,
        }
    }
}

/// Who asks for a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Board,
    Incident,
    Write,
    Pages,
}

/// One thing to look at.
#[derive(Debug, Clone)]
struct Probe {
    part: Part,
    place: Place,
    look: Look,
    /// From one look to the next.
    every: Duration,
    /// After this it is said not to answer.
    limit: Duration,
}

/// Which fact of the board a probe fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Server(usize),
    DataDir(usize),
    Backups(usize),
    Wal(usize),
    Verification(usize),
    Upkeep,
    Application,
    Operations,
    Health(usize),
    Write(usize),
    Log(usize),
    Folder(usize),
    Pages(usize),
    Patroni(usize),
}

/// How it is looked at.
#[derive(Debug, Clone)]
enum Look {
    Server(ServerPlace),
    DataDir(DataDir),
    Backups(RepoPlace),
    Wal(RepoPlace),
    Verification(RecordPlace),
    Upkeep(HostPlace),
    Application(Monitor),
    Operations(StateDir),
    Health(ServerPlace),
    Write(ServerPlace),
    Log(FolderPlace),
    Folder(FolderPlace),
    Pages(PagesPlace),
    Patroni(PatroniPlace),
}

const MEMBER_EVERY: Duration = Duration::from_secs(2);
const MEMBER_LIMIT: Duration = Duration::from_secs(8);
const REPOSITORY_EVERY: Duration = Duration::from_secs(15);
const REPOSITORY_LIMIT: Duration = Duration::from_secs(10);
/// Listing a million segments takes its time.
const WAL_LIMIT: Duration = Duration::from_secs(30);
const APPLICATION_LIMIT: Duration = Duration::from_secs(7);
const OPERATIONS_EVERY: Duration = Duration::from_secs(1);
const OPERATIONS_LIMIT: Duration = Duration::from_secs(5);
const FOLDER_EVERY: Duration = Duration::from_secs(5);
/// The log of a stopped server is read to its end.
const FOLDER_LIMIT: Duration = Duration::from_secs(30);
const WRITE_EVERY: Duration = Duration::from_secs(15);
const WRITE_LIMIT: Duration = Duration::from_secs(20);
/// Pages are read once, for as long as it takes.
const PAGES_EVERY: Duration = Duration::from_secs(24 * 3600);
const PAGES_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

impl Survey {
    /// The stanza of `config` (the one chosen, or the only one), with what `site` adds; operations from `state`.
    pub fn new(config: &Config, site: &Site, stanza: Option<&str>, state: Option<&StateDir>) -> Self {
        let scene = blank::scene(config, site, stanza);
        let users = Arc::new(Users::new());
        let mut probes = Vec::new();
        let stop_pages = Cancel::default();
        for (at, server) in scene.servers.into_iter().enumerate() {
            let log = scene.logs.get(at).cloned().flatten();
            let server = ServerPlace { users: Arc::clone(&users), ..server };
            probes.extend(closer(at, &server, log, scene.pg_bin.as_ref(), &stop_pages));
            let mut add = |place, look, every, limit| {
                probes.push(Probe { part: Part::Board, place, look, every, limit });
            };
            if let Some(data_dir) = server.data_dir.clone() {
                let look = Look::DataDir(DataDir(data_dir));
                add(Place::DataDir(at), look, MEMBER_EVERY, MEMBER_LIMIT);
            }
            add(Place::Server(at), Look::Server(server), MEMBER_EVERY, MEMBER_LIMIT);
        }
        for (at, node) in scene.situation.patroni.iter().enumerate() {
            let look = Look::Patroni(PatroniPlace(node.address.clone()));
            probes.push(Probe {
                part: Part::Incident,
                place: Place::Patroni(at),
                look,
                every: MEMBER_EVERY,
                limit: MEMBER_LIMIT,
            });
        }
        let mut add = |place, look, every, limit| {
            probes.push(Probe { part: Part::Board, place, look, every, limit });
        };
        if let (Some(settings), Some(stanza)) = (&scene.settings, &scene.stanza) {
            for (at, repo) in scene.situation.board.repositories.iter().enumerate() {
                let place = RepoPlace { settings: settings.clone(), stanza: stanza.clone(), key: repo.key };
                add(Place::Backups(at), Look::Backups(place.clone()), REPOSITORY_EVERY, REPOSITORY_LIMIT);
                add(Place::Wal(at), Look::Wal(place), REPOSITORY_EVERY, WAL_LIMIT);
                if let Some(state) = state {
                    let record = RecordPlace { state: state.clone(), stanza: stanza.clone(), key: repo.key };
                    let look = Look::Verification(record);
                    add(Place::Verification(at), look, REPOSITORY_EVERY, REPOSITORY_LIMIT);
                }
            }
        }
        if let Some(host) = scene.host {
            add(Place::Upkeep, Look::Upkeep(host), MEMBER_EVERY, MEMBER_LIMIT);
        }
        if let Some(monitor) = scene.monitor {
            let look = Look::Application(Monitor { users, ..monitor });
            add(Place::Application, look, MEMBER_EVERY, APPLICATION_LIMIT);
        }
        if let Some(state) = state {
            add(Place::Operations, Look::Operations(state.clone()), OPERATIONS_EVERY, OPERATIONS_LIMIT);
        }
        let flights = probes.iter().map(|_| Mutex::new(None)).collect();
        let inner = Inner {
            blank: scene.situation,
            stanza: scene.stanza,
            settings: scene.settings,
            state: state.cloned(),
            probes,
            flights,
            refreshes: AtomicU64::new(0),
            stop_pages,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What can be told without waiting for anything: names, places, limits; every fact pending. Under 20 ms.
    pub fn blank(&self) -> Board {
        self.inner.blank.board.clone()
    }

    /// The same for a whole situation.
    fn blank_situation(&self) -> Situation {
        self.inner.blank.clone()
    }

    /// The same with where the sockets of servers on this host are, for which their lock files are read; asks no server.
    pub fn places(&self) -> Situation {
        let mut situation = self.blank_situation();
        for probe in &self.inner.probes {
            if let (Place::Health(at), Look::Health(server)) = (probe.place, &probe.look)
                && let Some(member) = situation.members.get_mut(at)
            {
                member.socket = server.socket();
            }
        }
        situation
    }

    /// Looks at everything on the board again and again on threads of its own until `go_on` says no, and hands each new
    /// state of it to `tell`, at most ten times a second. A probe that hangs is told as hanging and hinders no other.
    /// Returns at once.
    pub fn watch(&self, tell: Arc<dyn Fn(Board) + Send + Sync>, go_on: Arc<dyn Fn() -> bool + Send + Sync>) {
        let tell = Arc::new(move |situation: Situation| tell(situation.board));
        self.watch_situation(Arc::new(Scope::default), tell, go_on);
    }

    /// As [`Self::watch`], with all that `scope` asks for at the time.
    #[expect(clippy::needless_pass_by_value, reason = "all go to a thread that outlives the call")]
    pub fn watch_situation(
        &self,
        scope: Arc<dyn Fn() -> Scope + Send + Sync>,
        tell: Arc<dyn Fn(Situation) + Send + Sync>,
        go_on: Arc<dyn Fn() -> bool + Send + Sync>,
    ) {
        let (watch, blank) = (watch::Watch::new(Arc::clone(&self.inner)), self.blank_situation());
        let on_thread = Arc::clone(&tell);
        let run = move || drop(watch.run(&*scope, &*on_thread, &*go_on, None));
        if let Err(error) = std::thread::Builder::new().name("survey".to_owned()).spawn(run) {
            let mut situation = blank;
            situation
                .board
                .warnings
                .push(format!("nothing is looked at: no thread could be started ({error})"));
            tell(situation);
        }
    }

    /// Has every watcher look at everything now instead of when it is due.
    pub fn refresh(&self) {
        self.inner.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    /// Looks once at everything, at most for `limit`; what did not answer by then is unknown.
    pub fn once(&self, limit: Duration) -> Board {
        self.situation(Scope::default(), limit, &drop, &|| true).board
    }

    /// Looks once at all that `scope` asks for, at most for `limit` and as long as `go_on` says so; what did not answer by
    /// then is unknown. `tell` hears of each new state on the way.
    pub fn situation(
        &self,
        scope: Scope,
        limit: Duration,
        tell: &dyn Fn(Situation),
        go_on: &dyn Fn() -> bool,
    ) -> Situation {
        let watch = watch::Watch::new(Arc::clone(&self.inner));
        let situation = watch.run(&|| scope, tell, go_on, Some(Instant::now() + limit));
        if !go_on() {
            self.stop_pages();
        }
        situation
    }

    /// Ends the reading of pages for good; what was found so far stays.
    pub fn stop_pages(&self) {
        self.inner.stop_pages.request();
    }

    /// Reads the backups. May take long; for a thread.
    pub fn catalog(&self) -> Result<CatalogView> {
        let (settings, stanza) = self.stanza()?;
        Ok(views::catalog(settings, stanza, self.inner.state.as_ref()))
    }

    /// Lists the archive. May take long; for a thread.
    pub fn wal(&self) -> Result<WalView> {
        let (settings, stanza) = self.stanza()?;
        Ok(views::wal(settings, stanza))
    }

    fn stanza(&self) -> Result<(&crate::config::Settings, &str)> {
        match (&self.inner.settings, &self.inner.stanza) {
            (Some(settings), Some(stanza)) => Ok((settings, stanza)),
            _ => Err(Report::usage(
                self.inner
                    .blank
                    .board
                    .warnings
                    .first()
                    .map_or_else(|| "no stanza is configured".to_owned(), Clone::clone),
            )
            .hint("choose one by --stanza")),
        }
    }
}

/// What an incident asks of one member.
fn closer(
    at: usize,
    server: &ServerPlace,
    log: Option<PathBuf>,
    pg_bin: Option<&PathBuf>,
    stop_pages: &Cancel,
) -> Vec<Probe> {
    let incident = |place, look, every, limit| Probe { part: Part::Incident, place, look, every, limit };
    let mut probes = vec![
        incident(Place::Health(at), Look::Health(server.clone()), MEMBER_EVERY, MEMBER_LIMIT),
        Probe {
            part: Part::Write,
            place: Place::Write(at),
            look: Look::Write(server.clone()),
            every: WRITE_EVERY,
            limit: WRITE_LIMIT,
        },
    ];
    if let Some(data_dir) = &server.data_dir {
        let folder = FolderPlace {
            data_dir: data_dir.clone(),
            log,
            pg_bin: pg_bin.cloned(),
            users: Arc::clone(&server.users),
        };
        probes.push(incident(Place::Log(at), Look::Log(folder.clone()), FOLDER_EVERY, MEMBER_LIMIT));
        probes.push(incident(Place::Folder(at), Look::Folder(folder), FOLDER_EVERY, FOLDER_LIMIT));
        let pages = PagesPlace {
            data_dir: data_dir.clone(),
            server: server.clone(),
            seen: Arc::new(Mutex::new(PageFacts::default())),
            cancel: stop_pages.clone(),
        };
        let look = Look::Pages(pages);
        probes.push(Probe {
            part: Part::Pages,
            place: Place::Pages(at),
            look,
            every: PAGES_EVERY,
            limit: PAGES_LIMIT,
        });
    }
    probes
}
