use super::*;
use crate::model::op::{OpState, Outcome, Step, StepStatus};

/// A finished recovery: copied bytes and milliseconds, replayed the same, and everything else.
fn run(ended_s: i64, copy: (u64, u64), replay: (u64, u64), rest_ms: u64) -> OpState {
    let done = |name: &str, took_ms| Step {
        name: name.to_owned(),
        status: StepStatus::Done { took_ms, detail: String::new() },
    };
    OpState {
        attempt: 1,
        steps: vec![
            done("stop", rest_ms),
            done(COPY, copy.1),
            done(REPLAY, replay.1),
            done("decide", 900_000),
            done("first backup", 700_000),
        ],
        amounts: [(COPY.to_owned(), copy.0), (REPLAY.to_owned(), replay.0)].into(),
        ended: Some((Timestamp::from_unix_s(ended_s), Outcome::Done { lines: Vec::new() })),
        ..OpState::default()
    }
}

fn measured(runs: &[OpState]) -> Vec<Measured> {
    runs.iter().filter_map(OpState::measured).collect()
}

#[test]
fn nothing_is_forecast_where_nothing_was_measured() {
    assert_eq!(Forecast::of(1, 1, &[]), None);
    let whole = run(1, (10, 10), (10, 10), 5);
    let failed = Outcome::from(&crate::base::Report::failed("no"));
    let stopped = OpState { ended: Some((Timestamp(1), failed)), ..whole.clone() };
    let taken_up = OpState { attempt: 2, ..whole.clone() };
    let tried_again = OpState { again: true, ..whole.clone() };
    let running = OpState { ended: None, ..whole.clone() };
    // Written by a program that did not tell how much it moved.
    let untold = OpState { amounts: [(COPY.to_owned(), 10)].into(), ..whole };
    assert_eq!(measured(&[stopped, taken_up, tried_again, running, untold]), []);
}

#[test]
fn copying_and_replay_grow_with_their_bytes_and_the_rest_does_not() {
    let runs = measured(&[run(1, (100, 1_000), (50, 500), 40)]);
    let forecast = Forecast::of(200, 25, &runs).unwrap();
    assert!(Forecast::of(200, 9_999, &runs).unwrap().far, "never was so much replayed");
    let both = |ms| Span { p50_ms: ms, p90_ms: ms };
    assert_eq!(
        (forecast.copy, forecast.replay, forecast.rest, forecast.total),
        (both(2_000), both(250), both(40), both(2_290))
    );
    assert_eq!((forecast.runs, forecast.far, forecast.newest), (1, false, Timestamp::from_unix_s(1)));
    assert_eq!(forecast.basis(), "from 1 recovery of 100 B");
    assert_eq!(forecast.total.to_string(), "2.2 s (P90 2.2 s)");
}

#[test]
fn half_and_nine_of_ten_are_times_that_were_seen() {
    let runs: Vec<OpState> = (1..=10_u64).map(|n| run(1, (100, n * 1_000), (0, 0), 0)).collect();
    let total = Forecast::of(100, 0, &measured(&runs)).unwrap().total;
    assert_eq!(total, Span { p50_ms: 5_000, p90_ms: 9_000 });
    let total = Forecast::of(100, 0, &measured(&runs[..2])).unwrap().total;
    assert_eq!(total, Span { p50_ms: 1_000, p90_ms: 2_000 });
}

#[test]
fn only_the_newest_runs_count_and_what_is_far_from_them_is_told() {
    let mut runs: Vec<OpState> = (100..120).map(|s| run(s, (1 << 30, 1_000), (0, 0), 0)).collect();
    runs.push(run(1, (1 << 40, 99_000), (0, 0), 0));
    let near = Forecast::of(2 << 30, 0, &measured(&runs)).unwrap();
    assert_eq!((near.runs, near.total.p90_ms, near.far), (20, 2_000, false));
    for bytes in [5 << 30, 1 << 20] {
        let far = Forecast::of(bytes, 0, &measured(&runs)).unwrap();
        assert!(far.far && far.basis().ends_with("far from this one"), "{}", far.basis());
    }
}

#[test]
fn a_recovery_is_scored_part_by_part_without_the_time_of_people() {
    let forecast = Forecast::of(100, 50, &measured(&[run(1, (100, 1_000), (50, 500), 40)])).unwrap();
    let steps =
        [("stop", 30), (COPY, 600), (REPLAY, 700), (REPLAY, 1), ("decide", 99_999), ("first write", 11)];
    let scores = scores(&forecast, steps);
    let came_out: Vec<_> =
        scores.iter().map(|score| (score.part, score.actual_ms, score.within_p90)).collect();
    assert_eq!(
        came_out,
        [
            (Some(Part::Copy), 600, true),
            (Some(Part::Replay), 701, false),
            (Some(Part::Rest), 41, false),
            (None, 1_342, true)
        ]
    );
}

#[test]
fn huge_numbers_do_no_harm() {
    let runs = measured(&[run(1, (1, u64::MAX), (1, u64::MAX), u64::MAX)]);
    assert_eq!(Forecast::of(u64::MAX, u64::MAX, &runs).unwrap().total.p50_ms, u64::MAX);
}
