//! Who owns what is restored.
//!
//! Root gives every file to the user and group the manifest names; where this host does not know a name, to the
//! owner of the data directory. Anybody else can only own the files himself, which is said once.

use crate::base::Result;
use crate::cluster::owner::{self, Users};
use crate::repo::{Manifest, Owner};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// Users and groups of a manifest as ids of this host.
#[derive(Debug)]
pub(super) struct Owners {
    /// Nothing if files stay as created.
    ids: Option<Ids>,
    warnings: Vec<String>,
}

#[derive(Debug)]
struct Ids {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
    /// For names this host does not know.
    fallback: (u32, u32),
    /// The owner of the data directory in the backup.
    data: (u32, u32),
}

impl Owners {
    /// Looks every name of the manifest up once. The data directory must exist.
    pub(super) fn build(manifest: &Manifest, data_dir: &Path) -> Result<Self> {
        let host = Users::new();
        let (user_names, group_names) = names_of(manifest);
        if !owner::is_root() {
            let me = owner::current(&host).name;
            let others: Vec<_> = user_names.iter().filter(|name| **name != me).copied().collect();
            let warnings = if others.is_empty() {
                Vec::new()
            } else {
                vec![format!(
                    "files of {} will belong to {me}: only root can give them away",
                    others.join(", ")
                )]
            };
            return Ok(Self { ids: None, warnings });
        }
        let mut unknown = Vec::new();
        let mut look_up =
            |names: &BTreeSet<&str>, id_of: &dyn Fn(&str) -> Option<u32>| -> BTreeMap<String, u32> {
                let mut ids = BTreeMap::new();
                for name in names {
                    match id_of(name) {
                        Some(id) => drop(ids.insert((*name).to_owned(), id)),
                        None => unknown.push((*name).to_owned()),
                    }
                }
                ids
            };
        let users = look_up(&user_names, &|name| host.user_id(name));
        let groups = look_up(&group_names, &|name| host.group_id(name));
        let standing = owner::owner_of(data_dir, &host)?;
        let first = |ids: &BTreeMap<String, u32>, other: u32| ids.values().next().copied().unwrap_or(other);
        // A folder just made by root says nothing about who will run the server.
        let fallback = if standing.uid == 0 {
            (first(&users, standing.uid), first(&groups, standing.gid))
        } else {
            (standing.uid, standing.gid)
        };
        let mut warnings = Vec::new();
        if !unknown.is_empty() {
            let name = host.user_name(fallback.0).unwrap_or_else(|| fallback.0.to_string());
            warnings
                .push(format!("this host does not know {}; their files go to {name}", unknown.join(", ")));
        }
        if fallback.0 == 0 {
            warnings.push(
                "files will belong to root, as whom PostgreSQL refuses to run: chown them before the start"
                    .to_owned(),
            );
        }
        let mut ids = Ids { users, groups, fallback, data: fallback };
        if let Some(entry) = manifest.paths.iter().find(|entry| entry.name == "pg_data") {
            ids.data = ids.of(entry.user.as_deref(), entry.group.as_deref());
        }
        Ok(Self { ids: Some(ids), warnings })
    }

    /// What an operator should know.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// User and group id for an entry; nothing if it stays as created.
    pub(super) fn of(&self, user: Owner<&str>, group: Owner<&str>) -> Option<(u32, u32)> {
        self.ids.as_ref().map(|ids| ids.of(user, group))
    }

    /// Who gets what has no entry of its own (links, settings, the marker): who gets the data directory, because the
    /// server runs as him.
    pub(super) fn data(&self) -> Option<(u32, u32)> {
        self.ids.as_ref().map(|ids| ids.data)
    }
}

impl Ids {
    fn of(&self, user: Owner<&str>, group: Owner<&str>) -> (u32, u32) {
        let find = |map: &BTreeMap<String, u32>, owner: Owner<&str>| match owner {
            Owner::Named(name) => map.get(name).copied(),
            Owner::Unnamed => None,
        };
        (
            find(&self.users, user).unwrap_or(self.fallback.0),
            find(&self.groups, group).unwrap_or(self.fallback.1),
        )
    }
}

/// Gives a folder or file to its owner.
pub(super) fn give(path: &Path, to: Option<(u32, u32)>) -> io::Result<()> {
    to.map_or(Ok(()), |(user, group)| std::os::unix::fs::chown(path, Some(user), Some(group)))
}

/// Gives a symbolic link itself to its owner.
pub(super) fn give_link(path: &Path, to: Option<(u32, u32)>) -> io::Result<()> {
    to.map_or(Ok(()), |(user, group)| std::os::unix::fs::lchown(path, Some(user), Some(group)))
}

/// The distinct names of users and groups in a manifest.
fn names_of(manifest: &Manifest) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    let folders = manifest.paths.iter().map(|p| (p.user.as_deref(), p.group.as_deref()));
    for (user, group) in manifest.files.iter().map(|f| (f.user, f.group)).chain(folders) {
        users.extend(name_in(user));
        groups.extend(name_in(group));
    }
    (users, groups)
}

fn name_in(owner: Owner<&str>) -> Option<&str> {
    if let Owner::Named(name) = owner { Some(name) } else { None }
}
