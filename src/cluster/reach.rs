//! How the server of a configured cluster is reached from this host.
//!
//! What is configured comes first; what is not, as the running server says in its lock file; then the usual folders of
//! Unix sockets. Opens nothing.

use super::lock_file::LockFile;
use super::owner::{Users, current};
use super::sql::{Address, Host};
use crate::config::{Origin, PgSettings, Settings};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where servers put their sockets: Debian's folder, then PostgreSQL's own default.
const SOCKET_DIRS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// What is configured about a server's socket.
#[derive(Debug, Clone, Default)]
pub struct Configured<'a> {
    /// The data directory, if it is on this host.
    pub data_dir: Option<&'a Path>,
    /// The folder of the socket.
    pub socket_dir: Option<&'a Path>,
    /// The port, a default included.
    pub port: u16,
    /// The port was configured, not assumed.
    pub port_chosen: bool,
}

/// The folder of the server's socket and its port.
pub fn socket(configured: &Configured<'_>) -> (PathBuf, u16) {
    let lock = configured.data_dir.and_then(|dir| LockFile::read(dir).ok().flatten()?.ok());
    let port = lock.as_ref().and_then(|lock| lock.port).filter(|_| !configured.port_chosen);
    let told = || lock.and_then(|lock| lock.socket_dir);
    let usual = || SOCKET_DIRS.map(PathBuf::from).into_iter().find(|folder| folder.exists());
    let folder = configured.socket_dir.map(Path::to_owned).or_else(told).or_else(usual);
    (folder.unwrap_or_default(), port.unwrap_or(configured.port))
}

/// How to reach the server of the cluster `pg`, as the role that is configured or named like this process's user.
pub fn address(settings: &Settings, pg: &PgSettings, statement_limit: Duration) -> Address {
    let port_chosen = settings.origin_at("pg-port", pg.key) != Origin::Default;
    let data_dir = pg.host.is_none().then_some(pg.path.as_path());
    let configured =
        Configured { data_dir, socket_dir: pg.socket_path.as_deref(), port: pg.port, port_chosen };
    let (folder, port) = socket(&configured);
    let user = pg.user.clone().unwrap_or_else(|| current(&Users::new()).name);
    let mut address = Address::socket(folder, port, &user, &pg.database);
    if let Some(host) = &pg.host {
        address.host = Host::Tcp(host.clone());
    }
    address.statement_limit = statement_limit;
    address
}
