//! An incident between people, from the command line: roles, tasks, checklists, messages to servers good and bad.
//!
//! Runs no PostgreSQL; the webhooks are servers of this test.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "tests start the program")]

use pgmayday::base::Timestamp;
use pgmayday::journal::{Fact, Journal, RECIPE, Severity, Stamp, TickResult};
use pgmayday::model::forecast::{Forecast, Span};
use pgmayday::model::op::Mark;
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pgmayday");
/// Part of every address; it must be found nowhere.
const SECRET: &str = "T0XYZZY7plugh";

/// A folder with a state and a configuration.
struct Desk {
    dir: tempfile::TempDir,
    hooks: Vec<(String, String)>,
}

impl Desk {
    fn new(toml: &str, hooks: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pgmayday.toml"), toml).unwrap();
        let hooks = hooks.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect();
        Self { dir, hooks }
    }

    fn command(&self, who: &str, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        let site = self.dir.path().join("pgmayday.toml");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("SUDO_USER", who).env("PGMAYDAY_CONFIG", site);
        command.env("PGMAYDAY_STATE", self.state()).envs(self.hooks.iter().cloned());
        command.arg("incident").args(args);
        command
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Runs it, expects this exit code; everything it said.
    fn says(&self, code: i32, who: &str, args: &[&str]) -> String {
        let output: Output = self.command(who, args).output().unwrap();
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(!said.contains(SECRET), "{args:?}: {said}");
        said
    }

    fn json(&self, args: &[&str]) -> Value {
        let said = self.says(0, "dk", &[args, &["--output=json"]].concat());
        serde_json::from_str(&said).unwrap()
    }

    fn declare(&self, more: &[&str]) {
        self.says(0, "dk", &[&["declare", "--reason=prices are wrong", "--stanza=main"], more].concat());
    }
}

/// A server that answers every call with `answer` and tells what it heard.
fn server(answer: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/services/{SECRET}", listener.local_addr().unwrap());
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = request(&mut stream) else { continue };
            drop(tell.send(request));
            if answer.is_empty() {
                // Hangs until the caller goes away.
                drop(stream.read(&mut [0]));
            }
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (address, heard)
}

/// A request with its whole body.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() >= length.parse().ok()? {
                return Some(text);
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(n) => all.extend_from_slice(&piece[..n]),
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn hook(name: &str, kind: &str, audience: &str) -> String {
    format!(
        "[[stanza.main.webhook]]\nname = '{name}'\nkind = '{kind}'\naudience = '{audience}'\nurl-env = '{}'\n",
        name.to_uppercase()
    )
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// True if some process's command line holds the secret.
fn in_process_list() -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(SECRET))
}

#[test]
fn roles_tasks_ticks_and_follow_ups() {
    let desk = Desk::new("[stanza.main.scenario.full-site]\nrto = '3h'\n", &[]);
    desk.declare(&["--severity=sev1"]);
    desk.says(0, "dk", &["role", "take", "lead"]);
    assert!(desk.says(2, "am", &["role", "take", "lead"]).contains("hand-over"));
    assert!(desk.says(0, "dk", &["role", "hand-over", "lead", "am"]).contains("it is dk"));
    desk.says(2, "xx", &["role", "acknowledge", "lead"]);
    desk.says(0, "am", &["role", "acknowledge", "lead"]);
    desk.says(0, "xx", &["role", "take", "lead", "--reason=am lost the connection"]);
    desk.says(2, "dk", &["role", "take", "scribe"]);

    let task =
        desk.json(&["task", "add", "ask the vendor", "--minutes=5", "--owner=am"])["number"].to_string();
    desk.says(2, "am", &["task", "done", "999"]);
    let open = desk.says(3, "dk", &["close", "over"]);
    assert!(open.contains("incident-open-matters") && open.contains("ask the vendor"), "{open}");
    desk.says(0, "am", &["task", "done", &task, "no answer"]);
    desk.says(2, "am", &["task", "drop", &task, "again"]);

    assert!(desk.says(0, "dk", &["tick"]).contains("exact-point"));
    desk.says(2, "dk", &["tick", "pre-restore", "nothing"]);
    desk.says(2, "dk", &["tick", "pre-restore", "fenced", "--result=n/a"]);
    desk.says(0, "dk", &["tick", "pre-restore", "fenced", "--detail=power is off"]);
    desk.says(0, "dk", &["tick", "post-restore", "counts", "--result=failed"]);
    desk.says(2, "dk", &["follow-up", "add", "mend it", "--due=tomorrow"]);
    let follow_up = desk.json(&["follow-up", "add", "mend it", "--due=2026-12-01"])["number"].to_string();
    assert!(desk.says(0, "dk", &["scenario", "full-site"]).contains("RTO 3h00, RPO 5m00"));
    desk.says(0, "dk", &["severity", "sev2", "a way around was found"]);

    let view = desk.json(&["show"]);
    let standing = &view["standing"];
    assert_eq!(standing["roles"]["lead"]["holder"], "xx");
    assert_eq!((&view["rto_s"], &standing["severity"]), (&10_800.into(), &Value::from("sev2")));
    assert_eq!(standing["tasks"][0]["end"]["text"], "no answer");
    let ticks = desk.json(&["tick"])["items"].as_array().unwrap().clone();
    let fenced = ticks.iter().find(|item| item["id"] == "fenced").unwrap();
    assert_eq!((&fenced["tick"]["by"], &fenced["blocking"]), (&"dk".into(), &Value::from(true)));
    let shown = desk.says(0, "dk", &["show"]);
    for line in ["Incident Lead: xx", "SEV2", "full-site", "counts failed (dk)", "dk by 2026-12-01: mend it"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }

    let open = desk.says(3, "dk", &["close", "over"]);
    assert!(open.contains("counts (failed)") && open.contains("archiving (not looked at)"), "{open}");
    desk.says(0, "dk", &["close", "over", "--accept=incident-open-matters"]);
    desk.says(0, "dk", &["follow-up", "done", &follow_up]);
    let view = desk.json(&["show"]);
    assert!(view["chain_ok"] == true && view["standing"]["follow_ups"][0]["done"] == "", "{view}");
    let lines = view["lines"].to_string();
    assert!(lines.contains("closed over open matters"), "{lines}");
}

#[test]
fn an_update_is_shown_first_and_sent_in_the_form_of_its_channel() {
    let ((slack, slack_heard), (ntfy, ntfy_heard)) = (server(OK), server(OK));
    let (json, json_heard) = server(OK);
    let toml =
        hook("chat", "slack", "internal") + &hook("phone", "ntfy", "internal") + &hook("bus", "json", "both");
    let desk = Desk::new(&toml, &[("CHAT", &slack), ("PHONE", &ntfy), ("BUS", &json)]);
    desk.declare(&["--severity=sev1"]);
    let preview =
        desk.says(0, "am", &["comms", "send", "--audience=internal", "--say=We look.", "--preview"]);
    assert!(preview.contains("for chat, phone, bus") && preview.contains("We look."), "{preview}");
    assert!(
        slack_heard.try_recv().is_err() && desk.json(&["comms", "status"])["waiting"] == Value::Array(vec![])
    );
    assert!(desk.says(0, "am", &["comms", "status"]).contains("http://127.0.0.1:"));

    let said = desk.says(0, "am", &["comms", "send", "--audience=internal", "--say=We look."]);
    assert!(said.contains("to chat") && said.contains("to phone") && said.contains("to bus"), "{said}");
    let limit = Duration::from_secs(5);
    let body = |heard: &Receiver<String>| {
        heard.recv_timeout(limit).unwrap().split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let text: Value = serde_json::from_str(&body(&slack_heard)).unwrap();
    let text = text["text"].as_str().unwrap();
    assert!(text.starts_with("Incident ") && text.contains("SEV1, main: prices are wrong\n"), "{text}");
    assert_eq!(body(&ntfy_heard), text);
    let document: Value = serde_json::from_str(&body(&json_heard)).unwrap();
    assert_eq!((&document["schema"], &document["text"]), (&"pgmayday.message/1".into(), &Value::from(text)));

    // What was sent is a witness of the journal's end.
    let head = document["journal"].as_str().unwrap();
    assert!(text.ends_with(&format!("Record {head}")), "{text}");
    assert!(desk.says(0, "dk", &["verify", "--witness", head]).contains("the witness proves it"));

    let view = desk.json(&["show"]);
    assert!(
        view["standing"]["told"]["internal"].is_string() && view["standing"]["told"]["external"].is_null()
    );
    let due = desk.json(&["comms", "status"])["due"].clone();
    assert_eq!((&due[0]["every_s"], &due[1]["audience"]), (&900.into(), &Value::from("external")));
    desk.says(0, "am", &["comms", "told", "--audience=external", "phoned the three customers"]);
    assert!(desk.json(&["show"])["standing"]["told"]["external"].is_string());
    assert!(!in_process_list());
}

#[test]
fn a_channel_that_is_down_slow_or_wrong_disturbs_nothing_and_its_message_waits() {
    let error = server("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n");
    let redirect = server("HTTP/1.1 302 See\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    let (slow, slow_heard) = server("");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = format!("http://user:{SECRET}@{closed}/{SECRET}?key={SECRET}");
    let names = ["error", "redirect", "slow", "down", "unset"];
    let toml: String = names.iter().map(|name| hook(name, "slack", "external")).collect();
    let mut desk =
        Desk::new(&toml, &[("ERROR", &error.0), ("REDIRECT", &redirect.0), ("SLOW", &slow), ("DOWN", &down)]);
    desk.declare(&[]);
    let begun = Instant::now();
    let mut sending = desk.command("am", &["comms", "send", "--audience=external", "--text=We are on it."]);
    let sending = sending.stdout(std::process::Stdio::piped()).spawn().unwrap();
    slow_heard.recv_timeout(Duration::from_secs(20)).unwrap();
    // The call hangs: the incident goes on, nobody sees the secret.
    assert!(!in_process_list());
    desk.says(0, "dk", &["note", "meanwhile"]);
    let output = sending.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !said.contains(SECRET), "{said}");
    for why in [
        "status 500",
        "redirect is not followed",
        "did not answer within",
        "cannot be reached",
        "UNSET is not set",
    ] {
        assert!(said.contains(why), "{why}: {said}");
    }

    let status = desk.json(&["comms", "status"]);
    let waiting = &status["waiting"][0];
    assert_eq!(
        (waiting["channels"].as_array().unwrap().len(), &waiting["channels"][0]["attempts"]),
        (5, &1.into())
    );
    let view = desk.json(&["show"]);
    assert!(view["standing"]["told"]["external"].is_null() && view["chain_ok"] == true);
    assert!(desk.says(0, "dk", &["show"]).contains("waits    external message "));
    // Not at once again, unless somebody wants it; a reason that stays the same is written down once.
    assert!(desk.says(0, "am", &["comms", "flush"]).contains("nothing is to be sent now"));
    let (good, good_heard) = server(OK);
    desk.hooks.iter_mut().for_each(|(_, url)| url.clone_from(&good));
    let said = desk.says(0, "am", &["comms", "flush", "--now"]);
    assert_eq!((said.matches("sent ").count(), said.matches("queued ").count()), (4, 1), "{said}");
    assert_eq!(good_heard.try_iter().count(), 4);
    let lines = desk.json(&["show"])["lines"].to_string();
    assert_eq!((lines.matches("UNSET is not set").count(), lines.matches("at attempt 2").count()), (1, 4));
    let message = waiting["message"].as_str().unwrap();
    assert!(desk.says(3, "dk", &["close", "over"]).contains(message));
    desk.says(0, "am", &["comms", "drop", message, "phoned"]);
    desk.says(2, "am", &["comms", "drop", message, "again"]);
    desk.says(0, "dk", &["close", "over"]);

    // Nothing of an address in any file, and not in the reports.
    desk.says(0, "dk", &["report"]);
    desk.says(0, "dk", &["report", "--format=json"]);
    let files = files(&desk.state());
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        assert!(!String::from_utf8_lossy(&fs::read(&file).unwrap()).contains(SECRET), "{}", file.display());
    }
}

#[test]
fn a_crash_between_the_journal_and_the_queue_sends_nothing_twice() {
    let (good, heard) = server(OK);
    let desk = Desk::new(&hook("chat", "slack", "internal"), &[("CHAT", &good)]);
    desk.declare(&[]);
    desk.says(0, "am", &["comms", "send", "--audience=internal", "--text=once"]);
    assert_eq!(heard.try_iter().count(), 1);
    let queue = files(&desk.state())
        .into_iter()
        .find(|file| file.parent().unwrap().ends_with("comms") && file.extension().is_some())
        .unwrap();
    // The file as it was before the channel took it.
    let mut queued: Value = serde_json::from_slice(&fs::read(&queue).unwrap()).unwrap();
    assert!(queued["channels"][0]["sent_at"].is_string());
    queued["channels"][0]["sent_at"] = Value::Null;
    fs::write(&queue, queued.to_string()).unwrap();
    desk.says(0, "am", &["comms", "flush", "--now"]);
    assert_eq!(
        (heard.try_iter().count(), &desk.json(&["comms", "status"])["waiting"]),
        (0, &Value::Array(vec![]))
    );
    // A file that is none is told and hides nothing.
    fs::write(queue.with_file_name("x.json"), "{").unwrap();
    let status = desk.json(&["comms", "status"]);
    assert!(status["troubles"][0].as_str().unwrap().contains("x.json"), "{status}");
}

/// An incident of two hours with everything in it, with clocks of its own and texts that want to be markup.
fn written(desk: &Desk) -> PathBuf {
    let folder = desk.state().join("incidents/2026-11-21-01");
    fs::create_dir_all(&folder).unwrap();
    let journal = Journal::create(&folder).unwrap();
    let at = |s: i64, actor: &str, fact: Fact| {
        let stamp = Stamp {
            at: Timestamp::from_unix_s(1_795_225_447 + s),
            boot_ms: u64::try_from(s + 1000).unwrap() * 1000,
            boot_id: "61352d30".to_owned(),
            host: "db1".to_owned(),
        };
        journal.append_at(&stamp, actor, &fact).unwrap();
    };
    let own = |text: &str| text.to_owned();
    at(
        60,
        "dk",
        Fact::Declared {
            stanza: own("main"),
            label: Some(own("LAB")),
            reason: own("<script>alert('x')</script> & \"more\""),
            detected_at: Timestamp::from_unix_s(1_795_225_447),
            rto_s: 3600,
            rpo_s: 300,
            severity: Some(Severity::Sev1),
        },
    );
    let (runbook, node) = (own("postgres-dr"), own("primary-alive"));
    at(70, "dk", Fact::NodeEntered { runbook: runbook.clone(), digest: own("abc"), node: node.clone() });
    let findings = vec![own("✖ db1:5432 refused, 12 s"), own("✔ no process of that directory <b>")];
    let (proposed, reason) = (Some(own("no")), None);
    at(90, "dk", Fact::NodeAnswered { runbook, node, exit: own("no"), proposed, reason, findings });
    let item = |item: &str| Fact::Ticked {
        list: own("pre-restore"),
        item: own(item),
        automatic: false,
        result: TickResult::Ok,
        detail: own("power is off"),
    };
    at(100, "dk", item("fenced"));
    let operation = own("20261121T014407Z-recover-7f3a");
    let commit = Timestamp::from_unix_s(1_795_225_447 - 90);
    at(
        120,
        "dk",
        Fact::Confirmed {
            digest: own("7f3a"),
            summary: own("recover main"),
            command: own("pgmayday recover --target='2026-11-21 01:42:37+00' <x>"),
            typed: own("main"),
            operation: operation.clone(),
            last_commit: Some(commit),
            newest: Some(Timestamp::from_unix_s(1_795_225_447)),
            forecast: Some(forecast()),
        },
    );
    for (s, mark) in [(130, Mark::RestoreStarted), (1900, Mark::RestoreFinished), (3000, Mark::ServiceBack)] {
        at(s, "worker", Fact::Reached { mark, operation: Some(operation.clone()) });
    }
    for (step, took_s) in [("stop", 4), ("restore copy", 1_770), ("replay", 1_100), ("first backup", 90)] {
        let (operation, detail) = (operation.clone(), String::new());
        at(3050, "worker", Fact::Step { operation, step: own(step), took_ms: took_s * 1000, detail });
    }
    at(3100, "worker", Fact::OperationEnded { operation, done: true, lines: vec![own("done")] });
    at(3200, "dk", Fact::FollowUpAdded { text: own("why <i>"), owner: own("am"), due: own("2026-12-01") });
    folder
}

/// From six recoveries: copying was to take 20 to 30 minutes, replay 10 to 15.
fn forecast() -> Forecast {
    let span = |p50_s: u64, p90_s: u64| Span { p50_ms: p50_s * 1000, p90_ms: p90_s * 1000 };
    Forecast {
        runs: 6,
        newest: Timestamp::from_unix_s(1_795_000_000),
        copied_bytes: (380_000_000_000, 412_000_000_000),
        far: false,
        copy: span(1_200, 1_800),
        replay: span(600, 900),
        rest: span(3, 5),
        beside: span(1_000, 1_420),
        total: span(1_803, 2_705),
    }
}

#[test]
fn the_report_tells_everything_and_nothing_in_it_is_markup() {
    let desk = Desk::new("", &[]);
    written(&desk);
    let markdown = desk.says(0, "dk", &["report"]);
    for part in [
        "- **Severity:** SEV1",
        "| data given up ",
        "00:01:30.000 | within the target",
        "\"primary-alive\" of postgres-dr: no (as proposed)",
        "  - ✔ no process of that directory \\<b>",
        "power is off",
        "## Forecast against actual",
        "recoveries of 353.9 GB to 383.7 GB;",
        "| copy            | 20m00 |       30m00 |  29m30 | within |",
        "| replay          | 10m00 |       15m00 |  18m20 | longer |",
        "| all together    | 30m03 |       45m05 |  47m54 | longer |",
        "| disk-space ",
        "- #14 why \\<i> (am, by 2026-12-01): open",
    ] {
        assert!(markdown.contains(part), "{part}: {markdown}");
    }
    let html = desk.says(0, "dk", &["report", "--format=html"]);
    for foreign in ["<script", "<b>", "<i>", "<x>", "http:", "https:", "src="] {
        assert!(!html.contains(foreign), "{foreign}: {html}");
    }
    for part in [
        "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;more&quot;",
        "00:50:00.000 of 01:00:00: met",
        "1m30, target 5m00",
        "<li>✖ db1:5432 refused, 12 s</li>",
        "copy: 29m30",
        "<td>all together</td><td>30m03</td><td>45m05</td><td>47m54</td><td>longer</td>",
        "not looked at",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    // Every element that was opened is closed.
    for tag in ["html", "body", "table", "svg", "ul", "li", "p", "pre", "h2", "title", "text"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let json = desk.json(&["report"]);
    assert_eq!(
        (&json["rpo"]["actual"]["lost_ms"], &json["rpo"]["met"]),
        (&90_000.into(), &Value::from(true))
    );
    let scored = &json["forecasts"][0];
    assert_eq!((&scored["scores"][3]["actual_ms"], &scored["attempts"]), (&2_874_000.into(), &1.into()));
    assert_eq!(json["decisions"][0]["findings"].as_array().unwrap().len(), 2);
    assert_eq!(json["standing"]["attempts"][0]["number"], 1);
}

#[test]
fn an_export_is_checked_with_stock_tools() {
    let desk = Desk::new("", &[]);
    written(&desk);
    desk.says(0, "dk", &["declare", "--reason=y", "--stanza=other"]);
    let folder = desk.dir.path().join("for the auditor");
    let said = desk.says(0, "dk", &["export", folder.to_str().unwrap()]);
    assert!(said.contains("2 incidents, 10 files"), "{said}");
    desk.says(2, "dk", &["export", folder.to_str().unwrap()]);
    let check = || {
        let mut command = Command::new("sha256sum");
        command.args(["--check", "--strict", "--quiet", "MANIFEST.sha256"]).current_dir(&folder);
        command.output().unwrap().status.success()
    };
    assert!(check());
    let report = folder.join("2026-11-21-01/report.html");
    let text = fs::read_to_string(&report).unwrap();
    fs::write(&report, text.replace("met", "nev")).unwrap();
    assert!(!check());
    // The exported journal proves itself by the same recipe as the original.
    let output =
        Command::new("bash").args(["-c", RECIPE]).current_dir(folder.join("2026-11-21-01")).output().unwrap();
    assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().lines().count() == 1);
    desk.says(2, "dk", &["export", "/dev/null/x", "2020-01-01-01"]);
}

fn openssl(args: &[&str], folder: &Path) -> bool {
    let output = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
    output.status.success()
}

#[test]
fn a_signature_is_verified_by_openssl_alone_and_covers_every_entry_before_it() {
    let desk = Desk::new("", &[]);
    let folder = written(&desk);
    let keys = desk.dir.path();
    for key in ["key.pem", "other.pem"] {
        assert!(openssl(&["genpkey", "-algorithm", "ed25519", "-out", key], keys));
    }
    assert!(openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"], keys));
    assert!(openssl(&["pkey", "-in", "other.pem", "-pubout", "-out", "other-public.pem"], keys));
    let path = |name: &str| keys.join(name).to_str().unwrap().to_owned();
    let said = desk.says(0, "dk", &["sign", "--key", &path("key.pem")]);
    let recipe = said.lines().find(|line| line.contains("openssl")).unwrap().trim();
    let by_hand = || {
        let words: Vec<&str> = recipe.split(' ').skip(1).collect();
        openssl(&words, &folder)
    };
    assert!(by_hand(), "{recipe}");
    assert_eq!(
        fs::read_to_string(folder.join("signatures/14.pub")).unwrap(),
        fs::read_to_string(path("public.pem")).unwrap()
    );
    let verify = |code: i32, key: &str| desk.says(code, "dk", &["verify", "--public-key", &path(key)]);
    assert!(verify(0, "public.pem").contains("good, made with the known key"));
    assert!(verify(4, "other-public.pem").contains("BAD"));
    // What comes after a signature does not break it; a story that is told anew does.
    desk.says(0, "dk", &["note", "an afterthought", "--incident", "2026-11-21-01"]);
    assert!(verify(0, "public.pem").contains("good") && by_hand());
    desk.says(2, "dk", &["sign", "--key", &path("public.pem")]);
    let head = folder.join("signatures/14.head");
    let text = fs::read_to_string(&head).unwrap();
    fs::write(&head, text.replace("14:", "9:")).unwrap();
    assert!(!by_hand() && verify(4, "public.pem").contains("BAD"));
    fs::write(&head, text).unwrap();
    fs::remove_file(folder.join("journal.jsonl")).unwrap();
    fs::remove_file(folder.join("head")).unwrap();
    let forged = Journal::create(&folder).unwrap();
    for number in 1..=14 {
        forged.append("dk", &Fact::Note { text: format!("another story {number}") }).unwrap();
    }
    assert!(verify(4, "public.pem").contains("BAD"));
    assert!(
        !files(&desk.state())
            .iter()
            .any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("PRIVATE KEY")))
    );
}

#[test]
fn a_host_without_any_authority_still_sends_over_plain_http() {
    let (good, heard) = server(OK);
    let desk = Desk::new(&hook("chat", "slack", "internal"), &[("CHAT", &good)]);
    desk.declare(&[]);
    let mut send = desk.command("am", &["comms", "send", "--audience=internal", "--text=a < b & c"]);
    send.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", desk.dir.path());
    let output = send.output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("sent "), "{:?}", output.status);
    assert!(heard.recv().unwrap().contains("a &lt; b &amp; c"));
}
