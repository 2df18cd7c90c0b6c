//! Which backups the catalog shows, and in which order: the tree of full, diff and incr, or a list by one column.
//!
//! Pure; worked out when the catalog, the filter or the order changes, never while drawing.

use crate::model::catalog::{BackupRow, CatalogView};
use std::cmp::Reverse;
use std::collections::HashMap;

/// The order of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Per repository, the newest full first, below it what was made against it, the newest first.
    #[default]
    Tree,
    /// The newest first.
    Stop,
    /// The longest first.
    Took,
    /// The largest first.
    Size,
    /// What takes the most room first.
    Stored,
}

impl Sort {
    /// The next one.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Tree => Self::Stop,
            Self::Stop => Self::Took,
            Self::Took => Self::Size,
            Self::Size => Self::Stored,
            Self::Stored => Self::Tree,
        }
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Tree => "as a tree, newest first",
            Self::Stop => "by stop, newest first",
            Self::Took => "by duration, longest first",
            Self::Size => "by size, largest first",
            Self::Stored => "by stored size, largest first",
        }
    }
}

/// A shown backup: its number in the catalog, and how deep it hangs in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its number.
    pub(super) index: usize,
    /// 0 for a backup that hangs on none.
    pub(super) depth: u8,
}

/// What is shown of `catalog`.
pub(super) fn shown(catalog: &CatalogView, sort: Sort, filter: &str) -> Vec<Shown> {
    let backups = &catalog.backups;
    let mut list = if sort == Sort::Tree {
        tree(backups)
    } else {
        let mut list: Vec<Shown> = (0..backups.len()).map(|index| Shown { index, depth: 0 }).collect();
        list.sort_by_key(|shown| Reverse(key(sort, &backups[shown.index])));
        list
    };
    let wanted = filter.trim().to_lowercase();
    if !wanted.is_empty() {
        list.retain(|shown| matches(&backups[shown.index], &wanted));
    }
    list
}

fn key(sort: Sort, backup: &BackupRow) -> (u64, i64) {
    let value = match sort {
        Sort::Tree | Sort::Stop => 0,
        Sort::Took => u64::try_from(backup.stop.0.saturating_sub(backup.start.0)).unwrap_or(0),
        Sort::Size => backup.size_bytes,
        Sort::Stored => backup.stored_bytes,
    };
    (value, backup.stop.0)
}

fn matches(backup: &BackupRow, wanted: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(wanted);
    has(&backup.label)
        || has(&backup.kind.to_string())
        || backup.pinned.as_ref().is_some_and(|pin| pin.restore_point.as_deref().is_some_and(has))
        || backup.annotations.iter().any(|(name, value)| has(name) || has(value))
}

fn tree(backups: &[BackupRow]) -> Vec<Shown> {
    let place: HashMap<(u32, &str), usize> =
        backups.iter().enumerate().map(|(at, backup)| ((backup.repo, backup.label.as_str()), at)).collect();
    let parent = |backup: &BackupRow| {
        let prior = backup.prior.as_deref()?;
        place.get(&(backup.repo, prior)).copied()
    };
    let mut newest: Vec<usize> = (0..backups.len()).collect();
    newest.sort_by_key(|at| (backups[*at].repo, Reverse(backups[*at].stop)));
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); backups.len()];
    let mut stack = Vec::new();
    for at in newest {
        match parent(&backups[at]) {
            Some(parent) if parent != at => children[parent].push(at),
            _ => stack.push(Shown { index: at, depth: 0 }),
        }
    }
    stack.reverse();
    let mut list = Vec::with_capacity(backups.len());
    while let Some(shown) = stack.pop() {
        list.push(shown);
        let depth = shown.depth.saturating_add(1);
        stack.extend(children[shown.index].iter().rev().map(|index| Shown { index: *index, depth }));
    }
    // Backups that name one another in a circle hang on nothing; they are shown all the same.
    if list.len() < backups.len() {
        let mut seen = vec![false; backups.len()];
        for shown in &list {
            seen[shown.index] = true;
        }
        list.extend((0..backups.len()).filter(|at| !seen[*at]).map(|index| Shown { index, depth: 0 }));
    }
    list
}

/// The backups that must be there for `backup`, from its full on, itself not among them. Says also whether all are.
pub(super) fn needs<'a>(catalog: &'a CatalogView, backup: &BackupRow) -> (Vec<&'a BackupRow>, bool) {
    let mut chain: Vec<&BackupRow> = Vec::new();
    let mut prior = backup.prior.as_deref();
    while let Some(label) = prior {
        let found = catalog.backups.iter().find(|other| other.repo == backup.repo && other.label == label);
        let Some(found) = found.filter(|_| chain.len() < catalog.backups.len()) else {
            chain.reverse();
            return (chain, false);
        };
        chain.push(found);
        prior = found.prior.as_deref();
    }
    chain.reverse();
    (chain, true)
}
