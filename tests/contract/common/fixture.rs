//! The committed repositories and what real pgBackRest and PostgreSQL made of them (`tests/fixtures/manifest.json`).

use super::{as_user, give, work_root};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// One fixture, extracted; shared by all tests and never written to.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) stanza: String,
    pub(crate) dir: PathBuf,
    json: Value,
}

/// One restore that pgBackRest was seen doing.
#[derive(Debug)]
pub(crate) struct Restored<'a> {
    pub(crate) id: &'a str,
    pub(crate) set: Option<&'a str>,
    pub(crate) set_used: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) options: Vec<&'a str>,
    /// Path of the file list inside the fixture, if one was recorded.
    pub(crate) list: Option<&'a str>,
    /// What the newest pgBackRest leaves otherwise than the recorded list; a null value = absent.
    pub(crate) differs: Option<&'a Value>,
}

/// One recovery that pgBackRest and PostgreSQL were seen doing.
#[derive(Debug)]
pub(crate) struct Recovered<'a> {
    pub(crate) id: &'a str,
    pub(crate) set: Option<&'a str>,
    pub(crate) kind: &'a str,
    pub(crate) target: Option<&'a str>,
    pub(crate) options: Vec<&'a str>,
    pub(crate) settings: Vec<&'a str>,
    /// None if the restore or the recovery failed.
    pub(crate) outcome: Option<Rows>,
    pub(crate) timeline_after: u64,
}

/// What the ledger holds; compared to the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) count: u64,
    pub(crate) max_id: u64,
    pub(crate) md5: String,
}

impl Fixture {
    /// Extracts a fixture once per machine and gives it.
    pub(crate) fn load(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let text = fs::read_to_string(folder.join("manifest.json"))
            .expect("tests/fixtures/manifest.json is part of the repository");
        let manifest: Value = serde_json::from_str(&text).unwrap();
        let found = manifest["fixtures"].as_array().unwrap().iter().find(|fixture| fixture["name"] == name);
        let json = found.unwrap_or_else(|| panic!("manifest.json knows no fixture {name}")).clone();
        let dir = work_root().join(format!("{name}-{}", &json["archive_sha256"].as_str().unwrap()[..12]));
        if !dir.exists() {
            extract(&folder.join(format!("{name}.tar.zst")), &dir);
        }
        let stanza = json["stanzas"].as_object().unwrap().keys().next().unwrap().clone();
        Self { name: name.to_owned(), stanza, dir, json }
    }

    /// The configuration the repository was made with, with `@…@` for paths.
    pub(crate) fn template(&self) -> String {
        fs::read_to_string(self.dir.join("pgbackrest.conf.template")).unwrap()
    }

    /// The recorded restores.
    pub(crate) fn restores(&self) -> Vec<Restored<'_>> {
        let one = |case| Restored {
            id: text(case, "id").unwrap(),
            set: text(case, "set"),
            set_used: text(case, "set_used").unwrap(),
            kind: text(case, "type").unwrap(),
            options: texts(case, "options"),
            list: text(case, "list"),
            differs: case.get("with_latest").and_then(|latest| latest.get("differs")),
        };
        self.json["restores"].as_array().unwrap().iter().map(one).collect()
    }

    /// The recorded recoveries.
    pub(crate) fn recoveries(&self) -> Vec<Recovered<'_>> {
        let one = |case| Recovered {
            id: text(case, "id").unwrap(),
            set: text(case, "set"),
            kind: text(case, "type").unwrap(),
            target: text(case, "target"),
            options: texts(case, "options"),
            settings: texts(case, "recovery_settings"),
            outcome: (case["outcome"] == "promoted").then(|| rows(case)),
            timeline_after: case["timeline_after"].as_u64().unwrap_or_default(),
        };
        self.json["recoveries"].as_array().unwrap().iter().map(one).collect()
    }

    /// What the ledger held right after a marked commit.
    pub(crate) fn rows_at(&self, mark: &str) -> Rows {
        rows(self.mark(mark))
    }

    /// The recorded facts of a marked commit: `xid`, `commit_ts`, `lsn_after`, `wal_segment`.
    pub(crate) fn mark(&self, mark: &str) -> &Value {
        self.json["marks"].as_array().unwrap().iter().find(|m| m["label"] == mark).unwrap()
    }

    /// The labels of the backups, oldest first.
    pub(crate) fn backups(&self) -> Vec<&str> {
        self.json["backups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|backup| backup["label"].as_str().unwrap())
            .collect()
    }

    /// A decrypted info file or manifest, e.g. `backup/main/backup.info`.
    pub(crate) fn plain(&self, path: &str) -> String {
        fs::read_to_string(self.dir.join("expected/plain").join(path)).unwrap()
    }

    /// The decrypted manifest of a backup.
    pub(crate) fn manifest(&self, label: &str) -> String {
        self.plain(&format!("backup/{}/{label}/backup.manifest", self.stanza))
    }

    /// The modification time of every file of a backup, by path below the restore target (`pgdata/…`, `ts/…`).
    pub(crate) fn times(&self, label: &str) -> BTreeMap<String, i64> {
        let manifest = self.manifest(label);
        let mut tablespaces = BTreeMap::new();
        let mut times = BTreeMap::new();
        let mut section = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            } else if let Some((key, value)) = line.split_once('=') {
                let value: Value = serde_json::from_str(value).unwrap();
                if let ("[backup:target]", Some(name)) = (section, text(&value, "tablespace-name")) {
                    tablespaces.insert(format!("{key}/"), format!("ts/{name}/"));
                } else if section == "[target:file]" {
                    let mapped = tablespaces
                        .iter()
                        .find_map(|(from, to)| Some(format!("{to}{}", key.strip_prefix(from)?)));
                    times.insert(
                        mapped.unwrap_or_else(|| key.replacen("pg_data/", "pgdata/", 1)),
                        value["timestamp"].as_i64().unwrap(),
                    );
                }
            }
        }
        times
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|item| item.as_str().unwrap())
        .collect()
}

fn rows(value: &Value) -> Rows {
    let number = |key: &str| value[key].as_u64().unwrap();
    Rows { count: number("rows"), max_id: number("max_id"), md5: text(value, "md5").unwrap().to_owned() }
}

/// Extracts as the user, beside the final place, so that two test processes never see half a fixture.
fn extract(archive: &Path, dir: &Path) {
    let new = tempfile::Builder::new().prefix("extract-").tempdir_in(work_root()).unwrap();
    give(new.path());
    let mut unpack = as_user("zstd")
        .arg("-dqc")
        .stdin(File::open(archive).expect("the fixture is committed"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = as_user("tar")
        .args(["-x", "--no-same-owner", "-C"])
        .arg(new.path())
        .stdin(unpack.stdout.take().unwrap())
        .status()
        .unwrap();
    assert!(status.success() && unpack.wait().unwrap().success(), "cannot extract {}", archive.display());
    // Another process may have been faster; its copy is as good.
    if fs::rename(new.path(), dir).is_ok() {
        let _moved = new.keep();
    }
}
