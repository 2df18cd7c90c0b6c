//! Reading stored bytes so that what happened is known afterwards: how many there were, their hash, and whether a read
//! failed. A read that failed is never damage.

use super::Work;
use super::finding::{Fault, Judged};
use crate::base::Result;
use crate::codec::{CodecError, Decoder, Hasher, Seal, Sha1Hash, StreamSpec};
use std::io::{self, Read};

/// A reader of stored bytes.
pub(super) struct Watched<'a, R> {
    source: R,
    work: &'a Work<'a>,
    /// Count into the progress; false for bytes that are counted elsewhere.
    counts: bool,
    hasher: Option<Hasher>,
    bytes: u64,
    failure: Option<String>,
}

impl<'a, R: Read> Watched<'a, R> {
    pub(super) fn new(source: R, work: &'a Work<'a>) -> Self {
        Self { source, work, counts: true, hasher: None, bytes: 0, failure: None }
    }

    /// Hashes what is read.
    pub(super) fn hashing(mut self, hash: bool) -> Self {
        self.hasher = hash.then(Hasher::new);
        self
    }

    /// Leaves the progress alone.
    pub(super) fn uncounted(mut self) -> Self {
        self.counts = false;
        self
    }

    /// Bytes read so far.
    pub(super) fn taken(&self) -> u64 {
        self.bytes
    }

    /// Reads on to the end, or until more than `most` bytes were read in all.
    pub(super) fn drain(&mut self, buffer: &mut [u8], most: u64) {
        while self.bytes <= most {
            match self.read(buffer) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                _ => {}
            }
        }
    }

    /// Number of bytes and their hash, or why they could not be read to the end; fails if the operator cancelled.
    pub(super) fn finish(self) -> Result<(u64, Option<Sha1Hash>, Option<String>)> {
        self.work.cancel.check()?;
        Ok((self.bytes, self.hasher.map(Hasher::finish), self.failure))
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // Not a kind that a decoder takes for damage.
        let refuse = |why: String| io::Error::new(io::ErrorKind::ConnectionAborted, why);
        if self.work.cancel.requested() {
            return Err(refuse("cancelled".to_owned()));
        }
        match self.source.read(buf) {
            Ok(n) => {
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&buf[..n]);
                }
                self.bytes += n as u64;
                if self.counts {
                    self.work.tally.add_bytes(n as u64);
                }
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let why = error.to_string();
                self.failure.get_or_insert_with(|| why.clone());
                Err(refuse(why))
            }
        }
    }
}

/// How decoding a stream ended.
#[derive(Debug)]
pub(super) enum Decoded {
    /// Properly.
    Whole(Seal),
    /// It has more content than it may.
    TooLong,
    /// Not at all.
    Broken(CodecError),
}

impl Decoded {
    /// The judgement on content that must have this size and hash.
    pub(super) fn judge(&self, size_bytes: u64, sha1: Sha1Hash, says: &str) -> Judged {
        match self {
            Self::Whole(seal) if seal.size_bytes != size_bytes => Judged::bad(
                Fault::Size,
                format!("has {} bytes of content, {says} {size_bytes}", seal.size_bytes),
            ),
            Self::Whole(seal) if seal.sha1 != sha1 => {
                Judged::bad(Fault::Checksum, format!("has content with SHA-1 {}, {says} {sha1}", seal.sha1))
            }
            Self::Whole(_) => Judged::Sound,
            Self::TooLong => {
                Judged::bad(Fault::Size, format!("has more content than the {size_bytes} bytes {says}"))
            }
            Self::Broken(error) => Judged::not_decoded(error),
        }
    }
}

/// Decodes a stream of `stored_bytes` to its end, but no more than `most` bytes of content; `see` is shown the first piece.
pub(super) fn decode(
    source: impl Read + Send,
    spec: &StreamSpec,
    stored_bytes: u64,
    most: u64,
    buffer: &mut [u8],
    see: &mut dyn FnMut(&[u8]),
) -> Decoded {
    let decode = || -> std::result::Result<Decoded, CodecError> {
        let mut decoder = Decoder::sized(source, spec, stored_bytes)?;
        let mut done = 0;
        loop {
            let got = decoder.fill(buffer)?;
            if done == 0 {
                see(&buffer[..got]);
            }
            done += got as u64;
            if done > most {
                return Ok(Decoded::TooLong);
            }
            if got < buffer.len() {
                return decoder.finish().map(Decoded::Whole);
            }
        }
    };
    decode().unwrap_or_else(Decoded::Broken)
}
