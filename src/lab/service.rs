//! What the hooks of the lab's `pgmayday.toml` do: each is the lab's own program called with one word.
//!
//! Nobody else judges recovered data, so that there is one truth.

use super::layout::{Lab, SUPERUSER};
use super::rehearsal::LabService;
use super::{LabError, monitor};
use crate::base::{Kind, Report, TargetTime, Timestamp};
use crate::model::target::Target;
use crate::recovery::in_place::Finding;
use std::path::PathBuf;
use std::str::FromStr;

/// How a hook calls the program: `pgmayday lab` with this word and a verb.
pub const SUBCOMMAND: &str = "__service";
/// The exit code that says: the damage is in what was recovered.
pub const DAMAGED: u8 = 3;

/// The hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Stops the workload's writer.
    StopWriters,
    /// Compares recovered data with the check and the truth.
    Verify,
    /// Starts the primary as the lab serves it.
    Start,
    /// Lets the writer write again.
    FirstWrite,
    /// When the application's check was right.
    Monitor,
}

impl Verb {
    /// All of them, as `pgmayday.toml` names them.
    pub const ALL: [(&'static str, Self); 5] = [
        ("stop-writers", Self::StopWriters),
        ("verify", Self::Verify),
        ("start", Self::Start),
        ("first-write", Self::FirstWrite),
        ("monitor", Self::Monitor),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, verb)| *verb == self).map_or("", |(name, _)| name)
    }
}

impl FromStr for Verb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, verb)| *verb).ok_or_else(|| format!("'{text}' is not a service of the lab"))
    }
}

/// The variables that tell the hook `verify` where to look and at what.
pub const VARIABLES: [&str; 5] = ["PGHOST", "PGPORT", "PGUSER", "PGMAYDAY_TARGET_TYPE", "PGMAYDAY_TARGET"];

/// Does it; the text for standard output, and the exit code. `variable` looks the environment up.
///
/// A failure never has the exit code that means damage.
pub fn serve(
    lab: &Lab,
    verb: Verb,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, u8), Report> {
    let service = LabService::new(lab);
    let done = match verb {
        Verb::StopWriters => service.stop_writers(),
        Verb::Start => service.start(),
        Verb::FirstWrite => service.first_write(),
        Verb::Monitor => report(lab),
        Verb::Verify => match verify(&service, variable) {
            Ok(Finding::Damaged(why)) => return Ok((why, DAMAGED)),
            Ok(Finding::Right(text)) => Ok(text),
            Err(report) => Err(report),
        },
    };
    done.map(|text| (text, 0)).map_err(|report| Report { kind: Kind::Failed, ..report })
}

fn report(lab: &Lab) -> Result<String, Report> {
    let report = monitor::report(&lab.monitor_file(), Timestamp::now())?;
    serde_json::to_string(&report)
        .map_err(|e| Report::from(LabError::Damaged { path: lab.monitor_file(), why: e.to_string() }))
}

fn verify(service: &LabService<'_>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Finding, Report> {
    let get = |name: &str| {
        variable(name)
            .ok_or_else(|| Report::usage(format!("{name} is not set: this is called by a recovery")))
    };
    let port: u16 = get("PGPORT")?.parse().map_err(|_| Report::usage("PGPORT is not a port"))?;
    let user = get("PGUSER")?;
    if user != SUPERUSER {
        return Err(Report::usage(format!("the lab is looked at as {SUPERUSER}, not as {user}")));
    }
    let target = target(&get("PGMAYDAY_TARGET_TYPE")?, &variable("PGMAYDAY_TARGET").unwrap_or_default())?;
    service.verify(&PathBuf::from(get("PGHOST")?), port, &target)
}

fn target(kind: &str, text: &str) -> Result<Target, Report> {
    let bad = |why: &dyn std::fmt::Display| Report::usage(format!("the target: {why}"));
    match kind {
        "time" => TargetTime::parse(text).map(Target::Time).map_err(|error| bad(&error)),
        "lsn" => text.parse().map(Target::Lsn).map_err(|error| bad(&error)),
        "xid" => text.parse().map(Target::Xid).map_err(|error| bad(&error)),
        "name" => Ok(Target::Name(text.to_owned())),
        "immediate" => Ok(Target::Immediate),
        "default" => Ok(Target::End),
        other => Err(bad(&format!("'{other}' is not a type of target"))),
    }
}
