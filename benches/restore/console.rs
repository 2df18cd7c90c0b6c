//! The console on a real pseudo-terminal: from exec to the first frame and from a key to its frame while nothing answers
//! or a restore works, and memory with a catalog nobody should have.
//!
//! Has no opponent: the figures stand against what an operator notices (150 ms, 30 ms) and what a small host has (64 MB).

use crate::hung::{self, Frozen, Hung};
use crate::machine::{Outcome, at, median};
use crate::repository::{Repository, SERVER_PORT, Server, make_cluster};
use crate::{Setup, catalog};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read as _, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Key presses measured.
const KEYS: usize = 400;
/// Times the console is opened.
const OPENINGS: usize = 20;
/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(30);
const LINES: NonZero<u16> = NonZero::new(24).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(80).unwrap();

/// From exec to the first frame and from a key to its frame while members hang and are dead, Patroni is silent and the
/// repository hangs.
#[expect(clippy::print_stdout, reason = "the result is printed")]
pub(crate) fn while_nothing_answers(setup: &Setup) -> Outcome<()> {
    println!("\nconsole on {COLUMNS}x{LINES} while nothing answers, {OPENINGS} openings, {KEYS} keys");
    println!("  (5 members hang, 2 are dead, Patroni is silent, the repository hangs; every probe runs)");
    let (folder, data) = (setup.machine.fresh("hung")?, setup.machine.fresh("hung-data")?);
    let state = setup.machine.fresh("hung-state")?;
    make_cluster(setup, &data)?;
    let server = Server::started(setup, &data, "")?;
    let port = SERVER_PORT.parse().map_err(|_| format!("port {SERVER_PORT}"))?;
    let hung = hung::make(&folder, &Frozen { data: &data, socket_dir: &setup.machine.folder, port })?;
    let mut owner = crate::machine::plain("chown");
    crate::machine::run(owner.arg("-R").arg("--reference").arg(&data).arg(&folder))?;
    let mut declare = setup.machine.command(&setup.tools[0].program);
    declare.env("PGMAYDAY_STATE", &state).arg("--config").arg(&hung.config);
    declare.arg("--stanza").arg(hung::STANZA).args(["incident", "declare", "--reason=nothing answers"]);
    crate::machine::run(&mut declare)?;
    let postmaster = postmaster(&data)?;
    signal(postmaster, Signal::STOP)?;
    let measured = measure_hung(setup, &hung, &state);
    signal(postmaster, Signal::CONT)?;
    server.stop("immediate")?;
    measured
}

#[expect(clippy::print_stdout, reason = "the result is printed")]
fn measure_hung(setup: &Setup, hung: &Hung, state: &Path) -> Outcome<()> {
    let open = || Console::open(setup, &hung.config, hung::STANZA, state);
    let mut opened = Vec::new();
    for _ in 0..OPENINGS {
        let begun = Instant::now();
        let mut console = open()?;
        console.wait("CLUSTER")?;
        opened.push(ms(begun.elapsed()));
        console.leave()?;
    }
    println!(
        "  exec to first frame:                   median {:6.1} ms  worst {:6.1} ms",
        median(&opened),
        worst(&opened)
    );
    for (screen, keys, shown) in
        [("board", "r", "CLUSTER"), ("the incident's runbook", "R", "The first minute")]
    {
        let mut console = open()?;
        // Once the incident was seen its keys are there.
        console.wait("R runbook")?;
        console.press(keys)?;
        console.wait(shown)?;
        let mut frames = Vec::new();
        while frames.len() < KEYS {
            console.open_and_close_help(&mut frames)?;
        }
        console.leave()?;
        told(&format!("key to frame, {screen}:"), &frames);
    }
    Ok(())
}

/// The process that serves a data directory.
fn postmaster(data: &Path) -> Outcome<Pid> {
    let path = data.join("postmaster.pid");
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    let pid = text.lines().next().and_then(|line| Pid::from_raw(line.parse().ok()?));
    pid.ok_or_else(|| format!("{} names no process", path.display()))
}

fn signal(pid: Pid, signal: Signal) -> Outcome<()> {
    kill_process(pid, signal).map_err(|error| format!("signal {signal:?} to {pid:?}: {error}"))
}

#[expect(clippy::print_stdout, reason = "the result is printed")]
fn told(what: &str, frames: &[f64]) {
    println!(
        "  {what:38} median {:6.1} ms  p99 {:6.1} ms  worst {:6.1} ms",
        median(frames),
        percentile(frames, 99),
        worst(frames)
    );
}

/// Memory with a large catalog, and keys while a restore works.
#[expect(clippy::print_stdout, reason = "the result is printed")]
pub(crate) fn measure(setup: &Setup, repository: &Repository) -> Outcome<()> {
    println!("\nconsole on {COLUMNS}x{LINES}, {KEYS} keys");
    let config = catalog::ready(setup)?;
    let state = setup.machine.path("console-state");
    let mut console = Console::open(setup, &config, "bench", &state)?;
    console.wait("CLUSTER")?;
    console.press("b")?;
    console.wait("diff")?;
    console.press("\x1bw")?;
    console.wait("000000010000")?;
    let peak = console.peak_bytes()?;
    println!("  peak memory, 10,000 backups and 1,000,000 segments: {} MB", peak / 1_000_000);
    console.leave()?;

    let frames = while_restoring(setup, repository)?;
    told("key to frame while a restore works:", &frames);
    Ok(())
}

/// Opens and closes the help again and again while an operation of its own restores.
fn while_restoring(setup: &Setup, repository: &Repository) -> Outcome<Vec<f64>> {
    let mut frames = Vec::new();
    while frames.len() < KEYS {
        let target = setup.machine.fresh("console-target")?;
        let mut restore = setup.machine.command(&setup.tools[0].program);
        let state = setup.machine.path("console-state");
        restore.env("PGMAYDAY_STATE", &state);
        restore.arg("--config").arg(&repository.config).arg("--stanza=bench");
        restore.arg("--pg1-path").arg(&target).args([
            "--type=immediate",
            "--archive-mode=off",
            "restore",
            "--detach",
        ]);
        crate::machine::run(&mut restore)?;
        let mut console = Console::open(setup, &repository.config, "bench", &state)?;
        console.wait("CLUSTER")?;
        let begun = Instant::now();
        while frames.len() < KEYS && begun.elapsed() < Duration::from_secs(6) {
            console.open_and_close_help(&mut frames)?;
        }
        console.leave()?;
        wait_for_end(setup)?;
    }
    Ok(frames)
}

/// Waits until no operation runs any more.
fn wait_for_end(setup: &Setup) -> Outcome<()> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(300) {
        let mut attach = setup.machine.command(&setup.tools[0].program);
        attach.env("PGMAYDAY_STATE", setup.machine.path("console-state")).args(["attach", "--output=json"]);
        if !crate::machine::run(&mut attach)?.contains("\"life\":\"running\"") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Err("the restore did not end".to_owned())
}

/// The console in a terminal.
struct Console {
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    _terminal: Box<dyn MasterPty + Send>,
}

impl Console {
    fn open(setup: &Setup, config: &Path, stanza: &str, state: &Path) -> Outcome<Self> {
        let told = |error: &dyn std::fmt::Display| format!("pseudo-terminal: {error}");
        let size = PtySize { rows: LINES.get(), cols: COLUMNS.get(), pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).map_err(|e| told(&e))?;
        let command = setup.machine.command(&setup.tools[0].program);
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.arg(format!("--config={}", config.display()));
        builder.arg(format!("--stanza={stanza}"));
        builder.cwd(&setup.machine.folder);
        builder.env_clear();
        for (name, value) in [("PATH", "/usr/bin:/bin"), ("TERM", "xterm-256color"), ("LANG", "C.UTF-8")] {
            builder.env(name, value);
        }
        builder.env("PGMAYDAY_STATE", state);
        let child = pair.slave.spawn_command(builder).map_err(|e| told(&e))?;
        let mut reader = pair.master.try_clone_reader().map_err(|e| told(&e))?;
        let writer = pair.master.take_writer().map_err(|e| told(&e))?;
        let (send, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(length) = reader.read(&mut buffer) {
                if length == 0 || send.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            writer,
            output,
            screen: vt100::Parser::new(LINES, COLUMNS, 0),
            _terminal: pair.master,
        })
    }

    /// How long each of the two keys took to be seen.
    fn open_and_close_help(&mut self, frames: &mut Vec<f64>) -> Outcome<()> {
        for (key, shown) in [("?", true), ("\x1b", false)] {
            let pressed = Instant::now();
            self.press(key)?;
            self.wait_until(|screen| screen.contains("KEYS") == shown)?;
            frames.push(ms(pressed.elapsed()));
            std::thread::sleep(Duration::from_millis(17));
        }
        Ok(())
    }

    fn press(&mut self, keys: &str) -> Outcome<()> {
        self.writer.write_all(keys.as_bytes()).and_then(|()| self.writer.flush()).map_err(|e| e.to_string())
    }

    fn wait(&mut self, text: &str) -> Outcome<()> {
        self.wait_until(|screen| screen.contains(text)).map_err(|why| format!("'{text}' did not come: {why}"))
    }

    fn wait_until(&mut self, holds: impl Fn(&str) -> bool) -> Outcome<()> {
        let begun = Instant::now();
        loop {
            if holds(&self.screen.screen().contents()) {
                return Ok(());
            }
            match self.output.recv_timeout(LIMIT.saturating_sub(begun.elapsed())) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("the screen is\n{}", self.screen.screen().contents()));
                }
                Err(RecvTimeoutError::Disconnected) => return Err("the console ended".to_owned()),
            }
        }
    }

    /// The largest resident size so far.
    fn peak_bytes(&self) -> Outcome<u64> {
        let pid = self.child.process_id().ok_or("the console ended")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let kilobytes: u64 =
            line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("VmHWM is '{line}'"))?;
        Ok(kilobytes * 1024)
    }

    fn leave(mut self) -> Outcome<()> {
        self.press("\x03")?;
        self.child.wait().map(drop).map_err(|error| error.to_string())
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
