//! `backup`: a full, differential or incremental backup of the cluster.
//!
//! Runs as the owner of the data directory, holds the stanza's backup lock to the end, and expires what retention no longer
//! keeps. A backup that finds damaged pages is kept, says where they are, and exits 4.

use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use super::progress::Lines;
use super::{Call, as_owner, signals};
use crate::base::{Bytes, Report, Result};
use crate::cluster::reach;
use crate::codec::Compression;
use crate::config::Origin;
use crate::engine::backup::{self, Bundling, Cluster, Outcome, Request, StandbyUse};
use crate::engine::locks::{Held, LockError, LockFolder, Work};
use crate::engine::repositories::{Access, Repositories};
use crate::model::op::Cancel;
use crate::repo::Repository;
use crate::repo::blockmap::policy::SuperBlockSizes;
use clap::{Arg, ArgAction, Command};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "backup",
    about: "Back up a cluster: full, differential or incremental",
    long_about: "Backs up the running cluster of the stanza into its repository, where pgBackRest reads it, too. \
                 --type is incr unless said otherwise; without a backup to stand on it becomes full. A full backup that \
                 was interrupted is taken up by the next one. Only one backup of a stanza runs on a host: another one, \
                 also pgBackRest's, makes this one fail at once, or wait for it with --wait. Exit code 4: the backup is \
                 made, and pages of the cluster are damaged.",
    options_of: "backup",
    reads_configuration: true,
    own,
    run: Run::Coded(run),
    failure_exit: None,
};

/// Damaged pages were found.
const DAMAGE: u8 = 4;

fn own(command: Command) -> Command {
    let wait = Arg::new("wait").long("wait").action(ArgAction::SetTrue);
    command.arg(wait.help("queue behind a backup that is running instead of failing"))
}

fn run(call: &Call) -> Result<u8> {
    as_owner::step_down(call)?;
    let request = request(call)?;
    let cancel = Cancel::default();
    signals::cancel_on_request(&cancel)?;
    let opened = Repositories::open_for(&call.settings, call.command, Access::Write);
    for warning in &opened.warnings {
        call.console.warn(warning);
    }
    let repository = opened.first()?;
    let mut locks = lock(call, &request.stanza, &repository, &cancel)?;
    let outcome = backup::run(&request, &repository, &mut locks, &Lines::new(call.console), &cancel)?;
    match call.output {
        Output::Text => output::text(&text(&outcome))?,
        Output::Json => output::json("backup", &outcome)?,
    }
    Ok(if outcome.page_errors.is_empty() { 0 } else { DAMAGE })
}

/// Takes the lock of the stanza's backups, at once or when it is free.
fn lock(call: &Call, stanza: &str, repository: &Repository, cancel: &Cancel) -> Result<Held> {
    let folder = LockFolder(PathBuf::from(call.settings.text("lock-path").unwrap_or("/tmp/pgbackrest")));
    folder.refuse_if_stopped(stanza)?;
    let wait = call.args.get_flag("wait");
    let mut told = false;
    let mut go_on = |error: &LockError, _: Duration| {
        if wait && !told {
            call.console.warn(&format!("waiting: {error}"));
            told = true;
        }
        wait && !cancel.requested()
    };
    let held = folder.take_when_free(stanza, &[Work::Backup], &[repository.key()], &mut go_on);
    cancel.check()?;
    // Who waited long may have been stopped meanwhile.
    folder.refuse_if_stopped(stanza)?;
    Ok(held?)
}

/// What the settings ask for.
pub(super) fn request(call: &Call) -> Result<Request> {
    let settings = &call.settings;
    let stanza = settings.stanza().ok_or_else(|| {
        Report::usage("backup requires --stanza").hint("the stanza is the cluster's name in the configuration")
    })?;
    let key = settings.repos().first().map_or(1, |repo| repo.key);
    let duration = |name: &str, default_s: u64| {
        settings.duration(name).unwrap_or(Duration::from_secs(default_s))
    };
    let statement_limit = duration("db-timeout", 1800);
    let mut clusters = Vec::new();
    for pg in settings.pg() {
        let data_dir = pg.local_path(call.command)?.to_owned();
        clusters.push(Cluster { data_dir, address: reach::address(settings, pg, statement_limit) });
    }
    let size = |name: &str, default: u64| settings.size_bytes_at(name, key).unwrap_or(default);
    let bundle = settings.flag_at("repo-bundle", key).then(|| Bundling {
        size_bytes: size("repo-bundle-size", 20 << 20),
        limit_bytes: size("repo-bundle-limit", 2 << 20),
    });
    let block = settings.flag_at("repo-block", key).then(|| SuperBlockSizes {
        full_bytes: size("repo-block-size-super-full", 1 << 20),
        other_bytes: size("repo-block-size-super", 256 << 10),
    });
    let chosen = |name: &str| settings.origin(name) != Origin::Unset;
    Ok(Request {
        stanza: stanza.to_owned(),
        kind: settings.text("type").unwrap_or("incr").parse().map_err(|error| Report::usage(format!("{error}")))?,
        online: settings.flag("online"),
        clusters,
        standby: match settings.text("backup-standby") {
            Some("y") => StandbyUse::Require,
            Some("prefer") => StandbyUse::Prefer,
            _ => StandbyUse::No,
        },
        start_fast: settings.flag("start-fast"),
        delta: settings.flag("delta"),
        resume: settings.flag("resume"),
        archive_check: settings.flag("archive-check"),
        archive_copy: settings.flag("archive-copy"),
        archive_mode_check: settings.flag("archive-mode-check"),
        archive_timeout: duration("archive-timeout", 60),
        statement_limit,
        compression: compression(call)?,
        compress_level: settings.integer("compress-level").and_then(|level| i32::try_from(level).ok()),
        bundle,
        block,
        hardlink: settings.flag_at("repo-hardlink", key),
        latest_link: settings.flag_at("repo-symlink", key),
        checksum_page: chosen("checksum-page").then(|| settings.flag("checksum-page")),
        page_header_check: settings.flag("page-header-check"),
        exclude: settings.list("exclude").to_vec(),
        annotations: settings.pairs("annotation").into_iter().filter(|(_, text)| !text.is_empty()).collect(),
        process_max: settings.number("process-max").and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
        save_every_bytes: settings.size_bytes("manifest-save-threshold").unwrap_or(1 << 30),
        program: std::env::current_exe().unwrap_or_else(|_| call.program.clone()),
        archive_command: None,
        force: settings.flag("force"),
    })
}

fn compression(call: &Call) -> Result<Compression> {
    // The old option says no more than whether to compress at all.
    let old = call.settings.origin("compress") != Origin::Default && !call.settings.flag("compress");
    if old && call.settings.origin("compress-type") == Origin::Default {
        return Ok(Compression::None);
    }
    call.settings.text("compress-type").unwrap_or("gz").parse().map_err(Report::usage)
}

/// A few lines for people.
fn text(outcome: &Outcome) -> String {
    let mut out = format!(
        "backup {} ({}): {} in {} files, {} of it new, {} stored in repo{}, {:.1} s",
        outcome.label,
        outcome.kind,
        Bytes(outcome.size_bytes),
        outcome.files_total,
        Bytes(outcome.stored_size_bytes),
        Bytes(outcome.repo_bytes),
        outcome.repo,
        Duration::from_millis(outcome.took_ms).as_secs_f64()
    );
    if outcome.resumed {
        out += ", an interrupted one taken up";
    }
    if let (Some(first), Some(last)) = (&outcome.archive_start, &outcome.archive_stop) {
        // Writing to a String cannot fail.
        write!(out, "\n  needs WAL {first} to {last}").unwrap_or(());
    }
    for damaged in &outcome.page_errors {
        write!(out, "\n  DAMAGED in the cluster: {}{}", damaged.file, pages(&damaged.pages)).unwrap_or(());
    }
    if !outcome.page_errors.is_empty() {
        out += "\n  the backup is kept, with this damage in it: find out which relation it is \
                (pg_filenode_relation), and restore it from an older backup or a standby";
    }
    out
}

fn pages(ranges: &[(u32, u32)]) -> String {
    if ranges.is_empty() {
        return ", which does not consist of whole pages".to_owned();
    }
    let one = |(first, last): &(u32, u32)| {
        if first == last { format!("{first}") } else { format!("{first}-{last}") }
    };
    format!(", pages {}", ranges.iter().map(one).collect::<Vec<_>>().join(", "))
}
