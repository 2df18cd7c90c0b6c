//! From options to a restore request: names, values and their combinations, as pgBackRest spells them.

use crate::base::{Lsn, Report, Result, TargetTime, Timeline};
use crate::cli::Call;
use crate::cluster::recovery_settings::RestoreCommand;
use crate::config::Origin;
use crate::engine::restore::{Maps, ProofDepth, Request};
use crate::model::target::{Recovery, Target, TargetAction, TimelineChoice};

/// Reads the request out of a call.
pub(super) fn from_call(call: &Call) -> Result<Request> {
    let settings = &call.settings;
    let stanza = settings.stanza().ok_or_else(|| Report::usage("restore needs --stanza"))?.to_owned();
    let cluster = settings.pg().first().ok_or_else(|| {
        Report::usage(format!("no data directory is configured for stanza {stanza}"))
            .hint(format!("set pg1-path in section [{stanza}], or give --pg1-path"))
    })?;
    let set = match settings.text("set") {
        None | Some("latest") => None,
        Some(label) => Some(label.parse().map_err(usage)?),
    };
    let process_max = settings.number("process-max").and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    Ok(Request {
        data_dir: cluster.path.clone(),
        set,
        recovery: recovery(call)?,
        recovery_options: settings.pairs("recovery-option"),
        archiving_off: settings.text("archive-mode") == Some("off"),
        delta: settings.flag("delta"),
        force: settings.flag("force"),
        maps: Maps {
            tablespaces: settings.pairs("tablespace-map"),
            tablespaces_all: settings.text("tablespace-map-all").map(str::to_owned),
            links: settings.pairs("link-map"),
            link_all: settings.flag("link-all"),
        },
        db_include: settings.list("db-include").to_vec(),
        db_exclude: settings.list("db-exclude").to_vec(),
        process_max,
        prove: depth(call)?,
        accept: call.accept.iter().cloned().collect(),
        restore_command: fetch_command(call, &stanza)?.option("pg1-path", cluster.path.to_string_lossy()),
        salvage: None,
        stanza,
    })
}

fn usage(error: impl std::fmt::Display) -> Report {
    Report::usage(error.to_string())
}

fn recovery(call: &Call) -> Result<Recovery> {
    let settings = &call.settings;
    let kind = settings.text("type").unwrap_or("default");
    let value = settings.text("target");
    let needed = || {
        value.ok_or_else(|| {
            Report::usage(format!("--type={kind} needs --target")).hint(match kind {
                "time" => "for example --target='2026-11-21 02:03:11.482+00'",
                "lsn" => "for example --target=0/5A000148",
                _ => "give the transaction id or the restore point's name",
            })
        })
    };
    let target = match kind {
        "default" => Target::End,
        "immediate" => Target::Immediate,
        "time" => Target::Time(TargetTime::parse(needed()?).map_err(usage)?),
        "lsn" => Target::Lsn(needed()?.parse::<Lsn>().map_err(usage)?),
        "xid" => Target::Xid(needed()?.parse().map_err(usage)?),
        "name" => Target::Name(needed()?.to_owned()),
        "standby" => return without_target(value, kind, Recovery::Standby { timeline: timeline(call)? }),
        "preserve" => return without_target(value, kind, Recovery::Preserve),
        "none" => return without_target(value, kind, Recovery::Nothing),
        other => return Err(Report::usage(format!("--type={other} is no type of restore"))),
    };
    if target.value().is_none() && value.is_some() {
        return Err(no_target(kind));
    }
    let recovery = Recovery::To {
        target,
        exclusive: settings.flag("target-exclusive"),
        action: action(call)?,
        timeline: timeline(call)?,
    };
    Ok(recovery)
}

fn without_target(value: Option<&str>, kind: &str, recovery: Recovery) -> Result<Recovery> {
    if value.is_some() { Err(no_target(kind)) } else { Ok(recovery) }
}

fn no_target(kind: &str) -> Report {
    Report::usage(format!("--target has no meaning for --type={kind}"))
        .hint("choose --type=time, lsn, xid or name")
}

fn action(call: &Call) -> Result<Option<TargetAction>> {
    let known = [TargetAction::Pause, TargetAction::Promote, TargetAction::Shutdown];
    let Some(name) = call.settings.text("target-action") else { return Ok(None) };
    let action = known.into_iter().find(|action| action.name() == name);
    action.map(Some).ok_or_else(|| {
        Report::usage(format!("--target-action={name} is not one of pause, promote, shutdown"))
    })
}

fn timeline(call: &Call) -> Result<Option<TimelineChoice>> {
    let Some(text) = call.settings.text("target-timeline") else { return Ok(None) };
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().filter(|n| *n > 0);
    Ok(Some(match text {
        "latest" => TimelineChoice::Latest,
        "current" => TimelineChoice::Current,
        // PostgreSQL reads a leading 0x as hexadecimal, which is how file names show timelines.
        _ => text
            .strip_prefix("0x")
            .map_or_else(|| number(text, 10), |hex| number(hex, 16))
            .map(|n| TimelineChoice::Number(Timeline(n)))
            .ok_or_else(|| {
                Report::usage(format!("--target-timeline={text} is neither a number nor latest nor current"))
            })?,
    }))
}

fn depth(call: &Call) -> Result<Option<ProofDepth>> {
    Ok(match call.args.get_one::<String>("prove").map(String::as_str) {
        None => None,
        Some("listing") => Some(ProofDepth::Listing),
        Some("scan") => Some(ProofDepth::Scan),
        Some("full") => Some(ProofDepth::Full),
        Some(other) => {
            return Err(Report::usage(format!("--prove={other} is not one of listing, scan, full")));
        }
    })
}

/// A passphrase that lives in the operator's shell makes the restore succeed and the server's first fetch fail.
pub(in crate::cli) fn passphrase_survives(call: &Call) -> Result<()> {
    let settings = &call.settings;
    let from_shell =
        settings.repos().iter().find_map(|repo| match settings.origin_at("repo-cipher-pass", repo.key) {
            Origin::Environment(variable) if repo.cipher_pass.is_some() => Some((repo.key, variable)),
            _ => None,
        });
    let Some((key, variable)) = from_shell else { return Ok(()) };
    Err(Report::refused(
        "passphrase-environment",
        format!(
            "the passphrase of repo{key} comes from {variable} of this shell; the server that fetches WAL does not have it there"
        ),
    )
    .hint(format!(
        "set repo{key}-cipher-pass in the configuration file, or give the server's service {variable} too and accept"
    )))
}

/// Options that lead `archive-get` to the same repository; anything else given by hand is for this run only.
const LOCATING: [&str; 4] = ["config", "repo", "lock-path", "spool-path"];

/// The command PostgreSQL will fetch WAL with: this program, by its absolute path, with what is needed to find the
/// same repository again from a data directory, which is still to be named.
pub(in crate::cli) fn fetch_command(call: &Call, stanza: &str) -> Result<RestoreCommand> {
    let program = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .map_err(|error| Report::failed(format!("cannot tell where this program is: {error}")))?;
    let mut command = RestoreCommand::new(program).option("stanza", stanza);
    for given in call.settings.effective() {
        let by_hand = matches!(given.origin, Origin::CommandLine | Origin::Environment(_));
        let locating = LOCATING.iter().any(|prefix| given.option.starts_with(prefix));
        if let Some(value) = given.value.filter(|_| by_hand && locating) {
            // A secret is shown as stars; it cannot stand in a configuration file in any case.
            if value != "***" {
                let value = from_anywhere(&given.option, value)?;
                command = command.option(&given.option, value);
            }
        }
    }
    Ok(command)
}

/// The server runs in its data directory, where a path relative to this shell means something else.
fn from_anywhere(option: &str, value: String) -> Result<String> {
    if !option.starts_with("config") {
        return Ok(value);
    }
    let path = std::path::absolute(&value)
        .map_err(|error| Report::failed(format!("cannot tell where --{option}={value} is: {error}")))?;
    Ok(path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_configuration_named_from_here_is_found_from_the_data_directory() {
        let here = std::env::current_dir().unwrap().join("pgbackrest.conf");
        let given = from_anywhere("config", "pgbackrest.conf".to_owned()).unwrap();
        assert_eq!(Path::new(&given), here);
        assert_eq!(from_anywhere("repo", "2".to_owned()).unwrap(), "2");
    }
}
