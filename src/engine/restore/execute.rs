//! Carrying a plan out: marker, folders, files by many threads, settings, durability, and `pg_control` last.
//!
//! A kill at any moment leaves a target that cannot start (no `pg_control`) and that the same request finishes. The
//! order at the end is fixed: all data durable, then `pg_control` renamed and its folder synced, then the marker gone.

use super::copy::{CONTROL_NAME, CONTROL_TEMPORARY, Copier, Shared, write_error};
use super::layout::RootKind;
use super::marker::Marker;
use super::owners::Owners;
use super::plan::Plan;
use super::prepare;
use super::queue::Queue;
use super::settings;
use crate::base::{Report, Result, files};
use crate::cluster::{ClusterError, control, running};
use crate::model::op::{Cancel, Event, Sink, Tally};
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// What a restore did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The backup set restored.
    pub set: String,
    /// The repository it came from.
    pub repo: u32,
    /// Files in the target.
    pub files_total: u64,
    /// Files written.
    pub files_restored: u64,
    /// Files found right and kept.
    pub files_reused: u64,
    /// Files of databases left out.
    pub files_blank: u64,
    /// Entries removed because the backup does not have them.
    pub files_removed: u64,
    /// Bytes written.
    pub bytes_restored: u64,
    /// Bytes found right and kept.
    pub bytes_reused: u64,
    /// Bytes in the target.
    pub bytes_total: u64,
    /// True if an interrupted restore was finished.
    pub resumed: bool,
    /// Milliseconds from the first write to the end.
    pub took_ms: u64,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// Counters of what happened to files.
#[derive(Debug, Default)]
pub(super) struct Counts {
    restored: AtomicU64,
    restored_bytes: AtomicU64,
    reused: AtomicU64,
    reused_bytes: AtomicU64,
    blank: AtomicU64,
}

impl Counts {
    pub(super) fn restored(&self, bytes: u64) {
        self.restored.fetch_add(1, Ordering::Relaxed);
        self.restored_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn reused(&self, bytes: u64) {
        self.reused.fetch_add(1, Ordering::Relaxed);
        self.reused_bytes(bytes);
    }

    /// Part of a restored file that was in place already.
    pub(super) fn reused_bytes(&self, bytes: u64) {
        self.reused_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn blanked(&self) {
        self.blank.fetch_add(1, Ordering::Relaxed);
    }
}

/// Executes the plan.
#[expect(clippy::needless_pass_by_value, reason = "a plan is used up: what was confirmed is done once")]
pub fn execute(plan: Plan, sink: &dyn Sink, cancel: &Cancel) -> Result<Outcome> {
    let started = Instant::now();
    let data_dir = plan.layout.data_dir().to_owned();
    let made = prepare::make_folders(&data_dir)?;
    let _lock = lock_target(&data_dir)?;
    refuse_running(&plan, &data_dir)?;
    refuse_changed(&plan, &data_dir)?;
    let owners = Owners::build(&plan.manifest, &data_dir)?;
    for folder in &made {
        super::owners::give(folder, owners.data()).map_err(|error| write_error(folder, &error))?;
    }
    let mut warnings = plan.warnings.clone();
    warnings.extend(owners.warnings().iter().cloned());
    let marker = Marker::new(&plan.request.identity(), &plan.manifest.label, plan.repo_key, &plan.preserved);
    marker.write(&data_dir, owners.data())?;
    let removed = step(sink, "prepare the target", || {
        let removed =
            if plan.reuse { prepare::clear(&plan.manifest, &plan.layout, &plan.preserved)? } else { 0 };
        prepare::build(&plan.manifest, &plan.layout, &owners)?;
        Ok((removed, format!("{removed} removed")))
    })?;
    // Opened before the first file is written: only then does syncfs report every write error that follows.
    let filesystems = open_filesystems(&plan)?;
    let counts = Counts::default();
    step(sink, "copy", || copy_all(&plan, &owners, &counts, sink, cancel).map(|()| ((), String::new())))?;
    step(sink, "write recovery settings", || settings::write(&plan, &owners).map(|text| ((), text)))?;
    step(sink, "make durable", || {
        for (path, filesystem) in &filesystems {
            rustix::fs::syncfs(filesystem).map_err(|error| sync_error(path, &error.into()))?;
        }
        finish_control(&plan, |content| marker.finishing(content).write(&data_dir, owners.data()))?;
        Marker::remove(&data_dir)?;
        Ok(((), format!("{} filesystem(s)", filesystems.len())))
    })?;
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Outcome {
        set: plan.manifest.label.to_string(),
        repo: plan.repo_key,
        files_total: plan.manifest.files.len() as u64,
        files_restored: load(&counts.restored),
        files_reused: load(&counts.reused),
        files_blank: load(&counts.blank),
        files_removed: removed,
        bytes_restored: load(&counts.restored_bytes),
        bytes_reused: load(&counts.reused_bytes),
        bytes_total: plan.bytes_total,
        resumed: plan.resumes,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        warnings,
    })
}

/// Runs one step and reports its beginning and end.
fn step<T>(sink: &dyn Sink, name: &str, work: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
    sink.event(Event::StepStarted { step: name.to_owned() });
    let started = Instant::now();
    let (value, detail) = work().map_err(|report| report.context(format!("restoring: {name}")))?;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    sink.event(Event::StepDone { step: name.to_owned(), took_ms, detail });
    Ok(value)
}

/// One restore per target: the lock is held by the open folder until the end. The data directory may be a link.
pub(super) fn lock_target(data_dir: &Path) -> Result<File> {
    let folder = File::open(data_dir).map_err(|error| write_error(data_dir, &error))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(std::fs::TryLockError::WouldBlock) => Err(Report::new(
            crate::base::Kind::Refused(None),
            format!("another restore is writing to {}", data_dir.display()),
        )
        .hint("wait for it to end, or stop it and run this command again: it resumes")),
        Err(std::fs::TryLockError::Error(error)) => Err(write_error(data_dir, &error)),
    }
}

/// Between the plan and now a server may have been started.
fn refuse_running(plan: &Plan, data_dir: &Path) -> Result<()> {
    let mut ignored = Vec::new();
    plan.request
        .unless_accepted(super::guards::not_running(&running::look(data_dir)?, data_dir), &mut ignored)
}

/// Between the plan and now something may have been put into the empty target, the interrupted restore may have been
/// finished by somebody else, or another cluster may have been laid there: what was confirmed no longer holds.
fn refuse_changed(plan: &Plan, data_dir: &Path) -> Result<()> {
    let changed = |why: String| {
        Err(Report::new(crate::base::Kind::Refused(None), why)
            .hint("run the same command again to plan anew"))
    };
    let marker = Marker::of_unfinished(data_dir)?;
    let resumes = marker.is_some_and(|marker| marker.is_of(&plan.request.identity()));
    if plan.resumes && !resumes {
        return changed(format!("{} is no longer an interrupted restore", data_dir.display()));
    }
    let survey = prepare::survey(&plan.manifest, &plan.layout)?;
    if let Some(first) = survey.occupied.first().filter(|_| !plan.reuse) {
        return changed(format!(
            "{} was empty when the restore was planned and is not any more",
            first.display()
        ));
    }
    super::guards::may_overwrite(&plan.request, &plan.manifest, &plan.layout, &survey, plan.resumes).map(drop)
}

fn copy_all(plan: &Plan, owners: &Owners, counts: &Counts, sink: &dyn Sink, cancel: &Cancel) -> Result<()> {
    let manifest = &plan.manifest;
    let blank = |number: usize| plan.selection.is_blank(manifest.files.get(number).name);
    let wanted = |number: usize| !plan.leaves_out(manifest.files.get(number).name);
    let queue = Queue::build(manifest, wanted, blank);
    let tally = Tally::default();
    let shared = Shared {
        storage: &*plan.storage,
        manifest,
        layout: &plan.layout,
        owners,
        reuse: plan.reuse,
        direct: plan.direct,
        blank: &blank,
        tally: &tally,
        cancel,
        counts,
    };
    let files_total = manifest.files.len() as u64;
    let failure: Mutex<Option<Report>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let working = AtomicU64::new(plan.request.process_max.max(1) as u64);
    let work = || {
        let mut copier = Copier::new(&shared);
        while !stop.load(Ordering::Acquire) {
            let Some(job) = queue.take() else { break };
            if let Err(report) = copier.run(&job) {
                stop.store(true, Ordering::Release);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(report);
            }
        }
        working.fetch_sub(1, Ordering::AcqRel);
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.request.process_max.max(1)).map(|_| scope.spawn(work)).collect();
        let mut told = Instant::now();
        while working.load(Ordering::Acquire) > 0 && workers.iter().any(|w| !w.is_finished()) {
            std::thread::sleep(Duration::from_millis(5));
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                sink.progress(tally.sample(plan.bytes_total, files_total));
            }
        }
    });
    sink.progress(tally.sample(plan.bytes_total, files_total));
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// One open folder per filesystem the restore writes to; any folder of the backup may be a mount of its own.
fn open_filesystems(plan: &Plan) -> Result<Vec<(std::path::PathBuf, File)>> {
    let layout = &plan.layout;
    let roots = layout.roots().iter().map(|root| {
        let above = root.path.parent().filter(|_| root.kind == RootKind::File);
        above.unwrap_or(&root.path).to_owned()
    });
    let folders = plan.manifest.paths.iter().filter_map(|entry| layout.path_of(&entry.name));
    let mut by_device = BTreeMap::new();
    for folder in roots.chain(folders) {
        let fail = |error: std::io::Error| write_error(&folder, &error);
        let device = std::fs::metadata(&folder).map_err(fail)?.dev();
        if let Entry::Vacant(vacant) = by_device.entry(device) {
            let opened = File::open(&folder).map_err(fail)?;
            vacant.insert((folder, opened));
        }
    }
    Ok(by_device.into_values().collect())
}

/// Makes the waiting `pg_control` unusable without `backup_label` (online backups), durable, and the real one.
/// `announce` learns the content before it appears under its name.
fn finish_control(plan: &Plan, announce: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
    let Some(control_path) = plan.layout.path_of(CONTROL_NAME) else { return Ok(()) };
    let waiting = control_path.with_file_name(CONTROL_TEMPORARY);
    let fail = |error: std::io::Error| write_error(&waiting, &error);
    let mut content = std::fs::read(&waiting).map_err(fail)?;
    if plan.manifest.online {
        let modified = std::fs::metadata(&waiting).and_then(|m| m.modified()).map_err(fail)?;
        control::mark_unusable_checkpoint(&mut content)
            .map_err(|source| ClusterError::Control { path: waiting.clone(), source })?;
        let file = File::options().write(true).open(&waiting).map_err(fail)?;
        std::os::unix::fs::FileExt::write_all_at(&file, &content, 0).map_err(fail)?;
        file.set_modified(modified).map_err(fail)?;
    }
    File::open(&waiting).and_then(|file| file.sync_all()).map_err(|error| sync_error(&waiting, &error))?;
    announce(&content)?;
    std::fs::rename(&waiting, &control_path).map_err(|error| write_error(&control_path, &error))?;
    files::sync_folder_of(&control_path).map_err(|error| sync_error(&control_path, &error))
}

fn sync_error(path: &Path, error: &std::io::Error) -> Report {
    Report::failed(format!("cannot make {} durable: {error}", path.display()))
        .hint("see the system's log for that device; the restore is not finished, run the same command again")
}
