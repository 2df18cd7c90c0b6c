//! What holds for one command and one stanza: the winning value of every option, checked, with its origin.
//!
//! Read only; made by resolving the layers of a [`super::Config`].

use super::Origin;
use super::options::{self, Group};
use super::places::{PgSettings, RepoSettings};
use super::value::Value;
use crate::base::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The settings of one command for one stanza.
#[derive(Debug, Clone)]
pub struct Settings {
    command: String,
    stanza: Option<String>,
    values: BTreeMap<(&'static str, u32), Resolved>,
    repos: Vec<RepoSettings>,
    pgs: Vec<PgSettings>,
    warnings: Vec<String>,
}

/// One option as it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The name with its index.
    pub option: String,
    /// The value as text, `***` if it is secret; nothing if the option is not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
}

/// A checked value, or none, and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub value: Option<Value>,
    pub shown: String,
    pub origin: Origin,
}

impl Resolved {
    pub(super) fn unset() -> Self {
        Self { value: None, shown: String::new(), origin: Origin::Unset }
    }

    /// True if a person set it, rather than a default.
    pub(super) fn is_chosen(&self) -> bool {
        matches!(self.origin, Origin::CommandLine | Origin::Environment(_) | Origin::File { .. })
    }
}

impl Settings {
    pub(super) fn new(
        command: &str,
        stanza: Option<String>,
        values: BTreeMap<(&'static str, u32), Resolved>,
        warnings: Vec<String>,
    ) -> Self {
        Self { command: command.to_owned(), stanza, values, repos: Vec::new(), pgs: Vec::new(), warnings }
    }

    pub(super) fn with_places(mut self, repos: Vec<RepoSettings>, pgs: Vec<PgSettings>) -> Self {
        self.repos = repos;
        self.pgs = pgs;
        self
    }

    /// The command these settings are for.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The stanza, if one was chosen.
    pub fn stanza(&self) -> Option<&str> {
        self.stanza.as_deref()
    }

    /// The repositories the command shall use, by number; only the chosen one with `--repo`.
    pub fn repos(&self) -> &[RepoSettings] {
        &self.repos
    }

    /// The PostgreSQL clusters of the stanza that have a data directory, by number.
    pub fn pg(&self) -> &[PgSettings] {
        &self.pgs
    }

    /// What was odd in the settings of this command, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The text of a text, path or choice.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.text_at(name, 0)
    }

    /// The text of an indexed text, path or choice, for example `("repo-s3-bucket", 1)`.
    pub fn text_at(&self, name: &str, key: u32) -> Option<&str> {
        match self.value(name, key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// True if the flag is set; false if it is not, or not valid for this command.
    pub fn flag(&self, name: &str) -> bool {
        self.flag_at(name, 0)
    }

    /// As [`Settings::flag`], of an indexed option.
    pub fn flag_at(&self, name: &str, key: u32) -> bool {
        matches!(self.value(name, key), Some(Value::Flag(true)))
    }

    /// A number that cannot be negative.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.integer(name).and_then(|number| u64::try_from(number).ok())
    }

    /// A number that may be negative, such as `compress-level`.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.integer_at(name, 0)
    }

    /// As [`Settings::integer`], of an indexed option.
    pub fn integer_at(&self, name: &str, key: u32) -> Option<i64> {
        match self.value(name, key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A size in bytes.
    pub fn size_bytes(&self, name: &str) -> Option<u64> {
        self.size_bytes_at(name, 0)
    }

    /// As [`Settings::size_bytes`], of an indexed option.
    pub fn size_bytes_at(&self, name: &str, key: u32) -> Option<u64> {
        match self.value(name, key) {
            Some(Value::Bytes(bytes)) => Some(*bytes),
            _ => None,
        }
    }

    /// A length of time.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.value(name, 0) {
            Some(Value::Milliseconds(ms)) => Some(Duration::from_millis(*ms)),
            _ => None,
        }
    }

    /// The values of an option that repeats; empty if it is not set.
    pub fn list(&self, name: &str) -> &[String] {
        match self.value(name, 0) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// The `key=value` pairs of an option that repeats, in order; of equal keys the last value, at the first's place.
    pub fn pairs(&self, name: &str) -> Vec<(String, String)> {
        match self.value(name, 0) {
            Some(Value::Pairs(pairs)) => pairs.clone(),
            _ => Vec::new(),
        }
    }

    /// A secret of an indexed option, as it is written.
    pub fn secret_at(&self, name: &str, key: u32) -> Option<&Secret> {
        match self.value(name, key) {
            Some(Value::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// Where the value of an option comes from.
    pub fn origin(&self, name: &str) -> Origin {
        self.origin_at(name, 0)
    }

    /// As [`Settings::origin`], of an indexed option.
    pub fn origin_at(&self, name: &str, key: u32) -> Origin {
        let def = options::by_name(name);
        let resolved = def.and_then(|def| self.values.get(&(def.name, key)));
        resolved.map_or(Origin::Unset, |resolved| resolved.origin.clone())
    }

    /// Every option that is valid for the command, by name, with what holds.
    pub fn effective(&self) -> Vec<Effective> {
        let shown = self.values.iter().filter_map(|((name, key), resolved)| {
            let option = options::by_name(name)?.indexed_name(*key);
            let value = resolved.value.as_ref().map(|_| resolved.shown.clone());
            Some(Effective { option, value, origin: resolved.origin.clone() })
        });
        shown.collect()
    }

    fn value(&self, name: &str, key: u32) -> Option<&Value> {
        let def = options::by_name(name)?;
        self.values.get(&(def.name, key))?.value.as_ref()
    }

    /// Puts a value that follows from another option.
    pub(super) fn derive(
        &mut self,
        name: &'static str,
        key: u32,
        value: Value,
        shown: String,
        from: &'static str,
    ) {
        let resolved = Resolved { value: Some(value), shown, origin: Origin::Follows(from) };
        self.values.insert((name, key), resolved);
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The indexes in use of a family.
    pub(super) fn keys(&self, group: Group) -> BTreeSet<u32> {
        let of_group = |name: &str| options::by_name(name).is_some_and(|def| def.group == Some(group));
        self.values.keys().filter(|(name, _)| of_group(name)).map(|(_, key)| *key).collect()
    }
}
