//! The archives of this cluster, one per repository: opened, searched, never guessed.
//!
//! Only the archive that is current for exactly this cluster is written to. A repository that cannot be used is a
//! failure beside the others, which are served all the same.

use super::PushError;
use crate::codec::Sha1Hash;
use crate::engine::archive_get::Wanted;
use crate::engine::identity::Identity;
use crate::engine::repositories::Slot;
use crate::repo::{Archive, ArchiveId, Found, Incoming, RepoError, Repository, StoredSegment};

/// The archives of a cluster.
#[derive(Debug)]
pub(super) struct Shelves {
    /// Those that can be used.
    pub(super) usable: Vec<Shelf>,
    /// Why others cannot.
    pub(super) failures: Vec<PushError>,
    /// What an operator should know about those that can.
    pub(super) warnings: Vec<String>,
}

/// The archive of a cluster in one repository.
#[derive(Debug)]
pub(super) struct Shelf {
    key: u32,
    archive: Archive,
    id: ArchiveId,
}

impl Shelves {
    /// Opens the archive of the cluster in every repository.
    pub(super) fn open(slots: &[Slot], stanza: &str, identity: &Identity) -> Result<Self, PushError> {
        if slots.is_empty() {
            return Err(PushError::NoRepository);
        }
        let mut all = Self { usable: Vec::new(), failures: Vec::new(), warnings: Vec::new() };
        for slot in slots {
            let opened = match &slot.repository {
                Ok(repository) => Shelf::open(repository, stanza, identity, &mut all.warnings),
                Err(report) => Err(PushError::Unusable { key: slot.key, report: Box::new(report.clone()) }),
            };
            match opened {
                Ok(shelf) => all.usable.push(shelf),
                Err(error) => all.failures.push(error),
            }
        }
        Ok(all)
    }

    /// The archives in words.
    pub(super) fn words(&self) -> String {
        self.usable.iter().map(Shelf::place).collect::<Vec<_>>().join(", ")
    }
}

impl Shelf {
    fn open(
        repository: &Repository,
        stanza: &str,
        identity: &Identity,
        warnings: &mut Vec<String>,
    ) -> Result<Self, PushError> {
        let key = repository.key();
        let stanza = repository.stanza(stanza);
        let loaded = stanza.archive_info().map_err(|source| PushError::Repo { key, source })?;
        warnings.extend(loaded.warnings.into_iter().map(|warning| format!("repo{key}: {warning}")));
        let info = loaded.value;
        let own = (identity.version, identity.system_id);
        if info.current() != own {
            return Err(PushError::Mismatch { key, archived: info.current(), own });
        }
        let id = ArchiveId { version: identity.version, db_id: info.current_db_id };
        Ok(Self { key, archive: stanza.archive(&info), id })
    }

    /// How this archive is called in messages.
    pub(super) fn place(&self) -> String {
        format!("repo{} {}", self.key, self.id)
    }

    pub(super) fn error(&self, source: RepoError) -> PushError {
        PushError::Repo { key: self.key, source }
    }

    /// The segment as it is archived, if it is; more than one content under its name is a failure.
    pub(super) fn find(&self, file: Wanted) -> Result<Option<StoredSegment>, PushError> {
        let found = match file {
            Wanted::Segment(segment) => self.archive.find(&self.id, segment),
            Wanted::Partial(segment) => self.archive.find_partial(&self.id, segment),
            Wanted::History(_) | Wanted::BackupHistory(..) => Ok(Found::Absent),
        };
        match found.map_err(|error| self.error(error))? {
            Found::Absent => Ok(None),
            Found::One(stored) if stored.stored_bytes == 0 => {
                Err(PushError::Hollow { file, place: self.place() })
            }
            Found::One(stored) => Ok(Some(stored)),
            Found::Conflict(all) => {
                let found = all.iter().map(|stored| stored.sha1.to_string()).collect::<Vec<_>>().join(", ");
                Err(PushError::Torn { file, place: self.place(), found })
            }
        }
    }

    /// Begins to put the segment there.
    pub(super) fn begin(&self, file: Wanted, stored: &StoredSegment) -> Result<Incoming, PushError> {
        let begun = match file {
            Wanted::Partial(_) => self.archive.begin_partial(&self.id, stored),
            _ => self.archive.begin(&self.id, stored),
        };
        begun.map_err(|error| self.error(error))
    }

    /// The content of the history or backup history as it is archived, if it is.
    pub(super) fn small(&self, file: Wanted) -> Result<Option<Vec<u8>>, PushError> {
        self.archive.small(&self.id, &file.to_string()).map_err(|error| self.error(error))
    }

    /// Puts a history or backup history there.
    pub(super) fn put_small(&self, file: Wanted, content: &[u8]) -> Result<(), PushError> {
        self.archive.put_small(&self.id, &file.to_string(), content).map_err(|error| self.error(error))
    }

    /// Makes the name of a file that is there already durable.
    pub(super) fn settle(&self, file: Wanted) -> Result<(), PushError> {
        self.archive.settle(&self.id, &file.to_string()).map_err(|error| self.error(error))
    }

    /// Refuses another content than the one that is there.
    pub(super) fn same(&self, file: Wanted, archived: Sha1Hash, own: Sha1Hash) -> Result<(), PushError> {
        if archived == own {
            return Ok(());
        }
        Err(PushError::Duplicate { file, place: self.place(), archived, own })
    }
}
