//! What `backup.info` says of a backup, worked out from its manifest.
//!
//! So a new backup gets its entry, and one whose entry was lost gets it back. Annotations are those given when the backup
//! was made: what was noted later stands in `backup.info` only.

use super::{BackupEntry, empty_entry};
use crate::base::BackupLabel;
use crate::codec::Compression;
use crate::repo::Manifest;

/// The repository format of everything this program reads.
const FORMAT: u64 = 5;

/// Bytes of a backup's files: of all it needs, and of those it stores itself.
#[derive(Default)]
struct Sum {
    all: u64,
    own: u64,
}

impl Sum {
    /// Every manifest's sums were proven to fit when its table of files was made.
    fn add(&mut self, bytes: u64, own: bool) {
        self.all = self.all.saturating_add(bytes);
        if own {
            self.own = self.own.saturating_add(bytes);
        }
    }
}

impl BackupEntry {
    /// The entry of the backup that this manifest describes.
    pub fn of(manifest: &Manifest) -> Self {
        let (mut size, mut stored, mut maps) = (Sum::default(), Sum::default(), Sum::default());
        let mut page_error = false;
        for file in manifest.files.iter() {
            let stored_bytes = if file.repo_size_bytes > 0 { file.repo_size_bytes } else { file.size_bytes };
            size.add(file.size_bytes, file.stored_here);
            stored.add(stored_bytes, file.stored_here);
            maps.add(file.block.map_or(0, |block| block.map_bytes), file.stored_here);
            page_error |= file.page_ok == Some(false);
        }
        Self {
            kind: manifest.kind,
            db_id: manifest.db.id,
            archive_start: manifest.archive_start,
            archive_stop: manifest.archive_stop,
            lsn_start: manifest.lsn_start,
            lsn_stop: manifest.lsn_stop,
            start: manifest.start,
            stop: manifest.stop,
            prior: manifest.prior.clone(),
            references: references(manifest),
            size_bytes: size.all,
            delta_bytes: size.own,
            repo_size_bytes: stored.all,
            repo_delta_bytes: stored.own,
            map_bytes: manifest.block_incr.then_some(maps.all),
            map_delta_bytes: manifest.block_incr.then_some(maps.own),
            page_error: Some(page_error),
            annotations: manifest.annotations.clone(),
            format: FORMAT,
            backrest_version: manifest.backrest_version.clone(),
            online: manifest.online,
            standby: manifest.standby,
            archive_check: manifest.archive_check,
            archive_copy: manifest.archive_copy,
            compressed: manifest.compression != Compression::None,
            hardlink: manifest.hardlink,
            checksum_page: manifest.checksum_page,
            ..empty_entry(manifest.label.clone())
        }
    }
}

/// The other backups it needs, sorted.
fn references(manifest: &Manifest) -> Vec<BackupLabel> {
    let mut labels: Vec<_> =
        manifest.references.iter().filter(|label| **label != manifest.label).cloned().collect();
    labels.sort_unstable();
    labels
}
