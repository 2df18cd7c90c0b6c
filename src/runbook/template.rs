//! `${NAME}` and `${secret:NAME}` in a text: where they stand, and the text with them filled in.
//!
//! A secret is never part of a text that can be shown; a value never becomes a shell's or a document's syntax.

use super::vocabulary::VARIABLES;
use crate::base::{Secret, shell};
use std::ops::Range;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Text that means itself.
    Plain(&'t str),
    /// `${NAME}`.
    Variable(&'t str),
    /// `${secret:NAME}`.
    Secret(&'t str),
}

/// What a text becomes part of: decides how a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Prose, or one argument of a program.
    Plain,
    /// A line that is typed into a shell.
    Shell,
    /// The inside of a JSON string.
    Json,
    /// Part of a URL.
    Url,
}

/// What `${…}` without a known end or name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is no `}`.
    Open,
    /// The name is no variable.
    Unknown(String),
    /// The name of a secret is none.
    BadSecret(String),
}

/// A text without values that are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The text with secrets as `***` and missing values as `${NAME}`: for screens, paper and journals.
    pub shown: String,
    /// The names of variables without a value; as long as there is one nothing may be run.
    pub missing: Vec<String>,
}

/// The pieces of a text with the place of each; `${` that nothing can be made of is told instead.
pub(super) fn pieces(text: &str) -> Vec<(Range<usize>, Result<Piece<'_>, Fault>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let begin = rest.find("${").map_or(text.len(), |begin| at + begin);
        if begin > at {
            found.push((at..begin, Ok(Piece::Plain(text.get(at..begin).unwrap_or_default()))));
        }
        let Some(inner) = text.get(begin + 2..) else { break };
        let Some(length) = inner.find('}') else {
            found.push((begin..text.len(), Err(Fault::Open)));
            break;
        };
        let name = inner.get(..length).unwrap_or_default();
        let end = begin + 2 + length + 1;
        found.push((begin..end, piece(name)));
        at = end;
    }
    found
}

fn piece(name: &str) -> Result<Piece<'_>, Fault> {
    if let Some(secret) = name.strip_prefix("secret:") {
        let valid = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let named = !secret.is_empty() && secret.chars().all(valid);
        return if named { Ok(Piece::Secret(secret)) } else { Err(Fault::BadSecret(secret.to_owned())) };
    }
    let known = VARIABLES.iter().any(|variable| variable.name == name);
    if known { Ok(Piece::Variable(name)) } else { Err(Fault::Unknown(name.to_owned())) }
}

/// The names of the variables in a text, in order.
pub fn variables(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|(_, piece)| match piece {
        Ok(Piece::Variable(name)) => Some(name),
        _ => None,
    })
}

/// The names of the secrets in a text, in order.
pub(super) fn secrets(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|(_, piece)| match piece {
        Ok(Piece::Secret(name)) => Some(name),
        _ => None,
    })
}

/// The text as it may be shown: values from `value`, secrets masked.
pub fn shown(text: &str, quoting: Quoting, value: &impl Fn(&str) -> Option<String>) -> Filled {
    let mut filled = Filled { shown: String::new(), missing: Vec::new() };
    for (range, piece) in pieces(text) {
        match piece {
            Ok(Piece::Secret(_)) => filled.shown.push_str("***"),
            Ok(Piece::Variable(name)) => {
                let known = value(name).map(|value| written(&value, quoting));
                let missing = known.is_none().then(|| name.to_owned());
                filled.shown.push_str(known.as_deref().or(text.get(range)).unwrap_or_default());
                filled.missing.extend(missing);
            }
            _ => filled.shown.push_str(text.get(range).unwrap_or_default()),
        }
    }
    filled
}

/// The text as it is sent, secrets included; the name of the first value or secret that is missing.
pub fn exposed(
    text: &str,
    quoting: Quoting,
    value: &impl Fn(&str) -> Option<String>,
    secret: &impl Fn(&str) -> Option<Secret>,
) -> Result<Secret, String> {
    let mut whole = String::new();
    for (range, piece) in pieces(text) {
        match piece {
            Ok(Piece::Variable(name)) => {
                whole.push_str(&written(&value(name).ok_or(name)?, quoting));
            }
            Ok(Piece::Secret(name)) => {
                whole.push_str(&written(secret(name).ok_or(name)?.expose(), quoting));
            }
            _ => whole.push_str(text.get(range).unwrap_or_default()),
        }
    }
    Ok(Secret::new(whole))
}

fn written(value: &str, quoting: Quoting) -> String {
    match quoting {
        Quoting::Plain => value.to_owned(),
        Quoting::Shell => shell::quoted(value),
        Quoting::Json => {
            let text = serde_json::Value::from(value).to_string();
            text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
        }
        Quoting::Url => {
            let byte = |byte: u8| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            };
            value.bytes().map(byte).collect()
        }
    }
}

/// The first variable of a shell's line that stands between quotes, where a value that is quoted itself would end them.
pub(super) fn within_quotes(line: &str) -> Option<Range<usize>> {
    let mut open = None;
    pieces(line).into_iter().find_map(|(range, piece)| match piece {
        Ok(Piece::Plain(text)) => {
            let mut escaped = false;
            for c in text.chars() {
                let was_escaped = std::mem::take(&mut escaped);
                match (c, open) {
                    _ if was_escaped => {}
                    ('\\', None | Some('"')) => escaped = true,
                    ('\'' | '"', None) => open = Some(c),
                    (c, Some(quote)) if c == quote => open = None,
                    _ => {}
                }
            }
            None
        }
        Ok(Piece::Variable(_)) => open.is_some().then_some(range),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        (name == "target").then(|| "it's \"2\"".to_owned())
    }

    #[test]
    fn a_value_is_written_as_the_place_needs_it() {
        for (quoting, said) in [
            (Quoting::Plain, "=it's \"2\"."),
            (Quoting::Shell, r#"='it'\''s "2"'."#),
            (Quoting::Json, r#"=it's \"2\"."#),
            (Quoting::Url, "=it%27s%20%222%22."),
        ] {
            assert_eq!(shown("=${target}.", quoting, &value).shown, said);
        }
    }

    #[test]
    fn a_secret_is_never_shown_and_a_missing_value_is_told() {
        let text = "Bearer ${secret:TOKEN} for ${stanza} $HOME ${target}";
        let filled = shown(text, Quoting::Plain, &value);
        assert_eq!(filled.shown, "Bearer *** for ${stanza} $HOME it's \"2\"");
        assert_eq!(filled.missing, ["stanza"]);
        let secret = |name: &str| (name == "TOKEN").then(|| Secret::new("s3"));
        assert_eq!(exposed(text, Quoting::Plain, &value, &secret), Err("stanza".to_owned()));
        let sent = exposed("Bearer ${secret:TOKEN}", Quoting::Plain, &value, &secret).unwrap();
        assert_eq!((sent.expose(), format!("{sent:?}").as_str()), ("Bearer s3", "***"));
        assert_eq!(exposed("${secret:OTHER}", Quoting::Plain, &value, &secret), Err("OTHER".to_owned()));
    }

    #[test]
    fn what_is_no_variable_is_told() {
        let faults = |text| pieces(text).into_iter().filter_map(|(_, piece)| piece.err()).collect::<Vec<_>>();
        assert_eq!(faults("$a $$ ${stanza}} {x}"), []);
        assert_eq!(faults("ü${"), [Fault::Open]);
        assert_eq!(faults("${}${nope}"), [Fault::Unknown(String::new()), Fault::Unknown("nope".to_owned())]);
        assert_eq!(faults("${secret:a b}"), [Fault::BadSecret("a b".to_owned())]);
    }

    #[test]
    fn a_variable_between_quotes_is_seen() {
        for (line, inside) in [
            ("psql -c 'x ${target}'", true),
            ("psql -c \"it's ${target}\"", true),
            ("psql -v t=${target} -c 'x'", false),
            (r"echo \' ${target}", false),
            ("echo '\\' ${target}", false),
        ] {
            assert_eq!(within_quotes(line).is_some(), inside, "{line}");
        }
    }
}
