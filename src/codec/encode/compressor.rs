//! The compressing stage of an encoder: one way to drive five formats.
//!
//! Content goes in, packed bytes go straight into the outlet's buffer. A compressor may serve several streams, one
//! after the other, which spares the memory and time of setting it up; none remembers anything of a stream before.

use super::outlet::Outlet;
use crate::codec::{CodecError, Compression, Framing};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::io::Write;
use zstd::stream::raw::{CParameter, InBuffer, Operation as _, OutBuffer};

/// How much content the LZ4 encoder is given at a time: one of its blocks, so that little waits to be taken.
const LZ4_PIECE_BYTES: usize = 64 * 1024;

/// How much content a thread of its own compresses at a time: a WAL segment of the usual size keeps four at work.
const ZST_JOB_BYTES: u32 = 4 << 20;

/// zlib's largest window, as every gzip and zlib reader has.
const WINDOW_BITS: u8 = 15;

/// Turns content into packed bytes.
pub(super) enum Compressor {
    /// Leaves them as they are.
    None,
    Gz(flate2::Compress),
    Lz4(Lz4),
    Zst(zstd::stream::raw::Encoder<'static>),
    Bz2 {
        stream: bzip2::Compress,
        level: u32,
    },
}

/// An LZ4 frame on its way; packed bytes wait in the encoder's own sink.
pub(super) struct Lz4 {
    frame: FrameEncoder<Vec<u8>>,
    info: FrameInfo,
}

impl Compressor {
    /// A compressor of a level that was found valid.
    pub(super) fn new(format: Compression, framing: Framing, level: i32) -> Result<Self, CodecError> {
        let number = level.unsigned_abs();
        match format {
            Compression::None => Ok(Self::None),
            Compression::Gz => {
                let level =
                    if level < 0 { flate2::Compression::default() } else { flate2::Compression::new(number) };
                Ok(Self::Gz(match framing {
                    Framing::Full => flate2::Compress::new_gzip(level, WINDOW_BITS),
                    Framing::Raw => flate2::Compress::new(level, true),
                }))
            }
            Compression::Lz4 => {
                let info = FrameInfo::new()
                    .block_size(BlockSize::Max64KB)
                    .block_mode(BlockMode::Linked)
                    .content_checksum(framing == Framing::Full);
                Ok(Self::Lz4(Lz4::new(info)))
            }
            Compression::Zst => {
                // Its defaults are the format's: no checksum, and no content size but for an empty content.
                Ok(Self::Zst(zstd::stream::raw::Encoder::new(level).map_err(refused(format))?))
            }
            Compression::Bz2 => Ok(Self::Bz2 { stream: bzip2_stream(number), level: number }),
        }
    }

    /// Has the compressing done by this many threads besides the one that writes, where the format can: Zstandard only.
    pub(super) fn employ(&mut self, workers: u32) -> Result<(), CodecError> {
        let Self::Zst(encoder) = self else { return Ok(()) };
        for parameter in [CParameter::NbWorkers(workers), CParameter::JobSize(ZST_JOB_BYTES)] {
            encoder.set_parameter(parameter).map_err(refused(Compression::Zst))?;
        }
        Ok(())
    }

    /// Takes all of `content`.
    pub(super) fn take<W: Write>(
        &mut self,
        mut content: &[u8],
        out: &mut Outlet<W>,
    ) -> Result<(), CodecError> {
        if let Self::None = self {
            return out.put(content).map_err(CodecError::Io);
        }
        while !content.is_empty() {
            let (taken, given) = match self {
                Self::None => return Ok(()),
                Self::Lz4(lz4) => (lz4.take(content, out)?, 0),
                Self::Gz(stream) => {
                    let room = out.room().map_err(CodecError::Io)?;
                    let before = (stream.total_in(), stream.total_out());
                    stream
                        .compress(content, room, flate2::FlushCompress::None)
                        .map_err(refused(Compression::Gz))?;
                    step(before, (stream.total_in(), stream.total_out()))
                }
                Self::Zst(encoder) => {
                    let room = out.room().map_err(CodecError::Io)?;
                    let (mut input, mut output) = (InBuffer::around(content), OutBuffer::around(room));
                    encoder.run(&mut input, &mut output).map_err(refused(Compression::Zst))?;
                    (input.pos(), output.pos())
                }
                Self::Bz2 { stream, .. } => {
                    let room = out.room().map_err(CodecError::Io)?;
                    let before = (stream.total_in(), stream.total_out());
                    stream.compress(content, room, bzip2::Action::Run).map_err(refused(Compression::Bz2))?;
                    step(before, (stream.total_in(), stream.total_out()))
                }
            };
            if taken == 0 && given == 0 {
                return Err(self.stuck());
            }
            out.advance(given);
            content = &content[taken..];
        }
        Ok(())
    }

    /// Ends the stream.
    pub(super) fn end<W: Write>(&mut self, out: &mut Outlet<W>) -> Result<(), CodecError> {
        loop {
            let (given, done) = match self {
                Self::None => return Ok(()),
                Self::Lz4(lz4) => return lz4.end(out),
                Self::Gz(stream) => {
                    let room = out.room().map_err(CodecError::Io)?;
                    let before = stream.total_out();
                    let status = stream
                        .compress(&[], room, flate2::FlushCompress::Finish)
                        .map_err(refused(Compression::Gz))?;
                    (difference(before, stream.total_out()), status == flate2::Status::StreamEnd)
                }
                Self::Zst(encoder) => {
                    let room = out.room().map_err(CodecError::Io)?;
                    let mut output = OutBuffer::around(room);
                    let left = encoder.finish(&mut output, true).map_err(refused(Compression::Zst))?;
                    (output.pos(), left == 0)
                }
                Self::Bz2 { stream, .. } => {
                    let room = out.room().map_err(CodecError::Io)?;
                    let before = stream.total_out();
                    let status = stream
                        .compress(&[], room, bzip2::Action::Finish)
                        .map_err(refused(Compression::Bz2))?;
                    (difference(before, stream.total_out()), status == bzip2::Status::StreamEnd)
                }
            };
            out.advance(given);
            if done {
                return Ok(());
            }
            if given == 0 {
                return Err(self.stuck());
            }
        }
    }

    /// Makes a compressor whose stream has ended ready for another.
    pub(super) fn renew(&mut self) -> Result<(), CodecError> {
        match self {
            Self::None => {}
            Self::Gz(stream) => stream.reset(),
            Self::Lz4(lz4) => lz4.renew(),
            Self::Zst(encoder) => encoder.reinit().map_err(refused(Compression::Zst))?,
            Self::Bz2 { stream, level } => *stream = bzip2_stream(*level),
        }
        Ok(())
    }

    fn stuck(&self) -> CodecError {
        let format = match self {
            Self::None => Compression::None,
            Self::Gz(_) => Compression::Gz,
            Self::Lz4(_) => Compression::Lz4,
            Self::Zst(_) => Compression::Zst,
            Self::Bz2 { .. } => Compression::Bz2,
        };
        CodecError::Unencodable { format, why: "the encoder takes nothing and gives nothing".to_owned() }
    }
}

impl Lz4 {
    fn new(info: FrameInfo) -> Self {
        Self { frame: FrameEncoder::with_frame_info(info.clone(), Vec::new()), info }
    }

    fn take<W: Write>(&mut self, content: &[u8], out: &mut Outlet<W>) -> Result<usize, CodecError> {
        let piece = &content[..content.len().min(LZ4_PIECE_BYTES)];
        self.frame.write_all(piece).map_err(refused(Compression::Lz4))?;
        self.hand_on(out)?;
        Ok(piece.len())
    }

    fn end<W: Write>(&mut self, out: &mut Outlet<W>) -> Result<(), CodecError> {
        self.frame.try_finish().map_err(refused(Compression::Lz4))?;
        self.hand_on(out)
    }

    fn hand_on<W: Write>(&mut self, out: &mut Outlet<W>) -> Result<(), CodecError> {
        let packed = self.frame.get_mut();
        out.put(packed).map_err(CodecError::Io)?;
        packed.clear();
        Ok(())
    }

    /// An encoder that has ended one frame would end an empty one after it without beginning it: a new one is made.
    fn renew(&mut self) {
        let packed = std::mem::take(self.frame.get_mut());
        self.frame = FrameEncoder::with_frame_info(self.info.clone(), packed);
    }
}

fn bzip2_stream(level: u32) -> bzip2::Compress {
    bzip2::Compress::new(bzip2::Compression::new(level), 0)
}

/// What the encoder of `format` says against going on.
fn refused<E: std::fmt::Display>(format: Compression) -> impl Fn(E) -> CodecError {
    move |error| CodecError::Unencodable { format, why: error.to_string() }
}

/// How far the counters of a stream went; never further than a buffer is long.
fn difference(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

fn step(before: (u64, u64), after: (u64, u64)) -> (usize, usize) {
    (difference(before.0, after.0), difference(before.1, after.1))
}
