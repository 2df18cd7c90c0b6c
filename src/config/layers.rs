//! The layers a configuration is made of: what each source says, by option and index, unchecked.
//!
//! Names are resolved here, values are not looked at: a value counts only if it wins for a command that takes
//! the option. All values are kept as secrets until an option's definition says that they are none.

use super::file::Line;
use super::options::{self, Found, NameError, OptionDef, Section};
use super::{CliOption, ConfigError, Effective, Origin, spelling};
use crate::base::Secret;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What one source says about one option.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub def: &'static OptionDef,
    pub key: u32,
    pub state: State,
    pub origin: Origin,
    /// The name as it was written, to notice two names of one option.
    written: String,
}

/// How an option was given.
#[derive(Debug, Clone)]
pub(super) enum State {
    Set(Vec<Secret>),
    Negated,
    Reset,
}

/// One source: option name and index to what it says.
pub(super) type Layer = BTreeMap<(&'static str, u32), Given>;

/// All sources.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    pub cli: Layer,
    pub env: Layer,
    /// By section.
    pub files: BTreeMap<Arc<str>, Layer>,
}

impl Given {
    /// The name with its index.
    pub(super) fn name(&self) -> String {
        self.def.indexed_name(self.key)
    }

    /// The values as given; empty if the option is negated or reset.
    pub(super) fn texts(&self) -> Vec<&str> {
        match &self.state {
            State::Set(texts) => texts.iter().map(Secret::expose).collect(),
            State::Negated | State::Reset => Vec::new(),
        }
    }

    pub(super) fn is_negated(&self) -> bool {
        matches!(self.state, State::Negated)
    }

    /// As it is shown to people.
    pub(super) fn effective(&self) -> Effective {
        let shown = spelling::shown(self.def, &self.texts());
        Effective { option: self.name(), value: Some(shown), origin: self.origin.clone() }
    }
}

/// What a layer says about an option without index.
pub(super) fn plain<'a>(layer: &'a Layer, name: &str) -> Option<&'a Given> {
    options::by_name(name).and_then(|def| layer.get(&(def.name, 0)))
}

/// Resolves the options of the command line, in order.
pub(super) fn from_command_line(options: &[CliOption]) -> Result<Layer, ConfigError> {
    let mut layer = Layer::new();
    for option in options {
        let found = options::find(&option.name, true)
            .map_err(|error| unknown_on_command_line(&option.name, error))?;
        let given = given_on_command_line(option, found)?;
        match layer.entry((given.def.name, given.key)) {
            Entry::Vacant(place) => {
                place.insert(given);
            }
            Entry::Occupied(mut place) => add_another(place.get_mut(), given)?,
        }
    }
    Ok(layer)
}

/// Why a name of the command line cannot be used.
pub(super) fn unknown_on_command_line(name: &str, error: NameError) -> ConfigError {
    match error {
        NameError::Unknown(near) => {
            let hint = spelling::of_name(name).or_else(|| near.map(|near| format!("write --{near}")));
            ConfigError::Unknown { option: name.to_owned(), hint }
        }
        NameError::Form(why, better) => form(name, why, Origin::CommandLine, better.as_deref(), "--"),
    }
}

fn form(
    name: &str,
    why: impl Into<String>,
    origin: Origin,
    better: Option<&str>,
    dashes: &str,
) -> ConfigError {
    let hint = better.map(|better| format!("write {dashes}{better}"));
    ConfigError::Form { option: name.to_owned(), why: why.into(), origin, hint }
}

fn given_on_command_line(option: &CliOption, found: Found) -> Result<Given, ConfigError> {
    let Found { def, key, negated, reset } = found;
    let name = def.indexed_name(key);
    if def.secret {
        return Err(ConfigError::SecretOnCommandLine { option: name, variable: def.variable_name(key) });
    }
    let wrong = |why: &str| Err(form(&option.name, why, Origin::CommandLine, None, ""));
    let set = |text: &str| State::Set(vec![Secret::new(text)]);
    let state = match (&option.value, negated, reset) {
        (Some(_), true, _) | (Some(_), _, true) => return wrong("takes no value in this form"),
        (None, true, _) if matches!(def.kind, options::Kind::Flag | options::Kind::FlagOr(_)) => set("n"),
        (None, true, _) => State::Negated,
        (None, _, true) => State::Reset,
        (Some(value), ..) => set(value),
        (None, ..) if def.kind.is_flag() => set("y"),
        (None, ..) => return wrong("requires a value"),
    };
    Ok(Given { def, key, state, origin: Origin::CommandLine, written: option.name.clone() })
}

fn add_another(first: &mut Given, next: Given) -> Result<(), ConfigError> {
    match (&mut first.state, next.state) {
        (State::Set(texts), State::Set(more)) if first.def.kind.repeats() => {
            texts.extend(more);
            Ok(())
        }
        _ => Err(form(&first.name(), "cannot be given several times", Origin::CommandLine, None, "")),
    }
}

/// Resolves `PGBACKREST_*`; unknown variables are warned about.
pub(super) fn from_environment(
    env: &[(String, String)],
    warnings: &mut Vec<String>,
) -> Result<Layer, ConfigError> {
    let mut layer = Layer::new();
    for (variable, value) in env {
        let Some(name) = variable.strip_prefix("PGBACKREST_") else { continue };
        let name = name.to_lowercase().replace('_', "-");
        let origin = Origin::Environment(variable.clone());
        let Some(found) = known(&name, &origin, warnings)? else { continue };
        let texts = if found.def.kind.repeats() && !value.is_empty() {
            value.split(':').map(Secret::new).collect()
        } else {
            vec![Secret::new(value.as_str())]
        };
        let Found { def, key, .. } = found;
        layer.entry((def.name, key)).or_insert(Given {
            def,
            key,
            state: State::Set(texts),
            origin,
            written: name,
        });
    }
    Ok(layer)
}

/// Resolves a name of the environment or a file; nothing, with a warning, if it is to be ignored.
fn known(name: &str, origin: &Origin, warnings: &mut Vec<String>) -> Result<Option<Found>, ConfigError> {
    let ignored = match options::find(name, false) {
        Ok(found) if found.negated || found.reset => {
            "is allowed on the command line only, and is ignored".to_owned()
        }
        Ok(found) => return Ok(Some(found)),
        Err(NameError::Form(why, _)) if name.starts_with("no-") || name.starts_with("reset-") => {
            format!("{why}, and is ignored")
        }
        Err(NameError::Form(why, better)) => {
            return Err(form(name, why, origin.clone(), better.as_deref(), ""));
        }
        Err(NameError::Unknown(Some(near))) => {
            format!("is not known and is ignored (did you mean '{near}'?)")
        }
        Err(NameError::Unknown(None)) => "is not known and is ignored".to_owned(),
    };
    let name: String = name.chars().take(80).collect();
    warnings.push(format!("{origin}: option '{name}' {ignored}"));
    Ok(None)
}

/// Resolves the lines of all files into one layer per section.
pub(super) fn from_lines(
    lines: Vec<Line>,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<Arc<str>, Layer>, ConfigError> {
    let mut files: BTreeMap<Arc<str>, Layer> = BTreeMap::new();
    let mut ignored: BTreeSet<(Arc<str>, String)> = BTreeSet::new();
    for line in lines {
        let place = (Arc::clone(&line.section), line.key.clone());
        if ignored.contains(&place) {
            continue;
        }
        let origin = Origin::File { path: line.file, line: line.number, section: Arc::clone(&line.section) };
        let Some(found) = known(&line.key, &origin, warnings)? else {
            ignored.insert(place);
            continue;
        };
        if let Some(why) = misplaced(found.def, &line.section) {
            let name = found.def.indexed_name(found.key);
            warnings.push(format!("{origin}: option '{name}' {why}, and is ignored"));
            ignored.insert(place);
            continue;
        }
        let Found { def, key, .. } = found;
        let layer = files.entry(line.section).or_default();
        match layer.entry((def.name, key)) {
            Entry::Vacant(place) => {
                let state = State::Set(vec![line.value]);
                place.insert(Given { def, key, state, origin, written: line.key });
            }
            Entry::Occupied(mut place) => {
                let first = place.get_mut();
                if first.written != line.key {
                    let why =
                        format!("has two names in this section, '{}' and '{}'", first.written, line.key);
                    return Err(form(&first.name(), why, origin, None, ""));
                }
                if let State::Set(texts) = &mut first.state {
                    texts.push(line.value);
                }
            }
        }
    }
    Ok(files)
}

/// Why an option does not count in a section, if it does not.
fn misplaced(def: &OptionDef, section: &str) -> Option<&'static str> {
    let (stanza, command) = section.split_once(':').map_or((section, None), |(name, cmd)| (name, Some(cmd)));
    if def.section == Section::CommandLine {
        return Some("is allowed on the command line and in the environment only");
    }
    if def.section == Section::Stanza && stanza == "global" {
        return Some("is allowed in stanza sections only");
    }
    command.filter(|command| !def.valid_for(command)).map(|_| "is not valid for the command of this section")
}
