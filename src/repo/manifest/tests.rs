//! Manifests that are odd, old, huge or hostile; the sound ones of real repositories are read in `tests/`.

use super::*;
use crate::repo::{BackupEntry, Loaded, Repository};
use crate::store::memory::Memory;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::sync::Arc;

const LABEL: &str = "20261121-010559F_20261121-010607I";
const FULL: &str = "20261121-010559F";

/// A small manifest; tests change parts of it.
const TEXT: &str = r#"[backrest]
backrest-format=5
backrest-version="2.55.1"

[backup]
backup-archive-start="00000001000000000000000C"
backup-archive-stop="00000001000000000000000C"
backup-block-incr=true
backup-bundle=true
backup-bundle-raw=true
backup-label="20261121-010559F_20261121-010607I"
backup-lsn-start="0/C00028"
backup-lsn-stop="0/C00100"
backup-prior="20261121-010559F"
backup-reference="20261121-010559F,20261121-010559F_20261121-010607I"
backup-timestamp-copy-start=1795223168
backup-timestamp-start=1795223167
backup-timestamp-stop=1795223169
backup-type="incr"

[backup:db]
db-catalog-version=202209061
db-control-version=1300
db-id=1
db-system-id=7710424747602381888
db-version="15"

[backup:option]
option-archive-check=true
option-archive-copy=false
option-compress=true
option-compress-type="zst"
option-hardlink=false
option-online=true

[backup:target]
pg_data={"path":"/data","type":"path"}
pg_data/pg_hba.conf={"file":"pg_hba.conf","path":"../ext","type":"link"}
pg_tblspc/16384={"path":"/ts","tablespace-id":"16384","tablespace-name":"ts1","type":"link"}

[db]
postgres={"db-id":5,"db-last-system-id":4}

[metadata]
annotation={"why":"a \"good\" reason"}

[target:file]
pg_data/PG_VERSION={"bni":1,"bno":40,"checksum":"587b596f04f7db9c2cad3d6b87dd2b3a05de4f35","rck":"e9a81ddd115aa0c153f8e4c4c80171bff21601d4","reference":"20261121-010559F","repo-size":32,"size":3,"timestamp":1795223203}
pg_data/[sec]={"size":0,"timestamp":1795222541}
pg_data/backup_label={"checksum":"4dbf566cbbb224fc2f33e345cbfce37fb1d77eef","group":false,"mode":"0644","repo-size":208,"size":256,"timestamp":1795223223,"user":"o\"dd"}
pg_data/big={"bi":2,"bic":7,"bim":100,"checksum":"4dbf566cbbb224fc2f33e345cbfce37fb1d77eef","repo-size":5000,"size":300000,"timestamp":-5}
pg_data/errors={"bni":2,"checksum":"4dbf566cbbb224fc2f33e345cbfce37fb1d77eef","checksum-page":false,"checksum-page-error":[[1,3],6],"future":{"x":[1]},"size":73728,"timestamp":1}
pg_data/odd dir=x/we"ird={"a":1}=\n é [x]={"checksum":"4dbf566cbbb224fc2f33e345cbfce37fb1d77eef","size":6,"timestamp":1795222541}
pg_tblspc/16384/PG_15_202209061/5/1={"checksum":"4dbf566cbbb224fc2f33e345cbfce37fb1d77eef","size":6,"timestamp":1795222541}

[target:file:default]
group="postgres"
mode="0600"
user="postgres"

[target:link]
pg_data/pg_hba.conf={"destination":"../ext/pg_hba.conf"}
pg_data/pg_tblspc/16384={"destination":"/ts","user":false}

[target:link:default]
group="postgres"
user="postgres"

[target:path]
pg_data={}
pg_data/odd dir=x={"mode":"0755"}
pg_tblspc={}
pg_tblspc/16384={}
pg_tblspc/16384/PG_15_202209061={}
pg_tblspc/16384/PG_15_202209061/5={}

[target:path:default]
group="postgres"
mode="0700"
user="postgres"
"#;

fn read_text(text: &str) -> Result<Loaded<Manifest>, crate::repo::RepoError> {
    read_with(text, BTreeMap::new())
}

/// Reads a manifest beside what `backup.info` says of the backups.
fn read_with(
    text: &str,
    backups: BTreeMap<BackupLabel, BackupEntry>,
) -> Result<Loaded<Manifest>, crate::repo::RepoError> {
    let store = Memory::default();
    let label: BackupLabel = LABEL.parse().unwrap();
    store.put(&StorePath::new(format!("backup/main/{label}/backup.manifest")).unwrap(), text.as_bytes());
    let stanza = Repository::new(Arc::new(store), 1, None).stanza("main");
    let info = BackupInfo { current_db_id: 1, history: BTreeMap::new(), backups, cipher_pass: None };
    stanza.manifest(&info, &label)
}

/// `body` with the right checksum below it.
fn sealed(body: &str) -> String {
    let with = |sum: &str| format!("{body}\n[backrest]\nbackrest-checksum=\"{sum}\"\n");
    match read_text(&with(&"0".repeat(40))) {
        Err(error) => {
            let text = error.to_string();
            let sum = text.split("checksum ").nth(1).map_or("", |rest| &rest[..40]);
            with(sum)
        }
        Ok(_) => panic!("a zero checksum passed"),
    }
}

fn read(body: &str) -> Manifest {
    read_text(&sealed(body)).unwrap().value
}

/// The error that changing `from` to `to` gives.
fn broken(from: &str, to: &str) -> String {
    assert!(TEXT.contains(from), "{from}");
    read_text(&sealed(&TEXT.replacen(from, to, 1))).unwrap_err().to_string()
}

#[test]
fn every_field_is_read() {
    let manifest = read(TEXT);
    assert_eq!((manifest.kind, manifest.prior.as_ref().unwrap().as_str()), (BackupKind::Incr, FULL));
    assert_eq!(manifest.references.len(), 2);
    assert_eq!((manifest.lsn_start, manifest.lsn_stop), (Some(Lsn(0xC0_0028)), Some(Lsn(0xC0_0100))));
    assert!(manifest.bundle && manifest.bundle_raw && manifest.block_incr && manifest.online);
    assert_eq!(manifest.compression, Compression::Zst);
    assert_eq!(manifest.annotations["why"], "a \"good\" reason");
    assert_eq!(manifest.targets[1].file.as_deref(), Some("pg_hba.conf"));
    assert_eq!(manifest.targets[2].tablespace, Some((16384, "ts1".to_owned())));
    assert_eq!(manifest.links[1].user, Owner::Unnamed);
    assert_eq!(manifest.paths[1].mode, 0o755);
    let file = |name: &str| manifest.files.get(manifest.files.find(name).unwrap());
    let label = file("pg_data/backup_label");
    assert_eq!((label.mode, label.user, label.group), (0o644, Owner::Named("o\"dd"), Owner::Unnamed));
    let errors = file("pg_data/errors");
    assert_eq!((errors.page_ok, errors.page_errors.as_slice()), (Some(false), &[(1, 3), (6, 6)][..]));
    let odd = file("pg_data/odd dir=x/we\"ird={\"a\":1}=\\n é [x]");
    assert_eq!((odd.size_bytes, odd.mode, odd.stored_here), (6, 0o600, true));
    assert!(!file("pg_data/[sec]").is_stored() && odd.is_stored());
    assert_eq!(file("pg_data/big").modified_s, -5);
    assert_eq!(manifest.files.find("pg_data/none"), None);
}

#[test]
fn stored_bytes_are_found_where_the_format_puts_them() {
    let manifest = read(TEXT);
    let stored = |name: &str| {
        let file = manifest.files.get(manifest.files.find(name).unwrap());
        let (path, range, framing) = manifest.stored(&file).unwrap();
        (path.as_str().to_owned(), range, framing)
    };
    let part = |offset, length| Range::Part { offset, length };
    assert_eq!(
        stored("pg_data/PG_VERSION"),
        (format!("backup/main/{FULL}/bundle/1"), part(40, 32), Framing::Raw)
    );
    let own = |name: &str| format!("backup/main/{LABEL}/{name}");
    assert_eq!(
        stored("pg_data/backup_label"),
        (own("pg_data/backup_label.zst"), Range::Whole, Framing::Full)
    );
    assert_eq!(stored("pg_data/big"), (own("pg_data/big.pgbi"), Range::Whole, Framing::Raw));
    assert_eq!(stored("pg_data/errors"), (own("bundle/2"), part(0, 73_728), Framing::Raw));
    let plain = read(&TEXT.replace("backup-bundle-raw=true\n", ""));
    let file = plain.files.get(plain.files.find("pg_data/PG_VERSION").unwrap());
    assert_eq!(plain.stored(&file).unwrap().2, Framing::Full);
    assert_eq!(
        manifest.super_block_path(0, 3, "x").unwrap().as_str(),
        format!("backup/main/{FULL}/bundle/3")
    );
    assert_eq!(manifest.super_block_path(1, 0, "pg_data/big").unwrap().as_str(), own("pg_data/big.pgbi"));
    assert!(manifest.super_block_path(2, 3, "x").is_err());
}

#[test]
fn what_older_versions_left_out_is_filled_in() {
    let text = TEXT.replace(&format!("backup-reference=\"{FULL},{LABEL}\"\n"), "");
    let references: Vec<_> = read(&text).references.iter().map(ToString::to_string).collect();
    assert_eq!(references, [FULL, LABEL]);
    assert_eq!(read(&TEXT.replace("option-compress-type=\"zst\"\n", "")).compression, Compression::Gz);
    let plain = TEXT
        .replace("option-compress-type=\"zst\"\n", "")
        .replace("option-compress=true", "option-compress=false");
    assert_eq!(read(&plain).compression, Compression::None);
    // Files out of order are sorted, keys out of order are taken.
    let (first, second) = ("pg_data/[sec]={\"size\":0,\"timestamp\":1795222541}\n", "[target:file]\n");
    let swapped = TEXT
        .replace(first, "")
        .replace(second, &format!("{second}pg_data/zzz={{\"timestamp\":1,\"size\":0}}\n{first}"));
    let manifest = read(&swapped);
    let names: Vec<_> = manifest.files.iter().map(|file| file.name).collect();
    assert!(names.is_sorted() && names.len() == 8);
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in
        ["pg_data/../x", "/etc/x", "pg_data//x", "pg_tblspc/../../x/y", "pg_data/x\0", "etc/x", "pg_data/."]
    {
        assert!(broken("pg_data/[sec]=", &format!("{name}=")).contains("leads out of"), "{name:?}");
        assert!(broken("pg_data/odd dir=x={", &format!("{name}={{")).contains("leads out of"), "{name:?}");
        assert!(
            broken("pg_data/pg_hba.conf={\"dest", &format!("{name}={{\"dest")).contains("leads out of"),
            "{name:?}"
        );
        assert!(
            broken("pg_data/pg_hba.conf={\"file", &format!("{name}={{\"file")).contains("leads out of"),
            "{name:?}"
        );
    }
    assert!(broken("\"file\":\"pg_hba.conf\"", "\"file\":\"../pg_hba.conf\"").contains("leads out of"));
    assert!(broken("\"destination\":\"/ts\"", "\"destination\":\"\"").contains("no place for a link"));
    assert!(broken("\"tablespace-id\":\"16384\"", "\"tablespace-id\":\"16385\"").contains("do not agree"));
    assert!(broken("pg_data/odd dir=x={", "pg_data/other={").contains("stands in no listed folder"));
    assert!(broken("pg_tblspc/16384={}\n", "").contains("stands in no listed folder"));
    assert!(broken("pg_tblspc={}\n", "pg_tblspc={}\npg_data/big={}\n").contains("both file and folder"));
    assert!(broken("pg_data/[sec]=", "pg_data/big=").contains("listed twice"));
    assert!(broken("pg_tblspc={}\n", "pg_tblspc={}\npg_data={}\n").contains("listed twice"));
}

#[test]
fn numbers_that_lie_are_refused() {
    let huge = u64::MAX / 2;
    assert!(broken("\"size\":73728", &format!("\"size\":{huge}")).contains("add up to more"));
    assert!(broken("\"repo-size\":208", &format!("\"repo-size\":{huge}")).contains("add up to more"));
    assert!(broken("\"bno\":40", &format!("\"bno\":{}", u64::MAX)).contains("place in a bundle"));
    assert!(broken("\"bni\":1", "\"bni\":0").contains("place in a bundle"));
    assert!(broken("\"bni\":1,", "").contains("but no bundle"));
    assert!(broken("\"bim\":100", "\"bim\":5001").contains("block map that cannot be"));
    assert!(broken("\"bi\":2", "\"bi\":0").contains("block map that cannot be"));
    assert!(broken("\"bi\":2", "\"bi\":524288").contains("block map that cannot be"));
    assert!(broken("\"bic\":7", "\"bic\":17").contains("block map that cannot be"));
    assert!(broken("\"mode\":\"0644\"", "\"mode\":\"4755\"").contains("is not a mode"));
    assert!(broken("\"size\":256", "\"size\":\"256\"").contains("expected an unsigned"));
    assert!(broken("\"size\":256", "\"size\":-1").contains("expected an unsigned"));
    assert!(broken("[[1,3],6]", "[[3,1],6]").contains("out of order"));
    assert!(broken("\"user\":\"o\\\"dd\"", "\"user\":true").contains("true"));
    assert!(
        broken("\"size\":0", "\"checksum\":\"4dbf566cbbb224fc2f33e345cbfce37fb1d77eef\",\"size\":0")
            .contains("empty file")
    );
}

#[test]
fn parts_that_contradict_each_other_are_refused() {
    assert!(
        broken("backup-label=\"20261121-010559F_20261121-010607I\"", &format!("backup-label=\"{FULL}\""))
            .contains("not of")
    );
    assert!(broken("backup-type=\"incr\"", "backup-type=\"full\"").contains("do not agree"));
    assert!(broken("backup-prior=\"20261121-010559F\"\n", "").contains("do not agree"));
    assert!(broken(&format!("{FULL},{LABEL}"), LABEL).contains("not in its references"));
    assert!(
        broken(&format!("{FULL},{LABEL}"), &format!("{LABEL},{FULL}")).contains("does not end in itself")
    );
    assert!(broken(&format!("{FULL},{LABEL}"), &format!("{FULL},{FULL},{LABEL}")).contains("twice"));
    assert!(broken("backup-timestamp-stop=1795223169", "backup-timestamp-stop=0").contains("unfinished"));
    assert!(
        broken("\"checksum\":\"4dbf566cbbb224fc2f33e345cbfce37fb1d77eef\",\"size\":6", "\"size\":6")
            .contains("was not copied")
    );
    assert!(
        broken("\"path\":\"/data\",\"type\":\"path\"", "\"path\":\"/data\",\"type\":\"link\"")
            .contains("pg_data")
    );
    assert!(
        broken("backrest-version=\"2.55.1\"", "backrest-version=\"2.45\"")
            .contains("beta block-incremental container")
    );
    assert!(
        broken("[metadata]", "[cipher]\ncipher-pass=\"x\"\n\n[metadata]").contains("carries a cipher-pass")
    );
    assert!(broken("mode=\"0600\"\n", "").contains("no mode"));
    assert!(broken("db-version=\"15\"", "db-version=\"8.4\"").contains("not a PostgreSQL major version"));
    assert!(broken("db-version=\"15\"", "db-version=\"19\"").contains("not known to this program"));
}

#[test]
fn blocks_of_the_beta_container_are_refused_whoever_refers_to_them() {
    let full: BackupLabel = FULL.parse().unwrap();
    let mut entry = crate::repo::backup_info::empty_entry(full.clone());
    entry.backrest_version = "2.45".to_owned();
    let backups = BTreeMap::from([(full, entry)]);
    // A full of 2.45 without blocks is fine; with blocks of it in use it is not.
    assert!(read_with(&sealed(TEXT), backups.clone()).is_ok());
    let borrowed = TEXT.replace("\"bim\":100,", "\"bim\":100,\"bni\":1,\"reference\":\"20261121-010559F\",");
    let error = read_with(&sealed(&borrowed), backups).unwrap_err().to_string();
    assert!(error.contains("beta block-incremental container of pgBackRest 2.44/2.45"), "{error}");
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let good = sealed(TEXT).into_bytes();
    for at in (0..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        let text = String::from_utf8(bad);
        assert!(text.is_err() || read_text(&text.unwrap()).is_err(), "byte {at}");
    }
}

#[test]
fn two_hundred_thousand_files_take_little_memory() {
    let mut lines = String::new();
    for number in 0..200_000_u32 {
        let sum = format!("{number:040x}");
        let base = 16384 + number / 2000;
        writeln!(
            lines,
            "pg_data/base/{base}/{:05}={{\"bni\":{},\"bno\":{},\"checksum\":\"{sum}\",\"checksum-page\":true,\"rck\":\"{sum}\",\
             \"reference\":\"{FULL}\",\"repo-size\":{},\"size\":{},\"timestamp\":1795223203}}",
            number % 2000,
            number / 500 + 1,
            number % 500 * 40_000,
            number % 40_000 + 80,
            8192 * (number % 9 + 1),
        )
        .unwrap();
    }
    let mut folders = String::from("pg_data/base={}\n");
    for base in 16384..16484 {
        writeln!(folders, "pg_data/base/{base}={{}}").unwrap();
    }
    let text = TEXT
        .replace("[target:file]\n", &format!("[target:file]\n{lines}"))
        .replace("pg_data/odd dir=x={", &format!("{folders}pg_data/odd dir=x={{"));
    let manifest = read(&text);
    assert_eq!(manifest.files.len(), 200_007);
    let per_file = manifest.files.memory_bytes() / manifest.files.len();
    assert!(per_file <= 110, "{per_file} bytes per file");
    let file = manifest.files.get(manifest.files.find("pg_data/base/16400/00500").unwrap());
    assert_eq!((file.bundle, file.size_bytes), (Some((66, 0)), 8192 * (32_500 % 9 + 1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn changed_manifests_never_panic(at in 0_usize..4000, with in "\\PC{0,6}|\n|[0-9]{1,20}|[{}\\[\\]\",:=]") {
        let mut text = TEXT.to_owned();
        let at = (0..=at % text.len()).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        text.insert_str(at, &with);
        // With whatever checksum it needs; only the absence of a panic is claimed.
        let sum = "0".repeat(40);
        let with = |sum: &str| format!("{text}\n[backrest]\nbackrest-checksum=\"{sum}\"\n");
        if let Err(crate::repo::RepoError::Both { main, .. }) = read_text(&with(&sum))
            && let crate::repo::RepoError::Checksum { actual, .. } = *main
        {
            drop(read_text(&with(&actual.to_string())));
        }
    }
}
