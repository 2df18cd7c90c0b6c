//! A lab in a folder of its own, and the program on its configuration; it is taken down in the end.

use crate::harness::Screen;
use pgmayday::cluster::binaries::Search;
use pgmayday::cluster::owner::is_root;
use pgmayday::lab::programs::find_postgres;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) const SIZE: (u16, u16) = (80, 24);

/// The program; another one that `PGMAYDAY_TEST_BIN` names, so that a long run survives a build.
pub(crate) fn program() -> String {
    std::env::var("PGMAYDAY_TEST_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_pgmayday").to_owned())
}

/// A folder every account may enter; a lab that is left in it is taken down.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    /// Nothing where servers are missing and not required.
    pub(crate) fn new() -> Option<Self> {
        if let Err(error) = find_postgres(&Search::new(None, std::env::var_os("PATH").as_deref())) {
            assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "servers are required here: {error}");
            eprintln!("skipped: {error}");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("pgm-flight").tempdir_in("/var/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self(folder))
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.0.path().join("lab")
    }

    pub(crate) fn lab(&self, words: &[&str]) -> Output {
        Command::new(program()).arg("lab").args(words).arg("--dir").arg(self.dir()).output().unwrap()
    }

    /// The program on the lab's configuration, as the account that owns the lab.
    pub(crate) fn command(&self, words: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        if is_root() {
            all.extend(
                ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"].map(str::to_owned),
            );
        }
        let config = self.dir().join("pgbackrest.conf");
        all.extend([program(), format!("--config={}", config.display()), "--stanza=lab".to_owned()]);
        all.extend(words.iter().map(|&word| word.to_owned()));
        all
    }

    pub(crate) fn console(&self) -> Screen {
        let command = self.command(&[]);
        let program = if is_root() { "/usr/bin/setpriv".to_owned() } else { program() };
        Screen::spawn(SIZE, Path::new(&program), &command[1..], &[])
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let output = self.said(&[words, &["--output=json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{words:?}: {error}\n{text}{}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// The one operation there is.
    pub(crate) fn operation(&self) -> Value {
        self.json(&["board"])["facts"]["operations"][0].clone()
    }

    /// Waits until the operation is so.
    pub(crate) fn wait_operation(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let operation = self.operation();
            if so(&operation) {
                return operation;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{what} did not come: {operation}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.dir().join("lab.json").exists() {
            drop(self.lab(&["down"]));
        }
    }
}

impl Place {
    /// A lab whose application has just been hurt by a bad update.
    pub(crate) fn hurt() -> Option<Self> {
        let place = Self::new()?;
        let up = place.lab(&["up"]);
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        std::thread::sleep(Duration::from_secs(2));
        assert!(place.lab(&["break", "bad-update"]).status.success());
        Some(place)
    }

    /// What the program says on the lab's configuration.
    pub(crate) fn said(&self, words: &[&str]) -> Output {
        self.said_with(words, &[])
    }

    /// The same with these variables.
    pub(crate) fn said_with(&self, words: &[&str], env: &[(&str, &str)]) -> Output {
        let command = self.command(words);
        let mut call = Command::new(&command[0]);
        call.args(&command[1..]).current_dir("/").envs(env.iter().copied()).output().unwrap()
    }
}
