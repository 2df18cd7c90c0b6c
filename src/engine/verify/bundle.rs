//! The files of one bundle, in the order they are stored: the bundle is opened once and read from front to back.

use super::blocks;
use super::files::Checker;
use super::finding::Judged;
use crate::base::Result;
use crate::store::{Range, Storage, StorePath, StoreResult};
use std::io::{self, BufReader, Read};

/// A gap longer than this is not read through.
const SKIP_BYTES: u64 = 1 << 20;
/// How much of a bundle is read at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// A file in blocks that is stored in no more than this is put together in memory.
const IN_MEMORY_BYTES: u64 = 16 << 20;

/// A bundle being read forwards.
struct Forward<'a> {
    storage: &'a dyn Storage,
    path: &'a StorePath,
    end: u64,
    at: u64,
    reader: Option<BufReader<Box<dyn Read + Send>>>,
}

impl Forward<'_> {
    /// Goes to `offset` and gives what follows.
    fn at(&mut self, offset: u64) -> StoreResult<&mut BufReader<Box<dyn Read + Send>>> {
        let near = self.reader.take().filter(|_| offset >= self.at && offset - self.at <= SKIP_BYTES);
        let near = near.and_then(|mut reader| {
            let gap = offset - self.at;
            let skipped = io::copy(&mut reader.by_ref().take(gap), &mut io::sink());
            skipped.is_ok_and(|skipped| skipped == gap).then_some(reader)
        });
        let reader = if let Some(reader) = near {
            reader
        } else {
            let length = self.end.saturating_sub(offset);
            let source = self.storage.open(self.path, Range::Part { offset, length })?;
            BufReader::with_capacity(CHUNK_BYTES, source)
        };
        self.at = offset;
        Ok(self.reader.insert(reader))
    }
}

/// Judges files of one bundle, sorted by their place in it.
pub(super) fn check(checker: &Checker<'_>, numbers: &[u32], buffer: &mut [u8]) -> Result<()> {
    let table = &checker.manifest.files;
    let place = |number: u32| {
        let file = table.get(number as usize);
        (file.bundle.map_or(0, |(_, offset)| offset), file.repo_size_bytes)
    };
    let Some(first) = numbers.first() else { return Ok(()) };
    let (path, ..) = checker.manifest.stored(&table.get(*first as usize))?;
    let ends = numbers.iter().map(|number| {
        let (offset, bytes) = place(*number);
        offset.saturating_add(bytes)
    });
    let mut forward = Forward {
        storage: checker.work.storage,
        path: &path,
        end: ends.max().unwrap_or(0),
        at: 0,
        reader: None,
    };
    for (index, &number) in numbers.iter().enumerate() {
        checker.work.cancel.check()?;
        let file = table.get(number as usize);
        let (offset, bytes) = place(number);
        if let Some(info) = file.block.filter(|_| bytes > IN_MEMORY_BYTES && checker.decodes(&file)) {
            let judged = blocks::check_object(checker, &file, info, &path, buffer)?;
            checker.take(number, &file, &path, &judged);
            continue;
        }
        let source = match forward.at(offset) {
            Ok(source) => source,
            Err(error) if index == 0 => {
                checker.take_all(numbers, &path, &Judged::not_opened(&error));
                return Ok(());
            }
            Err(error) => {
                checker.take(number, &file, &path, &Judged::not_opened(&error));
                continue;
            }
        };
        let mut part = source.take(bytes);
        let judged = if let Some(info) = file.block {
            blocks::check_part(checker, &file, info, &path, &mut part, buffer)?
        } else {
            let (_, _, framing) = checker.manifest.stored(&file)?;
            checker.plain(&file, framing, &mut part, buffer)?
        };
        if part.limit() == 0 {
            forward.at = offset.saturating_add(bytes);
        } else {
            // It ended or failed before: what follows is looked for anew.
            forward.reader = None;
        }
        checker.take(number, &file, &path, &judged);
    }
    Ok(())
}
