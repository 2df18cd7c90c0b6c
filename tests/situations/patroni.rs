//! A server that gives the answers Patroni gave: 3.0's and 4.0's words, recorded.

use crate::world::{PORT, STANDBY_PORT, World};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

/// One node of the recorded cluster.
#[derive(Clone, Copy)]
pub(crate) struct Recorded {
    /// Who leads, by port.
    pub(crate) leader: Option<u16>,
    pub(crate) paused: bool,
    /// The store is lost: then it says so of itself and answers nothing else.
    pub(crate) store_lost: bool,
    pub(crate) version_4: bool,
}

pub(crate) const LED: Recorded =
    Recorded { leader: Some(PORT), paused: false, store_lost: false, version_4: false };

impl World {
    /// Starts a node that answers so, and names it.
    pub(crate) fn patroni(&mut self, recorded: Recorded) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut hung = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut first = String::new();
                if BufReader::new(&stream).read_line(&mut first).is_err() {
                    continue;
                }
                let path = first.split(' ').nth(1).unwrap_or("");
                if recorded.store_lost && path != "/patroni" {
                    hung.push(stream);
                    continue;
                }
                let (status, body) = answer(recorded, path);
                let length = body.len();
                drop(write!(
                    stream,
                    "HTTP/1.0 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                ));
            }
        });
        self.site = format!("patroni = ['http://{address}']");
    }

    /// Names a node that takes connections and never says a word; the listener is to be kept.
    pub(crate) fn silent_patroni(&mut self) -> TcpListener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        self.site = format!("patroni = ['http://{}']", listener.local_addr().unwrap());
        listener
    }
}

fn answer(recorded: Recorded, path: &str) -> (u16, String) {
    let Recorded { leader, paused, store_lost, version_4 } = recorded;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let seen = i64::try_from(now).unwrap() - if store_lost { 25 } else { 2 };
    let primary = if version_4 { "primary" } else { "master" };
    let role = if leader == Some(PORT) { primary } else { "replica" };
    match path {
        "/patroni" => (
            if leader == Some(PORT) { 200 } else { 503 },
            format!(
                r#"{{"state": "running", "postmaster_start_time": "2026-11-21 02:00:00.1+00:00", "role": "{role}", "server_version": 150020,
                "timeline": 1, "pause": {paused}, "dcs_last_seen": {seen}, "cluster_unlocked": {}, "patroni": {{"version": "x", "scope": "demo"}}}}"#,
                leader.is_none()
            ),
        ),
        "/cluster" => {
            let member = |name: &str, port: u16| {
                let leads = leader == Some(port);
                let state = if version_4 && !leads { "streaming" } else { "running" };
                let lag = if leads { "" } else { r#", "lag": 0"# };
                let role = if leads { "leader" } else { "replica" };
                format!(
                    r#"{{"name": "{name}", "role": "{role}", "state": "{state}", "host": "127.0.0.1", "port": {port}, "timeline": 1{lag}}}"#
                )
            };
            let pause = if paused { r#", "pause": true"# } else { "" };
            let scope = if version_4 { r#", "scope": "demo""# } else { "" };
            (
                200,
                format!(
                    r#"{{"members": [{}, {}]{pause}{scope}}}"#,
                    member("n1", PORT),
                    member("n2", STANDBY_PORT)
                ),
            )
        }
        "/history" => (
            200,
            r#"[[1, 83886368, "no recovery target specified", "2026-11-21T02:07:13.5+00:00", "n1"]]"#
                .to_owned(),
        ),
        _ => (404, String::new()),
    }
}
