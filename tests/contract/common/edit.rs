//! Changing repositories the way accidents and attackers do, with everything re-sealed that a checksum would tell.

use super::fixture::Fixture;
use super::{Case, give};
use sha1::{Digest as _, Sha1};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// SHA-1 in hexadecimal.
pub(crate) fn sha1(bytes: &[u8]) -> String {
    super::tree::hex(&Sha1::digest(bytes))
}

/// Writes a file of the repository; it belongs to the user like the rest.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    give(path.parent().unwrap());
}

/// Flips bits of one byte in place and gives what it was.
pub(crate) fn flip(path: &Path, at: u64, mask: u8) -> u8 {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ mask], at).unwrap();
    byte[0]
}

/// Sends bytes through a program.
pub(crate) fn through(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that refuses its input closes the pipe; its exit code tells.
        scope.spawn(move || drop(pipe.write_all(input)));
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    })
}

/// Encrypts as pgBackRest does (`openssl enc` with this key derivation).
pub(crate) fn encrypt(bytes: &[u8], passphrase: &str) -> Vec<u8> {
    through("openssl", &["enc", "-aes-256-cbc", "-md", "sha1", "-pass", &format!("pass:{passphrase}")], bytes)
}

/// Decrypts what [`encrypt`] or pgBackRest wrote.
pub(crate) fn decrypt(bytes: &[u8], passphrase: &str) -> Vec<u8> {
    through(
        "openssl",
        &["enc", "-d", "-aes-256-cbc", "-md", "sha1", "-pass", &format!("pass:{passphrase}")],
        bytes,
    )
}

/// The passphrase an info file or manifest holds for what lies below it.
pub(crate) fn inner_passphrase(info: &str) -> Option<String> {
    info.lines().find_map(|line| Some(line.strip_prefix("cipher-pass=\"")?.strip_suffix('"')?.to_owned()))
}

impl Case {
    /// The archived file of a segment, by its 24 digits; exactly one.
    pub(crate) fn segment(&self, name: &str) -> PathBuf {
        let archive = self.repo.join("archive").join(&self.stanza);
        let ids = fs::read_dir(archive)
            .unwrap()
            .map(|id| id.unwrap().path().join(&name[..16]))
            .filter(|folder| folder.is_dir());
        let files = ids.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path());
        let mut found =
            files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{name}-")));
        let one = found.next().unwrap_or_else(|| panic!("no segment {name}"));
        assert!(found.next().is_none(), "{name} is there twice");
        one
    }

    /// A path in the folder of a backup set.
    pub(crate) fn backup_path(&self, label: &str, name: &str) -> PathBuf {
        self.repo.join("backup").join(&self.stanza).join(label).join(name)
    }
}

/// A manifest or info file taken apart, to be changed and sealed again.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    sections: Vec<(String, Vec<(String, String)>)>,
    passphrase: Option<String>,
}

impl Draft {
    /// The manifest of a fixture's backup.
    pub(crate) fn manifest(fixture: &Fixture, label: &str) -> Self {
        let info = fixture.plain(&format!("backup/{}/backup.info", fixture.stanza));
        Self { sections: parse(&fixture.manifest(label)), passphrase: inner_passphrase(&info) }
    }

    /// The lines of a section; made if it is missing.
    pub(crate) fn section(&mut self, name: &str) -> &mut Vec<(String, String)> {
        if !self.sections.iter().any(|(section, _)| section == name) {
            self.sections.push((name.to_owned(), Vec::new()));
            self.sections.sort_by(|a, b| a.0.cmp(&b.0));
        }
        &mut self.sections.iter_mut().find(|(section, _)| section == name).unwrap().1
    }

    /// Sets a line.
    pub(crate) fn set(&mut self, section: &str, key: &str, value: &str) -> &mut Self {
        let lines = self.section(section);
        lines.retain(|(name, _)| name != key);
        lines.push((key.to_owned(), value.to_owned()));
        lines.sort();
        self
    }

    /// The value of a line as JSON.
    pub(crate) fn value(&self, section: &str, key: &str) -> serde_json::Value {
        let lines = &self.sections.iter().find(|(name, _)| name == section).unwrap().1;
        let value = &lines.iter().find(|(name, _)| name == key).unwrap_or_else(|| panic!("no {key}")).1;
        serde_json::from_str(value).unwrap()
    }

    /// Changes fields of an object line.
    pub(crate) fn amend(
        &mut self,
        section: &str,
        key: &str,
        fields: &[(&str, serde_json::Value)],
    ) -> &mut Self {
        let mut value = self.value(section, key);
        for (name, field) in fields {
            value[*name] = field.clone();
        }
        self.set(section, key, &value.to_string())
    }

    /// The text, with the right checksum at its end: SHA-1 over the same content written as one JSON object.
    pub(crate) fn sealed(&self) -> String {
        let quoted = |key: &str| serde_json::to_string(key).unwrap();
        let lines = |lines: &[(String, String)], one: &dyn Fn(&str, &str) -> String, between: &str| {
            lines.iter().map(|(key, value)| one(key, value)).collect::<Vec<_>>().join(between)
        };
        let json: Vec<_> = self
            .sections
            .iter()
            .map(|(name, content)| {
                format!(
                    "\"{name}\":{{{}}}",
                    lines(content, &|key, value| format!("{}:{value}", quoted(key)), ",")
                )
            })
            .collect();
        let text: Vec<_> = self
            .sections
            .iter()
            .map(|(name, content)| {
                format!("[{name}]\n{}\n", lines(content, &|key, value| format!("{key}={value}"), "\n"))
            })
            .collect();
        let checksum = sha1(format!("{{{}}}", json.join(",")).as_bytes());
        format!("{}\n[backrest]\nbackrest-checksum=\"{checksum}\"\n", text.join("\n"))
    }

    /// Writes it as the manifest of a backup, main file and copy, encrypted if the repository is.
    pub(crate) fn install(&self, case: &Case, label: &str) {
        install_text(case, label, self.sealed().as_bytes(), self.passphrase.as_deref());
    }
}

/// Writes any bytes as the manifest of a backup.
pub(crate) fn install_text(case: &Case, label: &str, text: &[u8], passphrase: Option<&str>) {
    let stored = passphrase.map_or_else(|| text.to_vec(), |passphrase| encrypt(text, passphrase));
    for name in ["backup.manifest", "backup.manifest.copy"] {
        put(&case.backup_path(label, name), &stored);
    }
}

fn parse(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push((name.to_owned(), Vec::new()));
        } else {
            let (key, value) = line.split_once('=').unwrap();
            sections.last_mut().unwrap().1.push((key.to_owned(), value.to_owned()));
        }
    }
    // The last section is the checksum's.
    assert_eq!(sections.pop().unwrap().0, "backrest");
    sections
}

/// Bytes of zeros, compressed by a stock tool without ever being in memory.
pub(crate) fn bomb(tool: &str, bytes: u64, to: &Path) {
    let zeros = Command::new("head")
        .args(["-c", &bytes.to_string(), "/dev/zero"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = File::create(to).unwrap();
    let mut zeros = zeros;
    let status =
        Command::new(tool).arg("-c").stdin(zeros.stdout.take().unwrap()).stdout(out).status().unwrap();
    assert!(status.success() && zeros.wait().unwrap().success());
    give(to);
}
