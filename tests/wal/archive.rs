//! A folder of plain segments and history files as a source.

use pgmayday::base::{self, Timeline, WalSegment, WalSegmentSize};
use pgmayday::codec::{Compression, StreamSpec, decode_small};
use pgmayday::wal::SegmentSource;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

/// Plain files by their names.
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) size: WalSegmentSize,
    histories: BTreeMap<Timeline, Vec<u8>>,
}

impl Folder {
    pub(crate) fn new(path: PathBuf, size: WalSegmentSize) -> Self {
        Self { path, size, histories: BTreeMap::new() }
    }

    /// The same folder with another text for one history file.
    pub(crate) fn with_history(&self, timeline: Timeline, text: Vec<u8>) -> Self {
        let mut other = self.clone();
        other.histories.insert(timeline, text);
        other
    }
}

impl SegmentSource for Folder {
    fn open(&self, segment: WalSegment) -> base::Result<Option<Box<dyn Read + Send>>> {
        let file = File::open(self.path.join(segment.to_string()));
        Ok(file.ok().map(|file| -> Box<dyn Read + Send> { Box::new(file) }))
    }

    fn history(&self, timeline: Timeline) -> base::Result<Option<Vec<u8>>> {
        let replaced = self.histories.get(&timeline).cloned();
        Ok(replaced.or_else(|| fs::read(self.path.join(timeline.history_file())).ok()))
    }

    fn oldest_segment(&self, timeline: Timeline) -> base::Result<Option<WalSegment>> {
        let names = fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().file_name());
        let segments = names.filter_map(|name| name.to_str()?.parse::<WalSegment>().ok());
        Ok(segments.filter(|segment| segment.timeline == timeline).min())
    }
}

/// Unpacks a zstd page image.
pub(crate) fn zstd(stored: &[u8], most: usize) -> Option<Vec<u8>> {
    decode_small(stored, &StreamSpec::full(Compression::Zst, None), most as u64).ok()
}
