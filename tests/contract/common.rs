//! What all contract tests share: who runs, where, the program under test, and one prepared restore target per case.

pub(crate) mod edit;
pub(crate) mod fixture;
pub(crate) mod random;
pub(crate) mod servers;
pub(crate) mod tree;

use fixture::Fixture;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The user that owns clusters and repositories in the tests; PostgreSQL refuses root.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The tests run as root and must change to this user.
    pub(crate) dropped: bool,
}

/// The user of this run.
pub(crate) fn user() -> &'static User {
    static USER: OnceLock<User> = OnceLock::new();
    USER.get_or_init(|| {
        let root = rustix::process::geteuid().is_root();
        let name = if root {
            std::env::var("PGMAYDAY_TEST_USER").unwrap_or_else(|_| "postgres".to_owned())
        } else {
            id("-un", None)
        };
        let number = |flag| id(flag, Some(&name)).parse().unwrap();
        User { uid: number("-u"), gid: number("-g"), name, dropped: root }
    })
}

fn id(flag: &str, name: Option<&str>) -> String {
    let output = Command::new("id").arg(flag).args(name).output().unwrap();
    assert!(output.status.success(), "`id {flag} {name:?}`: is that user known here?");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A program run as [`user`], in a neutral environment.
pub(crate) fn as_user(program: impl AsRef<OsStr>) -> Command {
    let mut command = if user().dropped {
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={}", user().uid))
            .arg(format!("--regid={}", user().gid))
            .arg("--init-groups")
            .arg("--")
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    neutral(&mut command);
    command
}

/// Takes away what the caller's environment could change, from pgBackRest's options to the time zone.
pub(crate) fn neutral(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["PGBACKREST_", "PGMAYDAY_", "PG"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.env("TZ", "UTC").env("LC_ALL", "C.UTF-8").current_dir("/").stdin(Stdio::null());
}

/// Runs a command that must succeed; gives what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, both(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A folder below the target directory that [`user`] can reach and write, or one in /var/tmp for a checkout below /root.
pub(crate) fn work_root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let candidates = [Path::new(env!("CARGO_TARGET_TMPDIR")), Path::new("/var/tmp/pgmayday-tests")];
        let roots = candidates.map(|base| base.join(format!("contract-{}", user().uid)));
        let usable = |root: &PathBuf| {
            fs::create_dir_all(root).is_ok()
                && (!user().dropped
                    || std::os::unix::fs::chown(root, Some(user().uid), Some(user().gid)).is_ok())
                && as_user("test").arg("-w").arg(root).status().is_ok_and(|status| status.success())
        };
        roots.into_iter().find(usable).expect("a folder the test user can write")
    })
}

/// Gives a tree to [`user`].
pub(crate) fn give(path: &Path) {
    if user().dropped {
        run(Command::new("chown").arg("-R").arg(format!("{}:{}", user().uid, user().gid)).arg(path));
    }
}

/// An empty folder of the user's, removed at the end.
pub(crate) fn scratch(prefix: &str) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(work_root()).unwrap();
    give(dir.path());
    dir
}

/// The program under test, at a path the user can execute.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = std::env::var_os("PGMAYDAY_TEST_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_pgmayday")), PathBuf::from);
        if as_user("test").arg("-x").arg(&built).status().unwrap().success() {
            return built;
        }
        let meta = fs::metadata(&built).unwrap();
        let copy = work_root().join(format!("pgmayday-{}-{}", meta.len(), meta.mtime()));
        if !copy.exists() {
            let new = copy.with_extension(std::process::id().to_string());
            fs::copy(&built, &new).unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(new, &copy).unwrap();
        }
        copy
    })
}

/// True if real pgBackRest stands in for the program, to check the suite itself.
pub(crate) fn stand_in() -> bool {
    program().file_name().is_some_and(|name| name.to_string_lossy().starts_with("pgbackrest"))
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) command: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// Runs to the end and never lets a panic of the program pass.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let run = Self {
            command: format!("{command:?}"),
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        assert!(!run.err.contains("panicked at") && run.code.is_some(), "{run}");
        run
    }

    /// Everything it said.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// It must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// It must have failed with one of these exit codes (pgBackRest as stand-in: with any).
    #[track_caller]
    pub(crate) fn refused(self, codes: &[i32]) -> Self {
        let code = self.code.unwrap();
        assert!(
            codes.contains(&code) || (stand_in() && code != 0),
            "exit {code} is not one of {codes:?}\n{self}"
        );
        self
    }

    /// It must have said all of this.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(stand_in() || self.text().contains(word), "`{word}` is not said\n{self}");
        }
        self
    }

    /// It must have said at least one of these.
    #[track_caller]
    pub(crate) fn says_any(self, words: &[&str]) -> Self {
        assert!(
            stand_in() || words.iter().any(|word| self.text().contains(word)),
            "none of {words:?} is said\n{self}"
        );
        self
    }

    /// What it printed with `--output=json`.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nexit {:?}\n--- stdout\n{}--- stderr\n{}", self.command, self.code, self.out, self.err)
    }
}

/// One restore target with its own configuration; gone when dropped.
#[derive(Debug)]
pub(crate) struct Case {
    home: tempfile::TempDir,
    /// Where the repository lies; shared with other cases unless it is a copy.
    pub(crate) repo: PathBuf,
    pub(crate) stanza: String,
}

impl Case {
    /// A case on the shared, read-only repository of a fixture.
    pub(crate) fn new(fixture: &Fixture) -> Self {
        Self::on(&fixture.dir.join("repo"), &fixture.stanza, &fixture.template())
    }

    /// A case on its own copy of a fixture's repository, to be damaged.
    pub(crate) fn on_copy(fixture: &Fixture) -> Self {
        let mut case = Self::new(fixture);
        case.repo = case.path("repo");
        run(as_user("cp").args(["-a", "--reflink=auto"]).arg(fixture.dir.join("repo")).arg(&case.repo));
        case.configure(&fixture.template());
        case
    }

    /// A case on any repository; the template's `@…@` are replaced.
    pub(crate) fn on(repo: &Path, stanza: &str, template: &str) -> Self {
        let case = Self { home: scratch("case-"), repo: repo.to_owned(), stanza: stanza.to_owned() };
        for name in ["lock", "log", "spool", "state", "restore", "restore/ts"] {
            fs::create_dir(case.path(name)).unwrap();
        }
        case.configure(template);
        give(case.home.path());
        case.fresh();
        case
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, template: &str) {
        let mut text = template.replace("@REPO1@", self.repo.to_str().unwrap());
        for (mark, name) in
            [("@LOCK@", "lock"), ("@LOG@", "log"), ("@SPOOL@", "spool"), ("@PGDATA@", "restore/pgdata")]
        {
            text = text.replace(mark, self.path(name).to_str().unwrap());
        }
        fs::write(self.path("pgbackrest.conf"), text).unwrap();
        give(&self.path("pgbackrest.conf"));
    }

    /// The case's own folder.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path in the case's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The folder that holds `pgdata` and `ts`.
    pub(crate) fn dest(&self) -> PathBuf {
        self.path("restore")
    }

    /// The data directory.
    pub(crate) fn pgdata(&self) -> PathBuf {
        self.path("restore/pgdata")
    }

    /// Makes the target empty again.
    pub(crate) fn fresh(&self) {
        for name in ["restore/pgdata", "restore/ts"] {
            let path = self.path(name);
            if path.exists() {
                fs::remove_dir_all(&path).unwrap();
            }
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            give(&path);
        }
    }

    /// The program with this case's configuration, as the user, ready for more arguments.
    pub(crate) fn command(&self, name: &str) -> Command {
        self.configured(as_user(program()), name)
    }

    /// The same on a command prepared by the caller.
    pub(crate) fn configured(&self, mut command: Command, name: &str) -> Command {
        command
            .arg(format!("--config={}", self.path("pgbackrest.conf").display()))
            .arg(format!("--stanza={}", self.stanza));
        command.arg(name).env("PGMAYDAY_STATE", self.path("state"));
        command
    }

    /// A restore with every tablespace below the target; nothing else is decided here.
    pub(crate) fn restore_command(&self) -> Command {
        let mut command = self.command("restore");
        command.arg(format!("--tablespace-map-all={}", self.path("restore/ts").display()));
        command
    }

    /// Runs a restore with the given options.
    pub(crate) fn restore(&self, options: &[impl AsRef<OsStr>]) -> Run {
        Run::of(self.restore_command().args(options))
    }

    /// The target was not touched.
    #[track_caller]
    pub(crate) fn assert_untouched(&self, run: &Run) {
        let left = tree::list(&self.dest());
        assert!(
            left.is_empty() || stand_in(),
            "refused, yet it wrote {:?}\n{run}",
            left.keys().take(5).collect::<Vec<_>>()
        );
    }

    /// A failed restore leaves nothing that could start.
    #[track_caller]
    pub(crate) fn assert_cannot_start(&self, run: &Run) {
        assert!(
            !self.pgdata().join("global/pg_control").exists(),
            "a failed restore left a pg_control\n{run}"
        );
    }
}
