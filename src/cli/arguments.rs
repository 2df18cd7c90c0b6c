//! Splitting the command line: pgBackRest's options to the configuration, words and own options to clap.
//!
//! Options may stand before and after the command and among its words, as with pgBackRest. After `--` everything
//! is a word. Looks at no value; errors name options only, because a value may be a secret.

use super::tree;
use crate::base::{Report, Result};
use crate::config::{CliOption, ConfigError, closest};
use std::ffi::OsString;

/// The command line in parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// The command and its words.
    pub words: Vec<String>,
    /// pgBackRest's options, in order.
    pub config: Vec<CliOption>,
    /// Our own options, each with its value in the form `--name=value`.
    pub own: Vec<String>,
    /// True if `--help` or `-h` is among them.
    pub help: bool,
    /// True if `--version` or `-V` is among them.
    pub version: bool,
}

/// Splits the arguments after the program's name.
pub(super) fn split(args: impl Iterator<Item = OsString>) -> Result<Split> {
    let own = tree::own_options();
    let mut split = Split::default();
    let mut args = args.map(utf8);
    while let Some(arg) = args.next().transpose()? {
        match arg.as_str() {
            "--" => split.words.extend(args.by_ref().collect::<Result<Vec<_>>>()?),
            "-h" | "--help" => split.help = true,
            "-V" | "--version" => split.version = true,
            _ => match arg.strip_prefix("--") {
                Some(option) => add_option(&mut split, &own, option, &mut args)?,
                None if arg.len() > 1 && arg.starts_with('-') => return Err(single_dash(&arg)),
                None => split.words.push(arg),
            },
        }
    }
    Ok(split)
}

fn add_option(
    split: &mut Split,
    own: &[tree::OwnOption],
    option: &str,
    args: &mut impl Iterator<Item = Result<String>>,
) -> Result<()> {
    let (name, value) = option.split_once('=').map_or((option, None), |(n, v)| (n, Some(v.to_owned())));
    let next = |args: &mut dyn Iterator<Item = Result<String>>| {
        args.next().unwrap_or_else(|| Err(Report::usage(format!("option --{name} requires a value"))))
    };
    if let Some(known) = own.iter().find(|known| known.name == name) {
        split.own.push(match value {
            Some(_) => format!("--{option}"),
            None if known.takes_value => format!("--{name}={}", next(args)?),
            None => format!("--{name}"),
        });
        return Ok(());
    }
    let takes_argument = CliOption::takes_argument(name).map_err(|error| suggest_own(error, own, name))?;
    let value = match value {
        None if takes_argument => Some(next(args)?),
        value => value,
    };
    split.config.push(CliOption { name: name.to_owned(), value });
    Ok(())
}

/// Adds the nearest of our own options to the report of an unknown one.
fn suggest_own(error: ConfigError, own: &[tree::OwnOption], name: &str) -> Report {
    let near = closest(name, own.iter().map(|option| option.name.as_str()).chain(["help", "version"]));
    match (&error, near) {
        (ConfigError::Unknown { hint: None, .. }, Some(near)) => {
            Report::from(error).hint(format!("write --{near}"))
        }
        (ConfigError::Unknown { hint: None, .. }, None) => {
            Report::from(error).hint("'pgmayday help COMMAND' lists the options of a command")
        }
        _ => error.into(),
    }
}

fn single_dash(arg: &str) -> Report {
    let name: String =
        arg.chars().skip(1).take_while(|c| c.is_alphanumeric() || *c == '-').take(40).collect();
    Report::usage(format!("option -{name} is not known")).hint("options begin with two dashes: --name=value")
}

fn utf8(arg: OsString) -> Result<String> {
    arg.into_string()
        .map_err(|_| Report::usage("an argument is not UTF-8").hint("give names and paths in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(args: &[&str]) -> Result<Split> {
        split(args.iter().map(OsString::from))
    }

    fn option(name: &str, value: Option<&str>) -> CliOption {
        CliOption { name: name.into(), value: value.map(str::to_owned) }
    }

    #[test]
    fn options_stand_anywhere_and_keep_their_order() {
        let got = parts(&[
            "--stanza",
            "main",
            "doctor",
            "--repo1-path=/r",
            "--accept",
            "a,b",
            "word",
            "--no-delta",
        ]);
        let got = got.unwrap();
        assert_eq!(got.words, ["doctor", "word"]);
        let config =
            [option("stanza", Some("main")), option("repo1-path", Some("/r")), option("no-delta", None)];
        assert_eq!(got.config, config);
        assert_eq!(got.own, ["--accept=a,b"]);
    }

    #[test]
    fn values_may_look_like_options_and_words_after_two_dashes_too() {
        let got = parts(&["x", "--target", "--help", "--", "--stanza=a", "-h"]).unwrap();
        assert_eq!(got.config, [option("target", Some("--help"))]);
        assert_eq!(got.words, ["x", "--stanza=a", "-h"]);
        assert!(!got.help);
    }

    #[test]
    fn mistakes_are_named_without_their_values() {
        for args in
            [&["--repo1-cipher-passs=geheim"][..], &["-pgeheim=geheim"], &["--xyzzy=geheim"], &["--stanza"]]
        {
            let report = parts(args).map(|_| ()).unwrap_err();
            assert!(!report.to_string().contains("=geheim"), "{report}");
            assert!(report.hint.is_some() || args == ["--stanza"], "{report}");
        }
        assert_eq!(parts(&["--acept=x"]).unwrap_err().hint.as_deref(), Some("write --accept"));
    }
}
