//! `pgmayday repo-ls`: what a repository holds, folder by folder.
//!
//! Same listing, order and JSON as pgBackRest's command. Links are shown, not followed, except the folder that was
//! asked for. A folder that is not there is an empty one, as in stores without folders.

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{Output, Stdout};
use crate::base::{Report, Result};
use crate::config::Settings;
use crate::engine::repositories::Repositories;
use crate::store::{Entry, EntryKind, Meta, Storage, StorePath, list_sorted};
use clap::{Arg, ArgAction, Command};
use regex_lite::Regex;
use serde::Serialize;
use std::io::{self, Write as _};

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "repo-ls",
    about: "List files of a repository",
    long_about: "Lists a folder of the repository, relative to its root; without one, the root itself. --recurse goes \
                 into folders, --filter keeps names that match a regular expression, --sort orders. --repo chooses \
                 among several repositories; without it the first is taken.",
    options_of: "repo-ls",
    reads_configuration: true,
    own,
    run: Run::Plain(run),
    failure_exit: None,
};

fn own(command: Command) -> Command {
    command.arg(Arg::new("path").action(ArgAction::Append).help("a folder or file of the repository"))
}

fn run(call: &Call) -> Result<()> {
    let path = match &call.positional[..] {
        [] => StorePath::ROOT,
        [path] => inside(&call.settings, path)?,
        _ => return Err(Report::usage("only one path may be given")),
    };
    let repositories = Repositories::open(&call.settings, call.command);
    let repository = repositories.first()?;
    let filter = call.settings.text("filter").map(Regex::new).transpose();
    let filter =
        filter.map_err(|error| Report::usage(format!("--filter is not a regular expression: {error}")))?;
    let mut listing = Listing {
        storage: &**repository.storage(),
        filter,
        recurse: call.settings.flag("recurse"),
        order: Order::of(&call.settings),
        printer: Printer {
            out: io::BufWriter::new(Stdout::lock()),
            json: call.output == Output::Json,
            first: true,
        },
    };
    listing.show(&path, &whole_path(&call.settings, &path))?;
    listing.printer.finish()
}

/// The path inside the repository of a path as it was given, relative or absolute.
pub(super) fn inside(settings: &Settings, given: &str) -> Result<StorePath> {
    let root =
        settings.repos().first().map(|repo| repo.path.to_string_lossy().into_owned()).unwrap_or_default();
    let trimmed = given.strip_suffix('/').unwrap_or(given);
    let relative = if trimmed.starts_with('/') {
        let below = trimmed.strip_prefix(root.trim_end_matches('/'));
        let below = below.and_then(|below| if below.is_empty() { Some("") } else { below.strip_prefix('/') });
        below.ok_or_else(|| {
            Report::usage(format!("'{given}' is not inside the repository {root}"))
                .hint("give the path relative to the repository")
        })?
    } else {
        trimmed
    };
    let relative = if relative == "." { "" } else { relative };
    StorePath::new(relative).map_err(|error| Report::usage(error.to_string()))
}

fn whole_path(settings: &Settings, path: &StorePath) -> String {
    let root =
        settings.repos().first().map(|repo| repo.path.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{}/{}", root.trim_end_matches('/'), path.as_str())
}

/// The order of names; children stand behind their folder, or before it when the order is turned round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    AsStored,
    Ascending,
    Descending,
}

impl Order {
    fn of(settings: &Settings) -> Self {
        match settings.text("sort") {
            Some("none") => Self::AsStored,
            Some("desc") => Self::Descending,
            _ => Self::Ascending,
        }
    }
}

struct Listing<'a> {
    storage: &'a dyn Storage,
    filter: Option<Regex>,
    recurse: bool,
    order: Order,
    printer: Printer,
}

impl Listing<'_> {
    fn passes(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.is_match(name))
    }

    fn show(&mut self, path: &StorePath, whole: &str) -> Result<()> {
        match self.storage.stat(path)? {
            Some(meta) if meta.kind == EntryKind::File => {
                if self.passes(whole) {
                    self.printer.print(".", &meta)
                } else {
                    Ok(())
                }
            }
            _ => {
                if self.printer.json && self.passes(".") {
                    self.printer.print_folder(".")?;
                }
                self.folder(path, "")
            }
        }
    }

    fn folder(&mut self, folder: &StorePath, prefix: &str) -> Result<()> {
        for Entry { name, meta } in self.entries(folder)? {
            let shown = format!("{prefix}{name}");
            let below = self.recurse && meta.kind == EntryKind::Folder;
            let passes = self.passes(&shown);
            if passes && self.order != Order::Descending {
                self.printer.print(&shown, &meta)?;
            }
            if below {
                self.folder(&folder.join(&name)?, &format!("{shown}/"))?;
            }
            if passes && self.order == Order::Descending {
                self.printer.print(&shown, &meta)?;
            }
            if self.printer.out.get_ref().reader_gone() {
                break;
            }
        }
        Ok(())
    }

    fn entries(&self, folder: &StorePath) -> Result<Vec<Entry>> {
        if self.order != Order::AsStored {
            let mut entries = list_sorted(self.storage, folder)?;
            if self.order == Order::Descending {
                entries.reverse();
            }
            return Ok(entries);
        }
        let mut entries = Vec::new();
        self.storage.list(folder, &mut |entry| {
            entries.push(entry);
            true
        })?;
        Ok(entries)
    }
}

/// Writes entries as they come, so that a repository of millions of files needs no memory for its listing.
struct Printer {
    out: io::BufWriter<Stdout>,
    json: bool,
    first: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<&'a str>,
}

impl Printer {
    fn print(&mut self, name: &str, meta: &Meta) -> Result<()> {
        let row = match &meta.kind {
            EntryKind::File => {
                let (size, time) = (Some(meta.size_bytes), Some(meta.modified.unix_s()));
                Row { kind: "file", size, time, destination: None }
            }
            EntryKind::Folder => Row { kind: "path", size: None, time: None, destination: None },
            EntryKind::Link(to) => Row { kind: "link", size: None, time: None, destination: Some(to) },
        };
        self.row(name, &row)
    }

    fn print_folder(&mut self, name: &str) -> Result<()> {
        self.row(name, &Row { kind: "path", size: None, time: None, destination: None })
    }

    fn row(&mut self, name: &str, row: &Row<'_>) -> Result<()> {
        let written = if self.json { self.json_row(name, row) } else { writeln!(self.out, "{name}") };
        written.map_err(|error| cannot_write(&error))
    }

    fn json_row(&mut self, name: &str, row: &Row<'_>) -> io::Result<()> {
        self.out.write_all(if std::mem::take(&mut self.first) { b"{" } else { b"," })?;
        serde_json::to_writer(&mut self.out, name)?;
        self.out.write_all(b":")?;
        serde_json::to_writer(&mut self.out, row)?;
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let end = match (self.json, self.first) {
            (true, true) => "{}\n",
            (true, false) => "}\n",
            (false, _) => "",
        };
        let written = self.out.write_all(end.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|error| cannot_write(&error))
    }
}

pub(super) fn cannot_write(error: &io::Error) -> Report {
    Report::failed(format!("cannot write to standard output: {error}"))
}
