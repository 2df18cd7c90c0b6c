//! The WAL archive of a stanza: which segments are there, found, listed and opened.
//!
//! Segments are named by their WAL name and the SHA-1 of their content. The same segment with the same SHA-1 under
//! two extensions is one segment; with two SHA-1s it is a conflict nobody may choose from. `.partial` and `.backup`
//! files are no segments. Listing goes folder by folder, so memory is bounded by one folder whatever the archive holds.

mod keep;
mod ranges;
mod stock;

use super::error::{Place, RepoError};
use super::{ArchiveInfo, Stanza};
use crate::base::units::is_upper_hex;
use crate::base::{PgVersion, Secret, SystemId, Timeline, WalSegment};
use crate::codec::{CodecError, Compression, Decoder, Sha1Hash, StreamSpec, decode_small};
use crate::store::{EntryKind, Range, StorePath, list_sorted, read_small};
pub use keep::Incoming;
pub use ranges::{Gap, Ranges, WalRange};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
pub use stock::WalFile;

/// What is added to the name of the last, unfinished segment of a timeline.
const PARTIAL: &str = ".partial";

/// The longest history or backup history accepted: about a hundred bytes per promotion, a few hundred per backup.
const SMALL_LIMIT_BYTES: u64 = 4 << 20;

/// The folder of one cluster of the stanza's history: version and history id, for example `15-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveId {
    /// The PostgreSQL version.
    pub version: PgVersion,
    /// The history id.
    pub db_id: u32,
}

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, self.db_id)
    }
}

/// A segment as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredSegment {
    /// Which segment.
    pub segment: WalSegment,
    /// SHA-1 of its content.
    pub sha1: Sha1Hash,
    /// How it is compressed.
    pub compression: Compression,
    /// Stored bytes.
    pub stored_bytes: u64,
}

impl StoredSegment {
    /// A file of the archive, if its name is that of a segment.
    pub fn from_name(name: &str, stored_bytes: u64) -> Option<Self> {
        let (segment, rest) = name.split_at_checked(24)?;
        let (sha1, extension) = rest.strip_prefix('-')?.split_at_checked(40)?;
        Some(Self {
            segment: segment.parse().ok()?,
            sha1: sha1.parse().ok()?,
            compression: Compression::from_extension(extension)?,
            stored_bytes,
        })
    }

    /// The last, unfinished segment of a timeline, if the name is that of one.
    pub fn from_partial_name(name: &str, stored_bytes: u64) -> Option<Self> {
        let (segment, rest) = name.split_at_checked(24)?;
        Self::from_name(&format!("{segment}{}", rest.strip_prefix(PARTIAL)?), stored_bytes)
    }

    /// Its name in the archive.
    pub fn file_name(&self) -> String {
        format!("{}-{}{}", self.segment, self.sha1, self.compression.extension())
    }

    /// Its name in the archive as the last, unfinished segment of a timeline.
    pub fn partial_name(&self) -> String {
        format!("{}{PARTIAL}-{}{}", self.segment, self.sha1, self.compression.extension())
    }
}

/// What the archive has of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// The segment; a second file with the same content counts as the same.
    One(StoredSegment),
    /// Files with different content under the name of one segment.
    Conflict(Vec<StoredSegment>),
}

/// The WAL archive of one stanza in one repository.
#[derive(Debug, Clone)]
pub struct Archive {
    stanza: Stanza,
    history: BTreeMap<u32, (PgVersion, SystemId)>,
    cipher: Option<Secret>,
}

impl Archive {
    pub(super) fn new(stanza: Stanza, info: &ArchiveInfo) -> Self {
        Self { stanza, history: info.history.clone(), cipher: info.cipher_pass.clone() }
    }

    /// The folders of all clusters of the history, oldest first.
    pub fn ids(&self) -> Vec<ArchiveId> {
        self.history.iter().map(|(id, (version, _))| ArchiveId { version: *version, db_id: *id }).collect()
    }

    /// The folders of one cluster: the same version and system may have several, the newest last.
    pub fn ids_of(&self, version: PgVersion, system: SystemId) -> Vec<ArchiveId> {
        let same = |entry: &&(PgVersion, SystemId)| **entry == (version, system);
        self.history
            .iter()
            .filter(|(_, entry)| same(entry))
            .map(|(id, _)| ArchiveId { version, db_id: *id })
            .collect()
    }

    /// The stanza this archive belongs to.
    pub fn stanza(&self) -> &Stanza {
        &self.stanza
    }

    fn folder(&self, id: ArchiveId) -> Result<StorePath, RepoError> {
        Ok(self.stanza.archive_folder()?.join(&id.to_string())?)
    }

    /// Where a stored segment lies.
    pub fn path(&self, id: &ArchiveId, stored: &StoredSegment) -> Result<StorePath, RepoError> {
        Ok(self.folder(*id)?.join(&stored.segment.folder())?.join(&stored.file_name())?)
    }

    /// Looks for one segment.
    pub fn find(&self, id: &ArchiveId, segment: WalSegment) -> Result<Found, RepoError> {
        self.find_named(*id, segment, &segment.to_string(), &StoredSegment::from_name)
    }

    /// Looks for the last, unfinished segment of a timeline.
    pub fn find_partial(&self, id: &ArchiveId, segment: WalSegment) -> Result<Found, RepoError> {
        self.find_named(*id, segment, &format!("{segment}{PARTIAL}"), &StoredSegment::from_partial_name)
    }

    fn find_named(
        &self,
        id: ArchiveId,
        segment: WalSegment,
        prefix: &str,
        read: &dyn Fn(&str, u64) -> Option<StoredSegment>,
    ) -> Result<Found, RepoError> {
        let folder = self.folder(id)?.join(&segment.folder())?;
        let mut hits = Vec::new();
        self.stanza.repository().storage().list_prefix(&folder, prefix, &mut |entry| {
            if entry.meta.kind != EntryKind::Folder {
                hits.extend(read(&entry.name, entry.meta.size_bytes));
            }
            true
        })?;
        hits.sort_unstable_by_key(StoredSegment::file_name);
        Ok(found_in(hits))
    }

    /// Visits the stored segments in the order of their names, beginning with `from`; the visitor returns false to
    /// stop. A segment stored twice is shown twice, one after the other.
    pub fn segments(
        &self,
        id: &ArchiveId,
        from: Option<WalSegment>,
        visit: &mut dyn FnMut(StoredSegment) -> bool,
    ) -> Result<(), RepoError> {
        let start = from.map_or(String::new(), WalSegment::folder);
        for folder in self.segment_folders(*id)?.into_iter().filter(|folder| *folder >= start) {
            for stored in self.folder_segments(*id, &folder)? {
                let wanted = from.is_none_or(|from| stored.segment >= from);
                if wanted && !visit(stored) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The names of the folders that segments are kept in, sorted.
    fn segment_folders(&self, id: ArchiveId) -> Result<Vec<String>, RepoError> {
        let mut folders = Vec::new();
        self.stanza.repository().storage().list(&self.folder(id)?, &mut |entry| {
            if entry.meta.kind != EntryKind::File && is_upper_hex(&entry.name, 16) {
                folders.push(entry.name);
            }
            true
        })?;
        folders.sort_unstable();
        Ok(folders)
    }

    /// The segments of one folder, sorted by name; what does not belong there is no segment.
    fn folder_segments(&self, id: ArchiveId, folder: &str) -> Result<Vec<StoredSegment>, RepoError> {
        let path = self.folder(id)?.join(folder)?;
        let mut stored = Vec::new();
        self.stanza.repository().storage().list(&path, &mut |entry| {
            if entry.meta.kind != EntryKind::Folder && entry.name.starts_with(folder) {
                stored.extend(StoredSegment::from_name(&entry.name, entry.meta.size_bytes));
            }
            true
        })?;
        stored.sort_unstable_by_key(|s| (s.segment, s.sha1, s.compression.extension()));
        Ok(stored)
    }

    /// The first and the last segment by name, as pgBackRest's `info` shows them: timelines are not told apart.
    pub fn bounds(&self, id: &ArchiveId) -> Result<Option<(WalSegment, WalSegment)>, RepoError> {
        let folders = self.segment_folders(*id)?;
        let mut first = None;
        for folder in &folders {
            first = self.folder_segments(*id, folder)?.first().map(|stored| stored.segment);
            if first.is_some() {
                break;
            }
        }
        let Some(first) = first else { return Ok(None) };
        for folder in folders.iter().rev() {
            if let Some(last) = self.folder_segments(*id, folder)?.last() {
                return Ok(Some((first, last.segment)));
            }
        }
        Ok(Some((first, first)))
    }

    /// Opens a segment for reading its content.
    pub fn open(&self, id: &ArchiveId, stored: &StoredSegment) -> Result<Decoder<'static>, RepoError> {
        self.open_at(&self.path(id, stored)?, stored)
    }

    /// Opens the last, unfinished segment of a timeline for reading its content.
    pub fn open_partial(
        &self,
        id: &ArchiveId,
        stored: &StoredSegment,
    ) -> Result<Decoder<'static>, RepoError> {
        self.open_at(&self.path_of(*id, &stored.partial_name())?, stored)
    }

    fn open_at(&self, path: &StorePath, stored: &StoredSegment) -> Result<Decoder<'static>, RepoError> {
        let reader = self.stanza.repository().storage().open(path, Range::Whole)?;
        let spec = StreamSpec::full(stored.compression, self.cipher.clone());
        Decoder::new(reader, &spec).map_err(|source| self.stream_error(path, source))
    }

    /// The content of a timeline's history file; nothing if there is none.
    pub fn history(&self, id: &ArchiveId, timeline: Timeline) -> Result<Option<Vec<u8>>, RepoError> {
        self.small(id, &timeline.history_file())
    }

    /// The content of a file that is kept under its own name, a history or backup history; nothing if there is none.
    pub fn small(&self, id: &ArchiveId, name: &str) -> Result<Option<Vec<u8>>, RepoError> {
        let path = self.path_of(*id, name)?;
        let stored = match read_small(&**self.stanza.repository().storage(), &path, SMALL_LIMIT_BYTES) {
            Ok(stored) => stored,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let spec = StreamSpec::full(Compression::None, self.cipher.clone());
        decode_small(&stored, &spec, SMALL_LIMIT_BYTES)
            .map(Some)
            .map_err(|source| self.stream_error(&path, source))
    }

    /// Every timeline that has a segment folder or a history file, ascending.
    pub fn timelines(&self, id: &ArchiveId) -> Result<Vec<Timeline>, RepoError> {
        let mut timelines = BTreeSet::new();
        for entry in list_sorted(&**self.stanza.repository().storage(), &self.folder(*id)?)? {
            if is_upper_hex(&entry.name, 16) {
                timelines.extend(u32::from_str_radix(&entry.name[..8], 16).ok().map(Timeline));
            }
            timelines.extend(Timeline::from_history_file(&entry.name));
        }
        Ok(timelines.into_iter().collect())
    }

    fn stream_error(&self, path: &StorePath, source: CodecError) -> RepoError {
        let place = Place { store: self.stanza.repository().storage().describe(), path: path.clone() };
        match source {
            CodecError::NotEncrypted(_) => RepoError::NotEncrypted(place),
            CodecError::Undecryptable => RepoError::Passphrase(place),
            source => RepoError::Stream { place, source },
        }
    }
}

/// One segment's files as one answer; `hits` are sorted by name, so that equal content is adjacent.
fn found_in(mut hits: Vec<StoredSegment>) -> Found {
    let Some(first) = hits.first().copied() else { return Found::Absent };
    hits.dedup_by_key(|stored| stored.sha1);
    if hits.len() == 1 { Found::One(first) } else { Found::Conflict(hits) }
}

#[cfg(test)]
mod tests;
