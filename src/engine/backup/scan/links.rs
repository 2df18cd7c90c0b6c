//! Where links lead, and whether a restore could put them back.
//!
//! Judged by where the system really ends up, not by the links' text: two ways to one place are one place. A link
//! into the data directory, around it, or into another link's place would be backed up twice and restored into each
//! other; a link to a link would lose one of the two.

use super::super::error::{BackupError, LinkFault, TablespaceFault, shown};
use super::look::utf8;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

/// What is known of tablespaces without looking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// Oid and name.
    pub(super) tablespaces: &'a BTreeMap<u32, String>,
    /// These are all there are: the running server was asked.
    pub(super) all: bool,
}

impl Known<'_> {
    /// Oid and name of the tablespace whose link is `path`.
    pub(super) fn tablespace(&self, path: &Path, name: &[u8]) -> Result<(u32, String), BackupError> {
        let fail = |fault| BackupError::Tablespace { path: path.to_owned(), fault };
        let oid = oid(name).ok_or_else(|| fail(TablespaceFault::Name))?;
        match self.tablespaces.get(&oid) {
            Some(name) => Ok((oid, name.clone())),
            None if self.all => Err(fail(TablespaceFault::Unknown)),
            None => Ok((oid, format!("ts{oid}"))),
        }
    }
}

/// An oid as PostgreSQL names a link: plain decimal, not 0.
fn oid(name: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(name).ok().filter(|text| !text.starts_with(['0', '+']))?;
    text.parse().ok()
}

/// A link whose destination exists.
#[derive(Debug)]
pub(super) struct Followed {
    /// Where it points, as written.
    pub(super) destination: String,
    /// Where that really is.
    pub(super) place: PathBuf,
}

/// Follows the link at `path`, which stands in the folder that really is `folder` and would be `by_name` if no link
/// led there; nothing if it is gone meanwhile.
pub(super) fn follow(path: &Path, folder: &Path, by_name: &Path) -> Result<Option<Followed>, BackupError> {
    let text = match std::fs::read_link(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(BackupError::io("read the link", path))?,
    };
    let destination = utf8(text.as_os_str(), &|| path.to_owned())?.to_owned();
    let fail = |fault| BackupError::Link { link: path.to_owned(), destination: destination.clone(), fault };
    // A slash at its end would make the system follow a link there.
    let direct: PathBuf = folder.join(&text).components().collect();
    if std::fs::symlink_metadata(&direct).is_ok_and(|found| found.file_type().is_symlink()) {
        return Err(fail(LinkFault::ToLink));
    }
    let place = match std::fs::canonicalize(path) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let same = std::fs::read_link(path).is_ok_and(|still| still == text);
            return if same { Err(fail(LinkFault::Broken)) } else { Ok(None) };
        }
        Err(source) => {
            return Err(BackupError::Io { doing: "follow the link", path: path.to_owned(), source });
        }
    };
    // A restore reads a relative destination from the link's name.
    if text.is_relative()
        && folder != by_name
        && std::fs::canonicalize(lexically(&by_name.join(&text))).ok().as_ref() != Some(&place)
    {
        return Err(fail(LinkFault::Relative));
    }
    Ok(Some(Followed { destination, place }))
}

/// An absolute path with `.` and `..` resolved by its text.
fn lexically(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => drop(out.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// Every place a link leads to, so that no two meet.
#[derive(Debug)]
pub(super) struct Destinations {
    data: PathBuf,
    /// Really where, by which link, and whether it is a folder.
    places: BTreeMap<PathBuf, (PathBuf, bool)>,
}

impl Destinations {
    /// Nothing but the data directory, given by where it really is.
    pub(super) fn new(data: PathBuf) -> Self {
        Self { data, places: BTreeMap::new() }
    }

    /// Adds the destination of `link`, unless it meets another.
    pub(super) fn add(&mut self, link: &Path, to: &Followed, is_folder: bool) -> Result<(), BackupError> {
        if let Some(fault) = self.clash(&to.place, is_folder) {
            let destination = to.destination.clone();
            return Err(BackupError::Link { link: link.to_owned(), destination, fault });
        }
        self.places.insert(to.place.clone(), (link.to_owned(), is_folder));
        Ok(())
    }

    fn clash(&self, place: &Path, is_folder: bool) -> Option<LinkFault> {
        if place.starts_with(&self.data) {
            return Some(LinkFault::IntoData);
        }
        if is_folder && self.data.starts_with(place) {
            return Some(LinkFault::AroundData);
        }
        if let Some((link, _)) = self.places.get(place) {
            return Some(LinkFault::Shared(shown(link)));
        }
        // A file shares its folder with whatever it likes; only folders hold others.
        let around =
            place.ancestors().skip(1).find_map(|above| self.places.get(above).filter(|(_, folder)| *folder));
        if let Some((link, _)) = around {
            return Some(LinkFault::Inside(shown(link)));
        }
        let below = self.places.range::<Path, _>((Bound::Excluded(place), Bound::Unbounded)).next();
        below
            .filter(|(other, _)| is_folder && other.starts_with(place))
            .map(|(_, (link, _))| LinkFault::Around(shown(link)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(all: &mut Destinations, link: &str, place: &str, is_folder: bool) -> Option<LinkFault> {
        let to = Followed { destination: place.to_owned(), place: place.into() };
        match all.add(Path::new(link), &to, is_folder) {
            Ok(()) => None,
            Err(BackupError::Link { fault, .. }) => Some(fault),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn places_that_meet_are_found_in_either_order() {
        let mut all = Destinations::new("/srv/data".into());
        let by = |link: &str| link.to_owned();
        assert_eq!(add(&mut all, "a", "/srv/data", true), Some(LinkFault::IntoData));
        assert_eq!(add(&mut all, "a", "/srv/data/x", false), Some(LinkFault::IntoData));
        assert_eq!(add(&mut all, "a", "/srv", true), Some(LinkFault::AroundData));
        assert_eq!(add(&mut all, "a", "/", true), Some(LinkFault::AroundData));
        assert_eq!(add(&mut all, "a", "/srv/data2", true), None);
        assert_eq!(add(&mut all, "dir", "/ext/d", true), None);
        assert_eq!(add(&mut all, "b", "/ext/d", true), Some(LinkFault::Shared(by("dir"))));
        assert_eq!(add(&mut all, "b", "/ext/d/e/f", true), Some(LinkFault::Inside(by("dir"))));
        assert_eq!(add(&mut all, "b", "/ext/d/f", false), Some(LinkFault::Inside(by("dir"))));
        assert_eq!(add(&mut all, "b", "/ext", true), Some(LinkFault::Around(by("dir"))));
        assert_eq!(
            add(&mut all, "conf", "/ext/conf", false),
            None,
            "a file may stand beside a linked folder"
        );
        assert_eq!(add(&mut all, "hba", "/ext/hba", false), None, "and beside another file");
        assert_eq!(add(&mut all, "b", "/ext/hba", false), Some(LinkFault::Shared(by("hba"))));
        // Names that are neighbours in order, but not below.
        assert_eq!(add(&mut all, "d-", "/ext/d-", true), None);
        assert_eq!(add(&mut all, "d0", "/ext/d0/x", true), None);
        assert_eq!(add(&mut all, "b", "/ext/d0", true), Some(LinkFault::Around(by("d0"))));
    }

    #[test]
    fn tablespaces_have_oids_the_server_knows() {
        let server = BTreeMap::from([(16384, "fast".to_owned())]);
        let none = BTreeMap::new();
        let path = Path::new("/d/pg_tblspc/x");
        let online = Known { tablespaces: &server, all: true };
        let offline = Known { tablespaces: &none, all: false };
        assert_eq!(online.tablespace(path, b"16384").unwrap(), (16384, "fast".to_owned()));
        assert!(online.tablespace(path, b"16385").unwrap_err().to_string().contains("knows no tablespace"));
        assert_eq!(offline.tablespace(path, b"16385").unwrap(), (16385, "ts16385".to_owned()));
        for bad in [&b"x"[..], b"0", b"016384", b"+1", b"", b"4294967296", b"1\xFF"] {
            assert!(offline.tablespace(path, bad).unwrap_err().to_string().contains("not the number"));
        }
    }
}
