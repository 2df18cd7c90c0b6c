//! A backup from the first look to the moment it exists.
//!
//! The order is what makes it safe: the server is told first; what is looked at after that may change, because replay will
//! put it right; every file is durable before the manifest, the manifest before `backup.info`. Killed at any moment it
//! leaves the backups before it as they were and, of a full one, something that can be taken up.

use super::compare;
use super::plan::Plan;
use super::request::Request;
use super::scan::{self, Scan, ScanRequest};
use super::servers::Servers;
use super::session::Start;
use super::{Outcome, control, ending, label, prior, resume, transfer};
use crate::base::{
    BackupKind, BackupLabel, Context as _, Kind, Report, Result, Secret, Timestamp, WalSegment,
};
use crate::cluster::control::ControlFile;
use crate::cluster::running::{self, Running};
use crate::codec::random_passphrase;
use crate::engine::locks::Held;
use crate::engine::stanza::Identity;
use crate::engine::{archive_wait, reconcile, served};
use crate::model::op::{Cancel, Event, Sink};
use crate::repo::{ArchiveInfo, BackupInfo, Manifest, Repository, Stanza};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What every step of a backup needs.
pub(super) struct Around<'a> {
    pub(super) request: &'a Request,
    pub(super) stanza: Stanza,
    pub(super) sink: &'a dyn Sink,
    pub(super) cancel: &'a Cancel,
}

/// What is known once the cluster and the repository were looked at.
pub(super) struct Known {
    pub(super) info: BackupInfo,
    pub(super) archive: ArchiveInfo,
    pub(super) control: ControlFile,
    /// Nothing for an offline backup.
    pub(super) servers: Option<Servers>,
    pub(super) primary_dir: PathBuf,
    pub(super) warnings: Vec<String>,
}

impl Known {
    pub(super) fn warn(&mut self, around: &Around<'_>, text: String) {
        around.sink.event(Event::Warning { text: text.clone() });
        self.warnings.push(text);
    }
}

/// Makes a backup of the stanza in `repository`, whose locks the caller holds.
pub fn run(
    request: &Request,
    repository: &Repository,
    locks: &mut Held,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Outcome> {
    let began = Instant::now();
    let around = Around { request, stanza: repository.stanza(&request.stanza), sink, cancel };
    let mut known = step(sink, "look at cluster and repository", || {
        let known = look(&around)?;
        let version = format!("PostgreSQL {}", known.control.version);
        Ok((known, version))
    })?;
    let start = step(sink, "start backup", || {
        let start = begin(&around, &mut known)?;
        Ok((start, start.map_or("offline".to_owned(), |start| format!("at {}", start.lsn))))
    })?;
    let (plan, scan) = step(sink, "list files", || {
        let (plan, scan) = plan(&around, &mut known, start)?;
        let detail = format!("{} of {} files to read", plan.copied_files(), scan.files.len());
        Ok(((plan, scan), detail))
    })?;
    let draft = step(sink, "copy", || {
        let draft = transfer::copy(&around, &known, &plan, &scan, locks)?;
        let detail = format!("{} {}", plan.kind, plan.label);
        Ok((draft, detail))
    })?;
    let ended = step(sink, "stop backup", || {
        let ended = ending::stop(&around, &mut known, &plan)?;
        let detail = ended.told();
        Ok((ended, detail))
    })?;
    let manifest = step(sink, "make durable", || {
        let manifest = ending::finish(&around, &mut known, &plan, &draft, &ended)?;
        Ok((manifest, plan.label.to_string()))
    })?;
    Ok(ending::outcome(known.warnings, &plan, &manifest, draft.counted(), repository.key(), began.elapsed()))
}

/// Runs one step and reports its beginning and end.
fn step<T>(sink: &dyn Sink, name: &str, work: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
    sink.event(Event::StepStarted { step: name.to_owned() });
    let began = Instant::now();
    let (value, detail) = work().while_doing(|| format!("backing up: {name}"))?;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    sink.event(Event::StepDone { step: name.to_owned(), took_ms, detail });
    Ok(value)
}

/// Is this the cluster the stanza is about, and can it be backed up as asked?
fn look(around: &Around<'_>) -> Result<Known> {
    let request = around.request;
    let mut warnings = Vec::new();
    let servers = if request.online { Some(Servers::find(request, &mut warnings)?) } else { None };
    let first = request.clusters.first().map(|cluster| cluster.data_dir.clone());
    let primary_dir = servers.as_ref().map(|servers| servers.primary_dir.clone()).or(first);
    let primary_dir = primary_dir.ok_or_else(|| Report::usage("backup requires pg1-path"))?;
    if !request.online {
        refuse_running(request, &primary_dir)?;
    }
    let (_, control) = control::image(&primary_dir)?;
    let archive = around.stanza.archive_info()?;
    let reconciled = reconcile::reconcile(&around.stanza)?;
    warnings.extend(archive.warnings);
    warnings.extend(reconciled.warnings);
    let mut known = Known {
        info: reconciled.info,
        archive: archive.value,
        control,
        servers,
        primary_dir,
        warnings: Vec::new(),
    };
    refuse_other_cluster(around, &known)?;
    if let Some(standby) = known.servers.as_ref().and_then(|servers| servers.standby.as_ref()) {
        standby.refuse_stranger(known.control.system_id)?;
    }
    let mut judged = judge_server(around, &mut known)?;
    warnings.append(&mut judged);
    for text in warnings {
        known.warn(around, text);
    }
    Ok(known)
}

pub(super) fn refuse_running(request: &Request, data_dir: &std::path::Path) -> Result<()> {
    match running::look(data_dir)? {
        Running::No => Ok(()),
        _ if request.force => Ok(()),
        _ => Err(Report::new(
            Kind::Refused(None),
            format!(
                "a server runs, or may run, on {}: an offline backup of it would be worthless",
                data_dir.display()
            ),
        )
        .hint("stop it, or back it up while it runs: leave --no-online out")),
    }
}

/// The stanza's current cluster in both info files must be this one.
fn refuse_other_cluster(around: &Around<'_>, known: &Known) -> Result<()> {
    let current = known.info.current();
    let ours = (known.control.version, known.control.system_id);
    if (current.version, current.system_id) != ours || known.archive.current() != ours {
        return Err(Report::failed(format!(
            "stanza '{}' in {} is of PostgreSQL {} with system identifier {}, but {} is PostgreSQL {} with {}",
            around.stanza.name(),
            around.stanza.repository().storage().describe(),
            current.version,
            current.system_id,
            known.primary_dir.display(),
            ours.0,
            ours.1
        ))
        .hint("if the cluster was upgraded or made anew: stanza-upgrade; if not, pg1-path or --stanza is wrong"));
    }
    if known.info.current_db_id != known.archive.current_db_id {
        return Err(Report::damaged("archive.info and backup.info do not agree on the current cluster")
            .hint("an interrupted stanza-upgrade: run it again"));
    }
    Ok(())
}

/// What the server's settings mean for a backup; nothing for an offline one.
fn judge_server(around: &Around<'_>, known: &mut Known) -> Result<Vec<String>> {
    let request = around.request;
    let Some(servers) = &mut known.servers else { return Ok(Vec::new()) };
    let served = served::ask(servers.primary().sql())?;
    let wanted = served::Wanted {
        stanza: &request.stanza,
        archive_check: request.archive_check,
        archive_mode_check: request.archive_mode_check,
        from_standby: servers.standby.is_some(),
        program: &request.program,
        suggestion: request.archive_command.as_deref(),
    };
    served::judge(&served, &known.control, &known.primary_dir, &wanted).require()
}

/// Tells the server that a backup begins, and waits until archiving is seen to work.
fn begin(around: &Around<'_>, known: &mut Known) -> Result<Option<Start>> {
    let request = around.request;
    let Some(servers) = &mut known.servers else { return Ok(None) };
    let name = format!("pgmayday backup of stanza {}", request.stanza);
    let start = servers.start(&name, request.start_fast, around.cancel)?;
    let (_, control) = control::image(&known.primary_dir)?;
    if control.checkpoint_lsn < start.lsn {
        return Err(Report::failed(format!(
            "{} was last written at {}, before the backup's start at {}: it is not the server's own",
            known.primary_dir.display(),
            control.checkpoint_lsn,
            start.lsn
        )));
    }
    if control.timeline != start.segment.timeline {
        return Err(Report::failed(format!(
            "the server writes timeline {}, its pg_control says {}",
            start.segment.timeline, control.timeline
        )));
    }
    known.control = control;
    if let Some(standby) = &mut servers.standby {
        standby.catch_up(&start, request.archive_timeout, around.cancel)?;
    }
    if request.archive_check && start.segment_before != start.segment {
        // If archiving does not work, better now than after the copy.
        await_segments(around, known, &[start.segment_before])?;
    }
    Ok(Some(start))
}

/// Waits until these segments are in the archive; where one does not come, the server is asked why.
pub(super) fn await_segments(around: &Around<'_>, known: &mut Known, segments: &[WalSegment]) -> Result<()> {
    let identity = Identity::from((known.control.version, known.control.system_id));
    let watch = archive_wait::Watch::open(std::slice::from_ref(&around.stanza), identity, around.cancel)?;
    for segment in segments {
        let Some(servers) = &mut known.servers else { return Ok(()) };
        let mut ask = || served::archiver(servers.primary().sql());
        watch.wait_for(*segment, around.request.archive_timeout, around.cancel, Some(&mut ask))?;
    }
    Ok(())
}

/// Lists the files and decides what of them is read.
fn plan(around: &Around<'_>, known: &mut Known, start: Option<Start>) -> Result<(Plan, Scan)> {
    let request = around.request;
    let started_at = start.map_or_else(Timestamp::now, |start| start.at);
    let labels = label::existing(&around.stanza)?;
    let (tablespaces, databases) = match &mut known.servers {
        Some(servers) => (servers.primary().tablespaces()?, servers.primary().databases()?),
        None => (BTreeMap::new(), Vec::new()),
    };
    let scan = scan::scan(
        &ScanRequest {
            data_dir: &known.primary_dir,
            version: known.control.version,
            catalog: known.info.current().catalog,
            online: request.online,
            exclude: &request.exclude,
            tablespaces: &tablespaces,
        },
        around.cancel,
    )?;
    for warning in &scan.warnings {
        known.warn(around, warning.clone());
    }
    let base = base(around, known, &labels, started_at)?;
    // From here on the second is a later one than that of any file looked at: what changes now has another time.
    let copy_start = next_second(known)?;
    let mut delta = request.delta;
    if let Some(prior) = base.manifest.as_ref().filter(|_| !base.resumed) {
        let same_timeline = match (prior.archive_stop, start) {
            (Some(before), Some(now)) => before.timeline == now.segment.timeline,
            _ => true,
        };
        let online = (prior.online != request.online)
            .then(|| "the last backup was made of a stopped cluster, or this one is".to_owned());
        let why = online.or_else(|| compare::distrust(&scan, prior, copy_start, same_timeline));
        if let Some(why) = why.filter(|_| !delta) {
            known.warn(around, format!("{why}: unchanged files are found by checksum"));
            delta = true;
        }
    }
    let bundling = request.bundle.is_some();
    let compared = base.manifest.as_ref().filter(|_| !base.resumed);
    let mut decisions = compare::decide(&scan, compared, delta, bundling);
    let folder = around.stanza.backup_folder()?.join(base.label.as_str())?;
    let storage = &**around.stanza.repository().storage();
    let mut first_bundle = 1;
    if let Some(partial) = base.manifest.as_ref().filter(|_| base.resumed) {
        if !delta {
            let threads = request.process_max;
            resume::verify(storage, partial, &scan, &mut decisions, threads, around.cancel)?;
        }
        first_bundle = resume::clear(storage, &folder, partial, &decisions)?;
    }
    let plan = Plan {
        kind: base.kind,
        label: base.label,
        prior: base.manifest,
        resumed: base.resumed,
        decisions,
        start,
        started_at,
        copy_start,
        compression: base.compression,
        cipher_pass: base.cipher_pass,
        bundle_raw: base.bundle_raw,
        checksum_page: base.checksum_page,
        delta,
        standby: known.servers.as_ref().is_some_and(|servers| servers.standby.is_some()),
        databases,
        first_bundle,
        folder,
    };
    Ok((plan, scan))
}

/// What a backup is made against, and what it has from there.
struct Base {
    kind: BackupKind,
    label: BackupLabel,
    manifest: Option<Manifest>,
    resumed: bool,
    compression: crate::codec::Compression,
    cipher_pass: Option<Secret>,
    bundle_raw: bool,
    checksum_page: bool,
}

fn base(around: &Around<'_>, known: &mut Known, labels: &[BackupLabel], at: Timestamp) -> Result<Base> {
    let request = around.request;
    let (kind, prior) = prior::choose(&known.info, request.kind);
    let prior = prior.map(|entry| entry.label.clone());
    if kind != request.kind {
        known.warn(
            around,
            format!("there is no backup a {} one could stand on: this becomes a full one", request.kind),
        );
    }
    let storage = &**around.stanza.repository().storage();
    let pages = checks_pages(around, known);
    if let Some(label) = resume::unfinished(&around.stanza, labels)? {
        let full = Request { kind, ..request.clone() };
        let now = resume::Now { timeline: known.control.timeline, checksum_page: pages };
        match resume::usable(&around.stanza, &known.info, &label, &full, &now) {
            Ok(manifest) => {
                known.warn(around, format!("backup {label} was interrupted: it is taken up"));
                return Ok(Base {
                    kind,
                    label,
                    resumed: true,
                    compression: manifest.compression,
                    cipher_pass: manifest.cipher_pass.clone(),
                    bundle_raw: manifest.bundle_raw,
                    checksum_page: pages,
                    manifest: Some(manifest),
                });
            }
            Err(why) => {
                known.warn(around, format!("backup {label} was interrupted and is removed: {why}"));
                storage.remove_folder(&around.stanza.backup_folder()?.join(label.as_str())?)?;
            }
        }
    }
    let Some(prior) = prior else {
        let encrypted = around.stanza.repository().cipher().is_some();
        return Ok(Base {
            kind,
            label: label::unused(kind, None, at, labels)?,
            manifest: None,
            resumed: false,
            compression: request.compression,
            cipher_pass: if encrypted { Some(random_passphrase()?) } else { None },
            bundle_raw: request.block.is_some(),
            checksum_page: pages,
        });
    };
    let loaded = around.stanza.manifest(&known.info, &prior)?;
    for warning in loaded.warnings {
        known.warn(around, warning);
    }
    let manifest = loaded.value;
    if manifest.compression != request.compression {
        let text = format!(
            "compress-type {} instead of {}: a set of backups keeps that of its full one",
            manifest.compression, request.compression
        );
        known.warn(around, text);
    }
    Ok(Base {
        kind,
        label: label::unused(kind, Some(&prior.full()), at, labels)?,
        resumed: false,
        compression: manifest.compression,
        cipher_pass: manifest.cipher_pass.clone(),
        bundle_raw: manifest.bundle_raw,
        // Switched off meanwhile, pages written since have none.
        checksum_page: manifest.checksum_page && known.control.data_checksums,
        manifest: Some(manifest),
    })
}

/// Whether pages of a new set are checked: they can be if the cluster has checksums.
fn checks_pages(around: &Around<'_>, known: &mut Known) -> bool {
    let has = known.control.data_checksums;
    let wanted = around.request.checksum_page.unwrap_or(has);
    if wanted && !has {
        known
            .warn(around, "checksum-page: the cluster has no page checksums, so none are checked".to_owned());
    }
    wanted && has
}

/// Waits for the next whole second of the clock that files get their times from, and says which it is.
fn next_second(known: &mut Known) -> Result<Timestamp> {
    let mut now = || match &mut known.servers {
        Some(servers) => servers.primary().clock(),
        None => Ok(Timestamp::now()),
    };
    let second = now()?.unix_s() + 1;
    loop {
        let left_us = second * 1_000_000 - now()?.0;
        if left_us <= 0 {
            return Ok(Timestamp::from_unix_s(second));
        }
        std::thread::sleep(Duration::from_micros(left_us.unsigned_abs()));
    }
}
