//! The board before anybody looked: who is who and what is expected, from the configuration alone.
//!
//! Reads no repository, no server, no data directory.

use super::application::Monitor;
use super::member::ServerPlace;
use super::upkeep::HostPlace;
use crate::cluster::owner::Users;
use crate::config::site::{MemberSite, Site, StanzaSite};
use crate::config::{Config, EVERY_COMMAND, Origin, PgSettings, RepoSettings, Settings};
use crate::engine::locks::LockFolder;
use crate::model::board::{Board, Identity, Limits, Member, Repository};
use crate::model::fact::Fact;
use crate::model::situation::{MemberFacts, PatroniNode, Situation};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where the packages put a server's socket.
const SOCKET_DIR: &str = "/var/run/postgresql";

/// What there is to look at.
pub(super) struct Scene {
    pub situation: Situation,
    pub stanza: Option<String>,
    /// For reading repositories.
    pub settings: Option<Settings>,
    /// One per member of the board.
    pub servers: Vec<ServerPlace>,
    /// Of each, its log, if it is named.
    pub logs: Vec<Option<PathBuf>>,
    /// The folder of PostgreSQL's programs, if it is named.
    pub pg_bin: Option<PathBuf>,
    pub monitor: Option<Monitor>,
    /// Where stop files, holds and archiving errors are; nothing without a stanza.
    pub host: Option<HostPlace>,
}

pub(super) fn scene(config: &Config, site: &Site, stanza: Option<&str>) -> Scene {
    let mut board = Board { warnings: config.warnings().to_vec(), ..Board::default() };
    let stanza = choose(config, stanza, &mut board.warnings);
    let mut settings = |command: &str| match config.settings(command, stanza.as_deref()) {
        Ok(settings) => Some(settings),
        Err(error) => {
            let text = error.to_string();
            if !board.warnings.contains(&text) {
                board.warnings.push(text);
            }
            None
        }
    };
    let (all, reading) = (settings(EVERY_COMMAND), settings("info"));
    let of_site = stanza.as_deref().map(|stanza| site.of(stanza)).unwrap_or_default();
    board.identity = Identity {
        stanza: stanza.clone(),
        stanzas: config.stanzas(),
        host: host(),
        label: of_site.label.clone(),
        read_only: site.read_only,
        configuration: files(all.as_ref(), site),
    };
    board.limits = limits(&of_site);
    let (mut servers, mut logs) = (Vec::new(), Vec::new());
    let mut monitor = None;
    if let (Some(all), Some(stanza)) = (&all, &stanza) {
        for pg in all.pg() {
            let first = pg.host.is_none() && logs.iter().all(Option::is_none);
            logs.push(of_site.log.clone().filter(|_| first));
            servers.push((format!("pg{}", pg.key), of_pg(all, pg)));
        }
        logs.extend(of_site.member.iter().map(|member| member.log.clone()));
        servers.extend(of_site.member.iter().map(|member| (member.name.clone(), of_member(member))));
        let data_dir = all.pg().iter().find(|pg| pg.host.is_none()).map(|pg| pg.path.clone());
        monitor = Monitor::new(&of_site.hooks.monitor, stanza, data_dir);
        board.repositories = all.repos().iter().map(repository).collect();
    }
    board.application = monitor.as_ref().map(|_| Fact::default());
    board.members = servers.iter().map(|(name, server)| member(name, server)).collect();
    let servers: Vec<ServerPlace> = servers.into_iter().map(|(_, server)| server).collect();
    let members = servers.iter().map(member_facts).collect();
    let node = |address: &String| PatroniNode { address: address.clone(), facts: Fact::default() };
    let patroni = of_site.patroni.iter().map(node).collect();
    let situation = Situation { board, members, patroni };
    let host = all.as_ref().zip(stanza.as_ref()).map(|(all, stanza)| HostPlace {
        locks: LockFolder(PathBuf::from(all.text("lock-path").unwrap_or("/tmp/pgbackrest"))),
        stanza: stanza.clone(),
        spool: spool(config, stanza),
    });
    Scene { situation, stanza, settings: reading, servers, logs, pg_bin: of_site.pg_bin, monitor, host }
}

/// The stanza that was named, or the only one there is.
fn choose(config: &Config, named: Option<&str>, warnings: &mut Vec<String>) -> Option<String> {
    let chosen = named.map(str::to_owned).or_else(|| {
        config.settings(EVERY_COMMAND, None).ok().and_then(|settings| settings.stanza().map(str::to_owned))
    });
    if chosen.is_some() {
        return chosen;
    }
    match config.stanzas().as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        several => {
            warnings.push(format!("there are several stanzas: {}", several.join(", ")));
            None
        }
    }
}

/// Where asynchronous archiving leaves its errors, if that is how this host archives.
fn spool(config: &Config, stanza: &str) -> Option<PathBuf> {
    let settings = config.settings("archive-push", Some(stanza)).ok()?;
    settings.flag("archive-async").then(|| settings.text("spool-path").map(PathBuf::from)).flatten()
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// The files that settings come from.
fn files(settings: Option<&Settings>, site: &Site) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for effective in settings.map(Settings::effective).unwrap_or_default() {
        if let Origin::File { path, .. } = effective.origin {
            files.push(path.to_path_buf());
        }
    }
    files.sort();
    files.dedup();
    files.extend(site.path.clone());
    files
}

fn limits(site: &StanzaSite) -> Limits {
    let shipped = Limits::default();
    let or = |limit: Option<Duration>, shipped: u64| limit.map_or(shipped, |limit| limit.as_secs());
    Limits {
        rpo_s: or(site.rpo, shipped.rpo_s),
        rto_s: or(site.rto, shipped.rto_s),
        backup_age_s: or(site.backup_age, shipped.backup_age_s),
    }
}

fn of_pg(settings: &Settings, pg: &PgSettings) -> ServerPlace {
    let port_chosen = settings.origin_at("pg-port", pg.key) != Origin::Default;
    ServerPlace {
        host: pg.host.clone(),
        port: pg.port,
        port_chosen,
        socket_dir: pg.socket_path.clone(),
        data_dir: pg.host.is_none().then(|| pg.path.clone()),
        user: pg.user.clone(),
        database: pg.database.clone(),
        users: Arc::new(Users::new()),
    }
}

fn of_member(member: &MemberSite) -> ServerPlace {
    ServerPlace {
        host: member.host.clone(),
        port: member.port,
        port_chosen: true,
        socket_dir: member.socket_dir.clone(),
        data_dir: member.data_dir.clone().filter(|_| member.host.is_none()),
        user: member.user.clone(),
        database: member.database.clone().unwrap_or_else(|| "postgres".to_owned()),
        users: Arc::new(Users::new()),
    }
}

fn member(name: &str, server: &ServerPlace) -> Member {
    let place = match (&server.host, &server.data_dir) {
        (Some(host), _) => format!("{host}:{}", server.port),
        (None, Some(data_dir)) => data_dir.display().to_string(),
        (None, None) => {
            let folder = server.socket_dir.as_deref().unwrap_or_else(|| Path::new(SOCKET_DIR));
            format!("{}:{}", folder.display(), server.port)
        }
    };
    let data_dir = server.data_dir.as_ref().map(|_| Fact::default());
    Member { name: name.to_owned(), place, server: Fact::default(), data_dir }
}

fn member_facts(server: &ServerPlace) -> MemberFacts {
    let here = server.data_dir.is_some();
    MemberFacts {
        host: server.host.clone(),
        port: server.port,
        socket: server.socket_dir.clone().filter(|_| server.host.is_none()),
        log: here.then(Fact::default),
        folder: here.then(Fact::default),
        ..MemberFacts::default()
    }
}

fn repository(repo: &RepoSettings) -> Repository {
    let kind = if repo.kind == "posix" { "disk" } else { repo.kind.as_str() };
    let host = repo.host.as_ref().map(|host| format!("{host}:")).unwrap_or_default();
    Repository {
        key: repo.key,
        place: format!("{kind} {host}{}", repo.path.display()),
        backups: Fact::default(),
        wal: Fact::default(),
        verification: None,
    }
}
