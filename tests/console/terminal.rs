//! The console on a real terminal: opened, resized, suspended, ended by keys, signals, panics and a lost line. The
//! terminal is always given back as it was found.

use crate::fixtures::Fixture;
use crate::harness::{Screen, tree};
use pgmayday::base::Report;
use pgmayday::config::site::Site;
use pgmayday::config::{Config, Sources};
use pgmayday::console::runtime::{self, Setup};
use pgmayday::console::theme::Theme;
use pgmayday::console::widgets::Zone;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A stanza with a real repository whose server is not there.
struct Place {
    fixture: Fixture,
    config: PathBuf,
    state: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let fixture = Fixture::open("a1-plain-none");
        let data = fixture.path("pgdata");
        std::fs::create_dir_all(&data).unwrap();
        let config = fixture.config(&data);
        Self { fixture, config, state: tempfile::tempdir().unwrap() }
    }

    fn args(&self) -> [String; 2] {
        [format!("--config={}", self.config.display()), format!("--stanza={}", self.fixture.stanza)]
    }

    fn state(&self) -> &str {
        self.state.path().to_str().unwrap()
    }

    fn open(&self, size: (u16, u16)) -> Screen {
        self.open_with(size, &[])
    }

    fn open_with(&self, size: (u16, u16), env: &[(&str, &str)]) -> Screen {
        let mut all = vec![("PGMAYDAY_STATE", self.state())];
        all.extend(env);
        Screen::pgmayday(size, self.args(), &all)
    }

    /// A shell command line that opens it.
    fn line(&self) -> String {
        format!(
            "PGMAYDAY_STATE={} {} {}",
            self.state(),
            env!("CARGO_BIN_EXE_pgmayday"),
            self.args().join(" ")
        )
    }
}

/// An interactive shell with job control.
fn shell(size: (u16, u16)) -> Screen {
    let mut shell =
        Screen::spawn(size, Path::new("/bin/bash"), ["--norc", "--noprofile", "-i"], &[("PS1", "ready> ")]);
    shell.wait("ready> ");
    // Long lines would be wrapped into what is compared.
    shell.send("bind 'set enable-bracketed-paste off'; clear\n");
    shell.wait_for("a clear screen", |screen| screen.contents().trim_end() == "ready>");
    shell
}

fn stty(shell: &mut Screen, round: usize) -> String {
    // The line as it is typed must not look like its answer.
    shell.send(&format!("clear; echo tty\"\"{round}=$(stty -g)=end\n"));
    let mark = format!("tty{round}=");
    shell.wait_for("stty", |screen| screen.contents().contains(&mark));
    let text = shell.text();
    let begin = text.rfind(&mark).unwrap() + mark.len();
    let answer = text[begin..].split_whitespace().next().unwrap();
    answer.strip_suffix("=end").expect("the whole answer in one line").to_owned()
}

#[test]
fn it_opens_is_used_and_leaves_the_terminal_as_it_was() {
    let place = Place::new();
    let mut shell = shell((200, 30));
    let before = stty(&mut shell, 1);
    shell.send(&format!("{}\n", place.line()));
    shell.wait_for("the board", |screen| {
        screen.alternate_screen() && screen.contents().contains("PROTECTION")
    });
    assert!(shell.state(vt100::Screen::hide_cursor) && shell.state(vt100::Screen::bracketed_paste));
    shell.send("?");
    shell.wait("KEYS");
    shell.send("\u{1b}");
    shell.wait_for("no window", |screen| !screen.contents().contains("KEYS"));
    shell.send("q");
    shell.wait_for("the shell", |screen| !screen.alternate_screen() && screen.contents().contains("ready>"));
    assert!(!shell.state(vt100::Screen::hide_cursor) && !shell.state(vt100::Screen::bracketed_paste));
    assert_eq!(stty(&mut shell, 2), before);
}

#[test]
fn it_can_be_suspended_and_taken_up_again() {
    let place = Place::new();
    let mut shell = shell((160, 30));
    let before = stty(&mut shell, 1);
    shell.send(&format!("{}\n", place.line()));
    for round in 0..2 {
        shell.wait_for("the board", |screen| {
            screen.alternate_screen() && screen.contents().contains("PROTECTION")
        });
        shell.send("\u{1a}");
        shell.wait_for("the shell", |screen| {
            !screen.alternate_screen() && screen.contents().contains("Stopped")
        });
        assert_eq!(stty(&mut shell, 2 + round), before);
        shell.resize(120, 40);
        shell.send("fg\n");
    }
    shell.wait_for("the board", |screen| {
        screen.alternate_screen() && screen.contents().contains("PROTECTION")
    });
    shell.send("q");
    shell.wait_for("the shell", |screen| !screen.alternate_screen());
    assert_eq!(stty(&mut shell, 9), before);
}

#[test]
fn without_a_shell_behind_it_it_does_not_stop_for_ever() {
    let place = Place::new();
    let mut screen = place.open((80, 24));
    screen.wait("PROTECTION");
    screen.send("\u{1a}");
    screen.wait("there is no shell to give the terminal to");
    screen.send("q");
    assert_eq!(screen.ended().exit_code(), 0);
}

#[test]
fn it_follows_the_terminals_size() {
    let place = Place::new();
    let mut screen = place.open((80, 24));
    screen.wait("PROTECTION");
    screen.resize(60, 20);
    screen.wait("60×20 is too small: enlarge to 80×24");
    screen.resize(120, 40);
    screen.wait("PROTECTION");
    screen.resize(1, 1);
    screen.resize(80, 24);
    screen.wait("PROTECTION");
    screen.send("q");
    assert_eq!(screen.ended().exit_code(), 0);
    screen.wait_for_the_screen_before();
}

#[test]
fn signals_end_it_with_the_terminal_restored() {
    let place = Place::new();
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut screen = place.open((80, 24));
        screen.wait("PROTECTION");
        screen.signal(signal);
        assert_eq!(screen.ended().exit_code(), code);
        screen.wait_for_the_screen_before();
    }
}

#[test]
fn a_lost_line_ends_it_and_it_does_not_spin() {
    let place = Place::new();
    let mut screen = place.open((80, 24));
    screen.wait("PROTECTION");
    let begin = Instant::now();
    screen.hang_up();
    assert_eq!(screen.ended().exit_code(), 129);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    let log = place.state.path().join("console.log");
    assert!(!log.exists(), "{}", std::fs::read_to_string(&log).unwrap());
}

#[test]
fn it_rests_while_nothing_happens() {
    let place = Place::new();
    let screen = place.open((80, 24));
    screen.wait("PROTECTION");
    std::thread::sleep(Duration::from_secs(2));
    let before = screen.ticks_used();
    std::thread::sleep(Duration::from_secs(3));
    let used = screen.ticks_used() - before;
    assert!(used < 100, "{used} hundredths of a second of processor time in 3 s");
}

#[test]
fn it_opens_at_once_with_everything_out_of_reach() {
    let place = Place::new();
    let info = place.fixture.repo().join("backup").join(&place.fixture.stanza).join("backup.info");
    std::fs::remove_file(&info).unwrap();
    // Opening a pipe nobody writes to waits for ever.
    assert!(Command::new("mkfifo").arg(&info).status().unwrap().success());
    let begin = Instant::now();
    let mut screen = place.open((80, 24));
    screen.wait_for("the board", |screen| screen.contents().contains("RECOVERY WINDOW"));
    // 150 ms on a machine that does nothing else; here others build at the same time.
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    let pressed = Instant::now();
    screen.send("?");
    screen.wait("KEYS");
    assert!(pressed.elapsed() < Duration::from_secs(1), "{:?}", pressed.elapsed());
    screen.send("\u{1b}q");
    assert_eq!(screen.ended().exit_code(), 0);
    drop(std::fs::OpenOptions::new().read(true).write(true).open(&info).unwrap());
}

#[test]
fn without_colour_and_without_utf8_it_speaks_plainly() {
    let place = Place::new();
    let mut screen = place.open_with((80, 24), &[("NO_COLOR", "1"), ("LANG", "C")]);
    screen.wait("PROTECTION");
    let coloured = |screen: &vt100::Screen| {
        let cells = (0..24).flat_map(|row| (0..80).map(move |column| (row, column)));
        let cells = cells.filter_map(|(row, column)| screen.cell(row, column));
        cells
            .filter(|cell| (cell.fgcolor(), cell.bgcolor()) != (vt100::Color::Default, vt100::Color::Default))
            .count()
    };
    assert_eq!(screen.state(coloured), 0);
    assert!(screen.text().is_ascii(), "{}", screen.text());
    screen.send("q");
    assert_eq!(screen.ended().exit_code(), 0);
}

#[test]
fn where_no_console_can_be_drawn_the_board_is_printed() {
    let place = Place::new();
    for term in ["dumb", ""] {
        let mut screen = place.open_with((80, 24), &[("TERM", term)]);
        screen.ended();
        screen.wait_for_the_screen_before();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_pgmayday"))
        .args(place.args())
        .env("PGMAYDAY_STATE", place.state())
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(!output.stdout.contains(&0x1b), "no escape sequences off a terminal");
}

#[test]
fn several_stanzas_are_offered_for_choice() {
    let place = Place::new();
    let text = std::fs::read_to_string(&place.config).unwrap();
    std::fs::write(&place.config, format!("{text}\n[zweite]\npg1-path=/nonexistent/zweite\n")).unwrap();
    let env = [("PGMAYDAY_STATE", place.state())];
    let mut screen = Screen::pgmayday((80, 24), [&place.args()[0]], &env);
    screen.wait("WHICH STANZA? 2 ARE CONFIGURED");
    screen.send("G\r");
    screen.wait("zweite @ ");
    screen.send("q");
    assert_eq!(screen.ended().exit_code(), 0);
    let mut left = Screen::pgmayday((80, 24), [&place.args()[0]], &env);
    left.wait("WHICH STANZA?");
    left.send("q");
    assert_eq!(left.ended().exit_code(), 0);
    left.wait_for_the_screen_before();
}

/// Keys as a terminal sends them, the same in every run.
fn random_keys(count: usize) -> Vec<&'static str> {
    const KEYS: &[&str] = &[
        "a",
        "b",
        "c",
        "g",
        "G",
        "h",
        "H",
        "i",
        "j",
        "J",
        "k",
        "l",
        "n",
        "o",
        "r",
        "s",
        "t",
        "v",
        "w",
        "y",
        "/",
        ":",
        "?",
        " ",
        "1",
        "\r",
        "\r",
        "\t",
        "\u{1b}",
        "\u{7f}",
        "\u{1b}[A",
        "\u{1b}[B",
        "\u{1b}[C",
        "\u{1b}[D",
        "\u{1b}[5~",
        "\u{1b}[6~",
        "\u{1b}[Z",
        "\u{c}",
    ];
    let mut state = 20_261_121_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % KEYS.len()
    };
    (0..count).map(|_| KEYS[next()]).collect()
}

/// Presses some hundred keys, in an endurance run two thousand.
pub(crate) fn press_at_random(screen: &mut Screen) {
    let count = if std::env::var_os("PGMAYDAY_ENDURANCE").is_some() { 2_000 } else { 300 };
    for key in random_keys(count) {
        screen.send(key);
        std::thread::sleep(Duration::from_millis(4));
    }
}

#[test]
fn random_keys_change_nothing_on_disk() {
    let place = Place::new();
    let before = tree(&place.fixture.path(""));
    let mut screen = place.open((80, 24));
    screen.wait("PROTECTION");
    press_at_random(&mut screen);
    screen.send("\u{3}");
    assert_eq!(screen.ended().exit_code(), 0);
    screen.wait_for_the_screen_before();
    assert_eq!(tree(&place.fixture.path("")), before);
    assert!(!place.state.path().join("ops").exists(), "no operation was written down");
}

/// Run in a pty by the test below: a console that panics while it draws.
#[test]
#[ignore = "a program for another test"]
fn a_console_that_panics() {
    static DRAWN: AtomicUsize = AtomicUsize::new(0);
    let zone = Zone::of(|_| {
        assert!(DRAWN.fetch_add(1, Ordering::SeqCst) < 2, "the picture fell down");
        0
    });
    let sources = Sources { cli: Vec::new(), env: Vec::new(), default_dir: "/nonexistent".into() };
    let setup = Setup {
        config: Config::load(&sources).unwrap(),
        site: Site::default(),
        stanza: None,
        state: None,
        program: "/proc/self/exe".into(),
        working_dir: "/".into(),
        environment: Vec::new(),
        actor: "nobody".to_owned(),
        word: |_| None,
        theme: Theme { colour: true, ascii: false },
        zone,
        given: Vec::new(),
        planner: Arc::new(|_, _| Err(Report::failed("none"))),
    };
    drop(runtime::run(setup).unwrap());
}

#[test]
fn a_panic_while_drawing_gives_the_terminal_back_before_it_speaks() {
    let program = std::env::current_exe().unwrap();
    let args = ["--ignored", "--exact", "--nocapture", "terminal::a_console_that_panics"];
    let mut screen = Screen::spawn((100, 30), &program, args, &[]);
    assert_ne!(screen.ended().exit_code(), 0);
    screen.wait("the picture fell down");
    screen.wait_for_the_screen_before();
}
