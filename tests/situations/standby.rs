//! A real standby of the world's primary: made by `pg_basebackup`, started, made to lag, to part and to die.

use crate::cluster::{run, wait_for};
use crate::world::{BIN, STANDBY_PORT, World, postmaster, signal_family};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

impl World {
    pub(crate) fn standby_data(&self) -> PathBuf {
        self.cluster.path("standby")
    }

    /// Makes a standby that streams, with these further settings.
    pub(crate) fn add_standby(&mut self, settings: &str) {
        self.spoil();
        let home = self.cluster.path("");
        let mut basebackup = self.cluster.command(&Path::new(BIN).join("pg_basebackup"));
        basebackup.arg("-D").arg(self.standby_data()).args([
            "-U",
            "postgres",
            "-R",
            "-c",
            "fast",
            "-X",
            "stream",
            "--no-sync",
        ]);
        run(basebackup.arg("-h").arg(&home));
        let conf = self.standby_data().join("postgresql.conf");
        let text = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, format!("{text}\nport = {STANDBY_PORT}\nwal_receiver_status_interval = 1\nwal_retrieve_retry_interval = '200ms'\n{settings}\n")).unwrap();
        self.start_standby();
        self.name_standby();
        let streams = "select count(*) from pg_stat_replication where state = 'streaming'";
        wait_for("the standby streams", || self.cluster.ask(streams) == "1");
        let behind = "select count(*) from pg_stat_replication where flush_lsn = pg_current_wal_lsn()";
        wait_for("the standby has all", || self.cluster.ask(behind) == "1");
    }

    pub(crate) fn start_standby(&mut self) {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.cluster.path("standby.log")).unwrap();
        let mut server = self.cluster.command(&Path::new(BIN).join("postgres"));
        server.arg("-D").arg(self.standby_data());
        self.standby = Some(server.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        wait_for("the standby answers", || self.on_standby("select 1").as_deref() == Some("1"));
    }

    /// What the standby answers; nothing if it does not.
    pub(crate) fn on_standby(&self, sql: &str) -> Option<String> {
        let mut psql = self.cluster.psql(sql);
        let output = psql.arg("-p").arg(STANDBY_PORT.to_string()).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    pub(crate) fn stop_standby(&mut self) {
        if let Some(server) = self.standby.take() {
            self.cluster.stop_server(server);
        }
    }

    /// No more log comes to the standby, though it keeps its connection for a while.
    pub(crate) fn freeze_receiver(&self) {
        let postmaster = postmaster(&self.standby_data());
        let children = Command::new("ps")
            .args(["-o", "pid=,args=", "--ppid", &postmaster.to_string()])
            .output()
            .unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let receiver = children.lines().find(|line| line.contains("walreceiver")).unwrap();
        signal_family(receiver.split_whitespace().next().unwrap().parse().unwrap(), "STOP");
    }

    pub(crate) fn thaw_receiver(&self) {
        let postmaster = postmaster(&self.standby_data());
        signal_family(postmaster, "CONT");
    }

    pub(crate) fn promote_standby(&self) {
        assert_eq!(self.on_standby("select pg_promote(true, 30)").as_deref(), Some("t"));
    }
}
