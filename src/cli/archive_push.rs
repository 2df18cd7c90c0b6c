//! `pgmayday archive-push`: PostgreSQL's `archive_command`.
//!
//! Exit code 0 lets PostgreSQL forget the file, so it is given only for a file that is durable in every repository, or
//! that `archive-push-queue-max` dropped. Every other code is that of the contract, far below the 126 at which
//! PostgreSQL's archiver gives up its process. With `archive-async` a process in the background does the work: this
//! program again, in a session of its own, with null streams.

use super::command::{CommandSpec, Run};
use super::output::{self, Level};
use super::{Call, as_owner, site};
use crate::base::{Report, Result};
use crate::codec::Compression;
use crate::config::Settings;
use crate::engine::archive_push::{self, Care, HISTORY_GUARD, Job, Limits, Packing, PushError, Pushed};
use crate::engine::locks::LockFolder;
use crate::engine::repositories::{Access, Repositories};
use clap::{Arg, ArgAction};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "archive-push",
    about: "Archive a WAL segment or history file (archive_command)",
    long_about: "Puts the file FILE of pg_wal into every configured repository. PostgreSQL calls it as \
        archive_command = 'pgmayday --config=/etc/pgbackrest/pgbackrest.conf --stanza=NAME archive-push \"%p\"'; \
        the word pgbackrest must occur in it, or pgBackRest's check and backup refuse to work. \
        Exit code 0: durable in every repository (or dropped by archive-push-queue-max, which is warned about and \
        put on record). Any other: not archived everywhere; PostgreSQL asks again. What is archived under a name is \
        never replaced by something else; --accept=history-differs replaces a history file that is known to be the \
        wrong one. With archive-async a process in the background works ahead and ends by itself.",
    options_of: "archive-push",
    reads_configuration: true,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

/// How long the background process stays when nothing waits.
const IDLE: Duration = Duration::from_secs(5);
const ATTEND: &str = "attend-archive";

fn own(command: clap::Command) -> clap::Command {
    command
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .num_args(1)
                .required_unless_present(ATTEND)
                .help("the file as PostgreSQL names it (%p), relative to the data directory or absolute"),
        )
        .arg(
            Arg::new(ATTEND)
                .long(ATTEND)
                .action(ArgAction::SetTrue)
                .hide(true)
                .help("be the background process of this stanza"),
        )
}

fn run(call: &Call) -> Result<()> {
    as_owner::step_down(call)?;
    as_owner::neutral_umask(call);
    let job = job(call)?;
    if call.args.get_flag(ATTEND) {
        return attend(call, &job);
    }
    let [file] = &call.positional[..] else {
        return Err(Report::usage("archive-push takes one file")
            .hint("write archive_command = 'pgmayday … archive-push \"%p\"'"));
    };
    match archived(call, &job, Path::new(file)) {
        Ok(pushed) => {
            pushed
                .warnings
                .iter()
                .for_each(|warning| output::to_stderr(&format!("warning: archive-push: {warning}")));
            if call.console.tells(Level::Info) {
                output::to_stderr(&format!("archive-push: {}", pushed.line));
            }
            Ok(())
        }
        Err(error) => Err(Report::from(error)),
    }
}

fn archived(call: &Call, job: &Job, file: &Path) -> Result<Pushed, PushError> {
    let Some(spool_path) = spool_path(&call.settings) else { return archive_push::push(job, file) };
    let patience = call.settings.duration("archive-timeout").unwrap_or(Duration::from_secs(60));
    archive_push::push_by_spool(job, file, &spool_path, patience, &|| launch(call))
}

/// Where the status files are kept; nothing if this call does the work itself.
fn spool_path(settings: &Settings) -> Option<PathBuf> {
    settings.flag("archive-async").then(|| settings.text("spool-path").map(PathBuf::from)).flatten()
}

fn job(call: &Call) -> Result<Job> {
    let settings = &call.settings;
    let stanza = settings.stanza().ok_or_else(|| {
        Report::usage("archive-push requires --stanza")
            .hint("the stanza is the cluster's name in the configuration")
    })?;
    let cluster = settings.pg().first().ok_or_else(|| {
        Report::usage("archive-push requires pg1-path: the data directory tells which cluster's WAL is meant")
            .hint("set pg1-path in the stanza's section of the configuration")
    })?;
    let compression = settings.text("compress-type").unwrap_or("gz");
    let opened = Repositories::open_for(settings, call.command, Access::Write);
    opened.warnings.iter().for_each(|warning| call.console.warn(warning));
    Ok(Job {
        data_dir: cluster.local_path(call.command)?.to_owned(),
        stanza: stanza.to_owned(),
        repositories: opened.slots,
        locks: LockFolder(PathBuf::from(settings.text("lock-path").unwrap_or("/tmp/pgbackrest"))),
        packing: Packing {
            compression: compression.parse::<Compression>().map_err(Report::usage)?,
            level: settings.integer("compress-level").and_then(|level| i32::try_from(level).ok()),
            // The background process has several segments at work instead.
            workers: if call.args.get_flag(ATTEND) { 0 } else { processes(settings) },
        },
        care: Care {
            header: settings.flag("archive-header-check"),
            tell_twice: settings.flag("archive-mode-check"),
            replace_history: call.accepts(HISTORY_GUARD),
        },
        queue_max_bytes: settings.size_bytes("archive-push-queue-max"),
        drop_log: drop_log(call, stanza),
    })
}

/// How many threads may work.
fn processes(settings: &Settings) -> u32 {
    settings.number("process-max").and_then(|number| u32::try_from(number).ok()).unwrap_or(1)
}

/// Where it is put on record what was dropped; archiving does not depend on it.
fn drop_log(call: &Call, stanza: &str) -> Option<PathBuf> {
    let state = site::site(call).and_then(|site| site::state(call, &site)).ok()?;
    Some(state.root().join("archive-push").join(format!("{stanza}.dropped")))
}

/// Starts this program again as the background process, with the options this call was given.
#[expect(clippy::disallowed_methods, reason = "the process is this program, started by the command line")]
fn launch(call: &Call) -> std::io::Result<()> {
    let options = call.given.iter().map(|option| match &option.value {
        Some(value) => format!("--{}={value}", option.name),
        None => format!("--{}", option.name),
    });
    let mut command = Command::new("/proc/self/exe");
    command.arg0("pgmayday").args(options).arg("archive-push").arg(format!("--{ATTEND}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Not waited for: it outlives this call and belongs to nobody.
    command.spawn().map(drop)
}

/// The background process: cut loose from the server that called, then at work until nothing waits any more.
fn attend(call: &Call, job: &Job) -> Result<()> {
    let spool_path = spool_path(&call.settings)
        .ok_or_else(|| Report::usage("the background process needs archive-async and spool-path"))?;
    // The leader of a process group cannot begin a session; then it already is its own.
    rustix::process::setsid().ok();
    // The data directory must not look used by this process.
    std::env::set_current_dir("/").map_err(|error| Report::failed(format!("/: {error}")))?;
    let limits = Limits {
        threads: processes(&call.settings) as usize,
        batch_bytes: call.settings.size_bytes("archive-push-batch-size").unwrap_or(16 << 30),
        idle: IDLE,
    };
    archive_push::attend(job, &spool_path, limits).map(drop)
}
