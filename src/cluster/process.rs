//! Starting programs: the one home of [`std::process::Command`] in this room, and running one with a time limit.
//!
//! Never passes anything through a shell, never waits without end.

use super::ClusterError;
use crate::model::op::Cancel;
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The most that is kept of one output stream.
const OUTPUT_LIMIT_BYTES: u64 = 64 << 20;

/// Variables of libpq and of the server's tools: inherited, they would send a command to another cluster.
const POSTGRES_VARIABLES: [&str; 18] = [
    "PGDATA",
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGOPTIONS",
    "PGAPPNAME",
    "PGSSLMODE",
    "PGTZ",
    "PGDATESTYLE",
    "PGCLIENTENCODING",
    "PGTARGETSESSIONATTRS",
    "PGCONNECT_TIMEOUT",
];

/// A command without input, in a working directory everyone may enter, free of variables that would redirect
/// PostgreSQL's tools.
#[expect(clippy::disallowed_methods, reason = "the home of starting processes in this room")]
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).current_dir("/");
    for variable in POSTGRES_VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; nothing if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output, at most 64 MiB, invalid UTF-8 replaced.
    pub stdout: String,
    /// Its standard error, likewise.
    pub stderr: String,
}

impl Finished {
    /// True if it exited with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The last line of standard error that says something, or how it ended.
    pub fn complaint(&self) -> String {
        let line = self.stderr.lines().rev().find(|line| !line.trim().is_empty());
        match (line, self.code) {
            (Some(line), _) => line.trim().to_owned(),
            (None, Some(code)) => format!("exit code {code}"),
            (None, None) => "ended by a signal".to_owned(),
        }
    }
}

/// Runs a command to its end and gathers its output; kills it, and what it started in its process group, when
/// `limit` has passed.
pub fn run_limited(command: Command, limit: Duration) -> Result<Finished, ClusterError> {
    run_watched(command, limit, &|| false)
}

/// As [`run_limited`]; kills the command also when the operator cancels.
pub fn run_until(command: Command, limit: Duration, cancel: &Cancel) -> Result<Finished, ClusterError> {
    let finished = run_watched(command, limit, &|| cancel.requested());
    if finished.is_err() && cancel.requested() {
        return Err(ClusterError::Cancelled);
    }
    finished
}

fn run_watched(
    mut command: Command,
    limit: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<Finished, ClusterError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |why: String| ClusterError::Program { program: program.clone(), why };
    // A group of its own: a script's children must not outlive it with the pipes in their hands.
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let stdout = gather(child.stdout.take());
    let stderr = gather(child.stderr.take());
    let code = wait_limited(&mut child, limit, stop).map_err(|error| failed(error.to_string()))?;
    // A grandchild may hold a pipe open: what it may still say is not waited for.
    let text = |from: &mpsc::Receiver<Vec<u8>>| {
        String::from_utf8_lossy(&from.recv_timeout(Duration::from_secs(2)).unwrap_or_default()).into_owned()
    };
    match code {
        Some(code) => Ok(Finished { code: code.code(), stdout: text(&stdout), stderr: text(&stderr) }),
        None => Err(failed(format!("did not end within {} s and was stopped", limit.as_secs_f32()))),
    }
}

fn gather(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What was read before an error is still worth showing.
            drop(stream.take(OUTPUT_LIMIT_BYTES).read_to_end(&mut bytes));
        }
        drop(sender.send(bytes));
    });
    receiver
}

/// Waits for a child; after `limit`, or when told to stop, it is killed and reaped, and nothing is returned.
fn wait_limited(
    child: &mut Child,
    limit: Duration,
    stop: &dyn Fn() -> bool,
) -> std::io::Result<Option<std::process::ExitStatus>> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() >= limit || stop() {
            kill(child)?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Kills a child that was not reaped yet, with its whole group if it leads one: only then a group has its number.
fn kill(child: &mut Child) -> std::io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process_group};
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if group.is_some_and(|group| kill_process_group(group, Signal::KILL).is_ok()) {
        return Ok(());
    }
    child.kill()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_output_and_code() {
        let mut sh = command(Path::new("/bin/sh"));
        sh.args(["-c", "echo out; echo first >&2; echo why >&2; exit 7"]);
        let finished = run_limited(sh, Duration::from_secs(20)).unwrap();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(7), "out\n"));
        assert_eq!((finished.success(), finished.complaint().as_str()), (false, "why"));
    }

    #[test]
    fn a_cancel_ends_a_program_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let alive = dir.path().join("alive");
        let mut sh = command(Path::new("/bin/sh"));
        sh.arg("-c").arg(format!("(sleep 3; echo > {}) & wait", alive.display()));
        let cancel = Cancel::default();
        let began = Instant::now();
        let ended = std::thread::scope(|scope| {
            let run = scope.spawn(|| run_until(sh, Duration::from_secs(60), &cancel));
            std::thread::sleep(Duration::from_millis(300));
            cancel.request();
            run.join().unwrap()
        });
        assert!(matches!(ended, Err(ClusterError::Cancelled)), "{ended:?}");
        std::thread::sleep(Duration::from_secs(4).saturating_sub(began.elapsed()));
        assert!(!alive.exists());
    }

    #[test]
    fn stops_what_takes_too_long() {
        let mut sleep = command(Path::new("/bin/sleep"));
        sleep.arg("60");
        let began = Instant::now();
        let error = run_limited(sleep, Duration::from_millis(100)).unwrap_err().to_string();
        assert!(error.contains("did not end within 0.1 s"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(20));
        // The shell waits for its child, which would keep the pipe open for a minute.
        let mut script = command(Path::new("/bin/sh"));
        script.args(["-c", "sleep 60; true"]);
        run_limited(script, Duration::from_millis(100)).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(20));
        let missing =
            run_limited(command(Path::new("/no/such/program")), Duration::from_secs(1)).unwrap_err();
        assert!(missing.to_string().contains("/no/such/program: cannot be started"), "{missing}");
    }
}
