//! Real Patroni over real etcd: two nodes with a server each, made for one situation and ended with it.

use crate::cluster::wait_for;
use crate::world::{Answers, BIN, World, named, signal_family};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

const PATRONI: &str = "/usr/bin/patroni";
const ETCD: &str = "/usr/bin/etcd";
const NODES: [&str; 2] = ["n1", "n2"];

/// The running pieces.
pub(crate) struct Real {
    home: PathBuf,
    store: Child,
    nodes: Vec<Child>,
    /// Of each node: the REST interface and the server.
    ports: [(u16, u16); 2],
}

impl Drop for Real {
    fn drop(&mut self) {
        // Patroni first: it would start its server again.
        for child in self.nodes.iter_mut().chain([&mut self.store]) {
            drop(child.kill());
            drop(child.wait());
        }
        for data in NODES.map(|node| self.home.join(node)) {
            if let Some(pid) = named(&data) {
                signal_family(pid, "KILL");
            }
        }
    }
}

/// Two nodes that follow their leader `n1`, changed, and asked. The stanza's primary is the server of `n1`.
pub(crate) fn real(world: &mut World, change: fn(&mut Real)) -> Option<Answers> {
    let mut real = make(world)?;
    change(&mut real);
    world.survey(&["--write-test"])
}

pub(crate) fn pause(real: &mut Real) {
    let (status, said) = real.call(0, "PATCH", "/config", r#"{"pause": true}"#);
    assert_eq!(status, 200, "{said}");
    wait_for("both nodes know that they are paused", || {
        (0..2).all(|node| real.call(node, "GET", "/patroni", "").1.contains(r#""pause": true"#))
    });
}

pub(crate) fn switch_over(real: &mut Real) {
    let (status, said) = real.call(0, "POST", "/switchover", r#"{"leader": "n1", "candidate": "n2"}"#);
    assert_eq!(status, 200, "{said}");
    wait_for("the other one leads", || real.is_primary(1));
    real.wait_streaming(1);
}

/// Without its store the leader becomes a standby.
pub(crate) fn lose_store(real: &mut Real) {
    real.store.kill().unwrap();
    real.store.wait().unwrap();
    wait_for("the leader was made a standby", || real.in_recovery(0).as_deref() == Some("t"));
}

/// The leader's server is killed; Patroni starts it again, as a standby first. What is proposed on the way must never be
/// wrong, and at the end all is as before.
pub(crate) fn killed_leader(world: &mut World) -> Option<Answers> {
    const NEVER: [(&str, &[&str]); 5] = [
        ("failed-over", &["yes", "no-patroni"]),
        ("fenced", &["yes"]),
        ("does-it-start", &["no"]),
        ("replica-healthy", &["no"]),
        ("what-hinders", &["quorum-lost", "read-only", "commits-hang", "disk-full", "archive-stuck"]),
    ];
    let real = make(world)?;
    let before = real.started_at();
    signal_family(named(&real.home.join(NODES[0]))?, "KILL");
    for _ in 0..200 {
        let was_up = real.is_primary(0);
        let answers = world.look(&["--write-test"]);
        let is_up = real.is_primary(0);
        for (question, wrong) in NEVER {
            let proposed = &answers[question];
            assert!(
                !wrong.contains(&proposed.exit.as_str()),
                "{question}: {}: {}",
                proposed.exit,
                proposed.why
            );
        }
        let alive = &answers["primary-alive"];
        let right = match alive.exit.as_str() {
            "yes" => was_up || is_up,
            "no" => !was_up || !is_up,
            _ => true,
        };
        assert!(right, "primary-alive: {}: {}", alive.exit, alive.why);
        if is_up {
            break;
        }
    }
    assert_ne!(before, real.started_at(), "it was never killed");
    real.wait_streaming(0);
    world.survey(&["--write-test"])
}

/// Starts everything and has the world's configuration name it; nothing where Patroni or etcd is not installed.
fn make(world: &mut World) -> Option<Real> {
    if let Some(missing) = [PATRONI, ETCD].iter().find(|program| !Path::new(program).exists()) {
        let why = format!("{missing} is not installed (Debian: patroni, etcd-server, python3-etcd)");
        assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "real Patroni is required here, but {why}");
        println!("          left out: {why}");
        return None;
    }
    world.spoil();
    let home = world.cluster.path("patroni");
    fs::create_dir(&home).unwrap();
    world.cluster.give(&home);
    let [client, peer, rest1, rest2, server1, server2] = free_ports();
    let ports = [(rest1, server1), (rest2, server2)];
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let mut etcd = world.cluster.command(Path::new(ETCD));
    etcd.args(["--name", "e0", "--unsafe-no-fsync", "--data-dir"]).arg(home.join("etcd"));
    for (option, port) in [("listen-client-urls", client), ("advertise-client-urls", client)]
        .into_iter()
        .chain([("listen-peer-urls", peer), ("initial-advertise-peer-urls", peer)])
    {
        etcd.arg(format!("--{option}")).arg(url(port));
    }
    etcd.arg("--initial-cluster").arg(format!("e0={}", url(peer)));
    let store = logged(etcd, &home.join("etcd.log"));
    let mut real = Real { home, store, nodes: Vec::new(), ports };
    for at in 0..2 {
        let node = start_node(world, &real, at, client);
        real.nodes.push(node);
        if at == 0 {
            wait_for("the first node leads", || real.is_primary(0));
        }
    }
    real.wait_streaming(0);
    name(world, &real);
    Some(real)
}

/// Ports nobody has: all are held at once before they are let go.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let held = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.each_ref().map(|listener| listener.local_addr().unwrap().port())
}

fn logged(mut command: Command, log: &Path) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn start_node(world: &World, real: &Real, at: usize, store: u16) -> Child {
    let (node, home, (rest, server)) = (NODES[at], real.home.display(), real.ports[at]);
    let file = real.home.join(format!("{node}.yml"));
    let text = format!(
        "scope: demo
name: {node}
restapi: {{listen: '127.0.0.1:{rest}', connect_address: '127.0.0.1:{rest}'}}
etcd3: {{hosts: ['127.0.0.1:{store}']}}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    postgresql:
      use_pg_rewind: true
      parameters: {{logging_collector: 'on', log_directory: log, log_filename: server.log, log_timezone: UTC,
                   shared_buffers: 16MB, fsync: 'off'}}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, data-checksums, no-sync]
  pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust']
postgresql:
  listen: 127.0.0.1:{server}
  connect_address: 127.0.0.1:{server}
  data_dir: {home}/{node}
  bin_dir: {BIN}
  authentication: {{superuser: {{username: postgres, password: x}}, replication: {{username: standby, password: x}}}}
  parameters: {{unix_socket_directories: '{home}'}}
"
    );
    fs::write(&file, text).unwrap();
    let mut patroni = world.cluster.command(Path::new(PATRONI));
    patroni.arg(file);
    logged(patroni, &real.home.join(format!("{node}.log")))
}

/// The first node's server is the stanza's primary, the second's a further member; both nodes are asked.
fn name(world: &mut World, real: &Real) {
    let home = real.home.display();
    let [(rest1, server1), (rest2, server2)] = real.ports;
    let config = world.cluster.config();
    let text = fs::read_to_string(&config).unwrap();
    let kept = text.split_inclusive('\n').filter(|line| !line.starts_with("pg1-"));
    let mut text: String = kept.collect();
    let _ =
        writeln!(text, "pg1-path={home}/n1\npg1-socket-path={home}\npg1-port={server1}\npg1-user=postgres");
    fs::write(&config, text).unwrap();
    world.site = format!("patroni = ['http://127.0.0.1:{rest1}', 'http://127.0.0.1:{rest2}']");
    world.log = Some(real.home.join("n1/log/server.log"));
    world.name_member("n2", server2, &real.home, &real.home.join("n2/log/server.log"));
}

impl Real {
    /// Calls a node's REST interface.
    fn call(&self, node: usize, method: &str, path: &str, body: &str) -> (u16, String) {
        let said = self.exchange(node, method, path, body).unwrap_or_default();
        let status = said.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        (status, said)
    }

    fn exchange(&self, node: usize, method: &str, path: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[node].0))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    }

    /// What a node's server answers; nothing if it does not.
    fn ask(&self, node: usize, sql: &str) -> Option<String> {
        let mut psql = Command::new(Path::new(BIN).join("psql"));
        psql.args(["-XAtq", "-U", "postgres", "-d", "postgres", "-h", "127.0.0.1", "-p"]);
        let output = psql.arg(self.ports[node].1.to_string()).args(["-c", sql]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    fn in_recovery(&self, node: usize) -> Option<String> {
        self.ask(node, "select pg_is_in_recovery()")
    }

    fn is_primary(&self, node: usize) -> bool {
        self.in_recovery(node).as_deref() == Some("f")
    }

    fn started_at(&self) -> Option<String> {
        self.ask(0, "select pg_postmaster_start_time()")
    }

    /// Waits until the other node receives from this one and has everything, and both nodes say so.
    fn wait_streaming(&self, from: usize) {
        let other = 1 - from;
        let has = "select count(*) from pg_stat_replication where state = 'streaming' and flush_lsn = pg_current_wal_lsn()";
        wait_for("the other one receives and has everything", || self.ask(from, has).as_deref() == Some("1"));
        wait_for("the nodes list the leader and the other one", || {
            (0..2).all(|node| {
                let (_, said) = self.call(node, "GET", "/cluster", "");
                let member = |node: usize, role: &str| {
                    said.contains(&format!(
                        r#""name": "{}", "role": "{role}", "state": "running""#,
                        NODES[node]
                    ))
                };
                member(from, "leader") && member(other, "replica")
            })
        });
    }
}
