//! `archive-get`: PostgreSQL's `restore_command`, one file of the archive per call.
//!
//! A call looks into the [spool] for a segment fetched ahead, else into every repository, then into the
//! salvage folder. What it delivers was verified whole before the destination's name appeared; what it calls absent
//! was looked for everywhere without an error; anything else is a failure, and PostgreSQL stops ([exits]). It never
//! guesses between two copies, never takes an error for absence, and writes only to the destination and the spool.

mod branch;
mod call;
mod deliver;
mod error;
pub mod exits;
mod history;
mod lookup;
pub mod prefetch;
pub mod requests;
mod salvage;
pub mod spool;
mod wanted;

use crate::base::{Report, Timestamp, WalSegment};
use crate::cluster::control::ControlFile;
use crate::engine::repositories::Slot;
use call::Call;
use deliver::Identity;
pub use error::GetError;
pub use exits::{Answer, Asker};
use lookup::Archives;
use requests::Request;
use spool::{Incoming, Seal, Spool};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
pub use wanted::Wanted;

/// How often a standby's failing request is tried before it is told that the file is absent.
const STANDBY_TRIES: u32 = 3;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a call works with.
#[derive(Debug)]
pub struct Job {
    /// The data directory of the recovering cluster.
    pub data_dir: PathBuf,
    /// The stanza.
    pub stanza: String,
    /// The repositories, in the order in which they are asked; one that could not be opened counts as failing.
    pub repositories: Vec<Slot>,
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
        Self { store, upload: Duration::from_secs(2), standby: Duration::from_secs(1) }
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
        let call = Call::begin(job, wanted, destination)?;
        spool.clone_from(&call.spool);
        call.answer(wanted)
    });
    let took = begun.elapsed();
    if let (Some(spool), Some(request)) = (&spool, request(wanted, &answer, asker, took)) {
        // A log that cannot be written costs speed, not correctness.
        drop(spool.record(&request));
    }
    let more = matches!(answer, Answer::Delivered { .. });
    Reply {
        exit_code: answer.exit_code(asker),
        line: answer.line(wanted, asker, took),
        answer,
        spool: spool.filter(|_| more),
    }
}

/// What is put on record. A standby asks for what is absent every few seconds, for months: that is not.
fn request(wanted: Wanted, answer: &Answer, asker: Asker, took: Duration) -> Option<Request> {
    let (outcome, from) = match (answer, asker) {
        (Answer::Delivered { from, .. }, _) => ("delivered", from.as_str()),
        (Answer::Failed(_), Asker::Recovery) => ("failed", "-"),
        _ => return None,
    };
    Some(Request {
        at: Timestamp::now(),
        name: wanted.to_string(),
        outcome: outcome.to_owned(),
        from: from.to_owned(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
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

/// Supplies a prefetcher from the repositories of a job.
#[derive(Debug)]
pub struct RepositorySupply {
    archives: Archives,
}

impl RepositorySupply {
    /// Opens the repositories for the cluster in the job's data directory; also gives its segment size.
    pub fn open(job: &Job) -> Result<(Self, crate::base::WalSegmentSize), GetError> {
        let identity = Identity::of(&ControlFile::read(&job.data_dir)?);
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
