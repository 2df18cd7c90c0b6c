//! The last stage of an encoder: bytes collect in one buffer, are encrypted in place, hashed and handed to the sink.
//!
//! Never holds more than its buffer. What the sink refused is not repeated: after an error an outlet is of no use.

use super::Stored;
use crate::base::Secret;
use crate::codec::cipher::{BLOCK, Encryption, padding};
use crate::codec::{CodecError, Framing, Sha1Hash};
use sha1::{Digest as _, Sha1};
use std::io::{self, Write};

/// How much is encrypted, hashed and written at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The buffer of an outlet, to be used again by the next.
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// A new buffer, with room for the padding of a full one.
    pub(super) fn new() -> Self {
        Self(vec![0; CHUNK_BYTES + BLOCK])
    }
}

/// Takes bytes for a sink, one stream long.
pub(super) struct Outlet<W> {
    pub(super) sink: W,
    buffer: Vec<u8>,
    /// Bytes before this may go to the sink as they are: the header.
    ready: usize,
    /// Bytes before this are in use.
    filled: usize,
    cipher: Option<Encryption>,
    /// Nothing if what is stored is the content itself, which has been hashed already.
    hasher: Option<Sha1>,
    stored_bytes: u64,
}

impl<W: Write> Outlet<W> {
    /// Begins a stream; `transformed` tells that the bytes are not the original content any more.
    pub(super) fn new(
        sink: W,
        buffer: Buffer,
        cipher: Option<&Secret>,
        framing: Framing,
        transformed: bool,
    ) -> Result<Self, CodecError> {
        let hasher = (transformed || cipher.is_some()).then(Sha1::new);
        let mut outlet =
            Self { sink, buffer: buffer.0, ready: 0, filled: 0, cipher: None, hasher, stored_bytes: 0 };
        if let Some(passphrase) = cipher {
            let (encryption, header) = Encryption::begin(passphrase, framing)?;
            outlet.buffer[..header.len()].copy_from_slice(&header);
            outlet.ready = header.len();
            outlet.filled = header.len();
            outlet.cipher = Some(encryption);
        }
        Ok(outlet)
    }

    /// The same without a hash of what is stored.
    pub(super) fn unhashed(mut self) -> Self {
        self.hasher = None;
        self
    }

    /// Room for the next bytes, never empty; what was put there counts after [`Self::advance`].
    pub(super) fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.filled == CHUNK_BYTES {
            self.emit()?;
        }
        Ok(&mut self.buffer[self.filled..CHUNK_BYTES])
    }

    /// The first `bytes` of the room are in use now.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.filled += bytes;
        debug_assert!(self.filled <= CHUNK_BYTES, "more was put into the room than it has");
    }

    /// Takes bytes from elsewhere.
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.cipher.is_none() && self.filled == 0 && bytes.len() >= CHUNK_BYTES {
                return write(&mut self.sink, self.hasher.as_mut(), &mut self.stored_bytes, bytes);
            }
            let room = self.room()?;
            let taken = room.len().min(bytes.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
            self.advance(taken);
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Ends the stream. What was stored has a hash of its own unless it is the content itself.
    pub(super) fn finish(mut self, content: Sha1Hash) -> io::Result<(W, Stored, Buffer)> {
        if self.cipher.is_some() {
            for byte in padding(self.filled - self.ready) {
                self.buffer[self.filled] = byte;
                self.filled += 1;
            }
        }
        self.emit()?;
        let sha1 = self.hasher.map_or(content, |hasher| Sha1Hash(hasher.finalize().into()));
        Ok((self.sink, Stored { size_bytes: self.stored_bytes, sha1 }, Buffer(self.buffer)))
    }

    /// Writes what is in the buffer, but for the part of a cipher block, which moves to the front.
    fn emit(&mut self) -> io::Result<()> {
        let mut whole = self.filled;
        if let Some(cipher) = &mut self.cipher {
            whole = self.ready + cipher.blocks(&mut self.buffer[self.ready..self.filled]);
        }
        write(&mut self.sink, self.hasher.as_mut(), &mut self.stored_bytes, &self.buffer[..whole])?;
        self.buffer.copy_within(whole..self.filled, 0);
        self.filled -= whole;
        self.ready = 0;
        Ok(())
    }
}

fn write<W: Write>(
    sink: &mut W,
    hasher: Option<&mut Sha1>,
    stored_bytes: &mut u64,
    bytes: &[u8],
) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    sink.write_all(bytes)?;
    if let Some(hasher) = hasher {
        hasher.update(bytes);
    }
    *stored_bytes += bytes.len() as u64;
    Ok(())
}
