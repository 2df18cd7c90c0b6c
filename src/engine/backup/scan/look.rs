//! One thread's look at a folder: listed once, each entry asked for once.
//!
//! Folders are opened by where they really are and without following links; a link is followed on purpose only. An
//! entry that is gone when it is looked at was never there.

use super::super::error::{BackupError, LinkFault, TablespaceFault, shown};
use super::links::{self, Followed};
use super::names::Names;
use super::owners::{Last, OwnerId};
use super::rules::{self, DATA, Place, TABLESPACES};
use super::walk::{Folder, Found, FoundLink, FoundPath, Walk};
use super::{ScanFile, real_path};
use crate::base::files;
use crate::repo::Target;
use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags, statx};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

/// How much of a folder's listing the kernel gives at once.
const LISTING_BYTES: usize = 64 << 10;
/// How many entries are looked at between two looks at whether to stop.
const ENTRIES_PER_CHECK: usize = 256;
/// The longest name a manifest may hold, in bytes.
const LONGEST_NAME: usize = 4095;
/// What of a mode a manifest holds: permission bits, without set-id and sticky bits.
const PERMISSIONS: u16 = 0o777;
/// How often a tablespace without its folder is looked at again before it counts as broken, and how long apart.
const DROP_TRIES: u32 = 4;
const DROP_PAUSE: Duration = Duration::from_millis(50);
/// What is asked of an entry.
const WANTED: StatxFlags = StatxFlags::TYPE
    .union(StatxFlags::MODE)
    .union(StatxFlags::UID)
    .union(StatxFlags::GID)
    .union(StatxFlags::SIZE)
    .union(StatxFlags::MTIME);

/// One thread's tools and what it found.
pub(super) struct Worker<'w, 'a> {
    walk: &'w Walk<'a>,
    /// What it found.
    pub(super) found: Found,
    /// Folders it found and nobody has listed yet.
    pub(super) folders: Vec<Folder>,
    owner: Last,
    buffer: Vec<MaybeUninit<u8>>,
}

/// The folder being looked at.
struct Listing<'l> {
    folder: &'l Folder,
    place: Place,
    /// Relations that have an initialisation fork: nothing else of them is kept.
    unlogged: HashSet<&'l [u8]>,
    files: Vec<ScanFile>,
}

impl<'w, 'a> Worker<'w, 'a> {
    pub(super) fn new(walk: &'w Walk<'a>) -> Self {
        let buffer = vec![MaybeUninit::uninit(); LISTING_BYTES];
        Self { walk, found: Found::default(), folders: Vec::new(), owner: Last::default(), buffer }
    }

    /// Looks at the data directory itself.
    pub(super) fn root(&mut self, path: &Path) -> Result<(), BackupError> {
        let seen = statx(CWD, path, AtFlags::empty(), WANTED)
            .map_err(|error| BackupError::io("look at", path)(error.into()))?;
        self.add_path(DATA.to_owned(), path, &seen)?;
        self.folders.push(Folder { name: DATA.to_owned(), path: path.to_owned() });
        Ok(())
    }

    /// Lists one folder and looks at what is in it.
    pub(super) fn list(&mut self, folder: &Folder) -> Result<(), BackupError> {
        let handle = match files::open_folder(&folder.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            handle => handle.map_err(BackupError::io("open", &folder.path))?,
        };
        let names = Names::read(&handle, &mut self.buffer).map_err(BackupError::io("list", &folder.path))?;
        let place = self.walk.rules.place(&folder.name);
        let mut unlogged = HashSet::new();
        if place == Place::Database {
            let forks = names.iter().filter(|(_, kind)| *kind != FileType::Directory);
            let forks = forks.map(|(name, _)| name.to_bytes());
            let forks = forks.filter(|name| !self.walk.rules.leaves_out(&folder.name, name));
            unlogged.extend(forks.filter_map(rules::unlogged_relation));
        }
        let mut listing = Listing { folder, place, unlogged, files: Vec::new() };
        for (number, (name, kind)) in names.iter().enumerate() {
            if number % ENTRIES_PER_CHECK == 0 && self.walk.cancel.requested() {
                return Err(BackupError::Cancelled);
            }
            let left_out = self.walk.rules.leaves_out(&folder.name, name.to_bytes());
            if left_out || kind == FileType::RegularFile && !self.keeps(&listing, name.to_bytes()) {
                continue;
            }
            match statx(&handle, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, WANTED) {
                Ok(seen) => self.entry(&mut listing, name, &seen)?,
                Err(Errno::NOENT) => {}
                Err(error) => return Err(BackupError::io("look at", &listing.path(name))(error.into())),
            }
        }
        if !listing.files.is_empty() {
            listing.files.shrink_to_fit();
            self.found.batches.push(listing.files);
        }
        Ok(())
    }

    /// True for a file that belongs to the backup.
    fn keeps(&self, listing: &Listing<'_>, name: &[u8]) -> bool {
        let unlogged =
            || rules::relation_of(name).is_some_and(|relation| listing.unlogged.contains(relation));
        !self.walk.rules.leaves_out_file(listing.place, name) && (listing.unlogged.is_empty() || !unlogged())
    }

    fn entry(&mut self, listing: &mut Listing<'_>, name: &CStr, seen: &Statx) -> Result<(), BackupError> {
        match kind_of(seen) {
            FileType::Directory | FileType::RegularFile if listing.place == Place::Tablespaces => {
                let fault = TablespaceFault::NotALink;
                Err(BackupError::Tablespace { path: listing.path(name), fault })
            }
            FileType::Symlink => self.link(listing, name, seen),
            _ => self.thing(listing, name, seen, &|| listing.folder.path.join(os(name))),
        }
    }

    /// Takes in a folder, file or special file, which is really at `path`.
    fn thing(
        &mut self,
        listing: &mut Listing<'_>,
        name: &CStr,
        seen: &Statx,
        path: &dyn Fn() -> PathBuf,
    ) -> Result<(), BackupError> {
        let bytes = name.to_bytes();
        match kind_of(seen) {
            FileType::Directory => {
                let full = listing.full_name(name)?;
                let path = path();
                self.add_path(full.clone(), &path, seen)?;
                if !self.walk.rules.leaves_out_content(listing.place, bytes, &full) {
                    self.folders.push(Folder { name: full, path });
                }
            }
            FileType::RegularFile if self.keeps(listing, bytes) => {
                let folder = &listing.folder.name;
                listing.files.push(ScanFile {
                    name: listing.full_name(name)?.into_boxed_str(),
                    size_bytes: seen.stx_size,
                    modified_s: seen.stx_mtime.tv_sec,
                    mode: mode_of(seen),
                    owner: self.owner(seen, path)?,
                    page_checked: listing.place == Place::Database && rules::is_paged(folder, bytes),
                    relation_like: rules::is_replayed(folder, bytes),
                });
            }
            FileType::RegularFile => {}
            kind => self.found.warnings.push(format!(
                "{} is a {} and cannot be backed up: it is left out",
                shown(&listing.path(name)),
                special(kind)
            )),
        }
        Ok(())
    }

    /// Takes in a link and what it leads to.
    fn link(&mut self, listing: &mut Listing<'_>, name: &CStr, seen: &Statx) -> Result<(), BackupError> {
        let path = listing.path(name);
        let full = listing.full_name(name)?;
        let by_name = real_path(&self.walk.root, &listing.folder.name);
        let Some(to) = links::follow(&path, &listing.folder.path, &by_name)? else { return Ok(()) };
        if !full.starts_with(DATA) {
            let fault = LinkFault::InTablespace;
            return Err(BackupError::Link { link: path, destination: to.destination, fault });
        }
        if listing.place == Place::Tablespaces {
            return self.tablespace(&path, full, to, name.to_bytes(), seen);
        }
        let Some(there) = there(&to.place)? else { return Ok(()) };
        let is_folder = kind_of(&there) == FileType::Directory;
        self.add_destination(&path, &to, is_folder)?;
        let (folder, file) = if is_folder { (&*to.destination, None) } else { split(&to.destination) };
        let (folder, file) = (folder.to_owned(), file.map(str::to_owned));
        self.found.targets.push(Target {
            name: full.clone(),
            path: folder,
            file,
            link: true,
            tablespace: None,
        });
        self.add_link(full, to.destination, &path, seen)?;
        self.thing(listing, name, &there, &|| to.place.clone())
    }

    /// Takes in a tablespace's link; of its location only this cluster's own folder counts.
    fn tablespace(
        &mut self,
        path: &Path,
        full: String,
        to: Followed,
        name: &[u8],
        seen: &Statx,
    ) -> Result<(), BackupError> {
        let (oid, tablespace) = self.walk.known.tablespace(path, name)?;
        let own = &self.walk.rules.tablespace_folder;
        let Some(home) = home(path, &to.place.join(own))? else { return Ok(()) };
        let Some(there) = there(&home)? else { return Ok(()) };
        if kind_of(&there) != FileType::Directory {
            return Err(no_folder(path, own));
        }
        self.add_destination(path, &to, true)?;
        let target = format!("{TABLESPACES}/{oid}");
        let folder = format!("{target}/{own}");
        self.add_path(folder.clone(), &home, &there)?;
        self.folders.push(Folder { name: folder, path: home });
        self.found.targets.push(Target {
            name: target,
            path: to.destination.clone(),
            file: None,
            link: true,
            tablespace: Some((oid, tablespace)),
        });
        self.add_link(full, to.destination, path, seen)
    }

    fn add_destination(&self, link: &Path, to: &Followed, is_folder: bool) -> Result<(), BackupError> {
        let destinations = self.walk.destinations.lock();
        destinations.unwrap_or_else(PoisonError::into_inner).add(link, to, is_folder)
    }

    fn add_link(
        &mut self,
        name: String,
        destination: String,
        path: &Path,
        seen: &Statx,
    ) -> Result<(), BackupError> {
        let owner = self.owner(seen, &|| path.to_owned())?;
        self.found.links.push(FoundLink { name, destination, owner });
        Ok(())
    }

    fn add_path(&mut self, name: String, path: &Path, seen: &Statx) -> Result<(), BackupError> {
        let owner = self.owner(seen, &|| path.to_owned())?;
        self.found.paths.push(FoundPath { name, mode: mode_of(seen), owner });
        Ok(())
    }

    fn owner(&mut self, seen: &Statx, path: &dyn Fn() -> PathBuf) -> Result<OwnerId, BackupError> {
        self.walk.numbers.id((seen.stx_uid, seen.stx_gid), &mut self.owner, path)
    }
}

impl Listing<'_> {
    fn path(&self, name: &CStr) -> PathBuf {
        self.folder.path.join(os(name))
    }

    /// The manifest name of an entry, if a manifest can hold it.
    fn full_name(&self, name: &CStr) -> Result<String, BackupError> {
        let fail = |why| BackupError::Name { path: self.path(name), why };
        let text = utf8(os(name), &|| self.path(name))?;
        if text.contains('\n') {
            return Err(fail("its name holds a line break, which no manifest can"));
        }
        let folder = &self.folder.name;
        let mut full = String::with_capacity(folder.len() + 1 + text.len());
        full.push_str(folder);
        full.push('/');
        full.push_str(text);
        if full.len() > LONGEST_NAME {
            return Err(fail("its path is longer than a manifest can hold"));
        }
        Ok(full)
    }
}

/// Text of the disk as a manifest can hold it.
pub(super) fn utf8<'t>(text: &'t OsStr, path: &dyn Fn() -> PathBuf) -> Result<&'t str, BackupError> {
    let why = "its name or destination is not UTF-8, and a manifest holds nothing else";
    text.to_str().ok_or_else(|| BackupError::Name { path: path(), why })
}

/// Where a tablespace's own folder really is; nothing if the tablespace, whose link is `link`, is gone meanwhile.
fn home(link: &Path, folder: &Path) -> Result<Option<PathBuf>, BackupError> {
    let mut tries = 0;
    loop {
        match std::fs::canonicalize(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            home => return home.map(Some).map_err(BackupError::io("look at", folder)),
        }
        if link.symlink_metadata().is_err() {
            return Ok(None);
        }
        // A tablespace is dropped in two steps, the link last.
        if tries == DROP_TRIES {
            let own = folder.file_name().map(|own| own.to_string_lossy().into_owned()).unwrap_or_default();
            return Err(no_folder(link, &own));
        }
        tries += 1;
        std::thread::sleep(DROP_PAUSE);
    }
}

fn no_folder(link: &Path, own: &str) -> BackupError {
    BackupError::Tablespace { path: link.to_owned(), fault: TablespaceFault::NoFolder(own.to_owned()) }
}

/// What is at the end of a link; nothing if it is gone meanwhile.
fn there(place: &Path) -> Result<Option<Statx>, BackupError> {
    match statx(CWD, place, AtFlags::empty(), WANTED) {
        Err(Errno::NOENT) => Ok(None),
        seen => seen.map(Some).map_err(|error| BackupError::io("look at", place)(error.into())),
    }
}

/// Folder and file of a destination, by its text.
fn split(destination: &str) -> (&str, Option<&str>) {
    match destination.rsplit_once('/') {
        Some(("", file)) => ("/", Some(file)),
        Some((folder, file)) => (folder, Some(file)),
        None => ("", Some(destination)),
    }
}

fn kind_of(seen: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(seen.stx_mode))
}

fn mode_of(seen: &Statx) -> u32 {
    u32::from(seen.stx_mode & PERMISSIONS)
}

fn special(kind: FileType) -> &'static str {
    match kind {
        FileType::Socket => "socket",
        FileType::Fifo => "named pipe",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "special file",
    }
}

fn os(name: &CStr) -> &OsStr {
    OsStr::from_bytes(name.to_bytes())
}
