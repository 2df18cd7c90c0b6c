//! The floor under any restore: decrypt, decompress and hash everything, write nothing.

use crate::Setup;
use crate::machine::Outcome;
use pgmayday::base::Secret;
use pgmayday::codec::{Decoder, StreamSpec};
use pgmayday::repo::{FileEntry, Manifest, Repository};
use pgmayday::store::Storage;
use pgmayday::store::posix::Posix;
use std::fmt::Display;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Decodes the newest backup with as many threads as the tools have, largest file first.
pub(crate) fn measure(setup: &Setup, passphrase: &str) -> Outcome<Duration> {
    let storage: Arc<dyn Storage> = Arc::new(Posix::new(setup.machine.path("repo"), "repo1"));
    let repository = Repository::new(Arc::clone(&storage), 1, Some(Secret::new(passphrase)));
    let stanza = repository.stanza("bench");
    let began = Instant::now();
    let catalog = stanza.backup_info().map_err(text)?.value;
    let label = catalog.backups.keys().next_back().ok_or("no backup")?.clone();
    let manifest = stanza.manifest(&catalog, &label).map_err(text)?.value;
    let mut order: Vec<usize> = (0..manifest.files.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(manifest.files.get(*index).size_bytes));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let worker = || {
            let mut buffer = vec![0; 1 << 20];
            while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                decode(&*storage, &manifest, &manifest.files.get(*index), &mut buffer)?;
            }
            Ok::<(), String>(())
        };
        let workers: Vec<_> = (0..setup.processes).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    Ok(began.elapsed())
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn decode(
    storage: &dyn Storage,
    manifest: &Manifest,
    file: &FileEntry<'_>,
    buffer: &mut [u8],
) -> Outcome<()> {
    if !file.is_stored() {
        return Ok(());
    }
    let (path, range, framing) = manifest.stored(file).map_err(text)?;
    let spec = StreamSpec { framing, ..StreamSpec::full(manifest.compression, manifest.cipher_pass.clone()) };
    let stored = storage.open(&path, range).map_err(text)?;
    let mut decoder = Decoder::new(stored, &spec).map_err(text)?;
    while decoder.read(buffer).map_err(text)? > 0 {}
    let seal = decoder.finish().map_err(text)?;
    if Some(seal.sha1) == file.checksum {
        Ok(())
    } else {
        Err(format!("{} is not what the manifest says", file.name))
    }
}
