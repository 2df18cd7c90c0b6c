//! Reading every page of a cluster where it is, to find those that are wrong.
//!
//! The files are those a backup would check; a page that is wrong is looked at again, because a running server may have
//! been writing it. Reads once, in one thread; changes nothing. Cancelled between two buffers.

use super::backup::pages::judge::{Judge, PAUSES, read_page};
use super::backup::pages::{PageChecker, SEGMENT_BYTES, first_block, ranges};
use super::backup::scan::{ScanRequest, real_path, scan};
use crate::base::{Lsn, Report, Result};
use crate::cluster::control::{CONTROL_FILE, ControlFile};
use crate::model::op::Cancel;
use crate::model::situation::{PageDamage, PageFacts};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

const BUFFER_BYTES: usize = 1 << 20;
/// The prefix of names in a manifest.
const DATA: &str = "pg_data/";

/// What the pages of a cluster are read by.
pub struct PageScan<'a> {
    /// The data directory.
    pub data_dir: &'a Path,
    /// The running server's present position in its log; nothing if it does not run. Asked once at the start, and once
    /// for each file with a page that may have changed meanwhile.
    pub position: &'a mut dyn FnMut() -> Option<Lsn>,
    /// Stops it.
    pub cancel: &'a Cancel,
}

impl std::fmt::Debug for PageScan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageScan").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

/// Reads all pages; `progress` is told how far it is after each buffer. Ends early, and says so, when cancelled.
pub fn run(request: PageScan<'_>, progress: &mut dyn FnMut(&PageFacts)) -> Result<PageFacts> {
    let PageScan { data_dir, position, cancel } = request;
    let control = ControlFile::read(data_dir)?;
    if !control.data_checksums {
        return Err(Report::failed(
            "the pages of this cluster carry no checksums: nothing can be said of them",
        )
        .hint("pg_checksums --enable on the stopped cluster adds them"));
    }
    let catalog = catalog_number(data_dir)?;
    let start_lsn = position();
    let found = scan(
        &ScanRequest {
            data_dir,
            version: control.version,
            catalog,
            online: false,
            exclude: &[],
            tablespaces: &BTreeMap::new(),
        },
        cancel,
    )?;
    let files: Vec<_> = found.files.iter().filter(|file| file.page_checked).collect();
    let total_bytes = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.size_bytes));
    let mut reader = Reader {
        data_dir,
        page_bytes: control.page_bytes,
        start_lsn,
        position,
        progress,
        cancel,
        buffer: vec![0; BUFFER_BYTES],
        facts: PageFacts { total_bytes, ..PageFacts::default() },
    };
    for file in files {
        if !reader.file(&file.name)? {
            return Ok(reader.facts);
        }
    }
    reader.facts.whole = true;
    Ok(reader.facts)
}

/// Reading file by file.
struct Reader<'a> {
    data_dir: &'a Path,
    page_bytes: u32,
    /// Where the running server stood when it began.
    start_lsn: Option<Lsn>,
    position: &'a mut dyn FnMut() -> Option<Lsn>,
    progress: &'a mut dyn FnMut(&PageFacts),
    cancel: &'a Cancel,
    buffer: Vec<u8>,
    facts: PageFacts,
}

impl Reader<'_> {
    /// Reads one file; false if it was cancelled.
    fn file(&mut self, manifest_name: &str) -> Result<bool> {
        let path = real_path(self.data_dir, manifest_name);
        let name = manifest_name.strip_prefix(DATA).unwrap_or(manifest_name);
        let first = first_block(name, self.page_bytes, SEGMENT_BYTES);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            // Dropped since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            Err(error) => {
                self.facts.unreadable.push(format!("{name} ({error})"));
                return Ok(true);
            }
        };
        let mut checker = PageChecker::new(self.page_bytes, first, true)?;
        loop {
            if self.cancel.requested() {
                return Ok(false);
            }
            match file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(got) => {
                    checker.update(self.buffer.get(..got).unwrap_or_default());
                    self.facts.done_bytes = self.facts.done_bytes.saturating_add(got as u64);
                    (self.progress)(&self.facts);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.facts.unreadable.push(format!("{name} ({error})"));
                    break;
                }
            }
        }
        let scanned = checker.finish();
        self.facts.pages += scanned.pages;
        if scanned.suspects.is_empty() {
            return Ok(true);
        }
        let judge =
            Judge { header_check: true, start_lsn: self.start_lsn, pauses: &PAUSES, cancel: self.cancel };
        let page_bytes = self.page_bytes;
        let mut again = |block: u32| read_page(&path, page_bytes, block.wrapping_sub(first));
        let verdict = match judge.judge(&scanned.suspects, &mut again, self.position) {
            Ok(verdict) => verdict,
            Err(_) if self.cancel.requested() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if !verdict.bad.is_empty() {
            let blocks = ranges(&verdict.bad);
            self.facts.damaged.push(PageDamage {
                file: name.to_owned(),
                blocks,
                relation: None,
                index: None,
            });
            (self.progress)(&self.facts);
        }
        Ok(true)
    }
}

/// The catalog version in `pg_control`, which names the folders in tablespaces.
fn catalog_number(data_dir: &Path) -> Result<u32> {
    let path = data_dir.join(CONTROL_FILE);
    let bytes = std::fs::read(&path)
        .map_err(|error| Report::failed(format!("cannot read {}: {error}", path.display())))?;
    let number = bytes.get(12..16).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    number.ok_or_else(|| Report::damaged(format!("{} is cut off", path.display())))
}
