//! A stanza of which nothing answers: members that hang, members that are dead, Patroni that says nothing, a repository
//! whose info file is a pipe nobody writes to. For the benchmark and for tests.
//!
//! Real sockets and a real server that was stopped in the middle of its work, which whoever asks for it brings along.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// Its name.
pub(crate) const STANZA: &str = "hung";
/// Members that take a connection and never say a word.
const SILENT: usize = 4;
/// A port nobody listens at and that no other program is given by chance.
const CLOSED_PORT: u16 = 1;

/// A server that was stopped by a signal; it takes connections and never answers.
pub(crate) struct Frozen<'a> {
    pub(crate) data: &'a Path,
    pub(crate) socket_dir: &'a Path,
    pub(crate) port: u16,
}

/// What keeps it hanging.
pub(crate) struct Hung {
    /// `pgbackrest.conf`; `pgmayday.toml` lies beside it.
    pub(crate) config: PathBuf,
    _listeners: Vec<TcpListener>,
}

/// Makes it in an empty folder: five members hang (`frozen` is one), two are dead.
pub(crate) fn make(folder: &Path, frozen: &Frozen<'_>) -> Result<Hung, String> {
    let silent = || TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string());
    let port = |listener: &TcpListener| Ok(listener.local_addr().map_err(|error| error.to_string())?.port());
    let listeners = (0..=SILENT).map(|_| silent()).collect::<Result<Vec<_>, String>>()?;
    let ports = listeners.iter().map(port).collect::<Result<Vec<u16>, String>>()?;
    let stanza = folder.join("repo/backup").join(STANZA);
    fs::create_dir_all(&stanza).map_err(|error| format!("{}: {error}", stanza.display()))?;
    for name in ["backup.info", "backup.info.copy"] {
        let pipe = stanza.join(name);
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o666), 0)
            .map_err(|error| format!("{}: {error}", pipe.display()))?;
    }
    let text = format!(
        "[global]\nrepo1-path={}/repo\nlock-path={}/lock\nlog-level-file=off\n\n\
         [{STANZA}]\npg1-path={}\npg1-socket-path={}\npg1-port={}\npg1-user=postgres\n",
        folder.display(),
        folder.display(),
        frozen.data.display(),
        frozen.socket_dir.display(),
        frozen.port
    );
    let config = folder.join("pgbackrest.conf");
    write(&config, &text)?;
    let (patroni, members) = ports.split_first().ok_or("no listener")?;
    let mut site = format!("[stanza.{STANZA}]\npatroni = ['http://127.0.0.1:{patroni}']\n");
    let silent = members.iter().enumerate().map(|(at, port)| (format!("hangs{at}"), "127.0.0.1", *port));
    let dead = ["127.0.0.1", "127.0.0.2"].map(|host| (format!("dead{}", &host[8..]), host, CLOSED_PORT));
    for (name, host, port) in silent.chain(dead) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            site,
            "[[stanza.{STANZA}.member]]\nname = '{name}'\nhost = '{host}'\nport = {port}\nuser = 'postgres'"
        );
    }
    write(&folder.join("pgmayday.toml"), &site)?;
    Ok(Hung { config, _listeners: listeners })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
