//! What waits to be sent is sent by a console that is open, by itself; and what is typed there reaches the journal.

use crate::fixtures::Fixture;
use crate::harness::{PATIENCE, Screen};
use pgmayday::base::state::StateDir;
use pgmayday::incident::{Audience, Declaration, Incidents, Role};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A stanza with an open incident and one webhook.
struct Place {
    fixture: Fixture,
    config: PathBuf,
    dir: tempfile::TempDir,
    incidents: Incidents,
    id: String,
}

impl Place {
    fn new(address: &str, more: &str) -> Self {
        let fixture = Fixture::open("a1-plain-none");
        let data = fixture.path("pgdata");
        std::fs::create_dir_all(&data).unwrap();
        let config = fixture.config(&data);
        let dir = tempfile::tempdir().unwrap();
        let toml = format!(
            "{more}\n[[stanza.{}.webhook]]\nname = 'phone'\nkind = 'ntfy'\naudience = 'internal'\nurl = '{address}'\n",
            fixture.stanza
        );
        std::fs::write(dir.path().join("pgmayday.toml"), toml).unwrap();
        let incidents = Incidents::new(StateDir::at(dir.path().join("state")));
        let declaration = Declaration {
            stanza: fixture.stanza.clone(),
            label: None,
            reason: "prices are wrong".to_owned(),
            detected_at: None,
            rto_s: 3600,
            rpo_s: 300,
            severity: None,
        };
        let id = incidents.declare("dk", &declaration).unwrap();
        Self { fixture, config, dir, incidents, id }
    }

    fn queue(&self, text: &str) {
        self.incidents.queue(&self.id, "dk", Audience::Internal, text, &["phone".to_owned()]).unwrap();
    }

    fn open(&self) -> Screen {
        let (state, site) = (self.dir.path().join("state"), self.dir.path().join("pgmayday.toml"));
        let args =
            [format!("--config={}", self.config.display()), format!("--stanza={}", self.fixture.stanza)];
        let env = [
            ("PGMAYDAY_STATE", state.to_str().unwrap()),
            ("PGMAYDAY_CONFIG", site.to_str().unwrap()),
            ("SUDO_USER", "dk"),
        ];
        Screen::pgmayday((80, 24), args, &env)
    }

    /// How many messages some channel has not taken.
    fn waiting(&self) -> usize {
        self.incidents.view(&self.id).unwrap().standing.waiting_messages().count()
    }
}

/// A server that takes everything and tells it.
fn server() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/topic", listener.local_addr().unwrap());
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut all, mut piece) = (String::new(), [0; 4096]);
            while !all.contains("Record ") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => all.push_str(&String::from_utf8_lossy(&piece[..count])),
                }
            }
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
            drop(tell.send(all));
        }
    });
    (address, heard)
}

#[test]
fn what_waits_is_sent_by_an_open_console_once() {
    let (address, heard) = server();
    let place = Place::new(&address, "");
    place.queue("written while nobody could send");
    let mut screen = place.open();
    let first = heard.recv_timeout(PATIENCE).unwrap();
    assert!(first.contains("written while nobody could send"), "{first}");
    screen.wait("sent by phone");
    // Later, while it is open: by the next look.
    place.queue("written by a command elsewhere");
    let second = heard.recv_timeout(PATIENCE).unwrap();
    assert!(second.contains("written by a command elsewhere"), "{second}");
    screen.wait_for("an empty queue", |_| place.waiting() == 0);
    screen.send("q");
    assert_eq!(screen.ended().exit_code(), 0);
    assert_eq!(heard.try_iter().count(), 0, "nothing is sent twice");
}

#[test]
fn a_read_only_console_sends_nothing() {
    let (address, heard) = server();
    let place = Place::new(&address, "read-only = true");
    place.queue("written elsewhere");
    let mut screen = place.open();
    screen.wait("READ-ONLY");
    screen.wait("INCIDENT");
    screen.send("C");
    screen.wait("1 waits");
    assert!(heard.recv_timeout(Duration::from_secs(2)).is_err());
    screen.send("q");
    assert_eq!(screen.ended().exit_code(), 0);
    assert_eq!(place.waiting(), 1);
}

#[test]
fn what_people_settle_in_the_console_is_in_the_journal() {
    let (address, heard) = server();
    let place = Place::new(&address, "");
    let mut screen = place.open();
    // The board leads to them as soon as the incident is seen.
    screen.wait("INCIDENT");
    screen.send("P");
    screen.wait("nobody: t takes it");
    screen.send("t");
    screen.wait("dk (you)");
    screen.send("n");
    screen.wait("What is to be done?");
    screen.send("call the vendor\r");
    screen.wait("Who does it?");
    screen.send("\r");
    screen.wait("Within how many minutes?");
    screen.send("\r");
    screen.wait("1 open");
    screen.send("K");
    screen.wait("PRE-RESTORE");
    screen.send(" ");
    screen.wait("[x]");
    screen.send("C");
    screen.wait("phone");
    screen.send("d");
    screen.wait("SEND THIS?");
    screen.send("\r");
    let said = heard.recv_timeout(PATIENCE).unwrap();
    assert!(said.contains("prices are wrong") && said.contains("Incident Lead: dk"), "{said}");
    screen.wait("phone took it");
    screen.send("q");
    assert_eq!(screen.ended().exit_code(), 0);
    let standing = place.incidents.view(&place.id).unwrap().standing;
    assert_eq!(standing.holder(Role::Lead), Some("dk"));
    assert_eq!((standing.tasks[0].owner.as_str(), standing.ticks[0].by.as_str()), ("dk", "dk"));
    assert_eq!(standing.waiting_messages().count(), 0);
}
