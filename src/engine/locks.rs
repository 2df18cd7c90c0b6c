//! Who works on a stanza now, as the lock files of pgBackRest tell, and taking part in it.
//!
//! A lock counts only while its file is flocked; a left-over file means nothing. Looking takes a shared lock for an
//! instant and never waits. Up to 2.52 there is one file per stanza, later one per repository; both are looked at, and
//! who [takes](LockFolder::take) a lock takes both, so that every pgBackRest on this host respects it. A lock file is
//! never removed: who waits for it would hold a lock on nothing.

mod end;
mod stopped;
mod take;

use crate::base::files::open_plain;
use rustix::fs::OFlags;
use serde::Deserialize;
use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use end::{Ended, Fate};
pub use stopped::StopFile;
pub use take::{Held, LockError};

/// Lock files are about a hundred bytes.
const LOCK_FILE_LIMIT_BYTES: u64 = 4096;

/// The folder of lock files, `lock-path`.
#[derive(Debug, Clone)]
pub struct LockFolder(pub PathBuf);

/// One kind of work on a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lock {
    /// It is going on.
    pub held: bool,
    /// Bytes done and bytes in all, if it tells.
    pub bytes: Option<(u64, u64)>,
    /// Hundredths of a percent, if it tells only that.
    pub percent_hundredths: Option<u32>,
    /// The process that holds it, if it tells.
    pub pid: Option<u32>,
}

/// Which work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Pushing or fetching WAL ahead.
    Archive,
    /// Backup, expire or annotate.
    Backup,
    /// Restore.
    Restore,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    pid: Option<u32>,
    pct_cplt: Option<u32>,
    sz: Option<u64>,
    sz_cplt: Option<u64>,
}

impl LockFolder {
    /// Looks at the lock of one repository.
    pub fn of_repo(&self, stanza: &str, work: Work, repo_key: u32) -> Lock {
        self.look(stanza, &format!("{}-{repo_key}", work.name()))
    }

    /// Looks at the lock that covers every repository (pgBackRest up to 2.52).
    pub fn of_stanza(&self, stanza: &str, work: Work) -> Lock {
        self.look(stanza, work.name())
    }

    fn look(&self, stanza: &str, kind: &str) -> Lock {
        if stanza.contains('/') {
            return Lock::default();
        }
        look(&self.0.join(format!("{stanza}-{kind}.lock")))
    }
}

fn look(path: &Path) -> Lock {
    let Ok(file) = open_plain(path, OFlags::RDONLY) else { return Lock::default() };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => read(file),
        // Dropping the file lets the lock go again.
        Ok(()) | Err(TryLockError::Error(_)) => Lock::default(),
    }
}

/// What the holder tells; a holder that tells nothing readable is still one.
fn read(file: File) -> Lock {
    let mut text = Vec::new();
    let content = file.take(LOCK_FILE_LIMIT_BYTES).read_to_end(&mut text).ok();
    let content =
        content.and_then(|_| serde_json::Deserializer::from_slice(&text).into_iter::<Content>().next()?.ok());
    let Some(content) = content else { return Lock { held: true, ..Lock::default() } };
    let bytes = content.sz.filter(|sz| *sz > 0).map(|sz| (content.sz_cplt.unwrap_or(0).min(sz), sz));
    let percent_hundredths = content.pct_cplt.filter(|pct| *pct <= 10_000);
    Lock { held: true, bytes, percent_hundredths, pid: content.pid }
}

/// The share of `done` in `total` in hundredths of a percent, rounded; 100 only if all is done.
pub fn percent_hundredths(done: u64, total: u64) -> u32 {
    if done >= total {
        return 10_000;
    }
    let thousandths = u128::from(done) * 100_000 / u128::from(total);
    u32::try_from((thousandths + 5) / 10).unwrap_or(10_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_a_flocked_file_is_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LockFolder(dir.path().to_owned());
        let path = dir.path().join("main-backup-1.lock");
        assert_eq!(folder.of_repo("main", Work::Backup, 1), Lock::default());
        fs::write(&path, r#"{"execId":"1-aaaaaaaa","pctCplt":9730,"pid":1,"sz":1000,"szCplt":973}"#).unwrap();
        assert!(!folder.of_repo("main", Work::Backup, 1).held);
        let holder = File::open(&path).unwrap();
        holder.try_lock().unwrap();
        let lock = folder.of_repo("main", Work::Backup, 1);
        assert_eq!(
            lock,
            Lock { held: true, bytes: Some((973, 1000)), percent_hundredths: Some(9730), pid: Some(1) }
        );
        assert!(
            !folder.of_repo("main", Work::Restore, 1).held && !folder.of_stanza("main", Work::Backup).held
        );
        fs::write(&path, "garbage").unwrap();
        assert_eq!(folder.of_repo("main", Work::Backup, 1), Lock { held: true, ..Lock::default() });
        drop(holder);
        assert!(!folder.of_repo("main", Work::Backup, 1).held);
        assert!(!folder.of_repo("../main", Work::Backup, 1).held);
    }

    #[test]
    fn percentages_round_but_never_up_to_all() {
        assert_eq!(percent_hundredths(0, 7), 0);
        assert_eq!(percent_hundredths(1, 3), 3333);
        assert_eq!(percent_hundredths(2, 3), 6667);
        assert_eq!(percent_hundredths(7, 7), 10_000);
        assert_eq!(percent_hundredths(u64::MAX - 1, u64::MAX), 10_000);
    }
}
