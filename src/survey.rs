//! What is known of the cluster and its protection now: probes that look, each within its time, and never write.
//!
//! Every probe has a thread of its own and one at most: one that hangs is told as hanging, hinders no other, and is
//! not started again while it hangs. What a fact means is not judged here.

mod application;
mod blank;
mod member;
mod operations;
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
use crate::model::wal_view::WalView;
use application::Monitor;
use member::{DataDir, ServerPlace};
use repository::RepoPlace;
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
    blank: Board,
    stanza: Option<String>,
    settings: Option<crate::config::Settings>,
    state: Option<StateDir>,
    probes: Vec<Probe>,
    /// Per probe: since when its thread is under way.
    flights: Vec<Mutex<Option<Timestamp>>>,
    /// Counts the requests to look at everything now.
    refreshes: AtomicU64,
}

/// One thing to look at.
#[derive(Debug, Clone)]
struct Probe {
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

impl Survey {
    /// The stanza of `config` (the one chosen, or the only one), with what `site` adds; operations from `state`.
    pub fn new(config: &Config, site: &Site, stanza: Option<&str>, state: Option<&StateDir>) -> Self {
        let scene = blank::scene(config, site, stanza);
        let users = Arc::new(Users::new());
        let mut probes = Vec::new();
        let mut add = |place, look, every, limit| probes.push(Probe { place, look, every, limit });
        for (at, server) in scene.servers.into_iter().enumerate() {
            if let Some(data_dir) = server.data_dir.clone() {
                let look = Look::DataDir(DataDir(data_dir));
                add(Place::DataDir(at), look, MEMBER_EVERY, MEMBER_LIMIT);
            }
            let server = ServerPlace { users: Arc::clone(&users), ..server };
            add(Place::Server(at), Look::Server(server), MEMBER_EVERY, MEMBER_LIMIT);
        }
        if let (Some(settings), Some(stanza)) = (&scene.settings, &scene.stanza) {
            for (at, repo) in scene.board.repositories.iter().enumerate() {
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
            blank: scene.board,
            stanza: scene.stanza,
            settings: scene.settings,
            state: state.cloned(),
            probes,
            flights,
            refreshes: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What can be told without waiting for anything: names, places, limits; every fact pending. Under 20 ms.
    pub fn blank(&self) -> Board {
        self.inner.blank.clone()
    }

    /// Looks at everything again and again on threads of its own until `go_on` says no, and hands each new state of
    /// the board to `tell`, at most ten times a second. A probe that hangs is told as hanging and hinders no other.
    /// Returns at once.
    #[expect(clippy::needless_pass_by_value, reason = "both go to a thread that outlives the call")]
    pub fn watch(&self, tell: Arc<dyn Fn(Board) + Send + Sync>, go_on: Arc<dyn Fn() -> bool + Send + Sync>) {
        let (watch, blank) = (watch::Watch::new(Arc::clone(&self.inner)), self.blank());
        let on_thread = Arc::clone(&tell);
        let run = move || drop(watch.run(&*on_thread, &*go_on, None));
        if let Err(error) = std::thread::Builder::new().name("survey".to_owned()).spawn(run) {
            let mut board = blank;
            board.warnings.push(format!("nothing is looked at: no thread could be started ({error})"));
            tell(board);
        }
    }

    /// Has every watcher look at everything now instead of when it is due.
    pub fn refresh(&self) {
        self.inner.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    /// Looks once at everything, at most for `limit`; what did not answer by then is unknown.
    pub fn once(&self, limit: Duration) -> Board {
        watch::Watch::new(Arc::clone(&self.inner)).run(&drop, &|| true, Some(Instant::now() + limit))
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
                    .warnings
                    .first()
                    .map_or_else(|| "no stanza is configured".to_owned(), Clone::clone),
            )
            .hint("choose one by --stanza")),
        }
    }
}
