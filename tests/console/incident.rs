//! A whole incident by keys alone, through the runbook: in few keys, and with everything that can be killed killed on
//! the way.

use crate::harness::Screen;
use crate::place::Place;
use pgmayday::lab::rehearsal::verify_live;
use pgmayday::lab::{Lab, ledger, postgres};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// The most keys from the board to a running restore, without the typed word.
const MOST_KEYS: usize = 15;
/// The longest an incident may take.
const LONGEST: Duration = Duration::from_secs(180);

/// What the operator does next by what stands on the screen; nothing while there is nothing to do but wait.
fn next_key(text: &str) -> Option<&'static str> {
    let has = |what: &str| text.contains(what);
    // Windows lie over everything else.
    if has("DECLARE AN INCIDENT") {
        return Some("\r");
    }
    if has("Type lab") {
        return Some("lab\r");
    }
    // A field that was opened because the application's check had no answer for a moment.
    if has("NOT DONE") || has("NOT STARTED") || has("Enter take it") {
        return Some("\u{1b}");
    }
    // What was asked for is under way, or not there yet.
    if has("starting: the plan is worked out once more") || has("Nobody has begun it") {
        return None;
    }
    match () {
        () if has("THE WORKER IS GONE") => Some("R"),
        () if has("YOUR ANSWER IS NEEDED") => Some("y"),
        // The recovery that was begun before the console was killed goes on; it may be about to ask.
        () if has("an operation is at work") => Some(":operation\r"),
        () if has("PLAN ·") => has("Enter confirm").then_some("\r"),
        () if has("RECOVER TO") => has("(•) last right moment").then_some("\r"),
        () if has("The first minute") && has("CHECKLIST") => {
            let ticked = text.matches("[x]").count();
            Some(if ticked < 3 { " " } else { "\r" })
        }
        () if has("QUESTION") => answer(text),
        () if has("Stop the bleeding") => Some("t"),
        () if has("RECOVERY WINDOW") => board(text),
        () => None,
    }
}

/// The answer that the facts propose, once they do.
fn answer(text: &str) -> Option<&'static str> {
    const PROPOSED: [(&str, &str); 4] = [
        ("Proposal: yes, it answers", "y"),
        ("Proposal: nothing: it reads and writes", "n"),
        ("Proposal: logical: a statement did it", "b"),
        ("Proposal: yes, it is committed", "y"),
    ];
    let flat: String = text
        .lines()
        .map(|line| line.split('│').next_back().unwrap_or(line).trim())
        .collect::<Vec<_>>()
        .join(" ");
    PROPOSED.iter().find(|(proposed, _)| flat.contains(proposed)).map(|(_, key)| *key)
}

/// From the board to where the incident is.
fn board(text: &str) -> Option<&'static str> {
    let has = |what: &str| text.contains(what);
    match () {
        () if has("lost its worker") || has("waits for your answer") => Some("o"),
        () if has("R runbook") => Some("R"),
        () if has("do not agree") => Some("i"),
        () => None,
    }
}

/// A person at a console, who counts the keys.
struct Operator {
    screen: Screen,
    keys: usize,
    typed: usize,
}

impl Operator {
    fn new(place: &Place) -> Self {
        let screen = place.console();
        screen.wait_long("RECOVERY WINDOW");
        Self { screen, keys: 0, typed: 0 }
    }

    fn press(&mut self, key: &str) {
        match key {
            "lab\r" => self.typed += 1,
            _ => self.keys += 1,
        }
        let before = self.screen.text();
        self.screen.send(key);
        // A key that is not obeyed at once is not pressed again at once.
        let begun = Instant::now();
        while self.screen.text() == before && begun.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(60));
    }

    /// Goes on until `there` or until so many keys are pressed; true if it is there.
    fn go_on(&mut self, there: impl Fn(&str) -> bool, most_keys: usize) -> bool {
        let begun = Instant::now();
        loop {
            let text = self.screen.text();
            if there(&text) {
                return true;
            }
            if self.keys + self.typed >= most_keys {
                return false;
            }
            assert!(begun.elapsed() < LONGEST, "it goes no further; on the screen:\n{text}");
            match next_key(&text) {
                Some(key) => self.press(key),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

fn restores(text: &str) -> bool {
    text.contains("step ") && text.contains("recover")
}

fn is_done(text: &str) -> bool {
    text.contains("DONE ·") && text.contains("recover")
}

fn every_row_is_right(place: &Place) {
    let verdict = verify_live(&Lab::open(&place.dir()).unwrap()).unwrap();
    let (differences, rows) = (verdict.differences, verdict.rows_expected);
    assert_eq!(differences, Vec::<String>::new(), "{} after {rows}", ledger::DATABASE);
}

#[test]
fn the_runbook_leads_to_a_running_restore_in_few_keys() {
    let Some(place) = Place::hurt() else { return };
    let mut operator = Operator::new(&place);
    assert!(operator.go_on(restores, usize::MAX));
    eprintln!("{} keys and {} typed words", operator.keys, operator.typed);
    assert!(operator.keys <= MOST_KEYS, "{} keys", operator.keys);
    assert_eq!(operator.typed, 1);
    assert!(operator.go_on(is_done, usize::MAX));
    every_row_is_right(&place);
    let incident = place.json(&["incident", "report", "--format=json"]).to_string();
    for asked in ["alive", "hinders", "corruption", "committed"] {
        assert!(incident.contains(&format!("\"{asked}\"")), "{asked} is not in the record");
    }
    assert_eq!(place.json(&["incident", "verify"])["ok"], true);
    // What this one took is what the next is expected to take.
    let weighed = place.json(&["plan", "--type=default"]);
    let (plan, ways) = (&weighed["plan"], weighed["options"]["ways"].as_array().unwrap());
    let way = |name: &str| ways.iter().find(|weighed| weighed["way"] == name);
    assert!(way("recover").is_none() && way("promote").is_some(), "{ways:#?}");
    let forecast = &plan["forecast"];
    assert_eq!(way("recover_latest").unwrap()["time"], forecast["total"]);
    assert_eq!(forecast["runs"], 1, "{plan}");
    for part in ["copy", "replay", "rest", "total"] {
        assert!(forecast[part]["p50_ms"].as_u64().is_some_and(|ms| ms > 0), "{part}: {plan}");
    }
}

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Console,
    Worker,
    /// Console, worker and servers, as when the power goes.
    Machine,
}

/// The lines of the incident's journal, as they stand on disk.
fn journal(place: &Place) -> Vec<String> {
    let incidents = place.dir().join("state/incidents");
    let Ok(entries) = std::fs::read_dir(incidents) else { return Vec::new() };
    let folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    assert!(folders.len() <= 1, "one incident: {folders:?}");
    let text = folders.first().and_then(|folder| std::fs::read_to_string(folder.join("journal.jsonl")).ok());
    text.unwrap_or_default().lines().map(str::to_owned).collect()
}

fn kill(pid: i64) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended by itself meanwhile.
    let _gone = kill_process(pid, Signal::KILL);
}

fn kill_worker(place: &Place) {
    if let Some(pid) = place.operation()["pid"].as_i64() {
        kill(pid);
    }
}

/// The servers' processes of the lab: all that run PostgreSQL in one of its folders.
fn servers(place: &Place) -> Vec<i64> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut found = Vec::new();
    for entry in entries {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let cwd = std::fs::read_link(entry.path().join("cwd"));
        let name = std::fs::read_to_string(entry.path().join("comm"));
        if cwd.is_ok_and(|cwd| cwd.starts_with(place.dir()))
            && name.is_ok_and(|name| name.trim() == "postgres")
        {
            found.push(pid);
        }
    }
    found
}

/// As when the power goes: nothing of them is left when this returns, not even a dead process that a lock file names.
fn kill_servers(place: &Place) {
    let begun = Instant::now();
    let mut killed = std::collections::BTreeSet::new();
    loop {
        killed.extend(servers(place));
        killed.retain(|pid| Path::new(&format!("/proc/{pid}")).exists());
        if killed.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "they do not go: {killed:?}");
        killed.iter().copied().for_each(kill);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A server that was killed with everything else is started again, as a host that boots does; not one that a recovery
/// works on.
fn boot(place: &Place) {
    if !place.operation()["life"].is_null() {
        return;
    }
    let lab = Lab::open(&place.dir()).unwrap();
    for (data, log) in [(lab.primary(), "primary.log"), (lab.standby(), "standby.log")] {
        postgres::start(&lab, &data, log).unwrap_or_else(|error| {
            panic!("{error}\n{}", std::fs::read_to_string(lab.logs().join(log)).unwrap_or_default())
        });
    }
}

/// Nothing that was written down is gone, the chain holds, and the clock is the same.
fn nothing_is_lost(place: &Place, before: &[String]) {
    let after = journal(place);
    assert!(after.len() >= before.len() && after[..before.len()] == *before, "{before:#?}\n{after:#?}");
    if !after.is_empty() {
        assert_eq!(place.json(&["incident", "verify"])["ok"], true);
    }
}

fn detected_at(place: &Place) -> Value {
    place.json(&["board"])["facts"]["incident"]["detected_at"].clone()
}

fn number(name: &str, default: usize, long: usize) -> usize {
    let asked = std::env::var(name).ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(if std::env::var_os("PGMAYDAY_ENDURANCE").is_some() { long } else { default })
}

/// One incident from the board to service, with one kill at the `at`-th key and a while later.
fn survives(victim: Victim, at: usize, later: Duration) {
    let Some(place) = Place::hurt() else { return };
    eprintln!("{victim:?} after {at} keys and {later:?}");
    let mut operator = Operator::new(&place);
    operator.go_on(is_done, at);
    std::thread::sleep(later);
    let (before, detected) = (journal(&place), detected_at(&place));
    match victim {
        Victim::Console => operator.screen.signal(Signal::KILL),
        Victim::Worker => kill_worker(&place),
        Victim::Machine => {
            operator.screen.signal(Signal::KILL);
            kill_worker(&place);
            kill_servers(&place);
        }
    }
    drop(operator);
    nothing_is_lost(&place, &before);
    if matches!(victim, Victim::Machine) {
        boot(&place);
    }
    let mut operator = Operator::new(&place);
    if !detected.is_null() {
        assert_eq!(detected_at(&place), detected, "the clock goes on");
    }
    assert!(operator.go_on(is_done, usize::MAX));
    nothing_is_lost(&place, &before);
    every_row_is_right(&place);
}

#[test]
fn an_incident_may_be_killed_at_any_point() {
    let given = std::env::var("PGMAYDAY_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    let mut state = seed;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    eprintln!("PGMAYDAY_SEED={seed}");
    for round in 0..number("PGMAYDAY_INCIDENT_KILLS", 2, 30) {
        let victim = [Victim::Machine, Victim::Console, Victim::Worker][round % 3];
        // A worker is there from the last key on only.
        let at = if matches!(victim, Victim::Worker) { 14 } else { usize::try_from(below(15)).unwrap() };
        survives(victim, at, Duration::from_millis(below(4000)));
    }
}
