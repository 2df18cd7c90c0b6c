//! Room: what each filesystem must take, what it has, and whether that suffices.

use super::layout::Layout;
use crate::base::{Bytes, Report, Result};
use crate::repo::Manifest;
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Kept free beside what the restore needs, so that the server can start: bytes.
const MARGIN_BYTES: u64 = 64 << 20;

/// Files take whole blocks of this size.
const BLOCK_BYTES: u64 = 4096;

/// One filesystem the restore writes to.
#[derive(Debug, Clone, Serialize)]
pub struct Filesystem {
    /// The first place of the plan that lies on it.
    pub path: PathBuf,
    /// What the restore and the replay will add at most.
    pub needed_bytes: u64,
    /// What is free for this user, plus what the restore will free or reuse.
    pub available_bytes: u64,
    #[serde(skip)]
    device: u64,
}

impl Filesystem {
    /// True if everything fits with the margin.
    pub fn suffices(&self) -> bool {
        self.available_bytes >= self.needed_bytes.saturating_add(MARGIN_BYTES)
    }
}

/// Sums the plan up per filesystem. `wal_bytes` is what replay will lay into `pg_wal`; `standing_bytes` stands in each
/// root already and is reused, overwritten or removed.
pub(super) fn filesystems(
    manifest: &Manifest,
    layout: &Layout,
    wal_bytes: u64,
    standing_bytes: &BTreeMap<PathBuf, u64>,
    blank: &dyn Fn(usize) -> bool,
) -> Result<Vec<Filesystem>> {
    let mut per_root: BTreeMap<PathBuf, u64> = layout.roots().iter().map(|r| (r.path.clone(), 0)).collect();
    for number in 0..manifest.files.len() {
        if blank(number) {
            continue;
        }
        let file = manifest.files.get(number);
        let Some(root) = layout.root_of(file.name) else { continue };
        let rounded = file.size_bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES);
        if let Some(sum) = per_root.get_mut(&root.path) {
            *sum = sum.saturating_add(rounded);
        }
    }
    let wal_folder = if manifest.db.version.at_least(10) { "pg_data/pg_wal" } else { "pg_data/pg_xlog" };
    let replays_into = layout.root_of(wal_folder);
    let mut out: Vec<Filesystem> = Vec::new();
    for root in layout.roots() {
        let mut needed = per_root.get(&root.path).copied().unwrap_or(0);
        let credit = standing_bytes.get(&root.path).copied().unwrap_or(0);
        if replays_into.is_some_and(|wal| wal.path == root.path) {
            needed = needed.saturating_add(wal_bytes);
        }
        let (device, free) = look(&root.path)?;
        if let Some(known) = out.iter_mut().find(|f| f.device == device) {
            known.needed_bytes = known.needed_bytes.saturating_add(needed);
            known.available_bytes = known.available_bytes.saturating_add(credit);
        } else {
            let available_bytes = free.saturating_add(credit);
            out.push(Filesystem { path: root.path.clone(), needed_bytes: needed, available_bytes, device });
        }
    }
    Ok(out)
}

/// Fails for the first filesystem without enough room.
pub(super) fn check(filesystems: &[Filesystem]) -> Result<()> {
    filesystems.iter().find(|f| !f.suffices()).map_or(Ok(()), |f| {
        Err(Report::refused(
            "space",
            format!(
                "not enough room on the filesystem of {}: {} needed (and {} margin), {} available",
                f.path.display(),
                Bytes(f.needed_bytes),
                Bytes(MARGIN_BYTES),
                Bytes(f.available_bytes)
            ),
        )
        .hint("restore to another filesystem with --pg1-path or --tablespace-map, or make room"))
    })
}

/// Device and free bytes of the filesystem a path is on, or will be on once it is made.
fn look(path: &Path) -> Result<(u64, u64)> {
    let existing = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let fail = |error: std::io::Error| {
        Report::failed(format!("cannot look at the filesystem of {}: {error}", existing.display()))
    };
    let device = std::fs::metadata(existing).map_err(fail)?.dev();
    let stat = rustix::fs::statvfs(existing).map_err(|error| fail(error.into()))?;
    // Root may use the reserved blocks, but the server runs as somebody else.
    Ok((device, stat.f_bavail.saturating_mul(stat.f_frsize)))
}
