//! At the target: promote, move on to a later one, or take our settings back.
//!
//! Resuming replay at the target *promotes*, so moving on is: stop, set the later target, start again. An earlier
//! target would need a new restore and is refused where that can be told. Abandoning is [`Server::stop`].

use super::ClusterError;
use super::recovery_settings::{AUTO_CONF, ConfLine, RecoverySettings, Target, retract};
use super::server::{Observation, Patience, Phase, Server, StopMode, Until};
use super::sql::SqlError;
use crate::base::{Lsn, TargetTime, Timestamp, files};
use crate::model::op::Cancel;
use std::path::Path;
use std::time::Duration;

/// What taking our settings back left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retracted {
    /// Lines of the same names with other values: somebody else's, left as they are.
    pub others: Vec<ConfLine>,
    /// Settings whose old value stays in force until a restart; of these only `archive_mode` matters on a primary.
    pub pending_restart: Vec<String>,
}

impl Server {
    /// Ends recovery and waits until the server takes writes.
    pub fn promote(
        &mut self,
        patience: Patience,
        cancel: &Cancel,
        report: &mut dyn FnMut(&Observation, super::pace::Pace),
    ) -> Result<Observation, ClusterError> {
        match self.observe()?.phase {
            Phase::Primary => {}
            Phase::Replaying { .. } | Phase::Paused(_) => self.request_promotion()?,
            other => {
                return Err(ClusterError::WrongState {
                    what: "promote",
                    why: format!("the server is not in recovery ({other:?})"),
                });
            }
        }
        self.promoting = true;
        self.wait(Until::Writable, patience, cancel, report)
    }

    fn request_promotion(&mut self) -> Result<(), ClusterError> {
        if !self.version().at_least(12) {
            return self.promote_by_program();
        }
        let asked = self.connect().and_then(|mut sql| {
            sql.rows("select pg_promote(false)").map_err(ClusterError::from)?;
            if !self.version().at_least(13) {
                // Before 13 a paused recovery hears of the promotion only when it goes on.
                sql.rows("select pg_wal_replay_resume()").map_err(ClusterError::from)?;
            }
            Ok(())
        });
        match asked {
            Err(ClusterError::Sql(
                SqlError::NotNow { .. } | SqlError::Unreachable { .. } | SqlError::Denied { .. },
            )) => self.promote_by_program(),
            other => other,
        }
    }

    fn promote_by_program(&self) -> Result<(), ClusterError> {
        let program = self.binaries().program("pg_ctl");
        let mut pg_ctl = super::owner::run_as(self.owner(), &program)?;
        pg_ctl.args(["promote", "-s", "-D"]).arg(self.data_dir());
        if self.version().at_least(10) {
            pg_ctl.arg("-W");
        }
        let finished = super::process::run_limited(pg_ctl, Duration::from_secs(60))?;
        if finished.success() {
            return Ok(());
        }
        Err(ClusterError::Program { program: program.display().to_string(), why: finished.complaint() })
    }

    /// Stops the server, replaces the recovery settings `written` before by `settings` with a later target, and
    /// starts it again. Returns the lines written now; wait for [`Until::TargetReached`] afterwards.
    pub fn move_on(
        &mut self,
        written: &[ConfLine],
        settings: &RecoverySettings,
        now: Timestamp,
        stop_limit: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<ConfLine>, ClusterError> {
        let seen = self.observe()?;
        let refuse = |why: String| ClusterError::WrongState { what: "move on to a later target", why };
        if !matches!(seen.phase, Phase::Paused(_) | Phase::Replaying { .. }) {
            return Err(refuse(format!("the server is not in recovery ({:?})", seen.phase)));
        }
        if !self.version().at_least(12) {
            return Err(refuse(
                "before PostgreSQL 12 the settings are not in postgresql.auto.conf".to_owned(),
            ));
        }
        check_later(&settings.target, seen.position.replayed, seen.position.last_commit).map_err(refuse)?;
        let path = self.data_dir().join(AUTO_CONF);
        let (kept, _) = retract(&read_or_empty(&path)?, written);
        let files = settings.files(&kept, now)?;
        self.stop(StopMode::Fast, stop_limit, cancel)?;
        if let Some((_, content)) = &files.settings_file {
            self.replace_auto_conf(content)?;
        }
        self.start()?;
        Ok(files.written)
    }

    /// Removes our recovery settings from `postgresql.auto.conf` of a promoted server and has the server prove by
    /// `pg_file_settings` that they are gone: a replica cloned later would inherit them and promote itself.
    pub fn retract_settings(&mut self, written: &[ConfLine]) -> Result<Retracted, ClusterError> {
        let mut sql = self.connect()?;
        if sql.is_in_recovery()? {
            let why = "the server is still in recovery and needs them".to_owned();
            return Err(ClusterError::WrongState { what: "remove the recovery settings", why });
        }
        let path = self.data_dir().join(AUTO_CONF);
        let old = read_or_empty(&path)?;
        let (content, _) = retract(&old, written);
        if content != old {
            self.replace_auto_conf(&content)?;
        }
        sql.reload()?;
        let others = sql.auto_conf_lines(written)?;
        if let Some(ours) = others.iter().find(|line| written.contains(line)) {
            let why = format!("{} is still set in {AUTO_CONF}", ours.name);
            return Err(ClusterError::WrongState { what: "remove the recovery settings", why });
        }
        let names: Vec<String> = written.iter().map(|line| super::sql::literal(&line.name)).collect();
        let pending = if names.is_empty() {
            Vec::new()
        } else {
            let list = names.join(", ");
            sql.rows(&format!(
                "select name from pg_settings where pending_restart and name in ({list}) order by name"
            ))?
        };
        let pending_restart =
            pending.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
        Ok(Retracted { others, pending_restart })
    }

    fn replace_auto_conf(&self, content: &[u8]) -> Result<(), ClusterError> {
        let path = self.data_dir().join(AUTO_CONF);
        let io = |doing| {
            let path = path.clone();
            move |source| ClusterError::Io { doing, path, source }
        };
        files::atomic_replace(&path, content, 0o600).map_err(io("write"))?;
        std::os::unix::fs::chown(&path, Some(self.owner().uid), Some(self.owner().gid))
            .map_err(io("give away"))
    }
}

fn read_or_empty(path: &Path) -> Result<Vec<u8>, ClusterError> {
    match std::fs::read(path) {
        Ok(content) => Ok(content),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(ClusterError::Io { doing: "read", path: path.to_owned(), source }),
    }
}

/// A target that is known to lie behind what was replayed cannot be reached without a new restore.
fn check_later(target: &Target, replayed: Option<Lsn>, last_commit: Option<Timestamp>) -> Result<(), String> {
    let behind = |what: String| Err(format!("{what}; an earlier point needs a new restore"));
    match target {
        Target::Lsn(text) => match (text.parse::<Lsn>(), replayed) {
            (Err(error), _) => Err(error.to_string()),
            (Ok(lsn), Some(replayed)) if lsn <= replayed => {
                behind(format!("the target {lsn} is not after {replayed}, which is replayed already"))
            }
            _ => Ok(()),
        },
        Target::Time(text) => match (TargetTime::parse(text), last_commit) {
            (Err(error), _) => Err(error.to_string()),
            (Ok(time), Some(commit)) if time.at <= commit => behind(format!(
                "the target {} is not after {commit}, whose commit is replayed already",
                time.at
            )),
            _ => Ok(()),
        },
        Target::Immediate => behind("the data has been consistent since before the pause".to_owned()),
        Target::None | Target::Preserve => Err("it is no target".to_owned()),
        Target::Default | Target::Xid(_) | Target::Name(_) | Target::Standby => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forward() {
        let lsn = Some(Lsn(0x200_0000));
        let at = TargetTime::parse("2026-11-21 01:06:03+00").map(|time| time.at).ok();
        let check = |target: Target| check_later(&target, lsn, at);
        assert!(check(Target::Lsn("0/2000001".into())).is_ok());
        assert!(check(Target::Lsn("0/2000000".into())).unwrap_err().contains("needs a new restore"));
        assert!(check(Target::Lsn("x".into())).is_err());
        assert!(check(Target::Time("2026-11-21 01:06:03.1+00".into())).is_ok());
        assert!(check(Target::Time("2026-11-21 02:06:03+01".into())).unwrap_err().contains("not after"));
        assert!(check(Target::Immediate).is_err() && check(Target::None).is_err());
        assert!(check(Target::Default).is_ok() && check(Target::Name("x".into())).is_ok());
        assert!(check_later(&Target::Lsn("0/1".into()), None, None).is_ok());
    }
}
