//! A real primary with two repositories, on request a real standby, and the program that looks at them.

use crate::cluster::{Cluster, STANZA, run, said, wait_for};
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

/// What is proposed: exit and reason by question.
pub(crate) type Answers = BTreeMap<String, (String, String)>;

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
            mounts: Vec::new(),
        };
        world.monitor(true);
        Some(world)
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
            self.cluster.path("server.log").display(),
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
        let home = self.cluster.path("");
        let home = home.display();
        self.tables = format!(
            "[[stanza.{STANZA}.member]]\nname = 'standby'\nport = {STANDBY_PORT}\nsocket-dir = '{home}'\n\
             data-dir = '{home}standby'\nlog = '{home}standby.log'\nuser = 'postgres'\n"
        );
    }

    /// What the program proposes, with these further arguments.
    #[expect(clippy::unnecessary_wraps, reason = "what a row gives that could be made")]
    pub(crate) fn survey(&self, more: &[&str]) -> Option<Answers> {
        self.write_site();
        let mut arguments = vec!["survey", "--output=json"];
        arguments.extend(more);
        let output = run(&mut self.cluster.ours(&arguments));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
        assert_eq!(document["schema"], "pgmayday.survey/1");
        let answers = document["questions"].as_array().unwrap().iter().map(|question| {
            let text = |name: &str| question[name].as_str().map(str::to_owned);
            assert!(
                !question["findings"].as_array().unwrap().is_empty() || question["exit"].is_null(),
                "{question}"
            );
            let why = format!("{} {:#}", text("reason").unwrap(), question["findings"]);
            (text("question").unwrap(), (text("exit").unwrap_or_else(|| "unknown".to_owned()), why))
        });
        Some(answers.collect())
    }

    /// The primary is killed as the system kills for memory: every process of it, at once.
    pub(crate) fn kill(&mut self) {
        let pid = postmaster(&self.cluster.data());
        self.spoil();
        signal_family(pid, "KILL");
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
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
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
