//! A page was wrong in the copy: is it wrong in the cluster, too?
//!
//! A running server writes pages while they are copied, so a copy may hold one half of each. Such a page is right when
//! it is looked at again a little later, and replay repairs the copy: the first change of a page after the start of a
//! backup puts the whole page into WAL. A page that stays wrong is damaged, unless its header says that it was changed
//! since the start; then WAL holds it whole as well. A position that WAL has not reached yet is no position, but
//! damage.
//!
//! Reads only the pages it is asked about and changes nothing.

use super::super::error::BackupError;
use super::{Suspect, is_right, is_zero, page_lsn};
use crate::base::Lsn;
use crate::model::op::Cancel;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// When pages are looked at again: at once, then after pauses that outlast a busy server's write.
pub const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];

/// How long a pause is before it is looked whether to stop.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// By what pages are judged.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// A header is looked at as such: not where pages are encrypted.
    pub header_check: bool,
    /// Where the backup started in WAL; nothing if the server does not run, so that nobody writes.
    pub start_lsn: Option<Lsn>,
    /// The pause before each look, for example [`PAUSES`].
    pub pauses: &'a [Duration],
    /// Looked at during the pauses.
    pub cancel: &'a Cancel,
}

/// What became of the suspects; those in neither list are fine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Pages that are wrong in the cluster, in order.
    pub bad: Vec<u32>,
    /// Pages that are right in the cluster and were not changed since the start, so that nothing repairs the copy,
    /// which is wrong: the file is to be copied again. Few changes leave no position behind (clearing a visibility
    /// bit, copying a database), so this alone says nothing against disk or memory.
    pub recopy: Vec<u32>,
}

impl Judge<'_> {
    /// Judges the suspects of one file.
    ///
    /// `read_page` gives a block as it is now, fewer bytes if the file ends in it, nothing if the file ends before it
    /// or is gone (see [`read_page`]). `insert_lsn_now` asks the server how far WAL is written; it is asked at most
    /// once, after the last look. Where it does not answer, a position proves nothing.
    pub fn judge(
        &self,
        suspects: &[Suspect],
        read_page: &mut dyn FnMut(u32) -> Result<Option<Vec<u8>>, BackupError>,
        insert_lsn_now: &mut dyn FnMut() -> Option<Lsn>,
    ) -> Result<Verdict, BackupError> {
        let mut verdict = Verdict::default();
        let mut left = suspects.to_vec();
        for pause in self.pauses {
            if left.is_empty() {
                break;
            }
            self.rest(*pause)?;
            let mut still = Vec::new();
            for mut suspect in left {
                let Some(page) = read_page(suspect.block)? else { continue };
                suspect.lsn = page_lsn(&page).unwrap_or_default();
                if !is_right(&page, suspect.block, self.header_check) {
                    still.push(suspect);
                } else if !self.explained(suspect.lsn, &page) {
                    verdict.recopy.push(suspect.block);
                }
            }
            left = still;
        }
        let started = |lsn: Lsn| self.start_lsn.is_some_and(|start| start <= lsn);
        let reached = if left.iter().any(|s| started(s.lsn)) { insert_lsn_now() } else { None };
        let in_wal = |lsn| started(lsn) && reached.is_some_and(|reached| lsn <= reached);
        verdict.bad.extend(left.iter().filter(|suspect| !in_wal(suspect.lsn)).map(|suspect| suspect.block));
        verdict.recopy.sort_unstable();
        Ok(verdict)
    }

    /// True if WAL since the start explains why a page that is right now was wrong in the copy.
    fn explained(&self, lsn: Lsn, page: &[u8]) -> bool {
        // A page that is all zero was cut off and added again; both are in WAL.
        self.start_lsn.is_some_and(|start| start <= lsn || is_zero(page))
    }

    fn rest(&self, pause: Duration) -> Result<(), BackupError> {
        let mut left = pause;
        loop {
            if self.cancel.requested() {
                return Err(BackupError::Cancelled);
            }
            if left.is_zero() {
                return Ok(());
            }
            let part = left.min(LONGEST_SLEEP);
            sleep(part);
            left -= part;
        }
    }
}

/// Page `index` of a file as it is now, counted from the start of the file; fewer bytes if the file ends in it,
/// nothing if it ends before it or is gone.
///
/// The file is opened anew each time: one that was dropped must not be taken for one that still exists.
pub fn read_page(path: &Path, page_bytes: u32, index: u32) -> Result<Option<Vec<u8>>, BackupError> {
    let fail = BackupError::io("read", path);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(BackupError::io("open", path))?,
    };
    let start = u64::from(index) * u64::from(page_bytes);
    let mut page = vec![0; page_bytes as usize];
    let mut filled = 0;
    while filled < page.len() {
        match file.read_at(&mut page[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fail(error)),
        }
    }
    page.truncate(filled);
    Ok((filled > 0).then_some(page))
}
