//! Values as text and as what they mean: sizes, times, paths, numbers, choices, lists.
//!
//! Pure; never looks at the file system. Accepts exactly what pgBackRest accepts.

use super::options::Kind;
use crate::base::Secret;
use crate::base::amount::{number_and_unit, time_ms};

/// A value after checking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Flag(bool),
    Number(i64),
    Bytes(u64),
    Milliseconds(u64),
    Text(String),
    List(Vec<String>),
    Pairs(Vec<(String, String)>),
    Secret(Secret),
}

/// Checks one text (or several, for options that repeat) and says what would have been allowed if it is not.
pub(super) fn parse(kind: Kind, texts: &[&str]) -> Result<Value, (usize, String)> {
    let one = || texts.first().copied().unwrap_or_default();
    let value = match kind {
        Kind::List => Some(Value::List(texts.iter().map(|&text| text.to_owned()).collect())),
        Kind::Pairs => return pairs(texts),
        Kind::Flag => match one() {
            "y" => Some(Value::Flag(true)),
            "n" => Some(Value::Flag(false)),
            _ => None,
        },
        Kind::Choice(words) | Kind::FlagOr(words) => {
            words.contains(&one()).then(|| Value::Text(one().to_owned()))
        }
        Kind::Integer(low, high) => integer(one()).filter(|n| (low..=high).contains(n)).map(Value::Number),
        Kind::Size(low, high) => size_bytes(one()).filter(|n| (low..=high).contains(n)).map(Value::Bytes),
        Kind::SizeOf(sizes) => size_bytes(one()).filter(|n| sizes.contains(n)).map(Value::Bytes),
        Kind::Time(low, high) => time_ms(one()).filter(|n| (low..=high).contains(n)).map(Value::Milliseconds),
        Kind::Path => path(one()).map(Value::Text),
        Kind::Text => (!one().is_empty()).then(|| Value::Text(one().to_owned())),
    };
    value.ok_or_else(|| (0, kind.allowed()))
}

impl Kind {
    /// What a value of this kind may be, in words.
    pub fn allowed(self) -> String {
        match self {
            Self::Flag => "y or n".to_owned(),
            Self::Choice(words) | Self::FlagOr(words) => words.join(", "),
            Self::Integer(low, high) => format!("a number from {low} to {high}"),
            Self::Size(low, high) => {
                format!("a size from {} to {}, for example 64MiB", size_text(low), size_text(high))
            }
            Self::SizeOf(sizes) => sizes.iter().map(|&size| size_text(size)).collect::<Vec<_>>().join(", "),
            Self::Time(low, high) => {
                format!("a time from {} to {}, for example 90s or 5m", time_text(low), time_text(high))
            }
            Self::Path => "an absolute path without '//'".to_owned(),
            Self::Text => "any text that is not empty".to_owned(),
            Self::List => "a value; the option may be repeated".to_owned(),
            Self::Pairs => "key=value; the option may be repeated".to_owned(),
        }
    }
}

/// Later values of a key replace earlier ones, and the first place is kept.
fn pairs(texts: &[&str]) -> Result<Value, (usize, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let (key, value) = text.split_once('=').ok_or_else(|| (at, Kind::Pairs.allowed()))?;
        match pairs.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => pairs.push((key.to_owned(), value.to_owned())),
        }
    }
    Ok(Value::Pairs(pairs))
}

/// A decimal number with an optional sign.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Bytes of a size such as `64MiB`, `64mb`, `64m` or `67108864`; all units are powers of 1024.
pub fn size_bytes(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    number.checked_mul(1024u64.pow(power))
}

/// An absolute path without empty components; one slash at its end is dropped.
fn path(text: &str) -> Option<String> {
    if !text.starts_with('/') || text.contains("//") || text.contains('\0') {
        return None;
    }
    Some(if text == "/" { text } else { text.strip_suffix('/').unwrap_or(text) }.to_owned())
}

fn size_text(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut number, mut unit) = (bytes, 0);
    while number >= 1024 && number.is_multiple_of(1024) && unit + 1 < units.len() {
        number /= 1024;
        unit += 1;
    }
    format!("{number}{}", units[unit])
}

fn time_text(ms: u64) -> String {
    let units =
        [(604_800_000, "w"), (86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let fitting = units.iter().find(|(factor, _)| ms >= *factor && ms.is_multiple_of(*factor));
    fitting.map_or_else(|| "0s".to_owned(), |(factor, unit)| format!("{}{unit}", ms / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024_whatever_the_spelling() {
        for text in ["64MiB", "64mb", "64M", "65536k", "67108864", "67108864B"] {
            assert_eq!(size_bytes(text), Some(64 << 20), "{text}");
        }
        for text in ["", "M", "-1", "1.5m", "1 m", "1zb", "99999999999999999999", "17179869184g", "٣m"] {
            assert_eq!(size_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_take_a_sign_and_nothing_else() {
        assert_eq!(integer("-7"), Some(-7));
        for text in ["", "-", "+", "0x1", "1 ", "９", "1e3", "--1"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn paths_are_absolute_and_lose_their_last_slash() {
        assert_eq!(path("/a/b/").as_deref(), Some("/a/b"));
        assert_eq!(path("/").as_deref(), Some("/"));
        for text in ["", "a", "//", "/a//b", "./a", "/a\0"] {
            assert_eq!(path(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        let value = parse(Kind::Pairs, &["a=1", "b=x=y", "a=2"]);
        let pairs = vec![("a".into(), "2".into()), ("b".into(), "x=y".into())];
        assert_eq!(value, Ok(Value::Pairs(pairs)));
        assert_eq!(parse(Kind::Pairs, &["a=1", "b"]).map_err(|(at, _)| at), Err(1));
    }

    #[test]
    fn ranges_are_told() {
        assert_eq!(Kind::Time(100, 86_400_000).allowed(), "a time from 100ms to 1d, for example 90s or 5m");
        assert_eq!(Kind::Size(0, 4 << 50).allowed(), "a size from 0B to 4PiB, for example 64MiB");
        assert_eq!(Kind::SizeOf(&[16 << 10, 1 << 20]).allowed(), "16KiB, 1MiB");
    }
}
