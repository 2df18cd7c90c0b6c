//! The one impure place of the console: the terminal, the clock, threads, and what the app wants done.
//!
//! One thread draws and decides; it never waits for a file, a server or a repository. Everything that may take time is
//! done on threads of its own, and what they find comes back over one channel. Leaving ends the screen, never an
//! operation: those are processes of their own.

mod compare;
mod follow;
mod guide;
mod panic;
mod signals;
mod start;
mod talk;
mod terminal;
mod tools;
mod work;

pub use terminal::can_open;

use super::app::App;
use super::input::{Effect, Input};
use super::picker::{Picked, Picker};
use super::theme::Theme;
use super::widgets::Zone;
use crate::base::state::{OpId, StateDir};
use crate::base::{Report, Result, Timestamp};
use crate::config::site::Site;
use crate::config::{CliOption, Config};
use crate::model::op::{Cancel, Life};
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::survey::Survey;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use work::Works;

/// At most so often a frame is drawn for what comes from outside.
const FRAME: Duration = Duration::from_millis(33);
/// At most so often for keys.
const KEY_FRAME: Duration = Duration::from_millis(8);
/// How often the clock goes on while nothing runs.
const SLOW_TICK: Duration = Duration::from_secs(1);
/// How often while an operation runs.
const FAST_TICK: Duration = Duration::from_millis(250);
/// So many messages are taken in at once before a frame is drawn.
const MOST_AT_ONCE: usize = 512;

/// Works a recovery out as the command line would, and writes nothing; the command line knows its own options.
pub type Planner = Arc<dyn Fn(&RecoverRequest, &Cancel) -> Result<RecoverPlan> + Send + Sync>;

/// Everything the console is opened with.
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// What `pgmayday.toml` says.
    pub site: Site,
    /// The stanza; nothing if none is configured.
    pub stanza: Option<String>,
    /// Where operations and incidents are kept; nothing if there is no such place.
    pub state: Option<StateDir>,
    /// This program, for workers.
    pub program: PathBuf,
    /// The folder relative paths in arguments start from.
    pub working_dir: PathBuf,
    /// Names of the environment's variables that the configuration used.
    pub environment: Vec<String>,
    /// Who sits there.
    pub actor: String,
    /// Looks a variable of the environment up, for addresses that `pgmayday.toml` leaves to it.
    pub word: fn(&str) -> Option<String>,
    /// What the terminal can show.
    pub theme: Theme,
    /// The operator's clock.
    pub zone: Zone,
    /// pgBackRest's options as this call was given them: a recovery is started with the same.
    pub given: Vec<CliOption>,
    /// Works recoveries out.
    pub planner: Planner,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("stanza", &self.stanza).finish_non_exhaustive()
    }
}

/// How the console was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The operation that goes on.
    pub running: Option<OpId>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// What went wrong in the background and could not be shown.
    pub troubles: Vec<String>,
}

/// What comes over the channel.
enum Message {
    /// For the app.
    Input(Input),
    /// A signal asks to end.
    End(i32),
    /// A signal asks to give the terminal back.
    Suspend,
    /// The process was stopped and goes on; the terminal may be anybody's.
    Continued,
    /// The terminal is gone.
    Gone,
}

/// Opens the console and stays in it until it is left. The terminal is as it was found afterwards, whatever happens.
pub fn run(setup: Setup) -> Result<Left> {
    let opened = Arc::new(setup);
    let (send, receive) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let hook = panic::Hook::install(opened.state.as_ref());
    let size = terminal::size().ok_or_else(|| Report::failed("the terminal does not say how large it is"))?;
    let signals = signals::Signals::listen(send.clone(), Arc::clone(&stop)).map_err(no_terminal)?;
    let mut terminal = terminal::Terminal::open().map_err(no_terminal)?;

    let survey = Survey::new(&opened.config, &opened.site, opened.stanza.as_deref(), opened.state.as_ref());
    let mut app = App::new(opened.theme, size, Timestamp::now()).in_zone(opened.zone).by(&opened.actor);
    let mut first = app.update(Input::Board(Box::new(survey.blank())));
    terminal.draw(&app).map_err(no_terminal)?;

    drop(terminal::read_keys(send.clone(), Arc::clone(&stop)).map_err(no_terminal)?);
    let mut works = Works::new(Arc::clone(&opened), survey, send, Arc::clone(&stop));
    works.look();
    first.drain(..).for_each(|effect| works.perform(effect));
    let ended = Loop { app, terminal, works, receive, signal: None }.run();
    stop.store(true, Ordering::Release);
    // The loop's terminal is restored by now; only then may anything be printed.
    let (app, signal) = ended?;
    drop(signals);
    let operation = app.model().operation.as_ref();
    let live = |life: &Life| matches!(life, Life::Starting | Life::Running { .. });
    let followed =
        operation.filter(|operation| live(&operation.life)).map(|operation| operation.spec.id.clone());
    Ok(Left { running: followed.or_else(|| app.model().live_operation()), signal, troubles: hook.troubles() })
}

/// Lets a person choose one of several stanzas; nothing if the choice was left.
pub fn pick(theme: Theme, stanzas: &[String]) -> Result<Option<String>> {
    let (send, receive) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let _hook = panic::Hook::install(None);
    let signals = signals::Signals::listen(send.clone(), Arc::clone(&stop)).map_err(no_terminal)?;
    let mut terminal = terminal::Terminal::open().map_err(no_terminal)?;
    let keys = terminal::read_keys(send, Arc::clone(&stop)).map_err(no_terminal)?;
    let mut list = Picker::new(theme, stanzas);
    let picked = loop {
        terminal.paint(&|area, buffer| list.paint(area, buffer)).map_err(no_terminal)?;
        match receive.recv() {
            Ok(Message::Input(Input::Key(key))) => match list.key(key) {
                Picked::Not => {}
                Picked::Stanza(name) => break Some(name),
                Picked::Leave => break None,
            },
            Ok(Message::Continued) => {
                terminal::give_back();
                terminal.reopen().map_err(no_terminal)?;
            }
            Ok(Message::End(_) | Message::Gone) | Err(_) => break None,
            Ok(Message::Input(_) | Message::Suspend) => {}
        }
    };
    stop.store(true, Ordering::Release);
    drop(signals);
    // Two that read keys would steal them from each other.
    drop(keys.join());
    Ok(picked)
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands the error over")]
fn no_terminal(error: std::io::Error) -> Report {
    Report::failed(format!("the terminal cannot be used: {error}"))
        .hint("`pgmayday --output=text` prints the board without a screen")
}

/// The thread that draws.
struct Loop {
    app: App,
    terminal: terminal::Terminal,
    works: Works,
    receive: Receiver<Message>,
    signal: Option<i32>,
}

impl Loop {
    fn run(mut self) -> Result<(App, Option<i32>)> {
        let mut drawn = Instant::now();
        let mut ticked = Instant::now();
        // When the picture that is not shown yet has to be.
        let mut due: Option<Instant> = None;
        while !self.app.is_left() && self.signal.is_none() {
            let tick = ticked + self.tick();
            let wake = due.map_or(tick, |due| due.min(tick));
            match self.receive.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(message) => {
                    let interval = self.take(message)?;
                    let next = drawn + interval;
                    due = Some(due.map_or(next, |due| due.min(next)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.signal.is_some() {
                break;
            }
            if Instant::now() >= tick {
                ticked = Instant::now();
                self.input(Input::Tick(Timestamp::now()))?;
                due.get_or_insert(ticked);
            }
            if due.is_some_and(|due| Instant::now() >= due) && !self.app.is_left() {
                self.draw()?;
                (drawn, due) = (Instant::now(), None);
            }
        }
        Ok((self.app, self.signal))
    }

    fn tick(&self) -> Duration {
        let operation = self.app.model().operation.as_ref();
        let live = operation.is_some_and(|it| matches!(it.life, Life::Starting | Life::Running { .. }));
        if live { FAST_TICK } else { SLOW_TICK }
    }

    /// Takes a message and what waits behind it; how soon a frame may follow the last one.
    fn take(&mut self, message: Message) -> Result<Duration> {
        let mut interval = FRAME;
        let mut next = Some(message);
        for _ in 0..MOST_AT_ONCE {
            let Some(message) = next.take() else { break };
            match message {
                Message::Input(input) => {
                    if matches!(input, Input::Key(_) | Input::Paste(_) | Input::Resize(..)) {
                        interval = KEY_FRAME;
                    }
                    self.input(input)?;
                }
                Message::End(signal) => self.signal = Some(signal),
                Message::Gone => self.signal = Some(signals::HANGUP),
                Message::Suspend => self.suspend()?,
                Message::Continued => self.again()?,
            }
            if self.signal.is_some() || self.app.is_left() {
                break;
            }
            next = self.receive.try_recv().ok();
        }
        Ok(interval)
    }

    fn input(&mut self, input: Input) -> Result<()> {
        for effect in self.app.update(input) {
            match effect {
                Effect::Suspend => self.suspend()?,
                Effect::Quit => {}
                effect => self.works.perform(effect),
            }
        }
        Ok(())
    }

    fn suspend(&mut self) -> Result<()> {
        if !terminal::may_suspend() {
            let why = Report::failed("there is no shell to give the terminal to; q leaves the console");
            return self.input(Input::Said(Err(why)));
        }
        terminal::give_back();
        terminal::stop_self();
        self.again()
    }

    /// Takes the terminal again and draws everything.
    fn again(&mut self) -> Result<()> {
        terminal::give_back();
        self.terminal.reopen().map_err(no_terminal)?;
        if let Some((columns, lines)) = terminal::size() {
            self.input(Input::Resize(columns, lines))?;
        }
        self.input(Input::Tick(Timestamp::now()))?;
        self.draw()
    }

    /// Draws. That the line was lost may be seen here before its signal comes.
    fn draw(&mut self) -> Result<()> {
        match self.terminal.draw(&self.app) {
            Err(error) if terminal::is_gone(&error) => self.signal = Some(signals::HANGUP),
            drawn => drawn.map_err(no_terminal)?,
        }
        Ok(())
    }
}

/// Hands an input to the thread that draws; nobody is there any more once the console was left.
fn tell(to: &Sender<Message>, input: Input) {
    drop(to.send(Message::Input(input)));
}
