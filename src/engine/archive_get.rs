//! `archive-get`: PostgreSQL's `restore_command`, one file of the archive per call.
//!
//! A call looks into the [spool](spool) for a segment fetched ahead, else into every repository, then into the
//! salvage folder. What it delivers was verified whole before the destination's name appeared; what it calls absent
//! was looked for everywhere without an error; anything else is a failure, and PostgreSQL stops ([exits]). It never
//! guesses between two copies, never takes an error for absence, and writes only to the destination and the spool.

mod branch;
mod deliver;
mod error;
pub mod exits;
mod history;
mod lookup;
pub mod prefetch;
mod salvage;
pub mod spool;
mod wanted;

use crate::base::{Report, Timestamp, WalSegment};
use crate::cluster::control::ControlFile;
use crate::repo::Repository;
use deliver::{Identity, Temporary, put_small};
pub use error::GetError;
pub use exits::{Answer, Asker};
use lookup::{Archives, Search};
use salvage::Salvage;
use spool::{Incoming, Request, Seal, Spool, Taken};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
pub use wanted::Wanted;

/// How often a standby's failing request is tried before it is told that the file is absent.
const STANDBY_TRIES: u32 = 3;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a segment that is just arriving in the spool is looked at.
const ARRIVAL_POLL: Duration = Duration::from_millis(2);
/// A segment in the spool that has not grown for so long is not waited for.
const ARRIVAL_STALL: Duration = Duration::from_secs(2);

/// What a call works with.
#[derive(Debug)]
pub struct Job {
    /// The data directory of the recovering cluster.
    pub data_dir: PathBuf,
    /// The stanza.
    pub stanza: String,
    /// The repositories, in the order in which they are asked.
    pub repositories: Vec<Repository>,
    /// Where spools are made; nothing switches fetching ahead off.
    pub spool_path: Option<PathBuf>,
    /// The saved `pg_wal` of the damaged cluster, if there is one.
    pub salvage: Option<PathBuf>,
    /// How long trouble is waited out.
    pub patience: Patience,
}

/// How long trouble is waited out before it is told.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long a store that does not answer is asked again.
    pub store: Duration,
    /// How long an upload out of order is waited for, before a missing segment counts as a gap.
    pub upload: Duration,
    /// The pause before a standby's request is tried again, growing by itself each time.
    pub standby: Duration,
}

impl Patience {
    /// The patience of the program: `store` comes from the configuration's `archive-timeout`.
    pub fn new(store: Duration) -> Self {
        Self { store, upload: Duration::from_secs(2), standby: Duration::from_secs(3) }
    }
}

/// What came of a call.
#[derive(Debug)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// The process's exit code.
    pub exit_code: u8,
    /// The line for the server's log.
    pub line: String,
    /// The spool, if a segment was delivered and more may be fetched ahead.
    pub spool: Option<Spool>,
}

/// Delivers the file `name` to `destination`.
pub fn get(job: &Job, name: &str, destination: &Path) -> Reply {
    let begun = Instant::now();
    let asker = Asker::of(&job.data_dir);
    let Some(wanted) = Wanted::parse(name) else {
        let report = Report::from(GetError::Name(name.chars().take(80).collect()));
        let line = exits::failure_line("", &report, Asker::Recovery);
        return Reply { answer: Answer::Failed(report), exit_code: exits::FAILED, line, spool: None };
    };
    let mut spool = None;
    let answer = persist(asker, job.patience, || {
        let call = Call::begin(job, destination)?;
        spool.clone_from(&call.spool);
        call.answer(wanted)
    });
    let took = begun.elapsed();
    if let Some(spool) = &spool {
        // A log that cannot be written costs speed, not correctness.
        drop(spool.record(&request(wanted, &answer, took)));
    }
    let more = matches!((&answer, wanted), (Answer::Delivered { .. }, Wanted::Segment(_)));
    Reply {
        exit_code: answer.exit_code(asker),
        line: answer.line(wanted, asker, took),
        answer,
        spool: spool.filter(|_| more),
    }
}

fn request(wanted: Wanted, answer: &Answer, took: Duration) -> Request {
    let (outcome, from) = match answer {
        Answer::Delivered { from, .. } => ("delivered", from.as_str()),
        Answer::Absent { .. } => ("absent", "-"),
        Answer::Failed(_) => ("failed", "-"),
    };
    Request {
        at: Timestamp::now(),
        name: wanted.to_string(),
        outcome: outcome.to_owned(),
        from: from.to_owned(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Tries until there is an answer or patience ends: a recovery waits for stores that do not answer, a standby tries
/// everything a few times, because a failure would shut it down.
fn persist(
    asker: Asker,
    patience: Patience,
    mut attempt: impl FnMut() -> Result<Answer, GetError>,
) -> Answer {
    let begun = Instant::now();
    let mut tries = 1;
    let mut pause = Duration::from_millis(100).min(patience.store);
    loop {
        let error = match attempt() {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        match asker {
            Asker::Recovery if error.is_transient() && begun.elapsed() + pause < patience.store => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Asker::Standby if tries < STANDBY_TRIES => std::thread::sleep(patience.standby * tries),
            _ => return Answer::Failed(error.into()),
        }
        tries += 1;
    }
}

/// One try at one request.
struct Call<'a> {
    job: &'a Job,
    destination: &'a Path,
    control: ControlFile,
    identity: Identity,
    spool: Option<Spool>,
}

impl<'a> Call<'a> {
    fn begin(job: &'a Job, destination: &'a Path) -> Result<Self, GetError> {
        let control = ControlFile::read(&job.data_dir)?;
        if control.checkpoint_is_marked_unusable() && !job.data_dir.join("backup_label").exists() {
            return Err(GetError::LabelGone(job.data_dir.clone()));
        }
        let identity = Identity {
            version: control.version,
            system_id: control.system_id,
            segment_size: control.segment_size,
        };
        let spool = job.spool_path.as_ref().and_then(|path| {
            let places: Vec<String> = job
                .repositories
                .iter()
                .map(|repository| format!("{} {}", repository.key(), repository.storage().describe()))
                .collect();
            let folder = spool::folder_for(path, &job.stanza, &job.data_dir, &control, &places).ok()?;
            Spool::open(folder).ok()
        });
        Ok(Self { job, destination, control, identity, spool })
    }

    fn salvage(&self) -> Option<Salvage<'_>> {
        self.job.salvage.as_ref().map(|folder| Salvage { folder, identity: self.identity })
    }

    fn answer(&self, wanted: Wanted) -> Result<Answer, GetError> {
        let mut warnings = Vec::new();
        if let (Wanted::Segment(segment), Some(spool)) = (wanted, &self.spool)
            && let Some(answer) = self.from_spool(spool, segment, &mut warnings)
        {
            return Ok(answer);
        }
        let (archives, failures) = Archives::open(&self.job.repositories, &self.job.stanza, self.identity);
        warnings.extend(archives.warnings.iter().cloned());
        match wanted {
            Wanted::Segment(segment) => self.segment(segment, &archives, failures, warnings),
            Wanted::Partial(_) => {
                let mut search = archives.search(wanted)?;
                search.failures.splice(0..0, failures);
                match self.first_good(&archives, &mut search, &warnings)? {
                    Some(delivered) => Ok(delivered),
                    None => self.absent(&archives, search.failures),
                }
            }
            Wanted::History(timeline) => self.history(timeline, &archives, failures, warnings),
            Wanted::BackupHistory(..) => {
                let (found, others) = archives.small(wanted);
                match found.into_iter().next() {
                    Some((from, content)) => {
                        put_small(&content, self.destination)?;
                        Ok(Answer::Delivered { from, warnings })
                    }
                    None => self.absent(&archives, failures.into_iter().chain(others).collect()),
                }
            }
        }
    }

    /// Absence, if nothing failed.
    fn absent(&self, archives: &Archives, failures: Vec<GetError>) -> Result<Answer, GetError> {
        match GetError::all(failures) {
            Some(error) => Err(error),
            None => {
                let salvage = self.job.salvage.as_ref().map(|folder| format!(", {}", folder.display()));
                let looked_at = format!("{}{}", archives.looked_at(), salvage.unwrap_or_default());
                Ok(Answer::Absent { looked_at })
            }
        }
    }

    /// A segment that was fetched ahead, or is just arriving.
    fn from_spool(&self, spool: &Spool, segment: WalSegment, warnings: &mut Vec<String>) -> Option<Answer> {
        let size_bytes = u64::from(self.identity.segment_size.bytes());
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            // Looked at before the segment itself: it may become ready between the two.
            let arriving = spool.arriving_bytes(segment);
            match spool.take(segment, size_bytes, self.destination) {
                Ok(Taken::Delivered(from)) => {
                    let from = format!("spool ({from})");
                    return Some(Answer::Delivered { from, warnings: std::mem::take(warnings) });
                }
                Ok(Taken::None) => {}
                Ok(Taken::Unsound(why)) => {
                    warnings.push(format!("the copy fetched ahead was thrown away: {why}"));
                    return None;
                }
                Err(error) => {
                    warnings.push(format!("the copy fetched ahead cannot be used: {error}"));
                    return None;
                }
            }
            let bytes = arriving?;
            if bytes > seen {
                (seen, since) = (bytes, Instant::now());
            }
            if since.elapsed() > ARRIVAL_STALL || !spool.is_attended() {
                return None;
            }
            std::thread::sleep(ARRIVAL_POLL);
        }
    }

    fn segment(
        &self,
        segment: WalSegment,
        archives: &Archives,
        failures: Vec<GetError>,
        warnings: Vec<String>,
    ) -> Result<Answer, GetError> {
        let mut search = archives.search(Wanted::Segment(segment))?;
        search.failures.splice(0..0, failures);
        if let Some(delivered) = self.first_good(archives, &mut search, &warnings)? {
            return Ok(delivered);
        }
        if let (Some(copy), Some(salvage)) = (search.copies.first(), self.salvage()) {
            if salvage.replace(segment, copy.stored.sha1, self.destination)? {
                let from = salvage.folder.display().to_string();
                let warnings = with_failures(warnings, &search.failures);
                return Ok(Answer::Delivered { from, warnings });
            }
        }
        if let Some(error) = GetError::all(search.failures) {
            return Err(error);
        }
        if let Some(salvage) = self.salvage()
            && salvage.deliver(segment, archives, (&self.job.data_dir, &self.control), self.destination)?
        {
            return Ok(Answer::Delivered { from: salvage.folder.display().to_string(), warnings });
        }
        self.absent_or_gap(segment, archives, &warnings)
    }

    /// Delivers the first copy that is sound; those that are not become failures.
    fn first_good(
        &self,
        archives: &Archives,
        search: &mut Search<'_>,
        warnings: &[String],
    ) -> Result<Option<Answer>, GetError> {
        let failed = |source| GetError::Destination { path: self.destination.to_owned(), source };
        for copy in &search.copies {
            let mut target = Temporary::beside(self.destination).map_err(failed)?;
            match archives.copy(copy, target.file(), self.destination) {
                Ok(_) => {
                    target.publish().map_err(failed)?;
                    let warnings = with_failures(warnings.to_vec(), &search.failures);
                    return Ok(Some(Answer::Delivered { from: copy.from(), warnings }));
                }
                Err(error @ GetError::Destination { .. }) => return Err(error),
                Err(error) => search.failures.push(error),
            }
        }
        Ok(None)
    }

    /// A segment that is nowhere: the end of the archive, unless later ones are there.
    fn absent_or_gap(
        &self,
        segment: WalSegment,
        archives: &Archives,
        warnings: &[String],
    ) -> Result<Answer, GetError> {
        let later = |archives: &Archives| -> Result<_, GetError> {
            if let Some(found) = archives.later(segment)? {
                return Ok(Some(found));
            }
            let Some(salvage) = self.salvage() else { return Ok(None) };
            Ok(salvage.later(segment)?.map(|later| (later, salvage.folder.display().to_string())))
        };
        if later(archives)?.is_none() {
            return self.absent(archives, Vec::new());
        }
        // Segments are uploaded by several processes at once and may arrive out of order.
        std::thread::sleep(self.job.patience.upload);
        let mut search = archives.search(Wanted::Segment(segment))?;
        if let Some(delivered) = self.first_good(archives, &mut search, warnings)? {
            return Ok(delivered);
        }
        if let Some(error) = GetError::all(search.failures) {
            return Err(error);
        }
        match later(archives)? {
            Some((later, place)) => Err(GetError::Gap { missing: segment, later, place }),
            None => self.absent(archives, Vec::new()),
        }
    }
}

fn with_failures(mut warnings: Vec<String>, failures: &[GetError]) -> Vec<String> {
    warnings.extend(failures.iter().map(ToString::to_string));
    warnings
}

/// Supplies a prefetcher from the repositories of a job.
#[derive(Debug)]
pub struct RepositorySupply {
    archives: Archives,
}

impl RepositorySupply {
    /// Opens the repositories for the cluster in the job's data directory; also gives its segment size.
    pub fn open(job: &Job) -> Result<(Self, crate::base::WalSegmentSize), GetError> {
        let control = ControlFile::read(&job.data_dir)?;
        let identity = Identity {
            version: control.version,
            system_id: control.system_id,
            segment_size: control.segment_size,
        };
        let (archives, failures) = Archives::open(&job.repositories, &job.stanza, identity);
        // With a repository missing, two that disagree could not be noticed: that is left to the foreground.
        match GetError::all(failures) {
            Some(error) => Err(error),
            None => Ok((Self { archives }, identity.segment_size)),
        }
    }
}

impl prefetch::Supply for RepositorySupply {
    fn supply(&self, segment: WalSegment, into: &mut Incoming) -> Result<Option<Seal>, GetError> {
        let search = self.archives.search(Wanted::Segment(segment))?;
        if let Some(error) = GetError::all(search.failures) {
            return Err(error);
        }
        let Some(copy) = search.copies.first() else { return Ok(None) };
        let path = into.path().to_owned();
        let quick = self.archives.copy(copy, into, &path)?;
        Ok(Some(Seal { segment, quick, from: copy.from() }))
    }
}

#[cfg(test)]
mod tests;
