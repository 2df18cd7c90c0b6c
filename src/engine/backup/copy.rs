//! Copying one file: read, check its pages, hash, compress, encrypt, store; or find that the backup before has it.
//!
//! What comes out is what the manifest says of the file. Nothing counts before the object it is in was committed. A file
//! that a running server was writing while it was read is judged afterwards and copied again where replay would not
//! repair the copy.

use super::blocks::BlockPolicy;
use super::compare::{CONTROL_NAME, Decision};
use super::error::BackupError;
use super::object::Object;
use super::pages::judge::{Judge, PAUSES, read_page};
use super::pages::{PageScan, ranges};
use super::queue::Job;
use super::scan::{Scan, ScanFile};
use super::source::{PageOptions, Places, Source};
use crate::base::{Lsn, Report, Result};
use crate::codec::{CodecError, Compression, EncoderPool, Hasher, Sha1Hash};
use crate::model::op::{Cancel, Tally};
use crate::repo::{BlockInfo, FileEntry, Manifest};
use crate::store::{Storage, StoreError, StorePath};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file up to this size is read whole before anything is decided.
pub(super) const SMALL_BYTES: usize = 4 << 20;
/// How much of a larger file is taken in at a time.
pub(super) const CHUNK_BYTES: usize = 1 << 20;
/// How often a file is copied again because the server was writing it.
const ATTEMPTS: u32 = 3;

/// What became of one file.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// It was removed before it could be read.
    Gone,
    /// The backup before has the same content, at this place of its manifest.
    Same {
        /// The place.
        prior: u32,
        /// What its pages were like.
        pages: Pages,
    },
    /// It is stored by this backup.
    Stored(Box<StoredFile>),
}

/// How a file is stored by this backup.
#[derive(Debug, Clone)]
pub(super) struct StoredFile {
    pub(super) size_bytes: u64,
    pub(super) sha1: Sha1Hash,
    pub(super) repo_size_bytes: u64,
    /// SHA-1 of the stored bytes, where they differ from the original ones.
    pub(super) repo_sha1: Option<Sha1Hash>,
    pub(super) bundle: Option<(u64, u64)>,
    pub(super) block: Option<BlockInfo>,
    pub(super) pages: Pages,
}

/// What the pages of a file were like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pages {
    /// Nothing if they were not checked.
    pub(super) ok: Option<bool>,
    /// The wrong ones.
    pub(super) bad: Vec<(u32, u32)>,
}

/// A file and what became of it.
pub(super) type Done = (u32, Outcome);

/// Encoders for the forms a backup stores.
pub(super) struct Encoders {
    /// Files with an object of their own.
    pub(super) whole: EncoderPool,
    /// Files in a bundle.
    pub(super) bundled: EncoderPool,
    /// Super blocks.
    pub(super) block: EncoderPool,
    /// Block maps.
    pub(super) map: EncoderPool,
}

impl Encoders {
    /// True if stored bytes are the original ones, so that they have no checksum of their own.
    fn plain(&self) -> bool {
        let spec = self.whole.spec();
        spec.compression == Compression::None && spec.cipher.is_none()
    }
}

/// What every copying thread shares.
pub(super) struct Shared<'a> {
    pub(super) storage: &'a dyn Storage,
    /// The backup's own folder.
    pub(super) folder: &'a StorePath,
    pub(super) scan: &'a Scan,
    pub(super) decisions: &'a [Decision],
    pub(super) prior: Option<&'a Manifest>,
    pub(super) encoders: &'a Encoders,
    pub(super) places: Places<'a>,
    pub(super) pages: Option<PageOptions>,
    /// Where the backup started in WAL; nothing if it is offline.
    pub(super) start_lsn: Option<Lsn>,
    /// Asks the server how far it has written WAL.
    pub(super) insert_lsn: &'a (dyn Fn() -> Option<Lsn> + Sync),
    pub(super) block: Option<BlockPolicy>,
    /// Small files go into bundles, and empty ones nowhere.
    pub(super) bundling: bool,
    pub(super) tally: &'a Tally,
    pub(super) cancel: &'a Cancel,
    /// Another thread has failed.
    pub(super) stop: &'a AtomicBool,
}

/// One thread's tools.
pub(super) struct Copier<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) buffer: Vec<u8>,
}

/// A file while it is copied.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) file: &'a ScanFile,
    /// Its entry in the manifest before, if it has one, and its place there.
    pub(super) prior: Option<(u32, &'a Manifest)>,
    /// Compare before storing anything.
    pub(super) compare: bool,
    /// The bundle it goes into.
    pub(super) bundle: Option<u64>,
}

impl<'a> Task<'a> {
    pub(super) fn entry(&self) -> Option<FileEntry<'a>> {
        self.prior.map(|(at, manifest)| manifest.files.get(at as usize))
    }

    /// The place of the same content in the manifest before.
    pub(super) fn same(&self, size_bytes: u64, sha1: Sha1Hash) -> Option<u32> {
        let entry = self.entry()?;
        let same = entry.size_bytes == size_bytes && entry.checksum == Some(sha1) && entry.is_stored();
        self.prior.filter(|_| same && &*self.file.name != CONTROL_NAME).map(|(at, _)| at)
    }
}

impl<'a> Copier<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Self {
        Self { shared, buffer: vec![0; SMALL_BYTES] }
    }

    /// Does one job; its files count as stored once this returned.
    pub(super) fn run(&mut self, job: &Job) -> Result<Vec<Done>> {
        match job {
            Job::Single(number) => {
                let task = self.task(*number, None);
                let outcome = self.single(&task)?;
                Ok(vec![(*number, outcome)])
            }
            Job::Bundle(id, numbers) => {
                let path = self.shared.folder.join(&format!("bundle/{id}"))?;
                let mut object = Object::new(self.shared.storage, path);
                let mut done = Vec::with_capacity(numbers.len());
                for number in numbers {
                    let task = self.task(*number, Some(*id));
                    done.push((*number, self.until_settled(&task, &mut object)?));
                    self.shared.tally.add_file();
                }
                object.commit()?;
                Ok(done)
            }
        }
    }

    fn task(&self, number: u32, bundle: Option<u64>) -> Task<'a> {
        let at = number as usize;
        let (prior, compare) = match self.shared.decisions[at] {
            Decision::Copy { prior, compare } => (prior, compare),
            Decision::Empty | Decision::Same(_) => (None, false),
        };
        let prior = prior.and_then(|at| Some((at, self.shared.prior?)));
        Task { file: &self.shared.scan.files[at], prior, compare, bundle }
    }

    /// A file with an object of its own; each attempt has a new one.
    fn single(&mut self, task: &Task<'_>) -> Result<Outcome> {
        for attempt in 1.. {
            let in_blocks = self.block_layout(task).is_some();
            let extension = self.shared.encoders.whole.spec().compression.extension();
            let name = if in_blocks {
                format!("{}.pgbi", task.file.name)
            } else {
                format!("{}{extension}", task.file.name)
            };
            let mut object = Object::new(self.shared.storage, self.shared.folder.join(&name)?);
            let Some((outcome, again)) = self.once(task, &mut object)? else { return Ok(Outcome::Gone) };
            if again.is_empty() || attempt == ATTEMPTS {
                if let Outcome::Stored(stored) = &outcome
                    && !self.leaves_nothing(stored.size_bytes)
                {
                    object.begin()?;
                    object.commit()?;
                }
                self.shared.tally.add_file();
                return Ok(with_bad(outcome, &again));
            }
        }
        Ok(Outcome::Gone)
    }

    /// A file in a bundle; what an earlier attempt left in it is never looked at again.
    fn until_settled(&mut self, task: &Task<'_>, object: &mut Object<'_>) -> Result<Outcome> {
        for attempt in 1.. {
            let Some((outcome, again)) = self.once(task, object)? else { return Ok(Outcome::Gone) };
            if again.is_empty() || attempt == ATTEMPTS {
                return Ok(with_bad(outcome, &again));
            }
        }
        Ok(Outcome::Gone)
    }

    /// Copies a file once. Also tells the pages that are right in the cluster but wrong in the copy, and that replay does
    /// not repair. Nothing if the file is gone.
    fn once(&mut self, task: &Task<'_>, object: &mut Object<'_>) -> Result<Option<(Outcome, Vec<u32>)>> {
        self.check()?;
        let Some(mut source) = Source::open(task.file, &self.shared.places, self.shared.pages)? else {
            return self.gone(task).map(|()| None);
        };
        if let Some(layout) = self.block_layout(task) {
            let outcome = self.blocks(task, layout, &mut source, object)?;
            return self.judged(outcome, source).map(Some);
        }
        let got = source.fill(&mut self.buffer)?;
        self.shared.tally.add_bytes(got as u64);
        if got < self.buffer.len() {
            let outcome = self.small(task, got, object)?;
            return self.judged(outcome, source).map(Some);
        }
        if task.compare
            && let Some(outcome) = self.unchanged(task, &mut source, got)?
        {
            return self.judged(outcome, source).map(Some);
        }
        if task.compare {
            let Some(anew) = Source::open(task.file, &self.shared.places, self.shared.pages)? else {
                return self.gone(task).map(|()| None);
            };
            source = anew;
            let outcome = self.large(task, 0, &mut source, object)?;
            return self.judged(outcome, source).map(Some);
        }
        let outcome = self.large(task, got, &mut source, object)?;
        self.judged(outcome, source).map(Some)
    }

    /// A file that is no longer there: usual while a server runs, except for the one that says what cluster it is.
    fn gone(&self, task: &Task<'_>) -> Result<()> {
        if &*task.file.name == CONTROL_NAME {
            return Err(Report::failed("pg_control is gone: this is no longer a cluster"));
        }
        self.shared.tally.add_bytes(task.file.size_bytes);
        Ok(())
    }

    /// The whole content is in the buffer.
    fn small(&mut self, task: &Task<'_>, length: usize, object: &mut Object<'_>) -> Result<Outcome> {
        let content = &self.buffer[..length];
        if task.prior.is_some()
            && let Some(prior) = task.same(length as u64, Sha1Hash::of(content))
        {
            return Ok(Outcome::Same { prior, pages: Pages::default() });
        }
        let offset = object.at();
        let pool = self.pool(task);
        let failed = write_error(self.shared.storage, object.path());
        let mut encoder = pool.encoder(&mut *object).map_err(&failed)?;
        encoder.write_all(content).map_err(CodecError::from_io).map_err(&failed)?;
        let (_, seal, stored) = encoder.finish().map_err(&failed)?;
        Ok(self.stored(task, seal.size_bytes, seal.sha1, stored.size_bytes, stored.sha1, offset))
    }

    /// Reads the rest of a file that is likely to be unchanged.
    fn unchanged(&mut self, task: &Task<'_>, source: &mut Source, got: usize) -> Result<Option<Outcome>> {
        let mut hasher = Hasher::new();
        hasher.update(&self.buffer[..got]);
        let mut size_bytes = got as u64;
        loop {
            self.check()?;
            let got = source.fill(&mut self.buffer[..CHUNK_BYTES])?;
            hasher.update(&self.buffer[..got]);
            size_bytes += got as u64;
            if got < CHUNK_BYTES {
                break;
            }
        }
        let same = task.same(size_bytes, hasher.finish());
        if same.is_some() {
            self.shared.tally.add_bytes(size_bytes.saturating_sub(got as u64));
        }
        Ok(same.map(|prior| Outcome::Same { prior, pages: Pages::default() }))
    }

    /// The first `got` bytes are in the buffer, the others still to be read.
    fn large(
        &mut self,
        task: &Task<'_>,
        got: usize,
        source: &mut Source,
        object: &mut Object<'_>,
    ) -> Result<Outcome> {
        let offset = object.at();
        let pool = self.pool(task);
        let failed = write_error(self.shared.storage, object.path());
        let mut encoder = pool.encoder(&mut *object).map_err(&failed)?;
        let mut length = got;
        loop {
            encoder.write_all(&self.buffer[..length]).map_err(CodecError::from_io).map_err(&failed)?;
            self.check()?;
            length = source.fill(&mut self.buffer[..CHUNK_BYTES])?;
            self.shared.tally.add_bytes(length as u64);
            if length == 0 {
                break;
            }
        }
        let (_, seal, stored) = encoder.finish().map_err(&failed)?;
        if task.bundle.is_none()
            && let Some(prior) = task.same(seal.size_bytes, seal.sha1)
        {
            return Ok(Outcome::Same { prior, pages: Pages::default() });
        }
        Ok(self.stored(task, seal.size_bytes, seal.sha1, stored.size_bytes, stored.sha1, offset))
    }

    fn pool(&self, task: &Task<'_>) -> EncoderPool {
        let encoders = self.shared.encoders;
        if task.bundle.is_some() { encoders.bundled.clone() } else { encoders.whole.clone() }
    }

    pub(super) fn stored(
        &self,
        task: &Task<'_>,
        size_bytes: u64,
        sha1: Sha1Hash,
        repo_size_bytes: u64,
        repo_sha1: Sha1Hash,
        offset: u64,
    ) -> Outcome {
        let nothing = self.leaves_nothing(size_bytes);
        Outcome::Stored(Box::new(StoredFile {
            size_bytes,
            sha1,
            repo_size_bytes: if nothing { 0 } else { repo_size_bytes },
            repo_sha1: (!nothing && !self.shared.encoders.plain()).then_some(repo_sha1),
            bundle: task.bundle.filter(|_| !nothing).map(|id| (id, offset)),
            block: None,
            pages: Pages::default(),
        }))
    }

    /// An empty file of a bundling backup has no stored form; what was written of one that was emptied meanwhile is
    /// skipped.
    pub(super) fn leaves_nothing(&self, size_bytes: u64) -> bool {
        size_bytes == 0 && self.shared.bundling
    }

    /// Adds what the pages were like.
    fn judged(&self, outcome: Outcome, source: Source) -> Result<(Outcome, Vec<u32>)> {
        let (path, first_block) = (source.path.clone(), source.first_block);
        let Some(options) = self.shared.pages else { return Ok((outcome, Vec::new())) };
        let Some(scan) = source.finish() else { return Ok((outcome, Vec::new())) };
        let PageScan { misaligned, suspects, .. } = scan;
        let judge = Judge {
            header_check: options.header_check,
            start_lsn: self.shared.start_lsn,
            pauses: &PAUSES,
            cancel: self.shared.cancel,
        };
        let mut read = |block: u32| read_page(&path, options.page_bytes, block.saturating_sub(first_block));
        let verdict = if suspects.is_empty() {
            super::pages::judge::Verdict::default()
        } else {
            judge.judge(&suspects, &mut read, &mut || (self.shared.insert_lsn)())?
        };
        let pages = Pages { ok: Some(!misaligned && verdict.bad.is_empty()), bad: ranges(&verdict.bad) };
        Ok((with_pages(outcome, pages), verdict.recopy))
    }

    pub(super) fn check(&self) -> Result<(), Report> {
        if self.shared.stop.load(Ordering::Relaxed) {
            return Err(BackupError::Cancelled.into());
        }
        self.shared.cancel.check()
    }
}

fn with_pages(outcome: Outcome, pages: Pages) -> Outcome {
    match outcome {
        Outcome::Gone => Outcome::Gone,
        Outcome::Same { prior, .. } => Outcome::Same { prior, pages },
        Outcome::Stored(mut stored) => {
            stored.pages = pages;
            Outcome::Stored(stored)
        }
    }
}

/// Pages that were wrong in every copy count as wrong, whatever they are in the cluster.
fn with_bad(outcome: Outcome, wrong: &[u32]) -> Outcome {
    if wrong.is_empty() {
        return outcome;
    }
    let merged = |pages: &Pages| {
        let before = pages.bad.iter().flat_map(|(first, last)| *first..=*last);
        Pages { ok: Some(false), bad: ranges(&before.chain(wrong.iter().copied()).collect::<Vec<_>>()) }
    };
    match &outcome {
        Outcome::Gone => outcome,
        Outcome::Same { pages, .. } => with_pages(outcome.clone(), merged(pages)),
        Outcome::Stored(stored) => with_pages(outcome.clone(), merged(&stored.pages)),
    }
}

/// Turns an encoder's failure into what could not be written where.
pub(super) fn write_error<'a>(
    storage: &'a dyn Storage,
    path: &StorePath,
) -> impl Fn(CodecError) -> Report + use<'a> {
    let path = path.clone();
    move |error| match error {
        CodecError::Io(error) => match error.downcast::<StoreError>() {
            Ok(own) => own.into(),
            Err(error) => StoreError::from_io("write", storage.describe(), &path, &error).into(),
        },
        other => Report::from(other).context(format!("writing {path}")),
    }
}
