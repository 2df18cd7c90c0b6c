//! Words as a shell takes them, for commands that are shown to be typed. Runs nothing.

/// One word, in quotes where it needs them.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Words with spaces between them.
pub fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// The words of a line in which each is plain or in double quotes, as PostgreSQL writes `postmaster.opts`.
pub fn double_quoted_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            // No quote is escaped there: the next one that stands before a space or the end closes the word.
            Some(inner) => inner.split_once("\" ").unwrap_or((inner.strip_suffix('"').unwrap_or(inner), "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("--type=time"), "--type=time");
        assert_eq!(quoted("--target=2026-11-21 01:06:03+00"), "'--target=2026-11-21 01:06:03+00'");
        assert_eq!(line(["it's", ""]), r"'it'\''s' ''");
    }

    #[test]
    fn a_server_says_how_it_was_started() {
        let line = "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/srv/my data\" \"-c\" \"a=b c\"\n";
        let words = ["/usr/lib/postgresql/15/bin/postgres", "-D", "/srv/my data", "-c", "a=b c"];
        assert_eq!(double_quoted_words(line), words);
        assert!(double_quoted_words(" \n").is_empty());
    }
}
