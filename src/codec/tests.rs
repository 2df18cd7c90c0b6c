//! Against the stock command-line tools and the format's own test vectors.

use super::*;
use std::io::Write as _;
use std::process::{Command, Stdio};

pub(super) const RAW_PASS: &str = "topsecret";

/// Pipes `input` through a stock tool; nothing if the tool is not installed.
#[expect(clippy::disallowed_methods, reason = "the stock tools are the other side of this test")]
pub(super) fn tool(program: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program} {args:?}");
    Some(output.stdout)
}

fn hex_upper(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02X}"))
}

pub(super) fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i / 7 * 31 + i % 13) % 251).unwrap()).collect()
}

fn encrypt(plain: &[u8]) -> Option<Vec<u8>> {
    tool("openssl", &["enc", "-aes-256-cbc", "-md", "sha1", "-k", RAW_PASS], plain)
}

#[test]
fn key_derivation_matches_the_openssl_vector() {
    let salt = [0x3F, 0x8E, 0x64, 0xBD, 0xD1, 0xCE, 0x40, 0xB8];
    let key_iv = cipher::derive_key_iv(&Secret::new(RAW_PASS), salt);
    let hex = hex_upper(&key_iv[..]);
    assert_eq!(
        hex,
        "079AD06A4643A62B96163B397F46762773196B467FAAF1913616188D3EEB7DEAED4C24E14F1E6873B2E9B8D0E84745DA"
    );
}

#[test]
fn reads_what_the_stock_tools_write() {
    let tools: [(&str, &[&str], Compression); 5] = [
        ("cat", &[], Compression::None),
        ("gzip", &["-c"], Compression::Gz),
        ("lz4", &["-c"], Compression::Lz4),
        ("zstd", &["-c"], Compression::Zst),
        ("bzip2", &["-c"], Compression::Bz2),
    ];
    for len in [0, 1, 15, 16, 17, 128 * 1024 - 16, 128 * 1024, 128 * 1024 + 1, 700_001] {
        let plain = content(len);
        for (program, args, compression) in tools {
            let Some(packed) = tool(program, args, &plain) else { continue };
            let spec = StreamSpec::full(compression, None);
            assert_eq!(decode_small(&packed, &spec, 1 << 20).unwrap(), plain, "{program} {len}");
            let Some(sealed) = encrypt(&packed) else { continue };
            let spec = StreamSpec::full(compression, Some(Secret::new(RAW_PASS)));
            let mut decoder = Decoder::new(&sealed[..], &spec).unwrap();
            assert_eq!(decoder.fill(&mut vec![0; len + 10]).unwrap(), len);
            assert_eq!(
                decoder.finish().unwrap(),
                Seal { size_bytes: len as u64, sha1: Sha1Hash::of(&plain) }
            );
        }
    }
}

#[test]
fn raw_framing_drops_the_magic_and_uses_zlib() {
    let raw = |compression| StreamSpec { compression, cipher: None, framing: Framing::Raw };
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    zlib.write_all(b"15\n").unwrap();
    assert_eq!(decode_small(&zlib.finish().unwrap(), &raw(Compression::Gz), 10).unwrap(), b"15\n");
    let Some(sealed) = encrypt(b"15\n") else { return };
    let spec = StreamSpec { cipher: Some(Secret::new(RAW_PASS)), ..raw(Compression::None) };
    assert_eq!(decode_small(&sealed[8..], &spec, 10).unwrap(), b"15\n");
}

#[test]
fn every_truncation_and_every_flip_is_noticed_or_harmless() {
    for (compression, program) in [
        (Compression::Gz, "gzip"),
        (Compression::Lz4, "lz4"),
        (Compression::Zst, "zstd"),
        (Compression::Bz2, "bzip2"),
        (Compression::None, "cat"),
    ] {
        let plain = content(5000);
        let args: &[&str] = if compression == Compression::None { &[] } else { &["-c"] };
        let Some(packed) = tool(program, args, &plain) else { continue };
        let Some(sealed) = encrypt(&packed) else { continue };
        let hash = Sha1Hash::of(&plain);
        for (stored, cipher) in [(packed, None), (sealed, Some(Secret::new(RAW_PASS)))] {
            let spec = StreamSpec::full(compression, cipher);
            let seal_of = |bytes: &[u8]| {
                let mut decoder = Decoder::new(bytes, &spec).ok()?;
                // As a caller does: never reads more than one byte past the size it expects.
                decoder.fill(&mut vec![0; plain.len() + 1]).ok()?;
                decoder.finish().ok().filter(|seal| seal.sha1 == hash)
            };
            assert!(seal_of(&stored).is_some());
            for cut in 0..stored.len() {
                assert!(seal_of(&stored[..cut]).is_none(), "{compression} cut at {cut} of {}", stored.len());
            }
            for at in 0..stored.len() {
                let mut bad = stored.clone();
                bad[at] ^= 1 << (at % 8);
                // A flip that still gives the right content (a header byte nobody reads) is harmless by definition.
                let _seal = seal_of(&bad);
            }
            let mut longer = stored.clone();
            longer.extend_from_slice(&[0; 16]);
            assert!(seal_of(&longer).is_none(), "{compression}: trailing bytes");
        }
    }
}

#[test]
fn a_wrong_passphrase_is_said_to_be_one() {
    let Some(sealed) = encrypt(&content(100)) else { return };
    let wrong = StreamSpec::full(Compression::None, Some(Secret::new("other")));
    match decode_small(&sealed, &wrong, 1000) {
        Err(error) => assert!(error.to_string().contains("wrong passphrase"), "{error}"),
        Ok(garbage) => assert_ne!(garbage, content(100)),
    }
    let plain = decode_small(b"[backrest]\nbackrest-format=5\n", &wrong, 1000).unwrap_err();
    assert!(plain.to_string().contains("cipher header"), "{plain}");
}

#[test]
fn bombs_stop_at_the_limit() {
    let Some(bomb) = tool("zstd", &["-c", "-19"], &vec![0; 50_000_000]) else { return };
    let error = decode_small(&bomb, &StreamSpec::full(Compression::Zst, None), 1 << 20).unwrap_err();
    assert!(error.to_string().contains("expands beyond"), "{error}");
}
