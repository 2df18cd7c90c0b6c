//! A restored tree as a list that can be compared: kind, mode, size and SHA-256 of everything.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `file`, `path` or `link`, as in the recorded lists.
    pub(crate) kind: String,
    /// Octal permission bits; empty for links.
    pub(crate) mode: String,
    /// Bytes; empty for all but files.
    pub(crate) size: String,
    /// SHA-256 of a file, destination of a link.
    pub(crate) content: String,
}

/// A tree by path, sorted.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// The tree below a restore target; `pgdata` and `ts` themselves are no part of it.
pub(crate) fn list(dest: &Path) -> Tree {
    let mut tree = list_all(dest);
    tree.remove("pgdata");
    tree.remove("ts");
    tree
}

/// Everything below a folder.
pub(crate) fn list_all(root: &Path) -> Tree {
    let mut tree = Tree::new();
    walk(root, "", &mut tree);
    tree
}

fn walk(folder: &Path, prefix: &str, tree: &mut Tree) {
    for item in fs::read_dir(folder).unwrap() {
        let item = item.unwrap();
        let path = item.path();
        let name = format!("{prefix}{}", item.file_name().to_string_lossy());
        let meta = item.metadata().unwrap();
        let mode = format!("{:04o}", meta.mode() & 0o7777);
        let entry = if meta.is_symlink() {
            let to = fs::read_link(&path).unwrap().to_string_lossy().into_owned();
            Entry { kind: "link".to_owned(), mode: String::new(), size: String::new(), content: to }
        } else if meta.is_dir() {
            walk(&path, &format!("{name}/"), tree);
            Entry { kind: "path".to_owned(), mode, size: String::new(), content: String::new() }
        } else {
            Entry {
                kind: "file".to_owned(),
                mode,
                size: meta.len().to_string(),
                content: sha256(&fs::read(&path).unwrap()),
            }
        };
        tree.insert(name, entry);
    }
}

/// A recorded list, its `@DEST@` replaced.
pub(crate) fn recorded(text: &str, dest: &Path) -> Tree {
    let text = text.replace("@DEST@", dest.to_str().unwrap());
    let entry = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        (next(), Entry { kind: next(), mode: next(), size: next(), content: next() })
    };
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(entry).collect()
}

/// Applies recorded differences: an object per path, null for "not there".
pub(crate) fn amend(tree: &mut Tree, differs: &Value) {
    for (path, entry) in differs.as_object().unwrap() {
        if entry.is_null() {
            tree.remove(path);
        } else {
            let field = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            tree.insert(
                path.clone(),
                Entry {
                    kind: field("kind"),
                    mode: field("mode"),
                    size: field("size"),
                    content: field("sha256"),
                },
            );
        }
    }
}

/// What differs, one sentence each; empty if the trees are the same.
pub(crate) fn differences(wanted: &Tree, found: &Tree) -> Vec<String> {
    let missing =
        wanted.keys().filter(|path| !found.contains_key(*path)).map(|path| format!("{path}: missing"));
    let extra =
        found.keys().filter(|path| !wanted.contains_key(*path)).map(|path| format!("{path}: not expected"));
    let changed = wanted.iter().filter_map(|(path, entry)| {
        let other = found.get(path)?;
        (entry != other).then(|| format!("{path}: wanted {entry:?}, found {other:?}"))
    });
    missing.chain(extra).chain(changed).collect()
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
