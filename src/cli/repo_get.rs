//! `pgmayday repo-get`: one file of a repository on standard output, decrypted.
//!
//! Decrypts with the passphrase its path tells, does not decompress, as pgBackRest's command. Bundles and files in
//! blocks consist of many encrypted streams, so they are refused unless their raw bytes are asked for.

use super::Call;
use super::command::{CommandSpec, Run};
use super::output::Stdout;
use super::repo_ls::{cannot_write, inside};
use crate::base::{Kind, Report, Result};
use crate::codec::{CodecError, Compression, Decoder, StreamSpec};
use crate::engine::repositories::Repositories;
use crate::repo::{Repository, passphrase_of};
use crate::store::{Range, StorePath};
use clap::{Arg, ArgAction, Command};
use std::io::{Read as _, Write as _};

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "repo-get",
    about: "Print a file of a repository, decrypted",
    long_about: "Writes one file of the repository to standard output: decrypted, but not decompressed. --raw hands \
                 out the bytes as they are stored. With --ignore-missing a file that is not there exits 1 without a \
                 message.",
    options_of: "repo-get",
    reads_configuration: true,
    own,
    run: Run::Coded(run),
    failure_exit: None,
};

/// The exit code for a file that is not there although that was said to be no error.
const MISSING: u8 = 1;

const BUFFER_BYTES: usize = 128 * 1024;

fn own(command: Command) -> Command {
    command.arg(Arg::new("file").action(ArgAction::Append).help("a file of the repository"))
}

fn run(call: &Call) -> Result<u8> {
    let [file] = &call.positional[..] else {
        return Err(Report::usage("one file of the repository is required"));
    };
    let path = inside(&call.settings, file)?;
    let repository = Repositories::open(&call.settings, call.command).first()?;
    let stored = match repository.storage().open(&path, Range::Whole) {
        Err(error) if error.is_missing() && call.settings.flag("ignore-missing") => return Ok(MISSING),
        stored => stored.map_err(|error| not_one(error.into()))?,
    };
    let cipher = if call.settings.flag("raw") {
        None
    } else {
        refuse_many_streams(&repository, &path)?;
        refuse_other_stanza(&path, call.settings.stanza().filter(|_| repository.cipher().is_some()))?;
        passphrase_of(&repository, &path)?
    };
    let spec = StreamSpec::full(Compression::None, cipher);
    let failed = |error: CodecError| not_one(Report::from(error).context(format!("reading {path}")));
    let mut decoder = Decoder::new(stored, &spec).map_err(failed)?;
    let mut out = Stdout::lock();
    let mut buffer = vec![0; BUFFER_BYTES];
    while !out.reader_gone() {
        let length = decoder.read(&mut buffer).map_err(|error| failed(CodecError::from_io(error)))?;
        if length == 0 {
            decoder.finish().map_err(failed)?;
            break;
        }
        out.write_all(&buffer[..length]).map_err(|error| cannot_write(&error))?;
    }
    out.flush().map_err(|error| cannot_write(&error))?;
    Ok(0)
}

/// Exit code 1 means a missing file here and nothing else.
fn not_one(mut report: Report) -> Report {
    if report.kind == Kind::Failed {
        report.kind = Kind::Unreachable;
    }
    report
}

fn refuse_many_streams(repository: &Repository, path: &StorePath) -> Result<()> {
    let blocks = path.file_name().rsplit_once('.').is_some_and(|(_, extension)| extension == "pgbi");
    let many = blocks || path.parent().file_name() == "bundle";
    if many && repository.cipher().is_some() {
        return Err(Report::usage(format!(
            "'{path}' consists of many encrypted streams and has no decrypted form"
        ))
        .hint("--raw hands out the bytes as they are stored"));
    }
    Ok(())
}

/// A stanza that was named must be the one the file belongs to, because its passphrase is used.
fn refuse_other_stanza(path: &StorePath, stanza: Option<&str>) -> Result<()> {
    match (stanza, path.as_str().split('/').nth(1)) {
        (Some(stanza), Some(other)) if stanza != other => {
            Err(Report::usage(format!("'{path}' does not belong to stanza '{stanza}'"))
                .hint("leave --stanza out"))
        }
        _ => Ok(()),
    }
}
