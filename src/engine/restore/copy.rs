//! Putting one file in place: reuse what is already right, else decrypt, decompress, hash and write in one pass.
//!
//! A file counts only if its size and SHA-1 are the manifest's. Anything else is an error that names the file in the
//! repository; the restore then stops and leaves no `pg_control`, so that nothing half-restored can start.

use super::layout::Layout;
use super::owners::Owners;
use super::queue::Job;
use super::write::{Attributes, Buffer, CHUNK_BYTES, TargetFile};
use crate::base::{Report, Result};
use crate::codec::{Decoder, Framing, Seal, Sha1Hash, StreamSpec};
use crate::model::op::{Cancel, Tally};
use crate::repo::{FileEntry, Manifest};
use crate::store::{Range, Storage, StoreError, StorePath};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The name under which `pg_control` waits until everything else is durable.
pub(super) const CONTROL_TEMPORARY: &str = "pg_control.pgmayday.tmp";

/// The manifest name of `pg_control`.
pub(super) const CONTROL_NAME: &str = "pg_data/global/pg_control";

/// What every copying thread shares.
pub(super) struct Shared<'a> {
    pub(super) storage: &'a dyn Storage,
    pub(super) manifest: &'a Manifest,
    pub(super) layout: &'a Layout,
    pub(super) owners: &'a Owners,
    /// Look at what is in place before copying.
    pub(super) reuse: bool,
    /// Avoid the page cache for large files.
    pub(super) direct: bool,
    /// True for files of databases that are not wanted: they become holes.
    pub(super) blank: &'a (dyn Fn(usize) -> bool + Sync),
    pub(super) tally: &'a Tally,
    pub(super) cancel: &'a Cancel,
    pub(super) counts: &'a super::Counts,
}

/// One thread's tools.
pub(super) struct Copier<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) buffer: Buffer,
}

impl<'a> Copier<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Self {
        Self { shared, buffer: Buffer::new() }
    }

    /// Does one job.
    pub(super) fn run(&mut self, job: &Job<'_>) -> Result<()> {
        match job {
            Job::Single(number) => self.single(*number),
            Job::Bundle(files) => self.bundle(files),
            Job::Empty(files) => files.iter().try_for_each(|number| self.without_content(*number as usize)),
        }
    }

    fn single(&mut self, number: usize) -> Result<()> {
        self.shared.cancel.check()?;
        let file = self.shared.manifest.files.get(number);
        let path = self.target(&file)?;
        if self.reusable(&file, &path)? {
            return Ok(());
        }
        if file.block.is_some() {
            return self.blocks(&file, &path);
        }
        let (stored, range, framing) = self.shared.manifest.stored(&file)?;
        let reader = self.shared.storage.open(&stored, range)?;
        self.copy(&file, &path, &stored, framing, reader)
    }

    /// Reads a bundle once, from the first wanted file to the last.
    fn bundle(&mut self, files: &[u32]) -> Result<()> {
        let manifest = self.shared.manifest;
        let place = |number: u32| {
            let file = manifest.files.get(number as usize);
            (file.bundle.map_or(0, |(_, offset)| offset), file.repo_size_bytes)
        };
        let mut wanted = Vec::with_capacity(files.len());
        for &number in files {
            let file = manifest.files.get(number as usize);
            let path = self.target(&file)?;
            if !self.reusable(&file, &path)? {
                wanted.push((number, path));
            }
        }
        let (Some((first, _)), Some((last, _))) = (wanted.first(), wanted.last()) else { return Ok(()) };
        let start = place(*first).0;
        let (last_offset, last_bytes) = place(*last);
        let length = (last_offset.saturating_add(last_bytes)).saturating_sub(start);
        let (stored, _, framing) = manifest.stored(&manifest.files.get(*first as usize))?;
        let source = self.shared.storage.open(&stored, Range::Part { offset: start, length })?;
        let mut source = io::BufReader::with_capacity(CHUNK_BYTES, source);
        let mut at = start;
        for (number, path) in wanted {
            self.shared.cancel.check()?;
            let file = manifest.files.get(number as usize);
            let (offset, bytes) = place(number);
            let gap = offset.checked_sub(at).ok_or_else(|| overlap(&file, &stored))?;
            skip(&mut source, gap).map_err(|error| self.skip_error(&file, &stored, &error))?;
            let mut part = (&mut source).take(bytes);
            self.copy(&file, &path, &stored, framing, &mut part)?;
            let rest = part.limit();
            skip(&mut source, rest).map_err(|error| self.skip_error(&file, &stored, &error))?;
            at = offset.saturating_add(bytes);
        }
        Ok(())
    }

    /// Decodes one stream into its file.
    fn copy(
        &mut self,
        file: &FileEntry<'_>,
        path: &Path,
        stored: &StorePath,
        framing: Framing,
        source: impl Read + Send,
    ) -> Result<()> {
        let manifest = self.shared.manifest;
        let spec =
            StreamSpec { compression: manifest.compression, cipher: manifest.cipher_pass.clone(), framing };
        let damaged = |why: String| damaged(file, stored, &why);
        let mut decoder = Decoder::sized(source, &spec, file.repo_size_bytes)
            .map_err(|error| codec_report(file, stored, error))?;
        let direct = self.shared.direct && file.size_bytes >= CHUNK_BYTES as u64;
        let mut target = TargetFile::create(path, direct).map_err(|error| write_error(path, &error))?;
        let mut written = 0_u64;
        loop {
            self.shared.cancel.check()?;
            let buffer = self.buffer.bytes();
            let got = decoder.fill(buffer).map_err(|error| codec_report(file, stored, error))?;
            written += got as u64;
            if written > file.size_bytes {
                return Err(damaged(format!(
                    "holds more than the {} bytes the manifest says",
                    file.size_bytes
                )));
            }
            target.append(&buffer[..got]).map_err(|error| write_error(path, &error))?;
            self.shared.tally.add_bytes(got as u64);
            if got < buffer.len() {
                break;
            }
        }
        let seal = decoder.finish().map_err(|error| codec_report(file, stored, error))?;
        check_seal(file, stored, seal)?;
        self.finish(file, path, target)?;
        self.shared.counts.restored(written);
        Ok(())
    }

    /// Sets attributes and counts the file as in place.
    pub(super) fn finish(&self, file: &FileEntry<'_>, path: &Path, target: TargetFile) -> Result<()> {
        target.finish(self.attributes(file)).map_err(|error| write_error(path, &error))?;
        self.shared.tally.add_file();
        Ok(())
    }

    fn attributes(&self, file: &FileEntry<'_>) -> Attributes {
        Attributes {
            mode: file.mode,
            owner: self.shared.owners.of(file.user, file.group),
            modified_s: file.modified_s,
        }
    }

    /// An empty file, or one of a database that is not wanted: its full size, all zeros, taking no space.
    fn without_content(&mut self, number: usize) -> Result<()> {
        let file = self.shared.manifest.files.get(number);
        let path = self.target(&file)?;
        let target = TargetFile::create(&path, false).map_err(|error| write_error(&path, &error))?;
        target.set_len(file.size_bytes).map_err(|error| write_error(&path, &error))?;
        if (self.shared.blank)(number) {
            self.shared.counts.blanked();
        } else {
            self.shared.counts.restored(0);
        }
        self.shared.tally.add_bytes(file.size_bytes);
        self.finish(&file, &path, target)
    }

    /// Where a file goes; `pg_control` first under its waiting name.
    fn target(&self, file: &FileEntry<'_>) -> Result<PathBuf> {
        let path = self.shared.layout.path_of(file.name).ok_or_else(|| {
            Report::damaged(format!(
                "the manifest's file '{}' belongs to no target",
                file.name.escape_debug()
            ))
        })?;
        Ok(if file.name == CONTROL_NAME { path.with_file_name(CONTROL_TEMPORARY) } else { path })
    }

    /// True if the file in place already has the manifest's content; it then gets the manifest's attributes.
    fn reusable(&mut self, file: &FileEntry<'_>, path: &Path) -> Result<bool> {
        if !self.shared.reuse || file.name == CONTROL_NAME {
            return Ok(false);
        }
        let Some(expected) = file.checksum else { return Ok(false) };
        let Some(existing) = open_regular(path).map_err(|error| read_target_error(path, &error))? else {
            return Ok(false);
        };
        let meta = existing.metadata().map_err(|error| read_target_error(path, &error))?;
        if meta.len() < file.size_bytes || std::os::unix::fs::MetadataExt::nlink(&meta) > 1 {
            return Ok(false);
        }
        if self.hash_file(&existing, file.size_bytes, path)? != expected {
            return Ok(false);
        }
        if meta.len() > file.size_bytes {
            existing.set_len(file.size_bytes).map_err(|error| write_error(path, &error))?;
        }
        self.attributes(file).apply(&existing).map_err(|error| write_error(path, &error))?;
        self.shared.tally.add_bytes(file.size_bytes);
        self.shared.tally.add_file();
        self.shared.counts.reused(file.size_bytes);
        Ok(true)
    }

    /// The SHA-1 of the first `bytes` of a file in place.
    pub(super) fn hash_file(&mut self, file: &File, bytes: u64, path: &Path) -> Result<Sha1Hash> {
        let mut hasher = crate::codec::Hasher::new();
        let mut source = file.take(bytes);
        loop {
            self.shared.cancel.check()?;
            let buffer = self.buffer.bytes();
            match source.read(buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) => return Err(read_target_error(path, &error)),
            }
        }
    }

    fn skip_error(&self, file: &FileEntry<'_>, stored: &StorePath, error: &io::Error) -> Report {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return damaged(file, stored, "ends before the place the manifest gives");
        }
        StoreError::from_io("read", self.shared.storage.describe(), stored, error).into()
    }
}

/// Fails unless what was read is what the manifest promises.
pub(super) fn check_seal(file: &FileEntry<'_>, stored: &StorePath, seal: Seal) -> Result<()> {
    if seal.size_bytes != file.size_bytes {
        let why = format!("holds {} bytes where the manifest says {}", seal.size_bytes, file.size_bytes);
        return Err(damaged(file, stored, &why));
    }
    match file.checksum {
        Some(expected) if expected == seal.sha1 => Ok(()),
        Some(expected) => {
            Err(damaged(file, stored, &format!("has SHA-1 {} where the manifest says {expected}", seal.sha1)))
        }
        None => Err(damaged(file, stored, "has no checksum in the manifest: this backup is not complete")),
    }
}

/// Opens an existing plain file for reading and writing; nothing if there is none.
pub(super) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(Some(File::from(file)).filter(|f| f.metadata().is_ok_and(|m| m.is_file()))),
        Err(
            rustix::io::Errno::NOENT
            | rustix::io::Errno::LOOP
            | rustix::io::Errno::NXIO
            | rustix::io::Errno::ISDIR,
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn skip(source: &mut impl Read, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut source.take(bytes), &mut io::sink())?;
    if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Damage in the repository, naming both the stored object and the file it stands for.
pub(super) fn damaged(file: &FileEntry<'_>, stored: &StorePath, why: &str) -> Report {
    let place = file.bundle.map_or(String::new(), |(_, offset)| format!(" at offset {offset}"));
    Report::damaged(format!(
        "{stored}{place} in the repository is damaged: the stored form of {} {why}",
        file.name
    ))
    .hint("restore another backup set (--set), or the same one from another repository (--repo)")
}

pub(super) fn codec_report(
    file: &FileEntry<'_>,
    stored: &StorePath,
    error: crate::codec::CodecError,
) -> Report {
    match error {
        crate::codec::CodecError::Io(cause) => {
            Report::new(crate::base::Kind::Unreachable, format!("cannot read {stored}: {cause}"))
                .hint("check the repository's storage, then run the same command again: it resumes")
        }
        other => damaged(file, stored, &other.to_string()),
    }
}

fn overlap(file: &FileEntry<'_>, stored: &StorePath) -> Report {
    damaged(file, stored, "overlaps its neighbour in the bundle")
}

pub(super) fn write_error(path: &Path, error: &io::Error) -> Report {
    let report = Report::failed(format!("cannot write {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            report.hint("make room on that filesystem and run the same command again: it resumes")
        }
        io::ErrorKind::PermissionDenied => report.hint("run as root or as the owner of the data directory"),
        _ => report.hint("see the system's log for that device; run the same command again: it resumes"),
    }
}

fn read_target_error(path: &Path, error: &io::Error) -> Report {
    Report::failed(format!("cannot read {} to see whether it can be reused: {error}", path.display()))
        .hint("remove that file, or restore into an empty folder")
}
