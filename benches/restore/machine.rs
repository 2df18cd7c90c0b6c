//! The machine the benchmark runs on: its folder, the user servers run as, and how a program is measured.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Everything here fails with a sentence.
pub(crate) type Outcome<T> = Result<T, String>;

/// One of the two programs compared.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
}

/// Where and as whom.
pub(crate) struct Machine {
    /// Everything the benchmark makes lies here.
    pub(crate) folder: PathBuf,
    /// PostgreSQL refuses root, so root becomes this user.
    user: Option<&'static str>,
}

/// What one run cost.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
    /// Largest sum of the peak resident sizes of all processes alive at a time.
    pub(crate) peak_bytes: u64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peak_mb = self.peak_bytes / 1_000_000;
        write!(
            f,
            "{:6.2} s wall  {:5.2} s user  {:5.2} s system  {peak_mb:4} MB peak",
            self.wall.as_secs_f64(),
            self.user_s,
            self.system_s
        )
    }
}

/// The value of an environment variable, if it is set.
#[expect(clippy::disallowed_methods, reason = "the benchmark's one reader of the environment")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The middle value.
pub(crate) fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted[sorted.len() / 2]
}

/// The run with the median wall time, with the largest memory of all.
pub(crate) fn typical(costs: &[Cost]) -> Cost {
    let mut sorted = costs.to_vec();
    sorted.sort_by_key(|cost| cost.wall);
    let peak_bytes = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or(0);
    Cost { peak_bytes, ..sorted[sorted.len() / 2] }
}

/// Names the file in an input or output error.
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}

impl Machine {
    /// Finds the folder and makes it the server user's. The folder must be open to that user, which a home
    /// directory of root is not: then it lies in `/var/tmp`.
    pub(crate) fn new() -> Outcome<Self> {
        let user = rustix::process::geteuid().is_root().then_some("postgres");
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
        let open = beside.ancestors().skip(1).filter(|above| above.exists()).all(|above| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::metadata(above).is_ok_and(|meta| meta.permissions().mode() & 0o005 == 0o005)
        });
        let folder = match setting("PGMAYDAY_BENCH_DIR") {
            Some(chosen) => chosen.into(),
            None if user.is_none() || open => beside,
            None => PathBuf::from("/var/tmp/pgmayday-bench"),
        };
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let machine = Self { folder, user };
        if let Some(user) = user {
            let mut chown = plain("chown");
            chown.arg(format!("{user}:")).arg(&machine.folder);
            run(&mut chown)?;
        }
        Ok(machine)
    }

    /// Copies a program to where the server user may execute it.
    pub(crate) fn install(&self, program: &Path) -> Outcome<PathBuf> {
        let there = self.path("bin-pgmayday");
        let mut install = plain("install");
        install.args(["-m", "755"]).arg(program).arg(&there);
        run(&mut install)?;
        Ok(there)
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command that will run as the server's user.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = match self.user {
            Some(user) => {
                let mut command = plain("setpriv");
                command.args([&format!("--reuid={user}"), &format!("--regid={user}")]);
                command.args(["--init-groups", "--"]).arg(program.as_ref());
                command
            }
            None => plain(program.as_ref()),
        };
        command.current_dir(&self.folder).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command
    }

    /// Removes and makes anew a folder of the benchmark.
    #[expect(clippy::disallowed_methods, reason = "only ever a named folder of the benchmark's own")]
    pub(crate) fn fresh(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.path(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(at(&path))?;
        }
        run(self.command("mkdir").arg("-m").arg("700").arg(&path))?;
        Ok(path)
    }

    /// Runs a command to its end and says what it cost. Dirty pages of earlier runs are written out first.
    pub(crate) fn measured(&self, command: &Command) -> Outcome<Cost> {
        rustix::fs::sync();
        let log = self.path("stderr.log");
        let cpu_log = self.path("cpu.log");
        let mut timed = plain("bash");
        timed.args(["-c", r#"TIMEFORMAT='%U %S'; { time "$@" 2>"$0"; } 2>cpu.log"#]).arg(&log);
        timed.arg(command.get_program()).args(command.get_args());
        timed.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        timed.current_dir(&self.folder).stdout(Stdio::null()).stdin(Stdio::null());
        let began = Instant::now();
        let mut child = timed.spawn().map_err(|error| format!("bash: {error}"))?;
        let mut peak_bytes = 0;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            peak_bytes = descendants_bytes(child.id()).max(peak_bytes);
            std::thread::sleep(Duration::from_millis(10));
        };
        let wall = began.elapsed();
        if !status.success() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("{command:?}: {status}\n{said}"));
        }
        let text = fs::read_to_string(&cpu_log).map_err(at(&cpu_log))?;
        let mut seconds = text.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
        let mut next = || seconds.next().ok_or_else(|| format!("no times in {text:?}"));
        Ok(Cost { wall, user_s: next()?, system_s: next()?, peak_bytes })
    }
}

/// A command as this user.
#[expect(clippy::disallowed_methods, reason = "the benchmark's one home of processes")]
pub(crate) fn plain(program: impl AsRef<Path>) -> Command {
    Command::new(program.as_ref())
}

/// Runs a command that must succeed and gives what it printed.
pub(crate) fn run(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}

/// Runs a command that must succeed, with its output (a server keeps it open) in a file.
pub(crate) fn run_detached(command: &mut Command, log: &Path) -> Outcome<()> {
    let file = File::create(log).map_err(at(log))?;
    let other = file.try_clone().map_err(at(log))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(other)
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {status}\n{}", fs::read_to_string(log).unwrap_or_default()))
}

/// The sum of the largest resident sizes so far of all processes below `pid`. The kernel keeps the high-water mark, so sampling
/// misses only what happens in the last moment of a process.
fn descendants_bytes(pid: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let children =
        |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    let mut bytes = 0;
    for children in threads.flatten().map(children) {
        for child in children.split_whitespace().filter_map(|word| word.parse().ok()) {
            bytes += high_water_bytes(child).unwrap_or(0) + descendants_bytes(child);
        }
    }
    bytes
}

fn high_water_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
