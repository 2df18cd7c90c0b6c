//! Signals become messages. One that asks to end is obeyed even if the thread that draws hangs on its terminal.

use super::{Message, terminal};
use signal_hook::consts::signal::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Handle;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// What a terminal that is gone counts as.
pub(super) const HANGUP: i32 = SIGHUP;

/// How long the thread that draws has to leave.
const PATIENCE: Duration = Duration::from_secs(3);

/// Listens until dropped.
pub(super) struct Signals(Handle);

impl Signals {
    /// Starts to listen. `stop` tells that the console was left.
    pub(super) fn listen(to: Sender<Message>, stop: Arc<AtomicBool>) -> io::Result<Self> {
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP, SIGINT, SIGTSTP, SIGCONT])?;
        let handle = signals.handle();
        let listen = move || {
            for signal in signals.forever() {
                let message = match signal {
                    SIGTSTP => Message::Suspend,
                    SIGCONT => Message::Continued,
                    end => Message::End(end),
                };
                let ends = matches!(message, Message::End(_));
                drop(to.send(message));
                if ends {
                    leave_or_else(&stop, signal);
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
        Ok(Self(handle))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Waits for the console to be left; after that the process ends from here.
fn leave_or_else(stop: &AtomicBool, signal: i32) {
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        if stop.load(Ordering::Acquire) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
        waited += Duration::from_millis(50);
    }
    terminal::give_back();
    #[expect(
        clippy::exit,
        reason = "the thread that could return hangs on a terminal that takes no more output"
    )]
    std::process::exit(128 + signal);
}
