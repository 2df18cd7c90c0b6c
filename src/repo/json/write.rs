//! JSON values as pgBackRest writes them: compact, members in the order they are added.
//!
//! pgBackRest reads forward only, so that members must be added in the order of their keys' bytes.

use std::fmt::Display;

/// `text` as a JSON string, with exactly the escapes pgBackRest writes.
pub(in crate::repo) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        let escape = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            12 => b'f',
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escape]);
    }
    out.push(b'"');
}

/// One JSON object while it is written.
#[derive(Debug, Default)]
pub(in crate::repo) struct Object {
    text: Vec<u8>,
    last_key: String,
}

impl Object {
    /// Adds a number or a flag.
    pub(in crate::repo) fn plain(&mut self, key: &str, value: impl Display) {
        self.key(key);
        self.text.extend_from_slice(value.to_string().as_bytes());
    }

    /// Adds a text.
    pub(in crate::repo) fn string(&mut self, key: &str, text: impl AsRef<str>) {
        self.key(key);
        write_string(text.as_ref(), &mut self.text);
    }

    /// Adds a text if there is one.
    pub(in crate::repo) fn optional(&mut self, key: &str, text: Option<impl Display>) {
        if let Some(text) = text {
            self.string(key, text.to_string());
        }
    }

    fn key(&mut self, key: &str) {
        debug_assert!(self.last_key.as_str() < key, "{key} after {}", self.last_key);
        key.clone_into(&mut self.last_key);
        self.text.push(if self.text.is_empty() { b'{' } else { b',' });
        write_string(key, &mut self.text);
        self.text.push(b':');
    }

    /// The object as text.
    pub(in crate::repo) fn finish(mut self) -> String {
        self.text.extend_from_slice(if self.text.is_empty() { b"{}" } else { b"}" });
        String::from_utf8(self.text).unwrap_or_default()
    }
}
