//! The state directory: where operations and incidents are kept, and how everything in it is called.
//!
//! Only names and folders; what the files hold is for those who write them. Nothing here removes anything.

use super::clock::Timestamp;
use super::error::{Report, Result};
use rustix::fs::{self, Gid, Mode, OFlags, Uid};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where it is if nothing else was said and it exists.
const SYSTEM_WIDE: &str = "/var/lib/pgmayday";

/// The state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// The state directory at `root`, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Chooses: `PGMAYDAY_STATE`, then what the configuration names, then `/var/lib/pgmayday` if it is there and can
    /// be entered, then `$XDG_STATE_HOME/pgmayday`, `~/.local/state/pgmayday`.
    ///
    /// `variable` looks a variable of the environment up.
    pub fn find(configured: Option<&Path>, variable: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Self> {
        let home = || variable("HOME").map(|home| home.join(".local/state"));
        let own = || variable("XDG_STATE_HOME").or_else(home).map(|state| state.join("pgmayday"));
        let system_wide = Path::new(SYSTEM_WIDE);
        variable("PGMAYDAY_STATE")
            .or_else(|| configured.map(Path::to_owned))
            .or_else(|| std::fs::read_dir(system_wide).is_ok().then(|| system_wide.to_owned()))
            .or_else(own)
            .filter(|root| root.is_absolute())
            .map(Self::at)
            .ok_or_else(|| {
                Report::usage("there is no place for the state of operations and incidents")
                    .hint("set PGMAYDAY_STATE to an absolute path, or `state-dir` in pgmayday.toml")
            })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all operations.
    pub fn operations(&self) -> PathBuf {
        self.root.join("ops")
    }

    /// The folder of one operation.
    pub fn operation(&self, id: &OpId) -> PathBuf {
        self.operations().join(&id.0)
    }

    /// The file that keeps what verifying a stanza in a repository came to.
    pub fn verification(&self, stanza: &str, repo: u32) -> PathBuf {
        self.root.join(format!("verify-{}-{repo}.json", stanza.replace('/', "_")))
    }

    /// The folder of all incidents.
    pub fn incidents(&self) -> PathBuf {
        self.root.join("incidents")
    }
}

/// Makes a folder of the state directory with its missing parents; only the owner and the group may look into it.
///
/// What root makes belongs to the owner of the folder it is made in, so that this account can use it and remove it.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    match (std::fs::metadata(folder), folder.parent()) {
        (Ok(meta), _) if meta.is_dir() => Ok(()),
        (Ok(_), _) => Err(io::ErrorKind::NotADirectory.into()),
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(parent)?;
            make_one(parent, folder)
        }
        (Err(error), _) => Err(error),
    }
}

fn make_one(parent: &Path, folder: &Path) -> io::Result<()> {
    let name = folder.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = fs::open(parent, flags, Mode::empty())?;
    match fs::mkdirat(&parent, name, Mode::from_raw_mode(0o750)) {
        // Another process made it meanwhile.
        Err(rustix::io::Errno::EXIST) => return Ok(()),
        made => made?,
    }
    let owner = fs::fstat(&parent)?;
    if rustix::process::geteuid().is_root() && owner.st_uid != 0 {
        let made = fs::openat(&parent, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
        fs::fchown(&made, Some(Uid::from_raw(owner.st_uid)), Some(Gid::from_raw(owner.st_gid)))?;
    }
    Ok(())
}

/// Gives a file that root made to the owner of the folder it stands in; for anybody else nothing is to be done.
pub fn give_to_owner_of_folder(file: &Path) -> io::Result<()> {
    let Some(folder) = file.parent().filter(|_| rustix::process::geteuid().is_root()) else { return Ok(()) };
    let owner = fs::stat(folder)?;
    if owner.st_uid == 0 {
        return Ok(());
    }
    std::os::unix::fs::lchown(file, Some(owner.st_uid), Some(owner.st_gid))
}

/// The name of an operation, for example `20261121T021407Z-recover-7f3a`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(String);

impl OpId {
    /// A new name for an operation of the command `command`.
    pub fn new(command: &str, now: Timestamp) -> Result<Self> {
        let mut random = [0_u8; 2];
        getrandom::fill(&mut random)
            .map_err(|error| Report::failed(format!("the system gives no random numbers: {error}")))?;
        let [a, b] = random;
        let text = format!("{}-{command}-{a:02x}{b:02x}", now.to_utc().format("%Y%m%dT%H%M%SZ"));
        text.parse()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for OpId {
    type Err = Report;

    /// Accepts only what [`OpId::new`] makes: the name becomes part of paths.
    fn from_str(text: &str) -> Result<Self> {
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
        let parts: Vec<&str> = text.split('-').collect();
        if parts.len() == 3 && text.len() <= 64 && parts.iter().all(|part| plain(part)) {
            Ok(Self(text.to_owned()))
        } else {
            let shown: String = text.chars().take(80).collect();
            Err(Report::usage(format!("'{shown}' is not the name of an operation"))
                .hint("for example 20261121T021407Z-recover-7f3a; `pgmayday attach` lists them"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_place() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
        let place = tempfile::tempdir().unwrap();
        let root = rustix::process::geteuid().is_root();
        let owner = if root { 65_534 } else { rustix::process::geteuid().as_raw() };
        if root {
            chown(place.path(), Some(owner), Some(owner)).unwrap();
        }
        let folder = place.path().join("state/ops/one");
        make_folder(&folder).unwrap();
        make_folder(&folder).unwrap();
        for made in folder.ancestors().take(3) {
            let meta = made.metadata().unwrap();
            assert_eq!(
                (meta.uid(), meta.permissions().mode() & 0o777 & !0o750),
                (owner, 0),
                "{}",
                made.display()
            );
        }
        std::fs::write(place.path().join("file"), "").unwrap();
        assert!(make_folder(&place.path().join("file/below")).is_err());
    }

    #[test]
    fn the_place_is_chosen_in_order() {
        let find = |configured: Option<&str>, variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value))
            };
            StateDir::find(configured.map(Path::new), &variable).map(|state| state.root)
        };
        assert_eq!(find(Some("/c"), &[("PGMAYDAY_STATE", "/e"), ("HOME", "/h")]).unwrap(), Path::new("/e"));
        assert_eq!(find(Some("/c"), &[("HOME", "/h")]).unwrap(), Path::new("/c"));
        assert!(find(Some("relative"), &[]).is_err());
    }

    #[test]
    fn names_of_operations_are_plain() {
        let id = OpId::new("recover", Timestamp(1_795_225_447_000_000)).unwrap();
        assert!(id.as_str().starts_with("20261121T014407Z-recover-"), "{id}");
        assert_eq!(id.as_str().parse::<OpId>().unwrap(), id);
        for text in ["", "a", "a-b", "a-b-", "../b-c", "a-b-c-d", "a-b-é", "a/x-b-c"] {
            assert!(text.parse::<OpId>().is_err(), "{text}");
        }
    }
}
