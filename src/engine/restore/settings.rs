//! Recovery settings of the restored cluster: signal files and configuration, written into the target.

use super::copy::write_error;
use super::owners::{self, Owners};
use super::plan::Plan;
use super::request::Request;
use crate::base::{PgVersion, Result, Timestamp, files};
use crate::cluster::recovery_settings::{
    AUTO_CONF, RecoverySettings, Target as Setting, TargetAction as Action,
};
use crate::model::target::{Recovery, Target, TargetAction, TimelineChoice};
use std::io;
use std::path::Path;

/// The first major version that reads log ahead of what it replays.
const FIRST_READING_AHEAD: u16 = 15;

/// The settings of a plan: what was asked for, and no reading ahead where the archive behind the stop is broken. The
/// server would ask for a segment it does not need, be told of the damage, and stop short of a target it can reach.
pub(super) fn for_plan(plan: &Plan) -> RecoverySettings {
    const READ_AHEAD: &str = "recovery_prefetch";
    let version = plan.manifest.db.version;
    let mut settings = for_request(&plan.request, version);
    let troubled = plan.proof.as_ref().is_some_and(|proof| proof.trouble_behind.is_some());
    let chosen = settings.options.iter().any(|(name, _)| name.replace('-', "_") == READ_AHEAD);
    if troubled && version.at_least(FIRST_READING_AHEAD) && !chosen {
        settings.options.push((READ_AHEAD.to_owned(), "off".to_owned()));
    }
    settings
}

/// The settings a request means for a version.
fn for_request(request: &Request, version: PgVersion) -> RecoverySettings {
    let mut settings = RecoverySettings {
        version,
        target: Setting::None,
        exclusive: false,
        action: Action::Pause,
        timeline: None,
        archive_mode_off: request.archiving_off,
        options: request.recovery_options.clone(),
        restore_command: request.restore_command.clone(),
    };
    let chosen = |timeline: &Option<TimelineChoice>| timeline.map(|choice| choice.to_string());
    match &request.recovery {
        Recovery::Nothing => {}
        Recovery::Preserve => settings.target = Setting::Preserve,
        Recovery::Standby { timeline } => {
            settings.target = Setting::Standby;
            settings.timeline = chosen(timeline);
        }
        Recovery::To { target, exclusive, action, timeline } => {
            settings.target = setting_of(target);
            settings.exclusive = *exclusive;
            settings.action = match action {
                None | Some(TargetAction::Pause) => Action::Pause,
                Some(TargetAction::Promote) => Action::Promote,
                Some(TargetAction::Shutdown) => Action::Shutdown,
            };
            settings.timeline = chosen(timeline);
        }
    }
    settings
}

fn setting_of(target: &Target) -> Setting {
    let value = target.value().unwrap_or_default();
    match target {
        Target::End => Setting::Default,
        Target::Immediate => Setting::Immediate,
        Target::Time(_) => Setting::Time(value),
        Target::Lsn(_) => Setting::Lsn(value),
        Target::Xid(_) => Setting::Xid(value),
        Target::Name(_) => Setting::Name(value),
    }
}

/// Writes signal file and settings; returns what was written, for the record.
pub(super) fn write(plan: &Plan, owners: &Owners) -> Result<String> {
    let data_dir = plan.layout.data_dir();
    // A file that is kept as a link elsewhere is written there.
    let place =
        |name: &str| plan.layout.path_of(&format!("pg_data/{name}")).unwrap_or_else(|| data_dir.join(name));
    let auto_conf = place(AUTO_CONF);
    let standing = match std::fs::read(&auto_conf) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(write_error(&auto_conf, &error)),
    };
    let files = for_plan(plan).files(&standing, Timestamp::now())?;
    for name in &files.absent {
        let path = data_dir.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(write_error(&path, &error)),
            _ => {}
        }
    }
    if let Some((name, content)) = &files.settings_file {
        put(&place(name), content, owners)?;
    }
    if let Some(signal) = files.signal {
        put(&data_dir.join(signal), b"", owners)?;
    }
    Ok(files.written.iter().map(|line| line.name.as_str()).collect::<Vec<_>>().join(", "))
}

fn put(path: &Path, content: &[u8], owners: &Owners) -> Result<()> {
    files::atomic_replace(path, content, 0o600)
        .and_then(|()| owners::give(path, owners.data()))
        .map_err(|error| write_error(path, &error))
}
