//! Reading an `archive_command`: which program archives, for which stanza.
//!
//! A command is only looked at. What is not recognised is called unknown, not wrong; what may be a secret in it is
//! never shown.

use std::path::Path;

/// The word without which pgBackRest's own `check` and `backup` refuse a server.
pub(super) const WORD: &str = "pgbackrest";
/// The longest part of a command that is shown.
const SHOWN_CHARS: usize = 200;
/// What the name of an assignment that holds a secret contains.
const SECRET_NAMES: [&str; 5] = ["pass", "secret", "token", "key", "sas"];

/// Who archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archives {
    /// Nobody: the command is empty.
    Nobody,
    /// This program.
    Ours {
        /// The command contains the word pgBackRest's own checks insist on.
        pgbackrest_agrees: bool,
        /// The stanza it names, if it does.
        stanza: Option<String>,
    },
    /// pgBackRest, or something that names it.
    PgBackRest {
        /// The stanza it names, if it does.
        stanza: Option<String>,
    },
    /// Something else.
    Other,
}

/// Who archives by this command; `program` is this program.
pub fn who_archives(command: &str, program: &Path) -> Archives {
    if command.trim().is_empty() {
        return Archives::Nobody;
    }
    let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches(['\'', '"'])).collect();
    let ours = |word: &&str| {
        let name = Path::new(word).file_name();
        name.is_some_and(|name| name == "pgmayday" || Some(name) == program.file_name())
    };
    let pgbackrest_agrees = command.contains(WORD);
    // A configuration's path may contain our name: the program stands before the verb and its options.
    let verb = words.iter().position(|word| *word == "archive-push");
    if verb.is_some_and(|verb| words[..verb].iter().any(ours)) {
        return Archives::Ours { pgbackrest_agrees, stanza: stanza(&words) };
    }
    if pgbackrest_agrees { Archives::PgBackRest { stanza: stanza(&words) } } else { Archives::Other }
}

/// The stanza named on the command line, which wins over every other place it may be named in.
fn stanza(words: &[&str]) -> Option<String> {
    let at = words.iter().position(|word| *word == "--stanza" || word.starts_with("--stanza="))?;
    let name = match words[at].split_once('=') {
        Some((_, name)) => name,
        None => words.get(at + 1)?,
    };
    Some(name.trim_matches(['\'', '"']).to_owned())
}

/// The command as it may be shown: cut if it is long, values that may be secret as `***`.
pub(super) fn shown(command: &str) -> String {
    let masked: Vec<String> = command
        .split_whitespace()
        .map(|word| match word.split_once('=') {
            Some((name, _)) if SECRET_NAMES.iter().any(|part| name.to_lowercase().contains(part)) => {
                format!("{name}=***")
            }
            _ => word.to_owned(),
        })
        .collect();
    let text = masked.join(" ");
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_recognised_by_their_command_lines() {
        let who = |command: &str| who_archives(command, Path::new("/opt/test/pgmayday-4711"));
        let stanza = |name: &str| Some(name.to_owned());
        assert_eq!(who("  "), Archives::Nobody);
        assert_eq!(who("cp %p /archive/%f"), Archives::Other);
        assert_eq!(
            who("/usr/bin/pgbackrest --stanza=main archive-push %p"),
            Archives::PgBackRest { stanza: stanza("main") }
        );
        assert_eq!(who("/usr/local/bin/pgbackrest-push.sh %p"), Archives::PgBackRest { stanza: None });
        assert_eq!(
            who("/usr/bin/pgmayday --config=/etc/pgbackrest.conf --stanza 'main' archive-push \"%p\""),
            Archives::Ours { pgbackrest_agrees: true, stanza: stanza("main") }
        );
        assert_eq!(
            who("'/opt/test/pgmayday-4711' --stanza=main archive-push %p"),
            Archives::Ours { pgbackrest_agrees: false, stanza: stanza("main") }
        );
        // The name in a path does not make it ours.
        assert_eq!(who("/usr/bin/rsync %p /srv/pgmayday/"), Archives::Other);
        assert_eq!(
            who("/usr/bin/pgbackrest --config=/home/pgmayday/c.conf archive-push %p"),
            Archives::PgBackRest { stanza: None }
        );
    }

    #[test]
    fn a_secret_in_a_command_is_not_shown() {
        let text = shown("env AWS_SECRET_ACCESS_KEY=geheim PGPASSWORD=geheim A=b wal-g wal-push %p");
        assert_eq!(text, "env AWS_SECRET_ACCESS_KEY=*** PGPASSWORD=*** A=b wal-g wal-push %p");
        assert!(shown(&"x".repeat(500)).chars().count() == 201);
    }
}
