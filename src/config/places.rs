//! Repositories and clusters as plain structures.
//!
//! Says where things are; looks at nothing.

use super::options::{self, Group};
use super::settings::Settings;
use super::{ConfigError, Origin};
use crate::base::Secret;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One repository, `repoN`.
#[derive(Debug, Clone)]
pub struct RepoSettings {
    /// Its number.
    pub key: u32,
    /// Kind of storage: `posix`, `cifs`, `s3`, `azure`, `gcs` or `sftp`.
    pub kind: String,
    /// Folder of the repository in its storage.
    pub path: PathBuf,
    /// The host it is on, if that is not this one.
    pub host: Option<String>,
    /// The passphrase as it is written; none if the repository is not encrypted.
    pub cipher_pass: Option<Secret>,
    /// The value of the variable, if the passphrase is written as `${NAME}` and that variable is set.
    ///
    /// pgBackRest takes such a text literally, so an existing repository is opened with
    /// [`RepoSettings::cipher_pass`] first.
    pub cipher_pass_expanded: Option<Secret>,
    /// The variable's name, if the passphrase is written as `${NAME}`.
    pub cipher_pass_variable: Option<String>,
    kind_origin: Origin,
    host_origin: Origin,
}

impl RepoSettings {
    /// The folder on this host, or why there is none: `command` is named in the error.
    pub fn local_path(&self, command: &str) -> Result<&Path, ConfigError> {
        if let Some(host) = &self.host {
            return Err(ConfigError::OtherHost {
                what: format!("repository {}", self.key),
                host: host.clone(),
                option: format!("repo{}-host", self.key).into(),
                origin: self.host_origin.clone(),
                command: command.into(),
            });
        }
        if !matches!(self.kind.as_str(), "posix" | "cifs") {
            return Err(ConfigError::StorageKind {
                key: self.key,
                kind: self.kind.clone(),
                option: format!("repo{}-type", self.key),
                origin: self.kind_origin.clone(),
            });
        }
        Ok(&self.path)
    }
}

/// One PostgreSQL cluster, `pgN`.
#[derive(Debug, Clone)]
pub struct PgSettings {
    /// Its number.
    pub key: u32,
    /// The data directory.
    pub path: PathBuf,
    /// The server's port.
    pub port: u16,
    /// The folder of the server's Unix socket, if it is not libpq's default.
    pub socket_path: Option<PathBuf>,
    /// The role to connect as, if it is not the name of the user who runs the command.
    pub user: Option<String>,
    /// The database to connect to.
    pub database: String,
    /// The host it is on, if that is not this one.
    pub host: Option<String>,
    host_origin: Origin,
}

impl PgSettings {
    /// The data directory on this host, or why there is none: `command` is named in the error.
    pub fn local_path(&self, command: &str) -> Result<&Path, ConfigError> {
        match &self.host {
            None => Ok(&self.path),
            Some(host) => Err(ConfigError::OtherHost {
                what: format!("the data directory {}", self.path.display()),
                host: host.clone(),
                option: format!("pg{}-host", self.key).into(),
                origin: self.host_origin.clone(),
                command: command.into(),
            }),
        }
    }
}

/// The repositories a command shall use: all, or the one `--repo` names.
pub(super) fn repos(
    settings: &Settings,
    env: &BTreeMap<String, Secret>,
) -> Result<Vec<RepoSettings>, ConfigError> {
    let keys = settings.keys(Group::Repo);
    let chosen = settings.number("repo").and_then(|key| u32::try_from(key).ok());
    if let Some(key) = chosen.filter(|key| !keys.contains(key)) {
        let known: Vec<String> = keys.iter().map(u32::to_string).collect();
        return Err(ConfigError::Value {
            option: "repo".to_owned(),
            value: key.to_string().into(),
            origin: settings.origin("repo"),
            allowed: format!("the number of a configured repository ({})", known.join(", ")).into(),
            hint: None,
        });
    }
    let used = keys.into_iter().filter(|key| chosen.is_none_or(|chosen| chosen == *key));
    Ok(used.filter_map(|key| repo(settings, key, env)).collect())
}

fn repo(settings: &Settings, key: u32, env: &BTreeMap<String, Secret>) -> Option<RepoSettings> {
    let cipher_pass = settings.secret_at("repo-cipher-pass", key).cloned();
    let cipher_pass_variable = cipher_pass.as_ref().and_then(variable_name);
    Some(RepoSettings {
        key,
        kind: settings.text_at("repo-type", key)?.to_owned(),
        path: PathBuf::from(settings.text_at("repo-path", key)?),
        host: settings.text_at("repo-host", key).map(str::to_owned),
        cipher_pass_expanded: cipher_pass_variable.as_ref().and_then(|name| expanded(env, name)),
        cipher_pass,
        cipher_pass_variable,
        kind_origin: settings.origin_at("repo-type", key),
        host_origin: settings.origin_at("repo-host", key),
    })
}

/// `NAME` of a text that is `${NAME}` and nothing else.
fn variable_name(text: &Secret) -> Option<String> {
    let name = text.expose().strip_prefix("${")?.strip_suffix('}')?;
    let (first, rest) = (name.bytes().next()?, name.bytes());
    let valid = (first.is_ascii_alphabetic() || first == b'_')
        && rest.skip(1).all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    valid.then(|| name.to_owned())
}

fn expanded(env: &BTreeMap<String, Secret>, name: &str) -> Option<Secret> {
    env.get(name).filter(|value| !value.expose().is_empty()).cloned()
}

/// The clusters that have a data directory.
pub(super) fn pgs(settings: &Settings) -> Vec<PgSettings> {
    settings.keys(Group::Pg).into_iter().filter_map(|key| pg(settings, key)).collect()
}

fn pg(settings: &Settings, key: u32) -> Option<PgSettings> {
    let default = |name: &str| options::by_name(name).and_then(|def| def.default).unwrap_or_default();
    let port = settings.integer_at("pg-port", key).and_then(|port| u16::try_from(port).ok());
    let database = settings.text_at("pg-database", key).unwrap_or_else(|| default("pg-database"));
    Some(PgSettings {
        key,
        path: PathBuf::from(settings.text_at("pg-path", key)?),
        port: port.or_else(|| default("pg-port").parse().ok())?,
        socket_path: settings.text_at("pg-socket-path", key).map(PathBuf::from),
        user: settings.text_at("pg-user", key).map(str::to_owned),
        database: database.to_owned(),
        host: settings.text_at("pg-host", key).map(str::to_owned),
        host_origin: settings.origin_at("pg-host", key),
    })
}
