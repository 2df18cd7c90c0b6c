//! Pictures of the whole app, compared with what was agreed on. Colour is asserted apart: a picture is text.

use crate::samples::{self, NOW};
use pgmayday::base::Timestamp;
use pgmayday::console::app::App;
use pgmayday::console::input::{Effect, Input, Key};
use pgmayday::console::screens::ScreenId;
use pgmayday::console::theme::Theme;
use pgmayday::console::widgets::Zone;
use pgmayday::model::board::Board;
use pgmayday::model::op::Life;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

const COLOUR: Theme = Theme { colour: true, ascii: false };
const PLAIN: Theme = Theme { colour: false, ascii: false };
const ASCII: Theme = Theme { colour: true, ascii: true };

/// An app of this size that has taken a board in.
pub(crate) fn app(theme: Theme, size: (u16, u16), board: Board) -> App {
    let mut app = App::new(theme, size, NOW).in_zone(Zone::of(|_| 3600));
    app.update(Input::Board(Box::new(board)));
    app
}

/// What it draws.
pub(crate) fn painted(app: &App, size: (u16, u16)) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, size.0, size.1));
    app.paint(buffer.area, &mut buffer);
    buffer
}

/// The picture as lines.
pub(crate) fn text(buffer: &Buffer) -> String {
    let line = |cells: &[Cell]| cells.iter().map(Cell::symbol).collect::<String>().trim_end().to_owned();
    let lines: Vec<String> = buffer.content.chunks(usize::from(buffer.area.width).max(1)).map(line).collect();
    lines.join("\n")
}

fn compare(name: &str, app: &App, size: (u16, u16)) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text(&painted(app, size))));
}

fn boards() -> [(&'static str, Board); 5] {
    [
        ("healthy", samples::healthy()),
        ("broken", samples::broken()),
        ("hung", samples::hung()),
        ("empty", samples::empty()),
        ("recovering", samples::recovering()),
    ]
}

#[test]
fn the_board_in_all_its_states() {
    for (name, board) in boards() {
        for size in [(80, 24), (120, 40)] {
            let mut app = app(COLOUR, size, board.clone());
            if name == "recovering" {
                app.update(Input::Operation(Box::new(samples::snapshot(Life::Running { pid: 1 }, false))));
                app.update(Input::Incident(Box::new(samples::incident_view())));
            }
            compare(&format!("board-{name}-{}x{}", size.0, size.1), &app, size);
        }
    }
    compare("board-broken-ascii", &app(ASCII, (80, 24), samples::broken()), (80, 24));
    compare("board-broken-plain", &app(PLAIN, (80, 24), samples::broken()), (80, 24));
}

#[test]
fn windows_over_the_board() {
    let opened = |keys: &[Key]| {
        let mut app = app(COLOUR, (80, 24), samples::recovering());
        for key in keys {
            app.update(Input::Key(*key));
        }
        app
    };
    let typed = |first: char, text: &str| -> Vec<Key> {
        std::iter::once(first).chain(text.chars()).map(Key::Char).collect()
    };
    compare("window-help", &opened(&[Key::Char('?')]), (80, 24));
    compare("window-palette", &opened(&typed(':', "re")), (80, 24));
    let mut cancel = typed(':', "cancel");
    cancel.push(Key::Enter);
    compare("window-confirm", &opened(&cancel), (80, 24));
    cancel.extend("orde".chars().map(Key::Char));
    cancel.push(Key::Enter);
    compare("window-confirm-refused", &opened(&cancel), (80, 24));
    let mut declaring = app(COLOUR, (80, 24), samples::broken());
    declaring.update(Input::Key(Key::Char('i')));
    compare("window-declare", &declaring, (80, 24));
}

#[test]
fn a_terminal_that_is_too_small_says_so_and_none_makes_it_fail() {
    compare("too-small", &app(COLOUR, (60, 20), samples::broken()), (60, 20));
    for (_, board) in boards() {
        for width in [1, 2, 3, 7, 20, 79, 80, 81, 300] {
            for height in [1, 2, 3, 5, 23, 24, 25, 100] {
                let mut app = app(COLOUR, (width, height), board.clone());
                painted(&app, (width, height));
                app.update(Input::Key(Key::Char('?')));
                painted(&app, (width, height));
            }
        }
    }
}

/// The app on every screen, in every state, with and without a window.
fn everywhere(theme: Theme, see: &dyn Fn(&App)) {
    for (_, board) in boards() {
        for name in [
            "board",
            "backups",
            "wal",
            "recover",
            "operation",
            "journal",
            "history",
            "people",
            "comms",
            "checklist",
            "doctor",
        ] {
            let mut app = app(theme, (80, 24), board.clone());
            for input in samples::inputs() {
                if !matches!(input, Input::Board(_) | Input::Resize(..) | Input::Started(_)) {
                    app.update(input);
                }
            }
            while app.update(Input::Key(Key::Esc)).is_empty() && app.screen() != ScreenId::Board {}
            app.update(Input::Key(Key::Esc));
            for key in std::iter::once(':').chain(name.chars()).map(Key::Char) {
                app.update(Input::Key(key));
            }
            see(&app);
            app.update(Input::Key(Key::Enter));
            see(&app);
            app.update(Input::Key(Key::Char('?')));
            see(&app);
        }
    }
}

#[test]
fn an_ascii_terminal_gets_nothing_but_ascii() {
    everywhere(ASCII, &|app| {
        let buffer = painted(app, (80, 24));
        assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()), "{}", text(&buffer));
    });
}

#[test]
fn without_colour_there_is_none_and_the_meaning_stays() {
    everywhere(PLAIN, &|app| {
        let buffer = painted(app, (80, 24));
        assert!(buffer.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    });
    let shown = |theme| text(&painted(&app(theme, (80, 24), samples::broken()), (80, 24)));
    assert_eq!(shown(PLAIN), shown(COLOUR), "colour only adds");
    assert!(shown(PLAIN).contains('✖') && shown(PLAIN).contains('!'), "words and symbols carry the meaning");
}

#[test]
fn colour_is_spent_on_what_changes_a_decision_only() {
    let coloured = |board| {
        let buffer = painted(&app(COLOUR, (80, 24), board), (80, 24));
        let of = |colour| buffer.content.iter().filter(|cell| cell.fg == colour).count();
        (
            of(Color::Red),
            of(Color::Green),
            buffer.content.iter().filter(|cell| cell.bg != Color::Reset).count(),
        )
    };
    let (red, green, background) = coloured(samples::healthy());
    assert!(red == 0 && green > 0 && background == 0, "{red} {green} {background}");
    assert!(coloured(samples::broken()).0 > 0);
}

#[test]
fn the_clock_of_an_incident_stands_in_the_header_of_every_screen() {
    let mut app = app(COLOUR, (80, 24), samples::recovering());
    app.update(Input::Incident(Box::new(samples::incident_view())));
    for key in [Key::Char('b'), Key::Char('?')] {
        app.update(Input::Key(key));
        let buffer = painted(&app, (80, 24));
        let header: String = (0..80).map(|x| buffer[(x, 0)].symbol()).collect();
        assert!(header.contains("RTO 00:12:43 of 1h00"), "{header}");
        let at = u16::try_from(header.find("RTO").map(|at| header[..at].chars().count()).unwrap()).unwrap();
        assert!(buffer[(at, 0)].modifier.contains(Modifier::BOLD));
        assert_eq!(buffer[(at, 0)].fg, Color::Reset);
    }
    app.update(Input::Tick(Timestamp(NOW.0 + 3_600_000_000)));
    let buffer = painted(&app, (80, 24));
    let late: String = (0..80).map(|x| buffer[(x, 0)].symbol()).collect();
    assert!(late.contains("RTO 01:12:43 of 1h00"), "{late}");
    assert!((0..80).any(|x| buffer[(x, 0)].fg == Color::Red), "beyond the target it is red");
}

#[test]
fn the_environment_stays_in_the_header_whatever_the_cluster_is_called() {
    let mut board = samples::recovering();
    board.identity.stanza =
        Some("a-very-long-name-of-a-stanza-that-nobody-would-choose-but-somebody-did".to_owned());
    board.identity.read_only = true;
    let buffer = painted(&app(COLOUR, (80, 24), board), (80, 24));
    let header: String = (0..80).map(|x| buffer[(x, 0)].symbol()).collect();
    for part in ["a-very", "… ", " PRODUCTION ", "READ-ONLY", "RTO 00:12:43", "02:14:07 UTC"] {
        assert!(header.contains(part), "{part}: {header}");
    }
}

#[test]
fn the_footer_of_every_screen_fits_in_eighty_columns() {
    everywhere(COLOUR, &|app| {
        let buffer = painted(app, (80, 24));
        let footer: String = (0..80).map(|x| buffer[(x, 23)].symbol()).collect();
        let own = app.bindings().into_iter().filter(|binding| binding.in_footer);
        for binding in own {
            use pgmayday::console::keymap::Cmd;
            let may_give_way = matches!(binding.cmd, Cmd::Refresh | Cmd::Palette);
            let shown = format!("{} {}", binding.keys[0], binding.label);
            assert!(
                may_give_way || footer.contains(&shown),
                "{:?}: '{shown}' is not in '{footer}'",
                app.screen()
            );
        }
    });
}

#[test]
fn what_comes_from_outside_cannot_move_the_cursor() {
    let mut board = samples::broken();
    board.identity.label = Some("\u{1b}[2JPROD\u{7}".to_owned());
    board.identity.stanza = Some("or\u{1b}[31mders".to_owned());
    let mut app = app(COLOUR, (80, 24), board);
    app.update(Input::Said(Err(pgmayday::base::Report::failed("a\u{1b}]0;title\u{7}b\r\nc"))));
    let buffer = painted(&app, (80, 24));
    assert!(buffer.content.iter().all(|cell| !cell.symbol().chars().any(char::is_control)));
    let effects = app.update(Input::Key(Key::Char('q')));
    assert_eq!(effects, [Effect::Quit]);
}
