//! What stands in the folders of the archive, segments or not, and taking it away.
//!
//! Decides nothing: who calls knows what may go. Files are looked at one folder at a time.

use super::{Archive, ArchiveId};
use crate::base::{Timeline, WalSegment};
use crate::repo::RepoError;
use crate::store::EntryKind;

/// A file that belongs to a segment: the segment itself, a partial one, or the note of a backup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalFile {
    /// The segment its name begins with.
    pub segment: WalSegment,
    /// Its name.
    pub name: String,
}

impl Archive {
    /// The clusters of the history whose folder is there, oldest first.
    pub fn ids_present(&self) -> Result<Vec<ArchiveId>, RepoError> {
        let mut names = Vec::new();
        self.stanza.repository().storage().list(&self.stanza.archive_folder()?, &mut |entry| {
            if entry.meta.kind == EntryKind::Folder {
                names.push(entry.name);
            }
            true
        })?;
        Ok(self.ids().into_iter().filter(|id| names.contains(&id.to_string())).collect())
    }

    /// The names of the folders that segments are kept in, sorted.
    pub fn wal_folders(&self, id: ArchiveId) -> Result<Vec<String>, RepoError> {
        self.segment_folders(id)
    }

    /// The files of one such folder that belong to a segment, sorted.
    pub fn wal_files(&self, id: ArchiveId, folder: &str) -> Result<Vec<WalFile>, RepoError> {
        let path = self.folder(id)?.join(folder)?;
        let mut files = Vec::new();
        self.stanza.repository().storage().list(&path, &mut |entry| {
            let own = entry.meta.kind != EntryKind::Folder && entry.name.starts_with(folder);
            let segment = entry.name.get(..24).filter(|_| own).and_then(|digits| digits.parse().ok());
            if let Some(segment) = segment {
                files.push(WalFile { segment, name: entry.name });
            }
            true
        })?;
        files.sort_unstable();
        Ok(files)
    }

    /// The timelines that have a history file, ascending.
    pub fn histories(&self, id: ArchiveId) -> Result<Vec<Timeline>, RepoError> {
        let mut timelines = Vec::new();
        self.stanza.repository().storage().list(&self.folder(id)?, &mut |entry| {
            timelines.extend(Timeline::from_history_file(&entry.name));
            true
        })?;
        timelines.sort_unstable();
        Ok(timelines)
    }

    /// Removes everything of a cluster.
    pub fn remove_id(&self, id: ArchiveId) -> Result<(), RepoError> {
        Ok(self.stanza.repository().storage().remove_folder(&self.folder(id)?)?)
    }

    /// Removes a folder of segments.
    pub fn remove_wal_folder(&self, id: ArchiveId, folder: &str) -> Result<(), RepoError> {
        Ok(self.stanza.repository().storage().remove_folder(&self.folder(id)?.join(folder)?)?)
    }

    /// Removes a file that belongs to a segment.
    pub fn remove_wal_file(&self, id: ArchiveId, file: &WalFile) -> Result<(), RepoError> {
        let path = self.folder(id)?.join(&file.segment.folder())?.join(&file.name)?;
        Ok(self.stanza.repository().storage().remove(&path)?)
    }

    /// Removes the history file of a timeline.
    pub fn remove_history(&self, id: ArchiveId, timeline: Timeline) -> Result<(), RepoError> {
        Ok(self.stanza.repository().storage().remove(&self.folder(id)?.join(&timeline.history_file())?)?)
    }
}
