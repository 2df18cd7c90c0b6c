//! One restore target with its configuration and its own state directory, and the program run on it.

use crate::fixtures::Fixture;
use pgmayday::base::Timestamp;
use pgmayday::base::state::{OpId, StateDir};
use pgmayday::model::op::{Life, Snapshot, Spec, StepStatus};
use pgmayday::recovery::supervisor::Supervisor;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run of the program came to.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }
}

/// Waits for something.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

pub(crate) struct Home {
    fixture: Fixture,
    config: PathBuf,
}

impl Home {
    pub(crate) fn new(fixture: &str) -> Self {
        let fixture = Fixture::open(fixture);
        let config = fixture.config(&fixture.path("data"));
        let home = Self { fixture, config };
        home.fresh();
        home
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.fixture.path("data")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.fixture.path("state")
    }

    pub(crate) fn state_dir(&self) -> StateDir {
        StateDir::at(self.state())
    }

    /// Makes the target empty again.
    pub(crate) fn fresh(&self) {
        for folder in [self.data(), self.fixture.path("ts")] {
            if folder.exists() {
                fs::remove_dir_all(&folder).unwrap();
            }
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    /// The arguments of a restore.
    pub(crate) fn restore(&self, more: &[&str]) -> Vec<String> {
        let kind =
            if more.iter().any(|word| word.starts_with("--type")) { None } else { Some("--type=immediate") };
        let config = format!("--config={}", self.config.display());
        let stanza = format!("--stanza={}", self.fixture.stanza);
        let tablespaces = format!("--tablespace-map-all={}", self.fixture.path("ts").display());
        let fixed = ["restore", &config, &stanza, &tablespaces, "--archive-mode=off", "--process-max=1"];
        fixed.into_iter().chain(kind).chain(more.iter().copied()).map(str::to_owned).collect()
    }

    /// The restore as an operation.
    pub(crate) fn spec(&self) -> Spec {
        Spec {
            schema: Spec::SCHEMA.to_owned(),
            id: OpId::new("restore", Timestamp::now()).unwrap(),
            stanza: self.fixture.stanza.clone(),
            summary: "restore".to_owned(),
            arguments: self.restore(&[]),
            working_dir: PathBuf::from("/"),
            environment: Vec::new(),
            by: "tester".to_owned(),
            plan: None,
            incident: None,
            asks: false,
            forecast: None,
        }
    }

    pub(crate) fn command(&self, args: &[impl AsRef<std::ffi::OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgmayday"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("PGBACKREST_") || text.starts_with("PGMAYDAY_") {
                command.env_remove(&name);
            }
        }
        command.args(args).env("PGMAYDAY_STATE", self.state()).env("TZ", "UTC");
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[impl AsRef<std::ffi::OsStr>]) -> Run {
        Run::of(&mut self.command(args))
    }

    /// Starts a restore as an operation.
    pub(crate) fn detach(&self) -> OpId {
        self.run(&self.restore(&["--detach"])).ok().out.trim().parse().unwrap()
    }

    /// Starts a restore and stops its worker in the middle of the copying.
    pub(crate) fn detached_in_copy(&self) -> (OpId, u32) {
        for _ in 0..5 {
            let id = self.detach();
            if let Some(pid) = self.stop_in_copy(&id) {
                return (id, pid);
            }
            self.fresh();
            fs::remove_dir_all(self.state()).unwrap();
        }
        panic!("the restore was too fast five times");
    }

    /// Stops the worker of an operation in the middle of the copying; nothing if it was too fast.
    pub(crate) fn stop_in_copy(&self, id: &OpId) -> Option<u32> {
        let copies = |snapshot: &Snapshot| {
            let copying = |status: &StepStatus| matches!(status, StepStatus::Running { .. });
            snapshot.state.steps.iter().any(|step| step.name == "copy" && copying(&step.status))
        };
        let mut follower = self.supervisor().follow(id).unwrap();
        let mut snapshot = follower.poll().unwrap();
        until("it copies", || {
            snapshot = follower.poll().unwrap();
            copies(&snapshot) || snapshot.life == Life::Ended
        });
        let Life::Running { pid } = snapshot.life else { return None };
        signal(pid, Signal::STOP);
        let snapshot = follower.poll().unwrap();
        copies(&snapshot).then_some(pid)
    }

    pub(crate) fn supervisor(&self) -> Supervisor {
        Supervisor::new(self.state_dir(), env!("CARGO_BIN_EXE_pgmayday"))
    }

    pub(crate) fn snapshot(&self, id: &OpId) -> Snapshot {
        self.supervisor().follow(id).unwrap().poll().unwrap()
    }

    /// The data directory: mode and content by path. Comments of the settings file are left out: one has the time.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut tree = BTreeMap::new();
        list(&self.data(), &self.data(), &mut tree);
        list(&self.fixture.path("ts"), &self.fixture.path("ts"), &mut tree);
        if let Some((_, content)) = tree.get_mut(Path::new("postgresql.auto.conf")) {
            let text = String::from_utf8(std::mem::take(content)).unwrap();
            *content =
                text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n").into();
        }
        tree
    }

    /// Takes the passphrase out of the configuration; gives it.
    pub(crate) fn move_passphrase_out(&self) -> String {
        let text = fs::read_to_string(&self.config).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !line.contains("cipher-pass")).collect();
        fs::write(&self.config, kept.join("\n")).unwrap();
        self.fixture.cipher_pass.clone().unwrap()
    }
}

fn list(root: &Path, folder: &Path, into: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        into.insert(path.strip_prefix(root).unwrap().to_owned(), (meta.mode(), content));
        if meta.is_dir() {
            list(root, &path, into);
        }
    }
}
