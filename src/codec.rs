//! One streaming pass between stored bytes and original content: encrypt, compress, hash, and back.
//!
//! A [`Decoder`] is a reader of the original content; its [`Seal`] (size and SHA-1 of what was read) exists only
//! after the stream ended properly and nothing was left over, so no caller can mistake a truncated stream for a
//! whole one. An [`Encoder`] is a writer of original content, and its seal exists only after the stream's end
//! reached the sink. Memory is bounded by fixed buffers whatever the stream claims. This room knows no repository
//! and opens no file. Formats: the `openssl enc` container with SHA-1 key derivation, and the stock formats of
//! gzip, zlib, LZ4 frames, Zstandard and bzip2.

pub mod cipher;
pub mod encode;
pub mod hash;
pub mod quick;

use crate::base::{Kind, Report, Secret};
use cipher::CipherReader;
use sha1::{Digest as _, Sha1};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;

pub use cipher::random_passphrase;
pub use encode::{Encoder, EncoderPool, Packer, Stored, default_level, encode_small, level_is_valid};
pub use hash::{Hasher, Sha1Hash};

/// How much stored data is taken in at a time.
const BUFFER_BYTES: usize = 128 * 1024;

/// The least that is taken in at a time, however small the stream.
const MIN_BUFFER_BYTES: usize = 4096;

/// A compression format pgBackRest uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Stored as it is.
    None,
    /// gzip (zlib in raw framing).
    Gz,
    /// LZ4 frame.
    Lz4,
    /// Zstandard.
    Zst,
    /// bzip2.
    Bz2,
}

impl Compression {
    /// Every format, uncompressed first.
    pub const ALL: [Self; 5] = [Self::None, Self::Gz, Self::Lz4, Self::Zst, Self::Bz2];

    /// The name in configuration and manifests: `none`, `gz`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gz => "gz",
            Self::Lz4 => "lz4",
            Self::Zst => "zst",
            Self::Bz2 => "bz2",
        }
    }

    /// What is appended to the names of stored files: `.gz`, …, or nothing.
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gz => ".gz",
            Self::Lz4 => ".lz4",
            Self::Zst => ".zst",
            Self::Bz2 => ".bz2",
        }
    }

    /// The format whose [extension](Self::extension) this is; nothing for an unknown one.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.extension() == extension)
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|c| c.name() == text)
            .ok_or_else(|| format!("compression type '{text}' is not one of none, gz, lz4, zst, bz2"))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a stream carries the formats' full headers or pgBackRest's shortened ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Salted__` before the salt, gzip around deflate.
    Full,
    /// The salt alone, zlib around deflate: files in raw bundles, super blocks, block maps.
    Raw,
}

/// How a stored stream was made.
#[derive(Debug, Clone)]
pub struct StreamSpec {
    /// What it was compressed with.
    pub compression: Compression,
    /// The passphrase it was encrypted with, if it was.
    pub cipher: Option<Secret>,
    /// Which headers it carries.
    pub framing: Framing,
}

impl StreamSpec {
    /// A stream with full headers.
    pub fn full(compression: Compression, cipher: Option<Secret>) -> Self {
        Self { compression, cipher, framing: Framing::Full }
    }
}

/// Why a stream could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Not encrypted at all, or not in the expected container.
    #[error("not encrypted as expected: {0}")]
    NotEncrypted(&'static str),
    /// The padding is wrong: another passphrase, or damage in the last block.
    #[error("cannot be decrypted: wrong passphrase, or the stored bytes are damaged")]
    Undecryptable,
    /// The compressed data is damaged or cut short.
    #[error("damaged {format} data: {why}")]
    Damaged {
        /// The compression format.
        format: Compression,
        /// The decoder's reason.
        why: String,
    },
    /// Bytes are left after the end of the stream.
    #[error("{0} stream ends before its stored bytes do")]
    Trailing(Compression),
    /// The stored bytes could not be read, or not be written; the kind is the reader's or the sink's own.
    #[error("input or output failed: {0}")]
    Io(#[source] io::Error),
    /// The format has no such level.
    #[error("compression level {level} is not one of {format} ({range})", range = encode::level_words(*.format))]
    Level {
        /// The compression format.
        format: Compression,
        /// The level asked for.
        level: i32,
    },
    /// The encoder of the format refused its work.
    #[error("cannot be stored as {format}: {why}")]
    Unencodable {
        /// The compression format.
        format: Compression,
        /// The encoder's reason.
        why: String,
    },
    /// Nothing can be encrypted without random numbers.
    #[error("the system gives no random numbers: {0}")]
    NoRandom(String),
}

impl CodecError {
    /// Recovers the error that a [`Decoder`]'s reader side or an [`Encoder`]'s writer side had to wrap.
    pub fn from_io(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Io)
    }

    fn wrap(format: Compression, error: io::Error) -> io::Error {
        let error = match error.downcast::<Self>() {
            Ok(own) => return io::Error::new(io::ErrorKind::InvalidData, own),
            Err(error) => error,
        };
        let damaged = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Other
        );
        if damaged && format != Compression::None {
            let why = if error.kind() == io::ErrorKind::UnexpectedEof {
                "cut short".to_owned()
            } else {
                error.to_string()
            };
            io::Error::new(io::ErrorKind::InvalidData, Self::Damaged { format, why })
        } else {
            io::Error::new(error.kind(), Self::Io(error))
        }
    }
}

impl From<CodecError> for Report {
    fn from(error: CodecError) -> Self {
        use io::ErrorKind as Io;
        let kind = match &error {
            CodecError::Io(cause) if matches!(cause.kind(), Io::StorageFull | Io::QuotaExceeded) => {
                Kind::Failed
            }
            CodecError::Io(_) => Kind::Unreachable,
            CodecError::Level { .. } => Kind::Usage,
            CodecError::Unencodable { .. } | CodecError::NoRandom(_) => Kind::Failed,
            CodecError::NotEncrypted(_)
            | CodecError::Undecryptable
            | CodecError::Damaged { .. }
            | CodecError::Trailing(_) => Kind::Damaged,
        };
        Self::new(kind, error.to_string())
    }
}

/// Size and SHA-1 of the original content; proof that a stream was read or written to its proper end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// Bytes of the original content.
    pub size_bytes: u64,
    /// Its SHA-1.
    pub sha1: Sha1Hash,
}

/// A reader of original content out of stored bytes.
pub struct Decoder<'a> {
    stage: Stage<'a>,
    format: Compression,
    hasher: Sha1,
    size_bytes: u64,
}

type Source<'a> = Box<dyn BufRead + Send + 'a>;

enum Stage<'a> {
    Plain(Source<'a>),
    Gz(Box<flate2::bufread::GzDecoder<Source<'a>>>),
    Zlib(Box<flate2::bufread::ZlibDecoder<Source<'a>>>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<EndWatch<Source<'a>>>>),
    Zst(Box<zstd::stream::read::Decoder<'static, Source<'a>>>),
    Bz2(Box<bzip2::bufread::BzDecoder<Source<'a>>>),
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("format", &self.format)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

impl<'a> Decoder<'a> {
    /// Begins reading `stored`, which must be exactly one stream made as `spec` says.
    pub fn new(stored: impl Read + Send + 'a, spec: &StreamSpec) -> Result<Self, CodecError> {
        Self::sized(stored, spec, BUFFER_BYTES as u64)
    }

    /// The same for a stream of which the stored length is known: small ones get small buffers.
    pub fn sized(
        stored: impl Read + Send + 'a,
        spec: &StreamSpec,
        stored_bytes: u64,
    ) -> Result<Self, CodecError> {
        let buffer_bytes =
            usize::try_from(stored_bytes).unwrap_or(BUFFER_BYTES).clamp(MIN_BUFFER_BYTES, BUFFER_BYTES);
        let source: Source<'a> = match &spec.cipher {
            Some(passphrase) => Box::new(CipherReader::new(stored, passphrase, spec.framing, buffer_bytes)?),
            None => Box::new(BufReader::with_capacity(buffer_bytes, stored)),
        };
        let stage = match (spec.compression, spec.framing) {
            (Compression::None, _) => Stage::Plain(source),
            (Compression::Gz, Framing::Full) => Stage::Gz(Box::new(flate2::bufread::GzDecoder::new(source))),
            (Compression::Gz, Framing::Raw) => {
                Stage::Zlib(Box::new(flate2::bufread::ZlibDecoder::new(source)))
            }
            (Compression::Lz4, _) => Stage::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(EndWatch {
                inner: source,
                exhausted: false,
                complete: false,
            }))),
            (Compression::Zst, _) => {
                let decoder = zstd::stream::read::Decoder::with_buffer(source).map_err(CodecError::Io)?;
                Stage::Zst(Box::new(decoder.single_frame()))
            }
            (Compression::Bz2, _) => Stage::Bz2(Box::new(bzip2::bufread::BzDecoder::new(source))),
        };
        Ok(Self { stage, format: spec.compression, hasher: Sha1::new(), size_bytes: 0 })
    }

    /// Fills `buffer` as far as the stream goes; fewer bytes than asked for means its end.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, CodecError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => return Err(CodecError::from_io(error)),
            }
        }
        Ok(filled)
    }

    /// Proves that the stream ended properly, with no content unread and no stored byte left over.
    pub fn finish(mut self) -> Result<Seal, CodecError> {
        let mut one = [0];
        if self.fill(&mut one)? != 0 {
            return Err(CodecError::Trailing(self.format));
        }
        let mut rest = match self.stage {
            Stage::Plain(source) => source,
            Stage::Gz(decoder) => decoder.into_inner(),
            Stage::Zlib(decoder) => decoder.into_inner(),
            Stage::Lz4(decoder) => decoder.into_inner().inner,
            Stage::Zst(decoder) => decoder.finish(),
            Stage::Bz2(decoder) => decoder.into_inner(),
        };
        let left =
            rest.fill_buf().map_err(|error| CodecError::from_io(CodecError::wrap(self.format, error)))?;
        if !left.is_empty() {
            return Err(CodecError::Trailing(self.format));
        }
        Ok(Seal { size_bytes: self.size_bytes, sha1: Sha1Hash(self.hasher.finalize().into()) })
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = match &mut self.stage {
            Stage::Plain(source) => source.read(buf),
            Stage::Gz(decoder) => decoder.read(buf),
            Stage::Zlib(decoder) => decoder.read(buf),
            Stage::Lz4(decoder) => read_lz4(decoder, buf),
            Stage::Zst(decoder) => decoder.read(buf),
            Stage::Bz2(decoder) => decoder.read(buf),
        };
        let n = result.map_err(|error| CodecError::wrap(self.format, error))?;
        self.hasher.update(&buf[..n]);
        self.size_bytes += n as u64;
        Ok(n)
    }
}

/// Remembers whether the stored bytes were asked for beyond their end, and whether the frame was complete by then.
struct EndWatch<R> {
    inner: R,
    exhausted: bool,
    complete: bool,
}

impl<R: Read> Read for EndWatch<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.exhausted |= n == 0 && !buf.is_empty();
        Ok(n)
    }
}

/// The LZ4 decoder takes a missing end mark for a proper end; here it is damage.
fn read_lz4<R: Read>(
    decoder: &mut lz4_flex::frame::FrameDecoder<EndWatch<R>>,
    buf: &mut [u8],
) -> io::Result<usize> {
    if decoder.get_ref().complete || buf.is_empty() {
        return Ok(0);
    }
    let n = decoder.read(buf)?;
    if n == 0 {
        if decoder.get_ref().exhausted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        decoder.get_mut().complete = true;
    }
    Ok(n)
}

/// Reads a whole small stream; content longer than `limit_bytes` is damage, never memory.
pub fn decode_small(stored: &[u8], spec: &StreamSpec, limit_bytes: u64) -> Result<Vec<u8>, CodecError> {
    let mut decoder = Decoder::new(stored, spec)?;
    let mut content = Vec::new();
    (&mut decoder).take(limit_bytes + 1).read_to_end(&mut content).map_err(CodecError::from_io)?;
    if content.len() as u64 > limit_bytes {
        return Err(CodecError::Damaged {
            format: spec.compression,
            why: format!("expands beyond {limit_bytes} bytes"),
        });
    }
    decoder.finish()?;
    Ok(content)
}

/// Unpacks one Zstandard block of known size, as WAL holds page images; nothing if it is damaged.
pub fn unpack_zstd(packed: &[u8], size_bytes: usize) -> Option<Vec<u8>> {
    zstd::bulk::decompress(packed, size_bytes).ok()
}

#[cfg(test)]
mod tests;
