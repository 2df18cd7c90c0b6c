//! `pgmayday runbook`: list, show and check runbooks, on the screen or for the printer.
//!
//! Runs nothing of them and needs neither a configuration nor a cluster: a runbook can be read when nothing else works.

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use super::site::{site, state};
use crate::base::state::StateDir;
use crate::base::{Kind, Report, Result};
use crate::config::EVERY_COMMAND;
use crate::runbook::library::{self, Volume};
use crate::runbook::tree::{Style, legend, tree};
use crate::runbook::{Finding, Library, Origin, Runbook, markdown, text};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Serialize;
use std::path::Path;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "runbook",
    about: "List, show, print and check runbooks",
    long_about: "A runbook leads from the pager to \"service back\": questions with what hangs on them and how to find out, \
                 checklists, acts with exact commands, messages. `list` names them, `show` prints one (--tree: as a tree; \
                 --markdown: for the printer, to work from paper), `check` tells every mistake of files, each with \
                 line and column and what would be right, and exits with 2 if there is one. NAME.toml in `runbooks` \
                 of the state directory, or in /etc/pgbackrest/pgmayday-runbooks, replaces the shipped runbook of that \
                 name or adds one.",
    options_of: EVERY_COMMAND,
    reads_configuration: false,
    own,
    run: Run::Coded(run),
    failure_exit: None,
};

/// The width of a tree on the screen.
const COLUMNS: usize = 80;

fn own(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let name = Arg::new("name").value_name("NAME").help("which; `runbook list` names them");
    let file = Arg::new("file").long("file").value_name("PATH").help("this file instead");
    let files =
        Arg::new("files").value_name("FILE").num_args(0..).help("which [default: all that are to be had]");
    command
        .subcommand_required(true)
        .subcommand(Command::new("list").about("the runbooks there are, and where they come from"))
        .subcommand(
            Command::new("show")
                .about("one runbook: every question, list, act and message")
                .arg(name.required_unless_present("file"))
                .arg(file.conflicts_with_all(["name", "shipped"]))
                .arg(flag("shipped", "the one compiled in, whatever replaces it"))
                .arg(flag("tree", "draw it as a tree"))
                .arg(flag("ascii", "draw with ASCII characters only"))
                .arg(flag("markdown", "as Markdown, for the printer").conflicts_with("tree")),
        )
        .subcommand(Command::new("check").about("tell every mistake in files").arg(files))
}

fn run(call: &Call) -> Result<u8> {
    match call.args.subcommand() {
        Some(("list", _)) => list(call).map(|()| 0),
        Some(("show", args)) => show(call, args).map(|()| 0),
        Some((_, args)) => check(call, args),
        None => Err(Report::usage("runbook: what is to be done with it?")),
    }
}

/// What is to be had: shipped, then the site's, then those of the state directory, each replacing the one before.
///
/// Without a readable `pgmayday.toml` or a state directory there is one folder less, and that is told.
pub(super) fn library(call: &Call) -> Library {
    let state = match site(call).and_then(|site| state(call, &site)) {
        Ok(state) => Some(state),
        Err(report) => {
            call.console.warn(&format!("no runbooks of the state directory: {}", report.headline));
            None
        }
    };
    let library = Library::of_host(state.as_ref().map(StateDir::root));
    for trouble in &library.troubles {
        call.console.warn(trouble);
    }
    library
}

#[derive(Serialize)]
struct List<'a> {
    runbooks: Vec<Row<'a>>,
    troubles: &'a [String],
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    #[serde(flatten)]
    origin: &'a Origin,
    title: Option<&'a str>,
    steps: Option<usize>,
    digest: Option<&'a str>,
    findings: Vec<Finding>,
}

fn list(call: &Call) -> Result<()> {
    let library = library(call);
    let row = |volume: &'_ Volume| -> String {
        let title = match &volume.content {
            Ok(book) => book.title.clone(),
            Err(findings) => {
                format!("NOT USABLE: {} in the file; `pgmayday runbook check` tells", count(findings.len()))
            }
        };
        let from = match &volume.origin {
            Origin::Shipped => String::new(),
            Origin::File(path) => format!("  ({})", path.display()),
        };
        format!("{:24}{title}{from}", volume.name)
    };
    match call.output {
        Output::Text => output::text(&library.volumes().iter().map(row).collect::<Vec<_>>().join("\n")),
        Output::Json => {
            let rows = library.volumes().iter().map(|volume| {
                let book = volume.content.as_ref().ok();
                Row {
                    name: &volume.name,
                    origin: &volume.origin,
                    title: book.map(|book| book.title.as_str()),
                    steps: book.map(|book| book.nodes.len()),
                    digest: book.map(|book| book.digest.as_str()),
                    findings: library.findings(volume),
                }
            });
            output::json("runbooks", &List { runbooks: rows.collect(), troubles: &library.troubles })
        }
    }
}

fn count(mistakes: usize) -> String {
    if mistakes == 1 { "a mistake".to_owned() } else { format!("{mistakes} mistakes") }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    origin: &'a Origin,
    #[serde(flatten)]
    book: &'a Runbook,
}

fn show(call: &Call, args: &ArgMatches) -> Result<()> {
    let volume = if let Some(path) = args.get_one::<String>("file") {
        library::read(Path::new(path))?
    } else {
        let library = if args.get_flag("shipped") { Library::shipped() } else { library(call) };
        library.find(args.get_one::<String>("name").map_or("", String::as_str))?.clone()
    };
    let book = volume.book()?;
    if call.output == Output::Json {
        return output::json("runbook", &Shown { origin: &volume.origin, book });
    }
    if args.get_flag("markdown") {
        return output::text(&markdown::markdown(book));
    }
    if args.get_flag("tree") {
        let style = Style { ascii: args.get_flag("ascii"), columns: COLUMNS };
        let mut lines = vec![format!("{}: {}", book.name, book.title)];
        lines.extend(tree(book, style, None));
        lines.push(legend(style));
        return output::text(&lines.join("\n"));
    }
    output::text(&text::text(book, &volume.place()))
}

#[derive(Serialize)]
struct Checked {
    ok: bool,
    files: Vec<CheckedFile>,
}

#[derive(Serialize)]
struct CheckedFile {
    file: String,
    findings: Vec<Finding>,
}

/// Mistakes are the result, not a failure: all of all files are told, and the exit code says so.
fn check(call: &Call, args: &ArgMatches) -> Result<u8> {
    let mut library = library(call);
    let named: Vec<&String> = args.get_many::<String>("files").into_iter().flatten().collect();
    let mut volumes = Vec::new();
    for path in &named {
        let volume = library::read(Path::new(path))?;
        // They may go on with each other.
        library.put(volume.clone());
        volumes.push(volume);
    }
    if named.is_empty() {
        volumes = library.volumes().to_vec();
    }
    let files: Vec<CheckedFile> = volumes
        .iter()
        .map(|volume| CheckedFile { file: volume.place(), findings: library.findings(volume) })
        .collect();
    let ok = files.iter().all(|file| file.findings.is_empty());
    match call.output {
        Output::Json => output::json("runbook-check", &Checked { ok, files })?,
        Output::Text => {
            let lines = files.iter().flat_map(|file| match file.findings.as_slice() {
                [] => vec![format!("{}: no mistake", file.file)],
                findings => findings.iter().map(|finding| format!("{}:{finding}", file.file)).collect(),
            });
            output::text(&lines.collect::<Vec<_>>().join("\n"))?;
        }
    }
    Ok(if ok { 0 } else { Kind::Usage.exit_code() })
}

#[cfg(test)]
mod tests {
    use crate::cli::{arguments, commands, tree};
    use crate::config::Config;
    use crate::runbook::library::SHIPPED;
    use crate::runbook::vocabulary::OPERATIONS;
    use crate::runbook::{How, NodeKind, Runbook};
    use std::ffi::OsString;

    /// A value that the command line takes for each variable.
    fn known(name: &str) -> &'static str {
        match name {
            "target_type" => "time",
            "target" => "2026-11-21 02:03:00+00",
            "side_dir" | "data_dir" | "replica_data_dir" => "/srv/pg",
            "stanza" => "main",
            _ => "x",
        }
    }

    /// Reads the words as a call of this program would be read, without running it.
    fn accepted(words: &[String], place: &str) {
        let split = arguments::split(words.iter().map(OsString::from))
            .unwrap_or_else(|report| panic!("{place}: {words:?}: {report}"));
        let spec = commands::find(&split.words[0]).unwrap_or_else(|report| panic!("{place}: {report}"));
        tree::read(spec, &split).unwrap_or_else(|report| panic!("{place}: {words:?}: {report}"));
        let config = Config::of_command_line(&split.config).unwrap();
        if let Err(error) = config.settings(spec.options_of, None) {
            // What only a configuration file can say is not there.
            let said = crate::base::Report::from(error).headline;
            let absent = ["requires option", "number of a configured repository"];
            assert!(absent.iter().any(|part| said.contains(part)), "{place}: {words:?}: {said}");
        }
    }

    /// The words of a shell's line from the program's name on.
    fn words(line: &str) -> Option<Vec<String>> {
        let (_, rest) = line.split_once("pgmayday ").filter(|_| !line.starts_with('#'))?;
        let mut words: Vec<String> = Vec::new();
        let mut quoted = false;
        let mut begun = false;
        for c in rest.chars() {
            match c {
                '\'' => {
                    quoted = !quoted;
                    if !begun {
                        words.push(String::new());
                        begun = true;
                    }
                }
                ' ' if !quoted => begun = false,
                '|' | '<' if !quoted => break,
                c => {
                    if !begun {
                        words.push(String::new());
                        begun = true;
                    }
                    words.last_mut().unwrap().push(c);
                }
            }
        }
        Some(words)
    }

    #[test]
    fn every_command_of_this_program_in_a_shipped_runbook_is_one() {
        let value = |name: &str| Some(known(name).to_owned());
        let mut seen = 0;
        for (name, text) in SHIPPED {
            let book = Runbook::parse(text).unwrap();
            for node in &book.nodes {
                let place = format!("{name}: {}", node.id);
                let lines = match &node.kind {
                    NodeKind::Decide(decide) => crate::runbook::typed_lines(&decide.look, &value),
                    NodeKind::Act(act) => {
                        if let Some((_, filled)) = act.how.operation_words(&value) {
                            accepted(&filled.into_iter().map(|word| word.shown).collect::<Vec<_>>(), &place);
                            seen += 1;
                        }
                        match &act.how {
                            How::Manual { .. } | How::Command { .. } => act.how.lines(&value),
                            _ => Vec::new(),
                        }
                    }
                    _ => Vec::new(),
                };
                // A call of PostgreSQL's function names this program as the sender.
                for words in
                    lines.iter().filter(|line| !line.contains("'pgmayday'")).filter_map(|line| words(line))
                {
                    accepted(&words, &place);
                    seen += 1;
                }
            }
        }
        assert!(seen > 50, "only {seen} commands found");
    }

    #[test]
    fn every_operation_is_a_command() {
        for operation in OPERATIONS {
            assert!(commands::find(operation.words[0]).is_ok(), "{}", operation.name);
        }
    }
}
