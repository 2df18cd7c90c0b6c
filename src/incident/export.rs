//! Incidents in one folder for somebody who has none of this: journals, reports, and the sums of all files.
//!
//! Reads incidents and writes a new folder; one that is there already is never written into.

use super::report::{Document, html, markdown};
use super::{Incidents, words};
use crate::base::files::sync_folder;
use crate::base::{Report, Result};
use crate::journal::{HEAD_FILE, JOURNAL_FILE, sha256};
use serde::Serialize;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// The file with the sums of all others, as `sha256sum --check` reads it.
pub const MANIFEST: &str = "MANIFEST.sha256";

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The folder.
    pub folder: PathBuf,
    /// The incidents.
    pub incidents: Vec<String>,
    /// How many files.
    pub files: usize,
    /// The sum of the manifest: whoever has it knows every byte.
    pub manifest_sha256: String,
    /// Incidents whose journals are damaged; they are exported as they stand.
    pub damaged: Vec<String>,
}

impl Incidents {
    /// Exports incidents into `folder`, which is made.
    pub fn export(&self, ids: &[String], folder: &Path) -> Result<Exported> {
        let failed = |path: &Path, error: &io::Error| {
            Report::failed(format!("cannot export into {}: {error}", path.display()))
        };
        // Whatever cannot be read is known before anything is written.
        let evidence = ids.iter().map(|id| self.evidence(id)).collect::<Result<Vec<_>>>()?;
        std::fs::create_dir(folder).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Report::usage(format!("{} is there already; name a new folder", folder.display()))
            }
            _ => failed(folder, &error),
        })?;
        let mut manifest = String::new();
        let mut files = 0;
        let mut keep = |name: &str, bytes: &[u8]| -> Result<()> {
            let path = folder.join(name);
            write(&path, bytes).map_err(|error| failed(&path, &error))?;
            manifest += &[sha256(bytes).as_str(), "  ", name, "\n"].concat();
            files += 1;
            Ok(())
        };
        for one in &evidence {
            let id = &one.view.id;
            let place = folder.join(id);
            for folder in [&place, &place.join(super::sign::FOLDER)] {
                std::fs::create_dir(folder).map_err(|error| failed(folder, &error))?;
            }
            for name in [JOURNAL_FILE, HEAD_FILE] {
                let source = self.known(id)?.join(name);
                match std::fs::read(&source) {
                    Ok(bytes) => keep(&format!("{id}/{name}"), &bytes)?,
                    Err(error) if error.kind() == ErrorKind::NotFound && name == HEAD_FILE => {}
                    Err(error) => {
                        return Err(Report::failed(format!("cannot read {}: {error}", source.display())));
                    }
                }
            }
            for (name, bytes) in self.signature_files(id)? {
                keep(&format!("{id}/{name}"), &bytes)?;
            }
            let json = serde_json::to_vec(&Document::new(one))
                .map_err(|error| Report::failed(format!("cannot write JSON: {error}")))?;
            keep(&format!("{id}/report.md"), markdown(one).as_bytes())?;
            keep(&format!("{id}/report.html"), html(one).as_bytes())?;
            keep(&format!("{id}/report.json"), &json)?;
            sync_folder(&place).map_err(|error| failed(&place, &error))?;
        }
        let path = folder.join(MANIFEST);
        write(&path, manifest.as_bytes())
            .and_then(|()| sync_folder(folder))
            .map_err(|error| failed(&path, &error))?;
        let damaged = evidence.iter().filter(|one| !one.verification.ok);
        Ok(Exported {
            folder: folder.to_owned(),
            incidents: ids.to_vec(),
            files,
            manifest_sha256: sha256(manifest.as_bytes()),
            damaged: damaged.map(|one| words::one_line(&one.view.id)).collect(),
        })
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
