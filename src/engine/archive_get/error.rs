//! Why a file of the archive could not be delivered, and whether asking again may help.
//!
//! Absence is not among these: it is an answer ([`Answer::Absent`](super::Answer::Absent)), and only a complete
//! look through every repository may give it.

use super::wanted::Wanted;
use crate::base::{Kind, PgVersion, Report, SystemId, WalSegment};
use crate::cluster::ClusterError;
use crate::codec::{CodecError, Sha1Hash};
use crate::repo::RepoError;
use std::path::PathBuf;

/// Why there was no answer. Every one of them ends in exit code 130, so that PostgreSQL stops.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// A name that no archive holds.
    #[error("'{0}' is not the name of a WAL segment, timeline history or backup history file")]
    Name(String),
    /// The control file of the data directory cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The restored control file is there, but `backup_label` is gone.
    #[error("{}: its checkpoint is the mark of a restored backup, but backup_label is missing", .0.display())]
    LabelGone(PathBuf),
    /// A repository that cannot be opened on this host.
    #[error("repo{key}: {}", report.headline)]
    Unusable {
        /// The repository's number.
        key: u32,
        /// Why.
        report: Report,
    },
    /// The archive of a repository could not be read.
    #[error("repo{key}: {source}")]
    Repo {
        /// The repository's number.
        key: u32,
        /// Why.
        source: RepoError,
    },
    /// The archive belongs to other clusters.
    #[error(
        "repo{key} has no archive of PostgreSQL {version} with system identifier {system_id} (it has {found})"
    )]
    Foreign {
        /// The repository's number.
        key: u32,
        /// The version in `pg_control`.
        version: PgVersion,
        /// The identifier in `pg_control`.
        system_id: SystemId,
        /// What the archive's history lists.
        found: String,
    },
    /// A stored file does not decode.
    #[error("{place} is damaged: {source}")]
    Damaged {
        /// Which file of which repository.
        place: String,
        /// What the decoder found.
        source: CodecError,
    },
    /// A file decodes, but is not what its name says.
    #[error("{place} is not what its name says: {why}")]
    Wrong {
        /// Which file of which repository or folder.
        place: String,
        /// What differs.
        why: String,
    },
    /// The same name with different contents.
    #[error("WAL segment {segment} is archived with different contents: {copies}")]
    Duplicate {
        /// The segment.
        segment: WalSegment,
        /// Each place with its checksum.
        copies: String,
    },
    /// The same history file with different contents.
    #[error("{wanted} differs between {first} and {second}")]
    Differs {
        /// The file.
        wanted: Wanted,
        /// One place.
        first: String,
        /// The other place.
        second: String,
    },
    /// A segment is missing although later ones are there.
    #[error("WAL segment {missing} is missing although {later} is in {place}")]
    Gap {
        /// The missing segment.
        missing: WalSegment,
        /// The first later one.
        later: WalSegment,
        /// Where the later one is.
        place: String,
    },
    /// The salvage folder's segment does not continue the recovery.
    #[error("WAL segment {segment} in {} does not continue this recovery: {why}", folder.display())]
    OffBranch {
        /// The segment.
        segment: WalSegment,
        /// The salvage folder.
        folder: PathBuf,
        /// Why not.
        why: String,
    },
    /// The salvage folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Salvage {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Several repositories failed, each in its own way.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
    /// The destination cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Destination {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl GetError {
    /// Failures as one; nothing if there are none.
    pub(super) fn all(mut failures: Vec<Self>) -> Option<Self> {
        if failures.len() > 1 { Some(Self::Several(failures)) } else { failures.pop() }
    }

    /// A checksum that does not match the one in the name.
    pub(super) fn checksum(place: String, named: Sha1Hash, found: Sha1Hash) -> Self {
        Self::Wrong { place, why: format!("its content has SHA-1 {found}, its name says {named}") }
    }

    /// True if the same call may work a moment later: the store did not answer properly.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Repo { source, .. } => source.is_transient(),
            Self::Damaged { source, .. } => matches!(source, CodecError::Io(_)),
            Self::Several(failures) => failures.iter().any(Self::is_transient),
            _ => false,
        }
    }
}

impl From<GetError> for Report {
    fn from(error: GetError) -> Self {
        let text = error.to_string();
        match error {
            GetError::Name(_) => Self::usage(text).hint("restore_command passes %f as the name: archive-get %f \"%p\""),
            GetError::Cluster(inner) => inner.into(),
            GetError::Unusable { key, report } => Self { headline: text, ..report }
                .hint(format!("leave repository {key} out by --repo=N, if the others have everything")),
            GetError::Repo { key, source } => {
                let mut report = Self::from(source);
                report.headline = format!("repo{key}: {}", report.headline);
                report
            }
            GetError::Several(failures) => {
                let mut reports = failures.into_iter().map(Self::from);
                let first = reports.next().unwrap_or_else(|| Self::failed(text.clone()));
                Self { headline: text, ..first }
            }
            GetError::LabelGone(_) => {
                Self::damaged(text).hint("restore again; never remove backup_label from a restored backup")
            }
            GetError::Foreign { .. } => Self::new(Kind::Refused(None), text)
                .hint("check --stanza, --pg1-path and repoN-path: this data directory belongs to another cluster"),
            GetError::Damaged { .. } | GetError::Wrong { .. } => {
                Self::damaged(text).hint("get this file from another repository, or recover to a target before it")
            }
            GetError::Duplicate { .. } => Self::damaged(text)
                .hint("two servers archived to this stanza: find out which copy belongs to the history wanted (`wal find`) and move the other one away"),
            GetError::Differs { .. } => Self::damaged(text)
                .hint("one repository's history file is damaged or of another branch: name the right repository by --repo"),
            GetError::Gap { .. } => Self::damaged(text)
                .hint("recovery past this point would lose what follows: get the segment from another repository, or recover to a target before it"),
            GetError::OffBranch { .. } => Self::new(Kind::Refused(None), text)
                .hint("write recovery_target_timeline into postgresql.auto.conf if this branch is meant, or leave --wal-salvage out"),
            GetError::Salvage { .. } | GetError::Destination { .. } => {
                Self::failed(text).hint("check that this folder exists and its permissions, then start the server again")
            }
        }
    }
}
