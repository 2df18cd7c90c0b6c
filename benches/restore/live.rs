//! A running cluster that archives, and for each tool a repository of its own to write to.
//!
//! The cluster is the repository's, restored; what is changed in it is kept, so every run backs up another content.

use crate::Setup;
use crate::machine::{Outcome, Tool, at, plain, run};
use crate::repository::{PASSPHRASE, Repository, SERVER_PORT, Server};
use crate::restore::restore_command;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long archiving may take to catch up.
const LIMIT: Duration = Duration::from_secs(300);

/// The running cluster.
pub(crate) struct Live<'a> {
    setup: &'a Setup,
    server: Server<'a>,
    /// Its data directory.
    pub(crate) data: PathBuf,
}

impl<'a> Live<'a> {
    /// Restores the cluster and starts it.
    pub(crate) fn start(setup: &'a Setup, repository: &Repository) -> Outcome<Self> {
        let data = setup.machine.fresh("live")?;
        run(&mut restore_command(setup, repository, &setup.tools[1], &data))?;
        let options = "-c archive_mode=on -c max_wal_size=4GB -c checkpoint_timeout=1h";
        let server = Server::started(setup, &data, options)?;
        let live = Self { setup, server, data };
        live.archive_by("true")?;
        Ok(live)
    }

    /// What archives from now on; returns when it is in force and nothing waits for the one before.
    pub(crate) fn archive_by(&self, command: &str) -> Outcome<()> {
        self.server.sql(&format!("alter system set archive_command = '{command}'"))?;
        self.server.sql("select pg_reload_conf()")?;
        let last = self.server.sql("select pg_walfile_name(pg_switch_wal())")?;
        let began = Instant::now();
        // What was archived last may be a file of a backup, which says nothing of the segments.
        let waits = format!("select count(*) from pg_ls_archive_statusdir() where name = '{last}.ready'");
        while self.server.sql(&waits)? != "0" {
            if began.elapsed() > LIMIT {
                return Err(format!("{last} was not archived by '{command}'; see postgres.log"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Changes one row on every hundredth page of every large table; another page in each run.
    pub(crate) fn change_one_percent(&self, run: usize) -> Outcome<()> {
        self.archive_by("true")?;
        let tables = self.server.sql(
            "select string_agg(relname, ' ') from pg_class where relkind = 'r' and relname like 'event\\_%'",
        )?;
        for table in tables.split_whitespace() {
            self.server.sql(&format!(
                "update {table} set cents = cents + 1 where ctid in \
                 (select format('(%s,1)', page)::tid from generate_series({run}, \
                 pg_relation_size('{table}') / 8192 - 1, 100) page)"
            ))?;
        }
        self.server.sql("checkpoint").map(drop)
    }

    /// Stops it.
    pub(crate) fn stop(self) -> Outcome<()> {
        self.archive_by("true")?;
        self.server.stop("fast")
    }

    /// A new repository for a tool, to which the cluster archives from now on.
    pub(crate) fn own_repository(&self, tool: &Tool) -> Outcome<Own> {
        let own = Own::fresh(self.setup, tool, &self.data, "")?;
        run(own.command(self.setup, tool).arg("stanza-create"))?;
        Ok(own)
    }

    /// Lets a tool archive to its repository.
    pub(crate) fn archive_to(&self, own: &Own, tool: &Tool) -> Outcome<()> {
        let (program, config) = (tool.program.display(), own.config.display());
        self.archive_by(&format!("{program} --config={config} --stanza=bench archive-push %p"))
    }
}

/// A repository that one tool writes to.
pub(crate) struct Own {
    /// The configuration that names it.
    pub(crate) config: PathBuf,
}

impl Own {
    /// An empty one for the cluster in `data`; `more` are further lines of the configuration.
    pub(crate) fn fresh(setup: &Setup, tool: &Tool, data: &Path, more: &str) -> Outcome<Self> {
        let machine = &setup.machine;
        let repo = machine.fresh(&format!("own-{}", tool.name))?;
        // PostgreSQL's archive_command must bear pgBackRest's name, or its `backup` refuses.
        let config = machine.path(&format!("pgbackrest-own-{}.conf", tool.name));
        let folder = machine.folder.display();
        let block = if blocks(setup)? { "repo1-block=y\n" } else { "" };
        let text = format!(
            "[global]\nrepo1-path={}\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass={PASSPHRASE}\n\
             repo1-bundle=y\n{block}repo1-retention-full=9\ncompress-type=zst\ncompress-level=3\nprocess-max={}\n\
             start-fast=y\nlog-level-console=warn\nlog-level-file=off\nlog-path={folder}/log\nlock-path={folder}/lock\n\
             spool-path={folder}/spool\n{more}\n[bench]\npg1-path={}\npg1-port={SERVER_PORT}\npg1-socket-path={folder}\n\
             pg1-user=postgres\n",
            repo.display(),
            setup.processes,
            data.display(),
        );
        fs::write(&config, text).map_err(at(&config))?;
        run(plain("chmod").arg("644").arg(&config))?;
        Ok(Self { config })
    }

    /// A call of a tool on it; the command's name and options are to be added.
    pub(crate) fn command(&self, setup: &Setup, tool: &Tool) -> Command {
        let mut command = setup.machine.command(&tool.program);
        command.arg("--config").arg(&self.config).arg("--stanza=bench");
        command
    }
}

/// True if the opponent stores changed blocks (2.46 and later), so that both are asked to.
pub(crate) fn blocks(setup: &Setup) -> Outcome<bool> {
    let said = run(setup.machine.command(&setup.tools[1].program).arg("version"))?;
    let mut numbers = said.trim().rsplit(' ').next().unwrap_or_default().split('.');
    let mut number = || numbers.next()?.trim_end_matches("dev").parse::<u32>().ok();
    match (number(), number()) {
        (Some(major), Some(minor)) => Ok((major, minor) >= (2, 46)),
        _ => Err(format!("what version is '{}'?", said.trim())),
    }
}
