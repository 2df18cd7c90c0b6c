//! The cluster of a stanza on this host as it is found: where it is, who owns it, how it is reached, who follows it.
//!
//! Only looks; of a server that runs the most that is asked is which data directory it has. What cannot be seen any
//! more (nothing may be left of a wiped cluster) comes from the configuration.

use crate::base::{PgVersion, Report, Result};
use crate::cluster::binaries::{Binaries, Search};
use crate::cluster::configuration::{DEBIAN_CLUSTERS, last_value, outside_file};
use crate::cluster::control::ControlFile;
use crate::cluster::lock_file::LockFile;
use crate::cluster::owner::{Account, Users, current, is_root, owner_of};
use crate::cluster::running::{Running, look};
use crate::cluster::server::read_version;
use crate::cluster::sql::{Address, Sql};
use crate::config::site::StanzaSite;
use crate::config::{Origin, Settings};
use crate::recovery::exchange::is_vacant;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where Debian's and upstream's servers put their sockets.
const SOCKETS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// What a member of this host is asked may not hold a plan up.
const MEMBER_LIMIT: Duration = Duration::from_secs(2);

/// What the configuration says of the server, if it says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) port: Option<u16>,
    pub(super) sockets: Option<PathBuf>,
    pub(super) user: Option<String>,
}

impl Named {
    /// What settings of a command that speaks SQL say of cluster `key`.
    pub(super) fn of(settings: &Settings, key: u32) -> Self {
        let Some(pg) = settings.pg().iter().find(|pg| pg.key == key) else { return Self::default() };
        let chosen = !matches!(settings.origin_at("pg-port", key), Origin::Default | Origin::Unset);
        Self { port: chosen.then_some(pg.port), sockets: pg.socket_path.clone(), user: pg.user.clone() }
    }
}

/// The cluster as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) data_dir: PathBuf,
    /// Nothing stands on its path.
    pub(super) vacant: bool,
    /// What its control file says, or why it cannot be read.
    pub(super) control: Result<ControlFile>,
    pub(super) running: Result<Running>,
    /// Its major version, if the directory tells.
    pub(super) version: Option<PgVersion>,
    /// Its owner, if the directory tells.
    pub(super) owner: Option<Account>,
    pub(super) sockets: PathBuf,
    pub(super) port: u16,
    pub(super) superuser: Option<String>,
}

/// The first cluster of the stanza that is on this host: its number and data directory.
pub(super) fn local(settings: &Settings) -> Result<(u32, PathBuf)> {
    let stanza = settings.stanza().unwrap_or_default();
    let pg = settings.pg();
    if let Some(here) = pg.iter().find(|pg| pg.host.is_none()) {
        return Ok((here.key, here.path.clone()));
    }
    Err(match pg.first() {
        Some(there) => {
            let host = there.host.as_deref().unwrap_or_default();
            Report::usage(format!("the cluster of stanza {stanza} is on host {host}, not on this one"))
                .hint(format!("run this on {host}"))
        }
        None => Report::usage(format!("no data directory is configured for stanza {stanza}"))
            .hint(format!("set pg1-path in section [{stanza}], or give --pg1-path")),
    })
}

/// Looks at the cluster in `data_dir`.
pub(super) fn look_at(data_dir: &Path, named: &Named, users: &Users) -> Result<Found> {
    let vacant = is_vacant(data_dir)?;
    let lock = LockFile::read(data_dir).ok().flatten().and_then(Result::ok);
    let configured = |name: &str| setting(data_dir, name);
    // A lock file that a killed server left is still right about where it listened.
    let port = lock
        .as_ref()
        .and_then(|lock| lock.port)
        .or(named.port)
        .or_else(|| configured("port").and_then(|text| text.parse().ok()));
    let first = |list: String| list.split(',').next().map(|folder| PathBuf::from(folder.trim()));
    let sockets = lock
        .as_ref()
        .and_then(|lock| lock.socket_dir.clone())
        .or_else(|| named.sockets.clone())
        .or_else(|| configured("unix_socket_directories").and_then(first))
        .or_else(|| SOCKETS.iter().map(PathBuf::from).find(|folder| folder.is_dir()));
    Ok(Found {
        vacant,
        control: ControlFile::read(data_dir).map_err(Report::from),
        running: look(data_dir).map_err(Report::from),
        version: read_version(data_dir).ok(),
        owner: if data_dir.exists() { Some(owner_of(data_dir, users)?) } else { None },
        sockets: sockets.unwrap_or_else(|| PathBuf::from("/tmp")),
        port: port.unwrap_or(5432),
        superuser: named.user.clone(),
        data_dir: data_dir.to_owned(),
    })
}

/// What the cluster's own files set `name` to.
fn setting(data_dir: &Path, name: &str) -> Option<String> {
    let outside = outside_file(data_dir, Path::new(DEBIAN_CLUSTERS));
    let files = [data_dir.join("postgresql.auto.conf")]
        .into_iter()
        .chain(outside)
        .chain([data_dir.join("postgresql.conf")]);
    files.filter_map(|file| std::fs::read(file).ok()).find_map(|text| last_value(&text, name))
}

/// The account a cluster of which nothing is left is to belong to: the backup's, if we may act for it.
pub(super) fn owner_named(name: Option<&str>, data_dir: &Path, users: &Users) -> Result<Account> {
    if !is_root() {
        return Ok(current(users));
    }
    if let Some(account) = name.and_then(|name| users.account(name)) {
        return Ok(account);
    }
    let above = data_dir.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    Ok(owner_of(above, users)?)
}

/// PostgreSQL's programs of a version: where `pgmayday.toml` says, else in `path`, else where packages put them.
pub(super) fn binaries(site: &StanzaSite, version: PgVersion, path: Option<&OsStr>) -> Result<Binaries> {
    let named = site.pg_bin.as_ref().map(|folder| folder.as_os_str());
    Ok(Search::new(named.or(path), None).find(version)?)
}

/// Who follows the cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Followers {
    /// Data directories of standbys on this host.
    pub(super) here: Vec<PathBuf>,
    /// Members that could not be placed: elsewhere, or not answering. One sentence each.
    pub(super) elsewhere: Vec<String>,
}

/// Finds the standbys: the other clusters of the stanza on this host, and the members that `pgmayday.toml` names.
pub(super) fn followers(settings: &Settings, site: &StanzaSite, found: &Found, superuser: &str) -> Followers {
    let mut followers = Followers::default();
    let same = |path: &Path| {
        let theirs = ControlFile::read(path).ok().map(|control| control.system_id);
        let ours = found.control.as_ref().ok().map(|control| control.system_id);
        ours.is_none() || theirs.is_none() || ours == theirs
    };
    for pg in settings.pg().iter().filter(|pg| pg.path != found.data_dir || pg.host.is_some()) {
        match &pg.host {
            None if pg.path.exists() && same(&pg.path) => followers.here.push(pg.path.clone()),
            None => {}
            Some(host) => followers.elsewhere.push(format!("pg{} on {host}", pg.key)),
        }
    }
    for member in &site.member {
        if let Some(host) = &member.host {
            followers.elsewhere.push(format!("{} on {host}", member.name));
            continue;
        }
        let sockets = member.socket_dir.as_deref().unwrap_or(&found.sockets);
        match data_directory(sockets, member.port, superuser, found.owner.as_ref()) {
            Ok(path) if path == found.data_dir || followers.here.contains(&path) => {}
            Ok(path) if same(&path) => followers.here.push(path),
            Ok(_) => {}
            Err(why) => followers.elsewhere.push(format!("{} on this host ({why})", member.name)),
        }
    }
    followers
}

fn data_directory(
    sockets: &Path,
    port: u16,
    superuser: &str,
    owner: Option<&Account>,
) -> std::result::Result<PathBuf, String> {
    let mut address = Address::socket(sockets, port, superuser, "postgres");
    address.connect_limit = MEMBER_LIMIT;
    address.statement_limit = MEMBER_LIMIT;
    Sql::connect(&address, owner)
        .and_then(|mut session| session.data_directory())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_server_listens_is_told_by_the_best_witness_left() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("main");
        let users = Users::new();
        let named = Named { port: Some(5499), sockets: Some("/named".into()), user: Some("dba".into()) };
        let seen = |named: &Named| {
            let found = look_at(&data, named, &users).unwrap();
            (found.vacant, found.port, found.sockets)
        };
        assert_eq!(seen(&named), (true, 5499, "/named".into()));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("postgresql.conf"), "port = 5433\nunix_socket_directories = '/a, /b'\n")
            .unwrap();
        assert_eq!(seen(&Named::default()), (false, 5433, "/a".into()));
        std::fs::write(data.join("postgresql.auto.conf"), "port = '5434'\n").unwrap();
        assert_eq!(seen(&Named::default()).1, 5434);
        let lock = format!("999999999\n{}\n1795222561\n5435\n/run/x\n\n", data.display());
        std::fs::write(data.join("postmaster.pid"), lock).unwrap();
        assert_eq!(seen(&named), (false, 5435, "/run/x".into()));
    }
}
