//! The spool: where segments fetched ahead wait, one folder per restore.
//!
//! `<spool-path>/archive/<stanza>/pgmayday-<key>/` holds
//!
//! - `<segment>`: a segment ready to be taken: its verified content and a [seal](Seal) of 128 bytes after it;
//! - `<segment>.part`: one that is arriving, `<segment>.taken-<pid>`: one that is being handed over;
//! - `lock`: flocked by the prefetcher as long as it lives;
//! - `requests.log`: which segments were asked for, see [requests](super::requests).
//!
//! The key is made of the data directory (path and inode), the restore's own signal file, the cluster's identity
//! and the repositories, so that another restore never finds this spool. Nothing here ever says that a file is
//! absent, and a segment leaves the spool only if its seal still holds. Only files of these names are removed.

use super::requests::{LogTail, REQUEST_LOG, Request};
use crate::base::{SystemId, Timestamp, WalSegment, files};
use crate::cluster::control::ControlFile;
use crate::codec::Sha1Hash;
use crate::codec::quick::QuickHasher;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What follows the content of a ready segment.
const SEAL_BYTES: usize = 128;
/// How much is read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The folder for what is fetched ahead for one restore; nothing is made yet.
pub fn folder_for(
    spool_path: &Path,
    stanza: &str,
    data_dir: &Path,
    control: &ControlFile,
    repositories: &[String],
) -> io::Result<PathBuf> {
    let data_dir = data_dir.canonicalize()?;
    let mut key = format!("{}\n{:?}\n", data_dir.display(), inode(&data_dir.metadata()?));
    for signal in ["recovery.signal", "standby.signal", "recovery.conf"] {
        if let Ok(meta) = data_dir.join(signal).metadata() {
            // Each restore writes its own signal file.
            writeln!(key, "{signal} {:?} {} {}", inode(&meta), meta.mtime(), meta.mtime_nsec())
                .map_err(io::Error::other)?;
        }
    }
    let SystemId(system_id) = control.system_id;
    let uid = rustix::process::geteuid().as_raw();
    key = format!("{key}{system_id} {} {uid}\n{}", control.version, repositories.join("\n"));
    let digest = Sha1Hash::of(key.as_bytes()).to_string();
    Ok(spool_path.join("archive").join(stanza).join(format!("pgmayday-{}", &digest[..16])))
}

fn inode(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// One restore's spool.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// What proves that a ready segment is what was verified when it was decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The segment.
    pub segment: WalSegment,
    /// XXH3-128 of the content.
    pub quick: [u8; 16],
    /// The repository and archive it came from, for example `repo1 15-1`.
    pub from: String,
}

impl Seal {
    /// `pgmayday-seal 1 <segment> <hash> <from>`, filled up with spaces and ended by a line feed.
    fn to_bytes(&self) -> [u8; SEAL_BYTES] {
        let text = format!("pgmayday-seal 1 {} {} {}", self.segment, hex(self.quick), self.from);
        let mut bytes = [b' '; SEAL_BYTES];
        let kept = text.len().min(SEAL_BYTES - 1);
        bytes[..kept].copy_from_slice(&text.as_bytes()[..kept]);
        bytes[SEAL_BYTES - 1] = b'\n';
        bytes
    }

    fn from_bytes(bytes: &[u8; SEAL_BYTES]) -> Option<(WalSegment, String, String)> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.trim_end();
        let (segment, rest) = text.strip_prefix("pgmayday-seal 1 ")?.split_once(' ')?;
        let (quick, from) = rest.split_once(' ')?;
        Some((segment.parse().ok()?, quick.to_owned(), from.to_owned()))
    }
}

fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// What looking for a ready segment gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is at the destination; where it had come from.
    Delivered(String),
    /// There is none.
    None,
    /// There was one that is no longer what was put there; it is removed.
    Unsound(&'static str),
}

impl Spool {
    /// Opens the folder, making it if it is not there; one that others may write to is refused.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        let handle = match files::open_folder(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o750).create(&folder)?;
                files::open_folder(&folder)?
            }
            opened => opened?,
        };
        let meta = handle.metadata()?;
        if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} belongs to or may be written by another user", folder.display()),
            ));
        }
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn ready_path(&self, segment: WalSegment) -> PathBuf {
        self.folder.join(segment.to_string())
    }

    fn arriving_path(&self, segment: WalSegment) -> PathBuf {
        self.folder.join(format!("{segment}.part"))
    }

    /// True if the segment can be taken.
    pub fn has(&self, segment: WalSegment) -> bool {
        self.ready_path(segment).exists()
    }

    /// How many bytes of a segment that is just arriving are there; nothing if none is arriving.
    pub fn arriving_bytes(&self, segment: WalSegment) -> Option<u64> {
        self.arriving_path(segment).metadata().ok().map(|meta| meta.len())
    }

    /// Hands a ready segment over: checked whole, then moved (or copied, if the destination is on another
    /// filesystem) under its destination's name.
    pub fn take(&self, segment: WalSegment, size_bytes: u64, destination: &Path) -> io::Result<Taken> {
        let claimed = self.folder.join(format!("{segment}.taken-{}", std::process::id()));
        match std::fs::rename(self.ready_path(segment), &claimed) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Taken::None),
            Err(error) => return Err(error),
        }
        let handed = hand_over(&claimed, segment, size_bytes, destination);
        if !matches!(handed, Ok(Taken::Delivered(_))) {
            drop(std::fs::remove_file(&claimed));
        }
        handed
    }

    /// Begins putting a segment in; it is ready only once it is finished.
    pub fn begin(&self, segment: WalSegment) -> io::Result<Incoming> {
        let path = self.arriving_path(segment);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(Incoming { file: Some(file), path, ready: self.ready_path(segment) })
    }

    /// Removes a ready segment that is not going to be asked for.
    pub fn discard(&self, segment: WalSegment) {
        drop(std::fs::remove_file(self.ready_path(segment)));
    }

    /// The segments that are ready, after removing what a killed process left half-way.
    pub fn sweep(&self) -> io::Result<Vec<WalSegment>> {
        let mut ready = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Some(segment) = name.get(..24).and_then(|name| name.parse::<WalSegment>().ok()) else {
                continue;
            };
            match &name[24..] {
                "" => ready.push(segment),
                ".part" => drop(std::fs::remove_file(entry.path())),
                rest => {
                    let owner = rest.strip_prefix(".taken-").and_then(|pid| pid.parse::<u32>().ok());
                    if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                        drop(std::fs::remove_file(entry.path()));
                    }
                }
            }
        }
        Ok(ready)
    }

    /// Takes the prefetcher's lock; nothing if another process has it. It is held until the file is dropped.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// True if a prefetcher is alive.
    pub fn is_attended(&self) -> bool {
        self.lock().is_ok_and(|lock| lock.is_none())
    }

    /// True if `lock` is still this spool's lock: false once the folder was removed or replaced.
    pub fn still_is(&self, lock: &File) -> bool {
        match (lock.metadata(), self.folder.join("lock").metadata()) {
            (Ok(held), Ok(there)) => inode(&held) == inode(&there),
            _ => false,
        }
    }

    /// Bytes of the spool's filesystem that this user may still take, and its size.
    pub fn free_bytes(&self) -> io::Result<(u64, u64)> {
        let stats = rustix::fs::statvfs(&self.folder)?;
        Ok((stats.f_bavail.saturating_mul(stats.f_frsize), stats.f_blocks.saturating_mul(stats.f_frsize)))
    }

    /// Adds a line to the request log.
    pub fn record(&self, request: &Request) -> io::Result<()> {
        let path = self.folder.join(REQUEST_LOG);
        let mut log = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        log.write_all(request.to_line().as_bytes())
    }

    /// Reads the request log from its beginning.
    pub fn requests(&self) -> LogTail {
        LogTail::whole(self.folder.join(REQUEST_LOG))
    }

    /// Reads the request log from near its end: the last few hundred requests, and what is added.
    pub fn recent_requests(&self) -> LogTail {
        LogTail::recent(self.folder.join(REQUEST_LOG))
    }
}

/// Checks the claimed file against its seal and moves the content to the destination.
fn hand_over(claimed: &Path, segment: WalSegment, size_bytes: u64, destination: &Path) -> io::Result<Taken> {
    let mut file = OpenOptions::new().read(true).write(true).open(claimed)?;
    let meta = file.metadata()?;
    if meta.len() != size_bytes + SEAL_BYTES as u64 {
        return Ok(Taken::Unsound("its size is not that of a sealed segment"));
    }
    let mut seal = [0; SEAL_BYTES];
    file.seek(SeekFrom::Start(size_bytes))?;
    file.read_exact(&mut seal)?;
    let Some((sealed, quick, from)) = Seal::from_bytes(&seal).filter(|(sealed, ..)| *sealed == segment)
    else {
        return Ok(Taken::Unsound("its seal is not readable"));
    };
    debug_assert_eq!(sealed, segment);
    file.seek(SeekFrom::Start(0))?;
    let mut temporary = None;
    if meta.dev() != folder_of(destination).metadata()?.dev() {
        temporary = Some(super::deliver::Temporary::beside(destination)?);
    }
    let found = hash_content(&mut file, size_bytes, temporary.as_mut().map(super::deliver::Temporary::file))?;
    if hex(found) != quick {
        return Ok(Taken::Unsound("its content is not what was sealed"));
    }
    if let Some(temporary) = temporary {
        temporary.publish()?;
        std::fs::remove_file(claimed)?;
    } else {
        file.set_len(size_bytes)?;
        std::fs::rename(claimed, destination)?;
    }
    Ok(Taken::Delivered(from))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Hashes the first `size_bytes`, writing them to `copy` on the way if there is one.
fn hash_content(file: &mut File, size_bytes: u64, mut copy: Option<&mut File>) -> io::Result<[u8; 16]> {
    let mut hasher = QuickHasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = size_bytes;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        file.read_exact(&mut chunk[..length])?;
        hasher.update(&chunk[..length]);
        if let Some(copy) = copy.as_mut() {
            copy.write_all(&chunk[..length])?;
        }
        left -= length as u64;
    }
    Ok(hasher.finish())
}

/// A segment being put in; dropped unfinished, nothing stays.
#[derive(Debug)]
pub struct Incoming {
    file: Option<File>,
    path: PathBuf,
    ready: PathBuf,
}

impl Incoming {
    /// The file being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the segment ready under its seal.
    pub fn finish(mut self, seal: &Seal) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let done = file.write_all(&seal.to_bytes()).and_then(|()| std::fs::rename(&self.path, &self.ready));
        if done.is_err() {
            drop(std::fs::remove_file(&self.path));
        }
        done
    }
}

impl io::Write for Incoming {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Removes spools of this stanza that nobody has used for `idle_s` seconds, all but `own`.
pub fn remove_abandoned(own: &Spool, now: Timestamp, idle_s: i64) -> io::Result<()> {
    let Some(parent) = own.folder.parent() else { return Ok(()) };
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with("pgmayday-"));
        let other = Spool { folder: entry.path() };
        if !ours || other.folder == own.folder || !entry.file_type()?.is_dir() {
            continue;
        }
        let last = other.folder.join(REQUEST_LOG).metadata().or_else(|_| entry.metadata())?.mtime();
        let Ok(Some(lock)) = other.lock() else { continue };
        if now.unix_s() - last > idle_s {
            for segment in other.sweep()? {
                other.discard(segment);
            }
            for name in [REQUEST_LOG, "lock"].map(OsString::from) {
                drop(std::fs::remove_file(other.folder.join(name)));
            }
            drop(std::fs::remove_dir(&other.folder));
        }
        drop(lock);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
