//! Secrets of the configuration are searched for wherever this program leaves or shows anything in a whole incident:
//! files, screens, reports, process lists.

use crate::harness::Screen;
use crate::place::{Place, SIZE, program};
use pgmayday::cluster::owner::is_root;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a webhook's address, a server's token and a password look like; unlike anything else that is written.
const HOOK: &str = "Xq7hookTsecret";
const TOKEN: &str = "Xq7tokenPsecret";
const PASSWORD: &str = "Xq7passwordRsecret";

/// A runbook whose act calls a server with a token.
const RUNBOOK: &str = r#"
name = "call"
title = "A call with a secret"
purpose = "It calls."
applies = "In a test."
start = "ask"
expected = "1m"

[node.ask]
kind = "act"
title = "Tell the proxy"
http = { method = "POST", url = "http://127.0.0.1:PORT/pause?key=${secret:TOKEN}", header = ["Authorization: Bearer ${secret:TOKEN}"], body = "{\"pw\": \"${secret:PASSWORD}\"}" }
risk = "None."
confirm = "key"
undo = "Nothing to undo."
on_done = "end"
on_failed = "end"

[node.end]
kind = "end"
title = "Over"
outcome = "service-back"
text = "It was told."
"#;

/// A server that keeps whoever calls waiting for a while, then repeats what it was told and says no.
fn echo(calls: Arc<AtomicUsize>, told: Arc<Mutex<String>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = stream.read(&mut piece) {
                heard.extend_from_slice(&piece[..count]);
            }
            calls.fetch_add(1, Ordering::SeqCst);
            let heard = String::from_utf8_lossy(&heard).into_owned();
            told.lock().unwrap().push_str(&heard);
            drop(write!(
                stream,
                "HTTP/1.1 500 {TOKEN}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{heard}",
                heard.len()
            ));
        }
    });
    port
}

/// Reads the command lines of all processes again and again; what is in them in the end.
fn command_lines(over: Arc<AtomicBool>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut all = String::new();
        while !over.load(Ordering::SeqCst) {
            for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).into_owned();
                if line.contains("pgmayday") && !all.contains(&line) {
                    all.push_str(&line);
                    all.push('\n');
                }
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        all
    })
}

/// The content of every file below a folder, with its name.
fn contents(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            contents(&path, into);
        } else if path.is_file() {
            into.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn give(place: &Place, path: &Path, mode: u32) {
    use std::os::unix::fs::MetadataExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_root() {
        let owner = fs::metadata(place.dir()).unwrap();
        chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
}

/// Puts the secrets into the lab's configuration, each in a way of its own.
fn configure(place: &Place, port: u16) {
    let dir = place.dir();
    let at = |name: &str| dir.join(name);
    fs::write(at("token"), format!("{TOKEN}\n")).unwrap();
    fs::write(at("hook"), format!("http://127.0.0.1:{port}/services/{HOOK}\n")).unwrap();
    let site = fs::read_to_string(at("pgmayday.toml")).unwrap();
    let more = format!(
        "\n[[stanza.lab.webhook]]\nname = \"chat\"\nkind = \"slack\"\naudience = \"internal\"\nurl-file = \"{}\"\n\n[secret-file]\nTOKEN = \"{}\"\n",
        at("hook").display(),
        at("token").display()
    );
    fs::write(at("pgmayday.toml"), site + &more).unwrap();
    let runbooks = at("state/runbooks");
    fs::create_dir_all(&runbooks).unwrap();
    fs::write(runbooks.join("call.toml"), RUNBOOK.replace("PORT", &port.to_string())).unwrap();
    for (path, mode) in [
        (at("token"), 0o600),
        (at("hook"), 0o600),
        (at("state"), 0o750),
        (runbooks.clone(), 0o755),
        (runbooks.join("call.toml"), 0o644),
    ] {
        give(place, &path, mode);
    }
}

/// The passphrase of the lab's repository.
fn passphrase(place: &Place) -> String {
    let text = fs::read_to_string(place.dir().join("pgbackrest.conf")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("repo1-cipher-pass="));
    line.expect("the lab's repository is encrypted").to_owned()
}

/// Every command that shows or writes something of an incident; what they said.
fn commands(place: &Place) -> String {
    let words: &[&[&str]] = &[
        &["incident", "declare", "--reason=a test"],
        &["incident", "comms", "send", "--audience=internal"],
        &["incident", "comms", "status"],
        &["incident", "runbook", "begin", "call"],
        &["incident", "runbook"],
        &["incident", "runbook", "run"],
        &["incident", "show"],
        &["incident", "report", "--format=markdown"],
        &["incident", "report", "--format=html"],
        &["incident", "report", "--format=json"],
        &["incident", "verify"],
        &["runbook", "show", "call", "--markdown"],
        &["survey"],
        &["board"],
        &["info"],
        &["doctor"],
        &["doctor", "--config-origin"],
        &["recover", "--dry-run"],
        &["verify", "--depth=stored"],
        &["wal", "ranges"],
        &["attach"],
    ];
    let mut said = String::new();
    for words in words {
        for form in [&[][..], &["--output=json"]] {
            let writes = ["declare", "send", "begin", "run"].iter().any(|word| words.contains(word));
            if writes && !form.is_empty() {
                continue;
            }
            let output = place.said_with(&[words, form].concat(), &[("PASSWORD", PASSWORD)]);
            said.push_str(&String::from_utf8_lossy(&output.stdout));
            said.push_str(&String::from_utf8_lossy(&output.stderr));
        }
    }
    said
}

/// Every screen of the console that can be reached by a key; what stood on them.
fn screens(place: &Place) -> String {
    let command = place.command(&[]);
    let program = if is_root() { "/usr/bin/setpriv".to_owned() } else { program() };
    let mut screen = Screen::spawn(SIZE, Path::new(&program), &command[1..], &[("PASSWORD", PASSWORD)]);
    screen.wait_long("RECOVERY WINDOW");
    let mut seen = String::new();
    for key in [
        "R", "e", "\u{1b}", "T", "\u{1b}", "\u{1b}", "J", "\u{1b}", "b", "\u{1b}", "w", "\u{1b}", "H",
        "\u{1b}", "t", "\r", "\u{1b}", "o", "\u{1b}", "?",
    ] {
        screen.send(key);
        std::thread::sleep(Duration::from_millis(400));
        seen.push_str(&screen.text());
    }
    seen
}

#[test]
fn no_secret_of_the_configuration_is_left_or_shown_anywhere() {
    let Some(place) = Place::hurt() else { return };
    let (calls, told) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    configure(&place, echo(Arc::clone(&calls), Arc::clone(&told)));
    let over = Arc::new(AtomicBool::new(false));
    let lines = command_lines(Arc::clone(&over));
    let mut left: Vec<(String, Vec<u8>)> = vec![("commands".to_owned(), commands(&place).into_bytes())];
    left.push(("screens".to_owned(), screens(&place).into_bytes()));
    over.store(true, Ordering::SeqCst);
    let lines = lines.join().unwrap();
    assert!(lines.contains("__worker"), "the worker was seen: {lines}");
    left.push(("command lines".to_owned(), lines.into_bytes()));
    let (said, told) = (String::from_utf8(left[0].1.clone()).unwrap(), told.lock().unwrap().clone());
    // The secrets were really used.
    assert!(calls.load(Ordering::SeqCst) >= 2, "{said}");
    for secret in [HOOK, TOKEN, PASSWORD] {
        assert!(told.contains(secret), "{secret} was not sent: {told}\n{said}");
    }
    contents(&place.dir().join("state"), &mut left);
    contents(&place.dir().join("log"), &mut left);
    for secret in [HOOK, TOKEN, PASSWORD, &passphrase(&place)] {
        for (name, content) in &left {
            let found = content.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} stands in {name}");
        }
    }
}
