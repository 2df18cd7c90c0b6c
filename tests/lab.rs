//! The lab with real servers: disasters, recoveries checked to the row, and what it refuses to touch.
//!
//! Where PostgreSQL is missing a test says so and ends; under `REQUIRE_SERVERS` it fails. pgBackRest is needed only where
//! it is the other side.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on must fail")]
#![expect(clippy::disallowed_methods, reason = "a test starts the program and clears its own folders")]

use pgmayday::base::{Kind, TargetTime, Timeline, Timestamp};
use pgmayday::cluster::binaries::Search;
use pgmayday::cluster::owner::{Users, is_root, run_as};
use pgmayday::config::site::Site;
use pgmayday::lab::db::Db;
use pgmayday::lab::programs::find_postgres;
use pgmayday::lab::rehearsal::{self, LabService, Nobody};
use pgmayday::lab::truth::Truth;
use pgmayday::lab::verify::verify;
use pgmayday::lab::{Lab, disaster, ledger, process};
use pgmayday::model::op::{Cancel, Silent};
use pgmayday::recovery::in_place::Recovered;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pgmayday");

/// A folder every account may enter; whatever lab is left in it at the end is taken down.
struct Place(tempfile::TempDir);

impl Place {
    /// Nothing where servers are missing and not required.
    fn new() -> Option<Self> {
        if let Err(error) = find_postgres(&Search::new(None, std::env::var_os("PATH").as_deref())) {
            assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "servers are required here: {error}");
            eprintln!("skipped: {error}");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("pgm-lab").tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Some(Self(folder))
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.0.path()).into_iter().flatten().flatten() {
            if entry.path().join("lab.json").exists() {
                drop(lab(&entry.path(), &["down"]));
            }
        }
    }
}

fn lab(dir: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("lab").args(words).arg("--dir").arg(dir).output().unwrap()
}

/// Runs a part of the lab that must succeed, and reads its JSON.
fn json(dir: &Path, words: &[&str]) -> Value {
    let output = lab(dir, &[words, &["--output=json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "lab {words:?}: {text}{said}");
    serde_json::from_str(&text).unwrap()
}

/// Runs a program as the account that owns the lab.
fn as_owner(program: &Path, args: &[&str]) -> Output {
    let users = Users::new();
    let owner = if is_root() {
        users.account("postgres").unwrap()
    } else {
        pgmayday::cluster::owner::current(&users)
    };
    run_as(&owner, program).unwrap().args(args).output().unwrap()
}

fn pg_ctl(dir: &Path, data_dir: &Path, args: &[&str]) -> Output {
    let program = Lab::open(dir).unwrap().settings().pg_bin.join("pg_ctl");
    let log = dir.join("log/test.log");
    let fixed = ["-D", data_dir.to_str().unwrap(), "-l", log.to_str().unwrap(), "-w", "-t", "60"];
    as_owner(&program, &[&fixed, args].concat())
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    unreachable!("{what} did not come in 30 s");
}

fn superuser(lab: &Lab, database: &str) -> Db {
    Db::as_superuser(&lab.sockets(), lab.settings().primary_port, database).unwrap()
}

/// Recovers as the lab's demonstration does.
fn recover_to(lab: &Lab, targets: &[Timestamp]) -> pgmayday::base::Result<Recovered> {
    rehearsal::recovery(lab, targets)?.recover(&Nobody, &Silent, &Cancel::default())
}

/// Compares the primary with the truth after exactly `rows` transactions.
fn assert_rows(lab: &Lab, rows: u64) {
    let verdict =
        verify(&mut superuser(lab, ledger::DATABASE), &mut superuser(lab, ledger::SECOND_DATABASE), rows);
    assert_eq!(verdict.unwrap().differences, Vec::<String>::new());
}

#[test]
fn three_disasters_in_a_row_are_undone_to_the_row() {
    let Some(place) = Place::new() else { return };
    let dir = place.dir("lab");
    json(&dir, &["up"]);
    for (number, disaster) in ["bad-update", "drop-table", "drop-database"].into_iter().enumerate() {
        let evidence = json(&dir, &["__rehearse", disaster]);
        let text = evidence.to_string();
        assert_eq!(evidence["right"], true, "{text}");
        assert_eq!(evidence["timeline"], number + 2, "{text}");
        assert!(evidence["at_target"]["rows_found"].as_u64().unwrap() > 50, "{text}");
        assert_eq!(evidence["at_target"]["ledger_found"], evidence["at_target"]["ledger_expected"], "{text}");
        assert!(evidence["later_commits_lost"].as_u64().unwrap() > 0 || disaster != "bad-update", "{text}");
        assert!(evidence["target_before_damage_ms"].as_i64().unwrap() >= 0, "{text}");

        let quarantine = PathBuf::from(evidence["quarantine"].as_str().unwrap());
        let started = pg_ctl(&dir, &quarantine, &["start"]);
        assert!(!started.status.success(), "the quarantine must not start");
        let lab = Lab::open(&dir).unwrap();
        assert!(process::postmaster(&quarantine).is_none() && process::postmaster(&lab.primary()).is_some());
        let left = superuser(&lab, "postgres")
            .rows("SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf' AND name ~ 'recovery|restore'");
        assert_eq!(left.unwrap(), Vec::<Vec<String>>::new(), "recovery settings are left behind");
        let phases = evidence["phases"].as_array().unwrap();
        let backup = phases.iter().find(|phase| phase["name"] == "first backup").unwrap();
        let label = backup["detail"].as_str().unwrap().split(',').next().unwrap();
        let newest = json(&dir, &["status"])["backups"].as_array().unwrap().last().cloned();
        assert_eq!(newest, Some(label.into()), "{text}");
        assert!(label.ends_with('F'), "{text}");
    }
    let status = json(&dir, &["status"]);
    assert_eq!(status["disasters"].as_array().unwrap().len(), 3);
    assert_eq!(status["servers"][0]["role"], "primary");
    assert_eq!(status["archive"]["failed"], 0);
    json(&dir, &["down"]);
    assert!(!dir.exists());
}

#[test]
fn a_target_with_the_damage_in_it_is_followed_by_an_earlier_one() {
    let Some(place) = Place::new() else { return };
    let dir = place.dir("lab");
    json(&dir, &["up"]);
    let lab = Lab::open(&dir).unwrap();
    // After the backups the primary demands more of whoever replays its log than the restored configuration gives.
    superuser(&lab, "postgres").rows("ALTER SYSTEM SET max_connections = 77").unwrap();
    let restarted = pg_ctl(&dir, &lab.primary(), &["restart"]);
    assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stdout));
    let before = Truth::load(&lab.truth_file()).unwrap().last();
    wait_until("the workload's return", || Truth::load(&lab.truth_file()).unwrap().last() > before + 20);
    json(&dir, &["break", "bad-update"]);
    let damage = Timestamp(disaster::happened(&lab).unwrap()[0].at_us);
    wait_until("a commit after the damage", || {
        Truth::load(&lab.truth_file()).unwrap().commits.last().unwrap().at > damage
    });
    // The first is the damage's own commit; the second ends just before it.
    let targets = [damage, Timestamp(damage.0 - 1)];
    let recovered = recover_to(&lab, &targets).unwrap_or_else(|report| unreachable!("{report}"));
    let target = recovered.target.at.to_string();
    assert_eq!((recovered.tries, target, recovered.timeline), (2, targets[1].to_string(), Timeline(2)));
    let verdict = LabService::new(&lab).verdict().unwrap();
    assert_eq!((verdict.rows_found, verdict.differences), (verdict.rows_expected, Vec::new()));
    assert_eq!(verdict.rows_expected, disaster::happened(&lab).unwrap()[0].rows_before);

    // A target that cannot be reached is refused while everything still runs.
    let future = Timestamp(Timestamp::now().0 + 3_600_000_000);
    let refused = recover_to(&lab, &[future]).unwrap_err();
    assert_eq!(refused.kind, Kind::Usage, "{refused}");
    assert!(process::postmaster(&lab.primary()).is_some());
    json(&dir, &["down"]);
}

/// The board of a lab as JSON, and as text.
fn board(dir: &Path) -> (Value, String) {
    let config = format!("--config={}", dir.join("pgbackrest.conf").display());
    let run = |more: &[&str]| {
        let output = Command::new(PROGRAM).arg(&config).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    (serde_json::from_str(&run(&["--output=json"])).unwrap(), run(&["board"]))
}

/// State and text of a line of the judgement.
fn judged<'a>(board: &'a Value, section: &str, name: &str) -> (&'a str, &'a str) {
    let lines = board["judgement"][section].as_array().unwrap();
    let line = lines.iter().find(|line| line["name"] == name).unwrap();
    (line["state"].as_str().unwrap(), line["text"].as_str().unwrap())
}

/// Calls a hook as a recovery does; exit code and standard output.
fn hook(words: &[String], place: &[(&str, String)]) -> (i32, String) {
    let users = Users::new();
    let owner = if is_root() {
        users.account("postgres").unwrap()
    } else {
        pgmayday::cluster::owner::current(&users)
    };
    let mut command = run_as(&owner, Path::new(&words[0])).unwrap();
    let output = command.args(&words[1..]).envs(place.iter().map(|(n, v)| (n, v))).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_lab_is_configured_as_any_cluster_and_every_hook_works() {
    let Some(place) = Place::new() else { return };
    let dir = place.dir("lab");
    json(&dir, &["up"]);
    let lab = Lab::open(&dir).unwrap();
    let site = Site::load(None, Some(&lab.config())).unwrap();
    let main = site.of("lab");
    assert_eq!((main.label.as_deref(), main.member.len()), (Some("LAB"), 1));
    assert_eq!(site.state_dir.as_deref(), Some(&*lab.state_dir()));
    let hooks = main.hooks;
    let (code, told) = hook(&hooks.monitor, &[]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["right"], &told["wrong_since"]), (0, &Value::Bool(true), &Value::Null), "{told}");
    assert!(told["last_right"].as_array().unwrap().len() > 2, "{told}");

    assert_eq!(hook(&hooks.stop_writers, &[]).0, 0);
    let held = Truth::load(&lab.truth_file()).unwrap().last();
    let at = |at: Timestamp| {
        let settings = lab.settings();
        [
            ("PGHOST", lab.sockets().display().to_string()),
            ("PGPORT", settings.primary_port.to_string()),
            ("PGUSER", "postgres".to_owned()),
            ("PGMAYDAY_TARGET_TYPE", "time".to_owned()),
            ("PGMAYDAY_TARGET", at.to_string()),
        ]
    };
    let (code, text) = hook(&hooks.verify, &at(Timestamp::now()));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("{held} ledger rows")), "{text}");
    assert_eq!(LabService::new(&lab).verdict().unwrap().rows_found, held, "the verdict is kept");
    let (code, _) = hook(&hooks.verify, &at(Timestamp(Timestamp::now().0 - 5_000_000)));
    assert_eq!(code, 1, "rows that should not be there are a failure, not the application's damage");
    assert!(!LabService::new(&lab).verdict().unwrap().right());

    assert!(pg_ctl(&dir, &lab.primary(), &["stop", "-m", "fast"]).status.success());
    assert_eq!(hook(&hooks.start, &[]).0, 0);
    let (code, text) = hook(&hooks.first_write, &[]);
    assert!(code == 0 && text.contains("transaction"), "{text}");
    assert!(hooks.first_backup.is_empty(), "the recovery itself makes the first backup");
    assert_eq!(json(&dir, &["status"])["backups"].as_array().unwrap().len(), 3);

    json(&dir, &["break", "bad-update"]);
    let (code, text) = hook(&hooks.verify, &at(Timestamp::now()));
    assert_eq!((code, text.trim()), (3, "the books do not agree"));
    json(&dir, &["down"]);
}

/// This program on the lab's configuration, as whoever runs the tests.
fn program(dir: &Path, words: &[&str]) -> Output {
    let config = format!("--config={}", dir.join("pgbackrest.conf").display());
    Command::new(PROGRAM).args([config.as_str(), "--stanza=lab"]).args(words).output().unwrap()
}

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// A recovery to just before the last disaster, by command.
fn recover_by_command(lab: &Lab, more: &[&str]) -> String {
    let damage = disaster::happened(lab).unwrap().last().unwrap().at_us;
    let target = format!("--target={}", Timestamp(damage - 1));
    exits(&program(lab.dir(), &[&["recover", "--type=time", &target], more].concat()), 0)
}

#[test]
fn an_incident_holds_the_stanza_and_its_recovery_backs_it_up() {
    let Some(place) = Place::new() else { return };
    let dir = place.dir("lab");
    json(&dir, &["up"]);
    let lab = Lab::open(&dir).unwrap();
    let backups = || {
        let listed = json(&dir, &["status"])["backups"].clone();
        let labels = listed.as_array().unwrap().iter().map(|label| label.as_str().unwrap().to_owned());
        labels.collect::<Vec<_>>()
    };
    let before = backups();
    std::thread::sleep(Duration::from_secs(1));
    json(&dir, &["break", "bad-update"]);
    let said = recover_by_command(&lab, &[]);
    assert!(!said.contains("warning"), "{said}");
    let rows = disaster::happened(&lab).unwrap()[0].rows_before;
    wait_until("the workload's return", || Truth::load(&lab.truth_file()).unwrap().last() > rows);

    // Its own backup was made although the incident it declared holds the stanza; nobody else's is, and nothing goes.
    let made = backups();
    assert!(made.len() == before.len() + 1 && made.last().unwrap().ends_with('F'), "{made:?}");
    assert!(dir.join("lock/lab.hold").exists());
    for words in [&["backup"][..], &["expire"], &["snapshot", "now"]] {
        assert!(exits(&program(&dir, words), 3).contains("incident-hold"), "{words:?}");
    }
    let expires = ["--repo1-retention-full=1", "--type=full", "backup", "--accept=incident-hold"];
    let said = exits(&program(&dir, &expires), 0);
    assert!(said.contains("nothing was expired"), "accepted was the backup, not the expiry: {said}");
    assert_eq!(backups().len(), made.len() + 1);

    let shown = exits(&program(&dir, &["incident", "show"]), 0);
    assert!(shown.contains("hold placed: ") && shown.contains("first backup: "), "{shown}");
    let close = ["incident", "close", "rehearsed", "--accept=incident-open-matters"];
    let refused = exits(&program(&dir, &close[..3]), 3);
    assert!(refused.contains("was left stopped and is to be rebuilt"), "{refused}");
    exits(&program(&dir, &close), 0);
    assert!(!dir.join("lock/lab.hold").exists());
    assert!(exits(&program(&dir, &["incident", "show"]), 0).contains("hold lifted: "));
    exits(&program(&dir, &["backup"]), 0);

    // And without it, if that is asked for: the outcome says how to make it. An incident is open this time, with a list;
    // and how long it takes is known from the one before.
    json(&dir, &["break", "bad-update"]);
    exits(&program(&dir, &["incident", "declare", "--reason=again"]), 0);
    let count = backups().len();
    let said = recover_by_command(&lab, &["--no-first-backup"]);
    assert!(said.contains("next: make a full backup of it: "), "{said}");
    assert_eq!(backups().len(), count);
    assert!(
        said.contains("open in the pre-restore list: reason, target-name, backup-available, fenced"),
        "{said}"
    );
    assert!(said.contains("from 1 recovery of ") && said.contains("the forecast was "), "{said}");
    let report = exits(&program(&dir, &["incident", "report"]), 0);
    assert!(report.contains("## Forecast against actual"), "{report}");
    json(&dir, &["down"]);
}

/// A folder with every program of this host but pgBackRest, to be searched in the place of all others.
fn without_pgbackrest(place: &Place) -> PathBuf {
    let folder = place.dir("programs");
    fs::create_dir(&folder).unwrap();
    for entry in ["/usr/bin", "/usr/sbin", "/bin"].into_iter().flat_map(|from| fs::read_dir(from).unwrap()) {
        let entry = entry.unwrap();
        if entry.file_name() != "pgbackrest" {
            drop(std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())));
        }
    }
    folder
}

#[test]
fn the_demonstration_needs_no_pgbackrest() {
    let Some(place) = Place::new() else { return };
    let dir = place.dir("lab");
    let evidence = place.dir("evidence.json");
    let mut words = vec![PROGRAM.to_owned(), "lab".to_owned(), "demo".to_owned(), "--keep".to_owned()];
    words.push(format!("--dir={}", dir.display()));
    words.push(format!("--evidence={}", evidence.display()));
    // Where this process may, the installed one is hidden from everything that is started from here.
    let installed = Path::new("/usr/bin/pgbackrest");
    let hide = "mount --bind /dev/null /usr/bin/pgbackrest";
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "sh", "-c", script, "sh"]);
        command
    };
    let hides = installed.exists() && unshare(hide).output().is_ok_and(|output| output.status.success());
    let mut command = if hides { unshare(&format!("{hide} && exec \"$@\"")) } else { Command::new("env") };
    let output = command.args(&words).env("PATH", without_pgbackrest(&place)).output().unwrap();
    exits(&output, 0);
    eprintln!("pgBackRest was {}", if hides { "hidden" } else { "not searched for" });
    let text = fs::read_to_string(&evidence).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["right"], true, "{text}");

    // And everything that writes to the repository is this program, whatever else is installed.
    let lab = Lab::open(&dir).unwrap();
    let archive = superuser(&lab, "postgres").value("SHOW archive_command").unwrap();
    let ours = format!("{} --config={}", lab.settings().program.display(), lab.config().display());
    assert!(archive.starts_with(&ours) && archive.ends_with(" archive-push %p"), "{archive}");
    let info: Value = serde_json::from_str(&exits(&program(&dir, &["info", "--output=json"]), 0)).unwrap();
    let backups = info[0]["backup"].as_array().unwrap();
    assert_eq!(backups.len(), 4);
    for backup in backups {
        assert_eq!(backup["backrest"]["version"], pgmayday::repo::WRITER, "{backup}");
    }
    assert_eq!(json(&dir, &["status"])["archive"]["failed"], 0);
    json(&dir, &["down"]);
}

#[test]
fn real_pgbackrest_reads_what_the_lab_wrote() {
    let Some(place) = Place::new() else { return };
    let installed = Path::new("/usr/bin/pgbackrest");
    if !installed.exists() {
        assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "pgBackRest is required here");
        eprintln!("skipped: pgBackRest is not installed");
        return;
    }
    let dir = place.dir("lab");
    json(&dir, &["up"]);
    json(&dir, &["__rehearse", "bad-update"]);
    let lab = Lab::open(&dir).unwrap();
    let config = format!("--config={}", lab.config().display());
    let run = |program: &Path, words: &[&str]| {
        let command = format!("--cmd={}", program.display());
        exits(&as_owner(program, &[&[config.as_str(), "--stanza=lab", &command], words].concat()), 0)
    };
    // It takes our archiving for its own, and sees the WAL it asks for arrive.
    assert!(run(installed, &["info"]).contains("status: ok"));
    run(installed, &["check"]);
    let Some(newer) = with_blocks() else {
        eprintln!("left out: no pgBackRest that reads blocks is to be had here");
        return;
    };
    let verified = run(&newer, &["verify", "--output=text", "--verbose", "--log-level-console=off"]);
    assert_eq!(verified.matches("status: valid").count(), 4, "{verified}");
    // Restored by it, to now, and compared to the row.
    assert_eq!(hook(&Site::load(None, Some(&lab.config())).unwrap().of("lab").hooks.stop_writers, &[]).0, 0);
    let rows = Truth::load(&lab.truth_file()).unwrap().last();
    assert!(pg_ctl(&dir, &lab.primary(), &["stop", "-m", "fast"]).status.success());
    run(&newer, &["restore", "--delta"]);
    assert!(pg_ctl(&dir, &lab.primary(), &["start"]).status.success());
    wait_until("the end of recovery", || {
        superuser(&lab, "postgres").value("SELECT pg_is_in_recovery()").unwrap() == "f"
    });
    assert_rows(&lab, rows);
    json(&dir, &["down"]);
}

/// A pgBackRest that restores blocks: where `tests/setup-pgbackrest.sh` puts it, or where `PGMAYDAY_TEST_PGBACKREST` says.
fn with_blocks() -> Option<PathBuf> {
    let named = std::env::var_os("PGMAYDAY_TEST_PGBACKREST").map(PathBuf::from);
    let places = named.into_iter().chain(["/var/tmp/pgmayday-tests/pgbackrest/pgbackrest".into()]);
    places.filter(|path: &PathBuf| path.exists()).find(|path| {
        let said = as_owner(path, &["version"]).stdout;
        let minor = String::from_utf8_lossy(&said).trim().rsplit("2.").next().map(str::to_owned);
        let digits = |text: String| text.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok();
        minor.and_then(digits).is_some_and(|minor| minor >= 46)
    })
}

#[test]
fn the_board_tells_each_disaster_in_an_operators_words() {
    let Some(place) = Place::new() else { return };
    let dir = place.dir("lab");
    json(&dir, &["up"]);
    let lab = Lab::open(&dir).unwrap();
    let (healthy, text) = board(&dir);
    assert_eq!(healthy["schema"], "pgmayday.board/1");
    assert_eq!(healthy["judgement"]["headline"]["state"], "ok", "{text}");
    assert_eq!(judged(&healthy, "cluster", "pg1"), ("ok", "primary, takes writes, timeline 1"));
    assert!(judged(&healthy, "cluster", "standby").1.starts_with("standby, streaming"), "{text}");
    let facts = &healthy["facts"];
    assert_eq!(facts["identity"]["label"], "LAB");
    assert_eq!(facts["repositories"][0]["backups"]["value"]["total"], 3);
    assert_eq!(facts["repositories"][0]["wal"]["value"]["missing"], 0);
    assert_eq!(facts["members"][0]["data_dir"]["value"]["running"], true);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for sign in ["✔ pg1", "CLUSTER", "PROTECTION", "RECOVERY WINDOW", "LAB"] {
        assert!(text.contains(sign), "{sign}: {text}");
    }

    // It accepts connections, and never answers.
    let postmaster = process::postmaster(&lab.primary()).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(postmaster.pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let (hung, text) = board(&dir);
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    let (state, words) = judged(&hung, "cluster", "pg1");
    assert!(state == "unknown" && words.starts_with("no answer"), "{text}");
    assert!(words.ends_with("its process is there"), "{text}");
    assert_eq!(judged(&hung, "protection", "repo1").0, "ok", "{text}");

    json(&dir, &["break", "bad-update"]);
    wait_until("the application's being wrong", || {
        board(&dir).0["judgement"]["headline"]["name"] == "application"
    });
    let (damaged, text) = board(&dir);
    let headline = damaged["judgement"]["headline"]["text"].as_str().unwrap();
    assert!(headline.starts_with("books do not agree since ") && headline.contains("last right"), "{text}");
    assert!(text.contains("✖ application"), "{text}");
    let damage = Timestamp(disaster::happened(&lab).unwrap()[0].at_us);
    let right = damaged["facts"]["application"]["value"]["last_right"][1].as_str().unwrap();
    assert!(TargetTime::parse(right).unwrap().at < damage, "{right} is before the damage at {damage}");

    json(&dir, &["break", "kill-primary"]);
    let (killed, text) = board(&dir);
    let (state, words) = judged(&killed, "cluster", "pg1");
    assert!(state == "failed" && words.starts_with("refused"), "{text}");
    let headline = &killed["judgement"]["headline"];
    assert!(headline["text"].as_str().unwrap().starts_with("no server takes writes"), "{text}");
    assert!(headline["next"].as_str().unwrap().starts_with("standby "), "{text}");

    json(&dir, &["break", "wipe-datadir"]);
    let (wiped, text) = board(&dir);
    assert!(judged(&wiped, "cluster", "pg1").1.contains("global/pg_control is missing"), "{text}");
    assert_eq!(judged(&wiped, "protection", "repo1").0, "ok", "{text}");
    json(&dir, &["down"]);
}

#[test]
fn a_killed_primary_simply_starts_and_a_wiped_one_comes_back_from_the_repository() {
    let Some(place) = Place::new() else { return };
    let dir = place.dir("lab");
    json(&dir, &["up"]);
    let lab = Lab::open(&dir).unwrap();
    let truth = || Truth::load(&lab.truth_file()).unwrap();

    json(&dir, &["break", "kill-primary"]);
    assert!(process::postmaster(&lab.primary()).is_none());
    let before = truth();
    // Where nobody reaps orphans the killed server stays a zombie, which PostgreSQL takes for a living one.
    let socket_lock = lab.sockets().join(format!(".s.PGSQL.{}.lock", lab.settings().primary_port));
    for lock in [&lab.primary().join("postmaster.pid"), &socket_lock] {
        fs::remove_file(lock).unwrap();
    }
    let started = pg_ctl(&dir, &lab.primary(), &["start"]);
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stdout));
    wait_until("the workload's return", || truth().last() > before.last() + 20);
    assert_eq!((truth().taken_back, truth().foreign), (0, false), "a crash loses no commit");

    json(&dir, &["break", "wipe-datadir"]);
    assert_eq!(fs::read_dir(lab.primary()).unwrap().count(), 0);
    let happened = disaster::happened(&lab).unwrap();
    let lost_from = truth();
    assert_eq!(happened.last().unwrap().rows_before, lost_from.last());
    let config = format!("--config={}", lab.config().display());
    let restored = as_owner(Path::new(PROGRAM), &[&config, "--stanza=lab", "restore"]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    fs::write(dir.join("control"), "hold").unwrap();
    // The wiped server was killed as well.
    if socket_lock.exists() {
        fs::remove_file(&socket_lock).unwrap();
    }
    let started = pg_ctl(&dir, &lab.primary(), &["start"]);
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stdout));
    wait_until("the end of recovery", || {
        superuser(&lab, "postgres").value("SELECT pg_is_in_recovery()").unwrap() == "f"
    });
    let rows: u64 =
        superuser(&lab, ledger::DATABASE).value("SELECT count(*) FROM ledger").unwrap().parse().unwrap();
    assert!(rows <= lost_from.last() + 1 && rows + 2000 > lost_from.last(), "{rows} of {}", lost_from.last());
    assert_rows(&lab, rows);
    json(&dir, &["down"]);
}

#[test]
fn two_labs_live_side_by_side_and_go_without_a_trace() {
    let Some(place) = Place::new() else { return };
    let (one, two) = (place.dir("one"), place.dir("two"));
    std::thread::scope(|scope| {
        for dir in [&one, &two] {
            scope.spawn(|| json(dir, &["up"]));
        }
    });
    let port = |dir: &Path| Lab::open(dir).unwrap().settings().primary_port;
    assert_ne!(port(&one), port(&two));
    json(&one, &["break", "bad-update"]);
    let damaged = Lab::open(&one).unwrap();
    let rows = Truth::load(&damaged.truth_file()).unwrap().last();
    let verdict = verify(
        &mut superuser(&damaged, ledger::DATABASE),
        &mut superuser(&damaged, ledger::SECOND_DATABASE),
        rows,
    );
    let differences = verdict.unwrap().differences.join("\n");
    assert!(
        differences.contains("row 1 is ") && differences.contains("the application's check"),
        "{differences}"
    );
    let checked =
        superuser(&Lab::open(&two).unwrap(), ledger::DATABASE).rows(&ledger::check_query()).unwrap();
    assert_eq!(checked[0][1], "t", "the other lab is not touched");
    wait_until("the monitor's noticing", || judged(&board(&one).0, "cluster", "application").0 == "failed");
    let (other, text) = board(&two);
    assert_eq!(judged(&other, "cluster", "application").0, "ok", "{text}");
    assert_eq!(judged(&other, "cluster", "standby").0, "ok", "{text}");
    let refused = lab(&one, &["up"]);
    assert_eq!(refused.status.code(), Some(2), "a lab is not made over another");

    let home = one.canonicalize().unwrap();
    json(&one, &["down"]);
    assert!(!one.exists());
    let left = process::belonging_to(&home);
    assert!(left.is_empty(), "{left:?}");
    let status = json(&two, &["status"]);
    assert_eq!(status["servers"][0]["role"], "primary");
    assert_eq!(status["servers"][1]["role"], "in recovery");
    assert!(status["disasters"].as_array().unwrap().is_empty());
    assert_eq!(status["backups"].as_array().unwrap().len(), 3);

    // A lab that another version made, with more in its settings, can still be taken down.
    let settings = two.join("lab.json");
    let known = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, known.replacen('{', "{\"pgbackrest\": \"/usr/bin/pgbackrest\",", 1)).unwrap();

    // Moved while it runs, it is no lab any more; moved back, it is.
    let moved = place.dir("moved");
    fs::rename(&two, &moved).unwrap();
    assert_eq!(lab(&moved, &["down"]).status.code(), Some(3));
    assert!(moved.join("primary/PG_VERSION").exists());
    fs::rename(&moved, &two).unwrap();
    json(&two, &["down"]);
    assert!(!two.exists());
}

#[test]
fn what_is_no_lab_is_left_alone() {
    let Some(place) = Place::new() else { return };
    let precious = place.dir("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "x").unwrap();
    let marker = ".pgmayday-lab";
    let meta = fs::metadata(&precious).unwrap();
    let forged = |path: &Path| {
        use std::os::unix::fs::MetadataExt as _;
        serde_json::json!({
            "schema": "pgmayday.lab-marker/1", "id": "0123456789abcdef0123456789abcdef", "path": path,
            "device": meta.dev(), "inode": meta.ino() + 1, "owner": meta.uid(),
        })
    };
    let cases =
        [None, Some("{}".to_owned()), Some("\0".repeat(100_000)), Some(forged(&precious).to_string())];
    for content in cases {
        drop(fs::remove_file(precious.join(marker)));
        if let Some(content) = &content {
            fs::write(precious.join(marker), content).unwrap();
        }
        give_away(&precious);
        for words in [&["down"][..], &["break", "wipe-datadir"], &["status"]] {
            let refused = lab(&precious, words);
            assert_eq!(refused.status.code(), Some(3), "{}", String::from_utf8_lossy(&refused.stderr));
        }
    }
    std::os::unix::fs::symlink(&precious, place.dir("link")).unwrap();
    assert_eq!(lab(&place.dir("link"), &["down"]).status.code(), Some(3));
    assert!(precious.join("file").exists());
    assert_eq!(lab(&precious, &["up"]).status.code(), Some(2), "a folder with content becomes no lab");
    assert!(precious.join("file").exists());
}

/// Lets the lab's account read what it is to refuse.
fn give_away(dir: &Path) {
    if !is_root() {
        return;
    }
    let owner = Users::new().account("postgres").unwrap();
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.chain([dir.to_owned()]) {
        std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid)).unwrap();
    }
}
