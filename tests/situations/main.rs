//! Situations of an incident, made of real pieces: what each question of the runbook is answered with.
//!
//! Every situation is a row: how it is made, and what is to be proposed. `unknown` may be proposed only where the row is
//! listed as undecidable. Patroni is a server that gives recorded answers; everything else is real. A dozen run by default,
//! all with `PGMAYDAY_ENDURANCE`; the rates are printed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and the rates are printed"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs, reads the clock and looks into its own environment"
)]

#[path = "../common/cluster.rs"]
#[expect(dead_code, reason = "each user of the module uses a part of it")]
mod cluster;
mod damage;
mod patroni;
mod standby;
mod table;
mod world;

use std::collections::BTreeMap;
use table::{ROWS, UNDECIDABLE};
use world::World;

/// What a row came to.
#[derive(Default)]
struct Rates {
    right: usize,
    unknown: usize,
    needless: Vec<String>,
    wrong: Vec<String>,
    left_out: Vec<&'static str>,
}

#[test]
fn the_proposed_answer_is_right_in_every_situation() {
    let all = std::env::var_os("PGMAYDAY_ENDURANCE").is_some();
    let only = std::env::var("PGMAYDAY_SITUATION").ok();
    let mut rates = Rates::default();
    let mut world: Option<World> = None;
    for row in ROWS {
        let wanted = only.as_ref().map_or(all || row.default, |only| row.name.contains(only.as_str()));
        if !wanted {
            continue;
        }
        let begun = std::time::Instant::now();
        let Some(fresh) = world.take().or_else(World::make) else { return };
        let mut fresh = fresh;
        let Some(answers) = (row.make)(&mut fresh) else {
            rates.left_out.push(row.name);
            world = fresh.restored();
            continue;
        };
        judge(row.name, row.expected, &answers, &mut rates);
        println!("{:>6.1} s  {}", begun.elapsed().as_secs_f32(), row.name);
        world = fresh.restored();
    }
    let asked = rates.right + rates.unknown + rates.needless.len() + rates.wrong.len();
    println!(
        "{asked} answers: {} right, {} unknown where it was listed, {} needlessly unknown, {} wrong; left out: {:?}",
        rates.right,
        rates.unknown,
        rates.needless.len(),
        rates.wrong.len(),
        rates.left_out
    );
    assert!(asked > 0, "no situation has this name");
    assert!(rates.wrong.is_empty() && rates.needless.is_empty(), "{:#?}", (rates.wrong, rates.needless));
}

fn judge(
    name: &str,
    expected: &[(&str, &str)],
    answers: &BTreeMap<String, (String, String)>,
    rates: &mut Rates,
) {
    for (question, exit) in expected {
        let (answer, why) =
            answers.get(*question).unwrap_or_else(|| panic!("{name}: nobody answers {question}"));
        let undecidable = UNDECIDABLE.contains(&name);
        match (answer.as_str(), answer == exit) {
            ("unknown", true) if undecidable => rates.unknown += 1,
            (_, true) => rates.right += 1,
            ("unknown", false) => rates.needless.push(format!("{name}: {question}: not {exit}: {why}")),
            (answer, false) => rates.wrong.push(format!("{name}: {question}: {answer}, not {exit}: {why}")),
        }
    }
}

#[test]
fn the_table_is_sound() {
    assert!(ROWS.len() >= 40, "{} situations", ROWS.len());
    assert!(ROWS.iter().filter(|row| row.default).count() >= 12);
    assert!(UNDECIDABLE.len() <= 8);
    for name in UNDECIDABLE {
        assert!(ROWS.iter().any(|row| row.name == *name), "{name} is no situation");
    }
    for row in ROWS {
        let unknown = row.expected.iter().any(|(_, exit)| *exit == "unknown");
        assert!(!unknown || UNDECIDABLE.contains(&row.name), "{}: an unknown that is not listed", row.name);
        for (question, exit) in row.expected {
            let kind = pgmayday::model::question::QUESTIONS.iter().find(|kind| kind.name == *question);
            let kind = kind.unwrap_or_else(|| panic!("{}: {question} is no question", row.name));
            assert!(
                *exit == "unknown" || kind.exits.contains(exit),
                "{}: {question} has no {exit}",
                row.name
            );
        }
    }
}
