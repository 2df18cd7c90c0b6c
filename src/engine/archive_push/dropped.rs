//! What was acknowledged, but is in no archive: dropped by `archive-push-queue-max`, or skipped by hand. On record, so
//! that it is never silent.
//!
//! One line per file, added before the file is acknowledged: `<microseconds since 1970> TAB <file> TAB <why>`. The archive
//! has a gap there, and only a new backup makes recovery beyond it possible. The record is never shortened here.

use super::Job;
use super::ready::Queue;
use crate::base::Timestamp;
use crate::base::files::sync_folder_of;
use crate::engine::archive_get::Wanted;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The most of a record that is read.
const MOST_BYTES: u64 = 64 << 20;

/// A file that was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// When.
    pub at: Timestamp,
    /// The file.
    pub file: Wanted,
    /// Why it was.
    pub why: String,
}

impl Dropped {
    fn to_line(&self) -> String {
        format!("{}\t{}\t{}\n", self.at.0, self.file, self.why.replace(['\t', '\n'], " "))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(3, '\t');
        let at = Timestamp(fields.next()?.parse().ok()?);
        Some(Self { at, file: Wanted::parse(fields.next()?)?, why: fields.next()?.to_owned() })
    }
}

/// Everything on record, oldest first; a record that is not there is empty.
pub fn read(record: &Path) -> io::Result<Vec<Dropped>> {
    let file = match std::fs::File::open(record) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(Dropped::parse).collect())
}

/// Puts files on record that are dropped because the queue is too long; gives the warning for the server's log.
pub(super) fn drop_for(job: &Job, files: &[Wanted], queue: &Queue) -> String {
    put_on_record(job, files, &format!("dropped because {}", queue.words()))
}

/// Puts files on record that are acknowledged without being archived. The warning also says if there is no record.
pub(super) fn put_on_record(job: &Job, files: &[Wanted], why: &str) -> String {
    let at = Timestamp::now();
    let line = |file: &Wanted| Dropped { at, file: *file, why: why.to_owned() }.to_line();
    let lines: String = files.iter().map(line).collect();
    let names = files.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let warning = format!(
        "{names} NOT archived: {why}; the archive of stanza '{}' has a gap from here on, recovery beyond it needs a \
         new backup",
        job.stanza
    );
    match job.drop_log.as_ref().map(|record| (record, append(record, &lines))) {
        Some((_, Ok(()))) => warning,
        Some((record, Err(error))) => {
            format!("{warning}; this could not be put on record in {}: {error}", record.display())
        }
        None => format!("{warning}; there is no place to put this on record"),
    }
}

fn append(record: &Path, lines: &str) -> io::Result<()> {
    if let Some(folder) = record.parent() {
        crate::base::state::make_folder(folder)?;
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o640).open(record)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    sync_folder_of(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_on_record_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let record = dir.path().join("state/archive-push/main.dropped");
        assert!(read(&record).unwrap().is_empty());
        let dropped = |name: &str, why: &str| Dropped {
            at: Timestamp(1_795_242_701_467_172),
            file: Wanted::parse(name).unwrap(),
            why: why.to_owned(),
        };
        let one = dropped("000000010000000000000002", "5 files wait");
        let two = dropped("00000002.history", "6 files wait");
        append(&record, &one.to_line()).unwrap();
        append(&record, "damaged\n").unwrap();
        append(&record, &two.to_line()).unwrap();
        assert_eq!(read(&record).unwrap(), [one, two]);
    }
}
