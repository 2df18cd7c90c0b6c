//! Workers run in this process with jobs of the tests' own: questions, broken jobs, journals that cannot be written.

use crate::home::until;
use pgmayday::base::state::{OpId, StateDir};
use pgmayday::base::{Kind, Report, Result, Timestamp};
use pgmayday::model::op::{Answer, Event, Life, Outcome, Progress, Question, Snapshot, Spec};
use pgmayday::recovery::supervisor::Supervisor;
use pgmayday::recovery::worker::{self, Job, Tools};
use std::fs;
use std::path::{Path, PathBuf};

type Work = fn(&Tools<'_>) -> Result<Vec<String>>;

struct Does(Work);

impl Job for Does {
    fn steps(&self) -> Vec<String> {
        vec!["copy".to_owned(), "check".to_owned()]
    }

    fn run(&self, tools: &Tools<'_>) -> Result<Vec<String>> {
        (self.0)(tools)
    }
}

struct Place {
    home: tempfile::TempDir,
    id: OpId,
}

impl Place {
    /// An operation that is written down and that nobody works on.
    fn new(incident: Option<&str>) -> Self {
        Self::with(incident, Vec::new())
    }

    /// One that was configured with variables.
    fn with(incident: Option<&str>, environment: Vec<String>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let id = OpId::new("recover", Timestamp::now()).unwrap();
        let spec = Spec {
            schema: Spec::SCHEMA.to_owned(),
            id: id.clone(),
            stanza: "main".to_owned(),
            summary: "a test".to_owned(),
            arguments: vec!["recover".to_owned()],
            working_dir: PathBuf::from("/"),
            environment,
            by: "tester".to_owned(),
            plan: None,
            incident: incident.map(str::to_owned),
            asks: true,
            forecast: None,
        };
        let place = Self { home, id };
        fs::create_dir_all(place.folder()).unwrap();
        fs::write(place.folder().join("spec.json"), serde_json::to_vec(&spec).unwrap()).unwrap();
        place
    }

    fn state(&self) -> StateDir {
        StateDir::at(self.home.path())
    }

    fn folder(&self) -> PathBuf {
        self.state().operation(&self.id)
    }

    fn supervisor(&self) -> Supervisor {
        Supervisor::new(self.state(), Path::new("/bin/false"))
    }

    fn snapshot(&self) -> Snapshot {
        self.supervisor().follow(&self.id).unwrap().poll().unwrap()
    }

    fn run(&self, work: Work) -> Result<()> {
        worker::run(&self.state(), &self.id, &|_| Ok(Box::new(Does(work))))
    }
}

#[test]
fn a_question_waits_for_its_answer_and_for_no_other() {
    let place = Place::new(None);
    let supervisor = place.supervisor();
    let asks: Work = |tools| {
        let ask = |text: &str| {
            tools.asker.ask(Question { text: text.to_owned(), evidence: vec!["look".to_owned()] })
        };
        let answers = [ask("first?")?, ask("second?")?];
        Ok(vec![format!("{answers:?}")])
    };
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| place.run(asks));
        let asked = |text: &str| {
            until(text, || place.snapshot().state.question.is_some_and(|question| question.text == text));
        };
        asked("first?");
        assert!(matches!(place.snapshot().life, Life::Running { pid } if pid == std::process::id()));
        supervisor.answer(&place.id, Answer::Damaged, "dk").unwrap();
        asked("second?");
        supervisor.answer(&place.id, Answer::Right, "ab").unwrap();
        worker.join().unwrap().unwrap();
    });
    let (_, outcome) = place.snapshot().state.ended.unwrap();
    assert_eq!(outcome, Outcome::Done { lines: vec!["[Damaged, Right]".to_owned()] });
    let events = fs::read_to_string(place.folder().join("events.jsonl")).unwrap();
    assert!(events.contains("\"by\":\"dk\"") && events.contains("\"by\":\"ab\""), "{events}");
    let report = supervisor.answer(&place.id, Answer::Right, "dk").unwrap_err();
    assert!(report.headline.contains("asks nothing"), "{report}");
}

#[test]
fn an_answer_is_given_once_and_only_to_somebody_who_takes_it() {
    let place = Place::new(None);
    // A question whose worker is gone: written by hand, with nobody to hold the lock.
    let line = r#"{"seq":1,"at":"2026-11-21 10:00:00+00","boot_ms":1,"record":"asked","text":"right?","evidence":[]}"#;
    fs::write(place.folder().join("events.jsonl"), format!("{line}\n")).unwrap();
    let supervisor = place.supervisor();
    let report = supervisor.answer(&place.id, Answer::Right, "dk").unwrap_err();
    assert!(report.headline.contains("does not run"), "{report}");
    let lock = fs::File::create(place.folder().join("lock")).unwrap();
    lock.lock().unwrap();
    fs::write(place.folder().join("lock"), r#"{"pid":1,"start_ticks":1}"#).unwrap();
    supervisor.answer(&place.id, Answer::Right, "dk").unwrap();
    let report = supervisor.answer(&place.id, Answer::Damaged, "ab").unwrap_err();
    assert!(report.headline.contains("dk has answered right already"), "{report}");
    // The number in the file is another process's: nothing is sent to it.
    let report = supervisor.cancel(&place.id).unwrap_err();
    assert!(report.headline.contains("cannot be seen"), "{report}");
}

#[test]
fn a_broken_job_is_recorded_as_failed_and_can_be_tried_again() {
    let place = Place::new(None);
    let report = place.run(|_| panic!("out of cheese")).unwrap_err();
    assert!(report.headline.contains("out of cheese"), "{report}");
    let snapshot = place.snapshot();
    assert_eq!(snapshot.life, Life::Ended);
    assert!(matches!(&snapshot.state.ended, Some((_, Outcome::Failed { kind, .. })) if kind == "failed"));
    let refused = place.run(|_| Err(Report::refused("cluster-running", "a server runs there"))).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused(Some("cluster-running")));
    let (_, outcome) = place.snapshot().state.ended.unwrap();
    assert!(outcome.report().unwrap().headline.contains("--accept=cluster-running"), "{outcome:?}");
    place.run(|_| Ok(Vec::new())).unwrap();
    assert_eq!((place.snapshot().state.attempt, place.snapshot().life), (3, Life::Ended));
    let done = place.run(|_| Ok(Vec::new())).unwrap_err();
    assert!(done.headline.contains("everything is done"), "{done}");
}

#[test]
fn what_cannot_be_prepared_ends_without_a_step() {
    let place = Place::new(None);
    let report =
        worker::run(&place.state(), &place.id, &|_| Err(Report::usage("no such option"))).unwrap_err();
    assert_eq!(report.kind, Kind::Usage);
    let state = place.snapshot().state;
    assert_eq!((state.attempt, state.steps.len()), (0, 0));
    assert!(state.ended.is_some());
}

#[test]
fn a_worker_without_its_variables_begins_nothing() {
    let place = Place::with(None, vec!["PATH".to_owned(), "PGMAYDAY_TEST_UNSET".to_owned()]);
    let report = place.run(|_| Ok(Vec::new())).unwrap_err();
    assert!(report.headline.contains("PGMAYDAY_TEST_UNSET"), "{report}");
    let state = place.snapshot().state;
    assert_eq!((state.attempt, state.ended.map(|(_, outcome)| outcome.is_done())), (0, Some(false)));
}

#[test]
fn samples_are_seen_while_it_works() {
    let place = Place::new(None);
    let copies: Work = |tools| {
        tools.sink.event(Event::StepStarted { step: "copy".to_owned() });
        let at = |bytes_done| Progress { bytes_done, bytes_total: 10, files_done: 0, files_total: 1 };
        tools.sink.progress(at(7));
        tools.sink.progress(at(3));
        let path = std::env::temp_dir().join(format!("pgmayday-go-on-{}", tools.spec.id));
        until("it may go on", || path.exists());
        fs::remove_file(path).unwrap();
        Ok(Vec::new())
    };
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| place.run(copies));
        let mut sampled = None;
        until("a sample", || {
            sampled = fs::exists(place.folder().join("events.jsonl"))
                .unwrap()
                .then(|| place.snapshot().copy)
                .flatten();
            sampled.is_some()
        });
        assert_eq!(sampled.unwrap().bytes_done, 7);
        fs::write(std::env::temp_dir().join(format!("pgmayday-go-on-{}", place.id)), "").unwrap();
        worker.join().unwrap().unwrap();
    });
}

#[test]
fn a_journal_that_cannot_be_written_stops_nothing() {
    let place = Place::new(Some("2026-11-21-01"));
    // A folder where the file should be.
    let folder = place.state().incidents().join("2026-11-21-01");
    fs::create_dir_all(folder.join("journal.jsonl")).unwrap();
    place.run(|_| Ok(vec!["fine".to_owned()])).unwrap();
    let state = place.snapshot().state;
    assert_eq!(state.warnings.len(), 1, "{:?}", state.warnings);
    assert!(state.warnings[0].1.contains("journal"), "{:?}", state.warnings);
    assert!(state.ended.unwrap().1.is_done());
}
