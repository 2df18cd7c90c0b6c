//! A real primary with two repositories, on request a real standby, and the program that looks at them.

use crate::cluster::{Cluster, STANZA, run, said, wait_for};
use crate::table::Row;
use pgmayday::cluster::running::{Running, look};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

pub(crate) const BIN: &str = "/usr/lib/postgresql/15/bin";
/// The port of the primary and that of the standby; sockets only.
pub(crate) const PORT: u16 = 5432;
pub(crate) const STANDBY_PORT: u16 = 5433;

/// How often at most everything is looked at where a probe ran out of time.
const MOST_LOOKS: usize = 5;

/// What is proposed to a question.
pub(crate) struct Proposed {
    /// The exit, or `unknown`.
    pub(crate) exit: String,
    /// The reason, and what was seen.
    pub(crate) why: String,
}

/// What is proposed, by question.
pub(crate) type Answers = BTreeMap<String, Proposed>;

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) standby: Option<Child>,
    /// What else runs and is to be ended with the world.
    pub(crate) others: Vec<Child>,
    /// Lines for `pgmayday.toml`, in the stanza's section and behind it.
    pub(crate) site: String,
    pub(crate) tables: String,
    /// It cannot be put back into its first state: the next situation gets another world.
    pub(crate) spoilt: bool,
    /// The log of the first server, where it is another than the cluster's.
    pub(crate) log: Option<PathBuf>,
    /// How often everything was looked at once more in this situation.
    pub(crate) asked_again: usize,
    expected: &'static [(&'static str, &'static str)],
    mounts: Vec<PathBuf>,
}

impl Drop for World {
    fn drop(&mut self) {
        for mut child in self.standby.take().into_iter().chain(self.others.drain(..)) {
            let pid = rustix::process::Pid::from_child(&child);
            for signal in [rustix::process::Signal::CONT, rustix::process::Signal::QUIT] {
                // An error means that it is gone already.
                let _gone = rustix::process::kill_process(pid, signal);
            }
            // A server ends at that; a client may have been started with the signal ignored.
            for _ in 0..100 {
                if !matches!(child.try_wait(), Ok(None)) {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            drop(child.kill());
            drop(child.wait());
        }
        for mount in self.mounts.drain(..) {
            drop(Command::new("umount").arg("-l").arg(mount).status());
        }
    }
}

impl World {
    /// A primary with checksums, a full backup in both repositories, and a monitor that says that all is right.
    pub(crate) fn make() -> Option<Self> {
        let mut cluster = Cluster::make("")?;
        cluster.stop();
        let checksums = Path::new(BIN).join("pg_checksums");
        run(cluster.command(&checksums).arg("--enable").arg("-D").arg(cluster.data()));
        let conf = cluster.data().join("postgresql.conf");
        let text = fs::read_to_string(&conf).unwrap();
        // A replication connection may come from anywhere below the folder's sockets.
        fs::write(
            &conf,
            format!(
                "{text}\nport = {PORT}\nhot_standby = on\nlog_timezone = 'UTC'\nwal_sender_timeout = '5s'\n"
            ),
        )
        .unwrap();
        cluster.give(&conf);
        cluster.start();
        cluster.ask("create table t (id int primary key, note text); insert into t select g, 'note ' || g from generate_series(1, 2000) g; checkpoint");
        cluster.archive_with(&cluster.archive_command(true));
        for repo in ["--repo=1", "--repo=2"] {
            run(&mut cluster.ours(&[repo, "--type=full", "backup"]));
        }
        let mut world = Self {
            cluster,
            standby: None,
            others: Vec::new(),
            site: String::new(),
            tables: String::new(),
            spoilt: false,
            log: None,
            asked_again: 0,
            expected: &[],
            mounts: Vec::new(),
        };
        world.monitor(true);
        Some(world)
    }

    /// Begins a situation.
    pub(crate) fn begin(&mut self, row: &Row) {
        (self.expected, self.asked_again) = (row.expected, 0);
    }

    /// The same world for the next situation, if nothing was done to it that lasts.
    pub(crate) fn restored(mut self) -> Option<Self> {
        if self.spoilt || self.standby.is_some() || !self.others.is_empty() || !self.mounts.is_empty() {
            return None;
        }
        (self.site, self.tables) = (String::new(), String::new());
        self.monitor(true);
        Some(self)
    }

    pub(crate) fn spoil(&mut self) {
        self.spoilt = true;
    }

    /// What the application's check says from now on.
    pub(crate) fn monitor(&mut self, right: bool) {
        let script = self.cluster.path("monitor");
        let text = format!("#!/bin/sh\necho '{{\"right\": {right}, \"why\": \"books do not agree\"}}'\n");
        fs::write(&script, text).unwrap();
        run(Command::new("chmod").arg("755").arg(&script));
    }

    /// No check of the application is configured.
    pub(crate) fn without_monitor(&mut self) {
        fs::remove_file(self.cluster.path("monitor")).unwrap();
    }

    fn write_site(&self) {
        let monitor = self.cluster.path("monitor");
        let mut text = format!(
            "[stanza.{STANZA}]\nlog = '{}'\n{}\n",
            self.log.clone().unwrap_or_else(|| self.cluster.path("server.log")).display(),
            self.site
        );
        if monitor.exists() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "[stanza.{STANZA}.hooks]\nmonitor = ['{}']", monitor.display());
        }
        text.push_str(&self.tables);
        fs::write(self.cluster.path("pgmayday.toml"), text).unwrap();
    }

    /// Names the standby's place, so that it is looked at.
    pub(crate) fn name_standby(&mut self) {
        let (home, log) = (self.cluster.path(""), self.cluster.path("standby.log"));
        self.name_member("standby", STANDBY_PORT, &home, &log);
    }

    /// Names a further server, whose data directory of its name is in the folder of its socket.
    pub(crate) fn name_member(&mut self, name: &str, port: u16, home: &Path, log: &Path) {
        let data = home.join(name);
        self.tables = format!(
            "[[stanza.{STANZA}.member]]\nname = '{name}'\nport = {port}\nsocket-dir = '{}'\n\
             data-dir = '{}'\nlog = '{}'\nuser = 'postgres'\n",
            home.display(),
            data.display(),
            log.display()
        );
    }

    /// What the program proposes, with these further arguments. On a busy machine a probe may run out of time, which is
    /// told as unknown: as an operator would, this looks again, a few times, and says so. A wrong answer stands.
    #[expect(clippy::unnecessary_wraps, reason = "what a row gives that could be made")]
    pub(crate) fn survey(&mut self, more: &[&str]) -> Option<Answers> {
        for _ in 1..MOST_LOOKS {
            let answers = self.look(more);
            let proposed = |question: &str| answers.get(question).map(|it| it.exit.as_str());
            let wrong = |(question, exit): &&(&str, &str)| {
                proposed(question).is_some_and(|proposed| ![*exit, "unknown"].contains(&proposed))
            };
            let open = |(question, exit): &&(&str, &str)| {
                *exit != "unknown" && proposed(question) == Some("unknown")
            };
            let again =
                self.expected.iter().find(open).filter(|_| !self.expected.iter().any(|it| wrong(&it)));
            let Some((question, _)) = again else { return Some(answers) };
            self.asked_again += 1;
            println!("          looked again for {question}: {}", answers[*question].why);
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        Some(self.look(more))
    }

    /// What the program proposes after one look.
    pub(crate) fn look(&self, more: &[&str]) -> Answers {
        self.write_site();
        let mut arguments = vec!["survey", "--output=json"];
        arguments.extend(more);
        let output = run(&mut self.cluster.ours(&arguments));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
        assert_eq!(document["schema"], "pgmayday.survey/1");
        let answers = document["questions"].as_array().unwrap().iter().map(|question| {
            let text = |name: &str| question[name].as_str().map(str::to_owned);
            let findings = question["findings"].as_array().unwrap();
            assert!(!findings.is_empty() || question["exit"].is_null(), "{question}");
            let seen: Vec<String> = findings
                .iter()
                .map(|finding| {
                    format!("{}: {}", finding["sign"].as_str().unwrap(), finding["text"].as_str().unwrap())
                })
                .collect();
            let why = format!("{} [{}]", text("reason").unwrap(), seen.join("; "));
            let exit = text("exit").unwrap_or_else(|| "unknown".to_owned());
            (text("question").unwrap(), Proposed { exit, why })
        });
        answers.collect()
    }

    /// The primary is killed as the system kills for memory: every process of it, at once.
    pub(crate) fn kill(&mut self) {
        self.spoil();
        if let Some(pid) = named(&self.cluster.data()) {
            signal_family(pid, "KILL");
        }
        // What the archiver started outlives it for a moment.
        let data = self.cluster.data();
        wait_for("nobody works there any more", || !matches!(look(&data), Ok(Running::Yes { .. })));
    }

    /// A tmpfs of this size in the place of a folder, with the folder's content; nothing where that is not allowed.
    pub(crate) fn mount(&mut self, folder: &Path, size: &str) -> Option<()> {
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).unwrap();
        fs::create_dir(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(folder)
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            fs::remove_dir(folder).unwrap();
            fs::rename(&aside, folder).unwrap();
            return None;
        }
        self.mounts.push(folder.to_owned());
        run(Command::new("cp").arg("-a").arg(aside.join(".")).arg(folder));
        self.cluster.give(folder);
        fs::remove_dir_all(&aside).unwrap();
        Some(())
    }

    /// A session that runs these statements and then sits there.
    pub(crate) fn session(&mut self, sql: &str) {
        use std::io::Write as _;
        let mut psql = self.cluster.psql("");
        let mut child =
            psql.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{sql}").unwrap();
        // It reads on until the pipe is closed, which is when it is ended.
        child.stdin = Some(stdin);
        self.others.push(child);
    }

    pub(crate) fn end_sessions(&mut self) {
        for mut child in self.others.drain(..) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The process that serves a data directory, as its lock file names it.
pub(crate) fn postmaster(data: &Path) -> u32 {
    named(data).unwrap()
}

/// The same; nothing where there is no lock file, or none that is whole.
pub(crate) fn named(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.parse().ok()
}

/// Sends a signal to a process and to its children.
pub(crate) fn signal_family(pid: u32, signal: &str) {
    let children = Command::new("ps").args(["-o", "pid=", "--ppid", &pid.to_string()]).output().unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(pid.to_string()).args(children.split_whitespace());
    // One that ended meanwhile is no failure.
    drop(kill.output());
}
