//! Waiting until a WAL segment is in the archive of every repository.
//!
//! Looks again and again, at names only. A repository that cannot be read is no repository without the segment: after a
//! few tries it is an error. Two different contents of the segment are an error at once, in one repository or between
//! two. Nothing is written, and the server is not asked before the time is over.

use super::served::Archiver;
use super::stanza::Identity;
use crate::base::{Kind, Report, Result as Reported, WalSegment};
use crate::model::op::Cancel;
use crate::repo::{Archive, ArchiveId, Found, RepoError, Stanza, StoredSegment};
use std::time::{Duration, Instant};

/// The first pause between two looks; each is longer than the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often in a row a store may fail before that is the answer.
const STORE_TRIES: u32 = 5;

/// How the server's archiver is asked when the time is over; nothing if there is no server to ask.
pub type AskArchiver<'a> = Option<&'a mut dyn FnMut() -> Reported<Archiver>>;

/// Why a segment did not arrive, or cannot be waited for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The time is over.
    #[error(
        "WAL segment {segment} did not arrive in {} within {} s{}",
        names(lacking), limit.as_secs_f64(), said(archiver.as_ref())
    )]
    Timeout {
        /// The segment.
        segment: WalSegment,
        /// The repositories that lack it, by number.
        lacking: Vec<u32>,
        /// How long was waited.
        limit: Duration,
        /// What the server's archiver says, if it could be asked.
        archiver: Option<Archiver>,
    },
    /// The segment is stored with different contents.
    #[error("WAL segment {segment} is archived with different contents: {copies}")]
    Duplicate {
        /// The segment.
        segment: WalSegment,
        /// Each place with its checksum.
        copies: String,
    },
    /// The archive's current cluster is another one, so its WAL goes elsewhere.
    #[error("repo{key}: archive.info is of {found}, the server is {wanted}")]
    Foreign {
        /// The repository's number.
        key: u32,
        /// The current cluster of the archive.
        found: Identity,
        /// The cluster whose WAL is waited for.
        wanted: Identity,
    },
    /// A repository could not be read.
    #[error("repo{key}: {source}")]
    Repo {
        /// The repository's number.
        key: u32,
        /// Why.
        source: RepoError,
    },
    /// The operator cancelled.
    #[error("cancelled by the operator")]
    Cancelled,
}

fn names(keys: &[u32]) -> String {
    keys.iter().map(|key| format!("repo{key}")).collect::<Vec<_>>().join(", ")
}

fn said(archiver: Option<&Archiver>) -> String {
    archiver.map_or(String::new(), |archiver| format!(": {archiver}"))
}

impl From<WaitError> for Report {
    fn from(error: WaitError) -> Self {
        let text = error.to_string();
        match error {
            WaitError::Timeout { .. } => Self::failed(text).hint(
                "look at archive_command and into the server's log: PostgreSQL tries the same file again until it works; \
                 if the repository is only slow, raise archive-timeout",
            ),
            WaitError::Duplicate { .. } => Self::damaged(text).hint(
                "two servers archive to this stanza, or one was reset: find out which copy belongs to this cluster before \
                 anything else",
            ),
            WaitError::Foreign { .. } => Self::new(Kind::Refused(None), text).hint(
                "check --stanza and pg1-path; if this cluster has taken the other's place, run stanza-upgrade",
            ),
            WaitError::Repo { key, source } => {
                let report = Self::from(source);
                Self { headline: format!("repo{key}: {}", report.headline), ..report }
            }
            WaitError::Cancelled => Self::new(Kind::Cancelled, text),
        }
    }
}

/// A segment that is in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// The repository's number.
    pub key: u32,
    /// The archive's folder.
    pub id: ArchiveId,
    /// The segment as it is stored.
    pub stored: StoredSegment,
}

/// The archives of one cluster, opened once for waiting for several segments.
#[derive(Debug)]
pub struct Watch {
    shelves: Vec<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    key: u32,
    archive: Archive,
    id: ArchiveId,
}

impl Watch {
    /// Opens the archive of `identity` in each repository: the folder its WAL goes to now.
    pub fn open(repositories: &[Stanza], identity: Identity, cancel: &Cancel) -> Result<Self, WaitError> {
        let mut shelves = Vec::new();
        for stanza in repositories {
            let key = stanza.repository().key();
            let info = patiently(key, cancel, || stanza.archive_info())?.value;
            let found = Identity::from(info.current());
            if found != identity {
                return Err(WaitError::Foreign { key, found, wanted: identity });
            }
            let id = ArchiveId { version: identity.version, db_id: info.current_db_id };
            shelves.push(Shelf { key, archive: stanza.archive(&info), id });
        }
        Ok(Self { shelves })
    }

    /// Waits until every archive has the segment, for `limit` at most; gives where it is, in the order of the
    /// repositories. At least one look is taken.
    pub fn wait_for(
        &self,
        segment: WalSegment,
        limit: Duration,
        cancel: &Cancel,
        ask: AskArchiver<'_>,
    ) -> Result<Vec<Arrived>, WaitError> {
        let begun = Instant::now();
        let mut arrived: Vec<Option<Arrived>> = vec![None; self.shelves.len()];
        let mut pause = FIRST_PAUSE;
        loop {
            for (shelf, place) in self.shelves.iter().zip(&mut arrived).filter(|(_, place)| place.is_none()) {
                *place = shelf.look(segment, cancel)?;
            }
            alike(segment, arrived.iter().flatten())?;
            if arrived.iter().all(Option::is_some) {
                return Ok(arrived.into_iter().flatten().collect());
            }
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            sleep(pause.min(left), cancel)?;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
        let lacks = self.shelves.iter().zip(&arrived).filter(|(_, place)| place.is_none());
        let lacking = lacks.map(|(shelf, _)| shelf.key).collect();
        // What the server says only explains: that it cannot be asked changes nothing.
        let archiver = ask.and_then(|ask| ask().ok());
        Err(WaitError::Timeout { segment, lacking, limit, archiver })
    }
}

impl Shelf {
    fn look(&self, segment: WalSegment, cancel: &Cancel) -> Result<Option<Arrived>, WaitError> {
        let Self { key, archive, id } = self;
        match patiently(*key, cancel, || archive.find(id, segment))? {
            Found::Absent => Ok(None),
            Found::One(stored) => Ok(Some(Arrived { key: *key, id: *id, stored })),
            Found::Conflict(copies) => {
                let copies: Vec<String> =
                    copies.iter().map(|copy| format!("repo{key} has {}", copy.sha1)).collect();
                Err(WaitError::Duplicate { segment, copies: copies.join(", ") })
            }
        }
    }
}

/// Every repository must have the same content.
fn alike<'a>(segment: WalSegment, arrived: impl Iterator<Item = &'a Arrived>) -> Result<(), WaitError> {
    let all: Vec<&Arrived> = arrived.collect();
    let Some(first) = all.first() else { return Ok(()) };
    if all.iter().all(|other| other.stored.sha1 == first.stored.sha1) {
        return Ok(());
    }
    let copies: Vec<String> =
        all.iter().map(|copy| format!("repo{} has {}", copy.key, copy.stored.sha1)).collect();
    Err(WaitError::Duplicate { segment, copies: copies.join(", ") })
}

/// Asks a store that may not answer at once a few times.
fn patiently<T>(
    key: u32,
    cancel: &Cancel,
    mut read: impl FnMut() -> Result<T, RepoError>,
) -> Result<T, WaitError> {
    let mut pause = FIRST_PAUSE;
    let mut tries = 1;
    loop {
        match read() {
            Ok(value) => return Ok(value),
            Err(source) if source.is_transient() && tries < STORE_TRIES => {
                sleep(pause, cancel)?;
                pause = (pause * 3).min(LONGEST_PAUSE);
                tries += 1;
            }
            Err(source) => return Err(WaitError::Repo { key, source }),
        }
    }
}

/// Sleeps, but not past a cancel.
fn sleep(pause: Duration, cancel: &Cancel) -> Result<(), WaitError> {
    let until = Instant::now() + pause;
    loop {
        if cancel.requested() {
            return Err(WaitError::Cancelled);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(FIRST_PAUSE));
    }
}

/// Waits for one segment: [`Watch::open`] and [`Watch::wait_for`] in one.
pub fn wait_for(
    repositories: &[Stanza],
    segment: WalSegment,
    identity: Identity,
    limit: Duration,
    cancel: &Cancel,
    ask: AskArchiver<'_>,
) -> Result<Vec<Arrived>, WaitError> {
    Watch::open(repositories, identity, cancel)?.wait_for(segment, limit, cancel, ask)
}

#[cfg(test)]
mod tests;
