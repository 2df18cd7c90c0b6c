//! What every WAL segment of a cluster has in common, and whether a segment is what its name says.
//!
//! Pure. A recycled segment is a sound file under a name of the future: only its first page tells.

use crate::base::{PgVersion, SystemId, WalSegment, WalSegmentSize};
use crate::cluster::control::ControlFile;
use crate::wal::SegmentHeader;

/// What every segment of a cluster has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Identity {
    /// The major version that wrote it.
    pub(in crate::engine) version: PgVersion,
    /// The cluster.
    pub(in crate::engine) system_id: SystemId,
    /// The size of a segment.
    pub(in crate::engine) segment_size: WalSegmentSize,
}

impl Identity {
    /// As the control file of the cluster says.
    pub(in crate::engine) fn of(control: &ControlFile) -> Self {
        Self { version: control.version, system_id: control.system_id, segment_size: control.segment_size }
    }
}

/// Checks a segment's first page against its name and its cluster.
pub(in crate::engine) fn check_header(
    first: &[u8],
    wanted: WalSegment,
    identity: &Identity,
) -> Result<(), String> {
    let header = SegmentHeader::parse_any_version(first).map_err(|error| error.to_string())?;
    let Identity { version, system_id, segment_size } = *identity;
    if header.version != version {
        return Err(format!("it was written by PostgreSQL {}, this cluster is {version}", header.version));
    }
    if header.system_id != system_id {
        return Err(format!("it is of cluster {}, this one is {system_id}", header.system_id));
    }
    if header.segment_size != segment_size {
        return Err(format!(
            "its segments have {} bytes, this cluster's have {}",
            header.segment_size.bytes(),
            segment_size.bytes()
        ));
    }
    let start = wanted.start_lsn(segment_size);
    if header.page_lsn != start {
        return Err(format!("it begins at {} instead of {start} (a recycled file)", header.page_lsn));
    }
    if header.timeline > wanted.timeline {
        return Err(format!("its first page is of timeline {}", header.timeline));
    }
    Ok(())
}
