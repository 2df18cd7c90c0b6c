//! The stored files of one backup: each object opened once, its bytes read once.
//!
//! Stored bytes are hashed where the manifest knows their checksum; unless only that is asked for, the content is
//! decoded from the same bytes and must have the manifest's size and SHA-1.

use super::finding::{Fault, Findings, Judged, Verdict};
use super::watch::{Watched, decode};
use super::{Depth, Work, blocks, bundle};
use crate::base::Result;
use crate::codec::{Compression, Framing, Sha1Hash, StreamSpec};
use crate::repo::{FileEntry, Manifest};
use crate::store::{Range, StorePath};
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

/// One job, taken by one thread.
pub(super) enum Job<'a> {
    /// A file with an object of its own.
    Single(u32),
    /// Files of one bundle in the order they are stored.
    Bundle(&'a [u32]),
}

/// What many threads found so far.
struct Account {
    findings: Findings,
    bad: HashMap<u32, Verdict>,
}

/// Looks at the files of one manifest.
pub(super) struct Checker<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) manifest: &'a Manifest,
    account: Mutex<Account>,
}

impl<'a> Checker<'a> {
    /// Goes on with the findings there are.
    pub(super) fn new(work: &'a Work<'a>, manifest: &'a Manifest, findings: Findings) -> Self {
        Self { work, manifest, account: Mutex::new(Account { findings, bad: HashMap::new() }) }
    }

    /// All findings, and what came out for the files that are not sound.
    pub(super) fn finish(self) -> (Findings, HashMap<u32, Verdict>) {
        let account = self.account.into_inner().unwrap_or_else(PoisonError::into_inner);
        (account.findings, account.bad)
    }

    /// Does one job.
    pub(super) fn run(&self, job: &Job<'_>, buffer: &mut [u8]) -> Result<()> {
        match job {
            Job::Single(number) => self.single(*number, buffer),
            Job::Bundle(numbers) => bundle::check(self, numbers, buffer),
        }
    }

    fn single(&self, number: u32, buffer: &mut [u8]) -> Result<()> {
        self.work.cancel.check()?;
        let file = self.manifest.files.get(number as usize);
        let (path, _, framing) = self.manifest.stored(&file)?;
        let judged = if let Some(info) = file.block {
            blocks::check_object(self, &file, info, &path, buffer)?
        } else {
            match self.work.storage.open(&path, Range::Whole) {
                Ok(source) => self.plain(&file, framing, source, buffer)?,
                Err(error) => Judged::not_opened(&error),
            }
        };
        self.take(number, &file, &path, &judged);
        Ok(())
    }

    /// Counts and tells what came out for one file.
    pub(super) fn take(&self, number: u32, file: &FileEntry<'_>, path: &StorePath, judged: &Judged) {
        self.work.tally.add_file();
        let Some((level, why)) = judged.told() else { return };
        let place = file.bundle.map_or(String::new(), |(_, offset)| format!(" (at offset {offset})"));
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.bad.insert(number, judged.verdict());
        account.findings.add_file(level, path, file.name, format!("{why}{place}"));
    }

    /// The same verdict for many files of one object, told once.
    pub(super) fn take_all(&self, numbers: &[u32], path: &StorePath, judged: &Judged) {
        let Some((level, why)) = judged.told() else { return };
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            self.work.tally.add_file();
            account.bad.insert(*number, judged.verdict());
        }
        account.findings.add(level, path, format!("{why}: {} files are in it", numbers.len()));
    }

    /// True if the content of a file is looked at, not only its stored bytes. Blocks that other backups store have no
    /// turn of their own when only one backup is looked at.
    pub(super) fn decodes(&self, file: &FileEntry<'_>) -> bool {
        let blocks_elsewhere = self.work.request.set.is_some() && file.block.is_some();
        self.work.request.depth == Depth::Full || file.repo_checksum.is_none() || blocks_elsewhere
    }

    /// The stream of a file of this backup.
    pub(super) fn spec(&self, compression: Compression, framing: Framing) -> StreamSpec {
        StreamSpec { compression, cipher: self.manifest.cipher_pass.clone(), framing }
    }

    /// Judges a file that is one stream; `source` gives what is stored of it, or more.
    pub(super) fn plain(
        &self,
        file: &FileEntry<'_>,
        framing: Framing,
        source: impl Read + Send,
        buffer: &mut [u8],
    ) -> Result<Judged> {
        let mut watched = Watched::new(source, self.work).hashing(file.repo_checksum.is_some());
        let mut content = Judged::Sound;
        if self.decodes(file) {
            let spec = self.spec(self.manifest.compression, framing);
            let ignore = &mut |_: &[u8]| {};
            let decoded = decode(&mut watched, &spec, file.repo_size_bytes, file.size_bytes, buffer, ignore);
            content =
                decoded.judge(file.size_bytes, file.checksum.unwrap_or(Sha1Hash::EMPTY), "the manifest says");
        }
        // What a decoder left; one byte more shows that an object is too long.
        watched.drain(buffer, file.repo_size_bytes);
        Ok(stored(file, watched)?.unwrap_or(content))
    }
}

/// What is wrong with the stored bytes of a file; nothing if they are what the manifest says, as far as it says it.
pub(super) fn stored<R: Read>(file: &FileEntry<'_>, watched: Watched<'_, R>) -> Result<Option<Judged>> {
    let (bytes, sha1, failure) = watched.finish()?;
    Ok(match (failure, file.repo_checksum.zip(sha1)) {
        (Some(why), _) => Some(Judged::Unreadable { why }),
        _ if bytes > file.repo_size_bytes => Some(Judged::bad(
            Fault::Size,
            format!("has more stored bytes than the {} the manifest says", file.repo_size_bytes),
        )),
        _ if bytes < file.repo_size_bytes => Some(Judged::bad(
            Fault::Size,
            format!("has {bytes} stored bytes, the manifest says {}", file.repo_size_bytes),
        )),
        (_, Some((said, found))) if said != found => Some(Judged::bad(
            Fault::Checksum,
            format!("has stored bytes with SHA-1 {found}, the manifest says {said}"),
        )),
        _ => None,
    })
}
