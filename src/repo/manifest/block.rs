//! Finding and reading the block map of a file that is stored in blocks.

use super::{FileEntry, Manifest};
use crate::codec::{Compression, Framing, StreamSpec, decode_small};
use crate::repo::blockmap::{self, BlockMap};
use crate::repo::error::{Fault, Place, RepoError};
use crate::store::{Range, Storage, StoreError};
use std::io::Read as _;

/// A map has one checksum and a few numbers per block, and little besides.
const MAP_BYTES_PER_BLOCK: u64 = 64;
const MAP_BYTES_BESIDES: u64 = 1024;

impl Manifest {
    /// Reads the map of `file`, which must be stored in blocks; its references count in this manifest's list.
    pub fn block_map(&self, storage: &dyn Storage, file: &FileEntry<'_>) -> Result<BlockMap, RepoError> {
        let (path, range, _) = self.stored(file)?;
        let place = || Place { store: storage.describe(), path: path.clone() };
        let lie = |why: &str| Fault::hostile(format!("{}: {why}", file.name.escape_debug())).at(&place(), 0);
        let info = file.block.ok_or_else(|| lie("is not stored in blocks"))?;
        let start = if let Range::Part { offset, .. } = range { offset } else { 0 };
        let offset = file
            .repo_size_bytes
            .checked_sub(info.map_bytes)
            .ok_or_else(|| lie("its stored form is shorter than its block map"))?;
        let blocks = file.size_bytes.div_ceil(u64::from(info.block_bytes).max(1));
        if info.map_bytes > blocks.saturating_mul(MAP_BYTES_PER_BLOCK).saturating_add(MAP_BYTES_BESIDES) {
            return Err(lie("claims a block map larger than any file of its size can have"));
        }
        let part = Range::Part { offset: start + offset, length: info.map_bytes };
        let mut stored = Vec::new();
        storage
            .open(&path, part)?
            .read_to_end(&mut stored)
            .map_err(|error| StoreError::from_io("read", storage.describe(), &path, &error))?;
        let cipher = self.cipher_pass.clone();
        let spec = StreamSpec { compression: Compression::None, cipher, framing: Framing::Raw };
        let plain = decode_small(&stored, &spec, info.map_bytes)
            .map_err(|source| RepoError::Stream { place: place(), source })?;
        blockmap::decode(&plain, file.size_bytes, info.block_bytes, info.checksum_bytes)
    }
}
