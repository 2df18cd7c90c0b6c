//! Opening info files: decryption, and the choice between a file and its `.copy`.
//!
//! The main file is tried first; on any reason it cannot be used the copy is, with a warning that names the reason.
//! Never mixes the two.

use super::Loaded;
use super::error::{Place, RepoError};
use super::ini::InfoFile;
use crate::base::Secret;
use crate::codec::{CodecError, Compression, Decoder, StreamSpec};
use crate::store::{Range, Storage, StorePath};
use std::io::BufReader;
use std::sync::Arc;

/// An info file as its interpreters get it.
pub(super) type Source = InfoFile<BufReader<Decoder<'static>>>;

/// Opens an uncompressed file, decrypting it if there is a passphrase.
pub(super) fn open(
    storage: &Arc<dyn Storage>,
    path: &StorePath,
    cipher: Option<&Secret>,
) -> Result<Source, RepoError> {
    open_compressed(storage, path, Compression::None, cipher)
}

/// Opens a file that was compressed before it was encrypted.
pub(super) fn open_compressed(
    storage: &Arc<dyn Storage>,
    path: &StorePath,
    compression: Compression,
    cipher: Option<&Secret>,
) -> Result<Source, RepoError> {
    let place = Place { store: storage.describe(), path: path.clone() };
    let stored = storage.open(path, Range::Whole)?;
    let spec = StreamSpec::full(compression, cipher.cloned());
    let decoder = Decoder::new(stored, &spec).map_err(|source| match source {
        CodecError::NotEncrypted(_) => RepoError::NotEncrypted(place.clone()),
        source => RepoError::Stream { place: place.clone(), source },
    })?;
    Ok(InfoFile { source: BufReader::with_capacity(64 * 1024, decoder), place, encrypted: cipher.is_some() })
}

/// Reads `path` with `read`, or else its `.copy`.
pub(super) fn main_or_copy<T>(
    storage: &Arc<dyn Storage>,
    path: &StorePath,
    cipher: Option<&Secret>,
    read: &dyn Fn(&mut Source) -> Result<T, RepoError>,
) -> Result<Loaded<T>, RepoError> {
    let main = match open(storage, path, cipher).and_then(|mut file| read(&mut file)) {
        Ok(value) => return Ok(Loaded { value, warnings: Vec::new() }),
        Err(error) => error,
    };
    let copy = path.with_suffix(".copy");
    match open(storage, &copy, cipher).and_then(|mut file| read(&mut file)) {
        Ok(value) => {
            let warning = format!("{main}; used {} instead", copy.file_name());
            Ok(Loaded { value, warnings: vec![warning] })
        }
        Err(error) => Err(RepoError::Both { main: Box::new(main), copy: Box::new(error) }),
    }
}
