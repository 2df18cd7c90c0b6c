//! Operations that outlive their terminal: the real program on real repositories, its worker killed, stopped, hung up
//! on, asked and answered. `PGMAYDAY_KILLS` sets how many kills.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot prepare its case must fail")]
#![expect(clippy::disallowed_methods, reason = "runs the program and empties targets it made")]

#[path = "common/fixtures.rs"]
mod fixtures;

#[path = "worker/home.rs"]
mod home;
#[path = "worker/jobs.rs"]
mod jobs;

use home::{Home, until};
use pgmayday::base::Kind;
use pgmayday::model::op::{Life, Record, RecordKind, StepStatus};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::Signal;
use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

/// How many kills, unless the environment says otherwise; and in an endurance run.
const KILLS: u32 = 8;
const MANY_KILLS: u32 = 50;

fn kills() -> u32 {
    let said = std::env::var_os("PGMAYDAY_KILLS").and_then(|text| text.to_str()?.parse().ok());
    let endurance = std::env::var_os("PGMAYDAY_ENDURANCE").is_some();
    said.unwrap_or(if endurance { MANY_KILLS } else { KILLS })
}

#[test]
fn a_detached_restore_is_followed_and_ends_as_one_in_the_foreground() {
    let home = Home::new("a2-zst-aes-bundle");
    home.run(&home.restore(&[])).ok();
    let wanted = home.tree();
    home.fresh();
    let id = home.detach();
    let followed = home.run(&["attach", id.as_str()]).ok();
    for word in [id.as_str(), "1/5 plan", "3/5 copy", "5/5 make durable", "restored backup"] {
        assert!(followed.out.contains(word), "{word}: {}", followed.out);
    }
    assert_eq!(home.tree(), wanted);
    let snapshot = home.snapshot(&id);
    assert_eq!(snapshot.life, Life::Ended);
    assert!(snapshot.state.steps.iter().all(|step| matches!(step.status, StepStatus::Done { .. })));
    assert!(snapshot.copy.is_some_and(|copy| copy.bytes_done > 0 && copy.bytes_done <= copy.bytes_total));
    let list: serde_json::Value = serde_json::from_str(&{
        let other = Home::new("a1-plain-none");
        other.run(&["attach", "--output=json"]).ok().out
    })
    .unwrap();
    assert_eq!(
        (&list["schema"], list["operations"].as_array().unwrap().len()),
        (&"pgmayday.operations/1".into(), 0)
    );
    // Done is done.
    let refused = home.run(&["attach", id.as_str(), "--resume"]);
    assert_eq!(refused.code, Some(3), "{}", refused.err);
}

#[test]
fn a_worker_that_is_killed_anywhere_is_lost_and_resumed_to_the_same_result() {
    let home = Home::new("a2-zst-aes-bundle");
    let begun = Instant::now();
    let id = home.detach();
    home.run(&["attach", id.as_str()]).ok();
    let (clean_time, wanted) = (begun.elapsed(), home.tree());
    let bytes: u64 = wanted.values().map(|(_, content)| content.len() as u64).sum();
    let kills = kills();
    let (mut hit, mut reused) = (0, 0);
    let mut random = [0_u8; 1];
    for turn in 0..kills {
        home.fresh();
        let id = home.detach();
        getrandom::fill(&mut random).unwrap();
        // Anywhere in its own slice, so that every part is hit.
        let fraction = (f64::from(turn) + f64::from(random[0]) / 256.0) / f64::from(kills);
        std::thread::sleep(clean_time.mul_f64(fraction));
        let Life::Running { pid } = home.snapshot(&id).life else { continue };
        home::signal(pid, Signal::KILL);
        until("the dead worker is noticed", || !matches!(home.snapshot(&id).life, Life::Running { .. }));
        if home.snapshot(&id).life == Life::Ended {
            continue;
        }
        hit += 1;
        assert_eq!(home.snapshot(&id).life, Life::Lost, "killed at {fraction:.2}");
        let told = home.run(&["attach", id.as_str()]);
        assert_eq!(told.code, Some(1), "{}", told.err);
        assert!(told.err.contains("is gone") && told.err.contains("--resume"), "{}", told.err);
        assert!(!home.data().join("global/pg_control").exists() || fraction > 0.5, "it could start");
        let there: u64 = home.tree().values().map(|(_, content)| content.len() as u64).sum();
        let resumed = home.run(&["attach", id.as_str(), "--resume"]).ok();
        assert_eq!(home.tree(), wanted, "killed at {fraction:.2}");
        let snapshot = home.snapshot(&id);
        assert_eq!((snapshot.life, snapshot.state.attempt), (Life::Ended, 2));
        let kept = resumed.out.split("reused ").nth(1).is_some_and(|rest| !rest.starts_with("0 B"));
        eprintln!("killed at {fraction:.2}: {there} bytes were there, reused: {kept}");
        reused += u32::from(kept);
        assert!(there < bytes / 2 || kept, "nothing reused of {there} bytes\n{}", resumed.out);
    }
    assert!(hit * 2 >= kills && reused > 0, "{hit} of {kills} kills hit, {reused} reused something");
}

#[test]
fn the_terminal_is_closed_in_the_middle_and_nothing_changes() {
    let home = Home::new("a2-zst-aes-bundle");
    let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 80, ..PtySize::default() }).unwrap();
    let mut shell = CommandBuilder::new("sh");
    let words: Vec<String> = home.restore(&["--detach"]).iter().map(|word| format!("'{word}'")).collect();
    let program = env!("CARGO_BIN_EXE_pgmayday");
    shell.args(["-c", &format!("{program} {} && {program} attach", words.join(" "))]);
    shell.env("PGMAYDAY_STATE", home.state());
    shell.cwd("/");
    let mut child = pty.slave.spawn_command(shell).unwrap();
    until("the operation is there", || home.supervisor().list().unwrap().0.len() == 1);
    let id = home.supervisor().list().unwrap().0[0].spec.id.clone();
    let pid = home.stop_in_copy(&id).expect("it was too fast");
    // Nobody else holds the terminal's other end: closing it hangs up.
    drop(pty);
    let left = child.wait().unwrap();
    assert!(!left.success(), "attach went with its terminal");
    home::signal(pid, Signal::HUP);
    home::signal(pid, Signal::CONT);
    home.run(&["attach", id.as_str()]).ok();
    assert_eq!(home.snapshot(&id).state.attempt, 1);
}

#[test]
fn ctrl_c_leaves_it_running_and_a_terminal_sees_one_line_move() {
    let home = Home::new("a2-zst-aes-bundle");
    let (id, pid) = home.detached_in_copy();
    let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 100, ..PtySize::default() }).unwrap();
    let mut attach = CommandBuilder::new(env!("CARGO_BIN_EXE_pgmayday"));
    attach.args(["attach", id.as_str()]);
    attach.env("PGMAYDAY_STATE", home.state());
    let mut child = pty.slave.spawn_command(attach).unwrap();
    let (mut screen, mut keys) = (pty.master.try_clone_reader().unwrap(), pty.master.take_writer().unwrap());
    let (tell, heard) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = screen.read(&mut bytes) {
            tell.send(bytes[..read].to_vec()).unwrap();
        }
    });
    let mut terminal = vt100::Parser::new(24.try_into().unwrap(), 100.try_into().unwrap(), 0);
    let mut shows = |word: &str| {
        until(word, || {
            for bytes in heard.try_iter() {
                terminal.process(&bytes);
            }
            terminal.screen().contents().contains(word)
        });
        terminal.screen().contents()
    };
    let screen = shows("3/5 copy");
    assert!(screen.contains("2/5 prepare the target:"), "{screen}");
    keys.write_all(b"\x03").unwrap();
    let screen = shows("returns here");
    assert!(screen.contains(&format!("the recovery goes on; pgmayday attach {id} returns here")), "{screen}");
    assert_eq!(child.wait().unwrap().exit_code(), 130);
    assert_eq!(home.snapshot(&id).life, Life::Running { pid });
    home::signal(pid, Signal::CONT);
    drop(pty);
    drop(keys);
    reader.join().unwrap();
    home.run(&["attach", id.as_str()]).ok();
}

#[test]
fn one_worker_per_operation_and_one_operation_per_target() {
    let home = Home::new("a2-zst-aes-bundle");
    let (id, pid) = home.detached_in_copy();
    let second = home.run(&["__worker", id.as_str()]);
    assert_eq!(second.code, Some(3), "{}", second.err);
    assert!(second.err.contains("another worker does it"), "{}", second.err);
    assert_eq!(home.run(&["attach", id.as_str(), "--resume"]).code, Some(3));
    let other = home.detach();
    let refused = home.run(&["attach", other.as_str()]);
    assert_eq!(refused.code, Some(3), "{}", refused.err);
    assert!(refused.err.contains(id.as_str()) && refused.err.contains("is at work on"), "{}", refused.err);
    let by_hand = home.run(&home.restore(&[]));
    assert_eq!(by_hand.code, Some(3), "{}", by_hand.err);
    home::signal(pid, Signal::CONT);
    home.run(&["attach", id.as_str()]).ok();
    // A worker that comes late does nothing.
    let late = home.run(&["__worker", id.as_str()]);
    assert!(late.code == Some(3) && late.err.contains("everything is done"), "{}", late.err);
    assert_eq!(home.snapshot(&id).state.attempt, 1);
}

#[test]
fn a_cancelled_operation_says_so_and_goes_on_when_resumed() {
    let home = Home::new("a2-zst-aes-bundle");
    let (id, pid) = home.detached_in_copy();
    home.run(&["attach", "--cancel"]).ok();
    home::signal(pid, Signal::CONT);
    let cancelled = home.run(&["attach", id.as_str()]);
    assert_eq!(cancelled.code, Some(6), "{}", cancelled.err);
    assert!(cancelled.err.contains("--resume"), "{}", cancelled.err);
    let snapshot = home.snapshot(&id);
    assert!(snapshot.state.cancel_requested && snapshot.life == Life::Ended);
    assert_eq!(home.run(&["attach", id.as_str(), "--cancel"]).code, Some(3), "it has ended");
    home.run(&["attach", id.as_str(), "--resume"]).ok();
    let state = home.snapshot(&id).state;
    assert!(state.attempt == 2 && state.ended.unwrap().1.is_done());
}

#[test]
fn a_lost_operation_can_be_ended_instead() {
    let home = Home::new("a2-zst-aes-bundle");
    let (id, pid) = home.detached_in_copy();
    home::signal(pid, Signal::KILL);
    until("it is lost", || home.snapshot(&id).life == Life::Lost);
    home.run(&["attach", id.as_str(), "--cancel"]).ok();
    assert_eq!(home.run(&["attach", id.as_str()]).code, Some(6));
    home.run(&["attach", id.as_str(), "--resume"]).ok();
}

#[test]
fn a_torn_end_of_the_records_is_cut_by_the_next_worker() {
    let home = Home::new("a2-zst-aes-bundle");
    let (id, pid) = home.detached_in_copy();
    home::signal(pid, Signal::KILL);
    until("it is lost", || home.snapshot(&id).life == Life::Lost);
    let path = home.state().join("ops").join(id.as_str()).join("events.jsonl");
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"seq\":99,\"at\":\"2026-1").unwrap();
    assert_eq!(home.snapshot(&id).life, Life::Lost, "a torn line is no damage");
    home.run(&["attach", id.as_str(), "--resume"]).ok();
    let text = fs::read_to_string(&path).unwrap();
    let records: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.iter().zip(1..).all(|(record, seq)| record.seq == seq), "{text}");
    assert!(matches!(&records.last().unwrap().kind, RecordKind::Ended(outcome) if outcome.is_done()));
}

#[test]
fn a_variable_that_is_missing_is_named_and_its_value_is_nowhere() {
    const VARIABLE: &str = "PGBACKREST_REPO1_CIPHER_PASS";
    let home = Home::new("a2-zst-aes-bundle");
    let secret = home.move_passphrase_out();
    let mut start = home.command(&home.restore(&["--detach", "--type=none"]));
    let started = home::Run::of(start.env(VARIABLE, &secret)).ok();
    let id = started.out.trim().parse().unwrap();
    let pid = home.stop_in_copy(&id).expect("it was too fast");
    home::signal(pid, Signal::KILL);
    until("it is lost", || home.snapshot(&id).life == Life::Lost);
    let refused = home.run(&["attach", id.as_str(), "--resume"]);
    assert!(refused.code == Some(2) && refused.err.contains(VARIABLE), "{}", refused.err);
    let mut resume = home.command(&["attach", id.as_str(), "--resume"]);
    home::Run::of(resume.env(VARIABLE, &secret)).ok();
    for entry in fs::read_dir(home.state().join("ops").join(id.as_str())).unwrap() {
        let path = entry.unwrap().path();
        let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!content.contains(&secret), "{}", path.display());
    }
}

#[test]
fn damage_to_one_operation_is_told_and_hides_no_other() {
    let home = Home::new("a1-plain-none");
    let ids: Vec<_> = (0..3)
        .map(|_| {
            home.fresh();
            let id = home.detach();
            home.run(&["attach", id.as_str()]).ok();
            id
        })
        .collect();
    let file = |number: usize, name: &str| home.state().join("ops").join(ids[number].as_str()).join(name);
    fs::write(file(0, "spec.json"), "{").unwrap();
    fs::write(file(1, "events.jsonl"), "nonsense\n").unwrap();
    fs::write(file(2, "progress.json"), "nonsense").unwrap();
    let (found, damaged) = home.supervisor().list().unwrap();
    assert_eq!(found.iter().map(|snapshot| &snapshot.spec.id).collect::<Vec<_>>(), [&ids[2]]);
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    for id in &ids[..2] {
        assert!(damaged.iter().any(|text| text.starts_with(id.as_str())), "{damaged:?}");
        assert_eq!(home.run(&["attach", id.as_str()]).code, Some(4));
    }
    let listed = home.run(&["attach", "--cancel"]);
    assert_eq!(listed.code, Some(2), "{}", listed.err);
}

#[test]
fn a_worker_that_ended_leaves_no_process_to_its_parent() {
    let home = Home::new("a1-plain-none");
    let spec = home.spec();
    let supervisor = home.supervisor();
    supervisor.start(&spec).unwrap();
    let mut pid = 0;
    until("it ended", || match home.snapshot(&spec.id).life {
        Life::Running { pid: now } => {
            pid = now;
            false
        }
        life => life == Life::Ended,
    });
    until("it is gone", || pid == 0 || !fs::exists(format!("/proc/{pid}")).unwrap());
    let again = supervisor.start(&spec).unwrap_err();
    assert!(again.headline.contains("cannot make"), "{again}");
}

#[test]
fn a_worker_that_dies_at_once_is_starting_and_then_lost() {
    let home = Home::new("a1-plain-none");
    let spec = home.spec();
    let broken = pgmayday::recovery::supervisor::Supervisor::new(home.state_dir(), "/bin/false");
    broken.start(&spec).unwrap();
    assert_eq!(home.snapshot(&spec.id).life, Life::Starting);
    assert!(matches!(broken.resume(&spec.id).unwrap_err().kind, Kind::Refused(None)), "not twice at once");
    let begun = Instant::now();
    until("it is lost", || home.snapshot(&spec.id).life == Life::Lost);
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
    home.run(&["attach", spec.id.as_str(), "--resume"]).ok();
}

#[test]
fn no_secret_is_written_down() {
    let home = Home::new("a1-plain-none");
    let supervisor = home.supervisor();
    for argument in ["--repo1-cipher-pass=geheim", "--repo2-s3-key-secret", "--repo1-cipher-pas=geheim"] {
        let mut spec = home.spec();
        spec.arguments.extend([argument.to_owned(), "geheim".to_owned()]);
        let report = supervisor.start(&spec).unwrap_err();
        assert!(report.kind == Kind::Usage && !report.to_string().contains("geheim"), "{report}");
    }
    let mut spec = home.spec();
    spec.environment = vec!["A=geheim".to_owned()];
    let report = supervisor.start(&spec).unwrap_err();
    assert!(!report.to_string().contains("geheim"), "{report}");
    assert!(!home.state().exists(), "something was written");
    let refused = home.run(&home.restore(&["--detach", "--repo1-cipher-pass=geheim"]));
    assert!(refused.code == Some(2) && !refused.err.contains("geheim"), "{}", refused.err);
}
