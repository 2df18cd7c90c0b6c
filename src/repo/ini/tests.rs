//! The grammar and the checksum, on the format's worked example and on hostile text.

use super::*;
use crate::store::StorePath;
use proptest::prelude::*;

const EXAMPLE: &str = r#"[backrest]
backrest-format=5
backrest-version="2.45"

[db]
db-id=1
db-system-id=7710413910099115611
db-version="15"

[db:history]
1={"db-id":7710413910099115611,"db-version":"15"}

[backrest]
backrest-checksum="c53ed8769fadfc6b7e6bd31cda364b5623a7e6f9"
"#;

fn file(text: &[u8]) -> InfoFile<&[u8]> {
    let place = Place { store: "memory".to_owned(), path: StorePath::new("x.info").unwrap() };
    InfoFile { source: text, place, encrypted: false }
}

fn items(text: &[u8]) -> Result<Vec<(String, String, String)>, RepoError> {
    let mut items = Vec::new();
    read(&mut file(text), &mut |item| {
        items.push((item.section.to_owned(), item.key.to_owned(), item.value.to_owned()));
        Ok(())
    })?;
    Ok(items)
}

/// `body` with the right checksum below it.
fn sealed(body: &str) -> String {
    let with = |sum: &str| format!("{body}\n[backrest]\nbackrest-checksum=\"{sum}\"\n");
    let zero = "0".repeat(40);
    match items(with(&zero).as_bytes()) {
        Err(RepoError::Checksum { actual, .. }) => with(&actual.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_worked_example_has_its_checksum() {
    let items = items(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(items.len(), 4);
    assert_eq!(items[1], ("db".to_owned(), "db-system-id".to_owned(), "7710413910099115611".to_owned()));
}

#[test]
fn every_flipped_bit_and_every_cut_is_an_error() {
    for at in 0..EXAMPLE.len() {
        for bit in 0..8 {
            let mut bad = EXAMPLE.as_bytes().to_vec();
            bad[at] ^= 1 << bit;
            assert!(items(&bad).is_err(), "byte {at} bit {bit}: {}", String::from_utf8_lossy(&bad));
        }
        assert!(items(&EXAMPLE.as_bytes()[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn keys_are_raw_and_split_where_the_rest_is_json() {
    let head = "[backrest]\nbackrest-format=5\nbackrest-version=\"2.45\"\n\n[target:file]\n";
    let odd = r#"pg_data/odd dir=x/we"ird={"a":1}=\n é [x]={"size":6}"#;
    let bracket = r#"pg_data/[sec]={"size":0}"#;
    let found = items(sealed(&format!("{head}{bracket}\n{odd}\n")).as_bytes()).unwrap();
    assert_eq!(found[0].1, "pg_data/[sec]");
    assert_eq!(found[1].1, r#"pg_data/odd dir=x/we"ird={"a":1}=\n é [x]"#);
    assert_eq!(found[1].2, r#"{"size":6}"#);
}

#[test]
fn what_the_format_does_not_allow_is_refused() {
    let bad = |text: &str| items(text.as_bytes()).unwrap_err().to_string();
    assert!(bad("").contains("checksum at the end is missing"));
    assert!(bad("a=1\n").contains("expected [backrest] as the first line"));
    assert!(bad(&EXAMPLE.replace("db-id=1", "db-id 1")).contains("line 6: expected key=value"));
    assert!(bad(&EXAMPLE.replace("db-id=1\n", "db-id=[1,2\n")).contains("line 6"));
    assert!(bad(&format!("{EXAMPLE}more=1\n")).contains("follows the checksum"));
    assert!(bad(&EXAMPLE.replace("=5\n", "=6\n")).contains("repository format 6"));
    assert!(bad("Salted__xxxxxxxxyyyyyyyyyyyyyyyy").contains("is encrypted, but no passphrase"));
    assert!(matches!(items(b"[backrest]\n\xff=1\n"), Err(RepoError::Format { line: 2, .. })));
    let endless = format!("[backrest]\n{}", "x".repeat(17 << 20));
    assert!(bad(&endless).contains("line longer than"));
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "(\\[backrest\\]\n)?(\\PC{0,20}[=\n\\[\\]{}\"]){0,20}") {
        assert!(items(text.as_bytes()).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        assert!(items(&bytes).is_err());
    }
}
