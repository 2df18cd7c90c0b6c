//! How values are shown, and the right spelling for lines that are often pasted wrong.
//!
//! Corrects nothing by itself; a hint is all it gives.

use super::options::{Kind, OptionDef};

/// A value as people may see it: `***` for secrets, passwords inside other values blanked, lists joined.
pub(super) fn shown(def: &OptionDef, texts: &[&str]) -> String {
    if def.secret {
        return "***".to_owned();
    }
    texts.iter().map(|text| without_password(text)).collect::<Vec<_>>().join(", ")
}

/// Blanks what follows `password=`, as in the `primary_conninfo` of a recovery option.
fn without_password(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut out, mut from) = (String::new(), 0);
    while let Some(at) = lower[from..].find("password=").map(|at| from + at + "password=".len()) {
        out.push_str(&text[from..at]);
        out.push_str("***");
        from = at + secret_length(&text[at..]);
    }
    out.push_str(&text[from..]);
    without_url_password(&out)
}

/// The length of a connection string's value: quoted up to its closing quote, else up to a blank or `&`.
fn secret_length(rest: &str) -> usize {
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let ends = |c: char| quote.map_or_else(|| c.is_whitespace() || c == '&', |q| c == q);
    let skip = usize::from(quote.is_some());
    rest[skip..].find(ends).map_or(rest.len(), |at| at + 2 * skip)
}

/// Blanks the password of `scheme://user:password@host`; a password with an unescaped `/` or `@` too.
fn without_url_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let blank = |login: &str| login.split_once(':').map(|(user, _)| format!("{user}:***"));
    match rest.rsplit_once('@').and_then(|(login, host)| Some(format!("{scheme}://{}@{host}", blank(login)?)))
    {
        Some(blanked) => blanked,
        None => text.to_owned(),
    }
}

/// What to write instead of an option that does not exist.
pub(super) fn of_name(name: &str) -> Option<String> {
    let hint = match name {
        "target-db-name" | "database" | "dbname" | "db-name" | "db" => "write --db-include=NAME",
        "target-time" | "recovery-target-time" => "write --type=time --target=TIME",
        "target-name" | "recovery-target-name" => "write --type=name --target=NAME",
        "target-lsn" | "recovery-target-lsn" => "write --type=lsn --target=LSN",
        "target-xid" | "recovery-target-xid" => "write --type=xid --target=XID",
        "target-inclusive" | "recovery-target-inclusive" => {
            "the target is included unless --target-exclusive is given"
        }
        "recovery-target-action" => "write --target-action=pause, promote or shutdown",
        "recovery-target-timeline" | "timeline" => "write --target-timeline=N, current or latest",
        "pgdata" | "data-dir" | "data-directory" | "D" => "write --pg1-path=FOLDER",
        "backup" | "label" | "backup-set" => "write --set=LABEL",
        "tablespace-mapping" => "write --tablespace-map=NAME=FOLDER",
        "jobs" | "threads" | "parallel" => "write --process-max=N",
        "json" => "write --output=json",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What was probably meant by a value that is not allowed.
pub(super) fn of_value(def: &OptionDef, command: &str, value: &str) -> Option<String> {
    let hint = match (def.name, command, value) {
        ("archive-mode", _, "n" | "no" | "false") => {
            "write --archive-mode=off to restore with archiving switched off"
        }
        ("archive-mode", _, _) => {
            "write --archive-mode=preserve to keep archiving as it was (the default), or --archive-mode=off"
        }
        ("type", "restore", "latest") => {
            "leave --type out (or write --type=default): that recovers to the end of the archive"
        }
        ("type", "restore", "full" | "diff" | "incr") => {
            "backups have this type, recoveries do not: choose a backup with --set=LABEL, \
             or leave --type out for the latest state"
        }
        ("type", "restore", "pitr") => "write --type=time --target=TIME",
        ("annotation", ..) => "write the note as key=value, for example --annotation=reason=before-upgrade",
        ("target-action", _, "stop") => "write --target-action=shutdown",
        ("tablespace-map" | "link-map" | "recovery-option", ..) => "write key=value after the option's name",
        _ => match (def.kind, value) {
            (Kind::Flag, "true" | "yes" | "on" | "1" | "Y") => "write y",
            (Kind::Flag, "false" | "no" | "off" | "0" | "N") => "write n",
            _ => return None,
        },
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::by_name;

    #[test]
    fn passwords_inside_other_values_are_blanked() {
        let def = by_name("recovery-option").unwrap();
        let see = |text| shown(def, &[text]);
        assert_eq!(
            see("primary_conninfo=host=a password=geheim user=b"),
            "primary_conninfo=host=a password=*** user=b"
        );
        assert_eq!(see("primary_conninfo=Password='a b' user=c"), "primary_conninfo=Password=*** user=c");
        assert_eq!(see("x=password='open"), "x=password=***");
        assert_eq!(see("c=postgres://me:geheim@h/db?x=1"), "c=postgres://me:***@h/db?x=1");
        assert_eq!(see("c=postgres://me@h:5432/db"), "c=postgres://me@h:5432/db");
        assert_eq!(see("plain=5"), "plain=5");
        assert_eq!(shown(by_name("repo-cipher-pass").unwrap(), &["geheim"]), "***");
    }
}
