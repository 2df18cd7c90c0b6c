//! The text of `restore_command`, safe through two readers: PostgreSQL's placeholders and the shell.

use super::refused;
use crate::cluster::ClusterError;
use std::path::{Path, PathBuf};

/// A call of this program (or another with the same command line) that fetches one WAL file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreCommand {
    program: PathBuf,
    options: Vec<(String, Option<String>)>,
}

impl RestoreCommand {
    /// A call of `program`, which must be an absolute path: PostgreSQL's working directory is the data directory.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), options: Vec::new() }
    }

    /// Adds `--name=value`; options are written sorted by name, as pgBackRest does.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.options.push((name.to_owned(), Some(value.into())));
        self
    }

    /// Adds `--name` without a value.
    #[must_use]
    pub fn switch(mut self, name: &str) -> Self {
        self.options.push((name.to_owned(), None));
        self
    }

    /// The program called.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The call's words, for a process of our own: the program, then its options, sorted by name.
    pub fn words(&self) -> Vec<String> {
        let mut options: Vec<_> = self.options.iter().collect();
        options.sort_by(|a, b| a.0.cmp(&b.0));
        let option = |(name, value): &(String, Option<String>)| match value {
            Some(value) => format!("--{name}={value}"),
            None => format!("--{name}"),
        };
        let program = self.program.to_string_lossy().into_owned();
        std::iter::once(program).chain(options.into_iter().map(option)).collect()
    }

    /// The command as the setting's value, not yet quoted for the configuration file.
    pub fn text(&self) -> Result<String, ClusterError> {
        Ok(format!("{} archive-get %f \"%p\"", self.call()?))
    }

    /// The same call as the value of `archive_command`: archiving a file instead of fetching one.
    pub fn archive_text(&self) -> Result<String, ClusterError> {
        Ok(format!("{} archive-push %p", self.call()?))
    }

    fn call(&self) -> Result<String, ClusterError> {
        let bad = |why: &str| refused("restore_command", why);
        if !self.program.is_absolute() {
            return Err(bad("the program's path is not absolute"));
        }
        if self.program.to_str().is_none() {
            return Err(bad("the program's path is not UTF-8"));
        }
        let words: Vec<_> = self.words().iter().map(|word| shell_word(word)).collect::<Result<_, _>>()?;
        Ok(words.join(" "))
    }
}

/// One word for the shell, with every `%` doubled against PostgreSQL's placeholders.
fn shell_word(word: &str) -> Result<String, ClusterError> {
    if word.contains(['\0', '\n', '\r']) {
        return Err(refused(
            "restore_command",
            "a line break or NUL cannot be handed to the shell by PostgreSQL",
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    let word = word.replace('%', "%%");
    if !word.is_empty() && word.chars().all(plain) {
        return Ok(word);
    }
    Ok(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::process::{command, run_limited};
    use std::time::Duration;

    #[test]
    fn plain_words_stay_plain() {
        let call = RestoreCommand::new("/usr/bin/pgmayday")
            .option("stanza", "main")
            .option("config", "/etc/pgbackrest.conf")
            .option("pg1-path", "/srv/pg 15");
        assert_eq!(
            call.text().unwrap(),
            "/usr/bin/pgmayday --config=/etc/pgbackrest.conf '--pg1-path=/srv/pg 15' --stanza=main archive-get %f \"%p\""
        );
        assert_eq!(
            call.archive_text().unwrap(),
            "/usr/bin/pgmayday --config=/etc/pgbackrest.conf '--pg1-path=/srv/pg 15' --stanza=main archive-push %p"
        );
        let words =
            ["/usr/bin/pgmayday", "--config=/etc/pgbackrest.conf", "--pg1-path=/srv/pg 15", "--stanza=main"];
        assert_eq!(call.words(), words);
        assert!(RestoreCommand::new("pgmayday").text().is_err());
        assert!(RestoreCommand::new("/bin/x").option("stanza", "a\nb").text().is_err());
    }

    #[test]
    fn the_shell_gives_back_what_was_meant() {
        for value in [
            "it's",
            "a\"b",
            "$(touch /tmp/x)",
            "a;b",
            "*",
            "a\\b",
            "~root",
            "100%",
            "%f%p",
            "é",
            "",
            "`id`",
            "#",
        ] {
            let text = RestoreCommand::new("/usr/bin/printf").switch("").option("x", value).text().unwrap();
            // What PostgreSQL does with the placeholders before it calls the shell.
            let text = text.replace("%%", "\0").replace("%f", "F").replace("%p", "P").replace('\0', "%");
            let text = text.replacen("/usr/bin/printf", "/usr/bin/printf '%s|'", 1);
            let mut sh = command(Path::new("/bin/sh"));
            sh.arg("-c").arg(text);
            let finished = run_limited(sh, Duration::from_secs(20)).unwrap();
            assert_eq!(finished.stdout, format!("--|--x={value}|archive-get|F|P|"), "{value}");
        }
    }
}
