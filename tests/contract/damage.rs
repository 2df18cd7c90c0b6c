//! Damaged copies of real repositories: refused in the plan and named, or recovery stops at the damage and never
//! promotes. Losing rows without a word is the one outcome that no test here forgives.

use crate::common::edit::{self, Draft};
use crate::common::fixture::{Fixture, Rows};
use crate::common::random::{Random, number};
use crate::common::servers::{self, Server, Settled};
use crate::common::{Case, Run, stand_in, tree};
use std::fs;

/// Damage found, or the target not reachable because of it.
const REFUSED: &[i32] = &[4, 7];
/// Damage found.
const DAMAGED: &[i32] = &[4];

const PLAIN_FULL: &str = "20261121-010559F";
const BUNDLED_FULL: &str = "20261121-010647F";

/// Recovery to the end of the archive, archiving off.
fn to_the_end(set: Option<&str>) -> Vec<String> {
    let mut options = vec!["--type=default".to_owned(), "--archive-mode=off".to_owned()];
    options.extend(set.map(|set| format!("--set={set}")));
    options
}

fn promoted(case: &Case, rows: &Rows, test: &str) {
    let Some(bin) = servers::postgres("15", test) else { return };
    let mut server = Server::start(&bin, &case.pgdata(), &[]);
    assert_eq!(server.settle(), Settled::Writable, "{}", server.log());
    assert_eq!(&server.ledger(), rows, "{}", server.log());
}

/// The plan refuses it with a full proof; without, either the plan refuses or recovery stops there, named, unpromoted.
fn never_silent(case: &Case, options: &[String], segment: &str, test: &str) {
    let full = [options, &["--prove=full".to_owned()]].concat();
    if !stand_in() {
        let run = case.restore(&full).refused(REFUSED).says(&[segment]);
        case.assert_untouched(&run);
    }
    let run = case.restore(options);
    if run.code != Some(0) {
        let run = run.refused(REFUSED).says(&[segment]);
        case.assert_untouched(&run);
        return;
    }
    let Some(bin) = servers::postgres("15", test) else { return };
    let mut server = Server::start(&bin, &case.pgdata(), &[]);
    let settled = server.settle();
    let log = server.log();
    assert!(
        matches!(settled, Settled::Exited(status) if !status.success()),
        "it promoted past the damage:\n{log}"
    );
    assert!(log.contains(segment) && !log.contains("selected new timeline"), "{log}");
}

#[test]
fn a_gap_in_the_middle_is_refused_and_does_not_hurt_where_it_is_not_needed() {
    let fixture = Fixture::load("a1-plain-none");
    let case = Case::on_copy(&fixture);
    let gap = "00000001000000000000000B";
    fs::remove_file(case.segment(gap)).unwrap();
    let run = case.restore(&to_the_end(Some(PLAIN_FULL))).refused(REFUSED).says(&[gap]);
    case.assert_untouched(&run);
    let time = ["--type=time", "--target=2026-11-21 01:06:05+00", "--target-action=promote"];
    let run = case.restore(&time).refused(REFUSED).says(&[gap]);
    case.assert_untouched(&run);
    // The newer set starts behind the gap, the earlier target lies before it.
    case.restore(&to_the_end(None)).ok();
    promoted(&case, &fixture.rows_at("m5"), "damage::gap");
    case.fresh();
    let lsn = fixture.mark("m2")["lsn_after"].as_str().unwrap();
    let before = [
        "--type=lsn".to_owned(),
        format!("--target={lsn}"),
        "--target-action=promote".to_owned(),
        "--archive-mode=off".to_owned(),
    ];
    case.restore(&before).ok().says(&[gap]);
    promoted(&case, &fixture.rows_at("m2"), "damage::gap");
    // The end of the backup with the very next segment gone: a server that reads ahead asks for it.
    case.fresh();
    let next = "00000001000000000000000A";
    fs::remove_file(case.segment(next)).unwrap();
    let set = format!("--set={PLAIN_FULL}");
    case.restore(&["--type=immediate", &set, "--target-action=promote", "--archive-mode=off"])
        .ok()
        .says(&[next]);
    promoted(&case, &fixture.rows_at("m1"), "damage::gap");
}

#[test]
fn a_segment_twice_with_other_content_is_refused_and_with_the_same_content_is_not() {
    let fixture = Fixture::load("a1-plain-none");
    let case = Case::on_copy(&fixture);
    let name = "00000001000000000000000D";
    let first = case.segment(name);
    let mut content = fs::read(&first).unwrap();
    let same = edit::through("gzip", &["-c"], &content);
    let twin = first.with_file_name(format!("{}.gz", first.file_name().unwrap().to_string_lossy()));
    edit::put(&twin, &same);
    case.restore(&to_the_end(None)).ok();
    promoted(&case, &fixture.rows_at("m5"), "damage::twice");
    case.fresh();
    fs::remove_file(twin).unwrap();
    content[500_000] ^= 1;
    edit::put(&first.with_file_name(format!("{name}-{}", edit::sha1(&content))), &content);
    let run = case.restore(&to_the_end(None)).refused(REFUSED).says(&[name]);
    case.assert_untouched(&run);
}

#[test]
fn a_segment_of_another_cluster_is_refused() {
    let fixture = Fixture::load("a1-plain-none");
    let other = Case::new(&Fixture::load("a4-gz"));
    let case = Case::on_copy(&fixture);
    let name = "00000001000000000000000A";
    let foreign = edit::through("gzip", &["-dc"], &fs::read(other.segment(name)).unwrap());
    let own = case.segment(name);
    fs::remove_file(&own).unwrap();
    edit::put(&own.with_file_name(format!("{name}-{}", edit::sha1(&foreign))), &foreign);
    let run = case.restore(&to_the_end(Some(PLAIN_FULL))).refused(REFUSED).says(&[name, "system identifier"]);
    case.assert_untouched(&run);
}

#[test]
fn a_segment_under_another_name_is_refused() {
    // A recycled segment bears a name of the future; pgBackRest's push accepts it.
    let fixture = Fixture::load("a1-plain-none");
    let case = Case::on_copy(&fixture);
    let content = fs::read(case.segment("00000001000000000000000C")).unwrap();
    let name = "00000001000000000000000D";
    let own = case.segment(name);
    fs::remove_file(&own).unwrap();
    edit::put(&own.with_file_name(format!("{name}-{}", edit::sha1(&content))), &content);
    let run = case.restore(&to_the_end(None)).refused(REFUSED).says(&[name]);
    case.assert_untouched(&run);
}

#[test]
fn a_truncated_segment_stops_recovery_where_it_is() {
    for (name, segment) in [
        ("a1-plain-none", "00000001000000000000000D"),
        ("a4-gz", "00000001000000000000000A"),
        ("a4-bz2", "00000001000000000000000A"),
    ] {
        let fixture = Fixture::load(name);
        let case = Case::on_copy(&fixture);
        let path = case.segment(segment);
        let bytes = fs::metadata(&path).unwrap().len();
        fs::File::options().write(true).open(&path).unwrap().set_len(bytes / 2).unwrap();
        never_silent(&case, &to_the_end(None), segment, "damage::truncated");
    }
}

#[test]
fn a_segment_whose_middle_is_flipped_stops_recovery_where_it_is() {
    let fixture = Fixture::load("a1-plain-none");
    let case = Case::on_copy(&fixture);
    let segment = "00000001000000000000000D";
    let path = case.segment(segment);
    let mut content = fs::read(&path).unwrap();
    content[700_000] ^= 0x40;
    fs::write(&path, content).unwrap();
    never_silent(&case, &to_the_end(None), segment, "damage::flipped");
}

#[test]
fn an_undecryptable_segment_stops_recovery_where_it_is() {
    let fixture = Fixture::load("a2-zst-aes-bundle");
    let case = Case::on_copy(&fixture);
    let segment = "00000002000000000000000E";
    let path = case.segment(segment);
    let other_key = edit::encrypt(b"not with the archive's key", "another passphrase");
    fs::write(&path, other_key).unwrap();
    never_silent(&case, &to_the_end(None), segment, "damage::undecryptable");
}

#[test]
fn a_wrong_passphrase_is_called_that() {
    let fixture = Fixture::load("a2-zst-aes-bundle");
    let case = Case::new(&fixture);
    let said = |run: Run| {
        assert!(
            !run.text().contains("dev-fixture-a2") && !run.text().contains("hunter2"),
            "a secret is shown\n{run}"
        );
        run
    };
    case.configure(&fixture.template().replace("dev-fixture-a2-pass", "hunter2-wrong"));
    let run = said(case.restore(&to_the_end(None)).refused(DAMAGED).says(&["passphrase"]));
    case.assert_untouched(&run);
    // No passphrase for an encrypted repository, and one for a plain one.
    let template = fixture.template();
    let plain: Vec<_> = template.lines().filter(|line| !line.contains("cipher")).collect();
    case.configure(&plain.join("\n"));
    let run = said(case.restore(&to_the_end(None)).refused(&[2, 4]).says(&["encrypted"]));
    case.assert_untouched(&run);
    let unencrypted = Fixture::load("a1-plain-none");
    let case = Case::new(&unencrypted);
    case.configure(
        &unencrypted.template().replace(
            "compress-type",
            "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=hunter2\ncompress-type",
        ),
    );
    let run = said(case.restore(&to_the_end(None)).refused(&[2, 4]).says(&["encrypted"]));
    case.assert_untouched(&run);
}

#[test]
fn one_of_two_info_files_is_enough_and_said() {
    let fixture = Fixture::load("a2-zst-aes-bundle");
    let sound = Case::new(&fixture);
    sound.restore(&["--type=none"]).ok();
    let wanted = tree::list(&sound.dest());
    let case = Case::on_copy(&fixture);
    let newest = *fixture.backups().last().unwrap();
    let files = [
        case.repo.join("backup/orders/backup.info"),
        case.repo.join("archive/orders/archive.info"),
        case.backup_path(newest, "backup.manifest"),
    ];
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let away = file.with_extension("away");
        fs::rename(&file, &away).unwrap();
        let kind = if name == "archive.info" { "--type=default" } else { "--type=none" };
        case.fresh();
        case.restore(&[kind, "--archive-mode=off"]).ok().says(&[name]);
        if kind == "--type=none" {
            let same = tree::differences(&wanted, &moved(tree::list(&case.dest()), &case, &sound));
            // The settings file carries the time of the restore.
            assert!(same.iter().all(|line| line.starts_with("pgdata/postgresql.auto.conf:")), "{same:#?}");
        }
        // Without either of them nothing can be done.
        case.fresh();
        let copy = file.with_file_name(format!("{name}.copy"));
        let copy_away = copy.with_extension("copy-away");
        fs::rename(&copy, &copy_away).unwrap();
        let run = case.restore(&[kind, "--archive-mode=off"]).refused(&[1, 4]).says(&[name]);
        case.assert_untouched(&run);
        fs::rename(copy_away, copy).unwrap();
        fs::rename(away, file).unwrap();
    }
}

/// Two cases lie in different folders: links are compared as if they lay in the same.
fn moved(mut found: tree::Tree, from: &Case, to: &Case) -> tree::Tree {
    for entry in found.values_mut().filter(|entry| entry.kind == "link") {
        entry.content = entry.content.replace(from.dest().to_str().unwrap(), to.dest().to_str().unwrap());
    }
    found
}

#[test]
fn a_flipped_fork_in_a_history_file_is_refused() {
    // It decides which rows belong to the cluster: one flipped bit mixed two histories.
    let fixture = Fixture::load("a2-zst-aes-bundle");
    let case = Case::on_copy(&fixture);
    let passphrase = edit::inner_passphrase(&fixture.plain("archive/orders/archive.info")).unwrap();
    let path = case.repo.join("archive/orders/15-1/00000002.history");
    let text = String::from_utf8(edit::decrypt(&fs::read(&path).unwrap(), &passphrase)).unwrap();
    assert!(text.contains("0/B00090"), "{text}");
    for other in ["0/B00490", "0/A00090", "0/F00090", "0/B00091"] {
        edit::put(&path, &edit::encrypt(text.replace("0/B00090", other).as_bytes(), &passphrase));
        let run = case.restore(&to_the_end(Some(BUNDLED_FULL))).refused(REFUSED).says(&["00000002.history"]);
        case.assert_untouched(&run);
    }
    fs::remove_file(&path).unwrap();
    let run = case
        .restore(&[to_the_end(Some(BUNDLED_FULL)), vec!["--target-timeline=2".to_owned()]].concat())
        .refused(REFUSED);
    case.assert_untouched(&run.says(&["timeline 2 has no history file"]));
    // "latest" would quietly mean the older timeline then: its segments prove that there is a newer one.
    let run = case.restore(&to_the_end(Some(BUNDLED_FULL))).refused(&[7]);
    case.assert_untouched(&run.says(&["timeline 2", "--target-timeline=1"]));
    let meant = [to_the_end(Some(BUNDLED_FULL)), vec!["--target-timeline=1".to_owned()]].concat();
    case.restore(&meant).ok();
    promoted(&case, &fixture.rows_at("m4b"), "damage::history");
}

#[test]
fn a_missing_or_shortened_data_file_is_named_and_nothing_can_start() {
    let fixture = Fixture::load("a1-plain-none");
    let case = Case::on_copy(&fixture);
    let path = case.backup_path(PLAIN_FULL, "pg_data/base/1/1255");
    let content = fs::read(&path).unwrap();
    let damages: [&dyn Fn(); 3] =
        [&|| fs::remove_file(&path).unwrap(), &|| edit::put(&path, &content[..content.len() - 1]), &|| {
            edit::put(&path, &[&content[..], b"x"].concat());
        }];
    for damage in damages {
        damage();
        case.fresh();
        let run = case.restore(&["--type=none"]);
        // A longer stored file may be taken for what it begins with; then the result must be the original.
        if run.code == Some(0) && fs::metadata(&path).is_ok_and(|meta| meta.len() > content.len() as u64) {
            assert_eq!(fs::read(case.pgdata().join("base/1/1255")).unwrap(), content);
            continue;
        }
        let run = run.refused(DAMAGED).says(&["base/1/1255"]);
        case.assert_cannot_start(&run);
    }
    let fixture = Fixture::load("a2-zst-aes-bundle");
    let case = Case::on_copy(&fixture);
    fs::remove_file(case.backup_path(BUNDLED_FULL, "bundle/2")).unwrap();
    let run = case.restore(&["--type=none"]).refused(DAMAGED).says(&["bundle/2"]);
    case.assert_cannot_start(&run);
    if let Some(bin) = servers::postgres("15", "damage::half_restored") {
        servers::assert_refuses_to_start(&bin, &case.pgdata());
    }
}

#[test]
#[ignore = "minutes: a server per flip"]
fn any_flip_in_the_log_stops_the_server_there() {
    let fixture = Fixture::load("a4-gz");
    let case = Case::on_copy(&fixture);
    let mut random = Random::seeded("damage::any_flip");
    for turn in 0..number("PGMAYDAY_WAL_FLIPS", 60, 60) {
        let segment = ["000000010000000000000009", "00000001000000000000000A"][turn % 2];
        let path = case.segment(segment);
        // The first ten bytes of gzip hold a time and an operating system, which nobody reads.
        let at = 10 + random.below(fs::metadata(&path).unwrap().len() - 10);
        let sound = fs::read(&path).unwrap();
        edit::flip(&path, at, 1 << random.below(8));
        case.fresh();
        never_silent(&case, &to_the_end(None), segment, "damage::any_flip");
        fs::write(&path, sound).unwrap();
    }
}

#[test]
fn a_manifest_of_another_backup_is_refused() {
    let fixture = Fixture::load("a1-plain-none");
    let case = Case::on_copy(&fixture);
    let newest = *fixture.backups().last().unwrap();
    Draft::manifest(&fixture, PLAIN_FULL).install(&case, newest);
    let run = case.restore(&["--type=none"]).refused(DAMAGED).says(&[newest, PLAIN_FULL]);
    case.assert_untouched(&run);
}

#[test]
fn archive_get_tells_absence_from_damage() {
    let fixture = Fixture::load("a4-gz");
    let case = Case::on_copy(&fixture);
    case.restore(&to_the_end(None)).ok();
    let get = |name: &str| {
        let to = case.pgdata().join("pg_wal/RECOVERYXLOG");
        drop(fs::remove_file(&to));
        let run = Run::of(
            case.command("archive-get").arg(name).arg("pg_wal/RECOVERYXLOG").current_dir(case.pgdata()),
        );
        (run.code.unwrap(), fs::read(to).ok())
    };
    let segment = "000000010000000000000009";
    let stored = case.segment(segment);
    let plain = edit::through("gzip", &["-dc"], &fs::read(&stored).unwrap());
    assert_eq!(get(segment), (0, Some(plain)));
    // Past the archive's end and on timelines that do not exist: absent.
    assert_eq!(get("00000001000000000000000B"), (1, None));
    assert_eq!(get("00000002.history"), (1, None));
    assert_eq!(get("000000020000000000000009"), (1, None));
    if stand_in() {
        return;
    }
    // Damaged; and missing in the middle: PostgreSQL must stop, not promote.
    let mut bytes = fs::read(&stored).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&stored, bytes).unwrap();
    assert_eq!(get(segment), (130, None));
    fs::remove_file(&stored).unwrap();
    assert_eq!(get(segment), (130, None));
}
