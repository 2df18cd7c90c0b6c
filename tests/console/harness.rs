//! The real program on a real terminal: spawned in a pty, watched through a terminal emulator.

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything is waited for: a busy machine is slow, not broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a program in it. The program is killed when this is dropped.
pub(crate) struct Screen {
    parser: Arc<Mutex<vt100::Parser>>,
    hang_up: Arc<AtomicBool>,
    reader: Option<std::thread::JoinHandle<()>>,
    writer: Option<Box<dyn std::io::Write + Send>>,
    master: Option<Box<dyn MasterPty + Send>>,
    child: Box<dyn Child + Send + Sync>,
}

fn some(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

fn size(columns: u16, lines: u16) -> PtySize {
    PtySize { rows: lines, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Screen {
    /// Spawns this crate's program. The environment is empty but for what a terminal needs and `env`.
    pub(crate) fn pgmayday<A: AsRef<OsStr>>(
        at: (u16, u16),
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &str)],
    ) -> Self {
        Self::spawn(at, Path::new(env!("CARGO_BIN_EXE_pgmayday")), args, env)
    }

    /// Spawns any program.
    pub(crate) fn spawn<A: AsRef<OsStr>>(
        at: (u16, u16),
        program: &Path,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &str)],
    ) -> Self {
        let pty = native_pty_system().openpty(size(at.0, at.1)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("HOME", "/nonexistent")] {
            command.env(name, value);
        }
        for (name, value) in env {
            command.env(name, value);
        }
        command.cwd("/");
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(some(at.1), some(at.0), 0)));
        let hang_up = Arc::new(AtomicBool::new(false));
        let mut input = pty.master.try_clone_reader().unwrap();
        let (into, gone) = (Arc::clone(&parser), Arc::clone(&hang_up));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = input.read(&mut buffer) {
                into.lock().unwrap().process(&buffer[..count]);
                if gone.load(Ordering::Acquire) {
                    return;
                }
            }
        });
        let writer = Some(pty.master.take_writer().unwrap());
        Self { parser, hang_up, reader: Some(reader), writer, master: Some(pty.master), child }
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.parser.lock().unwrap().screen().contents()
    }

    /// Something about the terminal's state.
    pub(crate) fn state<T>(&self, ask: impl FnOnce(&vt100::Screen) -> T) -> T {
        ask(self.parser.lock().unwrap().screen())
    }

    /// Sends keys as a terminal does.
    pub(crate) fn send(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Waits for a text on the screen.
    pub(crate) fn wait(&self, text: &str) {
        self.wait_for(text, |screen| screen.contents().contains(text));
    }

    /// Waits for a text that work of a minute or two leads to.
    pub(crate) fn wait_long(&self, text: &str) {
        self.wait_within(6 * PATIENCE, text, |screen| screen.contents().contains(text));
    }

    /// Waits for anything about the screen.
    pub(crate) fn wait_for(&self, what: &str, there: impl Fn(&vt100::Screen) -> bool) {
        self.wait_within(PATIENCE, what, there);
    }

    fn wait_within(&self, limit: Duration, what: &str, there: impl Fn(&vt100::Screen) -> bool) {
        let begin = Instant::now();
        while !self.state(&there) {
            assert!(begin.elapsed() < limit, "'{what}' did not come; on the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the screen is as it was before the program took it, its cursor to be seen.
    pub(crate) fn wait_for_the_screen_before(&self) {
        self.wait_for("the screen before", |screen| !screen.alternate_screen() && !screen.hide_cursor());
    }

    /// Changes the terminal's size.
    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        self.parser.lock().unwrap().screen_mut().set_size(some(lines), some(columns));
        self.master.as_ref().unwrap().resize(size(columns, lines)).unwrap();
    }

    /// The program's process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.process_id().unwrap()).unwrap()).unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "the program does not end; on the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Takes the terminal away, as a lost connection does. The program must write something soon.
    pub(crate) fn hang_up(&mut self) {
        self.hang_up.store(true, Ordering::Release);
        self.reader.take().unwrap().join().unwrap();
        self.writer = None;
        self.master = None;
    }

    /// Processor time it has used, in clock ticks.
    pub(crate) fn ticks_used(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid().as_raw_nonzero())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Everything below a folder: every file's path, mode, change time and content.
pub(crate) fn tree(folder: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let mut all = String::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let meta = path.symlink_metadata().unwrap();
        writeln!(all, "{} {:o} {} {}", path.display(), meta.mode(), meta.len(), meta.mtime_nsec()).unwrap();
        if meta.is_dir() {
            all.push_str(&tree(&path));
        }
    }
    all
}
