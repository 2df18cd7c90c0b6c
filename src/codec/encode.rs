//! Original content on its way to stored bytes: hashed, compressed, encrypted, hashed again.
//!
//! An [`Encoder`] writes one stream into a sink. What was stored is known only after [`Encoder::finish`]: until then
//! the stream has no end, and an encoder that is dropped writes none. After an error of the sink nothing more is
//! written, so that no hole can be sealed. Nothing is flushed, synced or committed here. Formats: those of the
//! decoder, with the headers and defaults of pgBackRest; LZ4 has one level only, whatever is asked for.

mod compressor;
mod outlet;
mod packer;

use super::{CodecError, Compression, Seal, Sha1Hash, StreamSpec};
use compressor::Compressor;
use outlet::{Buffer, Outlet};
pub use packer::Packer;
use sha1::{Digest as _, Sha1};
use std::fmt;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// What the stored form of a stream came out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Stored bytes: compressed, with the headers and the padding of the cipher.
    pub size_bytes: u64,
    /// Their SHA-1.
    pub sha1: Sha1Hash,
}

/// The level pgBackRest uses if none is configured: gz 6, lz4 1, zst 3, bz2 9.
pub fn default_level(format: Compression) -> i32 {
    match format {
        Compression::None => 0,
        Compression::Gz => 6,
        Compression::Lz4 => 1,
        Compression::Zst => 3,
        Compression::Bz2 => 9,
    }
}

/// Whether pgBackRest takes this level for this format.
///
/// All levels of LZ4 give the same bytes here: the encoder knows one. Zstandard takes 4 MiB of memory per encoder at
/// its default level and up to 800 MiB at level 22; bzip2 takes 8 MiB at its default level, the others less than one.
pub fn level_is_valid(format: Compression, level: i32) -> bool {
    levels(format).contains(&level)
}

fn levels(format: Compression) -> RangeInclusive<i32> {
    match format {
        Compression::None => 0..=0,
        Compression::Gz => -1..=9,
        Compression::Lz4 => -5..=12,
        Compression::Zst => -7..=22,
        Compression::Bz2 => 1..=9,
    }
}

/// The valid levels in words.
pub(super) fn level_words(format: Compression) -> String {
    let levels = levels(format);
    if levels.start() == levels.end() {
        return format!("only {}", levels.start());
    }
    format!("{} to {}", levels.start(), levels.end())
}

/// A writer that stores original content in `sink` as one stream.
///
/// Every byte given to `write` is taken, or the write fails and everything after it. Memory is bounded by buffers
/// and by what the level of the format needs; a stream does not allocate per write. Encryption has one salt per
/// stream. For many small streams see [`EncoderPool`].
pub struct Encoder<W: Write> {
    outlet: Outlet<W>,
    compressor: Compressor,
    format: Compression,
    hasher: Sha1,
    size_bytes: u64,
    /// How a write failed: bytes of the content are missing from the stream.
    failed: Option<io::ErrorKind>,
    /// Where compressor and buffer go when the stream has ended.
    home: Option<Idle>,
}

impl<W: Write> fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("format", &self.format)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

impl<W: Write> Encoder<W> {
    /// Begins a stream made as `spec` says; without a `level` it has pgBackRest's [default](default_level).
    ///
    /// # Errors
    /// [`CodecError::Level`] if the format has no such level, [`CodecError::NoRandom`] if there is no salt.
    pub fn new(sink: W, spec: &StreamSpec, level: Option<i32>) -> Result<Self, CodecError> {
        Self::begin(sink, spec, Scratch::new(spec, level)?, None)
    }

    /// The same with threads of its own that compress, `workers` of them, where the format can (Zstandard). Takes some
    /// 5 MiB of memory more for each, and gives other bytes of the same meaning.
    pub fn with_workers(
        sink: W,
        spec: &StreamSpec,
        level: Option<i32>,
        workers: u32,
    ) -> Result<Self, CodecError> {
        let mut scratch = Scratch::new(spec, level)?;
        scratch.compressor.employ(workers)?;
        Self::begin(sink, spec, scratch, None)
    }

    fn begin(sink: W, spec: &StreamSpec, scratch: Scratch, home: Option<Idle>) -> Result<Self, CodecError> {
        let transformed = spec.compression != Compression::None;
        let outlet = Outlet::new(sink, scratch.buffer, spec.cipher.as_ref(), spec.framing, transformed)?;
        Ok(Self {
            outlet,
            compressor: scratch.compressor,
            format: spec.compression,
            hasher: Sha1::new(),
            size_bytes: 0,
            failed: None,
            home,
        })
    }

    /// Ends the stream; gives back the sink, size and SHA-1 of the original content, and what was stored.
    ///
    /// The sink is not flushed. No seal comes out of a stream in which a write failed.
    pub fn finish(mut self) -> Result<(W, Seal, Stored), CodecError> {
        self.refuse_if_failed()?;
        self.compressor.end(&mut self.outlet)?;
        let sha1 = Sha1Hash(self.hasher.finalize().into());
        let (sink, stored, buffer) = self.outlet.finish(sha1).map_err(CodecError::Io)?;
        if let Some(home) = self.home {
            take_back(&home, Scratch { compressor: self.compressor, buffer });
        }
        Ok((sink, Seal { size_bytes: self.size_bytes, sha1 }, stored))
    }

    fn refuse_if_failed(&self) -> Result<(), CodecError> {
        match self.failed {
            None => Ok(()),
            Some(kind) => Err(CodecError::Io(io::Error::new(kind, "an earlier write of this stream failed"))),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let taken = self.refuse_if_failed().and_then(|()| self.compressor.take(content, &mut self.outlet));
        if let Err(error) = taken {
            let error = match error {
                // Whoever is told of an interruption tries again, but part of the content is in the stream.
                CodecError::Io(error) if error.kind() == io::ErrorKind::Interrupted => {
                    io::Error::other(error)
                }
                CodecError::Io(error) => error,
                other => io::Error::other(other),
            };
            self.failed = Some(error.kind());
            return Err(error);
        }
        self.hasher.update(content);
        self.size_bytes += content.len() as u64;
        Ok(content.len())
    }

    /// Flushes the sink. What the stream still holds back goes there as it fills up, and at its end.
    fn flush(&mut self) -> io::Result<()> {
        self.outlet.sink.flush()
    }
}

/// What an encoder needs besides its sink, and what outlives its stream.
struct Scratch {
    compressor: Compressor,
    buffer: Buffer,
}

type Idle = Arc<Mutex<Vec<Scratch>>>;

impl Scratch {
    fn new(spec: &StreamSpec, level: Option<i32>) -> Result<Self, CodecError> {
        let format = spec.compression;
        let level = level.unwrap_or_else(|| default_level(format));
        if !level_is_valid(format, level) {
            return Err(CodecError::Level { format, level });
        }
        Ok(Self { compressor: Compressor::new(format, spec.framing, level)?, buffer: Buffer::new() })
    }
}

/// Encoders of one kind for many streams: each takes the compressor and buffer that a finished one left.
///
/// Setting up a compressor costs more than packing a small file. Clones share what they keep; as much is kept as
/// was ever in use at once. The bytes of a stream do not depend on the streams before it.
#[derive(Clone)]
pub struct EncoderPool {
    spec: StreamSpec,
    level: Option<i32>,
    idle: Idle,
}

impl fmt::Debug for EncoderPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncoderPool")
            .field("spec", &self.spec)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl EncoderPool {
    /// A pool of encoders for streams made as `spec` says, at `level` or at the [default](default_level).
    ///
    /// # Errors
    /// [`CodecError::Level`] if the format has no such level.
    pub fn new(spec: StreamSpec, level: Option<i32>) -> Result<Self, CodecError> {
        let first = Scratch::new(&spec, level)?;
        Ok(Self { spec, level, idle: Arc::new(Mutex::new(vec![first])) })
    }

    /// How the streams of this pool are made.
    pub fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    /// Begins a stream in `sink`.
    pub fn encoder<W: Write>(&self, sink: W) -> Result<Encoder<W>, CodecError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let scratch = match idle {
            Some(scratch) => scratch,
            None => Scratch::new(&self.spec, self.level)?,
        };
        Encoder::begin(sink, &self.spec, scratch, Some(Arc::clone(&self.idle)))
    }
}

/// Keeps what an ended stream used; what cannot be used again is dropped, and a later stream sets up its own.
fn take_back(idle: &Idle, mut scratch: Scratch) {
    if scratch.compressor.renew().is_ok() {
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }
}

/// Stores a whole small content; what [`decode_small`](super::decode_small) reads.
pub fn encode_small(content: &[u8], spec: &StreamSpec, level: Option<i32>) -> Result<Vec<u8>, CodecError> {
    let mut encoder = Encoder::new(Vec::new(), spec, level)?;
    encoder.write_all(content).map_err(CodecError::from_io)?;
    Ok(encoder.finish()?.0)
}

#[cfg(test)]
mod tests;
