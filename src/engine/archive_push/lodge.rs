//! Putting one file into every archive: compared first, read once, packed once, encrypted for each.
//!
//! Where an archive has the file already, its content decides: the same is fine, another is refused before anything is
//! written anywhere. An archive that fails does not keep the others from getting the file.

use super::shelf::Shelf;
use super::source::Source;
use super::{Job, Packing, PushError};
use crate::base::Timeline;
use crate::codec::{CodecError, Compression, Encoder, Packer, Sha1Hash, StreamSpec};
use crate::engine::archive_get::Wanted;
use crate::repo::{Incoming, StoredSegment};
use crate::wal::TimelineHistory;
use std::io::{self, Write};

/// Memory that serves one file after the other.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    content: Vec<u8>,
    packed: Vec<u8>,
}

/// What came of one file. It may be acknowledged only if nothing failed.
#[derive(Debug, Default)]
pub(super) struct Lodged {
    /// What an operator should know.
    pub(super) warnings: Vec<String>,
    /// Why some archives did not get the file.
    pub(super) failures: Vec<PushError>,
}

/// Puts the file into every archive; an error means that none of them may have it.
pub(super) fn lodge(
    shelves: &[Shelf],
    source: &mut Source,
    job: &Job,
    buffers: &mut Buffers,
) -> Result<Lodged, PushError> {
    match source.file {
        Wanted::Segment(_) | Wanted::Partial(_) => segment(shelves, source, job, buffers),
        Wanted::History(_) | Wanted::BackupHistory(..) => small(shelves, source, job, buffers),
    }
}

/// True if every archive has exactly this file, durably.
pub(super) fn is_lodged(
    shelves: &[Shelf],
    source: &mut Source,
    buffers: &mut Buffers,
) -> Result<bool, PushError> {
    match source.file {
        Wanted::Segment(_) | Wanted::Partial(_) => {
            let sha1 = source.stream(&mut buffers.content, |_| Ok(()))?;
            for shelf in shelves {
                if shelf.find(source.file)?.is_none_or(|stored| stored.sha1 != sha1) {
                    return Ok(false);
                }
            }
        }
        Wanted::History(_) | Wanted::BackupHistory(..) => {
            source.read_into(&mut buffers.content)?;
            for shelf in shelves {
                if shelf.small(source.file)?.is_none_or(|archived| archived != buffers.content) {
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
    buffers: &mut Buffers,
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
    let in_memory = source.fits_memory();
    if in_memory {
        source.read_into(&mut buffers.content)?;
    }
    let mut packed = None;
    let sha1 = if !in_memory {
        source.stream(&mut buffers.content, |_| Ok(()))?
    } else if there.is_empty() {
        let (sha1, done) = hash_and_pack(&buffers.content, job.packing, &mut buffers.packed)?;
        packed = Some(done);
        sha1
    } else {
        Sha1Hash::of(&buffers.content)
    };
    for (shelf, archived) in &there {
        shelf.same(file, *archived, sha1)?;
    }
    let (Wanted::Segment(segment) | Wanted::Partial(segment)) = file else { return Ok(lodged) };
    let stored = StoredSegment { segment, sha1, compression: job.packing.compression, stored_bytes: 0 };
    if !absent.is_empty() {
        if in_memory {
            let packed = match packed {
                Some(packed) => packed,
                None => pack(&buffers.content, job.packing, &mut buffers.packed)?,
            };
            lodged.failures.extend(put_each(&absent, file, &stored, packed));
        } else {
            let packing = job.packing;
            lodged.failures.extend(stream_to(&absent, source, &stored, packing, &mut buffers.content)?);
        }
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

/// The hash of the content and its packed form, made side by side.
fn hash_and_pack<'a>(
    content: &'a [u8],
    packing: Packing,
    into: &'a mut Vec<u8>,
) -> Result<(Sha1Hash, &'a [u8]), PushError> {
    if packing.compression == Compression::None {
        return Ok((Sha1Hash::of(content), content));
    }
    std::thread::scope(|scope| {
        let hasher = scope.spawn(|| Sha1Hash::of(content));
        let packed = pack(content, packing, into);
        let sha1 = hasher.join().unwrap_or_else(|_| Sha1Hash::of(content));
        Ok((sha1, packed?))
    })
}

fn pack<'a>(content: &'a [u8], packing: Packing, into: &'a mut Vec<u8>) -> Result<&'a [u8], PushError> {
    if packing.compression == Compression::None {
        return Ok(content);
    }
    into.clear();
    let spec = StreamSpec::full(packing.compression, None);
    let made = Packer::new(std::mem::take(into), &spec, packing.level).and_then(|mut packer| {
        packer.write_all(content)?;
        packer.finish()
    });
    *into = made.map_err(|error| unpackable(&error))?;
    Ok(into)
}

/// Packing fails for want of memory, or by a level that the configuration should not have let pass.
fn unpackable(error: &CodecError) -> PushError {
    PushError::Told { code: 94, message: error.to_string() }
}

/// Writes the packed segment to each archive at the same time; gives what failed.
fn put_each(absent: &[&Shelf], file: Wanted, stored: &StoredSegment, packed: &[u8]) -> Vec<PushError> {
    let put = |shelf: &Shelf| -> Result<(), PushError> {
        let mut incoming = shelf.begin(file, stored)?;
        incoming.write_all(packed).and_then(|()| incoming.commit()).map_err(|error| shelf.error(error))
    };
    if let [only] = absent {
        return put(only).err().into_iter().collect();
    }
    std::thread::scope(|scope| {
        let writers: Vec<_> = absent.iter().map(|shelf| (shelf, scope.spawn(|| put(shelf)))).collect();
        let result = |(shelf, writer): (&&Shelf, std::thread::ScopedJoinHandle<'_, _>)| {
            writer.join().unwrap_or_else(|_| {
                let message = format!("{}: an internal error stopped the writing of {file}", shelf.place());
                Err(PushError::Told { code: 25, message })
            })
        };
        writers.into_iter().filter_map(|writer| result(writer).err()).collect()
    })
}

/// Reads the segment again and writes it packed to each archive; for segments too large for memory.
fn stream_to(
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
    let mut encoder = Encoder::new(fan, &spec, packing.level).map_err(|error| unpackable(&error))?;
    let failed = |error: io::Error| unpackable(&CodecError::from_io(error));
    source.stream(chunk, |piece| encoder.write_all(piece).map_err(failed))?;
    let (fan, seal, _) = encoder.finish().map_err(|error| unpackable(&error))?;
    if seal.sha1 != stored.sha1 {
        return Err(PushError::Changed(source.path.clone()));
    }
    let Fan { writers, mut failures } = fan;
    for (shelf, incoming) in writers {
        failures.extend(incoming.commit().err().map(|error| shelf.error(error)));
    }
    Ok(failures)
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
    buffers: &mut Buffers,
) -> Result<Lodged, PushError> {
    let file = source.file;
    source.read_into(&mut buffers.content)?;
    let content = &buffers.content;
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
