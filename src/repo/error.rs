//! Why something in a repository could not be used, sorted by what can be done about it.
//!
//! Never carries a passphrase or the content of a file, only names, places and reasons.

use super::json::JsonError;
use crate::base::units::UnitError;
use crate::base::{BackupLabel, Kind, Report};
use crate::codec::{CodecError, Sha1Hash};
use crate::store::{StoreError, StoreErrorKind, StorePath};
use std::fmt;

/// Which file of which store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The store, as it describes itself.
    pub store: String,
    /// The path inside the store.
    pub path: StorePath,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' in {}", self.path, self.store)
    }
}

/// Why something in a repository could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// The store failed, or the object is missing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Neither a file nor its `.copy` can be used; both reasons are kept.
    #[error("{main}; and its .copy is no help: {copy}")]
    Both {
        /// Why the main file cannot be used.
        main: Box<Self>,
        /// Why the copy cannot be used.
        copy: Box<Self>,
    },
    /// An encrypted file in a repository configured without encryption.
    #[error("{0} is encrypted, but no passphrase is configured for this repository")]
    Encrypted(Place),
    /// A plain file in a repository configured with encryption.
    #[error("{0} is not encrypted, but a passphrase is configured for this repository")]
    NotEncrypted(Place),
    /// What came out of the cipher is not a file of the format.
    #[error("{0} cannot be decrypted: wrong passphrase, or the stored bytes are damaged")]
    Passphrase(Place),
    /// The stored stream is damaged, though the passphrase is right or none is needed.
    #[error("{place} is damaged: {source}")]
    Stream {
        /// The file.
        place: Place,
        /// What the decoder found.
        source: CodecError,
    },
    /// The checksum at the end of the file is not that of its content.
    #[error("{place} is damaged: its content has checksum {actual}, its last line says {stated}")]
    Checksum {
        /// The file.
        place: Place,
        /// The checksum the file states.
        stated: Sha1Hash,
        /// The checksum of what was read.
        actual: Sha1Hash,
    },
    /// The text does not follow the format.
    #[error("{place} is damaged: line {line}: {why}")]
    Format {
        /// The file.
        place: Place,
        /// The line, counted from 1; 0 if the file as a whole is meant.
        line: u64,
        /// What was expected.
        why: String,
    },
    /// Another repository format than 5.
    #[error("{place} has repository format {found}; this program reads format 5")]
    FormatNumber {
        /// The file.
        place: Place,
        /// The number found.
        found: u64,
    },
    /// A name or number that a sound repository never holds and that would do harm.
    #[error("{place} is damaged or hostile: line {line}: {why}")]
    Hostile {
        /// The file.
        place: Place,
        /// The line, counted from 1; 0 if the file as a whole is meant.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A backup that was never finished.
    #[error("{place} describes an unfinished backup: {why}")]
    Unfinished {
        /// The file.
        place: Place,
        /// How it shows.
        why: String,
    },
    /// Something this program does not read, on purpose.
    #[error("{place} cannot be read: {why}")]
    Unsupported {
        /// The file.
        place: Place,
        /// What it is.
        why: String,
    },
    /// A block map that does not decode.
    #[error("block map is damaged at byte {at}: {why}")]
    BlockMap {
        /// Offset inside the decoded map.
        at: usize,
        /// What was expected.
        why: &'static str,
    },
    /// A place where the format keeps no files, so that no passphrase belongs to it.
    #[error("{0} is encrypted with no passphrase the format knows of")]
    NoPassphrase(Place),
    /// The backup is not listed.
    #[error("backup {label} is not in backup.info of stanza '{stanza}'")]
    NoSuchBackup {
        /// The label asked for.
        label: BackupLabel,
        /// The stanza.
        stanza: String,
    },
}

impl RepoError {
    /// True if what was asked for is simply not there, neither file nor copy.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_missing(),
            Self::Both { main, copy } => main.is_missing() && copy.is_missing(),
            _ => false,
        }
    }

    /// True if another passphrase might help.
    pub fn is_passphrase(&self) -> bool {
        match self {
            Self::Passphrase(_) => true,
            Self::Both { main, copy } => main.is_passphrase() || copy.is_passphrase(),
            _ => false,
        }
    }

    /// True if the same call may work a moment later: the store did not answer properly.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error.kind, StoreErrorKind::Unreachable | StoreErrorKind::Other),
            Self::Stream { source, .. } => matches!(source, CodecError::Io(_)),
            Self::Both { main, copy } => main.is_transient() || copy.is_transient(),
            _ => false,
        }
    }

    /// What to do next; may be empty.
    pub fn hint(&self) -> &'static str {
        self.kind_and_hint().1
    }

    fn kind_and_hint(&self) -> (Kind, &'static str) {
        match self {
            Self::Store(_) => (Kind::Damaged, ""),
            Self::Both { main, copy } => {
                if main.is_missing() {
                    copy.kind_and_hint()
                } else {
                    main.kind_and_hint()
                }
            }
            Self::Encrypted(_) => {
                (Kind::Usage, "set repoN-cipher-type=aes-256-cbc and repoN-cipher-pass for this repository")
            }
            Self::NotEncrypted(_) => (
                Kind::Usage,
                "set repoN-cipher-type=none, or check that this is the repository that was meant",
            ),
            Self::Passphrase(_) => (Kind::Damaged, "check repoN-cipher-pass first; then another repository"),
            Self::Hostile { .. } => {
                (Kind::Damaged, "do not restore from this repository before its origin is known")
            }
            Self::NoPassphrase(_) => (Kind::Usage, "--raw hands out the bytes as they are stored"),
            Self::Unfinished { .. } | Self::NoSuchBackup { .. } => {
                (Kind::Failed, "choose another backup; `info` lists them")
            }
            Self::Unsupported { .. } | Self::FormatNumber { .. } => {
                (Kind::Failed, "use the pgBackRest version that wrote it, or choose another backup")
            }
            Self::Stream { .. } | Self::Checksum { .. } | Self::Format { .. } | Self::BlockMap { .. } => (
                Kind::Damaged,
                "choose another backup or another repository; `verify` shows what else is damaged",
            ),
        }
    }
}

impl From<RepoError> for Report {
    fn from(error: RepoError) -> Self {
        if let RepoError::Store(error) = error {
            return error.into();
        }
        let (kind, hint) = error.kind_and_hint();
        let report = Self::new(kind, error.to_string());
        if hint.is_empty() { report } else { report.hint(hint) }
    }
}

/// What a line's interpreter found wrong, before file and line are known.
#[derive(Debug)]
pub(super) enum Fault {
    Format(String),
    Hostile(String),
    Unfinished(String),
    Unsupported(String),
    FormatNumber(u64),
}

impl Fault {
    pub(super) fn format(why: impl Into<String>) -> Self {
        Self::Format(why.into())
    }

    pub(super) fn hostile(why: impl Into<String>) -> Self {
        Self::Hostile(why.into())
    }

    pub(super) fn at(self, place: &Place, line: u64) -> RepoError {
        let place = place.clone();
        match self {
            Self::Format(why) => RepoError::Format { place, line, why },
            Self::Hostile(why) => RepoError::Hostile { place, line, why },
            Self::Unfinished(why) => RepoError::Unfinished { place, why },
            Self::Unsupported(why) => RepoError::Unsupported { place, why },
            Self::FormatNumber(found) => RepoError::FormatNumber { place, found },
        }
    }
}

impl From<JsonError> for Fault {
    fn from(error: JsonError) -> Self {
        Self::Format(error.to_string())
    }
}

impl From<UnitError> for Fault {
    fn from(error: UnitError) -> Self {
        Self::Format(error.to_string())
    }
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Format(why)
    }
}
