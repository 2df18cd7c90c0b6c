//! Against our own decoder, the stock command-line tools, the format's vectors, and sinks that fail.

use super::*;
use crate::base::{Kind, Report, Secret};
use crate::codec::tests::{RAW_PASS, content, tool};
use crate::codec::{Decoder, Framing, decode_small, random_passphrase};
use proptest::prelude::*;
use std::io::Read as _;

const LIMIT_BYTES: u64 = 1 << 22;

/// Every way to store a stream, but for the level.
fn specs() -> Vec<StreamSpec> {
    let mut specs = Vec::new();
    for compression in Compression::ALL {
        for cipher in [None, Some(Secret::new(RAW_PASS))] {
            for framing in [Framing::Full, Framing::Raw] {
                specs.push(StreamSpec { compression, cipher: cipher.clone(), framing });
            }
        }
    }
    specs
}

fn plain(compression: Compression, framing: Framing) -> StreamSpec {
    StreamSpec { compression, cipher: None, framing }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// Writes in pieces of the given lengths, again and again.
fn encode(encoder: Encoder<Vec<u8>>, content: &[u8], pieces: &[usize]) -> (Vec<u8>, Seal, Stored) {
    let mut encoder = encoder;
    let (mut rest, mut pieces) = (content, pieces.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*pieces.next().unwrap()));
        encoder.write_all(piece).unwrap();
        rest = after;
    }
    encoder.finish().unwrap()
}

/// What no compressor makes shorter, with repetitions further apart than LZ4's blocks.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(len)
    .collect();
    if len > 200_000 {
        noise.copy_within(..70_000, 65_000);
    }
    noise
}

#[test]
fn our_decoder_reads_every_kind_of_stream() {
    for spec in specs() {
        for len in [0, 1, 15, 16, 17, 8191, 8192, 65_535, 65_536, 65_544, (1 << 20) + 7] {
            for content in [content(len), noise(len)] {
                let encoder = Encoder::new(Vec::new(), &spec, None).unwrap();
                let (stored, seal, out) = encode(encoder, &content, &[1, 4097, 70_000, 13]);
                let what = format!("{spec:?} {len}");
                assert_eq!(seal, Seal { size_bytes: len as u64, sha1: Sha1Hash::of(&content) }, "{what}");
                let expected = Stored { size_bytes: stored.len() as u64, sha1: Sha1Hash::of(&stored) };
                assert_eq!(out, expected, "{what}");
                assert!(decode_small(&stored, &spec, LIMIT_BYTES).unwrap() == content, "{what}");
            }
        }
    }
}

#[test]
fn the_stock_tools_read_every_kind_of_stream() {
    let tools: [(&str, &[&str], Compression); 5] = [
        ("cat", &[], Compression::None),
        ("gzip", &["-dc"], Compression::Gz),
        ("lz4", &["-dc"], Compression::Lz4),
        ("zstd", &["-dc"], Compression::Zst),
        ("bzip2", &["-dc"], Compression::Bz2),
    ];
    for (program, args, compression) in tools {
        for framing in [Framing::Full, Framing::Raw] {
            if (compression, framing) == (Compression::Gz, Framing::Raw) {
                continue;
            }
            for len in [0, 1, 15, 16, 17, 8192, 65_536, (1 << 20) + 7] {
                let content = noise(len);
                let stored = encode_small(&content, &plain(compression, framing), None).unwrap();
                let Some(read) = tool(program, args, &stored) else { continue };
                assert!(read == content, "{program} {framing:?} {len}");
            }
        }
    }
}

#[test]
fn openssl_decrypts_what_we_encrypt() {
    for len in [0, 1, 15, 16, 17, 8191, 65_519, 65_520, 65_528, 65_536, (1 << 20) + 7] {
        let content = content(len);
        for framing in [Framing::Full, Framing::Raw] {
            let cipher = Some(Secret::new(RAW_PASS));
            let spec = StreamSpec { compression: Compression::None, cipher, framing };
            let mut sealed = encode_small(&content, &spec, None).unwrap();
            if framing == Framing::Raw {
                sealed = [b"Salted__", &sealed[..]].concat();
            }
            assert_eq!(sealed.len(), 16 + (len / 16 + 1) * 16);
            let args = ["enc", "-d", "-aes-256-cbc", "-md", "sha1", "-k", RAW_PASS];
            let Some(read) = tool("openssl", &args, &sealed) else { return };
            assert!(read == content, "{framing:?} {len}");
        }
    }
}

#[test]
fn a_file_of_three_bytes_is_stored_as_the_format_shows() {
    let stored = |compression, framing| encode_small(b"15\n", &plain(compression, framing), None).unwrap();
    let full = |compression| stored(compression, Framing::Full);
    assert_eq!(full(Compression::Gz), bytes("1f8b0800000000000003 3334e50200 1d7d0c98 03000000"));
    assert_eq!(full(Compression::Lz4), bytes("04224d1844405e 03000080 31350a 00000000 92841dab"));
    assert_eq!(full(Compression::Zst), bytes("28b52ffd0058 190000 31350a"));
    assert_eq!(full(Compression::Bz2).len(), 40);
    assert!(full(Compression::Bz2).starts_with(b"BZh9"));
    assert_eq!(full(Compression::None), b"15\n");
    let raw = |compression| stored(compression, Framing::Raw);
    assert_eq!(raw(Compression::Gz)[..7], bytes("789c 3334e50200"));
    let lz4 = raw(Compression::Lz4);
    assert_eq!((lz4.len(), &lz4[..6]), (18, &bytes("04224d184040")[..]));
    assert_eq!(raw(Compression::Zst), full(Compression::Zst));
    assert_eq!(raw(Compression::Bz2), full(Compression::Bz2));
}

#[test]
fn empty_files_have_the_sizes_the_format_shows() {
    let size = |spec: &StreamSpec| encode_small(b"", spec, None).unwrap().len();
    assert_eq!(size(&plain(Compression::Gz, Framing::Full)), 20);
    let with =
        |compression, framing| StreamSpec { compression, cipher: Some(Secret::new(RAW_PASS)), framing };
    assert_eq!(size(&with(Compression::Gz, Framing::Full)), 48);
    assert_eq!(size(&with(Compression::None, Framing::Full)), 32);
    assert_eq!(size(&with(Compression::None, Framing::Raw)), 24);
    assert_eq!(size(&plain(Compression::None, Framing::Full)), 0);
    let empty = |compression| encode_small(b"", &plain(compression, Framing::Full), None).unwrap();
    assert_eq!(empty(Compression::Zst), bytes("28b52ffd 2000 010000"), "as pgBackRest 2.45 writes it");
    assert_eq!(empty(Compression::Lz4), bytes("04224d1844405e 00000000 055dcc02"));
}

#[test]
fn levels_are_those_of_pgbackrest() {
    let valid = |format| (-100..100).filter(move |level| level_is_valid(format, *level));
    let ends = |format| (valid(format).min().unwrap(), valid(format).max().unwrap());
    assert_eq!(ends(Compression::Gz), (-1, 9));
    assert_eq!(ends(Compression::Lz4), (-5, 12));
    assert_eq!(ends(Compression::Zst), (-7, 22));
    assert_eq!(ends(Compression::Bz2), (1, 9));
    assert_eq!(ends(Compression::None), (0, 0));
    let content = content(100_000);
    for format in Compression::ALL {
        let spec = plain(format, Framing::Full);
        assert!(level_is_valid(format, default_level(format)));
        let default = encode_small(&content, &spec, None).unwrap();
        assert_eq!(default, encode_small(&content, &spec, Some(default_level(format))).unwrap());
        // Beyond 19 Zstandard wants half a gigabyte, which no test should take.
        for level in valid(format).filter(|level| *level <= 19) {
            let stored = encode_small(&content, &spec, Some(level)).unwrap();
            assert!(decode_small(&stored, &spec, LIMIT_BYTES).unwrap() == content, "{format} {level}");
        }
        let error = encode_small(&content, &spec, Some(23)).unwrap_err();
        assert!(matches!(error, CodecError::Level { level: 23, .. }), "{error}");
        assert_eq!(Report::from(error).kind, Kind::Usage);
    }
    let gz = |level| encode_small(&content, &plain(Compression::Gz, Framing::Full), Some(level)).unwrap();
    assert_eq!(gz(-1), gz(6));
    assert_eq!((gz(1)[8], gz(6)[8], gz(9)[8]), (4, 0, 2), "the gzip header tells of the level");
    let words = CodecError::Level { format: Compression::Zst, level: 23 }.to_string();
    assert_eq!(words, "compression level 23 is not one of zst (-7 to 22)");
}

#[test]
fn every_stream_has_a_salt_of_its_own() {
    let cipher = Some(Secret::new(RAW_PASS));
    let spec = StreamSpec { compression: Compression::None, cipher, framing: Framing::Raw };
    let pool = EncoderPool::new(spec.clone(), None).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        seen.insert(encode_small(b"15\n", &spec, None).unwrap());
        seen.insert(encode(pool.encoder(Vec::new()).unwrap(), b"15\n", &[3]).0);
    }
    assert_eq!(seen.len(), 40);
}

#[test]
fn a_pool_gives_the_same_streams_whatever_came_before() {
    for compression in Compression::ALL {
        for framing in [Framing::Full, Framing::Raw] {
            let spec = plain(compression, framing);
            let pool = EncoderPool::new(spec.clone(), None).unwrap();
            for content in [content(200_000), vec![], vec![], noise(70_000), b"15\n".to_vec(), vec![1; 9]] {
                let fresh = encode_small(&content, &spec, None).unwrap();
                // Neither a stream that was given up nor one that failed leaves a trace in later ones.
                pool.encoder(Vec::new()).unwrap().write_all(&noise(100_000)).unwrap();
                let mut failing = pool.encoder(Sink { left_bytes: 0, taken: Vec::new() }).unwrap();
                assert!(failing.write_all(&noise(300_000)).is_err() || failing.finish().is_err());
                for _ in 0..2 {
                    let mut both = (pool.encoder(Vec::new()).unwrap(), pool.encoder(Vec::new()).unwrap());
                    both.0.write_all(&content).unwrap();
                    both.1.write_all(&content).unwrap();
                    assert!(both.0.finish().unwrap().0 == fresh, "{compression} {}", content.len());
                    assert!(both.1.finish().unwrap().0 == fresh, "{compression} {}", content.len());
                }
            }
        }
    }
}

/// Takes so many bytes, then has no more room, like a full disk.
struct Sink {
    left_bytes: usize,
    taken: Vec<u8>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.left_bytes);
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left_bytes -= taken;
        self.taken.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_as_one_and_seals_nothing() {
    let content = noise(300_000);
    for spec in specs() {
        let whole = encode_small(&content, &spec, None).unwrap().len();
        for left_bytes in [0, 1, 7, 8, 15, 16, 17, 100, 65_535, 65_536, 65_537, whole - 1] {
            let mut encoder = Encoder::new(Sink { left_bytes, taken: Vec::new() }, &spec, None).unwrap();
            let error = match encoder.write_all(&content) {
                Ok(()) => encoder.finish().map(|_| ()).unwrap_err(),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{spec:?} {left_bytes}");
                    encoder.outlet.sink.left_bytes = usize::MAX;
                    assert!(encoder.write_all(b"more").is_err(), "goes on behind a hole");
                    encoder.finish().map(|_| ()).expect_err("sealed with a hole")
                }
            };
            assert!(
                matches!(&error, CodecError::Io(cause) if cause.kind() == io::ErrorKind::StorageFull),
                "{spec:?} {left_bytes}: {error:?}"
            );
            assert_eq!(Report::from(error).kind, Kind::Failed);
        }
        let mut encoder = Encoder::new(Sink { left_bytes: whole, taken: Vec::new() }, &spec, None).unwrap();
        encoder.write_all(&content).unwrap();
        let (sink, ..) = encoder.finish().unwrap();
        assert!(decode_small(&sink.taken, &spec, LIMIT_BYTES).unwrap() == content);
    }
}

#[test]
fn an_encoder_that_is_dropped_writes_no_end() {
    for spec in specs() {
        let mut stored = Vec::new();
        let mut encoder = Encoder::new(&mut stored, &spec, None).unwrap();
        encoder.write_all(&noise(100_000)).unwrap();
        encoder.flush().unwrap();
        drop(encoder);
        if spec.compression != Compression::None || spec.cipher.is_some() {
            assert!(decode_small(&stored, &spec, LIMIT_BYTES).is_err(), "{spec:?}");
        }
    }
}

#[test]
fn new_passphrases_are_64_characters_of_base64() {
    let one = random_passphrase().unwrap();
    let other = random_passphrase().unwrap();
    assert!(one != other);
    for passphrase in [one, other] {
        let text = passphrase.expose();
        assert_eq!(text.len(), 64);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)), "{text}");
        let Some(random) = tool("base64", &["-d"], text.as_bytes()) else { continue };
        assert_eq!(random.len(), 48);
        assert_eq!(tool("base64", &["-w0"], &random).unwrap(), text.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn streams_in_any_pieces_come_back(
        parts in proptest::collection::vec((any::<u8>(), 0_usize..9000, any::<bool>()), 0..12),
        pieces in proptest::collection::vec(1_usize..30_000, 1..5),
        which in 0_usize..20,
    ) {
        let spec = &specs()[which];
        let content: Vec<u8> = parts
            .iter()
            .flat_map(|(byte, len, noisy)| if *noisy { noise(*len) } else { vec![*byte; *len] })
            .collect();
        let encoder = Encoder::new(Vec::new(), spec, None).unwrap();
        let (stored, seal, out) = encode(encoder, &content, &pieces);
        prop_assert_eq!(seal.sha1, Sha1Hash::of(&content));
        prop_assert_eq!(out.sha1, Sha1Hash::of(&stored));
        prop_assert_eq!(out.size_bytes, stored.len() as u64);
        prop_assert!(decode_small(&stored, spec, LIMIT_BYTES).unwrap() == content);
    }
}

#[test]
fn what_several_threads_compress_is_the_same_content() {
    let content: Vec<u8> =
        (0..9_u32 << 20).flat_map(|at| ((at / 7) ^ (at >> 13)).to_le_bytes().into_iter().take(1)).collect();
    for compression in Compression::ALL {
        for (workers, length) in [(0, content.len()), (1, 0), (1, 1), (2, content.len())] {
            let spec = StreamSpec::full(compression, Some(Secret::new("secret")));
            let mut encoder = Encoder::with_workers(Vec::new(), &spec, None, workers).unwrap();
            content[..length].chunks(1 << 20).for_each(|piece| encoder.write_all(piece).unwrap());
            let (stored, seal, told) = encoder.finish().unwrap();
            assert_eq!(told.size_bytes, stored.len() as u64);
            assert_eq!(seal.sha1, Sha1Hash::of(&content[..length]));
            let mut back = Vec::new();
            let mut decoder = Decoder::new(&stored[..], &spec).unwrap();
            decoder.read_to_end(&mut back).unwrap();
            assert_eq!(decoder.finish().unwrap().sha1, seal.sha1, "{compression} {workers} {length}");
            assert!(back == content[..length]);
        }
    }
}
