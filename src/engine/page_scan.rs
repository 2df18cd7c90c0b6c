//! Reading every page of a cluster where it is, to find those that are wrong.
//!
//! The files are those a backup would check; a page that is wrong is looked at again, because a running server may have
//! been writing it. Reads once, in one thread, without filling the page cache's place in anybody's plans; changes
//! nothing. Cancelled between two buffers.

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
    let mut facts = PageFacts { total_bytes, ..PageFacts::default() };
    let mut buffer = vec![0; BUFFER_BYTES];
    for file in files {
        let path = real_path(data_dir, &file.name);
        let name = file.name.strip_prefix(DATA).unwrap_or(&file.name);
        let mut checker =
            PageChecker::new(control.page_bytes, first_block(name, control.page_bytes, SEGMENT_BYTES), true)?;
        let mut reader = match File::open(&path) {
            Ok(file) => file,
            // Dropped since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                facts.unreadable.push(format!("{name} ({error})"));
                continue;
            }
        };
        loop {
            if cancel.requested() {
                return Ok(facts);
            }
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => {
                    checker.update(buffer.get(..got).unwrap_or_default());
                    facts.done_bytes = facts.done_bytes.saturating_add(got as u64);
                    progress(&facts);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    facts.unreadable.push(format!("{name} ({error})"));
                    break;
                }
            }
        }
        let scanned = checker.finish();
        facts.pages += scanned.pages;
        if scanned.suspects.is_empty() {
            continue;
        }
        let judge = Judge { header_check: true, start_lsn, pauses: &PAUSES, cancel };
        let first = first_block(name, control.page_bytes, SEGMENT_BYTES);
        let mut again = |block: u32| read_page(&path, control.page_bytes, block.wrapping_sub(first));
        let verdict = match judge.judge(&scanned.suspects, &mut again, position) {
            Ok(verdict) => verdict,
            Err(_) if cancel.requested() => return Ok(facts),
            Err(error) => return Err(error.into()),
        };
        if !verdict.bad.is_empty() {
            let damage = PageDamage {
                file: name.to_owned(),
                blocks: ranges(&verdict.bad),
                relation: None,
                index: None,
            };
            facts.damaged.push(damage);
            progress(&facts);
        }
    }
    facts.whole = true;
    Ok(facts)
}

/// The catalog version in `pg_control`, which names the folders in tablespaces.
fn catalog_number(data_dir: &Path) -> Result<u32> {
    let path = data_dir.join(CONTROL_FILE);
    let bytes = std::fs::read(&path)
        .map_err(|error| Report::failed(format!("cannot read {}: {error}", path.display())))?;
    let number = bytes.get(12..16).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    number.ok_or_else(|| Report::damaged(format!("{} is cut off", path.display())))
}
