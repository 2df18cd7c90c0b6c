//! Where each entry of a manifest goes on this host: data directory, tablespaces, links, all maps applied.
//!
//! Pure: looks at no filesystem. Every destination is absolute, free of `..`, and disjoint from every other, so
//! that no manifest can make a restore write outside the places the plan shows.

use crate::base::{Kind, Report, Result};
use crate::repo::{Manifest, Target};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The operator's maps: `--tablespace-map`, `--tablespace-map-all`, `--link-map`, `--link-all`.
#[derive(Debug, Clone, Default)]
pub struct Maps {
    /// Tablespace name or oid → folder.
    pub tablespaces: Vec<(String, String)>,
    /// Folder that gets one folder per tablespace, by name.
    pub tablespaces_all: Option<String>,
    /// Path below the data directory → destination.
    pub links: Vec<(String, String)>,
    /// Restore every link as a link.
    pub link_all: bool,
}

/// What a root is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootKind {
    /// The data directory.
    Data,
    /// A tablespace: its oid and name.
    Tablespace(u32, String),
    /// A linked folder.
    Folder,
    /// A linked file; the path is the file's own.
    File,
}

/// One place on this host that receives a part of the backup.
#[derive(Debug, Clone)]
pub struct Root {
    /// The part of the manifest: names equal to it or below it.
    pub prefix: String,
    /// Where that part goes.
    pub path: PathBuf,
    /// What it is.
    pub kind: RootKind,
}

/// A symbolic link to make.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its name in the manifest.
    pub name: String,
    /// Where it stands.
    pub path: PathBuf,
    /// Its text.
    pub destination: String,
}

/// The whole mapping.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Longest prefix first, so that the first match is the right one.
    roots: Vec<Root>,
    links: Vec<Link>,
    warnings: Vec<String>,
}

impl Layout {
    /// Applies the maps to a manifest's targets; `data_dir` replaces the path of the backup.
    pub fn build(manifest: &Manifest, data_dir: &Path, maps: &Maps) -> Result<Self> {
        let data_dir = absolute(data_dir, Path::new("/")).ok_or_else(|| bad_path("pg1-path", data_dir))?;
        let mut layout = Self {
            roots: vec![Root { prefix: "pg_data".to_owned(), path: data_dir.clone(), kind: RootKind::Data }],
            links: Vec::new(),
            warnings: Vec::new(),
        };
        let chosen = TablespaceMap::new(manifest, maps)?;
        let mut link_map: BTreeMap<&str, &str> =
            maps.links.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        for target in manifest.targets.iter().filter(|t| t.link) {
            if let Some((oid, name)) = &target.tablespace {
                layout.add_tablespace(&data_dir, target, *oid, name, &chosen)?;
            } else {
                let below = target.name.strip_prefix("pg_data/").unwrap_or(&target.name);
                let mapped = link_map.remove(below);
                layout.add_known_link(&data_dir, target, mapped, maps.link_all)?;
            }
        }
        for (below, destination) in link_map {
            layout.add_new_link(manifest, &data_dir, below, destination)?;
        }
        layout.roots.sort_by_key(|root| std::cmp::Reverse(root.prefix.len()));
        layout.check_disjoint(&Path::to_path_buf)?;
        Ok(layout)
    }

    /// The places that receive data, the data directory among them.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The symbolic links to make.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// What an operator should know about the mapping.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        self.roots.iter().find(|r| r.kind == RootKind::Data).map_or(Path::new("/"), |r| &r.path)
    }

    /// The place a manifest name belongs to.
    pub fn root_of(&self, name: &str) -> Option<&Root> {
        self.roots.iter().find(|root| below(name, &root.prefix).is_some())
    }

    /// Where a manifest name goes; nothing if it belongs to no root (the manifest reader refuses such names, except
    /// the dummy entries `pg_tblspc` and `pg_tblspc/<oid>` without a target).
    pub fn path_of(&self, name: &str) -> Option<PathBuf> {
        let root = self.root_of(name)?;
        let rest = below(name, &root.prefix)?;
        Some(if rest.is_empty() { root.path.clone() } else { root.path.join(rest) })
    }

    fn add_tablespace(
        &mut self,
        data_dir: &Path,
        target: &Target,
        oid: u32,
        name: &str,
        map: &TablespaceMap<'_>,
    ) -> Result<()> {
        let wanted = map.path_for(oid, name).unwrap_or_else(|| target.path.clone());
        let path = absolute(Path::new(&wanted), Path::new("/"))
            .filter(|_| wanted.starts_with('/'))
            .ok_or_else(|| bad_path(&format!("tablespace {name} ({oid})"), Path::new(&wanted)))?;
        self.links.push(Link {
            name: format!("pg_data/pg_tblspc/{oid}"),
            path: data_dir.join("pg_tblspc").join(oid.to_string()),
            destination: path.to_string_lossy().into_owned(),
        });
        self.roots.push(Root {
            prefix: format!("pg_tblspc/{oid}"),
            path,
            kind: RootKind::Tablespace(oid, name.to_owned()),
        });
        Ok(())
    }

    fn add_known_link(
        &mut self,
        data_dir: &Path,
        target: &Target,
        mapped: Option<&str>,
        link_all: bool,
    ) -> Result<()> {
        let recorded = match &target.file {
            Some(file) => format!("{}/{file}", target.path),
            None => target.path.clone(),
        };
        if mapped.is_none() && !link_all {
            self.warnings.push(format!(
                "{} was a link to {recorded}; it is restored as a plain {} (use --link-all or --link-map to keep the link)",
                target.name,
                if target.file.is_some() { "file" } else { "folder" }
            ));
            return Ok(());
        }
        let kind = if target.file.is_some() { RootKind::File } else { RootKind::Folder };
        self.add_link(data_dir, &target.name, mapped.unwrap_or(&recorded), kind)
    }

    fn add_new_link(
        &mut self,
        manifest: &Manifest,
        data_dir: &Path,
        below: &str,
        destination: &str,
    ) -> Result<()> {
        let name = format!("pg_data/{below}");
        let kind = if manifest.paths.iter().any(|p| p.name == name) {
            RootKind::Folder
        } else if (0..manifest.files.len()).any(|i| manifest.files.get(i).name == name) {
            RootKind::File
        } else {
            return Err(Report::usage(format!(
                "--link-map={below}={destination}: the backup has no {below}"
            ))
            .hint("name a folder or file of the backup, relative to the data directory"));
        };
        self.add_link(data_dir, &name, destination, kind)
    }

    fn add_link(&mut self, data_dir: &Path, name: &str, destination: &str, kind: RootKind) -> Result<()> {
        let below = name.strip_prefix("pg_data/").ok_or_else(|| bad_path(name, Path::new(destination)))?;
        let path = data_dir.join(below);
        let base = path.parent().unwrap_or(data_dir);
        let resolved =
            absolute(Path::new(destination), base).ok_or_else(|| bad_path(name, Path::new(destination)))?;
        self.links.push(Link { name: name.to_owned(), path, destination: destination.to_owned() });
        self.roots.push(Root { prefix: name.to_owned(), path: resolved, kind });
        Ok(())
    }

    /// Two roots in one place, or one inside another, would overwrite each other; only a link's own entry may lie in
    /// the data directory. `place` tells where a path really leads.
    pub(super) fn check_disjoint(&self, place: &dyn Fn(&Path) -> PathBuf) -> Result<()> {
        let places: Vec<PathBuf> = self.roots.iter().map(|root| place(&root.path)).collect();
        for (i, a) in self.roots.iter().enumerate() {
            for (j, b) in self.roots.iter().enumerate().skip(i + 1) {
                let nested = |inner: usize, outer: usize| {
                    places[inner].starts_with(&places[outer]) && self.roots[outer].kind != RootKind::File
                };
                let both_files = a.kind == RootKind::File && b.kind == RootKind::File;
                if places[i] == places[j] || (!both_files && (nested(i, j) || nested(j, i))) {
                    return Err(Report::new(
                        Kind::Refused(None),
                        format!(
                            "{} ({}) and {} ({}) would be restored into each other",
                            a.prefix,
                            a.path.display(),
                            b.prefix,
                            b.path.display()
                        ),
                    )
                    .hint("give each its own place with --pg1-path, --tablespace-map or --link-map"));
                }
            }
        }
        Ok(())
    }
}

/// `name` below `prefix`: the rest without a leading slash; empty if they are equal.
fn below<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(prefix)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// The tablespaces' places as the operator wants them.
struct TablespaceMap<'a> {
    by_key: BTreeMap<&'a str, &'a str>,
    all: Option<&'a str>,
}

impl<'a> TablespaceMap<'a> {
    fn new(manifest: &Manifest, maps: &'a Maps) -> Result<Self> {
        let by_key: BTreeMap<_, _> = maps.tablespaces.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let known = |key: &str| {
            manifest
                .targets
                .iter()
                .filter_map(|t| t.tablespace.as_ref())
                .any(|(oid, name)| name == key || oid.to_string() == key)
        };
        for key in by_key.keys() {
            if !known(key) {
                return Err(Report::usage(format!("--tablespace-map={key}=…: this backup has no tablespace named {key} and none with that oid"))
                    .hint("`pgmayday info --set=LABEL` lists the backup's tablespaces"));
            }
        }
        for (oid, name) in manifest.targets.iter().filter_map(|t| t.tablespace.as_ref()) {
            let (a, b) = (by_key.get(name.as_str()), by_key.get(oid.to_string().as_str()));
            if let (Some(a), Some(b)) = (a, b)
                && a != b
            {
                return Err(Report::usage(format!(
                    "tablespace {name} is mapped to {a} by name and to {b} by its oid {oid}"
                )));
            }
        }
        Ok(Self { by_key, all: maps.tablespaces_all.as_deref() })
    }

    fn path_for(&self, oid: u32, name: &str) -> Option<String> {
        let mapped = self.by_key.get(name).or_else(|| self.by_key.get(oid.to_string().as_str()));
        mapped
            .map(|p| (*p).to_owned())
            .or_else(|| self.all.map(|all| format!("{}/{name}", all.trim_end_matches('/'))))
    }
}

/// `path`, taken from `base` if relative, with `.` and `..` resolved by their text; nothing if that leaves the root or
/// ends there.
fn absolute(path: &Path, base: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::from("/");
    for part in base.join(path).components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::Prefix(_) => return None,
        }
    }
    (out != Path::new("/")).then_some(out)
}

fn bad_path(what: &str, path: &Path) -> Report {
    Report::new(
        Kind::Refused(None),
        format!("{what} would be restored to '{}', which is not a usable absolute path", path.display()),
    )
    .hint("give it a place with --pg1-path, --tablespace-map or --link-map")
}
