//! Rules between options: what follows from several values together.

use super::ConfigError;
use super::options::Group;
use super::settings::Settings;
use super::value::Value;
use super::{Origin, options};

/// Applies every rule that concerns the options of the settings' command.
pub(super) fn apply(settings: &mut Settings) -> Result<(), ConfigError> {
    timeouts(settings)?;
    compression(settings)?;
    distinct_local_paths(settings)?;
    one_side_is_local(settings)
}

/// `protocol-timeout` must exceed `db-timeout`; the one that is default gives way.
fn timeouts(settings: &mut Settings) -> Result<(), ConfigError> {
    const MARGIN_MS: u64 = 30_000;
    const LEAST_DB_MS: u64 = 15_000;
    let ms = |settings: &Settings, name| {
        settings.duration(name).and_then(|duration| u64::try_from(duration.as_millis()).ok())
    };
    let (Some(db_ms), Some(protocol_ms)) = (ms(settings, "db-timeout"), ms(settings, "protocol-timeout"))
    else {
        return Ok(());
    };
    if protocol_ms > db_ms {
        return Ok(());
    }
    let put = |settings: &mut Settings, name, ms, from| {
        settings.derive(name, 0, Value::Milliseconds(ms), format!("{ms}ms"), from);
    };
    if settings.origin("protocol-timeout") == Origin::Default {
        put(settings, "protocol-timeout", db_ms + MARGIN_MS, "db-timeout");
    } else if settings.origin("db-timeout") == Origin::Default {
        let below = protocol_ms.saturating_sub(MARGIN_MS);
        let ms = if below >= LEAST_DB_MS { below } else { protocol_ms / 2 };
        put(settings, "db-timeout", ms, "protocol-timeout");
    } else {
        let (db, protocol) = (settings.origin("db-timeout"), settings.origin("protocol-timeout"));
        let what = format!("protocol-timeout ({protocol}) must be longer than db-timeout ({db})");
        return Err(ConfigError::Conflict { what });
    }
    Ok(())
}

/// `compress=n` means `compress-type=none`; the level's default and range depend on the type.
fn compression(settings: &mut Settings) -> Result<(), ConfigError> {
    let Some(kind) = settings.text("compress-type").map(str::to_owned) else { return Ok(()) };
    if !matches!(settings.origin("compress"), Origin::Default | Origin::Unset) {
        if settings.origin("compress-type") == Origin::Default {
            if !settings.flag("compress") {
                let none = "none".to_owned();
                settings.derive("compress-type", 0, Value::Text(none.clone()), none, "compress");
                settings.derive("compress-level", 0, Value::Number(0), "0".to_owned(), "compress");
                return Ok(());
            }
        } else {
            let origin = settings.origin("compress");
            settings.warn(format!("{origin}: option 'compress' is ignored because compress-type is set"));
        }
    }
    let (default, low, high) = match kind.as_str() {
        "bz2" => (9, 1, 9),
        "gz" => (6, -1, 9),
        "lz4" => (1, -5, 12),
        "zst" => (3, -7, 22),
        _ => return Ok(()),
    };
    match settings.integer("compress-level") {
        None => {
            settings.derive(
                "compress-level",
                0,
                Value::Number(default),
                default.to_string(),
                "compress-type",
            );
        }
        Some(level) if (low..=high).contains(&level) => {}
        Some(level) => {
            return Err(ConfigError::Value {
                option: "compress-level".to_owned(),
                value: level.to_string().into(),
                origin: settings.origin("compress-level"),
                allowed: format!("a number from {low} to {high} for compress-type={kind}").into(),
                hint: None,
            });
        }
    }
    Ok(())
}

/// Two local repositories must not be the same folder.
fn distinct_local_paths(settings: &Settings) -> Result<(), ConfigError> {
    let mut seen: Vec<(&str, &str, u32)> = Vec::new();
    for key in settings.keys(Group::Repo) {
        let kind = settings.text_at("repo-type", key).filter(|kind| matches!(*kind, "posix" | "cifs"));
        let local = settings.text_at("repo-host", key).is_none();
        let (Some(kind), Some(path), true) = (kind, settings.text_at("repo-path", key), local) else {
            continue;
        };
        if let Some((.., other)) = seen.iter().find(|(k, p, _)| *k == kind && *p == path) {
            let what =
                format!("repo{other}-path and repo{key}-path are both '{path}', but must be different");
            return Err(ConfigError::Conflict { what });
        }
        seen.push((kind, path, key));
    }
    Ok(())
}

/// PostgreSQL and repository cannot both be on other hosts.
fn one_side_is_local(settings: &Settings) -> Result<(), ConfigError> {
    let remote = |group, name: &'static str| {
        let mut keys = settings.keys(group).into_iter();
        keys.find(|key| settings.text_at(name, *key).is_some())
            .and_then(|key| Some((options::by_name(name)?.indexed_name(key), settings.origin_at(name, key))))
    };
    match (remote(Group::Pg, "pg-host"), remote(Group::Repo, "repo-host")) {
        (Some((pg, pg_origin)), Some((repo, repo_origin))) => Err(ConfigError::Conflict {
            what: format!(
                "{pg} ({pg_origin}) and {repo} ({repo_origin}) cannot both be set: one side is this host"
            ),
        }),
        _ => Ok(()),
    }
}
