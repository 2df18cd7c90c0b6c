//! The stages of an encoder without its hashes: for content that is hashed elsewhere, or packed once and stored several
//! times.
//!
//! Makes the same streams as an [`Encoder`](super::Encoder). Hashes nothing: who uses it has another proof of what was
//! written.

use super::Scratch;
use super::compressor::Compressor;
use super::outlet::Outlet;
use crate::codec::{CodecError, Sha1Hash, StreamSpec};
use std::fmt;
use std::io::{self, Write};

/// Stores content in a sink as one stream, hashing nothing.
pub struct Packer<W: Write> {
    outlet: Outlet<W>,
    compressor: Compressor,
    /// A write failed: bytes of the content are missing from the stream.
    failed: bool,
}

impl<W: Write> fmt::Debug for Packer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl<W: Write> Packer<W> {
    /// Begins a stream made as `spec` says; without a `level` it has pgBackRest's default.
    ///
    /// # Errors
    /// [`CodecError::Level`] if the format has no such level, [`CodecError::NoRandom`] if there is no salt.
    pub fn new(sink: W, spec: &StreamSpec, level: Option<i32>) -> Result<Self, CodecError> {
        let Scratch { compressor, buffer } = Scratch::new(spec, level)?;
        let outlet = Outlet::new(sink, buffer, spec.cipher.as_ref(), spec.framing, false)?.unhashed();
        Ok(Self { outlet, compressor, failed: false })
    }

    /// Takes all of `content`, or fails for good.
    pub fn write_all(&mut self, content: &[u8]) -> Result<(), CodecError> {
        self.refuse_if_failed()?;
        let taken = self.compressor.take(content, &mut self.outlet);
        self.failed = taken.is_err();
        taken
    }

    /// Ends the stream and gives back the sink, which is not flushed. No stream in which a write failed is ended.
    pub fn finish(mut self) -> Result<W, CodecError> {
        self.refuse_if_failed()?;
        self.compressor.end(&mut self.outlet)?;
        // The hash given is that of nothing, and so is what is told of the stored bytes.
        let (sink, ..) = self.outlet.finish(Sha1Hash::EMPTY).map_err(CodecError::Io)?;
        Ok(sink)
    }

    fn refuse_if_failed(&self) -> Result<(), CodecError> {
        if self.failed {
            return Err(CodecError::Io(io::Error::other("an earlier write of this stream failed")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use crate::codec::{Compression, decode_small, encode_small};

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    #[test]
    fn its_streams_are_those_of_an_encoder() {
        for compression in Compression::ALL {
            for length in [0, 1, 15, 16, 65_535, 65_536, 300_001] {
                let content = noise(length);
                let plain = StreamSpec::full(compression, None);
                let mut packer = Packer::new(Vec::new(), &plain, None).unwrap();
                content.chunks(70_000).for_each(|piece| packer.write_all(piece).unwrap());
                let bytes = packer.finish().unwrap();
                assert!(bytes == encode_small(&content, &plain, None).unwrap(), "{compression} {length}");
                // Packed once, encrypted apart.
                let cipher = Some(Secret::new("secret"));
                let mut packer =
                    Packer::new(Vec::new(), &StreamSpec::full(Compression::None, cipher.clone()), None)
                        .unwrap();
                packer.write_all(&bytes).unwrap();
                let stored = packer.finish().unwrap();
                let whole = StreamSpec::full(compression, cipher);
                assert!(decode_small(&stored, &whole, 1 << 20).unwrap() == content, "{compression} {length}");
            }
        }
    }

    #[test]
    fn nothing_is_ended_behind_a_hole() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let spec = StreamSpec::full(Compression::None, None);
        let mut packer = Packer::new(Full, &spec, None).unwrap();
        let error = packer.write_all(&noise(200_000)).unwrap_err();
        assert!(matches!(error, CodecError::Io(cause) if cause.kind() == io::ErrorKind::StorageFull));
        packer.write_all(b"more").unwrap_err();
        assert!(packer.finish().is_err());
    }
}
