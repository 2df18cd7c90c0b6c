//! Pages of real relations: every one right, every flipped bit found, and what `pg_checksums` finds is what is found.

use super::cluster::{CATALOG, Cluster, VERSION};
use pgmayday::base::Lsn;
use pgmayday::cluster::control::ControlFile;
use pgmayday::engine::backup::BackupError;
use pgmayday::engine::backup::pages::judge::{Judge, PAUSES, Verdict, read_page};
use pgmayday::engine::backup::pages::{
    PageChecker, PageScan, SEGMENT_BYTES, Suspect, first_block, is_right, page_checksum, page_lsn, ranges,
};
use pgmayday::engine::backup::scan::{ScanRequest, real_path, scan};
use pgmayday::model::op::Cancel;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const PAGE: usize = 8192;
const PAGE_BYTES: u32 = 8192;

/// The files a backup would check.
fn paged_files(cluster: &Cluster) -> Vec<PathBuf> {
    let tablespaces = BTreeMap::new();
    let request = ScanRequest {
        data_dir: &cluster.data(),
        version: VERSION,
        catalog: CATALOG,
        online: false,
        exclude: &[],
        tablespaces: &tablespaces,
    };
    let scan = scan(&request, &Cancel::default()).unwrap();
    let paged = scan.files.iter().filter(|file| file.page_checked);
    paged.map(|file| real_path(&cluster.data(), &file.name)).collect()
}

fn first(path: &Path) -> u32 {
    first_block(path.file_name().unwrap().to_str().unwrap(), PAGE_BYTES, SEGMENT_BYTES)
}

/// Checks a file as a copy would, in pieces that never end with a page. Nothing if it is gone.
fn check(path: &Path) -> Option<PageScan> {
    let mut file = File::open(path).ok()?;
    let mut checker = PageChecker::new(PAGE_BYTES, first(path), true).unwrap();
    let mut piece = [0; 3000];
    loop {
        match std::io::Read::read(&mut file, &mut piece).unwrap() {
            0 => return Some(checker.finish()),
            got => checker.update(&piece[..got]),
        }
    }
}

fn blocks(scan: &PageScan) -> Vec<u32> {
    scan.suspects.iter().map(|suspect| suspect.block).collect()
}

/// File and block of everything `pg_checksums` complains of, and how many blocks it looked at.
fn pg_checksums(cluster: &Cluster) -> (BTreeSet<(PathBuf, u32)>, u64) {
    let data = cluster.data();
    let finished =
        cluster.try_run(&cluster.program("pg_checksums"), &["--check", "-D", data.to_str().unwrap()]);
    let printed = finished.stdout + &finished.stderr;
    let quoted = |line: &str| line.split('"').nth(1).map(PathBuf::from);
    let wrong =
        printed.lines().filter(|line| line.contains("checksum verification failed in file")).map(|line| {
            let block = line.split("block ").nth(1).unwrap().split(':').next().unwrap();
            (fs::canonicalize(quoted(line).unwrap()).unwrap(), block.parse().unwrap())
        });
    let scanned = printed
        .lines()
        .find_map(|line| line.strip_prefix("Blocks scanned:"))
        .unwrap_or_else(|| panic!("{printed}"));
    (wrong.collect(), scanned.trim().parse().unwrap())
}

fn flip(path: &Path, bit: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << (bit % 8)], bit / 8).unwrap();
}

/// Any bit of any page is found, but for the one in 65535 that leaves the sum as it was.
fn flip_in_memory(files: &[PathBuf]) {
    let mut missed = 0;
    let mut flips = 0;
    for (number, path) in files.iter().enumerate().filter(|(_, path)| fs::metadata(path).unwrap().len() > 0) {
        let content = fs::read(path).unwrap();
        for turn in 0..4 {
            let mut content = content.clone();
            let bit = (number * 7_919 + turn * 1_000_003) % (content.len() * 8);
            content[bit / 8] ^= 1 << (bit % 8);
            let mut checker = PageChecker::new(PAGE_BYTES, first(path), true).unwrap();
            checker.update(&content);
            let scan = checker.finish();
            let block = first(path) + u32::try_from(bit / 8 / PAGE).unwrap();
            flips += 1;
            if blocks(&scan) != [block] {
                let page = &content[bit / 8 / PAGE * PAGE..][..PAGE];
                assert!(
                    scan.suspects.is_empty() && is_right(page, block, true),
                    "bit {bit} of {}",
                    path.display()
                );
                missed += 1;
            }
        }
    }
    assert!(flips > 1500 && missed <= 2, "{missed} of {flips} flips were not seen");
}

#[test]
fn pages_of_a_cluster_are_judged_as_by_pg_checksums() {
    let Some(mut cluster) = Cluster::make() else { return };
    cluster.start();
    cluster.folder("ts");
    cluster.sql(&[
        &format!("create tablespace fast location '{}'", cluster.path("ts").display()),
        "create table plain as select g as id, repeat(md5(g::text), 5) as note from generate_series(1, 30000) g",
        "create index on plain using hash (note)",
        "create index on plain using gin (to_tsvector('simple', note))",
        "create index on plain using brin (id)",
        "create index on plain using gist (int4range(id, id + 1)) tablespace fast",
        "create index on plain using spgist (note)",
        "create table there tablespace fast as select * from plain",
        "create sequence s",
        "delete from plain where id % 3 = 0",
        "vacuum plain, there",
    ]);
    cluster.stop();
    let files = paged_files(&cluster);
    let mut pages = 0;
    for path in &files {
        let scan = check(path).unwrap();
        assert_eq!((scan.misaligned, scan.suspects.len()), (false, 0), "{}", path.display());
        pages += scan.pages;
    }
    assert_eq!(pg_checksums(&cluster), (BTreeSet::new(), pages), "there is nothing unlogged in this cluster");
    assert!(pages > 5000, "{pages}");

    flip_in_memory(&files);

    // On disk, so that PostgreSQL's own tool looks at the same.
    let large = || files.iter().filter(|path| fs::metadata(path).unwrap().len() > 20 * PAGE as u64);
    let mut flipped = BTreeSet::new();
    for (path, blocks) in large().zip([&[1_u32, 2, 3, 6][..], &[0], &[19, 5], &[7]]) {
        for block in blocks {
            flip(path, u64::from(*block) * PAGE as u64 * 8 + 40_003);
            flipped.insert((fs::canonicalize(path).unwrap(), *block));
        }
    }
    // A later segment: blocks count on, and our own seal is one PostgreSQL takes.
    let other = large().next_back().unwrap();
    let segment = other.with_file_name("99999.2");
    let base = first(&segment);
    assert_eq!(base, 2 * 131_072);
    let mut content = fs::read(other).unwrap();
    for (block, page) in (base..).zip(content.chunks_exact_mut(PAGE)) {
        if page.iter().any(|byte| *byte != 0) {
            let sum = page_checksum(page, block).to_le_bytes();
            page[8..10].copy_from_slice(&sum);
        }
    }
    fs::write(&segment, &content).unwrap();
    flip(&segment, (4 * PAGE as u64 + 100) * 8);
    flipped.insert((fs::canonicalize(&segment).unwrap(), base + 4));

    let (theirs, _) = pg_checksums(&cluster);
    let in_relation = |(path, block): (PathBuf, u32)| {
        // PostgreSQL's tool counts from the start of the file.
        let base = first(&path);
        (path, base + block)
    };
    assert_eq!(theirs.into_iter().map(in_relation).collect::<BTreeSet<_>>(), flipped);
    let mut ours = BTreeSet::new();
    for path in paged_files(&cluster) {
        let found = blocks(&check(&path).unwrap());
        ours.extend(found.into_iter().map(|block| (fs::canonicalize(&path).unwrap(), block)));
    }
    assert_eq!(ours, flipped);
    let first_file = ours.iter().next().unwrap().0.clone();
    let of_first: Vec<u32> =
        ours.iter().filter(|(path, _)| *path == first_file).map(|(_, block)| *block).collect();
    assert!(!ranges(&of_first).is_empty());
    // Nobody writes to a stopped cluster: what is wrong stays wrong.
    let cancel = Cancel::default();
    let judge = Judge { header_check: true, start_lsn: None, pauses: &PAUSES[..2], cancel: &cancel };
    let scan = check(&segment).unwrap();
    let verdict =
        judge.judge(&scan.suspects, &mut |block| read_page(&segment, PAGE_BYTES, block - base), &mut || None);
    assert_eq!(verdict.unwrap(), Verdict { bad: vec![base + 4], recopy: Vec::new() });
}

/// Copies while a server writes: what is torn is fine, what is damaged is found.
#[test]
fn torn_pages_of_a_busy_server_are_fine_and_damage_is_not() {
    let Some(mut cluster) = Cluster::make() else { return };
    cluster.start();
    cluster.sql(&[
        "create table hot (id int primary key, n int, pad text) with (fillfactor = 50)",
        "insert into hot select g, 0, repeat('x', 300) from generate_series(1, 8000) g",
        "create table cold as select g as id, repeat('y', 300) as pad from generate_series(1, 8000) g",
        "create table touched as select g as id, repeat('z', 300) as pad from generate_series(1, 8000) g",
        "vacuum freeze cold, touched, hot",
        "checkpoint",
    ]);
    let file = |table: &str| {
        let below = cluster.sql(&[&format!("select pg_relation_filepath('{table}')")]);
        cluster.data().join(below)
    };
    let (hot, cold, touched) = (file("hot"), file("cold"), file("touched"));
    let insert = || -> Lsn { cluster.sql(&["select pg_current_wal_insert_lsn()"]).parse().unwrap() };
    cluster.sql(&["checkpoint"]);
    let start = ControlFile::read(&cluster.data()).unwrap().redo_lsn;
    cluster.sql(&["update touched set id = id + 1 where id = 5000", "checkpoint"]);

    let cancel = Cancel::default();
    let judge = Judge { header_check: true, start_lsn: Some(start), pauses: &PAUSES, cancel: &cancel };
    let verdict = |path: &Path, suspects: &[Suspect]| -> Verdict {
        let read = &mut |block| -> Result<_, BackupError> { read_page(path, PAGE_BYTES, block) };
        judge.judge(suspects, read, &mut || Some(insert())).unwrap()
    };

    // Cold pages: damage of data, of the position in WAL, of the header.
    let pages = u32::try_from(fs::metadata(&cold).unwrap().len() / PAGE as u64).unwrap();
    assert!(pages > 100);
    flip(&cold, (3 * PAGE as u64 + 5000) * 8);
    flip(&cold, (60 * PAGE as u64 + 7) * 8 + 7);
    File::options().write(true).open(&cold).unwrap().write_all_at(&[0, 0], 90 * PAGE as u64 + 14).unwrap();
    let scan = check(&cold).unwrap();
    assert_eq!(blocks(&scan), [3, 60, 90]);
    assert!(scan.suspects[1].lsn > insert(), "a position far beyond WAL: {:?}", scan.suspects[1]);
    assert_eq!(verdict(&cold, &scan.suspects), Verdict { bad: vec![3, 60, 90], recopy: Vec::new() });

    // A page changed since the start and damaged afterwards: WAL holds it whole, as PostgreSQL's own tool shows.
    let content = fs::read(&touched).unwrap();
    let changed = |page: &[u8]| page_lsn(page).unwrap() >= start;
    let block = u32::try_from(content.chunks_exact(PAGE).position(changed).unwrap()).unwrap();
    flip(&touched, (u64::from(block) * PAGE as u64 + 6000) * 8);
    let scan = check(&touched).unwrap();
    assert_eq!(blocks(&scan), [block]);
    assert_eq!(verdict(&touched, &scan.suspects), Verdict::default());
    let relation = cluster.sql(&["select '1663/' || d.oid || '/' || pg_relation_filenode('touched') from pg_database d where datname = current_database()"]);
    let wal = cluster.data().join("pg_wal");
    let (from, to) = (format!("--start={start}"), format!("--end={}", insert()));
    let images = cluster.run(
        &cluster.program("pg_waldump"),
        &["-p", wal.to_str().unwrap(), &from, &to, "--fullpage", "-R", &relation, "-B", &block.to_string()],
    );
    assert!(images.contains("FPW"), "no whole page of {relation} block {block} since {start}: {images}");

    // A busy table, read again and again in small pieces while every page of it changes and is written.
    let stop = AtomicBool::new(false);
    let (mut looks, mut suspects) = (0, 0);
    std::thread::scope(|scope| {
        let writer = |statements: &'static [&'static str]| {
            let (stop, cluster) = (&stop, &cluster);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    cluster.sql(statements);
                }
            });
        };
        writer(&["update hot set n = n + 1", "update hot set n = n + 1 where id % 7 = 3"]);
        writer(&["checkpoint"]);
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(6) {
            let scan = check(&hot).unwrap();
            looks += 1;
            suspects += scan.suspects.len();
            let verdict = verdict(&hot, &scan.suspects);
            if verdict != Verdict::default() {
                stop.store(true, Ordering::Relaxed);
                panic!("{verdict:?} of {:?}", scan.suspects);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    eprintln!("{suspects} torn pages in {looks} looks at a busy table");
    assert!(looks > 3);
}
