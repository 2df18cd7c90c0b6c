//! Situations of an incident, made of real pieces: what each question of the runbook is answered with.
//!
//! Every situation is a row: how it is made, and what is to be proposed. `unknown` may be proposed only where the row is
//! listed as undecidable. Patroni and its store are real, too; what version 4 says, and what takes minutes to make, comes
//! from a server that gives recorded answers. Some run by default, all with `PGMAYDAY_ENDURANCE`, those whose name has a
//! text with `PGMAYDAY_SITUATION=text`; the rates are printed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
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
mod rates;
mod real_patroni;
mod standby;
mod table;
mod world;

use rates::Rates;
use std::panic::{AssertUnwindSafe, catch_unwind};
use table::{ROWS, Row, UNDECIDABLE};
use world::World;

#[test]
fn the_proposed_answer_is_right_in_every_situation() {
    let all = std::env::var_os("PGMAYDAY_ENDURANCE").is_some();
    let only = std::env::var("PGMAYDAY_SITUATION").ok();
    let wanted =
        |row: &&Row| only.as_ref().map_or(all || row.default, |only| row.name.contains(only.as_str()));
    let mut rates = Rates::default();
    let mut world: Option<World> = None;
    for row in ROWS.iter().filter(wanted) {
        let begun = std::time::Instant::now();
        let Some(mut fresh) = world.take().or_else(World::make) else { return };
        fresh.begin(row);
        // One that cannot be made is told at the end, and keeps no other from being judged.
        match catch_unwind(AssertUnwindSafe(|| (row.make)(&mut fresh))) {
            Ok(Some(answers)) => rates.judge(row, &answers),
            Ok(None) => rates.left_out(row),
            Err(panic) => rates.broken(row, &*panic),
        }
        rates.asked_again += fresh.asked_again;
        println!("{:>6.1} s  {}", begun.elapsed().as_secs_f32(), row.name);
        world = fresh.restored();
    }
    println!("{rates}");
    assert!(rates.is_right(), "\n{}\n{rates}", rates.misses());
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
