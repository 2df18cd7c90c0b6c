//! AES-256-CBC in the `openssl enc` container, read and written as a stream.
//!
//! `Salted__`, 8 bytes of salt, ciphertext with PKCS#7 padding; key and IV by `EVP_BytesToKey` with SHA-1 and one
//! round. There is no authentication: a wrong passphrase shows as wrong padding or as garbage the caller's own
//! checks must catch. Blocks are decrypted many at a time, which CBC allows and which is 20 times faster; they are
//! encrypted one after the other, which CBC requires. A salt is never used for two streams.

use super::{CodecError, Compression, Framing};
use crate::base::Secret;
use aes::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _, consts::U16};
use sha1::{Digest as _, Sha1};
use std::io::{self, BufRead, Read};
use zeroize::Zeroizing;

/// Bytes of a cipher block; padding adds at least one byte and at most as many.
pub(super) const BLOCK: usize = 16;
const MAGIC: &[u8; 8] = b"Salted__";

type Aes256CbcDec = cbc::Decryptor<aes::Aes256>;
type Aes256CbcEnc = cbc::Encryptor<aes::Aes256>;

/// Key (32 bytes) and IV (16 bytes) from passphrase and salt.
pub fn derive_key_iv(passphrase: &Secret, salt: [u8; 8]) -> Zeroizing<[u8; 48]> {
    let mut out = Zeroizing::new([0; 60]);
    let mut previous: Option<[u8; 20]> = None;
    for part in out.chunks_exact_mut(20) {
        let mut hash = Sha1::new();
        if let Some(previous) = previous {
            hash.update(previous);
        }
        hash.update(passphrase.expose().as_bytes());
        hash.update(salt);
        let digest: [u8; 20] = hash.finalize().into();
        part.copy_from_slice(&digest);
        previous = Some(digest);
    }
    let mut key_iv = Zeroizing::new([0; 48]);
    key_iv.copy_from_slice(&out[..48]);
    key_iv
}

/// A new passphrase as pgBackRest makes them for archives, manifests and backup sets: 48 random bytes in standard
/// base64, 64 characters. The text is the passphrase; nobody decodes it.
pub fn random_passphrase() -> Result<Secret, CodecError> {
    let mut random = Zeroizing::new([0; 48]);
    fill_random(&mut random[..])?;
    Ok(Secret::new(base64(&random)))
}

/// Standard base64 of a length that needs no filling up.
fn base64(bytes: &[u8; 48]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(64);
    for three in bytes.chunks_exact(3) {
        let number = three.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        text.extend([18, 12, 6, 0].map(|shift| char::from(DIGITS[number >> shift & 63])));
    }
    text
}

fn fill_random(bytes: &mut [u8]) -> Result<(), CodecError> {
    getrandom::fill(bytes).map_err(|error| CodecError::NoRandom(error.to_string()))
}

/// Encrypts one stream, in the buffers of whoever holds the bytes.
pub(super) struct Encryption(Aes256CbcEnc);

impl Encryption {
    /// Begins a stream with a salt of its own; gives the bytes to store before its ciphertext.
    pub(super) fn begin(passphrase: &Secret, framing: Framing) -> Result<(Self, Vec<u8>), CodecError> {
        let mut salt = [0; 8];
        fill_random(&mut salt)?;
        let key_iv = derive_key_iv(passphrase, salt);
        let refused = |_| CodecError::Unencodable {
            format: Compression::None,
            why: "the cipher takes no key of that length".to_owned(),
        };
        let cipher = Aes256CbcEnc::new_from_slices(&key_iv[..32], &key_iv[32..]).map_err(refused)?;
        let magic: &[u8] = if framing == Framing::Full { MAGIC } else { &[] };
        Ok((Self(cipher), [magic, &salt].concat()))
    }

    /// Encrypts the whole blocks at the front of `bytes`; gives how many bytes that are.
    pub(super) fn blocks(&mut self, bytes: &mut [u8]) -> usize {
        let (blocks, rest) = Array::<u8, U16>::slice_as_chunks_mut(bytes);
        let left = rest.len();
        self.0.encrypt_blocks(blocks);
        bytes.len() - left
    }
}

/// The bytes that fill up the last block of a stream: as many as their own value says.
pub(super) fn padding(last_bytes: usize) -> impl Iterator<Item = u8> {
    let missing = BLOCK - last_bytes % BLOCK;
    std::iter::repeat_n(u8::try_from(missing).unwrap_or(0), missing)
}

/// Decrypts one stream.
pub(super) struct CipherReader<R> {
    stored: R,
    cipher: Aes256CbcDec,
    buffer: Vec<u8>,
    /// Decrypted bytes not handed out yet: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// The last decrypted block, kept back because it may be the padding.
    held: Option<[u8; BLOCK]>,
    ended: bool,
}

impl<R: Read> CipherReader<R> {
    pub(super) fn new(
        mut stored: R,
        passphrase: &Secret,
        framing: Framing,
        chunk_bytes: usize,
    ) -> Result<Self, CodecError> {
        let mut header = [0; 16];
        let header = if framing == Framing::Full { &mut header[..] } else { &mut header[8..] };
        stored.read_exact(header).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => CodecError::NotEncrypted("shorter than a cipher header"),
            _ => CodecError::Io(error),
        })?;
        if framing == Framing::Full && !header.starts_with(MAGIC) {
            return Err(CodecError::NotEncrypted("the cipher header is missing"));
        }
        let mut salt = [0; 8];
        salt.copy_from_slice(&header[header.len() - 8..]);
        let key_iv = derive_key_iv(passphrase, salt);
        let cipher = Aes256CbcDec::new_from_slices(&key_iv[..32], &key_iv[32..])
            .map_err(|_| CodecError::Undecryptable)?;
        Ok(Self {
            stored,
            cipher,
            buffer: vec![0; BLOCK + chunk_bytes.next_multiple_of(BLOCK)],
            start: 0,
            end: 0,
            held: None,
            ended: false,
        })
    }

    /// Reads and decrypts the next chunk; at the end checks and drops the padding.
    fn refill(&mut self) -> io::Result<()> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, CodecError::Undecryptable);
        let got = read_full(&mut self.stored, &mut self.buffer[BLOCK..])?;
        self.ended = got < self.buffer.len() - BLOCK;
        if got % BLOCK != 0 {
            return Err(bad());
        }
        let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(&mut self.buffer[BLOCK..BLOCK + got]);
        self.cipher.decrypt_blocks(blocks);
        self.start = BLOCK;
        self.end = BLOCK + got;
        if let Some(held) = self.held.take() {
            self.start = 0;
            self.buffer[..BLOCK].copy_from_slice(&held);
        }
        if self.start == self.end {
            return Err(bad());
        }
        self.end -= BLOCK;
        let last = self.end;
        if self.ended {
            let pad = usize::from(self.buffer[last + BLOCK - 1]);
            if !(1..=BLOCK).contains(&pad)
                || self.buffer[last + BLOCK - pad..last + BLOCK].iter().any(|b| usize::from(*b) != pad)
            {
                return Err(bad());
            }
            self.end += BLOCK - pad;
        } else {
            let mut held = [0; BLOCK];
            held.copy_from_slice(&self.buffer[last..last + BLOCK]);
            self.held = Some(held);
        }
        Ok(())
    }
}

/// Reads until `buffer` is full or the source ends.
fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl<R: Read> BufRead for CipherReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end && !self.ended {
            self.refill()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
    }
}

impl<R: Read> Read for CipherReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buf.len());
        buf[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}
