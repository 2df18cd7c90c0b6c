//! What the configuration means: every option with its value and where that comes from.
//!
//! Data only. Secrets are `***` in it already.

use serde::Serialize;

/// The configuration as it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConfigView {
    /// The options of each stanza, then of each section for a single command.
    pub scopes: Vec<Scope>,
    /// What was ignored while reading.
    pub warnings: Vec<String>,
}

/// Options that hold in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// The stanza, if the options are those of one.
    pub stanza: Option<String>,
    /// The section for a single command, if the options are only what it says.
    pub section: Option<String>,
    /// The options that have a value.
    pub options: Vec<Setting>,
}

/// An option that has a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name, with its index.
    pub option: String,
    /// Its value.
    pub value: String,
    /// Where that comes from.
    pub origin: String,
}

impl Scope {
    /// What the options are of, in a few words.
    pub fn title(&self) -> String {
        match (&self.stanza, &self.section) {
            (Some(stanza), _) => format!("stanza {stanza}"),
            (None, Some(section)) => format!("only for one command: [{section}]"),
            (None, None) => "no stanza".to_owned(),
        }
    }
}
