//! Resolving: from the layers to the value that holds for one command and one stanza.
//!
//! Follows pgBackRest in order: options of the command line must be valid for the command, each value comes
//! from the first layer that has it, options whose condition on another option is not met do not count.

use super::layers::{Given, Layer, State};
use super::options::{self, EVERY_COMMAND, Group, Need, OptionDef};
use super::settings::{Resolved, Settings};
use super::value::{self, Value};
use super::{Config, ConfigError, Origin, cross, places, spelling};
use crate::base::Secret;
use std::collections::{BTreeMap, BTreeSet};

/// Resolves every option that is valid for `command`, which must be all of the command line.
pub(super) fn resolve(config: &Config, command: &str, stanza: Option<&str>) -> Result<Settings, ConfigError> {
    if let Some(given) = config.layers.cli.values().find(|given| !given.def.valid_for(command)) {
        let hint = (given.def.name == "pg-path")
            .then(|| format!("{command} does not need a data directory; leave the option out"));
        let (option, command) = (given.name(), command.to_owned());
        return Err(ConfigError::NotForCommand { option, command, hint });
    }
    resolve_valid(config, command, stanza)
}

/// Resolves every option that is valid for `command`; others are passed over wherever they stand.
pub(super) fn resolve_valid(
    config: &Config,
    command: &str,
    stanza: Option<&str>,
) -> Result<Settings, ConfigError> {
    let mut resolver = Resolver::new(config, command, stanza)?;
    let keys = resolver.keys_in_use();
    for def in options::all().iter().filter(|def| def.valid_for(command)) {
        match def.group {
            None => drop(resolver.resolve(def, 0)?),
            Some(group) => {
                for key in keys.get(&group).into_iter().flatten() {
                    resolver.resolve(def, *key)?;
                }
            }
        }
    }
    resolver.drop_unused(&keys);
    let Resolver { stanza, values, warnings, .. } = resolver;
    let mut settings = Settings::new(command, stanza, values, warnings);
    cross::apply(&mut settings)?;
    let repos = places::repos(&settings, &config.env)?;
    let pgs = places::pgs(&settings);
    Ok(settings.with_places(repos, pgs))
}

struct Resolver<'a> {
    config: &'a Config,
    command: &'a str,
    stanza: Option<String>,
    /// First wins.
    layers: Vec<&'a Layer>,
    values: BTreeMap<(&'static str, u32), Resolved>,
    warnings: Vec<String>,
}

impl<'a> Resolver<'a> {
    fn new(config: &'a Config, command: &'a str, stanza: Option<&str>) -> Result<Self, ConfigError> {
        let layers = &config.layers;
        let mut resolver = Self {
            config,
            command,
            stanza: None,
            layers: vec![&layers.cli, &layers.env],
            values: BTreeMap::new(),
            warnings: Vec::new(),
        };
        resolver.choose_stanza(stanza)?;
        let command = Some(command).filter(|command| *command != EVERY_COMMAND);
        let mut sections = Vec::new();
        for name in resolver.stanza.as_deref().into_iter().chain(["global"]) {
            sections.extend(command.map(|command| format!("{name}:{command}")));
            sections.push(name.to_owned());
        }
        resolver.layers.extend(sections.iter().filter_map(|name| layers.files.get(name.as_str())));
        Ok(resolver)
    }

    /// Names of stanzas become folder names, so they must not lead anywhere else.
    fn check_stanza(name: &str, origin: &Origin) -> Result<(), ConfigError> {
        let misleading = name.contains(['/', '\0', ':']) || name.contains(char::is_control);
        if !misleading && !matches!(name, "" | "." | ".." | "global") {
            return Ok(());
        }
        Err(ConfigError::Value {
            option: "stanza".to_owned(),
            value: name.escape_debug().collect::<String>().into(),
            origin: origin.clone(),
            allowed: "a name without '/' and ':', other than global".into(),
            hint: None,
        })
    }

    /// An explicit stanza replaces what command line and environment say.
    fn choose_stanza(&mut self, explicit: Option<&str>) -> Result<(), ConfigError> {
        let Some(def) = options::by_name("stanza") else { return Ok(()) };
        if let Some(name) = explicit {
            let value = Some(Value::Text(name.to_owned()));
            let said = self.winner(def, 0).filter(|given| given.texts() == [name]);
            let origin = said.map_or(Origin::Follows("the stanza looked at"), |given| given.origin.clone());
            Self::check_stanza(name, &origin)?;
            self.values.insert((def.name, 0), Resolved { value, shown: name.to_owned(), origin });
            self.stanza = Some(name.to_owned());
        } else if let Resolved { value: Some(Value::Text(name)), origin, .. } = self.resolve(def, 0)? {
            Self::check_stanza(&name, &origin)?;
            self.stanza = Some(name);
        }
        Ok(())
    }

    fn winner(&self, def: &OptionDef, key: u32) -> Option<&'a Given> {
        self.layers.iter().find_map(|layer| layer.get(&(def.name, key)))
    }

    /// The indexes to resolve: those somebody set something for; at least index 1.
    fn keys_in_use(&self) -> BTreeMap<Group, BTreeSet<u32>> {
        let mut keys = BTreeMap::from([(Group::Pg, BTreeSet::from([1])), (Group::Repo, BTreeSet::new())]);
        for given in self.layers.iter().flat_map(|layer| layer.values()) {
            let set = self.winner(given.def, given.key).is_some_and(|g| !matches!(g.state, State::Reset));
            if let (Some(group), true) = (given.def.group, set && given.def.valid_for(self.command)) {
                keys.entry(group).or_default().insert(given.key);
            }
        }
        if let Some(repos) = keys.get_mut(&Group::Repo).filter(|repos| repos.is_empty()) {
            repos.insert(1);
        }
        keys
    }

    fn resolve(&mut self, def: &'static OptionDef, key: u32) -> Result<Resolved, ConfigError> {
        if let Some(known) = self.values.get(&(def.name, key)) {
            return Ok(known.clone());
        }
        let resolved = self.resolve_new(def, key)?;
        self.values.insert((def.name, key), resolved.clone());
        Ok(resolved)
    }

    fn resolve_new(&mut self, def: &'static OptionDef, key: u32) -> Result<Resolved, ConfigError> {
        let winner = self.winner(def, key);
        for need in def.needs.iter().filter(|need| need.holds_for(self.command)) {
            if self.is_met(need, def, key)? {
                continue;
            }
            return match winner {
                Some(given) if given.origin == Origin::CommandLine && !given.texts().is_empty() => {
                    Err(ConfigError::Needs { option: given.name(), needs: need_in_words(need, key) })
                }
                _ => Ok(self.fallback(def, need.otherwise, Origin::Follows(need.option))),
            };
        }
        match winner.map(|given| (given, &given.state)) {
            Some((given, State::Set(_))) => self.checked(given),
            Some((given, State::Negated)) => {
                Ok(Resolved { origin: given.origin.clone(), ..Resolved::unset() })
            }
            Some((_, State::Reset)) | None => {
                let resolved = self.fallback(def, def.default_for(self.command), Origin::Default);
                let missing = resolved.value.is_none() && def.needed_by(self.command);
                if missing { Err(self.missing(def, key)) } else { Ok(resolved) }
            }
        }
    }

    fn is_met(&mut self, need: &Need, def: &OptionDef, key: u32) -> Result<bool, ConfigError> {
        let Some(other) = options::by_name(need.option) else { return Ok(false) };
        if !other.valid_for(self.command) {
            return Ok(false);
        }
        // What `type` may be is up to the command; where no command is chosen nothing is hidden by it.
        if self.command == EVERY_COMMAND && !other.kinds.is_empty() {
            return Ok(true);
        }
        let other_key = if other.group == def.group { key } else { u32::from(other.group.is_some()) };
        let resolved = self.resolve(other, other_key)?;
        Ok(resolved.value.is_some()
            && (need.values.is_empty() || need.values.contains(&resolved.shown.as_str())))
    }

    fn fallback(&self, def: &OptionDef, text: Option<&str>, origin: Origin) -> Resolved {
        let value = text.and_then(|text| value::parse(def.kind_for(self.command), &[text]).ok());
        match (value, text) {
            (Some(value), Some(text)) => Resolved { value: Some(value), shown: text.to_owned(), origin },
            _ => Resolved::unset(),
        }
    }

    fn checked(&mut self, given: &Given) -> Result<Resolved, ConfigError> {
        let (def, texts) = (given.def, given.texts());
        let wrong = |at: usize, allowed: String| {
            let text = texts.get(at).copied().unwrap_or_default();
            let hint = spelling::of_value(def, self.command, text);
            let value = spelling::shown(def, &[text]).into();
            let allowed = allowed.into();
            ConfigError::Value { option: given.name(), value, origin: given.origin.clone(), allowed, hint }
        };
        let kind = def.kind_for(self.command);
        if texts.len() > 1 && !kind.repeats() {
            let (why, hint) = ("cannot be given several times".to_owned(), None);
            return Err(ConfigError::Form { option: given.name(), why, origin: given.origin.clone(), hint });
        }
        if let ([""], false) = (texts.as_slice(), given.origin == Origin::CommandLine) {
            return Err(wrong(0, kind.allowed()));
        }
        let value = match value::parse(kind, &texts).map_err(|(at, allowed)| wrong(at, allowed))? {
            Value::Text(text) if def.secret => Value::Secret(Secret::new(text)),
            value => value,
        };
        if let Value::Pairs(pairs) = &value
            && pairs.len() < texts.len()
        {
            let warning =
                format!("{}: option '{}' has a key twice; the last value counts", given.origin, given.name());
            self.warnings.push(warning);
        }
        let shown = match &value {
            Value::Text(text) => spelling::shown(def, &[text]),
            _ => spelling::shown(def, &texts),
        };
        Ok(Resolved { value: Some(value), shown, origin: given.origin.clone() })
    }

    fn missing(&self, def: &OptionDef, key: u32) -> ConfigError {
        let stanzas = self.config.stanzas();
        let known = if stanzas.is_empty() {
            "the configuration has no stanza section".to_owned()
        } else {
            format!("the configuration has the stanzas {}", stanzas.join(", "))
        };
        let option = def.indexed_name(key);
        let hint = match (def.name, self.stanza.as_deref()) {
            ("stanza", _) => format!("add --stanza=NAME; {known}"),
            ("pg-path", Some(stanza)) if !stanzas.iter().any(|name| name == stanza) => {
                format!("check the stanza name '{stanza}' or add --{option}=FOLDER; {known}")
            }
            ("target", _) => "add --target=…, what the recovery shall stop at".to_owned(),
            _ if def.secret => {
                format!(
                    "set {option} in the configuration file, or {} in the environment",
                    def.variable_name(key)
                )
            }
            _ => format!("add --{option}=…, or set {option} in the configuration file"),
        };
        ConfigError::Missing { command: self.command.to_owned(), option, hint }
    }

    /// Forgets indexes for which only defaults came out; at least one repository stays, as number 1 if all of it
    /// is default.
    fn drop_unused(&mut self, keys: &BTreeMap<Group, BTreeSet<u32>>) {
        for (group, keys) in keys {
            let of = |def: &OptionDef| def.group == Some(*group);
            let names: BTreeSet<&str> =
                options::all().iter().filter(|def| of(def)).map(|def| def.name).collect();
            let chosen = |key: u32, values: &BTreeMap<(&'static str, u32), Resolved>| {
                values.iter().any(|((name, k), value)| *k == key && names.contains(name) && value.is_chosen())
            };
            let unused: Vec<u32> = keys.iter().copied().filter(|key| !chosen(*key, &self.values)).collect();
            let all_unused = unused.len() == keys.len();
            for key in unused.into_iter().filter(|key| !(all_unused && *key == 1)) {
                self.values.retain(|(name, k), _| *k != key || !names.contains(name));
            }
        }
    }
}

impl Need {
    fn holds_for(&self, command: &str) -> bool {
        self.commands.is_empty() || self.commands.contains(&command)
    }
}

fn need_in_words(need: &Need, key: u32) -> String {
    let name =
        options::by_name(need.option).map_or_else(|| need.option.to_owned(), |def| def.indexed_name(key));
    match need.values {
        [] => name,
        values => format!("{name}={}", values.join(" or ")),
    }
}
