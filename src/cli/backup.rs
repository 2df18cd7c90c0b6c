//! `backup`: a full, differential or incremental backup of the cluster.
//!
//! Runs as the owner of the data directory, holds the stanza's backup lock to the end, and expires what retention no longer
//! keeps. A backup that finds damaged pages is kept, says where they are, and exits 4.

use super::archive_command::archive_command;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use super::progress::Lines;
use super::{Call, as_owner, signals};
use crate::base::{Bytes, Report, Result, Timestamp};
use crate::cluster::reach;
use crate::codec::Compression;
use crate::config::Origin;
use crate::engine::backup::{self, Bundling, Cluster, Outcome, Request, StandbyUse};
use crate::engine::locks::{Held, LockError, LockFolder, Work};
use crate::engine::repositories::{Access, Repositories};
use crate::engine::{expire, hold};
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

pub(super) fn own(command: Command) -> Command {
    let wait = Arg::new("wait").long("wait").action(ArgAction::SetTrue);
    command.arg(wait.help("queue behind a backup that is running instead of failing"))
}

fn run(call: &Call) -> Result<u8> {
    as_owner::step_down(call)?;
    let request = request(call)?;
    let cancel = Cancel::default();
    signals::cancel_on_request(&cancel)?;
    let repository = repository(call, Access::Write)?;
    let mut locks = lock(call, &request.stanza, &repository, &cancel)?;
    let outcome = backup::run(&request, &repository, &mut locks, &Lines::new(call.console), &cancel)?;
    if call.settings.flag("expire-auto") {
        expire(call, &request.stanza, repository.key());
    }
    drop(locks);
    match call.output {
        Output::Text => output::text(&text(&outcome))?,
        Output::Json => output::json("backup", &outcome)?,
    }
    Ok(exit_code(&outcome))
}

/// Damage in the cluster is told by the exit code, too.
pub(super) fn exit_code(outcome: &Outcome) -> u8 {
    if outcome.page_errors.is_empty() { 0 } else { DAMAGE }
}

/// Removes what the retention no longer keeps in the repository that was backed up to, under the backup's own lock. The
/// backup is made, whatever becomes of this. That a backup was accepted during an incident says nothing about removing any.
fn expire(call: &Call, stanza: &str, key: u32) {
    let mut opened = Repositories::open_for(&call.settings, "expire", Access::Write);
    opened.slots.retain(|slot| slot.key == key);
    let folder = lock_folder(call);
    let request = expire::Request {
        set: None,
        oldest: false,
        archive_before: None,
        dry_run: false,
        accept: call.accept.iter().filter(|guard| *guard != hold::GUARD).cloned().collect(),
    };
    let job = expire::Job {
        settings: &call.settings,
        stanza,
        locks: &folder,
        request,
        now: Timestamp::now(),
        locked: true,
    };
    let done = expire::run(&job, opened, &Lines::new(call.console), &Cancel::default());
    let failure = done.map_or_else(Some, |runs| expire::failure(&runs));
    if let Some(report) = failure {
        call.console.warn(&format!("the backup is made, but nothing was expired: {report}"));
    }
}

fn lock_folder(call: &Call) -> LockFolder {
    LockFolder(PathBuf::from(call.settings.text("lock-path").unwrap_or("/tmp/pgbackrest")))
}

/// The repository that is backed up to: the one `--repo` names, or the first.
pub(super) fn repository(call: &Call, access: Access) -> Result<Repository> {
    let opened = Repositories::open_for(&call.settings, call.command, access);
    for warning in &opened.warnings {
        call.console.warn(warning);
    }
    opened.first()
}

/// The stanza, which must be named.
pub(super) fn stanza(call: &Call) -> Result<&str> {
    call.settings.stanza().ok_or_else(|| {
        Report::usage(format!("{} requires --stanza", call.command))
            .hint("the stanza is the cluster's name in the configuration")
    })
}

/// Takes the lock of the stanza's backups, at once or when it is free. While an incident holds the stanza nothing is backed
/// up: a backup would be expired against, and the repository may be what is recovered from.
pub(super) fn lock(call: &Call, stanza: &str, repository: &Repository, cancel: &Cancel) -> Result<Held> {
    let folder = lock_folder(call);
    folder.refuse_if_stopped(stanza)?;
    refuse_while_held(call, &folder, stanza)?;
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

fn refuse_while_held(call: &Call, folder: &LockFolder, stanza: &str) -> Result<()> {
    let said = match hold::look(folder, stanza, Timestamp::now()) {
        hold::Held::No | hold::Held::Over(_) => return Ok(()),
        hold::Held::Yes(hold) => hold.text(),
        hold::Held::Unknown(why) => format!("there is a hold that cannot be read: {why}"),
    };
    let headline = format!("stanza '{stanza}' is not backed up now: {said}");
    if call.accepts(hold::GUARD) {
        call.console.warn(&format!("{headline} (accepted: {})", hold::GUARD));
        return Ok(());
    }
    Err(Report::refused(hold::GUARD, headline).hint("back up again when the incident is over"))
}

/// What the settings ask for.
pub(super) fn request(call: &Call) -> Result<Request> {
    let settings = &call.settings;
    let stanza = stanza(call)?;
    let key = settings.repos().first().map_or(1, |repo| repo.key);
    let duration =
        |name: &str, default_s: u64| settings.duration(name).unwrap_or(Duration::from_secs(default_s));
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
        kind: settings
            .text("type")
            .unwrap_or("incr")
            .parse()
            .map_err(|error| Report::usage(format!("{error}")))?,
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
        archive_command: archive_command(call, stanza).ok(),
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
pub(super) fn text(outcome: &Outcome) -> String {
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
