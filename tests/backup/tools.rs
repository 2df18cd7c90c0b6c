//! What the tests of backups share: stanzas that are ready, runs in the background, moments to strike at, and what stands
//! in the repository.

use crate::peer::archive_command;
use crate::yard::{Run, STANZA, Yard};
use pgmayday::cluster::binaries::Binaries;
use pgmayday::engine::locks::{LockFolder, Work};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A passphrase.
pub(crate) const AES: &str = "Geheim+Passwort/4711";
/// An archiver that pgBackRest and we let pass and that never archives.
pub(crate) const NEVER: &str = "/bin/false pgbackrest";
/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running cluster with its stanza, which archives with this program. `more` goes into `[global]`.
pub(crate) fn ready(binaries: &Binaries, cipher: &str, more: &str) -> Yard {
    ready_with(binaries, cipher, more, "")
}

/// The same with further lines of `postgresql.conf`.
pub(crate) fn ready_with(binaries: &Binaries, cipher: &str, more: &str, settings: &str) -> Yard {
    let yard = Yard::new(binaries, &[cipher]);
    yard.configure(&[cipher], "pg", more);
    yard.settings("pg", &archive_command(&yard), settings);
    yard.start("pg");
    yard.pgmayday(&["stanza-create"]).exits(0, &[]);
    yard
}

/// A backup by this program; what it said as JSON.
#[track_caller]
pub(crate) fn backup(yard: &Yard, words: &[&str]) -> Value {
    let words: Vec<&str> = ["backup", "--output=json"].into_iter().chain(words.iter().copied()).collect();
    yard.pgmayday(&words).exits(0, &[]).json()
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come in {} s", PATIENCE.as_secs());
        sleep(Duration::from_millis(5));
    }
}

/// Waits until the settings file is in force.
#[track_caller]
pub(crate) fn reload(yard: &Yard, shows: &str, expected: &str) {
    yard.ask("select pg_reload_conf()");
    wait_until(shows, || yard.ask(&format!("show {shows}")) == expected);
}

/// A program in the background; ended when dropped.
pub(crate) struct Running {
    child: Option<Child>,
    command: Command,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child: Some(child), command }
    }

    /// This program on the stanza.
    pub(crate) fn pgmayday(yard: &Yard, words: &[&str]) -> Self {
        let mut command = yard.pgmayday_command();
        command.arg(format!("--stanza={STANZA}")).args(words);
        Self::start(command)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().unwrap());
        // An error means that it has ended already.
        let _gone = kill_process(pid, signal);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Run {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        Run::came_to(&self.command, &output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A backup that was stopped by a signal just when it began to copy: what was listed may now be changed.
pub(crate) fn stopped_in_copy(yard: &Yard, words: &[&str]) -> Running {
    let before = label_folders(yard);
    let mut running = Running::pgmayday(
        yard,
        &["backup", "--output=json"].into_iter().chain(words.iter().copied()).collect::<Vec<_>>(),
    );
    let begun = Instant::now();
    loop {
        let new = label_folders(yard).into_iter().find(|folder| !before.contains(folder));
        if new.is_some_and(|folder| folder.join("backup.manifest.copy").exists()) {
            running.signal(Signal::STOP);
            return running;
        }
        if running.has_ended() {
            let run = running.end();
            panic!("it ended before it copied: {run}");
        }
        assert!(begun.elapsed() < PATIENCE, "no backup began");
        sleep(Duration::from_micros(500));
    }
}

/// The locks of the yard.
pub(crate) fn locks(yard: &Yard) -> LockFolder {
    LockFolder(yard.path("lock"))
}

/// True while somebody holds the lock of backups.
pub(crate) fn is_locked(yard: &Yard) -> bool {
    let locks = locks(yard);
    locks.of_stanza(STANZA, Work::Backup).held || locks.of_repo(STANZA, Work::Backup, 1).held
}

/// Folders of backups, finished or not.
pub(crate) fn label_folders(yard: &Yard) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(yard.path("repo1/backup/main")) else { return Vec::new() };
    let folders = entries.map(|entry| entry.unwrap()).filter(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name.starts_with("20") && !entry.file_type().unwrap().is_symlink()
    });
    let mut folders: Vec<_> = folders.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// A file as the filesystem knows it: inode, time of its content, size.
pub(crate) type Seen = (u64, (i64, i64), u64);

/// All files below a folder, by path; what vanishes meanwhile is left out.
pub(crate) fn files(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            let Ok(meta) = entry.path().symlink_metadata() else { continue };
            if meta.is_dir() {
                pending.push(entry.path());
            } else if meta.is_file() {
                found.insert(entry.path(), (meta.ino(), (meta.mtime(), meta.mtime_nsec()), meta.len()));
            }
        }
    }
    found
}

/// The labels this program and pgBackRest list, which must be the same.
#[track_caller]
pub(crate) fn listed(yard: &Yard) -> Vec<String> {
    let ours = info(&yard.pgmayday(&["info", "--output=json"]).exits(0, &[]));
    let theirs = info(&yard.pgbackrest(&["info", "--output=json", "--log-level-console=off"]).exits(0, &[]));
    let labels = |backups: &[Value]| -> Vec<String> {
        backups.iter().map(|backup| backup["label"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(labels(&ours), labels(&theirs));
    labels(&ours)
}

/// The backups in what `info` printed.
#[track_caller]
pub(crate) fn info(run: &Run) -> Vec<Value> {
    run.json()[0]["backup"].as_array().unwrap_or_else(|| panic!("no backups: {run}")).clone()
}

/// A file of the repository, decrypted by pgBackRest.
#[track_caller]
pub(crate) fn stored_text(yard: &Yard, path: &str) -> String {
    yard.pgbackrest(&["repo-get", &format!("backup/main/{path}"), "--log-level-console=off"])
        .exits(0, &[])
        .out
}

/// The lines of a section of an info file: key and value.
pub(crate) fn section(text: &str, name: &str) -> BTreeMap<String, Value> {
    let heading = format!("[{name}]");
    let lines =
        text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with('['));
    let split = |line: &str| {
        // A file's name may hold `=`; its value begins with a brace.
        let at = line.find("={").or_else(|| line.find('='))?;
        Some((line[..at].to_owned(), serde_json::from_str(&line[at + 1..]).unwrap()))
    };
    lines.filter_map(split).collect()
}

/// The files in the manifest of a backup.
#[track_caller]
pub(crate) fn manifest_files(yard: &Yard, label: &str) -> BTreeMap<String, Value> {
    section(&stored_text(yard, &format!("{label}/backup.manifest")), "target:file")
}

/// Where a relation of the database `postgres` is, below the data directory.
pub(crate) fn place_of(yard: &Yard, relation: &str) -> String {
    yard.ask(&format!("select pg_relation_filepath('{relation}')"))
}
