//! `pgmayday archive-get`: PostgreSQL's `restore_command`.
//!
//! Exit codes are the command's own: 0 delivered, 1 absent, 130 anything else. After a segment was delivered it sees
//! to it that a prefetcher attends the spool: this program again, in a session of its own, with null streams.

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{self, Level};
use crate::base::{Report, Result};
use crate::config::{Origin, Settings};
use crate::engine::archive_get::prefetch::{self, Limits};
use crate::engine::archive_get::spool::Spool;
use crate::engine::archive_get::{self, Answer, Job, Patience, RepositorySupply, exits};
use crate::engine::repositories::Repositories;
use clap::{Arg, ArgAction};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "archive-get",
    about: "Get a WAL segment or history file from the archive (restore_command)",
    long_about: "Copies the file NAME of the WAL archive to DESTINATION, verified. PostgreSQL calls it as \
        restore_command = 'pgmayday --stanza=NAME archive-get %f \"%p\"'. \
        Exit code 0: delivered. 1: the file is in no repository, and no later segment is. 130: anything else \
        (damage, a wrong passphrase, a store that does not answer, a gap, two different copies): PostgreSQL stops \
        instead of ending recovery there. A standby is answered 1 in the place of 130, after three tries. \
        Segments that will be asked for next are fetched ahead into the spool-path by a process that ends by \
        itself; --no-archive-async or archive-get-queue-max=0 switch that off.",
    options_of: "archive-get",
    reads_configuration: true,
    own,
    run: Run::Coded(run),
    failure_exit: Some(exits::FAILED),
};

/// How long a prefetcher stays after the last segment was delivered.
const PREFETCH_IDLE: Duration = Duration::from_secs(60);
const SALVAGE_VARIABLE: &str = "PGMAYDAY_WAL_SALVAGE";

fn own(command: clap::Command) -> clap::Command {
    command
        .arg(
            Arg::new("words")
                .value_names(["NAME", "DESTINATION"])
                .num_args(2)
                .required_unless_present("attend-spool")
                .help("the file's name (%f) and where to put it (%p)"),
        )
        .arg(
            Arg::new("wal-salvage")
                .long("wal-salvage")
                .value_name("DIR")
                .help("look here, after every repository, for WAL that was saved but never archived"),
        )
        .arg(
            Arg::new("attend-spool")
                .long("attend-spool")
                .value_name("DIR")
                .action(ArgAction::Set)
                .hide(true)
                .help("be the prefetcher of this spool"),
        )
}

fn run(call: &Call) -> Result<u8> {
    let job = job(call)?;
    if let Some(folder) = call.args.get_one::<String>("attend-spool") {
        return attend(call, &job, Path::new(folder)).map(|()| 0);
    }
    let [name, destination] = &call.positional[..] else {
        return Err(Report::usage("archive-get takes a name and a destination")
            .hint("write restore_command = 'pgmayday … archive-get %f \"%p\"'"));
    };
    let reply = archive_get::get(&job, name, Path::new(destination));
    // A failure is told whatever its exit code: to a standby it looks like an absence.
    let failed = matches!(reply.answer, Answer::Failed(_));
    if failed || tells_everything(call) || reply.line.starts_with("warning: ") {
        output::to_stderr(&format!("archive-get: {}", reply.line));
    }
    if let Some(spool) = &reply.spool
        && !spool.is_attended()
        && let Err(error) = launch(call, spool)
    {
        call.console.warn(&format!("archive-get: nothing is fetched ahead: {error}"));
    }
    Ok(reply.exit_code)
}

/// PostgreSQL's log gets one line for every request, unless the configuration asks for less.
fn tells_everything(call: &Call) -> bool {
    call.settings.origin("log-level-console") == Origin::Default || call.console.tells(Level::Info)
}

fn job(call: &Call) -> Result<Job> {
    let settings = &call.settings;
    let stanza = settings.stanza().ok_or_else(|| {
        Report::usage("archive-get requires --stanza")
            .hint("the stanza is the cluster's name in the configuration")
    })?;
    let cluster = settings.pg().first().ok_or_else(|| {
        Report::usage("archive-get requires pg1-path: the data directory tells which cluster's WAL is meant")
            .hint("add --pg1-path=DIR to restore_command")
    })?;
    let data_dir = cluster.local_path(call.command)?.to_owned();
    let patience = settings.duration("archive-timeout").unwrap_or(Duration::from_secs(60));
    Ok(Job {
        data_dir,
        stanza: stanza.to_owned(),
        repositories: Repositories::open(settings, call.command).slots,
        spool_path: fetches_ahead(settings).then(|| settings.text("spool-path").map(PathBuf::from)).flatten(),
        salvage: salvage(call),
        patience: Patience::new(patience),
    })
}

/// Fetching ahead is on unless it was switched off by name: `archive-async` is off by default in pgBackRest.
fn fetches_ahead(settings: &Settings) -> bool {
    let wanted = settings.flag("archive-async") || settings.origin("archive-async") == Origin::Default;
    wanted && settings.size_bytes("archive-get-queue-max") != Some(0)
}

#[expect(clippy::disallowed_methods, reason = "an option of this command only, read once")]
fn salvage(call: &Call) -> Option<PathBuf> {
    let given = call.args.get_one::<String>("wal-salvage").cloned();
    given.or_else(|| std::env::var(SALVAGE_VARIABLE).ok()).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Starts this program again as the prefetcher of `spool`, with the options this call was given.
#[expect(clippy::disallowed_methods, reason = "the prefetcher is this program, started by the command line")]
fn launch(call: &Call, spool: &Spool) -> std::io::Result<()> {
    let options = call.given.iter().map(|option| match &option.value {
        Some(value) => format!("--{}={value}", option.name),
        None => format!("--{}", option.name),
    });
    let mut command = Command::new("/proc/self/exe");
    command.arg0("pgmayday").args(options).arg("archive-get").arg("--attend-spool").arg(spool.folder());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Not waited for: it outlives this call and belongs to nobody.
    command.spawn().map(drop)
}

/// The prefetcher: cut loose from the server that called, then at work until nothing is asked for any more.
fn attend(call: &Call, job: &Job, folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Report::failed(format!("{}: {error}", folder.display()));
    // The leader of a process group cannot begin a session; then it already is its own.
    rustix::process::setsid().ok();
    // The data directory must not look used by this process.
    std::env::set_current_dir("/").map_err(failed)?;
    let spool = Spool::open(folder.to_owned()).map_err(failed)?;
    let (supply, segment_size) = RepositorySupply::open(job)?;
    let threads = call.settings.number("process-max").and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    let queue_bytes = call.settings.size_bytes("archive-get-queue-max").unwrap_or(128 << 20);
    let limits = Limits { queue_bytes, threads, idle: PREFETCH_IDLE };
    prefetch::run(&spool, &supply, segment_size, limits).map(drop)
}
