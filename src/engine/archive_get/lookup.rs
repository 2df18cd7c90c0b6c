//! Looking for a file in every repository, so that "absent" is only said when all of them were read.
//!
//! A repository that cannot be read is a failure, never an empty one. All copies of a segment are compared before
//! one is chosen: two repositories that disagree are two histories. Nothing is written here.

use super::deliver::{Identity, copy_segment};
use super::error::GetError;
use super::wanted::Wanted;
use crate::base::WalSegment;
use crate::codec::Decoder;
use crate::engine::repositories::Slot;
use crate::repo::{Archive, ArchiveId, Found, RepoError, Repository, StoredSegment};
use std::io::Write;
use std::path::Path;

/// The archives of one cluster, in the order of the repositories.
#[derive(Debug)]
pub(super) struct Archives {
    shelves: Vec<Shelf>,
    identity: Identity,
    /// What an operator should know about the repositories that could be opened.
    pub(super) warnings: Vec<String>,
}

/// The archive of one cluster in one repository.
#[derive(Debug)]
struct Shelf {
    key: u32,
    archive: Archive,
    /// The folders of this cluster, newest first.
    ids: Vec<ArchiveId>,
}

/// One stored copy of a segment.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    shelf: &'a Shelf,
    id: ArchiveId,
    /// What is stored.
    pub(super) stored: StoredSegment,
    partial: bool,
}

/// What a look through all repositories gave.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// Every copy, in the order of the repositories, all with the same content by their names.
    pub(super) copies: Vec<Copy<'a>>,
    /// Why some repositories could not be searched.
    pub(super) failures: Vec<GetError>,
}

impl Archives {
    /// Opens the archive of the cluster in each repository; those that cannot be opened are among the failures.
    pub(super) fn open(slots: &[Slot], stanza: &str, identity: Identity) -> (Self, Vec<GetError>) {
        let mut archives = Self { shelves: Vec::new(), identity, warnings: Vec::new() };
        let mut failures = Vec::new();
        for slot in slots {
            let repository = match &slot.repository {
                Ok(repository) => repository,
                Err(report) => {
                    failures.push(GetError::Unusable { key: slot.key, report: report.clone() });
                    continue;
                }
            };
            match Shelf::open(repository, stanza, &identity, &mut archives.warnings) {
                Ok(shelf) => archives.shelves.push(shelf),
                Err(error) => failures.push(error),
            }
        }
        (archives, failures)
    }

    /// Looks for all copies of a segment, or of a `.partial` one.
    pub(super) fn search(&self, wanted: Wanted) -> Result<Search<'_>, GetError> {
        let mut search = Search { copies: Vec::new(), failures: Vec::new() };
        for shelf in &self.shelves {
            for id in &shelf.ids {
                match shelf.find(*id, wanted) {
                    Ok(found) => search.copies.extend(found),
                    Err(error) => search.failures.push(shelf.error(error)),
                }
            }
        }
        if let Some(first) = search.copies.first()
            && search.copies.iter().any(|copy| copy.stored.sha1 != first.stored.sha1)
        {
            let copies: Vec<String> = search
                .copies
                .iter()
                .map(|copy| format!("{} has {}", copy.from(), copy.stored.sha1))
                .collect();
            return Err(GetError::Duplicate { segment: first.stored.segment, copies: copies.join(", ") });
        }
        Ok(search)
    }

    /// Copies one stored segment to `target`, verified; gives the quick hash of its content.
    pub(super) fn copy(
        &self,
        copy: &Copy<'_>,
        target: &mut impl Write,
        target_path: &Path,
    ) -> Result<[u8; 16], GetError> {
        let decoder = copy.open()?;
        let place = copy.place();
        let StoredSegment { segment, sha1, .. } = copy.stored;
        copy_segment(decoder, target, segment, &self.identity, Some(sha1), (&place, target_path))
    }

    /// The first segment of the same timeline after `missing` in any repository, and where it is.
    pub(super) fn later(&self, missing: WalSegment) -> Result<Option<(WalSegment, String)>, GetError> {
        self.first_from(missing.next(self.identity.segment_size))
    }

    /// The first segment of the same timeline from `from` on in any repository, and where it is.
    pub(super) fn first_from(&self, from: WalSegment) -> Result<Option<(WalSegment, String)>, GetError> {
        let mut first: Option<(WalSegment, String)> = None;
        for shelf in &self.shelves {
            for id in &shelf.ids {
                let mut seen = None;
                let visit = &mut |stored: StoredSegment| {
                    seen = Some(stored.segment).filter(|found| found.timeline == from.timeline);
                    false
                };
                shelf.archive.segments(id, Some(from), visit).map_err(|error| shelf.error(error))?;
                if let Some(found) = seen
                    && first.as_ref().is_none_or(|(known, _)| found < *known)
                {
                    first = Some((found, shelf.from(*id)));
                }
            }
        }
        Ok(first)
    }

    /// The content of a history or backup history file in every repository that has it, and what failed.
    pub(super) fn small(&self, wanted: Wanted) -> (Vec<(String, Vec<u8>)>, Vec<GetError>) {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for shelf in &self.shelves {
            for id in &shelf.ids {
                match shelf.small(*id, wanted) {
                    // The newest folder of this cluster in this repository is the one that counts.
                    Ok(Some(content)) => {
                        found.push((shelf.from(*id), content));
                        break;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        failures.push(error);
                        break;
                    }
                }
            }
        }
        (found, failures)
    }

    /// Where was looked, in words.
    pub(super) fn looked_at(&self) -> String {
        let places: Vec<String> =
            self.shelves.iter().flat_map(|shelf| shelf.ids.iter().map(|id| shelf.from(*id))).collect();
        places.join(", ")
    }
}

impl Shelf {
    fn open(
        repository: &Repository,
        stanza: &str,
        identity: &Identity,
        warnings: &mut Vec<String>,
    ) -> Result<Self, GetError> {
        let key = repository.key();
        let stanza = repository.stanza(stanza);
        let loaded = stanza.archive_info().map_err(|source| GetError::Repo { key, source })?;
        warnings.extend(loaded.warnings.into_iter().map(|warning| format!("repo{key}: {warning}")));
        let info = loaded.value;
        let archive = stanza.archive(&info);
        let mut ids = archive.ids_of(identity.version, identity.system_id);
        ids.reverse();
        if ids.is_empty() {
            let listed = |(id, (version, system)): (&u32, &(_, _))| format!("{version}-{id}: {system}");
            let found: Vec<String> = info.history.iter().map(listed).collect();
            return Err(GetError::Foreign {
                key,
                version: identity.version,
                system_id: identity.system_id,
                found: found.join(", "),
            });
        }
        Ok(Self { key, archive, ids })
    }

    fn error(&self, source: RepoError) -> GetError {
        GetError::Repo { key: self.key, source }
    }

    /// How this archive is called in messages and logs.
    fn from(&self, id: ArchiveId) -> String {
        format!("repo{} {id}", self.key)
    }

    fn find(&self, id: ArchiveId, wanted: Wanted) -> Result<Vec<Copy<'_>>, RepoError> {
        let (found, partial) = match wanted {
            Wanted::Segment(segment) => (self.archive.find(&id, segment)?, false),
            Wanted::Partial(segment) => (self.archive.find_partial(&id, segment)?, true),
            Wanted::History(_) | Wanted::BackupHistory(..) => (Found::Absent, false),
        };
        let stored = match found {
            Found::Absent => Vec::new(),
            Found::One(stored) => vec![stored],
            Found::Conflict(all) => all,
        };
        Ok(stored.into_iter().map(|stored| Copy { shelf: self, id, stored, partial }).collect())
    }

    /// The content of a small file that is stored under its own name.
    fn small(&self, id: ArchiveId, wanted: Wanted) -> Result<Option<Vec<u8>>, GetError> {
        self.archive.small(&id, &wanted.to_string()).map_err(|error| self.error(error))
    }
}

impl Copy<'_> {
    /// How the archive it is in is called.
    pub(super) fn from(&self) -> String {
        self.shelf.from(self.id)
    }

    fn place(&self) -> String {
        let name = if self.partial { self.stored.partial_name() } else { self.stored.file_name() };
        format!("{name} in {}", self.from())
    }

    /// The content, for reading.
    pub(super) fn open(&self) -> Result<Decoder<'static>, GetError> {
        let archive = &self.shelf.archive;
        let opened = if self.partial {
            archive.open_partial(&self.id, &self.stored)
        } else {
            archive.open(&self.id, &self.stored)
        };
        opened.map_err(|error| self.shelf.error(error))
    }
}
