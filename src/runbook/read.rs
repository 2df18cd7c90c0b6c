//! The TOML of a runbook, value by value: what is missing, of another type, empty or unknown becomes a finding.
//!
//! Knows no runbook. Goes on after every mistake, so that all of a file are told at once.

use super::finding::{Finding, Place};
use crate::base::closest::closest;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The largest file that is read as a runbook.
const MOST_BYTES: usize = 1 << 20;

/// A text being read, and the mistakes found in it.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    findings: Vec<Finding>,
}

/// A text and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub text: String,
    pub at: usize,
}

/// A table and what to call it.
#[derive(Debug)]
pub(super) struct Fields<'d, 't> {
    table: &'d DeTable<'t>,
    pub at: usize,
    pub what: String,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, findings: Vec::new() }
    }

    /// Puts a mistake down.
    pub(super) fn found(&mut self, at: usize, what: impl Into<String>, next: impl Into<String>) {
        self.found_in(Place::of(self.text, at), what, next);
    }

    /// Puts a mistake down whose place is known already.
    pub(super) fn found_in(&mut self, place: Place, what: impl Into<String>, next: impl Into<String>) {
        self.findings.push(Finding { place, what: what.into(), next: next.into() });
    }

    pub(super) fn place(&self, at: usize) -> Place {
        Place::of(self.text, at)
    }

    /// The mistakes in the order of the file, each once.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.findings.sort();
        self.findings.dedup();
        self.findings
    }

    /// The file as a table; what is no TOML is told, and then nothing else can be believed but what stands twice.
    pub(super) fn document(&mut self) -> Option<Spanned<DeTable<'t>>> {
        if self.text.len() > MOST_BYTES {
            self.found(0, "the file is larger than 1 MiB", "a runbook is read by people: part it");
            return None;
        }
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let mut believed = true;
        for error in errors {
            let at = error.span().map_or(0, |span: Range<usize>| span.start);
            let twice = error.message().contains("duplicate");
            believed &= twice;
            let next = if twice {
                "every key and every table stands once: remove or rename one"
            } else {
                "correct the TOML here; the rest of the file is checked once it can be read"
            };
            self.found(at, error.message().trim().replace('\n', ", "), next);
        }
        believed.then_some(table)
    }
}

/// A type of TOML in an operator's words.
fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A character that would move a terminal's cursor or colour its text.
fn is_unfit(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

impl<'d, 't> Fields<'d, 't> {
    pub(super) fn new(table: &'d DeTable<'t>, at: usize, what: impl Into<String>) -> Self {
        Self { table, at, what: what.into() }
    }

    /// The keys with their places, in the order of the file.
    pub(super) fn keys(&self) -> Vec<(&'d str, usize)> {
        let mut keys: Vec<(&str, usize)> =
            self.table.iter().map(|(key, _)| (key.get_ref().as_ref(), key.span().start)).collect();
        keys.sort_by_key(|(_, at)| *at);
        keys
    }

    /// Where a key stands; the table if it is not there.
    pub(super) fn at_key(&self, key: &str) -> usize {
        self.keys().into_iter().find(|(name, _)| *name == key).map_or(self.at, |(_, at)| at)
    }

    /// Tells every key but these.
    pub(super) fn only(&self, reader: &mut Reader<'_>, known: &[&str]) {
        for (key, at) in self.keys() {
            if !known.contains(&key) {
                let shown: String = key.chars().filter(|c| !c.is_control()).take(40).collect();
                let next = closest(key, known.iter().copied()).map_or_else(
                    || format!("its keys are {}", known.join(", ")),
                    |near| format!("did you mean '{near}'?"),
                );
                reader.found(at, format!("{}: '{shown}' is no key", self.what), next);
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn value(&self, key: &str) -> Option<&'d Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    fn missing(&self, reader: &mut Reader<'_>, key: &str, form: &str) {
        reader.found(self.at, format!("{}: '{key}' is missing", self.what), format!("add {key} = {form}"));
    }

    fn wrong_type(&self, reader: &mut Reader<'_>, key: &str, value: &Spanned<DeValue<'_>>, form: &str) {
        let is = type_of(value.get_ref());
        reader.found(
            value.span().start,
            format!("{}: '{key}' is {is}", self.what),
            format!("write {key} = {form}"),
        );
    }

    /// A text that says something.
    pub(super) fn text(&self, reader: &mut Reader<'_>, key: &str) -> Option<Text> {
        if !self.has(key) {
            self.missing(reader, key, "\"…\"");
            return None;
        }
        self.optional_text(reader, key)
    }

    /// A text that says something, if the key is there.
    pub(super) fn optional_text(&self, reader: &mut Reader<'_>, key: &str) -> Option<Text> {
        let value = self.value(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(reader, key, value, "\"…\"");
            return None;
        };
        self.sound(reader, key, text, value.span().start)
    }

    fn sound(&self, reader: &mut Reader<'_>, key: &str, text: &str, at: usize) -> Option<Text> {
        if text.trim().is_empty() {
            reader.found(at, format!("{}: '{key}' is empty", self.what), "say something, or remove the node");
            return None;
        }
        if text.chars().any(is_unfit) {
            let what = format!("{}: '{key}' has a control character", self.what);
            reader.found(at, what, "write plain text: a terminal would obey it");
            return None;
        }
        Some(Text { text: text.trim().to_owned(), at })
    }

    /// A list of texts; an empty one if the key is not there.
    pub(super) fn texts(&self, reader: &mut Reader<'_>, key: &str) -> Vec<Text> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type(reader, key, value, "[\"…\", \"…\"]");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in list {
            match item.get_ref().as_str() {
                Some(text) => texts.extend(self.sound(reader, key, text, item.span().start)),
                None => self.wrong_type(reader, key, item, "[\"…\", \"…\"]"),
            }
        }
        texts
    }

    /// True or false, if the key is there.
    pub(super) fn flag(&self, reader: &mut Reader<'_>, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(reader, key, value, "true or false");
        }
        flag
    }

    /// A table, if the key is there.
    pub(super) fn table(&self, reader: &mut Reader<'_>, key: &str, what: &str) -> Option<Self> {
        let value = self.value(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(reader, key, value, "{ … }");
            return None;
        };
        Some(Self::new(table, self.at_key(key), what))
    }

    /// The tables of a list, `[[…]]`; empty if the key is not there.
    pub(super) fn tables(&self, reader: &mut Reader<'_>, key: &str, form: &str) -> Vec<Self> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            let is = type_of(value.get_ref());
            reader.found(
                self.at_key(key),
                format!("{}: '{key}' is {is}", self.what),
                format!("write {form}"),
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (number, item) in list.iter().enumerate() {
            let what = format!("{}, {key} {}", self.what, number + 1);
            match item.get_ref().as_table() {
                Some(table) => tables.push(Self::new(table, item.span().start, what)),
                None => reader.found(
                    item.span().start,
                    format!("{what}: it is {}", type_of(item.get_ref())),
                    format!("write {form}"),
                ),
            }
        }
        tables
    }
}
