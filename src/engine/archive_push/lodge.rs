//! Putting one file into every archive: compared first, packed once, encrypted for each.
//!
//! Where an archive has the file already, its content decides: the same is fine, another is refused before anything is
//! written anywhere. An archive that fails does not keep the others from getting the file.

use super::shelf::Shelf;
use super::source::Source;
use super::{Job, Packing, PushError};
use crate::base::Timeline;
use crate::codec::{CodecError, Encoder, StreamSpec};
use crate::engine::archive_get::Wanted;
use crate::repo::{Incoming, StoredSegment};
use crate::wal::TimelineHistory;
use std::io::{self, Write};

/// What came of one file. It may be acknowledged only if nothing failed.
#[derive(Debug, Default)]
pub(super) struct Lodged {
    /// What an operator should know.
    pub(super) warnings: Vec<String>,
    /// Why some archives did not get the file.
    pub(super) failures: Vec<PushError>,
}

/// Puts the file into every archive; an error means that none of them may have it. The buffer serves one file after the
/// other.
pub(super) fn lodge(
    shelves: &[Shelf],
    source: &mut Source,
    job: &Job,
    buffer: &mut Vec<u8>,
) -> Result<Lodged, PushError> {
    match source.file {
        Wanted::Segment(_) | Wanted::Partial(_) => segment(shelves, source, job, buffer),
        Wanted::History(_) | Wanted::BackupHistory(..) => small(shelves, source, job, buffer),
    }
}

/// True if every archive has exactly this file, durably.
pub(super) fn is_lodged(
    shelves: &[Shelf],
    source: &mut Source,
    buffer: &mut Vec<u8>,
) -> Result<bool, PushError> {
    match source.file {
        Wanted::Segment(_) | Wanted::Partial(_) => {
            let sha1 = source.stream(buffer, |_| Ok(()))?;
            for shelf in shelves {
                if shelf.find(source.file)?.is_none_or(|stored| stored.sha1 != sha1) {
                    return Ok(false);
                }
            }
        }
        Wanted::History(_) | Wanted::BackupHistory(..) => {
            source.read_into(buffer)?;
            for shelf in shelves {
                if shelf.small(source.file)?.is_none_or(|archived| archived != *buffer) {
                    return Ok(false);
                }
            }
        }
    }
    for shelf in shelves {
        shelf.settle(source.file)?;
    }
    Ok(true)
}

fn segment(
    shelves: &[Shelf],
    source: &mut Source,
    job: &Job,
    buffer: &mut Vec<u8>,
) -> Result<Lodged, PushError> {
    let file = source.file;
    let (mut lodged, mut there, mut absent) = (Lodged::default(), Vec::new(), Vec::new());
    for shelf in shelves {
        match shelf.find(file) {
            Ok(Some(stored)) => there.push((shelf, stored.sha1)),
            Ok(None) => absent.push(shelf),
            Err(error) => lodged.failures.push(error),
        }
    }
    if there.is_empty() && absent.is_empty() {
        return Ok(lodged);
    }
    let sha1 = source.stream(buffer, |_| Ok(()))?;
    for (shelf, archived) in &there {
        shelf.same(file, *archived, sha1)?;
    }
    let (Wanted::Segment(segment) | Wanted::Partial(segment)) = file else { return Ok(lodged) };
    if !absent.is_empty() {
        let stored = StoredSegment { segment, sha1, compression: job.packing.compression, stored_bytes: 0 };
        lodged.failures.extend(put_in(&absent, source, &stored, job.packing, buffer)?);
    }
    // Another server may have put another content there between the look and now: then neither is acknowledged blindly.
    for shelf in &absent {
        lodged.failures.extend(shelf.find(file).err());
    }
    for (shelf, _) in there {
        match shelf.settle(file) {
            Ok(()) if job.care.tell_twice => lodged.warnings.push(format!(
                "{file} was in {} before, with the same content: harmless after a crash or a failed attempt, \
                 otherwise a sign of two servers that archive to this stanza",
                shelf.place()
            )),
            Ok(()) => {}
            Err(error) => lodged.failures.push(error),
        }
    }
    Ok(lodged)
}

/// Packing fails for want of memory, or by a level that the configuration should not have let pass.
fn unpackable(error: &CodecError) -> PushError {
    PushError::Told { code: 94, message: error.to_string() }
}

/// Reads the segment again and writes it, packed once, to each archive; gives what failed.
fn put_in(
    absent: &[&Shelf],
    source: &mut Source,
    stored: &StoredSegment,
    packing: Packing,
    chunk: &mut Vec<u8>,
) -> Result<Vec<PushError>, PushError> {
    let mut fan = Fan { writers: Vec::new(), failures: Vec::new() };
    for shelf in absent {
        match shelf.begin(source.file, stored) {
            Ok(incoming) => fan.writers.push((shelf, incoming)),
            Err(error) => fan.failures.push(error),
        }
    }
    let spec = StreamSpec::full(packing.compression, None);
    let mut encoder = Encoder::with_workers(fan, &spec, packing.level, packing.workers)
        .map_err(|error| unpackable(&error))?;
    let failed = |error: io::Error| unpackable(&CodecError::from_io(error));
    source.stream(chunk, |piece| encoder.write_all(piece).map_err(failed))?;
    let (fan, seal, _) = encoder.finish().map_err(|error| unpackable(&error))?;
    if seal.sha1 != stored.sha1 {
        return Err(PushError::Changed(source.path.clone()));
    }
    let Fan { writers, mut failures } = fan;
    failures.extend(commit_each(writers, source.file));
    Ok(failures)
}

/// Makes the copies durable, all at the same time; gives what failed.
fn commit_each(writers: Vec<(&Shelf, Incoming)>, file: Wanted) -> Vec<PushError> {
    let commit =
        |(shelf, incoming): (&Shelf, Incoming)| incoming.commit().err().map(|error| shelf.error(error));
    if writers.len() < 2 {
        return writers.into_iter().filter_map(commit).collect();
    }
    std::thread::scope(|scope| {
        let commits: Vec<_> =
            writers.into_iter().map(|writer| (writer.0, scope.spawn(move || commit(writer)))).collect();
        let result = |(shelf, thread): (&Shelf, std::thread::ScopedJoinHandle<'_, _>)| {
            thread.join().unwrap_or_else(|_| {
                let message = format!("{}: an internal error stopped the writing of {file}", shelf.place());
                Some(PushError::Told { code: 25, message })
            })
        };
        commits.into_iter().filter_map(result).collect()
    })
}

/// One stream for several archives; one that fails is left out from then on.
struct Fan<'a> {
    writers: Vec<(&'a Shelf, Incoming)>,
    failures: Vec<PushError>,
}

impl Write for Fan<'_> {
    fn write(&mut self, packed: &[u8]) -> io::Result<usize> {
        let failures = &mut self.failures;
        self.writers.retain_mut(|(shelf, incoming)| match incoming.write_all(packed) {
            Ok(()) => true,
            Err(error) => {
                failures.push(shelf.error(error));
                false
            }
        });
        Ok(packed.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn small(
    shelves: &[Shelf],
    source: &mut Source,
    job: &Job,
    buffer: &mut Vec<u8>,
) -> Result<Lodged, PushError> {
    let file = source.file;
    source.read_into(buffer)?;
    let content = &*buffer;
    let mut lodged = Lodged::default();
    if let Wanted::History(timeline) = file {
        lodged.warnings.extend(odd_history(content, timeline));
    }
    let mut absent = Vec::new();
    for shelf in shelves {
        match shelf.small(file) {
            Ok(None) => absent.push(shelf),
            Ok(Some(archived)) if archived == *content => {
                lodged.failures.extend(shelf.settle(file).err());
            }
            Ok(Some(archived)) if job.care.replace_history => {
                lodged.warnings.push(format!(
                    "{file} in {} was replaced; it said: {}",
                    shelf.place(),
                    archived.escape_ascii()
                ));
                absent.push(shelf);
            }
            // As with a segment: two servers disagree, and nothing is written anywhere.
            Ok(Some(_)) => return Err(PushError::Differs { file, place: shelf.place() }),
            Err(error) => lodged.failures.push(error),
        }
    }
    for shelf in absent {
        lodged.failures.extend(shelf.put_small(file, content).err());
    }
    Ok(lodged)
}

/// A history that PostgreSQL would not have written is archived as it is: the server lives by it. It is told.
fn odd_history(content: &[u8], timeline: Timeline) -> Option<String> {
    let error = TimelineHistory::parse(content, timeline).err()?;
    Some(format!("a recovery will not follow this timeline: {error}"))
}
