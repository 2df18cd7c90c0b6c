//! The mark that makes a directory a lab, and the only place that removes what is inside.
//!
//! A marker names the directory by path, device and inode: a copied or moved marker does not mark. Nothing is
//! removed through a symbolic link, outside the marked directory, or across a mount.

use super::LabError;
use crate::base::files::atomic_replace;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

/// Name of the marker file inside a lab.
pub const MARKER: &str = ".pgmayday-lab";
const SCHEMA: &str = "pgmayday.lab-marker/1";
const MARKER_MAX_BYTES: u64 = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    schema: String,
    id: String,
    path: PathBuf,
    device: u64,
    inode: u64,
    owner: u32,
}

/// A directory proven to be a lab; the permission to destroy inside it.
#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
    id: String,
}

impl Root {
    /// Marks an existing directory as a lab; whoever calls has made sure that it is new and empty.
    pub fn mark(dir: &Path) -> Result<Self, LabError> {
        let path = fs::canonicalize(dir).map_err(LabError::io("find", dir))?;
        let meta = fs::symlink_metadata(&path).map_err(LabError::io("look at", &path))?;
        let mark = Mark {
            schema: SCHEMA.to_owned(),
            id: random_id().map_err(LabError::io("make an id for", &path))?,
            path: path.clone(),
            device: meta.dev(),
            inode: meta.ino(),
            owner: meta.uid(),
        };
        let text = serde_json::to_vec_pretty(&mark).map_err(|e| damaged(&path, &e.to_string()))?;
        atomic_replace(&path.join(MARKER), &text, 0o600)
            .map_err(LabError::io("write the marker of", &path))?;
        Ok(Self { path, id: mark.id })
    }

    /// Proves that `dir` is a lab: a real directory, its marker readable and about exactly this directory.
    pub fn open(dir: &Path) -> Result<Self, LabError> {
        let no = |why: String| LabError::NotALab { dir: dir.to_owned(), why };
        let meta = fs::symlink_metadata(dir).map_err(|e| no(e.to_string()))?;
        if meta.file_type().is_symlink() {
            return Err(no("it is a symbolic link; give the directory itself".to_owned()));
        }
        let path = fs::canonicalize(dir).map_err(|e| no(e.to_string()))?;
        let mark = read_mark(&path).map_err(no)?;
        if mark.path != path {
            return Err(no(format!("its marker belongs to {}", mark.path.display())));
        }
        if (mark.device, mark.inode) != (meta.dev(), meta.ino()) {
            return Err(no("its marker was made for another directory of this name".to_owned()));
        }
        if mark.owner != meta.uid() {
            return Err(no(format!(
                "the marker says owner {}, the directory has {}",
                mark.owner,
                meta.uid()
            )));
        }
        Ok(Self { path, id: mark.id })
    }

    /// The directory, canonical.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The random id of this lab.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Checks that `path` lies inside, reached without any symbolic link and on the same filesystem.
    ///
    /// The last component may be missing; what stands before it must exist.
    pub fn inside(&self, path: &Path) -> Result<(), LabError> {
        let out = |why: &str| LabError::Outside { path: path.to_owned(), why: why.to_owned() };
        let rest = path.strip_prefix(&self.path).map_err(|_| out("it is not below the lab's directory"))?;
        if rest.as_os_str().is_empty() {
            return Err(out("it is the lab's directory itself"));
        }
        if rest.components().any(|c| !matches!(c, Component::Normal(_))) {
            return Err(out("it has '..' in it"));
        }
        let device = fs::symlink_metadata(&self.path).map_err(LabError::io("look at", &self.path))?.dev();
        let mut at = self.path.clone();
        let mut parts = rest.components().peekable();
        while let Some(part) = parts.next() {
            at.push(part);
            match fs::symlink_metadata(&at) {
                Ok(meta) if meta.file_type().is_symlink() && parts.peek().is_some() => {
                    return Err(out("a symbolic link leads there"));
                }
                Ok(meta) if meta.dev() != device => return Err(out("it is on another filesystem")),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && parts.peek().is_none() => {}
                Err(e) => return Err(LabError::io("look at", &at)(e)),
            }
        }
        Ok(())
    }

    /// Removes a file or tree inside, after proving the marker again; nothing there is success.
    #[expect(clippy::disallowed_methods, reason = "the guarded home of removing inside a lab")]
    pub fn remove(&self, path: &Path) -> Result<(), LabError> {
        self.prove_again()?;
        self.inside(path)?;
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(LabError::io("look at", path)(e)),
        };
        if meta.is_dir() {
            refuse_mounts_below(path, meta.dev())?;
            fs::remove_dir_all(path).map_err(LabError::io("remove", path))
        } else {
            fs::remove_file(path).map_err(LabError::io("remove", path))
        }
    }

    /// Removes everything inside, the marker last, so that a killed removal can be run again; the directory
    /// itself goes too where its parent allows it.
    pub fn remove_everything(self) -> Result<(), LabError> {
        for entry in fs::read_dir(&self.path).map_err(LabError::io("list", &self.path))? {
            let entry = entry.map_err(LabError::io("list", &self.path))?;
            if entry.file_name() != MARKER {
                self.remove(&entry.path())?;
            }
        }
        let marker = self.path.join(MARKER);
        fs::remove_file(&marker).map_err(LabError::io("remove", &marker))?;
        match fs::remove_dir(&self.path) {
            // The parent may belong to somebody else; the empty directory is then left to who made it.
            Err(e) if e.kind() != std::io::ErrorKind::PermissionDenied => {
                Err(LabError::io("remove", &self.path)(e))
            }
            _ => Ok(()),
        }
    }

    fn prove_again(&self) -> Result<(), LabError> {
        let now = Self::open(&self.path)?;
        if now.id == self.id {
            Ok(())
        } else {
            Err(LabError::NotALab { dir: self.path.clone(), why: "its marker was replaced".to_owned() })
        }
    }
}

fn read_mark(dir: &Path) -> Result<Mark, String> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(dir.join(MARKER));
    let file = file.map_err(|e| format!("no marker file {MARKER} ({e})"))?;
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err(format!("{MARKER} is not a plain file"));
    }
    let mut text = String::new();
    let read = file.take(MARKER_MAX_BYTES).read_to_string(&mut text);
    read.map_err(|e| format!("its marker cannot be read ({e})"))?;
    let mark: Mark = serde_json::from_str(&text).map_err(|e| format!("its marker does not read ({e})"))?;
    let plain = mark.id.len() == 32 && mark.id.bytes().all(|b| b.is_ascii_hexdigit());
    if mark.schema != SCHEMA || !plain {
        return Err("its marker is not one that `lab up` writes".to_owned());
    }
    Ok(mark)
}

fn refuse_mounts_below(dir: &Path, device: u64) -> Result<(), LabError> {
    for entry in fs::read_dir(dir).map_err(LabError::io("list", dir))? {
        let path = entry.map_err(LabError::io("list", dir))?.path();
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.dev() != device {
            return Err(LabError::Outside { path, why: "it is on another filesystem".to_owned() });
        }
        if meta.is_dir() {
            refuse_mounts_below(&path, device)?;
        }
    }
    Ok(())
}

fn damaged(path: &Path, why: &str) -> LabError {
    LabError::Damaged { path: path.to_owned(), why: why.to_owned() }
}

/// 128 random bits as 32 lower-case hex digits.
pub fn random_id() -> std::io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn lab() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lab")).unwrap();
        let root = Root::mark(&dir.path().join("lab")).unwrap();
        (dir, root)
    }

    #[test]
    fn a_marked_directory_opens_and_goes_away_whole() {
        let (dir, root) = lab();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/c"), b"x").unwrap();
        assert_eq!(Root::open(root.path()).unwrap().id(), root.id());
        root.remove_everything().unwrap();
        assert!(!dir.path().join("lab").exists());
    }

    #[test]
    fn moved_copied_forged_and_linked_labs_are_refused() {
        let (dir, root) = lab();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("copy")).unwrap();
        fs::copy(root.path().join(MARKER), at("copy").join(MARKER)).unwrap();
        fs::create_dir(at("forged")).unwrap();
        fs::write(at("forged").join(MARKER), "{}").unwrap();
        fs::create_dir(at("unmarked")).unwrap();
        symlink(at("lab"), at("link")).unwrap();
        for name in ["copy", "forged", "unmarked", "link", "absent"] {
            assert!(matches!(Root::open(&at(name)), Err(LabError::NotALab { .. })), "{name}");
        }
        fs::rename(at("lab"), at("moved")).unwrap();
        assert!(Root::open(&at("moved")).is_err());
        // A directory made anew under the old name does not become the lab either.
        fs::create_dir(at("lab")).unwrap();
        fs::copy(at("moved").join(MARKER), at("lab").join(MARKER)).unwrap();
        assert!(Root::open(&at("lab")).is_err());
        assert!(root.remove(&at("lab").join("x")).is_err());
    }

    #[test]
    fn nothing_is_removed_through_a_link_or_outside() {
        let (dir, root) = lab();
        let outside = dir.path().join("precious");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), b"x").unwrap();
        symlink(&outside, root.path().join("door")).unwrap();
        for path in [
            root.path().join("door/file"),
            root.path().join("../precious"),
            root.path().to_owned(),
            outside.clone(),
            PathBuf::from("/"),
        ] {
            assert!(matches!(root.remove(&path), Err(LabError::Outside { .. })), "{}", path.display());
        }
        root.remove(&root.path().join("door")).unwrap();
        assert!(outside.join("file").exists() && !root.path().join("door").exists());
    }
}
