//! Pictures of the whole console where backups, verifications and what stands in their way are told: at the smallest
//! size and a wide one.

use crate::models::{at, bare, catalog, now};
use pgmayday::base::{BackupKind, Timestamp};
use pgmayday::console::app::App;
use pgmayday::console::input::{Input, Key};
use pgmayday::console::theme::Theme;
use pgmayday::console::widgets::Zone;
use pgmayday::model::board::{
    ArchiveTrouble, BackupFacts, Board, HoldFacts, Repository, UnsoundBackup, Upkeep, VerificationFacts,
    VerifyRun, WalFacts,
};
use pgmayday::model::fact::Fact;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

const COLOUR: Theme = Theme { colour: true, ascii: false };
const PLAIN: Theme = Theme { colour: false, ascii: true };
const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

fn ago(minutes: i64) -> Timestamp {
    Timestamp(now().0 - minutes * 60_000_000)
}

fn repository(key: u32, backups: BackupFacts, verification: VerificationFacts) -> Repository {
    let stored = ago(1);
    Repository {
        key,
        place: "disk /var/lib/pgbackrest".into(),
        backups: Fact::known(backups, now()),
        wal: Fact::known(WalFacts { last_stored: Some(stored), ..WalFacts::default() }, now()),
        verification: Some(Fact::known(verification, now())),
    }
}

/// A backup runs, one is damaged; the stanza is stopped, expiry is held, archiving fails.
fn troubled() -> Board {
    let backups = BackupFacts {
        total: 6,
        oldest_stop: Some(ago(11_500)),
        last: vec![(BackupKind::Full, ago(1383)), (BackupKind::Incr, ago(13))],
        ..BackupFacts::default()
    };
    let last = Some(VerifyRun { at: ago(540), whole: true, damage: 0, unknown: 0 });
    let sound = VerificationFacts { last, proven: 2, last_proven: Some(ago(540)), unsound: Vec::new() };
    let unsound = UnsoundBackup {
        label: "20261119-030000F_20261120-030000D".into(),
        wrong: "damaged".into(),
        at: ago(300),
    };
    let running = BackupFacts { running: Some(Some(4250)), ..backups.clone() };
    let newest_damaged = Some("20261119-030000F_20261120-030000D".to_owned());
    let pages = BackupFacts { newest_damaged, with_errors: 1, ..backups };
    let upkeep = Upkeep {
        stopped_by: Some("/tmp/pgbackrest/orders.stop".into()),
        hold: Some(HoldFacts::Stands {
            incident: "2026-11-21-01".into(),
            since: ago(60),
            until: ago(-600),
            by: "dk".into(),
        }),
        archiving: Some(ArchiveTrouble {
            file: None,
            why: "unable to find a valid repository: repo1: no room".into(),
            since: ago(3),
            others: 2,
        }),
    };
    Board {
        repositories: vec![
            repository(1, running, sound.clone()),
            repository(2, pages, VerificationFacts { unsound: vec![unsound], ..sound }),
        ],
        upkeep: Fact::known(upkeep, now()),
        ..bare().board
    }
}

fn app(theme: Theme, size: (u16, u16), keys: &[Key]) -> App {
    let mut app = App::new(theme, size, now()).in_zone(Zone::of(|_| 3600));
    app.update(Input::Board(Box::new(troubled())));
    app.update(Input::Tick(at("02:14:07")));
    for key in keys {
        app.update(Input::Key(*key));
        app.update(Input::Catalog(Ok(catalog())));
    }
    app
}

fn painted(app: &App, (width, height): (u16, u16)) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    app.paint(buffer.area, &mut buffer);
    buffer
}

fn text(buffer: &Buffer) -> String {
    let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

fn check(name: &str, keys: &[Key]) {
    let [narrow, wide] = SIZES.map(|size| text(&painted(&app(COLOUR, size, keys), size)));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, format!("{narrow}{}\n{wide}", "=".repeat(80)));
    });
    for size in SIZES {
        let plain = painted(&app(PLAIN, size, keys), size);
        assert!(text(&plain).is_ascii(), "{}", text(&plain));
        assert!(plain.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    }
}

#[test]
fn the_board_tells_what_stands_in_the_way() {
    check("whole-board-upkeep", &[]);
    // Where not all has room, what is as it should be gives way.
    let mut crowded = troubled();
    for key in 3..=5 {
        let repository = Repository { key, ..crowded.repositories[1].clone() };
        crowded.repositories.push(repository);
    }
    let mut app = app(COLOUR, (80, 24), &[]);
    app.update(Input::Board(Box::new(crowded)));
    let shown = text(&painted(&app, (80, 24)));
    for word in ["stopped", "archiving", "expiry", "repo2", "repo5", "verify repo2", "verify repo5"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(!shown.contains("✔ verify repo1"), "{shown}");
}

#[test]
fn the_catalog_has_signs_for_verified_damaged_pinned_and_running() {
    check("whole-catalog-signs", &[Key::Char('b')]);
    check("whole-catalog-pinned", &[Key::Char('b'), Key::Char('g'), Key::Enter]);
    check("whole-catalog-damaged", &[Key::Char('b'), Key::Char('G'), Key::Enter]);
    let plain = text(&painted(&app(PLAIN, (80, 24), &[Key::Char('b')]), (80, 24)));
    for sign in [
        "\n+ *20261120-020001F",
        "\nx  + 20261120-030000D",
        "\n ! + 20261115-020001D",
        "\n> a backup into repo1",
    ] {
        assert!(plain.contains(sign), "{sign}: {plain}");
    }
}
