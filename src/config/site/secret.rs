//! Secrets that `pgmayday.toml` only names: read when they are needed, never kept in it.
//!
//! Shows nothing of what it reads; a file that everybody may read is refused.

use super::Site;
use crate::base::Secret;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The content of a file without the space around it, or what is wrong with the file.
pub(super) fn of_file(path: &Path) -> Result<Secret, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let mode = std::fs::metadata(path).map_err(|error| wrong(&error))?.mode();
    if mode & 0o007 != 0 {
        return Err(wrong(&"everybody may read it; chmod o= makes it a secret"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Ok(Secret::new(text.trim()))
}

impl Site {
    /// What `${secret:NAME}` of a runbook stands for: the file that is named for it, else the variable of this name. The
    /// error says what is wrong, without a word of the secret.
    pub fn secret(&self, name: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Secret, String> {
        if let Some(path) = self.secret_file.get(name) {
            return of_file(path);
        }
        let unset = || {
            format!("the variable {name} is not set for this process, and secret-file names no file for it")
        };
        variable(name).filter(|value| !value.trim().is_empty()).map(Secret::new).ok_or_else(unset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_comes_from_its_file_or_its_variable_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "XYZZY\n").unwrap();
        let site = Site { secret_file: [("TOKEN".to_owned(), path.clone())].into(), ..Site::default() };
        let variable = |name: &str| (name == "OTHER").then(|| "PLUGH".to_owned());
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let refused = site.secret("TOKEN", &variable).unwrap_err();
        assert!(refused.contains("everybody may read it") && !refused.contains("XYZZY"), "{refused}");
        mode(0o640);
        assert_eq!(site.secret("TOKEN", &variable).unwrap().expose(), "XYZZY");
        assert_eq!(site.secret("OTHER", &variable).unwrap().expose(), "PLUGH");
        let unset = site.secret("NONE", &variable).unwrap_err();
        assert!(unset.contains("the variable NONE is not set"), "{unset}");
    }
}
