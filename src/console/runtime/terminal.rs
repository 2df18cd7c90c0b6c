//! The terminal: taken, given back, read. It is given back on every way out; giving back twice does nothing.

use super::{Message, tell};
use crate::console::app::App;
use crate::console::input::{Input, Key};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use crossterm::{cursor, execute, terminal as tty};
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Signal, getpid, kill_process};
use std::io::{self, IsTerminal as _, Stdout};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

/// The terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// True if a console can be opened here: both ends are a terminal that can move its cursor and says how large it is.
/// `term` is the terminal's kind, the variable `TERM`.
pub fn can_open(term: Option<&Path>) -> bool {
    let able = term.and_then(Path::to_str).is_some_and(|term| !term.is_empty() && term != "dumb");
    able && io::stdin().is_terminal() && io::stdout().is_terminal() && size().is_some()
}

/// Columns and lines, if the terminal says so.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// The terminal while it is ours; given back when dropped.
///
/// The library's own drop is left out: it shows the cursor once more and prints where that fails, which on a line that
/// was lost fails too.
pub(super) struct Terminal(ManuallyDrop<ratatui::Terminal<CrosstermBackend<Stdout>>>);

impl Terminal {
    /// Takes it.
    pub(super) fn open() -> io::Result<Self> {
        let taken = take();
        if taken.is_err() {
            give_back();
        }
        taken?;
        match ratatui::Terminal::new(CrosstermBackend::new(io::stdout())) {
            Ok(terminal) => Ok(Self(ManuallyDrop::new(terminal))),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws the app as it stands; only what changed is sent.
    pub(super) fn draw(&mut self, app: &App) -> io::Result<()> {
        self.paint(&|area, buffer| app.paint(area, buffer))
    }

    /// Draws anything.
    pub(super) fn paint(&mut self, paint: &dyn Fn(Rect, &mut Buffer)) -> io::Result<()> {
        self.0.draw(|frame| paint(frame.area(), frame.buffer_mut())).map(|_| ())
    }

    /// Takes it again; the next frame is drawn whole.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        take()?;
        // Not `clear`: that asks the terminal where its cursor is and waits for an answer nobody reads.
        let size = self.0.size()?;
        self.0.resize(Rect::new(0, 0, size.width, size.height))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::Release);
    tty::enable_raw_mode()?;
    execute!(io::stdout(), tty::EnterAlternateScreen, event::EnableBracketedPaste, cursor::Hide)
}

/// Gives the terminal back as it was found. Fails silently: on a terminal that is gone there is nothing to restore.
pub(super) fn give_back() {
    if TAKEN.swap(false, Ordering::AcqRel) {
        drop(execute!(io::stdout(), cursor::Show, event::DisableBracketedPaste, tty::LeaveAlternateScreen));
        drop(tty::disable_raw_mode());
    }
}

/// True if an error of the terminal means that it is gone.
pub(super) fn is_gone(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(errno, Some(rustix::io::Errno::IO | rustix::io::Errno::PIPE | rustix::io::Errno::NXIO))
}

/// True if somebody can take the terminal and bring us back: a shell with job control is our parent. A process nobody
/// watches would stop for ever.
pub(super) fn may_suspend() -> bool {
    let Some(ours) = Place::of("self") else { return false };
    Place::of(&ours.parent.to_string())
        .is_some_and(|shell| shell.session == ours.session && shell.group != ours.group)
}

/// Where a process stands among others. Read from `/proc` because a number is 0 there where its process is outside
/// our own PID namespace, as in a container; the library's calls take such a number for impossible.
struct Place {
    parent: u32,
    group: u32,
    session: u32,
}

impl Place {
    /// Of the process `pid`, a number or `self`.
    fn of(pid: &str) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The program's name in the line is in parentheses and may hold anything, parentheses too.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(1);
        let mut next = || fields.next()?.parse().ok();
        Some(Self { parent: next()?, group: next()?, session: next()? })
    }
}

/// Stops this process until somebody lets it go on.
pub(super) fn stop_self() {
    // It cannot be refused to oneself; were it, the console would simply go on.
    kill_process(getpid(), Signal::STOP).unwrap_or(());
}

/// Reads keys on a thread of its own until `stop`; the end of the terminal is told, never spun on.
pub(super) fn read_keys(to: Sender<Message>, stop: Arc<AtomicBool>) -> io::Result<JoinHandle<()>> {
    let read = move || {
        while !stop.load(Ordering::Acquire) {
            if !one_round(&to) {
                drop(to.send(Message::Gone));
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".to_owned()).spawn(read)
}

/// Waits a moment for keys and hands on what came; false once the terminal is gone.
fn one_round(to: &Sender<Message>) -> bool {
    let wait = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let stdin = io::stdin();
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    match rustix::event::poll(&mut ready, Some(&wait)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(_) => return false,
    }
    if ready[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return false;
    }
    // Given back for a while: what is typed is for the shell.
    if !TAKEN.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(10));
        return true;
    }
    // Also without a key: a new size comes this way.
    loop {
        match event::poll(Duration::ZERO) {
            Ok(true) => {}
            Ok(false) => return true,
            Err(_) => return false,
        }
        match event::read() {
            Ok(event) => inputs(event).into_iter().for_each(|input| tell(to, input)),
            Err(_) => return false,
        }
    }
}

fn inputs(event: Event) -> Vec<Input> {
    match event {
        Event::Key(key) if !key.is_release() => keys_of(key).into_iter().map(Input::Key).collect(),
        Event::Paste(text) => vec![Input::Paste(text)],
        Event::Resize(columns, lines) => vec![Input::Resize(columns, lines)],
        _ => Vec::new(),
    }
}

/// Escape and a key that come in one packet over a slow line look like the key with Alt held: they are two keys.
fn keys_of(key: KeyEvent) -> Vec<Key> {
    let escape = key.modifiers.contains(KeyModifiers::ALT).then_some(Key::Esc);
    escape.into_iter().chain(key_of(key)).collect()
}

fn key_of(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char(c) if control => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_as_the_console_knows_them() {
        let of = |code, modifiers| keys_of(KeyEvent::new(code, modifiers));
        assert_eq!(of(KeyCode::Char('G'), KeyModifiers::SHIFT), [Key::Char('G')]);
        assert_eq!(of(KeyCode::Char('C'), KeyModifiers::CONTROL), [Key::Ctrl('c')]);
        assert_eq!(of(KeyCode::Char('x'), KeyModifiers::ALT), [Key::Esc, Key::Char('x')]);
        assert_eq!(of(KeyCode::F(1), KeyModifiers::NONE), []);
        assert_eq!(of(KeyCode::BackTab, KeyModifiers::SHIFT), [Key::BackTab]);
    }

    #[test]
    fn a_process_outside_the_namespace_is_a_zero_and_no_failure() {
        let place = Place::parse("7 (a) b) (c) S 0 0 0 34816 7 4194304\n").unwrap();
        assert_eq!((place.parent, place.group, place.session), (0, 0, 0));
        assert!(Place::of("0").is_none() && Place::parse("7 (cut").is_none());
        let own = Place::of("self").unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
    }

    #[test]
    fn a_terminal_that_cannot_move_its_cursor_is_not_taken() {
        for term in [None, Some(""), Some("dumb")] {
            assert!(!can_open(term.map(Path::new)));
        }
    }
}
