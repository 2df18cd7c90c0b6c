//! How an act is done, as words and lines with the values that are known. Starts and sends nothing; secrets stay masked.

use super::vocabulary::{self, Operation};
use super::{How, digest, template};
use crate::base::shell;

/// How many digits of a digest a name is made of.
const DIGITS: usize = 16;

impl How {
    /// The arguments of an operation behind the program's name, with the values that are known; nothing for
    /// another way of doing.
    pub fn operation_words(
        &self,
        value: &impl Fn(&str) -> Option<String>,
    ) -> Option<(&'static Operation, Vec<template::Filled>)> {
        let Self::Operation { operation, options } = self else { return None };
        let operation = vocabulary::operation_of(operation)?;
        let fill = |text: &str| template::shown(text, template::Quoting::Plain, value);
        let stanza = std::iter::once("--stanza=${stanza}");
        let words = operation.words.iter().copied().chain(stanza).chain(options.iter().map(String::as_str));
        Some((operation, words.map(fill).collect()))
    }

    /// The lines as they are typed or sent, with the values that are known; secrets are masked.
    pub fn lines(&self, value: &impl Fn(&str) -> Option<String>) -> Vec<String> {
        let typed = |words: Vec<template::Filled>, program: Option<&str>| {
            let words: Vec<String> = words.into_iter().map(|word| word.shown).collect();
            let words = program.into_iter().chain(words.iter().map(String::as_str));
            // What is to be filled in by hand keeps its braces.
            words
                .map(|word| if word.contains("${") { word.to_owned() } else { shell::quoted(word) })
                .collect::<Vec<_>>()
                .join(" ")
        };
        let fill = |text: &String, quoting| template::shown(text, quoting, value);
        match self {
            Self::Operation { .. } => {
                let words = self.operation_words(value).map(|(_, words)| words).unwrap_or_default();
                vec![typed(words, Some("pgmayday"))]
            }
            Self::Command { argv } => {
                let words = argv.iter().map(|word| fill(word, template::Quoting::Plain)).collect();
                vec![typed(words, None)]
            }
            Self::Http(http) => {
                let mut lines =
                    vec![format!("{} {}", http.method, fill(&http.url, template::Quoting::Url).shown)];
                lines.extend(http.header.iter().map(|line| fill(line, template::Quoting::Plain).shown));
                lines.extend(http.body.iter().map(|body| fill(body, template::Quoting::Json).shown));
                lines
            }
            Self::Manual { steps } => typed_lines(steps, value),
        }
    }

    /// Everything in it that has variables, each with how its values are written.
    fn templates(&self) -> Vec<(&str, template::Quoting)> {
        fn plain(texts: &[String]) -> Vec<(&str, template::Quoting)> {
            texts.iter().map(|text| (text.as_str(), template::Quoting::Plain)).collect()
        }
        match self {
            Self::Operation { options, .. } => {
                [vec![("${stanza}", template::Quoting::Plain)], plain(options)].concat()
            }
            Self::Command { argv } => plain(argv),
            Self::Http(http) => {
                let mut all = vec![(http.url.as_str(), template::Quoting::Url)];
                all.extend(plain(&http.header));
                all.extend(http.body.as_deref().map(|body| (body, template::Quoting::Json)));
                all
            }
            Self::Manual { steps } => plain(steps),
        }
    }

    /// The names of the secrets in it.
    pub fn secrets(&self) -> Vec<&str> {
        self.templates().into_iter().flat_map(|(text, _)| template::secrets(text)).collect()
    }

    /// A name of exactly what would be done with these values: the beginning of the SHA-256 of its lines. Nothing for
    /// what a person does by hand, and for what lacks a value.
    pub fn digest(&self, value: &impl Fn(&str) -> Option<String>) -> Option<String> {
        let lacks = |(text, quoting)| !template::shown(text, quoting, value).missing.is_empty();
        if matches!(self, Self::Manual { .. }) || self.templates().into_iter().any(lacks) {
            return None;
        }
        let mut name = digest(&self.lines(value).join("\n"));
        name.truncate(DIGITS);
        Some(name)
    }

    /// Who or what does it, in a few words.
    pub fn actor(&self) -> &'static str {
        match self {
            Self::Operation { .. } => "this program",
            Self::Command { .. } => "a command",
            Self::Http(_) => "a call to a server",
            Self::Manual { .. } => "by hand: this program has no executor for it",
        }
    }
}

/// Lines for a shell, or prose behind `#`, with the values that are known.
pub fn typed_lines(lines: &[String], value: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    let line = |line: &String| {
        let quoting = if line.starts_with('#') { template::Quoting::Plain } else { template::Quoting::Shell };
        template::shown(line, quoting, value).shown
    };
    lines.iter().map(line).collect()
}

/// No values at all: for paper.
pub fn on_paper(_: &str) -> Option<String> {
    None
}
