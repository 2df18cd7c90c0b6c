//! Why a file was not archived. None of these is ever acknowledged.
//!
//! Also says which number of pgBackRest's stands for each in a status file.

use crate::base::{Kind, PgVersion, Report, SystemId};
use crate::cluster::ClusterError;
use crate::codec::Sha1Hash;
use crate::engine::archive_get::Wanted;
use crate::repo::RepoError;
use std::io;
use std::path::PathBuf;

/// Why a file was not archived.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// An operator stopped the stanza on this host.
    #[error("{}", .0.headline)]
    Stopped(Box<Report>),
    /// A name that no archive holds.
    #[error("'{0}' is not the name of a WAL segment, timeline history or backup history file")]
    Name(String),
    /// The control file of the data directory cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Another server than the configured one runs this.
    #[error("this server's data directory is {}, but the stanza's is {}", found.display(), expected.display())]
    OtherServer {
        /// The working directory.
        found: PathBuf,
        /// What the configuration says.
        expected: PathBuf,
    },
    /// The data directory is a marked copy.
    #[error("{} marks this data directory as a copy: its WAL does not belong in the archive", marker.display())]
    Side {
        /// The marker.
        marker: PathBuf,
    },
    /// The file, or what belongs to it, cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Source {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not what its name says.
    #[error("{} is not what its name says: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// There is no repository to archive to.
    #[error("no repository is configured")]
    NoRepository,
    /// A repository that cannot be opened on this host.
    #[error("repo{key}: {}", report.headline)]
    Unusable {
        /// The repository's number.
        key: u32,
        /// Why.
        report: Box<Report>,
    },
    /// The archive of a repository could not be read or written.
    #[error("repo{key}: {source}")]
    Repo {
        /// The repository's number.
        key: u32,
        /// Why.
        source: RepoError,
    },
    /// The archive belongs to another cluster now.
    #[error(
        "repo{key} archives PostgreSQL {} with system identifier {}, this cluster is PostgreSQL {} with {}",
        archived.0, archived.1, own.0, own.1
    )]
    Mismatch {
        /// The repository's number.
        key: u32,
        /// What the archive's current entry says.
        archived: (PgVersion, SystemId),
        /// What `pg_control` says.
        own: (PgVersion, SystemId),
    },
    /// The segment is archived with other content.
    #[error("{file} is archived in {place} with SHA-1 {archived}, this server's has {own}")]
    Duplicate {
        /// The segment.
        file: Wanted,
        /// Which archive.
        place: String,
        /// What is there.
        archived: Sha1Hash,
        /// What was to be put there.
        own: Sha1Hash,
    },
    /// The segment is archived several times, with different contents.
    #[error("{file} is archived in {place} with different contents: {found}")]
    Torn {
        /// The segment.
        file: Wanted,
        /// Which archive.
        place: String,
        /// The checksums.
        found: String,
    },
    /// A stored file that cannot hold what its name says.
    #[error("{file} is in {place}, but empty")]
    Hollow {
        /// The segment.
        file: Wanted,
        /// Which archive.
        place: String,
    },
    /// The history file is archived with other content.
    #[error("{file} is archived in {place} with other content than this server's")]
    Differs {
        /// The file.
        file: Wanted,
        /// Which archive.
        place: String,
    },
    /// The file was written to while it was read.
    #[error("{} changed while it was read", .0.display())]
    Changed(PathBuf),
    /// A status file in the spool, or the spool itself, cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Spool {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The background process cannot be started.
    #[error("cannot start the process that archives in the background: {source}")]
    Launch {
        /// The system's reason.
        source: io::Error,
    },
    /// The background process failed, and said so.
    #[error("{message}")]
    Told {
        /// Its number among pgBackRest's.
        code: u32,
        /// What it said.
        message: String,
    },
    /// The background process did not push the file in time.
    #[error("{file} was not archived within {waited_s} s{}", if *attended { "" } else { ", and no process is at work on it" })]
    Timeout {
        /// The file.
        file: Wanted,
        /// How long was waited, in seconds.
        waited_s: u64,
        /// A background process is at work.
        attended: bool,
    },
    /// Several repositories failed, each in its own way.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
}

impl PushError {
    /// Failures as one; nothing if there are none.
    pub(super) fn all(mut failures: Vec<Self>) -> Option<Self> {
        if failures.len() > 1 { Some(Self::Several(failures)) } else { failures.pop() }
    }

    /// The number that stands for it in a status file, as pgBackRest numbers its errors.
    pub(super) fn code(&self) -> u32 {
        match self {
            Self::Stopped(_) => 62,
            Self::Name(_) => 96,
            Self::Cluster(_) | Self::Source { .. } | Self::Changed(_) => 42,
            Self::OtherServer { .. } | Self::Mismatch { .. } | Self::Wrong { .. } | Self::Side { .. } => 44,
            Self::NoRepository | Self::Unusable { .. } => 103,
            Self::Duplicate { .. } | Self::Torn { .. } | Self::Differs { .. } => 45,
            Self::Hollow { .. } | Self::Repo { .. } | Self::Several(_) => 104,
            Self::Spool { .. } => 64,
            Self::Launch { .. } => 102,
            Self::Told { code, .. } => *code,
            Self::Timeout { .. } => 82,
        }
    }
}

impl From<PushError> for Report {
    fn from(error: PushError) -> Self {
        let text = error.to_string();
        match error {
            PushError::Stopped(report) => *report,
            PushError::Name(_) => Self::usage(text).hint("archive_command passes %p: pgmayday … archive-push \"%p\""),
            PushError::Cluster(inner) => inner.into(),
            PushError::OtherServer { .. } => Self::new(Kind::Refused(None), text)
                .hint("a copy of a server must not archive as its original: set archive_mode=off there, or give it a stanza of its own"),
            PushError::Side { .. } => Self::new(Kind::Refused(None), text)
                .hint("set archive_mode=off in this copy; if it is to become the real one, make a new stanza for it or finish the recovery, then remove the marker"),
            PushError::Source { .. } | PushError::Changed(_) => {
                Self::failed(text).hint("check the data directory and its permissions; PostgreSQL asks again by itself")
            }
            PushError::Wrong { .. } => Self::damaged(text)
                .hint("PostgreSQL never asks for such a file: see who wrote it, and do not archive it"),
            PushError::NoRepository => Self::usage(text).hint("set repo1-path in the configuration"),
            PushError::Unusable { report, .. } => Self { headline: text, ..*report },
            PushError::Repo { key, source } => {
                let mut report = Self::from(source);
                report.headline = format!("repo{key}: {}", report.headline);
                report.kind = Kind::Failed;
                report
            }
            PushError::Mismatch { .. } => Self::new(Kind::Refused(None), text)
                .hint("after an upgrade or a new initdb: stanza-upgrade; otherwise check pg1-path and --stanza"),
            PushError::Duplicate { .. } | PushError::Torn { .. } => Self::damaged(text)
                .hint("two servers archive to this stanza: find out which one is to live (`wal find` shows the copies), and stop the other; nothing was overwritten"),
            PushError::Hollow { .. } => {
                Self::damaged(text).hint("remove the empty file from the repository; PostgreSQL asks again by itself")
            }
            PushError::Differs { file, .. } => Self::damaged(text).hint(format!(
                "two servers made this timeline: find out which one is to live, and stop the other. If the archived \
                 file is the wrong one, push this server's by hand: pgmayday … --no-archive-async \
                 --accept={} archive-push /…/pg_wal/{file}",
                super::HISTORY_GUARD
            )),
            PushError::Spool { .. } => Self::failed(text)
                .hint("spool-path must be a folder that the owner of the data directory can write"),
            PushError::Launch { .. } | PushError::Told { .. } => {
                Self::failed(text).hint("PostgreSQL asks again by itself")
            }
            PushError::Timeout { attended: true, .. } => Self::failed(text)
                .hint("it goes on in the background and PostgreSQL asks again; if that repeats, the repository is too slow"),
            PushError::Timeout { attended: false, .. } => {
                Self::failed(text).hint("push one file by hand with --no-archive-async to see why")
            }
            PushError::Several(failures) => {
                let hints = failures.into_iter().map(Self::from).find_map(|report| report.hint);
                let report = Self::failed(text);
                match hints {
                    Some(hint) => report.hint(hint),
                    None => report,
                }
            }
        }
    }
}
