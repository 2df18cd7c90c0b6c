//! What is fuzzed: one function per reader of foreign bytes, used by `tests/fuzz.rs` and by `cargo fuzz`.
//!
//! A target hands the bytes to the reader and walks everything the reader made of them. Any answer is right, but it must come:
//! no panic, no hang, no memory beyond what the bytes justify.

use pgmayday::base::Secret;
use pgmayday::cluster::control::{ControlFile, mark_unusable_checkpoint};
use pgmayday::cluster::lock_file::LockFile;
use pgmayday::codec::{Compression, Framing, StreamSpec, decode_small};

/// A small object is never longer than this once decoded.
const LIMIT_BYTES: u64 = 4 << 20;

/// A stored stream: the cipher's container and every compression, framed as a file and as part of a bundle.
pub(crate) fn stream(bytes: &[u8]) {
    for compression in Compression::ALL {
        for cipher in [None, Some(Secret::new("fuzz"))] {
            for framing in [Framing::Full, Framing::Raw] {
                let spec = StreamSpec { framing, ..StreamSpec::full(compression, cipher.clone()) };
                if let Ok(content) = decode_small(bytes, &spec, LIMIT_BYTES) {
                    assert!(content.len() as u64 <= LIMIT_BYTES);
                }
            }
        }
    }
}

/// `pg_control`.
pub(crate) fn control(bytes: &[u8]) {
    if let Ok(control) = ControlFile::parse(bytes) {
        assert!(!format!("{control:?}").is_empty());
        let mut marked = bytes.to_vec();
        if mark_unusable_checkpoint(&mut marked).is_ok() {
            let again = ControlFile::parse(&marked);
            assert!(again.is_ok_and(|control| control.checkpoint_is_marked_unusable()));
        }
    }
}

/// `postmaster.pid`.
pub(crate) fn lock_file(bytes: &[u8]) {
    drop(LockFile::parse(&String::from_utf8_lossy(bytes)));
}
