//! The call PostgreSQL waits for when archiving is asynchronous: reads the status files, sees to it that a background
//! process is at work, and waits for its word.
//!
//! Acknowledges only what is proven: an `.ok` that is not bound to just this file is compared with the repositories.

use super::shelf::Shelves;
use super::source::{Source, Stamp};
use super::spool::{Spool, Status};
use super::{Given, Job, PushError, Pushed, dropped, identity, locate, lodge, push_found, ready};
use crate::engine::locks::Work;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// The shortest and the longest pause between two looks at the status.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// How long a background process has for taking its lock, before another one is started in its place.
const GRACE: Duration = Duration::from_secs(1);
/// How often is looked at the lock of the background process; looking holds it for an instant.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Starts the background process.
pub type Launch<'a> = &'a dyn Fn() -> io::Result<()>;

/// Has the file at `path` pushed by the background process, waiting for it as long as `patience` says.
///
/// A file that PostgreSQL has not marked as waiting is pushed at once: the background process would not find it.
pub fn push_by_spool(
    job: &Job,
    path: &Path,
    spool_path: &Path,
    patience: Duration,
    launch: Launch<'_>,
) -> Result<Pushed, PushError> {
    let given = locate(job, path)?;
    if !ready::is_ready(&given.path, given.file) || !is_watched(job, &given.path)? {
        return push_found(job, &given);
    }
    let spool = Spool::open(spool_path, &job.stanza)?;
    let stamp =
        Stamp::at(&given.path).map_err(|source| PushError::Source { path: given.path.clone(), source })?;
    wait(job, &given, &spool, stamp, patience, launch)
}

fn wait(
    job: &Job,
    given: &Given,
    spool: &Spool,
    stamp: Stamp,
    patience: Duration,
    launch: Launch<'_>,
) -> Result<Pushed, PushError> {
    let (begun, mut pause) = (Instant::now(), PAUSES.0);
    let (mut launched, mut looked): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        match spool.status(given.file, stamp)? {
            Status::Done(warning) => {
                let line = format!("{} archived in the background", given.file);
                let warnings = warning.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
                return Ok(Pushed { warnings, line });
            }
            Status::Unproven if is_archived(job, given)? => {
                let line = format!("{} archived in the background, found in every repository", given.file);
                return Ok(Pushed { warnings: Vec::new(), line });
            }
            Status::Unproven => spool.discard_ok(given.file)?,
            Status::Skipped(error) => {
                let why =
                    format!("skipped because its error was renamed to .ok by hand; the error was: {error}");
                let warning = dropped::put_on_record(job, &[given.file], &why);
                return Ok(Pushed { warnings: vec![warning], line: format!("{} was skipped", given.file) });
            }
            // On the first look the error is one of an earlier attempt, which is repeated now.
            Status::Failed(code, message) if launched.is_some() => {
                return Err(PushError::Told { code, message });
            }
            Status::Failed(..) | Status::None => {}
        }
        if looked.is_none_or(|at| at.elapsed() >= LOCK_PAUSE) {
            looked = Some(Instant::now());
            if is_attended(job) {
                launched.get_or_insert_with(Instant::now);
            } else if launched.is_none_or(|at| at.elapsed() > GRACE) {
                spool.clear_errors(given.file)?;
                launch().map_err(|source| PushError::Launch { source })?;
                launched = Some(Instant::now());
                pause = PAUSES.0;
            }
        }
        if begun.elapsed() >= patience {
            let waited_s = begun.elapsed().as_secs();
            return Err(PushError::Timeout { file: given.file, waited_s, attended: is_attended(job) });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// True if the background process looks into the folder this file is in.
fn is_watched(job: &Job, path: &Path) -> Result<bool, PushError> {
    let place = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let Some(folder) = path.parent() else { return Ok(false) };
    let watched = ready::wal_folder(&job.data_dir, identity(&job.data_dir)?.version);
    Ok(place(folder).is_some() && place(folder) == place(&watched))
}

/// True if a background process, ours or pgBackRest's, holds the lock of this stanza's archiving.
fn is_attended(job: &Job) -> bool {
    let keys = job.repositories.iter().map(|slot| slot.key);
    job.locks.of_stanza(&job.stanza, Work::Archive).held
        || keys.into_iter().any(|key| job.locks.of_repo(&job.stanza, Work::Archive, key).held)
}

/// True if just this file is in every repository.
fn is_archived(job: &Job, given: &Given) -> Result<bool, PushError> {
    let identity = identity(&job.data_dir)?;
    let Shelves { usable: shelves, failures, .. } = Shelves::open(&job.repositories, &job.stanza, &identity)?;
    if let Some(error) = PushError::all(failures) {
        return Err(error);
    }
    let mut source = Source::open(&given.path, given.file, &identity, job.care.header)?;
    lodge::is_lodged(&shelves, &mut source, &mut Vec::new())
}
