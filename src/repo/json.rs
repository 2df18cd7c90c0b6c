//! A small forward scanner for the JSON values of info files.
//!
//! Takes keys in any order, skips what it is not asked for, is strict about types, and allocates only for strings
//! that carry escapes. Unlike a general JSON reader it takes control characters inside strings, because pgBackRest
//! writes them as they are. It builds no tree.

mod write;

pub(super) use write::{Object, write_string};

use std::borrow::Cow;

/// How deep values may nest; real files nest three levels.
const DEPTH_LIMIT: u32 = 32;

/// What the scanner expected and at which byte of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at} of the value")]
pub(super) struct JsonError {
    expected: &'static str,
    at: usize,
}

/// A position in one JSON text.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, JsonError> {
        Err(JsonError { expected, at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `byte` after optional space.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Proves that nothing follows the value.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.fail("the end of the value") }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.text[self.at..].starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    pub(super) fn null(&mut self) -> bool {
        self.space();
        self.word("null")
    }

    pub(super) fn boolean(&mut self) -> Result<bool, JsonError> {
        self.space();
        if self.word("true") {
            Ok(true)
        } else if self.word("false") {
            Ok(false)
        } else {
            self.fail("true or false")
        }
    }

    /// The digits of an integer, with a leading minus if there is one; nothing else may follow directly.
    fn digits(&mut self) -> &'a str {
        self.space();
        let rest = &self.text[self.at..];
        let sign = usize::from(rest.starts_with('-'));
        let digits = rest.as_bytes()[sign..].iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += sign + digits;
        &rest[..sign + digits]
    }

    fn number<T: std::str::FromStr>(&mut self, expected: &'static str) -> Result<T, JsonError> {
        let start = self.at;
        let digits = self.digits();
        let leading_zero =
            digits.trim_start_matches('-').len() > 1 && digits.trim_start_matches('-').starts_with('0');
        let fraction = matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        match digits.parse() {
            Ok(value) if !leading_zero && !fraction => Ok(value),
            _ => Err(JsonError { expected, at: start }),
        }
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, JsonError> {
        self.number("an unsigned 64-bit integer")
    }

    pub(super) fn unsigned32(&mut self) -> Result<u32, JsonError> {
        self.number("an unsigned 32-bit integer")
    }

    pub(super) fn integer(&mut self) -> Result<i64, JsonError> {
        self.number("a 64-bit integer")
    }

    /// Moves behind a string whose opening quote was just taken; true if it carries escapes.
    fn string_body(&mut self) -> Result<bool, JsonError> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
                None => return self.fail("the closing quote of a string"),
            }
        }
    }

    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if !self.take(b'"') {
            return self.fail("a string");
        }
        let start = self.at;
        let escaped = self.string_body()?;
        let body = &self.text[start..self.at - 1];
        if escaped { unescape(body, start).map(Cow::Owned) } else { Ok(Cow::Borrowed(body)) }
    }

    /// Visits each member of an object; the visitor must take the member's value.
    pub(super) fn object<E: From<JsonError>>(
        &mut self,
        mut member: impl FnMut(&str, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.take(b'{') {
            return Ok(self.fail("an object")?);
        }
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            if !self.take(b':') {
                return Ok(self.fail("':'")?);
            }
            member(&key, self)?;
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Ok(self.fail("',' or '}'")?);
            }
        }
    }

    /// Visits each element of an array; the visitor must take the element.
    pub(super) fn array<E: From<JsonError>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.take(b'[') {
            return Ok(self.fail("an array")?);
        }
        if self.take(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Ok(self.fail("',' or ']'")?);
            }
        }
    }

    /// True if the next value is an array.
    pub(super) fn at_array(&mut self) -> bool {
        self.space();
        self.peek() == Some(b'[')
    }

    /// True if the next value is a string.
    pub(super) fn at_string(&mut self) -> bool {
        self.space();
        self.peek() == Some(b'"')
    }

    /// Moves over one value of any type, checking that it is one.
    pub(super) fn skip(&mut self) -> Result<(), JsonError> {
        self.skip_below(0)
    }

    /// Takes one value of any type as it stands.
    pub(super) fn raw(&mut self) -> Result<&'a str, JsonError> {
        self.space();
        let from = self.at;
        self.skip()?;
        Ok(&self.text[from..self.at])
    }

    fn skip_below(&mut self, depth: u32) -> Result<(), JsonError> {
        if depth > DEPTH_LIMIT {
            return self.fail("less nesting");
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(|_, value| value.skip_below(depth + 1)),
            Some(b'[') => self.array(|value| value.skip_below(depth + 1)),
            Some(b'"') => self.string().map(drop),
            Some(b't' | b'f') => self.boolean().map(drop),
            Some(b'n') if self.null() => Ok(()),
            _ => self.skip_number(),
        }
    }

    fn skip_number(&mut self) -> Result<(), JsonError> {
        let whole = self.digits().trim_start_matches('-');
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return self.fail("a value");
        }
        if self.word(".") && !self.skip_digits() {
            return self.fail("digits");
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if !self.skip_digits() {
                return self.fail("digits");
            }
        }
        Ok(())
    }

    fn skip_digits(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > start
    }
}

fn unescape(body: &str, start: usize) -> Result<String, JsonError> {
    let bad = |at: usize| JsonError { expected: "a valid escape", at: start + at };
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let offset = body.len() - rest.len() + at;
        let escape = rest.as_bytes().get(at + 1).ok_or_else(|| bad(offset))?;
        let mut used = 2;
        out.push(match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                // Only \u00XX is ever written or read by pgBackRest, and only for ASCII.
                used = 6;
                let digits = rest.get(at + 2..at + 6).and_then(|d| d.strip_prefix("00"));
                let code = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
                char::from(code.filter(u8::is_ascii).ok_or_else(|| bad(offset))?)
            }
            _ => return Err(bad(offset)),
        });
        rest = &rest[at + used..];
    }
    out.push_str(rest);
    Ok(out)
}

/// True if `text` is exactly one JSON value.
pub(super) fn is_value(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.skip().is_ok() && scanner.end().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_members_in_any_order_and_skips_the_unknown() {
        let mut seen = Vec::new();
        let text =
            r#"{"z":[{"a":[1,2.5e-3,null]}],"size":18446744073709551615,"name":"a\"\\\/\n\u0041é","t":-3}"#;
        let mut scanner = Scanner::new(text);
        scanner
            .object(|key, value| {
                match key {
                    "size" => seen.push(value.unsigned()?.to_string()),
                    "name" => seen.push(value.string()?.into_owned()),
                    "t" => seen.push(value.integer()?.to_string()),
                    _ => value.skip()?,
                }
                Ok::<_, JsonError>(())
            })
            .unwrap();
        scanner.end().unwrap();
        assert_eq!(seen, ["18446744073709551615", "a\"\\/\nAé", "-3"]);
    }

    #[test]
    fn refuses_what_is_not_exactly_one_value() {
        for text in [
            "",
            "1 2",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "tru",
            "nul",
            "\"a",
            "\"\\\"",
            "{",
            "{}}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "[1",
            "{a:1}",
            "+1",
            "\"\\x\"",
            "\"\\u0141\"",
            "\"\\u00ff\"",
        ] {
            assert!(!is_value(text), "{text}");
        }
        assert!(!is_value(&"[".repeat(100_000)));
        assert!(!is_value(&format!("{}{}", "[".repeat(40), "]".repeat(40))));
        for text in ["0", "-1", "1.5e+7", "null", "true", "\"\u{1}\"", "{ \"a\" : [ ] }", "\"\\u0007\""] {
            assert!(is_value(text), "{text}");
        }
        assert!(Scanner::new("18446744073709551616").unsigned().is_err());
        assert!(Scanner::new("1.0").unsigned().is_err() && Scanner::new("007").unsigned().is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}", json in "[\\[\\]{}:,\"\\\\u0-9eE+.a-fltrn é-]{0,60}") {
            is_value(&text);
            is_value(&json);
        }

        #[test]
        fn strings_round_trip(text in "\\PC*[\n\t\\\\\"\r]?\\PC*") {
            let mut out = Vec::new();
            write_string(&text, &mut out);
            let out = String::from_utf8(out).unwrap();
            prop_assert_eq!(Scanner::new(&out).string().unwrap(), text);
        }
    }
}
