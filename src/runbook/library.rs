//! Where runbooks come from: those compiled in, and files that replace them or add to them.
//!
//! A file with a mistake takes the place of the shipped runbook all the same and is told, never passed over in
//! silence; the shipped one can still be had by name. Reads folders and files, writes nothing.

use super::finding::Place;
use super::{Finding, NodeKind, Runbook, report};
use crate::base::closest::closest;
use crate::base::{Report, Result};
use serde::Serialize;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// What is compiled in: name and text, in the order in which they are listed.
pub const SHIPPED: &[(&str, &str)] = &[
    ("postgres-dr", include_str!("../../runbooks/postgres-dr.toml")),
    ("pitr", include_str!("../../runbooks/pitr.toml")),
    ("standby-rebuild", include_str!("../../runbooks/standby-rebuild.toml")),
    ("full-site", include_str!("../../runbooks/full-site.toml")),
    ("table-recovery", include_str!("../../runbooks/table-recovery.toml")),
    ("fire-drill", include_str!("../../runbooks/fire-drill.toml")),
    ("snapshot-before-change", include_str!("../../runbooks/snapshot-before-change.toml")),
];

/// Where the folder of a site's own runbooks is, besides the state directory's.
pub const SITE_FOLDER: &str = "/etc/pgbackrest/pgmayday-runbooks";

/// The folder of runbooks in a state directory.
pub const STATE_FOLDER: &str = "runbooks";

/// More than any runbook has.
const MOST_BYTES: u64 = (1 << 20) + 1;

/// Where a runbook comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", content = "file", rename_all = "snake_case")]
pub enum Origin {
    /// It is compiled in.
    Shipped,
    /// It is a file.
    File(PathBuf),
}

/// A runbook, or the mistakes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name: that of the file.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What it is.
    pub content: Result<Runbook, Vec<Finding>>,
}

impl Volume {
    fn of(name: &str, origin: Origin, text: &str) -> Self {
        let content = Runbook::parse(text).and_then(|book| {
            if book.name == name {
                return Ok(book);
            }
            let what = format!("the runbook calls itself '{}', and the file is '{name}.toml'", book.name);
            Err(vec![Finding { place: first_place(), what, next: format!("write name = \"{name}\"") }])
        });
        Self { name: name.to_owned(), origin, content }
    }

    /// Where it is, as it is told.
    pub fn place(&self) -> String {
        match &self.origin {
            Origin::Shipped => format!("{} (shipped)", self.name),
            Origin::File(path) => path.display().to_string(),
        }
    }

    /// The runbook, or its mistakes as a failure.
    pub fn book(&self) -> Result<&Runbook> {
        self.content.as_ref().map_err(|findings| {
            let failed = report(&self.place(), findings);
            let shipped =
                SHIPPED.iter().any(|(name, _)| *name == self.name) && self.origin != Origin::Shipped;
            if shipped {
                return Report { hint: None, ..failed }.hint(format!(
                    "correct the file; until then `pgmayday runbook show {} --shipped` is there",
                    self.name
                ));
            }
            failed
        })
    }
}

fn first_place() -> Place {
    Place { line: 1, column: 1 }
}

/// All runbooks that are to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    volumes: Vec<Volume>,
    /// What is compiled in and was replaced.
    fallback: Vec<Volume>,
    /// Folders and files that could not be read.
    pub troubles: Vec<String>,
}

impl Library {
    /// What is compiled in, and nothing else.
    pub fn shipped() -> Self {
        let volumes = SHIPPED.iter().map(|(name, text)| Volume::of(name, Origin::Shipped, text));
        Self { volumes: volumes.collect(), fallback: Vec::new(), troubles: Vec::new() }
    }

    /// What is compiled in, replaced by and added to from `folders`: a later one wins. One that does not exist is empty.
    pub fn load(folders: &[PathBuf]) -> Self {
        let mut library = Self::shipped();
        for folder in folders {
            if let Err(error) = library.add_folder(folder)
                && error.kind() != ErrorKind::NotFound
            {
                library.troubles.push(format!("runbooks in {} cannot be read: {error}", folder.display()));
            }
        }
        library
    }

    /// What this host has: shipped, then the site's, then those of the state directory, each replacing the one before.
    pub fn of_host(state: Option<&Path>) -> Self {
        let state = state.map(|root| root.join(STATE_FOLDER));
        Self::load(&std::iter::once(PathBuf::from(SITE_FOLDER)).chain(state).collect::<Vec<_>>())
    }

    /// The runbook of this name; where it has a mistake, the one that is compiled in, with a sentence that says so: in an
    /// incident a file that cannot be read must not be the end.
    pub fn book_or_shipped(&self, name: &str) -> Result<(&Runbook, Option<String>)> {
        let broken = match self.book(name) {
            Ok(book) => return Ok((book, None)),
            Err(broken) => broken,
        };
        match self.fallback.iter().find(|volume| volume.name == name).map(Volume::book) {
            Some(Ok(book)) => {
                let trouble = format!("{}: the runbook this program ships is used instead", broken.headline);
                Ok((book, Some(trouble)))
            }
            _ => Err(broken),
        }
    }

    fn add_folder(&mut self, folder: &Path) -> std::io::Result<()> {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        paths.sort();
        for path in paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "toml")) {
            match read(&path) {
                Ok(volume) => self.put(volume),
                Err(report) => self.troubles.push(report.headline),
            }
        }
        Ok(())
    }

    /// Puts a runbook in the place of the one of its name, or behind the others.
    pub fn put(&mut self, volume: Volume) {
        match self.volumes.iter_mut().find(|other| other.name == volume.name) {
            Some(other) => {
                let before = std::mem::replace(other, volume);
                if before.origin == Origin::Shipped {
                    self.fallback.push(before);
                }
            }
            None => self.volumes.push(volume),
        }
    }

    /// Every runbook, the shipped ones first.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// The runbook of this name.
    pub fn find(&self, name: &str) -> Result<&Volume> {
        self.volumes.iter().find(|volume| volume.name == name).ok_or_else(|| {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            let report = Report::usage(format!("there is no runbook '{shown}'"));
            match closest(name, self.volumes.iter().map(|volume| volume.name.as_str())) {
                Some(near) => report.hint(format!("did you mean '{near}'?")),
                None => report.hint("`pgmayday runbook list` lists them"),
            }
        })
    }

    /// The runbook of this name, without a mistake.
    pub fn book(&self, name: &str) -> Result<&Runbook> {
        self.find(name)?.book()
    }

    /// The mistakes of a runbook, also those that show only beside the others.
    pub fn findings(&self, volume: &Volume) -> Vec<Finding> {
        let book = match &volume.content {
            Ok(book) => book,
            Err(findings) => return findings.clone(),
        };
        let mut findings = Vec::new();
        for node in &book.nodes {
            if let NodeKind::End(end) = &node.kind
                && let Some(next) = &end.runbook
                && *next != book.name
                && let Err(report) = self.find(next)
            {
                let what = format!("node '{}' goes on with '{next}': {}", node.id, report.headline);
                let next = report.hint.unwrap_or_default();
                findings.push(Finding { place: node.place, what, next });
            }
        }
        findings
    }
}

/// Reads one file as the runbook it is called after.
pub fn read(path: &Path) -> Result<Volume> {
    let failed = |why: &dyn std::fmt::Display| {
        Report::usage(format!("cannot read the runbook {}: {why}", path.display()))
            .hint("check the path and that this user may read it")
    };
    let name = path.file_stem().and_then(|name| name.to_str()).ok_or_else(|| failed(&"it has no name"))?;
    // A pipe or a device would keep this waiting.
    if !fs::metadata(path).map_err(|error| failed(&error))?.is_file() {
        return Err(failed(&"it is no file"));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| failed(&error))?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    let origin = Origin::File(path.to_owned());
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Volume::of(name, origin, &text),
        Err(error) => {
            let valid = String::from_utf8_lossy(
                error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default(),
            )
            .into_owned();
            let place = Place::of(&valid, valid.len());
            let what = "the file is not UTF-8 from here".to_owned();
            let next = "store it as UTF-8".to_owned();
            Volume { name: name.to_owned(), origin, content: Err(vec![Finding { place, what, next }]) }
        }
    })
}
