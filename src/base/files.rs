//! Writing files so that a crash leaves the old content or the new, never a mixture.
//!
//! Never follows what it did not create, never removes a tree.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What the name of a file being replaced ends with while its new content is written.
pub const TEMPORARY_SUFFIX: &str = ".pgmayday.tmp";

/// Replaces `path` by `content` atomically and durably: temporary file, fsync, rename, fsync of the folder.
pub fn atomic_replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary_beside(path);
    // What stands under that name is a leftover, or a link somebody laid there to have another file overwritten.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    drop(file);
    if let Err(error) = written.and_then(|()| std::fs::rename(&temporary, path)) {
        drop(std::fs::remove_file(&temporary));
        return Err(error);
    }
    sync_folder_of(path)
}

/// The name of the temporary file used for replacing `path`.
pub fn temporary_beside(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    name.into()
}

/// Makes the entry `path` durable by syncing the folder it stands in.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Syncs a folder's own entries.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Opens a small file in a folder that strangers may write to; made with mode 0640 if `flags` say so.
///
/// No link is followed, nobody at the other end of a pipe is waited for, and a file that has a second name is refused:
/// what is written to it would be written to somebody else's file.
pub fn open_plain(path: &Path, flags: OFlags) -> io::Result<File> {
    let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags | safe, Mode::from_raw_mode(0o640)) {
        Err(Errno::LOOP) => return Err(io::Error::other("it is a symbolic link, which is not followed")),
        file => File::from(file?),
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    if meta.nlink() > 1 {
        return Err(io::Error::other("it has a second name, so that it may be another file of somebody"));
    }
    Ok(file)
}

/// Opens a folder as a handle that other calls can be made relative to; refuses a symbolic link.
pub fn open_folder(folder: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(folder, flags, Mode::empty())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_content_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        atomic_replace(&path, b"one", 0o600).unwrap();
        atomic_replace(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_under_the_temporary_name_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("state"), dir.path().join("other"));
        std::fs::write(&other, b"mine").unwrap();
        std::os::unix::fs::symlink(&other, temporary_beside(&path)).unwrap();
        atomic_replace(&path, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"mine");
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }
}
