//! Does protection work now? A stanza's servers, their archiving settings, every repository, and a WAL segment sent
//! through it all.
//!
//! Looks at everything it can reach, whatever failed before. The only writing is a restore point and the end of the
//! current segment on the primary, so that there is something to archive; where it is already known that nothing can
//! arrive, it is not waited for.

use super::archive_wait::{self, WaitError};
use super::findings::{Finding, Findings, Verdict};
use super::repositories::{Repositories, Slot};
use super::served::{self, Served, Wanted, judge};
use super::stanza::upgrade::agree;
use super::stanza::{Identity, lock_folder};
use crate::base::{Bytes, Kind, Report, Result, Timestamp};
use crate::cluster::control::ControlFile;
use crate::cluster::sql::Sql;
use crate::config::{PgSettings, Settings};
use crate::model::op::{Cancel, Event, Sink};
use crate::repo::{ArchiveInfo, BackupInfo, Loaded, RepoError, Stanza};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a statement of a check may take.
const STATEMENT_LIMIT: Duration = Duration::from_secs(60);
/// How long a segment is waited for unless it is configured.
const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// What is to be checked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The settings of the command for the stanza.
    pub settings: &'a Settings,
    /// The stanza.
    pub stanza: &'a str,
    /// This program, to recognise it in `archive_command`.
    pub program: &'a Path,
    /// An `archive_command` that would do, for the advice.
    pub suggestion: Option<&'a str>,
}

/// What was found about one stanza.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The stanza.
    pub stanza: String,
    /// True if nothing failed.
    pub passed: bool,
    /// Every check in its order.
    pub checks: Findings,
}

/// The server that takes writes.
struct Primary {
    name: String,
    sql: Sql,
    served: Served,
}

/// What is known of the servers.
#[derive(Default)]
struct Servers {
    primary: Option<Primary>,
    /// The cluster, by the primary's control file, else by the first that can be read.
    identity: Option<Identity>,
    standbys: Vec<String>,
}

/// Checks one stanza. Fails only if it is cancelled; everything else is a finding.
pub fn check(request: &Request<'_>, sink: &dyn Sink, cancel: &Cancel) -> Result<Checked> {
    let mut found = Findings::new();
    let mut servers = Servers::default();
    for pg in request.settings.pg() {
        let of_one = server(request, pg, &mut servers);
        found.take(&format!("pg{}", pg.key), of_one);
        cancel.check()?;
    }
    if request.settings.pg().is_empty() {
        let next = Some(format!("set pg1-path in section [{}]", request.stanza));
        found.fail("server", Kind::Usage, "no data directory is configured", next);
    }
    let opened = Repositories::open(request.settings, request.settings.command());
    for warning in &opened.warnings {
        found.warn("passphrase", warning.clone(), None);
    }
    let mut sound = Vec::new();
    for slot in &opened.slots {
        let mut of_one = Findings::new();
        sound.extend(repository(request.stanza, slot, servers.identity, &mut of_one));
        found.take(&format!("repo{}", slot.key), of_one);
        cancel.check()?;
    }
    let archives = archiving(request, servers, &sound, &found, sink, cancel)?;
    found.take("", archives);
    Ok(Checked { stanza: request.stanza.to_owned(), passed: found.passed(), checks: found })
}

fn server(request: &Request<'_>, pg: &PgSettings, servers: &mut Servers) -> Findings {
    let mut found = Findings::new();
    if let Some(host) = &pg.host {
        let next = Some(format!("run check on {host}, too"));
        found.warn("server", format!("is on host {host}: not looked at from here"), next);
        return found;
    }
    let control = match ControlFile::read(&pg.path) {
        Ok(control) => control,
        Err(error) => {
            found.failed("pg_control", error.into());
            return found;
        }
    };
    servers.identity.get_or_insert(Identity::of(&control));
    let asked = served::connect(request.settings, pg, STATEMENT_LIMIT)
        .and_then(|mut sql| Ok((served::ask(&mut sql)?, sql)));
    let (served, sql) = match asked {
        Ok(both) => both,
        Err(report) => {
            found.failed("server", report);
            return found;
        }
    };
    let role = if served.in_recovery { "a standby" } else { "the primary" };
    found.ok("server", format!("answers, is {role}"));
    let judged = judge(&served, &control, &pg.path, &wanted(request));
    found.all.extend(judged.all);
    if control.segment_size != served.segment_size {
        let text = format!(
            "the server writes segments of {}, pg_control says {}",
            Bytes(served.segment_size.bytes().into()),
            Bytes(control.segment_size.bytes().into())
        );
        found.fail("wal_segment_size", Kind::Failed, text, None);
    }
    let name = format!("pg{}", pg.key);
    if served.in_recovery {
        servers.standbys.push(name);
    } else if let Some(other) = &servers.primary {
        let text = format!("{} and {name} both take writes: they are not one cluster any more", other.name);
        found.fail("primary", Kind::Failed, text, Some("stop the one that is not the primary".to_owned()));
    } else {
        servers.identity = Some(Identity::of(&control));
        servers.primary = Some(Primary { name, sql, served });
    }
    found
}

fn wanted<'a>(request: &Request<'a>) -> Wanted<'a> {
    Wanted {
        stanza: request.stanza,
        archive_check: request.settings.flag("archive-check"),
        archive_mode_check: request.settings.flag("archive-mode-check"),
        from_standby: false,
        program: request.program,
        suggestion: request.suggestion,
    }
}

/// Looks at the info files of one repository; gives the stanza if WAL of this cluster can be archived there.
fn repository(name: &str, slot: &Slot, of: Option<Identity>, found: &mut Findings) -> Option<Stanza> {
    let stanza = match &slot.repository {
        Ok(repository) => repository.stanza(name),
        Err(report) => {
            found.failed("repository", report.clone());
            return None;
        }
    };
    let archive = info::<ArchiveInfo>(stanza.archive_info(), "archive.info", name, found);
    let backup = info::<BackupInfo>(stanza.backup_info(), "backup.info", name, found);
    let mut fits = archive.is_some();
    let current = [
        ("archive.info", archive.as_ref().map(|info| Identity::from(info.current()))),
        ("backup.info", backup.as_ref().map(|info| Identity::from(info.current()))),
    ];
    for (file, there) in current.into_iter().filter_map(|(file, there)| Some((file, there?))) {
        match of {
            Some(of) if of != there => {
                fits &= file != "archive.info";
                let next = format!(
                    "check --stanza and pg1-path; if this cluster has taken the other's place: \
                     pgmayday --stanza={name} stanza-upgrade"
                );
                found.fail(
                    file,
                    Kind::Failed,
                    format!("is of {there}, the data directory holds {of}"),
                    Some(next),
                );
            }
            Some(_) => found.ok(file, format!("is of {there}")),
            None => found.warn(file, format!("is of {there}, which nothing could be compared with"), None),
        }
    }
    if let (Some(archive), Some(backup)) = (&archive, &backup)
        && let Err(why) = agree(archive, backup)
    {
        let text = format!("archive.info and backup.info do not belong together: {why}");
        let next = Some("bring back the pair of files that was written together".to_owned());
        found.fail("history", Kind::Damaged, text, next);
    }
    fits.then_some(stanza)
}

fn info<T>(
    read: Result<Loaded<T>, RepoError>,
    file: &'static str,
    stanza: &str,
    found: &mut Findings,
) -> Option<T> {
    match read {
        Ok(loaded) => {
            for warning in loaded.warnings {
                let next = format!(
                    "the next backup writes both anew; if one is missing: pgmayday --stanza={stanza} stanza-create"
                );
                found.warn(file, warning, Some(next));
            }
            Some(loaded.value)
        }
        Err(error) if error.is_missing() => {
            let next = Some(format!("pgmayday --stanza={stanza} stanza-create"));
            found.fail(file, Kind::Failed, format!("stanza '{stanza}' has no {file} here"), next);
            None
        }
        Err(error) => {
            found.failed(file, Report::from(error));
            None
        }
    }
}

/// Sends a segment through the archive, unless it is known that it cannot arrive.
fn archiving(
    request: &Request<'_>,
    servers: Servers,
    repositories: &[Stanza],
    before: &Findings,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Findings> {
    const NAME: &str = "WAL";
    let mut found = Findings::new();
    if !request.settings.flag("archive-check") {
        found.ok(NAME, "not sent: archive-check=n");
        return Ok(found);
    }
    let (Some(identity), Some(mut primary)) = (servers.identity, servers.primary) else {
        if servers.standbys.is_empty() {
            found.warn(NAME, "not sent: no primary was found", None);
        } else {
            let standbys = servers.standbys.join(", ");
            found.ok(
                NAME,
                format!("not sent: {standbys} is a standby, and only a primary can close a segment"),
            );
        }
        return Ok(found);
    };
    if let Err(report) = lock_folder(request.settings).refuse_if_stopped(request.stanza) {
        found.failed("stop file", report);
    }
    // Nothing is written to a server that is not this cluster's, and nothing is waited for that cannot arrive.
    let in_the_way = |finding: &&Finding| {
        let fails = matches!(finding.verdict, Verdict::Fail(_));
        fails && (finding.name == "primary" || finding.subject == primary.name)
    };
    let hopeless = before.all.iter().find(in_the_way);
    if let Some(reason) = hopeless {
        found.warn(NAME, format!("not sent: {} is not right", reason.name), None);
        return Ok(found);
    }
    let nowhere = match (found.passed(), repositories.is_empty()) {
        (false, _) => Some("not sent: archiving is stopped"),
        (true, true) => Some("not sent: no repository can take it"),
        (true, false) => None,
    };
    if let Some(why) = nowhere {
        found.warn(NAME, why, None);
        return Ok(found);
    }
    let name = format!("pgmayday check {}", Timestamp::from_unix_s(Timestamp::now().unix_s()));
    let segment = match served::close_segment(&mut primary.sql, primary.served.version, &name) {
        Ok(closed) => closed.segment,
        Err(report) => {
            found.failed(NAME, report);
            return Ok(found);
        }
    };
    let limit = request.settings.duration("archive-timeout").unwrap_or(ARCHIVE_TIMEOUT);
    let step = format!("wait for WAL segment {segment} in the archive, {} s at most", limit.as_secs_f64());
    sink.event(Event::StepStarted { step: step.clone() });
    let begun = Instant::now();
    let mut ask = || served::archiver(&mut primary.sql);
    match archive_wait::wait_for(repositories, segment, identity, limit, cancel, Some(&mut ask)) {
        Ok(arrived) => {
            let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            sink.event(Event::StepDone { step, took_ms, detail: String::new() });
            let places: Vec<String> =
                arrived.iter().map(|place| format!("repo{} ({})", place.key, place.id)).collect();
            found.ok(NAME, format!("segment {segment} arrived in {} after {took_ms} ms", places.join(", ")));
        }
        Err(WaitError::Cancelled) => return Err(WaitError::Cancelled.into()),
        Err(error) => found.failed(NAME, error.into()),
    }
    Ok(found)
}
