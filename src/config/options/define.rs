//! How one option is defined: the vocabulary the option tables are written in.
//!
//! Constructors and builders are `const`, so the tables are data without any start-up cost.

/// The commands an option is valid for; empty means every command.
pub(super) type Commands = &'static [&'static str];

/// What an option's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `y` or `n`; on the command line also `--opt` and `--no-opt`.
    Flag,
    /// A choice that also takes the command-line forms of a flag.
    FlagOr(&'static [&'static str]),
    /// One of the listed words.
    Choice(&'static [&'static str]),
    /// A decimal number within the range, both ends included.
    Integer(i64, i64),
    /// A size within the range in bytes, both ends included.
    Size(u64, u64),
    /// One of the listed sizes in bytes.
    SizeOf(&'static [u64]),
    /// A time within the range in milliseconds, both ends included.
    Time(u64, u64),
    /// An absolute path.
    Path,
    /// Any text that is not empty.
    Text,
    /// Any number of texts.
    List,
    /// Any number of `key=value`.
    Pairs,
}

impl Kind {
    /// True if the option may be given several times.
    pub fn repeats(self) -> bool {
        matches!(self, Self::List | Self::Pairs)
    }

    /// True if `--opt` may stand without a value.
    pub fn is_flag(self) -> bool {
        matches!(self, Self::Flag | Self::FlagOr(_))
    }
}

/// Where an option may be set, besides the command line and the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Nowhere else.
    CommandLine,
    /// Every section of a file.
    Global,
    /// Stanza sections of a file only.
    Stanza,
}

/// A family of numbered options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// `pg1-…` to `pg256-…`.
    Pg,
    /// `repo1-…` to `repo256-…`.
    Repo,
}

impl Group {
    /// The first word of the family's option names.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Pg => "pg",
            Self::Repo => "repo",
        }
    }
}

/// A condition another option must fulfil for this one to count.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// The other option.
    pub option: &'static str,
    /// Its accepted values; empty means that it must only be set.
    pub values: &'static [&'static str],
    /// The commands for which the condition stands; empty means every command.
    pub commands: Commands,
    /// The value this option has if the condition is not fulfilled.
    pub otherwise: Option<&'static str>,
}

impl Need {
    pub(super) const fn on(option: &'static str, values: &'static [&'static str]) -> Self {
        Self { option, values, commands: &[], otherwise: None }
    }

    pub(super) const fn only(mut self, commands: Commands) -> Self {
        self.commands = commands;
        self
    }

    pub(super) const fn otherwise(mut self, value: &'static str) -> Self {
        self.otherwise = Some(value);
        self
    }
}

/// One option of pgBackRest's configuration.
#[derive(Debug, Clone, Copy)]
pub struct OptionDef {
    /// Name without index, for example `repo-path`.
    pub name: &'static str,
    /// What its value may be, where no command says otherwise.
    pub kind: Kind,
    /// The default, where no command says otherwise.
    pub default: Option<&'static str>,
    /// The commands it is valid for.
    pub commands: Commands,
    /// One line for people.
    pub help: &'static str,
    /// Where it may be set.
    pub section: Section,
    /// The family, if it is numbered.
    pub group: Option<Group>,
    /// True if its value must not be seen.
    pub secret: bool,
    /// True if it is left out of help, as pgBackRest does.
    pub hidden: bool,
    /// True if `--no-NAME` is accepted.
    pub negatable: bool,
    /// The commands that cannot do without it.
    pub required_by: Commands,
    /// Conditions on other options.
    pub needs: &'static [Need],
    /// Other defaults by command.
    pub defaults: &'static [(&'static str, &'static str)],
    /// Other kinds by command.
    pub kinds: &'static [(&'static str, Kind)],
    /// Former names; `?` stands for an index.
    pub old: &'static [&'static str],
}

const fn option(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    commands: Commands,
    help: &'static str,
    section: Section,
) -> OptionDef {
    OptionDef {
        name,
        kind,
        default: if default.is_empty() { None } else { Some(default) },
        commands,
        help,
        section,
        group: None,
        secret: false,
        hidden: false,
        negatable: kind_is_flag(kind) && !matches!(section, Section::CommandLine),
        required_by: &[],
        needs: &[],
        defaults: &[],
        kinds: &[],
        old: &[],
    }
}

const fn kind_is_flag(kind: Kind) -> bool {
    matches!(kind, Kind::Flag | Kind::FlagOr(_))
}

/// An option for command line and environment only; an empty default means none.
pub(super) const fn line(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    commands: Commands,
    help: &'static str,
) -> OptionDef {
    option(name, kind, default, commands, help, Section::CommandLine)
}

/// An option for every section; an empty default means none.
pub(super) const fn global(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    commands: Commands,
    help: &'static str,
) -> OptionDef {
    option(name, kind, default, commands, help, Section::Global)
}

/// An option for stanza sections; an empty default means none.
pub(super) const fn stanza(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    commands: Commands,
    help: &'static str,
) -> OptionDef {
    option(name, kind, default, commands, help, Section::Stanza)
}

impl OptionDef {
    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(super) const fn negatable(mut self) -> Self {
        self.negatable = true;
        self
    }

    pub(super) const fn pg(mut self) -> Self {
        self.group = Some(Group::Pg);
        self
    }

    pub(super) const fn repo(mut self) -> Self {
        self.group = Some(Group::Repo);
        self
    }

    /// Every command it is valid for requires it; for options that are not valid for all commands.
    pub(super) const fn required(mut self) -> Self {
        self.required_by = self.commands;
        self
    }

    pub(super) const fn required_by(mut self, commands: Commands) -> Self {
        self.required_by = commands;
        self
    }

    pub(super) const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    pub(super) const fn defaults(mut self, defaults: &'static [(&'static str, &'static str)]) -> Self {
        self.defaults = defaults;
        self
    }

    pub(super) const fn kinds(mut self, kinds: &'static [(&'static str, Kind)]) -> Self {
        self.kinds = kinds;
        self
    }

    pub(super) const fn old(mut self, names: &'static [&'static str]) -> Self {
        self.old = names;
        self
    }

    /// True if the option is valid for `command`.
    pub fn valid_for(&self, command: &str) -> bool {
        command == super::EVERY_COMMAND || self.commands.is_empty() || self.commands.contains(&command)
    }

    /// The kind its value has for `command`.
    pub fn kind_for(&self, command: &str) -> Kind {
        by_command(self.kinds, command).unwrap_or(self.kind)
    }

    /// The default it has for `command`.
    pub fn default_for(&self, command: &str) -> Option<&'static str> {
        by_command(self.defaults, command).or(self.default)
    }

    /// True if `command` cannot do without a value.
    pub fn needed_by(&self, command: &str) -> bool {
        command != super::EVERY_COMMAND && self.required_by.contains(&command)
    }

    /// The name with its index, for example `repo2-path`; plain options have key 0 and no index.
    pub fn indexed_name(&self, key: u32) -> String {
        match self.group {
            Some(group) => {
                let rest = self.name.strip_prefix(group.prefix()).unwrap_or(self.name);
                format!("{}{}{rest}", group.prefix(), key.max(1))
            }
            None => self.name.to_owned(),
        }
    }

    /// The name of the environment variable that sets it.
    pub fn variable_name(&self, key: u32) -> String {
        format!("PGBACKREST_{}", self.indexed_name(key).to_uppercase().replace('-', "_"))
    }
}

fn by_command<T: Copy>(table: &[(&str, T)], command: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == command).map(|(_, value)| *value)
}
