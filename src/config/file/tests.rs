use super::*;
use proptest::prelude::*;
use std::io::Cursor;

fn lines(text: &[u8]) -> Result<Vec<(String, String, String)>, String> {
    let mut lines = Vec::new();
    parse(Path::new("x.conf"), Cursor::new(text), &mut lines).map_err(|error| error.to_string())?;
    let parts = |line: &Line| (line.section.to_string(), line.key.clone(), line.value.expose().to_owned());
    Ok(lines.iter().map(parts).collect())
}

#[test]
fn lines_are_trimmed_and_comments_stand_alone() {
    let text = b"# c\xFFmment\r\n\n [global] \r\n\trepo1-path = /a b \r\n  # x=y\nrepo1-cipher-pass=a#b;c=d \"q\"\n[s]\nk=";
    let expected =
        [("global", "repo1-path", "/a b"), ("global", "repo1-cipher-pass", "a#b;c=d \"q\""), ("s", "k", "")];
    let expected: Vec<_> = expected.iter().map(|(s, k, v)| ((*s).into(), (*k).into(), (*v).into())).collect();
    assert_eq!(lines(text).unwrap(), expected);
}

#[test]
fn bad_lines_are_named_by_place_and_never_shown() {
    for (text, line, why) in [
        (&b"[global\n"[..], 1, "end with ']'"),
        (b"\n[]\n", 2, "no name"),
        (b"geheim=1\n", 1, "before any [section]"),
        (b"[g]\ngeheim\n", 2, "no '='"),
        (b"[g]\n=geheim\n", 2, "before the '='"),
        (b"[g]\ngeheim=\xFF\n", 2, "not UTF-8"),
        (b"[g]\ngeheim=a\0b\n", 2, "zero byte"),
        (b"\xEF\xBB\xBF[g]\n", 1, "byte order mark"),
    ] {
        let error = lines(text).unwrap_err();
        assert!(error.starts_with(&format!("x.conf:{line}: ")) && error.contains(why), "{error}");
        assert!(!error.contains("geheim"), "{error}");
    }
}

#[test]
fn lines_and_files_without_end_are_refused_early() {
    struct Endless(&'static [u8], u64);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = buffer.len().min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.1 += count as u64;
            assert!(self.1 < 64 << 20, "reads on and on");
            Ok(count)
        }
    }
    for (piece, why) in [(&b"xxxxxxxx"[..], "longer than 1 MiB"), (b"# a\n", "larger than 16 MiB")] {
        let mut lines = Vec::new();
        let error = parse(Path::new("x"), BufReader::new(Endless(piece, 0)), &mut lines).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_lines_or_an_error(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _outcome = lines(&text);
    }

    #[test]
    fn what_looks_like_a_configuration_comes_back(
        pairs in proptest::collection::vec(("[a-z][a-z0-9-]{0,20}", "[^\\s=\0][^\\r\\n\0]{0,30}"), 1..20),
        section in "[a-z]{1,8}(:[a-z-]{1,8})?",
    ) {
        let text = pairs.iter().fold(format!("[{section}]\n"), |text, (key, value)| text + &format!(" {key} = {value}\t\r\n"));
        let expected: Vec<_> = pairs
            .into_iter()
            .map(|(key, value)| (section.clone(), key, value.trim_matches([' ', '\t', '\r']).to_owned()))
            .collect();
        prop_assert_eq!(lines(text.as_bytes()).unwrap(), expected);
    }
}
