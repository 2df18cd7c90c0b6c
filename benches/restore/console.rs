//! The console on a real pseudo-terminal: from exec to the first frame, from a key to its frame while a restore works,
//! and memory with a catalog nobody should have.
//!
//! Has no opponent: the figures stand against what an operator notices (150 ms, 30 ms) and what a small host has (64 MB).

use crate::machine::{Outcome, at, median};
use crate::repository::Repository;
use crate::{Setup, catalog};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::fs;
use std::io::{Read as _, Write};
use std::net::TcpListener;
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

/// All three measurements.
#[expect(clippy::print_stdout, reason = "the result is printed")]
pub(crate) fn measure(setup: &Setup, repository: &Repository) -> Outcome<()> {
    println!("\nconsole on {COLUMNS}x{LINES}, {OPENINGS} openings, {KEYS} keys");
    let hung = hung_configuration(setup)?;
    let mut opened = Vec::new();
    for _ in 0..OPENINGS {
        let begun = Instant::now();
        let mut console = Console::open(setup, &hung.config, "hung")?;
        console.wait("CLUSTER")?;
        opened.push(ms(begun.elapsed()));
        console.leave()?;
    }
    println!(
        "  exec to first frame, everything hung:  median {:6.1} ms  worst {:6.1} ms",
        median(&opened),
        worst(&opened)
    );

    let config = catalog::ready(setup)?;
    let mut console = Console::open(setup, &config, "bench")?;
    console.wait("CLUSTER")?;
    console.press("b")?;
    console.wait("diff")?;
    console.press("\x1bw")?;
    console.wait("000000010000")?;
    let peak = console.peak_bytes()?;
    println!("  peak memory, 10,000 backups and 1,000,000 segments: {} MB", peak / 1_000_000);
    console.leave()?;

    let frames = while_restoring(setup, repository)?;
    println!(
        "  key to frame while a restore works:    median {:6.1} ms  p99 {:6.1} ms  worst {:6.1} ms",
        median(&frames),
        percentile(&frames, 99),
        worst(&frames)
    );
    Ok(())
}

/// Opens and closes the help again and again while an operation of its own restores.
fn while_restoring(setup: &Setup, repository: &Repository) -> Outcome<Vec<f64>> {
    let mut frames = Vec::new();
    while frames.len() < KEYS {
        let target = setup.machine.fresh("console-target")?;
        let mut restore = setup.machine.command(&setup.tools[0].program);
        restore.env("PGMAYDAY_STATE", setup.machine.path("console-state"));
        restore.arg("--config").arg(&repository.config).arg("--stanza=bench");
        restore.arg("--pg1-path").arg(&target).args([
            "--type=immediate",
            "--archive-mode=off",
            "restore",
            "--detach",
        ]);
        crate::machine::run(&mut restore)?;
        let mut console = Console::open(setup, &repository.config, "bench")?;
        console.wait("CLUSTER")?;
        let begun = Instant::now();
        while frames.len() < KEYS && begun.elapsed() < Duration::from_secs(6) {
            for (key, shown) in [("?", true), ("\x1b", false)] {
                let pressed = Instant::now();
                console.press(key)?;
                console.wait_until(|screen| screen.contains("KEYS") == shown)?;
                frames.push(ms(pressed.elapsed()));
                std::thread::sleep(Duration::from_millis(17));
            }
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

/// A configuration whose repository and member accept and never answer.
struct Hung {
    config: std::path::PathBuf,
    _listener: TcpListener,
}

fn hung_configuration(setup: &Setup) -> Outcome<Hung> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let repo = setup.machine.fresh("console-hung")?;
    let stanza = repo.join("backup/hung");
    fs::create_dir_all(&stanza).map_err(at(&stanza))?;
    for name in ["backup.info", "backup.info.copy"] {
        crate::machine::run(crate::machine::plain("mkfifo").arg(stanza.join(name)))?;
    }
    let config = setup.machine.path("console-hung.conf");
    let text = format!(
        "[global]\nrepo1-path={}\n\n[hung]\npg1-path=/nowhere\npg2-path=/nowhere\npg2-host=127.0.0.1\npg2-port={port}\n",
        repo.display()
    );
    fs::write(&config, text).map_err(at(&config))?;
    Ok(Hung { config, _listener: listener })
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
    fn open(setup: &Setup, config: &Path, stanza: &str) -> Outcome<Self> {
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
        builder.env("PGMAYDAY_STATE", setup.machine.path("console-state"));
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
