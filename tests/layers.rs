//! Enforces the import table of `ARCHITECTURE.md`, the homes of crates, file headers and the length budget.
//!
//! Reads the source as text, without comments and without unit tests; it knows no Rust beyond that.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the source must fail")]

use std::fs;
use std::path::{Path, PathBuf};

/// Room, and what it may import besides `base` and `model`.
const TABLE: &[(&str, &str)] = &[
    ("base", ""),
    ("model", ""),
    ("config", ""),
    ("codec", ""),
    ("wal", ""),
    ("store", ""),
    ("journal", ""),
    ("net", ""),
    ("runbook", ""),
    ("act", "runbook net cluster"),
    ("repo", "store codec config"),
    ("cluster", "config"),
    ("engine", "repo wal store codec cluster config"),
    ("recovery", "engine cluster repo journal config"),
    ("survey", "recovery engine cluster repo config net"),
    ("incident", "journal config net runbook"),
    ("lab", "recovery engine cluster config repo"),
    ("console", "incident"),
    (
        "cli",
        "config codec wal store repo journal cluster engine recovery survey incident lab console net runbook act",
    ),
];

/// The one place of a room that may import more: module path prefix, and what besides the room's own.
const MORE: &[(&str, &str)] = &[("console/runtime", "recovery survey journal config runbook")];

/// Crate, and the one place (module path prefix) that may name it.
const HOMES: &[(&str, &[&str])] = &[
    ("aes", &["codec"]),
    ("cbc", &["codec"]),
    ("sha1", &["codec"]),
    ("zstd", &["codec"]),
    ("flate2", &["codec"]),
    ("lz4_flex", &["codec"]),
    ("bzip2", &["codec"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("tokio_postgres", &["cluster/sql"]),
    ("tokio", &["cluster", "lab", "cli", "net"]),
    ("ed25519_dalek", &["incident/sign"]),
    ("reqwest", &["net"]),
    ("ratatui", &["console"]),
    ("crossterm", &["console/runtime"]),
    ("tui_input", &["console"]),
    ("toml", &["config", "runbook"]),
];

/// A file longer than this (without its unit tests) wants to be two.
const MOST_LINES: usize = 500;

/// What of a file counts: everything before its unit tests, without comment lines.
fn production(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
}

/// What follows each `prefix` that does not continue a longer word.
fn after<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let continues = |c: char| c.is_alphanumeric() || "_$:".contains(c);
    code.match_indices(prefix)
        .filter(move |(at, _)| !code[..*at].ends_with(continues))
        .map(move |(at, _)| &code[at + prefix.len()..])
}

/// The leading identifier.
fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")
}

/// The rooms named after `crate::`, also in braces.
fn rooms_named(code: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for rest in after(code, "crate::") {
        let Some(group) = rest.strip_prefix('{') else {
            rooms.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let end = group.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth < 0
        });
        let mut depth = 0;
        rooms.extend(group[..end.unwrap_or(group.len())].split_inclusive(['{', '}', ',']).filter_map(
            |part| {
                let top = depth == 0;
                depth += i32::from(part.ends_with('{')) - i32::from(part.ends_with('}'));
                Some(word(part.trim_start())).filter(|name| top && !name.is_empty())
            },
        ));
    }
    rooms
}

/// Everything wrong with the file at `path` (inside `src`).
fn breaches(path: &str, text: &str) -> Vec<String> {
    let module = path.strip_suffix(".rs").unwrap();
    let room = module.split('/').next().unwrap();
    let lines: Vec<&str> = production(text).collect();
    let code = lines.join("\n");
    let mut found = Vec::new();
    if !text.starts_with("//! ") {
        found.push(format!("{path}: no `//!` header saying what it is and what it never does"));
    }
    if lines.len() > MOST_LINES {
        found.push(format!("{path}: {} production lines, more than {MOST_LINES}", lines.len()));
    }
    for (name, homes) in HOMES {
        let used = [format!("{name}::"), format!("use {name};"), format!("use {name} ")];
        let at_home = homes.iter().any(|home| Path::new(module).starts_with(home));
        if !at_home && used.iter().any(|form| after(&code, form).next().is_some()) {
            found.push(format!("{path}: names the crate {name}, whose home is {homes:?}"));
        }
    }
    if ["main", "lib"].contains(&module) {
        return found;
    }
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == room) else {
        found.push(format!("{path}: the room {room} is not in the import table"));
        return found;
    };
    for named in rooms_named(&code) {
        let own = named == room || named == "base" || (named == "model" && room != "base");
        let more = MORE.iter().filter(|(place, _)| Path::new(module).starts_with(place));
        let mut allowed = allowed.split(' ').chain(more.flat_map(|(_, more)| more.split(' ')));
        if !own && !allowed.any(|other| other == named) {
            found.push(format!("{path}: {room} may not import {named}"));
        }
    }
    let to_root = "super::".repeat(module.split('/').count());
    if after(&code, &to_root).next().is_some() {
        found.push(format!("{path}: reaches the crate's root by `{to_root}`; write `crate::`"));
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn the_source_keeps_the_import_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut seen = 0;
    for file in rust_files(&source) {
        let path = file.strip_prefix(&source).unwrap().to_str().expect("source files have plain names");
        if path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        seen += 1;
        found.extend(breaches(path, &fs::read_to_string(&file).unwrap()));
    }
    assert!(seen > TABLE.len(), "only {seen} source files found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_breach_is_caught() {
    let caught = |path: &str, code: &str| breaches(path, &format!("//! Header.\n{code}\n"));
    for (path, code) in [
        ("codec/cipher.rs", "use crate::repo::Manifest;"),
        ("repo.rs", "use crate::{base::{Lsn, files}, engine::plan};"),
        ("repo.rs", "fn f() { crate::cluster::start(); }"),
        ("base.rs", "use crate::model::op;"),
        ("engine/copy.rs", "use tokio::runtime;"),
        ("cluster/server.rs", "use tokio_postgres::Client;"),
        ("engine/copy.rs", "fn f() { zstd::decode_all(x); }"),
        ("wal/scan.rs", "use super::super::repo;"),
        ("nowhere.rs", "fn f() {}"),
        ("console/screens/board.rs", "use crate::recovery::in_place;"),
        ("console/app.rs", "use crossterm::event;"),
        ("wal.rs", &"\n".repeat(MOST_LINES + 1)),
    ] {
        assert_eq!(caught(path, code).len(), 1, "{path}: {code}: {:?}", caught(path, code));
    }
    assert_eq!(breaches("wal.rs", "use crate::base::Lsn;\n").len(), 1, "a missing header");
    for (path, code) in [
        ("engine.rs", "use crate::{base::{Lsn, Timeline}, model::op, repo};\nuse zeroize::Zeroizing;"),
        ("codec.rs", "use zstd::stream;\n// crate::repo in a comment\n#[cfg(test)]\nuse crate::repo;"),
        ("cluster/sql/connect.rs", "use super::Pool;\nuse tokio_postgres::Client;"),
        ("wal/page.rs", "use super::record;"),
        ("recovery.rs", "pub mod supervisor;"),
        ("console/runtime/terminal.rs", "use crate::recovery::supervisor;\nuse crossterm::event;"),
    ] {
        assert_eq!(caught(path, code), Vec::<String>::new(), "{path}: {code}");
    }
}
