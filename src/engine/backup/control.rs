//! `pg_control` as it goes into a backup: its fields, with a checksum that holds, and nothing behind them.
//!
//! A running server rewrites the file in place; a read that caught it half-written is read again. Only the first 512
//! bytes are ever written at once, and only they carry anything.

use super::error::BackupError;
use crate::cluster::ClusterError;
use crate::cluster::control::{CONTROL_FILE, CONTROL_FILE_BYTES, ControlFile};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// What of the file is meant.
const IMAGE_BYTES: usize = 512;
/// How long a read may go on finding a wrong checksum.
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// The bytes to store and what they say.
pub(super) fn image(data_dir: &Path) -> Result<(Vec<u8>, ControlFile), BackupError> {
    let path = data_dir.join(CONTROL_FILE);
    let began = Instant::now();
    loop {
        let mut bytes = vec![0; CONTROL_FILE_BYTES];
        let mut file = File::open(&path).map_err(BackupError::io("open", &path))?;
        file.read_exact(&mut bytes[..IMAGE_BYTES]).map_err(BackupError::io("read", &path))?;
        match ControlFile::parse(&bytes) {
            Ok(control) => return Ok((bytes, control)),
            Err(_) if began.elapsed() < LIMIT => std::thread::sleep(PAUSE),
            Err(source) => return Err(BackupError::Cluster(ClusterError::Control { path, source })),
        }
    }
}
