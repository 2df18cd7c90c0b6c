//! Taking up what an earlier worker left: the record says what it had done, the disk may be one transition ahead.
//!
//! Never undoes anything. A half-done exchange is finished; a server left running is taken over if it is ours and
//! the work goes on with it, else it is stopped.

use super::run::{Run, runs};
use super::{State, exchange};
use crate::cluster::lock_file::LockFile;
use crate::cluster::server::StopMode;
use crate::model::op::{Cancel, Event};
use crate::recovery::RecoveryError;
use crate::recovery::exchange::Placed;
use std::path::Path;
use std::time::Duration;

/// What makes a server from 12 on, or one before 12, recover when it starts; gone once it is promoted.
const SIGNALS: [&str; 3] = ["recovery.signal", "standby.signal", "recovery.conf"];
/// How long a server that is given up on a cancel may take to stop.
const LEAVING_LIMIT: Duration = Duration::from_secs(60);

impl Run<'_> {
    /// Brings the record up to what stands on disk.
    pub(super) fn settle(&mut self) -> Result<(), RecoveryError> {
        let data_dir = &self.spec.data_dir;
        let moved = exchange::placed(data_dir, &self.restored, &self.quarantine, self.kept.vacant)?;
        match (moved, self.kept.state) {
            (Placed::Exchanged, state) if state >= State::Verified => {
                exchange::finish(data_dir, &self.restored, &self.quarantine)?;
                if state == State::Verified {
                    self.reach(State::Exchanged)?;
                }
            }
            (Placed::Exchanged, _) if self.kept.vacant => {
                // Somebody put something there before anything was verified: it is what stands there now.
                self.keep(|kept| kept.vacant = false)?;
            }
            (Placed::Exchanged, _) => {
                let why = format!("{} holds what stood here before", self.quarantine.display());
                return Err(RecoveryError::server(data_dir, why));
            }
            (Placed::Before, state) if state >= State::Exchanged && !self.kept.vacant => {
                let why = format!(
                    "the restored cluster had taken this place; now neither {} nor {} holds the old one",
                    self.quarantine.display(),
                    self.restored.display()
                );
                return Err(RecoveryError::server(data_dir, why));
            }
            (Placed::Before, _) => {}
        }
        if self.kept.state < State::Exchanged { self.settle_before() } else { self.settle_after() }
    }

    fn settle_before(&mut self) -> Result<(), RecoveryError> {
        let vacant = exchange::is_vacant(&self.spec.data_dir)?;
        if vacant != self.kept.vacant {
            self.keep(|kept| kept.vacant = vacant)?;
        }
        let whole = self.restored.join("global/pg_control").exists();
        if self.kept.state >= State::Restored && !whole {
            self.reach(State::Stopped)?;
        }
        // What an earlier worker left running there is only of use while the copy is being looked at.
        if self.kept.state != State::Restored && self.restored.exists() {
            self.stop_left(&self.restored.clone())?;
        }
        Ok(())
    }

    fn settle_after(&mut self) -> Result<(), RecoveryError> {
        let data_dir = self.spec.data_dir.clone();
        let recovers = SIGNALS.iter().any(|name| data_dir.join(name).exists());
        if self.kept.state == State::Exchanged && !recovers {
            self.reach(State::Promoted)?;
        }
        // A reboot starts what its service manager knows: not the closed state this has to be in.
        if self.kept.state < State::Cleaned && !self.is_closed(&data_dir)? {
            self.stop_left(&data_dir)?;
        }
        if self.kept.state < State::Opened {
            self.stop_standbys()?;
        }
        Ok(())
    }

    /// True if the server in `data_dir` is one that this operation started closed.
    pub(super) fn is_closed(&self, data_dir: &Path) -> Result<bool, RecoveryError> {
        if !runs(data_dir)? {
            return Ok(false);
        }
        let lock = LockFile::read(data_dir)?.and_then(Result::ok);
        // A server that is just starting has not written its socket's folder yet.
        Ok(lock.is_some_and(|lock| {
            lock.socket_dir.as_deref() == Some(self.closed.sockets.as_path())
                && lock.listen.is_none_or(|listen| listen.is_empty())
        }))
    }

    fn stop_left(&self, data_dir: &Path) -> Result<(), RecoveryError> {
        if runs(data_dir)? {
            let text = format!("a server was left running in {} and is stopped", data_dir.display());
            self.sink.event(Event::Warning { text });
            self.stop_found(data_dir)?;
        }
        Ok(())
    }

    /// After a cancel nobody looks after the closed server any more.
    pub(super) fn leave_nothing_running(&mut self) {
        if self.kept.state >= State::Opened {
            return;
        }
        if let Some(mut server) = self.server.take()
            && let Err(error) = server.stop(StopMode::Fast, LEAVING_LIMIT, &Cancel::default())
        {
            self.sink.event(Event::Warning { text: format!("the closed server was left running: {error}") });
        }
    }
}
