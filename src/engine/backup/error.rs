//! Why a backup cannot be made, sorted by what an operator has to change.
//!
//! Names come from the disk and may hold anything: every one is shown with its control characters escaped.

use crate::base::{Kind, Report};
use crate::cluster::ClusterError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a backup stopped.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The system refused to read something.
    #[error("cannot {doing} {}: {source}", shown(path))]
    Io {
        /// What was tried, for example "list".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A name that no manifest can hold.
    #[error("{} cannot be backed up: {why}", shown(path))]
    Name {
        /// The file, folder or link.
        path: PathBuf,
        /// What is wrong with its name.
        why: &'static str,
    },
    /// A symbolic link that a restore could not put back.
    #[error("the link {} ({}) cannot be backed up: {fault}", shown(link), destination.escape_debug())]
    Link {
        /// The link.
        link: PathBuf,
        /// Where it points, as written.
        destination: String,
        /// What is wrong with it.
        fault: LinkFault,
    },
    /// Something in `pg_tblspc` that is no usable tablespace.
    #[error("{} is no tablespace that can be backed up: {fault}", shown(path))]
    Tablespace {
        /// The entry of `pg_tblspc`.
        path: PathBuf,
        /// What is wrong with it.
        fault: TablespaceFault,
    },
    /// More different owners than a data directory can have by any right.
    #[error("{} belongs to one of more than {most} different pairs of user and group", shown(path))]
    Owners {
        /// The first file that is one too many.
        path: PathBuf,
        /// How many are possible.
        most: usize,
    },
    /// A page size PostgreSQL cannot be built with.
    #[error("{0} bytes is not the size of a PostgreSQL page (1, 2, 4, 8, 16 or 32 KiB)")]
    PageSize(u32),
    /// Something about the cluster could not be found out.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The operator cancelled.
    #[error("cancelled by the operator")]
    Cancelled,
}

/// What is wrong with a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// Its destination is a link, too.
    #[error("its destination is another link")]
    ToLink,
    /// Its destination does not exist.
    #[error("its destination does not exist")]
    Broken,
    /// It is relative to a linked folder, so that a restore would look for its destination elsewhere.
    #[error(
        "it is relative, and from the linked folder it stands in it leads elsewhere than by its name in the backup"
    )]
    Relative,
    /// It stands in a tablespace, where a manifest has no links.
    #[error("it stands in a tablespace, where no backup keeps links")]
    InTablespace,
    /// Its destination lies in the data directory.
    #[error("its destination is in the data directory")]
    IntoData,
    /// Its destination holds the data directory.
    #[error("its destination holds the data directory")]
    AroundData,
    /// Another link has the same destination.
    #[error("{0} has the same destination")]
    Shared(String),
    /// Its destination lies in that of another link.
    #[error("its destination is inside that of {0}")]
    Inside(String),
    /// The destination of another link lies in its own.
    #[error("the destination of {0} is inside its own")]
    Around(String),
}

/// What is wrong with an entry of `pg_tblspc`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TablespaceFault {
    /// A plain file or folder.
    #[error("it is not a link, and pg_tblspc holds nothing but links")]
    NotALink,
    /// Its name is not an oid.
    #[error("its name is not the number of a tablespace")]
    Name,
    /// The server does not know its oid.
    #[error("the server knows no tablespace with this oid")]
    Unknown,
    /// Its location has no folder of this cluster's version, or something else in its place.
    #[error("its location has no folder {0}")]
    NoFolder(String),
}

impl BackupError {
    /// Wraps a system error with what was being done to which path.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// What to do next.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run this as the owner of the data directory or as root; or leave it out: exclude=NAME"
            }
            Self::Name { .. } => "rename it, or leave its folder's content out: exclude=FOLDER/",
            Self::Link { fault, .. } => match fault {
                LinkFault::ToLink => "let the link name the last destination directly",
                LinkFault::Broken => "remove the link, or make its destination",
                LinkFault::Relative => "make the link absolute",
                LinkFault::InTablespace => "PostgreSQL makes no links there: move it away",
                LinkFault::IntoData | LinkFault::AroundData => {
                    "move the destination out of and away from the data directory, or leave the link out: exclude=LINK"
                }
                LinkFault::Shared(_) | LinkFault::Inside(_) | LinkFault::Around(_) => {
                    "give each link a place of its own, or leave one out: exclude=LINK"
                }
            },
            Self::Tablespace { fault, .. } => match fault {
                TablespaceFault::NotALink => {
                    "a tablespace in place (allow_in_place_tablespaces) cannot be backed up: drop it; move anything else away"
                }
                TablespaceFault::Name => "move it away: PostgreSQL does not use it",
                TablespaceFault::Unknown => {
                    "if a tablespace was made or dropped just now, start again; else move what is left of it away"
                }
                TablespaceFault::NoFolder(_) => "mount or make its location, or drop the tablespace",
            },
            Self::Owners { .. } => "give the files back to the user PostgreSQL runs as",
            Self::Io { .. } | Self::PageSize(_) | Self::Cluster(_) | Self::Cancelled => return None,
        })
    }
}

impl From<BackupError> for Report {
    fn from(error: BackupError) -> Self {
        if let BackupError::Cluster(error) = error {
            return error.into();
        }
        let kind = match &error {
            BackupError::Io { .. } | BackupError::PageSize(_) | BackupError::Cluster(_) => Kind::Failed,
            BackupError::Name { .. }
            | BackupError::Link { .. }
            | BackupError::Tablespace { .. }
            | BackupError::Owners { .. } => Kind::Refused(None),
            BackupError::Cancelled => Kind::Cancelled,
        };
        let report = Self::new(kind, error.to_string());
        match error.hint() {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }
}

/// A path as a terminal can bear it.
pub(super) fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}
