//! What `pgmayday.toml` says of an incident: whom to tell how often and by which webhooks, what is expected of each
//! kind of recovery.
//!
//! The address of a webhook is a secret and comes from a variable or a file of its own; only one that is none may stand
//! in the file itself.

use super::duration;
use crate::base::Secret;
use crate::config::ConfigError;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is expected of one kind of recovery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Expected {
    /// How much may be lost.
    #[serde(deserialize_with = "duration")]
    pub rpo: Option<Duration>,
    /// How long it may take.
    #[serde(deserialize_with = "duration")]
    pub rto: Option<Duration>,
}

/// The kinds of recovery, each with what is expected of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Scenarios {
    /// The newest state.
    pub latest: Expected,
    /// An earlier moment.
    pub pitr: Expected,
    /// Beside the cluster.
    pub side: Expected,
    /// Bare host to service.
    pub full_site: Expected,
    /// From the repository elsewhere.
    pub cross_region: Expected,
}

/// How often somebody is told. Lines for an audience take the place of all that the program ships for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CadenceSite {
    /// `internal` or `external`.
    pub audience: AudienceSite,
    /// `sev1` to `sev4`; every one if it is missing.
    pub severity: Option<SeveritySite>,
    /// The time since the declaration from which on this line holds.
    #[serde(default, deserialize_with = "duration")]
    pub after: Option<Duration>,
    /// When the first update is due after the declaration; as `every` if it is missing.
    #[serde(default, deserialize_with = "duration")]
    pub first: Option<Duration>,
    /// When the next one is due.
    #[serde(deserialize_with = "interval")]
    pub every: Duration,
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AudienceSite {
    /// The own people.
    Internal,
    /// Customers and the public.
    External,
    /// Everybody: webhooks only.
    Both,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "numbers without a meaning of their own here")]
pub enum SeveritySite {
    Sev1,
    Sev2,
    Sev3,
    Sev4,
}

/// The form a webhook expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookKind {
    /// `{"text": …}`, as Slack and Mattermost take it.
    Slack,
    /// The text itself, as ntfy takes it.
    Ntfy,
    /// A document with everything, `pgmayday.message/1`.
    Json,
}

/// A place messages are sent to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebhookSite {
    /// What it is called.
    pub name: String,
    /// Its form.
    pub kind: WebhookKind,
    /// Who listens there.
    pub audience: AudienceSite,
    /// The variable with the address.
    pub url_env: Option<String>,
    /// The file with the address, which not everybody may read.
    pub url_file: Option<PathBuf>,
    /// The address, where it is no secret: `ntfy` and `json` only, without user, password and query.
    #[serde(default, deserialize_with = "open_address")]
    pub url: Option<String>,
    /// A PEM file with the authority of a server of one's own.
    pub ca_file: Option<PathBuf>,
    /// True if it is reached through the proxy that the environment names.
    #[serde(default)]
    pub by_proxy: bool,
}

/// A duration that is one.
fn interval<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let given = duration(deserializer)?.filter(|every| every.as_secs() > 0);
    given.ok_or_else(|| serde::de::Error::custom("every: at least 1s"))
}

/// An address of a file without a secret in it. The refusal does not repeat it.
fn open_address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = String::deserialize(deserializer)?;
    let is_open = url.starts_with("http") && !url.contains(['@', '?', '#']);
    if is_open { Ok(Some(url)) } else { Err(serde::de::Error::custom(HIDE)) }
}

/// Webhooks, each of which says in one way where it is, by names that differ.
pub(super) fn webhooks<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<WebhookSite>, D::Error> {
    let webhooks = Vec::<WebhookSite>::deserialize(deserializer)?;
    let twice = |(at, hook): (usize, &WebhookSite)| {
        let before = webhooks.iter().take(at).any(|other| other.name == hook.name);
        before.then(|| format!("webhook \"{}\" is there twice", hook.name))
    };
    let mistake =
        webhooks.iter().enumerate().find_map(|(at, hook)| hook.mistake().or_else(|| twice((at, hook))));
    mistake.map_or_else(|| Ok(webhooks.clone()), |why| Err(serde::de::Error::custom(why)))
}

const HIDE: &str = "an address with a secret does not stand here: use url-env or url-file";

impl WebhookSite {
    /// What is wrong with it as a whole.
    fn mistake(&self) -> Option<String> {
        let ways = [self.url_env.is_some(), self.url_file.is_some(), self.url.is_some()];
        let ways = ways.into_iter().filter(|given| *given).count();
        let why = match (ways, self.kind, &self.url) {
            (1, WebhookKind::Slack, Some(_)) => HIDE,
            (1, ..) if self.name.trim().is_empty() => "it has no name",
            (1, ..) => return None,
            _ => "exactly one of url-env, url-file and url says where it is",
        };
        Some(format!("webhook \"{}\": {why}", self.name))
    }

    /// Its address. `variable` looks a variable of the environment up.
    pub fn address(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Secret, ConfigError> {
        if let Some(name) = &self.url_env {
            let unset = || ConfigError::Webhook {
                name: self.name.clone(),
                why: format!("the variable {name} is not set for this process"),
            };
            return variable(name).filter(|url| !url.trim().is_empty()).map(Secret::new).ok_or_else(unset);
        }
        match (&self.url_file, &self.url) {
            (Some(path), _) => self.of_file(path),
            (None, url) => Ok(Secret::new(url.clone().unwrap_or_default())),
        }
    }

    fn of_file(&self, path: &Path) -> Result<Secret, ConfigError> {
        let wrong = |why| ConfigError::Webhook { name: self.name.clone(), why };
        super::secret::of_file(path).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::site::{Site, StanzaSite};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::Duration;

    fn main(text: &str) -> Result<StanzaSite, String> {
        let site = Site::parse(text, Path::new("/etc/pgmayday.toml"));
        site.map(|site| site.of("main")).map_err(|error| error.to_string())
    }

    #[test]
    fn cadence_scenarios_and_webhooks_are_read() {
        let main = main(
            "[stanza.main.scenario.full-site]\nrto = '3h'\n\
             [[stanza.main.cadence]]\naudience = 'external'\nseverity = 'sev1'\nfirst = '10m'\nevery = '20m'\n\
             [[stanza.main.webhook]]\nname = 'ops'\nkind = 'slack'\naudience = 'internal'\nurl-env = 'OPS_URL'\n\
             [[stanza.main.webhook]]\nname = 'all'\nkind = 'ntfy'\naudience = 'both'\nurl = 'https://ntfy.sh/x'\n",
        )
        .unwrap();
        assert_eq!(main.scenario.full_site.rto, Some(Duration::from_secs(3 * 3600)));
        assert_eq!((main.scenario.full_site.rpo, main.cadence.len()), (None, 1));
        let [ops, all] = main.webhook.as_slice() else { panic!("{:?}", main.webhook) };
        let variable = |name: &str| (name == "OPS_URL").then(|| "https://hooks.example.com/XYZZY".to_owned());
        assert!(ops.address(&variable).unwrap().expose().ends_with("XYZZY"));
        let error = ops.address(&|_| None).unwrap_err().to_string();
        assert!(error.contains("OPS_URL") && error.contains("ops"), "{error}");
        assert_eq!(all.address(&|_| None).unwrap().expose(), "https://ntfy.sh/x");
    }

    #[test]
    fn a_secret_stands_in_no_plain_file_and_no_message() {
        let hook = "[[stanza.main.webhook]]\nname = 'ops'\naudience = 'internal'\n";
        for wrong in [
            "kind = 'slack'\nurl = 'https://hooks.slack.com/services/XYZZY'",
            "kind = 'json'\nurl = 'https://u:XYZZY@example.com/'",
            "kind = 'json'\nurl = 'https://example.com/?token=XYZZY'",
            "kind = 'json'",
            "kind = 'json'\nurl = 'https://example.com'\nurl-env = 'XYZZY'",
        ] {
            let error = main(&format!("{hook}{wrong}\n")).unwrap_err();
            assert!(!error.contains("XYZZY") && error.contains("pgmayday.toml"), "{wrong}: {error}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("url");
        std::fs::write(&path, "https://hooks.example.com/XYZZY\n").unwrap();
        let text = format!("{hook}kind = 'slack'\nurl-file = '{}'\n", path.display());
        let ops = main(&text).unwrap().webhook.remove(0);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = ops.address(&|_| None).unwrap_err().to_string();
        assert!(error.contains("everybody may read it") && !error.contains("XYZZY"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(ops.address(&|_| None).unwrap().expose(), "https://hooks.example.com/XYZZY");
    }
}
