//! The console beside members that hang and members that are dead: every key is answered at once.

use crate::cluster::{Cluster, run};
use crate::harness::Screen;
use crate::hung_stanza::{Frozen, STANZA, make};
use crate::pilot::{console, open_runbook};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// The longest time from a key to its picture; a machine that does nothing else needs a hundredth of it.
const LIMIT: Duration = Duration::from_secs(1);
/// How long keys are pressed: every probe has begun, has run out of its time, and has begun again.
const LONG: Duration = Duration::from_secs(12);

/// A server that takes connections and does nothing; it goes on when this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn server(cluster: &Cluster) -> Self {
        let lock = std::fs::read_to_string(cluster.data().join("postmaster.pid")).unwrap();
        let pid = Pid::from_raw(lock.lines().next().unwrap().parse().unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // An error means that it is gone.
        let _gone = kill_process(self.0, Signal::CONT);
    }
}

/// Presses a key and waits for what it leads to.
fn press(screen: &mut Screen, key: &str, shown: &str, there: bool) -> Duration {
    let pressed = Instant::now();
    screen.send(key);
    screen.wait_for(&format!("{shown} after {key:?}"), |screen| screen.contents().contains(shown) == there);
    pressed.elapsed()
}

#[test]
fn every_key_is_answered_while_members_hang_and_are_dead() {
    let Some(cluster) = Cluster::make("") else { return };
    let folder = cluster.path("hung");
    std::fs::create_dir(&folder).unwrap();
    let (data, home) = (cluster.data(), cluster.path(""));
    let frozen = Frozen { data: &data, socket_dir: &home, port: 5432 };
    let hung = make(&folder, &frozen).unwrap();
    cluster.give(&folder);
    let mut declare = cluster.command(cluster.program());
    declare.arg(format!("--config={}", hung.config.display())).arg(format!("--stanza={STANZA}"));
    run(declare.args(["incident", "declare", "--reason=nothing answers"]));
    let stopped = Stopped::server(&cluster);

    let begun = Instant::now();
    let mut screen = console(&cluster, &hung.config, STANZA);
    screen.wait("PROTECTION");
    // 150 ms on a machine that does nothing else; here others build at the same time.
    assert!(begun.elapsed() < Duration::from_secs(2), "the first picture took {:?}", begun.elapsed());
    // With the runbook everything an incident asks for is looked at, too.
    open_runbook(&mut screen);
    let begun = Instant::now();
    let (mut worst, mut keys) = (Duration::ZERO, 0);
    while begun.elapsed() < LONG {
        for (key, shown, there) in [
            ("?", "KEYS", true),
            ("\u{1b}", "KEYS", false),
            (":board\r", "PROTECTION", true),
            ("b", "BACKUPS", true),
            ("\u{1b}", "PROTECTION", true),
            (":runbook\r", "The first minute", true),
        ] {
            let took = press(&mut screen, key, shown, there);
            assert!(took < LIMIT, "{key:?} took {took:?}; on the screen:\n{}", screen.text());
            (worst, keys) = (worst.max(took), keys + 1);
        }
    }
    assert!(keys > 50, "only {keys} keys in {LONG:?}, the worst took {worst:?}");
    screen.send(":board\r");
    for silent in ["pg1", "hangs0", "hangs3"] {
        screen.wait_for(&format!("{silent} does not answer"), |screen| {
            screen.contents().lines().any(|line| line.contains(silent) && line.contains("no answer"))
        });
    }
    screen.wait_for("the dead refuse", |screen| screen.contents().contains("refused"));
    let left = Instant::now();
    screen.send("q");
    assert!(screen.ended().success());
    assert!(left.elapsed() < LIMIT, "leaving took {:?}", left.elapsed());
    drop(stopped);
}
