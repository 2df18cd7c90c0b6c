//! Users and groups of a million files, each pair once.
//!
//! Names are asked for at the end, once per number. A number without a name stays unnamed, as in the manifest.

use super::super::error::BackupError;
use crate::cluster::owner::Users;
use crate::repo::Owner;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A pair of user and group of an [`Owners`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerId(u16);

/// The pairs of user and group of a scan, by name.
#[derive(Debug)]
pub struct Owners(Vec<(Owner<String>, Owner<String>)>);

impl Owners {
    /// User and group of a pair; the id must come from the same scan.
    pub fn get(&self, id: OwnerId) -> (Owner<&str>, Owner<&str>) {
        self.0
            .get(usize::from(id.0))
            .map_or((Owner::Unnamed, Owner::Unnamed), |(user, group)| (user.as_deref(), group.as_deref()))
    }
}

/// The pairs as numbers, collected by all threads.
#[derive(Debug, Default)]
pub(super) struct Numbers(Mutex<HashMap<(u32, u32), OwnerId>>);

/// One thread's last answer: nearly all files have one owner.
#[derive(Debug, Default)]
pub(super) struct Last(Option<((u32, u32), OwnerId)>);

impl Numbers {
    /// The id of a pair of user and group; `path` is who has it.
    pub(super) fn id(
        &self,
        pair: (u32, u32),
        last: &mut Last,
        path: &dyn Fn() -> std::path::PathBuf,
    ) -> Result<OwnerId, BackupError> {
        if let Some((known, id)) = last.0
            && known == pair
        {
            return Ok(id);
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = u16::try_from(all.len()).map(OwnerId);
        let id = match (all.get(&pair), next) {
            (Some(id), _) => *id,
            (None, Ok(next)) => *all.entry(pair).or_insert(next),
            (None, Err(_)) => return Err(too_many(&path())),
        };
        last.0 = Some((pair, id));
        Ok(id)
    }

    /// The pairs by name.
    pub(super) fn named(self) -> Owners {
        let users = Users::new();
        let named = |name: Option<String>| name.map_or(Owner::Unnamed, Owner::Named);
        let mut pairs: Vec<_> =
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect();
        pairs.sort_unstable_by_key(|(_, id)| *id);
        let pairs = pairs.into_iter();
        Owners(
            pairs
                .map(|((uid, gid), _)| (named(users.user_name(uid)), named(users.group_name(gid))))
                .collect(),
        )
    }
}

fn too_many(path: &Path) -> BackupError {
    BackupError::Owners { path: path.to_owned(), most: usize::from(u16::MAX) + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_kept_once_and_named_at_the_end() {
        let numbers = Numbers::default();
        let mut last = Last::default();
        let mut id = |pair| numbers.id(pair, &mut last, &|| "x".into()).unwrap();
        let (root, nobody, again) = (id((0, 0)), id((4_000_000_001, 0)), id((0, 0)));
        assert!(root == again && root != nobody);
        let owners = numbers.named();
        assert_eq!(owners.get(root), (Owner::Named("root"), Owner::Named("root")));
        assert_eq!(owners.get(nobody), (Owner::Unnamed, Owner::Named("root")));
    }

    #[test]
    fn one_owner_too_many_is_an_error_that_names_the_file() {
        let (numbers, mut last) = (Numbers::default(), Last::default());
        for uid in 0..=u32::from(u16::MAX) {
            numbers.id((uid, 0), &mut last, &|| "x".into()).unwrap();
        }
        let error = numbers.id((0, 1), &mut last, &|| "/the/file".into()).unwrap_err().to_string();
        assert!(error.contains("/the/file") && error.contains("65536"), "{error}");
        numbers.id((7, 0), &mut last, &|| "x".into()).unwrap();
    }
}
