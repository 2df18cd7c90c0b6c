//! The table of pgBackRest's options, and finding an option by any name it may bear.
//!
//! Knows names only; values and layers are elsewhere.

mod archive;
mod backup;
mod command_line;
mod commands;
pub(super) mod define;
mod general;
mod pg;
mod repo;
mod repo_store;
mod restore;

pub use define::{Group, Kind, Need, OptionDef, Section};

use crate::base::closest::closest;
use std::sync::OnceLock;

/// Stands for "whatever the command": every option is valid, none is required, and the sections of single
/// commands are not read.
pub const EVERY_COMMAND: &str = "*";

/// The highest index of an indexed option.
pub const MAX_KEY: u32 = 256;

/// pgBackRest's commands, for which a configuration file may have sections.
pub const COMMANDS: &[&str] = &[
    "annotate",
    "archive-get",
    "archive-push",
    "backup",
    "check",
    "expire",
    "help",
    "info",
    "manifest",
    "repo-get",
    "repo-ls",
    "repo-rm",
    "restore",
    "server",
    "server-ping",
    "stanza-create",
    "stanza-delete",
    "stanza-upgrade",
    "start",
    "stop",
    "verify",
    "version",
];

/// Longer names are not looked up at all.
const MAX_NAME_BYTES: usize = 64;

/// Every option, sorted by name.
pub fn all() -> &'static [OptionDef] {
    static ALL: OnceLock<Vec<OptionDef>> = OnceLock::new();
    ALL.get_or_init(|| {
        let tables = [
            command_line::OPTIONS,
            general::OPTIONS,
            archive::OPTIONS,
            backup::OPTIONS,
            restore::OPTIONS,
            pg::OPTIONS,
            repo::OPTIONS,
            repo_store::OPTIONS,
        ];
        let mut all = tables.concat();
        all.sort_by_key(|def| def.name);
        all
    })
}

/// The option of this plain name, without index.
pub fn by_name(name: &str) -> Option<&'static OptionDef> {
    let all = all();
    all.binary_search_by_key(&name, |def| def.name).ok().map(|at| &all[at])
}

/// What a name on the command line, in the environment or in a file means.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// The option.
    pub def: &'static OptionDef,
    /// The index, 0 for options without one.
    pub key: u32,
    /// True for `no-NAME`.
    pub negated: bool,
    /// True for `reset-NAME`.
    pub reset: bool,
}

/// Why a name means nothing, or nothing allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// No option has this name; the nearest that exists, if one is near.
    Unknown(Option<String>),
    /// The option exists, but not in this form; why, and what to write instead.
    Form(&'static str, Option<String>),
}

/// Finds an option by its name, index, `no-`, `reset-` or former name.
///
/// `abbreviated` also accepts the beginning of a name if only one option begins so, as pgBackRest does on the
/// command line.
pub fn find(given: &str, abbreviated: bool) -> Result<Found, NameError> {
    if given.len() > MAX_NAME_BYTES {
        return Err(NameError::Unknown(None));
    }
    let (negated, reset, name) = match (given.strip_prefix("no-"), given.strip_prefix("reset-")) {
        (Some(name), _) => (true, false, name),
        (None, Some(name)) => (false, true, name),
        (None, None) => (false, false, given),
    };
    let (base, index) = split_index(name)?;
    let Some(def) = by_name(&base).or_else(|| abbreviated.then(|| by_beginning(&base)).flatten()) else {
        let (def, key) = by_old_name(&base, index).ok_or_else(|| unknown(given, &base, index))?;
        return allowed(Found { def, key, negated, reset });
    };
    let key = match (def.group, index) {
        (Some(_), Some(index)) => index,
        (None, None) => 0,
        (Some(_), None) if def.old.contains(&def.name) => 1,
        (Some(_), None) => return Err(NameError::Form("needs an index", Some(def.indexed_name(1)))),
        (None, Some(_)) => return Err(NameError::Form("has no index", Some(def.name.to_owned()))),
    };
    allowed(Found { def, key, negated, reset })
}

/// Splits `repo12-path` into `repo-path` and 12; digits count only before the first dash.
fn split_index(name: &str) -> Result<(String, Option<u32>), NameError> {
    let dash = name.find('-').unwrap_or(name.len());
    let word = name[..dash].trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[word.len()..dash];
    if digits.is_empty() || dash == name.len() {
        return Ok((name.to_owned(), None));
    }
    let known_family = matches!(word, "pg" | "repo" | "db");
    match digits.parse() {
        Ok(key) if (1..=MAX_KEY).contains(&key) => Ok((format!("{word}{}", &name[dash..]), Some(key))),
        _ if known_family => Err(NameError::Form("has an index outside 1 to 256", None)),
        _ => Err(NameError::Unknown(None)),
    }
}

fn by_beginning(base: &str) -> Option<&'static OptionDef> {
    let mut fitting = all().iter().filter(|def| def.name.starts_with(base) && !base.is_empty());
    fitting.next().filter(|_| fitting.next().is_none())
}

fn by_old_name(base: &str, index: Option<u32>) -> Option<(&'static OptionDef, u32)> {
    let bears = |def: &&OptionDef| match index {
        Some(_) => def.old.iter().any(|old| old.contains('?') && old.replacen('?', "", 1) == base),
        None => def.old.contains(&base),
    };
    let def = all().iter().find(bears)?;
    Some((def, if def.group.is_some() { index.unwrap_or(1) } else { 0 }))
}

fn allowed(found: Found) -> Result<Found, NameError> {
    if found.negated && !found.def.negatable {
        return Err(NameError::Form("cannot be negated", None));
    }
    if found.reset && found.def.section == Section::CommandLine {
        return Err(NameError::Form("cannot be reset", None));
    }
    Ok(found)
}

fn unknown(given: &str, base: &str, index: Option<u32>) -> NameError {
    let names = all().iter().filter(|def| !def.hidden).map(|def| def.name);
    let near = closest(base, names).and_then(by_name).map(|def| def.indexed_name(index.unwrap_or(1)));
    NameError::Unknown(near.filter(|near| near != given))
}

#[cfg(test)]
mod tests;
