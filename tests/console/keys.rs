//! No key, no two keys, no hundred thousand keys in any order start anything: only the typed word does.

use crate::pictures::{app, painted};
use crate::samples;
use pgmayday::console::app::App;
use pgmayday::console::input::{Effect, Input, Key};
use pgmayday::console::theme::Theme;
use std::collections::BTreeSet;

const THEME: Theme = Theme { colour: true, ascii: false };
const SIZE: (u16, u16) = (80, 24);
const SCREENS: [&str; 13] = [
    "board",
    "backups",
    "wal",
    "recover",
    "options",
    "operation",
    "runbook",
    "journal",
    "history",
    "people",
    "comms",
    "checklist",
    "doctor",
];

/// Every key there is.
pub(crate) fn all_keys() -> Vec<Key> {
    let mut keys: Vec<Key> = (' '..='~').map(Key::Char).collect();
    keys.extend(('a'..='z').map(Key::Ctrl));
    keys.extend([
        Key::Enter,
        Key::Esc,
        Key::Tab,
        Key::BackTab,
        Key::Backspace,
        Key::Delete,
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::Home,
        Key::End,
        Key::PageUp,
        Key::PageDown,
        Key::Char('é'),
    ]);
    keys
}

/// Numbers that are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % most as u64).unwrap()
    }
}

/// What an app asks for is answered as the runtime would: a request gets its plan, whatever it asks for.
fn answer(app: &mut App, effects: &[Effect]) {
    for effect in effects {
        assert!(!effect.is_destructive(), "{effect:?}");
        if let Effect::Plan(request) = effect {
            let plan = samples::plan_for((**request).clone(), pgmayday::model::plan::CheckState::Ok);
            let more = app.update(Input::Plan(request.clone(), Ok(Box::new(plan))));
            assert!(more.iter().all(|effect| !effect.is_destructive()));
        }
    }
}

#[test]
fn a_hundred_thousand_random_keys_start_nothing() {
    let (keys, inputs) = (all_keys(), samples::inputs());
    let mut numbers = Numbers(20_261_121);
    let mut seen = BTreeSet::new();
    let mut app = app(THEME, SIZE, samples::recovering());
    for pressed in 0..100_000 {
        let input = match numbers.below(12) {
            0 => inputs[numbers.below(inputs.len())].clone(),
            // Keys that open and confirm come more often than letters would.
            1 => Input::Key(Key::Enter),
            2 => Input::Key(Key::Char(
                ['t', 'o', 'b', 'w', 'J', 'H', 'i', ':', '?', 'P', 'C', 'K', 'c'][numbers.below(13)],
            )),
            _ => Input::Key(keys[numbers.below(keys.len())]),
        };
        let effects = app.update(input);
        answer(&mut app, &effects);
        seen.insert(app.screen() as u8);
        if app.is_left() || pressed % 5_000 == 0 {
            app = self::app(THEME, SIZE, samples::recovering());
        }
        if pressed % 97 == 0 {
            painted(&app, SIZE);
        }
    }
    assert_eq!(seen.len(), SCREENS.len(), "the keys did not reach every screen: {seen:?}");
}

#[test]
fn no_two_keys_in_a_row_start_anything_on_any_screen() {
    let (keys, board) = (all_keys(), samples::recovering());
    for key in [
        Key::Esc,
        Key::Char('b'),
        Key::Char('w'),
        Key::Char('t'),
        Key::Char('o'),
        Key::Char('R'),
        Key::Char('J'),
        Key::Char('H'),
        Key::Char('P'),
        Key::Char('C'),
        Key::Char('K'),
        Key::Char('c'),
    ] {
        // The state with the most that could be started: a plan that can start, an operation that runs and asks.
        let start = || {
            let mut app = app(THEME, SIZE, board.clone());
            let effects = app.update(Input::Key(key));
            answer(&mut app, &effects);
            app.update(Input::Operation(Box::new(samples::snapshot(
                pgmayday::model::op::Life::Running { pid: 1 },
                true,
            ))));
            app
        };
        for first in &keys {
            for second in &keys {
                let mut app = start();
                let effects = app.update(Input::Key(*first));
                answer(&mut app, &effects);
                let effects = app.update(Input::Key(*second));
                answer(&mut app, &effects);
            }
        }
    }
}

#[test]
fn no_key_means_two_things_on_a_screen() {
    for screen in SCREENS {
        let mut app = app(THEME, SIZE, samples::recovering());
        for key in std::iter::once(':').chain(screen.chars()).map(Key::Char).chain([Key::Enter]) {
            app.update(Input::Key(key));
        }
        let mut keys: Vec<Key> = app.bindings().into_iter().flat_map(|binding| binding.keys).collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all, "{screen}");
    }
}
