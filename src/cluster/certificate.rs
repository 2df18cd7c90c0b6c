//! Until when a certificate is valid.
//!
//! Reads the one field that matters out of the first certificate of a PEM file (X.509, DER). Verifies nothing: who signed
//! it, and for whom, is not looked at. Never panics on any bytes.

use crate::base::{TargetTime, Timestamp};
use std::path::Path;

/// A PEM file larger than this is none.
const MOST_BYTES: u64 = 1 << 20;

/// Until when the first certificate in a PEM file is valid; nothing if there is none that can be read.
pub fn valid_until(path: &Path) -> Option<Timestamp> {
    let small = std::fs::metadata(path).ok()?.len() <= MOST_BYTES;
    let text = small.then(|| std::fs::read_to_string(path).ok()).flatten()?;
    not_after(&first_certificate(&text)?)
}

/// The bytes between the first pair of marks.
fn first_certificate(text: &str) -> Option<Vec<u8>> {
    let rest = text.split_once("-----BEGIN CERTIFICATE-----")?.1;
    decode_base64(rest.split_once("-----END CERTIFICATE-----")?.0)
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut out) = (0u32, 0u32, Vec::new());
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0x3fff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(out)
}

/// One element of DER: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if first & 0x80 == 0 {
        (usize::from(*first), rest)
    } else {
        let digits = usize::from(first & 0x7f);
        let (length, rest) = rest.split_at_checked(digits)?;
        if digits == 0 || digits > 4 {
            return None;
        }
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `Certificate { tbs { [0] version?, serial, signature, issuer, validity { notBefore, notAfter }, … }, … }`.
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    const VERSION: u8 = 0xa0;
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let (_, whole, _) = element(certificate)?;
    let (_, mut rest, _) = element(whole)?;
    if element(rest)?.0 == VERSION {
        rest = element(rest)?.2;
    }
    for _ in ["serial", "signature", "issuer"] {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (tag, time, _) = element(element(validity)?.2)?;
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    // A year of two digits is one from 1950 to 2049.
    let text = match tag {
        UTC_TIME => {
            let year: u32 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year < 50 { "20" } else { "19" })
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let part =
        |from: usize, to: usize| text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    TargetTime::parse(&format!("{year}-{month}-{day} {hour}:{minute}:{second}+00")).ok().map(|time| time.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `openssl req -x509 -newkey ed25519 -nodes -subj /CN=x -days 1`, made on 2026-11-28.
    fn made(days: i32) -> Option<(tempfile::TempDir, Timestamp)> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut openssl = crate::cluster::process::command(Path::new("openssl"));
        openssl.args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-days"]);
        openssl.arg(days.to_string()).arg("-keyout").arg(path("key.pem")).arg("-out").arg(path("cert.pem"));
        let made = openssl.output().ok().filter(|output| output.status.success());
        made.map(|_| Timestamp::now()).map(|at| (folder, at))
    }

    #[test]
    fn the_end_is_what_openssl_says() {
        let Some((folder, at)) = made(2) else {
            assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "openssl is required here");
            return;
        };
        let until = valid_until(&folder.path().join("cert.pem")).unwrap();
        let days_us = until.0 - at.0;
        assert!((172_790_000_000..=172_801_000_000).contains(&days_us), "{until}");
        assert_eq!(valid_until(&folder.path().join("key.pem")), None);
        assert_eq!(valid_until(&folder.path().join("none.pem")), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            drop((not_after(&bytes), decode_base64(&text), first_certificate(&text)));
        }
    }
}
