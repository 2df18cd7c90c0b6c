//! A whole recovery by keys alone, on a real cluster: from the board to service, compared with the truth to the row;
//! with the terminal, the console and the worker taken away in the middle.

use crate::harness::Screen;
use crate::place::{Place, SIZE};
use crate::terminal::press_at_random;
use pgmayday::lab::rehearsal::verify_live;
use pgmayday::lab::{Lab, ledger};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

/// From the board to a recovery that works.
fn start(screen: &mut Screen) {
    screen.wait_long("RECOVERY WINDOW");
    screen.wait_long("do not agree");
    screen.send("t");
    screen.wait("RECOVER TO");
    screen.send("\r");
    screen.wait_long("PLAN ·");
    screen.send("\r");
    screen.wait("Type lab");
    screen.send("lab\r");
}

/// What else could be done, weighed for the proposed target; back to the board.
fn the_ways_out(screen: &mut Screen) {
    screen.send("t");
    screen.wait("RECOVER TO");
    screen.wait("(•) last right");
    screen.send("o");
    for way in
        ["recover to the target", "recover to the latest", "promote a standby", "take rows from a copy"]
    {
        screen.wait_long(way);
    }
    screen.send("\x1b");
    screen.wait("(•) last right");
    screen.send("\x1b");
}

/// From the question before promotion to service.
fn answer(screen: &mut Screen) {
    screen.wait_long("YOUR ANSWER IS NEEDED");
    screen.send("y");
    screen.wait("Type lab");
    screen.send("lab\r");
    screen.wait_long("DONE");
}

#[test]
fn the_demonstration_is_recovered_by_keys_alone() {
    let Some(place) = Place::new() else { return };
    let dir = place.dir();
    let mut screen = Screen::pgmayday(SIZE, ["lab", "demo", "--dir", dir.to_str().unwrap()], &[]);
    screen.wait_long("Press Enter");
    screen.send("\r");
    screen.wait_long("RECOVERY WINDOW");
    screen.wait_long("do not agree");
    screen.send("i");
    screen.wait("DECLARE AN INCIDENT");
    screen.send("\r");
    // The runbook opens with its first step.
    screen.wait("The first minute");
    screen.send("\x1b");
    the_ways_out(&mut screen);
    start(&mut screen);
    answer(&mut screen);
    screen.send("q");
    screen.wait_long("every row is right");
    screen.wait("service back (RTO)");
    assert!(screen.ended().success());
    assert!(!dir.exists(), "the lab goes with its demonstration");
}

#[test]
fn terminal_console_and_worker_may_go_and_the_recovery_ends_the_same() {
    let Some(place) = Place::hurt() else { return };

    // The line is lost as soon as the recovery works: it does not notice.
    let mut screen = place.console();
    start(&mut screen);
    screen.wait_long("step ");
    screen.hang_up();
    drop(screen);
    let asking = place.wait_operation("the question", |it| it["asks"] == true);

    // Somebody else comes back to it, and loses the console and the worker at once.
    let screen = place.console();
    screen.wait_long("waits for your answer");
    screen.signal(Signal::KILL);
    drop(screen);
    let worker = Pid::from_raw(i32::try_from(asking["pid"].as_i64().unwrap()).unwrap()).unwrap();
    kill_process(worker, Signal::KILL).unwrap();
    place.wait_operation("the loss", |it| it["life"] == "lost");

    // Reopened, the console tells the truth and goes on from there.
    let mut screen = place.console();
    screen.wait_long("lost its worker");
    screen.send("o");
    screen.wait("THE WORKER IS GONE");
    screen.send("R");
    screen.wait("Type lab");
    screen.send("lab\r");
    answer(&mut screen);
    screen.send("q");
    assert!(screen.ended().success());

    let verdict = verify_live(&Lab::open(&place.dir()).unwrap()).unwrap();
    assert_eq!(
        verdict.differences,
        Vec::<String>::new(),
        "{} after {}",
        ledger::DATABASE,
        verdict.rows_expected
    );
    let ended = place.operation();
    assert_eq!((&ended["life"], &ended["done"]), (&"ended".into(), &true.into()), "{ended}");
    let incident = place.json(&["incident", "report", "--format=json"]).to_string();
    for word in ["rto", "service_back", "restore_started", "target_reached", "validated", "hold placed"] {
        assert!(incident.contains(word), "{word} is not in {incident}");
    }
    assert_eq!(place.json(&["incident", "verify"])["ok"], true);
}

#[test]
fn random_keys_on_a_damaged_cluster_destroy_nothing() {
    // With the damage there is a target, and a plan that could be started.
    let Some(place) = Place::hurt() else { return };
    let servers = || {
        ["primary", "standby"].map(|name| {
            let data = place.dir().join(name);
            let lock = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
            (std::fs::metadata(&data).unwrap().ino(), lock.lines().next().unwrap().to_owned())
        })
    };
    let before = servers();
    let mut screen = place.console();
    screen.wait_long("RECOVERY WINDOW");
    screen.wait_long("do not agree");
    press_at_random(&mut screen);
    screen.send("\u{3}");
    assert!(screen.ended().success());
    assert_eq!(servers(), before, "the same directories, served by the same processes");
    assert!(!place.dir().join("state/ops").exists(), "no operation was written down");
    let mut last = pgmayday::lab::workload::state(&Lab::open(&place.dir()).unwrap()).unwrap().last;
    let first = last;
    let begun = Instant::now();
    while last == first && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
        last = pgmayday::lab::workload::state(&Lab::open(&place.dir()).unwrap()).unwrap().last;
    }
    assert!(last > first, "the application goes on");
}
