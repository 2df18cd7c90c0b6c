//! The configuration as it is shown: what holds for each stanza, and what single commands have of their own.
//!
//! Resolves; changes nothing and shows no secret.

use super::{Config, ConfigError, EVERY_COMMAND, Effective};
use crate::model::effective::{ConfigView, Scope, Setting};

impl Config {
    /// Everything that has a value: of this stanza, or of all that are configured.
    pub fn view(&self, stanza: Option<&str>) -> Result<ConfigView, ConfigError> {
        let stanzas = stanza.map_or_else(|| self.stanzas(), |stanza| vec![stanza.to_owned()]);
        let mut scopes = Vec::new();
        if stanzas.is_empty() {
            let options = settings(self.settings(EVERY_COMMAND, None)?.effective());
            scopes.push(Scope { options, ..Scope::default() });
        }
        for stanza in &stanzas {
            let options = settings(self.settings(EVERY_COMMAND, Some(stanza))?.effective());
            scopes.push(Scope { stanza: Some(stanza.clone()), section: None, options });
        }
        let wanted = |section: &&str| {
            section
                .split_once(':')
                .is_some_and(|(name, _)| name == "global" || stanzas.iter().any(|s| s == name))
        };
        scopes.extend(self.command_sections().filter(wanted).map(|section| Scope {
            stanza: None,
            section: Some(section.to_owned()),
            options: settings(self.section(section)),
        }));
        Ok(ConfigView { scopes, warnings: self.warnings().to_vec() })
    }
}

fn settings(effective: Vec<Effective>) -> Vec<Setting> {
    let with_value = effective.into_iter().filter_map(|Effective { option, value, origin }| {
        Some(Setting { option, value: value?, origin: origin.to_string() })
    });
    with_value.collect()
}
