//! Where the configuration of a cluster lies: in its data directory, or beside it as Debian keeps it.
//!
//! Only reads. What the configuration says about other directories is never followed blindly: a server is always
//! started with its data directory on the command line.

use super::recovery_settings::parse_line;
use std::path::{Path, PathBuf};

/// Where Debian keeps one folder per version and cluster.
pub const DEBIAN_CLUSTERS: &str = "/etc/postgresql";

/// The configuration file of a cluster that is kept outside its data directory.
///
/// Nothing if the data directory has its own `postgresql.conf`, or if none below `clusters` (normally
/// [`DEBIAN_CLUSTERS`]) names this directory.
pub fn outside_file(data_dir: &Path, clusters: &Path) -> Option<PathBuf> {
    if data_dir.join("postgresql.conf").is_file() {
        return None;
    }
    let wanted = resolved(data_dir);
    let folders = |folder: &Path| {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let files = folders(clusters).into_iter().flat_map(|version| folders(&version));
    files.map(|cluster| cluster.join("postgresql.conf")).find(|file| {
        std::fs::read(file)
            .ok()
            .and_then(|text| last_value(&text, "data_directory"))
            .is_some_and(|named| resolved(Path::new(&named)) == wanted)
    })
}

/// The value a setting has after the last line that sets it, includes not followed.
pub fn last_value(text: &[u8], name: &str) -> Option<String> {
    let lines = text.split(|byte| *byte == b'\n').rev().filter_map(parse_line);
    lines.into_iter().find(|line| line.name == name).map(|line| line.value)
}

fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_cluster_that_names_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        let clusters = root.path().join("etc");
        std::fs::create_dir_all(&data).unwrap();
        for (name, dir) in [("15/main", "/elsewhere"), ("15/other", data.to_str().unwrap())] {
            std::fs::create_dir_all(clusters.join(name)).unwrap();
            let text = format!("#data_directory = 'no'\nport = 5433\ndata_directory = '{dir}'\t# here\n");
            std::fs::write(clusters.join(name).join("postgresql.conf"), text).unwrap();
        }
        assert_eq!(outside_file(&data, &clusters), Some(clusters.join("15/other/postgresql.conf")));
        std::fs::write(data.join("postgresql.conf"), "").unwrap();
        assert_eq!(outside_file(&data, &clusters), None);
        assert_eq!(outside_file(&root.path().join("third"), &clusters), None);
    }

    #[test]
    fn the_last_line_wins() {
        assert_eq!(last_value(b"port = 1\nPort 2 # two\n#port=3\n", "port").as_deref(), Some("2"));
    }
}
