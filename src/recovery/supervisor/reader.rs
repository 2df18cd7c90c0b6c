//! Reading `events.jsonl` while somebody writes it: every complete line once, a torn end not at all.
//!
//! A file that was cut below what was read is read again from its beginning. Never writes.

use super::folder::failed;
use crate::base::{Report, Result};
use crate::model::op::{OpState, Record, RecordKind};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

/// A file larger than this is none of ours.
const MOST_BYTES: u64 = 256 << 20;

/// The records read so far.
#[derive(Debug, Default)]
pub(in crate::recovery) struct Reader {
    /// What they say.
    pub(in crate::recovery) state: OpState,
    /// Number of the record with the question that waits for an answer.
    pub(in crate::recovery) asked: Option<u64>,
    /// Where the last complete line ends.
    pub(in crate::recovery) offset: u64,
    /// That line, to notice that the file is another one now.
    last: Vec<u8>,
    lines: u64,
    seen: Option<(u64, i64, i64)>,
}

impl Reader {
    /// Takes in what is new; true if the file changed since the last time.
    pub(in crate::recovery) fn read(&mut self, path: &Path) -> Result<bool> {
        let fail = |error: io::Error| failed("read", path, &error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let changed = self.seen.is_some();
                *self = Self::default();
                return Ok(changed);
            }
            Err(error) => return Err(fail(error)),
        };
        let meta = file.metadata().map_err(fail)?;
        let seen = Some((meta.len(), meta.mtime(), meta.mtime_nsec()));
        if self.seen == seen {
            return Ok(false);
        }
        if meta.len() > MOST_BYTES {
            return Err(Report::damaged(format!("{} has {} bytes", path.display(), meta.len())));
        }
        let from = self.offset - self.last.len() as u64;
        let new = read_from(&file, from).map_err(fail)?;
        if let Some(new) = new.strip_prefix(&self.last[..]) {
            self.take_in(new, path)?;
        } else {
            *self = Self::default();
            self.take_in(&read_from(&file, 0).map_err(fail)?, path)?;
        }
        self.seen = seen;
        Ok(true)
    }

    fn take_in(&mut self, new: &[u8], path: &Path) -> Result<()> {
        for line in new.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            let record: Record = serde_json::from_slice(line).map_err(|error| {
                Report::damaged(format!("line {} of {} is damaged: {error}", self.lines + 1, path.display()))
                    .hint("the work itself is not judged by this; look into worker.log beside it")
            })?;
            self.lines += 1;
            self.offset += line.len() as u64;
            self.last = line.to_vec();
            if record.seq > self.state.seq {
                self.asked = match record.kind {
                    RecordKind::Asked(_) => Some(record.seq),
                    RecordKind::Event(_) | RecordKind::CancelRequested => self.asked,
                    RecordKind::Started { .. } | RecordKind::Answered { .. } | RecordKind::Ended(_) => None,
                };
            }
            self.state.apply(&record);
        }
        Ok(())
    }
}

/// Everything from an offset to the end; nothing if the file ends before.
fn read_from(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let len = file.metadata()?.len().saturating_sub(offset).min(MOST_BYTES);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::model::op::{Event, Question};

    fn lines() -> Vec<(Record, Vec<u8>)> {
        let names = vec!["copy".to_owned()];
        let kinds = [
            RecordKind::Started { attempt: 1, steps: names.clone() },
            RecordKind::Event(Event::StepStarted { step: "copy".to_owned() }),
            RecordKind::Event(Event::Warning { text: "ü".to_owned() }),
            RecordKind::Asked(Question { text: "right?".to_owned(), evidence: Vec::new() }),
            RecordKind::Event(Event::Warning { text: "x".to_owned() }),
        ];
        let mut lines = Vec::new();
        for (number, kind) in kinds.into_iter().enumerate() {
            let record = Record { seq: number as u64 + 1, at: Timestamp(7), boot_ms: 1, kind };
            let mut line = serde_json::to_vec(&record).unwrap();
            line.push(b'\n');
            lines.push((record, line));
        }
        lines
    }

    #[test]
    fn a_file_cut_at_any_byte_and_written_on_is_followed() {
        let lines = lines();
        let whole: Vec<u8> = lines.iter().flat_map(|(_, line)| line.clone()).collect();
        let all = OpState::of(lines.iter().map(|(record, _)| record));
        let folder = tempfile::tempdir().unwrap();
        for cut in 0..=whole.len() {
            let path = folder.path().join(cut.to_string());
            std::fs::write(&path, &whole).unwrap();
            let mut reader = Reader::default();
            assert!(reader.read(&path).unwrap() && !reader.read(&path).unwrap());
            assert_eq!((&reader.state, reader.asked), (&all, Some(4)));
            std::fs::write(&path, &whole[..cut]).unwrap();
            reader.read(&path).unwrap();
            let complete = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
            assert_eq!(
                reader.state,
                OpState::of(lines[..complete].iter().map(|(record, _)| record)),
                "{cut}"
            );
            // The next worker cuts the torn end and goes on with other records, perhaps beyond the old length.
            let kept: usize = lines[..complete].iter().map(|(_, line)| line.len()).sum();
            assert_eq!(reader.offset, kept as u64);
            let mut now = whole[..kept].to_vec();
            let next = Record {
                seq: complete as u64 + 1,
                at: Timestamp(8),
                boot_ms: 2,
                kind: RecordKind::Event(Event::Warning { text: "y".repeat(whole.len()) }),
            };
            now.extend(serde_json::to_vec(&next).unwrap());
            now.push(b'\n');
            std::fs::write(&path, &now).unwrap();
            reader.read(&path).unwrap();
            let mut wanted = OpState::of(lines[..complete].iter().map(|(record, _)| record));
            wanted.apply(&next);
            assert_eq!(reader.state, wanted, "{cut}");
        }
    }

    #[test]
    fn a_cut_that_was_not_seen_is_noticed_by_the_last_line() {
        let lines = lines();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let first: Vec<u8> = lines[..2].iter().flat_map(|(_, line)| line.clone()).collect();
        std::fs::write(&path, &first).unwrap();
        let mut reader = Reader::default();
        reader.read(&path).unwrap();
        let other = Record { seq: 2, at: Timestamp(9), boot_ms: 3, kind: RecordKind::CancelRequested };
        let mut now = lines[0].1.clone();
        now.extend(serde_json::to_vec(&other).unwrap());
        now.push(b'\n');
        now.extend(&lines[2].1);
        std::fs::write(&path, &now).unwrap();
        reader.read(&path).unwrap();
        assert!(reader.state.cancel_requested && reader.state.seq == 3, "{:?}", reader.state);
    }

    #[test]
    fn a_damaged_line_is_told_with_its_number_and_a_torn_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let good = &lines()[0].1;
        std::fs::write(&path, [good, &b"{\"seq\":2,"[..]].concat()).unwrap();
        let mut reader = Reader::default();
        assert!(reader.read(&path).unwrap());
        std::fs::write(&path, [good, &b"{\"seq\":2,\n"[..]].concat()).unwrap();
        for _ in 0..2 {
            let report = reader.read(&path).unwrap_err();
            assert!(report.headline.contains("line 2 of"), "{report}");
        }
    }
}
