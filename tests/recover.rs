//! Recovery in place of a configured cluster, with a real PostgreSQL and a real repository: planned, run, killed at
//! every step, resumed, and compared to the row.
//!
//! The lab is the cluster; nothing here uses what the lab knows about recovering itself. Where PostgreSQL is missing a test
//! says so and ends; under `REQUIRE_SERVERS` it fails.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on must fail")]
#![expect(clippy::disallowed_methods, reason = "a test starts the program and itself")]

use pgmayday::base::state::{OpId, StateDir};
use pgmayday::base::{Kind, Report, Timestamp};
use pgmayday::cluster::binaries::Search;
use pgmayday::cluster::owner::{Users, is_root, owner_of, run_as};
use pgmayday::cluster::recovery_settings::RestoreCommand;
use pgmayday::config::site::Site;
use pgmayday::config::{CliOption, Config, Sources};
use pgmayday::lab::db::Db;
use pgmayday::lab::programs::find_postgres;
use pgmayday::lab::truth::Truth;
use pgmayday::lab::verify::verify;
use pgmayday::lab::{Lab, disaster, ledger, process};
use pgmayday::model::op::{Answer, Cancel, Event, Mark, Progress, Question, Replay, Sink};
use pgmayday::model::plan::{CheckState, RecoverPlan, RecoverRequest};
use pgmayday::recovery::recover::{Asker, Recover};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pgmayday");
const STANZA: &str = "lab";
/// Tells the process that this test starts and kills what it is to do.
const WORKER: &str = "PGMAYDAY_TEST_WORKER";

/// A folder every account may enter; the lab in it is taken down at the end.
struct Place(tempfile::TempDir);

impl Place {
    /// Nothing where servers are missing and not required.
    fn new() -> Option<Self> {
        if let Err(error) = find_postgres(&Search::new(None, std::env::var_os("PATH").as_deref())) {
            assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "servers are required here: {error}");
            eprintln!("skipped: {error}");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("pgm-rec").tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self(folder))
    }

    fn up(&self) -> Case {
        let dir = self.0.path().join("lab");
        let up = lab(&dir, &["up"]);
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        Case { lab: Lab::open(&dir).unwrap(), state: self.0.path().join("state"), dir }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let dir = self.0.path().join("lab");
        if dir.join("lab.json").exists() {
            drop(lab(&dir, &["down"]));
        }
    }
}

fn lab(dir: &Path, words: &[&str]) -> Output {
    Command::new(PROGRAM).arg("lab").args(words).arg("--dir").arg(dir).output().unwrap()
}

/// A cluster and everything that a recovery of it is asked with.
struct Case {
    dir: PathBuf,
    lab: Lab,
    state: PathBuf,
}

impl Case {
    /// Writes `pgmayday.toml`; `more` goes into the stanza's own tables.
    fn configure(&self, hooks: &[(&str, String)], more: &str) {
        let hook = |(name, script): &(&str, String)| format!("{name} = ['/bin/sh', '-c', '''{script}''']\n");
        let settings = self.lab.settings();
        let text = format!(
            "[stanza.lab]\npg-bin = '{}'\n[stanza.lab.hooks]\n{}\n[[stanza.lab.member]]\nname = 'standby'\n\
             socket-dir = '{}'\nport = {}\n{more}",
            settings.pg_bin.display(),
            hooks.iter().map(hook).collect::<String>(),
            self.lab.sockets().display(),
            settings.standby_port,
        );
        fs::write(self.toml(), text).unwrap();
        fs::set_permissions(self.toml(), fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn toml(&self) -> PathBuf {
        self.dir.parent().unwrap().join("pgmayday.toml")
    }

    /// The hook that closes the application.
    fn hold(&self) -> (&'static str, String) {
        let control = self.lab.control_file().display().to_string();
        let script =
            format!("printf hold > {control}.new && mv {control}.new {control} && sleep 0.3 && echo held");
        ("stop-writers", script)
    }

    fn order(&self, word: &str) {
        // In one step: the workload reads it all the time.
        let new = self.dir.join("control.test");
        fs::write(&new, word).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o644)).unwrap();
        fs::rename(&new, self.lab.control_file()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }

    fn recover(&self, operation: &OpId, request: &RecoverRequest) -> Recover {
        let option = |name: &str, value: String| CliOption { name: name.to_owned(), value: Some(value) };
        let config = self.lab.config().display().to_string();
        let given = vec![option("config", config.clone()), option("stanza", STANZA.to_owned())];
        let loaded = Config::load(&Sources {
            cli: given.clone(),
            env: Vec::new(),
            default_dir: PathBuf::from("/etc/pgbackrest"),
        });
        let loaded = loaded.unwrap();
        let settings = loaded.settings("restore", Some(STANZA)).unwrap();
        let site = Site::load(Some(&self.toml()), None).unwrap().of(STANZA);
        let command = RestoreCommand::new(PROGRAM).option("config", config).option("stanza", STANZA);
        Recover::new(&settings, &site, request.clone(), operation, &StateDir::at(&self.state), command)
            .unwrap()
            .with_server(&loaded.settings("backup", Some(STANZA)).unwrap())
            .with_given(&given)
    }

    fn plan(&self, request: &RecoverRequest) -> Result<RecoverPlan, Report> {
        self.recover(&operation(), request).plan(&Cancel::default())
    }

    /// Labels of the full backups that were begun on a timeline.
    fn full_backups_on(&self, timeline: u64) -> Vec<String> {
        let words = ["--output=json", "info"];
        let info = pgmayday::lab::programs::ours(&self.lab, &words).unwrap();
        let info: Value = serde_json::from_str(&info).unwrap();
        let begun = |backup: &&Value| {
            let first = backup["archive"]["start"].as_str().unwrap();
            backup["type"] == "full" && u64::from_str_radix(&first[..8], 16).unwrap() == timeline
        };
        let backups = info[0]["backup"].as_array().unwrap().iter().filter(begun);
        backups.map(|backup| backup["label"].as_str().unwrap().to_owned()).collect()
    }

    fn break_by(&self, disaster: &str) -> disaster::Happened {
        let broken = lab(&self.dir, &["break", disaster]);
        assert!(broken.status.success(), "{}", String::from_utf8_lossy(&broken.stderr));
        disaster::happened(&self.lab).unwrap().pop().unwrap()
    }

    fn truth(&self) -> Truth {
        Truth::load(&self.lab.truth_file()).unwrap()
    }

    fn commit_after(&self, moment: Timestamp) {
        wait_until("a commit", || self.truth().commits.last().is_some_and(|commit| commit.at > moment));
    }

    fn database(&self, name: &str) -> Db {
        Db::as_superuser(&self.lab.sockets(), self.lab.settings().primary_port, name).unwrap()
    }

    fn value(&self, statement: &str) -> String {
        self.database("postgres").value(statement).unwrap()
    }

    /// Compares what is served with the truth after exactly `rows` transactions.
    fn assert_rows(&self, rows: u64) {
        let compared =
            verify(&mut self.database(ledger::DATABASE), &mut self.database(ledger::SECOND_DATABASE), rows);
        assert_eq!(compared.unwrap().differences, Vec::<String>::new());
    }

    /// A killed server's socket lock names a zombie where nobody reaps orphans.
    fn forget_killed(&self) {
        let port = self.lab.settings().primary_port;
        drop(fs::remove_file(self.lab.sockets().join(format!(".s.PGSQL.{port}.lock"))));
        drop(fs::remove_file(self.lab.primary().join("postmaster.pid")));
    }

    /// What must hold of every recovered cluster.
    fn assert_served(&self, timeline: u32) {
        let now = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int";
        assert_eq!(self.value(now), timeline.to_string(), "promoted once");
        let left = "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf' \
                    AND name ~ 'recovery|restore'";
        assert_eq!(self.value(left), "0", "recovery settings are left behind");
        assert_eq!(self.value("SELECT setting FROM pg_settings WHERE name = 'port'"), {
            self.lab.settings().primary_port.to_string()
        });
        assert!(process::postmaster(&self.lab.standby()).is_none(), "the standby has the old history");
        let beside = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path());
        for path in beside.filter(|path| path.to_string_lossy().contains("primary.")) {
            assert!(process::postmaster(&path).is_none(), "{} is served", path.display());
            assert!(!path.to_string_lossy().contains(".restored-"), "{} is left", path.display());
            assert!(!path.join("global/pg_control").exists(), "{} could start", path.display());
        }
    }
}

fn operation() -> OpId {
    OpId::new("recover", Timestamp::now()).unwrap()
}

fn request(kind: &str, targets: &[String]) -> RecoverRequest {
    RecoverRequest {
        stanza: STANZA.to_owned(),
        kind: kind.to_owned(),
        targets: targets.to_vec(),
        exclusive: false,
        timeline: None,
        set: None,
        asks: false,
        no_first_backup: false,
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    unreachable!("{what} did not come in 60 s");
}

fn checks(plan: &RecoverPlan, state: CheckState) -> Vec<&str> {
    plan.checks.iter().filter(|check| check.state == state).map(|check| check.text.as_str()).collect()
}

/// Every path below `root` with what would change if somebody wrote to it.
fn listing(root: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, u64)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, (meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ino()));
    }
    found
}

/// Keeps events; answers questions from a list, and cancels where that says so.
#[derive(Default)]
struct Person {
    events: Mutex<Vec<Event>>,
    replays: Mutex<Vec<Replay>>,
    questions: Mutex<Vec<Question>>,
    answers: Mutex<Vec<Option<Answer>>>,
    cancel: Cancel,
}

impl Sink for Person {
    fn event(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
    fn progress(&self, _: Progress) {}
    fn replay(&self, replay: Replay) {
        self.replays.lock().unwrap().push(replay);
    }
}

impl Asker for Person {
    fn ask(&self, question: Question) -> Result<Answer, Report> {
        self.questions.lock().unwrap().push(question);
        self.answers.lock().unwrap().remove(0).ok_or_else(|| {
            self.cancel.request();
            self.cancel.check().unwrap_err()
        })
    }
}

impl Person {
    fn answering(answers: &[Option<Answer>]) -> Self {
        Self { answers: Mutex::new(answers.to_vec()), ..Self::default() }
    }

    fn run(&self, recover: &Recover) -> Result<Vec<String>, Report> {
        recover.run(self, self, &self.cancel)
    }

    fn marks(&self) -> Vec<Mark> {
        let reached = |event: &Event| match event {
            Event::Reached { mark } => Some(*mark),
            _ => None,
        };
        self.events.lock().unwrap().iter().filter_map(reached).collect()
    }

    fn detail(&self, name: &str) -> String {
        let done = |event: &Event| match event {
            Event::StepDone { step, detail, .. } if step == name => Some(detail.clone()),
            _ => None,
        };
        self.events.lock().unwrap().iter().rev().find_map(done).unwrap_or_default()
    }
}

/// One recovery by processes of their own.
struct Job<'a> {
    case: &'a Case,
    operation: OpId,
    request: RecoverRequest,
    events: PathBuf,
}

impl Job<'_> {
    fn start(&self) -> Child {
        let what = serde_json::json!({
            "dir": self.case.dir, "state": self.case.state, "operation": self.operation.as_str(),
            "request": self.request, "events": self.events,
        });
        let this = std::env::current_exe().unwrap();
        let mut command = Command::new(this);
        command.args(["--exact", "the_process_that_is_killed", "--ignored", "--nocapture"]);
        let log = fs::File::options().create(true).append(true).open(self.events.with_extension("log"));
        let log = log.unwrap();
        command.env(WORKER, what.to_string()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// What the processes told so far; a line cut off by a kill is left out.
    fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.events).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.events.with_extension("log")).unwrap_or_default()
    }

    /// Starts a worker and kills it `delay` after it began `step`; false if it ended before.
    fn killed_in(&self, step: &str, delay: Duration) -> bool {
        let before = self.told().len();
        let mut child = self.start();
        let mut ended = None;
        wait_until(step, || {
            let begun = |event: &Value| event["event"] == "step_started" && event["step"] == step;
            ended = child.try_wait().unwrap();
            ended.is_some() || self.told()[before..].iter().any(begun)
        });
        if let Some(status) = ended {
            assert!(status.success(), "{step}: {}", self.log());
            return false;
        }
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        true
    }

    fn finish(&self) {
        let status = self.start().wait().unwrap();
        assert!(status.success(), "{}", self.log());
    }
}

/// Writes every event down at once.
struct Events(Mutex<fs::File>);

impl Sink for Events {
    fn event(&self, event: Event) {
        let line = serde_json::to_string(&event).unwrap() + "\n";
        self.0.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }
    fn progress(&self, _: Progress) {}
}

impl Asker for Events {
    fn ask(&self, _: Question) -> Result<Answer, Report> {
        Ok(Answer::Right)
    }
}

#[test]
#[ignore = "not a test: the process that other tests start and kill"]
fn the_process_that_is_killed() {
    let Some(what) = std::env::var_os(WORKER) else { return };
    let what: Value = serde_json::from_str(what.to_str().unwrap()).unwrap();
    let path = |name: &str| PathBuf::from(what[name].as_str().unwrap());
    let case = Case { lab: Lab::open(&path("dir")).unwrap(), dir: path("dir"), state: path("state") };
    let events = fs::File::options().create(true).append(true).open(path("events")).unwrap();
    let events = Events(Mutex::new(events));
    let operation = what["operation"].as_str().unwrap().parse().unwrap();
    let request: RecoverRequest = serde_json::from_value(what["request"].clone()).unwrap();
    let lines = case.recover(&operation, &request).run(&events, &events, &Cancel::default());
    let lines = lines.unwrap_or_else(|report| unreachable!("{report}"));
    eprintln!("{}", lines.join("\n"));
}

#[test]
fn killed_in_every_step_it_goes_on_and_the_rows_are_right() {
    let Some(place) = Place::new() else { return };
    let case = place.up();
    let checks = format!(
        "[[stanza.lab.smoke]]\ndatabase = 'shop'\nsql = '''SELECT ok FROM ({}) AS c (at, ok)'''\nexpect = 't'\n\
         [[stanza.lab.smoke]]\ndatabase = '{}'\nsql = '{}'\nexpect = 't'\n",
        ledger::check_query(),
        ledger::SECOND_DATABASE,
        ledger::second_check_query()
    )
    .replace("database = 'shop'", &format!("database = '{}'", ledger::DATABASE));
    case.configure(&[case.hold()], &checks);
    let rounds = if std::env::var_os("PGMAYDAY_ENDURANCE").is_some() { 8 } else { 1 };
    for round in 0..rounds {
        case.order("run");
        std::thread::sleep(Duration::from_secs(1));
        let happened = case.break_by("bad-update");
        let damage = Timestamp(happened.at_us);
        case.commit_after(damage);
        // The damage's own commit is in the first target, and the checks must find it there.
        let targets = [damage, Timestamp(damage.0 - 1)].map(|at| at.to_string());
        let request = request("time", &targets);
        let operation = operation();
        let steps = case.recover(&operation, &request).steps();
        let events = place.0.path().join(format!("events-{round}.jsonl"));
        let job = Job { case: &case, operation, request, events };
        let mut killed = 0;
        // Those before the first that changes anything are alike: each worker repeats them.
        let harmless = ["check layout", "stop writers", "archive last WAL", "save WAL", "prove target"];
        let steps: Vec<_> =
            steps.iter().filter(|step| rounds > 1 || !harmless.contains(&step.as_str())).collect();
        for (number, step) in steps.iter().enumerate() {
            // At the beginning of a step and somewhere inside it.
            let delay = (number as u64 * 7 + round * 37) % 60;
            killed += usize::from(job.killed_in(step, Duration::from_millis(delay)));
        }
        assert!(killed > steps.len() / 2, "{killed} of {} kills", steps.len());
        job.finish();
        case.assert_served(2 + u32::try_from(round).unwrap());
        case.assert_rows(happened.rows_before);
        let told = job.told();
        let damaged =
            |event: &Value| event["detail"].as_str().is_some_and(|d| d.starts_with("still damaged"));
        assert!(told.iter().any(damaged), "the first target holds the damage");
        // Whichever worker made it: there is a full backup of the new timeline.
        let backup =
            told.iter().rev().find(|event| event["event"] == "step_done" && event["step"] == "first backup");
        let backup = backup.unwrap()["detail"].as_str().unwrap();
        let label = backup.split([',', ' ']).next().unwrap();
        assert_eq!(case.full_backups_on(2 + round), [label], "{backup}");
        // Once more, and nothing is left to do.
        let before = told.len();
        job.finish();
        let again = job.told();
        assert!(again[before..].iter().all(|event| event["event"] != "step_started"), "{again:?}");
        case.assert_rows(happened.rows_before);
    }
}

#[test]
fn a_killed_a_damaged_and_a_wiped_cluster_come_back() {
    let Some(place) = Place::new() else { return };
    let case = place.up();
    let fails = "echo no tape in the drive >&2; exit 1".to_owned();
    case.configure(&[case.hold(), ("first-backup", fails)], "");
    std::thread::sleep(Duration::from_secs(1));
    case.break_by("kill-primary");
    case.forget_killed();
    case.order("hold");
    plans_refuse_and_write_nothing(&case);
    killed_comes_back_whole(&case);
    damage_is_found_by_a_person(&case);
    wiped_comes_back_from_the_archive(&case);
}

fn plans_refuse_and_write_nothing(case: &Case) {
    let before = [case.lab.primary(), case.dir.join("repo")].map(|root| listing(&root));
    let names = |dir: &Path| fs::read_dir(dir).unwrap().count();
    let (beside, above) = (names(&case.dir), names(case.dir.parent().unwrap()));
    let latest = request("default", &[]);
    let plan = case.plan(&latest).unwrap();
    assert!(plan.can_start(), "{plan:#?}");
    assert!(
        checks(&plan, CheckState::Ok).iter().any(|text| text.contains("not in the archive but in pg_wal"))
    );
    assert!(
        checks(&plan, CheckState::Warn).iter().any(|text| text.contains("may simply start")),
        "{plan:#?}"
    );
    assert_eq!(case.plan(&latest).unwrap().digest, plan.digest, "nothing changed");
    assert!(
        plan.command.contains("recover") && plan.command.contains("--target-timeline=1"),
        "{}",
        plan.command
    );
    for (kind, target, says) in [
        ("xid", "99999999", "does not occur"),
        ("name", "nobody-made-it", "does not occur"),
        ("time", "2020-01-01 00:00:00+00", "before every backup"),
        ("lsn", "0/1", "before every backup"),
        ("lsn", "F/0", "nothing in the archive is past"),
    ] {
        let plan = case.plan(&request(kind, &[target.to_owned()])).unwrap();
        let failed = checks(&plan, CheckState::Fail);
        assert!(failed.iter().any(|text| text.contains(says)), "{kind} {target}: {plan:#?}");
        assert!(!plan.steps.is_empty() && plan.digest.len() == 64);
    }
    let last = |plan: &RecoverPlan| plan.steps.last().unwrap().clone();
    let without = case.plan(&RecoverRequest { no_first_backup: true, ..latest.clone() }).unwrap();
    assert_eq!((last(&plan), last(&without)), ("first backup".to_owned(), "prove archive".to_owned()));
    assert!(
        checks(&without, CheckState::Warn).iter().any(|text| text.contains("no backup of it is made")),
        "{without:#?}"
    );
    assert!(without.command.ends_with("--no-first-backup") && without.digest != plan.digest);
    let future = Timestamp(Timestamp::now().0 + 3_600_000_000).to_string();
    assert_eq!(case.plan(&request("time", &[future])).unwrap_err().kind, Kind::Usage);
    assert_eq!([case.lab.primary(), case.dir.join("repo")].map(|root| listing(&root)), before);
    assert_eq!(
        (names(&case.dir), names(case.dir.parent().unwrap())),
        (beside, above),
        "a plan writes nothing"
    );
}

/// What was committed and never archived is not lost with the server.
fn killed_comes_back_whole(case: &Case) {
    let person = Person::default();
    let recovered = person.run(&case.recover(&operation(), &request("default", &[])));
    let lines = recovered.unwrap_or_else(|report| unreachable!("{report}"));
    assert!(lines.iter().any(|line| line.contains("must be rebuilt")), "{lines:?}");
    case.assert_served(2);
    let count = case.database(ledger::DATABASE).value("SELECT count(*) FROM ledger").unwrap();
    let rows: u64 = count.parse().unwrap();
    let last = case.truth().last();
    assert!(rows == last || rows == last + 1, "{rows} of {last}");
    case.assert_rows(rows);
    let wanted = [
        Mark::RestoreStarted,
        Mark::RestoreFinished,
        Mark::Consistent,
        Mark::TargetReached,
        Mark::Validated,
        Mark::AcceptingConnections,
        Mark::ServiceBack,
    ];
    assert_eq!(person.marks(), wanted);
    let replays = person.replays.lock().unwrap();
    let told =
        |replay: &Replay| replay.from.is_some() && replay.goal.is_some() && replay.replayed >= replay.goal;
    assert!(replays.iter().any(told), "{replays:?}");
    assert!(person.detail("first write").contains("not by the application"));
    // The hook fails, and that is told with what is to be done; the recovery is done all the same.
    let left = person.detail("first backup");
    assert!(left.starts_with("not made: the first-backup hook failed") && left.contains("no tape"), "{left}");
    let next = lines.iter().find(|line| line.starts_with("next: ")).unwrap();
    assert!(next.contains("make a full backup of it: /bin/sh -c 'echo no tape"), "{next}");
    let proof = person.detail("prove archive");
    assert!(proof.starts_with("00000002.history, 0000000200000000"), "{proof}");
    assert!(person.detail("verify").contains("no check of the application is configured"));
}

fn damage_is_found_by_a_person(case: &Case) {
    // A backup of ours that cannot be made: no standby is configured that it could be taken from.
    case.configure(&[case.hold()], "");
    let plain = fs::read_to_string(case.lab.config()).unwrap();
    fs::write(case.lab.config(), format!("{plain}\n[lab:backup]\nbackup-standby=y\n")).unwrap();
    case.order("run");
    std::thread::sleep(Duration::from_secs(1));
    let happened = case.break_by("bad-update");
    let damage = Timestamp(happened.at_us);
    case.commit_after(damage);
    let targets = [damage, Timestamp(damage.0 - 1)].map(|at| at.to_string());
    let asked = RecoverRequest { asks: true, ..request("time", &targets) };
    let (operation, restored) = (operation(), case.lab.primary());
    let restored = PathBuf::from(format!("{}.restored-{operation}", restored.display()));
    let person = Person::answering(&[None]);
    let cancelled = person.run(&case.recover(&operation, &asked)).unwrap_err();
    assert_eq!(cancelled.kind, Kind::Cancelled, "{cancelled}");
    assert!(cancelled.hint.as_ref().is_some_and(|hint| hint.contains("unchanged")), "{cancelled}");
    assert!(restored.join("PG_VERSION").exists() && process::postmaster(&restored).is_none());
    let person = Person::answering(&[Some(Answer::Damaged), Some(Answer::Right)]);
    let recovered = person.run(&case.recover(&operation, &asked));
    let lines = recovered.unwrap_or_else(|report| unreachable!("{report}"));
    assert!(lines[0].contains("2 targets were tried"), "{lines:?}");
    let questions = person.questions.lock().unwrap();
    let look = questions[0].evidence.iter().find(|line| line.contains("psql -h ")).unwrap();
    assert!(look.contains(operation.as_str()) && questions.len() == 2, "{questions:?}");
    let left = person.detail("first backup");
    assert!(left.starts_with("not made: ") && left.contains("no standby answers"), "{left}");
    let next = lines.iter().find(|line| line.starts_with("next: ")).unwrap();
    assert!(next.contains(PROGRAM) && next.contains(" --type=full ") && next.ends_with(" backup"), "{next}");
    let warned =
        |event: &Event| matches!(event, Event::Warning { text } if text.contains("is not backed up"));
    assert!(person.events.lock().unwrap().iter().any(warned));
    // And exactly that command makes it, once nothing stands in its way.
    fs::write(case.lab.config(), plain).unwrap();
    let command = next.split_once("backup of it: ").unwrap().1;
    let owner = owner_of(case.lab.dir(), &Users::new()).unwrap();
    let made = run_as(&owner, Path::new("sh")).unwrap().args(["-c", command]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(case.full_backups_on(3).len(), 1);
    case.assert_served(3);
    case.assert_rows(happened.rows_before);
}

fn wiped_comes_back_from_the_archive(case: &Case) {
    case.order("run");
    std::thread::sleep(Duration::from_secs(1));
    case.break_by("wipe-datadir");
    case.forget_killed();
    let lost_from = case.truth().last();
    let psql = case.lab.settings().pg_bin.join("psql");
    let look =
        format!("{} -Atc 'SELECT pg_is_in_recovery()' postgres | sed 's/^/in recovery: /'", psql.display());
    let damaged = "echo $PGMAYDAY_TARGET_TYPE $PGMAYDAY_STANZA; echo the rows are gone; exit 3".to_owned();
    case.configure(&[case.hold(), ("verify", damaged)], "");
    let operation = operation();
    let latest = request("default", &[]);
    let plan = case.recover(&operation, &latest).plan(&Cancel::default()).unwrap();
    assert!(plan.can_start() && plan.timeline == Some(3), "{plan:#?}");
    let refused = Person::default().run(&case.recover(&operation, &latest)).unwrap_err();
    assert_eq!(refused.kind, Kind::TargetUnreachable, "{refused}");
    assert!(refused.headline.contains("the rows are gone"), "{refused}");
    assert_eq!(fs::read_dir(case.lab.primary()).unwrap().count(), 0, "nothing was put there");
    fs::remove_dir_all(format!("{}.restored-{operation}", case.lab.primary().display())).unwrap();
    case.configure(&[case.hold(), ("verify", look), ("first-backup", "echo made".to_owned())], "");
    let person = Person::default();
    let recovered = person.run(&case.recover(&self::operation(), &latest));
    let lines = recovered.unwrap_or_else(|report| unreachable!("{report}"));
    assert!(!lines.iter().any(|line| line.contains("old data directory")), "{lines:?}");
    assert!(person.detail("verify").ends_with("in recovery: t"), "{}", person.detail("verify"));
    assert_eq!(person.detail("first backup"), "made");
    assert_eq!(fs::metadata(case.lab.primary()).unwrap().mode() & 0o777, 0o700);
    case.assert_served(4);
    let count = case.database(ledger::DATABASE).value("SELECT count(*) FROM ledger").unwrap();
    let rows: u64 = count.parse().unwrap();
    assert!(rows <= lost_from + 1 && rows + 2000 > lost_from, "{rows} of {lost_from}");
    case.assert_rows(rows);
    assert!(is_root() || case.state.exists());
}
