//! Finding the programs of one PostgreSQL major version.
//!
//! A folder counts only if the `postgres` in it says it is that version. Nothing is started but `postgres -V`.

use super::ClusterError;
use super::process::{command, run_limited};
use crate::base::PgVersion;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The programs of one installed PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder they are in.
    pub folder: PathBuf,
    /// Their major version.
    pub version: PgVersion,
}

impl Binaries {
    /// The path of one of them, for example `pg_ctl`; it need not exist.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Where to look, in this order: folders named by the operator, the packages' places, `PATH`.
#[derive(Debug, Clone, Default)]
pub struct Search {
    named: Vec<PathBuf>,
    path: Vec<PathBuf>,
}

impl Search {
    /// A search that tries the folders of `named` first (the text of `PGMAYDAY_PG_BIN`: one or several, separated by
    /// colons) and those of `path` (the text of `PATH`) last.
    pub fn new(named: Option<&OsStr>, path: Option<&OsStr>) -> Self {
        let folders = |text: Option<&OsStr>| {
            text.map(|text| std::env::split_paths(text).filter(|folder| folder.is_absolute()).collect())
                .unwrap_or_default()
        };
        Self { named: folders(named), path: folders(path) }
    }

    /// Finds the programs of `version`.
    pub fn find(&self, version: PgVersion) -> Result<Binaries, ClusterError> {
        let packaged = [
            format!("/usr/lib/postgresql/{version}/bin"),
            format!("/usr/pgsql-{version}/bin"),
            format!("/opt/postgresql/{version}/bin"),
        ];
        let packaged = packaged.iter().map(PathBuf::from);
        let folders: Vec<PathBuf> =
            self.named.iter().cloned().chain(packaged).chain(self.path.iter().cloned()).collect();
        let found = folders.iter().find(|folder| version_in(folder) == Some(version));
        match found {
            // A link farm such as /usr/local/bin lacks the other programs: they are beside the real one.
            Some(folder) => {
                let real = folder.join("postgres").canonicalize().ok();
                let folder = real.as_deref().and_then(Path::parent).unwrap_or(folder).to_owned();
                Ok(Binaries { folder, version })
            }
            None => Err(ClusterError::NoBinaries {
                version: version.to_string(),
                looked: folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

/// The version of the `postgres` in a folder; nothing if there is none that runs.
fn version_in(folder: &Path) -> Option<PgVersion> {
    let postgres = folder.join("postgres");
    if !postgres.is_file() {
        return None;
    }
    let mut ask = command(&postgres);
    ask.arg("-V");
    let finished =
        run_limited(ask, Duration::from_secs(10)).ok().filter(super::process::Finished::success)?;
    parse_version(&finished.stdout)
}

/// Reads `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`.
fn parse_version(text: &str) -> Option<PgVersion> {
    let number = text.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    let first = parts.next()?;
    if first == "9" { format!("9.{}", parts.next()?).parse().ok() } else { first.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_postgres_says_of_itself() {
        let read = |text: &str| parse_version(text).map(|version| version.to_string());
        assert_eq!(read("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n").as_deref(), Some("15"));
        assert_eq!(read("postgres (PostgreSQL) 9.6.24\n").as_deref(), Some("9.6"));
        assert_eq!(read("postgres (PostgreSQL) 18beta2").as_deref(), Some("18"));
        assert_eq!(read("postgres (PostgreSQL) 99.1").as_deref(), Some("99"));
        assert_eq!(read("something else"), None);
    }

    #[test]
    fn a_folder_counts_only_with_the_right_version() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("postgres");
        std::fs::write(&program, "#!/bin/sh\necho 'postgres (PostgreSQL) 9.5.3'\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let search = Search::new(Some(folder.path().as_os_str()), None);
        let found = search.find("9.5".parse().unwrap()).unwrap();
        assert_eq!(found.folder, folder.path().canonicalize().unwrap());
        let error = search.find("9.6".parse().unwrap()).unwrap_err().to_string();
        assert!(
            error.contains("PostgreSQL 9.6 is not installed")
                && error.contains("/usr/lib/postgresql/9.6/bin"),
            "{error}"
        );
    }
}
